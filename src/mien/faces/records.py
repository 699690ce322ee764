"""What passes through the room's doors: a face, an encoding, a verification, a match, a decision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""RGB, shape (H, W, 3)."""

Encodings = NDArray[np.float32]
"""Shape (N, D), every row of L2 norm 1."""


@dataclass(frozen=True, eq=False)
class Face:
    """One face found in a picture; pixels count from the upper left corner."""

    box: tuple[float, float, float, float]
    """x, y, width, height in pixels; it may reach over the picture's edge."""
    landmarks: NDArray[np.float32]
    """Shape (5, 2), x and y in pixels: the eye on the picture's left, the one on its right, the tip of the nose, the
    mouth's corner on the picture's left, the one on its right."""
    score: float
    """The detector's confidence, 0 to 1."""

    @property
    def size(self) -> float:
        """The shorter side of the box, in pixels."""
        return min(self.box[2], self.box[3])


@dataclass(frozen=True)
class Verification:
    """Whether two faces are one person's: same where distance < threshold."""

    distance: float
    """L2 distance of the unit encodings, 0 to 2; not squared."""
    threshold: float
    same: bool
    fmr: float
    """The false match rate that the threshold stands for: strangers taken for one person, per comparison."""
    fmr_interval: tuple[float, float]
    """95 % interval of the false match rate."""
    extrapolated: bool = False
    """Whether the rate is a pessimistic bound beyond what was measured."""

    @property
    def cosine(self) -> float:
        """Cosine of the angle between the encodings, -1 to 1: 1 - distance² / 2."""
        return 1 - self.distance**2 / 2


@dataclass(frozen=True)
class Match:
    """An enrolled person and how far away they are."""

    person: str
    distance: float
    id: str = ""
    """The gallery's random number for the person, the only thing about them that a log may hold."""


@dataclass(frozen=True)
class Decision:
    """Who stands there: `known` with a match, `unknown` (not in the database), or `unsure` between two."""

    verdict: Literal["known", "unknown", "unsure"]
    match: Match | None
    """The person, where the verdict is `known`; None otherwise, so that nobody is named by mistake."""
    nearest: Match | None
    """The nearest person, whatever the verdict; None in an empty gallery."""
    runner_up: Match | None
    threshold: float
    people: int
    """How many people the face was compared with: K."""
    face: Face | None = None
