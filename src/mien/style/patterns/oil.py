"""Oil on canvas: pictures made of loaded brush and knife strokes."""

from __future__ import annotations

import numpy as np

from mien.style.patterns.field import SKETCH, Array, Rng, colours, grid, mix, noise, smoothstep
from mien.style.patterns.scene import Scene, lay, tint
from mien.style.patterns.strokes import Canvas, along, paint
from mien.style.patterns.surface import age, blur, relief, weave


def night(size: int, rng: Rng) -> Array:
    """A sky that turns around its moon and stars, over hills and cypresses."""
    scene, hearts = _sky(rng)
    _ridges(scene, rng)
    _cypresses(scene)
    colour, directions = scene.colour, scene.directions()
    bright = 0.25 + 0.75 * np.clip(blur(colour, 0.004).mean(-1) * 1.3, 0, 1)
    level = np.zeros_like(directions)
    canvas = Canvas.primed(size, colours("1a2340")[0])
    lay(canvas, colour, directions, rng, count=1400, length=0.1, width=0.022, vary=0.05)
    lay(canvas, colour, directions, rng, count=5200, length=0.062, width=0.0105, vary=0.075)
    lay(canvas, colour, directions, rng, count=4200, length=0.042, width=0.0065, vary=0.11, where=bright)
    lay(canvas, colour, level, rng, count=9000, length=0.02, width=0.011, vary=0.05, where=hearts, dry=0.1)
    picture = relief(canvas.colour, canvas.height + 0.0006 * weave(size), strength=0.75, gloss=0.1)
    return age(picture, rng, amount=0.02)


def _sky(rng: Rng) -> tuple[Scene, Array]:
    """The night sky, whose strokes follow the stream lines of a bath with whorls, and where its stars' hearts lie.

    The stream function's bands also give the sky its light and dark, so that tone and stroke turn together.
    """
    x, y = grid(SKETCH)
    moon_x, moon_y = 0.79, 0.2
    bodies = [(moon_x, moon_y, 0.085), (0.14, 0.13, 0.035), (0.36, 0.09, 0.03), (0.55, 0.13, 0.024)]
    bodies += [(0.6, 0.43, 0.03), (0.4, 0.45, 0.022), (0.94, 0.47, 0.028), (0.08, 0.42, 0.024)]
    stream = 0.9 * y + 0.035 * np.sin(7 * x + 1) + 0.02 * np.sin(17 * x + 5 * y)
    for cx, cy, radius, spin in [(0.34, 0.27, 0.12, 0.3), (0.54, 0.31, 0.08, 0.17), (0.24, 0.4, 0.06, -0.09)]:
        stream = stream + spin * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * radius**2))
    halo, hearts = np.zeros_like(x), np.zeros_like(x)
    for cx, cy, radius in bodies:
        away = np.hypot(x - cx, y - cy) / radius
        stream = stream + 3.2 * radius * np.exp(-((away / 2.1) ** 2))
        hearts = np.maximum(hearts, smoothstep(0.5, 0.3, away))
        halo = np.maximum(halo, np.exp(-((away / 1.75) ** 2) * 1.1) * (0.82 + 0.18 * np.cos(away * 5.2)))
    bands = 0.5 + 0.5 * np.sin(stream * 62 + 1.2 * noise(SKETCH, 5, rng))
    tone = 0.12 + 0.3 * y + 0.42 * bands * smoothstep(-0.1, 0.35, y) + 0.05 * noise(SKETCH, 9, rng)
    sky = tint("10183a 1c2f66 2c55a0 5b8fc0 a9c8cf e4e6cf", tone)
    sky = mix(sky, tint("3d6ea8 7fa7a0 d9c77a f0d264 f8ecb4", halo), smoothstep(0.08, 0.5, halo))
    sky = mix(sky, colours("fff6d0")[0], hearts)
    disc = smoothstep(0.075, 0.06, np.hypot(x - moon_x, y - moon_y))
    bite = smoothstep(0.035, 0.05, np.hypot(x - moon_x - 0.025, y - moon_y + 0.02))
    sky = mix(sky, colours("e58a24")[0], 0.9 * disc * bite)
    return Scene(sky, stream, halo), hearts


def _ridges(scene: Scene, rng: Rng) -> None:
    """Four ranges of hills, bluer the farther, folded along their ridges."""
    x, y = grid(SKETCH)
    for level, swing, rate, phase, codes in [
        (0.62, 0.05, 6.0, 0.5, "1d3a6b 3d6aa0 7fa6b8"),
        (0.7, 0.045, 8.0, 2.1, "14294a 2c5a78 6f9a86"),
        (0.79, 0.035, 7.0, 4.4, "0f2238 22503f 7d9a4a d0b450"),
        (0.9, 0.03, 5.0, 0.9, "0d1a26 1c3f33 55783a b89a3e"),
    ]:
        below = y - level - swing * np.sin(rate * x + phase) - 0.4 * swing * np.sin(2.7 * rate * x)
        folds = 0.5 + 0.5 * np.sin(below * 75 + 9 * x + 1.5 * noise(SKETCH, 6, rng))
        land = tint(codes, 0.75 * folds + 0.25 * np.exp(-below * 25))
        scene.add(below > 0, land, below + 0.03 * np.sin(11 * x + 8 * below))


def _cypresses(scene: Scene) -> None:
    """Two dark trees that rise like flames."""
    x, y = grid(SKETCH)
    for cx, top, spread in [(0.11, 0.12, 0.085), (0.215, 0.37, 0.05)]:
        rise = np.clip((y - top) / (1.02 - top), 0, 1)
        across = x - cx - 0.012 * np.sin(15 * y) * (y - top)
        flame = spread * rise**0.7 * (1.15 - 0.5 * rise) * (1 + 0.13 * np.sin(30 * y + 14 * x))
        strands = 0.45 + 0.45 * np.sin(across / (flame + 1e-3) * 7 + 9 * y)
        rising = across / (flame + 0.02) * 0.05 + 0.004 * np.sin(22 * y)
        scene.add((np.abs(across) < flame) & (y > top), tint("0a0f16 12261f 27402a 5f5a2c", strands), rising)


def poppies(size: int, rng: Rng) -> Array:
    """A poppy field under tall clouds, laid on thick with the palette knife."""
    rough = noise(SKETCH, 6, rng, octaves=4)
    scene = _clouds(rough)
    _fields(scene, rough)
    _trees(scene, rough)
    colour, directions = scene.colour, scene.directions()
    blades = 0.25 + 0.65 * smoothstep(0.5, 0.7, grid(SKETCH)[1])
    canvas = Canvas.primed(size, colours("7a4a2c")[0])
    lay(canvas, colour, directions, rng, count=750, length=0.13, width=0.042, bluntness=9, body=0.8, dry=0.5)
    lay(canvas, colour, directions, rng, count=3000, length=0.065, width=0.019, vary=0.08, bluntness=9, dry=0.55)
    lay(canvas, colour, directions, rng, count=3600, length=0.04, width=0.008, vary=0.12, where=blades, dry=0.5)
    _flowers(canvas, rng)
    picture = relief(canvas.colour, canvas.height + 0.0007 * weave(size, 120), strength=0.6, gloss=0.1)
    return age(picture, rng, amount=0.02)


def _clouds(rough: Array) -> Scene:
    """A summer sky, turquoise to apricot, with piled clouds lit from the right."""
    x, y = grid(SKETCH)
    sky = tint("2f6f96 5a9ab0 a9c9bf ecd9a8 f0c07a", 0.05 + 1.75 * y + 0.04 * rough)
    drift = y + 0.05 * np.sin(5 * x + 2) + 0.03 * rough
    piles = [(0.68, 0.17, 0.24, 0.11), (0.3, 0.27, 0.2, 0.07), (0.9, 0.31, 0.2, 0.05), (0.1, 0.1, 0.14, 0.06)]
    for cx, cy, wide, high in piles:
        across, down = (x - cx) / wide, (y - cy) / high
        away = np.hypot(across, down) + 0.24 * rough
        cloud = tint("7d86a8 c9a9a0 f0d3a8 fbf0d8", 0.62 - 0.375 * down + 0.35 * across + 0.1 * rough)
        sky = mix(sky, cloud, smoothstep(1.0, 0.75, away))
        drift = np.where(away < 1, away * 0.15, drift)
    return Scene(sky, drift, y)


def _fields(scene: Scene, rough: Array) -> None:
    """Far hills in lavender and green, then wheat and meadow whose rows run towards one point on the horizon."""
    x, y = grid(SKETCH)
    for level, swing, rate, phase, codes in [
        (0.45, 0.022, 7, 0.3, "5a6a9c 8a8fb4 b7a9ba"),
        (0.5, 0.02, 6, 2.0, "2f4f5f 567a6f 9aa56a"),
        (0.56, 0.012, 5, 4.0, "6a5a24 b8862c e6b84a f3d97c"),
        (0.7, 0.02, 4, 1.0, "2a3a22 4f6a2c 8a8f3a c9a04a"),
    ]:
        below = y - level - swing * np.sin(rate * x + phase)
        if level > 0.53:
            rows = np.sin((x - 0.62) / (np.clip(below, 0, 1) + 0.09) * 9)
            run = (x - 0.62) / (below + 0.35) * 0.3
        else:
            rows = np.sin(below * 120 + 6 * x)
            run = below + 0.05 * x
        scene.add(below > 0, tint(codes, 0.5 + 0.26 * rows + 0.18 * rough), run + 0.012 * rough)


def _trees(scene: Scene, rough: Array) -> None:
    """Cypresses at the edges of the field, as foot and height."""
    x, y = grid(SKETCH)
    stand = [(0.1, 0.61, 0.34), (0.2, 0.6, 0.26), (0.28, 0.58, 0.19), (0.87, 0.57, 0.13), (0.94, 0.58, 0.18)]
    for tx, foot, high in stand:
        rise = np.clip((foot - y) / high, 0, 1)
        away = np.hypot((x - tx) / (0.2 * high * (1.3 - rise)), (y - foot + 0.5 * high) / (0.55 * high))
        leaves = tint("10221c 1f3f2a 4a6a2f a89a3f", 0.42 + 5 * (x - tx) + 0.2 * rough)
        scene.add(away + 0.05 * rough < 1, leaves, x + 0.004 * np.sin(40 * y))


def _flowers(canvas: Canvas, rng: Rng) -> None:
    """Poppies in three dabs each that grow towards the viewer, with dark hearts, and a few other flowers."""
    reds, others = colours("8f1a1a b8261c d63a22 e8603f f08a5a"), colours("3f4f9a f4e6c0 e8a83a")
    count = 900
    near = np.sort(rng.beta(1.5, 1.0, count))
    x = rng.uniform(-0.02, 1.02, count)
    y = 0.6 + 0.42 * near**1.1
    broad = (0.005 + 0.027 * near**1.6) * rng.uniform(0.6, 1.2, count)
    poppy = rng.random((count, 1)) < 0.84
    petals = np.where(poppy, reds[rng.integers(0, len(reds), count)], others[rng.integers(0, len(others), count)])
    for dx, dy, scale, shade in [(0, 0, 1.0, 0.8), (-0.25, -0.2, 0.7, 1.1), (0.22, -0.12, 0.55, 1.25)]:
        colour = np.clip(petals * shade + rng.normal(0, 0.04, (count, 3)), 0, 1)
        tilt = np.full((4, 4), rng.uniform(-0.5, 0.5))
        wide = broad * scale
        dabs = along(tilt, x + dx * broad, y + dy * broad, length=1.25 * wide, width=wide, colour=colour)
        paint(canvas, dabs, rng, bluntness=2.4, dry=0.1, body=0.9, hairs=4)
    big = broad > 0.012
    dark = np.tile(colours("1c1016")[0], (int(big.sum()), 1))
    dabs = along(np.zeros((4, 4)), x[big], y[big], length=0.3 * broad[big], width=0.24 * broad[big], colour=dark)
    paint(canvas, dabs, rng, bluntness=2.2, dry=0.0, body=0.4)
