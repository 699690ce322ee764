"""Coarse to fine: which sizes are painted, with how many steps, and how a finer picture starts from a coarser one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as NF
from torch import Tensor

from mien.errors import OptionError
from mien.images import fit
from mien.style.options import StyleOptions
from mien.style.recipes import recipe

# Long side under which VGG's deepest style layer sees too few positions to have a texture.
COARSEST = 96

# Steps at a scale up to so many pixels: each scale costs four times the one before, and moves less and less.
STEPS = {
    "lbfgs": ((128, 80), (256, 60), (512, 40), (1024, 20), (2048, 12), (math.inf, 8)),
    "adam": ((128, 200), (256, 120), (512, 80), (1024, 50), (2048, 40), (math.inf, 30)),
    "gradient": ((128, 200), (256, 120), (512, 80), (1024, 50), (2048, 40), (math.inf, 30)),
}
# The finest scale needs no more than this, whatever its size: a coarser one has done the rest.
MOST_AT_THE_FINEST = {"lbfgs": 40, "adam": 80, "gradient": 80}


@dataclass(frozen=True)
class Level:
    """One scale of the painting: its size in pixels, and the steps to take there."""

    width: int
    height: int
    steps: int

    @property
    def size(self) -> int:
        """Long side."""
        return max(self.width, self.height)


def levels(width: int, height: int, options: StyleOptions) -> tuple[Level, ...]:
    """The scales of a painting of a photo of `width` × `height`, coarse to fine; the last has the size asked for."""
    if options.faithful:
        steps = options.steps or (recipe(options.recipe).faithful.steps,)
        return _at((options.size,), steps, width, height)
    sizes = [options.size]
    while sizes[0] // 2 >= COARSEST:
        sizes.insert(0, round(sizes[0] / 2))
    if options.steps is None:
        counts = [next(count for limit, count in STEPS[options.optimiser] if size <= limit) for size in sizes]
        if len(counts) > 1:
            counts[-1] = min(counts[-1], MOST_AT_THE_FINEST[options.optimiser])
        return _at(sizes, tuple(counts), width, height)
    if len(options.steps) > len(sizes):
        # More numbers than natural scales: the person wants smaller first scales.
        while len(sizes) < len(options.steps):
            sizes.insert(0, max(16, sizes[0] // 2))
    return _at(sizes[-len(options.steps) :], options.steps, width, height)


def _at(sizes: list[int] | tuple[int, ...], steps: tuple[int, ...], width: int, height: int) -> tuple[Level, ...]:
    if len(sizes) != len(steps):
        raise OptionError(f"Expected {len(sizes)} numbers of steps, one a scale, got {len(steps)}.")
    return tuple(Level(*fit(width, height, size), count) for size, count in zip(sizes, steps, strict=True))


def shrink(x: Tensor, height: int, width: int) -> Tensor:
    """x (1, 3, H, W) at a smaller size as Pillow's Lanczos filter makes it, in [0, 1], and differentiable."""
    down, across = _lanczos(x.shape[2], height, x), _lanczos(x.shape[3], width, x)
    return (down @ x @ across.T).clamp(0, 1)


def _lanczos(inputs: int, outputs: int, like: Tensor) -> Tensor:
    """The matrix (outputs, inputs) of Lanczos resampling with three lobes, widened where it shrinks (antialiasing)."""
    scale = inputs / outputs
    centres = (torch.arange(outputs, dtype=torch.float64) + 0.5) * scale
    offsets = (torch.arange(inputs, dtype=torch.float64) + 0.5 - centres.unsqueeze(1)) / max(scale, 1.0)
    weights = torch.where(offsets.abs() < 3, torch.sinc(offsets) * torch.sinc(offsets / 3), 0.0)
    return (weights / weights.sum(1, keepdim=True)).to(like)


def enlarge(x: Tensor, height: int, width: int) -> Tensor:
    """x (1, 3, h, w) at another size, bicubic, in [0, 1]."""
    return NF.interpolate(x, size=(height, width), mode="bicubic", align_corners=False).clamp(0, 1)


def warm_start(painted: Tensor, *, coarse: Tensor, fine: Tensor) -> Tensor:
    """The coarse painting enlarged, with the photo's detail that the coarse scale could not hold put back.

    painted + (photo − photo as the coarse scale saw it), all at the fine size. Measured on three styles: 2 to 4 % less
    cost at the end than enlarging alone, and far crisper windows and twigs.

    Args:
        painted: (1, 3, h, w), the result at the coarse scale.
        coarse: (1, 3, h, w), the photo at that scale.
        fine: (1, 3, H, W), the photo at the scale to begin.
    """
    height, width = fine.shape[2:]
    detail = fine - enlarge(coarse, height, width)
    return (enlarge(painted, height, width) + detail).clamp(0, 1)
