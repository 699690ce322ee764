"""Where things are before the camera: a photographed face, how it is turned, and which part of it each pixel sees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.errors import MissingExtra
from mien.faces.liveness.attacks.camera import Light, blurred, is_grey, planes, to_light
from mien.faces.records import Face, Image

try:
    import cv2
except ModuleNotFoundError as error:
    raise MissingExtra("Making attacks", "faces") from error

Plane = NDArray[np.float32]
"""One number a pixel, (n, n)."""

CONTEXT = 2.6
"""Side of the picture, in longer sides of the face's box."""
_BLACK = 4
_REACH = 1.7
"""How much of a photo is kept about a face, to each side, in longer sides of its box."""
_LARGEST = 220
"""The longer side of a kept face in pixels; no picture here shows it larger."""


@dataclass(frozen=True, eq=False)
class Source:
    """A photo of one real face."""

    pixels: Image
    """The face and its surroundings (H, W, 3)."""
    grey: bool
    """Whether the photo carries no colour, and so may give no colour cues."""
    centre: tuple[float, float]
    """Of the face's box, x and y in pixels."""
    side: float
    """The longer side of the face's box in pixels: the unit of everything here."""
    eyes: NDArray[np.float32]
    """(2, 2): both eyes, from `centre`, in units of `side`."""
    person: str
    name: str
    """The photo's, without its ending."""

    @property
    def colour(self) -> bool:
        """Whether it may carry colour cues."""
        return not self.grey

    @property
    def light(self) -> Light:
        """Linear light (H, W, C); one channel where the photo is grey."""
        return to_light(self.pixels, grey=self.grey)

    @property
    def reach(self) -> tuple[float, float, float, float]:
        """How far the photo goes to the left, upwards, to the right and downwards of the face, in units of `side`."""
        height, width = self.pixels.shape[:2]
        x, y = self.centre
        return x / self.side, y / self.side, (width - x) / self.side, (height - y) / self.side


def source_of(pixels: Image, face: Face, *, person: str, name: str) -> Source:
    """The photo with its face measured, cut and shrunk to what is needed of it.

    Black wedges at its edges, from being turned upright, are filled.
    """
    x, y, width, height = face.box
    middle, side = np.array([x + width / 2, y + height / 2]), max(width, height)
    low = np.clip(np.floor(middle - _REACH * side), 0, None).astype(int)
    high = np.ceil(middle + _REACH * side).astype(int)
    part = pixels[low[1] : high[1], low[0] : high[0]]
    shrink = min(1.0, _LARGEST / side)
    if shrink < 1:
        size = max(1, round(part.shape[1] * shrink)), max(1, round(part.shape[0] * shrink))
        part = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
    eyes = ((face.landmarks[:2] - middle) / side).astype(np.float32)
    across, down = (middle - low) * shrink
    return Source(_filled(part), is_grey(pixels), (float(across), float(down)), side * shrink, eyes, person, name)


def _filled(pixels: Image) -> Image:
    """Black that reaches the picture's edge replaced by what lies beside it."""
    dark = (pixels.max(axis=2) <= _BLACK).astype(np.uint8)
    count, labels = cv2.connectedComponents(dark)
    edge = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    hole = np.isin(labels, edge[edge > 0]) & (dark > 0)
    if count < 2 or not hole.any() or hole.mean() > 0.3:
        return pixels
    known = (cv2.erode((~hole).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0).astype(np.float32)
    total, weight = pixels * known[:, :, None], known.copy()
    filled, missing = pixels.astype(np.float32), known == 0
    for sigma in (2.0, 6.0, 18.0, 54.0):
        near = cv2.GaussianBlur(weight, (0, 0), sigma)
        value = cv2.GaussianBlur(total, (0, 0), sigma) / np.maximum(near, 1e-6)[:, :, None]
        now = missing & (near > 0.02)
        filled[now] = value[now]
        missing &= ~now
    return np.asarray(np.clip(filled + 0.5, 0, 255), np.uint8)


@dataclass(frozen=True, eq=False)
class View:
    """What part of the world each pixel of the picture sees, before anything is drawn."""

    a: Plane
    """To the picture's right from the middle of the face, in units of the face's longer side."""
    b: Plane
    """Downwards, likewise."""
    face: float
    """Pixels of the face's longer side."""

    @property
    def side(self) -> int:
        """Of the picture, in pixels."""
        return int(self.a.shape[0])


def draw_view(
    random: np.random.Generator, face: float, *, tilt: float = 0.05, turn: float = 6.0, shift: float = 0.12
) -> View:
    """A view of something flat at the face's place: turned in the picture by degrees, tilted against the camera."""
    side = round(CONTEXT * face)
    x = (np.arange(side, dtype=np.float32) - (side - 1) / 2) / np.float32(face)
    right, down = np.meshgrid(
        x - np.float32(random.uniform(-shift, shift)), x - np.float32(random.uniform(-shift, shift))
    )
    angle = np.radians(random.normal(0, turn / 2))
    p, q = random.normal(0, tilt, 2)
    w = np.clip(1 + p * right + q * down, 0.5, 2)
    a = (np.cos(angle) * right + np.sin(angle) * down) / w
    b = (np.cos(angle) * down - np.sin(angle) * right) / w
    return View(a.astype(np.float32), b.astype(np.float32), face)


def sample(source: Source, view: View, *, a: Plane | None = None, b: Plane | None = None) -> Light:
    """The photo's light as the view sees it; `a` and `b` where its surface is bent or its face turned."""
    a, b = view.a if a is None else a, view.b if b is None else b
    shrunk = source.side / view.face
    light = blurred(source.light, 0.45 * shrunk if shrunk > 1.2 else 0.0)
    u = a * np.float32(source.side) + np.float32(source.centre[0] - 0.5)
    v = b * np.float32(source.side) + np.float32(source.centre[1] - 0.5)
    return planes(cv2.remap(light, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101))


def turned(view: View, yaw: float, pitch: float) -> tuple[Plane, Plane]:
    """Where to sample a face that turned its head a little, as a solid: `yaw`, `pitch` in units of the face's side.

    What lies in front moves most: depth is half an ellipsoid on the face, so the surroundings stay.
    """
    d = np.sqrt(np.clip(1 - (view.a / 0.62) ** 2 - (view.b / 0.78) ** 2, 0, None))
    return np.asarray(view.a - np.float32(yaw) * d), np.asarray(view.b - np.float32(pitch) * d)


def draw_turn(random: np.random.Generator, view: View, chance: float) -> tuple[Plane, Plane]:
    """A head turned with that chance; the plain view otherwise."""
    if random.random() >= chance:
        return view.a, view.b
    return turned(view, float(random.normal(0, 0.06)), float(random.normal(0, 0.04)))


# ---- shapes and patterns ---------------------------------------------------------------------------------------------


def inside_box(a: Plane, b: Plane, box: tuple[float, float, float, float], radius: float = 0.0) -> Plane:
    """How far inside a box with round corners each point lies (negative: outside); box: left, top, right, bottom."""
    left, top, right, bottom = box
    x = np.abs(a - (left + right) / 2) - (right - left) / 2 + radius
    y = np.abs(b - (top + bottom) / 2) - (bottom - top) / 2 + radius
    outside = np.hypot(np.maximum(x, 0), np.maximum(y, 0))
    return np.asarray(radius - outside - np.minimum(np.maximum(x, y), 0), np.float32)


def covered(inside: Plane, face: float, *, soft: float = 1.0) -> Light:
    """How much of each pixel lies inside, (n, n, 1): 0 to 1 over `soft` pixels of the edge."""
    return np.asarray(np.clip(0.5 + inside * np.float32(face / soft), 0, 1)[:, :, None], np.float32)


def clouds(random: np.random.Generator, shape: tuple[int, int], cell: float) -> Plane:
    """Smooth noise of mean 0 and deviation about 1, whose hills are `cell` pixels wide."""
    rows, columns = (max(2, int(np.ceil(n / max(cell, 1.0))) + 2) for n in shape)
    coarse = random.standard_normal((rows, columns), dtype=np.float32)
    wide = cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    return np.asarray(wide * np.float32(1.3), np.float32)


def tint(random: np.random.Generator, channels: int, spread: float) -> Light:
    """A colour near white (1, 1, C), its luminance left at about 1; plain 1 for grey pictures."""
    if channels == 1:
        return np.ones((1, 1, 1), np.float32)
    return (1 + random.normal(0, spread, 3)).astype(np.float32)[None, None]
