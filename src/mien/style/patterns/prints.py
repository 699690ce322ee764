"""Prints: colour woodcut and linocut, with wood grain, carved marks and inks that do not quite meet."""

from __future__ import annotations

import numpy as np

from mien.style.patterns.field import (
    Array,
    Rng,
    colours,
    depth,
    grid,
    mix,
    noise,
    polygon,
    ramp,
    smoothstep,
    spline,
)
from mien.style.patterns.strokes import number, ribbon
from mien.style.patterns.surface import age, blur, paper


def waves(size: int, rng: Rng) -> Array:
    """A great wave in Prussian blue over a low sun, as a woodcut in five blocks."""
    x, y = grid(size)
    grain = _wood(size, rng)
    fibre = paper(size, rng)
    sheet = ramp(colours("d9c9a2 eadfc0 f3ebd4"), np.asarray(0.55 + 0.12 * fibre, np.float32))
    dusk = smoothstep(0.3, 0.0, y) * 0.85 + 0.5 * smoothstep(0.42, 0.6, y)
    picture = _print(sheet, "6f8796", np.asarray(dusk, np.float32), grain)
    sun = smoothstep(0.004, -0.001, np.hypot(x - 0.665, y - 0.36) - 0.115)
    picture = _print(picture, "c4512f", sun * (0.72 + 0.28 * smoothstep(0.26, 0.46, y)), grain)
    lines = smoothstep(
        0.55,
        0.8,
        np.sin(2 * np.pi * 58 * (y + 0.004 * np.sin(7 * x + 3 * noise(size, 2, rng))))
        + 0.5 * noise(size, (60, 5), rng),
    )
    picture = _print(
        picture, "5d7688", np.asarray(0.55 * lines * np.clip(dusk + 0.12, 0, 1) * (1 - sun), np.float32), grain
    )
    for cloud, level in [(0.1, 0.155), (0.35, 0.2), (0.0, 0.27)]:
        band = np.abs(y - level - 0.012 * np.sin(6 * x + 9 * cloud)) - 0.011 * np.clip(np.sin(3.2 * (x - cloud)), 0, 1)
        picture = _print(picture, "f4ead0", 0.9 * smoothstep(0.003, -0.001, np.asarray(band, np.float32)), grain * 0.3)
    for swell in _swells():
        picture = _wave(picture, swell, grain, fibre, rng)
    picture = _spray(picture, rng, grain)
    return age(picture, rng, amount=0.02)


def _wood(size: int, rng: Rng) -> Array:
    """How much ink the block's grain takes up, deviation about 1: long fibres that run round a knot."""
    x, y = grid(size)
    bend = y + 0.03 * noise(size, (3, 2), rng) + 0.1 * np.exp(-((x - 0.3) ** 2 * 9 + (y - 0.25) ** 2 * 30))
    rings = np.sin(bend * 260 + 2.5 * noise(size, (14, 2), rng))
    return np.asarray(0.55 * rings + 0.6 * noise(size, (240, 7), rng), np.float32)


def _print(below: Array, code: str, cover: Array, grain: Array, *, shift: tuple[float, float] = (0, 0)) -> Array:
    """One block's transparent ink: it darkens what it covers, thinner where the grain stands open."""
    if shift != (0, 0):
        place = np.arange(len(cover))
        down, across = (np.clip(place - round(offset * len(cover)), 0, len(cover) - 1) for offset in shift)
        cover = cover[np.ix_(down, across)]
    ink = colours(code)[0]
    opaque = np.clip(cover * (0.9 + 0.055 * grain), 0, 1)
    return mix(below, (0.25 * below + 0.75) * ink, np.asarray(opaque, np.float32))


def _swells() -> list[tuple[Array, Array]]:
    """The waves from back to front: outline (N, 2) and the crest, the part of it that breaks."""
    far = [
        (-0.05, 0.6),
        (0.1, 0.575),
        (0.24, 0.6),
        (0.4, 0.63),
        (0.56, 0.6),
        (0.7, 0.565),
        (0.83, 0.585),
        (0.94, 0.56),
        (1.05, 0.57),
    ]
    great = [
        (-0.08, 0.47),
        (0.02, 0.33),
        (0.13, 0.21),
        (0.26, 0.135),
        (0.38, 0.13),
        (0.475, 0.175),
        (0.525, 0.255),
        (0.52, 0.325),
    ]
    hollow = [
        (0.485, 0.31),
        (0.455, 0.262),
        (0.4, 0.245),
        (0.345, 0.28),
        (0.315, 0.36),
        (0.325, 0.47),
        (0.38, 0.57),
        (0.48, 0.645),
        (0.62, 0.69),
        (0.8, 0.7),
        (1.06, 0.66),
    ]
    right = [(0.45, 0.84), (0.58, 0.79), (0.7, 0.7), (0.79, 0.61), (0.86, 0.565), (0.925, 0.57), (0.955, 0.605)]
    inner = [(0.935, 0.615), (0.9, 0.618), (0.885, 0.66), (0.91, 0.72), (0.97, 0.76), (1.06, 0.78)]
    near = [(-0.06, 0.8), (0.05, 0.755), (0.14, 0.74), (0.215, 0.765), (0.24, 0.8)]
    trough = [
        (0.22, 0.805),
        (0.19, 0.81),
        (0.2, 0.85),
        (0.28, 0.9),
        (0.42, 0.92),
        (0.6, 0.9),
        (0.8, 0.915),
        (1.06, 0.88),
    ]
    swells = []
    for crest, back in [(far, []), (great, hollow), (right, inner), (near, trough)]:
        outline = spline(crest + back)
        closed = np.concatenate([outline, np.array([[1.2, 1.2], [-0.2, 1.2]], np.float32)])
        swells.append((closed, spline(crest) if back else np.zeros((0, 2), np.float32)))
    return swells


def _wave(picture: Array, swell: tuple[Array, Array], grain: Array, fibre: Array, rng: Rng) -> Array:
    """Print one wave: pale body, stripes that follow its outline, foam with fingers, and the key block's line."""
    size = len(picture)
    outline, crest = swell
    body = polygon(outline, size)
    deep = depth(body)
    foam = np.zeros_like(body)
    if len(crest):
        foam = (number(_foam(crest, rng), size) >= 0).astype(np.float32)
    inside = np.maximum(body, foam)
    x, y = grid(size)
    wobble = deep + 0.006 * noise(size, 5, rng) + 0.0015 * noise(size, 22, rng)
    stripes = np.sin(wobble * 150 - 0.4) + 0.9 * np.exp(-deep * 9) * np.sin(wobble * 75)
    picture = mix(picture, ramp(colours("d8e0d2 b9cfd0"), deep * 6), inside)
    water = inside * (1 - foam)
    picture = _print(
        picture, "5d93b0", blur(water, 0.0006) * smoothstep(-0.75, -0.45, stripes), grain, shift=(0.002, -0.0015)
    )
    dark = smoothstep(0.0, 0.25, stripes - 0.25 + 0.5 * smoothstep(0.1, 0.3, deep))
    picture = _print(picture, "1f4a78", blur(water, 0.0006) * dark, grain, shift=(-0.001, 0.0015))
    picture = _print(picture, "122a52", water * smoothstep(0.62, 0.82, stripes), grain)
    white = depth(foam)
    picture = mix(picture, ramp(colours("f5efdc f8f4e6"), 0.5 + 0.2 * fibre), foam)
    shade = smoothstep(0.3, 0.7, np.sin(white * 420 + 2 * noise(size, 20, rng))) * smoothstep(0.004, 0.01, white)
    picture = _print(picture, "8fb4c0", shade * foam * 0.8, grain, shift=(0.0015, 0.001))
    thin = np.clip(0.55 - 0.14 * noise(size, 14, rng), 0.3, 0.8)
    line = np.maximum(_contour(inside), 0.92 * _contour(foam)) if len(crest) else _contour(inside)
    key = smoothstep(-0.15, 0.15, line - thin)
    return _print(picture, "14213f", key, grain * 0.6)


def _contour(mask: Array) -> Array:
    """1 on a mask's border, falling to 0 within about four thousandths of the picture."""
    return np.asarray(1 - np.abs(2 * blur(mask, 0.0018) - 1), np.float32)


def _foam(crest: Array, rng: Rng) -> list[Array]:
    """Foam as outlines: a scalloped band under the crest and hooked fingers that reach out and curl down."""
    step = np.gradient(crest, axis=0)
    normal = np.stack([step[:, 1], -step[:, 0]], -1) / (np.hypot(*step.T)[:, None] + 1e-9)
    reach = np.linspace(0, 1, len(crest))
    shapes = []
    circle = np.linspace(0, 2 * np.pi, 20, dtype=np.float32)
    ring = np.stack([np.cos(circle), np.sin(circle)], -1)
    for i in range(0, len(crest), 2):
        swell = 0.008 + 0.028 * reach[i] ** 1.5
        for deep in np.arange(0, 1 + 1.2 * reach[i], 0.8):
            centre = crest[i] - normal[i] * swell * (0.5 + 1.1 * deep) + rng.normal(0, 0.25 * swell, 2)
            shapes.append(centre + ring * swell * rng.uniform(0.5, 0.95))
    for i in range(len(crest) // 3, len(crest), 5):
        long = rng.uniform(0.7, 1.3) * (0.012 + 0.036 * reach[i] ** 1.3)
        bearing = np.arctan2(normal[i, 1], normal[i, 0]) + rng.normal(0, 0.25)
        for split in (-0.55, 0.05, 0.6):
            shapes.append(_claw(crest[i] - 0.3 * long * normal[i], bearing + split, long * rng.uniform(0.8, 1.25)))
    return [shape.astype(np.float32) for shape in shapes]


def _claw(root: Array, bearing: float, long: float) -> Array:
    """One tapering finger of foam (N, 2) that turns clockwise towards the trough."""
    t = np.linspace(0, 1, 9)
    turn = bearing + 1.5 * t**1.4
    spine = root + np.cumsum(np.stack([np.cos(turn), np.sin(turn)], -1), 0) * long / 9
    side = np.stack([-np.sin(turn), np.cos(turn)], -1) * (0.2 * long * (1 - t) ** 0.75 + 0.0012)[:, None]
    return np.concatenate([spine + side, (spine - side)[::-1]])


def _spray(picture: Array, rng: Rng, grain: Array) -> Array:
    """Drops of foam thrown over the hollow of the wave."""
    count = 130
    bearing = rng.uniform(-1.9, 0.9, count)
    away = 0.03 + np.abs(rng.normal(0, 0.09, count))
    centre = np.stack([0.44 + (0.1 + away) * np.cos(bearing), 0.2 + (0.07 + away) * np.sin(bearing)], -1)
    circle = np.linspace(0, 2 * np.pi, 12)
    ring = np.stack([np.cos(circle), np.sin(circle)], -1)
    drops = (centre[:, None] + ring * rng.uniform(0.0012, 0.0045, (count, 1, 1))).astype(np.float32)
    cover = (number(drops, len(picture)) >= 0).astype(np.float32)
    return _print(picture, "f8f4e6", cover, grain * 0.2)


def linocut(size: int, rng: Rng) -> Array:
    """Black lino over vermilion and ochre: a sun with gouged rays, birds, hills and reeds."""
    x, y = grid(size)
    fibre = paper(size, rng)
    ink_film = noise(size, 230, rng, octaves=2) + 0.5 * noise(size, 12, rng)
    cx, cy = 0.56, 0.42
    r, a = np.hypot(x - cx, y - cy), np.arctan2(y - cy, x - cx)
    jitter = 0.5 * noise(size, 9, rng)
    sheet = ramp(colours("dccba0 ecdfbd f4ecd2"), np.asarray(0.55 + 0.14 * fibre, np.float32))
    warm = smoothstep(0.75, 0.15, r)
    picture = _print(sheet, "e0a640", warm * 0.95 * (0.9 + 0.1 * fibre), ink_film)
    picture = _print(picture, "c23b22", smoothstep(0.003, -0.001, r - 0.155), ink_film, shift=(0.003, -0.003))
    far = 0.66 + 0.03 * np.sin(6 * x + 1) + 0.015 * np.sin(15 * x)
    near = 0.78 + 0.035 * np.sin(5 * x + 3.4) + 0.012 * np.sin(13 * x + 1)
    picture = _print(picture, "2f6f6a", smoothstep(-0.001, 0.002, y - far), ink_film, shift=(-0.003, 0.002))
    ray = a * 26 / np.pi + jitter * 0.5
    carved = _gouges(
        ray, r / 0.075 + 0.9 * np.sin(np.floor(ray) * 12.9898) * 3, 0.22 + 0.62 * smoothstep(0.62, 0.16, r)
    )
    sky = np.where(r < 0.172, smoothstep(0.003, -0.001, 0.165 - r), carved)
    rim = smoothstep(0.008, 0.004, np.abs(r - 0.18))
    white = np.maximum(np.where(r < 0.165, 1, sky), rim)
    face = _gouges(r * 95 + jitter, a * 7 + 3 * np.sin(np.floor(r * 95) * 7.1), np.full_like(r, 0.8))
    white = np.where(r < 0.165, np.maximum(face, smoothstep(0.2, -0.2, y - cy + 0.05)), white)
    for edge, rate, lean, open_ in [(far, 40, 0.5, 0.8), (near, 27, -0.7, 0.75)]:
        below = y - edge
        furrow = below * rate * 1.6 + 3 * lean * x + 0.5 * jitter
        land = _gouges(furrow, x * 12 + below * 20 * lean + 4 * np.sin(np.floor(furrow) * 3.7), open_ - below * 0.9)
        land = np.maximum(land * smoothstep(0.004, 0.01, below), smoothstep(0.0035, 0.0015, np.abs(below - 0.001)))
        white = np.where(below > 0, land, white)
    black = 1 - white
    plants, veins = _plants(size, rng)
    halo = blur(plants, 0.003)
    black = np.where(plants > 0, 1 - veins, np.where(halo > 0.04, 0, black))
    birds = _birds(size)
    black = np.where(birds > 0, 0, np.where(blur(birds, 0.006) > 0.04, 1, black))
    return age(_key(picture, np.asarray(black, np.float32), ink_film, rng), rng, amount=0.02)


def _gouges(across: Array, along: Array, open_: Array) -> Array:
    """Marks of the gouge, 1 where cut away: one row per unit of `across`, one tapering cut per unit of `along`."""
    v = np.abs((across % 1) - 0.5) * 2
    u = along % 1
    width = np.clip(open_, 0, 0.95) * np.clip(np.sin(np.pi * np.clip(u * 1.08, 0, 1)), 0, 1) ** 0.55
    return smoothstep(0.06, -0.06, np.asarray(v - width, np.float32))


def _key(picture: Array, black: Array, film: Array, rng: Rng) -> Array:
    """The black block: ragged edges, salt where the ink is thin, chatter in the cleared parts."""
    size = len(black)
    ragged = smoothstep(0.4, 0.6, blur(black, 0.0009) + 0.07 * noise(size, 200, rng))
    salt = smoothstep(2.1, 2.7, film + 0.3 * noise(size, 256, rng))
    chatter = smoothstep(2.6, 2.9, noise(size, (60, 160), rng) + 0.4 * noise(size, 14, rng)) * 0.8
    cover = np.maximum(ragged * (1 - 0.85 * salt), chatter)
    return mix(picture, ramp(colours("15161a 24262b"), 0.5 + 0.25 * film), cover * 0.97)


def _plants(size: int, rng: Rng) -> tuple[Array, Array]:
    """Reeds and leaves in the foreground: where they stand, and the cuts that show their veins."""
    stems, cuts = [], []
    for root, lean, tall in [(0.03, 0.1, 0.74), (0.16, 0.2, 0.42), (0.97, -0.1, 0.7), (0.8, -0.16, 0.36)]:
        t = np.linspace(0, 1, 40)
        spine = np.stack([root + lean * t**1.8, 1.02 - tall * t], -1)
        stems.append(ribbon(spine, 0.006 * (1.2 - t)))
        for i in range(8, 40, 7):
            for side in (-1, 1):
                long = 0.17 * (1.2 - 0.8 * t[i]) * rng.uniform(0.85, 1.15)
                s = np.linspace(0, 1, 12)
                up = -1.0 - 0.25 * side * lean
                leaf = spine[i] + np.stack([side * long * s, up * long * (0.75 * s - 0.55 * s**2.2)], -1)
                stems.append(ribbon(leaf, 0.027 * (1.15 - 0.6 * t[i]) * np.sin(np.pi * s**0.8) + 0.001))
                cuts.append(ribbon(leaf[1:-1], 0.0022 * np.ones(10)))
                cuts += [
                    ribbon(np.stack([leaf[k], leaf[k] + [side * 0.016, -0.014 * turn]]), np.array([0.002, 0.0007]))
                    for k in range(3, 10, 2)
                    for turn in (-0.6, 1)
                ]
    plants = (number([s.astype(np.float32) for s in stems], size) >= 0).astype(np.float32)
    return plants, (number([c.astype(np.float32) for c in cuts], size) >= 0).astype(np.float32)


def _birds(size: int) -> Array:
    """Three birds in flight, as a mask."""
    shapes = []
    for bx, by, span in [(0.3, 0.2, 0.12), (0.5, 0.1, 0.085), (0.2, 0.34, 0.07)]:
        t = np.linspace(-1, 1, 31)
        lift = -0.42 * np.abs(t) ** 0.7 + 0.38 * np.abs(t) ** 2
        wing = np.stack([bx + span * t, by + span * lift], -1)
        shapes.append(ribbon(wing, span * 0.11 * (1 - np.abs(t) ** 1.5) + 0.0008))
        body = np.linspace(0, 2 * np.pi, 20)
        shapes.append(np.stack([bx + span * 0.09 * np.cos(body), by + span * (0.04 + 0.26 * np.sin(body))], -1))
    return (number([s.astype(np.float32) for s in shapes], size) >= 0).astype(np.float32)
