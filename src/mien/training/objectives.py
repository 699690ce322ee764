"""What a batch costs, for each task: computed from the encodings or logits of the whole batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mien.backbones.convnet import Output
from mien.backbones.pair_head import Feature
from mien.training.data import Indices
from mien.training.heads import PairUnit
from mien.training.losses import (
    Collapse,
    contrastive_loss,
    nt_xent_loss,
    pair_logistic_loss,
    spread,
    triplet_loss,
)
from mien.training.mining import Mining, Triplets, mine, random_triplets
from mien.training.options import TrainOptions


@dataclass(frozen=True, eq=False)
class Cost:
    """The loss of one batch and what there was to see in it."""

    loss: Tensor
    active: float | None = None
    """Share of the anchors (semi-hard: of the anchor–positive pairs) with a triplet that costs something."""
    spread: float | None = None
    """Root mean square distance of the batch's encodings."""
    alarm: str | None = None
    """A sentence at the moment a collapse is noticed."""


class Objective:
    """The task's loss; it holds the pair unit, the weights of classes, and the alarm's count."""

    def __init__(self, options: TrainOptions, *, labels: Indices, classes: int) -> None:
        """labels: (N,) of the training part, as places among `classes`."""
        self.options = options
        self.unit = (
            PairUnit(options.encoding, feature=cast(Feature, options.feature)) if options.task == "pair" else None
        )
        self.collapse = Collapse(options.chosen_margin)
        counts = np.bincount(labels, minlength=max(classes, 1)).astype(np.float64)
        weights = np.where(counts > 0, np.maximum(counts, 1) ** -options.balance, 0.0)
        # So that a batch like the whole data costs as it would unweighted.
        self.weights = torch.tensor(weights * counts.sum() / max((weights * counts).sum(), 1e-12), dtype=torch.float32)

    @property
    def output(self) -> Output:
        """What the network is asked for."""
        return "logits" if self.options.task == "classify" else "encoding"

    def __call__(self, given: Tensor, labels: Tensor, generator: torch.Generator) -> Cost:
        """The cost of encodings (B, D) or logits (B, K); labels (B,); the generator draws pairs and random triplets."""
        task = self.options.task
        if task == "classify":
            return Cost(F.cross_entropy(given.float(), labels, weight=self.weights))
        apart = spread(given)
        if task == "simclr":
            half = len(given) // 2
            return Cost(nt_xent_loss(given[:half], given[half:], temperature=self.options.temperature), None, apart)
        if task == "triplet":
            return self._triplet(given, labels, generator, apart)
        a, b, same = _pairs(random_triplets(labels, generator=generator))
        if self.unit is not None:
            return Cost(pair_logistic_loss(self.unit(given[a], given[b]), same), None, apart)
        return Cost(contrastive_loss(given[a], given[b], same, margin=self.options.chosen_margin), None, apart)

    def _triplet(self, f: Tensor, labels: Tensor, generator: torch.Generator, apart: float) -> Cost:
        margin = self.options.chosen_margin
        chosen = mine(cast(Mining, self.options.mining), f, labels, margin=margin, generator=generator)
        result = triplet_loss(f, chosen, margin=margin)
        # In one point there is no semi-hard triplet, so the loss is 0, but the collapse is the same.
        seen = float(result.loss.detach()) if result.triplets else margin
        active = result.active
        if self.options.mining == "semi-hard":
            # Each that is found costs something by its definition; what fades is how many pairs find one.
            counts = torch.bincount(labels)
            active *= result.triplets / max(int((counts * (counts - 1)).sum()), 1)
        return Cost(result.loss, active, apart, self.collapse.update(seen, apart))


def _pairs(triplets: Triplets) -> tuple[Tensor, Tensor, Tensor]:
    """As many pairs that are same as ones that are different."""
    a, p, n = triplets
    same = torch.cat([torch.ones(len(a)), torch.zeros(len(a))])
    return torch.cat([a, a]), torch.cat([p, n]), same
