"""What a session says: where it stands, why a frame did not count, why it was refused, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mien.faces.records import Face

Phase = Literal["looking", "challenge", "live", "refused"]

HINTS = (
    "no_face", "several_faces", "too_small", "cut_off", "too_dark", "too_bright", "blurred", "turned", "too_far",
    "too_fast", "lost", "expression", "covered",
)  # fmt: skip
"""Codes that come with a frame that does not count; the session goes on. `covered`: it has turned, but neither lip nor
bridge of the nose can be followed, so that nothing tells whether the nose stands out."""

REFUSALS = (
    "late", "order", "duplicate", "clock", "gap", "flood", "several_faces", "another_face", "flat", "wrong_direction",
    "early", "attack", "not_live", "error",
)  # fmt: skip
"""Codes that end a session. `late`: the time was up. `order`, `duplicate`, `clock`, `gap`, `flood`: the frames are not
those of a camera now, or the face was out of sight. `several_faces`: not exactly one. `another_face`: the encoding is
another person's. `flat`: turned like a sheet, flat or folded, not like a head. `wrong_direction`: another turn than
the one asked for. `early`: it had turned before anybody can have read the prompt. `attack`: the net is sure of a
picture of a face. `not_live`: most of the net's votes. `error`: something failed."""


@dataclass(frozen=True, eq=False)
class Status:
    """Where a session stands after a frame."""

    phase: Phase
    prompt: str | None
    """What is asked now: one of `challenge.PROMPTS`; None outside a challenge."""
    step: int
    """Steps done, 0 to `steps`."""
    steps: int
    reason: str | None
    """Why the frame did not count (one of HINTS), or why the session is refused (one of REFUSALS)."""
    face: Face | None
    """The face in the frame, or the larger one of several."""


@dataclass(frozen=True, eq=False)
class Liveness:
    """What came of a session."""

    live: bool
    reason: str
    """`live`, one of REFUSALS, or `unfinished`."""
    encoding: NDArray[np.float32] | None
    """Mean of the sharpest frames from the front, L2 norm 1; None unless live."""
    face: Face | None
    """The sharpest of them; None unless live."""
    frames: int
    """Frames judged."""
    seconds: float
    """By the server's clock, from the session's beginning to its end."""
    token: str | None
    """Random, of a live session, until `LivenessSession.take_token` has given it out."""
