"""Faces on paper: newsprint, a photographic print, a cut-out mask. Each gives its light, and where it is."""

from __future__ import annotations

import numpy as np

from mien.faces.liveness.attacks.camera import Light, blurred, to_codes
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

Presented = tuple[Light, Light]
"""Light (n, n, C) of the instrument, and how much of each pixel it covers (n, n, 1)."""


def halftone(source: Source, view: View, random: np.random.Generator, *, high: bool) -> Presented:
    """Printed in dots: newsprint, or a laser printer's finer screen."""
    a, b, shade = _bent(view, random, 0.5)
    face = _inked(_looked_at(source, view, random, a, b), random, high=high)
    # Dots finer than a camera's pixels alias, as they do at the door; their contrast falls with their size.
    period = random.uniform(1.5, 2.6) if high else random.uniform(2.6, 5.0)
    angles = np.radians([45.0] if face.shape[2] == 1 else [15.0, 75.0, 45.0])
    paper, ink = _paper(random, face.shape[2], high=high), random.uniform(0.03, 0.08)
    x, y = a * np.float32(view.face), b * np.float32(view.face)
    dots = np.stack([_screen(x, y, period, float(angle)) for angle in angles], axis=2)
    wanted = 1 - face
    hardness = 0.35 if high else 0.8
    share = np.clip(0.5 + (wanted - dots) * (1.5 + 4 * hardness), 0, 1)
    share = hardness * share + (1 - hardness) * wanted
    printed = paper * (1 - share * np.float32(1 - ink))
    if not high:
        printed = printed * (1 + np.float32(0.06) * random.standard_normal(x.shape, dtype=np.float32)[:, :, None])
    return _sheet(printed, a, b, source, view, random, shade, paper)


def photo_print(source: Source, view: View, random: np.random.Generator, *, high: bool) -> Presented:
    """A print on photo paper (high) or on a home printer's plain paper (low): grain, a bend, cut edges, gloss."""
    a, b, shade = _bent(view, random, 1.0)
    face = _inked(_looked_at(source, view, random, a, b), random, high=high)
    paper, ink = _paper(random, face.shape[2], high=high), random.uniform(0.015, 0.05)
    n = view.side
    grain = clouds(random, (n, n), 1.3)[:, :, None] * np.float32(0.012 if high else 0.045)
    printed = paper * (np.float32(ink) + np.float32(1 - ink) * face) * (1 + grain)
    if not high:
        row = clouds(random, (n, 1), float(random.uniform(2, 6)))[:, :, None] * np.float32(0.05)
        printed = printed * (1 + row)
        printed = printed * (1 - np.float32(0.22) * _creases(a, b, random)[:, :, None])
    if random.random() < (0.6 if high else 0.15):
        printed = printed + _gloss(view, random)
    return _sheet(printed.astype(np.float32), a, b, source, view, random, shade, paper)


def mask(source: Source, view: View, random: np.random.Generator, *, high: bool) -> Presented:
    """A face cut out of a print and held, or worn, before somebody's own; sometimes with holes for the eyes."""
    a, b, shade = _bent(view, random, 1.4)
    face = _inked(_looked_at(source, view, random, a, b), random, high=high)
    paper, ink = _paper(random, face.shape[2], high=high), random.uniform(0.02, 0.06)
    grain = clouds(random, a.shape, 1.3)[:, :, None] * np.float32(0.01 if high else 0.04)
    printed = paper * (np.float32(ink) + np.float32(1 - ink) * face) * (1 + grain)
    wobble = clouds(random, a.shape, view.face * 0.12) * np.float32(0.008 if high else 0.025)
    across, down = float(random.uniform(0.4, 0.5)), float(random.uniform(0.55, 0.72))
    radius = np.hypot(a / across, (b + 0.04) / down)
    inside = ((1 - radius) * np.float32(across) + wobble).astype(np.float32)
    rim = covered(np.float32(random.uniform(0.005, 0.03)) - inside, view.face)
    printed = printed * (1 - rim) + paper * np.float32(0.9) * rim
    cover = covered(inside, view.face)
    if random.random() < 0.4:
        for x, y in source.eyes:
            hole = np.float32(1) - np.hypot((a - x) / 0.085, (b - y) / 0.05)
            cover = cover * (1 - covered((hole * np.float32(0.05)).astype(np.float32), view.face))
    return (printed * shade[:, :, None]).astype(np.float32), cover


# ---- what they share -------------------------------------------------------------------------------------------------


def _looked_at(source: Source, view: View, random: np.random.Generator, a: Plane, b: Plane) -> Light:
    """The photo on the paper; the person may have looked a little aside in it."""
    a, b = draw_turn(random, View(a, b, view.face), 0.3)
    return sample(source, view, a=a, b=b)


def _bent(view: View, random: np.random.Generator, strength: float) -> tuple[Plane, Plane, Plane]:
    """A sheet bent about an axis: where each pixel lies on the paper, and its shading (n, n) about 1."""
    curve = float(random.normal(0, 0.35) * strength)
    if abs(curve) < 0.05 or random.random() < 0.3:
        return view.a, view.b, np.ones_like(view.a)
    axis = float(random.choice([0.0, np.pi / 2]) + random.normal(0, 0.2))
    across = np.cos(axis) * view.a + np.sin(axis) * view.b
    along = np.cos(axis) * view.b - np.sin(axis) * view.a
    slope = np.clip(across * curve, -0.95, 0.95)
    on_paper = np.arcsin(slope) / curve
    light = float(random.uniform(-0.5, 0.5))
    shade = np.sqrt(1 - slope**2) + light * slope
    a = np.cos(axis) * on_paper - np.sin(axis) * along
    b = np.sin(axis) * on_paper + np.cos(axis) * along
    return a.astype(np.float32), b.astype(np.float32), np.clip(shade, 0.3, 1.6).astype(np.float32)


def _inked(face: Light, random: np.random.Generator, *, high: bool) -> Light:
    """What the first camera, and the printer's inks, leave of the tones."""
    face = blurred(face, float(random.uniform(0.2, 0.5) if high else random.uniform(0.5, 1.1)))
    gamma = float(np.exp(random.normal(0, 0.08 if high else 0.2)))
    face = np.clip(face * np.float32(random.uniform(0.9, 1.15)), 0, 1) ** np.float32(gamma)
    if face.shape[2] == 3:
        grey = face.mean(axis=2, keepdims=True)
        kept = random.uniform(0.75, 1.05) if high else random.uniform(0.4, 0.85)
        face = np.clip(grey + (face - grey) * np.float32(kept), 0, 1)
    if not high:
        levels = np.float32(random.integers(10, 40))
        face = 0.5 * face + 0.5 * np.round(to_codes(face) * levels) ** np.float32(2.2) / levels ** np.float32(2.2)
    return np.asarray(face, np.float32)


def _paper(random: np.random.Generator, channels: int, *, high: bool) -> Light:
    """White of the paper (1, 1, C)."""
    white = random.uniform(0.8, 0.95) if high else random.uniform(0.6, 0.85)
    tinted = tint(random, channels, 0.02 if high else 0.04)
    if channels == 3 and not high:
        tinted = tinted * np.array([1.02, 1.0, random.uniform(0.8, 0.98)], np.float32)
    return np.asarray(tinted * np.float32(white), np.float32)


def _screen(x: Plane, y: Plane, period: float, angle: float) -> Plane:
    """A halftone's threshold in [0, 1] at each pixel."""
    k = 2 * np.pi / period
    u, v = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    return np.asarray(0.5 + 0.25 * (np.cos(k * u) + np.cos(k * v)), np.float32)


def _creases(a: Plane, b: Plane, random: np.random.Generator) -> Plane:
    """Folds of a sheet that was in a pocket: 0, up to 1 beside a fold."""
    dark = np.zeros_like(a)
    for _ in range(int(random.integers(0, 3))):
        angle, where = random.uniform(0, np.pi), random.uniform(-0.6, 0.6)
        across = np.cos(angle) * a + np.sin(angle) * b - np.float32(where)
        dark += np.exp(-np.abs(across) / 0.03) * np.sign(across + 1e-6) * np.float32(random.uniform(0.4, 1))
    return dark.astype(np.float32)


def _gloss(view: View, random: np.random.Generator) -> Light:
    """The light of a lamp or window on glossy paper (n, n, 1)."""
    x, y = random.uniform(-0.8, 0.8, 2)
    wide, high = random.uniform(0.15, 0.6, 2)
    blob = np.exp(-(((view.a - x) / wide) ** 2) - ((view.b - y) / high) ** 2)
    return np.asarray(blob[:, :, None] * random.uniform(0.1, 0.5), np.float32)


def _sheet(
    printed: Light,
    a: Plane,
    b: Plane,
    source: Source,
    view: View,
    random: np.random.Generator,
    shade: Plane,
    paper: Light,
) -> Presented:
    """The sheet with a white margin or none, cut by scissors; its edges may lie outside of the picture."""
    left, up, right, down = source.reach
    most = float(random.uniform(0.65, 1.4))
    if random.random() < 0.15:  # so large, or so near, that no edge of it is seen
        most = left = up = right = down = 9.0
    box = (-min(left, most), -min(up, most * 1.1), min(right, most), min(down, most * 1.1))
    margin = float(random.choice([0.0, random.uniform(0.02, 0.2)]))
    crooked = clouds(random, a.shape, view.face * 0.6) * np.float32(0.008)
    picture = covered(inside_box(a, b, box), view.face)
    whole = (box[0] - margin, box[1] - margin, box[2] + margin, box[3] + margin)
    light = printed * picture + paper * (1 - picture)
    cover = covered((inside_box(a, b, whole) + crooked).astype(np.float32), view.face)
    return (light * shade[:, :, None]).astype(np.float32), cover
