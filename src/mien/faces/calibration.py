"""A calibration: how often an encoder is wrong at each threshold τ, as it was measured, and no further.

Measured means: at least 30 pairs of different people were taken for one person at that τ. Below, the rate is
extrapolated, and only a pessimistic upper bound is stated; below the bound's reach nothing is.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien import images
from mien.errors import CalibrationError, OptionError

VERSION = 1
"""Of the file's form."""
MOST_PEOPLE = 1_000_000_000
"""Beyond so many it does not matter how many more."""

Column = tuple[float, ...]


@dataclass(frozen=True)
class Rate:
    """An error rate with its 95 % interval; an extrapolated one is a bound: value = high, low = 0."""

    value: float
    low: float
    high: float
    extrapolated: bool

    @property
    def label(self) -> str:
        """How the rate is known, in words."""
        return "extrapolated, pessimistic bound" if self.extrapolated else "measured"


_COLUMNS = (
    "thresholds", "false_matches", "fmr", "fmr_low", "fmr_high", "spread", "fnmr", "fnmr_low", "fnmr_high",
)  # fmt: skip


@dataclass(frozen=True)
class Table:
    """Error rates over a grid of thresholds, one row each.

    Every interval is to hold 95 % of the rates found among *another* group of as many people: it is √2 times as wide,
    on a logarithmic scale, as a confidence interval by the same bootstrap over identities.
    """

    thresholds: Column
    """Ascending τ; a comparison matches where distance < τ."""
    measured_from: int
    """The first row that is measured; those before it are extrapolated."""
    false_matches: tuple[int, ...]
    """How many impostor comparisons matched."""
    fmr: Column
    """False match rate, over all comparisons of two people's photos."""
    fmr_low: Column
    fmr_high: Column
    """Upper end of the interval where measured; before that the pessimistic bound. It never falls."""
    spread: Column
    """How unequal strangers are: the squared coefficient of variation of a stranger's own false match rate."""
    fnmr: Column
    """False non-match rate of two photos of one person, each person counting the same."""
    fnmr_low: Column
    fnmr_high: Column

    def __post_init__(self) -> None:
        rows = len(self.thresholds)
        for name in _COLUMNS:
            column = self.column(name)
            if rows < 2 or column.shape != (rows,) or not np.isfinite(column).all() or column.min() < 0:
                raise CalibrationError(f"Expected at least two rows of a calibration, with numbers as {name}.")
        if (np.diff(self.thresholds) <= 0).any() or (np.diff(self.fmr_high) < 0).any() or self.fmr_high[0] <= 0:
            raise CalibrationError("Expected a calibration whose thresholds and FMR rise, and whose bounds are not 0.")
        if not 0 <= self.measured_from < rows:
            raise CalibrationError("Expected a calibration with at least one measured row.")

    def column(self, name: str) -> NDArray[np.float64]:
        """A column by its name, as an array."""
        return np.asarray(getattr(self, name), dtype=np.float64)

    def at(self, tau: float, name: str) -> float:
        """A column at τ: between two rates on a logarithmic scale, or evenly where one of them is 0."""
        row = min(max(int(np.searchsorted(self.thresholds, tau, side="right")) - 1, 0), len(self.thresholds) - 2)
        column: Column = getattr(self, name)
        a, b = column[row], column[row + 1]
        part = (tau - self.thresholds[row]) / (self.thresholds[row + 1] - self.thresholds[row])
        return float(a * (b / a) ** part if a > 0 and b > 0 else a + part * (b - a))


@dataclass(frozen=True)
class Calibration:
    """Error rates of an encoder at every threshold; `calibrate` makes one, `load_calibration` reads one."""

    encoder: str
    source: str
    """What was compared, in words."""
    notes: tuple[str, ...]
    """What a reader must know about the data: labels that were corrected, who is missing."""
    people: int
    photos: int
    impostor_comparisons: int
    genuine_people: int
    """People with at least two photos."""
    genuine_comparisons: int
    seed: int
    """Of the bootstrap."""
    table: Table

    def __post_init__(self) -> None:
        if min(self.people, self.impostor_comparisons, self.genuine_comparisons) < 1:
            raise CalibrationError("Expected a calibration with people and comparisons.")

    # ---- rates at a threshold ----------------------------------------------------------------------------------------

    def fmr(self, tau: float) -> Rate:
        """False match rate at τ: how often two strangers are taken for one person, per comparison.

        Raises CalibrationError where τ lies outside the grid: stricter than the bound reaches, or useless.
        """
        self._check(tau)
        high = self.table.at(tau, "fmr_high")
        if tau < self.table.thresholds[self.table.measured_from]:
            return Rate(high, 0.0, high, True)
        return Rate(self.table.at(tau, "fmr"), self.table.at(tau, "fmr_low"), high, False)

    def fnmr(self, tau: float) -> Rate:
        """False non-match rate at τ: how often two photos of one person are not taken for one person."""
        self._check(tau)
        return Rate(self.table.at(tau, "fnmr"), self.table.at(tau, "fnmr_low"), self.table.at(tau, "fnmr_high"), False)

    def fpir(self, tau: float, people: int, *, samples_per_person: float = 1) -> Rate:
        """False positive identification rate at τ: how often a stranger is taken for one of `people` enrolled, K.

        The upper end takes all comparisons as independent: 1 - (1 - FMR)^(K · samples). Strangers are not alike,
        and those who resemble one person resemble more: that can only lower the rate, so value and lower end are the
        mean of 1 - exp(-K · samples · p) over strangers whose own rate p is gamma-distributed with the measured
        spread. Below 1 % the two agree.
        """
        compared = _compared(people, samples_per_person)
        fmr = self.fmr(tau)
        high = _independent(fmr.high, compared)
        if fmr.extrapolated:
            return Rate(high, 0.0, high, True)
        spread = self.table.at(tau, "spread")
        return Rate(_unequal(fmr.value, compared, spread), _unequal(fmr.low, compared, spread), high, False)

    # ---- thresholds for a rate ---------------------------------------------------------------------------------------

    def threshold_for_fmr(self, fmr: float = 1e-4, *, pessimistic: bool = True) -> float:
        """The largest τ of the grid's range whose FMR does not exceed `fmr`: its upper end, unless not pessimistic.

        Where the rate can only be extrapolated, it is the bound in either case. Raises CalibrationError for a rate
        that is lower than the data can support, OptionError for one that is no rate or past the grid's end.
        """
        if not 0 < fmr < 1:
            raise OptionError(f"Expected a false match rate between 0 and 1, such as 0.0001; got {fmr}.")
        self._check_reach(fmr, fmr, "false match rate", compared=1)
        rates = self.table.column("fmr_high")
        if not pessimistic:
            rates = np.append(rates[: self.table.measured_from], self.table.fmr[self.table.measured_from :])
            rates = np.maximum.accumulate(rates)
        if fmr > rates[-1]:
            raise OptionError(
                f"Expected a false match rate up to {rates[-1]:.2g}; got {fmr:g}: a threshold as loose as that takes "
                "too many strangers for the person."
            )
        row = int(np.searchsorted(rates, fmr, side="right")) - 1
        if row < 0:
            return self.table.thresholds[0]
        if row == len(rates) - 1:
            return self.table.thresholds[-1]
        part = math.log(fmr / rates[row]) / math.log(rates[row + 1] / rates[row])
        return self.table.thresholds[row] + part * (self.table.thresholds[row + 1] - self.table.thresholds[row])

    def threshold_for_fpir(self, fpir: float, people: int, *, samples_per_person: float = 1) -> float:
        """The largest τ that keeps the FPIR's upper end among `people` enrolled, K, within `fpir` (0 to 1).

        Raises CalibrationError where that takes a lower FMR than the data can support.
        """
        _check_fpir(fpir)
        fmr = self._fmr_for(fpir, people, samples_per_person)
        compared = _compared(people, samples_per_person)
        among = "one person" if people == 1 else f"{people:,} people"
        self._check_reach(fmr, fpir, f"false positive identification rate among {among}", compared=compared)
        return self.threshold_for_fmr(min(fmr, self.table.fmr_high[-1]))

    def supports(self, fpir: float, people: int, *, samples_per_person: float = 1) -> bool:
        """Whether the data support a threshold for this FPIR among so many people."""
        return self._reached(self._fmr_for(fpir, people, samples_per_person))

    def most_people(self, fpir: float, *, samples_per_person: float = 1) -> int | None:
        """The largest K for which the data support a threshold for this FPIR; 0 if not for one, None beyond 1e9."""
        _check_fpir(fpir)
        _compared(1, samples_per_person)
        if not self.supports(fpir, 1, samples_per_person=samples_per_person):
            return 0
        few, many = 1, MOST_PEOPLE
        if self.supports(fpir, many, samples_per_person=samples_per_person):
            return None
        while many - few > 1:
            middle = (few + many) // 2
            if self.supports(fpir, middle, samples_per_person=samples_per_person):
                few = middle
            else:
                many = middle
        return few

    @property
    def lowest_fmr(self) -> float:
        """The lowest rate that is stated at all, as a bound."""
        return self.table.fmr_high[0]

    @property
    def lowest_measured_fmr(self) -> float:
        """The lowest rate that is measured."""
        return self.table.fmr[self.table.measured_from]

    # ---- files -------------------------------------------------------------------------------------------------------

    def to_json(self) -> str:
        """The calibration as a JSON text; `from_json` gives an equal one."""
        return json.dumps({"version": VERSION, **asdict(self)}, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Calibration:
        """The calibration of a text that `to_json` made; CalibrationError if it is none, or of another version."""
        try:
            record = json.loads(text)
        except ValueError as error:
            raise CalibrationError(f"Expected a calibration, got a text that is no JSON: {error}.") from error
        if not isinstance(record, Mapping) or record.get("version") != VERSION:
            raise CalibrationError(
                f"Expected a calibration of version {VERSION}; make one with: mien faces calibrate DIR"
            )
        try:
            table = _record(record.get("table"), Table)
            return cls(**_record({**record, "table": None}, cls, besides="version"), table=Table(**table))
        except (TypeError, ValueError) as error:
            raise CalibrationError(f"Expected the fields of a calibration: {error}.") from error

    def save(self, path: str | Path, *, force: bool = False) -> Path:
        """Write the calibration as JSON; OutputError if the file exists (unless `force`) or cannot be written."""
        return images.write_whole(path, lambda file: file.write(self.to_json().encode()), force=force)

    # ---- inside ------------------------------------------------------------------------------------------------------

    def _check(self, tau: float) -> None:
        first, last = self.table.thresholds[0], self.table.thresholds[-1]
        if not first <= tau <= last:
            raise CalibrationError(
                f"Expected a threshold from {first:.3f} to {last:.3f}, where the {self.encoder} encoder is calibrated; "
                f"got {tau:.3f}, and what it stands for is not known."
            )

    def _fmr_for(self, fpir: float, people: int, samples: float) -> float:
        return -math.expm1(math.log1p(-fpir) / _compared(people, samples))

    def _reached(self, fmr: float) -> bool:
        return fmr >= self.table.fmr_high[0] * (1 - 1e-9)

    def _check_reach(self, fmr: float, rate: float, name: str, *, compared: float) -> None:
        if self._reached(fmr):
            return
        lowest = _independent(self.table.fmr_high[0], compared)
        raise CalibrationError(
            f"A {name} of {rate:.2g} is lower than the comparisons of {self.people:,} people can support. Ask for "
            f"{_rounded_up(lowest)} or more, or calibrate with more people: mien faces calibrate DIR"
        )


def load_calibration(name: str | Path) -> Calibration:
    """The calibration that is shipped for an encoder, such as `sface`, or that of a JSON file.

    Raises CalibrationError where there is none: an encoder without one cannot decide anything.
    """
    path = Path(name)
    shipped = resources.files("mien.faces") / "calibrations"
    known = sorted(entry.name.removesuffix(".json") for entry in shipped.iterdir() if entry.name.endswith(".json"))
    try:
        if str(name) in known:
            return Calibration.from_json((shipped / f"{name}.json").read_text(encoding="utf-8"))
        return Calibration.from_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CalibrationError(
            f"Expected a calibration: a file, or the name of a shipped one ({', '.join(known)}); got {str(name)!r}, "
            "which is neither. Make one from photos of your own people with: mien faces calibrate DIR"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise CalibrationError(f"Expected a calibration that can be read; {path}: {error}.") from error
    except CalibrationError as error:
        raise CalibrationError(f"{path}: {error}") from error


def _check_fpir(fpir: float) -> None:
    if not 0 < fpir < 1:
        raise OptionError(f"Expected a false positive identification rate between 0 and 1; got {fpir}.")


def _compared(people: int, samples: float) -> float:
    if people < 1 or not samples > 0:
        raise OptionError(f"Expected at least one person and one sample; got {people} and {samples}.")
    return people * samples


def _independent(fmr: float, compared: float) -> float:
    """1 - (1 - FMR)^n without losing digits."""
    return 1.0 if fmr >= 1 else -math.expm1(compared * math.log1p(-fmr))


def _unequal(fmr: float, compared: float, spread: float) -> float:
    """Mean of 1 - exp(-n p) over strangers with gamma-distributed p: 1 - (1 + c n f)^(-1/c), for c → 0 as if equal."""
    if spread < 1e-6:
        return _independent(fmr, compared)
    return min(-math.expm1(-math.log1p(spread * compared * fmr) / spread), _independent(fmr, compared))


def _rounded_up(rate: float) -> str:
    """Two digits that are not less than the rate, for a person to type."""
    step = 10.0 ** (math.floor(math.log10(rate)) - 1)
    return f"{math.ceil(rate / step) * step:.2g}"


def _record(value: Any, kind: type, besides: str = "") -> dict[str, Any]:
    """The fields of a record of the file, but the table; TypeError or ValueError where one is missing or odd."""
    fields = kind.__dataclass_fields__  # type: ignore[attr-defined]
    if not isinstance(value, Mapping):
        raise TypeError(f"a {kind.__name__.lower()} is missing")
    wrong = sorted((set(value) ^ set(fields)) - {besides})
    if wrong:
        raise ValueError(f"missing or unknown are {', '.join(wrong)}")
    return {name: _read(value[name], fields[name].type) for name in fields if name != "table"}


def _read(value: Any, kind: str) -> Any:
    """A field in its type: a text, a whole number, or several; else a column of numbers."""
    if kind in _SCALARS:
        if type(value) is not _SCALARS[kind]:
            raise TypeError(f"{value!r:.40} is no {kind}")
        return value
    if not isinstance(value, list):
        raise TypeError(f"{value!r:.40} is no list")
    part = kind.removeprefix("tuple[").removesuffix(", ...]")
    return tuple(_read(item, part) for item in value) if part in _SCALARS else tuple(map(float, value))


_SCALARS: dict[str, type] = {"str": str, "int": int}
