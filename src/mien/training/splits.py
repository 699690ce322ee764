"""Splits that do not flatter: no person, patient or volume is on both sides.

A random split of heartbeats puts each patient on both sides and reports 98 to 99 %; between patients it is far less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError, OptionError
from mien.training.data import Dataset, Indices

Names = NDArray[np.str_]
Task = Literal["verification", "one-shot", "classification"]


@dataclass(frozen=True, eq=False)
class Split:
    """Which examples are learnt from, which stop the training, and which are judged once at the end."""

    train: Indices
    validation: Indices
    test: Indices
    name: str = ""

    @property
    def learnt(self) -> Indices:
        """Train and validation together: for what needs no early stopping, such as a baseline."""
        return np.sort(np.concatenate([self.train, self.validation]))

    @property
    def parts(self) -> dict[str, Indices]:
        """The three by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


@dataclass(frozen=True, eq=False)
class Protocol:
    """The rules a recipe is judged by."""

    name: str
    task: Task
    splits: tuple[Split, ...]
    sentence: str
    """The rules in words, for the report."""
    pooled: bool = False
    """Whether the test parts of all splits are judged together as one (folds) rather than one by one."""
    classes: tuple[str, ...] = ()
    """The classes that the macro average goes over; empty for all."""


@dataclass(frozen=True, eq=False)
class RecipeData:
    """The data of a recipe, the rules it is judged by, and what a report says about it first."""

    name: str
    dataset: Dataset
    protocol: Protocol
    sentences: tuple[str, ...]
    """What the data are; the first one says so where they are a stand-in made by a generator."""
    stand_in: bool

    @property
    def description(self) -> str:
        """The sentences, and the protocol's."""
        return " ".join((*self.sentences, self.protocol.sentence))


def by_group(
    groups: Sequence[str] | Names,
    labels: Sequence[Any] | NDArray[Any],
    *,
    shares: tuple[float, float, float] = (0.7, 0.15, 0.15),
    seed: int = 0,
) -> Split:
    """Whole groups into train, validation and test, near `shares` of each class.

    Groups go one by one, largest first and in seeded order among equals, to the part that lacks most of what the group
    brings. A part whose share is above 0 gets at least one group. Raises DataError where there are too few groups.
    """
    if len(shares) != 3 or min(shares) < 0 or abs(sum(shares) - 1) > 1e-6 or shares[0] == 0:
        raise OptionError(f"Expected three shares (train, validation, test) that sum to 1, but got {shares}.")
    parts = _dealt(groups, labels, np.asarray(shares), seed)
    split = Split(parts[0], parts[1], parts[2], name=f"by group, seed {seed}")
    check_no_leak(split, groups)
    return split


def folds(
    groups: Sequence[str] | Names, labels: Sequence[Any] | NDArray[Any], *, k: int = 5, seed: int = 0
) -> tuple[Split, ...]:
    """`k` splits by group: each group is in the test part of exactly one; the next fold's test part is its validation.

    With two folds there is no validation part. Raises DataError where there are fewer than `k` groups.
    """
    if k < 2:
        raise OptionError(f"Expected at least 2 folds, but got {k}.")
    return from_parts(_dealt(groups, labels, np.full(k, 1 / k), seed), groups)


def from_parts(parts: Sequence[Indices], groups: Sequence[str] | Names) -> tuple[Split, ...]:
    """Folds out of fixed parts: part i is judged, part i + 1 validates, the others are learnt from."""
    k = len(parts)
    made = []
    for i in range(k):
        validation = parts[(i + 1) % k] if k > 2 else np.empty(0, np.int64)
        rest = [parts[j] for j in range(k) if j != i and (k == 2 or j != (i + 1) % k)]
        made.append(Split(np.sort(np.concatenate(rest)), validation, parts[i], name=f"fold {i + 1} of {k}"))
        check_no_leak(made[-1], groups)
    return tuple(made)


def leaking(count: int, *, shares: tuple[float, float, float] = (0.7, 0.15, 0.15), seed: int = 0) -> Split:
    """The flattering split: examples at random, whoever they belong to. Only to be shown as a warning."""
    order = np.random.default_rng(seed).permutation(count).astype(np.int64)
    first, second = round(count * shares[0]), round(count * (shares[0] + shares[1]))
    parts = [np.sort(part) for part in np.split(order, [first, second])]
    return Split(parts[0], parts[1], parts[2], name=f"at random, groups ignored, seed {seed}")


def of_groups(groups: Sequence[str] | Names, chosen: Sequence[str]) -> Indices:
    """The places (n,) of all examples whose group is among `chosen`."""
    return np.flatnonzero(np.isin(np.asarray(groups, dtype=np.str_), np.asarray(chosen, dtype=np.str_))).astype(
        np.int64
    )


def check_no_leak(split: Split, groups: Sequence[str] | Names) -> None:
    """Raise DataError if a group, or an example, is in two parts of a split."""
    names = np.asarray(groups, dtype=np.str_)
    parts = list(split.parts.items())
    for i, (one, left) in enumerate(parts):
        if len(np.unique(left)) != len(left):
            raise DataError(f"Expected each example once, but the {one} part holds some twice; remove the repeats.")
        for other, right in parts[i + 1 :]:
            shared = np.intersect1d(names[left], names[right])
            if len(shared):
                more = f" and {len(shared) - 1} more" if len(shared) > 1 else ""
                raise DataError(
                    f"Expected nobody on both sides of a split, but “{shared[0]}”{more} is in the {one} and the "
                    f"{other} part; split by group (mien.training.splits.by_group)."
                )


def _dealt(
    groups: Sequence[str] | Names, labels: Sequence[Any] | NDArray[Any], shares: NDArray[np.float64], seed: int
) -> list[Indices]:
    """The places of the examples of each part, ascending."""
    names, group_of = np.unique(np.asarray(groups, dtype=np.str_), return_inverse=True)
    _, class_of = np.unique(np.asarray(labels), return_inverse=True)
    if len(group_of) != len(class_of):
        raise DataError(f"Expected one label per group entry, but got {len(class_of)} for {len(group_of)}.")
    used = np.flatnonzero(shares > 0)
    if len(names) < len(used):
        raise DataError(
            f"Expected at least {len(used)} people (groups) for {len(used)} parts, but there are {len(names)}; "
            "add people, or ask for fewer parts."
        )
    table = np.zeros((len(names), class_of.max() + 1))
    np.add.at(table, (group_of, class_of), 1)
    # Where a label is its own group, no class can be spread: then only the number of examples is balanced.
    if len(names) > 1 and (np.count_nonzero(table, axis=0) == 1).all():
        table = table.sum(axis=1, keepdims=True)
    part_of = _assigned(table / table.sum(axis=0), shares, seed)
    return [np.flatnonzero(part_of[group_of] == part).astype(np.int64) for part in range(len(shares))]


def _assigned(weights: NDArray[np.float64], shares: NDArray[np.float64], seed: int) -> Indices:
    """The part of each group: `weights` (G, K) is the share of each class that a group holds."""
    shuffled = np.random.default_rng(seed).permutation(len(weights))
    order = shuffled[np.argsort(-weights[shuffled].max(axis=1), kind="stable")]
    part_of = np.zeros(len(weights), np.int64)
    lack = np.outer(shares, np.ones(weights.shape[1]))
    empty = {int(part) for part in np.flatnonzero(shares > 0)}
    for left, group in zip(range(len(order), 0, -1), order, strict=True):
        # The last groups are kept for the parts that still have none.
        candidates = sorted(empty) if left <= len(empty) else np.flatnonzero(shares > 0)
        after = [
            float(np.square(lack - weights[group] * (np.arange(len(shares))[:, None] == part)).sum())
            for part in candidates
        ]
        part = int(candidates[int(np.argmin(after))])
        part_of[group] = part
        lack[part] -= weights[group]
        empty.discard(part)
    return part_of
