"""The landmarks followed from a person's front into later frames, to a part of a pixel.

The detector finds a landmark to about a twentieth of the distance between the eyes, and draws a turned nose back
towards where noses mostly are: good enough to cut a face out, too rough to tell a head from a sheet (of a turned photo,
it shows 0.06 of parallax that is not there; of a nod, a quarter of what is). So each landmark is followed as a patch of
skin: nine points about it, each by the method of Lucas & Kanade (IJCAI 1981) in a pyramid (Bouguet 2000), there and
back again, as in forward-backward error (Kalal et al., ICPR 2010); their median is where the landmark went. The same
turned photo then gives 0.00, and the nod three quarters.

Two more points are followed in the same way, between the eyes and at the lower lip, for a print that is folded along
the nose. They may get lost without the face being lost.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.faces.align import similarity_transform
from mien.faces.liveness.geometry import PLANE, Front, Motion, midline
from mien.faces.records import Image

_Points = NDArray[np.float64]
_Grey = NDArray[np.uint8]

_LANDMARKS = 5
"""The detector's; the points of the midline come after them, and may be lost."""
_UNIT, _SIDE = 64, 224
"""Faces are compared at 64 pixels between the eyes, in a square of 224."""
_WINDOW = 15
"""Side of the patch around each point: the nose's tip must not take the cheek along."""
_SPREAD = 0.12
"""Between the nine points of a landmark, in eye distances."""
_ASTRAY = 0.05
"""A point that comes back further than this from where it set out, in eye distances, has been lost."""
_LEAST = 3
"""Of nine points, as many must be found again, ..."""
_APART = 0.05
"""... and most of them must have gone the same way, to so many eye distances."""
_FAR = 0.35
"""A landmark so far from where the detector sees it, in eye distances, has slipped: onto the hair, say."""
_ALONG = 0.7
"""How far the midline's points are thought to have gone with the nose, before the search: between head and fold."""
_ROUNDS = 2
_STOP = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 20, 0.02)
_CLUSTER = np.array([(x, y) for x in (-1, 0, 1) for y in (-1, 0, 1)], np.float64) * _SPREAD * _UNIT


class _View:
    """A face in a frame: its square, and where its points lie in it: five landmarks, and two of the midline."""

    def __init__(self, grey: _Grey, points: _Points, matrix: _Points) -> None:
        self.square = _cut(grey, matrix)
        self.points = points @ matrix[:, :2].T + matrix[:, 2]


class Tracker:
    """Follows a face from its front; one for each try."""

    def __init__(self, image: Image, landmarks: Sequence[NDArray[np.float32]]) -> None:
        """`image` is the last frame from the front; `landmarks`, (5, 2) each, are the detector's of all of them."""
        self.front = Front(landmarks)
        self._layout = np.vstack([self.front.points, midline(self.front.points)]) * _UNIT + _SIDE / 2
        last = np.asarray(landmarks[-1], np.float64)
        grey = _grey(image)
        matrix = similarity_transform(last[PLANE], self._layout[PLANE])
        inverse = cv2.invertAffineTransform(matrix)
        self._origin = self._layout @ inverse[:, :2].T + inverse[:, 2]
        # The measure is the front as it is seen here: the detector's error is the same in all that follows.
        self.front = Front([self._origin[:_LANDMARKS]])
        self._first = self._latest = _View(grey, self._origin, matrix)

    def follow(self, image: Image, landmarks: NDArray[np.float32]) -> Motion | None:
        """How the face has moved since its front, or None where one of its five landmarks has been lost.

        landmarks: the detector's in this frame, (5, 2), from where the search begins.
        """
        grey = _grey(image)
        guess = np.asarray(landmarks, np.float64)
        # From the front where that is near enough, so that no error gathers; else from the last frame that was found.
        for view in dict.fromkeys((self._first, self._latest)):
            points = self._search(grey, view, guess)
            if points is not None:
                self._latest = _View(grey, points, _affine(points[PLANE], self._layout[PLANE]))
                return self.front.motion(points[:_LANDMARKS], points[_LANDMARKS:])
        return None

    def _search(self, grey: _Grey, view: _View, guess: _Points) -> _Points | None:
        landmarks, beside = guess, None
        for _ in range(_ROUNDS):
            # Laid upon the view, plane upon plane, what is left to search is little: the nose's parallax.
            matrix = _affine(landmarks[PLANE], view.points[PLANE])
            if not 0.1 < abs(np.linalg.det(matrix[:, :2])) * self.front.unit**2 / _UNIT**2 < 10:
                return None
            start = landmarks @ matrix[:, :2].T + matrix[:, 2]
            ahead = view.points[_LANDMARKS:] + _ALONG * (start - view.points[:_LANDMARKS])[2]
            if beside is not None:
                again = beside @ matrix[:, :2].T + matrix[:, 2]
                ahead = np.where(np.isfinite(again), again, ahead)
            found = _flow(view, _cut(grey, matrix), np.vstack([start, ahead]))
            if found is None:
                return None
            inverse = cv2.invertAffineTransform(matrix)
            points: _Points = found @ inverse[:, :2].T + inverse[:, 2]
            landmarks, beside = points[:_LANDMARKS], points[_LANDMARKS:]
        unit = float(np.linalg.norm(landmarks[1] - landmarks[0]))
        return points if np.linalg.norm(landmarks - guess, axis=1).max() <= _FAR * unit else None


def _flow(view: _View, square: _Grey, guess: _Points) -> _Points | None:
    """Where the view's points lie in another square, or None if a landmark is nowhere; NaN for the midline's two."""
    known: NDArray[np.bool_] = np.asarray(np.isfinite(view.points).all(axis=1))
    start = _clusters(np.where(known[:, None], view.points, 0))
    there, found = _lucas_kanade(view.square, square, start, _clusters(np.where(known[:, None], guess, 0)))
    back, found_again = _lucas_kanade(square, view.square, there, start)
    good = found & found_again & (np.linalg.norm(back - start, axis=1) < _ASTRAY * _UNIT)
    shifts = (there - start).reshape(len(known), len(_CLUSTER), 2)
    kept = good.reshape(len(known), len(_CLUSTER)) & known[:, None]
    moved = np.stack([_agreed(shift[keep]) for shift, keep in zip(shifts, kept, strict=True)])
    return view.points + moved if np.isfinite(moved[:_LANDMARKS]).all() else None


def _agreed(shifts: NDArray[np.float32]) -> _Points:
    """Where a point's patch has gone, (2,): the median, or NaN where too few were found, or they went astray."""
    lost = np.full(2, np.nan)
    if len(shifts) < _LEAST:
        return lost
    middle = np.median(shifts, axis=0).astype(np.float64)
    return middle if np.median(np.linalg.norm(shifts - middle, axis=1)) <= _APART * _UNIT else lost


def _lucas_kanade(
    first: _Grey, second: _Grey, points: NDArray[np.float32], guess: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    moved, found, _ = cv2.calcOpticalFlowPyrLK(
        first,
        second,
        points[:, None],
        guess[:, None].copy(),
        winSize=(_WINDOW, _WINDOW),
        maxLevel=2,
        criteria=_STOP,
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
    )
    return np.asarray(moved[:, 0], np.float32), np.asarray(found[:, 0] > 0)


def _clusters(points: _Points) -> NDArray[np.float32]:
    return (points[:, None] + _CLUSTER).reshape(-1, 2).astype(np.float32)


def _affine(source: _Points, target: _Points) -> _Points:
    """The affine map (2, 3) that lays points (N, 2) upon others with the least squared error."""
    rows = np.column_stack([source, np.ones(len(source))])
    return np.asarray(np.linalg.lstsq(rows, target, rcond=None)[0].T, np.float64)


def _grey(image: Image) -> _Grey:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)


def _cut(grey: _Grey, matrix: _Points) -> _Grey:
    square = cv2.warpAffine(grey, matrix, (_SIDE, _SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(square, np.uint8)
