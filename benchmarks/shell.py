"""Commands, timed as the person before the shell waits for them, and the time that is left for a run."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence

from rich.console import Console

_console = Console(stderr=True, highlight=False)


def say(text: str) -> None:
    """One line of progress, on standard error."""
    _console.print(f"[dim]{time.strftime('%H:%M:%S')}[/dim] {text}", soft_wrap=True)


def seconds_of(command: Sequence[str]) -> float:
    """Wall time of a command from start to exit; RuntimeError with its last words if it fails."""
    return timed(command)[0]


def timed(command: Sequence[str]) -> tuple[float, str]:
    """Wall time of a command, and what it printed."""
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip())[-800:]
        raise RuntimeError(f"Expected this command to succeed, got exit code {done.returncode}: {command}\n{last}")
    return seconds, done.stdout


class Clock:
    """The time that a whole run may take."""

    def __init__(self, minutes: float) -> None:
        self._end = time.monotonic() + 60 * minutes

    def affords(self, seconds: float) -> bool:
        return time.monotonic() + seconds <= self._end
