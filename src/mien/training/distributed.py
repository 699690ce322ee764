"""One training on several processes: each encodes its share of a batch, all see the loss of the whole one.

Started by torchrun, which says who is who in the environment:

    torchrun --nproc-per-node 2 -m mien.cli.main train --recipe faces -o out

A batch is dealt out row by row, and the encodings are gathered before mining, so that a triplet may lie on several
processes. Nothing in the network looks across rows: with any number of processes the gradient is the same.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from mien.errors import OptionError

T = TypeVar("T")


@dataclass(frozen=True)
class Team:
    """Who this process is among how many."""

    rank: int = 0
    world: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes files and reports."""
        return self.rank == 0

    def share(self, rows: Sequence[T]) -> Sequence[T]:
        """This process's rows of a batch: every `world`-th one."""
        if len(rows) < self.world:
            raise OptionError(
                f"Expected batches of at least one row a process, got {len(rows)} rows for {self.world} processes; "
                "start fewer processes, or take larger batches."
            )
        return rows[self.rank :: self.world]

    def gather(self, rows: Tensor, total: int) -> Tensor:
        """The rows (n, …) of all processes in the batch's order, (total, …); only its own carry a gradient here.

        Every process computes the same loss of all rows; the parts of its gradient are then summed by `summed`.
        """
        if self.world == 1:
            return rows
        most = -(-total // self.world)
        padded = torch.cat([rows, rows.new_zeros(most - len(rows), *rows.shape[1:])])
        parts = [torch.empty_like(padded, requires_grad=False) for _ in range(self.world)]
        dist.all_gather(parts, padded.detach().contiguous())
        parts[self.rank] = padded
        return torch.stack(parts, dim=1).flatten(0, 1)[:total]

    def agreed(self, value: Any) -> Any:
        """The leading process's value, on every process."""
        if self.world == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]


def current() -> Team:
    """The team this process belongs to: itself alone unless `together` was entered."""
    return Team(dist.get_rank(), dist.get_world_size()) if dist.is_available() and dist.is_initialized() else Team()


@contextmanager
def together() -> Iterator[Team]:
    """Join the other processes that torchrun started, by gloo; alone where it started none."""
    if int(os.environ.get("WORLD_SIZE", "1")) < 2 or dist.is_initialized():
        yield current()
        return
    dist.init_process_group("gloo")
    try:
        yield current()
    finally:
        dist.destroy_process_group()


def summed(net: nn.Module, team: Team) -> nn.Module:
    """The net as one whose gradients are summed over the processes as they come (not averaged: see `Team.gather`)."""
    if team.world == 1:
        return net
    shared = DistributedDataParallel(net)
    # A plain function would be refused for its annotations, which torch compares as objects and here are strings.
    shared.register_comm_hook(None, lambda state, bucket: _sum(bucket))
    return shared


def _sum(bucket: Any) -> torch.futures.Future[Tensor]:
    work = dist.all_reduce(bucket.buffer(), async_op=True)
    future: torch.futures.Future[Tensor] = work.get_future().then(lambda done: done.value()[0])
    return future
