"""The Gram matrix of one picture at one layer, and how to read it: who is active, and who occurs together.

    G[k, k'] = Σ over positions of F[k] · F[k']        F: the activations (C, positions)

The diagonal says how active each unit is; off it stands how strongly two units fire at the same places. It is the
"style" of Gatys et al. 2016; the sum runs over positions, and nothing is normalised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.backbones.features import Backbone
from mien.errors import OptionError
from mien.visualize.networks import activations, studied

_ACTIVE = 0.01


@dataclass(frozen=True)
class GramReading:
    """A Gram matrix with what can be read from it.

    Attributes:
        layer: the layer.
        matrix: float64 (C, C), symmetric.
        positions: the places summed over.
        order: int64 (C,), the units from the most active to the least.
        pair: the two units with the largest value off the diagonal: both active, and at the same places.
        likeness: the cosine of that pair, G[a, b] / √(G[a, a] G[b, b]): 1 where they fire in proportion everywhere.
        closest: the pair of the largest cosine, among units with at least 1 % of the most active one's energy.
        closest_likeness: its cosine.
        together: float32 (*spatial), the product of the pair's maps: where both fire.
    """

    layer: str
    matrix: NDArray[np.float64]
    positions: int
    order: NDArray[np.int64]
    pair: tuple[int, int]
    likeness: float
    closest: tuple[int, int]
    closest_likeness: float
    together: NDArray[np.float32]


def read_gram(net: Backbone | nn.Module, image: Tensor, layers: Sequence[str]) -> dict[str, GramReading]:
    """The Gram matrices of an image (C, *spatial) at some layers, read; layers of one unit are left out."""
    with studied(net) as backbone, torch.inference_mode():
        maps = activations(backbone, image.unsqueeze(0), tuple(dict.fromkeys(layers)))
    return {layer: _read(layer, maps[layer][0].float()) for layer in layers if maps[layer].shape[1] > 1}


def _read(layer: str, maps: Tensor) -> GramReading:
    flat = maps.flatten(1).double()
    matrix = (flat @ flat.T).numpy()
    if not np.isfinite(matrix).all():
        raise OptionError(f"Expected finite activations, got NaN or infinity at {layer!r}.")
    energy = np.diag(matrix)
    scale = np.sqrt(np.outer(energy, energy))
    cosine = np.divide(matrix, scale, out=np.zeros_like(matrix), where=scale > 0)
    active = energy >= _ACTIVE * energy.max()
    pair, closest = _largest(matrix), _largest(np.where(np.outer(active, active), cosine, -1))
    return GramReading(
        layer,
        matrix,
        flat.shape[1],
        np.argsort(-energy, kind="stable"),
        pair,
        float(cosine[pair]),
        closest,
        float(cosine[closest]),
        (maps[pair[0]] * maps[pair[1]]).numpy(),
    )


def _largest(matrix: NDArray[np.float64]) -> tuple[int, int]:
    """Where the largest value above the diagonal stands."""
    upper = np.where(np.triu(np.ones(matrix.shape, bool), 1), matrix, -np.inf)
    a, b = np.unravel_index(int(upper.argmax()), matrix.shape)
    return int(a), int(b)
