"""One training: batches, steps, validation, checkpoints; stopped anywhere, it goes on bit for bit.

Everything random follows from the seed and the number of the epoch or step, never from a generator that runs along: a
resumed training draws what the uninterrupted one would have drawn.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from mien.backbones.checkpoint import CheckpointRecord, load_checkpoint, save_checkpoint
from mien.backbones.convnet import ConvNet
from mien.errors import OptionError, OutputError, TrainingError
from mien.training import normalise
from mien.training.augment import NONE, Augmentation, check_fits, for_kind
from mien.training.batches import Loader, Order, Row
from mien.training.data import Dataset, check_examples
from mien.training.distributed import current, summed
from mien.training.history import History
from mien.training.judging import Measure, measure
from mien.training.networks import decayed, input_of, new_network, prepared, spec_of
from mien.training.objectives import Cost, Objective
from mien.training.options import TrainOptions
from mien.training.progress import Progress, Sums
from mien.training.saved import digest, pack, read_state
from mien.training.splits import RecipeData, Split

BEST, LAST = "best", "last"
Ended = Literal["finished", "early", "interrupted"]
Callback = Callable[[Progress], bool | None]


@dataclass(frozen=True, eq=False)
class Trained:
    """What a training gives."""

    net: ConvNet
    """In evaluation mode, with the weights of the best epoch."""
    record: CheckpointRecord
    history: History
    folder: Path
    ended: Ended
    measure: Measure | None
    """Of the best epoch on the validation part."""
    seconds: float
    notes: tuple[str, ...] = ()
    """Such as the alarm that the network has collapsed."""


def train(
    data: RecipeData | Dataset,
    options: TrainOptions | None = None,
    *,
    out: str | Path,
    split: Split | None = None,
    resume: bool = False,
    callback: Callback | None = None,
    augmentation: Augmentation | None = None,
    template: tuple[tuple[float, float], ...] | None = None,
) -> Trained:
    """Train one network and keep its best and last checkpoint in `out`.

    Args:
        data: a recipe's, or a dataset with a `split`.
        options: the defaults otherwise.
        out: a new folder; with `resume` the one to go on in.
        split: the recipe's first by default.
        resume: go on from the last checkpoint, bit for bit; start anew where there is none.
        callback: called after every step; true stops there, and the last checkpoint can be gone on from.
        augmentation: instead of the usual one of the data's kind.
        template: for the record; see `CheckpointRecord`.

    Raises:
        DataError: these examples cannot be learnt from; the text names the file.
        OptionError: an option that does not fit the data.
        TrainingError: the loss is no number any more.
        ResumeError: the checkpoint is of another training.
        OutputError: `out` holds a training already.
    """
    options = options or TrainOptions()
    dataset, averaged = (data.dataset, data.protocol.classes) if isinstance(data, RecipeData) else (data, ())
    if split is None:
        if not isinstance(data, RecipeData):
            raise OptionError("Expected a split beside a dataset; make one with mien.training.splits.by_group.")
        split = data.protocol.splits[0]
    training = Training(
        dataset, split, options, out=Path(out), augmentation=augmentation, averaged=averaged, template=template
    )
    if resume and training.saved:
        training.restore()
    elif not resume and (training.saved or (training.out / BEST).exists()):
        raise OutputError(
            f"Expected a new folder, but “{out}” holds a training already; choose another one, or go on with --resume."
        )
    return training.run(callback)


class Training:
    """The state of a training between its steps."""

    def __init__(
        self,
        data: Dataset,
        split: Split,
        options: TrainOptions,
        *,
        out: Path,
        augmentation: Augmentation | None = None,
        averaged: tuple[str, ...] = (),
        template: tuple[tuple[float, float], ...] | None = None,
    ) -> None:
        """`averaged`: the classes that the validation's macro-F1 goes over; the others as in `train`."""
        check_data(data, split, options)
        self.options, self.split, self.out = options, split, out
        self.averaged, self.template = averaged, template
        self.team = current()
        data = prepared(data, options)
        own = augmentation or (NONE if options.init == "vgg19" else for_kind(data.kind))
        chosen = own if options.augmentation else NONE
        if options.task == "simclr" and chosen == NONE:
            raise OptionError("Expected augmentation for simclr, which learns from two views; leave it on.")
        check_fits(chosen, data.kind)
        fitted = normalise.fit((data[int(i)] for i in split.train), fitted_on="the training part")
        self.loader = Loader(data, fitted, chosen, options.seed)
        self.order = Order(split.train, data.labels[split.train], options)
        self.net = new_network(spec_of(options, data), options)
        self.objective = Objective(options, labels=data.labels[split.train], classes=len(data.classes))
        groups = decayed(self.net, self.objective.unit, decay=options.weight_decay)
        self.optimiser = torch.optim.AdamW(groups, lr=options.rate)
        self.per_epoch = len(self.order)
        self.total = options.steps or options.epochs * self.per_epoch
        self.step, self.waited = 0, 0
        self.best: Measure | None = None
        self.best_epoch = 0
        self.history, self.sums, self.notes = History(), Sums(), list[str]()
        self.identity = digest(self.loader, split, options)
        self._labels = torch.from_numpy(data.labels)

    @property
    def saved(self) -> bool:
        """Whether there is a last checkpoint in the folder."""
        return (self.out / LAST / "record.json").is_file()

    # ---- running -----------------------------------------------------------------------------------------------------

    def run(self, callback: Callback | None = None) -> Trained:
        """Train to the end, or until the callback says stop; see `train`."""
        started = time.perf_counter() - self.history.seconds
        shared = summed(self.net, self.team)
        self.net.train()
        ended: Ended = "finished"
        log = self.history.writer(self.out, self.options.log) if self.team.leads else None
        while self.step < self.total:
            if self._enough:
                ended = "early"
                break
            epoch = self.step // self.per_epoch
            stop = self._epoch(shared, epoch, started, callback)
            if not stop or self.step % self.per_epoch == 0 or self.step >= self.total:
                self._close_epoch(epoch, time.perf_counter() - started)
                if log is not None:
                    log(self.history)
            self._keep_last(time.perf_counter() - started)
            if stop and self.step < self.total:
                ended = "interrupted"
                break
        return self._trained(ended, time.perf_counter() - started)

    @property
    def _enough(self) -> bool:
        return 0 < self.options.patience <= self.waited

    def _epoch(self, net: torch.nn.Module, epoch: int, started: float, callback: Callback | None) -> bool:
        """The steps that are left of an epoch; true where the callback asked to stop."""
        for number, rows in enumerate(self.order.epoch(epoch)):
            if number < self.step % self.per_epoch and self.step // self.per_epoch == epoch:
                continue  # done before the interruption
            cost = self._step(net, rows, epoch)
            self.sums.add(cost)
            self.step += 1
            if cost.alarm:
                self.notes.append(f"Step {self.step}: {cost.alarm}")
            stop = bool(callback and callback(self._progress(cost, epoch, time.perf_counter() - started)))
            if self.team.agreed(stop):
                return True
            if self.step >= self.total:
                break
        return False

    def _step(self, net: torch.nn.Module, rows: list[Row], epoch: int) -> Cost:
        own = list(self.team.share(rows))
        places = [place for place, _ in rows]
        for group in self.optimiser.param_groups:
            group["lr"] = rate_at(self.step, self.total, self.options)
        x, extras = self.loader.training(own, epoch=epoch), self.loader.extras([place for place, _ in own])
        with self._numbers():
            given = net(x, self.objective.output, extras=extras)
        given = self.team.gather(given, len(rows))
        draws = torch.Generator().manual_seed(self.options.seed * 1_000_003 + self.step)
        cost = self.objective(given, self._labels[places], draws)
        if not math.isfinite(float(cost.loss.detach())):
            raise TrainingError(
                f"Expected a finite loss, got {float(cost.loss.detach())} at step {self.step + 1}: the training has "
                f"run away. Start anew with a lower rate (--rate {self.options.rate / 10:g})"
                + (", or without --precision bfloat16." if self.options.precision == "bfloat16" else ".")
            )
        self.optimiser.zero_grad()
        cost.loss.backward()  # type: ignore[no-untyped-call]
        if self.options.chosen_clip:
            torch.nn.utils.clip_grad_norm_(self.net.parameters(), self.options.chosen_clip)
        self.optimiser.step()
        return cost

    @contextlib.contextmanager
    def _numbers(self) -> Iterator[None]:
        """The forward pass in the chosen precision, its dropout drawn from seed and step."""
        with contextlib.ExitStack() as stack:
            if self.options.dropout:
                stack.enter_context(torch.random.fork_rng(devices=[]))
                torch.manual_seed(self.options.seed * 1_000_003 + self.step * 64 + self.team.rank)
            if self.options.precision == "bfloat16":
                stack.enter_context(torch.autocast("cpu", dtype=torch.bfloat16))
            yield

    # ---- after an epoch ----------------------------------------------------------------------------------------------

    def _close_epoch(self, epoch: int, seconds: float) -> None:
        found: Measure | None = None
        if self.team.leads:
            found = measure(self.net, self.loader, self.split.validation, self.options, averaged=self.averaged)
        found = self.team.agreed(found)
        rate = rate_at(self.step - 1, self.total, self.options)
        self.history.add(epoch + 1, self.step, self.sums, found, rate=rate, seconds=seconds)
        self.sums = Sums()
        better = found is None or self.best is None or found.rank > self.best.rank
        self.waited = 0 if better else self.waited + 1
        if better:
            self.best, self.best_epoch = found, epoch + 1
            if self.team.leads:
                save_checkpoint(self.out / BEST, self.net, self.record(), metrics=self._metrics(), force=True)

    def _keep_last(self, seconds: float) -> None:
        if not self.team.leads:
            return
        self.history.seconds = seconds
        state = {
            "optimiser": self.optimiser.state_dict(),
            "unit": None if self.objective.unit is None else self.objective.unit.state_dict(),
            "step": self.step,
            "waited": self.waited,
            "best": None if self.best is None else [self.best.name, self.best.value, list(self.best.rank)],
            "best_epoch": self.best_epoch,
            "collapse": self.objective.collapse.steps,
            "history": self.history.to_dict(),
            "sums": self.sums.to_list(),
            "notes": self.notes,
            "identity": self.identity,
        }
        extra = {"state.pt": pack(state)}
        save_checkpoint(self.out / LAST, self.net, self.record(), metrics=self._metrics(), extra=extra, force=True)

    def restore(self) -> None:
        """Go on from the last checkpoint; ResumeError if it is of another training."""
        state = read_state(self.out / LAST, self.identity)
        net, _ = load_checkpoint(self.out / LAST, expected=self.net.spec)
        self.net.load_state_dict(net.state_dict())
        self.optimiser.load_state_dict(state["optimiser"])
        if self.objective.unit is not None:
            self.objective.unit.load_state_dict(state["unit"])
        self.step, self.waited, self.best_epoch = state["step"], state["waited"], state["best_epoch"]
        if state["best"] is not None:
            name, value, rank = state["best"]
            self.best = Measure(name, value, tuple(rank))
        self.objective.collapse.steps = state["collapse"]
        self.history = History.from_dict(state["history"])
        self.sums, self.notes = Sums.from_list(state["sums"]), list(state["notes"])

    # ---- what comes out ----------------------------------------------------------------------------------------------

    def record(self) -> CheckpointRecord:
        """What one has to know of the network as it is now."""
        data, o = self.loader.data, self.options
        return CheckpointRecord(
            name=f"{o.task}-{data.kind}-s{o.seed}",
            spec=self.net.spec,
            task="classes" if o.task == "classify" else f"encoding {data.kind}s",
            kind=data.kind,
            size=data.shape,
            normalisation=self.loader.normaliser.to_record(),
            labels=data.classes if o.task == "classify" else (),
            rate=data.rate,
            spacing=data.spacing,
            template=self.template,
            training={
                "options": o.to_dict(),
                "split": self.split.name,
                "examples": len(self.split.train),
                "epoch": -(-self.step // self.per_epoch),
                "step": self.step,
                "input": input_of(o),
            },
        )

    def _metrics(self) -> dict[str, Any]:
        return {} if self.best is None else {"validation": {self.best.name: self.best.value, "epoch": self.best_epoch}}

    def _progress(self, cost: Cost, epoch: int, seconds: float) -> Progress:
        return Progress(
            epoch=epoch + 1,
            epochs=-(-self.total // self.per_epoch),
            step=self.step,
            steps=self.total,
            loss=float(cost.loss.detach()),
            active=cost.active,
            spread=cost.spread,
            best=self.best,
            seconds=seconds,
            history=self.history,
            alarm=cost.alarm,
        )

    def _trained(self, ended: Ended, seconds: float) -> Trained:
        net, record = self.net.eval(), self.record()
        if self.team.leads and (self.out / BEST).exists():
            net, record = load_checkpoint(self.out / BEST)
        self.net.eval()
        return Trained(net, record, self.history, self.out, ended, self.best, seconds, tuple(self.notes))


def rate_at(step: int, total: int, options: TrainOptions) -> float:
    """The learning rate of a step counted from 0: up in a line over the warm-up, then down to 0 along a cosine."""
    rising = round(options.warm_up * total)
    if step < rising:
        return options.rate * (step + 1) / rising
    return options.rate * 0.5 * (1 + math.cos(math.pi * (step - rising) / max(total - rising, 1)))


def check_data(data: Dataset, split: Split, options: TrainOptions) -> None:
    """Refuse, before anything is read, a training part from which the task cannot be learnt. DataError, OptionError."""
    if options.task == "simclr":
        if len(split.train) < 2:
            raise OptionError(f"Expected at least two examples to learn from, got {len(split.train)}; add files.")
        return
    check_examples(data, pairs=options.encodes)
    check_examples(data.subset(split.train, renumber=True), pairs=options.encodes)


def fitted_loader(trained: Trained, data: Dataset, options: TrainOptions) -> Loader:
    """A loader that makes of `data` what the trained network takes, unchanged otherwise."""
    normaliser = normalise.from_record(trained.record.normalisation or {})
    return Loader(prepared(data, options), normaliser)
