"""Brush strokes: thousands of bent marks laid over one another, each with its own bristles.

A layer of strokes is drawn in two passes. First each stroke's outline is filled with the stroke's number, later
strokes over earlier ones. Then all pixels are shaded at once: the number gives the pixel its stroke, and so its place
along (u) and across (v) that stroke, where bristles, dry ends and the ridge of paint are read off.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from mien.style.patterns.field import Array, Rng, look_up, smoothstep


@dataclass(frozen=True)
class Strokes:
    """N strokes: centres, directions (radians), lengths and widths in picture sides, curvatures (1 / radius)."""

    x: Array
    y: Array
    angle: Array
    length: Array
    width: Array
    curvature: Array
    colour: Array
    """(N, 3) sRGB in [0, 1]."""


@dataclass
class Canvas:
    """A painting in progress: `colour` (S, S, 3) in [0, 1] and `height` (S, S), the thickness of the paint."""

    colour: Array
    height: Array

    @classmethod
    def primed(cls, size: int, colour: Array) -> Canvas:
        """A canvas under one flat colour (3,)."""
        return cls(np.tile(colour, (size, size, 1)).astype(np.float32), np.zeros((size, size), np.float32))

    @property
    def size(self) -> int:
        """Pixels on a side."""
        return len(self.height)


def along(
    directions: Array, x: Array, y: Array, *, length: Array | float, width: Array | float, colour: Array
) -> Strokes:
    """Strokes centred at the points that follow a direction sketch (S, S), bending as it bends."""
    n = len(x)
    angle = look_up(directions, x, y)
    reach = 0.012
    ahead = look_up(directions, x + reach * np.cos(angle), y + reach * np.sin(angle))
    behind = look_up(directions, x - reach * np.cos(angle), y - reach * np.sin(angle))
    turn = np.angle(np.exp(1j * (ahead - behind)))
    turn = np.where(np.abs(turn) > 1, 0, turn)  # a seam between two regions, not a bend
    full_length = np.broadcast_to(length, n)
    curvature = np.clip(turn / (2 * reach), -1.6 / full_length, 1.6 / full_length)
    parts = (x, y, angle, full_length, np.broadcast_to(width, n), curvature, colour)
    return Strokes(*(np.asarray(part, np.float32) for part in parts))


def outlines(strokes: Strokes, *, bluntness: float = 4.0, points: int = 7) -> Array:
    """Every stroke's outline (N, 2 · points, 2); a bluntness of 1 gives a leaf, 8 a bar with round ends."""
    s = np.linspace(-1, 1, points, dtype=np.float32)
    along_stroke = s * strokes.length[:, None] / 2
    half_width = (1 - np.abs(s) ** bluntness * 0.92) * strokes.width[:, None] / 2
    sagitta = strokes.curvature[:, None] * along_stroke**2 / 2
    u = np.concatenate([along_stroke, along_stroke[:, ::-1]], 1)
    v = np.concatenate([sagitta - half_width, (sagitta + half_width)[:, ::-1]], 1)
    cos, sin = np.cos(strokes.angle)[:, None], np.sin(strokes.angle)[:, None]
    return np.stack([strokes.x[:, None] + u * cos - v * sin, strokes.y[:, None] + u * sin + v * cos], -1)


def number(shapes: Array | list[Array], size: int) -> NDArray[np.int32]:
    """The index of the topmost shape (a polygon in unit coordinates) at every pixel, -1 where there is none."""
    plane = Image.new("I", (size, size), -1)
    draw = ImageDraw.Draw(plane)
    for index, shape in enumerate(shapes):
        draw.polygon((shape * size - 0.5).ravel().tolist(), fill=index)  # whole numbers are pixel centres
    return np.asarray(plane, np.int32)


def silhouette(shapes: Array | list[Array], size: int) -> Array:
    """A mask (size, size) of 0 and 1: where any of the shapes lies."""
    return (number(shapes, size) >= 0).astype(np.float32)


def ribbon(spine: Array, half_width: Array) -> Array:
    """The outline (N, 2) of a line with that half width at every point."""
    step = np.gradient(spine, axis=0)
    side = np.stack([-step[:, 1], step[:, 0]], -1) / (np.hypot(*step.T)[:, None] + 1e-9) * half_width[:, None]
    return np.concatenate([spine + side, (spine - side)[::-1]])


def stroke_coordinates(strokes: Strokes, index: NDArray[np.int32]) -> tuple[Array, Array]:
    """Each pixel's place along and across its stroke, both -1 to 1 inside; meaningless where the index is -1."""
    size = len(index)
    row, column = np.indices(index.shape, np.float32)
    dx = (column + 0.5) / size - strokes.x[index]
    dy = (row + 0.5) / size - strokes.y[index]
    cos, sin = np.cos(strokes.angle)[index], np.sin(strokes.angle)[index]
    u = dx * cos + dy * sin
    v = dy * cos - dx * sin - strokes.curvature[index] * u * u / 2
    return u / (strokes.length[index] / 2), v / (strokes.width[index] / 2)


def bristles(strokes: Strokes, u: Array, v: Array, index: NDArray[np.int32], rng: Rng, *, hairs: float = 5.0) -> Array:
    """Streaks along each stroke, deviation about 1: fine across it (`hairs` per half width), long along it."""
    table = rng.standard_normal((512, 256), dtype=np.float32)
    table = ndimage.gaussian_filter(table, (0.6, 0.9), mode="wrap")
    table /= table.std()
    offset = rng.uniform(0, 512, (2, len(strokes.x))).astype(np.float32)
    place = np.stack([v * hairs + offset[0][index], u * 2.2 + offset[1][index]])
    return np.asarray(ndimage.map_coordinates(table, place, order=1, mode="grid-wrap"), np.float32)


def paint(
    canvas: Canvas,
    strokes: Strokes,
    rng: Rng,
    *,
    bluntness: float = 4.0,
    streak: float = 0.09,
    dry: float = 0.35,
    body: float = 1.0,
    hairs: float = 5.0,
) -> None:
    """Lay a layer of strokes on the canvas.

    `streak` is the bristles' contrast, `dry` how much of the stroke's tail runs out of paint, `body` the paint's
    thickness.
    """
    index = number(outlines(strokes, bluntness=bluntness), canvas.size)
    u, v = stroke_coordinates(strokes, index)
    hair = bristles(strokes, u, v, index, rng, hairs=hairs)
    runs_out = smoothstep(0.1, 1.1, u) * 2.4 * dry - 0.4
    alpha = (index >= 0) * smoothstep(0.15, -0.15, runs_out - 0.7 - 0.5 * hair * (dry > 0))
    shade = (1 + streak * hair)[..., None]
    canvas.colour += (strokes.colour[index] * shade - canvas.colour) * alpha[..., None]
    ridge = 0.55 + 0.45 * smoothstep(0.3, 0.8, np.abs(v)) + 0.28 * hair
    ridge *= smoothstep(1.05, 0.75, np.abs(v)) * smoothstep(1.05, 0.85, np.abs(u))
    canvas.height += (body * ridge * strokes.width.mean() - canvas.height * 0.6) * alpha
