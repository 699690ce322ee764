"""What a training says after each step, and what it adds up over an epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mien.training.history import History
    from mien.training.judging import Measure
    from mien.training.objectives import Cost


@dataclass(frozen=True, kw_only=True, eq=False)
class Progress:
    """How far a training is."""

    epoch: int
    """From 1."""
    epochs: int
    step: int
    """Steps done."""
    steps: int
    loss: float
    """Of this step's batch."""
    active: float | None
    """Share of its anchors (semi-hard: pairs) with a triplet that costs something."""
    spread: float | None
    """Root mean square distance of its encodings; near 0 they lie in one point."""
    best: Measure | None
    """On the validation part, so far."""
    seconds: float
    history: History
    """The epochs before this one."""
    alarm: str | None = None

    @property
    def remaining(self) -> float:
        """Seconds left if it goes on to the last step."""
        return self.seconds / self.step * (self.steps - self.step)


class Sums:
    """Means over the steps of an epoch, in the order in which they came."""

    def __init__(self) -> None:
        self.steps = 0
        self._loss, self._active, self._spread = 0.0, 0.0, 0.0
        self._with_active, self._with_spread = 0, 0

    def add(self, cost: Cost) -> None:
        """Take note of one step."""
        self.steps += 1
        self._loss += float(cost.loss.detach())
        if cost.active is not None:
            self._active, self._with_active = self._active + cost.active, self._with_active + 1
        if cost.spread is not None:
            self._spread, self._with_spread = self._spread + cost.spread, self._with_spread + 1

    @property
    def loss(self) -> float:
        """Mean loss."""
        return self._loss / max(self.steps, 1)

    @property
    def active(self) -> float | None:
        """Mean share of active triplets."""
        return self._active / self._with_active if self._with_active else None

    @property
    def spread(self) -> float | None:
        """Mean spread of the encodings."""
        return self._spread / self._with_spread if self._with_spread else None

    def to_list(self) -> list[float]:
        """Plain numbers."""
        return [self.steps, self._loss, self._active, self._spread, self._with_active, self._with_spread]

    @classmethod
    def from_list(cls, values: list[float]) -> Sums:
        """What `to_list` wrote."""
        made = cls()
        made.steps, made._with_active, made._with_spread = int(values[0]), int(values[4]), int(values[5])
        made._loss, made._active, made._spread = values[1], values[2], values[3]
        return made
