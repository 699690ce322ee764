"""The table of the risk in words, as `mien faces risk` prints it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mien.web.schemas import RiskRow

if TYPE_CHECKING:
    from mien.faces.risk import Risk


def risk_rows(found: Risk) -> list[RiskRow]:
    """One row for each number of people; "–" is beyond what the data support, "≤" a bound."""
    from mien.faces.wording import rate_in_words, times_in_words

    return [
        RiskRow(
            people=row.people,
            now=row.people == found.people,
            threshold=None if row.threshold is None else round(row.threshold, 4),
            let_in=rate_in_words(row.fpir),
            unchanged=rate_in_words(row.unchanged),
            refused=rate_in_words(row.fnir),
            a_year=times_in_words(row.false_acceptances_a_year),
            known=row.label,
        )
        for row in found.curve
    ]
