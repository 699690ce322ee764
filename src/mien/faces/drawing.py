"""The faces of a photo, framed and labelled."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from mien.faces.records import Decision, Face, Image

# Told apart by lightness too, not by hue alone.
COLOURS = {"known": (46, 160, 67), "unsure": (240, 180, 30), "unknown": (190, 50, 45)}
_PLAIN = (90, 140, 220)


def caption(decision: Decision) -> str:
    """A person's name, or what is known instead; no distances, which are not for the person at the camera."""
    if decision.match is not None:
        return decision.match.person
    return "unsure" if decision.verdict == "unsure" else "not in the database"


def draw(image: Image, faces: Sequence[Face], labels: Sequence[str], *, verdicts: Sequence[str] = ()) -> Image:
    """A copy of the picture with every face in a frame, its label below; the frame's colour says the verdict."""
    picture = Pillow.fromarray(image)
    pen = ImageDraw.Draw(picture)
    # A frame and letters that can be seen when a large photo is shown small.
    unit = max(1, round(max(picture.size) / 500))
    for number, (face, label) in enumerate(zip(faces, labels, strict=True)):
        colour = COLOURS.get(verdicts[number], _PLAIN) if verdicts else _PLAIN
        x, y, w, h = face.box
        pen.rectangle((x, y, x + w, y + h), outline=colour, width=2 * unit)
        if label:
            _write(pen, label, (x, y + h), picture.size, colour, size=13 * unit)
    return np.asarray(picture)


def _write(
    pen: ImageDraw.ImageDraw,
    text: str,
    corner: tuple[float, float],
    size_of_picture: tuple[int, int],
    colour: tuple[int, int, int],
    *,
    size: int,
) -> None:
    font = _font(size)
    left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
    pad = size // 4
    width, height = right - left + 2 * pad, bottom - top + 2 * pad
    x = min(max(0, corner[0]), max(0, size_of_picture[0] - width))
    y = min(max(0, corner[1]), max(0, size_of_picture[1] - height))
    pen.rectangle((x, y, x + width, y + height), fill=colour)
    # Relative luminance decides between black and white letters.
    light = 0.2126 * colour[0] + 0.7152 * colour[1] + 0.0722 * colour[2] > 140
    pen.text((x + pad - left, y + pad - top), text, font=font, fill=(0, 0, 0) if light else (255, 255, 255))


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """DejaVu Sans, which matplotlib carries and which writes most alphabets; Pillow's own font without it."""
    try:
        import matplotlib

        return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), size)
    except (ImportError, OSError):
        return ImageFont.load_default(size)
