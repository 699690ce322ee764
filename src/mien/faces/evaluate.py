"""How often faces are mistaken: the LFW protocol, and every two photos of a folder of people.

Photos become encodings in `see_folder`; what follows is numbers only. A photo without an encoding is never left out:
its pairs of the LFW protocol are wrong at every threshold; in a folder its genuine comparisons never match, its
searches find nobody, and it takes no part in impostor comparisons, so that it cannot make the FMR look better.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mien import images, metrics
from mien.errors import FaceError, ImageError, OptionError
from mien.faces.align import align
from mien.faces.comparisons import (
    BINS,
    RULE_OF_THIRTY,
    Comparisons,
    GroupRates,
    Identification,
    Interval,
    OperatingPoint,
    compare_all,
    intervals_at,
    operating_points,
    rates_by_group,
    search,
    supported_levels,
)
from mien.faces.protocols import Pair
from mien.faces.records import Encodings, Face, Image
from mien.metrics import Floats
from mien.weights import Weights

LFW_LEVELS = (1e-1, 1e-2, 1e-3)
_BATCH = 32
Photos = Mapping[Path, NDArray[np.float32] | None]
"""The encoding (D,) of every photo; None where no face was found or the file could not be read."""


class SeesFaces(Protocol):
    """A detector."""

    def detect(self, image: Image) -> list[Face]:
        """Every face in the picture."""


class EncodesFaces(Protocol):
    """An encoder."""

    @property
    def weights(self) -> Weights:
        """Its record, with the alignment template and the size of its crops."""

    def encode(self, crops: Image) -> Encodings:
        """Unit encodings (B, D) of aligned crops, uint8 (B, size, size, 3)."""


@dataclass(frozen=True, eq=False)
class Sightings:
    """What was seen in many photos."""

    encodings: dict[Path, NDArray[np.float32] | None]
    """None for a photo without a face, and for one that cannot be read."""
    unreadable: dict[Path, str]
    """Photos that cannot be read, with the reason."""


@dataclass(frozen=True, eq=False)
class LfwResult:
    """What the LFW protocol says of an encoder and its detector."""

    accuracy: float
    """Mean over the folds."""
    standard_error: float | None
    """Of the mean: s / √folds; None for a single fold."""
    accuracy_interval: Interval
    """By a bootstrap over identities; where no pair was told wrongly it begins at the rule of three."""
    fold_accuracies: tuple[float, ...]
    fold_thresholds: tuple[float, ...]
    """τ of each fold, chosen on all others."""
    optimistic: bool
    """Whether τ had to be chosen on the pairs it is judged on, because there is one fold only."""
    eer: float | None
    """None with fewer than 30 comparisons of a kind."""
    eer_interval: Interval | None
    points: tuple[OperatingPoint, ...]
    """FNMR at FMR 1e-1, 1e-2 and 1e-3, of which the last is hardly `supported`: LFW's folds have 300 impostor pairs."""
    roc: metrics.Roc
    compared: Comparisons
    right: NDArray[np.bool_]
    """Whether each comparison was decided rightly at its fold's τ: the genuine ones, then the impostor ones."""
    pairs: int
    photos: int
    without_face: int
    unreadable: int
    failed_pairs: int

    @property
    def threshold(self) -> float:
        """Mean of the folds' τ."""
        return float(np.mean(self.fold_thresholds))

    @property
    def failures(self) -> int:
        """Photos without an encoding."""
        return self.without_face + self.unreadable


@dataclass(frozen=True, eq=False)
class FolderResult:
    """What all comparisons of a folder of people say."""

    eer: float | None
    """None with fewer than 30 comparisons of a kind, and where the rates do not meet among the comparisons kept."""
    eer_interval: Interval | None
    """From the lower to the higher end of both rates' intervals at its threshold; the EER of a draw lies between its
    two rates there."""
    eer_threshold: float | None
    points: tuple[OperatingPoint, ...]
    identification: tuple[Identification, ...]
    groups: tuple[GroupRates, ...]
    group_threshold: float | None
    ungrouped: int
    """People whom the group file does not name; 0 without such a file."""
    roc: metrics.Roc
    compared: Comparisons
    people: int
    photos: int
    without_face: int
    unreadable: int

    @property
    def failures(self) -> int:
        """Photos without an encoding."""
        return self.without_face + self.unreadable


def see_folder(
    paths: Sequence[Path],
    detector: SeesFaces,
    encoder: EncodesFaces,
    *,
    progress: Callable[[int], None] | None = None,
) -> Sightings:
    """The encoding of one face in each photo: the one nearest the centre, which is LFW's own convention.

    No photo is refused for its quality. `progress` is told how many photos are done.
    """
    weights = encoder.weights
    if weights.template is None or weights.size is None:
        raise OptionError(f"Expected the record of the encoder {weights.name} to have a template and a size.")
    seen: dict[Path, NDArray[np.float32] | None] = {}
    unreadable: dict[Path, str] = {}
    waiting: list[tuple[Path, Image]] = []
    for number, path in enumerate(paths, 1):
        seen[path] = None
        try:
            image = images.load(path).pixels
        except ImageError as error:
            unreadable[path] = str(error)
        else:
            if faces := detector.detect(image):
                landmarks = nearest_centre(faces, image).landmarks
                # Landmarks that cannot be a face's are as good as none.
                with suppress(FaceError):
                    waiting.append((path, align(image, landmarks, template=weights.template, size=weights.size)))
        if len(waiting) == _BATCH or (waiting and number == len(paths)):
            rows = encoder.encode(np.stack([crop for _, crop in waiting]))
            seen.update((path, row) for (path, _), row in zip(waiting, rows, strict=True))
            waiting.clear()
        if progress:
            progress(number)
    return Sightings(seen, unreadable)


def nearest_centre(faces: Sequence[Face], image: Image) -> Face:
    """The face whose box has its centre nearest to the picture's."""
    height, width = image.shape[:2]

    def off(face: Face) -> float:
        x, y, w, h = face.box
        return float(np.hypot(x + w / 2 - width / 2, y + h / 2 - height / 2))

    return min(faces, key=off)


def evaluate_lfw(
    pairs: Sequence[Pair],
    encodings: Photos,
    *,
    unreadable: Collection[Path] = (),
    rounds: int = 1000,
    seed: int = 0,
) -> LfwResult:
    """The LFW protocol: accuracy over the folds, each with τ chosen on the others, and both error rates.

    A pair with a photo that has no encoding is wrong at every τ. With a single fold τ is chosen on the pairs that it
    is judged on, and the result says that its accuracy is `optimistic`. `unreadable` photos are counted apart.
    """
    compared, right, taus, accuracies = _lfw_folds(pairs, encodings)
    photos = {path for pair in pairs for path in (pair.first, pair.second)}
    failed = {path for path in photos if encodings[path] is None}
    folds = len(accuracies)
    low, high = _lfw_bootstrap(compared, right, rounds, seed)
    accuracy = float(np.mean(accuracies))
    eer = metrics.eer(compared.genuine, compared.impostor)[0] if _enough(compared) else None
    fewest = min(len(np.unique(compared.owner)), compared.total)
    return LfwResult(
        accuracy=accuracy,
        standard_error=float(np.std(accuracies, ddof=1) / np.sqrt(folds)) if folds > 1 else None,
        accuracy_interval=(float(low[0]) if accuracy < 1 else 1 - metrics.rule_of_three(len(pairs)), float(high[0])),
        fold_accuracies=tuple(accuracies),
        fold_thresholds=tuple(taus),
        optimistic=folds == 1,
        eer=eer,
        eer_interval=None if eer is None else (float(low[1]), float(high[1]) if eer else metrics.rule_of_three(fewest)),
        points=operating_points(compared, LFW_LEVELS, rounds=rounds, seed=seed),
        roc=metrics.roc(compared.genuine, compared.impostor),
        compared=compared,
        right=right,
        pairs=len(pairs),
        photos=len(photos),
        without_face=len(failed - set(unreadable)),
        unreadable=len(failed & set(unreadable)),
        failed_pairs=sum(pair.first in failed or pair.second in failed for pair in pairs),
    )


def evaluate_folder(
    people: Mapping[str, Sequence[Path]],
    encodings: Photos,
    *,
    groups: Mapping[str, str] | None = None,
    unreadable: Collection[Path] = (),
    rounds: int = 1000,
    splits: int = 20,
    seed: int = 0,
) -> FolderResult:
    """Every two photos compared, and searches among K enrolled, at every rate that the comparisons support.

    `groups` holds the people's groups: error rates within each are at the strictest threshold that rests on 30 false
    matches of everybody, or, without such a one, at the loosest.
    """
    by_person = [[_encoding(encodings, path) for path in photos] for photos in people.values()]
    photos = [path for paths in people.values() for path in paths]
    if sum(any(e is not None for e in own) for own in by_person) < 2:
        raise OptionError("Expected a face in photos of two people or more; found none in nearly all of them.")
    compared = compare_all(by_person)
    if not len(compared.genuine):
        raise OptionError("Expected two photos of at least one person; there is only one of each.")
    levels = [level for level in supported_levels(compared.total) if level <= compared.part]
    points = operating_points(compared, levels, rounds=rounds, seed=seed) if levels else ()
    roc = metrics.roc(compared.genuine, compared.impostor)
    roc = metrics.Roc(roc.thresholds, roc.fmr * compared.part, roc.fnmr)
    eer, eer_tau = _crossing(roc) if _enough(compared) else (None, None)
    fixed = {point.fmr: point.threshold for point in points if point.fmr <= 1e-2 and point.firm}
    firm = [point.threshold for point in points if point.firm] or [point.threshold for point in points[:1]]
    by_group: tuple[GroupRates, ...] = ()
    if groups is not None and firm:
        of_people = [groups.get(person) for person in people]
        by_group = rates_by_group(compared, of_people, firm[-1], rounds=rounds, seed=seed)
    failed = {path for path in photos if encodings[path] is None}
    return FolderResult(
        eer=eer,
        eer_interval=None if eer_tau is None else _eer_interval(compared, eer_tau, rounds, seed),
        eer_threshold=eer_tau,
        points=points,
        identification=search(by_person, fixed=fixed, splits=splits, seed=seed),
        groups=by_group,
        group_threshold=firm[-1] if by_group else None,
        ungrouped=0 if groups is None else sum(person not in groups for person in people),
        roc=_thinned(roc),
        compared=compared,
        people=len(people),
        photos=len(photos),
        without_face=len(failed - set(unreadable)),
        unreadable=len(failed & set(unreadable)),
    )


def worst_group(groups: Sequence[GroupRates], rate: str) -> GroupRates | None:
    """The group with the highest `fmr` or `fnmr`; None where nothing could be compared."""
    return max(
        (group for group in groups if getattr(group, rate) is not None),
        key=lambda group: float(getattr(group, rate)),
        default=None,
    )


def _lfw_folds(
    pairs: Sequence[Pair], encodings: Photos
) -> tuple[Comparisons, NDArray[np.bool_], list[float], list[float]]:
    """Comparisons, whether each was decided rightly (genuine ones first), and τ and accuracy of the folds."""
    same = np.array([pair.same for pair in pairs])
    fold = np.array([pair.fold for pair in pairs])
    if not same.any() or same.all():
        raise OptionError("Expected matched and mismatched pairs, but all are of one kind.")
    d = np.array([_pair_distance(pair, encodings) for pair in pairs])
    right, taus, accuracies = np.zeros(len(pairs), bool), [], []
    folds = np.unique(fold)
    for k in folds:
        held = fold == k
        chosen = held if len(folds) == 1 else ~held
        tau, _ = metrics.best_threshold(d[same & chosen], d[~same & chosen])
        taus.append(tau)
        accuracies.append(metrics.accuracy_at(d[same & held], d[~same & held], tau))
        right[held] = (d[held] < tau) == same[held]
    names = {name: i for i, name in enumerate(dict.fromkeys(name for pair in pairs for name in pair.people))}
    ends = np.array([[names[name] for name in pair.people] for pair in pairs])
    finite = np.isfinite(d)
    compared = Comparisons(
        genuine=d[same],
        owner=ends[same, 0],
        impostor=d[~same],
        left=ends[~same, 0],
        right=ends[~same, 1],
        total=int((~same).sum()),
        samples=None,
        people=len(names),
        histograms=(np.histogram(d[same & finite], BINS)[0], np.histogram(d[~same & finite], BINS)[0]),
    )
    return compared, np.concatenate([right[same], right[~same]]), taus, accuracies


def _lfw_bootstrap(compared: Comparisons, right: NDArray[np.bool_], rounds: int, seed: int) -> tuple[Floats, Floats]:
    """Intervals of the accuracy, with the folds' τ as they are, and of the EER."""
    genuine, count = compared.genuine, len(compared.genuine)

    def statistic(weights: Floats) -> Floats:
        same = weights[compared.owner].astype(np.int64)
        other = (weights[compared.left] * weights[compared.right]).astype(np.int64)
        if not same.any() or not other.any():
            return np.array([np.nan, np.nan])
        shares = np.average(right[:count], weights=same), np.average(right[count:], weights=other)
        accuracy = np.average(shares, weights=[count, len(compared.impostor)])
        try:
            eer = metrics.eer(np.repeat(genuine, same), np.repeat(compared.impostor, other))[0]
        except OptionError:  # nothing but failed photos in this draw
            eer = 1.0
        return np.array([accuracy, eer])

    return metrics.bootstrap_by_identity(statistic, identities=compared.people, rounds=rounds, seed=seed)


def _enough(compared: Comparisons) -> bool:
    return min(len(compared.genuine), compared.total) >= RULE_OF_THIRTY


def _eer_interval(compared: Comparisons, tau: float, rounds: int, seed: int) -> Interval:
    """The hull of both rates' intervals where they meet: in each draw one of them lies above its EER, one below."""
    fmr, fnmr = intervals_at(compared, tau, rounds=rounds, seed=seed)
    return min(fmr[0], fnmr[0]), max(fmr[1], fnmr[1])


def _crossing(roc: metrics.Roc) -> tuple[float, float] | tuple[None, None]:
    """Where FMR = FNMR, with its threshold, by linear interpolation; None where they do not meet."""
    gap = roc.fmr - roc.fnmr
    after = int(np.argmax(gap >= 0))
    if gap[after] < 0:
        return None, None
    before = max(after - 1, 0)
    part = 0.0 if after == before or gap[after] == gap[before] else -gap[before] / (gap[after] - gap[before])
    rate = roc.fmr[before] + part * (roc.fmr[after] - roc.fmr[before])
    return float(rate), float(roc.thresholds[before] + part * (roc.thresholds[after] - roc.thresholds[before]))


def _thinned(roc: metrics.Roc, count: int = 1000) -> metrics.Roc:
    """As many points as a plot can show, dense where the FMR is small."""
    ranks = np.geomspace(1, len(roc.fmr), count).astype(np.int64) - 1
    even = np.linspace(0, len(roc.fmr) - 1, count).astype(np.int64)
    kept = np.union1d(ranks, even)
    return metrics.Roc(roc.thresholds[kept], roc.fmr[kept], roc.fnmr[kept])


def _pair_distance(pair: Pair, encodings: Photos) -> float:
    a, b = _encoding(encodings, pair.first), _encoding(encodings, pair.second)
    if a is None or b is None:
        return np.inf if pair.same else -np.inf
    return float(np.linalg.norm(a.astype(np.float64) - b))


def _encoding(encodings: Photos, path: Path) -> NDArray[np.float32] | None:
    try:
        return encodings[path]
    except KeyError:
        raise OptionError(f"Expected an encoding, or None, for every photo; there is nothing for “{path}”.") from None
