"""The panel that shows a training while it runs: loss, active triplets and the validation measure as small curves."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from mien.training.progress import Progress

_BARS = "▁▂▃▄▅▆▇█"
_WIDTH = 48
_EVERY = 0.2  # seconds between two drawings: a tiny network takes hundreds of steps a second


class LivePlot:
    """A context in which `show` is called with every step; silent where `quiet`, and in a file or pipe."""

    def __init__(self, *, quiet: bool = False, console: Console | None = None) -> None:
        console = console or Console(stderr=True)
        self._on = not quiet and console.is_terminal
        self._live = Live(console=console, transient=True, auto_refresh=False)
        self._losses: list[float] = []
        self._run, self._drawn = "", 0.0

    def __enter__(self) -> LivePlot:
        if self._on:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._on:
            self._live.stop()

    def show(self, run: str, progress: Progress) -> None:
        """Draw anew, if the last drawing is old enough."""
        if not self._on:
            return
        if run != self._run:
            self._run, self._losses = run, []
        self._losses.append(progress.loss)
        if time.monotonic() - self._drawn >= _EVERY or progress.step == progress.steps:
            self._drawn = time.monotonic()
            self._live.update(panel(run, progress, self._losses), refresh=True)


def panel(run: str, progress: Progress, losses: Sequence[float]) -> Panel:
    """What is shown: the steps' loss, and the epochs' active share and validation measure."""
    rows = Table.grid(padding=(0, 2))
    bar = ProgressBar(total=progress.steps, completed=progress.step, width=_WIDTH)
    rows.add_row("", bar, f"{progress.step / progress.steps:.0%}")
    rows.add_row("loss", Text(sparkline(losses), style="cyan"), f"{progress.loss:.4f}")
    active = [value for _, value in progress.history.series("active")]
    if active:
        rows.add_row("active triplets", Text(sparkline(active, low=0.0), style="yellow"), f"{active[-1]:.0%}")
    measured = [value for _, value in progress.history.series("measure")]
    if measured and progress.best is not None:
        name = progress.best.name
        rows.add_row(
            name, Text(sparkline(measured), style="green"), f"{measured[-1]:.3f}, best {progress.best.value:.3f}"
        )
    where = Text(
        f"epoch {progress.epoch}/{progress.epochs}, step {progress.step}/{progress.steps}, "
        f"{clock(progress.seconds)} gone, at most {clock(progress.remaining)} left"
    )
    return Panel(Group(where, rows), title=run, title_align="left", expand=False)


def sparkline(values: Sequence[float], *, low: float | None = None, width: int = _WIDTH) -> str:
    """The values as one line of bars, means of neighbours where there are more than `width`."""
    if not values:
        return ""
    parts = min(width, len(values))
    cuts = [round(i * len(values) / parts) for i in range(parts + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in itertools.pairwise(cuts)]
    least = min(means) if low is None else min(low, *means)
    span = max(means) - least
    if span <= 0:
        return _BARS[3] * parts
    return "".join(_BARS[min(7, int(8 * (value - least) / span))] for value in means)


def clock(seconds: float) -> str:
    """Minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
