"""Coloured glass: a mosaic laid in courses, and a rose window with the sun behind it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import Voronoi
from skimage.measure import find_contours

from mien.style.patterns.field import (
    SKETCH,
    Array,
    Rng,
    colours,
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


def mosaic(size: int, rng: Rng) -> Array:
    """Byzantine glass and gold: a star in a medallion over a sea with fish."""
    quads, colour = [], []
    for inside, courses, palette, shade in _mosaic_scene(rng):
        placed = _courses(inside, courses)
        if not len(placed):
            continue
        quads.append(_quads(placed, rng))
        tone = look_up(shade, placed[:, 0], placed[:, 1]) + rng.normal(0, 0.13, len(placed))
        colour.append(ramp(palette, np.asarray(tone, np.float32)) * rng.uniform(0.86, 1.12, (len(placed), 1)))
    index = number(np.concatenate(quads), size)
    glass = np.concatenate(colour).astype(np.float32)[index]
    tilt = rng.normal(0, 0.1, (len(index.ravel()[:1]) + sum(map(len, quads)), 2)).astype(np.float32)
    x, y = grid(size)
    centre = np.concatenate(quads).mean(1)[index]
    lean = (x - centre[..., 0]) * tilt[index, 0] + (y - centre[..., 1]) * tilt[index, 1]
    seam = np.minimum(ndimage.distance_transform_edt(_unbroken(index)) / size, 0.0045)
    grout = ramp(colours("4a4038 8d8070"), 0.5 + 0.25 * noise(size, 200, rng, octaves=2))
    cloudy = 1 + 0.05 * noise(size, 90, rng, octaves=2)
    picture = mix(grout, glass * cloudy[..., None], smoothstep(0.0006, 0.0022, np.asarray(seam, np.float32)))
    height = np.asarray(blur(seam.astype(np.float32), 0.0008) * 0.8 + lean * (index >= 0), np.float32)
    return age(relief(picture, height, strength=1.3, gloss=0.22), rng, amount=0.02)


def _courses(inside: NDArray[np.bool_], courses: Array) -> Array:
    """Where tesserae lie, (N, 3) as x, y and angle: side by side along the level lines of `courses`."""
    placed = []
    reach = courses[inside]
    if not len(reach):
        return np.zeros((0, 3), np.float32)
    levels = np.arange(np.floor(reach.min() / _TESSERA) + 0.5, reach.max() / _TESSERA) * _TESSERA
    for level in levels:
        for line in find_contours(courses, level, mask=inside):
            line = (line[:, ::-1] + 0.5) / SKETCH
            step = np.hypot(*np.diff(line, axis=0).T)
            length = np.concatenate([[0], np.cumsum(step)])
            if length[-1] < _TESSERA:
                continue
            place = np.arange(0.5, length[-1] / _TESSERA) * _TESSERA
            xs, ys = (np.interp(place, length, line[:, axis]) for axis in (0, 1))
            dx, dy = (
                np.interp(place + 0.004, length, line[:, axis]) - np.interp(place - 0.004, length, line[:, axis])
                for axis in (0, 1)
            )
            placed.append(np.stack([xs, ys, np.arctan2(dy, dx)], -1))
    every = np.concatenate(placed).astype(np.float32) if placed else np.zeros((0, 3), np.float32)
    return every[look_up(inside, every[:, 0], every[:, 1])]


def _quads(placed: Array, rng: Rng) -> Array:
    """Four corners (N, 4, 2) of every hand-cut tessera."""
    corner = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float32) * _TESSERA * 0.47
    corner = corner + rng.normal(0, 0.07 * _TESSERA, (len(placed), 4, 2))
    angle = placed[:, 2] + rng.normal(0, 0.05, len(placed))
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    turned = np.stack([corner[..., 0] * cos - corner[..., 1] * sin, corner[..., 0] * sin + corner[..., 1] * cos], -1)
    return np.asarray(placed[:, None, :2] + turned, np.float32)


def _unbroken(index: NDArray[np.int32]) -> NDArray[np.bool_]:
    """True where a pixel and its neighbours right and below belong to one and the same piece."""
    same = index >= 0
    same[:-1] &= index[:-1] == index[1:]
    same[:, :-1] &= index[:, :-1] == index[:, 1:]
    return same


def _mosaic_scene(rng: Rng) -> list[tuple[NDArray[np.bool_], Array, Array, Array]]:
    """Regions from back to front: where, the field whose level lines the courses follow, palette, position on it."""
    x, y = grid(SKETCH)
    r, a = np.hypot(x - 0.5, y - 0.4), np.arctan2(y - 0.4, x - 0.5)
    edge = np.minimum(np.minimum(x, 1 - x), np.minimum(y, 1 - y))
    gold = colours("5a3a14 96681f c9972f dfb64a efd480 f7e9b0")
    sea = colours("0e2340 174a72 2a7b93 6fb3ac dcebdc")
    blues = colours("0d1740 1b2f74 2c55a4 6d9ccb")
    reds = colours("4f1014 8f1f1e b8402c d88a5a")
    shore = 0.7 + 0.018 * np.sin(9 * x + 0.4) + 0.03 * np.cos(6.28 * (x - 0.5))
    flow = y + 0.014 * np.sin(19 * x) * np.clip((y - 0.6) * 4, 0, 1)
    regions: list[tuple[NDArray[np.bool_], Array, Array, Array]] = []

    def add(inside: Array, courses: Array, palette: Array, shade: Array | float) -> None:
        for index, (where, *rest) in enumerate(regions):
            regions[index] = (where & ~inside.astype(bool), *rest)
        tone = np.broadcast_to(np.asarray(shade, np.float32), x.shape)
        regions.append((inside.astype(bool), np.asarray(courses, np.float32), palette, tone))

    add(
        x > -1,
        np.where(r < 0.42, r, 0.42 + 0.7 * (r - 0.42)),
        gold,
        0.62 - 0.5 * (r - 0.25) + 0.1 * noise(SKETCH, 4, rng),
    )
    add(
        y > shore - 0.1 - 0.03 * np.sin(12 * x),
        y - shore,
        colours("1c3a1e 3c6a30 7d9a3c c9c26a"),
        0.2 + 5 * (shore - y),
    )
    add(y > shore, flow, sea, 0.42 + 0.42 * np.sin(flow * 95 + 5 * np.sin(6 * x)))
    add((y > shore) & (y < shore + 0.017), y - shore, sea, 0.97)
    for cx, cy, turn, codes in [
        (0.3, 0.84, 1, "5a1c14 c4552a e8a860 f5e3c0"),
        (0.68, 0.88, -1, "43306a 8a5a8a d8a0a0 f0dcd0"),
    ]:
        u, v = (x - cx) * turn, y - cy - 0.3 * (x - cx) ** 2
        body = np.abs(v) < 0.052 * (1 - (u / 0.13) ** 2)
        tail = (u > -0.185) & (u < -0.1) & (np.abs(v) < (-u - 0.09) * 0.62)
        add(
            body | tail,
            ndimage.distance_transform_edt(body | tail) / SKETCH,
            colours(codes),
            0.5 + 9 * v + 0.2 * np.sin(u * 120),
        )
        add(np.hypot(u - 0.083, v + 0.008) < 0.013, v, colours("f5efdc f5efdc"), 0.5)
    for cx in (0.15, 0.85):
        crown = 0.07 * np.clip(np.sin(np.pi * np.clip((y - 0.3) / 0.36, 0, 1)), 0, 1) ** 0.6
        add((np.abs(x - cx) < 0.012) & (y > 0.5) & (y < shore - 0.03), x, colours("2a1a10 6a4526"), 0.5)
        inside = (np.abs(x - cx) < crown) & (y > 0.3) & (y < 0.66)
        add(
            inside,
            ndimage.distance_transform_edt(inside) / SKETCH,
            colours("10281c 235232 4f8a4a a9b85a"),
            0.35 + 3 * (cx - x) + 0.12 * noise(SKETCH, 14, rng),
        )
        for fx, fy in [(0, 0.42), (0.025, 0.51), (-0.028, 0.55), (-0.018, 0.47)]:
            add(np.hypot(x - cx - fx, y - fy) < 0.015, y, colours("a8201c e0603c"), 0.6)
    add(r < 0.255, r, reds, 0.5 + 0.25 * np.cos(24 * a))
    add(r < 0.222, r, colours("d8cfb8 f6f0de"), 0.6)
    add(r < 0.205, r, blues, 0.15 + 3 * (0.2 - r))
    add((r < 0.17) & (r > 0.145) & (np.cos(16 * a) > 0.4), r, gold, 0.8)
    star = 0.135 * (0.42 + 0.58 * np.abs(np.cos(4 * a)) ** 1.6)
    add(r < star, r / star * 0.12, gold, 0.55 + 0.35 * np.cos(8 * a))
    add(r < 0.036, r, colours("b03024 f2e6c8"), 0.2 + 20 * (0.03 - r))
    add(edge < 0.066, edge, colours("f0e6cc d8c8a4"), 0.4)
    add(edge < 0.05, edge, blues, 0.5 + 0.45 * np.sign(np.sin((x + y) * 62.8)))
    add((edge < 0.05) & (np.sin((x - y) * 62.8) > 0.3), edge, reds, 0.5)
    add(edge < 0.0165, edge, reds, 0.35)
    return regions


def rose(size: int, rng: Rng) -> Array:
    """A Gothic rose window with leading, painted glass and the sun behind it."""
    zone, stone, palettes = _tracery(size)
    pieces = _pieces(size, rng)
    label = zone * (pieces.max() + 1) + pieces
    names, label = np.unique(label, return_inverse=True)
    label = label.reshape(zone.shape).astype(np.int32)
    colour = np.zeros((len(names), 3), np.float32)
    for index, name in enumerate(names):
        colour[index] = ramp(palettes[name // (pieces.max() + 1)], np.float32(rng.beta(1.3, 1.3)))
    x, y = grid(size)
    lead = np.asarray(ndimage.distance_transform_edt(_unbroken(label)) / size, np.float32)
    streaks = noise(size, (24, 90), rng, octaves=2) * 0.11 + noise(size, 160, rng) * 0.05
    sun = 1.5 - 0.95 * np.hypot(x - 0.47, y - 0.44)
    dirt = 0.5 + 0.5 * smoothstep(0.001, 0.011, lead)
    glass = colour[label] * (sun * dirt * (1 + streaks))[..., None]
    ink = _grisaille(label, lead, size, rng)
    glass = glass * (1 - 0.7 * ink)[..., None]
    came = ramp(colours("0c0b0d 2b2a2e"), 0.4 + 0.2 * noise(size, 120, rng, octaves=2))
    picture = mix(came, glass, smoothstep(0.0018, 0.003, lead))
    masonry = ramp(
        colours("17130f 3a322a 6a5c4a"),
        0.35 + 0.5 * smoothstep(0.0, 0.012, stone) + 0.1 * noise(size, 60, rng, octaves=4),
    )
    picture = mix(picture, masonry, smoothstep(0, 0.0015, stone))
    height = np.asarray(np.minimum(stone, 0.006) * 0.5 - np.minimum(lead, 0.003) * 0.4, np.float32)
    return age(glow(relief(picture, height, strength=0.7, gloss=0.05), 0.012, 0.42), rng, amount=0.015)


def _pieces(size: int, rng: Rng) -> NDArray[np.int32]:
    """The number of the piece of glass at every pixel: cells of a random Voronoi diagram."""
    x, y = scatter(520, rng, margin=0.25)
    diagram = Voronoi(np.stack([x, y], -1))
    cells = [diagram.regions[region] for region in diagram.point_region]
    return number([diagram.vertices[cell].astype(np.float32) for cell in cells if cell and -1 not in cell], size)


def _grisaille(label: NDArray[np.int32], lead: Array, size: int, rng: Rng) -> Array:
    """Painted lines on some panes, 0 to 1: hatching or an inner contour."""
    x, y = grid(size)
    angle = rng.uniform(0, np.pi, label.max() + 1).astype(np.float32)[label]
    kind = rng.integers(0, 4, label.max() + 1)[label]
    hatch = np.abs(np.sin((x * np.cos(angle) + y * np.sin(angle)) * 420 + 0.6 * noise(size, 40, rng)))
    contour = smoothstep(0.0016, 0.0006, np.abs(lead - 0.0085))
    lines = np.where(kind == 0, smoothstep(0.5, 0.2, hatch) * smoothstep(0.012, 0.007, lead), 0)
    return np.asarray(np.where(kind == 1, contour, lines), np.float32)


def _tracery(size: int) -> tuple[NDArray[np.int64], Array, list[Array]]:
    """The zone of every pixel, how deep it lies in stone (0 is glass), and each zone's palette."""
    x, y = grid(size)
    r, a = np.hypot(x - 0.5, y - 0.5), np.arctan2(y - 0.5, x - 0.5)
    blue = colours("0b1a5c 16389c 2a62c4 5a9be0")
    ruby = colours("5a0612 9c0f1c c92a24 e0653a")
    amber = colours("b8641a e09a2a f2c650 f8e8a8")
    green = colours("0f4030 1f7450 5aa86a b8d890")
    violet = colours("2c1450 5a2a86 9a68b4 d8b8dc")
    white = colours("a8b8b0 d8dcc8 f4f0dc")
    palettes = [blue, ruby, amber, green, violet, white]
    zone = np.zeros(x.shape, np.int64)
    stone = np.full(x.shape, -1, np.float32)

    def ring(count: int, radius: float, reach: float, half: float, shift: float) -> tuple[Array, Array, Array]:
        """Petal number, signed depth inside a petal of half length `reach` and half width `half`, place along it."""
        turn = (a / (2 * np.pi) * count + shift) % count
        petal = np.floor(turn)
        across = (turn - petal - 0.5) / count * 2 * np.pi * r
        along = (r - radius) / reach
        return petal, half * (1 - along**2) - np.abs(across), along

    stone = np.asarray(0.012 - np.abs(r - 0.477), np.float32)
    corner = np.hypot(np.abs(x - 0.5) - 0.42, np.abs(y - 0.5) - 0.42)
    outside = r > 0.49
    frame = np.maximum(0.016 - (r - 0.49), 0.016 - np.minimum(np.minimum(x, 1 - x), np.minimum(y, 1 - y)))
    frame = np.maximum(frame, 0.006 - np.abs(corner - 0.05))
    stone = np.where(outside, frame, stone)
    zone = np.where(
        outside, np.where(corner < 0.022, 2, np.where(corner < 0.05, 1, np.where(corner < 0.066, 5, 3))), zone
    )
    for count, radius, reach, half, shift, (field, border) in [
        (24, 0.405, 0.062, 0.044, 0.0, (0, 1)),
        (12, 0.245, 0.09, 0.05, 0.0, (1, 0)),
        (12, 0.12, 0.045, 0.024, 0.5, (3, 2)),
    ]:
        petal, depth, _ = ring(count, radius, reach, half, shift)
        alternate = np.where(petal % 2 == 0, field, (field + 4) % 5)
        zone = np.where(depth > 0.012, alternate, np.where(depth > 0, border, zone))
        band = np.abs(r - radius) < reach
        stone = np.where(band, np.where(np.abs(depth) < 0.0045, 0.0045 - np.abs(depth), stone), stone)
    for count, radius, half, shift, (field, border) in [
        (24, 0.45, 0.017, 0.5, (2, 5)),
        (12, 0.315, 0.033, 0.5, (2, 4)),
        (12, 0.175, 0.014, 0.0, (5, 2)),
    ]:
        turn = ((a / (2 * np.pi) * count + shift) % 1 - 0.5) / count * 2 * np.pi
        distance = np.hypot(r * np.cos(turn) - radius, r * np.sin(turn))
        zone = np.where(distance < half, np.where(distance < half * 0.55, field, border), zone)
        stone = np.where(
            np.abs(distance - half) < 0.004, 0.004 - np.abs(distance - half), np.where(distance < half, -1, stone)
        )
    zone = np.where(r < 0.068, np.where(r < 0.03, 5, np.where(np.cos(6 * a) > 0, 2, 1)), zone)
    for at, half in [(0.068, 0.006), (0.342, 0.005)]:
        clear = stone <= 0 if at > 0.1 else r > 0
        stone = np.where(clear & (np.abs(r - at) < half), half - np.abs(r - at), stone)
    return zone, np.asarray(stone, np.float32), palettes
