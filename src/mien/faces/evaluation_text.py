"""What an evaluation prints: every rate with its interval, and a mark where it rests on few errors."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mien.faces.comparisons import RULE_OF_THIRTY, Identification, Interval, OperatingPoint
from mien.faces.evaluate import FolderResult, LfwResult, worst_group
from mien.faces.wording import percent
from mien.metrics import rule_of_three

MARK = "*"
FEW = f"{MARK} rests on fewer than {RULE_OF_THIRTY} errors: a first hint, no more."
NO_EER = "too few comparisons for an EER"


def lfw_lines(result: LfwResult) -> list[str]:
    """The lines that `mien faces evaluate lfw` prints."""
    mean, error = percent(result.accuracy, digits=4), result.standard_error
    spread = "" if error is None else f" ± {percent(error)} (± standard error)"
    failed = f", {result.failed_pairs:,} of them wrong for want of a face" if result.failed_pairs else ""
    lines = [
        f"accuracy {mean}{spread}, 95 %: {interval(result.accuracy_interval, digits=4)}, over {result.pairs:,} "
        f"pairs{failed}; τ {result.threshold:.3f}"
    ]
    if result.optimistic:
        lines.append("This accuracy is optimistic: with one fold, τ was chosen on the pairs it is judged on.")
    return lines + _with_note([_eer(result), *map(_point, result.points)], result.failures)


def folder_lines(result: FolderResult) -> list[str]:
    """The lines that `mien faces evaluate folder` prints."""
    compared = result.compared
    lines = [
        f"{result.people:,} people, {result.photos:,} photos: {len(compared.genuine):,} comparisons of people with "
        f"themselves, {compared.total:,} with each other"
    ]
    rates = [_eer(result), *map(_point, result.points)]
    if not result.points:
        rates.append("too few comparisons of two people for any false match rate")
    rates += _searches(result.identification)
    for name in ("fmr", "fnmr"):
        group = worst_group(result.groups, name)
        if group is not None:
            rate, ends, errors = (
                (group.fmr, group.fmr_interval, group.false_matches)
                if name == "fmr"
                else (group.fnmr, group.fnmr_interval, group.misses)
            )
            if rate is not None and ends is not None:
                rates.append(f"the highest {name.upper()} of a group: {group.group}, {_known(rate, ends, errors)}")
    return lines + _with_note(rates, result.failures)


def rate(value: float, ends: Interval | None, errors: float) -> str:
    """A rate, marked where it rests on fewer than 30 errors; without an error it is less than its interval's end."""
    if value == 0 and ends is not None:
        return f"< {percent(ends[1], toward='up')}"
    return f"{percent(value)}{'' if errors >= RULE_OF_THIRTY else f' {MARK}'}"


def interval(ends: Interval, *, digits: int = 2) -> str:
    """Both ends, in percent; the upper end is rounded up where it is a bound on what was never seen."""
    high = percent(ends[1], digits=digits, toward="up" if ends[0] == 0 else "nearest")
    return f"{percent(ends[0], digits=digits).removesuffix(' %')} to {high}"


def eer_errors(result: LfwResult | FolderResult) -> float:
    """How many errors of the rarer kind an EER rests on."""
    return (result.eer or 0) * min(len(result.compared.genuine), result.compared.total)


def searched(value: float, searches: int) -> str:
    """The rate of searches that went wrong in the mean of all splits, or what none at all would show."""
    return percent(value) if value > 0 else f"< {percent(rule_of_three(max(1, searches)), toward='up')}"


def _eer(result: LfwResult | FolderResult) -> str:
    if result.eer is None or result.eer_interval is None:
        return f"EER: {NO_EER}"
    return f"EER {_known(result.eer, result.eer_interval, eer_errors(result))}"


def _point(point: OperatingPoint) -> str:
    tau = f"τ {point.threshold:.3f}" if math.isfinite(point.threshold) else "no τ keeps to that"
    few = "" if point.supported else f"{point.rests_on} false match{'' if point.rests_on == 1 else 'es'}; "
    return (
        f"at FMR {percent(point.fmr)}{'' if point.firm else f' {MARK}'} ({few}95 %: {interval(point.fmr_interval)}): "
        f"FNMR {_known(point.fnmr, point.fnmr_interval, point.misses)}, {tau}"
    )


def _known(value: float, ends: Interval, errors: float) -> str:
    return f"{rate(value, ends, errors)} ({'no error; ' if value == 0 else ''}95 %: {interval(ends)})"


def _searches(rows: Sequence[Identification]) -> list[str]:
    """The searches whose threshold was set for the FPIR."""
    return [
        f"searches among {row.people:,} people at FPIR {percent(row.rate)}: FNIR {searched(row.fnir, row.mated)} "
        f"(spread over splits: {interval(row.fnir_spread)})"
        for row in sorted(rows, key=lambda row: (-row.rate, row.people))
        if row.kind == "fpir"
    ]


def _with_note(rates: Sequence[str], failures: int) -> list[str]:
    note = [FEW] if any(f" {MARK}" in line for line in rates) else []
    return [*rates, *note, f"photos without a face, or that cannot be read: {failures:,}"]
