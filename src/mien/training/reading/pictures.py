"""One picture as float32 (3, H, W) or (1, H, W) in [0, 1]."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien import images
from mien.training.data import Array

# Rec. 709 luma: the weights that belong to sRGB's primaries.
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)


def read_picture(path: Path, *, size: tuple[int, int] | None = None, grey: bool = False) -> Array:
    """The picture upright in sRGB, resized to `size` (height, width) if given. Raises ImageError."""
    pixels = images.load(path).pixels
    if size and pixels.shape[:2] != size:
        pixels = images.resize(pixels, size[1], size[0])
    return channels_first(pixels, grey=grey)


def channels_first(pixels: NDArray[np.uint8], *, grey: bool) -> Array:
    """uint8 (H, W, 3) as float32 (3, H, W) in [0, 1], or (1, H, W) by Rec. 709 luma."""
    values = pixels.astype(np.float32) / np.float32(255)
    planes = (values @ _LUMA)[None] if grey else values.transpose(2, 0, 1)
    return np.ascontiguousarray(planes, np.float32)
