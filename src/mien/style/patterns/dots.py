"""Divisionism: colours set side by side in dots and left for the eye to mix."""

from __future__ import annotations

import numpy as np

from mien.style.patterns.field import SKETCH, Array, Rng, colours, grid, look_up, mix, noise, scatter, smoothstep
from mien.style.patterns.scene import Scene, tint
from mien.style.patterns.strokes import Canvas, along, paint
from mien.style.patterns.surface import age, relief, weave


def points(size: int, rng: Rng) -> Array:
    """Sails and trees by a river on a summer afternoon, in dots of divided colour."""
    scene = _river(rng)
    drift = 0.5 * noise(SKETCH, 4, rng) + 0.4
    canvas = Canvas.primed(size, colours("d8cdb0")[0])
    canvas.height += 0.0005 * weave(size, 170)
    for count, width, divided in [(3600, 0.019, 0.5), (11000, 0.0102, 0.85), (15000, 0.0072, 1.0)]:
        x, y = scatter(count, rng)
        colour = _divide(look_up(scene.colour, x, y), look_up(scene.light, x, y), rng, amount=divided)
        dab = width * rng.uniform(0.75, 1.2, len(x))
        strokes = along(drift, x, y, length=dab * 1.2, width=dab, colour=colour)
        paint(canvas, strokes, rng, bluntness=2.2, streak=0.045, dry=0.0, body=0.7, hairs=1.6)
    return age(relief(canvas.colour, canvas.height, strength=0.55, gloss=0.06), rng, amount=0.015)


def _divide(local: Array, light: Array, rng: Rng, *, amount: float) -> Array:
    """Each dot's colour (N, 3): the local colour made purer, or else sun, shade or the complement.

    After Seurat's practice as Signac describes it ("D'Eugène Delacroix au néo-impressionnisme", 1899).
    """
    n = len(local)
    grey = local.mean(1, keepdims=True)
    complement = np.clip(2 * grey - local, 0, 1) * 0.9 + 0.06
    sun, shade = colours("f4b25c f7dc8a ee8f6a"), colours("2e3f8c 5a4a96 27618f")
    lot = rng.random(n)
    colour = grey + (local - grey) * rng.uniform(1.0, 1.7, (n, 1)) + rng.normal(0, 0.05, (n, 3))
    for drawn, other, strength in [
        (lot < 0.1, complement, 0.7),
        ((lot > 0.1) & (lot < 0.1 + 0.34 * light), sun[rng.integers(0, len(sun), n)], 0.62),
        ((lot > 0.55) & (lot < 0.55 + 0.36 * (1 - light)), shade[rng.integers(0, len(shade), n)], 0.62),
    ]:
        colour = np.where(drawn[:, None], mix(colour, other, strength * amount), colour)
    return np.asarray(np.clip(colour + rng.normal(0, 0.04, (n, 1)), 0, 1))


def _river(rng: Rng) -> Scene:
    """The scene from back to front, in a border of blue dots."""
    x, y = grid(SKETCH)
    rough = noise(SKETCH, 8, rng, octaves=4)
    glow = np.exp(-((x - 0.68) ** 2 + (y - 0.3) ** 2) * 9)
    sky = tint("86aed0 b5cddb ecdcc0 f6cf9a", 0.05 + 1.5 * y + 0.6 * glow + 0.05 * rough)
    scene = Scene(sky, y, 0.55 + 0.4 * glow)
    far = 0.4 - 0.02 * np.sin(11 * x) - 0.012 * rough
    scene.add(y > far, tint("4f6f9a 7f9fa8 b5bf9a", 0.5 + 3 * (0.45 - y) + 0.25 * rough), light=0.5)
    ripple = np.sin(120 * y**1.5 + 2.5 * noise(SKETCH, (18, 4), rng))
    track = np.exp(-(((x - 0.68) / (0.05 + 0.25 * (y - 0.45))) ** 2))
    water = tint("2f5f8f 4f86a8 8fb9bc e8d8a8 fbe9b0", 0.53 + 0.16 * ripple + 0.5 * track - 0.3 * y)
    scene.add(y > 0.46, water, light=0.55 + 0.3 * track)
    _boats(scene, ripple, rough)
    _bank(scene, rough)
    _strollers(scene)
    frame = smoothstep(0.02, 0.012, np.minimum(np.minimum(x, 1 - x), np.minimum(y, 1 - y)))
    scene.colour = mix(scene.colour, colours("2f3f7a")[0], frame)
    scene.light = np.clip(scene.light, 0, 1)
    return scene


def _boats(scene: Scene, ripple: Array, rough: Array) -> None:
    """Sailing boats and their broken reflections, as mast, foot and height."""
    x, y = grid(SKETCH)
    for mast, foot, tall in [(0.47, 0.555, 0.2), (0.83, 0.515, 0.11), (0.64, 0.49, 0.07)]:
        right, rise = (x - mast) / tall, np.clip((y - foot) / tall + 1, 0, 1)
        hoisted = (rise > 0) & (rise < 1)
        sail = hoisted & (right > -0.02 * rise / tall) & (right < 0.4 * rise**0.8)
        jib = hoisted & (right < -0.02 * rise / tall) & (-right < 0.3 * np.clip(rise - 0.15, 0, 1))
        fade = np.clip((foot - y) / tall + 0.9, 0, 1)
        echo = (y > foot + 0.02) & (np.abs(right - 0.1 + 0.006 * ripple / tall) < 0.25 * fade) & (ripple > -0.5)
        hull = (np.abs(right - 0.05) < 0.3) & (np.abs((y - foot - 0.01) / tall) < 0.05)
        scene.add(echo, tint("c9a890 ecdcb8", 0.6 * fade), light=0.6)
        scene.add(sail | jib, tint("e6a87a f6e3bd fdf4dc", 0.9 - 2.2 * right), light=0.9)
        scene.add(hull, tint("3a1f3a 8a3f3a", 0.5 + 0.4 * rough), light=0.3)


def _bank(scene: Scene, rough: Array) -> None:
    """A sunny bank with pools of shade, and two trees that frame the view."""
    x, y = grid(SKETCH)
    below = y - 0.77 + 0.11 * np.sin(2.6 * x + 0.5) - 0.14 * x - 0.008 * rough
    grass = 0.55 + 0.3 * np.sin(54 * below + 4 * x) + 0.15 * rough - 0.6 * (1 - x) * (y - 0.6)
    scene.add(below > 0, tint("28503f 4f7f3f 9fae4a e6d070", grass), light=0.6)
    pools = (below > 0.06) & (np.sin(7 * x + 14 * y) + 0.5 * rough < -0.45)
    scene.add(pools, tint("1f2f5a 2f4f5a 3f6a4a", 0.4 + 0.3 * rough), light=0.1)
    for foot, lean, wide in [(0.13, 0.03, 0.02), (0.27, -0.03, 0.014)]:
        trunk = np.abs(x - foot - lean * np.sin(4 * y)) < wide * (0.8 + 0.5 * y)
        scene.add(trunk & (y > 0.25) & (y < 0.86), tint("2a1f3f 6a3f3a c98a5a", 0.3 + 18 * (x - foot)), light=0.3)
    crowns = [(0.08, 0.2, 0.19), (0.24, 0.12, 0.16), (0.02, 0.42, 0.13)]
    crowns += [(0.34, 0.26, 0.1), (0.18, 0.33, 0.12), (0.4, 0.06, 0.09)]
    for cx, cy, spread in crowns:
        right, down = (x - cx) / spread, (y - cy) / spread
        sunlit = 0.5 + 0.45 * (right - down) + 0.18 * rough
        leaves = tint("16304a 1f5a4a 4f8a3f b5b84a f0d870", sunlit)
        scene.add(np.hypot(right, down) + 0.22 * rough < 1, leaves, light=0.25 + 0.6 * np.clip(sunlit, 0, 1))


def _strollers(scene: Scene) -> None:
    """Two people with parasols, and their shadows."""
    x, y = grid(SKETCH)
    foot = 0.93
    for px, skirt in [(0.56, "7a1f3f c43f3a e8806a"), (0.63, "27306a 4a5aa0 8a9ac8")]:
        right, down = x - px, y - foot
        flare = 0.008 + 0.028 * np.clip(1 + 10 * down, 0, 1) ** 0.8
        scene.add((np.abs(right + 0.05) < 0.06) & (np.abs(down) < 0.009), tint("1f2f5a 2f4f5a", 0.5), light=0.1)
        scene.add((down > -0.1) & (down < 0) & (np.abs(right) < flare), tint(skirt, 0.55 + 14 * right), light=0.5)
        scene.add(np.hypot(right, down + 0.112) < 0.014, tint("5a2f2a e8b080", 0.5 + 30 * right), light=0.5)
        parasol = np.hypot(right / 2.1, (down + 0.152) / 0.9) < 0.02
        scene.add(parasol, tint("e8a04a f4e0b0", 0.6 + 10 * right), light=0.8)
