"""Encodings and logits of a part of the data, and the one number that decides when a training stops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mien import metrics
from mien.backbones.convnet import ConvNet, Output
from mien.training import evaluate
from mien.training.batches import Loader
from mien.training.data import Array, Indices
from mien.training.losses import nt_xent_loss
from mien.training.options import TrainOptions

_BATCH = 128
# Every pair of more than this many would take long at every epoch, and say little more.
_MOST = 2000


@dataclass(frozen=True)
class Measure:
    """How good the network is on the validation part; a larger `rank` is better."""

    name: str
    value: float
    rank: tuple[float, ...]


def outputs(net: ConvNet, loader: Loader, indices: Sequence[int] | Indices, output: Output = "encoding") -> Array:
    """Encodings (N, D) or logits (N, K) of the examples at `indices`, not changed; the net is left in its mode."""
    was = net.training
    net.eval()
    rows: list[Array] = []
    try:
        with torch.no_grad():
            for start in range(0, len(indices), _BATCH):
                part = indices[start : start + _BATCH]
                rows.append(net(loader.plain(part), output, extras=loader.extras(part)).numpy())
    finally:
        net.train(was)
    return np.concatenate(rows) if rows else np.empty((0, net.spec.encoding), np.float32)


def measure(
    net: ConvNet, loader: Loader, part: Indices, options: TrainOptions, *, averaged: Sequence[str] = ()
) -> Measure | None:
    """The validation measure: macro-F1 of classes, EER of encodings, SimCLR's loss; None where it cannot be taken."""
    if len(part) < 2:
        return None
    labels = loader.data.labels[part]
    if options.task == "classify":
        logits = outputs(net, loader, part, "logits")
        present = np.unique(labels)
        over = [c for c in averaged if loader.data.classes.index(c) in present]
        report = evaluate.classify(labels, logits.argmax(1), loader.data.classes, averaged=over)
        # With few examples many epochs are alike; the surer one is kept.
        sure = -float(torch.nn.functional.cross_entropy(torch.from_numpy(logits), torch.from_numpy(labels)))
        return Measure("macro-F1", report.macro_f1, (report.macro_f1, sure))
    if options.task == "simclr":
        loss = _two_views(net, loader, part, options)
        return Measure("NT-Xent", loss, (-loss,))
    if len(part) > _MOST:
        part = part[:: -(-len(part) // _MOST)]
        labels = loader.data.labels[part]
    return likeness(outputs(net, loader, part), labels)


def likeness(encodings: NDArray[Any], labels: NDArray[Any]) -> Measure | None:
    """EER over all pairs of encodings (N, D) by labels (N,); ties go to the better parted distances (d′)."""
    left, right = np.triu_indices(len(labels), k=1)
    apart, same = evaluate.pair_distances(encodings, encodings)[left, right], labels[left] == labels[right]
    if not 0 < same.sum() < len(same):
        return None
    genuine, impostor = apart[same], apart[~same]
    eer, _ = metrics.eer(genuine, impostor)
    parted = (impostor.mean() - genuine.mean()) / np.sqrt((genuine.var() + impostor.var()) / 2 + 1e-12)
    return Measure("EER", eer, (-eer, float(parted)))


def _two_views(net: ConvNet, loader: Loader, part: Indices, options: TrainOptions) -> float:
    """The loss of one batch of the part, in views that are the same each time."""
    chosen = part[: options.batch]
    was = net.training
    net.eval()
    with torch.no_grad():
        extras = loader.extras(chosen)
        one, other = (net(loader.training([(int(i), v) for i in chosen], epoch=0), extras=extras) for v in (0, 1))
    net.train(was)
    return float(nt_xent_loss(one, other, temperature=options.temperature))
