"""Inputs made to excite a unit: gradient ascent on the input itself (Erhan et al. 2009; Olah et al. 2017).

Pictures are drawn as Fourier coefficients scaled by 1/f, in colours decorrelated as in natural photographs, so that
one step moves all frequencies and hues alike; they are shifted, turned and scaled at random before each step, so that
what excites the unit must hold for more than one alignment of pixels. Signals and volumes have plain values, shifted
only. What is raised is the unit in the middle of its map. The last steps are taken without transformations, and of
these the strongest input is kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as NF
from torch import Tensor, nn

from mien.backbones.features import Backbone
from mien.errors import OptionError
from mien.visualize.networks import activations, studied
from mien.visualize.rules import ReluRule

Parametrisation = Literal["auto", "fourier", "plain"]

# Columns: the directions in which the colours of natural photographs vary (light, blue to red, green to purple),
# each as long as its standard deviation. Measured over 2.3 million pixels of 400 ImageNet photographs, RGB in [0, 1].
PHOTO_COLOURS = ((0.2603, -0.0893, -0.0241), (0.2671, 0.0013, 0.0492), (0.2667, 0.0859, -0.0258))

# The share of the steps that are taken under random transformations; the rest settle the input where it is.
SETTLING = 0.8


@dataclass(frozen=True)
class Maximised:
    """The inputs that were found, one a unit.

    Attributes:
        layer: the layer.
        units: the units, in the order asked for.
        inputs: float32 (units, C, *size).
        values: float32 (units,), the largest activation over positions that each input gives its unit.
        dead: bool (units,), True where no input made the unit fire.
    """

    layer: str
    units: tuple[int, ...]
    inputs: Tensor
    values: Tensor
    dead: Tensor


def maximise_units(
    net: Backbone | nn.Module,
    layer: str,
    units: Sequence[int],
    *,
    size: Sequence[int],
    channels: int = 3,
    parametrisation: Parametrisation = "auto",
    bounds: tuple[float, float] = (0.0, 1.0),
    colours: Tensor | None = None,
    robust: bool = True,
    steps: int = 256,
    rate: float = 0.05,
    start: Tensor | None = None,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Maximised:
    """For each unit an input that excites it as strongly as ascent can find.

    Args:
        net: a backbone, or any module.
        layer: the layer; before or after its ReLU.
        units: the channels.
        size: the input's extent for each axis; at least the receptive field, or the unit sees padding.
        channels: of the input.
        parametrisation: `fourier` or `plain`; `auto` is Fourier for pictures of 3 channels, else plain.
        bounds: the values an input may have; a signal's are those of the data.
        colours: (C, C) colour directions as columns, as `colour_basis` gives; those of photographs by default, for
            3 channels with Fourier.
        robust: whether to transform at random.
        steps: steps of Adam.
        rate: its step size.
        start: (units or 1, C, *size) within the bounds, with `plain`: where to begin instead of noise.
        seed: of the start and the transformations.
        progress: called with the number of steps done.
    """
    canvas = _canvas(
        len(units),
        channels,
        size,
        parametrisation=parametrisation,
        bounds=bounds,
        colours=colours,
        start=start,
        seed=seed,
    )
    generator = torch.Generator().manual_seed(seed + 1)
    optimiser = torch.optim.Adam([canvas.coefficients], lr=rate)
    channel = torch.tensor(list(units))
    best = torch.full((len(units),), -torch.inf)
    inputs = torch.zeros(len(units), channels, *size)
    with studied(net) as backbone, torch.inference_mode(False), torch.enable_grad():
        for step in range(steps):
            drawn = canvas.draw()
            moved = robust and step < steps * SETTLING
            with ReluRule("redirected"):  # or a unit that does not fire at the start never would
                maps = activations(backbone, _transformed(drawn, generator) if moved else drawn, [layer])[layer]
            mine = _of_units(maps, channel, layer)
            if not moved:
                _keep_best(mine, drawn, best, inputs)
            # The middle, so that what is drawn is whole; the sum, as each sample has its own unit.
            cost = -_middle(mine).sum()
            (canvas.coefficients.grad,) = torch.autograd.grad(cost, canvas.coefficients)
            optimiser.step()
            if progress:
                progress(step + 1)
        with torch.no_grad():
            drawn = canvas.draw()
            _keep_best(_of_units(activations(backbone, drawn, [layer])[layer], channel, layer), drawn, best, inputs)
    return Maximised(layer, tuple(units), inputs, best, best <= 0)


def colour_basis(pictures: Tensor) -> Tensor:
    """Directions in which colours vary, as the columns of (C, C), each as long as its standard deviation.

    Args:
        pictures: (B, C, *spatial), such as a few photographs of the data.
    """
    values = pictures.movedim(1, -1).reshape(-1, pictures.shape[1]).double()
    spread, directions = torch.linalg.eigh(torch.cov(values.T).reshape(values.shape[1], -1))
    basis: Tensor = directions * spread.clamp(min=0).sqrt()
    return basis.flip(1).float()


def _of_units(maps: Tensor, channel: Tensor, layer: str) -> Tensor:
    """Of each sample the map of its own unit: (B, *spatial)."""
    if int(channel.max()) >= maps.shape[1] or int(channel.min()) < 0:
        raise OptionError(f"Expected units of {layer!r} from 0 to {maps.shape[1] - 1}, got {channel.tolist()}.")
    return maps[torch.arange(len(channel)), channel]


def _middle(mine: Tensor) -> Tensor:
    """Of maps (B, *spatial) the value in the middle: (B,)."""
    while mine.dim() > 1:
        mine = mine.select(-1, mine.shape[-1] // 2)
    return mine


def _keep_best(mine: Tensor, drawn: Tensor, best: Tensor, inputs: Tensor) -> None:
    """Take over, in place, the inputs whose map is stronger somewhere than all before."""
    values = mine.detach().reshape(len(mine), -1).amax(1).float()
    better = values > best
    best[better] = values[better]
    inputs[better] = drawn.detach()[better]


@dataclass(frozen=True)
class _Canvas:
    """Coefficients that are optimised, and how an input is drawn from them."""

    coefficients: Tensor
    draw: Callable[[], Tensor]


def _canvas(
    count: int,
    channels: int,
    size: Sequence[int],
    *,
    parametrisation: Parametrisation,
    bounds: tuple[float, float],
    colours: Tensor | None,
    start: Tensor | None,
    seed: int,
) -> _Canvas:
    low, high = bounds
    if not low < high or not count or min(size) < 1:
        raise OptionError(f"Expected units, a size and bounds low < high, got {count} units, {tuple(size)}, {bounds}.")
    if parametrisation not in ("auto", "fourier", "plain"):
        raise OptionError(f"Expected the parametrisation auto, fourier or plain, got {parametrisation!r}.")
    fourier = parametrisation == "fourier" or (parametrisation == "auto" and (channels, len(size)) == (3, 2))
    if fourier and start is not None:
        raise OptionError("Expected no start with the Fourier parametrisation, got one; use plain.")
    generator = torch.Generator().manual_seed(seed)
    if not fourier:
        if start is None:
            z = 0.5 * torch.randn(count, channels, *size, generator=generator)
        else:
            z = torch.logit(((start - low) / (high - low)).clamp(0.01, 0.99)).expand(count, -1, *size).clone()
        z.requires_grad_()
        return _Canvas(z, lambda: low + (high - low) * z.sigmoid())
    if colours is None and channels == 3:
        colours = torch.tensor(PHOTO_COLOURS)
    mix = torch.eye(channels) if colours is None else colours / colours.norm(dim=0).max()
    scale = _one_over_frequency(size)
    z = 0.05 * torch.randn(count, channels, *scale.shape, 2, generator=generator)
    z.requires_grad_()

    def draw() -> Tensor:
        waves = torch.view_as_complex(z) * scale
        flat = torch.fft.irfftn(waves, s=tuple(size), dim=tuple(range(2, 2 + len(size))), norm="ortho")
        coloured = torch.einsum("dc,bc...->bd...", mix, flat)
        return low + (high - low) * coloured.sigmoid()

    return _Canvas(z, draw)


def _one_over_frequency(size: Sequence[int]) -> Tensor:
    """1/f for each coefficient of a real Fourier transform, no more than 1 over one period of the longest side."""
    axes = [torch.fft.fftfreq(extent) for extent in size[:-1]] + [torch.fft.rfftfreq(size[-1])]
    squares = torch.stack(torch.meshgrid(*[axis.square() for axis in axes], indexing="ij")).sum(0)
    scale = 1 / squares.sqrt().clamp(min=1 / max(size))
    typical: Tensor = scale.square().mean().sqrt()
    return scale / typical


def _transformed(x: Tensor, generator: torch.Generator) -> Tensor:
    """Each picture shifted by up to an eighth, turned by up to 10° and scaled by 0.9 to 1.1; other data shifted."""
    if x.dim() != 4:
        shifts = [int(torch.randint(-(n // 8), n // 8 + 1, (1,), generator=generator)) for n in x.shape[2:]]
        return x.roll(shifts, tuple(range(2, x.dim())))

    def uniform(reach: float) -> Tensor:
        return (2 * torch.rand(len(x), generator=generator) - 1) * reach

    angle, scale = uniform(math.radians(10)), 1 + uniform(0.1)
    cos, sin = scale * angle.cos(), scale * angle.sin()
    across, down = uniform(0.25), uniform(0.25)  # in half sides, as grid_sample counts
    matrix = torch.stack([torch.stack([cos, -sin, across], 1), torch.stack([sin, cos, down], 1)], 1)
    grid = NF.affine_grid(matrix.to(x), list(x.shape), align_corners=False)
    return NF.grid_sample(x, grid, padding_mode="reflection", align_corners=False)
