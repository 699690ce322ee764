"""Clips of a head that turns, and of a photo that is held up, made from one real photo: for tests and rehearsals.

Synthetic, and said so: the head is the photo laid upon a smooth mean face (an egg with a nose), seen by a pinhole
camera at ten eye distances (about 63 cm). It has no neck, no far cheek, no light that moves; it shows that a session
follows a solid face and not a sheet, and nothing about how many real people pass. A video of such a head, fed in place
of a camera, passes a session: it is a puppet, and stands for every one that a session cannot tell from a person.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import FaceError, OptionError
from mien.faces.detect import Detector
from mien.faces.liveness.challenge import STEPS
from mien.faces.records import Image

_Grid = NDArray[np.float32]

_AWAY = 10.0
"""From the camera to the face, in eye distances."""
_EYES = 0.1
"""Pixels between the eyes, over the frame's width: as somebody who sits before a laptop."""
_BULGE, _NOSE = 1.2, 0.27
"""How far the face's middle stands before its rim, and the tip of the nose before that; in eye distances. Together the
nose is 0.43 before the plane of the eyes and the corners of the mouth, as an average one."""
_PIVOT = 1.2
"""How far behind the face a head turns about, in eye distances: its middle, so that its rim stays where it is."""
_ROUNDS = 12
_REACH, _FINE = 4, 50  # of the relief: eye distances, and its points for each


@dataclass(frozen=True)
class Pose:
    """Where a face looks, in degrees, and how large it is."""

    yaw: float = 0.0
    """Positive to the person's own left, the picture's right."""
    pitch: float = 0.0
    """Positive down."""
    scale: float = 1.0


_REACHED = {"left": (1, 0), "right": (-1, 0), "up": (0, -1), "down": (0, 1)}


def movement(
    steps: Sequence[str],
    *,
    fps: float = 12.0,
    angle: float = 28.0,
    closer: float = 1.4,
    rest: float = 1.0,
    turn: float = 0.6,
    hold: float = 0.4,
) -> list[Pose]:
    """The poses of a face that rests, does each step, and rests again; `rest`, `turn` and `hold` in seconds.

    angle: of every turn, in degrees; closer: how much larger the face becomes for that step.
    """
    unknown = sorted(set(steps) - set(STEPS))
    if unknown or not (fps > 0 and 0 <= abs(angle) <= 60 and closer > 0):
        raise OptionError(
            f"Expected steps out of {', '.join(STEPS)}, a rate above 0 and an angle up to 60 degrees; "
            f"got {', '.join(steps)}, {fps} and {angle}."
        )
    still, moving, held = (max(1, round(seconds * fps)) for seconds in (rest, turn, hold))
    # Half a wave of the cosine: a head starts and stops softly.
    rise = [(1 - math.cos(math.pi * (i + 1) / moving)) / 2 for i in range(moving)]
    path = [*rise, *[1.0] * held, *rise[-2::-1], 0.0]
    poses = [Pose()] * still
    for step in steps:
        if step == "closer":
            poses += [Pose(scale=1 + (closer - 1) * part) for part in path]
        else:
            x, y = _REACHED[step]
            poses += [Pose(x * angle * part, y * angle * part) for part in path]
        poses += [Pose()] * still
    return poses


class Stage:
    """A photo before a camera, as a head or as a sheet; `view` gives single frames."""

    def __init__(
        self, photo: Image, *, size: tuple[int, int] = (480, 640), detector: Detector | None = None, eyes: float = _EYES
    ) -> None:
        """`photo`: (H, W, 3) RGB, its largest face is taken; `size`: height and width of the frames.

        `eyes`: distance between the eyes, over the frame's width.

        Raises FaceError if no face is found.
        """
        faces = (detector or Detector()).detect(photo)
        if not faces:
            raise FaceError("Expected a photo with a face to rehearse with, found none.")
        marks = faces[0].landmarks.astype(np.float64)
        self.photo, self.size = photo, size
        self._unit = float(np.linalg.norm(marks[1] - marks[0]))  # pixels of the photo
        self._centre = marks[[0, 1, 3, 4]].mean(axis=0)
        self._nose = (marks[2] - self._centre) / self._unit
        self._focal = eyes * size[1] * _AWAY  # pixels of the frame
        rows, columns = np.mgrid[: size[0], : size[1]].astype(np.float32)
        # Rays of the pinhole camera; the face is in the frame's middle, a little above.
        self._rays_x: _Grid = (columns - (size[1] - 1) / 2) / np.float32(self._focal)
        self._rays_y: _Grid = (rows - (size[0] - 1) * 0.48) / np.float32(self._focal)
        self._relief = _relief(self._nose)

    def head(self, pose: Pose, *, sway: tuple[float, float] = (0.0, 0.0)) -> Image:
        """The photo's face as a head in space; what is around it stays where it was.

        sway: shift of the whole view, in eye distances.
        """
        height, width = self.size
        # The face is smooth: its rays are followed for one pixel in four, and the rest lies between.
        half = (width // 2, height // 2)
        x, y = (
            np.asarray(cv2.resize(rays, half, interpolation=cv2.INTER_AREA), np.float32)
            for rays in (self._rays_x, self._rays_y)
        )
        origin, across, down, into = _turned(x, y, pose, sway, pivot=_PIVOT)
        u, v = straight_u, straight_v = _straight(x, y, pose, sway)
        for _ in range(_ROUNDS):  # where each ray meets the face: its height there, until that no longer changes
            t = (-self._height(u, v) - np.float32(origin[2])) / into
            u, v = np.float32(origin[0]) + t * across, np.float32(origin[1]) + t * down
        mask = np.exp(-((straight_u / 1.5) ** 6) - ((straight_v + 0.3) / 2.1) ** 6)
        moved_u, moved_v = (
            cv2.resize(np.asarray(part * mask, np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
            for part in (u - straight_u, v - straight_v)
        )
        full_u, full_v = _straight(self._rays_x, self._rays_y, pose, sway)
        return self._lookup(full_u + moved_u, full_v + moved_v)

    def sheet(
        self,
        pose: Pose,
        *,
        sway: tuple[float, float] = (0.0, 0.0),
        bend: float = 0.0,
        fold: float = 0.0,
        crease: float = 0.0,
    ) -> Image:
        """The photo as a sheet of paper before a grey wall.

        bend: 1 / radius of a pipe that it lies around, upright, in eye distances; 0 for a flat sheet. A head's is 0.84.
        fold: degrees by which each half is tilted back from an upright crease through the nose, like a roof. Printed so
        much wider that it looks like the photo from the front. crease: how far right of the nose, in eye distances.
        """
        origin, across, down, into = _turned(self._rays_x, self._rays_y, pose, sway)
        if fold:
            middle = np.array([self._nose[0] + crease, 0.0, 0.0])
            u, v, inside = _on_roof(origin - middle, across, down, into, math.tan(math.radians(fold)))
            u += np.float32(middle[0])
        elif bend:
            u, v, inside = _on_pipe(origin, across, down, into, 1 / bend)
        else:
            t = -origin[2] / into
            u, v = origin[0] + t * across, origin[1] + t * down
            inside = np.ones_like(u, dtype=bool)
        frame = self._lookup(u, v, border=cv2.BORDER_CONSTANT)
        x, y = self._pixels(u, v)
        inside &= (x > 0) & (x < self.photo.shape[1] - 1) & (y > 0) & (y < self.photo.shape[0] - 1)
        frame[~inside] = 130
        return frame

    def _height(self, u: _Grid, v: _Grid) -> _Grid:
        """The face's relief at places in its own axes."""
        column, row = ((np.asarray(part, np.float32) + _REACH) * _FINE for part in (u, v))
        return np.asarray(cv2.remap(self._relief, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))

    def _pixels(self, u: _Grid, v: _Grid) -> tuple[_Grid, _Grid]:
        return (
            (u * self._unit + self._centre[0]).astype(np.float32),
            (v * self._unit + self._centre[1]).astype(np.float32),
        )

    def _lookup(self, u: _Grid, v: _Grid, *, border: int = cv2.BORDER_REPLICATE) -> Image:
        x, y = self._pixels(u, v)
        return np.asarray(cv2.remap(self.photo, x, y, cv2.INTER_CUBIC, borderMode=border), np.uint8)


def _turned(
    x: _Grid, y: _Grid, pose: Pose, sway: tuple[float, float], *, pivot: float = 0.0
) -> tuple[NDArray[np.float64], _Grid, _Grid, _Grid]:
    """The camera's place and its rays, in the turned face's own axes: x right, y down, z away from the camera."""
    yaw, pitch = math.radians(pose.yaw), math.radians(pose.pitch)
    # A point before the face (z < 0) moves right with yaw and down with pitch.
    about_y = np.array([[math.cos(yaw), 0, -math.sin(yaw)], [0, 1, 0], [math.sin(yaw), 0, math.cos(yaw)]])
    about_x = np.array([[1, 0, 0], [0, math.cos(pitch), -math.sin(pitch)], [0, math.sin(pitch), math.cos(pitch)]])
    back = np.asarray((about_x @ about_y).T, np.float64)
    x, y = x - np.float32(sway[0] / _AWAY), y - np.float32(sway[1] / _AWAY)
    across, down, into = (np.float32(row[0]) * x + np.float32(row[1]) * y + np.float32(row[2]) for row in back)
    # Coming closer shortens the way to the camera.
    place = back @ np.array([0, 0, -_AWAY / pose.scale - pivot]) + np.array([0, 0, pivot])
    return np.asarray(place, np.float64), across, down, into


def _straight(x: _Grid, y: _Grid, pose: Pose, sway: tuple[float, float]) -> tuple[_Grid, _Grid]:
    """Where the rays meet the plane of eyes and mouth of a face that has not turned."""
    away = np.float32(_AWAY / pose.scale)
    return (x - np.float32(sway[0] / _AWAY)) * away, (y - np.float32(sway[1] / _AWAY)) * away


def _relief(nose: NDArray[np.float64]) -> _Grid:
    """Heights of the mean face over a square about the point between eyes and mouth, where it is 0; in eye distances.

    nose: where its tip lies.
    """
    v, u = np.mgrid[-_REACH : _REACH : 1 / _FINE, -_REACH : _REACH : 1 / _FINE]
    egg = _BULGE * np.exp(-0.55 * u**2 - ((v + 0.2) / 1.8) ** 4)
    below = v - nose[1]
    # The tip's underside is short; the bridge falls so that it moves with the tip as a real one does, when tracked.
    long = np.where(below > 0, 0.2, 0.28)
    bump = _NOSE * np.exp(-((u - nose[0]) ** 2) / (2 * 0.17**2) - below**2 / (2 * long**2))
    return np.asarray(egg + bump - _BULGE, np.float32)


def _on_pipe(
    origin: NDArray[np.float64], across: _Grid, down: _Grid, into: _Grid, radius: float
) -> tuple[_Grid, _Grid, NDArray[np.bool_]]:
    """Where rays meet an upright pipe whose nearest line is the sheet's middle, unrolled; and whether they do."""
    a = across**2 + into**2
    z = origin[2] - radius
    b = origin[0] * across + z * into
    root = b**2 - a * (origin[0] ** 2 + z**2 - radius**2)
    inside = root > 0
    t = (-b - np.sqrt(np.maximum(root, 0))) / a
    x = np.clip((origin[0] + t * across) / radius, -1, 1)
    u = radius * np.arcsin(x)
    return u.astype(np.float32), (origin[1] + t * down).astype(np.float32), inside & (np.abs(x) < 0.98)


def _on_roof(
    origin: NDArray[np.float64], across: _Grid, down: _Grid, into: _Grid, slope: float
) -> tuple[_Grid, _Grid, NDArray[np.bool_]]:
    """Where rays meet two half planes z = slope |x|, seen from the side of their ridge; and whether they do."""
    nearest = np.full_like(across, np.inf)
    for side in (1, -1):
        with np.errstate(divide="ignore"):
            t = (side * slope * origin[0] - origin[2]) / (into - np.float32(side * slope) * across)
        nearest = np.where((t > 0) & (side * (origin[0] + t * across) >= 0), np.minimum(nearest, t), nearest)
    inside = np.isfinite(nearest)
    t = np.where(inside, nearest, 0)
    return (origin[0] + t * across).astype(np.float32), (origin[1] + t * down).astype(np.float32), inside


def filmed(
    poses: Iterable[Pose], view: Callable[..., Image], *, seed: int = 0, noise: float = 2.0, tremor: float = 1.0
) -> Iterator[Image]:
    """The frames of a camera: `view` of each pose, with a tremor of the hand or the neck, and the sensor's noise.

    noise: standard deviation in 8-bit steps, new in every frame; tremor: 1 is about a degree, and 2 mm.
    """
    random = np.random.default_rng(seed)
    drift = np.zeros(4)
    for pose in poses:
        # Slow wander: each frame keeps nine tenths of the last one's place.
        drift = 0.9 * drift + math.sqrt(1 - 0.9**2) * random.normal(size=4)
        yaw, pitch, x, y = tremor * drift * [0.8, 0.8, 0.03, 0.03]
        frame = view(Pose(pose.yaw + yaw, pose.pitch + pitch, pose.scale), sway=(x, y))
        grain = np.float32(noise) * random.standard_normal(frame.shape[:2], np.float32)
        yield np.clip(np.rint(frame + grain[..., None]), 0, 255).astype(np.uint8)


def head_turn(photo: Image, steps: Sequence[str], *, seed: int = 0, fps: float = 12.0, **how: float) -> Iterator[Image]:
    """A clip of the photo's face as a head that does the steps; `how` as in `movement`."""
    stage = Stage(photo)
    yield from filmed(movement(steps, fps=fps, **how), stage.head, seed=seed)


def flat_turn(photo: Image, steps: Sequence[str], *, seed: int = 0, fps: float = 12.0, **how: float) -> Iterator[Image]:
    """A clip of the same motion of the photo as a flat sheet; `how` as in `movement`."""
    stage = Stage(photo)
    yield from filmed(movement(steps, fps=fps, **how), stage.sheet, seed=seed)


def still(photo: Image, *, seconds: float = 8.0, seed: int = 0, fps: float = 12.0) -> Iterator[Image]:
    """A clip of the photo held up by a hand that trembles."""
    stage = Stage(photo)
    yield from filmed([Pose()] * max(1, round(seconds * fps)), stage.sheet, seed=seed)
