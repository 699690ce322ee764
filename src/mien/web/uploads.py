"""Pictures that somebody sends: looked at before anything is done with them, and kept under plain names."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
from fastapi import UploadFile
from numpy.typing import NDArray

from mien import images
from mien.errors import ImageError

Found = TypeVar("Found")

_LONGEST_NAME = 60
_LOOKED_AT = 1024  # pixels; a network sees its inputs at 224, so that more is kept in vain
_SMALL = 256
_FACES = 2400  # pixels a side of a photo with faces in it


class Reading:
    """Reads pictures one at a time, outside the event loop: a large one takes much memory while it is decoded."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(1)

    async def do(self, read: Callable[[], Found]) -> Found:
        """Wait for one's turn, and read."""
        async with self._turn:
            return await asyncio.to_thread(read)


def plain_name(name: str | None, otherwise: str) -> str:
    """A file's name as it may be shown and kept: no folders, nothing unprintable, not too long."""
    last = re.split(r"[\\/]", name or "")[-1]
    kept = "".join(letter for letter in last if letter.isprintable()).strip(". ")
    return kept[-_LONGEST_NAME:] or otherwise


def keep(upload: UploadFile, path: Path) -> Path:
    """The upload in a file, as it came."""

    def copy(file: BinaryIO) -> None:
        upload.file.seek(0)
        shutil.copyfileobj(upload.file, file, 2**20)

    return images.write_whole(path, copy)


def read_photo(upload: UploadFile, *, max_pixels: int, name: str) -> NDArray[np.uint8]:
    """An upload's pixels, upright RGB; ImageError, which calls it by its name, if it is no picture or too large."""
    upload.file.seek(0)
    try:
        return images.load(upload.file, max_pixels=max_pixels).pixels
    except ImageError as error:
        raise ImageError(_called(str(error), name)) from error


def read_face_photo(upload: UploadFile, *, max_pixels: int, name: str) -> NDArray[np.uint8]:
    """The same, made smaller where it is larger than the face networks have use for: twelve photos at once fit then."""
    pixels = read_photo(upload, max_pixels=max_pixels, name=name)
    height, width = pixels.shape[:2]
    return pixels if max(height, width) <= _FACES else images.resize(pixels, *images.fit(width, height, _FACES))


def _called(sentence: str, name: str) -> str:
    return sentence.replace(", or raise max_pixels if you trust the file", "").replace("the file", f"“{name}”")


def save_preview(pixels: NDArray[np.uint8], path: Path, *, side: int) -> None:
    """A picture of at most so many pixels a side, for the page."""
    height, width = pixels.shape[:2]
    if max(height, width) > side:
        pixels = images.resize(pixels, *images.fit(width, height, side))
    images.save(path, pixels, force=True, quality=90)


def keep_for_looking(uploads: Sequence[UploadFile], folder: Path, *, max_pixels: int) -> list[str]:
    """The pictures as the network will get them, under their own names; returns these."""
    names: list[str] = []
    for number, upload in enumerate(uploads, 1):
        name = plain_name(upload.filename, f"picture {number}")
        pixels = read_photo(upload, max_pixels=max_pixels, name=name)
        height, width = pixels.shape[:2]
        if max(height, width) > _LOOKED_AT:
            pixels = images.resize(pixels, *images.fit(width, height, _LOOKED_AT))
        stem = re.sub(r'[<>:"|?*%]', "_", Path(name).stem).strip(". ") or f"picture {number}"
        ending = ".png" if max(height, width) <= _SMALL else ".jpg"
        chosen, taken = f"{stem}{ending}", {name.casefold() for name in names}
        while chosen.casefold() in taken:
            stem = f"{stem} ({number})"
            chosen = f"{stem}{ending}"
        images.save(folder / chosen, pixels, force=True)
        names.append(chosen)
    return names
