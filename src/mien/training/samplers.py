"""Batches of P identities with K items each: without positives in the batch there is no triplet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from mien.errors import OptionError


class PKSampler:
    """Batches of item indices, P identities × K items, for a DataLoader's `batch_sampler` or a plain loop.

    - An identity with fewer than K items gives all it has: an item is never twice in a batch, since a copy of itself
      is a positive that teaches nothing.
    - An identity with one item never anchors. `singles` of them are added to every batch, as negatives.
    - Every identity comes once before any comes twice, and so does every item of an identity.
    - An epoch is as many batches as see about as many items as there are, or `batches`. The order depends on seed and
      epoch alone: `set_epoch` before each, also after a resume.
    - Of several processes each takes every `world`-th batch, whole; all get the same number.
    """

    def __init__(
        self,
        labels: Sequence[int] | NDArray[np.int64],
        *,
        identities: int = 16,
        items: int = 4,
        singles: int = 0,
        batches: int | None = None,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        """labels: (N,), whose item each is; `identities` is P, `items` is K."""
        if identities < 2 or items < 2:
            raise OptionError(
                f"Expected at least 2 identities of 2 items a batch, got {identities} × {items}: a triplet takes a "
                "pair and a stranger."
            )
        if not 0 <= rank < world or singles < 0 or (batches is not None and batches < 1):
            raise OptionError(
                f"Expected 0 <= rank < world, singles >= 0 and batches >= 1, got rank {rank} of {world}, "
                f"{singles} singles and {batches} batches."
            )
        of = _items_of(np.asarray(labels))
        self._paired = [places for places in of if len(places) > 1]
        self._single = np.array([places[0] for places in of if len(places) == 1], np.int64)
        if not self._paired:
            raise OptionError(
                "Expected at least one identity with two or more items, got one item per identity only: triplets need "
                "pairs. Add a second item to each, or pre-train without labels."
            )
        if len(of) < 2:
            raise OptionError("Expected at least two identities, got one: triplets need a stranger. Add another.")
        self._identities = min(identities, len(self._paired))
        # One identity with pairs: its negatives can come from the single ones alone.
        self._singles = min(max(singles, int(self._identities == 1)), len(self._single))
        self._items, self._seed, self._rank, self._world, self._epoch = items, seed, rank, world, 0
        seen = self._identities * items + self._singles
        wanted = batches or -(-sum(map(len, of)) // seen)
        self._batches = -(-wanted // world) * world

    def set_epoch(self, epoch: int) -> None:
        """The epoch whose order the next iteration follows."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._batches // self._world

    def __iter__(self) -> Iterator[list[int]]:
        random = np.random.default_rng([self._seed, self._epoch])
        people = _Deck(np.arange(len(self._paired)), random)
        decks = [_Deck(places, random) for places in self._paired]
        strangers = _Deck(self._single, random)
        for number in range(self._batches):
            batch: list[int] = []
            for person in people.draw(self._identities):
                batch += decks[person].draw(self._items)
            batch += strangers.draw(self._singles)
            if number % self._world == self._rank:
                yield batch


class _Deck:
    """Cards drawn without putting back, shuffled anew when they run out; no card twice in one draw."""

    def __init__(self, cards: NDArray[np.int64], random: np.random.Generator) -> None:
        self._cards, self._random = cards, random
        self._left: list[int] = []

    def draw(self, count: int) -> list[int]:
        count = min(count, len(self._cards))
        drawn, self._left = self._left[:count], self._left[count:]
        if len(drawn) < count:
            fresh: list[int] = self._random.permutation(self._cards).tolist()
            new = [card for card in fresh if card not in drawn]
            wanted = count - len(drawn)
            # What ended the last round has its turn in this one, too: at its end.
            self._left = new[wanted:] + drawn
            drawn = drawn + new[:wanted]
        return drawn


def _items_of(labels: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The places of each label's items, labels in order."""
    order = np.argsort(labels, kind="stable").astype(np.int64)
    if len(order) == 0:
        raise OptionError("Expected labels to draw batches from, got none.")
    _, firsts = np.unique(labels[order], return_index=True)
    return np.split(order, firsts[1:])
