"""Arrays of pixels: sizes, resampling, rounding, and the way into torch and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.errors import ImageError, OptionError

if TYPE_CHECKING:
    import torch


def fit(width: int, height: int, long_side: int) -> tuple[int, int]:
    """Width and height scaled so that the longer is `long_side`; the other is rounded (halves up) and at least 1."""
    if min(width, height, long_side) < 1:
        raise OptionError(
            f"Expected a width, a height and a long side of at least 1 pixel, but got {width}, {height} and "
            f"{long_side}; give a size of 1 or more."
        )
    longest = max(width, height)

    def scaled(side: int) -> int:
        return max(1, (2 * side * long_side + longest) // (2 * longest))

    return scaled(width), scaled(height)


def resize(pixels: NDArray[Any], width: int, height: int) -> NDArray[Any]:
    """`pixels` resampled with Lanczos' filter (a = 3), widened when shrinking so that nothing aliases.

    pixels: uint8 (H, W, 3) or (H, W), or float (H, W), which comes back as float32 within the range it had.
    """
    if min(width, height) < 1:
        raise OptionError(f"Expected a size of at least 1 × 1 pixel, but got {width} × {height}; give a larger one.")
    plane = pixels.ndim == 2
    if pixels.dtype == np.uint8 and (plane or (pixels.ndim == 3 and pixels.shape[2] == 3)):
        if pixels.shape[:2] == (height, width):
            return pixels.copy()
        image = Image.fromarray(np.ascontiguousarray(pixels))
        return np.array(image.resize((width, height), Image.Resampling.LANCZOS))
    if plane and np.issubdtype(pixels.dtype, np.floating):
        image = Image.fromarray(np.ascontiguousarray(pixels, dtype=np.float32))
        larger = np.array(image.resize((width, height), Image.Resampling.LANCZOS))
        return larger.clip(pixels.min(), pixels.max())
    raise ImageError(
        "Expected pixels as uint8 (H, W, 3) or (H, W), or a float plane (H, W), "
        f"but got {pixels.dtype} {pixels.shape}; convert them first."
    )


def to_tensor(pixels: NDArray[Any]) -> torch.Tensor:
    """uint8 (H, W, 3), or float (H, W, 3) in [0, 1], as float32 (1, 3, H, W) in [0, 1]."""
    import torch

    if pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ImageError(f"Expected pixels of shape (H, W, 3), but got {pixels.shape}; load them with images.load.")
    scale = 255 if is_uint8(pixels) else 1
    planes = np.array(pixels.transpose(2, 0, 1)[None], dtype=np.float32, order="C")
    return torch.from_numpy(planes).div_(scale)


def from_tensor(x: torch.Tensor) -> NDArray[np.float32]:
    """A tensor (1, 3, H, W) of any float type on any device as float32 (H, W, 3), clamped to [0, 1]."""
    if x.ndim != 4 or x.shape[0] != 1 or x.shape[1] != 3:
        raise ImageError(f"Expected a tensor of shape (1, 3, H, W), but got {tuple(x.shape)}; pass one picture.")
    planes = x.detach()[0].float().clamp(0, 1).cpu().numpy()
    return np.ascontiguousarray(planes.transpose(1, 2, 0))


def to_uint8(pixels_float: NDArray[Any]) -> NDArray[np.uint8]:
    """Floats in [0, 1] as 0 to 255, clamped, rounded half to even; uint8 passes unchanged. NaN is an ImageError."""
    if is_uint8(pixels_float):
        return pixels_float
    return quantise(pixels_float, 255).astype(np.uint8)


def quantise(pixels_float: NDArray[Any], top: int) -> NDArray[np.floating[Any]]:
    """Floats in [0, 1] as whole numbers 0 to `top`, still as floats; NaN is an ImageError."""
    if np.isnan(np.min(pixels_float)):
        raise ImageError(
            "Expected pixels in [0, 1], but some are not a number (NaN); the computation that made them went wrong, "
            "so repeat it with a smaller step."
        )
    # float16 cannot hold every whole number up to 65535.
    wide = np.asarray(pixels_float, dtype=np.result_type(pixels_float, np.float32))
    rounded: NDArray[np.floating[Any]] = np.rint(np.clip(wide, 0, 1) * top)
    return rounded


def is_uint8(pixels: NDArray[Any]) -> bool:
    """Whether pixels are uint8; False for floats, and an ImageError for any other type."""
    if pixels.dtype == np.uint8:
        return True
    if np.issubdtype(pixels.dtype, np.floating):
        return False
    raise ImageError(f"Expected pixels as uint8 or as floats in [0, 1], but got {pixels.dtype}; convert them first.")
