"""Measure where to put the threshold τ: compare everybody with everybody, and say how far the numbers reach."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien import metrics
from mien.errors import CalibrationError, OptionError
from mien.faces.calibration import Calibration, Table
from mien.faces.records import Encodings

FEWEST_PEOPLE = 50
"""With fewer than 1,225 pairs of people not even a false match rate of 1 in 400 could be bounded."""
FEWEST_GENUINE = 20
"""People with two photos or more that the false non-match rate needs."""
MOST_PHOTOS = 20_000
"""200 million comparisons; more would take minutes and gigabytes."""
FIRM = 30
"""A rate is measured where so many pairs of people were mistaken: 30 errors give it ±30 % (the rule of 30)."""
REACH = 1 / 100
"""The pessimistic bound is stated down to this part of what no error at all would show about as many pairs of people
(the rule of 3): two decades of extrapolation, over which the tail was found straight."""
LOOSEST_FMR = 0.1
"""Where the grid ends."""
STEP = 0.005
"""Between the thresholds of the grid."""
_TAIL = (200, 5000)
"""How many of the smallest impostor distances the tail is fitted to, at least and at most; a thousandth of all."""
_STRANGERS = 1000
_WIDER = np.sqrt(2)
"""Another group of as many people varies as much again as this one."""

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class _Comparisons:
    """All comparisons of N photos: the near impostor ones, and the genuine ones."""

    near: Floats
    left: Integers
    right: Integers
    genuine: Floats
    """+inf where one of the photos has no encoding."""
    owner: Integers
    samples: Integers
    """Encodings per person (P,); people without any have higher numbers in `owner`."""

    @property
    def impostors(self) -> int:
        """How many impostor comparisons there were, near or not."""
        return int((self.samples.sum() ** 2 - (self.samples**2).sum()) // 2)


def calibrate(
    encodings: Encodings,
    identities: Sequence[str],
    *,
    encoder: str,
    source: str,
    notes: Sequence[str] = (),
    missed: Mapping[str, int] | None = None,
    seed: int = 0,
    rounds: int = 1000,
    progress: Progress | None = None,
) -> Calibration:
    """Measure the error rates of an encoder from all comparisons of some people's photos.

    A photo in which no face was found is a visit at which nobody is recognised: each of its comparisons with the same
    person's other photos counts as a false non-match. With other people it is not compared.

    Args:
        encodings: (N, D) of unit length, one a photo; no quality gate should have chosen the photos.
        identities: whose photo each is (N,). One person under two names would look like a terrible mistake of the
            encoder: look at `nearest_strangers` first, and note what was corrected.
        encoder: its name.
        source: what the photos are, in words.
        notes: what a reader must know about them.
        missed: how many photos without an encoding there are of each person, some of whom may have no other photo.
        seed: of the bootstrap over identities.
        rounds: of the bootstrap.
        progress: is told how many photos of how many were compared.

    Raises:
        OptionError: the arrays do not fit together, or are not unit encodings.
        CalibrationError: there are too few people, or too many photos.
    """
    X, who, names = _checked(encodings, identities)
    lost = _lost(missed or {}, names)
    samples = _photos_each(who, sum(lost.values()))
    grid = _grid(X, who, seed)
    found = _with_misses(_compare(X, who, samples, grid[-1], progress), lost)
    fmr, low, high, first, begin = _false_matches(found, grid, seed, rounds)
    miss, miss_low, miss_high = _false_non_matches(found, grid, seed, rounds)
    spread = _spread(X, who, grid, first)
    kept = slice(begin, None)
    table = Table(
        thresholds=_rounded(grid[kept], 6),
        measured_from=first - begin,
        false_matches=tuple(np.searchsorted(np.sort(found.near), grid[kept]).tolist()),
        fmr=_rounded(fmr[kept]),
        fmr_low=_rounded(low[kept]),
        fmr_high=_rounded(high[kept]),
        spread=_rounded(spread[kept], 3),
        fnmr=_rounded(miss[kept]),
        fnmr_low=_rounded(miss_low[kept]),
        fnmr_high=_rounded(miss_high[kept]),
    )
    return Calibration(
        encoder=encoder,
        source=source,
        notes=tuple(notes),
        people=len(samples),
        photos=len(X) + sum(lost.values()),
        impostor_comparisons=found.impostors,
        genuine_people=len(np.unique(found.owner)),
        genuine_comparisons=len(found.genuine),
        seed=seed,
        table=table,
    )


def _photos_each(who: Integers, lost: int) -> Integers:
    """How many encodings there are of each person; CalibrationError if too few to measure anything, or too many."""
    samples = np.bincount(who)
    several = int((samples > 1).sum())
    if len(samples) < FEWEST_PEOPLE or several < FEWEST_GENUINE:
        raise CalibrationError(
            f"Expected photos of at least {FEWEST_PEOPLE} people, two or more of at least {FEWEST_GENUINE} of them; "
            f"got {len(samples)} people, {several} of them with two photos or more. Fewer cannot show how often "
            "strangers are mistaken: add people, or use the calibration that is shipped."
        )
    if len(who) + lost > MOST_PHOTOS:
        raise CalibrationError(
            f"Expected at most {MOST_PHOTOS:,} photos; got {len(who) + lost:,}. Take a part of the people, drawn at "
            "random."
        )
    return samples


def nearest_strangers(encodings: Encodings, identities: Sequence[str], count: int = 20) -> list[tuple[int, int, float]]:
    """The photos of different people that are most alike: their two row numbers and the distance, nearest first.

    Somebody should look at them before a calibration: the same face twice is a wrong label, not a false match.
    """
    X, who, _ = _checked(encodings, identities)
    best: list[tuple[int, int, float]] = []
    for start, d in _blocks(X):
        i, j = np.nonzero(who[start : start + len(d), None] != who[None, :])
        i, j = i[i + start < j], j[i + start < j]
        nearest = np.argsort(d[i, j], kind="stable")[:count]
        best += [(int(a) + start, int(b), float(d[a, b])) for a, b in zip(i[nearest], j[nearest], strict=True)]
        best = sorted(best, key=lambda found: found[2])[:count]
    return best


# ---- comparisons -----------------------------------------------------------------------------------------------------


def _checked(encodings: Encodings, identities: Sequence[str]) -> tuple[NDArray[np.float32], Integers, list[str]]:
    """The encodings, the number of each one's person, and the people's names by their numbers."""
    X = np.asarray(encodings, dtype=np.float32)
    if X.ndim != 2 or len(X) != len(identities) or not len(X):
        raise OptionError(f"Expected encodings (N, D) and N identities; got {X.shape} and {len(identities)}.")
    with np.errstate(invalid="ignore"):
        wrong = np.count_nonzero(~(np.abs(np.linalg.norm(X, axis=1) - 1) < 1e-3))
    if wrong:
        raise OptionError(
            f"Expected encodings of length 1; {wrong} of {len(X)} are not. Count photos in which no face was found as "
            "missed instead."
        )
    names, who = np.unique(np.asarray(identities, dtype=object).astype(str), return_inverse=True)
    return np.ascontiguousarray(X), who.astype(np.int64), names.tolist()


def _lost(missed: Mapping[str, int], names: Sequence[str]) -> dict[int, int]:
    """How many photos without an encoding there are, by the person's number; those without any encoding come last."""
    if any(count < 0 for count in missed.values()):
        raise OptionError("Expected how many photos of each person have no encoding; got a number below 0.")
    numbers = {name: number for number, name in enumerate(names)}
    return {numbers.setdefault(name, len(numbers)): count for name, count in sorted(missed.items()) if count}


def _blocks(X: NDArray[np.float32], size: int = 512) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Distances (up to size, N) of some rows to all, and the number of the first of these rows."""
    for start in range(0, len(X), size):
        yield start, np.sqrt(np.maximum(2 - 2 * (X[start : start + size] @ X.T), 0))


def _grid(X: NDArray[np.float32], who: Integers, seed: int) -> Floats:
    """Thresholds up to an FMR of `LOOSEST_FMR`, as a sample of the impostor comparisons has it."""
    rng = np.random.default_rng(seed)
    i, j = rng.integers(0, len(X), (2, 200_000))
    i, j = i[who[i] != who[j]], j[who[i] != who[j]]
    d = np.linalg.norm(X[i] - X[j], axis=1)
    rows = int(np.ceil(np.quantile(d, LOOSEST_FMR) / STEP))
    return np.arange(1, rows + 1, dtype=np.float64) * STEP


def _compare(
    X: NDArray[np.float32], who: Integers, samples: Integers, last: float, progress: Progress | None
) -> _Comparisons:
    near, genuine = [], []
    for start, d in _blocks(X):
        rows = np.arange(start, start + len(d))
        later = rows[:, None] < np.arange(len(X))[None, :]
        same = who[rows][:, None] == who[None, :]
        i, j = np.nonzero(later & ~same & (d < last))
        near.append((d[i, j], who[rows[i]], who[j]))
        i, j = np.nonzero(later & same)
        genuine.append((d[i, j], who[j]))
        if progress:
            progress(start + len(d), len(X))
    d, left, right = map(np.concatenate, zip(*near, strict=True))
    own, owner = map(np.concatenate, zip(*genuine, strict=True))
    return _Comparisons(d.astype(np.float64), left, right, own.astype(np.float64), owner, samples)


def _with_misses(found: _Comparisons, lost: Mapping[int, int]) -> _Comparisons:
    """With the genuine comparisons of photos that have no encoding: they match at no threshold."""
    owners = []
    for person, count in lost.items():
        encodings = int(found.samples[person]) if person < len(found.samples) else 0
        owners.append(np.full(encodings * count + count * (count - 1) // 2, person, np.int64))
    owner = np.concatenate([found.owner, *owners])
    genuine = np.append(found.genuine, np.full(len(owner) - len(found.owner), np.inf))
    return replace(found, genuine=genuine, owner=owner)


# ---- rates -----------------------------------------------------------------------------------------------------------


def _false_matches(
    found: _Comparisons, grid: Floats, seed: int, rounds: int
) -> tuple[Floats, Floats, Floats, int, int]:
    """FMR with its interval over the grid, the first row that is measured, and the first that is stated at all."""
    P = len(found.samples)
    order = np.argsort(found.near)
    d, left, right = found.near[order], found.left[order], found.right[order]
    count = np.searchsorted(d, grid)
    fmr = count / found.impostors
    drawn = metrics.resampled_fmr(d, left, right, grid, identities=P, samples=found.samples, rounds=rounds, seed=seed)
    low, high = _widened(fmr, *metrics.percentile_interval(drawn))
    _, once = np.unique(np.minimum(left, right) * P + np.maximum(left, right), return_index=True)
    pairs = np.searchsorted(np.sort(d[once]), grid)  # the nearest two photos of every two people
    if pairs[-1] < FIRM:
        raise CalibrationError(
            f"Expected at least {FIRM} pairs of people who look somewhat alike; got {pairs[-1]}. Add people."
        )
    first = int(np.argmax(pairs >= FIRM))
    low[:first] = 0
    high[first:] = np.maximum.accumulate(high[first:])
    most = min(max(_TAIL[0], found.impostors // 1000), _TAIL[1], len(d) - 1)
    end = max(int(np.searchsorted(count, most, side="right")) - 1, first)
    inside = slice(0, max(count[end], 2))
    ends = np.append(fmr[end], drawn[:, end])
    weights = metrics.draw_identities(P, rounds, seed)
    bound = tail_bound(d[inside], left[inside], right[inside], weights, grid[:first], end=float(grid[end]), rates=ends)
    for k in np.flatnonzero(fmr[:first] > bound):  # a model does not overrule what was seen
        bound[k] = metrics.wilson(int(count[k]), found.impostors)[1]
    high[:first] = np.minimum(np.maximum.accumulate(bound), high[first])
    reach = REACH * metrics.rule_of_three(P * (P - 1) // 2)
    return fmr, low, high, first, int(np.argmax(high >= reach))


def tail_bound(
    distances: ArrayLike,
    left: ArrayLike,
    right: ArrayLike,
    weights: Floats,
    thresholds: Floats,
    *,
    end: float,
    rates: Floats,
) -> Floats:
    """Upper bound of the FMR at each threshold (T,) from the smallest impostor distances: the 97.5 % point of a model.

    Below `end` the distances are taken to thin out as a generalised Pareto distribution does (Pickands 1975), fitted
    by probability-weighted moments (Hosking and Wallis 1987) in every draw of the bootstrap over identities; the
    bound is widened for another group of people. A tail that stops, with a shape below 0, is replaced by an
    exponential one: no sample shows that nobody at all looks more alike than those in it. Where the sample itself
    has such a shape, a heavier tail is not read into single draws either.

    Args:
        distances: impostor distances below `end` (M,).
        left: one person of each (M,).
        right: the other (M,).
        weights: how often each person is drawn (rounds, P).
        thresholds: ascending (T,), the last at most `end`.
        end: where the tail begins.
        rates: FMR at `end`, of the sample and then in every draw (1 + rounds,).
    """
    d = np.asarray(distances, dtype=np.float64)
    order = np.argsort(-d)  # by how far below the end they lie
    y = end - d[order]
    columns = np.ascontiguousarray(weights.T)
    each = np.column_stack([np.ones(len(y)), columns[np.asarray(left)[order]] * columns[np.asarray(right)[order]]])
    kept = each.sum(0) > 0
    each = each[:, kept] / each[:, kept].sum(0)
    a0 = y @ each
    a1 = y @ (each * (1 - (np.cumsum(each, axis=0) - each / 2)))  # weighted by the part that lies farther below
    shape = np.maximum(2 - a0 / np.maximum(a0 - 2 * a1, 1e-12), 0)
    if shape[0] == 0:
        shape = np.zeros_like(shape)
    scale = np.maximum(a0 * (1 - shape), 1e-12)
    z = np.maximum(end - thresholds, 0)[:, None] / scale
    survival = np.where(shape > 1e-9, (1 + shape * z) ** (-1 / np.maximum(shape, 1e-9)), np.exp(-z))
    modelled = rates[kept] * survival
    high = np.quantile(modelled[:, 1:], 0.975, axis=1)
    _, bound = _widened(modelled[:, 0], modelled[:, 0], high)
    return np.maximum.accumulate(bound)


def _false_non_matches(found: _Comparisons, grid: Floats, seed: int, rounds: int) -> tuple[Floats, Floats, Floats]:
    """FNMR with its interval over the grid; every person counts the same, however many photos there are."""
    owners, owner = np.unique(found.owner, return_inverse=True)
    each = 1 / np.bincount(owner)[owner]
    low, high = metrics.bootstrap_fnmr(
        found.genuine, owner, grid, identities=len(owners), weights=each, rounds=rounds, seed=seed
    )
    order = np.argsort(found.genuine)
    below = np.append(0, np.cumsum(each[order]))[np.searchsorted(found.genuine[order], grid)]
    fnmr = np.maximum(1 - below / len(owners), 0)
    low, high = _widened(fnmr, low, high)
    # Nobody missed at all, of so many people: the rule of three says how little that shows.
    return fnmr, low, np.maximum(high, np.minimum(metrics.rule_of_three(len(owners)), 1))


def _spread(X: NDArray[np.float32], who: Integers, grid: Floats, first: int) -> Floats:
    """Squared coefficient of variation of strangers' own false match rates, over the grid from row `first` on.

    One photo of every person comes as a stranger. E[p²] is estimated from two comparisons with two *different*
    people, so that neither chance nor one person's many photos look like a stranger whom everybody resembles.
    """
    _, one = np.unique(who, return_index=True)
    one = one[:: max(1, -(-len(one) // _STRANGERS))]
    d = np.sqrt(np.maximum(2 - 2 * (X[one] @ X.T), 0))
    row = np.where(who[one][:, None] != who[None, :], np.searchsorted(grid, d, side="right"), len(grid))
    people = np.bincount(who).astype(np.float64)
    N = len(X) - people[who[one]]
    possible = (N**2 - ((people**2).sum() - people[who[one]] ** 2)).sum()
    matches = np.zeros((len(one), len(people)), np.float32)
    spread = np.zeros(len(grid))
    order = np.argsort(row, axis=None, kind="stable")
    ends = np.searchsorted(row.ravel()[order], np.arange(len(grid) + 1))
    for k in range(len(grid)):
        s, photo = np.unravel_index(order[ends[k] : ends[k + 1]], row.shape)
        np.add.at(matches, (s, who[photo]), 1)
        if k >= first:
            total = matches.sum(1, dtype=np.float64)
            rate = total.sum() / N.sum()
            both = (total**2).sum() - float(np.square(matches).sum(dtype=np.float64))
            spread[k] = max(both / possible / rate**2 - 1, 0) if rate else 0
    spread[:first] = spread[first]
    return spread


def _widened(rate: Floats, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """The interval √2 times as wide on a logarithmic scale, at most 1; where the rate is 0 it stays."""
    some = np.where(rate > 0, rate, 1)
    wide_low, wide_high = (some * (end / some) ** _WIDER for end in (np.minimum(low, rate), np.maximum(high, rate)))
    return np.where(rate > 0, wide_low, low), np.minimum(np.where(rate > 0, wide_high, high), 1)


def _rounded(values: Floats, digits: int = 4) -> tuple[float, ...]:
    """To so many digits: a file that can be read, and no false precision."""
    return tuple(float(f"{value:.{digits}g}") for value in values)
