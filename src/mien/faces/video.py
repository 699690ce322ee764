"""Frames of a video file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mien.errors import ImageError
from mien.faces.records import Image

ENDINGS = frozenset({".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg"})


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a video and when it was shown."""

    seconds: float
    """Since the beginning."""
    image: Image


def is_video(path: str | Path) -> bool:
    """Whether the file's ending says that it is a video."""
    return Path(path).suffix.lower() in ENDINGS


def camera_frame(camera: int | str, *, warm_up: int = 8) -> Image:
    """What a camera sees now: one by its number, or the address of a stream.

    The first frames are passed over, for a camera takes a moment to find its exposure. Raises ImageError if there is
    no such camera, or it gives no picture.
    """
    video = cv2.VideoCapture(camera)
    try:
        bgr = None
        for _ in range(warm_up + 1):
            good, frame = video.read()
            if not good:
                break
            bgr = frame
    finally:
        video.release()
    if bgr is None:
        raise ImageError(
            f"Expected a picture from {_which(camera)}, but it gives none; look whether another program uses it."
        )
    return np.ascontiguousarray(bgr[..., ::-1])


def _which(camera: int | str) -> str:
    """What to call a camera in a sentence: never its password."""
    return f"camera {camera}" if isinstance(camera, int) else f"the stream “{camera.rpartition('@')[2]}”"


def frames(path: str | Path, *, a_second: float = 2.0) -> Iterator[Frame]:
    """About `a_second` frames of every second of the video, in order.

    Raises ImageError if there is no such file or not one frame of it can be read. A video that breaks off ends there.
    """
    if not Path(path).is_file():
        raise ImageError(f"Expected a video, but there is no file “{path}”.")
    video = cv2.VideoCapture(str(path))
    try:
        rate = video.get(cv2.CAP_PROP_FPS)
        # What a browser recorded often claims a thousand frames a second; then every frame is taken for a 25th of one.
        rate = rate if 0 < rate <= 240 else 25.0
        step = max(1, round(rate / a_second))
        number = 0
        while video.grab():
            if number % step == 0:
                good, bgr = video.retrieve()
                if not good:
                    break
                yield Frame(number / rate, np.ascontiguousarray(bgr[..., ::-1]))
            number += 1
        if number == 0:
            raise ImageError(f"Expected a video, but not one frame of “{path}” can be read.")
    finally:
        video.release()
