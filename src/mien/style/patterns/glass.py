"""Coloured glass: a mosaic laid in courses, and a rose window with the sun behind it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import Voronoi

from mien.style.patterns.field import (
    SKETCH,
    Array,
    Rng,
    colours,
    contours,
    depth,
    grid,
    look_up,
    mix,
    noise,
    ramp,
    scatter,
    smoothstep,
)
from mien.style.patterns.strokes import number
from mien.style.patterns.surface import age, blur, glow, relief

_TESSERA = 1 / 62
"""The distance between two courses of the mosaic, in picture sides."""

_GOLD = "5a3a14 96681f c9972f dfb64a efd480 f7e9b0"
_SEA = "0e2340 174a72 2a7b93 6fb3ac dcebdc"
_BLUE = "0d1740 1b2f74 2c55a4 6d9ccb"
_RED = "4f1014 8f1f1e b8402c d88a5a"


@dataclass(frozen=True)
class _Region:
    """A part of the mosaic laid in one go."""

    inside: Array
    courses: Array
    """(S, S); tesserae lie side by side along its level lines."""
    palette: Array
    tone: Array
    """(S, S), the place on the palette."""


def mosaic(size: int, rng: Rng) -> Array:
    """Byzantine glass and gold: a star in a medallion over a sea with fish."""
    quads, colour = [], []
    regions = _ground(rng) + _fish() + _orchard(rng) + _medallion() + _border()
    covered = np.zeros((SKETCH, SKETCH), bool)
    for region in reversed(regions):  # what lies in front is laid first, and its tesserae stay whole
        placed = _courses(region.courses, region.inside & ~covered)
        covered |= region.inside
        quads.append(_quads(placed, rng))
        tone = look_up(region.tone, placed[:, 0], placed[:, 1]) + rng.normal(0, 0.13, len(placed))
        colour.append(ramp(region.palette, tone) * rng.uniform(0.86, 1.12, (len(placed), 1)))
    tesserae = np.concatenate(quads[::-1])
    index = number(tesserae, size)
    glass = np.concatenate(colour[::-1]).astype(np.float32)[index]
    x, y = grid(size)
    tilt = rng.normal(0, 0.1, (len(tesserae), 2)).astype(np.float32)[index]
    centre = tesserae.mean(1)[index]
    lean = (x - centre[..., 0]) * tilt[..., 0] + (y - centre[..., 1]) * tilt[..., 1]
    bevel = np.minimum(_distance_to_seam(index), 0.0045)
    mortar = ramp(colours("4a4038 8d8070"), 0.5 + 0.25 * noise(size, 200, rng, octaves=2))
    cloudy = 1 + 0.05 * noise(size, 90, rng, octaves=2)
    picture = mix(mortar, glass * cloudy[..., None], smoothstep(0.0006, 0.0022, bevel))
    height = 0.8 * blur(bevel, 0.0008) + lean * (index >= 0)
    return age(relief(picture, height, strength=1.3, gloss=0.22), rng, amount=0.02)


def _courses(courses: Array, inside: Array) -> Array:
    """Where tesserae lie, (N, 3) as x, y and angle: side by side along the level lines of `courses`."""
    placed = [np.zeros((0, 3))]
    reach = courses[inside]
    first, last = (np.floor(reach.min() / _TESSERA), reach.max() / _TESSERA) if len(reach) else (0, 0)
    for level in np.arange(first + 0.5, last):
        for curve in contours(courses, level * _TESSERA, inside=inside):
            way = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(curve, axis=0).T))])
            stop = np.arange(0.5, way[-1] / _TESSERA) * _TESSERA
            before, here, after = (
                np.stack([np.interp(stop + step, way, axis) for axis in curve.T], -1) for step in (-0.004, 0, 0.004)
            )
            dx, dy = (after - before).T
            placed.append(np.column_stack([here, np.arctan2(dy, dx)]))
    every = np.concatenate(placed).astype(np.float32)
    return every[look_up(inside, every[:, 0], every[:, 1])]


def _quads(placed: Array, rng: Rng) -> Array:
    """Four corners (N, 4, 2) of every hand-cut tessera."""
    corner = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float32) * _TESSERA * 0.47
    corner = corner + rng.normal(0, 0.07 * _TESSERA, (len(placed), 4, 2))
    angle = placed[:, 2] + rng.normal(0, 0.05, len(placed))
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    turned = np.stack([corner[..., 0] * cos - corner[..., 1] * sin, corner[..., 0] * sin + corner[..., 1] * cos], -1)
    return np.asarray(placed[:, None, :2] + turned, np.float32)


def _distance_to_seam(index: NDArray[np.int32]) -> Array:
    """How far every pixel lies from the nearest seam between two pieces, in picture sides."""
    one_piece = index >= 0
    one_piece[:-1] &= index[:-1] == index[1:]
    one_piece[:, :-1] &= index[:, :-1] == index[:, 1:]
    return np.asarray(ndimage.distance_transform_edt(one_piece) / len(index), np.float32)


def _region(inside: Array, courses: Array, codes: str, tone: Array | float) -> _Region:
    """A region whose tone may be one number for all of it."""
    return _Region(inside, courses, colours(codes), np.broadcast_to(tone, inside.shape))


def _ground(rng: Rng) -> list[_Region]:
    """Gold all over in rings round the medallion, a green shore, and a sea in waves."""
    x, y = grid(SKETCH)
    r = np.hypot(x - 0.5, y - 0.4)
    below = y - 0.7 - 0.018 * np.sin(9 * x + 0.4) - 0.03 * np.cos(2 * np.pi * (x - 0.5))
    flow = y + 0.014 * np.sin(19 * x) * np.clip((y - 0.6) * 4, 0, 1)
    rings = np.where(r < 0.42, r, 0.42 + 0.7 * (r - 0.42))
    return [
        _region(r >= 0, rings, _GOLD, 0.745 - 0.5 * r + 0.1 * noise(SKETCH, 4, rng)),
        _region(below > -0.1 - 0.03 * np.sin(12 * x), below, "1c3a1e 3c6a30 7d9a3c c9c26a", 0.2 - 5 * below),
        _region(below > 0, flow, _SEA, 0.42 + 0.42 * np.sin(flow * 95 + 5 * np.sin(6 * x))),
        _region((below > 0) & (below < 0.017), below, _SEA, 0.97),
    ]


def _fish() -> list[_Region]:
    """Two fish that swim towards each other, each with its eye."""
    x, y = grid(SKETCH)
    regions = []
    for cx, cy, facing, codes in [
        (0.3, 0.84, 1, "5a1c14 c4552a e8a860 f5e3c0"),
        (0.68, 0.88, -1, "43306a 8a5a8a d8a0a0 f0dcd0"),
    ]:
        u, v = (x - cx) * facing, y - cy - 0.3 * (x - cx) ** 2
        body = np.abs(v) < 0.052 * (1 - (u / 0.13) ** 2)
        tail = (u > -0.185) & (u < -0.1) & (np.abs(v) < (-u - 0.09) * 0.62)
        scales = 0.5 + 9 * v + 0.2 * np.sin(u * 120)
        regions.append(_region(body | tail, depth(body | tail), codes, scales))
        regions.append(_region(np.hypot(u - 0.083, v + 0.008) < 0.013, v, "f5efdc f5efdc", 0.5))
    return regions


def _orchard(rng: Rng) -> list[_Region]:
    """A tree with red fruit on either side."""
    x, y = grid(SKETCH)
    regions = []
    for cx in (0.15, 0.85):
        trunk = (np.abs(x - cx) < 0.012) & (y > 0.5) & (y < 0.68)
        crown = np.abs(x - cx) < 0.07 * np.sin(np.pi * np.clip((y - 0.3) / 0.36, 0, 1)).clip(0) ** 0.6
        leaves = 0.35 + 3 * (cx - x) + 0.12 * noise(SKETCH, 14, rng)
        regions.append(_region(trunk, x, "2a1a10 6a4526", 0.5))
        regions.append(_region(crown, depth(crown), "10281c 235232 4f8a4a a9b85a", leaves))
        for dx, cy in [(0, 0.42), (0.025, 0.51), (-0.028, 0.55), (-0.018, 0.47)]:
            regions.append(_region(np.hypot(x - cx - dx, y - cy) < 0.015, y, "a8201c e0603c", 0.6))
    return regions


def _medallion() -> list[_Region]:
    """A blue disc in a red and white ring, with a golden star of eight rays among small ones."""
    x, y = grid(SKETCH)
    r, a = np.hypot(x - 0.5, y - 0.4), np.arctan2(y - 0.4, x - 0.5)
    star = 0.135 * (0.42 + 0.58 * np.abs(np.cos(4 * a)) ** 1.6)
    return [
        _region(r < 0.255, r, _RED, 0.5 + 0.25 * np.cos(24 * a)),
        _region(r < 0.222, r, "d8cfb8 f6f0de", 0.6),
        _region(r < 0.205, r, _BLUE, 0.15 + 3 * (0.2 - r)),
        _region((r < 0.17) & (r > 0.145) & (np.cos(16 * a) > 0.4), r, _GOLD, 0.8),
        _region(r < star, r / star * 0.12, _GOLD, 0.55 + 0.35 * np.cos(8 * a)),
        _region(r < 0.036, r, "b03024 f2e6c8", 0.2 + 20 * (0.03 - r)),
    ]


def _border() -> list[_Region]:
    """A white fillet, a chequer of blue and red, and a red edge."""
    x, y = grid(SKETCH)
    edge = np.minimum(np.minimum(x, 1 - x), np.minimum(y, 1 - y))
    chequer = np.where(np.sin((x + y) * 20 * np.pi) > 0, 0.95, 0.05)
    return [
        _region(edge < 0.066, edge, "f0e6cc d8c8a4", 0.4),
        _region(edge < 0.05, edge, _BLUE, chequer),
        _region((edge < 0.05) & (np.sin((x - y) * 20 * np.pi) > 0.3), edge, _RED, 0.5),
        _region(edge < 0.0165, edge, _RED, 0.35),
    ]


def rose(size: int, rng: Rng) -> Array:
    """A Gothic rose window with leading, painted glass and the sun behind it."""
    zone, stone = _tracery(size)
    pieces, count = _pieces(size, rng)
    pane = zone * count + pieces
    glass = np.concatenate([ramp(palette, rng.beta(1.3, 1.3, count)) for palette in _GLASS])[pane]
    x, y = grid(size)
    from_lead = _distance_to_seam(pane)
    streaks = 1 + 0.11 * noise(size, (24, 90), rng, octaves=2) + 0.05 * noise(size, 160, rng)
    sun = 1.5 - 0.95 * np.hypot(x - 0.47, y - 0.44)
    dirt = 0.5 + 0.5 * smoothstep(0.001, 0.011, from_lead)
    drawn = 1 - 0.7 * _grisaille(pane, count, from_lead, rng)
    glass = glass * (sun * dirt * streaks * drawn)[..., None]
    came = ramp(colours("0c0b0d 2b2a2e"), 0.4 + 0.2 * noise(size, 120, rng, octaves=2))
    picture = mix(came, glass, smoothstep(0.0018, 0.003, from_lead))
    weathered = 0.35 + 0.5 * smoothstep(0.0, 0.012, stone) + 0.1 * noise(size, 60, rng, octaves=4)
    picture = mix(picture, ramp(colours("17130f 3a322a 6a5c4a"), weathered), smoothstep(0, 0.0015, stone))
    height = 0.5 * np.minimum(stone, 0.006) - 0.4 * np.minimum(from_lead, 0.003)
    return age(glow(relief(picture, height, strength=0.7, gloss=0.05), 0.012, 0.42), rng, amount=0.015)


def _pieces(size: int, rng: Rng) -> tuple[NDArray[np.int32], int]:
    """The number of the piece of glass at every pixel (a cell of a random Voronoi diagram), and how many there are."""
    x, y = scatter(520, rng, margin=0.25)
    diagram = Voronoi(np.stack([x, y], -1))
    cells = [cell for cell in diagram.regions if cell and -1 not in cell]
    return number([diagram.vertices[cell] for cell in cells], size), len(cells)


def _grisaille(pane: NDArray[np.int32], count: int, from_lead: Array, rng: Rng) -> Array:
    """Painted lines on some panes, 0 to 1: hatching in the shade of the lead, or an inner contour."""
    size, kinds = len(pane), count * len(_GLASS)
    x, y = grid(size)
    angle = rng.uniform(0, np.pi, kinds).astype(np.float32)[pane]
    kind = rng.integers(0, 4, kinds)[pane]
    hatch = np.abs(np.sin((x * np.cos(angle) + y * np.sin(angle)) * 420 + 0.6 * noise(size, 40, rng)))
    shaded = smoothstep(0.5, 0.2, hatch) * smoothstep(0.012, 0.007, from_lead)
    contour = smoothstep(0.0016, 0.0006, np.abs(from_lead - 0.0085))
    return np.select([kind == 0, kind == 1], [shaded, contour], 0).astype(np.float32)


_GLASS = [
    colours("0b1a5c 16389c 2a62c4 5a9be0"),
    colours("5a0612 9c0f1c c92a24 e0653a"),
    colours("b8641a e09a2a f2c650 f8e8a8"),
    colours("0f4030 1f7450 5aa86a b8d890"),
    colours("2c1450 5a2a86 9a68b4 d8b8dc"),
    colours("a8b8b0 d8dcc8 f4f0dc"),
]
"""The colours of the rose's glass; a zone of the window is one of them."""
_SAPPHIRE, _RUBY, _AMBER, _EMERALD, _AMETHYST, _PEARL = range(6)


def _tracery(size: int) -> tuple[NDArray[np.int32], Array]:
    """The colour of glass at every pixel (an index into _GLASS), and how deep it lies in stone (below 0: not)."""
    x, y = grid(size)
    r, a = np.hypot(x - 0.5, y - 0.5), np.arctan2(y - 0.5, x - 0.5)
    edge = np.minimum(np.minimum(x, 1 - x), np.minimum(y, 1 - y))
    corner = np.hypot(np.abs(x - 0.5) - 0.42, np.abs(y - 0.5) - 0.42)
    spandrel = np.select([corner < 0.022, corner < 0.05, corner < 0.066], [_AMBER, _RUBY, _PEARL], _EMERALD)
    zone = np.where(r > 0.49, spandrel, _SAPPHIRE)
    frame = np.maximum(np.maximum(0.506 - r, 0.016 - edge), 0.006 - np.abs(corner - 0.05))
    stone = np.where(r > 0.49, frame, 0.012 - np.abs(r - 0.477))
    for count, radius, reach, half, shift, field, border in [
        (24, 0.405, 0.062, 0.044, 0.0, _SAPPHIRE, _RUBY),
        (12, 0.245, 0.09, 0.05, 0.0, _RUBY, _SAPPHIRE),
        (12, 0.12, 0.045, 0.024, 0.5, _EMERALD, _AMBER),
    ]:
        turn = (a / (2 * np.pi) * count + shift) % count
        across = (turn % 1 - 0.5) / count * 2 * np.pi * r
        inside = half * (1 - ((r - radius) / reach) ** 2) - np.abs(across)
        petal = np.where(turn.astype(int) % 2 == 0, field, (field + 4) % 5)
        zone = np.select([inside > 0.012, inside > 0], [petal, border], zone)
        rib = 0.0045 - np.abs(inside)
        stone = np.where((np.abs(r - radius) < reach) & (rib > 0), rib, stone)
    for count, radius, half, shift, field, border in [
        (24, 0.45, 0.017, 0.5, _AMBER, _PEARL),
        (12, 0.315, 0.033, 0.5, _AMBER, _AMETHYST),
        (12, 0.175, 0.014, 0.0, _PEARL, _AMBER),
    ]:
        turn = ((a / (2 * np.pi) * count + shift) % 1 - 0.5) / count * 2 * np.pi
        away = np.hypot(r * np.cos(turn) - radius, r * np.sin(turn))
        zone = np.select([away < 0.55 * half, away < half], [field, border], zone)
        rib = 0.004 - np.abs(away - half)
        stone = np.select([rib > 0, away < half], [rib, -1], stone)
    hub = np.where(np.cos(6 * a) > 0, _AMBER, _RUBY)
    zone = np.select([r < 0.03, r < 0.068], [_PEARL, hub], zone)
    stone = np.maximum(stone, np.where(stone > 0, -1, 0.005 - np.abs(r - 0.342)))
    stone = np.maximum(stone, 0.006 - np.abs(r - 0.068))
    return zone.astype(np.int32), stone
