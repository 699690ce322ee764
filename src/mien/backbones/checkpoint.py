"""A trained network as a folder: weights.safetensors, record.json (what it is), metrics.json (how good it is).

A checkpoint is made in a folder beside its place and then moved there whole; where another one stands, it is moved
aside first and removed last. Whenever the machine stops, one whole checkpoint is left, and `load_checkpoint` finds it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from mien.backbones.convnet import ConvNet, ConvNetSpec
from mien.errors import OptionError, OutputError, WeightsError, WeightsMismatch, WeightsNotFound

FORMAT = "mien checkpoint 1"
WEIGHTS, RECORD, METRICS = "weights.safetensors", "record.json", "metrics.json"

# Also what is made of a checkpoint: replacing it makes these out of date.
_OURS = {WEIGHTS, RECORD, METRICS, "encoder.onnx", "encoder.json", "head.json"}


@dataclass(frozen=True, kw_only=True, eq=False)
class CheckpointRecord:
    """What one has to know of a trained network to use it rightly."""

    name: str
    """The encoder's name, which encodings and heads carry."""
    spec: ConvNetSpec
    task: str = "encoding"
    """In words: `encoding faces`, `classes of heartbeats`."""
    kind: Literal["image", "signal", "volume", "clip"] = "image"
    size: tuple[int, ...] | None = None
    """Spatial size of the input in training: (L,), (H, W) or (D, H, W)."""
    normalisation: Mapping[str, Any] | None = None
    """`mean` and `scale` per channel, as fitted on the training part: (x − mean) / scale. None: as it comes."""
    labels: tuple[str, ...] = ()
    """What each logit stands for."""
    rate: float | None = None
    """Samples per second of signals (Hz), pictures per second of clips."""
    spacing: tuple[float, ...] | None = None
    """Size of a voxel (D, H, W) in mm."""
    template: tuple[tuple[float, float], ...] | None = None
    """Faces: where the five landmarks lie in an input of `size`, as x, y in pixels; None: not aligned by landmarks."""
    calibration: str | None = None
    """A file with the threshold's calibration beside the record."""
    licence: str = "as its training data allow"
    origin: str = "trained with mien"
    citation: str = ""
    training: Mapping[str, Any] = field(default_factory=dict)
    """How it was trained: recipe, options, seed, split, and whatever else is plain."""
    files: tuple[str, ...] = ()
    """Further files of the checkpoint; written by `save_checkpoint`."""
    sha256: str = ""
    """Of weights.safetensors; written by `save_checkpoint`."""
    mien: str = ""
    """The version of mien that wrote it."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\w[\w.-]{0,63}", self.name):
            raise OptionError(
                f"Expected a name of 1 to 64 letters, digits, dots, dashes or underscores, got {self.name!r}."
            )
        if self.normalisation is not None:
            mean, scale = (tuple(self.normalisation.get(part, ())) for part in ("mean", "scale"))
            if not len(mean) == len(scale) == self.spec.channels or min(scale) <= 0:
                raise OptionError(
                    f"Expected a mean and a scale above 0 for each of {self.spec.channels} channels, "
                    f"got {mean} and {scale}."
                )
        if self.labels and self.spec.classes and len(self.labels) != self.spec.classes:
            raise OptionError(f"Expected {self.spec.classes} labels, one per logit, got {len(self.labels)}.")

    def normalise(self, x: Tensor) -> Tensor:
        """(x − mean) / scale of a batch (B, channels, *spatial)."""
        if self.normalisation is None:
            return x
        shape = (1, -1, *[1] * self.spec.dim)
        mean, scale = (x.new_tensor(self.normalisation[part]).view(shape) for part in ("mean", "scale"))
        return (x - mean) / scale

    def to_json(self) -> str:
        """The text of record.json."""
        about = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        about["spec"] = self.spec.to_dict()
        return json.dumps({"format": FORMAT, **about}, ensure_ascii=False, indent=1)


# ---- writing ---------------------------------------------------------------------------------------------------------


def save_checkpoint(
    folder: str | Path,
    net: ConvNet,
    record: CheckpointRecord,
    *,
    metrics: Mapping[str, Any] | None = None,
    extra: Mapping[str, bytes] | None = None,
    force: bool = False,
) -> Path:
    """Write `folder` as a checkpoint of the net, whole or not at all, and return its path.

    extra: further files by name, such as the optimiser's state for a resume; they appear with the weights they
    belong to. OutputError if the folder exists (unless `force`), holds files that are no checkpoint's, or cannot be
    written.
    """
    target = Path(os.path.abspath(folder))  # noqa: PTH100 (a link in the path is kept as it is)
    if net.spec != record.spec:
        raise OptionError(f"Expected a record of the network's own architecture, but {_differences(net.spec, record)}.")
    names = sorted(extra or {})
    if bad := [name for name in names if name in _OURS or Path(name).name != name]:
        raise OptionError(f"Expected plain names of further files, got {bad[0]!r}; choose another.")
    _check_place(target, force=force)
    weights = save({key: value.detach().cpu().contiguous() for key, value in net.state_dict().items()})
    written = dataclasses.replace(
        record, sha256=hashlib.sha256(weights).hexdigest(), files=tuple(names), mien=_version()
    )
    content = {
        **(extra or {}),
        WEIGHTS: weights,
        METRICS: json.dumps(dict(metrics or {}), ensure_ascii=False, indent=1).encode(),
        RECORD: written.to_json().encode(),
    }
    fresh = target.with_name(f".mien-{secrets.token_hex(8)}.part")
    try:
        fresh.mkdir(parents=True)
        for name, data in content.items():
            with (fresh / name).open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        _exchange(fresh, target)
    except OSError as error:
        raise OutputError(
            f"Expected to write the checkpoint “{folder}”, but the system refused it ({error.strerror or error}); "
            "choose another folder or free some space."
        ) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return Path(folder)


def _exchange(fresh: Path, target: Path) -> None:
    """Move `fresh` to `target`, an older checkpoint there aside first and away last."""
    before = _aside(target)
    if target.exists():
        # What stands in the place is whole, so what an interrupted run left beside it is older.
        shutil.rmtree(before, ignore_errors=True)
        target.rename(before)
    try:
        fresh.rename(target)
    except OSError:
        if before.exists():
            before.rename(target)
        raise
    shutil.rmtree(before, ignore_errors=True)


def _aside(target: Path) -> Path:
    return target.with_name(f".{target.name}.before")


def _check_place(target: Path, *, force: bool) -> None:
    if not target.exists():
        return
    if not target.is_dir():
        raise OutputError(f"Expected a folder for a checkpoint, but “{target}” is a file; choose another name.")
    found = {path.name for path in target.iterdir()}
    ours = _OURS | set(_files_of(target / RECORD))
    if found - ours:
        raise OutputError(
            f"Expected a folder that holds a checkpoint and nothing else, but “{target}” holds “{min(found - ours)}”, "
            "which would be lost; choose another folder, or move it away."
        )
    if found and not force:
        raise OutputError(
            f"Expected a new folder, but “{target}” holds a checkpoint already; choose another name, or overwrite it "
            "with --force (force=True)."
        )


def _files_of(record: Path) -> list[str]:
    try:
        return [str(name) for name in json.loads(record.read_text(encoding="utf-8")).get("files", [])]
    except (OSError, ValueError, AttributeError, TypeError):
        return []


def _version() -> str:
    import mien

    return mien.__version__


# ---- reading ---------------------------------------------------------------------------------------------------------


def load_checkpoint(folder: str | Path, *, expected: ConvNetSpec | None = None) -> tuple[ConvNet, CheckpointRecord]:
    """The network of a checkpoint, in evaluation mode on the CPU, and its record.

    Raises:
        WeightsNotFound: there is no checkpoint.
        WeightsError: its record cannot be read.
        WeightsMismatch: its weights were changed or are of another architecture than its record says, or its
            architecture is not `expected`.
    """
    place = _found(folder)
    record = read_record(place)
    if expected is not None and record.spec != expected:
        raise WeightsMismatch(
            f"Expected a checkpoint of the network asked for, but in “{folder}” {_differences(expected, record)}; give "
            "the checkpoint's own settings, or train a new network."
        )
    try:
        data = (place / WEIGHTS).read_bytes()
        state = load(data)
    except (OSError, SafetensorError) as error:
        raise WeightsMismatch(
            f"Expected weights in “{folder}/{WEIGHTS}”, but they cannot be read ({error}); copy the whole folder again."
        ) from error
    found = hashlib.sha256(data).hexdigest()
    if found != record.sha256:
        raise WeightsMismatch(
            f"Expected “{folder}/{WEIGHTS}” to have its record's SHA-256 {record.sha256[:12]}…, got {found[:12]}…: "
            "the file was changed, or belongs to another record. Copy the whole folder again."
        )
    net = ConvNet(record.spec)
    _check_tensors(folder, net.state_dict(), state)
    net.load_state_dict(state)
    return net.eval(), record


def read_record(folder: str | Path) -> CheckpointRecord:
    """The record of a checkpoint, without its weights; WeightsNotFound or WeightsError."""
    path = _found(folder) / RECORD
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        if about.pop("format", None) != FORMAT:
            raise ValueError(f'it does not say "format": "{FORMAT}"')
        about["spec"] = ConvNetSpec.from_dict(about["spec"])
        for name in ("size", "labels", "spacing", "files"):
            about[name] = None if about.get(name) is None else tuple(about[name])
        if about.get("template") is not None:
            about["template"] = tuple(tuple(point) for point in about["template"])
        return CheckpointRecord(**about)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, OptionError) as error:
        raise WeightsError(
            f"Expected a record that mien wrote in “{path}”, but it cannot be read: {error} "
            "Copy the whole folder again, or use the version of mien that wrote it."
        ) from error


def read_metrics(folder: str | Path) -> dict[str, Any]:
    """What was measured of a checkpoint; empty if nothing was."""
    path = _found(folder) / METRICS
    try:
        metrics: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise WeightsError(f"Expected numbers as JSON in “{path}”, but: {error}; remove the file.") from error
    return metrics


def read_extra(folder: str | Path, name: str) -> bytes:
    """A further file of a checkpoint; WeightsNotFound if it has none of that name."""
    try:
        return (_found(folder) / name).read_bytes()
    except OSError as error:
        raise WeightsNotFound(
            f"Expected the file “{name}” in the checkpoint “{folder}”, but there is none ({error.strerror}); "
            "use a checkpoint that was saved with it."
        ) from error


def _found(folder: str | Path) -> Path:
    """The folder, or what stood there where a run was stopped between moving the old away and the new in."""
    target = Path(os.path.abspath(folder))  # noqa: PTH100
    for place in (target, _aside(target)):
        if (place / RECORD).is_file():
            return place
    raise WeightsNotFound(
        f"Expected a checkpoint (a folder with {RECORD} and {WEIGHTS}), but “{folder}” is none; "
        "give the folder that mien train wrote."
    )


def _check_tensors(folder: str | Path, wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> None:
    wrong = [
        *(f"{name} is missing" for name in sorted(wanted.keys() - given.keys())),
        *(f"{name} is one too many" for name in sorted(given.keys() - wanted.keys())),
        *(
            f"{name} is {tuple(given[name].shape)} instead of {tuple(wanted[name].shape)}"
            for name in wanted.keys() & given.keys()
            if given[name].shape != wanted[name].shape
        ),
    ]
    if wrong:
        more = f", and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise WeightsMismatch(
            f"Expected the weights in “{folder}” to be of the architecture in its record, but {'; '.join(wrong[:3])}"
            f"{more}. Use the record that was saved with them."
        )


def _differences(wanted: ConvNetSpec, record: CheckpointRecord) -> str:
    one, other = wanted.to_dict(), record.spec.to_dict()
    return ", ".join(f"{key} is {other[key]} instead of {one[key]}" for key in one if one[key] != other[key])
