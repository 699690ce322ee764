"""Faces turned upright and laid upon a template, so that an encoder sees every face in the same place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import FaceError, MissingExtra
from mien.faces.records import Image

try:
    import cv2
except ModuleNotFoundError as error:
    raise MissingExtra("Seeing faces", "faces") from error


def similarity_transform(source: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
    """The matrix [sR | t], shape (2, 3), that lays the points `source` upon `target` with the least squared error.

    Rotation, one scale and a shift; never a reflection. Umeyama, Least-squares estimation of transformation parameters
    between two point patterns, IEEE PAMI 1991, equations 40 to 43.

    source, target: shape (N, 2), x and y, N at least 2.

    Raises:
        FaceError: the points of either side are all in one place, or some are not finite.
    """
    x, y = np.asarray(source, np.float64), np.asarray(target, np.float64)
    if x.shape != y.shape or x.ndim != 2 or x.shape[1] != 2 or len(x) < 2:
        raise FaceError(f"Expected two lists of at least two points, each (N, 2), got {x.shape} and {y.shape}.")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise FaceError("Expected a face's points to be finite numbers, but some are not; the face was not found well.")
    x_centre, y_centre = x.mean(axis=0), y.mean(axis=0)
    x0, y0 = x - x_centre, y - y_centre
    variance, target_variance = (x0**2).sum() / len(x), (y0**2).sum() / len(y)
    # Far below a thousandth of a pixel, points are one point, and their rotation is only rounding.
    if min(variance, target_variance) < 1e-9:
        raise FaceError("Expected a face's points to lie apart, but they are all in one place; give another photo.")
    u, strength, vt = np.linalg.svd(y0.T @ x0 / len(x))
    keep_handedness = np.array([1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    rotation = (u * keep_handedness) @ vt
    scale = (strength * keep_handedness).sum() / variance
    if scale < 1e-9:
        raise FaceError("Expected a face's points to lie as a face's do, but they are mirrored; give another photo.")
    return np.column_stack([scale * rotation, y_centre - scale * rotation @ x_centre])


def align(
    image: Image,
    landmarks: ArrayLike,
    *,
    template: Sequence[Sequence[float]],
    size: tuple[int, int],
) -> Image:
    """The face at `landmarks` (5, 2), laid upon `template`: uint8 (height, width, 3) RGB, black beyond the picture.

    template: five points x, y in pixels of `size` (height, width), as in the encoder's Weights record.
    """
    matrix = similarity_transform(landmarks, template)
    height, width = size
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    factor = int(1 / scale)
    if factor >= 2:
        image, matrix = _shrunk(image, matrix, factor, size)
    # OpenCV says it returns any array; it is uint8 (h, w, 3), as the picture is.
    crop = cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderValue=(0, 0, 0))
    return np.asarray(crop, np.uint8)


def _shrunk(
    image: Image, matrix: NDArray[np.float64], factor: int, size: tuple[int, int]
) -> tuple[Image, NDArray[np.float64]]:
    """The part of the picture that the crop shows, averaged over `factor` × `factor` pixels, and the matrix for it.

    Bilinear warping reads four pixels for each of the crop's: of a face that is much larger than the crop it would
    leave out most, and fine patterns (hair, cloth, noise) would come out as false coarse ones.
    """
    height, width = size
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], np.float64) - 0.5
    seen = (corners - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
    margin = 2 * factor
    limit = np.array(image.shape[1::-1])
    low = np.clip(np.floor(seen.min(axis=0)).astype(int) - margin, 0, limit)
    high = np.clip(np.ceil(seen.max(axis=0)).astype(int) + margin, 0, limit)
    # Whole blocks, so that every block has the same size; the last ones reach over the edge and are filled with black.
    blocks = np.maximum(-(-(high - low) // factor), 1)
    part = image[low[1] : high[1], low[0] : high[0]]
    missing = blocks * factor - np.array(part.shape[1::-1])
    if missing.any():
        part = np.pad(part, ((0, missing[1]), (0, missing[0]), (0, 0)))
    small = cv2.resize(part, (int(blocks[0]), int(blocks[1])), interpolation=cv2.INTER_AREA)
    # A pixel's number is its centre: block b covers the pixels low + factor · b + (factor - 1) / 2 on the average.
    linear = matrix[:, :2] * factor
    shift = matrix[:, :2] @ (low + (factor - 1) / 2) + matrix[:, 2]
    return np.asarray(small, np.uint8), np.column_stack([linear, shift])
