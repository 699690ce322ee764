"""How a liveness network's answer is read: the part "liveness" of its record."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mien import weights as w
from mien.errors import WeightsError
from mien.weights import Weights

SHIPPED = Path(__file__).parent / "weights" / "liveness.json"
"""The record of the net that mien ships; its file lies beside it."""

_ACTIVATIONS = ("softmax", "sigmoid", "none")


@dataclass(frozen=True)
class LivenessInput:
    """What a liveness network is shown, and which of its outputs says what."""

    scale: float
    """Side of the square that is cut out, over the longer side of the face's box: 1 to 8."""
    live: int
    """The index, from 0, of the output that stands for a living face."""
    activation: Literal["softmax", "sigmoid", "none"]
    """What turns the outputs into a probability; `none` where the network gives one."""
    threshold: float
    """A face is taken for a living one from this probability on: between 0 and 1."""
    deny: float | None = None
    """A face is clearly an attack below this probability; half the threshold where a record does not say."""

    @property
    def denied_below(self) -> float:
        """`deny`, or half the threshold."""
        return self.threshold / 2 if self.deny is None else self.deny


def read_liveness(source: str | Path) -> tuple[Weights, LivenessInput]:
    """The record called "liveness" (the shipped one), or a user's own at a path ending in `.json`, with that part.

    Raises WeightsError where there is none, or it has no part "liveness", or one that is not what is expected.
    """
    if source == "liveness":
        path = SHIPPED
    elif isinstance(source, Path) or source.endswith(".json"):
        path = Path(source)
    else:
        known = w.record(source)  # of another task, or unknown: the error names the known ones
        raise WeightsError(
            f'Expected a network for liveness, got {known.name}, for {known.task}. Give "liveness", or the path of '
            "a record (.json) of your own."
        )
    record = w.read_record(path, also=("liveness",))
    given = json.loads(path.read_text(encoding="utf-8")).get("liveness")
    return record, _liveness(given, where=f"the record {path}")


def _liveness(given: Any, *, where: str) -> LivenessInput:
    """The part of a record, checked."""
    form = '{"scale": 2.2, "live": 0, "activation": "softmax", "threshold": 0.5}'
    if not isinstance(given, dict):
        raise WeightsError(f'Expected a part "liveness" in {where}, such as {form}, got none.')
    wanted = {"scale", "live", "activation", "threshold"}
    if given.keys() - {"deny"} != wanted:
        odd = min((given.keys() - {"deny"}) ^ wanted)
        what = "no such field is known" if odd in given else "it is missing"
        raise WeightsError(f'Expected the part "liveness" of {where} to be such as {form}, but “{odd}”: {what}.')
    checks = {
        "scale": (_between(given["scale"], 1, 8), "a number from 1 to 8"),
        "live": (type(given["live"]) is int and 0 <= given["live"] < 64, "an output's index, counted from 0"),
        "activation": (given["activation"] in _ACTIVATIONS, f"one of {', '.join(_ACTIVATIONS)}"),
        "threshold": (_between(given["threshold"], 0, 1), "a number between 0 and 1"),
        "deny": (
            given.get("deny") is None or (_between(given["deny"], 0, 1) and given["deny"] <= given["threshold"]),
            "a number above 0, at most the threshold",
        ),
    }
    for field, (right, expected) in checks.items():
        if not right:
            got = json.dumps(given.get(field))[:60]
            raise WeightsError(f'Expected "{field}" in the part "liveness" of {where} to be {expected}, got {got}.')
    deny = None if given.get("deny") is None else float(given["deny"])
    return LivenessInput(float(given["scale"]), given["live"], given["activation"], float(given["threshold"]), deny)


def _between(value: Any, low: float, high: float) -> bool:
    """From low to high, but above 0 and, for a probability, below 1."""
    number = not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value)
    return number and low <= value <= high and value > 0 and (high > 1 or value < 1)
