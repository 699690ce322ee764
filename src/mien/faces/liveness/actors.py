"""Who acts in the scripted attacks: two photos as heads and as sheets, filmed once, seen once by the real networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mien.errors import OptionError
from mien.faces.calibration import load_calibration
from mien.faces.liveness.challenge import TURNS
from mien.faces.liveness.rehearsal import Pose, Stage, filmed, movement
from mien.faces.pipeline import FacePipeline
from mien.faces.records import Encodings, Face, Image

FPS = 10.0
_SHEETS = {
    "sheet": (0.0, 0.0, 0.0),
    "bent": (0.84, 0.0, 0.0),
    "aside": (0.84, 0.0, 0.0),
    "folded": (0.0, 35.0, 0.0),
    "folded beside": (0.0, 40.0, 0.1),
    "folded aside": (0.0, 35.0, 0.0),
}
"""Bend, fold and crease of each sheet: flat, around a pipe, folded along the nose or a little beside it."""
_ANGLES = {"head": 28.0, "folded": 32.0, "folded beside": 32.0, "folded aside": 32.0}
_AWAY = {"aside": 20, "folded aside": 12}
_SIZE, _EYES = (240, 320), 0.14  # small frames: the face has as many pixels as at a door, the room has fewer


@dataclass(eq=False)
class Shot:
    """A frame that was filmed before, and what the networks see in it, once they have looked."""

    image: Image
    faces: list[Face] | None = None
    encoding: NDArray[np.float32] | None = None


@dataclass(frozen=True, eq=False)
class Take:
    """A shot as it is shown in a try."""

    shot: Shot
    taken: float
    """What the camera's clock is said to be."""
    shown: float
    """What the door's clock is."""
    light: int
    """Added to every pixel."""
    mark: int
    """Makes the frame another one; the same again is a repeated frame."""

    @property
    def image(self) -> Image:
        """The frame's pixels."""
        image = np.clip(self.shot.image.astype(np.int16) + self.light, 0, 255).astype(np.uint8)
        image[0, 0] = [self.mark & 255, self.mark >> 8 & 255, self.mark >> 16 & 255]
        return image


class Projector:
    """A pipeline that looks at each shot once, however often it is shown."""

    def __init__(self, pipeline: FacePipeline) -> None:
        self.pipeline, self.encoder = pipeline, pipeline.encoder
        self.shot = Shot(np.zeros((1, 1, 3), np.uint8))

    def faces(self, image: Image) -> list[Face]:
        """The faces in the shot that is shown; `image` differs from it by its light."""
        if self.shot.faces is None:
            self.shot.faces = self.pipeline.faces(self.shot.image)
        return self.shot.faces

    def encode(self, image: Image, faces: Sequence[Face]) -> Encodings:
        """The encoding of the shot's largest face, shape (1, D)."""
        if self.shot.encoding is None:
            self.shot.encoding = self.pipeline.encode(self.shot.image, faces[:1])[0]
        return self.shot.encoding[None]


class Cast:
    """Two people's photos, as heads and as sheets; their clips are made when they are first asked for."""

    def __init__(self, pipeline: FacePipeline, photos: Sequence[Image], *, seed: int = 0) -> None:
        if len(photos) != 2:
            raise OptionError(f"Expected photos of two people to act with, got {len(photos)}.")
        self.projector = Projector(pipeline)
        self.calibration = load_calibration("sface")
        self._stages = [Stage(photo, size=_SIZE, detector=pipeline.detector, eyes=_EYES) for photo in photos]
        self._clips: dict[tuple[int, str, str], list[Shot]] = {}
        self._seed = seed

    def clip(self, who: int, kind: str, step: str) -> list[Shot]:
        """Person `who` (0 or 1), as a `head` or one of _SHEETS, doing a step or `rest`."""
        key = (who, kind, step)
        if key not in self._clips:
            seed = self._seed + len(self._clips)
            self._clips[key] = [Shot(image) for image in filmed(_path(kind, step), self._view(who, kind), seed=seed)]
        return self._clips[key]

    def pair(self) -> list[Shot]:
        """Both people in one picture."""
        key = (0, "pair", "rest")
        if key not in self._clips:
            half = _SIZE[1] // 4
            both = zip(self.clip(0, "head", "rest"), self.clip(1, "head", "rest"), strict=True)
            self._clips[key] = [
                Shot(np.hstack([first.image[:, half:-half], second.image[:, half:-half]])) for first, second in both
            ]
        return self._clips[key]

    def _view(self, who: int, kind: str) -> Callable[..., Image]:
        stage = self._stages[who]
        if kind == "head":
            return stage.head
        bend, fold, crease = _SHEETS[kind]
        return partial(stage.sheet, bend=bend, fold=fold, crease=crease)


def _path(kind: str, step: str) -> list[Pose]:
    """The poses of a clip: a head turns by 28 degrees, a sheet by more, to make up for what it lacks."""
    if step == "rest":
        return [Pose()] * 12
    poses = movement((step,), fps=FPS, angle=_ANGLES.get(kind, 45), rest=0.0, closer=1.45)
    if kind not in _AWAY or step == "closer":
        return poses
    # Held aslant at the front already, to the other side, so that it turns further.
    by = _AWAY[kind]
    away = {turn: Pose(by * x, by * y) for turn, (x, y) in zip(TURNS, ((-1, 0), (1, 0), (0, 1), (0, -1)), strict=True)}
    return [Pose(pose.yaw + away[step].yaw, pose.pitch + away[step].pitch, pose.scale) for pose in poses]
