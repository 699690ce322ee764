"""Fields over the picture: coordinates, noise, shapes and colour ramps, all in unit coordinates.

The picture is the square [0, 1] × [0, 1], x to the right and y down. Every random draw has a count that does not
depend on the size in pixels, so a picture keeps its structure at every size.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from skimage.measure import find_contours

Array: TypeAlias = NDArray[Any]
"""One number, or one RGB colour, per pixel, stroke or point; float32 wherever there is one per pixel."""

Rng: TypeAlias = np.random.Generator

SKETCH = 320
"""Pixels of a sketch: the fixed size at which a scene is planned before its strokes are laid."""


def grid(size: int) -> tuple[Array, Array]:
    """The x and y of every pixel's centre, each (size, size)."""
    ticks = ((np.arange(size) + 0.5) / size).astype(np.float32)
    x, y = np.meshgrid(ticks, ticks)
    return x, y


def noise(size: int, cells: float | tuple[float, float], rng: Rng, *, octaves: int = 1) -> Array:
    """Smooth value noise (size, size), mean 0 and deviation 4/3, with `cells` lattice cells (down, across) per side.

    Each further octave has twice the frequency and half the amplitude (Perlin, "An Image Synthesizer", 1985).
    """
    down, across = cells if isinstance(cells, tuple) else (cells, cells)
    total = np.zeros((size, size), np.float32)
    power = 0.0
    for octave in range(octaves):
        rows, cols = max(1, round(down * 2**octave)), max(1, round(across * 2**octave))
        lattice = Image.fromarray(rng.standard_normal((rows + 4, cols + 4), dtype=np.float32))
        layer = lattice.resize((size, size), Image.Resampling.BICUBIC, box=(2, 2, cols + 2, rows + 2))
        total += np.asarray(layer) / 2**octave
        power += 0.675 / 4**octave  # bicubic interpolation keeps that share of white noise's variance
    return total * np.float32(4 / 3 / np.sqrt(power))


def smoothstep(low: float, high: float, value: Array) -> Array:
    """0 below `low`, 1 above `high`, a smooth S between; `low > high` turns it round."""
    t = np.clip((value - np.float32(low)) / np.float32(high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def mix(below: Array, above: Array, alpha: Array | float) -> Array:
    """`above` laid over `below` (..., 3) with opacity `alpha` (...)."""
    cover = np.asarray(alpha, np.float32)[..., None] if np.ndim(alpha) else np.float32(alpha)
    return np.asarray(below + (above - below) * cover, np.float32)


def colours(codes: str) -> Array:
    """A palette (K, 3) in [0, 1] from space-separated hexadecimal sRGB codes such as `"1b2a4a e8d9b0"`."""
    return np.array([[int(code[i : i + 2], 16) / 255 for i in (0, 2, 4)] for code in codes.split()], np.float32)


def ramp(palette: Array, t: Array | float) -> Array:
    """The colours (..., 3) at position `t` in [0, 1] along a palette, linear between neighbours."""
    stops = np.linspace(0, 1, len(palette))
    table = np.stack([np.interp(np.linspace(0, 1, 1024), stops, channel) for channel in palette.T], -1)
    return np.asarray(table.astype(np.float32)[np.asarray(np.clip(t, 0, 1) * 1023, np.int16)])


def look_up(sketch: Array, x: Array, y: Array) -> Array:
    """A sketch's values (N, ...) at the points (N,), by the nearest pixel."""
    size = len(sketch)
    column = np.clip((x * size).astype(np.int32), 0, size - 1)
    row = np.clip((y * size).astype(np.int32), 0, size - 1)
    return np.asarray(sketch[row, column])


def enlarge(sketch: Array, size: int, method: Image.Resampling = Image.Resampling.BICUBIC) -> Array:
    """A sketch (S, S) resampled to (size, size)."""
    return np.array(Image.fromarray(np.asarray(sketch, np.float32)).resize((size, size), method))


def scatter(count: int, rng: Rng, *, margin: float = 0.03) -> tuple[Array, Array]:
    """About `count` points spread evenly over the picture and a margin around it, in random order.

    A hexagonal lattice with each point pushed at random: no two gaps alike, no holes either.
    """
    step = (1 + 2 * margin) / np.sqrt(count)
    side = int(np.ceil((1 + 2 * margin) / step))
    row, column = np.mgrid[0:side, 0:side].reshape(2, -1)
    push = rng.uniform(-0.5, 0.5, (2, side * side))
    order = rng.permutation(side * side)
    x = (column + 0.5 * (row % 2) + 0.25 + push[0]) * step - margin
    y = (row + 0.5 + push[1]) * step - margin
    return x[order].astype(np.float32), y[order].astype(np.float32)


def level_lines(potential: Array) -> Array:
    """The direction (S, S), in radians, of the level line of a sketch through every pixel."""
    down, across = np.gradient(potential)
    return np.asarray(np.arctan2(-across, down), np.float32)


def spline(points: list[tuple[float, float]], *, steps: int = 24) -> Array:
    """A Catmull-Rom curve (N, 2) through the points, with `steps` samples between neighbours."""
    p = np.array(points, np.float32)
    p = np.concatenate([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
    t = np.linspace(0, 1, steps, endpoint=False, dtype=np.float32)[:, None]
    pieces = [
        0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
        for a, b, c, d in zip(p, p[1:], p[2:], p[3:], strict=False)
    ]
    return np.concatenate(pieces).astype(np.float32)


def contours(sketch: Array, level: float, *, inside: Array | None = None) -> list[Array]:
    """The level lines of a sketch (S, S) as curves (N, 2) of at least four points, only where `inside` is true."""
    curves = find_contours(sketch, level, mask=inside)  # type: ignore[no-untyped-call]
    return [(curve[:, ::-1] + 0.5) / len(sketch) for curve in curves if len(curve) > 3]


def depth(mask: Array) -> Array:
    """How far inside a mask (S, S) every pixel lies, in picture sides; 0 outside. Exact to a pixel or two."""
    half = np.asarray(ndimage.distance_transform_edt(mask[::2, ::2]), np.float32)
    return np.asarray(enlarge(half, len(mask)) * np.float32(2 / len(mask)))


def circle(points: int) -> Array:
    """A regular polygon (points, 2) of radius 1 about the origin."""
    turn = np.linspace(0, 2 * np.pi, points, endpoint=False)
    return np.stack([np.cos(turn), np.sin(turn)], -1)
