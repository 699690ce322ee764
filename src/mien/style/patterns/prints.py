"""Prints: colour woodcut and linocut, with wood grain, carved marks and inks that do not quite meet."""

from __future__ import annotations

import numpy as np

from mien.style.patterns.field import (
    Array,
    Rng,
    circle,
    colours,
    depth,
    grid,
    mix,
    noise,
    ramp,
    smoothstep,
    spline,
)
from mien.style.patterns.strokes import ribbon, silhouette
from mien.style.patterns.surface import age, blur, paper

_FAR = [(-0.05, 0.6), (0.1, 0.575), (0.24, 0.6), (0.4, 0.63), (0.56, 0.6), (0.7, 0.565), (0.94, 0.56), (1.05, 0.57)]
_GREAT = [(-0.08, 0.47), (0.02, 0.33), (0.13, 0.21), (0.26, 0.135), (0.38, 0.13), (0.475, 0.175), (0.525, 0.255)]
_GREAT += [(0.52, 0.325)]
_HOLLOW = [(0.485, 0.31), (0.455, 0.262), (0.4, 0.245), (0.345, 0.28), (0.315, 0.36), (0.325, 0.47), (0.38, 0.57)]
_HOLLOW += [(0.48, 0.645), (0.62, 0.69), (0.8, 0.7), (1.06, 0.66)]
_RIGHT = [(0.45, 0.84), (0.58, 0.79), (0.7, 0.7), (0.79, 0.61), (0.86, 0.565), (0.925, 0.57), (0.955, 0.605)]
_RIGHT_HOLLOW = [(0.935, 0.615), (0.9, 0.618), (0.885, 0.66), (0.91, 0.72), (0.97, 0.76), (1.06, 0.78)]
_NEAR = [(-0.06, 0.8), (0.05, 0.755), (0.14, 0.74), (0.215, 0.765), (0.24, 0.8)]
_NEAR_HOLLOW = [(0.22, 0.805), (0.19, 0.81), (0.2, 0.85), (0.28, 0.9), (0.42, 0.92), (0.6, 0.9), (1.06, 0.88)]
_SWELLS = [(_FAR, []), (_GREAT, _HOLLOW), (_RIGHT, _RIGHT_HOLLOW), (_NEAR, _NEAR_HOLLOW)]
"""The waves from back to front, as points of the crest that breaks and of the hollow under it."""


def waves(size: int, rng: Rng) -> Array:
    """A great wave in Prussian blue over a low sun, as a woodcut in many blocks."""
    x, y = grid(size)
    grain, fibre = _wood(size, rng), paper(size, rng)
    sheet = ramp(colours("d9c9a2 eadfc0 f3ebd4"), 0.55 + 0.12 * fibre)
    dusk = smoothstep(0.3, 0.0, y) * 0.85 + 0.5 * smoothstep(0.42, 0.6, y)
    picture = _print(sheet, "6f8796", dusk, grain)
    sun = smoothstep(0.004, -0.001, np.hypot(x - 0.665, y - 0.36) - 0.115)
    picture = _print(picture, "c4512f", sun * (0.72 + 0.28 * smoothstep(0.26, 0.46, y)), grain)
    sway = 0.004 * np.sin(7 * x + 3 * noise(size, 2, rng))
    cuts = smoothstep(0.55, 0.8, np.sin(2 * np.pi * 58 * (y + sway)) + 0.5 * noise(size, (60, 5), rng))
    picture = _print(picture, "5d7688", 0.55 * cuts * np.clip(dusk + 0.12, 0, 1) * (1 - sun), grain)
    for start, level in [(0.1, 0.155), (0.35, 0.2), (0.0, 0.27)]:
        off = np.abs(y - level - 0.012 * np.sin(6 * x + 9 * start))
        cloud = smoothstep(0.003, -0.001, off - 0.011 * np.clip(np.sin(3.2 * (x - start)), 0, 1))
        picture = _print(picture, "f4ead0", 0.9 * cloud, 0.3 * grain)
    for crest, hollow in _SWELLS:
        outline = np.concatenate([spline(crest + hollow), [[1.2, 1.2], [-0.2, 1.2]]])
        foam = _foam(spline(crest), rng) if hollow else []
        picture = _wave(picture, outline, foam, grain, fibre, rng)
    return age(_spray(picture, grain, rng), rng, amount=0.02)


def _wood(size: int, rng: Rng) -> Array:
    """How much ink the block's grain takes up, deviation about 1: long fibres that run round a knot."""
    x, y = grid(size)
    bend = y + 0.03 * noise(size, (3, 2), rng) + 0.1 * np.exp(-((x - 0.3) ** 2 * 9 + (y - 0.25) ** 2 * 30))
    rings = np.sin(bend * 260 + 2.5 * noise(size, (14, 2), rng))
    return np.asarray(0.55 * rings + 0.6 * noise(size, (240, 7), rng), np.float32)


def _print(below: Array, code: str, cover: Array, grain: Array, *, shift: tuple[float, float] = (0, 0)) -> Array:
    """One block's transparent ink: it darkens what it covers, thinner where the grain stands open.

    `shift` is how far the block misses its place, down and across in picture sides.
    """
    if shift != (0, 0):
        place = np.arange(len(cover))
        down, across = (np.clip(place - round(offset * len(cover)), 0, len(cover) - 1) for offset in shift)
        cover = cover[np.ix_(down, across)]
    ink = colours(code)[0]
    return mix(below, (0.25 * below + 0.75) * ink, np.clip(cover * (0.9 + 0.055 * grain), 0, 1))


def _wave(picture: Array, outline: Array, foam_shapes: list[Array], grain: Array, fibre: Array, rng: Rng) -> Array:
    """Print one wave: pale body, stripes that follow its outline, foam, and the key block's line."""
    size = len(picture)
    body, foam = silhouette([outline], size), silhouette(foam_shapes, size)
    inside = np.maximum(body, foam)
    water = blur(inside * (1 - foam), 0.0006)
    deep = depth(body)
    wobble = deep + 0.006 * noise(size, 5, rng) + 0.0015 * noise(size, 22, rng)
    stripes = np.sin(wobble * 150 - 0.4) + 0.9 * np.exp(-deep * 9) * np.sin(wobble * 75)
    dark = smoothstep(0.0, 0.25, stripes - 0.25 + 0.5 * smoothstep(0.1, 0.3, deep))
    picture = mix(picture, ramp(colours("d8e0d2 b9cfd0"), deep * 6), inside)
    picture = _print(picture, "5d93b0", water * smoothstep(-0.75, -0.45, stripes), grain, shift=(0.002, -0.0015))
    picture = _print(picture, "1f4a78", water * dark, grain, shift=(-0.001, 0.0015))
    picture = _print(picture, "122a52", water * smoothstep(0.62, 0.82, stripes), grain)
    thin = np.clip(0.55 - 0.14 * noise(size, 14, rng), 0.3, 0.8)
    line = _contour(inside)
    if foam_shapes:
        picture = mix(picture, ramp(colours("f5efdc f8f4e6"), 0.5 + 0.2 * fibre), foam)
        within = depth(foam)
        curls = smoothstep(0.3, 0.7, np.sin(within * 420 + 2 * noise(size, 20, rng))) * smoothstep(0.004, 0.01, within)
        picture = _print(picture, "8fb4c0", 0.8 * curls * foam, grain, shift=(0.0015, 0.001))
        line = np.maximum(line, 0.92 * _contour(foam))
    return _print(picture, "14213f", smoothstep(-0.15, 0.15, line - thin), grain * 0.6)


def _contour(mask: Array) -> Array:
    """1 on a mask's border, falling to 0 within about four thousandths of the picture."""
    return np.asarray(1 - np.abs(2 * blur(mask, 0.0018) - 1), np.float32)


def _foam(crest: Array, rng: Rng) -> list[Array]:
    """Foam as outlines: a scalloped band under the crest and hooked fingers that reach out and curl down."""
    step = np.gradient(crest, axis=0)
    normal = np.stack([step[:, 1], -step[:, 0]], -1) / (np.hypot(*step.T)[:, None] + 1e-9)
    reach = np.linspace(0, 1, len(crest))
    shapes = []
    for i in range(0, len(crest), 2):
        swell = 0.008 + 0.028 * reach[i] ** 1.5
        for deep in np.arange(0, 1 + 1.2 * reach[i], 0.8):
            centre = crest[i] - normal[i] * swell * (0.5 + 1.1 * deep) + rng.normal(0, 0.25 * swell, 2)
            shapes.append(centre + circle(20) * swell * rng.uniform(0.5, 0.95))
    for i in range(len(crest) // 3, len(crest), 5):
        long = rng.uniform(0.7, 1.3) * (0.012 + 0.036 * reach[i] ** 1.3)
        bearing = np.arctan2(normal[i, 1], normal[i, 0]) + rng.normal(0, 0.25)
        root = crest[i] - 0.3 * long * normal[i]
        shapes += [_claw(root, bearing + split, long * rng.uniform(0.8, 1.25)) for split in (-0.55, 0.05, 0.6)]
    return shapes


def _claw(root: Array, bearing: float, long: float) -> Array:
    """One tapering finger of foam (N, 2) that turns clockwise towards the trough."""
    t = np.linspace(0, 1, 9)
    turn = bearing + 1.5 * t**1.4
    spine = root + np.cumsum(np.stack([np.cos(turn), np.sin(turn)], -1), 0) * long / 9
    side = np.stack([-np.sin(turn), np.cos(turn)], -1) * (0.2 * long * (1 - t) ** 0.75 + 0.0012)[:, None]
    return np.concatenate([spine + side, (spine - side)[::-1]])


def _spray(picture: Array, grain: Array, rng: Rng) -> Array:
    """Drops of foam thrown over the hollow of the wave."""
    count = 130
    bearing = rng.uniform(-1.9, 0.9, count)
    away = 0.03 + np.abs(rng.normal(0, 0.09, count))
    centre = np.stack([0.44 + (0.1 + away) * np.cos(bearing), 0.2 + (0.07 + away) * np.sin(bearing)], -1)
    drops = centre[:, None] + circle(12) * rng.uniform(0.0012, 0.0045, (count, 1, 1))
    return _print(picture, "f8f4e6", silhouette(drops, len(picture)), grain * 0.2)


def linocut(size: int, rng: Rng) -> Array:
    """Black lino over vermilion, ochre and green: a sun with gouged rays, birds, hills and leaves."""
    x, y = grid(size)
    fibre = paper(size, rng)
    film = noise(size, 230, rng, octaves=2) + 0.5 * noise(size, 12, rng)
    jitter = 0.5 * noise(size, 9, rng)
    r = np.hypot(x - _SUN[0], y - _SUN[1])
    far = y - 0.66 - 0.03 * np.sin(6 * x + 1) - 0.015 * np.sin(15 * x)
    near = y - 0.78 - 0.035 * np.sin(5 * x + 3.4) - 0.012 * np.sin(13 * x + 1)
    picture = ramp(colours("dccba0 ecdfbd f4ecd2"), 0.55 + 0.14 * fibre)
    picture = _print(picture, "e0a640", smoothstep(0.75, 0.15, r) * (0.86 + 0.1 * fibre), film)
    picture = _print(picture, "c23b22", smoothstep(0.003, -0.001, r - 0.155), film, shift=(0.003, -0.003))
    picture = _print(picture, "2f6f6a", smoothstep(-0.001, 0.002, far), film, shift=(-0.003, 0.002))
    cut = _sunburst(x, y, jitter)
    for below, rows, lean, wide in [(far, 64, 0.5, 0.8), (near, 43, -0.7, 0.75)]:
        furrow = below * rows + 3 * lean * x + 0.5 * jitter
        land = _gouges(furrow, x * 12 + below * 20 * lean + 4 * np.sin(np.floor(furrow) * 3.7), wide - below * 0.9)
        crest = smoothstep(0.0035, 0.0015, np.abs(below - 0.001))
        cut = np.where(below > 0, np.maximum(land * smoothstep(0.004, 0.01, below), crest), cut)
    plants, veins = _plants(size, rng)
    cut = np.where(plants > 0, veins, np.where(blur(plants, 0.003) > 0.04, 1, cut))
    birds = _birds(size)
    cut = np.where(birds > 0, 1, np.where(blur(birds, 0.006) > 0.04, 0, cut))
    return age(_key(picture, 1 - cut, film, rng), rng, amount=0.02)


_SUN = (0.56, 0.42)


def _sunburst(x: Array, y: Array, jitter: Array) -> Array:
    """The sun's disc, its clear rim and the rays in the sky, 1 where the gouge has been."""
    r, a = np.hypot(x - _SUN[0], y - _SUN[1]), np.arctan2(y - _SUN[1], x - _SUN[0])
    ray = a * 26 / np.pi + jitter * 0.5
    rays = _gouges(ray, r / 0.075 + 2.7 * np.sin(np.floor(ray) * 12.9898), 0.22 + 0.62 * smoothstep(0.62, 0.16, r))
    rim = smoothstep(0.008, 0.004, np.abs(r - 0.18))
    ring = r * 95 + jitter
    disc = _gouges(ring, a * 7 + 3 * np.sin(np.floor(r * 95) * 7.1), np.full_like(r, 0.8))
    disc = np.maximum(disc, smoothstep(0.2, -0.2, y - _SUN[1] + 0.05))
    return np.where(r < 0.165, disc, np.where(r < 0.172, rim, np.maximum(rays, rim)))


def _gouges(across: Array, along: Array, open_: Array) -> Array:
    """Marks of the gouge, 1 where cut away: one row per unit of `across`, one tapering cut per unit of `along`."""
    v = np.abs((across % 1) - 0.5) * 2
    u = along % 1
    width = np.clip(open_, 0, 0.95) * np.clip(np.sin(np.pi * np.clip(u * 1.08, 0, 1)), 0, 1) ** 0.55
    return smoothstep(0.06, -0.06, v - width)


def _key(picture: Array, black: Array, film: Array, rng: Rng) -> Array:
    """The black block: ragged edges, salt where the ink is thin, chatter in the cleared parts."""
    size = len(black)
    ragged = smoothstep(0.4, 0.6, blur(black, 0.0009) + 0.07 * noise(size, 200, rng))
    salt = smoothstep(2.1, 2.7, film + 0.3 * noise(size, 256, rng))
    chatter = smoothstep(2.6, 2.9, noise(size, (60, 160), rng) + 0.4 * noise(size, 14, rng)) * 0.8
    cover = np.maximum(ragged * (1 - 0.85 * salt), chatter)
    return mix(picture, ramp(colours("15161a 24262b"), 0.5 + 0.25 * film), cover * 0.97)


def _plants(size: int, rng: Rng) -> tuple[Array, Array]:
    """Leafy stems in the foreground: where they stand, and the cuts that show their veins."""
    shapes, cuts = [], []
    t, s = np.linspace(0, 1, 40), np.linspace(0, 1, 12)
    for root, lean, tall in [(0.03, 0.1, 0.74), (0.16, 0.2, 0.42), (0.97, -0.1, 0.7), (0.8, -0.16, 0.36)]:
        stem = np.stack([root + lean * t**1.8, 1.02 - tall * t], -1)
        shapes.append(ribbon(stem, 0.006 * (1.2 - t)))
        for i in range(8, 40, 7):
            for side in (-1, 1):
                long = 0.17 * (1.2 - 0.8 * t[i]) * rng.uniform(0.85, 1.15)
                rise = -1.0 - 0.25 * side * lean
                leaf = stem[i] + long * np.stack([side * s, rise * (0.75 * s - 0.55 * s**2.2)], -1)
                shapes.append(ribbon(leaf, 0.027 * (1.15 - 0.6 * t[i]) * np.sin(np.pi * s**0.8) + 0.001))
                cuts.append(ribbon(leaf[1:-1], np.full(10, 0.0022)))
                cuts += [
                    ribbon(vein + np.array([[0, 0], [side * 0.016, -0.014 * turn]]), np.array([0.002, 0.0007]))
                    for vein in leaf[3:10:2]
                    for turn in (-0.6, 1)
                ]
    return silhouette(shapes, size), silhouette(cuts, size)


def _birds(size: int) -> Array:
    """Three birds in flight, as a mask."""
    shapes = []
    t = np.linspace(-1, 1, 31)
    lift = -0.42 * np.abs(t) ** 0.7 + 0.38 * t**2
    for cx, cy, span in [(0.3, 0.2, 0.12), (0.5, 0.1, 0.085), (0.2, 0.34, 0.07)]:
        wings = np.stack([cx + span * t, cy + span * lift], -1)
        shapes.append(ribbon(wings, span * 0.11 * (1 - np.abs(t) ** 1.5) + 0.0008))
        shapes.append([cx, cy + 0.04 * span] + circle(20) * [0.09 * span, 0.26 * span])
    return silhouette(shapes, size)
