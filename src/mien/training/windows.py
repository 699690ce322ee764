"""Windows of long signals and large volumes: sliding ones, and ones about an event such as an R peak."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError, OptionError
from mien.training.data import Array, Dataset

Remainder = Literal["drop", "pad", "overlap"]
"""What becomes of the stretch at the end that no whole window covers: left out, filled up with the edge's value, or
covered by one more window that ends at the end and overlaps the one before it."""


def starts(length: int, *, size: int, step: int, remainder: Remainder = "overlap") -> tuple[int, ...]:
    """Where windows of `size` begin along an axis of `length`: 0, step, 2 step, ...

    An axis shorter than a window gives one padded window with "pad", and none with the others.
    """
    if size < 1 or step < 1:
        raise OptionError(f"Expected a size and a step of at least 1, but got {size} and {step}.")
    if remainder not in ("drop", "pad", "overlap"):
        raise OptionError(f"Expected a remainder of drop, pad or overlap, but got {remainder!r}.")
    whole = list(range(0, length - size + 1, step))
    covered = whole[-1] + size if whole else 0
    if covered < length:
        if remainder == "pad":
            whole.append(whole[-1] + step if whole else 0)
        elif remainder == "overlap" and whole:
            whole.append(length - size)
    return tuple(whole)


def places(
    shape: Sequence[int], *, size: Sequence[int], step: Sequence[int], remainder: Remainder = "overlap"
) -> tuple[tuple[int, ...], ...]:
    """The first corner of every window in an array of this spatial `shape`, the last axis fastest."""
    if not len(shape) == len(size) == len(step):
        raise OptionError(
            f"Expected a size and a step for each of the {len(shape)} axes, but got {len(size)} and {len(step)}."
        )
    axes = [starts(n, size=s, step=t, remainder=remainder) for n, s, t in zip(shape, size, step, strict=True)]
    return tuple(itertools.product(*axes))


def cut(values: NDArray[Any], corner: Sequence[int], size: Sequence[int]) -> NDArray[Any]:
    """The window (C, *size) of values (C, *spatial) at `corner`; beyond the edge the edge's value goes on."""
    window = values
    for axis, (first, wide, length) in enumerate(zip(corner, size, values.shape[1:], strict=True), start=1):
        if first >= 0 and first + wide <= length:
            window = window[(slice(None),) * axis + (slice(first, first + wide),)]
        else:
            window = np.take(window, np.arange(first, first + wide).clip(0, length - 1), axis=axis)
    return window


def about(
    values: NDArray[Any], events: NDArray[np.int64] | Sequence[int], *, size: int, before: int | None = None
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Windows (M, C, size) of a signal (C, L) about events (E,), and which events have one (E,): those wholly inside.

    before: how many samples come before the event; half by default, so that the event is sample size // 2.
    """
    lead = size // 2 if before is None else before
    first = np.asarray(events, np.int64) - lead
    inside = (first >= 0) & (first + size <= values.shape[-1])
    if not values.shape[-1] >= size:
        return np.empty((0, len(values), size), values.dtype), inside
    views = np.lib.stride_tricks.sliding_window_view(values, size, axis=-1)
    return np.ascontiguousarray(views[:, first[inside]].swapaxes(0, 1)), inside


def windowed(data: Dataset, *, size: Sequence[int], step: Sequence[int], remainder: Remainder = "overlap") -> Dataset:
    """Every example cut into windows that keep its label and group, so that a split by group cuts no recording.

    Each file is read once now, to know its length. Raises DataError for an example without a whole window.
    """
    examples, wheres = [], []
    for i, example in enumerate(data.examples):
        shape = data.shape or data[i].shape[1:]
        corners = places(shape, size=size, step=step, remainder=remainder)
        if not corners:
            raise DataError(
                f"Expected at least one window of {tuple(size)} in {example.source}, but it is only {tuple(shape)}; "
                'choose a smaller size, or remainder="pad".'
            )
        for corner in corners:
            examples.append(replace(example, source=f"{example.source} at {corner}"))
            wheres.append((i, corner))
    kept = None if data.extras is None else data.extras[[i for i, _ in wheres]]
    read = _Windows(data, tuple(wheres), tuple(size), [])
    return replace(data, examples=tuple(examples), read=read, shape=tuple(size), extras=kept)


@dataclass(frozen=True, eq=False)
class _Windows:
    data: Dataset
    wheres: tuple[tuple[int, tuple[int, ...]], ...]
    size: tuple[int, ...]
    last: list[tuple[int, Array]]
    """The recording read last: its windows follow each other, and reading it for each would take long."""

    def __call__(self, index: int) -> Array:
        source, corner = self.wheres[index]
        held = self.last[0] if self.last else None
        if held is None or held[0] != source:
            held = (source, self.data[source])
            self.last[:] = [held]
        return np.ascontiguousarray(cut(held[1], corner, self.size))
