"""The curves of a study: as inline SVG in a page's own colours, light or dark, and as PNG files."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.errors import MissingExtra
from mien.metrics import Roc

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Colours that matplotlib writes into an SVG and that the page's variables then stand for; beside each, the PNG's.
_INK, _FAINT, _LINE = "#0a0b0c", "#1a1b1c", "#2a2b2c"
_SERIES = ("#3a3b3c", "#4a4b4c", "#5a5b5c", "#6a6b6c", "#7a7b7c")
_VARIABLES = {_INK: "ink", _FAINT: "faint", _LINE: "line"} | {c: f"s{i}" for i, c in enumerate(_SERIES)}
_PRINTED = dict(
    zip(
        (_INK, _FAINT, _LINE, *_SERIES),
        ("#26262a", "#6d6d74", "#dddad2", "#1f6f8b", "#b4532a", "#6b7f2a", "#7a4f8f", "#8a8a90"),
        strict=True,
    )
)
_DASHES = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (5, 2, 1, 2)), (0, (8, 3)))

Curve = Sequence[tuple[float, float]]
Lines = Mapping[str, Sequence[Curve]]
"""For each name one curve a seed."""


def over_epochs(lines: Lines, *, label: str, share: bool = False) -> Figure:
    """Curves over the epochs: those of one name in one colour, their mean bold."""
    figure, axes = _figure()
    for number, (name, curves) in enumerate(lines.items()):
        style: dict[str, Any] = {"color": _SERIES[number % 5], "linestyle": _DASHES[number % 5]}
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
        axes.legend(frameon=False, labelcolor=_INK, fontsize=9)
    return figure


def roc(curves: Mapping[str, Roc]) -> Figure:
    """True accepts over false matches, on a logarithmic axis: the network's first."""
    figure, axes = _figure()
    floor = 1e-3
    for number, (name, curve) in enumerate(curves.items()):
        style: dict[str, Any] = {"color": _SERIES[number % 5], "linestyle": _DASHES[number % 5]}
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
    axes.legend(frameon=False, labelcolor=_INK, fontsize=9, loc="lower right")
    return figure


def svg(figure: Figure, name: str, label: str) -> str:
    """The figure as inline SVG, text as text; `name` keeps its ids apart from other figures'."""
    import matplotlib

    file = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    text = file.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    opened = rf'<svg viewBox="\1" role="img" aria-label="{html.escape(label)}">'
    text = re.sub(r"<svg[^>]*?viewBox=\"([^\"]*)\"[^>]*>", opened, text)
    text = re.sub(r"(\bid=\"|href=\"#|url\(#)", rf"\g<1>{name}-", text)
    text = re.sub(r"'DejaVu Sans'(, [^;\"]*)?", "system-ui, sans-serif", text)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var(--{variable})")
    return text.strip()


def png(figure: Figure) -> bytes:
    """The figure as a PNG file on paper white."""
    from matplotlib.artist import Artist

    def paint(artist: Artist) -> None:
        for what in ("color", "edgecolor", "markeredgecolor"):
            setter, getter = getattr(artist, f"set_{what}", None), getattr(artist, f"get_{what}", None)
            colour = getter() if setter and getter else None
            if setter is not None and isinstance(colour, str) and colour in _PRINTED:
                setter(_PRINTED[colour])

    for artist in figure.findobj():
        paint(artist)
    for axes in figure.axes:
        axes.grid(color=_PRINTED[_LINE], linewidth=0.6)
        axes.spines[["left", "bottom"]].set_color(_PRINTED[_FAINT])
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=160, facecolor="white")
    return file.getvalue()


def _figure() -> tuple[Figure, Axes]:
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise MissingExtra("A report with plots", "training") from error
    figure = Figure(figsize=(4.4, 3.1), layout="constrained")
    axes = figure.add_subplot()
    axes.grid(color=_LINE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", colors=_FAINT, labelsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_FAINT)
    for text in (axes.xaxis.label, axes.yaxis.label):
        text.set(color=_INK, fontsize=9.5)
    return figure, axes
