"""The table of the risk in words, as `mien faces risk` prints it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mien.web.schemas import RiskRow

if TYPE_CHECKING:
    from mien.faces.calibration import Rate
    from mien.faces.risk import Risk


def risk_rows(found: Risk) -> list[RiskRow]:
    """One row for each number of people; "–" is beyond what the data support, "≤" a bound."""
    return [
        RiskRow(
            people=row.people,
            now=row.people == found.people,
            threshold=None if row.threshold is None else round(row.threshold, 4),
            let_in=_rate(row.fpir),
            unchanged=_rate(row.unchanged),
            refused=_rate(row.fnir),
            a_year=_a_year(row.false_acceptances_a_year),
            known=row.label,
        )
        for row in found.curve
    ]


def _rate(rate: Rate | None) -> str:
    if rate is None:
        return "–"
    from mien.faces.wording import percent

    if rate.extrapolated or rate.value == 0:
        return f"{'≤' if rate.extrapolated else '<'} {percent(rate.high, toward='up')}"
    return percent(rate.value)


def _a_year(rate: Rate | None) -> str:
    if rate is None:
        return "–"
    from mien.faces.wording import count

    return f"≤ {count(rate.high, toward='up')}" if rate.extrapolated else count(rate.value)
