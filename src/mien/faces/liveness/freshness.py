"""Whether frames come from a camera now: each new, in order, without holes, and on time."""

from __future__ import annotations

import hashlib

import numpy as np

from mien.faces.records import Image

GAP = 1.5
"""Seconds between two frames, or two looks at the face, that are too long: somebody may have changed places."""
AHEAD, BEHIND = 1.0, 2.0
"""Seconds by which the camera's clock may run before the server's, and after it, counted from the first frame. A slow
line brings frames late; only a recording brings them early, by more than the first one was late."""
MOST_FRAMES = 3000
"""More than any camera gives in a try."""


class Freshness:
    """Remembers a digest of every frame's pixels, and the two clocks."""

    def __init__(self) -> None:
        self._digests: set[bytes] = set()
        self._first: tuple[float, float] | None = None
        self._last: float | None = None

    def check(self, image: Image, taken: float, now: float) -> str | None:
        """Why a frame is not fresh, or None; then it is remembered.

        `taken` is the camera's clock, `now` the server's, both in seconds from any beginning. Codes: `order` (time
        stands still or runs back), `duplicate` (the very pixels of an earlier frame), `clock` (the two clocks come
        apart), `gap` (too long since the frame before), `flood` (more frames than a camera gives).
        """
        if not (np.isfinite(taken) and np.isfinite(now)) or (self._last is not None and taken <= self._last):
            return "order"
        digest = hashlib.blake2b(repr(image.shape).encode(), digest_size=16)
        digest.update(np.ascontiguousarray(image).tobytes())
        if digest.digest() in self._digests:
            return "duplicate"
        if len(self._digests) >= MOST_FRAMES:
            return "flood"
        first = self._first = self._first or (taken, now)
        last, self._last = self._last, taken
        self._digests.add(digest.digest())
        if not -BEHIND <= (taken - first[0]) - (now - first[1]) <= AHEAD:
            return "clock"
        return "gap" if last is not None and taken - last > GAP else None
