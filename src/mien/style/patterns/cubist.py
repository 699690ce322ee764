"""Cubism: a still life broken into facets that each look from a place of their own."""

from __future__ import annotations

import numpy as np

from mien.style.patterns.field import Array, Rng, colours, enlarge, grid, look_up, mix, noise, smoothstep
from mien.style.patterns.scene import Scene, lay, tint
from mien.style.patterns.strokes import Canvas, number, ribbon, silhouette
from mien.style.patterns.surface import age, relief, weave

SCENE = 640
"""Pixels of the still life before it is broken: finer than a sketch, since facets show its edges."""


def cubist(size: int, rng: Rng) -> Array:
    """A guitar, a bottle and fruit on a table, in ochre, slate and bone facets."""
    facets = _split(rng)
    bearing = np.array([_longest_edge(facet) for facet in facets], np.float32)
    crossed = rng.random(len(facets)) < 0.35
    scene = _break(_still_life(rng), facets, bearing, rng)
    directions = (bearing + np.float32(np.pi / 2) * crossed)[number(facets, SCENE)].astype(np.float32)
    canvas = Canvas.primed(size, colours("5a4630")[0])
    lay(canvas, scene, directions, rng, count=2600, length=0.05, width=0.02, vary=0.03, bluntness=9, streak=0.06)
    facet_colour = np.stack([enlarge(channel, size) for channel in np.moveaxis(scene, -1, 0)], -1)
    canvas.colour = mix(canvas.colour, facet_colour, 0.5 + 0.18 * noise(size, 30, rng, octaves=3))
    lay(canvas, scene, directions, rng, count=7000, length=0.022, width=0.0085, vary=0.05, dry=0.6, body=0.8)
    canvas.colour = mix(canvas.colour, facet_colour, 0.4)
    picture = _edges(canvas.colour, facets, bearing, rng)
    picture = relief(picture, canvas.height + 0.0006 * weave(size, 140), strength=0.35, gloss=0.05)
    return age(picture, rng, amount=0.025)


def _break(scene: Array, facets: list[Array], bearing: Array, rng: Rng) -> Array:
    """The scene (S, S, 3) as each facet sees it: shifted, nearer or farther, and shaded across."""
    x, y = grid(len(scene))
    index = number(facets, len(scene))
    centre = np.stack([facet.mean(0) for facet in facets])
    push = rng.normal(0, 0.022, centre.shape)
    zoom = rng.uniform(0.85, 1.15, len(facets))
    seen_x = centre[index, 0] + (x - centre[index, 0]) * zoom[index] + push[index, 0]
    seen_y = centre[index, 1] + (y - centre[index, 1]) * zoom[index] + push[index, 1]
    broken = look_up(scene, seen_x, seen_y)
    shade = _passage(x, y, facets, index, bearing)[..., None]
    lamp = rng.uniform(0.62, 1.25, len(facets))[index][..., None]
    return np.clip(broken * lamp * (0.66 + 0.6 * shade) + 0.16 * (shade - 0.55), 0, 1).astype(np.float32)


def _split(rng: Rng) -> list[Array]:
    """Cut the picture by straight lines into about a hundred convex facets, small in the middle, large outside."""
    todo = [np.array([[-0.02, -0.02], [1.02, -0.02], [1.02, 1.02], [-0.02, 1.02]], np.float32)]
    done: list[Array] = []
    while todo:
        facet = todo.pop()
        centre = facet.mean(0)
        area = 0.5 * abs(float(np.sum(facet[:, 0] * np.roll(facet[:, 1], -1) - facet[:, 1] * np.roll(facet[:, 0], -1))))
        wanted = (0.0045 + 0.045 * float(np.hypot(*(centre - 0.5))) ** 1.6) * rng.uniform(0.6, 1.7)
        if area < wanted:
            done.append(facet)
            continue
        bearing = rng.choice([1.57, 0.45, -0.65, 1.1, -1.15, 0.05]) + rng.normal(0, 0.09)
        normal = np.array([-np.sin(bearing), np.cos(bearing)])
        side = (facet - centre - rng.normal(0, 0.12, 2) * np.sqrt(area)) @ normal
        halves: tuple[list[Array], list[Array]] = ([], [])
        for i, corner in enumerate(facet):
            j = (i + 1) % len(facet)
            halves[int(side[i] > 0)].append(corner)
            if (side[i] > 0) != (side[j] > 0):
                cut = corner + (facet[j] - corner) * side[i] / (side[i] - side[j])
                halves[0].append(cut)
                halves[1].append(cut)
        todo += [np.array(half, np.float32) for half in halves if len(half) > 2]
    return done


def _longest_edge(facet: Array) -> float:
    """The direction of a facet's longest edge, in radians."""
    edge = np.roll(facet, -1, 0) - facet
    longest = edge[np.argmax(np.hypot(*edge.T))]
    return float(np.arctan2(longest[1], longest[0]))


def _passage(x: Array, y: Array, facets: list[Array], index: Array, bearing: Array) -> Array:
    """Cubist passage: every facet shades from 0 at one side to 1 at the other, across its longest edge."""
    normal = np.stack([-np.sin(bearing), np.cos(bearing)], -1)
    reach = np.array([[np.min(f @ n), np.max(f @ n)] for f, n in zip(facets, normal, strict=True)], np.float32)
    place = x * normal[index, 0] + y * normal[index, 1]
    return np.asarray((place - reach[index, 0]) / (reach[index, 1] - reach[index, 0]), np.float32)


def _edges(picture: Array, facets: list[Array], bearing: Array, rng: Rng) -> Array:
    """Crisp light and dark along the cuts, and charcoal lines that break off."""
    size = len(picture)
    x, y = grid(size)
    index = number(facets, size)
    shade = _passage(x, y, facets, index, bearing)
    rim = 0.85 + 0.15 * smoothstep(0, 0.22, shade) + 0.13 * smoothstep(0.8, 1, shade)
    picture = picture * rim[..., None]
    lines = []
    for facet in facets:
        for a, b in zip(facet, np.roll(facet, -1, 0), strict=True):
            if rng.random() < 0.4:
                t = np.linspace(rng.uniform(-0.1, 0.2), rng.uniform(0.6, 1.15), 8)[:, None]
                lines.append(ribbon(a + (b - a) * t, 0.0017 * np.sin(np.linspace(0.5, 2.9, 8)) * rng.uniform(0.5, 1.2)))
    drawn = silhouette(lines, size) * smoothstep(-0.9, 0.6, noise(size, 190, rng, octaves=2) + 0.3)
    return mix(picture, colours("1d1713")[0], 0.85 * drawn)


def _still_life(rng: Rng) -> Array:
    """The scene before it is broken, (S, S, 3): a wall with shutters, a table, a cloth, and what stands on them."""
    x, y = grid(SCENE)
    rough = noise(SCENE, 7, rng, octaves=3)
    lamp = np.exp(-((x - 0.75) ** 2 + (y - 0.2) ** 2) * 6)
    scene = Scene(tint("2f3a44 55666e 8f9a94 c9c0a4", 0.35 + 0.5 * lamp + 0.16 * rough), y, lamp)
    slats = (x > 0.62) & (y < 0.5) & (np.abs((x * 9) % 1 - 0.5) < 0.44)
    scene.add(slats, tint("8fa3a4 cfc9ae efe4c4", 0.9 - 1.3 * y))
    planks = 0.75 - 0.9 * (y - 0.66) + 0.16 * np.sin(50 * y + 9 * x + 2 * rough)
    scene.add(y > 0.71 - 0.1 * x, tint("4a2f1c 8a5a2c c48a44 e0b878", planks))
    folds = 0.6 + 0.35 * np.sin(30 * x + 15 * y)
    scene.add((y > 0.74 + 0.25 * np.abs(x - 0.3)) & (x < 0.75), tint("8f8a7c d9cfb4 f4ecd8", folds))
    _guitar(scene, rough)
    _bottle_and_fruit(scene, rough)
    return scene.colour.astype(np.float32)


def _guitar(scene: Scene, rough: Array) -> None:
    """A guitar leaning to the right, in its own coordinates: u along the neck, v across."""
    x, y = grid(SCENE)
    cos, sin = np.cos(-0.95), np.sin(-0.95)
    u, v = (x - 0.52) * cos + (y - 0.55) * sin, (y - 0.55) * cos - (x - 0.52) * sin
    waist = np.maximum(np.abs(v) - 0.11, np.abs(u) - 0.12)
    body = np.minimum(np.minimum(np.hypot(u + 0.12, v) - 0.2, np.hypot(u - 0.11, v) - 0.15), waist)
    hole, turn = np.hypot(u - 0.03, v), np.arctan2(v, u)
    grain = 0.62 + 0.9 * v - 0.6 * u + 0.1 * np.sin(v * 170 + 2 * rough)
    frets = np.abs((u * 26) % 1 - 0.5) < 0.07
    scene.add(body < 0.012, tint("1f130c 3a2416", 0.5 + 0.2 * rough))
    scene.add(body < 0, tint("6a3a1a a8642a d89a4c f0cd8c", grain))
    scene.add(hole < 0.078, tint("3a2012 d0a060", 0.3 + 0.5 * np.sin(turn * 16)))
    scene.add(hole < 0.062, tint("120c0a 2a1a12", 0.5 + 0.3 * rough))
    scene.add((np.abs(v) < 0.03) & (u > 0.03) & (u < 0.52), tint("1c1512 4a3424", 0.4 + 8 * v + 0.4 * frets))
    scene.add((np.abs(np.abs(v) - 0.011) < 0.0035) & (u > -0.2) & (u < 0.5), colours("f1e7c6")[0])
    scene.add((np.abs(v) < 0.06) & (np.abs(u + 0.19) < 0.014), colours("33241b")[0])


def _bottle_and_fruit(scene: Scene, rough: Array) -> None:
    """A green bottle with a striped label, an apple, a pear's yellow and an orange."""
    x, y = grid(SCENE)
    across = np.abs(x - 0.2)
    bottle = (across < 0.028 + 0.055 * smoothstep(0.3, 0.42, y)) & (y > 0.14) & (y < 0.8)
    shine = 0.5 * (np.abs(x - 0.165) < 0.009)
    scene.add(bottle, tint("101c18 1f3f34 3f6a58 a8c4a4", 0.45 - 6 * np.abs(x - 0.18) + shine))
    stripes = np.where(np.sin(y * 130) > 0, 1.0, 0.0)
    scene.add(bottle & (y > 0.5) & (y < 0.64), tint("a83a24 e8dcb8", stripes))
    for cx, cy, radius, codes in [
        (0.74, 0.79, 0.085, "4a1014 a82c20 d8683c f2c08a"),
        (0.87, 0.83, 0.07, "5a5a1c 9a9a34 d8c45c f4ecb0"),
        (0.36, 0.87, 0.065, "7a3a14 c8702a eca850 f8dca0"),
    ]:
        right, down = x - cx, y - cy
        scene.add(np.hypot(right, down) < radius, tint(codes, 0.55 - 3.5 * right - 5 * down + 0.1 * rough))
