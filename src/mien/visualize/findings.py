"""What was found of a network on some data: the records that a report is written from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.visualize.gram import GramReading
from mien.visualize.receptive_field import Box, ReceptiveField

Pixels = NDArray[np.uint8]

UNITS_A_SPRITE = 16
"""Units whose tiles share one embedded picture: few enough to be decoded in a moment, many enough to share a header."""


@dataclass(frozen=True)
class Patch:
    """One of a unit's strongest patches: which input, how strong, and its window there (may reach over the edge)."""

    source: int
    value: float
    position: tuple[int, ...]
    box: Box


@dataclass(frozen=True)
class UnitFinding:
    """One unit.

    Attributes:
        unit: its number in the layer.
        maximum: its largest activation over all inputs.
        mean: the mean over the inputs of each one's maximum.
        share: of the inputs in which it fires (sparsity).
        dead: whether it fired in none.
        clearness: how far its best activations stand above the mean, 1 − mean / mean of the best: 0 to 1.
        top: its best patches, strongest first; none for a dead unit.
        classes: of the best patches, most frequent first, with how many there are.
    """

    unit: int
    maximum: float
    mean: float
    share: float
    dead: bool
    clearness: float
    top: tuple[Patch, ...]
    classes: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class LayerFinding:
    """One layer.

    Attributes:
        layer: its name.
        window: the receptive field that its patches are cut to.
        note: what has to be said of that window.
        count: the units it has, of which `units` are those looked at.
        dead: of all units, those that fired in no input.
        tile: height and width of a patch's picture.
        views: encoded pictures by view (`patches`, `deconvnet`, …), each of up to 16 units, four in a row; empty where
            the page cuts the patches out of the inputs' own pictures.
        sheet: the contact sheet (H, W, 3); None where no unit fired.
        clearest: the units of the summary strip: the clearest, then those whose patches are alike in shape.
    """

    layer: str
    window: ReceptiveField
    note: str
    count: int
    dead: int
    units: tuple[UnitFinding, ...]
    tile: tuple[int, int]
    views: Mapping[str, tuple[bytes, ...]]
    sheet: Pixels | None
    clearest: tuple[int, ...]


@dataclass(frozen=True)
class Report:
    """Everything that the page shows.

    Attributes:
        network: its name; `data`: what it was shown.
        dims: 1 for signals, 2 for pictures, 3 for volumes.
        size: the spatial size of the first input.
        rate: samples a second of signals, where that is known.
        methods: of the projections made.
        seen: inputs looked at, of `total`.
        names, labels: of the inputs; labels are empty where there are none.
        extents: the spatial size of each input that appears, by index.
        fields: the receptive field of every layer down to the deepest one shown, as a table of strings.
        example: the input on which windows are drawn, and whose Gram matrices are read.
        pictures: the inputs that appear, encoded, by index.
        filters: the first layer's name and its filters in one picture; None where it has no window.
        gram: the Gram matrices of the example.
        notes: what a reader should know: files passed over, an interruption.
        seconds: it took.
    """

    network: str
    data: str
    dims: int
    size: tuple[int, ...]
    rate: float | None
    methods: tuple[str, ...]
    top: int
    seen: int
    total: int
    names: Sequence[str]
    labels: Sequence[str]
    extents: Mapping[int, tuple[int, ...]]
    layers: tuple[LayerFinding, ...]
    fields: tuple[Mapping[str, str], ...]
    example: int
    pictures: Mapping[int, bytes]
    filters: tuple[str, Pixels] | None
    gram: Mapping[str, GramReading]
    notes: tuple[str, ...]
    interrupted: bool
    seconds: float
