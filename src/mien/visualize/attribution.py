"""Which part of an input a number depends on: occlusion, for any function of it, and the gradient, where there is one.

The number may be a class score or a unit's activation (`unit_score`), a style or content cost, or how alike two faces
are (`distance_score`): anything that a function makes of one input.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.backbones.features import Backbone
from mien.errors import OptionError
from mien.visualize.networks import activations, studied


@dataclass(frozen=True)
class Occlusion:
    """How a score falls when parts of the input are covered (Zeiler & Fergus 2014, fig. 6).

    Attributes:
        drops: float64 (*spatial); at each place the mean of score − score when covered, over all windows that cover
            it. Positive: the place speaks for the score.
        score: of the input as it is.
        lowest: the smallest score with a window covered, and `window`, that window: (first, one past the last) for
            each axis.
    """

    drops: NDArray[np.float64]
    score: float
    lowest: float
    window: tuple[tuple[int, int], ...]


def occlude(
    score: Callable[[Any], Any],
    image: Tensor | NDArray[Any],
    *,
    size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    fill: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Occlusion:
    """Cover a window of the image, everywhere in turn, and see what becomes of the score.

    Args:
        score: from an input like `image` to one number; called on one covered copy at a time.
        image: a tensor (C, *spatial), or pixels uint8 (H, W, 3) as they come from `images.load`.
        size: the window's extent, one number or one for each axis.
        stride: from window to window; half the size by default. The last window ends at the edge.
        fill: what covers; mid grey by default (128 for uint8, else 0.5).
        progress: called with windows done and windows in all.
    """
    axes = tuple(range(1, image.ndim)) if isinstance(image, Tensor) else (0, 1)
    extents = [int(image.shape[axis]) for axis in axes]
    sizes = [min(s, n) for s, n in zip(_each(size, len(axes)), extents, strict=True)]
    strides = _each(stride if stride is not None else [max(1, s // 2) for s in sizes], len(axes))
    if min(*sizes, *strides) < 1:
        raise OptionError(f"Expected a window and stride of at least 1, got {size} and {stride}.")
    if fill is None:
        fill = 128 if image.dtype in (np.uint8, torch.uint8) else 0.5
    starts = [_starts(n, s, step) for n, s, step in zip(extents, sizes, strides, strict=True)]
    before = _number(score(image))
    total, covered = np.zeros(extents), np.zeros(extents)
    lowest, window, windows = np.inf, tuple((0, n) for n in extents), list(itertools.product(*starts))
    for done, corner in enumerate(windows, 1):
        spans = tuple((a, a + s) for a, s in zip(corner, sizes, strict=True))
        part = tuple(slice(a, b) for a, b in spans)
        copy = image.clone() if isinstance(image, Tensor) else image.copy()
        copy[(slice(None), *part) if isinstance(image, Tensor) else part] = fill
        now = _number(score(copy))
        total[part] += before - now
        covered[part] += 1
        if now < lowest:
            lowest, window = now, spans
        if progress:
            progress(done, len(windows))
    return Occlusion(total / np.maximum(covered, 1), before, lowest, window)


def _each(value: int | Sequence[int], n: int) -> list[int]:
    values = [value] * n if isinstance(value, int) else [int(v) for v in value]
    if len(values) != n:
        raise OptionError(f"Expected one number or {n}, one for each axis, got {value}.")
    return values


def _starts(extent: int, size: int, stride: int) -> list[int]:
    starts = list(range(0, extent - size + 1, stride))
    return starts if starts[-1] == extent - size else [*starts, extent - size]


def _number(value: Any) -> float:
    number = float(value)
    if not np.isfinite(number):
        raise OptionError(f"Expected the score to be a finite number, got {number}.")
    return number


def gradient_map(score: Callable[[Tensor], Tensor], image: Tensor, *, times_input: bool = False) -> Tensor:
    """How the score changes with each value of the image: (C, *spatial), signed (Simonyan et al. 2014).

    Args:
        score: from an input like `image` to one number, differentiable.
        image: (C, *spatial).
        times_input: multiply by the image: for a linear score the shares then add up to it.
    """
    with torch.inference_mode(False), torch.enable_grad():
        leaf = image.detach().clone().requires_grad_()
        value = score(leaf)
        if not isinstance(value, Tensor) or value.numel() != 1 or not value.requires_grad:
            raise OptionError(
                "Expected the score to be one number that torch can differentiate, got something else; "
                "use occlude for a function that is not written in torch."
            )
        (down,) = torch.autograd.grad(value.reshape(()), leaf)
    return down * leaf.detach() if times_input else down


def unit_score(net: Backbone | nn.Module, layer: str, unit: int) -> Callable[[Tensor], Tensor]:
    """A unit's strongest activation, or a class's score, as a function of an input (C, *spatial)."""

    def score(image: Tensor) -> Tensor:
        with studied(net) as backbone:
            out = activations(backbone, image.unsqueeze(0), [layer])[layer]
        if not 0 <= unit < out.shape[1]:
            raise OptionError(f"Expected a unit of {layer!r} from 0 to {out.shape[1] - 1}, got {unit}.")
        return out[0, unit].amax()

    return score


def distance_score(encode: Callable[[Any], Any], other: Any) -> Callable[[Any], float]:
    """Minus the distance ‖f(image) − f(other)‖ of two encodings: falls where what makes two faces alike is covered.

    Args:
        encode: from a face's pixels to its encoding (D,); any function, such as an encoder's of `mien.faces`.
        other: the second face, as `encode` takes it.
    """
    reference = np.asarray(encode(other), dtype=np.float64)

    def score(image: Any) -> float:
        return -float(np.linalg.norm(np.asarray(encode(image), dtype=np.float64) - reference))

    return score
