"""An evaluation's curves as inline SVG: text as text, in a page's own colours, light or dark."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from mien.faces.comparisons import BINS, Comparisons, OperatingPoint
from mien.faces.wording import percent
from mien.metrics import Floats, Integers, Roc
from mien.page import INK, LINE, SERIES, Html, figure, inline_svg, legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_RATES = (1e-6, 1e-5, 1e-4, 1e-3, 0.003, 0.01, 0.03, 0.1, 0.2, 0.4)


def roc_plot(roc: Roc, points: Sequence[OperatingPoint], *, floor: float) -> Html:
    """True accepts over false matches on a logarithmic axis, down to an FMR of `floor`."""
    drawn, (axes,) = figure(4.4, 3.4, extra="faces")
    _step(axes, np.maximum(roc.fmr, floor / 10), 1 - roc.fnmr)
    _mark(axes, [p for p in points if p.rests_on], accepts=True)
    lowest = min([1 - p.fnmr_interval[1] for p in points], default=0.5)
    axes.set(xscale="log", xlim=(floor, 1), ylim=(max(0.0, lowest - 0.25 * (1 - lowest)), 1 + 0.04 * (1 - lowest)))
    axes.set(xlabel="false match rate (FMR)", ylabel="true accept rate (1 - FNMR)")
    decades = round(-np.log10(floor))
    ticks = [10.0**-k for k in range(0, decades + 1, 1 + decades // 4)]
    axes.xaxis.set_ticks(ticks, [percent(tick) for tick in ticks])
    axes.xaxis.set_ticks([], minor=True)
    axes.yaxis.set_major_formatter(lambda y, _: percent(y, digits=3))
    return inline_svg(drawn, "roc", "ROC curve: true accept rate over false match rate")


def det_plot(roc: Roc, points: Sequence[OperatingPoint], *, floor: float) -> Html:
    """FNMR over FMR, both on normal-deviate axes, where two normal distributions make a straight line."""
    drawn, (axes,) = figure(4.4, 3.4, extra="faces")
    misses = max(floor, 10 ** np.floor(np.log10(max(roc.fnmr[roc.fnmr > 0].min(initial=0.1), 1e-6))))
    inside = (roc.fmr > 0) & (roc.fmr < 1) & (roc.fnmr > 0) & (roc.fnmr < 1)
    _step(axes, probit(roc.fmr[inside]), probit(roc.fnmr[inside]))
    shown = [p for p in points if p.rests_on and 0 < p.fnmr < 1]
    _mark(axes, shown, scale=lambda rates: probit(np.clip(rates, floor / 3, 0.6)))
    ends = probit(np.array([max(floor, 1e-6), misses, 0.45]))
    axes.plot(ends[[0, 2]], ends[[0, 2]], color=LINE, linewidth=0.8)
    axes.set(xlim=(ends[0], ends[2]), ylim=(min(ends[1], probit(0.005)), ends[2]))
    axes.set(xlabel="false match rate (FMR)", ylabel="false non-match rate (FNMR)")
    for axis, (low, high), room in ((axes.xaxis, axes.get_xlim(), 0.16), (axes.yaxis, axes.get_ylim(), 0.09)):
        ticks = _apart([rate for rate in _RATES if low - 1e-6 <= probit(rate) <= high], room * (high - low))
        axis.set_ticks(list(probit(ticks)), [percent(rate) for rate in ticks])
    return inline_svg(drawn, "det", "DET curve: false non-match rate over false match rate, on normal-deviate axes")


def distances_plot(compared: Comparisons, tau: float, label: str) -> Html:
    """How distances of genuine and impostor comparisons are spread, with a threshold."""
    drawn, (axes,) = figure(8.8, 2.8, extra="faces")
    names = ("one person twice", "two people")
    for counts, colour, name in zip(compared.histograms, SERIES[:2], names, strict=True):
        density = _density(counts)
        axes.fill_between(BINS[:-1], density, step="post", color=colour, alpha=0.25, linewidth=0)
        axes.step(BINS[:-1], density, where="post", color=colour, linewidth=1.4, label=name)
    if np.isfinite(tau):
        axes.axvline(tau, color=INK, linewidth=1, linestyle=(0, (4, 3)))
        axes.annotate(
            label, (tau, 1.03), xycoords=("data", "axes fraction"), ha="center", va="bottom", color=INK, fontsize=9
        )
    used = np.nonzero(np.sum(compared.histograms, axis=0))[0]
    if len(used):
        axes.set(xlim=(max(0, BINS[used[0]] - 0.05), min(2, BINS[used[-1]] + 0.07)))
    axes.set(xlabel="distance of two encodings", ylim=(0, None), yticks=[])
    axes.spines["left"].set_visible(False)
    legend(axes, loc="upper left")
    return inline_svg(drawn, "distances", "Histogram of the distances of genuine and of impostor comparisons")


def probit(rates: ArrayLike) -> Floats:
    """The normal deviate of rates between 0 and 1: where their axis has them."""
    deviates: Floats = np.vectorize(NormalDist().inv_cdf, otypes=[np.float64])(rates)
    return deviates


def _apart(rates: Sequence[float], distance: float) -> list[float]:
    """Those of the rates, the largest first, whose labels have room."""
    kept: list[float] = []
    for rate in reversed(rates):
        if not kept or probit(kept[-1]) - probit(rate) >= distance:
            kept.append(rate)
    return kept[::-1]


def _density(counts: Integers) -> Floats:
    return counts / max(1, int(counts.sum()))


def _step(axes: Axes, x: Floats, y: Floats) -> None:
    axes.plot(x, y, color=SERIES[0], linewidth=1.8, drawstyle="steps-post")


def _mark(axes: Axes, points: Sequence[OperatingPoint], *, accepts: bool = False, scale: Any = np.asarray) -> None:
    """The operating points with their intervals, both ways."""
    for p in points:
        x, x_ends = scale(p.fmr), scale(np.array(p.fmr_interval))
        rate, ends = (p.tar, 1 - np.array(p.fnmr_interval)[::-1]) if accepts else (p.fnmr, np.array(p.fnmr_interval))
        y, y_ends = scale(rate), scale(ends)
        axes.plot(x_ends, [y, y], color=SERIES[1], linewidth=1.1)
        axes.plot([x, x], y_ends, color=SERIES[1], linewidth=1.1)
        axes.plot([x], [y], "o", color=SERIES[1], markersize=4.5)
