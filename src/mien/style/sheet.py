"""Pictures of pictures: labelled contact sheets, before-and-after pairs, evolution strips and GIFs."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mien import images
from mien.errors import OptionError

Pixels = NDArray[np.uint8]

PAPER, INK = (250, 249, 246), (40, 40, 44)


def contact_sheet(
    pictures: Sequence[Pixels], labels: Sequence[str], *, columns: int | None = None, cell: int | None = None
) -> Pixels:
    """The pictures (H, W, 3) in a grid, each with its label below; all are fitted into cells of one size.

    Args:
        pictures: at least one.
        labels: one each; an empty one leaves the space blank.
        columns: by default about as many as rows, at most four.
        cell: long side of a cell in pixels; by default that of the largest picture.
    """
    if not pictures or len(pictures) != len(labels):
        raise OptionError(f"Expected as many labels as pictures, at least one, got {len(labels)} and {len(pictures)}.")
    columns = columns or min(4, max(1, round(len(pictures) ** 0.5 + 0.49)))
    long_side = cell or max(max(p.shape[:2]) for p in pictures)
    fitted = [_fitted(p, long_side) for p in pictures]
    width, height = max(p.shape[1] for p in fitted), max(p.shape[0] for p in fitted)
    gap = max(6, long_side // 40)
    font = ImageFont.load_default(max(11, long_side // 22))
    line = int(font.getbbox("Ag")[3] * 1.5) if any(labels) else 0
    rows = -(-len(fitted) // columns)
    sheet = Image.new("RGB", (columns * (width + gap) + gap, rows * (height + line + gap) + gap), PAPER)
    draw = ImageDraw.Draw(sheet)
    for i, (picture, label) in enumerate(zip(fitted, labels, strict=True)):
        x, y = gap + (i % columns) * (width + gap), gap + (i // columns) * (height + line + gap)
        left, top = x + (width - picture.shape[1]) // 2, y + (height - picture.shape[0]) // 2
        sheet.paste(Image.fromarray(picture), (left, top))
        draw.text((x + width / 2, y + height + line / 2), _shortened(label, font, width), INK, font=font, anchor="mm")
    return np.asarray(sheet)


def evolution_strip(frames: Sequence[Pixels], *, height: int = 160) -> Pixels:
    """The frames side by side at one height, first to last."""
    return np.concatenate([_at_height(frame, height) for frame in frames], axis=1)


def save_gif(path: str | Path, frames: Sequence[Pixels], *, long_side: int = 320, force: bool = False) -> Path:
    """An endlessly repeating GIF of the frames, the last held for two seconds; written whole or not at all."""
    sized = [Image.fromarray(_fitted(frame, long_side)) for frame in frames]
    sized = [frame.resize(sized[-1].size, Image.Resampling.LANCZOS) for frame in sized]
    buffer = io.BytesIO()
    durations = [120] * (len(sized) - 1) + [2000]
    sized[0].save(buffer, "GIF", save_all=True, append_images=sized[1:], duration=durations, loop=0)
    return images.write_whole(path, lambda file: file.write(buffer.getvalue()), force=force)


def _fitted(picture: Pixels, long_side: int) -> Pixels:
    height, width = picture.shape[:2]
    resized: Pixels = images.resize(picture, *images.fit(width, height, long_side))
    return resized


def _at_height(picture: Pixels, height: int) -> Pixels:
    width = max(1, round(picture.shape[1] * height / picture.shape[0]))
    resized: Pixels = images.resize(picture, width, height)
    return resized


def _shortened(label: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    if font.getlength(label) <= width:
        return label
    while label and font.getlength(label + "…") > width:
        label = label[:-1]
    return label + "…"
