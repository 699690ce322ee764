"""Pictures that water makes: washes of watercolour, and inks floated on a bath and combed."""

from __future__ import annotations

import numpy as np

from mien.style.patterns.field import Array, Rng, circle, colours, grid, mix, noise, scatter, smoothstep
from mien.style.patterns.strokes import number, ribbon, silhouette
from mien.style.patterns.surface import age, blur, paper, relief


def watercolour(size: int, rng: Rng) -> Array:
    """Misty mountains at dawn in watercolour: blooms, granulating pigment and dark edges where washes dried."""
    x, y = grid(size)
    tooth = paper(size, rng, tooth=140)
    white = colours("f6f0e2")[0] * (1 + 0.018 * tooth)[..., None]
    height = y + 0.05 * noise(size, 3, rng, octaves=3)
    bloom = noise(size, 4, rng, octaves=4)
    gold = 0.62 * smoothstep(0.1, 0.6, 1 - 2.6 * np.abs(height - 0.42))
    rosy = 0.4 * smoothstep(0.3, 0.9, 1 - 3 * np.abs(height - 0.3) + 0.25 * bloom)
    blue = smoothstep(0.42, -0.05, 1.3 * height - 0.3 * y) * (0.7 + 0.2 * bloom)
    picture = white
    for code, load in [("e8b25a", gold), ("d9826a", rosy), ("5a7fae", blue)]:
        picture = _wash(picture, code, load, tooth, rng)
    from_sun = np.hypot(x - 0.63, y - 0.31)
    picture = mix(picture, white, 0.7 * smoothstep(0.14, 0.05, from_sun))
    sun = smoothstep(0.006, -0.004, from_sun - 0.075 + 0.004 * bloom) * (0.75 + 0.2 * bloom)
    picture = _mountains(_wash(picture, "e0602f", sun, tooth, rng, dried=1), bloom, tooth, rng)
    for code, count, radius in [("c05a3a", 26, 0.003), ("d99a3c", 26, 0.003), ("3f5a80", 20, 0.0024)]:
        drops = rng.random((count, 1, 2)) + circle(16) * rng.gamma(2, radius / 2, (count, 1, 1))
        picture = _wash(picture, code, 0.8 * blur(silhouette(drops, size), 0.0006), tooth, rng, dried=1)
    return age(relief(picture, tooth * 0.00025, strength=0.6), rng, amount=0.015)


def _mountains(picture: Array, bloom: Array, tooth: Array, rng: Rng) -> Array:
    """Five ranges from far and pale to near and dark, each fading into the mist at its foot, the near ones wooded."""
    size = len(picture)
    x, y = grid(size)
    for base, tall, code, rate, phase, strength in [
        (0.5, 0.1, "8a9cc4", 7, 0.2, 0.62),
        (0.58, 0.12, "7088b4", 6, 2.4, 0.75),
        (0.67, 0.1, "568a94", 8, 4.0, 0.85),
        (0.77, 0.09, "6a9460", 6, 1.2, 0.9),
        (0.89, 0.07, "2f4a58", 7, 3.0, 1.05),
    ]:
        rolling = 0.5 * np.sin(rate * x + phase) + 0.35 * np.sin(2.3 * rate * x + 2 * phase)
        ridge = base - tall * rolling + 0.016 * noise(size, 6, rng, octaves=5)
        below = y - ridge
        mist = np.clip(0.16 + 0.84 * np.exp(-np.clip(below, 0, 1) * 9) + 0.12 * bloom, 0.1, 1.4)
        picture = _wash(picture, code, smoothstep(-0.0015, 0.0025, below) * mist * strength, tooth, rng, dried=1)
        if strength > 0.8:
            firs = _firs(ridge, rng, tall=0.05 * strength**2) * (0.8 + 0.2 * bloom)
            picture = _wash(picture, code, firs * strength, tooth, rng, dried=0.6)
    return picture


def _firs(ridge: Array, rng: Rng, *, tall: float) -> Array:
    """Little firs in groups along a ridge, given as its height (S, S) near every pixel, 0 to 1."""
    size = len(ridge)
    t = np.linspace(0, 1, 15)
    trees = []
    for place in rng.uniform(-0.02, 1.02, 46):
        high = tall * rng.uniform(0.5, 1.3)
        boughs = 0.22 * high * t**0.9 * (0.55 + 0.45 * (np.arange(15) % 2)) * rng.uniform(0.8, 1.2, 15) + 0.0006
        column = int(np.clip(place, 0, 0.999) * size)
        foot = ridge[int(ridge[0, column] * size), column] + 0.012
        if np.sin(place * 11 + tall * 90) > -0.1:
            trees.append(ribbon(np.stack([np.full(15, place), foot - high * (1 - t)], -1), boughs))
    return blur(silhouette(trees, size), 0.0008)


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


def marbling(size: int, rng: Rng) -> Array:
    """Ebru: inks dropped on a bath, combed into feathers and stirred into whorls.

    Each drop pushes all earlier ink outwards and each tine drags it along; outlines are moved exactly (Lu, Jaffer et
    al., "Mathematical Marbling", 2012).
    """
    inks = colours("14233f 1f3d5c 7a1f26 b5472f d99b3d e9d9b4 f3ead4 2f5f62 86a89a")
    often = np.array([3, 1, 1, 1, 1, 2, 2, 1, 1]) / 13
    drops = _drops(rng)
    fills = inks[rng.choice(len(inks), len(drops), p=often)] * rng.uniform(0.88, 1.08, (len(drops), 1))
    for number_of_tine, place in enumerate(np.linspace(-0.06, 1.06, 8)):
        drops = _drag(drops, (place, 0.5), (0, 1 if number_of_tine % 2 else -1), 0.16, 0.028)
    for number_of_tine, place in enumerate(np.linspace(-0.05, 1.05, 23)):
        drops = drops + np.stack([np.zeros(drops.shape[:2]), 0.012 * np.sin(9 * drops[..., 0])], -1)
        drops = _drag(drops, (0.5, place), (0.8 if number_of_tine % 2 else 1, 0), 0.05, 0.011)
    for cx, cy, reach, turn in [
        (0.3, 0.34, 0.13, 2.6),
        (0.72, 0.63, 0.15, -3.0),
        (0.76, 0.2, 0.09, 2.4),
        (0.2, 0.78, 0.1, -2.4),
    ]:
        drops = _whirl(drops, (cx, cy), reach, turn)
    bath_last = np.concatenate([fills, inks[:1]]).astype(np.float32)  # index -1, where no ink came
    colour = blur(bath_last[number(drops, size)], 0.0005)
    fibre, film = paper(size, rng, tooth=170), noise(size, 26, rng, octaves=4)
    speck = smoothstep(2.3, 2.8, noise(size, 120, rng) + 0.25 * film)
    bare = np.clip(0.06 + 0.035 * fibre + 0.5 * speck, 0, 1)
    picture = mix(colour * (1 + 0.05 * film)[..., None], colours("efe3c8")[0], bare)
    return age(relief(picture, fibre * 0.0003, strength=0.6), rng, amount=0.02)


def _drops(rng: Rng) -> Array:
    """Outlines (N, 360, 2) of drops that fell one after another, every third with a smaller one inside."""
    ring = circle(360).astype(np.float32)
    outlines = np.zeros((0, *ring.shape), np.float32)
    x, y = scatter(170, rng, margin=0.05)
    for turn, centre in enumerate(np.stack([x, y], -1)):
        radius = rng.uniform(0.055, 0.11) * (1 - 0.55 * turn / len(x))
        for size in (radius, 0.62 * radius)[: 1 + (turn % 3 == 0)]:
            spread = np.float32(size)
            outlines = np.concatenate([_push(outlines, centre, spread), [centre + ring * spread]])
    return outlines


def _push(points: Array, centre: Array, radius: np.float32) -> Array:
    """Points (N, M, 2) after a drop has spread at `centre`; areas stay the same."""
    away = points - centre
    squared = np.einsum("nmi,nmi->nm", away, away)[..., None] + np.float32(1e-12)
    return np.asarray(centre + away * np.sqrt(1 + radius**2 / squared))


def _drag(points: Array, start: tuple[float, float], along: tuple[float, float], far: float, sharp: float) -> Array:
    """Points (N, M, 2) after a tine has gone along a line, dragging the bath `far` and fading over `sharp`."""
    x, y = np.moveaxis(points - start, -1, 0)
    across = np.abs(x * along[1] - y * along[0])
    return np.asarray(points + np.array(along) * (far * np.exp(-across / sharp))[..., None])


def _whirl(points: Array, centre: tuple[float, float], reach: float, turn: float) -> Array:
    """Points (N, M, 2) after the stylus has stirred a circle: turned by `turn` radians at its centre, 0 far away."""
    x, y = np.moveaxis(points - centre, -1, 0)
    angle = turn * np.exp(-(x**2 + y**2) / (0.5 * reach**2))
    cos, sin = np.cos(angle), np.sin(angle)
    return np.asarray(centre + np.stack([x * cos - y * sin, x * sin + y * cos], -1))
