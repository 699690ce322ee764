"""What the runs say: at equal cost how much less time, in 1/20 of the time how much less cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Record = dict[str, Any]

TIME_RATIO = 40.0
COST_RATIO = 0.5
TIME_SHARE = 1 / 20


@dataclass(frozen=True)
class Comparison:
    """mien against one rival on one pair at one size; a part is None where no rung of ours is fit for it."""

    rival: Record
    equal: Record | None
    """Our quickest painting that costs no more than the rival's."""
    quick: Record | None
    """Our best painting that takes at most 1/20 of the rival's time."""

    @property
    def time_ratio(self) -> float | None:
        """The rival's time over ours, at equal cost."""
        return self.rival["seconds"] / self.equal["seconds"] if self.equal else None

    @property
    def cost_ratio(self) -> float | None:
        """Our cost over the rival's, in 1/20 of its time."""
        return self.quick["cost"]["total"] / self.rival["cost"]["total"] if self.quick else None


def compared(job: Record) -> list[Comparison]:
    """Every rival whose picture has been judged."""
    return [_compare(rival, job["ours"]) for rival in job["rivals"] if rival["cost"]]


def missing(job: Record) -> list[Record]:
    """Every rival whose picture is not there."""
    return [rival for rival in job["rivals"] if not rival["cost"]]


def _compare(rival: Record, ours: list[Record]) -> Comparison:
    judged = [rung for rung in ours if rung["cost"]]
    as_good = [rung for rung in judged if rung["cost"]["total"] <= rival["cost"]["total"]]
    in_time = [rung for rung in judged if rung["seconds"] <= rival["seconds"] * TIME_SHARE]
    return Comparison(
        rival=rival,
        equal=min(as_good, key=lambda rung: rung["seconds"], default=None),
        quick=min(in_time, key=lambda rung: rung["cost"]["total"], default=None),
    )
