"""From examples to the tensors of a batch: normalised, and changed a little where one is training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mien.training.augment import NONE, Augmentation, augment
from mien.training.data import Array, Dataset, Indices
from mien.training.normalise import Normaliser
from mien.training.options import TrainOptions
from mien.training.samplers import PKSampler

Row = tuple[int, int]
"""An example's place in the data, and which view of it."""


@dataclass(frozen=True, eq=False)
class Loader:
    """Makes tensors of the examples at given places."""

    data: Dataset
    normaliser: Normaliser
    augmentation: Augmentation = NONE
    seed: int = 0

    def training(self, rows: Sequence[Row], *, epoch: int) -> Tensor:
        """Rows as float32 (B, C, *spatial), changed as (seed, epoch, place, view) say and nothing else."""
        return torch.from_numpy(np.stack([self._changed(index, view, epoch) for index, view in rows]))

    def plain(self, indices: Sequence[int] | Indices) -> Tensor:
        """Examples as they are, normalised: (B, C, *spatial)."""
        return torch.from_numpy(np.stack([self.normaliser(self.data[int(i)]) for i in indices]))

    def extras(self, indices: Sequence[int] | Indices) -> Tensor | None:
        """The numbers beside each example (B, E), if there are any."""
        return None if self.data.extras is None else torch.from_numpy(self.data.extras[np.asarray(indices, np.int64)])

    def _changed(self, index: int, view: int, epoch: int) -> Array:
        values = self.data[index]
        how = {"seed": self.seed, "epoch": epoch, "index": index, "view": view}
        # Pictures are changed in [0, 1], signals and volumes once they have a deviation of 1.
        if self.data.kind in ("image", "clip"):
            return self.normaliser(augment(values, self.augmentation, **how))
        return augment(self.normaliser(values), self.augmentation, **how)


@dataclass(frozen=True, eq=False)
class Order:
    """Which examples make the batches of an epoch; it follows from the seed and the epoch alone."""

    places: Indices
    """The training part."""
    labels: Indices
    """(N,) of the training part."""
    options: TrainOptions

    def __len__(self) -> int:
        return len(self._sampler()) if self.options.encodes else -(-len(self.places) // self.options.batch)

    def epoch(self, number: int) -> Iterator[list[Row]]:
        """The batches as rows; SimCLR's hold every example's first view, then every one's second."""
        if self.options.encodes:
            sampler = self._sampler()
            sampler.set_epoch(number)
            for batch in sampler:
                yield [(int(self.places[i]), 0) for i in batch]
            return
        random = np.random.default_rng([self.options.seed, number])
        # Parts of nearly one size: a last batch of a single example would pull as hard as a full one.
        for part in np.array_split(random.permutation(self.places), len(self)):
            views = (0, 1) if self.options.task == "simclr" else (0,)
            yield [(int(i), view) for view in views for i in part]

    def _sampler(self) -> PKSampler:
        o = self.options
        return PKSampler(self.labels, identities=o.identities, items=o.items, seed=o.seed)
