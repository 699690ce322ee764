"""What one trains on: examples with labels and identities, read when they are asked for, and checked before training.

A dataset is opened by `mien.training.reading`, looked at by `check_examples` (one photo per person only? said now, not
after an hour), and read once by `in_memory`, which names the damaged file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError

Kind = Literal["image", "signal", "volume", "clip"]
Array = NDArray[np.float32]
Indices = NDArray[np.int64]

SPATIAL: Mapping[Kind, int] = {"image": 2, "signal": 1, "volume": 3, "clip": 3}
"""How many axes come after the channels."""

_AXES: Mapping[Kind, str] = {"image": "(C, H, W)", "signal": "(C, L)", "volume": "(C, D, H, W)", "clip": "(C, T, H, W)"}
_NO_MARKS: Mapping[str, str] = {}


@dataclass(frozen=True)
class Example:
    """One thing to learn from."""

    source: str
    """Where it comes from, for messages: a file, or a file and a place in it."""
    label: str
    group: str
    """The person, patient or volume it belongs to: what a split never cuts."""
    marks: Mapping[str, str] = field(default_factory=lambda: _NO_MARKS)
    """What else is known, such as the drawer of a character."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Examples of one kind; `dataset[i]` reads the i-th as float32 (C, *spatial)."""

    kind: Kind
    examples: tuple[Example, ...]
    read: Callable[[int], Array]
    """The i-th example as float32: images and clips in [0, 1], signals and volumes in their own units."""
    channels: int
    shape: tuple[int, ...] | None = None
    """The spatial shape that all examples have; None where it is not known yet, or they differ."""
    rate: float | None = None
    """Samples per second (Hz) of signals, pictures per second of clips."""
    spacing: tuple[float, ...] | None = None
    """Size of a voxel (D, H, W) in mm."""
    extras: Array | None = None
    """(N, E): numbers that stand beside each example, such as RR ratios."""
    notes: tuple[str, ...] = ()
    """What had to be decided while reading, as sentences."""
    class_names: tuple[str, ...] = ()
    """Set by `subset`, so that a label keeps its number where a class is missing from a part."""

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> Array:
        return self.read(index)

    @property
    def classes(self) -> tuple[str, ...]:
        """Every label once, in natural order (s2 before s10); of a subset, those of the whole."""
        return self.class_names or tuple(sorted({example.label for example in self.examples}, key=natural))

    @property
    def labels(self) -> Indices:
        """The label of each example (N,), as its place in `classes`."""
        place = {name: i for i, name in enumerate(self.classes)}
        return np.array([place[example.label] for example in self.examples], np.int64)

    @property
    def groups(self) -> NDArray[np.str_]:
        """The group of each example (N,)."""
        return np.array([example.group for example in self.examples], dtype=np.str_)

    def mark(self, name: str) -> NDArray[np.str_]:
        """The mark called `name` of each example (N,), empty where it has none."""
        return np.array([example.marks.get(name, "") for example in self.examples], dtype=np.str_)

    def subset(self, indices: Sequence[int] | Indices, *, renumber: bool = False) -> Dataset:
        """The examples at `indices`, in that order; `renumber` counts only the classes that occur among them."""
        chosen = np.asarray(indices, np.int64)
        return replace(
            self,
            examples=tuple(self.examples[i] for i in chosen),
            read=_Chosen(self.read, chosen),
            extras=None if self.extras is None else self.extras[chosen],
            class_names=() if renumber else self.classes,
        )


@dataclass(frozen=True, eq=False)
class _Chosen:
    read: Callable[[int], Array]
    indices: Indices

    def __call__(self, index: int) -> Array:
        return self.read(int(self.indices[index]))


@dataclass(frozen=True, eq=False)
class _Rows:
    arrays: Array

    def __call__(self, index: int) -> Array:
        row: Array = self.arrays[index]
        return row


def natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """A sorting key that takes digits as numbers: s2 comes before s10."""
    parts: list[tuple[int, int, str]] = []
    word = ""
    for character in [*text, ""]:
        if word and (not character or character.isdecimal() != word[-1].isdecimal()):
            parts.append((0, int(word), word) if word.isdecimal() else (1, 0, word))
            word = ""
        word += character
    return tuple(parts)


def from_arrays(
    arrays: NDArray[Any],
    labels: Sequence[str],
    *,
    kind: Kind,
    groups: Sequence[str] | None = None,
    source: str = "the array",
    rate: float | None = None,
    spacing: tuple[float, ...] | None = None,
    extras: NDArray[Any] | None = None,
) -> Dataset:
    """A dataset held in memory: arrays (N, C, *spatial), one label each; without groups the label is the group.

    Images of uint8 are divided by 255; everything else is taken as it is. Raises DataError for another shape, for
    values that are not finite, or for another number of labels.
    """
    if arrays.ndim != SPATIAL[kind] + 2:
        raise DataError(
            f"Expected {source} to have the shape (N, {_AXES[kind][1:]} for a {kind}, but got {arrays.shape}; "
            "add the missing axis (one channel is C = 1)."
        )
    groups = labels if groups is None else groups
    for what, given in (("label", labels), ("group", groups)):
        if len(given) != len(arrays):
            raise DataError(
                f"Expected one {what} for each of the {len(arrays)} examples in {source}, but got {len(given)}; "
                f"give one {what} per example, in the same order."
            )
    values = arrays.astype(np.float32) / np.float32(255) if arrays.dtype == np.uint8 else arrays.astype(np.float32)
    check_finite(values, source, each=True)
    examples = tuple(
        Example(f"{source}[{i}]", label, group) for i, (label, group) in enumerate(zip(labels, groups, strict=True))
    )
    return Dataset(
        kind,
        examples,
        _Rows(values),
        channels=values.shape[1],
        shape=values.shape[2:],
        rate=rate,
        spacing=spacing,
        extras=None if extras is None else np.asarray(extras, np.float32),
    )


def check_examples(data: Dataset, *, pairs: bool, at_least: int = 2) -> None:
    """Raise DataError unless one can learn from these labels; it reads no file.

    pairs: triplet and pair losses need two examples of one label; classification does not.
    at_least: how many labels there must be.
    """
    counts = Counter(example.label for example in data.examples)
    missing = [example.source for example in data.examples if not example.label.strip()]
    if missing:
        raise DataError(f"Expected a label for every example, but {missing[0]} has none{more(missing)}; add it.")
    if not counts:
        raise DataError("Expected examples to learn from, but there are none; give a folder with one folder per label.")
    if len(counts) < at_least:
        only = next(iter(counts))
        raise DataError(
            f"Expected at least {at_least} different labels, but every one of the {len(data)} examples is labelled "
            f"“{only}”; what likeness is can only be learnt beside others: add a folder (or rows) of another one."
            if len(counts) == 1
            else f"Expected at least {at_least} different labels, but got {len(counts)}; add more."
        )
    if pairs and max(counts.values()) < 2:
        raise DataError(
            f"Expected at least two examples of some label, but each of the {len(counts)} has only one (such as "
            f"{data.examples[0].source}); triplets need pairs: an anchor and a positive of the same person. Add more "
            "examples per person, or pre-train without labels."
        )


def in_memory(
    data: Dataset, *, limit: int = 2_000_000_000, progress: Callable[[int, int], None] | None = None
) -> Dataset:
    """Every example read once, so that a bad one is named before training; kept in memory up to `limit` bytes.

    Raises DataError naming the file for values that are not finite and for a shape unlike the first example's.
    `progress` is called with the number of examples read and their number in all. Beyond the limit the examples are
    still checked, but read again each time.
    """
    if isinstance(data.read, _Rows):
        return data
    rows: Array | None = None
    shape: tuple[int, ...] = ()
    for i, example in enumerate(data.examples):
        value = data.read(i)
        check_finite(value, example.source)
        if i == 0:
            shape = value.shape
            if value.nbytes * len(data) <= limit:
                rows = np.empty((len(data), *shape), np.float32)
        _check_shape(value.shape, shape, example.source, data)
        if rows is not None:
            rows[i] = value
        if progress:
            progress(i + 1, len(data))
    read = data.read if rows is None else _Rows(rows)
    return replace(data, read=read, channels=shape[0], shape=shape[1:]) if shape else data


def stacked(data: Dataset, indices: Iterable[int] | None = None) -> Array:
    """The examples at `indices` (all by default) as one array (N, C, *spatial)."""
    chosen = range(len(data)) if indices is None else [int(i) for i in indices]
    if isinstance(data.read, _Rows):
        rows: Array = data.read.arrays[np.asarray(chosen, np.int64)]
        return rows
    return np.stack([data.read(i) for i in chosen]) if len(chosen) else np.empty((0, data.channels), np.float32)


def check_finite(values: NDArray[Any], source: str, *, each: bool = False) -> None:
    """Raise DataError where values are NaN or infinite; `each` names the place along the first axis too."""
    finite = np.isfinite(values)
    if finite.all():
        return
    bad = np.argwhere(~finite)
    where = f"{source}[{bad[0][0]}]" if each else source
    at = tuple(int(i) for i in (bad[0][1:] if each else bad[0]))
    raise DataError(
        f"Expected finite values in {where}, but {len(bad)} are NaN or infinite, the first at {at} (channel first); "
        "fill the gaps (for a signal: interpolate, or cut that stretch out) and try again."
    )


def _check_shape(shape: tuple[int, ...], expected: tuple[int, ...], source: str, data: Dataset) -> None:
    if shape == expected:
        return
    fix = {
        "image": "give one size for all (size=64 or size=(height, width)), so that they are resized",
        "signal": "give a window (size and step), so that all are cut to one length",
        "volume": "give a window (size and step), or resample the volumes to one grid first",
        "clip": "give one size and number of frames for all (size=64, frames=16)",
    }[data.kind]
    raise DataError(
        f"Expected every example to be of one size {_AXES[data.kind]}, but {source} is {shape} and "
        f"{data.examples[0].source} is {expected}; {fix}."
    )


def more(names: Sequence[str]) -> str:
    """“ (and 3 more)” after the first of several names; nothing after a single one."""
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""
