"""The benchmark of the exact search: how long the five nearest people take, beside faiss, and what they weigh.

    python benchmarks/faces_search.py                 10,000, 100,000 and 1,000,000 people; some three minutes, 2 GB
    python benchmarks/faces_search.py 10000 --repeats 200

Random unit vectors of 128 numbers, one a person. Half of the queries are enrolled people seen a little differently,
half are strangers. Ours and faiss-cpu's IndexFlatIP (exact, inner product) answer the same query one after the other,
so that other work on the machine disturbs both; all times go to bench/faces_search.json. Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from mien.faces.gallery.search import Index
from shell import say

D, K, STEP = 128, 5, 1000  # STEP rows come at a time, as a gallery's blocks do
LIMITS = {10_000: 0.6, 100_000: 4.0, 1_000_000: 35.0}  # ms
RATIO, BYTES = 0.7, 600
REPEATS = {10_000: 400, 100_000: 200, 1_000_000: 60}
CHECKED = 20  # queries whose ranking is compared with brute force

Rows = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True)
class Row:
    """One size of gallery; times in ms, one for every query."""

    people: int
    ours: list[float]
    faiss_2_threads: list[float]
    faiss_1_thread: list[float]
    bytes_a_person: float
    ranking_equal: bool

    @property
    def ratio(self) -> float:
        """Our median against the better of faiss's."""
        return median(self.ours) / min(median(self.faiss_1_thread), median(self.faiss_2_threads))


def measure(sizes: Sequence[int] = tuple(LIMITS), *, repeats: int | None = None) -> list[Row]:
    """One row a size."""
    return [_measured(size, repeats or REPEATS.get(size, 60)) for size in sizes]


def median(times: Sequence[float]) -> float:
    return float(np.median(times))


def _measured(people: int, repeats: int) -> Row:
    say(f"{people:,} people")
    _filled(STEP).nearest(_queries(STEP, 1)[0], K)  # so that what is loaded at first use does not count as memory
    gc.collect()
    before = psutil.Process().memory_info().rss
    ours = _filled(people)
    queries = _queries(people, repeats)
    ours.nearest(queries[0], K)  # its working memory counts too
    grown = psutil.Process().memory_info().rss - before
    theirs = faiss.IndexFlatIP(D)
    for _, rows in _encodings(people):
        theirs.add(rows)
    times: dict[str, list[float]] = {"ours": [], "faiss_2_threads": [], "faiss_1_thread": []}
    for i in range(-3, repeats):  # the first three warm up
        query = queries[i]
        ways: dict[str, Callable[[], object]] = {
            "ours": lambda query=query: ours.nearest(query, K),
            "faiss_2_threads": lambda query=query: theirs.search(query[None], K),
            "faiss_1_thread": lambda query=query: theirs.search(query[None], K),
        }
        # Two threads of faiss go on spinning for a while after their answer, so they come last and then rest.
        first_two = ("ours", "faiss_1_thread") if i % 2 else ("faiss_1_thread", "ours")
        for way in (*first_two, "faiss_2_threads"):
            faiss.omp_set_num_threads(1 if way == "faiss_1_thread" else 2)
            start = time.perf_counter()
            ways[way]()
            if i >= 0:
                times[way].append(1000 * (time.perf_counter() - start))
        time.sleep(0.01)
    say("comparing the ranking with brute force")
    wanted = _by_brute_force(people, queries[:CHECKED])
    equal = np.array_equal(wanted, [ours.nearest(query, K).owners for query in queries[:CHECKED]])
    return Row(people=people, **times, bytes_a_person=grown / people, ranking_equal=equal)


def _filled(people: int) -> Index:
    index = Index(np.empty((0, D), np.float32), [])
    for first, rows in _encodings(people):
        index.add(rows, range(first, first + len(rows)))
    return index


def _encodings(people: int) -> Iterator[tuple[int, Rows]]:
    for first in range(0, people, STEP):
        rows = np.random.default_rng(first).standard_normal((min(STEP, people - first), D), dtype=np.float32)
        yield first, rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _queries(people: int, count: int) -> Rows:
    random = np.random.default_rng(people + 1)
    queries = random.standard_normal((count, D), dtype=np.float32) / np.float32(D**0.5)
    enrolled = next(_encodings(people))[1]
    queries[::2] = enrolled[random.integers(0, len(enrolled), len(queries[::2]))] + 0.6 * queries[::2]
    return queries / np.linalg.norm(queries, axis=1, keepdims=True)


def _by_brute_force(people: int, queries: Rows) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The K nearest of every query by ‖q - x‖ in float64, computed from the differences."""
    best = [(np.empty(0), np.empty(0, np.int64)) for _ in queries]
    for first, rows in _encodings(people):
        exact = rows.astype(np.float64)
        for i, query in enumerate(queries):
            distances = np.concatenate([best[i][0], np.linalg.norm(exact - query, axis=1)])
            numbers = np.concatenate([best[i][1], np.arange(first, first + len(rows))])
            nearest = np.argsort(distances, kind="stable")[:K]
            best[i] = distances[nearest], numbers[nearest]
    return np.array([numbers for _, numbers in best])


def _machine() -> dict[str, Any]:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": names[0] if names else "unknown processor",
        "cores": os.cpu_count(),
        "numpy": version("numpy"),
        "faiss": version("faiss-cpu"),
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "load_before": os.getloadavg()[0],
    }


def tables(results: dict[str, Any]) -> list[Table]:
    """The table of results as they were kept."""
    rows = [Row(**{name: value for name, value in row.items() if name != "ratio"}) for row in results["rows"]]
    return [_table(rows, results["machine"])]


def _table(rows: Sequence[Row], machine: dict[str, Any]) -> Table:
    caption = (
        f"ms: median, 95th percentile, least; ratio of the medians, faiss at its better. {machine['cpu']}, "
        f"{machine['cores']} cores, load {machine['load_before']:.1f} before and {machine['load_after']:.1f} after."
    )
    table = Table(title="Exact top-5", caption=caption, title_justify="left", caption_justify="left")
    for name in ("people", "ours", "wanted", "faiss, 2 threads", "1 thread", "ratio", "bytes a person", "ranking"):
        table.add_column(name, justify="right")
    for row in rows:
        limit = LIMITS.get(row.people)
        table.add_row(
            f"{row.people:,}",
            _spread(row.ours),
            f"{limit:g}{_mark(median(row.ours) <= limit)}" if limit else "",
            _spread(row.faiss_2_threads),
            _spread(row.faiss_1_thread),
            f"{row.ratio:.2f}{_mark(row.ratio <= RATIO)}",
            f"{row.bytes_a_person:.0f}{_mark(row.bytes_a_person <= BYTES)}",
            "equal" if row.ranking_equal else "DIFFERENT",
        )
    return table


def _spread(times: Sequence[float]) -> str:
    return f"{median(times):.2f}, {np.percentile(times, 95):.2f}, {min(times):.2f}"


def _mark(met: bool) -> str:
    return " ✓" if met else " ✗"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", nargs="*", type=int, default=list(LIMITS), help="people [%(default)s]")
    parser.add_argument("--repeats", type=int, help="queries a size [400, 200, 60]")
    parser.add_argument("--folder", type=Path, default=Path(__file__).resolve().parents[1] / "bench")
    options = parser.parse_args()
    machine = _machine()
    rows = measure(options.sizes, repeats=options.repeats)
    machine["load_after"] = os.getloadavg()[0]
    options.folder.mkdir(parents=True, exist_ok=True)
    results = {"machine": machine, "rows": [{**asdict(row), "ratio": row.ratio} for row in rows]}
    (options.folder / "faces_search.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
    Console(width=None if Console().is_terminal else 150).print(_table(rows, machine))


if __name__ == "__main__":
    main()
