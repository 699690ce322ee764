"""`ecg`: heartbeats of 22 patients in the AAMI classes N, S, V, F; five fixed folds by patient, pooled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError
from mien.training.data import Array, Dataset, Example, from_arrays, stacked
from mien.training.reading.signals import Signal, read_events, read_wfdb
from mien.training.recipes import standins
from mien.training.recipes.places import find_folder
from mien.training.splits import Protocol, RecipeData, from_parts, of_groups
from mien.training.windows import about

AAMI = {
    **dict.fromkeys("NLRej", "N"),
    **dict.fromkeys("AaJS", "S"),
    **dict.fromkeys("VE", "V"),
    "F": "F",
    **dict.fromkeys("/fQ", "Q"),
}
"""MIT-BIH's symbols in the classes of ANSI/AAMI EC57: normal, supraventricular, ventricular, fusion, unknown."""

CLASSES = ("F", "N", "S", "V")
FOLDS = (
    ("106", "109", "118", "124", "201"),
    ("108", "116", "119", "207"),
    ("101", "115", "122", "208", "220"),
    ("112", "205", "209", "215"),
    ("114", "203", "223", "230"),
)
"""The patients (record numbers) of each fold, fixed: every fold has S and V, and 208 has nearly all F."""

WINDOW = 256
RR = ("RR before / local", "RR after / local", "RR before / recording", "RR after / before")
SHAPE = tuple(f"{what} the usual beat, lead {lead}" for what in ("like", "larger than", "far from") for lead in (1, 2))
EXTRAS = (*RR, *SHAPE)
_LOCAL = 10
_RATE = 360.0
_MITBIH = (
    "MIT-BIH Arrhythmia Database (Moody & Mark 2001; PhysioNet), the {patients} records of DS1 (de Chazal 2004): "
    "{beats} beats, both leads (MLII first), 256 samples about the R peak at 360 Hz, in mV, baseline taken off. {usual}"
)
_USUAL = "Beside each beat stands how it differs from the median beat of its recording, which needs no labels."
_STAND_IN = (
    "STAND-IN: these heartbeats are drawn by a generator ({patients} invented patients, {beats} beats), because the "
    "MIT-BIH records were not found; give their folder (--data) or set MIEN_DATA. The figures say nothing about hearts."
)


def load(
    folder: str | Path | None = None,
    *,
    usual: bool = True,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> RecipeData:
    """Beats (4, 256), or (2, 256), in mV; the label is the AAMI class, the group the patient; see `EXTRAS`.

    The eight beats of class Q (unknown) are left out.

    Args:
        folder: the one with the .hea, .dat and .atr files.
        usual: channels 2 and 3 are both leads less the recording's usual (median) beat, and `SHAPE` follows `RR` in
            the extras. No label goes into it, but the whole recording does: it fits a Holter, not a live monitor.
        seed: of the stand-in only.
        progress: called with the records read, and their number.
    """
    found = find_folder(folder, "ecg_mitbih_ds1")
    data = standins.beats(seed=seed) if found is None else _read(found, progress)
    if usual:
        data = beside_usual(data)
    text = _STAND_IN if found is None else _MITBIH
    said = _USUAL if usual else ""
    sentence = text.format(patients=len(set(data.groups.tolist())), beats=f"{len(data):,}", usual=said).strip()
    return RecipeData("ecg", data, _protocol(data), (sentence,), found is None)


def beside_usual(data: Dataset) -> Dataset:
    """Beats (2, L) as (4, L): each lead, and each less the median beat of its recording; `SHAPE` joins the extras."""
    beats, groups = stacked(data), data.groups
    both = np.empty((len(beats), 4, beats.shape[2]), np.float32)
    shapes = np.empty((len(beats), len(SHAPE)), np.float32)
    for patient in np.unique(groups):
        own = np.flatnonzero(groups == patient)
        usual = np.median(beats[own], axis=0)
        both[own, :2], both[own, 2:] = beats[own], beats[own] - usual
        shapes[own] = shape_ratios(beats[own], usual)
    extras = shapes if data.extras is None else np.concatenate([data.extras, shapes], axis=1)
    labels = [example.label for example in data.examples]
    made = from_arrays(both, labels, kind="signal", rate=data.rate, extras=extras)
    return standins.marked(made, data.examples)


def shape_ratios(beats: Array, usual: Array) -> Array:
    """(B, 6) for beats (B, 2, L) and the usual one (2, L) of their recording, as `SHAPE` names them; 0 means: as usual.

    Over the middle half of the window: correlation, log of the size, log of the distance; each less its median in the
    recording, so that a noisy recording is no different from a clean one.
    """
    quarter = beats.shape[2] // 4
    x, m = (a[..., quarter : 3 * quarter].astype(np.float64) for a in (beats, usual))
    apart = np.square(x - m).sum(-1)
    x, m = (a - a.mean(axis=-1, keepdims=True) for a in (x, m))
    own, other = np.square(x).sum(-1), np.square(m).sum(-1)
    like = (x * m).sum(-1) / np.sqrt(own * other + 1e-9)
    larger = np.log((own + 1e-3) / (other + 1e-3)) / 2
    far = np.log(apart / (other + 1e-3) + 1e-3)
    ratios = np.concatenate([like, larger, far], axis=1)
    beside: Array = (ratios - np.median(ratios, axis=0)).astype(np.float32)
    return beside


def rr_ratios(peaks: NDArray[np.int64]) -> Array:
    """(E, 4) for R peaks (E,) of one recording, as `EXTRAS` names them; 1 means: as usual here.

    Local is the median of the RR intervals of the ten beats before and the ten after. At both ends of a recording the
    missing interval is taken as the local one. Ratios are clipped to 1/4 and 4: longer gaps are pauses.
    """
    gaps = np.diff(peaks).astype(np.float64)
    if len(gaps) == 0:
        return np.ones((len(peaks), 4), np.float32)
    before, after = np.append(np.nan, gaps), np.append(gaps, np.nan)
    padded = np.pad(gaps, _LOCAL, constant_values=np.nan)
    local = np.nanmedian(np.lib.stride_tricks.sliding_window_view(padded, 2 * _LOCAL)[: len(peaks)], axis=1)
    before, after = np.where(np.isnan(before), local, before), np.where(np.isnan(after), local, after)
    ratios = np.stack([before / local, after / local, before / np.median(gaps), after / before], axis=1)
    return ratios.clip(0.25, 4).astype(np.float32)


def flattened(signal: Signal) -> Array:
    """The recording (C, L) without its baseline: less the median over 200 ms, then over 600 ms (de Chazal 2004).

    The medians run on every eighth sample (45 Hz): the baseline is slower than that by far.
    """
    from scipy.ndimage import median_filter

    values, rate, step = signal.values, signal.rate, 8
    coarse = values[:, ::step]
    for seconds in (0.2, 0.6):
        width = round(seconds * rate / step) | 1
        coarse = np.stack([median_filter(lead, size=width, mode="nearest") for lead in coarse])
    at = np.arange(values.shape[1])
    baseline = np.stack([np.interp(at, at[::step], lead) for lead in coarse])
    flat: Array = (values - baseline).astype(np.float32)
    return flat


def _read(folder: Path, progress: Callable[[int, int], None] | None) -> Dataset:
    headers = sorted(folder.glob("*.hea"))
    if not headers:
        raise DataError(f"Expected WFDB records (.hea, .dat, .atr) in “{folder}”, but there are none.")
    windows, ratios, examples = [], [], []
    for i, header in enumerate(headers):
        beats, extras, symbols = _beats(header)
        windows.append(beats)
        ratios.append(extras)
        patient = header.stem
        examples += [Example(f"{header} beat {n}", AAMI[s], patient, {"symbol": s}) for n, s in enumerate(symbols)]
        if progress:
            progress(i + 1, len(headers))
    labels = [example.label for example in examples]
    data = from_arrays(
        np.concatenate(windows),
        labels,
        kind="signal",
        source=str(folder),
        rate=_RATE,
        extras=np.concatenate(ratios),
    )
    return standins.marked(data, examples)


def _beats(header: Path) -> tuple[Array, Array, list[str]]:
    """Windows (B, 2, 256), RR ratios (B, 4) and symbols (B,) of one record."""
    signal, events = read_wfdb(header), read_events(header)
    if signal.rate != _RATE or len(signal.values) != 2:
        raise DataError(
            f"Expected two leads at 360 Hz in “{header}”, but got {len(signal.values)} at {signal.rate:g} Hz; "
            "resample it, or leave it out."
        )
    lead = signal.names.index("MLII") if "MLII" in signal.names else 0  # in record 114 it comes second
    values = flattened(signal)[[lead, 1 - lead]]
    beats = np.array([symbol in AAMI for symbol in events.symbols])
    peaks = events.samples[beats]
    symbols = np.array([s for s in events.symbols if s in AAMI])
    # Every beat counts for the rhythm, also those that cannot be learnt from.
    ratios = rr_ratios(peaks)
    windows, inside = about(values, peaks, size=WINDOW)
    known = np.array([AAMI[s] != "Q" for s in symbols])
    kept = inside & known
    return windows[known[inside]], ratios[kept], symbols[kept].tolist()


def _protocol(data: Dataset) -> Protocol:
    parts = [of_groups(data.groups, patients) for patients in _folds(data)]
    sentence = (
        "Five fixed folds by patient, pooled: every beat is judged once, by a network that saw no beat of its patient. "
        "Macro-F1 goes over N, S and V; F is reported, but nearly all F beats are one patient's (208)."
    )
    return Protocol(
        "between patients", "classification", from_parts(parts, data.groups), sentence, True, ("N", "S", "V")
    )


def _folds(data: Dataset) -> list[list[str]]:
    patients = sorted(set(data.groups.tolist()))
    if set(patients) == {p for fold in FOLDS for p in fold}:
        return [list(fold) for fold in FOLDS]
    return [patients[i::5] for i in range(5)]
