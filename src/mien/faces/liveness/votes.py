"""How the passive net's looks at several frames become one answer."""

from __future__ import annotations

import math

LEAST = 3
"""Frames that must have voted for anybody to be taken for alive."""
_FIRST = 5  # frames after which a session without steps is decided
_IN_A_ROW = 2


class Votes:
    """What the passive net said of the frames from the front.

    Denial overrides: two frames in a row below `denied_below` are an attack. Otherwise at least three must have voted.
    Where the net decides alone, most of them must have reached its threshold, and the first three of five settle it;
    beside a challenge it is a witness who may only deny, and most of them must have reached `denied_below`.
    """

    def __init__(self, threshold: float, *, denied_below: float | None = None, alone: bool = True) -> None:
        self.denied_below = threshold / 2 if denied_below is None else denied_below
        self.threshold = threshold if alone else self.denied_below
        self.scores: list[float] = []

    def add(self, score: float) -> None:
        """One frame's probability of live; what is not a number counts as none at all."""
        self.scores.append(score if math.isfinite(score) else 0.0)

    def start_again(self) -> None:
        """Somebody else may stand there now: what spoke for the one before is forgotten, what spoke against is not."""
        self.scores = [score for score in self.scores if score < self.threshold]

    @property
    def denied(self) -> bool:
        """Whether the last frames were clearly an attack."""
        last = self.scores[-_IN_A_ROW:]
        return len(last) == _IN_A_ROW and max(last) < self.denied_below

    @property
    def decided(self) -> bool:
        """Whether three have voted alike: no later frame of the first five can change the majority."""
        live = sum(score >= self.threshold for score in self.scores)
        return max(live, len(self.scores) - live) > _FIRST // 2

    @property
    def live(self) -> bool:
        """Whether at least three frames voted, and most of them for live."""
        votes = [score >= self.threshold for score in self.scores]
        return len(votes) >= LEAST and sum(votes) * 2 > len(votes)
