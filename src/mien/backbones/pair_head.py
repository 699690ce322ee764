"""Verification as binary classification: a logistic unit over what two encodings differ in (text 000; no torch here).

A head is a small JSON file that training writes and the faces room reads. Encodings of stored items are computed once;
a comparison then costs D multiplications.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien import images
from mien.errors import WeightsError, WeightsMismatch, WeightsNotFound

Feature = Literal["absolute", "chi-square"]
Floats = NDArray[np.float64]

FORMAT = "mien pair head 1"

EPSILON = 1e-8
"""ε of the χ² features: two components of 0 differ by 0, not by 0/0."""


@dataclass(frozen=True, eq=False)
class PairHead:
    """p(same) = σ(Σ_k w_k · feature_k(f₁, f₂) + b), symmetric in f₁ and f₂."""

    feature: Feature
    weights: Floats
    """(D,): usually below zero, since what differs speaks against the same person."""
    bias: float
    encoder: str
    """The name of the encoder whose encodings it was fitted on; on another's it means nothing."""
    calibration: Mapping[str, Any] = field(default_factory=dict)
    """What was measured: on what, on how many pairs, ece, eer, ..."""

    def logit(self, f1: ArrayLike, f2: ArrayLike) -> Floats:
        """log p/(1 − p) of encodings (…, D) and (…, D), broadcast against each other: (…)."""
        first, second = np.asarray(f1, np.float64), np.asarray(f2, np.float64)
        for given in (first, second):
            if given.shape[-1:] != self.weights.shape:
                raise WeightsMismatch(
                    f"Expected encodings of {len(self.weights)} numbers, as the head of {self.encoder} was fitted on, "
                    f"got shape {given.shape}; use that encoder, or fit a head for this one."
                )
        logits: Floats = pair_features(first, second, self.feature) @ self.weights + self.bias
        return logits

    def probability(self, f1: ArrayLike, f2: ArrayLike) -> Floats:
        """The probability that they are of the same person, 0 to 1: (…)."""
        # Not 1/(1 + e^-x), which overflows where the two could not be more different.
        return np.asarray(0.5 * (1 + np.tanh(0.5 * self.logit(f1, f2))))


def pair_features(f1: Floats, f2: Floats, feature: Feature) -> Floats:
    """|f₁ − f₂|, or χ² = (f₁ − f₂)² / (|f₁| + |f₂| + ε), of every component.

    The text divides by f₁ + f₂, which is right for encodings that are nowhere below zero (DeepFace's are rectified);
    with magnitudes it is the same there and safe for signed ones.
    """
    difference = np.abs(f1 - f2)
    if feature == "absolute":
        return np.asarray(difference)
    return np.asarray(difference**2 / (np.abs(f1) + np.abs(f2) + EPSILON))


def save_head(path: str | Path, head: PairHead, *, force: bool = False) -> Path:
    """Write the head as JSON, whole or not at all; OutputError if the file exists (unless `force`)."""
    about = {
        "format": FORMAT,
        "feature": head.feature,
        "encoder": head.encoder,
        "bias": head.bias,
        "weights": head.weights.tolist(),
        "calibration": dict(head.calibration),
    }
    text = json.dumps(about, ensure_ascii=False, indent=1)
    return images.write_whole(path, lambda file: file.write(text.encode()), force=force)


def load_head(path: str | Path, *, encoder: str | None = None) -> PairHead:
    """Read a head.

    Raises:
        WeightsNotFound: there is no such file.
        WeightsError: it is no head.
        WeightsMismatch: it was fitted on another encoder than `encoder`.
    """
    try:
        about = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise WeightsNotFound(f"Expected a head that training wrote, but there is no “{path}”.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise _no_head(path, str(error)) from error
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise _no_head(path, f'it does not say "format": "{FORMAT}"')
    try:
        head = PairHead(
            about["feature"],
            np.array(about["weights"], np.float64),
            float(about["bias"]),
            str(about["encoder"]),
            dict(about.get("calibration") or {}),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _no_head(path, f"a field is missing or not what it should be ({error})") from error
    sound = head.feature in get_args(Feature) and head.weights.ndim == 1 and len(head.weights) > 0
    if not sound or not np.isfinite([*head.weights, head.bias]).all():
        raise _no_head(path, "its feature is unknown, or its weights are not a row of finite numbers")
    if encoder is not None and head.encoder != encoder:
        raise WeightsMismatch(
            f"Expected a head fitted on encodings of {encoder}, but “{path}” was fitted on {head.encoder}; "
            f"use that encoder, or fit a head on {encoder}."
        )
    return head


def _no_head(path: str | Path, why: str) -> WeightsError:
    return WeightsError(f"Expected a head that training wrote in “{path}”, but {why}; write it anew with mien train.")
