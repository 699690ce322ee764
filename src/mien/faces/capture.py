"""Frames for a door: of a camera or stream the newest, of a video file all in order.

A machine that takes 100 ms a frame must not look at what happened ten seconds ago: a thread reads a camera as fast as
it gives pictures and keeps the newest alone. A stream that breaks off is opened again, with longer and longer pauses.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import ImageError
from mien.faces.video import Frame, camera_name, frames, no_picture, open_capture

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
"""Seconds before a stream is opened again; each pause is twice as long as the one before."""
PACE = 12.0
"""Frames a second that are looked at, at most."""


class LiveCamera:
    """A camera or stream; a context that ends its reading."""

    def __init__(
        self,
        camera: int | str,
        *,
        said: Callable[[str], None] = lambda sentence: None,
        wait: float = 10.0,
        first_pause: float = FIRST_PAUSE,
    ) -> None:
        """`camera`: a number, or a stream's address. `said` is told what happens to it, from the thread that reads.

        `wait`: seconds for a stream to open, or to give its next frame.
        """
        self.name = camera_name(camera)
        self.dropped = 0
        """Frames that a newer one took the place of."""
        self._camera, self._said, self._wait, self._first_pause = camera, said, wait, first_pause
        self._began = time.monotonic()
        self._stop = threading.Event()
        self._new = threading.Condition()
        self._newest: tuple[float, NDArray[np.uint8]] | None = None
        self._failed: ImageError | None = None
        self._thread = threading.Thread(target=self._read, name="mien-camera", daemon=True)
        self._thread.start()

    def clock(self) -> float:
        """The seconds that a session has to be bounded by: of the same kind as a frame's."""
        return time.monotonic() - self._began

    def frames(self, *, stopped: Callable[[], bool] = lambda: False, a_second: float = PACE) -> Iterator[Frame]:
        """The newest frame, at most `a_second` of them, until `stopped` says so (asked twice a second).

        Raises ImageError if a camera of this machine never gave a picture; a stream is waited for.
        """
        due = 0.0
        while not stopped():
            # Before an empty scene, more looks would only warm the room.
            self._stop.wait(max(0.0, due - self.clock()))
            if (frame := self.newest(timeout=0.5)) is not None:
                due = self.clock() + 1 / a_second
                yield frame

    def newest(self, *, timeout: float) -> Frame | None:
        """A frame newer than the last one given, or None if none comes within so many seconds."""
        with self._new:
            self._new.wait_for(lambda: self._newest is not None or self._failed is not None, timeout)
            found, self._newest = self._newest, None
            if found is None:
                if self._failed is not None:
                    raise self._failed
                return None
        return Frame(found[0], np.ascontiguousarray(found[1][..., ::-1]))

    def close(self) -> None:
        """Stop reading; a stream that does not answer is left to its thread, which ends by itself."""
        self._stop.set()
        self._thread.join(timeout=1.0)

    def __enter__(self) -> LiveCamera:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self) -> None:
        pause, ever = self._first_pause, False
        while not self._stop.is_set():
            got = self._read_on(back=ever or pause > self._first_pause)
            if self._stop.is_set():
                return
            if not (got or ever) and isinstance(self._camera, int):
                with self._new:
                    self._failed = no_picture(self._camera)
                    self._new.notify_all()
                return
            ever |= got
            pause = self._first_pause if got else pause
            self._said(f"No picture from {self.name}; trying again in {pause:g} s.")
            self._stop.wait(pause)
            pause = min(LONGEST_PAUSE, 2 * pause)

    def _read_on(self, *, back: bool) -> bool:
        """Read until the camera gives no more; whether it gave anything."""
        got = False
        video = open_capture(self._camera, wait=self._wait)
        try:
            while not self._stop.is_set():
                good, bgr = video.read()
                if not good:
                    break
                if back and not got:
                    self._said(f"The picture of {self.name} is back.")
                got = True
                with self._new:
                    self.dropped += self._newest is not None
                    self._newest = self.clock(), np.asarray(bgr, np.uint8)
                    self._new.notify_all()
        except cv2.error:
            return got  # as if it had broken off; OpenCV's words may repeat the address
        finally:
            video.release()
        return got


class Recording:
    """A video file that stands in for a camera: every frame counts, and time is the file's own."""

    def __init__(self, path: str | Path, *, a_second: float = PACE) -> None:
        self._path, self._pace, self._now = path, a_second, 0.0

    def clock(self) -> float:
        """The seconds from the file's beginning to the frame that was given last."""
        return self._now

    def frames(self, *, stopped: Callable[[], bool] = lambda: False) -> Iterator[Frame]:
        """The file's frames in order, at most `a_second` of them; ImageError if it cannot be read."""
        for frame in frames(self._path, a_second=self._pace):
            if stopped():
                return
            self._now = frame.seconds
            yield frame

    def close(self) -> None:
        """Nothing is open between two frames; as a camera has it."""
