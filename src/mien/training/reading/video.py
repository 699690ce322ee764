"""Video clips as float32 (3, T, H, W) in [0, 1]."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mien import images
from mien.errors import DataError, MissingExtra
from mien.training.data import Array

ENDINGS = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")


@dataclass(frozen=True, eq=False)
class Clip:
    """Pictures in time."""

    values: Array
    """(3, T, H, W) RGB."""
    rate: float
    """Pictures per second after thinning out."""


def read_clip(path: Path, *, frames: int = 16, size: tuple[int, int] | None = None) -> Clip:
    """`frames` pictures evenly spaced over the whole clip, resized to `size` (height, width) if given.

    A clip with fewer pictures repeats some. Raises DataError for a file without video.
    """
    try:
        import av
    except ImportError as error:
        raise MissingExtra("Reading video clips", "training") from error
    pictures = []
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            rate = float(stream.average_rate or 0)
            for frame in container.decode(stream):
                pixels = frame.to_ndarray(format="rgb24")
                # Resized at once: a long clip in full size would not fit into memory.
                pictures.append(images.resize(pixels, size[1], size[0]) if size else pixels)
    except (av.error.FFmpegError, OSError, IndexError) as error:
        raise DataError(
            f"Expected a video clip in “{path}”, but it cannot be read: {error}; convert it to MP4 (H.264)."
        ) from error
    if not pictures:
        raise DataError(f"Expected pictures in “{path}”, but the clip is empty; replace it or leave it out.")
    places = np.linspace(0, len(pictures) - 1, frames).round().astype(int)
    values = np.stack([pictures[i] for i in places]).transpose(3, 0, 1, 2).astype(np.float32) / np.float32(255)
    thinned = rate * (frames - 1) / (len(pictures) - 1) if frames > 1 and len(pictures) > 1 else rate
    return Clip(np.ascontiguousarray(values), thinned)
