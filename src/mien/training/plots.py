"""The curves of a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.metrics import Roc
from mien.page import SERIES, figure, legend

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DASHES = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (5, 2, 1, 2)), (0, (8, 3)))

Curve = Sequence[tuple[float, float]]
Lines = Mapping[str, Sequence[Curve]]
"""For each name one curve a seed."""


def over_epochs(lines: Lines, *, label: str, share: bool = False) -> Figure:
    """Curves over the epochs: those of one name in one colour, their mean bold."""
    drawn, (axes,) = figure(4.4, 3.1, extra="training")
    for number, (name, curves) in enumerate(lines.items()):
        style = _style(number)
        for curve in curves:
            x, y = np.array(curve).T
            axes.plot(x, y, **style, alpha=0.35 if len(curves) > 1 else 1, linewidth=1 if len(curves) > 1 else 1.6)
        if len(curves) > 1:
            shortest = min(len(curve) for curve in curves)
            x = np.array(curves[0])[:shortest, 0]
            axes.plot(x, np.mean([np.array(c)[:shortest, 1] for c in curves], axis=0), **style, linewidth=1.8)
        axes.plot([], [], **style, label=name)
    axes.set(xlabel="epoch", ylabel=label)
    if share:
        axes.set(ylim=(0, None))
        axes.yaxis.set_major_formatter(lambda y, _: f"{100 * y:.0f} %")
    if len(lines) > 1:
        legend(axes)
    return drawn


def roc(curves: Mapping[str, Roc]) -> Figure:
    """True accepts over false matches, on a logarithmic axis: the network's first."""
    drawn, (axes,) = figure(4.4, 3.1, extra="training")
    floor = 1e-3
    for number, (name, curve) in enumerate(curves.items()):
        style = _style(number)
        axes.plot(
            np.maximum(curve.fmr, floor / 10),
            1 - curve.fnmr,
            drawstyle="steps-post",
            linewidth=1.8 if number == 0 else 1.2,
            label=name,
            **style,
        )
    axes.set(xscale="log", xlim=(floor, 1), ylim=(0, 1.02))
    axes.set(xlabel="false match rate (FMR)", ylabel="true accept rate")
    ticks = [1e-3, 1e-2, 1e-1, 1]
    axes.xaxis.set_ticks(ticks, ["0.1 %", "1 %", "10 %", "100 %"])
    axes.xaxis.set_ticks([], minor=True)
    axes.yaxis.set_major_formatter(lambda y, _: f"{100 * y:.0f} %")
    legend(axes, loc="lower right")
    return drawn


def _style(number: int) -> dict[str, Any]:
    return {"color": SERIES[number % 5], "linestyle": _DASHES[number % 5]}
