"""How good encodings and classifiers are on people, alphabets and patients that were not learnt from.

Encodings are (N, D), unit rows where they come from an encoder; distances are plain L2, as everywhere in mien.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien import metrics
from mien.errors import DataError, OptionError
from mien.training.data import Indices

Floats = NDArray[np.float64]
Interval = tuple[float, float]

# A bootstrap over more comparisons than this takes minutes and moves the interval little.
_BOOTSTRAPPED = 200_000


@dataclass(frozen=True)
class Operating:
    """What a threshold gives."""

    fmr: float
    """The false match rate asked for."""
    tar: float
    """True accept rate: the part of the genuine pairs that match there."""
    threshold: float


@dataclass(frozen=True, eq=False)
class Verification:
    """Every pair of examples of people who were not learnt from."""

    people: int
    genuine: int
    """Pairs of one person."""
    impostor: int
    """Pairs of two people."""
    eer: float
    threshold: float
    """Where both error rates are equal."""
    interval: Interval
    """95 % of the EER, by a bootstrap over people."""
    operating: tuple[Operating, ...]
    recall: float
    """Recall@1: how often the nearest other example is the same person's."""
    curve: metrics.Roc

    @property
    def sentences(self) -> tuple[str, ...]:
        """For the report."""
        low, high = self.interval
        return (
            f"{self.people} unseen people, {self.genuine:,} pairs of one person, {self.impostor:,} of two: EER "
            f"{self.eer:.1%} (95 % over people: {low:.1%} to {high:.1%}) at a distance of {self.threshold:.3f}.",
            *(f"At an FMR of {at.fmr:.1%} the TAR is {at.tar:.1%}." for at in self.operating),
            f"Recall@1 is {self.recall:.1%}.",
        )


@dataclass(frozen=True, eq=False)
class OneShotTrials:
    """Which examples are shown once and which are asked about; the same trials judge every encoder."""

    support: Indices
    """(R, W): in each run one example of each of W classes."""
    query: Indices
    """(R, Q)"""
    answer: Indices
    """(R, Q): the column of `support` that is right."""
    protocol: str
    """What was drawn, in words."""


@dataclass(frozen=True)
class OneShot:
    """N-way one-shot accuracy."""

    accuracy: float
    interval: Interval
    """Wilson, 95 %; queries of one run share their support, so it is a little too narrow."""
    queries: int
    ways: int
    protocol: str

    @property
    def sentences(self) -> tuple[str, ...]:
        """For the report."""
        low, high = self.interval
        return (f"{self.protocol}: {self.accuracy:.1%} of {self.queries} (95 %: {low:.1%} to {high:.1%}).",)


@dataclass(frozen=True, eq=False)
class Classification:
    """What a classifier got right, class by class."""

    classes: tuple[str, ...]
    confusion: NDArray[np.int64]
    """(K, K): rows are true, columns predicted."""
    sensitivity: Floats
    """(K,); NaN for a class without a case."""
    precision: Floats
    """(K,); NaN for a class that was never said."""
    f1: Floats
    """(K,); NaN for a class that nobody has and nobody says."""
    macro_f1: float
    averaged: tuple[str, ...]
    """The classes that `macro_f1` goes over."""
    accuracy: float
    trivial: float
    """The accuracy of always saying the commonest class."""

    @property
    def sentences(self) -> tuple[str, ...]:
        """For the report."""
        rows = zip(self.classes, self.sensitivity, self.precision, self.confusion.sum(1), strict=True)
        return (
            f"Macro-F1 over {', '.join(self.averaged)}: {self.macro_f1:.3f}; accuracy {self.accuracy:.1%} (always the "
            f"commonest class: {self.trivial:.1%}).",
            *(
                f"{name}: sensitivity {_percent(found)}, precision {_percent(right)}, {cases:,} cases."
                for name, found, right, cases in rows
            ),
        )


def verify(
    encodings: NDArray[Any],
    people: Sequence[str] | NDArray[Any],
    *,
    fmrs: Sequence[float] = (0.01, 0.001),
    rounds: int = 300,
    seed: int = 0,
) -> Verification:
    """All pairs of encodings (N, D) of `people` (N,): ROC, EER with its interval, TAR at each FMR, recall@1.

    Raises DataError where there are fewer than two people, or nobody has two examples.
    """
    names, owner = np.unique(np.asarray(people), return_inverse=True)
    if len(names) < 2 or len(names) == len(owner):
        raise DataError(
            f"Expected at least two people and two examples of one of them to verify on, but got {len(owner)} examples "
            f"of {len(names)}; hold back more."
        )
    distances = pair_distances(encodings, encodings)
    left, right = np.triu_indices(len(owner), k=1)
    apart, same = distances[left, right], owner[left] == owner[right]
    eer, threshold = metrics.eer(apart[same], apart[~same])
    operating = []
    for fmr in fmrs:
        fnmr, at = metrics.fnmr_at_fmr(apart[same], apart[~same], fmr)
        operating.append(Operating(fmr, 1 - fnmr, at))
    away = distances.copy()
    np.fill_diagonal(away, np.inf)
    return Verification(
        len(names),
        int(same.sum()),
        int((~same).sum()),
        eer,
        threshold,
        _eer_interval(apart, same, owner[left], owner[right], len(names), rounds, seed),
        tuple(operating),
        metrics.recall_at_k(away, owner, owner, 1),
        metrics.roc(apart[same], apart[~same]),
    )


def pair_distances(one: NDArray[Any], other: NDArray[Any]) -> Floats:
    """L2 distances (N, M) between the rows of (N, D) and (M, D), in float64.

    The product form loses half the digits of small distances; in float64 about eight are left.
    """
    a, b = np.asarray(one, np.float64), np.asarray(other, np.float64)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise OptionError(f"Expected encodings (N, D) and (M, D), but got {a.shape} and {b.shape}.")
    squared = np.square(a).sum(1)[:, None] + np.square(b).sum(1)[None] - 2 * (a @ b.T)
    distances: Floats = np.sqrt(np.maximum(squared, 0))
    return distances


def recall(encodings: NDArray[Any], labels: Sequence[Any] | NDArray[Any], *, k: int = 1) -> float:
    """The part of encodings (N, D) that have one of their label among their k nearest others."""
    distances = pair_distances(encodings, encodings)
    np.fill_diagonal(distances, np.inf)
    return metrics.recall_at_k(distances, labels, labels, k)


def within_alphabet(
    characters: Sequence[str] | NDArray[Any],
    alphabets: Sequence[str] | NDArray[Any],
    drawers: Sequence[str] | NDArray[Any],
    *,
    ways: int = 20,
    runs: int = 20,
    seed: int = 0,
) -> OneShotTrials:
    """Lake et al. 2015: each run takes `ways` characters of one alphabet; one drawer shows them, another one asks.

    Alphabets take turns. Raises DataError for an alphabet in which no two drawers drew `ways` common characters.
    """
    character, alphabet, drawer = (np.asarray(a, dtype=np.str_) for a in (characters, alphabets, drawers))
    random = np.random.default_rng(seed)
    support, query = [], []
    names = np.unique(alphabet)
    for run in range(runs):
        name = names[run % len(names)]
        inside = np.flatnonzero(alphabet == name)
        place = {(character[i], drawer[i]): i for i in inside}
        for one, other in random.permutation(_ordered_pairs(np.unique(drawer[inside]))):
            common = [c for c in np.unique(character[inside]) if (c, one) in place and (c, other) in place]
            if len(common) >= ways:
                break
        else:
            raise DataError(
                f"Expected two drawers of at least {ways} common characters in “{name}”, but there are none; hold back "
                "a larger alphabet, or ask for fewer ways."
            )
        chosen = random.permutation(common)[:ways]
        support.append([place[c, one] for c in chosen])
        query.append([place[c, other] for c in chosen])
    answer = np.tile(np.arange(ways, dtype=np.int64), (runs, 1))
    text = f"{ways}-way one-shot within an alphabet ({runs} runs × {ways} queries, two drawers a run)"
    return OneShotTrials(np.array(support, np.int64), np.array(query, np.int64), answer, text)


def across(
    labels: Sequence[str] | NDArray[Any], *, ways: int = 20, runs: int = 400, seed: int = 0, per_run: int = 1
) -> OneShotTrials:
    """Each run takes `ways` labels from all, one example of each, and asks `per_run` other examples of them."""
    names, label = np.unique(np.asarray(labels), return_inverse=True)
    places = [np.flatnonzero(label == i) for i in range(len(names))]
    usable = np.flatnonzero([len(p) >= 2 for p in places])
    if len(usable) < ways or not 1 <= per_run <= ways:
        raise DataError(
            f"Expected at least {ways} labels with two examples each, but there are {len(usable)}; hold back more, or "
            "ask for fewer ways."
        )
    random = np.random.default_rng(seed)
    support, query, answer = [], [], []
    for _ in range(runs):
        chosen = random.choice(usable, ways, replace=False)
        pairs = np.array([random.choice(places[c], 2, replace=False) for c in chosen])
        asked = random.choice(ways, per_run, replace=False)
        support.append(pairs[:, 0])
        query.append(pairs[asked, 1])
        answer.append(asked)
    text = f"{ways}-way one-shot across all held-out labels ({runs} runs × {per_run} queries)"
    return OneShotTrials(np.array(support, np.int64), np.array(query, np.int64), np.array(answer, np.int64), text)


def one_shot(encodings: NDArray[Any], trials: OneShotTrials) -> OneShot:
    """How often the nearest of the support is the right one; where another is as near, it counts as wrong."""
    encoded = np.asarray(encodings, np.float64)
    right = 0
    for support, query, answer in zip(trials.support, trials.query, trials.answer, strict=True):
        distances = pair_distances(encoded[query], encoded[support])
        own = distances[np.arange(len(query)), answer]
        right += int(np.count_nonzero((distances <= own[:, None]).sum(1) == 1))
    total, ways = trials.query.size, trials.support.shape[1]
    return OneShot(right / total, metrics.wilson(right, total), total, ways, trials.protocol)


def classify(
    true: Indices, predicted: Indices, classes: Sequence[str], *, averaged: Sequence[str] = ()
) -> Classification:
    """Confusion, per-class sensitivity and precision, and macro-F1 over `averaged` (all that occur by default)."""
    confusion = metrics.confusion_matrix(true, predicted, len(classes))
    sensitivity, precision = metrics.sensitivity_precision(confusion)
    named = confusion.sum(0) + confusion.sum(1)
    f1 = np.divide(2.0 * np.diag(confusion), named, out=np.full(len(classes), np.nan), where=named > 0)
    unknown = set(averaged) - set(classes)
    if unknown:
        raise OptionError(f"Expected classes among {', '.join(classes)} to average, but got {', '.join(unknown)}.")
    over = tuple(averaged) or tuple(name for name, n in zip(classes, named, strict=True) if n)
    chosen = [classes.index(name) for name in over]
    return Classification(
        tuple(classes),
        confusion,
        sensitivity,
        precision,
        f1,
        # A class asked for that neither occurs nor is said counts 0: leaving it out would flatter.
        float(np.nan_to_num(f1[chosen]).mean()),
        over,
        float(np.trace(confusion) / confusion.sum()),
        float(confusion.sum(1).max() / confusion.sum()),
    )


def spread(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation (n - 1) of one figure over seeds; 0 for a single seed."""
    if not values:
        raise OptionError("Expected the figure of at least one seed, but got none.")
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def _ordered_pairs(names: NDArray[Any]) -> NDArray[Any]:
    return np.array([(a, b) for a in names for b in names if a != b], dtype=np.str_).reshape(-1, 2)


def _eer_interval(
    apart: Floats, same: NDArray[np.bool_], left: Indices, right: Indices, people: int, rounds: int, seed: int
) -> Interval:
    """95 % of the EER when people are drawn again: a genuine pair weighs w_i, an impostor pair w_i w_j."""
    if len(apart) > _BOOTSTRAPPED:
        kept = np.random.default_rng(seed).permutation(len(apart))[:_BOOTSTRAPPED]
        apart, same, left, right = apart[kept], same[kept], left[kept], right[kept]
    order = np.argsort(apart, kind="stable")
    apart, same, left, right = apart[order], same[order], left[order], right[order]
    # Equal distances fall on one side of any threshold together.
    ends = np.flatnonzero(np.append(np.diff(apart) > 0, True))

    def resampled(weights: Floats) -> float:
        weight = np.where(same, weights[left], weights[left] * weights[right])
        genuine, impostor = np.cumsum(weight * same)[ends], np.cumsum(weight * ~same)[ends]
        if genuine[-1] == 0 or impostor[-1] == 0:
            return float("nan")
        fnmr, fmr = 1 - genuine / genuine[-1], impostor / impostor[-1]
        at = int(np.argmax(fmr >= fnmr))
        return float((fmr[at] + fnmr[at]) / 2 if at == 0 else _crossing(fmr, fnmr, at))

    low, high = metrics.bootstrap_by_identity(resampled, identities=people, rounds=rounds, seed=seed)
    return float(low), float(high)


def _crossing(fmr: Floats, fnmr: Floats, at: int) -> float:
    before, after = fmr[at - 1] - fnmr[at - 1], fmr[at] - fnmr[at]
    part = -before / (after - before)
    return float(fmr[at - 1] + part * (fmr[at] - fmr[at - 1]))


def _percent(value: float) -> str:
    return "none" if np.isnan(value) else f"{value:.1%}"
