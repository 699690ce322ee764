"""A liveness score sheet as lines, as JSON, as a page, and as a picture."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mien.faces.evaluation_text import interval
from mien.faces.liveness.attacks import UNTESTED
from mien.faces.liveness.evaluate import MOVED, LivenessResult, Rate
from mien.faces.wording import percent
from mien.page import INK, SERIES, document, figure, headline, inline_svg, listed, note, png, table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Scripts = Sequence[tuple[str, int, int]]
"""Scripted attacks on a session: what was tried, how often, and how often it passed."""

SIMULATED = (
    "Where these attacks were made by mien faces attacks, they are simulations: the figures say how well drawings of "
    "attacks are told from living faces, not how well attacks are."
)


def lines(result: LivenessResult, *, network: str, scripts: Scripts = ()) -> list[str]:
    """The score sheet in lines of text."""
    told = [
        f"{network}, live from {result.threshold:.4g} on; {result.people:,} people",
        "",
        f"BPCER {_told(result.bpcer)}: living faces refused",
        *(f"APCER {_told(rate)}: {rate.name} taken for living" for rate in result.apcer),
        f"worst species: {result.worst.name}, APCER {percent(result.worst.rate)}",
        f"ACER {percent(result.acer)} ({_range(result.acer_interval)}): mean of the worst APCER and the BPCER",
        f"all attacks together: {_told(result.pooled)}",
    ]
    if result.flips is not None:
        moves = ", ".join(f"{move} {percent(share)}" for move, share in result.flips_by_move.items())
        told.append(
            f"decisions turned round by moving or scaling the box by {percent(MOVED)}: {percent(result.flips)} "
            f"({moves})"
        )
    if result.groups:
        told += ["", *(f"{rate.name}: {_told(rate)}" for rate in result.groups)]
    told += [f"scripted attack, {name}: {passes:,} of {tries:,} passed" for name, tries, passes in scripts]
    if result.unreadable:
        told.append(f"pictures that cannot be read: {result.unreadable:,}")
    return [*told, "", *weaknesses(result), SIMULATED, f"Not tested: {'; '.join(UNTESTED)}."]


def weaknesses(result: LivenessResult) -> list[str]:
    """What a reader must not overlook, as sentences."""
    found = []
    weak = [rate for rate in result.apcer if rate.responses and rate.rate > 0.05]
    if weak:
        names = ", ".join(f"{rate.name} (1 in {1 / rate.rate:.2g})" for rate in sorted(weak, key=lambda r: -r.rate))
        found.append(f"Weak against {names}: a single look is not enough; ask for movements as well.")
    if result.bpcer.responses and result.bpcer.rate > 0.05:
        found.append(f"One living face in {1 / result.bpcer.rate:.2g} is refused at first sight and has to try again.")
    if result.flips is not None and result.flips > 0.02:
        found.append("The decision hangs on where exactly the box lies more often than 2 times in 100.")
    thin = [rate.name for rate in (result.bpcer, *result.apcer) if rate.people < 20]
    if thin:
        found.append(f"Fewer than 20 people: {', '.join(thin)}; the intervals are wide for a reason.")
    return found


def record(result: LivenessResult, *, network: str, scripts: Scripts = ()) -> dict[str, Any]:
    """The score sheet as plain values; null where there is nothing to say."""
    return {
        "network": network,
        "threshold": result.threshold,
        "people": result.people,
        "bpcer": _plain(result.bpcer),
        "apcer": {rate.name: _plain(rate) for rate in result.apcer},
        "worst_species": result.worst.name,
        "acer": _number(result.acer),
        "acer_interval": [_number(end) for end in result.acer_interval],
        "all_attacks": _plain(result.pooled),
        "groups": {rate.name: _plain(rate) for rate in result.groups},
        "flips": result.flips,
        "flips_by_move": dict(result.flips_by_move),
        "scripts": [{"name": name, "tries": tries, "passes": passes} for name, tries, passes in scripts],
        "unreadable": result.unreadable,
        "untested": list(UNTESTED),
        "weaknesses": weaknesses(result),
    }


def page(result: LivenessResult, *, network: str, scripts: Scripts = ()) -> str:
    """The score sheet as a page."""
    head = ("", "rate", "95 % interval", "errors", "people", "no face found")
    rows = [
        (
            rate.name,
            percent(rate.rate),
            _range(rate.interval).removeprefix("95 %: "),
            f"{rate.errors:,} of {rate.responses:,}",
            f"{rate.people:,}",
            percent(rate.no_response_rate),
        )
        for rate in (result.bpcer, *result.apcer, result.pooled, *result.groups)
    ]
    tried = [f"{name}: {passes:,} of {tries:,} passed" for name, tries, passes in scripts]
    flips = (
        ""
        if result.flips is None
        else (f"<p>Moving or scaling the box by {percent(MOVED)} turns {percent(result.flips)} of decisions round.</p>")
    )
    figures = (
        (percent(result.acer), f"ACER, {_range(result.acer_interval)}"),
        (percent(result.worst.rate), f"APCER of the worst species, {result.worst.name}"),
        (percent(result.bpcer.rate), "BPCER: living faces refused"),
    )
    return document(
        "Liveness: score sheet",
        f"""
<h1>Living faces and attacks</h1>
<p>{html.escape(network)}; live from a score of {result.threshold:.4g} on; {result.people:,} people.</p>
{headline(figures)}
<div class="wide">{inline_svg(_rates(result), "rates", "Error rates by attack species, with intervals")}</div>
{table(head, rows)}
{flips}<p>APCER: a species' attacks taken for living faces. BPCER (live): living faces refused. Both of the pictures in
which a face was found (ISO/IEC 30107-3); ACER: the mean of the worst APCER and the BPCER.</p>
{f"<h2>Scripted attacks</h2>{listed(tried)}" if scripts else ""}
<h2>What not to overlook</h2>
{listed([*weaknesses(result), SIMULATED, f"Not tested: {'; '.join(UNTESTED)}."])}
""",
    )


def picture(result: LivenessResult) -> bytes:
    """The rates with their intervals as a PNG."""
    return png(_rates(result))


def _rates(result: LivenessResult) -> Figure:
    rates = [result.bpcer, *result.apcer]
    drawn, (axes,) = figure(7.6, 0.9 + 0.5 * len(rates), extra="faces")
    for place, rate in enumerate(reversed(rates)):
        if not rate.responses:
            continue
        colour = SERIES[0] if rate is result.bpcer else SERIES[1]
        low, high = rate.interval
        axes.barh(place, 100 * rate.rate, color=colour, alpha=0.35, height=0.55)
        axes.plot([100 * low, 100 * high], [place, place], color=colour, linewidth=2)
        note(axes, percent(rate.rate), (100 * high, place), va="center")
    names = [f"{rate.name} ({'BPCER' if rate is result.bpcer else 'APCER'})" for rate in reversed(rates)]
    axes.set_yticks(range(len(rates)), names, color=INK, parse_math=False)
    axes.grid(visible=False, axis="y")
    most = max((rate.interval[1] for rate in rates if rate.responses), default=1.0)
    axes.set(
        xlim=(0, min(100.0, 118 * most + 1)),
        xlabel="errors, % of the pictures with a face; the line is the 95 % interval",
    )
    return drawn


def _told(rate: Rate) -> str:
    if not rate.responses:
        return f"– (no face found in any of {rate.presented:,})"
    missed = f"; no face found in {percent(rate.no_response_rate)}" if rate.no_response else ""
    return f"{percent(rate.rate)} ({_range(rate.interval)}; {rate.errors:,} of {rate.responses:,}{missed})"


def _range(ends: tuple[float, float]) -> str:
    return f"95 %: {interval(ends)}" if all(map(math.isfinite, ends)) else "no interval"


def _plain(rate: Rate) -> Mapping[str, Any]:
    return {
        "rate": _number(rate.rate),
        "interval": [_number(end) for end in rate.interval],
        "errors": rate.errors,
        "responses": rate.responses,
        "presented": rate.presented,
        "no_response_rate": _number(rate.no_response_rate),
        "people": rate.people,
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
