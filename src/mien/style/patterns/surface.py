"""What a picture lies on and how light falls on it: paper, weave, relief, bleeding light and uneven ink."""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy import ndimage

from mien.style.patterns.field import Array, Rng, enlarge, noise


def blur(field: Array, sigma: float) -> Array:
    """Gaussian blur of (S, S) or (S, S, 3), `sigma` in picture sides."""
    pixels = sigma * len(field)
    if field.ndim == 3:
        return np.stack([blur(np.ascontiguousarray(channel), sigma) for channel in np.moveaxis(field, -1, 0)], -1)
    if pixels > 4:  # as smooth, and faster, when done on a smaller copy
        small = enlarge(field, int(len(field) * 3 // pixels), Image.Resampling.BOX)
        return enlarge(
            np.asarray(ndimage.gaussian_filter(small, sigma * len(small), truncate=3), np.float32), len(field)
        )
    return np.asarray(ndimage.gaussian_filter(field, pixels, truncate=3), np.float32)


def paper(size: int, rng: Rng, *, tooth: float = 180) -> Array:
    """The height of rough paper (size, size), deviation about 1: fine tooth, fibres and slow unevenness."""
    grain = noise(size, tooth, rng, octaves=2)
    fibre = noise(size, (tooth / 6, tooth * 1.5), rng) + noise(size, (tooth * 1.5, tooth / 6), rng)
    return np.asarray(0.8 * grain + 0.3 * fibre + 0.3 * noise(size, 6, rng), np.float32)


def weave(size: int, threads: int = 150) -> Array:
    """The height of a plain linen weave (size, size), -1 to 1."""
    place = (np.arange(size, dtype=np.float32) + 0.5) / size * threads * np.pi
    over = np.sin(place)
    return np.asarray(np.outer(np.abs(np.cos(place)), over) + np.outer(over, np.abs(np.cos(place))), np.float32) * 0.5


def relief(colour: Array, height: Array, *, strength: float = 1.0, gloss: float = 0.0) -> Array:
    """Light from the upper left on a surface of that height (in picture sides): lit flanks, shaded flanks, glints."""
    down, across = np.gradient(height)
    slope = (down + across) * np.float32(len(height) * strength)
    lit = np.tanh(slope)
    shaded = colour * (1 + 0.34 * lit)[..., None]
    return np.asarray(shaded + gloss * np.clip(lit - 0.45, 0, 1)[..., None], np.float32)


def glow(colour: Array, sigma: float, amount: float) -> Array:
    """Light that bleeds from bright parts into their surroundings (screen of a blurred copy)."""
    return np.asarray(1 - (1 - colour) * (1 - amount * blur(colour, sigma)), np.float32)


def age(colour: Array, rng: Rng, *, amount: float = 0.03) -> Array:
    """Slow unevenness, fine grain and slightly darker corners, as time leaves them."""
    size = len(colour)
    ticks = np.linspace(-1, 1, size, dtype=np.float32) ** 2
    corner = (ticks[:, None] + ticks[None, :]) ** 2 / 4
    cloud = noise(size, 5, rng, octaves=3) * 0.8 + noise(size, 256, rng) * 0.8
    return np.asarray(colour * (1 + amount * cloud - 3 * amount * corner)[..., None], np.float32)
