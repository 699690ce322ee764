"""What reports are made of: a page that fetches nothing, its tables and its plots, in one look for light and dark.

A plot is drawn in the colours of a light page. A PNG keeps them; within a page they become the page's own variables,
and so they turn with it when its reader prefers dark. matplotlib is imported when something is drawn.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from mien.errors import MissingExtra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = {  # in light, and in dark
    "paper": ("#faf9f6", "#1b1b1e"),
    "ink": ("#26262a", "#ececea"),
    "faint": ("#6d6d74", "#a3a3aa"),
    "line": ("#dddad2", "#38383d"),
    "one": ("#1f6f8b", "#6cb9d4"),
    "two": ("#b4532a", "#e58f63"),
    "three": ("#6b7f2a", "#a9bf62"),
    "four": ("#7a4f8f", "#c09ad6"),
    "five": ("#8a8a90", "#a9a9b0"),
}
INK, FAINT, LINE = (_COLOURS[name][0] for name in ("ink", "faint", "line"))
"""For what a plot says, for its scales, and for the grid behind it."""
SERIES = tuple(_COLOURS[name][0] for name in ("one", "two", "three", "four", "five"))
"""For what a plot shows; on a page they are var(--one) to var(--five)."""

_LIGHT, _DARK = ("; ".join(f"--{name}: {pair[i]}" for name, pair in _COLOURS.items()) for i in (0, 1))
_VARIABLES = f"""
:root {{ color-scheme: light dark; {_LIGHT} }}
@media (prefers-color-scheme: dark) {{ :root {{ {_DARK} }} }}
"""
_RULES = """\
body { margin: 0 auto; padding: 2rem 1.2rem 4rem; max-width: 54rem; background: var(--paper); color: var(--ink);
       font: 16px/1.55 system-ui, sans-serif }
h1 { font-weight: 600; font-size: 1.5rem; margin: 0 0 .2rem }
h2 { font-weight: 600; font-size: 1.1rem; margin: 2.4rem 0 .6rem }
h3 { font-weight: 600; font-size: 1rem; margin: 1.2rem 0 .3rem }
p, li, summary { margin: .3rem 0; color: var(--faint) } ul { padding-left: 1.2rem } a { color: var(--one) }
summary { cursor: pointer }
code { color: var(--ink); background: var(--line); padding: .1em .35em; border-radius: 3px }
td code { background: none; padding: 0 }
.warning { border-left: 4px solid var(--two); padding-left: .8rem; color: var(--ink) }
.headline { display: flex; flex-wrap: wrap; gap: .8rem 2.4rem; margin: 1.4rem 0; color: var(--faint) }
.headline strong { display: block; font-size: 1.7rem; font-weight: 600; color: var(--ink); line-height: 1.2;
                   font-variant-numeric: tabular-nums }
figure { margin: .6rem 0 } figcaption { font-size: .9rem; color: var(--faint); padding-top: .3rem }
.pair, .three { display: grid; gap: 1rem; margin: 1.2rem 0 } .pair figure, .three figure { margin: 0 }
.pair { grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)) }
.three { grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)) }
.three img { aspect-ratio: 1; object-fit: cover; object-position: top }
svg, img { width: 100%; height: auto; display: block } img { border-radius: 4px }
.wide { overflow-x: auto } .wide svg { min-width: 34rem }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { text-align: right; vertical-align: top; white-space: nowrap; padding: .3rem .6rem;
         border-bottom: 1px solid var(--line) }
th:first-child, td:first-child { text-align: left }
th { font-weight: 600; font-size: .9rem; vertical-align: bottom; white-space: normal; hyphens: none }
td b { font-weight: 600 } td small { display: block; color: var(--faint) }
"""


class Html(str):
    """Text that is HTML already; any other is escaped wherever a function here takes text."""


# ---- the page --------------------------------------------------------------------------------------------------------


def document(title: str, body: str) -> str:
    """A whole page, which needs no other file but those that its body names; `body` is HTML."""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>mien: {_escaped(title)}</title><style>{_VARIABLES}{_RULES}</style></head><body>
{body.strip()}
</body></html>
"""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Html:
    """A table whose first column holds names and the others numbers; it scrolls where it is wider than the page."""
    titles = "".join(f"<th>{_escaped(title)}</th>" for title in head)
    body = "".join("<tr>" + "".join(f"<td>{_escaped(cell)}</td>" for cell in row) + "</tr>\n" for row in rows)
    return Html(f'<div class="wide"><table><tr>{titles}</tr>\n{body}</table></div>')


def headline(figures: Iterable[tuple[str, str]]) -> Html:
    """The figures that matter most, large: (value, what it is)."""
    cells = "".join(f"<div><strong>{_escaped(value)}</strong>{_escaped(label)}</div>" for value, label in figures)
    return Html(f'<div class="headline">{cells}</div>')


def listed(items: Iterable[str]) -> Html:
    """A list with bullets."""
    return Html("<ul>" + "".join(f"<li>{_escaped(item)}</li>\n" for item in items) + "</ul>")


def illustration(picture: Html, caption: str) -> Html:
    """A picture (an SVG, an img element) with what is to be seen on it."""
    return Html(f"<figure>{picture}<figcaption>{_escaped(caption)}</figcaption></figure>\n")


def _escaped(text: str) -> str:
    return text if isinstance(text, Html) else html.escape(text)


# ---- plots -----------------------------------------------------------------------------------------------------------


def figure(
    width: float, height: float, *, extra: str, what: str = "A report with plots", columns: int = 1
) -> tuple[Figure, tuple[Axes, ...]]:
    """A figure of so many inches with empty axes side by side: a faint grid, and scales to the left and below.

    Raises:
        MissingExtra: without matplotlib; the error says `what` needs it and which of mien's extras brings it.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise MissingExtra(what, extra) from error
    drawn = Figure(figsize=(width, height), layout="constrained")
    row: tuple[Axes, ...] = tuple(drawn.subplots(1, columns, squeeze=False)[0])
    for axes in row:
        axes.grid(color=LINE, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.tick_params(which="both", colors=FAINT, labelsize=9)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(FAINT)
        axes.title.set(color=INK, fontsize=10.5)
        for label in (axes.xaxis.label, axes.yaxis.label):
            label.set(color=INK, fontsize=9.5)
    return drawn, row


def legend(axes: Axes, **where: Any) -> None:
    """A legend without a frame; `where` as in `Axes.legend`."""
    axes.legend(frameon=False, labelcolor=INK, fontsize=9, **where)


def milestone(axes: Axes, x: float, label: str) -> None:
    """A thin upright line at `x`, with its label beside its upper end."""
    axes.axvline(x, color=FAINT, linewidth=0.8, alpha=0.6)
    note(axes, label, (x, 0.99), xycoords=("data", "axes fraction"), va="top", color=FAINT)


def note(axes: Axes, label: str, place: tuple[float, float], *, color: str = INK, **how: Any) -> None:
    """A few words to the right of a place; `how` as in `Axes.annotate`."""
    # Kept away by an offset: SVG drops leading spaces.
    axes.annotate(label, place, xytext=(4, 0), textcoords="offset points", color=color, fontsize=9, **how)


def inline_svg(figure: Figure, name: str, label: str) -> Html:
    """The figure as an SVG element in the page's colours, its text as text; the same figure makes the same bytes.

    Args:
        figure: what is drawn in INK, FAINT, LINE and SERIES turns with the page; any other colour stays.
        name: keeps the ids apart from those of the page's other figures.
        label: what a screen reader says in place of the figure.
    """
    import matplotlib

    file = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    text = file.getvalue()
    text = re.sub(r"(<metadata>.*?</metadata>|<!--.*?-->)\s*", "", text[text.index("<svg") :], flags=re.DOTALL)
    whole = f'role="img" aria-label="{html.escape(label)}"'
    text = re.sub(r"<svg[^>]*?(viewBox=\"[^\"]*\")[^>]*>", lambda tag: f"<svg {tag[1]} {whole}>", text, count=1)
    text = re.sub(r"(\bid=\"|href=\"#|url\(#)", rf"\g<1>{name}-", text)
    text = re.sub(r"'DejaVu Sans'(, [^;\"]*)?", "system-ui, sans-serif", text)
    for variable, (light, _) in _COLOURS.items():
        text = text.replace(light, f"var(--{variable})")
    return Html(text.strip())


def png(figure: Figure) -> bytes:
    """The figure as a PNG file on white, 150 pixels an inch; the same figure makes the same bytes."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=150, facecolor="white", metadata={"Software": None})
    return file.getvalue()
