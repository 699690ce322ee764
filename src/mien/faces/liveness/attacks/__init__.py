"""Simulated attacks: labelled pictures of living faces and of faces on paper and glass, made from real photos.

    from mien.faces.liveness.attacks import Plan, generate

    generate("people/", "attacks/", Plan(seed=1, per=2))

They stand for what cameras see at a door, and are drawings nonetheless: a network that tells these from living faces
is "trained on simulated attacks, not certified". `UNTESTED` names what is not made at all.
"""

from mien.faces.liveness.attacks.compose import (
    DISTANCES,
    LIVE,
    QUALITIES,
    SPECIES,
    UNTESTED,
    Presentation,
    take_picture,
)
from mien.faces.liveness.attacks.generate import Made, Plan, generate, part_of

__all__ = [
    "DISTANCES",
    "LIVE",
    "QUALITIES",
    "SPECIES",
    "UNTESTED",
    "Made",
    "Plan",
    "Presentation",
    "generate",
    "part_of",
    "take_picture",
]
