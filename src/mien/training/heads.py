"""The logistic unit on top of a Siamese network: trained with it as a module, or after it on its encodings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from mien.backbones.pair_head import EPSILON, Feature, PairHead
from mien.errors import OptionError
from mien.training.losses import pair_logistic_loss
from mien.training.mining import balanced_pairs


def pair_features(f1: Tensor, f2: Tensor, feature: Feature) -> Tensor:
    """|f₁ − f₂|, or χ² = (f₁ − f₂)² / (|f₁| + |f₂| + ε): `mien.backbones.pair_head` with gradients, finite at 0/0."""
    difference = (f1 - f2).abs()
    if feature == "absolute":
        return difference
    return difference.square() / (f1.abs() + f2.abs() + EPSILON)


class PairUnit(nn.Module):
    """Logits (…) of pairs of encodings (…, D): above 0 for same. It starts by thinking that differences part people."""

    def __init__(self, encoding: int = 128, *, feature: Feature = "absolute") -> None:
        super().__init__()
        self.feature = feature
        self.weights = nn.Parameter(torch.full((encoding,), -1.0))
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, f1: Tensor, f2: Tensor) -> Tensor:
        """Symmetric: f(x, y) = f(y, x)."""
        return pair_features(f1, f2, self.feature) @ self.weights + self.bias

    def to_head(self, *, encoder: str, calibration: Mapping[str, Any] | None = None) -> PairHead:
        """The unit as the record that is saved, and that needs no torch to be used."""
        return PairHead(
            self.feature,
            self.weights.detach().double().cpu().numpy(),
            float(self.bias.detach()),
            encoder,
            dict(calibration or {}),
        )


def fit_head(
    encodings: ArrayLike,
    labels: ArrayLike,
    *,
    encoder: str,
    feature: Feature = "absolute",
    pairs: int = 20_000,
    penalty: float = 1e-3,
    seed: int = 0,
) -> PairHead:
    """A head fitted on the encodings (N, D) of labelled items (N,) that the encoder has not been trained on.

    On encodings of its own training part an encoder is too sure, and so would be the head. Drawn are up to `pairs`
    pairs of each kind; see `fit_head_on_pairs`. OptionError where there are no pairs to draw.
    """
    f = np.asarray(encodings, np.float64)
    whose = torch.from_numpy(np.unique(np.asarray(labels), return_inverse=True)[1])
    if f.ndim != 2 or len(whose) != len(f):
        raise OptionError(f"Expected encodings (N, D) and labels (N,), got {f.shape} and {tuple(whose.shape)}.")
    drawn = balanced_pairs(whose, most=pairs, generator=torch.Generator().manual_seed(seed))
    a, p, n = (index.numpy() for index in drawn)
    first, second = np.concatenate([f[a], f[a]]), np.concatenate([f[p], f[n]])
    same = np.repeat([1, 0], len(a))
    return fit_head_on_pairs(first, second, same, encoder=encoder, feature=feature, penalty=penalty)


def fit_head_on_pairs(
    f1: ArrayLike,
    f2: ArrayLike,
    same: ArrayLike,
    *,
    encoder: str,
    feature: Feature = "absolute",
    penalty: float = 1e-3,
) -> PairHead:
    """A head fitted on pairs (N, D), (N, D) of which `same` (N,) says 1 or 0.

    Logistic regression by L-BFGS in float64, same and different weighing alike. Each feature is divided by its
    deviation first, so that `penalty`, half of which times ‖w‖² is added to the loss, means the same for every one.
    """
    first, second = (torch.as_tensor(np.asarray(f, np.float64)) for f in (f1, f2))
    y = torch.as_tensor(np.asarray(same, np.float64))
    if first.dim() != 2 or first.shape != second.shape or y.shape != first.shape[:1]:
        raise OptionError(
            f"Expected pairs (N, D), (N, D) and same (N,), got {tuple(first.shape)}, {tuple(second.shape)} and "
            f"{tuple(y.shape)}."
        )
    if not (0 < float(y.sum()) < len(y)):
        raise OptionError("Expected pairs of both kinds, got only one; give same ones and different ones.")
    x = pair_features(first, second, feature)
    if not bool(torch.isfinite(x).all()):
        raise OptionError("Expected finite encodings, got some that are not; leave those items out.")
    # A component that never differs has no deviation and decides nothing.
    scale = x.std(0).clamp_min(1e-12)
    centre = x.mean(0)
    weights, bias = _logistic((x - centre) / scale, y, penalty)
    weights = weights / scale
    return PairHead(feature, weights.numpy(), float(bias - (weights * centre).sum()), encoder)


def _logistic(x: Tensor, y: Tensor, penalty: float) -> tuple[Tensor, Tensor]:
    """Weights (D,) and bias () of the logistic regression of y (N,) on x (N, D)."""
    weights = torch.zeros(x.shape[1], dtype=x.dtype, requires_grad=True)
    bias = torch.zeros((), dtype=x.dtype, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [weights, bias], max_iter=500, tolerance_grad=1e-9, tolerance_change=1e-13, line_search_fn="strong_wolfe"
    )

    def cost() -> Tensor:
        optimiser.zero_grad()
        loss = pair_logistic_loss(x @ weights + bias, y) + 0.5 * penalty * weights.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(cost)  # type: ignore[no-untyped-call]
    return weights.detach(), bias.detach()
