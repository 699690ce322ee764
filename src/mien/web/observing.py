"""Health, metrics and the log of requests: how the server is, without a word about who uses it for what."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily
from starlette.types import Scope

access = logging.getLogger("mien.web.access")

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Observing:
    """Counts requests by method, route template and status, and reports the queue."""

    def __init__(self, jobs: Callable[[], Mapping[str, int]], present: Callable[[str], None]) -> None:
        self._registry = CollectorRegistry()
        self._jobs, self._present = jobs, present
        self._requests = Counter(
            "mien_requests", "Requests answered.", ["method", "route", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "mien_request_seconds",
            "Seconds until a request was answered.",
            ["route"],
            buckets=(0.005, 0.02, 0.1, 0.5, 2, 10, 60),
            registry=self._registry,
        )
        ProcessCollector(registry=self._registry)
        self._registry.register(self)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The queue as it is at this moment."""
        gauge = GaugeMetricFamily("mien_jobs", "Jobs by state.", labels=["state"])
        for state, count in self._jobs().items():
            gauge.add_metric([state], count)
        yield gauge

    def present(self, owner: str) -> None:
        """A client has just asked for something."""
        self._present(owner)

    def answered(self, scope: Scope, status: int, seconds: float) -> None:
        """Count and log one answer: the route's template, never the address itself."""
        route = str(getattr(scope.get("route"), "path", "other"))
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)
        access.info("%s %s %d %.1f ms", method, route, status, 1000 * seconds)

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry)


_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
