"""Where each style is painted, and which part of each style picture is read: soft masks and guided Gram matrices.

After Gatys et al. 2017, "Controlling Perceptual Factors in Neural Style Transfer". Masks are soft: 1 (white) is wholly
in the region, 0 (black) wholly out of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as nnf
from numpy.typing import NDArray
from torch import Tensor

from mien.errors import ImageError, OptionError

Floats = NDArray[np.floating[Any]]

# A mask saved as JPEG has blacks of one or two 8-bit levels; they are meant as black.
_BLACK = 2.0 / 255.0


@dataclass(frozen=True, eq=False)
class Regions:
    """Masks of one picture's regions, fitted to its size."""

    masks: NDArray[np.float32]
    """(R, H, W) in [0, 1]; at each pixel they sum to at most 1."""

    notes: tuple[str, ...]
    """One sentence for each thing that was changed and that a person should know."""

    @property
    def coverage(self) -> NDArray[np.float32]:
        """How much of each pixel (H, W) belongs to any region: the mask that `composite` takes."""
        covered: NDArray[np.float32] = np.minimum(self.masks.sum(0), np.float32(1.0))
        return covered

    @property
    def shares(self) -> NDArray[np.float32]:
        """The part of the picture (R,) that each region takes up."""
        share: NDArray[np.float32] = self.masks.mean((1, 2))
        return share


def regions(masks: Sequence[Floats], *, height: int, width: int) -> Regions:
    """Masks (h, w) in [0, 1], one a region, fitted to a picture of `height` and `width`.

    A mask of another size is resized with antialiasing, one of another shape stretched, and the notes say so. Where
    masks overlap to more than 1 they share the pixel in proportion.

    Raises:
        ImageError: a mask is not a float array (h, w) in [0, 1].
        OptionError: there is no mask, or one is black everywhere.
    """
    if not masks:
        raise OptionError("Regions need at least one mask, but none came; give a grey picture, white where to paint.")
    notes: list[str] = []
    fitted = np.stack([_fitted(mask, i, height, width, notes) for i, mask in enumerate(masks, start=1)])
    fitted /= np.maximum(fitted.sum(0), np.float32(1.0))
    return Regions(masks=fitted, notes=tuple(notes))


def propagate(mask: Tensor, *, layer_height: int, layer_width: int, erode: int = 0) -> Tensor:
    """The guidance channels T (R, 1, layer_height, layer_width) of masks (R, 1, H, W) at a layer of the network.

    T = m / sqrt(sum over positions of m^2), so that the sum of T^2 is 1, where m is the mask averaged over the area of
    picture that each position stands for, as the pools do to the picture.

    Args:
        mask: (R, 1, H, W) in [0, 1].
        layer_height: of the features.
        layer_width: of the features.
        erode: pixels of the picture by which a region is narrowed first. With the layer's receptive-field radius only
            positions that see nothing but the region count ("inside" in the paper's code). A region too small for that
            keeps its whole mask.

    Raises:
        OptionError: a mask is black everywhere.
    """
    soft = nnf.adaptive_avg_pool2d(mask, (layer_height, layer_width))
    if erode > 0:
        inside = nnf.adaptive_avg_pool2d(_eroded(mask, erode), (layer_height, layer_width))
        left = inside.amax((1, 2, 3), keepdim=True) > _BLACK
        soft = torch.where(left, inside, soft)
    norm = soft.square().sum((2, 3), keepdim=True).sqrt()
    empty = (norm == 0).flatten().nonzero().flatten().tolist()
    if empty:
        raise _black_everywhere(empty[0] + 1)
    return soft / norm


def guided_gram(F: Tensor, T: Tensor) -> Tensor:
    """Gram matrices (R, C, C) of features F (B, C, H, W), each under its guidance channel of T (R, 1, H, W).

    G_r[c, k] = sum over positions p of T_r[p]^2 F[c, p] F[k, p], that is (T_r o F)(T_r o F)^T. B is 1 (one picture
    with R regions) or R (picture r under guidance r).

    As T_r^2 sums to 1, G_r is a mean over positions: under one uniform T it is Gram(F) / (n_H n_W), and the cost
    1/(4 n_C^2) sum (G_S - G_G)^2 is then the plain one. In a mean over a small region each position weighs more, so a
    region's style cost should be multiplied by its share of the picture (`Regions.shares`) to paint as strongly as
    the same cost does without masks.

    Raises:
        ImageError: the shapes do not fit each other.
    """
    if F.shape[2:] != T.shape[2:] or T.shape[1] != 1 or F.shape[0] not in (1, T.shape[0]):
        raise ImageError(
            f"Guidance must be (R, 1, H, W) with the features' H and W, but it is {tuple(T.shape)} for features "
            f"{tuple(F.shape)}; make it with propagate at that layer's size."
        )
    guided = (F * T.to(F.dtype)).flatten(2)
    return guided @ guided.transpose(1, 2)


def composite(result: Floats, content: Floats, mask: Floats, *, feather: float = 0.0) -> Floats:
    """The result where the mask is white and the photo where it is black, mixed as m result + (1 - m) content.

    Args:
        result: (H, W, 3).
        content: (H, W, 3).
        mask: (H, W) in [0, 1], such as `Regions.coverage`.
        feather: pixels over which the painting fades in from the edge of the black. It fades inwards, so that black
            stays the untouched photo.

    Raises:
        ImageError: the three differ in size.
        OptionError: `feather` is negative.
    """
    if result.shape != content.shape or mask.shape != result.shape[:2]:
        raise ImageError(
            f"Result, photo and mask must have one size, but they are {result.shape}, {content.shape} and "
            f"{mask.shape}; fit the mask with regions and resize the photo."
        )
    if not feather >= 0:
        raise OptionError(f"The feather is a width of 0 or more pixels, not {feather:g}; give 0 for a hard edge.")
    painted = (mask * _fade(mask, feather))[..., None]
    mixed: Floats = painted * result + (1.0 - painted) * content
    return mixed.astype(result.dtype)


def _fitted(mask: Floats, number: int, height: int, width: int, notes: list[str]) -> NDArray[np.float32]:
    if mask.ndim != 2 or mask.size == 0 or not np.issubdtype(mask.dtype, np.floating):
        raise ImageError(
            f"Mask {number} must be a grey float array (H, W) in [0, 1], but it is {mask.dtype} {mask.shape}; "
            "take its grey values and divide an 8-bit picture by 255."
        )
    if not (mask.min() >= 0.0 and mask.max() <= 1.0):
        raise ImageError(
            f"Mask {number} must hold values in [0, 1], but they run from {mask.min():g} to {mask.max():g}; "
            "scale it to [0, 1]."
        )
    grid = torch.from_numpy(np.ascontiguousarray(mask, dtype=np.float32))[None, None]
    if mask.shape != (height, width):
        notes.append(_resize_note(mask.shape, number, height, width))
        grid = nnf.interpolate(grid, (height, width), mode="bilinear", antialias=True, align_corners=False)
    if float(grid.max()) <= _BLACK:
        raise _black_everywhere(number)
    fitted: NDArray[np.float32] = grid[0, 0].clamp(0.0, 1.0).numpy()
    return fitted


def _resize_note(shape: tuple[int, ...], number: int, height: int, width: int) -> str:
    h, w = shape
    # Rounding to whole pixels moves a side by at most half a pixel; anything more is another shape.
    same_shape = abs(h * width / w - height) <= 1.0 or abs(w * height / h - width) <= 1.0
    how = "resized" if same_shape else "stretched"
    return f"Mask {number} is {w}×{h} and was {how} to the picture's {width}×{height}."


def _black_everywhere(number: int) -> OptionError:
    return OptionError(
        f"Mask {number} must be white somewhere, but it is black everywhere, so its style has no place; "
        "paint its region white, or leave out that mask and its style."
    )


def _eroded(mask: Tensor, radius: int) -> Tensor:
    """The least value of each mask (R, 1, H, W) within `radius` pixels in x and y; beyond the frame nothing erodes."""
    negative = nnf.max_pool2d(-mask, (2 * radius + 1, 1), stride=1, padding=(radius, 0))
    return -nnf.max_pool2d(negative, (1, 2 * radius + 1), stride=1, padding=(0, radius))


def _fade(mask: Floats, feather: float) -> NDArray[np.float64]:
    """0 on black, rising linearly to 1 at `feather` + 1 pixels from the nearest black one."""
    from scipy.ndimage import distance_transform_edt  # here, because only a feathered mask should wait for scipy

    light = mask > _BLACK
    if light.all():
        return np.ones(mask.shape)
    distance: NDArray[np.float64] = distance_transform_edt(light)
    return np.minimum(distance / (feather + 1.0), 1.0)
