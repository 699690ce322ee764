"""What somebody at the camera is asked to do: turn the head, or come closer, in an order that nobody can foresee."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Protocol, TypeVar

from mien.errors import OptionError

STEPS = ("left", "right", "up", "down", "closer")
"""What can be asked for. Left is the person's OWN left, which a camera sees on the picture's right. Frames must come as
the camera sees them; whether the preview on the screen is a mirror image makes no difference to what is meant."""

TURNS = ("left", "right", "up", "down")
"""The steps that show depth. A photo can come closer, but it has no depth, and one that is folded along the nose has
it above and below, too: a challenge needs at least one turn."""

FRONT = "front"
"""The prompt between two steps, and after the last: look at the camera again."""

PROMPTS = (*STEPS, FRONT)
"""Everything that a session may ask for."""

_Option = TypeVar("_Option")


class Chooser(Protocol):
    """What draws the steps: `secrets.SystemRandom`, or a seeded `random.Random` in tests."""

    def choice(self, options: Sequence[_Option], /) -> _Option:
        """One of the options."""
        ...


def choose_steps(count: int = 2, *, choose: Chooser | None = None) -> tuple[str, ...]:
    """So many steps in random order, none twice in a row, at least one of them a turn.

    `choose` draws them: the operating system's random numbers, unless a test gives others.
    """
    if count < 1:
        raise OptionError(f"Expected at least one step to ask for, got {count}.")
    choose = choose or secrets.SystemRandom()
    steps: list[str] = []
    while len(steps) < count:
        # One step alone must be a turn; of two or more, one always is, as none comes twice in a row.
        offered = TURNS if count == 1 else STEPS
        steps.append(choose.choice([step for step in offered if step not in steps[-1:]]))
    return tuple(steps)


def check_steps(steps: Sequence[str]) -> tuple[str, ...]:
    """The steps as a tuple; OptionError where one is unknown, or where they would prove nothing."""
    unknown = sorted(set(steps) - set(STEPS))
    if unknown:
        raise OptionError(f"Expected steps out of {', '.join(STEPS)}, got {', '.join(map(repr, unknown))}.")
    if steps and not set(steps) & set(TURNS):
        raise OptionError("Expected at least one turn among the steps: a photo can come closer, too.")
    return tuple(steps)
