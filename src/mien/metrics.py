"""How often a comparison, a search or a classifier is wrong, and how far that number can be trusted (numpy only).

Distances are smaller where two things are more alike; a comparison matches where distance < threshold. A comparison
that could not be made may come as +inf (never a match) or -inf (always one); NaN is refused. Terms follow ISO/IEC
19795-1: FMR and FNMR are rates per comparison, FPIR and FNIR rates per search.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import OptionError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# ---- comparisons -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Roc:
    """Both error rates at every threshold that makes a difference, thresholds ascending; a DET curve plots the two."""

    thresholds: Floats
    fmr: Floats
    """False match rate: the part of the impostor comparisons that match. It rises from the first to the last."""
    fnmr: Floats
    """False non-match rate: the part of the genuine comparisons that do not match. It falls."""


def roc(genuine: ArrayLike, impostor: ArrayLike) -> Roc:
    """FMR and FNMR at every distinct finite distance, and just above the largest."""
    same, other = _distances(genuine, "genuine"), _distances(impostor, "impostor")
    thresholds = np.unique(np.concatenate([same, other]))
    thresholds = thresholds[np.isfinite(thresholds)]
    if not len(thresholds):
        raise OptionError("Expected at least one finite distance; none of the comparisons could be made.")
    thresholds = np.append(thresholds, np.nextafter(thresholds[-1], np.inf))
    fmr = _part_below(np.sort(other), thresholds)
    fnmr = 1 - _part_below(np.sort(same), thresholds)
    return Roc(thresholds, fmr, fnmr)


def eer(genuine: ArrayLike, impostor: ArrayLike) -> tuple[float, float]:
    """Equal error rate and its threshold: where FMR = FNMR, between two thresholds by linear interpolation.

    Raises OptionError where the rates never meet, because too many comparisons are infinite.
    """
    curve = roc(genuine, impostor)
    gap = curve.fmr - curve.fnmr
    if gap[-1] < 0 or gap[0] > 0:
        raise OptionError(
            "Expected error rates that meet at some threshold; too many of these comparisons could not be made. "
            "Report their number instead of an equal error rate."
        )
    after = int(np.argmax(gap >= 0))
    before = max(after - 1, 0)
    part = 0.0 if after == before else float(-gap[before] / (gap[after] - gap[before]))
    rate = curve.fmr[before] + part * (curve.fmr[after] - curve.fmr[before])
    threshold = curve.thresholds[before] + part * (curve.thresholds[after] - curve.thresholds[before])
    return float(rate), float(threshold)


def fnmr_at_fmr(genuine: ArrayLike, impostor: ArrayLike, fmr: float) -> tuple[float, float]:
    """FNMR and threshold at an FMR: the largest threshold whose FMR does not exceed `fmr`, which is 0 to 1.

    A 0 means: as strict as the nearest impostor. Where every threshold will do, it is +inf.
    """
    same, other = _distances(genuine, "genuine"), np.sort(_distances(impostor, "impostor"))
    if not 0 <= fmr <= 1:
        raise OptionError(f"Expected a false match rate from 0 to 1; got {fmr}.")
    allowed = int(np.floor(fmr * len(other)))
    allowed += (allowed + 1) / len(other) <= fmr  # 0.29 · 100 is a little less than 29
    threshold = float(other[allowed]) if allowed < len(other) else np.inf
    return float(np.mean(~(same < threshold))), threshold


def accuracy_at(genuine: ArrayLike, impostor: ArrayLike, threshold: float) -> float:
    """The part of all comparisons decided rightly: genuine ones that match, impostor ones that do not."""
    same, other = _distances(genuine, "genuine"), _distances(impostor, "impostor")
    if np.isnan(threshold):
        raise OptionError("Expected a threshold; got NaN.")
    right = np.count_nonzero(same < threshold) + np.count_nonzero(~(other < threshold))
    return float(right / (len(same) + len(other)))


def best_threshold(genuine: ArrayLike, impostor: ArrayLike) -> tuple[float, float]:
    """The threshold of the highest accuracy, and that accuracy.

    It lies halfway between two neighbouring distances, where chance moves it least; of equally good ones it is the
    smallest, which accepts the fewest strangers.
    """
    same, other = _distances(genuine, "genuine"), _distances(impostor, "impostor")
    curve = roc(same, other)
    right = (1 - curve.fnmr) * len(same) + (1 - curve.fmr) * len(other)
    best = int(np.argmax(right))
    below, threshold = curve.thresholds[max(best - 1, 0)], curve.thresholds[best]
    middle = (below + threshold) / 2
    accuracy = right[best] / (len(same) + len(other))
    return float(middle if middle > below else threshold), float(accuracy)  # next to each other nothing lies between


# ---- intervals -------------------------------------------------------------------------------------------------------


def wilson(errors: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of an error rate (Wilson 1927), for trials that do not depend on each other."""
    if trials < 1 or not 0 <= errors <= trials:
        raise OptionError(f"Expected at least one trial and no more errors than trials; got {errors} of {trials}.")
    z = NormalDist().inv_cdf(0.5 + _confidence(confidence) / 2)
    rate = errors / trials
    centre = (rate + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z / (1 + z**2 / trials) * np.sqrt(rate * (1 - rate) / trials + z**2 / (4 * trials**2))
    low = 0.0 if errors == 0 else centre - half
    return float(low), float(1.0 if errors == trials else centre + half)


def rule_of_three(trials: int) -> float:
    """What no error in this many independent trials shows: at 95 % the rate is at most 3 / trials."""
    if trials < 1:
        raise OptionError(f"Expected at least one trial; got {trials}.")
    return min(1.0, 3 / trials)


def bootstrap_by_identity(
    statistic: Callable[[Floats], ArrayLike],
    *,
    identities: int,
    rounds: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> tuple[Floats, Floats]:
    """Percentile interval of a statistic of comparisons that share people: people are drawn again, not comparisons.

    Every round draws `identities` people with replacement (the subsets bootstrap of Bolle, Ratha and Pankanti 2004,
    and the user-specific one of Poh and Bengio 2007), and a person drawn twice counts twice.

    Args:
        statistic: takes how often each person was drawn, `weights` (identities,), and gives a number or an array.
            A genuine comparison of person i counts weights[i] times, one between i and j weights[i] · weights[j]
            times; two copies of one person are never compared, they would be no impostors. NaN means that a draw
            left nothing to compare; such a draw is left out.
        identities: how many people there are.
        rounds: how many draws.
        seed: of the draws.
        confidence: of the interval.

    Returns:
        Its lower and upper end, each of the shape of the statistic.
    """
    drawn = [np.asarray(statistic(row), dtype=np.float64) for row in draw_identities(identities, rounds, seed)]
    return percentile_interval(np.stack(drawn), confidence)


def bootstrap_fmr(
    distances: ArrayLike,
    left: ArrayLike,
    right: ArrayLike,
    thresholds: ArrayLike,
    *,
    identities: int,
    samples: ArrayLike | None = None,
    rounds: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> tuple[Floats, Floats]:
    """Interval of the FMR at each threshold, by a bootstrap over identities; `resampled_fmr` says what comes in.

    Where matches are so rare that chance, not people, decides who has one, the interval is too wide rather than too
    narrow: its variance is up to three times the true one (Owen 2007, the pigeonhole bootstrap). Without a single
    match it is [0, 0] and says nothing: use `rule_of_three`.
    """
    drawn = resampled_fmr(
        distances, left, right, thresholds, identities=identities, samples=samples, rounds=rounds, seed=seed
    )
    return percentile_interval(drawn, confidence)


def resampled_fmr(
    distances: ArrayLike,
    left: ArrayLike,
    right: ArrayLike,
    thresholds: ArrayLike,
    *,
    identities: int,
    samples: ArrayLike | None = None,
    rounds: int = 1000,
    seed: int = 0,
) -> Floats:
    """FMR (rounds, T) at T thresholds in each draw of a bootstrap over identities; NaN where nothing was compared.

    A comparison of persons i and j weighs w_i · w_j, so FMR(τ) = wᵀ A(τ) w / wᵀ T w with A(τ) the matches and T all
    comparisons between each two people. A(τ) is sparse at small τ, where sums run over its entries only.

    Args:
        distances: of impostor comparisons (M,).
        left: the person at one end of each (M,), from 0 to identities - 1.
        right: the person at the other end (M,).
        thresholds: ascending (T,).
        identities: how many people there are.
        samples: how many samples each person has (identities,). Given, every two samples of different people were
            compared once, and `distances` need hold only those below the last threshold.
        rounds: how many draws.
        seed: of the draws.
    """
    d = _numbers(distances, "distances") if samples is not None else _distances(distances, "impostor")
    i, j = _people(left, len(d), identities), _people(right, len(d), identities)
    if np.any(i == j):
        raise OptionError("Expected comparisons of different people; at least one has the same person at both ends.")
    tau = _ascending(thresholds)
    weights = draw_identities(identities, rounds, seed)
    total = _pair_sum(i, j, weights) if samples is None else _all_pairs(samples, weights)
    matches = np.zeros((rounds, len(tau)))
    first = np.searchsorted(tau, d, side="right")  # the first threshold that a distance is smaller than
    order = np.argsort(first, kind="stable")
    ends = np.searchsorted(first[order], np.arange(len(tau) + 1))
    for k in range(len(tau)):
        part = order[ends[k] : ends[k + 1]]
        if len(part):
            matches[:, k] = _pair_sum(i[part], j[part], weights)
    with np.errstate(invalid="ignore", divide="ignore"):
        rates: Floats = np.where(total[:, None] > 0, np.cumsum(matches, axis=1) / total[:, None], np.nan)
    return rates


def bootstrap_fnmr(
    distances: ArrayLike,
    people: ArrayLike,
    thresholds: ArrayLike,
    *,
    identities: int,
    weights: ArrayLike | None = None,
    rounds: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> tuple[Floats, Floats]:
    """Interval of the FNMR at each ascending threshold (T,), by a bootstrap over identities.

    `distances` (M,) are genuine comparisons and `people` (M,) whose they are, from 0 to identities - 1; `weights`
    (M,) is how much each counts (one over their number counts every person the same), by default 1.
    """
    d = _distances(distances, "genuine")
    owner, tau = _people(people, len(d), identities), _ascending(thresholds)
    first = np.searchsorted(tau, d, side="right")
    counts = np.zeros((identities, len(tau) + 1))
    each = np.ones(len(d)) if weights is None else _numbers(weights, "weights")
    if each.shape != d.shape or each.min() < 0:
        raise OptionError(f"Expected {len(d)} weights, none below 0; got shape {each.shape}.")
    np.add.at(counts, (owner, first), each)
    weighted = draw_identities(identities, rounds, seed) @ counts
    total = weighted.sum(1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        matched = np.minimum(np.cumsum(weighted[:, :-1], axis=1) / total, 1)  # rounding may reach past 1
        drawn = np.where(total > 0, 1 - matched, np.nan)
    return percentile_interval(drawn, confidence)


def draw_identities(identities: int, rounds: int, seed: int) -> Floats:
    """How often each person is drawn in each round, shape (rounds, identities); every row adds up to `identities`."""
    if identities < 2 or rounds < 1:
        raise OptionError(f"Expected two people or more and a round or more; got {identities} and {rounds}.")
    even = np.full(identities, 1 / identities)
    return np.random.default_rng(seed).multinomial(identities, even, size=rounds).astype(np.float64)


def percentile_interval(drawn: ArrayLike, confidence: float = 0.95) -> tuple[Floats, Floats]:
    """The middle `confidence` part of the draws (rounds, ...), NaN left out: its lower and upper end."""
    values = np.asarray(drawn, dtype=np.float64)
    if not len(values) or np.all(np.isnan(values), axis=0).any():
        raise OptionError("Expected draws with something to compare; there are too few people for a bootstrap.")
    tail = 50 * (1 - _confidence(confidence))
    low, high = np.nanpercentile(values, [tail, 100 - tail], axis=0)
    return np.asarray(low), np.asarray(high)


def _pair_sum(i: Integers, j: Integers, weights: Floats) -> Floats:
    """Σ w_i w_j over the pairs (i, j), for every row of weights (rounds, P): shape (rounds,)."""
    rounds, P = weights.shape
    if P <= 4096 and len(i) > P * P // 16:  # then one product of matrices is cheaper
        A = np.bincount(i * P + j, minlength=P * P).reshape(P, P).astype(np.float64)
        return np.asarray(np.sum(weights @ A * weights, axis=1))
    columns = np.ascontiguousarray(weights.T)
    total = np.zeros(rounds)
    for start in range(0, len(i), 4096):
        part = slice(start, start + 4096)
        total += np.einsum("mr,mr->r", columns[i[part]], columns[j[part]])
    return total


def _all_pairs(samples: ArrayLike, weights: Floats) -> Floats:
    """Σ_{i<j} n_i n_j w_i w_j, for every row of weights: the square of the sum less the sum of the squares."""
    n = _numbers(samples, "samples")
    if n.shape != weights.shape[1:] or np.any(n < 0):
        raise OptionError(f"Expected a number of samples for each of {weights.shape[1]} people; got shape {n.shape}.")
    weighted = weights * n
    return np.asarray((weighted.sum(1) ** 2 - (weighted**2).sum(1)) / 2)


# ---- searches --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Identification:
    """Open-set identification error rates at thresholds, all of shape (T,)."""

    thresholds: Floats
    fpir: Floats
    """False positive identification rate: the part of the searches by strangers that name somebody."""
    fnir: Floats
    """False negative identification rate: the part of the searches by enrolled people that do not name them."""


def fpir_fnir(mated: ArrayLike, correct: ArrayLike, *, non_mated: ArrayLike, thresholds: ArrayLike) -> Identification:
    """Error rates of open-set identification at rank 1 (ISO/IEC 19795-1), from the best match of every search.

    Args:
        mated: distance of the best match, for searches by enrolled people (M,); +inf where none was made.
        correct: whether that best match is the right person (M,).
        non_mated: distance of the best match, for searches by strangers (S,).
        thresholds: ascending (T,).
    """
    own, strange = _distances(mated, "mated"), np.sort(_distances(non_mated, "non-mated"))
    right = np.asarray(correct)
    if right.shape != own.shape or right.dtype != np.bool_:
        raise OptionError(f"Expected a true or false for each of {len(own)} mated searches; got {right.shape}.")
    tau = _ascending(thresholds)
    found = np.searchsorted(np.sort(own[right]), tau, side="left") / len(own)
    return Identification(tau, _part_below(strange, tau), 1 - found)


def recall_at_k(distances: ArrayLike, query_labels: ArrayLike, gallery_labels: ArrayLike, k: int) -> float:
    """The part of the queries that find their label among the k nearest of the gallery.

    `distances` is (Q, N). Of equal distances the wrong label comes first, so that a network which maps everything to
    one point finds nothing. A query whose label the gallery lacks is a miss; put +inf where a query would find itself.
    """
    d = _numbers(distances, "distances")
    queries, gallery = np.asarray(query_labels), np.asarray(gallery_labels)
    if d.size == 0 or d.shape != (*queries.shape, *gallery.shape) or d.ndim != 2:
        raise OptionError(
            f"Expected distances of shape (queries, gallery), both at least 1; "
            f"got {d.shape} for {queries.shape} query and {gallery.shape} gallery labels."
        )
    if not 1 <= k <= d.shape[1]:
        raise OptionError(f"Expected k from 1 to the size of the gallery, {d.shape[1]}; got {k}.")
    same = queries[:, None] == gallery[None, :]
    nearest = np.where(same, d, np.inf).min(1)
    before = np.count_nonzero(~same & (d <= nearest[:, None]), axis=1)
    return float(np.mean((before < k) & np.isfinite(nearest)))


# ---- classifiers -----------------------------------------------------------------------------------------------------


def confusion_matrix(true: ArrayLike, predicted: ArrayLike, classes: int) -> Integers:
    """How often class i (row) was taken for class j (column): shape (classes, classes), labels 0 to classes - 1."""
    t = _numbers(true, "true labels")
    if t.size == 0 or t.ndim != 1:
        raise OptionError(f"Expected a list of at least one label; got shape {t.shape}.")
    rows, columns = _people(true, len(t), classes, "labels"), _people(predicted, len(t), classes, "labels")
    return np.bincount(rows * classes + columns, minlength=classes**2).reshape(classes, classes).astype(np.int64)


def sensitivity_precision(matrix: ArrayLike) -> tuple[Floats, Floats]:
    """Per class of a confusion matrix: the part of its cases that were found, and of its findings that are right.

    NaN for a class without a case, or without a finding.
    """
    M = _numbers(matrix, "confusion matrix")
    if M.ndim != 2 or M.shape[0] != M.shape[1] or not M.sum():
        raise OptionError(f"Expected a square confusion matrix with at least one case; got shape {M.shape}.")
    with np.errstate(invalid="ignore"):
        return np.diag(M) / M.sum(1), np.diag(M) / M.sum(0)


def macro_f1(true: ArrayLike, predicted: ArrayLike, classes: int) -> float:
    """Mean over the classes of F1 = 2 TP / (2 TP + FP + FN); a class that nobody has and nobody says is left out."""
    M = confusion_matrix(true, predicted, classes)
    named = M.sum(0) + M.sum(1)
    return float(np.mean(2 * np.diag(M)[named > 0] / named[named > 0]))


def ece(probabilities: ArrayLike, labels: ArrayLike, bins: int = 15) -> float:
    """Expected calibration error (Naeini et al. 2015): Σ over equal bins of n_b / N · |share right - mean probability|.

    Args:
        probabilities: (N,) of label 1 where labels are 0 and 1; or (N, C) over C classes, of which the highest is
            judged (Guo et al. 2017).
        labels: (N,) integers.
        bins: bins of equal width over [0, 1]; each holds its upper end.
    """
    p = _numbers(probabilities, "probabilities")
    if p.ndim not in (1, 2) or p.size == 0 or p.min() < 0 or p.max() > 1 or bins < 1:
        raise OptionError(f"Expected probabilities from 0 to 1 and a bin or more; got shape {p.shape}, {bins} bins.")
    y = _people(labels, len(p), 2 if p.ndim == 1 else p.shape[1], "labels")
    confidence, right = (p, y == 1) if p.ndim == 1 else (p.max(1), p.argmax(1) == y)
    index = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    gap = np.bincount(index, right, minlength=bins) - np.bincount(index, confidence, minlength=bins)
    return float(np.abs(gap).sum() / len(p))


# ---- what comes in ---------------------------------------------------------------------------------------------------


def _part_below(ordered: Floats, thresholds: Floats) -> Floats:
    return np.searchsorted(ordered, thresholds, side="left") / len(ordered)


def _numbers(values: ArrayLike, name: str) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if np.isnan(array).any():
        raise OptionError(f"Expected numbers as {name}; got NaN. Give a comparison that could not be made as infinity.")
    return array


def _distances(values: ArrayLike, name: str) -> Floats:
    array = _numbers(values, f"{name} distances")
    if array.ndim != 1 or not len(array):
        raise OptionError(f"Expected at least one {name} distance, in one list; got shape {array.shape}.")
    return array


def _ascending(thresholds: ArrayLike) -> Floats:
    array = _distances(thresholds, "threshold")
    if np.any(np.diff(array) < 0):
        raise OptionError("Expected ascending thresholds; sort them first.")
    return array


def _people(values: ArrayLike, length: int, count: int, name: str = "identities") -> Integers:
    array = np.asarray(values)
    if array.shape != (length,) or (length and not np.issubdtype(array.dtype, np.integer)):
        raise OptionError(f"Expected {length} whole numbers as {name}; got {array.dtype} of shape {array.shape}.")
    if length and not (array.min() >= 0 and array.max() < count):
        raise OptionError(f"Expected {name} from 0 to {count - 1}; got {array.min()} to {array.max()}.")
    return array.astype(np.int64)


def _confidence(value: float) -> float:
    if not 0 < value < 1:
        raise OptionError(f"Expected a confidence between 0 and 1, such as 0.95; got {value}.")
    return value
