"""Encodings of people compared with each other: every two of them, searches among K enrolled, and group by group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mien import metrics
from mien.errors import OptionError
from mien.metrics import Floats, Integers

Interval = tuple[float, float]
"""Both ends of a 95 % interval."""
RULE_OF_THREE, RULE_OF_THIRTY = 3, 30
"""Errors that a rate must rest on to be printed at all, and to be called firm (Doddington's rule of 30)."""
BINS = np.linspace(0, 2, 101)
"""Of the histograms of distances."""
Key = tuple[int, Literal["fpir", "fmr"], float]
_KEPT = 1 << 24
_ROWS = 512
_SPLITS = 20


@dataclass(frozen=True, eq=False)
class Comparisons:
    """Distances of genuine comparisons, and of impostor comparisons the nearest."""

    genuine: Floats
    """(M,); +inf where one of the photos has no encoding."""
    owner: Integers
    """(M,), whose they are."""
    impostor: Floats
    """(N,)."""
    left: Integers
    right: Integers
    """(N,), the people at both ends."""
    total: int
    """How many impostor comparisons were made; those not in `impostor` are farther than any of it."""
    samples: Integers | None
    """How many encodings each person has, where every two of different people were compared; else None."""
    people: int
    histograms: tuple[Integers, Integers]
    """How many genuine and impostor distances lie in each of `BINS`."""

    @property
    def part(self) -> float:
        """The part of the impostor comparisons that `impostor` holds."""
        return len(self.impostor) / self.total


@dataclass(frozen=True)
class OperatingPoint:
    """Both error rates at one threshold."""

    fmr: float
    """The false match rate asked for; the threshold is the largest that keeps to it."""
    fmr_interval: Interval
    threshold: float
    fnmr: float
    fnmr_interval: Interval
    rests_on: int
    """False matches behind the rate."""
    misses: int
    """False non-matches behind the FNMR."""

    @property
    def tar(self) -> float:
        """True accept rate: 1 - FNMR."""
        return 1 - self.fnmr

    @property
    def firm(self) -> bool:
        """Whether 30 errors or more are behind the FMR: then it is true to ±30 % at 90 % (rule of 30)."""
        return self.rests_on >= RULE_OF_THIRTY

    @property
    def supported(self) -> bool:
        """Whether three false matches or more are behind the FMR: with fewer it is a guess."""
        return self.rests_on >= RULE_OF_THREE


@dataclass(frozen=True)
class Identification:
    """Searches by enrolled people and by strangers among `people` enrolled from one photo each."""

    people: int
    kind: Literal["fpir", "fmr"]
    """`fpir` where each split's threshold keeps to that FPIR, `fmr` where one threshold stands for that FMR."""
    rate: float
    """The FPIR, or the FMR."""
    threshold: float
    fpir: float
    fpir_spread: Interval
    """The middle 95 % of the random splits. All are of the same people: others may lie outside."""
    fnir: float
    fnir_spread: Interval
    strangers: int
    """Searches by strangers in each split."""
    mated: int
    """Searches by enrolled people in each split."""


@dataclass(frozen=True)
class GroupRates:
    """Both error rates of comparisons within one group, at the threshold of everybody."""

    group: str
    people: int
    impostors: int
    genuine: int
    fmr: float | None
    """None where there was nothing to compare."""
    fmr_interval: Interval | None
    fnmr: float | None
    fnmr_interval: Interval | None
    false_matches: int
    misses: int


def compare_all(encodings: Sequence[Sequence[NDArray[np.float32] | None]], *, kept: int = _KEPT) -> Comparisons:
    """Every two photos compared, from the encodings of every person's photos; None is a photo without one.

    Of more than `kept` impostor comparisons the nearest `kept` stay in memory.
    """
    genuine, owner = [], []
    for person, own in enumerate(encodings):
        for i in range(len(own)):
            for j in range(i):
                genuine.append(_distance(own[i], own[j]))
                owner.append(person)
    samples = np.array([sum(e is not None for e in own) for own in encodings], np.int64)
    impostor, left, right, histogram = _impostors(encodings, samples, kept)
    d = np.array(genuine, np.float64)
    return Comparisons(
        genuine=d,
        owner=np.array(owner, np.int64),
        impostor=impostor,
        left=left,
        right=right,
        total=int((samples.sum() ** 2 - (samples**2).sum()) // 2),
        samples=samples,
        people=len(encodings),
        histograms=(np.histogram(d[np.isfinite(d)], BINS)[0], histogram),
    )


def operating_points(
    compared: Comparisons, levels: Sequence[float], *, rounds: int = 1000, seed: int = 0
) -> tuple[OperatingPoint, ...]:
    """FNMR at each FMR of `levels`, which fall, with intervals at the same threshold by a bootstrap over identities.

    An interval of no errors ends at the rule of three: 3 / impostor comparisons for the FMR, 3 / people with a
    genuine comparison for the FNMR.
    """
    pairs = [metrics.fnmr_at_fmr(compared.genuine, compared.impostor, min(1, x / compared.part)) for x in levels]
    # Where failed photos alone exceed the FMR there is no threshold: nothing matches.
    taus = np.array([tau for _, tau in pairs if np.isfinite(tau)])[::-1]
    fmr, fnmr = _resampled(compared, taus, rounds, seed) if len(taus) else ([], [])
    points = []
    for i, (level, (miss, tau)) in enumerate(zip(levels, pairs, strict=True)):
        k = len(taus) - 1 - i
        matches = int(np.count_nonzero(compared.impostor < tau))
        found = np.isfinite(tau)
        points.append(
            OperatingPoint(
                fmr=level,
                fmr_interval=_at_least_three(matches, fmr[k] if found else (0, 0), compared.total),
                threshold=tau,
                fnmr=miss,
                fnmr_interval=_at_least_three(miss, fnmr[k] if found else (1, 1), len(np.unique(compared.owner))),
                rests_on=matches,
                misses=int(np.count_nonzero(~(compared.genuine < tau))),
            )
        )
    return tuple(points)


def supported_levels(impostors: int, *, highest: float = 0.1) -> tuple[float, ...]:
    """The powers of ten from `highest` down to the last that rests on three expected errors."""
    levels, exponent = [], round(np.log10(highest))
    while impostors * 10.0**exponent >= RULE_OF_THREE:
        levels.append(10.0**exponent)
        exponent -= 1
    return tuple(levels)


def search(
    encodings: Sequence[Sequence[NDArray[np.float32] | None]],
    *,
    fixed: Mapping[float, float],
    levels: Sequence[float] = (0.1, 0.01),
    splits: int = _SPLITS,
    seed: int = 0,
) -> tuple[Identification, ...]:
    """Open-set identification over K, averaged over random splits.

    In every split half of the people are enrolled, each with one random photo; another photo of each of them is
    searched, and one photo of each stranger. For K below the half the enrolled are dealt into as many galleries of K
    as there are, and everybody searches in each. A photo without an encoding is a search, or an enrolment, that finds
    nobody; a stranger's is left out.

    `fixed` holds thresholds by the FMR they stand for; `levels` are FPIRs, of which those are used that rest on three
    people or more, since everybody is a stranger in some of the splits.
    """
    half = len(encodings) // 2
    sizes = [k for k in (10, 100, 500, 1000, 5000) if k < half] + [half]
    levels = [level for level in levels if level * len(encodings) >= RULE_OF_THREE]
    cells: dict[Key, list[tuple[float, float, float]]] = {}
    searches = []
    random = np.random.default_rng(seed)
    for _ in range(splits):
        mated, strange = _split(encodings, half, random)
        searches.append((np.count_nonzero(~np.isnan(mated[:, 0])), len(strange)))
        for k in sizes:
            best, right, others = _nearest(mated, strange, k)
            if not len(best) or not len(others):
                continue
            own = np.where(right, best, np.inf)
            for level in levels:
                fnir, tau = metrics.fnmr_at_fmr(own, others, level)
                cells.setdefault((k, "fpir", level), []).append((tau, float(np.mean(others < tau)), fnir))
            for fmr, tau in fixed.items():
                rates = metrics.fpir_fnir(best, right, non_mated=others, thresholds=[tau])
                cells.setdefault((k, "fmr", fmr), []).append((tau, float(rates.fpir[0]), float(rates.fnir[0])))
    fewest = int(min(m for m, _ in searches)), int(min(s for _, s in searches))
    return tuple(_averaged(key, np.array(rows), fewest) for key, rows in cells.items())


def rates_by_group(
    compared: Comparisons, groups: Sequence[str | None], tau: float, *, rounds: int = 1000, seed: int = 0
) -> tuple[GroupRates, ...]:
    """FMR and FNMR within each group at one threshold; `groups` holds each person's, or None."""
    if compared.samples is None:
        raise OptionError("Expected every two photos compared, to tell groups apart; give what compare_all made.")
    rates = []
    for group in sorted({g for g in groups if g is not None}):
        members = np.array([g == group for g in groups])
        number = np.cumsum(members) - 1
        own = members[compared.owner]
        inside = members[compared.left] & members[compared.right] & (compared.impostor < tau)
        n = compared.samples[members]
        total = int((n.sum() ** 2 - (n**2).sum()) // 2)
        matches = int(np.count_nonzero(inside))
        fmr_interval = fnmr_interval = None
        if total and len(n) > 2:  # two people drawn again are the same pair, or no pair
            low, high = metrics.bootstrap_fmr(
                compared.impostor[inside],
                number[compared.left[inside]],
                number[compared.right[inside]],
                [tau],
                identities=len(n),
                samples=n,
                rounds=rounds,
                seed=seed,
            )
            fmr_interval = _at_least_three(matches, (low[0], high[0]), total)
        misses = int(np.count_nonzero(~(compared.genuine[own] < tau)))
        if own.any() and len(n) > 1:
            low, high = metrics.bootstrap_fnmr(
                compared.genuine[own], number[compared.owner[own]], [tau], identities=len(n), rounds=rounds, seed=seed
            )
            fnmr_interval = _at_least_three(misses, (low[0], high[0]), len(np.unique(compared.owner[own])))
        rates.append(
            GroupRates(
                group=group,
                people=len(n),
                impostors=total,
                genuine=int(own.sum()),
                fmr=matches / total if total else None,
                fmr_interval=fmr_interval,
                fnmr=misses / int(own.sum()) if own.any() else None,
                fnmr_interval=fnmr_interval,
                false_matches=matches,
                misses=misses,
            )
        )
    return tuple(rates)


def intervals_at(compared: Comparisons, tau: float, *, rounds: int = 1000, seed: int = 0) -> tuple[Interval, Interval]:
    """Intervals of FMR and FNMR at one threshold; without an error they end at the rule of three."""
    (fmr,), (fnmr,) = _resampled(compared, np.array([tau]), rounds, seed)
    matches = int(np.count_nonzero(compared.impostor < tau))
    misses = int(np.count_nonzero(~(compared.genuine < tau)))
    return (
        _at_least_three(matches, fmr, compared.total),
        _at_least_three(misses, fnmr, len(np.unique(compared.owner))),
    )


def _resampled(compared: Comparisons, taus: Floats, rounds: int, seed: int) -> tuple[list[Interval], list[Interval]]:
    """Intervals of FMR and FNMR at each ascending threshold, by a bootstrap over identities."""
    # Where all were compared, those beyond the last threshold need not be looked at.
    near = np.full(len(compared.impostor), True) if compared.samples is None else compared.impostor < taus[-1]
    fmr = metrics.bootstrap_fmr(
        compared.impostor[near],
        compared.left[near],
        compared.right[near],
        taus,
        identities=compared.people,
        samples=compared.samples,
        rounds=rounds,
        seed=seed,
    )
    fnmr = metrics.bootstrap_fnmr(
        compared.genuine, compared.owner, taus, identities=compared.people, rounds=rounds, seed=seed
    )
    return list(zip(*fmr, strict=True)), list(zip(*fnmr, strict=True))


def _impostors(
    encodings: Sequence[Sequence[NDArray[np.float32] | None]], samples: Integers, kept: int
) -> tuple[Floats, Integers, Integers, Integers]:
    """The nearest impostor distances, the people at both ends, and the histogram of all."""
    X = np.stack([e for own in encodings for e in own if e is not None])
    person = np.repeat(np.arange(len(samples)), samples)
    ends = np.cumsum(samples)
    cutoff, held = np.inf, 0
    parts: list[tuple[NDArray[np.float32], Integers, Integers]] = []
    histogram = np.zeros(len(BINS) - 1, np.int64)
    for start in range(0, len(X), _ROWS):
        rows = np.arange(start, min(start + _ROWS, len(X)))
        d = np.sqrt(np.maximum(2 - 2 * (X[rows] @ X[start:].T), 0))
        # What stands behind a row's person in the order of people: every two people meet once.
        behind = np.arange(start, len(X))[None] >= ends[person[rows]][:, None]
        histogram += np.histogram(d[behind], BINS)[0]
        i, j = np.nonzero(behind & (d < cutoff))
        parts.append((d[i, j], person[rows[i]], person[start + j]))
        held += len(i)
        if held > 2 * kept:
            parts = [_nearest_of(parts, kept)]
            cutoff, held = float(parts[0][0].max()), kept
    d, left, right = _nearest_of(parts, kept)
    return d.astype(np.float64), left, right, histogram


def _nearest_of(
    parts: Sequence[tuple[NDArray[np.float32], Integers, Integers]], kept: int
) -> tuple[NDArray[np.float32], Integers, Integers]:
    d, left, right = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    if len(d) <= kept:
        return d, left, right
    nearest = np.argpartition(d, kept - 1)[:kept]
    return d[nearest], left[nearest], right[nearest]


def _distance(a: NDArray[np.float32] | None, b: NDArray[np.float32] | None) -> float:
    return np.inf if a is None or b is None else float(np.linalg.norm(a.astype(np.float64) - b))


def _split(
    encodings: Sequence[Sequence[NDArray[np.float32] | None]], half: int, random: np.random.Generator
) -> tuple[Floats, Floats]:
    """Distances to the enrolled: of their other photos (half, half), NaN in the row of who has no other; of strangers.

    Column and row i of the first belong to one person. +inf where a photo has no encoding.
    """
    order = random.permutation(len(encodings))
    drawn = [random.permutation(len(encodings[p])) for p in order]
    first = [encodings[p][photos[0]] for p, photos in zip(order, drawn, strict=True)]
    gallery = _stacked(first[:half])
    strangers = _stacked([e for e in first[half:] if e is not None])
    second = [encodings[p][photos[1]] if len(photos) > 1 else None for p, photos in zip(order, drawn, strict=True)]
    mated = _distances(_stacked(second[:half]), gallery)
    mated[[len(photos) < 2 for photos in drawn[:half]]] = np.nan
    return mated, _distances(strangers, gallery)


def _stacked(rows: Sequence[NDArray[np.float32] | None]) -> NDArray[np.float32]:
    """The rows, (N, D); NaN for None."""
    length = next((len(row) for row in rows if row is not None), 0)
    empty = np.full(length, np.nan, np.float32)
    return np.stack([empty if row is None else row for row in rows]) if rows else np.empty((0, 0), np.float32)


def _distances(probes: NDArray[np.float32], gallery: NDArray[np.float32]) -> Floats:
    if not probes.size or not gallery.size:
        return np.full((len(probes), len(gallery)), np.inf)
    squares = 2 - 2 * (probes @ gallery.T).astype(np.float64)
    return np.where(np.isnan(squares), np.inf, np.sqrt(np.maximum(squares, 0)))


def _nearest(mated: Floats, strange: Floats, k: int) -> tuple[Floats, NDArray[np.bool_], Floats]:
    """The nearest distance of every search in galleries of k of the enrolled.

    Of searches by enrolled people, each in their own gallery, with whether it is theirs; then of strangers, in each.
    """
    galleries = mated.shape[1] // k
    best, right = [], []
    for start in range(0, galleries * k, k):
        block = mated[start : start + k, start : start + k]
        searched = ~np.isnan(block[:, 0])
        best.append(block.min(axis=1)[searched])
        right.append((block.argmin(axis=1) == np.arange(k))[searched])
    others = strange[:, : galleries * k].reshape(len(strange), galleries, k).min(axis=2).ravel()
    return np.concatenate(best), np.concatenate(right), others


def _averaged(key: Key, rows: Floats, searches: tuple[int, int]) -> Identification:
    """Means over the splits; `searches` are those by enrolled people and by strangers in the smallest of them."""
    people, kind, rate = key
    finite = rows[np.isfinite(rows[:, 0]), 0]
    low, high = metrics.percentile_interval(rows[:, 1:])
    fpir, fnir = rows[:, 1:].mean(axis=0)
    return Identification(
        people=people,
        kind=kind,
        rate=rate,
        threshold=float(finite.mean()) if len(finite) else np.inf,
        fpir=float(fpir),
        fpir_spread=(float(low[0]), float(high[0])),
        fnir=float(fnir),
        fnir_spread=(float(low[1]), float(high[1])),
        strangers=searches[1],
        mated=searches[0],
    )


def _at_least_three(errors: float, interval: Interval, trials: int) -> Interval:
    """The bootstrap's interval; without an error it says nothing, and the rule of three stands in."""
    return (float(interval[0]), float(interval[1])) if errors else (0.0, metrics.rule_of_three(trials))
