"""How often somebody may ask: a token bucket each."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

_MOST = 20_000  # buckets kept; the one used longest ago gives way


class Rates:
    """Buckets that hold `burst` drops and fill by `per_second`; each question takes one."""

    def __init__(self, per_second: float, burst: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_second, self.burst = per_second, burst
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # drops, and when

    def take(self, who: str) -> float:
        """0 if `who` may ask now; else the seconds until they may."""
        now = self._clock()
        drops, since = self._buckets.pop(who, (self.burst, now))
        drops = min(self.burst, drops + max(0.0, now - since) * self.per_second)
        wait = 0.0 if drops >= 1 else (1 - drops) / self.per_second
        self._buckets[who] = (drops - 1 if wait == 0 else drops), now
        if len(self._buckets) > _MOST:
            self._buckets.popitem(last=False)
        return wait
