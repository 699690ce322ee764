"""Which triplets and pairs of a batch to learn from: random ones, semi-hard ones, the hardest.

A batch is encodings (B, D) with labels (B,) that say whose they are. Distances are compared in blocks of rows, so the
memory needed grows with B, not with B² or B³. What is chosen has no gradient; the loss is computed from the chosen
rows. Equal distances: the lowest index is taken (equal in float32; they are compared as ‖n‖² − 2 a·n, whose rounding
of about 1e-7 for unit encodings can part two that are equal on paper).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from mien.errors import OptionError
from mien.training.losses import MARGIN

Mining = Literal["random", "semi-hard", "hard"]

# Rows compared at a time: a block of 128 × 1,024 distances stays in a core's cache.
_BLOCK = 128


class Triplets(NamedTuple):
    """Index triplets into a batch: (T,) int64 each; labels equal for anchor and positive, another for negative."""

    anchors: Tensor
    positives: Tensor
    negatives: Tensor


def mine(
    how: Mining,
    encodings: Tensor,
    labels: Tensor,
    *,
    margin: float = MARGIN,
    generator: torch.Generator | None = None,
) -> Triplets:
    """Triplets of a batch, chosen as `how` says; `generator` is for `random` alone, `margin` for `semi-hard` alone."""
    miners: dict[str, Callable[[], Triplets]] = {
        "random": lambda: random_triplets(labels, generator=generator),
        "semi-hard": lambda: semi_hard(encodings, labels, margin=margin),
        "hard": lambda: batch_hard(encodings, labels),
    }
    if how not in miners:
        raise OptionError(f"Expected mining to be one of {', '.join(miners)}, got {how!r}.")
    return miners[how]()


@torch.no_grad()
def random_triplets(labels: Tensor, *, generator: torch.Generator | None = None) -> Triplets:
    """One triplet per anchor that has both: a positive and a negative drawn at random, all alike likely."""
    B = len(labels)
    # The place of each label's items in a batch sorted by label: a draw is then a place, not a row of B chances.
    order = labels.argsort(stable=True)
    _, group, counts = labels[order].unique_consecutive(return_inverse=True, return_counts=True)  # type: ignore[no-untyped-call]
    firsts = (counts.cumsum(0) - counts)[group]
    counts = counts[group]
    place = torch.arange(B, device=labels.device)
    chance = torch.rand(2, B, generator=generator, dtype=torch.float64).to(labels.device)
    positive = firsts + (chance[0] * (counts - 1)).long()
    positive += (positive >= place).long()  # any of the label's places but its own
    negative = (chance[1] * (B - counts)).long()
    negative += torch.where(negative >= firsts, counts, 0)  # any place outside the label's
    kept = (counts > 1) & (counts < B)
    order_of = torch.stack([place, positive, negative])[:, kept]
    a, p, n = order[order_of]
    by_anchor = a.argsort()
    return Triplets(a[by_anchor], p[by_anchor], n[by_anchor])


@torch.no_grad()
def batch_hard(encodings: Tensor, labels: Tensor) -> Triplets:
    """For every anchor its farthest positive and its nearest negative (Hermans et al. 2017), anchors in order.

    An anchor that is alone of its label, or without any other label beside it, is skipped.
    """
    f, labels = _checked(encodings, labels)
    places = torch.arange(len(f), device=f.device)
    positives, negatives = torch.empty_like(places), torch.empty_like(places)
    usable = torch.empty(len(f), dtype=torch.bool, device=f.device)
    for rows, d2, same in _blocks(f, labels):
        nearest, negatives[rows] = d2.masked_fill(same, torch.inf).min(1)
        same[:, rows].fill_diagonal_(False)  # nobody is their own positive
        farthest, positives[rows] = d2.masked_fill_(same.logical_not_(), -torch.inf).max(1)
        usable[rows] = (nearest < torch.inf) & (farthest > -torch.inf)
    return Triplets(places[usable], positives[usable], negatives[usable])


@torch.no_grad()
def semi_hard(encodings: Tensor, labels: Tensor, *, margin: float = MARGIN) -> Triplets:
    """For every anchor–positive pair the nearest negative with d²(A, P) < d²(A, N) < d²(A, P) + α; none: skipped.

    FaceNet's definition (Schroff et al. 2015, section 3.2); of the valid negatives the hardest, which needs no dice,
    so that a resumed training chooses what the uninterrupted one would have. Pairs in order of anchor, then positive.
    """
    f, labels = _checked(encodings, labels)
    found: list[Tensor] = []
    for rows, d2, same in _blocks(f, labels):
        negatives = d2.masked_fill(same, torch.inf)
        same[:, rows].fill_diagonal_(False)  # nobody is their own positive
        row, positive = same.nonzero(as_tuple=True)
        counts = same.sum(1)
        place = torch.arange(len(row), device=f.device) - (counts.cumsum(0) - counts)[row]
        # The first positive of every anchor at once, then the second, ...: a row per pair would take B² K of memory.
        wanted = d2.new_full((len(d2), int(counts.max())), torch.inf)
        wanted[row, place] = d2[row, positive]
        nearest, negative = torch.empty_like(wanted), torch.empty_like(wanted, dtype=torch.int64)
        for k in range(wanted.shape[1]):
            too_near = negatives <= wanted[:, k, None]
            nearest[:, k], negative[:, k] = negatives.masked_fill(too_near, torch.inf).min(1)
        nearest, negative = nearest[row, place], negative[row, place]
        kept = nearest < wanted[row, place] + margin
        found.append(torch.stack([row + rows.start, positive, negative])[:, kept])
    a, p, n = torch.cat(found, dim=1) if found else torch.empty(3, 0, dtype=torch.int64, device=f.device)
    return Triplets(a, p, n)


def balanced_pairs(labels: Tensor, *, most: int = 20_000, generator: torch.Generator | None = None) -> Triplets:
    """Pairs for verification: for drawn anchors one positive and one negative each, at most `most` anchors.

    Every anchor–positive pair is a pair that is same, every anchor–negative pair one that is different: as many of
    the one as of the other. OptionError where there is no such triplet.
    """
    triplets = random_triplets(labels, generator=generator)
    if len(triplets.anchors) == 0:
        raise OptionError(
            "Expected two or more identities, one of them with two or more items, got none to make pairs of; "
            "add a second item of the same identity."
        )
    rounds = [triplets]
    while len(rounds) * len(triplets.anchors) < most and len(rounds) < len(labels):
        rounds.append(random_triplets(labels, generator=generator))
    a, p, n = (torch.cat(parts)[:most] for parts in zip(*rounds, strict=True))
    return Triplets(a, p, n)


def _checked(encodings: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    if encodings.dim() != 2 or labels.shape != encodings.shape[:1]:
        raise OptionError(
            f"Expected encodings (B, D) and labels (B,), got {tuple(encodings.shape)} and {tuple(labels.shape)}."
        )
    f = encodings.detach()
    return (f if f.dtype in (torch.float32, torch.float64) else f.float()), labels


def _blocks(f: Tensor, labels: Tensor) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Blocks of rows: which, their ‖n‖² − 2 a·n (R, B), and where the label is the same (R, B).

    That is the squared distance less ‖a‖², which is the same all along a row and decides nothing.
    """
    squares = f.square().sum(1)
    columns = f.T
    for start in range(0, len(f), _BLOCK):
        rows = slice(start, min(start + _BLOCK, len(f)))
        yield rows, torch.addmm(squares, f[rows], columns, alpha=-2), labels[rows, None] == labels[None]
