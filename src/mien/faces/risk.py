"""What a threshold means at a door: strangers let in and colleagues turned away a year, and how that grows with K."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mien.errors import CalibrationError, OptionError
from mien.faces.calibration import Calibration, Rate
from mien.faces.wording import count, percent, two_digits
from mien.page import FAINT, INK, SERIES, figure, legend, milestone, png

DAYS = 365
"""A year of open days; an office that closes at weekends halves its strangers a day accordingly."""
CURVE = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
"""How many people the curve goes through; the gallery's own number comes in between."""
BEYOND = "beyond the data"
_ONE = 0.95
"""A year; less than this is told in years."""


@dataclass(frozen=True)
class Row:
    """The risk with K people enrolled; None is beyond what the data support."""

    people: int
    threshold: float | None
    fmr: Rate | None
    fpir: Rate | None
    """Strangers taken for somebody, per stranger, at this row's threshold."""
    fnir: Rate | None
    """Enrolled people not recognised, per visit."""
    false_acceptances_a_year: Rate | None
    unchanged: Rate | None
    """What the FPIR would be if the threshold of today stayed."""

    @property
    def label(self) -> str:
        """How the false positive rate is known: measured, extrapolated, or not at all."""
        return self.fpir.label if self.fpir else BEYOND


@dataclass(frozen=True)
class Risk:
    """Expected errors of a gallery of K people; `sentences` says them in plain words, `plot` draws the curve.

    The expectation is over galleries and strangers like the calibration's: your own people may be easier or harder to
    tell apart, and a year's count varies around it.
    """

    people: int
    samples: float
    """Photos per person."""
    accepted: float | None
    """The FPIR that was asked for; None where a threshold was."""
    threshold: float
    fmr: Rate
    fpir: Rate
    fnir: Rate
    """From one photo each; more photos of a person make it smaller."""
    strangers_a_day: float
    visits_a_day: float | None
    """By enrolled people, all together."""
    false_acceptances_a_year: Rate
    false_rejections_a_year: Rate | None
    misidentified: float | None
    """At most this part of the visits by enrolled people is taken for another of them; None with one enrolled."""
    curve: tuple[Row, ...]
    evidence: str
    """What was compared, in a sentence."""
    notes: tuple[str, ...]
    """What a reader must know about the data."""

    def sentences(self) -> list[str]:
        """The risk in plain sentences, for the person who must decide whether to trust it."""
        whom = "the one person enrolled" if self.people == 1 else f"one of your {self.people:,} people"
        lines = [
            f"{_capital(_odds(self.fpir))} would be taken for {whom} ({_odds_between(self.fpir)}).",
            f"With {_so_many(self.strangers_a_day, 'stranger')} a day, expect "
            f"{_yearly(self.false_acceptances_a_year)} let in by mistake.",
            f"{_share(self.fnir)} of the visits by your own people would not be recognised at the first look "
            f"({percent(self.fnir.low)} to {percent(self.fnir.high)}, measured with one photo of each person"
            f"{'; with more it is less' if self.samples > 1 else ''}).",
        ]
        if self.visits_a_day is not None and self.false_rejections_a_year is not None:
            lines.append(
                f"With {_so_many(self.visits_a_day, 'visit')} a day, expect {_yearly(self.false_rejections_a_year)} "
                "turned away by mistake."
            )
        if self.misidentified is not None:
            lines.append(
                f"At most {percent(self.misidentified, toward='up')} of the visits by your own people would be taken "
                "for somebody else of them."
            )
        return [*lines, *self._grounds()]

    def _grounds(self) -> list[str]:
        """How far the figures can be trusted, in sentences."""
        lines = []
        known = [row for row in self.curve if row.fpir]
        if self.accepted is not None and len(known) < len(self.curve):
            most = f"up to {_so_many(known[-1].people, 'person')}" if known else "none of the sizes asked about"
            lines.append(f"The data support this for {most}; for more than that nothing is promised.")
        lines.append(f"{self.evidence} It is an average: your people may be easier or harder to tell from strangers.")
        lines.append(
            "Ranges are to hold for another group of as many people, 95 times in 100; for that they are √2 times as "
            "wide, on a logarithmic scale, as a confidence interval for these people alone."
        )
        lines.append(
            "Relatives, twins and children are mistaken more often than these strangers were; a photo held before the "
            "camera is another matter, and not counted here."
        )
        notes = [note.strip() for note in self.notes if note.strip()]
        return lines + [note if note.endswith((".", "!", "?")) else f"{note}." for note in notes]


def risk(
    calibration: Calibration,
    *,
    people: int,
    fpir: float | None = None,
    threshold: float | None = None,
    strangers_a_day: float,
    visits_a_day: float | None = None,
    samples: float = 1,
    curve: Sequence[int] = CURVE,
) -> Risk:
    """The expected errors of a gallery, at the threshold that keeps to `fpir` or at one that is given.

    Args:
        calibration: of the encoder in use.
        people: enrolled, K.
        fpir: the part of the strangers that may be taken for somebody, 0 to 1; every row of the curve keeps to it.
        threshold: τ instead; every row of the curve has it.
        strangers_a_day: who are searched for though not enrolled.
        visits_a_day: by enrolled people, all together.
        samples: photos per person, on average.
        curve: numbers of people to go through.

    Raises:
        OptionError: both or neither of fpir and threshold, or numbers that count nothing.
        CalibrationError: the data cannot support the rate, or the threshold lies outside them.
    """
    if (fpir is None) == (threshold is None):
        raise OptionError("Expected either a false positive identification rate or a threshold; got both, or neither.")
    for name, number in (("strangers_a_day", strangers_a_day), ("visits_a_day", visits_a_day)):
        if number is not None and not 0 <= number < math.inf:
            raise OptionError(f"Expected a number of at least 0 as {name}; got {number}.")
    tau = _threshold(calibration, fpir, threshold, people, samples)
    fnir, today = calibration.fnmr(tau), calibration.fpir(tau, people, samples_per_person=samples)
    return Risk(
        people=people,
        samples=samples,
        accepted=fpir,
        threshold=tau,
        fmr=calibration.fmr(tau),
        fpir=today,
        fnir=fnir,
        strangers_a_day=strangers_a_day,
        visits_a_day=visits_a_day,
        false_acceptances_a_year=_times(today, strangers_a_day * DAYS),
        false_rejections_a_year=None if visits_a_day is None else _times(fnir, visits_a_day * DAYS),
        misidentified=_misidentified(calibration, tau, people, samples),
        curve=tuple(
            _row(calibration, K, fpir, tau, strangers_a_day, samples) for K in sorted({*map(int, curve), people})
        ),
        evidence=(
            f"This rests on {calibration.impostor_comparisons:,} comparisons of {calibration.people:,} people with "
            f"each other: {calibration.source}."
        ),
        notes=calibration.notes,
    )


def _threshold(
    calibration: Calibration, fpir: float | None, threshold: float | None, people: int, samples: float
) -> float:
    if threshold is not None or fpir is None:
        return float(threshold or 0)
    return calibration.threshold_for_fpir(fpir, people, samples_per_person=samples)


def _misidentified(calibration: Calibration, tau: float, people: int, samples: float) -> float | None:
    """A visitor who is enrolled is a stranger to the K - 1 others, and at most taken for one as often as strangers."""
    return None if people == 1 else calibration.fpir(tau, people - 1, samples_per_person=samples).high


def _row(
    calibration: Calibration, people: int, fpir: float | None, today: float, strangers: float, samples: float
) -> Row:
    unchanged = calibration.fpir(today, people, samples_per_person=samples)
    try:
        tau = _threshold(calibration, fpir, None if fpir else today, people, samples)
    except CalibrationError:  # the row says so
        return Row(people, None, None, None, None, None, unchanged)
    rate = calibration.fpir(tau, people, samples_per_person=samples)
    return Row(
        people, tau, calibration.fmr(tau), rate, calibration.fnmr(tau), _times(rate, strangers * DAYS), unchanged
    )


def _times(rate: Rate, factor: float) -> Rate:
    return Rate(rate.value * factor, rate.low * factor, rate.high * factor, rate.extrapolated)


# ---- words -----------------------------------------------------------------------------------------------------------


def _odds(rate: Rate) -> str:
    if rate.extrapolated or rate.value == 0:
        return f"at most {_one_in(rate.high, bound=True)}"
    return f"about {_one_in(rate.value)}"


def _one_in(rate: float, *, bound: bool = False) -> str:
    """1 stranger in 1,700, or 12 strangers in 100; a bound is never rounded to something rarer."""
    if rate < 0.02:
        return f"1 stranger in {two_digits(1 / rate, toward='down' if bound else 'nearest'):,.0f}"
    return f"{two_digits(100 * rate, toward='up' if bound else 'nearest'):,.0f} strangers in 100"


def _odds_between(rate: Rate) -> str:
    if rate.extrapolated:
        return "extrapolated, pessimistic bound: too few strangers were mistaken to measure it"
    if rate.high < 0.02 and rate.low > 0:
        return f"measured: 1 in {two_digits(1 / rate.low):,.0f} to 1 in {two_digits(1 / rate.high):,.0f}"
    return f"measured: {percent(rate.low)} to {percent(rate.high)}"


def _yearly(rate: Rate) -> str:
    """About 4 a year (2 to 7); or about one in 3 years (0.1 to 0.6 a year)."""
    if rate.high == 0:
        return "nobody"
    if rate.extrapolated:
        return f"on average at most {_often(rate.high, bound=True)}"
    if rate.value == 0:
        return f"at most {_often(rate.high, bound=True)} (nobody was, among those measured)"
    unit = " a year" if rate.value < _ONE else ""
    return f"about {_often(rate.value)} ({count(rate.low)} to {count(rate.high)}{unit})"


def _often(yearly: float, *, bound: bool = False) -> str:
    """3.7 a year, or one in 5 years."""
    if yearly < _ONE:
        years = count(1 / yearly, toward="down" if bound else "nearest")
        return "one a year" if years == "1" else f"one in {years} years"
    return f"{count(yearly, toward='up' if bound else 'nearest')} a year"


def _share(rate: Rate) -> str:
    return f"About {percent(rate.value)}" if rate.value > 0 else f"Fewer than {percent(rate.high, toward='up')}"


def _so_many(number: float, what: str) -> str:
    """A number as it was given, with its noun."""
    if number == 1:
        return f"one {what}" if what == "person" else f"1 {what}"
    return f"{number:,.10g} {'people' if what == 'person' else what + 's'}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


# ---- plot ------------------------------------------------------------------------------------------------------------


def plot(risk: Risk) -> bytes:
    """The curve over K as a PNG: strangers taken for somebody, and own people not recognised.

    What is measured is a full line within its interval, what is extrapolated a dotted bound; where the data support
    nothing, nothing is drawn.
    """
    drawn, (left, right) = figure(9, 4, extra="faces", what="Plotting the risk", columns=2)
    if risk.accepted is not None:
        left.axhline(risk.accepted, color=FAINT, linewidth=0.8, linestyle=(0, (1, 2)))
        _line(left, risk.curve, lambda row: row.unchanged, color=SERIES[4], label=f"τ stays {risk.threshold:.3f}")
    name = "τ follows K" if risk.accepted is not None else f"τ = {risk.threshold:.3f}"
    _line(left, risk.curve, lambda row: row.fpir, color=SERIES[0], label=name)
    _line(right, risk.curve, lambda row: row.fnir, color=SERIES[0], label=name)
    left.set(yscale="log", ylabel="per stranger (FPIR)")
    right.set(ylabel="per visit (FNIR)", ylim=(0, None))
    left.yaxis.set_major_formatter(lambda rate, _: "all" if rate == 1 else f"1 in {two_digits(1 / rate):,.0f}")
    right.yaxis.set_major_formatter(lambda rate, _: f"{100 * rate:g} %")
    titles = "Strangers taken for one of K people", "Own people not recognised"
    for axes, title in zip((left, right), titles, strict=True):
        axes.title.set_text(title)
        axes.set(xscale="log", xlabel="people enrolled, K")
        axes.xaxis.set_major_formatter(lambda K, _: f"{K:,.0f}")
        milestone(axes, risk.people, f"you: {risk.people:,}")
        _beyond(axes, risk.curve)
    legend(left, loc="lower right")
    return png(drawn)


def _line(axes: Any, rows: Sequence[Row], rate: Callable[[Row], Rate | None], *, color: str, label: str) -> None:
    """One curve: full with its interval where measured, dotted where only a bound is known."""
    points = [(row.people, found) for row in rows if (found := rate(row))]
    measured = [(K, r) for K, r in points if not r.extrapolated]
    bound = [(K, r) for K, r in points if r.extrapolated]
    if measured:
        K = [K for K, _ in measured]
        width = 5 if len(measured) == 1 else 0  # the interval of a single point has no area
        axes.fill_between(
            K, [r.low for _, r in measured], [r.high for _, r in measured], color=color, alpha=0.18, linewidth=width
        )
        axes.plot(K, [r.value for _, r in measured], color=color, marker=".", label=f"{label}: measured, 95 %")
    if bound:
        K = [K for K, _ in bound]
        axes.plot(K, [r.high for _, r in bound], color=color, marker="v", linestyle=":", label=f"{label}: at most")


def _beyond(axes: Any, rows: Sequence[Row]) -> None:
    """Grey out the numbers of people for which no threshold is supported."""
    last = max((row.people for row in rows if row.fpir), default=rows[0].people)
    if any(row.fpir is None for row in rows):
        axes.axvspan(last, rows[-1].people, color="0.92", lw=0, zorder=0)
        place = (math.sqrt(last * rows[-1].people), 0.5)
        across = ("data", "axes fraction")
        axes.annotate(BEYOND, place, xycoords=across, rotation=90, ha="center", va="center", color=INK, fontsize=9)
