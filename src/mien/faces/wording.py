"""Rates and counts as people read them: two digits that matter, never an exponent, and no bound rounded down."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from mien.faces.calibration import Rate

Toward = Literal["nearest", "up", "down"]
_ALMOST = 1e-7
"""Of a last digit: what a float's own error may add to a bound without costing it a digit."""


def two_digits(number: float, *, toward: Toward = "nearest", digits: int = 2) -> float:
    """The number with so many digits that matter; a bound is rounded `up`, or `down` where it bounds from below."""
    if number == 0 or not math.isfinite(number):
        return number
    step = 10.0 ** (math.floor(math.log10(abs(number))) + 1 - digits)
    if toward == "up":
        number = math.ceil(number / step - _ALMOST) * step
    elif toward == "down":
        number = math.floor(number / step + _ALMOST) * step
    return float(f"{number:.{digits}g}")


def percent(rate: float, *, digits: int = 2, toward: Toward = "nearest") -> str:
    """A rate in percent, never with an exponent: 0.0001 %, 5 %, 100 %."""
    return f"{_plain(two_digits(100 * rate, toward=toward, digits=digits), digits)} %" if math.isfinite(rate) else "–"


def count(number: float, *, toward: Toward = "nearest") -> str:
    """How many, on average: 0.018, 3.6, 1,100; from 10 on whole."""
    rounded = two_digits(number, toward=toward)
    if number >= 9.5:
        whole = math.ceil(rounded) if toward == "up" else math.floor(rounded) if toward == "down" else round(rounded)
        return f"{whole:,}"
    return _plain(rounded, 2)


def rate_in_words(rate: Rate | None) -> str:
    """A measured rate in a table: "–" beyond what the data support, "≤" a bound, "<" where nothing was seen."""
    if rate is None:
        return "–"
    if rate.extrapolated or rate.value == 0:
        return f"{'≤' if rate.extrapolated else '<'} {percent(rate.high, toward='up')}"
    return percent(rate.value)


def times_in_words(rate: Rate | None) -> str:
    """How often something happens, in a table: as a number, not a share; "–" and "≤" as in `rate_in_words`."""
    if rate is None:
        return "–"
    return f"≤ {count(rate.high, toward='up')}" if rate.extrapolated else count(rate.value)


def _plain(number: float, digits: int) -> str:
    if number == 0:
        return "0"
    places = max(0, digits - 1 - math.floor(math.log10(abs(number))))
    text = f"{number:,.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
