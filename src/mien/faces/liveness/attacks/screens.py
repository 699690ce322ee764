"""Faces on glass: a monitor and a telephone held in a hand. Each gives its light and where it covers the scene."""

from __future__ import annotations

import numpy as np

from mien.faces.liveness.attacks.camera import Light, blurred
from mien.faces.liveness.attacks.prints import Presented
from mien.faces.liveness.attacks.scene import (
    Plane,
    Source,
    View,
    clouds,
    covered,
    draw_turn,
    inside_box,
    sample,
    tint,
)

Box = tuple[float, float, float, float]

_SKINS = np.array([[0.62, 0.41, 0.32], [0.5, 0.3, 0.21], [0.36, 0.2, 0.13], [0.22, 0.12, 0.08], [0.1, 0.055, 0.04]])
"""Linear light that skin of five tones reflects."""


def monitor(source: Source, view: View, random: np.random.Generator, *, high: bool) -> Presented:
    """A monitor or tablet: moiré, its own white and gamut, a raised black, reflections, refresh bands, a frame."""
    light = _shown(source, view, random, high=high)
    left, up, right, down = source.reach
    wide, tall = random.uniform(0.75, 2.2), random.uniform(0.8, 1.6)
    x, y = random.uniform(-0.25, 0.25, 2) * (wide - 0.6)
    screen = (x - wide, y - tall, x + wide, y + tall)
    picture = covered(inside_box(view.a, view.b, (-left, -up, right, down)), view.face)
    desk = np.float32(random.choice([0.0, 0.02, 0.3, 0.8])) * tint(random, light.shape[2], 0.05)
    light = light * picture + desk * (1 - picture)
    light = _lit(light, view, random, high=high, pitch=(0.7, 1.7))
    frame = float(random.uniform(0.03, 0.12))
    return _framed(light, view, random, screen, frame=frame, radius=float(random.uniform(0, 0.03)))


def telephone(source: Source, view: View, random: np.random.Generator, *, high: bool) -> Presented:
    """A telephone: the face smaller than life, round corners, a dark rim, a notch, fingers, and fine pixels."""
    light = _shown(source, view, random, high=high)
    half = float(random.uniform(0.5, 0.85))
    upright = random.random() < 0.75
    wide, tall = (half, half * random.uniform(1.8, 2.2)) if upright else (half * random.uniform(1.7, 2.1), half)
    x, y = (random.uniform(-0.08, 0.08), random.uniform(-0.35, 0.35)) if upright else (random.uniform(-0.3, 0.3), 0.0)
    screen = (x - wide, y - tall, x + wide, y + tall)
    left, up, right, down = source.reach
    picture = covered(inside_box(view.a, view.b, (-left, -up, right, down)), view.face)
    light = light * picture + np.float32(random.choice([0.0, 0.0, 0.7])) * (1 - picture)
    light = _lit(light, view, random, high=high, pitch=(0.3, 0.8))
    if upright and random.random() < 0.5:
        dot = 0.04 - np.hypot(view.a - x, view.b - (y - tall + 0.09))
        light = light * (1 - covered(dot.astype(np.float32), view.face))
    rim, radius = float(random.uniform(0.02, 0.08)), float(random.uniform(0.06, 0.14))
    light, cover = _framed(light, view, random, screen, frame=rim, radius=radius)
    whole = (screen[0] - rim, screen[1] - rim, screen[2] + rim, screen[3] + rim)
    return _held(light, cover, view, random, whole)


# ---- what they share -------------------------------------------------------------------------------------------------


def _shown(source: Source, view: View, random: np.random.Generator, *, high: bool) -> Light:
    """The photo as the screen shows it, without what the camera makes of the screen."""
    a, b = draw_turn(random, view, 0.35)
    light = blurred(
        sample(source, view, a=a, b=b), float(random.uniform(0.2, 0.4) if high else random.uniform(0.4, 0.9))
    )
    gamma = float(np.exp(random.normal(0, 0.07 if high else 0.18)))
    light = np.clip(light, 0, 1) ** np.float32(gamma)
    if light.shape[2] == 3:
        grey = light.mean(axis=2, keepdims=True)
        gamut = random.uniform(0.9, 1.25) if high else random.uniform(0.6, 1.4)
        light = np.clip(grey + (light - grey) * np.float32(gamut), 0, 1)
        cool = random.uniform(0.0, 0.1) if high else random.uniform(-0.05, 0.2)
        light = light * np.array([1 - cool, 1.0, 1 + cool], np.float32)
    return np.asarray(light, np.float32)


def _lit(light: Light, view: View, random: np.random.Generator, *, high: bool, pitch: tuple[float, float]) -> Light:
    """The screen's light as the camera meets it; `pitch` of its pixels, in the camera's."""
    brightness = float(random.uniform(0.8, 1.4) if high else random.uniform(0.45, 1.6))
    black = float(random.uniform(0.004, 0.02) if high else random.uniform(0.02, 0.08))
    seen = light * np.float32(brightness) + np.float32(black)
    seen = seen * _grid(view, random, light.shape[2], pitch, strength=0.05 if high else 0.16)
    if random.random() < (0.25 if high else 0.6):
        waves = random.uniform(0.5, 4)
        depth = random.uniform(0.02, 0.06) if high else random.uniform(0.05, 0.2)
        rows = np.linspace(0, 1, view.side, dtype=np.float32)[:, None, None]
        band = np.cos(2 * np.pi * (waves * rows + random.random()))
        seen = seen * (1 + np.float32(depth) * np.clip(band * 1.5, -1, 1))
    aside = float(random.normal(0, 0.1 if high else 0.25))
    seen = seen * np.clip(1 + np.float32(aside) * view.a, 0.4, 1.6)[:, :, None]
    if random.random() < (0.4 if high else 0.75):
        seen = seen + _reflection(view, random, strength=0.15 if high else 0.5)
    return np.asarray(seen, np.float32)


def _grid(
    view: View, random: np.random.Generator, channels: int, pitch: tuple[float, float], *, strength: float
) -> Light:
    """The screen's pixel grid, taken where the camera's pixels are: the beat of the two is the moiré.

    Red, green and blue lie a third of a pixel apart, so that the moiré of a colour picture is coloured.
    """
    period = random.uniform(*pitch)
    # A lens draws no straight grid: a little distortion bends the bands.
    bend = 1 + np.float32(random.normal(0, 0.02)) * (view.a**2 + view.b**2)
    angle = random.normal(0, 0.06)
    u = (np.cos(angle) * view.a + np.sin(angle) * view.b) * bend * np.float32(view.face / period)
    v = (np.cos(angle) * view.b - np.sin(angle) * view.a) * bend * np.float32(view.face / period)
    amount = np.float32(strength * random.uniform(0.2, 1.0))
    rows = np.cos(2 * np.pi * v)
    thirds = [0.0] if channels == 1 else [0.0, 1 / 3, 2 / 3]
    columns = np.stack([np.cos(2 * np.pi * (u + third)) for third in thirds], axis=2)
    return np.asarray((1 + amount * columns) * (1 + amount * rows[:, :, None]), np.float32)


def _reflection(view: View, random: np.random.Generator, *, strength: float) -> Light:
    """A lamp, or a window with its bars, in the glass (n, n, 1)."""
    x, y = random.uniform(-0.9, 0.9, 2)
    wide, tall = random.uniform(0.1, 0.5, 2)
    if random.random() < 0.5:
        glow = np.exp(-(((view.a - x) / wide) ** 2) - ((view.b - y) / tall) ** 2)
    else:
        panes = inside_box(view.a + 0.2 * view.b, view.b, (x - wide, y - tall, x + wide, y + tall))
        bar = np.abs(view.a + 0.2 * view.b - x) > 0.02
        glow = np.clip(0.5 + panes / 0.06, 0, 1) * bar
    haze = 0.15 * np.clip(clouds(random, view.a.shape, view.face * 0.7), 0, 2)
    return np.asarray((glow + haze)[:, :, None] * strength * random.uniform(0.15, 1), np.float32)


def _framed(
    light: Light, view: View, random: np.random.Generator, screen: Box, *, frame: float, radius: float
) -> Presented:
    """The screen with its frame, mostly black, sometimes white or metal."""
    lit = covered(inside_box(view.a, view.b, screen, radius), view.face)
    shell = float(random.choice([0.01, 0.015, 0.03, 0.03, 0.25, 0.7]))
    slope = np.clip(1 + 0.3 * random.normal() * view.b, 0.5, 1.5)[:, :, None]
    rim = np.float32(shell) * slope * tint(random, light.shape[2], 0.03)
    whole = (screen[0] - frame, screen[1] - frame, screen[2] + frame, screen[3] + frame)
    cover = covered(inside_box(view.a, view.b, whole, radius + frame), view.face)
    return np.asarray(light * lit + rim * (1 - lit), np.float32), cover


def _held(light: Light, cover: Light, view: View, random: np.random.Generator, device: Box) -> Presented:
    """Fingers over the device's edges, and the hand behind it."""
    skin = _skin(random, light.shape[2])
    left, _, right, bottom = device
    side = random.choice([-1, 1])
    thick = float(random.uniform(0.1, 0.16))
    low = random.uniform(0.1, 0.6) * bottom
    fingers: list[tuple[float, float, float, float]] = []
    for i in range(int(random.integers(2, 5))):
        y = low - i * thick * 2.1
        edge = right if side > 0 else left
        fingers.append((edge - side * random.uniform(0.0, 0.12), y, edge + side * 0.9, y + random.uniform(-0.1, 0.2)))
    edge, y = (left if side > 0 else right), low + random.uniform(-0.3, 0.1)
    fingers.append((edge + side * random.uniform(0.02, 0.16), y - 0.12, edge - side * 0.7, y + 0.5))
    for x0, y0, x1, y1 in fingers:
        light, cover = _with_finger(light, cover, view, (x0, y0, x1, y1), thick, skin)
    return light, cover


def _with_finger(light: Light, cover: Light, view: View, ends: Box, thick: float, skin: Light) -> Presented:
    x0, y0, x1, y1 = ends
    along = ((view.a - x0) * (x1 - x0) + (view.b - y0) * (y1 - y0)) / ((x1 - x0) ** 2 + (y1 - y0) ** 2)
    along = np.clip(along, 0, 1)
    far: Plane = np.hypot(view.a - x0 - along * (x1 - x0), view.b - y0 - along * (y1 - y0)).astype(np.float32)
    there = covered((np.float32(thick) - far).astype(np.float32), view.face)
    shade = np.sqrt(np.clip(1.15 - (far / thick) ** 2, 0.05, 1))[:, :, None]
    return np.asarray(light * (1 - there) + skin * shade * there, np.float32), np.maximum(cover, there)


def _skin(random: np.random.Generator, channels: int) -> Light:
    tone = _SKINS[random.integers(len(_SKINS))] * random.uniform(0.6, 1.1)
    chosen = tone if channels == 3 else np.array([tone.mean()])
    return np.asarray(chosen[None, None], np.float32)
