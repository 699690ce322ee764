"""Rates and counts as people read them: two digits that matter, never an exponent, and no bound rounded down."""

from __future__ import annotations

import math
from typing import Literal

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


def _plain(number: float, digits: int) -> str:
    if number == 0:
        return "0"
    places = max(0, digits - 1 - math.floor(math.log10(abs(number))))
    text = f"{number:,.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
