"""A liveness score sheet as lines, as JSON, as a page, and as a picture."""

from __future__ import annotations

import html
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

from mien.errors import MissingExtra
from mien.faces.evaluation_text import interval
from mien.faces.liveness.attacks import UNTESTED
from mien.faces.liveness.evaluate import MOVED, LivenessResult, Rate
from mien.faces.wording import percent

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
    """The score sheet as a page; liveness.png lies beside it."""
    rows = "".join(
        f"<tr><td>{html.escape(rate.name)}</td><td>{percent(rate.rate)}</td><td>{_range(rate.interval)}</td>"
        f"<td>{rate.errors:,} of {rate.responses:,}</td><td>{rate.people:,}</td>"
        f"<td>{percent(rate.no_response_rate)}</td></tr>"
        for rate in (result.bpcer, *result.apcer, result.pooled, *result.groups)
    )
    tried = "".join(f"<li>{html.escape(n)}: {p:,} of {t:,} passed</li>" for n, t, p in scripts)
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in weaknesses(result))
    flips = (
        ""
        if result.flips is None
        else (f"<p>Moving or scaling the box by {percent(MOVED)} turns {percent(result.flips)} of decisions round.</p>")
    )
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Liveness: score sheet</title><style>{_STYLE}</style></head><body>
<h1>Living faces and attacks</h1>
<p>{html.escape(network)}; live from a score of {result.threshold:.4g} on; {result.people:,} people.
ACER {percent(result.acer)} ({_range(result.acer_interval)}), worst species {html.escape(result.worst.name)}.</p>
<img src="liveness.png" alt="Error rates by attack species, with intervals">
<table><thead><tr><th></th><th>rate</th><th>95 %</th><th>errors</th><th>people</th><th>no face found</th></tr></thead>
<tbody>{rows}</tbody></table>
{flips}<p>APCER: a species' attacks taken for living faces. BPCER (live): living faces refused. Both of the pictures in
which a face was found (ISO/IEC 30107-3); ACER: the mean of the worst APCER and the BPCER.</p>
{f"<h2>Scripted attacks</h2><ul>{tried}</ul>" if scripts else ""}
<h2>What not to overlook</h2><ul>{notes}<li>{html.escape(SIMULATED)}</li>
<li>Not tested: {html.escape("; ".join(UNTESTED))}.</li></ul>
</body></html>
"""


def picture(result: LivenessResult) -> bytes:
    """The rates with their intervals as a PNG, dark on light."""
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise MissingExtra("A report with plots", "faces") from error
    rates = [result.bpcer, *result.apcer]
    figure = Figure(figsize=(7.6, 0.9 + 0.5 * len(rates)), layout="constrained", facecolor="white")
    axes = figure.add_subplot()
    for place, rate in enumerate(reversed(rates)):
        if not rate.responses:
            continue
        colour = "#1f6f8b" if rate is result.bpcer else "#b4472e"
        low, high = rate.interval
        axes.barh(place, 100 * rate.rate, color=colour, alpha=0.35, height=0.55)
        axes.plot([100 * low, 100 * high], [place, place], color=colour, linewidth=2)
        axes.text(100 * high, place, f"  {percent(rate.rate)}", va="center", fontsize=9, color="#222222")
    names = [f"{rate.name} ({'BPCER' if rate is result.bpcer else 'APCER'})" for rate in reversed(rates)]
    axes.set_yticks(range(len(rates)), names, fontsize=9)
    most = max((rate.interval[1] for rate in rates if rate.responses), default=1.0)
    axes.set(
        xlim=(0, min(100.0, 118 * most + 1)),
        xlabel="errors, % of the pictures with a face; the line is the 95 % interval",
    )
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=150, metadata={"Software": None})
    return file.getvalue()


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


_STYLE = """
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem;background:#fff;color:#1a1a1a}
img{max-width:100%;background:#fff;border-radius:6px}
table{border-collapse:collapse;width:100%;font-size:.92rem}
th,td{text-align:right;padding:.3rem .5rem;border-bottom:1px solid #8884}
th:first-child,td:first-child{text-align:left}
@media (prefers-color-scheme:dark){body{background:#16181b;color:#e6e6e6}}
"""
