"""One labelled picture: a living face, or one of the attacks, before the same camera."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np

from mien.errors import OptionError
from mien.faces.liveness.attacks import prints, screens
from mien.faces.liveness.attacks.camera import Light, blurred, draw_camera, photograph
from mien.faces.liveness.attacks.prints import Presented
from mien.faces.liveness.attacks.scene import (
    Source,
    View,
    clouds,
    covered,
    draw_turn,
    draw_view,
    inside_box,
    sample,
    tint,
)

Quality = Literal["low", "high"]
QUALITIES: tuple[Quality, ...] = ("low", "high")

SPECIES: Mapping[str, Callable[..., Presented]] = MappingProxyType(
    {
        "print-halftone": prints.halftone,
        "print-paper": prints.photo_print,
        "print-mask": prints.mask,
        "replay-screen": screens.monitor,
        "replay-phone": screens.telephone,
    }
)
"""Presentation attack instrument species, in the words of ISO/IEC 30107-3, with what draws each."""

UNTESTED = (
    "silicone masks",
    "other masks with a face's depth, such as 3D prints",
    "make-up",
    "videos fed past the camera",
)
"""Attacks that nothing here makes or measures."""

DISTANCES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"near": (150.0, 190.0), "middle": (100.0, 140.0), "far": (64.0, 92.0)}
)
"""The longer side of the face's box in pixels, least and most."""

LIVE = "live"


@dataclass(frozen=True)
class Presentation:
    """What is presented to the camera."""

    species: str
    """`live`, or one of `SPECIES`."""
    quality: Quality | None
    """How good the attack is; None for a living face."""
    distance: str
    """`near`, `middle` or `far`."""

    def __post_init__(self) -> None:
        if self.species != LIVE and self.species not in SPECIES:
            raise OptionError(f"Expected live or one of {', '.join(SPECIES)}, got {self.species!r}.")
        if self.distance not in DISTANCES:
            raise OptionError(f"Expected a distance of {', '.join(DISTANCES)}, got {self.distance!r}.")
        if self.species != LIVE and self.quality not in QUALITIES:
            raise OptionError(f"Expected an attack of low or high quality, got {self.quality!r}.")

    @property
    def label(self) -> Literal["live", "attack"]:
        """What a network should say."""
        return "live" if self.species == LIVE else "attack"


def take_picture(source: Source, what: Presentation, behind: Source, random: np.random.Generator) -> bytes:
    """A JPEG of `source`'s face as presented, before a background that is made of `behind`, somebody else's photo.

    Grey photos give grey pictures, in whose making no colour takes part. All that is random comes from `random`.
    """
    face = float(random.uniform(*DISTANCES[what.distance]))
    channels = 3 if source.colour else 1
    if what.species == LIVE:
        scene = _living(source, face, random)
    else:
        view = draw_view(random, face, tilt=0.09, turn=10.0)
        light, cover = SPECIES[what.species](source, view, random, high=what.quality == "high")
        scene = _over(_background(behind, what.species, face, channels, random), light, cover, face, random)
    return photograph(scene, draw_camera(random, face), random)


def _living(source: Source, face: float, random: np.random.Generator) -> Light:
    view = draw_view(random, face, tilt=0.03, turn=12.0)
    a, b = draw_turn(random, view, 0.5)
    light = sample(source, view, a=a, b=b)
    if random.random() < 0.45:
        light = _with_things(light, view, random)
    if random.random() < 0.3:
        soft = clouds(random, a.shape, face * 0.8)[:, :, None]
        light = light * np.exp(np.float32(0.2) * soft)
    if random.random() < 0.15:
        x, y = random.uniform(-1.1, 1.1, 2)
        lamp = np.exp(-((view.a - x) ** 2 + (view.b - y) ** 2) / random.uniform(0.02, 0.2))
        light = light + np.float32(random.uniform(0.05, 0.4)) * lamp[:, :, None]
    return np.asarray(light, np.float32)


def _with_things(light: Light, view: View, random: np.random.Generator) -> Light:
    """Doors, frames and screens beside and behind a living head: straight edges alone are no attack."""
    body = np.hypot(view.a / 0.72, view.b / 0.85) < 1
    body |= (view.b > 0.45) & (np.abs(view.a) < 0.55 + 0.7 * (view.b - 0.3))
    free = blurred((~body).astype(np.float32)[:, :, None], 0.03 * view.face)
    for _ in range(int(random.integers(1, 4))):
        soft, level = float(random.uniform(1, 4)), np.float32(random.choice([0.01, 0.05, 0.2, 0.5, 0.85]))
        if random.random() < 0.4:  # a doorway, window or picture right behind the head: the wall about it
            left, top, right, bottom = random.uniform(0.6, 1.1, 4)
            there = 1 - covered(inside_box(view.a, view.b, (-left, -top, right, 2 * bottom)), view.face, soft=soft)
        else:
            x, y = random.uniform(-1.5, 1.5), random.uniform(-1.5, 1.2)
            box = (x, y, x + random.uniform(0.1, 1.5), y + random.uniform(0.2, 2.5))
            there = covered(inside_box(view.a, view.b, box), view.face, soft=soft)
        there = there * free
        light = light * (1 - there) + level * tint(random, light.shape[2], 0.08) * there
    return light


def _background(behind: Source, species: str, face: float, channels: int, random: np.random.Generator) -> Light:
    """Whoever holds the picture up, the room behind them out of focus, or a wall."""
    kind = "holder" if species == "print-mask" else str(random.choice(["holder", "room", "wall"], p=[0.4, 0.35, 0.25]))
    if channels == 3 and not behind.colour and kind == "room":
        kind = "wall"
    if kind == "wall":
        light = _wall(face, channels, random)
    elif kind == "holder":
        size = 1.0 if species == "print-mask" else float(random.uniform(0.8, 1.2))
        view = draw_view(random, face, tilt=0.02, shift=0.05)
        light = sample(behind, View(view.a / np.float32(size), view.b / np.float32(size), face * size))
    else:
        zoom, x, y = random.uniform(0.3, 0.6), random.uniform(-0.4, 0.4), random.uniform(-0.4, 0.4)
        view = draw_view(random, face, tilt=0.02)
        light = sample(behind, View(view.a * zoom + np.float32(np.sign(x) * 0.7 + x), view.b * zoom + y, face / zoom))
        light = blurred(light, float(random.uniform(0.02, 0.1)) * face)
    same = light if light.shape[2] == channels else _with_channels(light, channels)
    return np.asarray(same * np.float32(random.uniform(0.6, 1.2)), np.float32)


def _wall(face: float, channels: int, random: np.random.Generator) -> Light:
    view = draw_view(random, face)
    level = np.float32(np.exp(random.normal(-1.5, 0.7))) * tint(random, channels, 0.12)
    light = level * (1 + 0.12 * clouds(random, view.a.shape, face * 0.9))[:, :, None]
    return (
        _with_things(light.astype(np.float32), View(view.a + 5, view.b, face), random)
        if random.random() < 0.5
        else (light.astype(np.float32))
    )


def _with_channels(light: Light, channels: int) -> Light:
    return light.mean(axis=2, keepdims=True) if channels == 1 else np.repeat(light, channels, axis=2)


def _over(behind: Light, light: Light, cover: Light, face: float, random: np.random.Generator) -> Light:
    """The instrument before the background, with the shadow it throws."""
    x, y = random.uniform(-0.12, 0.12, 2) * face
    shift = np.roll(cover, (round(y), round(x)), axis=(0, 1))
    shadow = blurred(np.ascontiguousarray(shift), float(random.uniform(0.02, 0.15)) * face)
    dark = np.float32(random.choice([0.0, random.uniform(0.1, 0.6)]))
    return np.asarray(behind * (1 - dark * shadow) * (1 - cover) + light * cover, np.float32)
