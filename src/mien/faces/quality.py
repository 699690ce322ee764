"""Whether a face in a photo is good enough to be enrolled: size, light, sharpness, pose, and what is cut off.

`measure` gives numbers, `refusals` sentences. Enrolment refuses on them; identification does not ask, so that nobody is
turned away for a bad photo who would have been recognised in it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import MissingExtra, WeightsError
from mien.faces.align import align, similarity_transform
from mien.faces.records import Face, Image
from mien.weights import RECORDS

try:
    import cv2
except ModuleNotFoundError as error:
    raise MissingExtra("Seeing faces", "faces") from error

_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)  # Rec. 709, on the sRGB values as they are stored
_REGION = (slice(30, 106), slice(26, 86))
"""Rows and columns of the 112 × 112 crop between forehead and chin, cheek and cheek: next to no hair or background."""


@dataclass(frozen=True)
class Quality:
    """What can be said of one face in a photo."""

    size: float
    """Shorter side of the face's box, in pixels."""
    brightness: float
    """Mean of the face's luma, 0 (black) to 1 (white)."""
    contrast: float
    """Standard deviation of the face's luma, 0 to 0.5."""
    sharpness: float
    """Variance of the Laplacian over the variance of luma, in the crop: under 0.02 for a blurred face, 0.14 for LFW's
    middle one; the same for dim and bright light."""
    yaw: float
    """Degrees, positive when the face looks to the picture's right. From five points: right to about 10 degrees."""
    pitch: float
    """Degrees, positive when the face looks down. As rough as 15 degrees: long noses and open mouths count as pitch."""
    roll: float
    """Degrees, positive when the head leans clockwise in the picture: right to about 3 degrees."""
    cut: float
    """Share of the face's box that lies outside the picture, 0 to 1."""


@dataclass(frozen=True)
class QualityLimits:
    """What a face must be like to be enrolled.

    Set by measurement: 1.5 % of LFW's photos are refused, most as turned away, and none of faces in colour; of LFW's
    faces blurred by 4 pixels of the crop, or darkened to a tenth, all.
    """

    size: float = 40.0
    darkest: float = 0.12
    brightest: float = 0.9
    contrast: float = 0.03
    sharpness: float = 0.02
    yaw: float = 40.0
    pitch: float = 40.0
    roll: float = 45.0
    cut: float = 0.25


def measure(image: Image, face: Face) -> Quality:
    """The quality of a face in a picture (H, W, 3) RGB."""
    template, size = RECORDS["sface"].template, RECORDS["sface"].size
    if template is None or size is None:
        raise WeightsError("Expected the record sface to have a template and a size.")
    crop = align(image, face.landmarks, template=template, size=size)
    luma = np.asarray(crop @ _LUMA, np.float32) / np.float32(255)
    region = luma[_REGION]
    yaw, pitch, roll = pose(face.landmarks)
    return Quality(
        size=face.size,
        brightness=float(region.mean()),
        contrast=float(region.std()),
        sharpness=_sharpness(luma),
        yaw=yaw,
        pitch=pitch,
        roll=roll,
        cut=_cut(image, face),
    )


def _sharpness(luma: NDArray[np.float32]) -> float:
    """Variance of the Laplacian (Pech-Pacheco et al., ICPR 2000), over the variance of luma (ours).

    The quotient is the mean of the frequencies' fourth power, weighted with the picture's power: light cancels out.
    """
    edges = cv2.Laplacian(luma, cv2.CV_32F)[_REGION]
    variance = float(luma[_REGION].var())
    # Less than a twentieth of an 8-bit step is a plain surface, on which nothing can be sharp.
    return float(np.var(edges)) / variance if variance > (0.05 / 255) ** 2 else 0.0


def _cut(image: Image, face: Face) -> float:
    x, y, width, height = face.box
    inside = np.clip([x, x + width], 0, image.shape[1]), np.clip([y, y + height], 0, image.shape[0])
    area = float(np.diff(inside[0])[0] * np.diff(inside[1])[0])
    return min(1.0, max(0.0, 1 - area / (width * height)))


def _head() -> NDArray[np.float64]:
    """The five points of an average head in space, shape (5, 3): x to the picture's right, y down, z into the picture.

    x and y are the encoder's template made symmetric: the mean of many frontal faces, so that its pose is 0, 0, 0. In
    depth, the tip of the nose lies 27 mm and the mouth's corners 3 mm before the eyes, at 63 mm between the pupils.
    """
    points = np.array(RECORDS["sface"].template, np.float64)
    mirrored = points[[1, 0, 2, 4, 3]]
    x, y = (points[:, 0] - mirrored[:, 0]) / 2, (points[:, 1] + mirrored[:, 1]) / 2
    millimetre = (x[1] - x[0]) / 63
    head = np.column_stack([x, y, millimetre * np.array([0, 0, -27, -3, -3])])
    centred: NDArray[np.float64] = head - head.mean(axis=0)
    return centred


_HEAD = _head()


def pose(landmarks: ArrayLike) -> tuple[float, float, float]:
    """Yaw, pitch and roll of a face in degrees, from its five landmarks (5, 2), for an average head seen from afar.

    Scaled orthographic projection: the 2 × 3 matrix that lays the head upon the landmarks with the least squared error,
    and the rotation nearest to it (after DeMenthon & Davis, Model-based object pose in 25 lines of code, IJCV 1995),
    taken apart as roll after yaw after pitch.

    Raises:
        FaceError: the landmarks are all in one place, or not finite.
    """
    points = np.asarray(landmarks, np.float64)
    similarity_transform(points, _HEAD[:, :2])  # refuses what is no face at all
    u, _, vt = np.linalg.svd((np.linalg.pinv(_HEAD) @ (points - points.mean(axis=0))).T, full_matrices=False)
    across, down = u @ vt
    into = np.cross(across, down)
    yaw = np.arcsin(np.clip(into[0], -1, 1))
    pitch, roll = np.arctan2(into[1], into[2]), np.arctan2(down[0], across[0])
    return float(np.degrees(yaw)), float(np.degrees(pitch)), float(np.degrees(roll))


def refusals(quality: Quality, limits: QualityLimits | None = None) -> list[str]:
    """Why a face is not good enough to be enrolled: a sentence for each reason, none if it is good enough."""
    limits = limits or QualityLimits()
    q = quality
    bounds = (
        (q.size < limits.size, f"The face is too small: {q.size:.0f} pixels, expected at least {limits.size:.0f}."),
        (
            q.brightness < limits.darkest,
            f"The face is too dark: brightness {q.brightness:.2f}, expected at least {limits.darkest:.2f}.",
        ),
        (
            q.brightness > limits.brightest,
            f"The face is too bright: brightness {q.brightness:.2f}, expected at most {limits.brightest:.2f}.",
        ),
        (
            q.contrast < limits.contrast,
            f"The face shows too little contrast: {q.contrast:.3f}, expected at least {limits.contrast:.3f}.",
        ),
        (
            q.sharpness < limits.sharpness,
            f"The face is blurred: sharpness {q.sharpness:.3f}, expected at least {limits.sharpness:.3f}.",
        ),
        (
            abs(q.yaw) > limits.yaw,
            f"The face is turned away: by about {abs(q.yaw):.0f} degrees, expected at most {limits.yaw:.0f}.",
        ),
        (
            abs(q.pitch) > limits.pitch,
            f"The face looks too far {'down' if q.pitch > 0 else 'up'}: by about {abs(q.pitch):.0f} degrees, expected "
            f"at most {limits.pitch:.0f}.",
        ),
        (
            abs(q.roll) > limits.roll,
            f"The head leans too far: by about {abs(q.roll):.0f} degrees, expected at most {limits.roll:.0f}.",
        ),
        (
            q.cut > limits.cut,
            f"The face is cut off: {q.cut:.0%} of it lies outside the picture, expected at most {limits.cut:.0%}.",
        ),
    )
    return [sentence for refused, sentence in bounds if refused]
