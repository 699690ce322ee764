"""Teaching a network to tell likeness apart: Siamese training in one, two and three dimensions.

    from mien.training import batch_hard, triplet_loss

    encodings = net(batch)                                          # (B, 128), unit
    result = triplet_loss(encodings, batch_hard(encodings, labels))
    result.loss.backward()

`mien.training.train.train` and `mien.training.study.study` do the rest, from data to a report.

The names load on first use, so that importing the room needs no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mien.training.heads import PairUnit, fit_head
    from mien.training.losses import (
        Collapse,
        TripletResult,
        contrastive_loss,
        nt_xent_loss,
        pair_logistic_loss,
        triplet_loss,
    )
    from mien.training.mining import Triplets, balanced_pairs, batch_hard, mine, random_triplets, semi_hard
    from mien.training.options import TrainOptions
    from mien.training.samplers import PKSampler
    from mien.training.study import Study
    from mien.training.train import Trained

_HOMES = {
    "heads": ("PairUnit", "fit_head"),
    "losses": (
        "Collapse",
        "TripletResult",
        "contrastive_loss",
        "nt_xent_loss",
        "pair_logistic_loss",
        "triplet_loss",
    ),
    "options": ("TrainOptions",),
    "study": ("Study",),
    "train": ("Trained",),
    "mining": ("Triplets", "balanced_pairs", "batch_hard", "mine", "random_triplets", "semi_hard"),
    "samplers": ("PKSampler",),
}

__all__ = [
    "Collapse",
    "PKSampler",
    "PairUnit",
    "Study",
    "TrainOptions",
    "Trained",
    "TripletResult",
    "Triplets",
    "balanced_pairs",
    "batch_hard",
    "contrastive_loss",
    "fit_head",
    "mine",
    "nt_xent_loss",
    "pair_logistic_loss",
    "random_triplets",
    "semi_hard",
    "triplet_loss",
]


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"mien.training.{module}"), name)
    raise AttributeError(f"module 'mien.training' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
