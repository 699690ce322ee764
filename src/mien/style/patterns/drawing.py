"""Drawings: pen and ink on warm paper, charcoal and chalk on toned paper."""

from __future__ import annotations

import numpy as np

from mien.style.patterns.field import (
    SKETCH,
    Array,
    Rng,
    colours,
    contours,
    enlarge,
    grid,
    look_up,
    mix,
    noise,
    ramp,
    scatter,
    smoothstep,
)
from mien.style.patterns.scene import Scene
from mien.style.patterns.strokes import along, number, outlines, ribbon, silhouette, stroke_coordinates
from mien.style.patterns.surface import age, blur, paper


def ink(size: int, rng: Rng) -> Array:
    """A castle on its rock above the sea, in cross-hatched pen and sepia wash."""
    scene = _castle(rng)
    darkness, directions = np.clip(scene.colour, 0, 1), scene.soft_directions()
    fibre = paper(size, rng, tooth=150)
    sheet = ramp(colours("c9a877 e6cfa2 f2e3c2"), 0.62 + 0.1 * fibre + 0.1 * noise(size, 3, rng, octaves=3))
    wash = enlarge(blur(darkness, 0.012), size) + 0.06 * noise(size, 8, rng, octaves=3)
    picture = mix(sheet, sheet * colours("8f6844")[0], 0.85 * smoothstep(0.22, 0.8, wash))
    black: Array = 0.95 * silhouette(_pen_lines(scene.outlines, size, rng), size)
    for turn, start, count, width in [
        (0.0, 0.04, 7500, 0.0027),
        (0.0, 0.22, 8000, 0.0028),
        (0.75, 0.42, 7500, 0.0027),
        (-0.7, 0.62, 7500, 0.0029),
        (1.5, 0.8, 10000, 0.0034),
    ]:
        wanted = smoothstep(start, start + 0.35, darkness)
        black = np.maximum(black, _hatch(size, directions + turn, wanted, rng, count=count, width=width))
    pen = ramp(colours("1c130e 3a261a"), 0.4 + 0.25 * noise(size, 30, rng, octaves=2))
    return age(mix(picture, pen, black * (0.86 + 0.06 * fibre)), rng, amount=0.025)


def _pen_lines(masks: list[Array], size: int, rng: Rng) -> list[Array]:
    """The contours of the masks as short pen lines that swell and thin."""
    lines = []
    for mask in masks:
        for line in contours(blur(mask, 0.004), 0.5):
            line = line[::2]
            swell = np.sin(np.linspace(0, len(line) / 4, len(line)) + rng.uniform(0, 6))
            width = np.maximum(0.0015 + 0.0008 * swell - 0.45 / size, 0.1 / size)
            lines += [ribbon(line[i : i + 12], width[i : i + 12]) for i in range(0, len(line) - 2, 11)]
    return lines


def _hatch(size: int, directions: Array, wanted: Array, rng: Rng, *, count: int, width: float) -> Array:
    """Pen strokes (size, size) in [0, 1] along the directions, as dense as `wanted` (S, S) asks."""
    x, y = scatter(count, rng)
    kept = rng.random(len(x)) < look_up(wanted, x, y)
    x, y = x[kept], y[kept]
    length = 0.038 * rng.uniform(0.6, 1.4, len(x))
    pen = np.maximum(width * rng.uniform(0.7, 1.25, len(x)) - 0.9 / size, 0.1 / size)  # filling adds about a pixel
    strokes = along(directions, x, y, length=length, width=pen, colour=np.zeros((len(x), 3)))
    index = number(outlines(strokes, bluntness=1.6, points=5), size)
    u, _ = stroke_coordinates(strokes, index)
    flow = rng.uniform(0.75, 1, len(x)).astype(np.float32)[index]
    return np.asarray((index >= 0) * flow * (1 - 0.25 * smoothstep(0.2, 1, u)), np.float32)


def _castle(rng: Rng) -> Scene:
    """The scene from back to front; its colour is a darkness, 0 for paper and 1 for the blackest hatching."""
    x, y = grid(SKETCH)
    rough = noise(SKETCH, 7, rng, octaves=5)
    cloud = noise(SKETCH, (7, 4), rng, octaves=4)
    leafy = noise(SKETCH, 26, rng, octaves=2)
    from_moon = np.hypot(x - 0.27, y - 0.2)
    dark = 0.08 + 0.38 * smoothstep(0.08, 0.6, from_moon) + 0.1 * np.sin(from_moon * 60)
    billow = smoothstep(0.15, 0.75, cloud - 2.4 * np.abs(y - 0.3) + 0.5)
    lit = smoothstep(0.2, -0.6, np.gradient(cloud, axis=0) * -40)
    scene = Scene(dark * (1 - 0.75 * billow) + 0.28 * billow * lit, from_moon, y)
    scene.add(from_moon < 0.075, 0.0, outlined=True)
    glitter = smoothstep(0.14, 0.02, np.abs(x - 0.27) * (1.36 - 0.6 * y))
    ripple = np.sin(150 * y**1.6 + 1.6 * noise(SKETCH, (20, 5), rng))
    scene.add(y > 0.66, 0.34 + 0.26 * ripple - 0.5 * glitter, y + 0.003 * ripple)
    hills = 0.63 + 0.03 * np.sin(9 * x + 2) + 0.01 * rough
    scene.add((y > hills) & (y < 0.67), 0.3 + 0.15 * rough, y - hills + 0.3 * x, outlined=True)
    _rock(scene, rough, leafy)
    _foreground(scene, rough, leafy)
    return scene


def _rock(scene: Scene, rough: Array, leafy: Array) -> None:
    """The crag with its planes of light and shade, the towers on it and bushes at their feet."""
    x, y = grid(SKETCH)
    crest = 0.42 + 2.2 * np.clip(0.6 - x, 0, 1) ** 1.4 + 1.2 * np.clip(x - 0.9, 0, 1) + 0.018 * rough
    plane = np.tanh(3 * np.sin(30 * x + 16 * y + 1.2 * np.sin(23 * y) + 0.8 * rough))
    steep = x + 0.2 * np.sin(9 * x) * (y - 0.5) + 0.012 * plane
    crag = (y > crest) & (y < 0.86 + 0.02 * rough)
    scene.add(crag, 0.42 + 0.32 * plane + 0.7 * (x - 0.72), steep, outlined=True)
    towers = [(0.63, 0.72, 0.27, 0.1), (0.7, 0.84, 0.33, 0.0), (0.82, 0.9, 0.22, 0.13)]
    towers += [(0.755, 0.805, 0.2, 0.09), (0.585, 0.64, 0.36, 0.06)]
    for left, right, top, roof in towers:
        across, down = (x - left) / (right - left), y - top
        wall = (across > 0) & (across < 1) & (down > 0) & (y < np.maximum(crest + 0.02, 0.44))
        shade = 0.08 + 0.8 * np.clip(across, 0, 1) ** 1.5 + 0.05 * rough
        scene.add(wall, shade, y + 0.15 * x, outlined=True)
        merlons = (np.abs(across - 0.5) < 0.56) & (np.abs(down + 0.002) < 0.014)
        merlons &= (np.sin(across * 22) > -0.2) | (down > 0)
        scene.add(merlons, 0.15 + 0.6 * across, x, outlined=True)
        if roof:
            cone = (np.abs(across - 0.5) < 0.58 * (1 + down / roof)) & (down > -roof) & (down < -0.004)
            scene.add(cone, 0.45 + 0.5 * across, x * 0.9 - 0.2 * y, outlined=True)
        for window in (0.3, 0.66):
            scene.add((np.abs(across - window) < 0.07) & (np.abs(down - 0.055) < 0.016), 1.0, x)
    bushes = [(0.6, 0.6, 0.05), (0.68, 0.55, 0.045), (0.76, 0.52, 0.04)]
    bushes += [(0.9, 0.52, 0.06), (0.83, 0.57, 0.05), (0.53, 0.68, 0.04)]
    for cx, cy, spread in bushes:
        beside, drop = (x - cx) / spread, (y - cy) / spread
        away = np.hypot(beside, drop * 1.1) + 0.3 * leafy
        scene.add(away < 1, 0.42 + 0.5 * (beside + drop), away * spread, outlined=True)


def _foreground(scene: Scene, rough: Array, leafy: Array) -> None:
    """A grassy bank, and an old tree that closes the view on the left."""
    x, y = grid(SKETCH)
    below = y - 0.86 + 0.06 * np.sin(4 * x + 0.6) - 0.1 * x - 0.012 * rough
    grass = 0.36 + 0.3 * np.sin(66 * below + 5 * x) + 0.12 * rough + 0.8 * (y - 0.9)
    scene.add(below > 0, grass, x + 0.12 * np.sin(12 * x) * y, outlined=True)
    across = x - 0.1 - 0.05 * np.sin(5 * y + 0.5)
    trunk = (np.abs(across) < 0.022 + 0.1 * np.clip(y - 0.8, 0, 1) ** 1.5) & (y > 0.35)
    scene.add(trunk, 0.62 + 9 * across, across + 0.06 * y, outlined=True)
    for cx, cy, spread in [
        (0.03, 0.3, 0.16),
        (0.14, 0.24, 0.12),
        (0.06, 0.08, 0.17),
        (0.2, 0.1, 0.09),
        (-0.02, 0.5, 0.1),
    ]:
        right, down = (x - cx) / spread, (y - cy) / spread
        away = np.hypot(right, down) + 0.2 * leafy
        scene.add(away < 1, 0.58 + 0.4 * (down - 0.6 * right) + 0.3 * leafy, away * spread * 0.5 + 0.01 * rough)


def charcoal(size: int, rng: Rng) -> Array:
    """A wind-bent tree against a breaking sky, in charcoal and white chalk on blue-grey paper."""
    limbs = _branches(rng)
    scene = _heath(rng)
    tone, directions = scene.colour, scene.soft_directions()
    tooth = 0.85 * paper(size, rng, tooth=210) + 0.25 * np.sin(grid(size)[1] * 2 * np.pi * 95)
    sheet = ramp(colours("5b6a70 7b8988 98a29c"), 0.5 + 0.11 * tooth)
    smudge = enlarge(blur(tone, 0.008), size)
    picture = mix(sheet, colours("303134")[0], smoothstep(0.52, 0.0, smudge) * 0.6)
    picture = mix(picture, colours("d6d3c8")[0], smoothstep(0.6, 1.0, smudge) * 0.3)
    for code, wanted in [
        ("b98257", smoothstep(0.13, 0.0, np.abs(tone - 0.62)) * 0.42),
        ("19181a", smoothstep(0.52, 0.06, tone)),
        ("f4eee0", smoothstep(0.5, 0.95, tone)),
    ]:
        rubbed = _rub(size, directions, wanted, rng, length=0.1, width=0.03, count=1300)
        rubbed += 0.8 * _rub(size, directions, wanted, rng, length=0.06, width=0.011, count=4200)
        rubbed += 0.6 * _rub(size, directions, wanted, rng, length=0.05, width=0.0045, count=6000)
        pressure = 0.24 * enlarge(wanted, size) + 0.66 * rubbed
        touched = smoothstep(0.03, 0.2, pressure)
        picture = mix(
            picture, colours(code)[0], touched * smoothstep(-0.35, 0.5, 1.25 * pressure - 0.6 - 0.24 * tooth) * 0.94
        )
    return age(_tree(picture, limbs, tooth), rng, amount=0.025)


def _rub(size: int, directions: Array, wanted: Array, rng: Rng, *, length: float, width: float, count: int) -> Array:
    """The pressure (size, size) of a stick's side dragged along the directions, 0 where it never went."""
    x, y = scatter(count, rng)
    chance = look_up(wanted, x, y)
    keep = rng.random(len(x)) < chance
    x, y, chance = x[keep], y[keep], chance[keep]
    vary = rng.uniform(0.7, 1.3, len(x))
    strokes = along(directions, x, y, length=length * vary, width=width * vary, colour=np.zeros((len(x), 3)))
    index = number(outlines(strokes, bluntness=3), size)
    u, v = stroke_coordinates(strokes, index)
    weight = (chance * rng.uniform(0.5, 1.2, len(x))).astype(np.float32)[index]
    return np.asarray((index >= 0) * weight * (0.75 + 0.35 * smoothstep(-0.8, 0.9, v)) * (1 - 0.3 * u), np.float32)


def _heath(rng: Rng) -> Scene:
    """Dark hills under clouds that the light breaks through; the scene's colour is a tone, 0 black to 1 white."""
    x, y = grid(SKETCH)
    warp = noise(SKETCH, 3, rng, octaves=2)
    sun_x, sun_y = 0.66, 0.36
    from_sun = np.hypot(x - sun_x, (y - sun_y) * 1.15)
    tone = 0.5 + 0.5 * np.exp(-((from_sun / 0.2) ** 2)) - 0.34 * smoothstep(0.25, 0.75, from_sun)
    turn = 0.5 * np.log(from_sun + 0.1) + 0.03 * warp
    clouds = [(0.2, 0.16, 0.26), (0.5, 0.08, 0.2), (0.86, 0.13, 0.22), (0.05, 0.4, 0.2)]
    clouds += [(0.36, 0.3, 0.15), (0.97, 0.4, 0.17), (0.72, 0.55, 0.14), (0.16, 0.56, 0.13)]
    for cx, cy, wide in clouds:
        right, down = (x - cx) / wide, (y - cy) / wide
        away = np.hypot(right, 1.7 * down) + 0.14 * warp + 0.13 * noise(SKETCH, 9, rng, octaves=3)
        to_x, to_y = sun_x - cx, sun_y - cy
        sunward = (to_x * right + to_y * down) / (np.hypot(to_x, to_y) + 0.05)
        puff = 0.42 + 0.6 * sunward + 0.1 * noise(SKETCH, 10, rng, octaves=3)
        tone = tone + (puff - tone) * smoothstep(1.05, 0.8, away)
        turn = np.where(away < 1, away * 0.2, turn)
    scene = Scene(tone, turn, y)
    for level, swing, rate, phase, lit in [
        (0.66, 0.025, 5, 0.5, 0.42),
        (0.75, 0.045, 4, 2.2, 0.3),
        (0.88, 0.04, 6, 4.0, 0.2),
    ]:
        below = y - level - swing * np.sin(rate * x + phase)
        crest = 0.5 * np.exp(-below * 45) * smoothstep(0.1, 0.8, x)
        furrows = 0.24 * np.sin(below * 70 + 8 * x + warp) * np.exp(-below * 3)
        scene.add(below > 0, lit + crest + furrows, below + 0.012 * np.sin(14 * x + 20 * below))
    scene.colour = np.clip(scene.colour, 0, 1)
    return scene


def _tree(picture: Array, limbs: list[tuple[Array, Array]], tooth: Array) -> Array:
    """Draw the tree with the stick's edge: black limbs, a chalk light on their right, twigs that break off."""
    size = len(picture)
    dark = blur(silhouette([ribbon(spine, width) for spine, width in limbs], size), 0.0012)
    picture = mix(picture, colours("141315")[0], smoothstep(0.0, 0.55, dark * 1.15 - 0.12 * tooth - 0.1) * 0.96)
    lit = [ribbon(spine + width[:, None] * [0.5, -0.12], width * 0.22) for spine, width in limbs if width[0] > 0.007]
    chalk = blur(silhouette(lit, size), 0.001)
    return mix(
        picture,
        colours("f1e6d2")[0],
        smoothstep(0.05, 0.4, chalk) * smoothstep(-0.5, 0.6, chalk - 0.5 - 0.3 * tooth) * 0.85,
    )


def _branches(rng: Rng) -> list[tuple[Array, Array]]:
    """A tree bent by the wind: every branch as points (N, 2) and half widths (N,)."""
    done = []
    todo = [(0.36, 0.95, -1.55, 0.034, 0.34, 0)]
    while todo:
        x, y, bearing, width, long, depth = todo.pop()
        bends = bearing + np.cumsum(rng.normal(0.05 * (depth > 0), 0.17, 5))
        steps = np.stack([np.cos(bends), np.sin(bends)], -1) * long / 5
        spine = np.array([x, y]) + np.concatenate([np.zeros((1, 2)), np.cumsum(steps, 0)])
        done.append((spine, np.linspace(width, width * 0.55, 6)))
        if depth < 6:
            spreads = rng.normal([-0.55, 0.12, 0.7], 0.15)[: 2 + (depth % 2 == 0)]
            shorter = long * rng.uniform(0.66, 0.84, 3)
            todo += [
                (*spine[-1], bends[-1] + spread, width * 0.58, length, depth + 1)
                for spread, length in zip(spreads, shorter, strict=False)
            ]
    return done
