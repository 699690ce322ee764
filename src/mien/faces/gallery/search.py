"""Exact nearest-neighbour search over all encodings, in memory.

A miss of an approximate index would add straight to the false non-identification rate, and up to a million people
one reading of the whole matrix takes some 20 to 45 ms: so everything is read, and nothing is missed.
"""

from __future__ import annotations

import contextlib
import itertools
import mmap
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import GalleryError, OptionError

_BLOCK = 16_384  # rows; blocks never move, so that growth copies nothing and leaves no holes in memory
# Pages of 2 MB are read a quarter faster (268 MB: 26 against 36 ms), but a page is taken whole. Where these blocks are
# full, what the last page wastes is less than 64 bytes a person.
_PLAIN_BLOCKS = 2
# Numbers a dot product reads at once. It stays in the second-level cache, and below the 460,800 from which OpenBLAS
# (0.3.31, in numpy 2.4) starts threads of its own: on two busy cores these made 10,000 rows take 8 ms, not 0.2.
_PIECE = 1 << 18
_SHARED_FROM = 1 << 22  # numbers, 16 MB: below, waking the second thread costs more than it reads
_SCORES = 1 << 24  # float32 scores held at once for a batch of queries: 64 MB
_GROUP = 64  # rows that share one maximum while the best are looked for
_UNIT = 1e-4  # how far a squared norm may lie from 1


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The nearest people to every query, nearest first; one axis less where the query was one vector."""

    owners: NDArray[np.int64]
    """Shape (Q, k), or fewer columns where fewer people are enrolled."""
    distances: NDArray[np.float64]
    """Shape (Q, k): L2 distances to each person's nearest sample, 0 to 2."""


class Index:
    """All encodings of a gallery, each with its owner; a person may own several.

    A row takes 4 D + 9 bytes at most, and 4 more during a search. Threads may share an index: they take turns, for one
    search already takes all the memory bandwidth there is.

    encodings: shape (N, D), rows of norm 1; N may be 0, D stays. They are copied.
    owners: shape (N,), whole numbers.
    Raises GalleryError for other shapes, and for a row whose squared norm is further than 1e-4 from 1.
    """

    def __init__(self, encodings: ArrayLike, owners: ArrayLike | Sequence[int]) -> None:
        rows = np.asarray(encodings, dtype=np.float32)
        if rows.ndim != 2 or not rows.shape[1]:
            raise GalleryError(f"Expected encodings of shape (N, D), but got {rows.shape}; give one row for each.")
        self.dimension = int(rows.shape[1])
        # Rows whose float32 scores differ by more than this are in the right order: every dot product may be off by
        # D/2**24, every squared norm by 1e-4.
        self._margin = _UNIT + 2.01 * self.dimension / 2**24
        self._blocks: list[NDArray[np.float32]] = []
        self._owners = np.empty(0, np.int64)
        self._rows = 0
        self._lock = threading.Lock()
        self._second = ThreadPoolExecutor(1, "mien-search") if _cores() > 1 else None
        self.add(rows, owners)

    def __len__(self) -> int:
        """How many encodings there are."""
        return self._rows

    @property
    def people(self) -> int:
        """How many different owners there are: K."""
        with self._lock:
            return len(np.unique(self._owners[: self._rows]))

    def add(self, encodings: ArrayLike, owners: ArrayLike | Sequence[int]) -> None:
        """Put rows behind the present ones; all of them or, where one is refused, none."""
        rows = self._checked(encodings)
        theirs = np.atleast_1d(np.asarray(owners))
        if theirs.shape != (len(rows),) or (len(rows) and theirs.dtype.kind not in "iu"):
            raise GalleryError(
                f"Expected {len(rows)} whole numbers as owners, one for each encoding, but got "
                f"{theirs.dtype} of shape {theirs.shape}; give one owner for each row."
            )
        with self._lock:
            first, last = self._rows, self._rows + len(rows)
            if last > len(self._owners):
                larger = np.empty(last + last // 8, np.int64)
                larger[:first] = self._owners[:first]
                self._owners = larger
            self._owners[first:last] = theirs
            for block, lo, hi in _pieces(first, last, _BLOCK):
                if block == len(self._blocks):
                    self._blocks.append(_new_block(self.dimension, huge_pages=block >= _PLAIN_BLOCKS))
                start = block * _BLOCK + lo - first
                self._blocks[block][lo:hi] = rows[start : start + hi - lo]
            self._rows = last

    def remove(self, owners: int | Sequence[int]) -> int:
        """Remove all rows of one or several owners and say how many there were; the others keep their order.

        What is left moves up and the places behind it are overwritten, so that nothing of a person stays here.
        """
        with self._lock:
            kept = np.flatnonzero(~np.isin(self._owners[: self._rows], np.atleast_1d(owners)))
            removed = self._rows - len(kept)
            if not removed:
                return 0
            self._owners[: len(kept)] = self._owners[kept]
            self._owners[len(kept) : self._rows] = 0
            for block, lo, hi in _pieces(0, len(kept), _BLOCK):
                self._blocks[block][lo:hi] = self._gathered(kept[block * _BLOCK + lo : block * _BLOCK + hi])
            for block, lo, hi in _pieces(len(kept), self._rows, _BLOCK):
                self._blocks[block][lo:hi] = 0
            self._rows = len(kept)
            del self._blocks[-(-self._rows // _BLOCK) :]
        return removed

    def nearest(self, queries: ArrayLike, k: int = 5) -> Neighbours:
        """The k nearest people to every query, by their nearest sample; equal distances go to the lowest row.

        queries: shape (Q, D) or (D,), norm 1. The ranking is that of ‖q - x‖ in float64 over all rows.
        """
        if k < 1:
            raise OptionError(f"Expected k of at least 1, but got {k}; ask for one person or more.")
        q = np.asarray(queries, dtype=np.float32)
        if q.ndim == 1:
            q = self._checked(q[None])[0]
            with self._lock:
                return Neighbours(*self._ranked(q, self._scores(q), k))
        q = self._checked(q)
        with self._lock:
            found = [self._ranked(*pair, k) for part in self._in_batches(q) for pair in self._scored(part)]
        width = len(found[0][0]) if found else 0
        people = np.array([owners for owners, _ in found], np.int64).reshape(len(q), width)
        distances = np.array([d for _, d in found], np.float64).reshape(len(q), width)
        return Neighbours(people, distances)

    def _checked(self, encodings: ArrayLike) -> NDArray[np.float32]:
        rows = np.ascontiguousarray(encodings, dtype=np.float32)
        if rows.ndim != 2 or rows.shape[1] != self.dimension:
            raise GalleryError(
                f"Expected encodings of {self.dimension} numbers each, but got shape {rows.shape}; "
                "use the encoder that the gallery was filled with."
            )
        # Written so that NaN is refused too.
        fits = np.abs(np.einsum("nd,nd->n", rows, rows) - 1) <= _UNIT
        if not fits.all():
            raise GalleryError(
                f"Expected encodings of length 1, but row {np.argmin(fits)} is not; divide each by its L2 norm."
            )
        return rows

    def _in_batches(self, q: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
        step = max(1, _SCORES // max(1, self._rows))
        return (q[start : start + step] for start in range(0, len(q), step))

    def _scored(self, q: NDArray[np.float32]) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Each query with its scores, from matrix products."""
        scores = np.empty((len(q), self._rows), np.float32)  # (Q, N), cosines
        for block, lo, hi in _pieces(0, self._rows, _BLOCK):
            start = block * _BLOCK
            np.matmul(q, self._blocks[block][lo:hi].T, out=scores[:, start + lo : start + hi])
        return zip(q, scores, strict=True)

    def _scores(self, query: NDArray[np.float32]) -> NDArray[np.float32]:
        """One query's cosines (N,).

        What limits it is how fast one core reads memory, so a second core reads along.

        Both take the next piece from one counter: where the second core is busy, this thread does most of the work.
        """
        scores = np.empty(self._rows, np.float32)
        step = max(1, _PIECE // self.dimension)
        pieces = iter(range(0, self._rows, step))

        def work() -> None:
            for start in pieces:
                end = min(start + step, self._rows)
                for block, lo, hi in _pieces(start, end, _BLOCK):
                    at = block * _BLOCK
                    np.dot(self._blocks[block][lo:hi], query, out=scores[at + lo : at + hi])

        if self._second is None or self._rows * self.dimension < _SHARED_FROM:
            work()
            return scores
        helper = self._second.submit(work)
        work()
        if not helper.cancel():
            helper.result()
        return scores

    def _candidates(self, scores: NDArray[np.float32], k: int) -> NDArray[np.int64]:
        """Rows, in order, among which the k nearest people's nearest rows surely are."""
        for bound in itertools.chain(_lower_bounds(scores, k), (-np.inf,)):
            hits = np.flatnonzero(scores >= bound - self._margin)
            hits = hits[np.argsort(-scores[hits], kind="stable")]
            score = scores[hits]
            _, first, person = np.unique(self._owners[hits], return_index=True, return_inverse=True)
            best = score[first]  # each person's best score
            if np.count_nonzero(best >= bound) >= k:
                break
        enough = np.sort(best)[-k] if len(best) >= k else -np.inf
        return np.sort(hits[score >= np.maximum(enough, best[person]) - self._margin])

    def _ranked(
        self, query: NDArray[np.float32], scores: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Rank the candidates by ‖q - x‖ itself, in float64.

        √(2 - 2 q·x) would do for strangers, but cancellation leaves a float32 score of two near-identical vectors with
        an error of some 1e-7, and its root with one of 3e-4: as much as tells two near-twins apart.
        """
        rows = self._candidates(scores, k)
        parts = [rows[i : i + _BLOCK] for i in range(0, len(rows), _BLOCK)]
        differences = (self._gathered(part).astype(np.float64) - query for part in parts)
        distances = np.concatenate([np.zeros(0), *(np.sqrt(np.einsum("nd,nd->n", d, d)) for d in differences)])
        order = np.argsort(distances, kind="stable")  # the rows ascend, so ties go to the lowest
        owners = self._owners[rows[order]]
        firsts = np.sort(np.unique(owners, return_index=True)[1])[:k]
        return owners[firsts], distances[order[firsts]]

    def _gathered(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """A copy of these rows."""
        copy = np.empty((len(rows), self.dimension), np.float32)
        blocks = rows // _BLOCK
        for block in set(blocks.tolist()):
            here = blocks == block
            copy[here] = self._blocks[block][rows[here] % _BLOCK]
        return copy


def _lower_bounds(scores: NDArray[np.float32], k: int) -> Iterator[float]:
    """Ever lower bounds with at least k, 8 k, 64 k … scores above: a person's samples may take many places.

    The t-th largest of the groups' maxima is one, and far cheaper to find than the t-th largest score.
    """
    columns = len(scores) // _GROUP
    maxima = scores[: columns * _GROUP].reshape(_GROUP, columns).max(axis=0)
    t = k
    while t <= columns:
        yield float(np.partition(maxima, columns - t)[columns - t])
        t *= 8


def _pieces(first: int, last: int, size: int) -> Iterator[tuple[int, int, int]]:
    """Rows first to last as (block, from, to) within blocks of `size` rows."""
    for block in range(first // size, -(-last // size)):
        lo, hi = max(first - block * size, 0), min(last - block * size, size)
        if lo < hi:
            yield block, lo, hi


def _new_block(dimension: int, *, huge_pages: bool) -> NDArray[np.float32]:
    """Rows of zeros in private anonymous memory, of which nothing is taken before it is written to."""
    size = _BLOCK * dimension * 4
    if sys.platform == "win32":
        memory = mmap.mmap(-1, size)
    else:
        memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        if huge_pages and hasattr(mmap, "MADV_HUGEPAGE"):
            with contextlib.suppress(OSError):  # a kernel without them
                memory.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(memory, np.float32).reshape(_BLOCK, dimension)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
