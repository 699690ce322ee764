"""An evaluation's curves as inline SVG: text as text, in a page's own colours, light or dark."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from mien.errors import MissingExtra
from mien.faces.comparisons import BINS, Comparisons, OperatingPoint
from mien.faces.wording import percent
from mien.metrics import Floats, Integers, Roc

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Colours that matplotlib writes and that the page's variables then stand for.
_INK, _FAINT, _LINE, _ONE, _TWO = "#0a0b0c", "#1a1b1c", "#2a2b2c", "#3a3b3c", "#4a4b4c"
_VARIABLES = {_INK: "ink", _FAINT: "faint", _LINE: "line", _ONE: "one", _TWO: "two"}
_RATES = (1e-6, 1e-5, 1e-4, 1e-3, 0.003, 0.01, 0.03, 0.1, 0.2, 0.4)
_FONTS = "system-ui, sans-serif"


def roc_plot(roc: Roc, points: Sequence[OperatingPoint], *, floor: float) -> str:
    """True accepts over false matches on a logarithmic axis, down to an FMR of `floor`."""
    figure, axes = _figure()
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
    return _svg(figure, "roc", "ROC curve: true accept rate over false match rate")


def det_plot(roc: Roc, points: Sequence[OperatingPoint], *, floor: float) -> str:
    """FNMR over FMR, both on normal-deviate axes, where two normal distributions make a straight line."""
    figure, axes = _figure()
    misses = max(floor, 10 ** np.floor(np.log10(max(roc.fnmr[roc.fnmr > 0].min(initial=0.1), 1e-6))))
    inside = (roc.fmr > 0) & (roc.fmr < 1) & (roc.fnmr > 0) & (roc.fnmr < 1)
    _step(axes, probit(roc.fmr[inside]), probit(roc.fnmr[inside]))
    shown = [p for p in points if p.rests_on and 0 < p.fnmr < 1]
    _mark(axes, shown, scale=lambda rates: probit(np.clip(rates, floor / 3, 0.6)))
    ends = probit(np.array([max(floor, 1e-6), misses, 0.45]))
    axes.plot(ends[[0, 2]], ends[[0, 2]], color=_LINE, linewidth=0.8)
    axes.set(xlim=(ends[0], ends[2]), ylim=(min(ends[1], probit(0.005)), ends[2]))
    axes.set(xlabel="false match rate (FMR)", ylabel="false non-match rate (FNMR)")
    for axis, (low, high), room in ((axes.xaxis, axes.get_xlim(), 0.16), (axes.yaxis, axes.get_ylim(), 0.09)):
        ticks = _apart([rate for rate in _RATES if low - 1e-6 <= probit(rate) <= high], room * (high - low))
        axis.set_ticks(list(probit(ticks)), [percent(rate) for rate in ticks])
    return _svg(figure, "det", "DET curve: false non-match rate over false match rate, on normal-deviate axes")


def distances_plot(compared: Comparisons, tau: float, label: str) -> str:
    """How distances of genuine and impostor comparisons are spread, with a threshold."""
    figure, axes = _figure(8.8, 2.8)
    names = ("one person twice", "two people")
    for counts, colour, name in zip(compared.histograms, (_ONE, _TWO), names, strict=True):
        density = _density(counts)
        axes.fill_between(BINS[:-1], density, step="post", color=colour, alpha=0.25, linewidth=0)
        axes.step(BINS[:-1], density, where="post", color=colour, linewidth=1.4, label=name)
    if np.isfinite(tau):
        axes.axvline(tau, color=_INK, linewidth=1, linestyle=(0, (4, 3)))
        axes.annotate(
            label, (tau, 1.03), xycoords=("data", "axes fraction"), ha="center", va="bottom", color=_INK, fontsize=9
        )
    used = np.nonzero(np.sum(compared.histograms, axis=0))[0]
    if len(used):
        axes.set(xlim=(max(0, BINS[used[0]] - 0.05), min(2, BINS[used[-1]] + 0.07)))
    axes.set(xlabel="distance of two encodings", ylim=(0, None), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.legend(frameon=False, labelcolor=_INK, loc="upper left", fontsize=9)
    return _svg(figure, "distances", "Histogram of the distances of genuine and of impostor comparisons")


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


def _figure(width: float = 4.4, height: float = 3.4) -> tuple[Figure, Axes]:
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise MissingExtra("A report with plots", "faces") from error
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.grid(color=_LINE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", colors=_FAINT, labelsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_FAINT)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(color=_INK, fontsize=9.5)
    return figure, axes


def _step(axes: Axes, x: Floats, y: Floats) -> None:
    axes.plot(x, y, color=_ONE, linewidth=1.8, drawstyle="steps-post")


def _mark(axes: Axes, points: Sequence[OperatingPoint], *, accepts: bool = False, scale: Any = np.asarray) -> None:
    """The operating points with their intervals, both ways."""
    for p in points:
        x, x_ends = scale(p.fmr), scale(np.array(p.fmr_interval))
        rate, ends = (p.tar, 1 - np.array(p.fnmr_interval)[::-1]) if accepts else (p.fnmr, np.array(p.fnmr_interval))
        y, y_ends = scale(rate), scale(ends)
        axes.plot(x_ends, [y, y], color=_TWO, linewidth=1.1)
        axes.plot([x, x], y_ends, color=_TWO, linewidth=1.1)
        axes.plot([x], [y], "o", color=_TWO, markersize=4.5)


def _svg(figure: Figure, name: str, label: str) -> str:
    import matplotlib

    file = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    text = file.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    text = re.sub(
        r"<svg[^>]*?viewBox=\"([^\"]*)\"[^>]*>",
        rf'<svg viewBox="\1" role="img" aria-label="{html.escape(label)}">',
        text,
    )
    text = re.sub(r"(\bid=\"|href=\"#|url\(#)", rf"\g<1>{name}-", text)
    text = re.sub(r"'DejaVu Sans'(, [^;\"]*)?", _FONTS, text)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var(--{variable})")
    return text.strip()
