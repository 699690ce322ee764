"""What a study leaves for the other rooms: a checkpoint, the same as ONNX with its Weights record, and a pair head."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from mien import metrics
from mien.backbones.checkpoint import save_checkpoint
from mien.backbones.convnet import ConvNet
from mien.backbones.onnx_export import export_onnx
from mien.backbones.pair_head import Feature, save_head
from mien.errors import MissingExtra, OptionError
from mien.training.batches import Loader
from mien.training.data import Array, Indices
from mien.training.heads import fit_head
from mien.training.judging import outputs
from mien.training.mining import balanced_pairs
from mien.training.study import Study, figures
from mien.training.train import fitted_loader
from mien.weights import read_record

ENCODER, HEAD = "encoder", "head.json"

# A hundred weights for a handful of people: held short.
_PENALTY = 1e-2


@dataclass(frozen=True)
class Exported:
    """Where everything lies."""

    checkpoint: Path
    record: Path | None
    """The ONNX encoder's record; None where it could not be written."""
    head: Path | None
    calibration: dict[str, Any]
    """Of the pair head: pairs, ECE, accuracy on people who were not learnt from."""
    notes: tuple[str, ...] = ()


def export(done: Study, out: Path) -> Exported:
    """Write `out`/encoder: the run that was best on its validation part, with all that is made of it."""
    run = done.best
    trained = run.trained
    reports = next(j.reports for j in done.judged if (j.variant, j.seed) == (run.variant, run.seed))
    name = f"{done.made.name}-{run.seed}"
    record = replace(trained.record, name=name, training={**trained.record.training, "recipe": done.made.name})
    folder = save_checkpoint(
        out / ENCODER,
        trained.net,
        record,
        metrics={"validation": _measure(done), "test": figures(reports), "protocol": done.made.protocol.sentence},
        force=True,
    )
    notes: list[str] = []
    written: Path | None = None
    if record.training.get("input"):
        notes.append(f"No ONNX file: what the network takes is made by {record.training['input']} first.")
    else:
        try:
            written = export_onnx(trained.net, record, folder, force=True)
        except (MissingExtra, OptionError) as error:
            notes.append(f"No ONNX file: {error}")
    head, calibration = None, dict[str, Any]()
    if done.options.encodes and len(run.split.test):
        encoder = name if written is None else _known_as(written)
        head, calibration = _head(done, folder / HEAD, encoder)
    return Exported(folder, written, head, calibration, tuple(notes))


def _measure(done: Study) -> dict[str, float]:
    found = done.best.trained.measure
    return {} if found is None else {found.name: found.value}


def _known_as(record: Path) -> str:
    """The name that the faces room gives an encoder: a head of another file of the same name would mislead."""
    weights = read_record(record)
    return f"{weights.name}-{weights.sha256[:8]}"


def _head(done: Study, path: Path, encoder: str) -> tuple[Path, dict[str, Any]]:
    """A head fitted on the identities that stopped the training (or, if none did, all learnt), judged on unseen ones.

    On those it was trained on, an encoder is too sure, and so is a head: on ORL the ECE was 0.17 instead of 0.09.
    """
    run, data = done.best, done.made.dataset
    loader = fitted_loader(run.trained, data, done.options)
    # Faces are encoded together with their mirror image, so a head of faces has to know those encodings.
    mirror = run.trained.record.template is not None
    held = data.labels[run.split.validation]
    alone = 2 <= len(np.unique(held)) < len(held)
    part = run.split.validation if alone else run.split.learnt
    made = fit_head(
        encoded(run.trained.net, loader, part, mirror=mirror),
        data.labels[part],
        encoder=encoder,
        feature=cast(Feature, done.options.feature),
        penalty=_PENALTY,
        seed=run.seed,
    )
    unseen = encoded(run.trained.net, loader, run.split.test, mirror=mirror)
    labels = torch.from_numpy(data.labels[run.split.test])
    a, p, n = (i.numpy() for i in balanced_pairs(labels, generator=torch.Generator().manual_seed(run.seed)))
    probability = made.probability(np.concatenate([unseen[a], unseen[a]]), np.concatenate([unseen[p], unseen[n]]))
    same = np.repeat([1, 0], len(a))
    calibration = {
        "fitted_on": "identities that stopped the training" if alone else "identities that were learnt from",
        "pairs": len(same),
        "ece": round(metrics.ece(probability, same), 4),
        "accuracy": round(float(((probability > 0.5) == same).mean()), 4),
        "measured_on": "identities that were not learnt from, as many same pairs as different ones",
        "mirrored": mirror,
    }
    return save_head(path, replace(made, calibration=calibration), force=True), calibration


def encoded(net: ConvNet, loader: Loader, part: Indices, *, mirror: bool = False) -> Array:
    """Encodings (N, D) of a part of the data; with `mirror` each the normalised sum of its own and its mirror's."""
    plain = outputs(net, loader, part)
    if not mirror:
        return plain
    turned = replace(loader, data=replace(loader.data, read=_Mirrored(loader.data.read)))
    both = plain + outputs(net, turned, part)
    return np.asarray(both / np.maximum(np.linalg.norm(both, axis=1, keepdims=True), 1e-12), np.float32)


class _Mirrored:
    def __init__(self, read: Any) -> None:
        self.read = read

    def __call__(self, index: int) -> Array:
        return np.ascontiguousarray(self.read(index)[..., ::-1])
