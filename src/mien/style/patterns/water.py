"""Pictures that water makes: washes of watercolour, and inks floated on a bath and combed."""

from __future__ import annotations

import numpy as np

from mien.style.patterns.field import Array, Rng, colours, grid, mix, noise, scatter, smoothstep
from mien.style.patterns.strokes import number, ribbon
from mien.style.patterns.surface import age, blur, paper, relief


def watercolour(size: int, rng: Rng) -> Array:
    """Misty mountains at dawn in watercolour: blooms, granulating pigment and dark edges where washes dried."""
    x, y = grid(size)
    tooth = paper(size, rng, tooth=140)
    white = colours("f6f0e2")[0] * (1 + 0.018 * tooth)[..., None]
    drift = 0.05 * noise(size, 3, rng, octaves=3)
    bloom = noise(size, 4, rng, octaves=4)
    picture = _wash(white, "e8b25a", smoothstep(0.1, 0.6, 1 - np.abs(y + drift - 0.42) * 2.6) * 0.62, tooth, rng)
    picture = _wash(
        picture, "d9826a", smoothstep(0.3, 0.9, 1 - np.abs(y + drift - 0.3) * 3 + 0.25 * bloom) * 0.4, tooth, rng
    )
    picture = _wash(picture, "5a7fae", smoothstep(0.42, -0.05, y + 1.3 * drift) * (0.7 + 0.2 * bloom), tooth, rng)
    sun = smoothstep(0.006, -0.004, np.hypot(x - 0.63, y - 0.31) - 0.075 + 0.004 * bloom)
    picture = mix(picture, white, 0.7 * smoothstep(0.14, 0.05, np.hypot(x - 0.63, y - 0.31)))
    picture = _wash(picture, "e0602f", sun * (0.75 + 0.2 * bloom), tooth, rng, dried=1)
    jag = bloom
    for base, height, code, rate, phase, depth in [
        (0.5, 0.1, "8a9cc4", 7, 0.2, 0.62),
        (0.58, 0.12, "7088b4", 6, 2.4, 0.75),
        (0.67, 0.1, "568a94", 8, 4.0, 0.85),
        (0.77, 0.09, "6a9460", 6, 1.2, 0.9),
        (0.89, 0.07, "2f4a58", 7, 3.0, 1.05),
    ]:
        edge = (
            base - height * (0.5 * np.sin(rate * x + phase) + 0.35 * np.sin(2.3 * rate * x + 2 * phase)) + 0.016 * jag
        )
        jag = noise(size, 6, rng, octaves=5)
        below = y - edge
        fade = 0.16 + 0.84 * np.exp(-np.clip(below, 0, 1) * 9) + 0.12 * bloom
        load = smoothstep(-0.0015, 0.0025, below) * np.clip(fade, 0.1, 1.4) * depth
        picture = _wash(picture, code, load, tooth, rng, dried=1)
        if depth > 0.8:
            picture = _wash(
                picture,
                code,
                _pines(size, edge, x, rng, tall=0.05 * depth**2) * depth * (0.8 + 0.2 * bloom),
                tooth,
                rng,
                dried=0.6,
            )
    for code, count, spread in [("c05a3a", 26, 0.003), ("d99a3c", 26, 0.003), ("3f5a80", 20, 0.0024)]:
        picture = _wash(picture, code, _spatter(size, rng, count=count, spread=spread), tooth, rng, dried=1)
    return age(relief(picture, tooth * 0.00025, strength=0.6), rng, amount=0.015)


def _wash(below: Array, code: str, load: Array, tooth: Array, rng: Rng, *, dried: float = 0.0) -> Array:
    """One transparent wash over what is there (Beer's law): `load` (S, S) of pigment, darker along a dried edge.

    Pigment settles in the valleys of the paper, and a drying edge draws it outwards (Curtis et al.,
    "Computer-Generated Watercolor", 1997).
    """
    size = len(load)
    wet = load
    if dried:
        inner = blur(load, 0.006)
        wet = load * (1 + dried * 0.9 * smoothstep(0.2, 0.75, 1 - inner / (load + 0.25)) - 0.12 * dried)
    flow = 1 + 0.16 * noise(size, 7, rng, octaves=4) - 0.075 * tooth + 0.05 * noise(size, 200, rng)
    pigment = np.clip(colours(code)[0], 0.02, 1)
    amount = np.clip(wet * flow, 0, 2.2)[..., None]
    return np.asarray(below * np.exp(np.log(pigment) * amount), np.float32)


def _pines(size: int, edge: Array, x: Array, rng: Rng, *, tall: float) -> Array:
    """Little firs along a ridge, 0 to 1."""
    trees = []
    for place in np.sort(rng.uniform(-0.02, 1.02, 46)):
        if np.sin(place * 11 + tall * 90) < -0.1:
            continue
        column = int(np.clip(place, 0, 0.999) * size)
        foot = float(edge[0, column]) + 0.012
        high = tall * rng.uniform(0.5, 1.3)
        t = np.linspace(0, 1, 15)
        teeth = high * 0.22 * t**0.9 * (0.55 + 0.45 * (np.arange(15) % 2)) * rng.uniform(0.8, 1.2, 15)
        trees.append(ribbon(np.stack([np.full(15, place), foot - high * (1 - t)], -1), teeth + 0.0006))
    return blur((number(trees, size) >= 0).astype(np.float32), 0.0008)


def _spatter(size: int, rng: Rng, *, count: int, spread: float) -> Array:
    """Drops flicked from the brush, 0 to 1."""
    centre = rng.beta(1, 1, (count, 1, 2))
    circle = np.linspace(0, 2 * np.pi, 16)
    ring = np.stack([np.cos(circle), np.sin(circle)], -1) * rng.gamma(2, spread / 2, (count, 1, 1))
    drops = (number((centre + ring).astype(np.float32), size) >= 0).astype(np.float32)
    return blur(drops, 0.0006) * 0.8


def marbling(size: int, rng: Rng) -> Array:
    """Ebru: inks dropped on a bath, combed into feathers, with stylus whorls and stone veins.

    Each drop pushes all earlier ink outwards and each tine drags it along; outlines are moved exactly (Lu, Jaffer et
    al., "Mathematical Marbling", 2012).
    """
    inks = colours("14233f 1f3d5c 7a1f26 b5472f d99b3d e9d9b4 f3ead4 2f5f62 86a89a 14233f")
    points = 500
    circle = np.linspace(0, 2 * np.pi, points, endpoint=False)
    ring = np.stack([np.cos(circle), np.sin(circle)], -1).astype(np.float32)
    outlines = np.zeros((0, points, 2), np.float32)
    fills: list[int] = []
    x, y = scatter(170, rng, margin=0.05)
    for turn, centre in enumerate(np.stack([x, y], -1)):
        radius = np.float32(rng.uniform(0.055, 0.11) * (1 - 0.55 * turn / len(x)))
        for share in np.float32([1.0, 0.62])[: 1 + (turn % 3 == 0)]:
            outlines = np.concatenate([_push(outlines, centre, radius * share), [centre + ring * radius * share]])
            fills.append(int(rng.choice(len(inks), p=np.array([2, 1, 1, 1, 1, 2, 2, 1, 1, 1]) / 13)))
    for k, place in enumerate(np.linspace(-0.06, 1.06, 8)):
        outlines = _drag(outlines, np.array([place, 0.5]), np.array([0, 1.0 if k % 2 else -1.0]), 0.16, 0.028)
    for k, place in enumerate(np.linspace(-0.05, 1.05, 23)):
        wave = outlines + np.stack([np.zeros(outlines.shape[:2]), 0.012 * np.sin(9 * outlines[..., 0])], -1)
        outlines = _drag(wave, np.array([0.5, place]), np.array([1.0 if k % 2 == 0 else 0.8, 0]), 0.05, 0.011)
    for cx, cy, reach, turn in [
        (0.3, 0.34, 0.13, 2.6),
        (0.72, 0.63, 0.15, -3.0),
        (0.76, 0.2, 0.09, 2.4),
        (0.2, 0.78, 0.1, -2.4),
    ]:
        outlines = _whirl(outlines, np.array([cx, cy]), reach, turn)
    index = number(outlines.astype(np.float32), size)
    shade = rng.uniform(0.88, 1.08, (len(fills) + 1, 1)).astype(np.float32)
    colour = (np.concatenate([inks[fills], inks[:1]]) * shade)[index]
    fibre = paper(size, rng, tooth=170)
    film = noise(size, 26, rng, octaves=4)
    speck = smoothstep(2.3, 2.8, noise(size, 120, rng) + 0.25 * film)
    picture = mix(
        blur(colour, 0.0005) * (1 + 0.05 * film)[..., None],
        colours("efe3c8")[0],
        np.clip(0.06 + 0.035 * fibre + 0.5 * speck, 0, 1),
    )
    return age(relief(picture, fibre * 0.0003, strength=0.6), rng, amount=0.02)


def _push(points: Array, centre: Array, radius: float) -> Array:
    """Points (..., 2) after a drop has spread at `centre`; areas stay the same."""
    away = points - centre
    return np.asarray(
        centre + away * np.sqrt(1 + radius**2 / (np.einsum("nki,nki->nk", away, away)[..., None] + 1e-12))
    )


def _drag(points: Array, start: Array, direction: Array, far: float, sharp: float) -> Array:
    """Points (..., 2) after a tine has gone along a line, dragging the bath `far` and fading over `sharp`."""
    away = points - start
    across = np.abs(away[..., 0] * direction[1] - away[..., 1] * direction[0])
    return np.asarray(points + direction * (far * np.exp(-across / sharp))[..., None])


def _whirl(points: Array, centre: Array, reach: float, turn: float) -> Array:
    """Points (..., 2) after the stylus has stirred a circle: turned by `turn` radians at the centre, 0 far away."""
    away = points - centre
    angle = turn * np.exp(-np.sum(away**2, -1) / (0.5 * reach**2))
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack(
        [centre[0] + away[..., 0] * cos - away[..., 1] * sin, centre[1] + away[..., 0] * sin + away[..., 1] * cos], -1
    )
