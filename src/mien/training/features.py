"""Any network's encodings of examples: a trained encoder's, or a layer of VGG-19 averaged over its positions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mien.backbones import load_backbone
from mien.backbones.checkpoint import CheckpointRecord, load_checkpoint
from mien.errors import DataError, OptionError
from mien.training.data import Array, Dataset, Kind, check_finite
from mien.training.networks import seen_by
from mien.training.normalise import from_record
from mien.training.reading import Reading

LAYER = "relu5_1"
"""Of VGG-19, unless one says another."""


@dataclass(frozen=True, eq=False)
class Extractor:
    """A network that makes one row of every example."""

    name: str
    encode: Callable[[Array, NDArray[np.float32] | None], NDArray[np.float32]]
    """Values (C, *spatial) and the numbers beside them (E,) to an encoding (D,)."""
    kind: Kind
    reading: Reading
    """How files have to be read for it."""


def load_extractor(model: str, *, layer: str | None = None, reading: Reading | None = None) -> Extractor:
    """The extractor of a checkpoint's folder, of `vgg19` (`vgg16`, …), or of `module:function`.

    layer: of a backbone; relu5_1 of VGG, the last one of one's own. Raises OptionError, WeightsError.
    """
    reading = reading or Reading()
    if Path(model).is_dir():
        if layer is not None:
            raise OptionError(f"Expected a layer only with a backbone such as vgg19, got one with “{model}”.")
        return _of_checkpoint(model, reading)
    backbone = load_backbone(model)
    chosen = layer or (LAYER if LAYER in backbone.layers else backbone.layers[-1])

    def encode(values: Array, extras: NDArray[np.float32] | None) -> NDArray[np.float32]:
        maps = seen_by(backbone, torch.from_numpy(values)[None], chosen)[0]
        return np.asarray(maps.reshape(len(maps), -1).mean(1), np.float32)

    return Extractor(f"{backbone.name} {chosen}", encode, "image", reading)


def _of_checkpoint(folder: str, reading: Reading) -> Extractor:
    net, record = load_checkpoint(folder)
    before, _, layer = str(record.training.get("input", "")).partition(":")
    backbone = load_backbone(before) if before else None
    normaliser = from_record(record.normalisation) if record.normalisation else None

    def encode(values: Array, extras: NDArray[np.float32] | None) -> NDArray[np.float32]:
        if backbone is not None:
            values = seen_by(backbone, torch.from_numpy(values)[None], layer)[0]
        given = values if normaliser is None else normaliser(values)
        beside = None if extras is None else torch.from_numpy(np.asarray(extras, np.float32))[None]
        with torch.no_grad():
            return np.asarray(net(torch.from_numpy(given)[None], extras=beside)[0].numpy(), np.float32)

    return Extractor(record.name, encode, record.kind, reading if before else _reading(record, reading))


def _reading(record: CheckpointRecord, given: Reading) -> Reading:
    """As in training: the size and the channels that the network was taught with."""
    if record.kind == "image" and record.size is not None:
        return Reading(size=(record.size[0], record.size[1]), grey=record.spec.channels == 1)
    if record.kind == "clip" and record.size is not None:
        return Reading(size=(record.size[1], record.size[2]), grey=record.spec.channels == 1, frames=record.size[0])
    return given


def extract(
    extractor: Extractor, data: Dataset, *, progress: Callable[[int, int], None] | None = None
) -> NDArray[np.float32]:
    """Encodings (N, D) of every example, read one by one. Raises DataError naming the file that cannot be used."""
    if data.kind != extractor.kind:
        raise DataError(
            f"Expected {extractor.kind}s for {extractor.name}, got {data.kind}s; use a network trained on them."
        )
    rows = []
    for i, example in enumerate(data.examples):
        rows.append(extractor.encode(data[i], None if data.extras is None else data.extras[i]))
        check_finite(rows[-1], f"the encoding of {example.source}")
        if progress:
            progress(i + 1, len(data))
    return np.stack(rows)
