"""How well a liveness network tells living faces from attacks, in the terms of ISO/IEC 30107-3.

APCER, for each attack instrument species: the share of attack presentations that were taken for living faces; the worst
species counts, since an attacker chooses. BPCER: the share of living people who were refused. Both are over the
presentations to which the network responded; where no face was found there is no response, and its share stands beside.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mien import images
from mien.errors import ImageError, OptionError
from mien.faces.records import Face, Image
from mien.metrics import bootstrap_by_identity, wilson

Interval = tuple[float, float]
Scores = NDArray[np.float32]

LIVE = "live"
TABLE = "attacks.csv"
MOVED = 0.2
"""The box of a face is moved and scaled by this share of its sides, to see whether the decision holds."""
MOVES = ("left", "right", "up", "down", "larger", "smaller")


class SeesFaces(Protocol):
    """A detector."""

    def detect(self, image: Image) -> list[Face]:
        """Every face in the picture."""


class TellsLive(Protocol):
    """A liveness network."""

    def score(self, image: Image, faces: Sequence[Face]) -> Scores:
        """The probability (N,) that each face is a living one."""


@dataclass(frozen=True)
class Shown:
    """One presentation to the camera."""

    path: Path
    species: str
    """`live`, or the attack instrument's species."""
    person: str
    marks: Mapping[str, str] = field(default_factory=dict)
    """What else is known: quality, distance, colour."""


@dataclass(frozen=True, eq=False)
class Looks:
    """What a network says of every presentation."""

    shown: tuple[Shown, ...]
    scores: Scores
    """(N,), the probability of live; NaN where no face was found."""
    moved: Scores
    """(N, 6): the same with the face's box moved, in the order of `MOVES`; (N, 0) if that was not asked for."""
    unreadable: int = 0


@dataclass(frozen=True)
class Rate:
    """Errors among presentations, of one species or of the living faces."""

    name: str
    presented: int
    no_response: int
    """Presentations in which no face was found: neither an error nor a success."""
    errors: int
    people: int
    interval: Interval
    """95 %: the wider ends of Wilson's interval and of a bootstrap over people."""

    @property
    def responses(self) -> int:
        """Presentations that were decided."""
        return self.presented - self.no_response

    @property
    def rate(self) -> float:
        """Errors per response; NaN without one."""
        return self.errors / self.responses if self.responses else float("nan")

    @property
    def no_response_rate(self) -> float:
        """APNRR of a species, BPNRR of living faces."""
        return self.no_response / self.presented if self.presented else float("nan")


@dataclass(frozen=True)
class LivenessResult:
    """The score sheet."""

    threshold: float
    people: int
    bpcer: Rate
    apcer: tuple[Rate, ...]
    """Of each species, in the order of their names."""
    pooled: Rate
    """Of all attacks together, which hides the worst one."""
    groups: tuple[Rate, ...]
    """Errors by quality, distance and colour, as far as known: attacks taken for live, and live ones refused."""
    flips: float | None
    """Share of decisions that another box of the same face turns round."""
    flips_by_move: Mapping[str, float]
    acer_interval: Interval
    unreadable: int

    @property
    def worst(self) -> Rate:
        """The species with the highest APCER."""
        decided = [rate for rate in self.apcer if rate.responses] or list(self.apcer)
        return max(decided, key=lambda rate: (rate.rate, rate.interval[1]))

    @property
    def acer(self) -> float:
        """Mean of the worst species' APCER and the BPCER."""
        return (self.worst.rate + self.bpcer.rate) / 2


def read_shown(folder: str | Path, *, part: str | None = None) -> tuple[Shown, ...]:
    """What a folder shows: by its attacks.csv, or by its sub-folders live/ and one for each species.

    In a sub-folder, the name of the folder around a picture is the person; pictures right in it count as a person each.
    part: only those of that part in the table. OptionError where there are no living faces, or no attacks.
    """
    root = Path(folder)
    if not root.is_dir():
        raise OptionError(f"Expected a folder with live/ and one for each kind of attack, but “{folder}” is none.")
    table = root / TABLE
    if part is not None and not table.is_file():
        raise OptionError(f"Expected “{table}”, which says who belongs to the part {part}, but it is not there.")
    shown = _from_table(table, part) if table.is_file() else _from_folders(root)
    species = {one.species for one in shown}
    if LIVE not in species or len(species) < 2:
        raise OptionError(
            f"Expected pictures of living faces in “{root / LIVE}” and of attacks in folders beside it, but found "
            f"{', '.join(sorted(species)) or 'none'}; make some with: mien faces attacks PHOTOS -o DIR"
        )
    return shown


def _from_table(table: Path, part: str | None) -> tuple[Shown, ...]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise OptionError(f"Expected a table in “{table}”, but it cannot be read: {error}.") from error
    lacking = {"path", "species", "person"} - set(rows[0] if rows else ())
    if lacking:
        raise OptionError(f"Expected the columns path, species and person in “{table}”, but {min(lacking)} is missing.")
    marks = ("quality", "distance", "colour")
    return tuple(
        Shown(
            table.parent / row["path"],
            row["species"],
            row["person"],
            {name: row[name] for name in marks if row.get(name)},
        )
        for row in rows
        if part is None or row.get("part") == part
    )


def _from_folders(root: Path) -> tuple[Shown, ...]:
    shown = []
    for kind in sorted(path for path in root.iterdir() if path.is_dir() and path.name[0] != "."):
        for path in sorted(kind.rglob("*")):
            if path.suffix.lower() in images.ENDINGS and path.is_file():
                person = path.parent.name if path.parent != kind else f"{kind.name}/{path.stem}"
                shown.append(Shown(path, kind.name, person))
    return tuple(shown)


def look(
    shown: Sequence[Shown],
    net: TellsLive,
    detector: SeesFaces,
    *,
    moves: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Looks:
    """What the network says of the face nearest the middle of every picture, and with `moves` of its box moved."""
    scores = np.full(len(shown), np.nan, np.float32)
    moved = np.full((len(shown), len(MOVES) if moves else 0), np.nan, np.float32)
    unreadable = 0
    for i, one in enumerate(shown):
        try:
            pixels = images.load(one.path).pixels
            face = nearest_middle(detector.detect(pixels), pixels)
            if face is not None:
                boxes = [face, *(_moved(face, move) for move in MOVES)] if moves else [face]
                found = net.score(pixels, boxes)
                scores[i], moved[i] = found[0], found[1:]
        except ImageError:
            unreadable += 1
        if progress:
            progress(i + 1, len(shown))
    return Looks(tuple(shown), scores, moved, unreadable)


def nearest_middle(faces: Sequence[Face], image: Image) -> Face | None:
    """The face nearest the picture's middle, where the one that is meant stands; None without any."""
    middle = np.array([image.shape[1], image.shape[0]]) / 2

    def apart(face: Face) -> float:
        return float(np.hypot(*(np.array(face.box[:2]) + np.array(face.box[2:]) / 2 - middle)))

    return min(faces, key=apart, default=None)


def evaluate(looks: Looks, threshold: float, *, rounds: int = 500, seed: int = 0) -> LivenessResult:
    """The score sheet at a threshold: a score of it or more counts as live."""
    species = np.array([one.species for one in looks.shown])
    people, person = np.unique([one.person for one in looks.shown], return_inverse=True)
    live = species == LIVE
    wrong = np.where(live, looks.scores < threshold, looks.scores >= threshold)
    responded = ~np.isnan(looks.scores)

    def rate(name: str, chosen: NDArray[np.bool_]) -> Rate:
        return _rate(name, chosen, wrong, responded, person, rounds=rounds, seed=seed)

    kinds = sorted(set(species.tolist()) - {LIVE})
    bpcer, apcer = rate("live", live), tuple(rate(kind, species == kind) for kind in kinds)
    masks = [species == kind for kind in kinds]
    flips = (looks.moved >= threshold) != (looks.scores >= threshold)[:, None]
    by_move = flips[responded].mean(axis=0) if responded.any() and flips.shape[1] else np.empty(0)
    return LivenessResult(
        threshold=threshold,
        people=len(people),
        bpcer=bpcer,
        apcer=apcer,
        pooled=rate("all attacks", ~live),
        groups=tuple(rate(name, chosen) for name, chosen in _groups(looks.shown, live)),
        flips=float(by_move.mean()) if len(by_move) else None,
        flips_by_move=dict(zip(MOVES, map(float, by_move), strict=False)),
        acer_interval=_acer_interval([live, *masks], wrong, responded, person, bpcer, apcer, rounds=rounds, seed=seed),
        unreadable=looks.unreadable,
    )


def choose_denial(looks: Looks, *, bpcer: float = 0.01) -> float:
    """The score below which a share of `bpcer` of the living faces lies: what is lower is clearly an attack."""
    live = np.array([shown.species == LIVE for shown in looks.shown])
    scores = looks.scores[live]
    scores = scores[np.isfinite(scores)]
    if len(scores) == 0:
        raise OptionError("Expected living faces to choose the level of denial on, but there are none.")
    return float(np.quantile(scores, bpcer))


def choose_threshold(looks: Looks, *, apcer: float = 0.05) -> float:
    """The lowest threshold at which no species' APCER is above `apcer`: then the fewest living faces are refused.

    It must be chosen on other people than it is judged on. OptionError where nothing responded.
    """
    if not 0 < apcer < 1:
        raise OptionError(f"Expected an APCER between 0 and 1, got {apcer}.")
    species = np.array([one.species for one in looks.shown])
    chosen = 0.0
    for kind in sorted(set(species.tolist()) - {LIVE}):
        scores = np.sort(looks.scores[(species == kind) & ~np.isnan(looks.scores)])
        if len(scores):
            accepted = int(apcer * len(scores) + 1e-9)
            chosen = max(chosen, float(np.nextafter(scores[len(scores) - accepted - 1], np.float32(2))))
    if chosen == 0.0:
        raise OptionError("Expected attacks with a face in them to choose a threshold on, but there are none.")
    return min(max(chosen, 1e-6), 1 - 1e-6)


def _groups(shown: Sequence[Shown], live: NDArray[np.bool_]) -> list[tuple[str, NDArray[np.bool_]]]:
    found = []
    for mark in ("quality", "distance", "colour"):
        values = np.array([one.marks.get(mark, "") for one in shown])
        for value in sorted(set(values.tolist()) - {""}):
            word = {"yes": "colour", "no": "grey"}.get(value, value) if mark == "colour" else value
            for name, kind in (("attacks", ~live), ("live", live)):
                chosen = (values == value) & kind
                if chosen.any():
                    found.append((f"{name}, {word}", chosen))
    return found


def _moved(face: Face, move: str) -> Face:
    x, y, width, height = face.box
    if move in ("larger", "smaller"):
        grown = 1 + MOVED if move == "larger" else 1 - MOVED
        box = (x + width * (1 - grown) / 2, y + height * (1 - grown) / 2, width * grown, height * grown)
    else:
        dx, dy = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}[move]
        box = (x + dx * MOVED * width, y + dy * MOVED * height, width, height)
    return Face(box, face.landmarks, face.score)


# ---- intervals -------------------------------------------------------------------------------------------------------


def _rate(
    name: str,
    chosen: NDArray[np.bool_],
    wrong: NDArray[np.bool_],
    responded: NDArray[np.bool_],
    person: NDArray[np.int64],
    *,
    rounds: int,
    seed: int,
) -> Rate:
    decided = chosen & responded
    errors, responses = int(wrong[decided].sum()), int(decided.sum())
    interval = (float("nan"), float("nan"))
    if responses:
        low, high = wilson(errors, responses)
        if len(np.unique(person[decided])) > 1:
            # Pictures of one person err together; Wilson's interval takes them for independent ones.
            among = np.unique(person[decided], return_inverse=True)[1]
            counts = _counts(among, wrong[decided])
            drawn = bootstrap_by_identity(
                lambda w: _share(w, counts), identities=int(among.max()) + 1, rounds=rounds, seed=seed
            )
            low, high = min(low, float(drawn[0])), max(high, float(drawn[1]))
        interval = low, high
    people = len(np.unique(person[chosen]))
    return Rate(name, int(chosen.sum()), int((chosen & ~responded).sum()), errors, people, interval)


def _counts(person: NDArray[np.int64], wrong: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Errors and responses of each person, (2, P)."""
    size = int(person.max()) + 1
    errors = np.bincount(person, weights=wrong.astype(np.float64), minlength=size)
    return np.stack([errors, np.bincount(person, minlength=size).astype(np.float64)])


def _share(weights: NDArray[np.float64], counts: NDArray[np.float64]) -> float:
    errors, responses = counts @ weights
    return float(errors / responses) if responses else float("nan")


def _acer_interval(
    masks: Sequence[NDArray[np.bool_]],
    wrong: NDArray[np.bool_],
    responded: NDArray[np.bool_],
    person: NDArray[np.int64],
    bpcer: Rate,
    apcer: Sequence[Rate],
    *,
    rounds: int,
    seed: int,
) -> Interval:
    """By a bootstrap over people, no narrower above than the mean of the two rates' upper ends where nothing erred."""
    size = int(person.max()) + 1
    tables = []
    for mask in masks:
        decided = mask & responded
        tables.append(
            np.stack(
                [
                    np.bincount(person[decided], weights=wrong[decided].astype(np.float64), minlength=size),
                    np.bincount(person[decided], minlength=size).astype(np.float64),
                ]
            )
        )

    def acer(weights: NDArray[np.float64]) -> float:
        rates = [_share(weights, table) for table in tables]
        attacks = [rate for rate in rates[1:] if not np.isnan(rate)]
        return (rates[0] + max(attacks)) / 2 if attacks else float("nan")

    if size < 2 or not any(rate.responses for rate in apcer) or not bpcer.responses:
        return float("nan"), float("nan")
    low, high = (float(end) for end in bootstrap_by_identity(acer, identities=size, rounds=rounds, seed=seed))
    if bpcer.errors == 0 and all(rate.errors == 0 for rate in apcer):
        high = max(high, (bpcer.interval[1] + max(rate.interval[1] for rate in apcer if rate.responses)) / 2)
    return low, high
