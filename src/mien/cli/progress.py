"""The one line that says how far a painting is."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from mien.style import Iterate


class ProgressLine:
    """A context in which `show` is called with every `Iterate`; silent where `quiet`, and in a file or pipe."""

    def __init__(self, *, quiet: bool = False, label: str = "") -> None:
        self.label = label
        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[what]}"),
            console=console,
            transient=True,
            disable=quiet or not console.is_terminal,
        )
        self._task = self._progress.add_task(label or "loading", total=None, what="")

    def __enter__(self) -> ProgressLine:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, iterate: Iterate) -> None:
        """Size, step, costs, elapsed and remaining time."""
        whole = iterate.seconds + iterate.remaining
        self._progress.update(
            self._task,
            description=f"{self.label} {iterate.size} px".strip(),
            total=max(whole, 1e-9),
            completed=iterate.seconds,
            what=(
                f"step {iterate.step}/{iterate.steps} of scale {iterate.level}/{iterate.levels}  "
                f"J {iterate.total:.4g}  content {iterate.content:.4g}  style {iterate.style:.4g}  "
                f"{_clock(iterate.seconds)} gone, {_clock(iterate.remaining)} left"
            ),
        )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
