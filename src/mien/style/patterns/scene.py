"""A scene is planned as a small sketch before it is painted: what colour lies where, and which way strokes run."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mien.style.patterns.field import Array, Rng, colours, level_lines, look_up, ramp, scatter
from mien.style.patterns.strokes import Canvas, along, paint
from mien.style.patterns.surface import blur


def tint(codes: str, tone: Array | float) -> Array:
    """The colours (..., 3) at `tone` in [0, 1] along the palette with those codes."""
    return ramp(colours(codes), tone)


@dataclass
class Scene:
    """Shapes laid over one another on a sketch of S × S pixels."""

    colour: Array
    """(S, S, 3) sRGB in [0, 1], or (S, S) where a drawing needs only a tone."""
    potential: Array
    """(S, S); strokes run along its level lines."""
    light: Array
    """(S, S) in [0, 1], how much sun falls where."""
    outlines: list[Array] = field(default_factory=list)
    """Masks (S, S) of the shapes whose contours a pen would follow."""

    def add(
        self,
        inside: Array,
        colour: Array | float,
        potential: Array | None = None,
        *,
        light: Array | float | None = None,
        outlined: bool = False,
    ) -> None:
        """Lay a shape over everything so far; what is not given stays as it lies there."""
        self.colour = np.where(inside[..., None] if self.colour.ndim == 3 else inside, colour, self.colour)
        if potential is not None:
            self.potential = np.where(inside, potential, self.potential)
        if light is not None:
            self.light = np.where(inside, light, self.light)
        if outlined:
            self.outlines.append(inside.astype(np.float32))

    def directions(self) -> Array:
        """The direction of the strokes (S, S) in radians."""
        return level_lines(self.potential)

    def soft_directions(self) -> Array:
        """The same, calmed for long thin strokes that would show every kink."""
        return level_lines(blur(np.asarray(self.potential, np.float32), 0.004))


def lay(
    canvas: Canvas,
    colour: Array,
    directions: Array,
    rng: Rng,
    *,
    count: int,
    length: float,
    width: float,
    vary: float = 0.05,
    where: Array | None = None,
    **brush: float,
) -> None:
    """Cover a canvas with about `count` strokes that take colour (S, S, 3) and direction (S, S) from a sketch.

    `vary` is how far a stroke's colour strays; `where` (S, S) is the chance of a stroke at a place; `brush` goes to
    `strokes.paint`.
    """
    x, y = scatter(count, rng)
    chance = rng.random(len(x))
    scale = rng.uniform(0.7, 1.3, len(x)).astype(np.float32)
    stray = rng.normal(0, vary, (len(x), 1)) + rng.normal(0, vary * 0.5, (len(x), 3))
    kept = chance < (1 if where is None else look_up(where, x, y))
    x, y, scale = x[kept], y[kept], scale[kept]
    loaded = np.clip(look_up(colour, x, y) + stray[kept], 0, 1).astype(np.float32)
    strokes = along(directions, x, y, length=length * scale, width=width * scale, colour=loaded)
    paint(canvas, strokes, rng, **brush)
