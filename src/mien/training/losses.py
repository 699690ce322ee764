"""What a Siamese network is taught by: triplets, pairs, two views of one thing; and the alarm when it gives up.

Encodings are (B, D). Distances d are ‖f − g‖; the triplet loss uses their squares, as its text does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from mien.errors import OptionError

if TYPE_CHECKING:
    from mien.training.mining import Triplets

MARGIN = 0.2
"""α of the triplet loss (text 000; Schroff et al. 2015)."""

Reduction = Literal["active", "mean", "sum"]
Margin = float | Literal["soft"]


# ---- distances -------------------------------------------------------------------------------------------------------


def squared_distance(a: Tensor, b: Tensor) -> Tensor:
    """‖a − b‖² of the rows of a and b (…, D): (…); 0, with gradient 0, where they are equal.

    From the differences themselves: ‖a‖² + ‖b‖² − 2ab loses what is small to cancellation, and a root has no
    gradient at 0.
    """
    return (_wide(a) - _wide(b)).square().sum(-1)


def distance(a: Tensor, b: Tensor, *, least: float = 1e-12) -> Tensor:
    """‖a − b‖ of the rows of a and b (…, D), at least √`least`: below it the gradient is 0 instead of 0/0."""
    return squared_distance(a, b).clamp_min(least).sqrt()


def spread(encodings: Tensor) -> float:
    """Root mean square distance of all pairs of encodings (B, D), in O(B·D): 0 if all lie in one point."""
    f = _wide(encodings.detach())
    if len(f) < 2:
        return 0.0
    # About the mean: mean ‖f‖² − ‖mean f‖² would hide a collapse to below 1e-3 behind float32's rounding.
    deviation = (f - f.mean(0)).square().sum(1).mean().item()
    return math.sqrt(2 * deviation * len(f) / (len(f) - 1))


def _wide(f: Tensor) -> Tensor:
    """Half precision as float32; float32 and float64 as they are."""
    return f if f.dtype in (torch.float32, torch.float64) else f.float()


# ---- triplets --------------------------------------------------------------------------------------------------------


def triplet_cost(anchor: Tensor, positive: Tensor, negative: Tensor, *, margin: Margin = MARGIN) -> Tensor:
    """L(A, P, N) = max(‖f(A) − f(P)‖² − ‖f(A) − f(N)‖² + α, 0) of each row of three (T, D): (T,).

    All-zero encodings cost exactly α: the trivial solution does not pay. d²(A, P) = 0.5 needs d²(A, N) ≥ 0.7.
    `soft`: ln(1 + e^(d²(A, P) − d²(A, N))), which never rests (Hermans et al. 2017).
    """
    gap = squared_distance(anchor, positive) - squared_distance(anchor, negative)
    return F.softplus(gap) if margin == "soft" else F.relu(gap + margin)


@dataclass(frozen=True, eq=False)
class TripletResult:
    """The loss of a batch and how much there was to learn in it."""

    loss: Tensor
    """A scalar with a graph, also where there was no triplet."""
    active: float
    """Share of the triplets that cost something, 0 to 1; 0 without triplets."""
    triplets: int


def triplet_loss(
    encodings: Tensor, triplets: Triplets, *, margin: Margin = MARGIN, reduction: Reduction = "active"
) -> TripletResult:
    """The triplet loss of the encodings (B, D) over chosen triplets.

    reduction: `active`, the mean over triplets that cost something: it does not fade as most of them come right;
        `mean` over all of them; `sum`, as in J = Σ L of text 000.
    """
    if margin != "soft" and not margin > 0:
        raise OptionError(
            f"Expected a margin above 0, got {margin}: without one, all-zero encodings would cost nothing."
        )
    count = len(triplets.anchors)
    if count == 0:
        # A plain 0 would have no graph, and backward() would fail on the first batch without a triplet.
        return TripletResult(_wide(encodings).sum() * 0, 0.0, 0)
    # index_select, since its gradient is one addition per row; indexing sorts the indices first.
    rows = [encodings.index_select(0, index) for index in triplets]
    costs = triplet_cost(rows[0], rows[1], rows[2], margin=margin)
    active = int((costs.detach() > 0).sum())
    total = costs.sum()
    divisor = {"active": max(active, 1), "mean": count, "sum": 1}.get(reduction)
    if divisor is None:
        raise OptionError(f"Expected a reduction of active, mean or sum, got {reduction!r}.")
    return TripletResult(total / divisor, active / count, count)


# ---- pairs -----------------------------------------------------------------------------------------------------------


def contrastive_loss(f1: Tensor, f2: Tensor, same: Tensor, *, margin: float = 1.0) -> Tensor:
    """Mean over pairs (B, D) of ½ y d² + ½ (1 − y) max(m − d, 0)², y = 1 for same (Hadsell et al. 2006, eq. 4).

    same: (B,), true or 1 where the two are of one identity.
    """
    y = same.to(_wide(f1).dtype)
    pull = squared_distance(f1, f2)
    push = F.relu(margin - distance(f1, f2)).square()
    return _mean(0.5 * (y * pull + (1 - y) * push), f1)


def pair_logistic_loss(logits: Tensor, same: Tensor, *, balance: bool = True) -> Tensor:
    """Verification as binary classification: the cross-entropy of logits (B,) against same (1) or different (0).

    balance: same and different pairs weigh alike however many there are of each. Probabilities are then those of a
    world where half of all pairs are same.
    """
    y = same.to(_wide(logits).dtype)
    costs = F.binary_cross_entropy_with_logits(_wide(logits), y, reduction="none")
    if balance and 0 < (ones := float(y.sum())) < len(y):
        costs = costs * (y / ones + (1 - y) / (len(y) - ones)) * (len(y) / 2)
    return _mean(costs, logits)


def nt_xent_loss(first: Tensor, second: Tensor, *, temperature: float = 0.5) -> Tensor:
    """SimCLR's loss of two views (B, D), (B, D) of the same B things (Chen et al. 2020, eq. 1).

    Each view has to find its twin among the other 2B − 1, by cosine similarity divided by `temperature`.
    """
    views = _wide(torch.cat([first, second]))
    views = views * views.square().sum(1, keepdim=True).clamp_min(1e-12).rsqrt()
    likeness = views @ views.T / temperature
    itself = torch.eye(len(views), dtype=torch.bool, device=views.device)
    count = len(first)
    twins = torch.arange(2 * count, device=views.device).roll(count)
    return F.cross_entropy(likeness.masked_fill(itself, -torch.inf), twins)


def _mean(costs: Tensor, given: Tensor) -> Tensor:
    return costs.mean() if costs.numel() else _wide(given).sum() * 0


# ---- the alarm -------------------------------------------------------------------------------------------------------


@dataclass
class Collapse:
    """Notices that all encodings have fallen all but into one point, where the loss is α and the gradient next to 0."""

    margin: Margin = MARGIN
    patience: int = 100
    """Steps in a row before the alarm: after its first ones, a network may look so for a moment."""
    near: float = 0.1
    """Encodings whose root mean square distance is below this lie all but in one point (of unit ones, spread out, it
    is √2). Hard mining left Omniglot at 0.01 and faces at 0.07, and neither came back."""
    tolerance: float = 0.05
    """How far from α the loss may be, as a share of α."""
    steps: int = field(default=0, init=False)
    """Steps in a row that looked collapsed."""

    def update(self, loss: float, spread: float) -> str | None:
        """Take note of a step's loss (a mean) and its encodings' `spread`; a sentence at the moment of alarm."""
        stuck = math.log(2) if self.margin == "soft" else self.margin
        collapsed = abs(loss - stuck) < self.tolerance * stuck and spread < self.near
        self.steps = self.steps + 1 if collapsed else 0
        if self.steps != self.patience:
            return None
        return (
            f"The network has collapsed: for {self.patience} steps all encodings have lain all but in one point "
            f"({spread:.2g} apart) and the loss has been stuck at {stuck:g}, where there is next to no gradient. Start "
            "again with a lower learning rate, semi-hard mining instead of hard, or larger batches."
        )
