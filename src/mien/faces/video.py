"""Frames of a video file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mien.errors import ImageError
from mien.faces.records import Image

ENDINGS = frozenset({".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg"})

_PLAIN_PATH = r"(?!.*(?i:pass|pwd|token|key|auth))[\w.-]{0,20}(/[\w.-]{0,20}){0,5}"


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
    video = open_capture(camera)
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
        raise no_picture(camera)
    return np.ascontiguousarray(bgr[..., ::-1])


def open_capture(camera: int | str, *, wait: float = 10.0) -> cv2.VideoCapture:
    """OpenCV's reader of a camera or stream, opened or not; it waits so many seconds for a stream."""
    if isinstance(camera, int):
        return cv2.VideoCapture(camera)
    # FFmpeg alone: the backend that OpenCV tries after it writes the whole address, password and all, into its errors.
    milliseconds = round(1000 * wait)
    settings = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, milliseconds, cv2.CAP_PROP_READ_TIMEOUT_MSEC, milliseconds]
    return cv2.VideoCapture(camera, cv2.CAP_FFMPEG, settings)


def camera_name(camera: int | str) -> str:
    """What to call a camera in a sentence: of a stream's address the host and a plain path, never a password."""
    if isinstance(camera, int):
        return f"camera {camera}"
    address = camera.partition("://")[2].rpartition("@")[2].partition("?")[0]
    host, slash, path = address.partition("/")
    if not re.fullmatch(r"[\w.:\[\]-]{1,80}", host):
        return "the stream"
    # Some cameras want their password in the path: user=admin_password=...
    return f"the stream “{host}{slash}{path if re.fullmatch(_PLAIN_PATH, path) else '…'}”"


def no_picture(camera: int | str) -> ImageError:
    """The error for a camera that gives no picture."""
    return ImageError(
        f"Expected a picture from {camera_name(camera)}, but it gives none; look whether another program uses it, and "
        "for a stream whether its address and password are right."
    )


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
