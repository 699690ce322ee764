"""What makes each unit fire: the strongest patches of a data set, for all layers and units in one pass.

For each image the maximum over positions is taken first, then the k best over images, so no two patches of a unit
come from one image (Zeiler & Fergus 2014, fig. 2). Ties go to the lowest index of image, then of position; values are
kept to 16 bits, so that ties do not hang on rounding. What is kept is k values, images and positions a unit; no
activation map outlives its batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.backbones.features import Backbone
from mien.errors import OptionError
from mien.visualize.deconvnet import Seed
from mien.visualize.networks import activations, studied
from mien.visualize.receptive_field import Box

NOBODY = -1
"""The image index of an empty place in a table: fewer than k images have been seen."""


@dataclass(frozen=True)
class LayerTop:
    """The best patches of one layer's C units, strongest first, and how the units fired over all images.

    Attributes:
        values: float32 (C, k), the activations; NaN where there is none.
        images: int64 (C, k), the images' indices; -1 where there is none.
        positions: int64 (C, k, axes), where in the layer's map; no axes for a layer without a map.
        maximum: float32 (C,), over all images.
        mean: float32 (C,), mean over the images of each image's maximum.
        share: float32 (C,), share of the images where the unit fires somewhere (is above 0): its sparsity.
        dead: bool (C,), True for units that fired in no image.
        seen: images looked at.
    """

    layer: str
    values: NDArray[np.float32]
    images: NDArray[np.int64]
    positions: NDArray[np.int64]
    maximum: NDArray[np.float32]
    mean: NDArray[np.float32]
    share: NDArray[np.float32]
    dead: NDArray[np.bool_]
    seen: int


@dataclass(frozen=True)
class _Tally:
    """One layer's running table: best (k, C) values, images and positions (k, C, axes), and sums over images (C,)."""

    values: Tensor
    images: Tensor
    positions: Tensor
    total: Tensor
    fired: Tensor

    @classmethod
    def empty(cls, k: int, units: int, axes: int) -> _Tally:
        return cls(
            torch.full((k, units), -torch.inf),
            torch.full((k, units), torch.iinfo(torch.int64).max),
            torch.zeros((k, units, axes), dtype=torch.int64),
            torch.zeros(units, dtype=torch.float64),
            torch.zeros(units, dtype=torch.int64),
        )

    def merged(self, maxima: Tensor, images: Tensor, positions: Tensor) -> _Tally:
        """With a batch's maxima (B, C), image indices (B,) and positions (B, C, axes)."""
        k = len(self.values)
        values = torch.cat([self.values, maxima])
        who = torch.cat([self.images, images.unsqueeze(1).expand_as(maxima)])
        where = torch.cat([self.positions, positions])
        # By image first, then by value with a stable sort: equal values stay in the order of their images.
        order = who.argsort(dim=0, stable=True)
        order = order.gather(0, values.gather(0, order).argsort(dim=0, descending=True, stable=True))[:k]
        return _Tally(
            values.gather(0, order),
            who.gather(0, order),
            where.gather(0, order.unsqueeze(-1).expand(-1, -1, where.shape[-1])),
            self.total + maxima.sum(0, dtype=torch.float64),
            self.fired + (maxima > 0).sum(0),
        )


class TopPatches:
    """The running tables of a scan: they can be read at any time, also after an interruption."""

    def __init__(self, layers: Sequence[str], *, top: int = 9) -> None:
        if top < 1:
            raise OptionError(f"Expected at least 1 patch a unit, got {top}.")
        if not layers:
            raise OptionError("Expected at least one layer to look at, got none.")
        self.layers = tuple(dict.fromkeys(layers))
        self.top = top
        self._state: tuple[int, dict[str, _Tally]] = (0, {})

    @property
    def seen(self) -> int:
        """Images looked at so far."""
        return self._state[0]

    def add(self, indices: Sequence[int], maps: dict[str, Tensor]) -> None:
        """Take in a batch.

        Args:
            indices: one for each image; each image comes once.
            maps: activations (B, C, *spatial) of every layer.
        """
        seen, tallies = self._state
        images = torch.tensor(list(indices), dtype=torch.int64)
        grown = {layer: self._grown(layer, tallies.get(layer), images, maps[layer]) for layer in self.layers}
        # One assignment, so that an interruption finds all layers at the same image.
        self._state = (seen + len(images), grown)

    def _grown(self, layer: str, tally: _Tally | None, images: Tensor, out: Tensor) -> _Tally:
        flat = out.detach().flatten(2) if out.dim() > 2 else out.detach().unsqueeze(-1)
        maxima = _rounded(flat.amax(2)).cpu()
        if not bool(maxima.isfinite().all()):
            bad = int(images[int((~maxima.isfinite()).any(1).nonzero()[0])])
            raise OptionError(f"Expected finite activations, got NaN or infinity at {layer!r} for image {bad}.")
        tally = tally or _Tally.empty(self.top, maxima.shape[1], out.dim() - 2)
        # Positions are looked for only where the maximum enters the table, which soon is nearly nowhere.
        enters = maxima >= tally.values[-1]
        rows = flat[enters.to(flat.device)]
        places = torch.zeros(maxima.shape, dtype=torch.int64)
        places[enters] = _rounded(rows).max(1).indices.cpu()
        axes = torch.unravel_index(places, out.shape[2:]) if out.dim() > 2 else ()
        positions = torch.stack(axes, -1) if axes else torch.zeros((*maxima.shape, 0), dtype=torch.int64)
        return tally.merged(maxima, images, positions)

    def layer(self, layer: str) -> LayerTop:
        """The table of one layer, as far as the scan has come."""
        seen, tallies = self._state
        if layer not in self.layers:
            raise OptionError(f"Expected one of the layers scanned ({', '.join(self.layers)}), got {layer!r}.")
        if layer not in tallies:
            raise OptionError("Expected at least one image, got none.")
        t = tallies[layer]
        empty = t.values == -torch.inf
        return LayerTop(
            layer=layer,
            values=t.values.masked_fill(empty, torch.nan).T.numpy(),
            images=t.images.masked_fill(empty, NOBODY).T.numpy(),
            positions=t.positions.transpose(0, 1).numpy(),
            maximum=t.values[0].numpy(),
            mean=(t.total / seen).float().numpy(),
            share=(t.fired / seen).float().numpy(),
            dead=(t.fired == 0).numpy(),
            seen=seen,
        )

    def seeds(self, layer: str, *, unit: int | None = None) -> list[Seed]:
        """The places to project from: of one unit, or of all in the order of units; dead units have none."""
        table = self.layer(layer)
        units = range(len(table.maximum)) if unit is None else [unit]
        return [
            Seed(int(table.images[u, i]), u, tuple(int(p) for p in table.positions[u, i]))
            for u in units
            for i in range(self.top)
            if table.values[u, i] > 0
        ]


def _rounded(values: Tensor) -> Tensor:
    """float32 to 16 significant bits (1 in 65,000), so that what is equal but for rounding counts as a tie.

    A convolution's last bits depend on how many images run together; without this so would the order of equal images,
    and the place chosen in a flat part of one.
    """
    return ((values.float().view(torch.int32) + 0x80) & ~0xFF).view(torch.float32)


def find_top_patches(
    net: Backbone | nn.Module,
    data: Iterable[tuple[int, Tensor]],
    layers: Sequence[str],
    *,
    top: int = 9,
    batch: int = 16,
    progress: Callable[[int], None] | None = None,
    into: TopPatches | None = None,
) -> TopPatches:
    """Look at all of `data` once and keep the `top` strongest patches of every unit of `layers`.

    Args:
        net: a backbone, or any module.
        data: pairs of an index and an input (C, *spatial); sizes may differ. Indices are the images' names.
        layers: the layers.
        top: patches a unit.
        batch: inputs of equal size run together; changes the speed only.
        progress: called with the number of images seen, after each batch.
        into: the tables to fill; the caller who holds them can read them after an interruption.
    """
    found = into or TopPatches(layers, top=top)
    if found.layers != tuple(dict.fromkeys(layers)):
        raise OptionError(f"Expected tables of the layers {', '.join(layers)}, got {', '.join(found.layers)}.")
    with studied(net) as backbone, torch.inference_mode():
        for indices, x in _batches(data, batch):
            found.add(indices, activations(backbone, x, found.layers))
            if progress:
                progress(found.seen)
    if not found.seen:
        raise OptionError("Expected at least one image, got none; give a folder with data in it.")
    return found


def _batches(data: Iterable[tuple[int, Tensor]], batch: int) -> Iterator[tuple[list[int], Tensor]]:
    """Inputs of equal size together; of many sizes, never more than four batches wait."""
    waiting: dict[tuple[int, ...], list[tuple[int, Tensor]]] = {}
    for index, x in data:
        waiting.setdefault(tuple(x.shape), []).append((index, x))
        shape = tuple(x.shape)
        if len(waiting[shape]) < batch and sum(map(len, waiting.values())) >= 4 * batch:
            shape = max(waiting, key=lambda s: len(waiting[s]))
        elif len(waiting[shape]) < batch:
            continue
        yield _stacked(waiting.pop(shape))
    for group in waiting.values():
        yield _stacked(group)


def _stacked(group: list[tuple[int, Tensor]]) -> tuple[list[int], Tensor]:
    return [index for index, _ in group], torch.stack([x for _, x in group])


def crop(image: Tensor, box: Box, *, fill: float = 0.5) -> Tensor:
    """The part of image (C, *spatial) in `box`, always of the box's size; what lies over the edge is `fill` (grey)."""
    if image.dim() != len(box) + 1:
        raise OptionError(f"Expected a box with {image.dim() - 1} spans for data {tuple(image.shape)}, got {box}.")
    patch = image.new_full((image.shape[0], *(stop - first for first, stop in box)), fill)
    inside = [
        (max(first, 0), max(0, first, min(stop, extent)))
        for (first, stop), extent in zip(box, image.shape[1:], strict=True)
    ]
    there = tuple(slice(a - first, b - first) for (a, b), (first, _) in zip(inside, box, strict=True))
    patch[(slice(None), *there)] = image[(slice(None), *(slice(a, b) for a, b in inside))]
    return patch
