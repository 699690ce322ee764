"""The costs of a painting as a table and as a plot."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from mien import images
from mien.page import SERIES, figure, legend, milestone, png
from mien.style.painting import Step

COLUMNS = ("level", "size", "step", "total", "content", "style", "seconds")


def save_log(path: str | Path, history: Sequence[Step], *, force: bool = False) -> tuple[Path, Path]:
    """Write PATH as CSV, one row a step, and beside it a PNG that plots J, J_content and J_style; return both paths."""
    path = Path(path)
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(COLUMNS)
    table.writerows([getattr(iterate, column) for column in COLUMNS] for iterate in history)
    images.write_whole(path, lambda file: file.write(text.getvalue().encode()), force=force)
    picture = path.with_suffix(".png")
    images.write_whole(picture, lambda file: file.write(_plot(history)), force=force)
    return path, picture


def _plot(history: Sequence[Step]) -> bytes:
    drawn, (axes,) = figure(7, 3.6, extra="style", what="A plot of the costs")
    steps = range(1, len(history) + 1)
    costs = (("total", "J"), ("content", "J content"), ("style", "J style"))
    for (name, label), colour in zip(costs, SERIES[:3], strict=True):
        # A cost of nothing (the photo's own content) has no place on a logarithmic axis.
        values = [getattr(i, name) or float("nan") for i in history]
        axes.plot(steps, values, color=colour, label=label, linewidth=1.6)
    for before, after, step in zip(history, history[1:], steps, strict=False):
        if after.level != before.level:
            milestone(axes, step + 0.5, f"{after.size} px")
    axes.set(yscale="log", xlabel="step", ylabel="cost")
    legend(axes)
    return png(drawn)
