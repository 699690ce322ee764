"""Sound and ECG as float32 (C, L) with their rate in Hz."""

from __future__ import annotations

import importlib
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError, MissingExtra
from mien.training.data import Array


@dataclass(frozen=True, eq=False)
class Signal:
    """A recording."""

    values: Array
    """(C, L): sound in [-1, 1], ECG in its own unit (mV)."""
    rate: float
    """Samples per second."""
    names: tuple[str, ...] = ()
    """The channels' names, such as MLII and V1."""


@dataclass(frozen=True, eq=False)
class Events:
    """An annotator's marks in a recording."""

    samples: NDArray[np.int64]
    """(E,): where each event is, in samples."""
    symbols: tuple[str, ...]
    """(E,): what it is, such as N or V."""


def read_wav(path: Path) -> Signal:
    """PCM sound of 8, 16, 24 or 32 bits. Raises DataError."""
    try:
        with wave.open(str(path), "rb") as file:
            channels, width, rate, frames = file.getparams()[:4]
            raw = file.readframes(frames)
    except (OSError, EOFError, wave.Error) as error:
        raise DataError(
            f"Expected PCM sound in “{path}”, but it cannot be read: {error or 'the file ends early'}; "
            "convert it to 16-bit WAV."
        ) from error
    if frames == 0 or len(raw) < frames * channels * width:
        raise DataError(f"Expected sound in “{path}”, but it is empty or cut short; replace it or leave it out.")
    samples = _pcm(raw, width).reshape(-1, channels)
    return Signal(np.ascontiguousarray(samples.T), float(rate))


def read_wfdb(path: Path) -> Signal:
    """A WFDB record (its .hea or .dat file, or its name without an ending) in physical units. Raises DataError."""
    wfdb = _wfdb()
    try:
        record = wfdb.rdrecord(_record(path))
    except Exception as error:  # wfdb raises anything from IndexError to its own on a damaged record
        raise DataError(
            f"Expected a WFDB record in “{path}”, but it cannot be read: {error}; it needs its .hea and its .dat file "
            "side by side."
        ) from error
    if record.p_signal is None:
        raise DataError(f"Expected one signal matrix in “{path}”, but its leads differ in rate; resample them first.")
    return Signal(record.p_signal.T.astype(np.float32), float(record.fs), tuple(record.sig_name))


def read_events(path: Path, *, extension: str = "atr") -> Events:
    """The annotations beside a WFDB record. Raises DataError."""
    wfdb = _wfdb()
    try:
        notes = wfdb.rdann(_record(path), extension)
    except Exception as error:  # as above
        raise DataError(
            f"Expected annotations (.{extension}) beside “{path}”, but they cannot be read: {error}; "
            "put the file there."
        ) from error
    return Events(np.asarray(notes.sample, np.int64), tuple(notes.symbol))


def _pcm(raw: bytes, width: int) -> Array:
    if width == 1:  # the only unsigned one
        return (np.frombuffer(raw, np.uint8).astype(np.float32) - 128) / np.float32(128)
    if width == 3:
        padded = np.zeros((len(raw) // 3, 4), np.uint8)
        padded[:, 1:] = np.frombuffer(raw, np.uint8)[: len(padded) * 3].reshape(-1, 3)
        whole = padded.view("<i4")[:, 0]
    else:
        whole = np.frombuffer(raw, f"<i{width}")
    top = 2.0 ** (31 if width == 3 else 8 * width - 1)
    scaled: Array = (whole.astype(np.float64) / top).astype(np.float32)
    return scaled


def _record(path: Path) -> str:
    return str(path.with_suffix("")) if path.suffix in (".hea", ".dat", ".atr") else str(path)


def _wfdb() -> Any:
    try:
        return importlib.import_module("wfdb")
    except ImportError as error:
        raise MissingExtra("Reading WFDB records", "training") from error
