"""Patches, projections, traces and slices as small pictures, and these as sprites and contact sheets."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as NF
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from mien import images
from mien.visualize.deconvnet import as_picture
from mien.visualize.receptive_field import Box
from mien.visualize.top_patches import crop

Pixels = NDArray[np.uint8]

PAPER, INK, FAINT, ACCENT, SHADE = (250, 249, 246), (40, 40, 44), (196, 193, 186), (214, 81, 20), (255, 226, 196)
LINES = ((38, 84, 150), (0, 128, 96), (148, 60, 140), (150, 110, 0))
GREY = 128

TILE = 64
"""The longest side of a patch as it is kept; smaller windows are kept as they are and shown enlarged."""
EXACT = 16
"""Windows up to this size are kept without loss."""
TRACE, SLICE = (160, 240), 64

# From nothing to much, on a dark ground: night blue, violet, red, orange, cream.
_HEAT = np.array([(14, 14, 36), (78, 22, 108), (178, 44, 84), (244, 134, 44), (252, 244, 190)], np.float32)


def tile_shape(window: Sequence[int]) -> tuple[int, int]:
    """Height and width of a window's picture."""
    if len(window) == 1:
        return TRACE
    if len(window) == 3:
        return SLICE, 3 * SLICE + 8
    longest = max(window)
    if longest <= EXACT:
        return int(window[0]), int(window[1])
    scale = min(1.0, TILE / longest)
    # Whole JPEG blocks, so that no tile's edge shows in its neighbour.
    height, width = (max(8, 8 * round(extent * scale / 8)) for extent in window)
    return height, width


# ---- pictures --------------------------------------------------------------------------------------------------------


def _rgb(values: NDArray[np.float32]) -> Pixels:
    """Values in [0, 1] (C, H, W) as pixels: colours where there are three channels, else their mean in grey."""
    planes = values if len(values) == 3 else np.repeat(values.mean(0, keepdims=True), 3, axis=0)
    return images.to_uint8(np.ascontiguousarray(planes.transpose(1, 2, 0)).clip(0, 1))


def shown(values: NDArray[np.generic]) -> Tensor:
    """An input as values in [0, 1]: pixels as they are, other numbers from their own least to their largest."""
    tensor = torch.from_numpy(np.ascontiguousarray(values))
    if values.dtype == np.uint8:
        return tensor.float() / 255
    low, high = tensor.amin(), tensor.amax()
    return (tensor.float() - low) / (high - low).clamp(min=1e-12)


def draw_picture(values: NDArray[np.generic]) -> Pixels:
    """A whole picture (C, H, W)."""
    return _rgb(shown(values).numpy())


def draw_patch(values: NDArray[np.generic], box: Box) -> Pixels:
    """The part of a picture (C, H, W) in the box, over the edge grey, as a tile."""
    height, width = tile_shape([b - a for a, b in box])
    pixels: Pixels = images.resize(_rgb(crop(shown(values), box).numpy()), width, height)
    return pixels


def draw_projection(pixels: Tensor) -> Pixels:
    """A signed projection (C, H, W) as a tile: 0 is mid grey.

    It is made small before its contrast is set: the dots of a deep projection would else drown in the average.
    """
    height, width = tile_shape(pixels.shape[1:])
    if pixels.shape[1:] != (height, width):
        pixels = NF.interpolate(pixels.unsqueeze(0), (height, width), mode="bilinear", antialias=True)[0]
    return _rgb(as_picture(pixels).numpy())


# ---- signals ---------------------------------------------------------------------------------------------------------


def context(span: tuple[int, int], length: int) -> tuple[int, int]:
    """The stretch of a signal that is drawn around a unit's span: half as much again on either side."""
    first, stop = max(0, span[0]), min(length, span[1])
    around = max(12, (stop - first) // 2)
    return max(0, first - around), min(length, stop + around)


def draw_trace(values: NDArray[np.generic], span: tuple[int, int], projection: Tensor | None) -> Pixels:
    """A signal (C, L) around a unit's span, which is shaded, and below it the projection (C, span) about its zero."""
    height, width = TRACE
    sheet = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    signal = np.asarray(values, np.float32)
    around = context(span, signal.shape[1])
    scale = (width - 1) / max(1, around[1] - around[0] - 1)
    shade = [(max(span[0], around[0]) - around[0]) * scale, (min(span[1], around[1]) - 1 - around[0]) * scale]
    split = height if projection is None else 90
    draw.rectangle((shade[0] - 1, 0, shade[1] + 1, height), fill=SHADE)
    part = signal[:, around[0] : around[1]]
    _lines(draw, part, (width, split), low=float(part.min()), high=float(part.max()), top=0)
    if projection is not None:
        seen = np.zeros_like(part)
        a, b = max(span[0], around[0]), min(span[1], around[1])
        seen[:, a - around[0] : b - around[0]] = projection[:, a - span[0] : b - span[0]].numpy()
        peak = float(np.abs(seen).max()) or 1.0
        low, high = min(float(seen.min()), -peak / 3), max(float(seen.max()), peak / 3)
        zero = height - 5 + low / (high - low) * (height - split - 10)
        draw.line((0, zero, width, zero), fill=FAINT)
        _lines(draw, seen, (width, height - split), low=low, high=high, top=split, colours=(ACCENT, *LINES))
    return np.asarray(sheet)


def _lines(
    draw: ImageDraw.ImageDraw,
    part: NDArray[np.float32],
    size: tuple[int, int],
    *,
    low: float,
    high: float,
    top: int,
    colours: Sequence[tuple[int, int, int]] = LINES,
) -> None:
    width, height = size
    across = np.linspace(0, width - 1, max(2, part.shape[1]))
    for channel, line in enumerate(part):
        level = top + height - 5 - (line - low) / max(high - low, 1e-12) * (height - 10)
        points = list(zip(across.tolist(), level.tolist(), strict=False))
        draw.line(points, fill=colours[channel % len(colours)], width=2, joint="curve")


def draw_signal(values: NDArray[np.generic], *, size: tuple[int, int] = (960, 200)) -> Pixels:
    """A whole signal (C, L)."""
    sheet = Image.new("RGB", size, PAPER)
    signal = np.asarray(values, np.float32)
    _lines(ImageDraw.Draw(sheet), signal, size, low=float(signal.min()), high=float(signal.max()), top=0)
    return np.asarray(sheet)


# ---- volumes ---------------------------------------------------------------------------------------------------------


def draw_slices(values: Tensor, box: Box, *, clip: bool = False) -> Pixels:
    """A volume (C, D, H, W) in [0, 1]: the three slices through the box's middle, each with the box drawn in.

    Of a clip the first, the middle and the last frame that the unit sees.
    """
    extents = values.shape[1:]
    inside = [(max(a, 0), min(b, extent)) for (a, b), extent in zip(box, extents, strict=True)]
    middle = [min(max((a + b) // 2, 0), extent - 1) for (a, b), extent in zip(inside, extents, strict=True)]
    if clip:
        first, last = inside[0][0], max(inside[0][0], inside[0][1] - 1)
        cuts = [(0, frame) for frame in (first, middle[0], last)]
    else:
        cuts = [(axis, middle[axis]) for axis in range(3)]
    sheet = Image.new("RGB", (3 * SLICE + 8, SLICE), PAPER)
    for number, (axis, at) in enumerate(cuts):
        plane = _rgb(values.select(axis + 1, at).numpy())
        height, width = plane.shape[:2]
        fitted = images.fit(width, height, SLICE)
        part = Image.fromarray(images.resize(plane, *fitted))
        (top, bottom), (left, right) = (inside[i] for i in range(3) if i != axis)
        across, down = fitted[0] / width, fitted[1] / height
        frame = (left * across, top * down, right * across - 1, bottom * down - 1)
        ImageDraw.Draw(part).rectangle(frame, outline=ACCENT)
        sheet.paste(part, (number * (SLICE + 4) + (SLICE - fitted[0]) // 2, (SLICE - fitted[1]) // 2))
    return np.asarray(sheet)


def placed(projection: Tensor, box: Box, extents: Sequence[int]) -> Tensor:
    """A projection (C, *box size) in an input of zeros (C, *extents), without what lies over the edge."""
    whole = projection.new_zeros((projection.shape[0], *extents))
    there = tuple(slice(max(a, 0), max(0, min(b, n))) for (a, b), n in zip(box, extents, strict=True))
    here = tuple(slice(s.start - a, s.stop - a) for s, (a, _) in zip(there, box, strict=True))
    whole[(slice(None), *there)] = projection[(slice(None), *here)]
    return whole


# ---- many of them ----------------------------------------------------------------------------------------------------


def heat(values: NDArray[np.floating]) -> Pixels:
    """Values in [0, 1] (H, W) as colours from night blue to cream."""
    place = np.clip(np.nan_to_num(values), 0, 1) * (len(_HEAT) - 1)
    below = np.minimum(place.astype(int), len(_HEAT) - 2)
    part = (place - below)[..., None]
    return images.to_uint8(((1 - part) * _HEAT[below] + part * _HEAT[below + 1]) / 255)


def columns_of(count: int) -> int:
    """Columns of a unit's grid of patches: three for nine."""
    return max(1, int(np.ceil(np.sqrt(count))))


def grid(tiles: Pixels, columns: int, *, gap: int = 0, ground: tuple[int, int, int] = PAPER) -> Pixels:
    """Tiles (n, h, w, 3) row by row in one picture."""
    count, height, width = tiles.shape[:3]
    rows = -(-count // columns)
    sheet = np.empty((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), np.uint8)
    sheet[:] = ground
    for i in range(count):
        top, left = i // columns * (height + gap), i % columns * (width + gap)
        sheet[top : top + height, left : left + width] = tiles[i]
    return sheet


def encoded(pixels: Pixels, *, kind: str = "jpeg", quality: int = 80) -> bytes:
    """A picture's bytes as JPEG or PNG."""
    buffer = io.BytesIO()
    if kind == "jpeg":
        Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, optimize=True)
    else:
        Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


_SHEET_PIXELS = 6_000_000


def contact_sheet(units: Sequence[int], views: Sequence[Pixels], labels: Sequence[str]) -> Pixels:
    """One layer on one picture: for each unit its number, its patches, and beside them its projections.

    Args:
        units: their numbers.
        views: one or two arrays (units, k, h, w, 3): patches and projections.
        labels: a line below each unit.
    """
    count, k = views[0].shape[:2]
    across = columns_of(k)
    down = -(-k // across)
    height, width = views[0].shape[2:4]
    longest = next(
        (s for s in (96, 64, 48, 40, 32, 24) if count * len(views) * across * down * s * s <= _SHEET_PIXELS), 24
    )
    scale = longest / max(height, width) if len(views) > 1 else min(1.0, 2 * longest / width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    text, gap = 15, 2
    block = across * (size[0] + gap) - gap
    cell = (len(views) * block + 6 * (len(views) - 1) + 14, down * (size[1] + gap) + text + 10)
    columns = max(1, min(count, round((count * cell[1] / cell[0] * 1.3) ** 0.5)))
    rows = -(-count // columns)
    sheet = Image.new("RGB", (columns * cell[0] + 14, rows * cell[1] + 12), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    filtering = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.LANCZOS
    for i, (unit, label) in enumerate(zip(units, labels, strict=True)):
        x, y = 14 + i % columns * cell[0], 12 + i // columns * cell[1]
        for view in views:
            tiles = np.stack([np.asarray(Image.fromarray(tile).resize(size, filtering)) for tile in view[i]])
            sheet.paste(Image.fromarray(grid(tiles, across, gap=gap)), (x, y))
            x += block + 6
        place = (14 + i % columns * cell[0], y + down * (size[1] + gap))
        draw.text(place, f"{unit}  {label}", INK, font=font)
    return np.asarray(sheet)
