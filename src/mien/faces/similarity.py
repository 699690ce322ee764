"""How alike two encodings are, and what follows from it: the pure half of verification and recognition."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mien.errors import OptionError
from mien.faces.records import Decision, Match

MARGIN = 0.05
"""How much nearer than the runner-up a match must be. Measured on LFW with 1,240 people enrolled: at a loose τ of 1.1,
wrong names fall from 0.8 to 0.1 % of the photos of people who are enrolled, and 2.2 % become unsure; at 1.0, where no
name was wrong, 0.1 % become unsure."""


def distance(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """d(x1, x2) = ‖f(x1) - f(x2)‖ of two encodings of shape (D,): 0 to 2 for unit encodings."""
    _check_pair(first, second)
    return float(np.linalg.norm(first.astype(np.float64) - second.astype(np.float64)))


def cosine(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """The cosine of the angle between two encodings of shape (D,), -1 to 1; 0 where one of them is zero."""
    _check_pair(first, second)
    a, b = first.astype(np.float64), second.astype(np.float64)
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.clip(a @ b / norms, -1, 1)) if norms else 0.0


def decide(distances: Sequence[float], names: Sequence[str], tau: float, margin: float = 0.0) -> Decision:
    """Who it is, from the distance to every enrolled sample.

    `known` where the nearest person is nearer than `tau` and by more than `margin` nearer than the next person,
    `unsure` where only the first holds, `unknown` (not in the database) otherwise. Several samples may carry one name:
    the nearest counts. A distance that is not a number is taken as infinitely far, so that an error never opens a door.
    """
    if len(distances) != len(names):
        raise OptionError(f"Expected one name a distance, got {len(distances)} distances and {len(names)} names.")
    if not (math.isfinite(tau) and margin >= 0):
        raise OptionError(f"Expected a finite threshold and a margin of 0 or more, got {tau} and {margin}.")
    best: dict[str, float] = {}
    for name, d in zip(names, distances, strict=True):
        best[name] = min(best.get(name, math.inf), math.inf if math.isnan(d) else float(d))
    matches = [Match(name, d) for name, d in sorted(best.items(), key=lambda item: item[1])]
    return judge(matches, tau=tau, margin=margin, people=len(best))


def judge(matches: Sequence[Match], *, tau: float, margin: float, people: int) -> Decision:
    """`decide` for matches that are sorted already, one a person, nearest first; the first two are looked at."""
    nearest = matches[0] if matches else None
    runner_up = matches[1] if len(matches) > 1 else None
    if nearest is None or not nearest.distance < tau:
        return Decision("unknown", None, nearest, runner_up, tau, people)
    if runner_up is not None and runner_up.distance - nearest.distance <= margin:
        return Decision("unsure", None, nearest, runner_up, tau, people)
    return Decision("known", nearest, nearest, runner_up, tau, people)


def _check_pair(first: NDArray[np.float32], second: NDArray[np.float32]) -> None:
    if first.shape != second.shape or first.ndim != 1:
        raise OptionError(
            f"Expected two encodings of one length, got shapes {first.shape} and {second.shape}: "
            "both must come from the same encoder."
        )
