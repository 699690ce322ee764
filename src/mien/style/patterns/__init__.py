"""Built-in style pictures, drawn by mien's own code and chosen as `@name`.

They are planned in unit coordinates and drawn at any size with the same structure: `field` holds noise, shapes and
colour, `strokes` the brush, `surface` paper and light; `oil`, `cubist`, `dots`, `drawing`, `prints`, `glass` and
`water` hold the pictures.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.errors import OptionError
from mien.style.patterns import cubist, dots, drawing, glass, oil, prints, water
from mien.style.patterns.field import Array, Rng

__all__ = ["Pattern", "describe", "draw", "names"]

_COARSEST = 320
"""Pixels that a picture is drawn at, at least; it is then averaged down, which keeps fine grain from aliasing."""

_LARGEST = 4096


@dataclass(frozen=True)
class Pattern:
    """A built-in style picture."""

    name: str
    description: str
    """One line, for `mien style --list`."""
    artist: Callable[[int, Rng], Array]
    """Draws the picture (size, size, 3) in about [0, 1]."""


_PATTERNS = {
    pattern.name: pattern
    for pattern in (
        Pattern("night", "oil: a sky that swirls around moon and stars, over hills and cypresses", oil.night),
        Pattern("poppies", "oil: poppies under tall clouds, laid on thick with the palette knife", oil.poppies),
        Pattern("cubist", "oil: guitar, bottle and fruit broken into ochre and slate facets", cubist.cubist),
        Pattern("points", "oil: sails and trees by a river, in dots of divided colour", dots.points),
        Pattern("waves", "woodcut: a great Prussian blue wave over a low red sun", prints.waves),
        Pattern("linocut", "linocut: a vermilion sun with gouged rays, birds and leaves", prints.linocut),
        Pattern("ink", "pen and wash: a castle above the sea, cross-hatched in sepia", drawing.ink),
        Pattern("charcoal", "charcoal and chalk: a bare tree in the wind on blue-grey paper", drawing.charcoal),
        Pattern("mosaic", "mosaic: Byzantine gold, a star in a medallion and fish in the sea", glass.mosaic),
        Pattern("rose", "stained glass: a Gothic rose window with the sun behind it", glass.rose),
        Pattern("watercolour", "watercolour: mountains at dawn in wet washes with dried edges", water.watercolour),
        Pattern("marbling", "marbling: inks floated on water, combed into feathers and whorls", water.marbling),
    )
}


def names() -> tuple[str, ...]:
    """The names of all patterns, in the order they are listed."""
    return tuple(_PATTERNS)


def describe(name: str) -> str:
    """A pattern's one-line description; raises OptionError for a name that does not exist."""
    return _find(name).description


def draw(name: str, size: int = 512, *, seed: int = 0) -> NDArray[np.uint8]:
    """A pattern as an image (size, size, 3), the same for the same seed and alike at every size.

    `size` is 16 to 4096. Raises OptionError for an unknown name or another size.
    """
    pattern = _find(name)
    if not 16 <= size <= _LARGEST:
        raise OptionError(f"A pattern is drawn at 16 to {_LARGEST} pixels, not {size}; choose a size in that range.")
    finer = max(1 if size > _LARGEST // 2 else 2, -(-_COARSEST // size))
    picture = pattern.artist(size * finer, np.random.default_rng(seed))
    averaged = np.clip(picture, 0, 1).reshape(size, finer, size, finer, 3).mean((1, 3))
    return np.asarray(averaged * 255 + 0.5, np.uint8)


def _find(name: str) -> Pattern:
    """The pattern of that name, with or without the `@` in front."""
    pattern = _PATTERNS.get(name.removeprefix("@"))
    if pattern is None:
        close = difflib.get_close_matches(name.removeprefix("@").lower(), _PATTERNS, n=1, cutoff=0.5)
        meant = f" Did you mean @{close[0]}?" if close else ""
        raise OptionError(
            f"There is no pattern @{name.removeprefix('@')}; choose one of @{', @'.join(_PATTERNS)}.{meant}"
        )
    return pattern
