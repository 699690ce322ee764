"""Whether a turning face is a head or a sheet of paper: what its landmarks tell, against the person's own front.

The eyes and the corners of the mouth, E, lie nearly in a plane (3 mm); the tip of the nose stands before it, by d. Seen
from the front and again turned by θ, a camera relates the two pictures of the plane by a homography, H, whatever the
distance: four points give it exactly (Hartley & Zisserman, Multiple View Geometry, section 13.1: the plane-induced
homography and the parallax of a point off the plane). H takes the turned picture back to the front, where a point of
the plane falls upon itself. The nose does not: it falls

    p = d tan θ                                                                                          (parallax)

from where it was, in the direction of the turn, while the plane itself has become narrower in that direction, by

    w = cos θ.                                                                                      (foreshortening)

A flat sheet has d = 0: however it is turned, tilted or moved, p stays at 0, and only w falls. A head has d = 27 mm at
63 mm between the eyes: 0.43 eye distances. So p says how far and where a *head* has turned, and

    depth = p / tan(arccos w)

says whether it is deep enough for a head: magnitude, not correlation, for the noise of a flat sheet may correlate too.
Everything is measured in eye distances against the person's own front, so that faces, distances and cameras that look
from above or below cancel out. Where the front was itself turned by θ₀, p is d (tan θ - tan θ₀): a few degrees more or
less to turn, for a head; for a flat sheet still nothing.

A sheet that is folded along the nose, like a roof, has the depth of a head there. But its whole midline stands out: the
point between the eyes and the lower lip move with the nose, while on a head they stay behind (10 mm before the cornea
is what people prefer of a bridge: Mowlavi et al., Aesthetic Plastic Surgery 27, 2004). So their parallax is measured,
too; the mean of both over the nose's is near 1 for a fold, and half of that for a head (`Motion.ridge`). The bridge
alone would refuse people with glasses, whose frames stand before it.

The landmarks have to be followed to a part of a pixel: `tracking`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import FaceError

PLANE = [0, 1, 3, 4]
"""Which landmarks lie in a plane: the eyes and the corners of the mouth."""
_NOSE = 2
_BELOW = 0.2
"""Where the lower lip is followed: as far below the middle of the mouth, over the way from the nose to there."""

TURNED = 0.10
"""Parallax, in eye distances, that counts as turned: 15 to 20 degrees of a head."""
AT_FRONT = 0.05
"""Parallax up to which a face looks to the front: 7 to 10 degrees."""
LEAP = 0.09
"""Parallax from one frame to the next that is more than a turning head's: 15 degrees, at ten frames a second."""
SOLID, FLAT = 0.16, 0.10
"""Least depth of a head, and most of a sheet, in eye distances, as followed by `tracking`. A head has 0.43 at the very
tip of its nose, and 0.2 to 0.4 over the patch that is followed; a flat sheet has 0.00, a photo bent around a pipe as
wide as a head (R = 75 mm) 0.06 to 0.12."""
FOLDED = 0.82
"""Mean parallax of bridge and lip, over the nose's, from which a face is a folded sheet. Of 1,089 turned frames of
prints folded along the nose (25 to 50 degrees, five photos) 99 % had more, 1.03 in the middle; of 135 of real faces
(27 people of ORL) one had, 0.85; 0.44 in the middle. The bridge alone would not do: glasses stand too far out."""
BRIDGE = 0.75
"""The same for the bridge alone, under which a nose stands out: of the prints, 99 % had 0.87 and more."""
NARROW = 0.87
"""A plane that has become so narrow has turned by 30 degrees: a head's nose would have moved by 0.2."""
WIDEST = 1.08
"""A face that is so much wider than at its front had been turned by 22 degrees there."""
EXPRESSION = 0.12
"""Change of the mouth's width over the eyes' distance that is no turn's: a pitch of 28 degrees makes 0.07."""
CLOSER = 1.25
"""How much larger a face must be than at the start to have come closer."""
_DIRECTIONS = {"left": (1, 0), "right": (-1, 0), "up": (0, -1), "down": (0, 1)}


@dataclass(frozen=True)
class Motion:
    """How a face has moved against its front."""

    across: float
    """Parallax of the nose to the picture's right, along the line of the eyes; in eye distances. Positive when the
    person turns to their own left."""
    down: float
    """Parallax of the nose downwards, at a right angle to the line of the eyes. Positive when the person looks down."""
    width: float
    """Foreshortening: the plane's width over its height, against the front. Under 1 when turned to a side, over 1 when
    turned up or down."""
    scale: float
    """Size against the front, over 1 when closer."""
    mouth: float = 1.0
    """Width of the mouth over the distance of the eyes, against the front: a turn leaves it, a smile does not."""

    bridge: float = math.nan
    """Parallax of the point between the eyes, along the nose's; in eye distances. NaN where it has been lost."""
    lip: float = math.nan
    """The same of the lower lip."""

    @property
    def expressive(self) -> bool:
        """Whether the mouth has left its place, so that it lies in no plane with the eyes that can be compared."""
        return abs(self.mouth - 1) > EXPRESSION

    @property
    def parallax(self) -> float:
        """Length of the nose's shift, in eye distances."""
        return math.hypot(self.across, self.down)

    def extent(self, step: str) -> float:
        """The plane's extent in a turn's direction, over that at a right angle to it, against the front."""
        return self.width if step in ("left", "right") else 1 / self.width

    @property
    def narrowing(self) -> float:
        """w = cos θ: the extent in the direction in which the nose has moved."""
        return self.extent("left" if abs(self.across) >= abs(self.down) else "up")

    @property
    def depth(self) -> float:
        """How far the nose stands before the plane, in eye distances: p / tan(arccos w).

        Infinite where the plane has not become narrower; then it says nothing.
        """
        w = self.narrowing
        return self.parallax * w / math.sqrt(1 - w * w) if w < 1 else math.inf

    def turned(self, step: str, *, least: float = TURNED) -> bool:
        """Whether the nose has moved by `least` in the direction of a turn, and by less than half of that beside it."""
        x, y = _DIRECTIONS[step]
        along, beside = self.across * x + self.down * y, abs(self.across * y - self.down * x)
        return along >= least and beside <= along / 2

    @property
    def ridge(self) -> float:
        """How far forward the midline above and below the nose stands, over the nose: 1 and more of a folded sheet.

        NaN where either has been lost, or nothing has moved.
        """
        return (self.bridge + self.lip) / 2 / self.parallax if self.parallax > 0 else math.nan

    @property
    def solid(self) -> bool:
        """Whether the face is as deep as a head; to be asked of a turned one."""
        return self.depth >= SOLID

    @property
    def nosed(self) -> bool:
        """Whether it has turned, and the nose stands out of its midline, as a head's.

        Where the lip has been lost, the bridge has to tell; where the bridge has been lost, nothing does.
        """
        alone = math.isnan(self.lip) and 0 < self.bridge < BRIDGE * self.parallax
        return self.parallax >= TURNED and (self.ridge < FOLDED or alone)

    @property
    def folded(self) -> bool:
        """Whether it has turned, and the whole midline moved as the nose, as that of a sheet folded along it does."""
        return self.parallax >= TURNED and self.ridge >= FOLDED

    @property
    def flat(self) -> bool:
        """Whether it has turned as a sheet does: narrower, and the nose moved by less than a head's would."""
        w = min(self.width, 1 / self.width)
        return w <= NARROW and self.parallax < FLAT * math.sqrt(1 - w * w) / w


class Front:
    """A person's own front: their five landmarks when they look at the camera, the measure of all that follows."""

    def __init__(self, landmarks: Sequence[ArrayLike]) -> None:
        """`landmarks`: those of one frame or more, each (5, 2) in pixels; their median after laying them together."""
        frames = [_upright(np.asarray(points, np.float64)) for points in landmarks]
        if not frames:
            raise FaceError("Expected the landmarks of at least one frame of a face that looks to the front, got none.")
        self.unit = float(np.median([unit for _, unit in frames]))
        """Pixels between the eyes."""
        self.points: NDArray[np.float64] = np.median([frame for frame, _ in frames], axis=0)
        """Shape (5, 2): the eyes level, the middle of the plane at 0; in eye distances."""

    def motion(self, landmarks: ArrayLike, beside: ArrayLike | None = None) -> Motion:
        """How the face has moved from its front to these landmarks (5, 2).

        beside: where the two points of `midline` have gone, (2, 2), NaN where they have been lost.

        Raises:
            FaceError: the landmarks are not finite, or eyes and mouth lie on one line: no face.
        """
        points = np.asarray(landmarks, np.float64)
        _check(points)
        h = homography(self.points[PLANE], points[PLANE])
        back = np.asarray(np.linalg.inv(h), np.float64)
        shift = project(back, points[_NOSE]) - self.points[_NOSE]
        bridge, lip = math.nan, math.nan
        if beside is not None and (length := float(np.linalg.norm(shift))) > 0:
            moved = [project(back, point) for point in np.asarray(beside, np.float64)] - midline(self.points)
            bridge, lip = (moved @ shift / length).tolist()
        jacobian = _jacobian(h, self.points[PLANE].mean(axis=0))
        extent = np.linalg.norm(jacobian, axis=0)
        area = abs(float(np.linalg.det(jacobian)))
        return Motion(
            across=float(shift[0]),
            down=float(shift[1]),
            width=float(extent[0] / extent[1]),
            scale=math.sqrt(area) / self.unit,
            mouth=_mouth(points) / _mouth(self.points),
            bridge=bridge,
            lip=lip,
        )


def midline(landmarks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Two more points of a front's midline, above and below the nose: between the eyes, and the lower lip; (2, 2)."""
    mouth = landmarks[3:].mean(axis=0)
    return np.stack([landmarks[:2].mean(axis=0), mouth + _BELOW * (mouth - landmarks[_NOSE])])


def _mouth(points: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(points[4] - points[3]) / np.linalg.norm(points[1] - points[0]))


def homography(source: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
    """The 3 × 3 matrix that takes four points (4, 2) to four others, its last element 1 (the direct linear transform).

    Raises FaceError where three points of either side lie on one line.
    """
    x, y = np.asarray(source, np.float64), np.asarray(target, np.float64)
    rows = []
    for (a, b), (u, v) in zip(x, y, strict=True):
        rows.append([a, b, 1, 0, 0, 0, -u * a, -u * b])
        rows.append([0, 0, 0, a, b, 1, -v * a, -v * b])
    try:
        h = np.append(np.linalg.solve(np.array(rows), y.ravel()), 1.0).reshape(3, 3)
    except np.linalg.LinAlgError as error:
        raise FaceError(_NO_PLANE) from error
    if not np.isfinite(h).all() or abs(float(np.linalg.det(h))) < 1e-9:
        raise FaceError(_NO_PLANE)
    return h


def project(h: NDArray[np.float64], point: ArrayLike) -> NDArray[np.float64]:
    """A point (2,) as the homography shows it."""
    x, y, w = h @ np.append(np.asarray(point, np.float64), 1.0)
    shown: NDArray[np.float64] = np.array([x, y], np.float64) / w
    return shown


_NO_PLANE = (
    "Expected eyes and mouth to lie apart, as a face's do, but they lie on one line; the face was not found well."
)


def _jacobian(h: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """The homography's derivative at a point, (2, 2): how it stretches what lies there."""
    w = float(h[2] @ np.append(at, 1.0))
    jacobian: NDArray[np.float64] = (h[:2, :2] - np.outer(project(h, at), h[2, :2])) / w
    return jacobian


def _upright(points: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Landmarks with the middle of the plane at 0, the eyes level and at a distance of 1; and that distance."""
    _check(points)
    across = points[1] - points[0]
    unit = float(np.linalg.norm(across))
    x = across / unit
    axes = np.column_stack([x, [-x[1], x[0]]])
    return (points - points[PLANE].mean(axis=0)) @ axes / unit, unit


def _check(points: NDArray[np.float64]) -> None:
    if points.shape != (5, 2) or not np.isfinite(points).all():
        raise FaceError(f"Expected five finite landmarks (5, 2), got shape {points.shape}.")
    if np.linalg.norm(points[1] - points[0]) < 1e-6:
        raise FaceError(_NO_PLANE)
