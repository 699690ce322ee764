"""After several failures in a row a camera, or a client, waits: nobody tries a hundred pictures in front of a door."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from mien.errors import OptionError

FAILURES = 5
"""In a row, until a camera is locked: as many as Face ID allows."""
SECONDS = 300.0
"""How long it stays locked."""
_REMEMBERED = 10_000
"""So many cameras and clients at most, so that somebody who keeps changing their name fills no memory."""


@dataclass
class _Count:
    failures: int = 0
    until: float = 0.0


class Lockout:
    """Counts failures in a row by camera or client, and locks them; it may be shared by threads.

    It is kept in memory: a restart forgets it.
    """

    def __init__(
        self, *, failures: int = FAILURES, seconds: float = SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`clock` gives seconds that never go back."""
        if failures < 1 or not 0 < seconds < float("inf"):
            raise OptionError(f"Expected at least one failure and some seconds, got {failures} and {seconds:g}.")
        self._failures, self._seconds, self._clock = failures, seconds, clock
        self._counts: OrderedDict[str, _Count] = OrderedDict()
        self._lock = threading.Lock()

    def remaining(self, who: str) -> float:
        """The seconds for which `who` is locked; 0 if they are not."""
        with self._lock:
            count = self._counts.get(who)
            return 0.0 if count is None else max(0.0, count.until - self._clock())

    def failed(self, who: str) -> float:
        """Count a failure; the seconds for which `who` is locked from now on, or 0. While locked nothing is counted."""
        with self._lock:
            now = self._clock()
            count = self._counts.pop(who, None) or _Count()
            self._counts[who] = count  # the last one to be thrown away
            if count.until <= now:
                count.failures += 1
                if count.failures >= self._failures:
                    count.failures, count.until = 0, now + self._seconds
            self._shrink(now)
            return max(0.0, count.until - now)

    def succeeded(self, who: str) -> None:
        """Forget the failures of `who`; a lock stays."""
        with self._lock:
            count = self._counts.get(who)
            if count is not None:
                count.failures = 0

    def _shrink(self, now: float) -> None:
        """Forget the oldest who are not locked, then the oldest."""
        if len(self._counts) <= _REMEMBERED:
            return
        free = (who for who, count in self._counts.items() if count.until <= now)
        del self._counts[next(free, next(iter(self._counts)))]
