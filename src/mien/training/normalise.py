"""Mean and scale per channel, fitted on the training part only and kept in the encoder's record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError, OptionError
from mien.training.data import Array

# Per example and channel, for the median: enough for its third digit, and a volume need not be kept whole.
_SAMPLED = 512
_IQR_OF_A_NORMAL = 1.3489795003921634


@dataclass(frozen=True)
class Normaliser:
    """`(x - mean) / scale` per channel."""

    mean: tuple[float, ...]
    scale: tuple[float, ...]
    fitted_on: str = ""
    """What it was fitted on, in words: the training part and its size."""
    robust: bool = False
    """Whether mean and scale are the median and the interquartile range (of a normal: the deviation)."""

    def __call__(self, values: Array) -> Array:
        """One example (C, *spatial), normalised."""
        return self.apply(values, channel_axis=0)

    def apply(self, values: Array, *, channel_axis: int) -> Array:
        """Values with their channels on `channel_axis` (0 for one example, 1 for a batch), normalised, float32."""
        if values.shape[channel_axis] != len(self.mean):
            raise DataError(
                f"Expected {len(self.mean)} channels, as in training, but got {values.shape[channel_axis]}; "
                "give data of the same kind."
            )
        shape = [1] * values.ndim
        shape[channel_axis] = -1
        mean = np.asarray(self.mean, np.float32).reshape(shape)
        scale = np.asarray(self.scale, np.float32).reshape(shape)
        normalised: Array = (values.astype(np.float32, copy=False) - mean) / scale
        return normalised

    def to_record(self) -> dict[str, Any]:
        """For `record.json`."""
        return {
            "mean": list(self.mean),
            "scale": list(self.scale),
            "fitted_on": self.fitted_on,
            "robust": self.robust,
        }


def from_record(record: Mapping[str, Any]) -> Normaliser:
    """What `to_record` wrote. Raises OptionError for anything else."""
    try:
        made = Normaliser(
            tuple(float(x) for x in record["mean"]),
            tuple(float(x) for x in record["scale"]),
            str(record.get("fitted_on", "")),
            bool(record.get("robust", False)),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise OptionError(f"Expected a normalisation with mean and scale per channel, but: {error}.") from error
    if len(made.mean) != len(made.scale) or not made.mean or min(made.scale) <= 0:
        raise OptionError(
            f"Expected as many scales above 0 as means, but got {list(made.scale)} for {list(made.mean)}; "
            "the record is damaged: export the encoder again."
        )
    return made


def fit(arrays: Iterable[NDArray[Any]], *, robust: bool = False, fitted_on: str = "the training part") -> Normaliser:
    """Mean and deviation per channel over examples (C, *spatial), of any sizes, one pass, in float64.

    robust: median and interquartile range / 1.349 of up to 512 evenly spaced values per example and channel: spikes
        and dropouts do not move them.
    A channel that never changes gets the scale 1. Give the training part only: the caller's duty, and `Split`'s.
    """
    return _robust(arrays, fitted_on) if robust else _moments(arrays, fitted_on)


def _moments(arrays: Iterable[NDArray[Any]], fitted_on: str) -> Normaliser:
    # Chan, Golub & LeVeque 1979: merging means and sums of squares keeps what a plain sum of squares cancels.
    examples, count = 0, 0
    mean = squares = np.zeros(0)
    for array in arrays:
        flat = np.asarray(array, np.float64).reshape(len(array), -1)
        n, here = flat.shape[1], flat.mean(axis=1)
        spread = np.square(flat - here[:, None]).sum(axis=1)
        if count == 0:
            mean, squares = here, spread
        else:
            _check_channels(len(here), len(mean))
            apart = here - mean
            mean = mean + apart * n / (count + n)
            squares = squares + spread + np.square(apart) * count * n / (count + n)
        count, examples = count + n, examples + 1
    _check_some(examples)
    return _made(mean, np.sqrt(squares / count), f"{fitted_on} ({examples:,} examples)", robust=False)


def _robust(arrays: Iterable[NDArray[Any]], fitted_on: str) -> Normaliser:
    kept: list[NDArray[np.float64]] = []
    for array in arrays:
        flat = np.asarray(array, np.float64).reshape(len(array), -1)
        if kept:
            _check_channels(len(flat), len(kept[0]))
        places = np.linspace(0, flat.shape[1] - 1, min(_SAMPLED, flat.shape[1])).round().astype(int)
        kept.append(flat[:, places])
    _check_some(len(kept))
    low, middle, high = np.percentile(np.concatenate(kept, axis=1), [25, 50, 75], axis=1)
    return _made(middle, (high - low) / _IQR_OF_A_NORMAL, f"{fitted_on} ({len(kept):,} examples)", robust=True)


def _made(mean: NDArray[np.float64], scale: NDArray[np.float64], fitted_on: str, *, robust: bool) -> Normaliser:
    # Rounding alone gives a constant channel a deviation near 1e-17 of its mean.
    flat = scale <= 1e-12 * np.maximum(np.abs(mean), 1.0)
    scales = np.where(flat, 1.0, scale)
    return Normaliser(tuple(map(float, mean)), tuple(map(float, scales)), fitted_on, robust)


def _check_channels(got: int, expected: int) -> None:
    if got != expected:
        raise DataError(f"Expected {expected} channels in every example, but one has {got}; bring them to one number.")


def _check_some(examples: int) -> None:
    if not examples:
        raise DataError("Expected examples to fit the normalisation on, but the training part is empty; add examples.")
