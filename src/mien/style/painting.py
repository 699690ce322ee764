"""One painting in the making: the pixels, the optimiser, and where on the pyramid they are."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass, field, fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien import images
from mien.backbones import load_backbone
from mien.errors import MienError
from mien.style import canvas, memory, optimisers, pyramid
from mien.style.device import place
from mien.style.inputs import Inputs
from mien.style.objective import Objective
from mien.style.options import StyleOptions, balance
from mien.style.recipes import recipe

# Steps without a better picture after which the optimiser starts again from the best one with smaller steps, and how
# often it may before the scale counts as finished.
PATIENCE = {"lbfgs": 12, "adam": 50, "gradient": 50}
RESTARTS = 3


@dataclass(frozen=True)
class Cost:
    """J and its two parts, before α and β, as plain numbers."""

    total: float
    content: float
    style: float


@dataclass(frozen=True)
class Step:
    """One step of the way in numbers, as `history` keeps it."""

    size: int  # long side of this scale, pixels
    level: int  # from 1
    levels: int
    step: int  # from 1, at this scale
    steps: int
    total: float
    content: float
    style: float
    seconds: float
    remaining: float  # seconds, estimated


_NUMBERS = tuple(item.name for item in fields(Step))


@dataclass(frozen=True)
class Iterate(Step):
    """One step as the callback gets it: its numbers, and the picture if one asks for it.

    `history` keeps only the numbers: a snapshot holds the whole painting.
    """

    snapshot: Callable[[], NDArray[np.uint8]] = field(repr=False, compare=False)  # the picture now, (H, W, 3)


@dataclass
class Best:
    """The picture of least cost at the present scale."""

    x: Tensor
    cost: Cost


def resolve(options: StyleOptions) -> StyleOptions:
    """The options with everything left to the machine, the recipe or a shortcut decided."""
    where = place(options)
    options = replace(options, device=where.device, precision=where.precision)
    if options.preview:
        options = replace(
            options, size=min(options.size, 256), steps=options.steps or (30, 12), seconds=2.2, preview=False
        )
    if options.faithful:
        source = recipe(options.recipe).faithful
        options = replace(
            options,
            start=source.start,
            optimiser=source.optimiser,
            step=options.step or source.step,
            steps=options.steps or (source.steps,),
        )
    if options.texture and options.start == "content":
        options = replace(options, start="noise")
    return options


class Painting:
    """Paints coarse to fine; `run` yields an `Iterate` a step, and everything needed to go on later is in `state`."""

    def __init__(self, inputs: Inputs, options: StyleOptions) -> None:
        self.inputs = inputs
        self.options = options = resolve(options)
        self.canvas = canvas.Canvas(inputs, options)
        self.levels = pyramid.levels(*self.canvas.size, options)
        finest = self.levels[-1]
        if options.device == "cpu":
            memory.check(finest.width, finest.height, precision=options.precision, optimiser=options.optimiser)
        self.net = load_backbone(
            options.backbone,
            pooling="average" if options.pooling == "average" else "max",
            dtype=getattr(torch, options.precision),
            device=options.device,
        )
        self.before: Cost | None = None  # of the photo itself at the finest scale
        self.level, self.step, self.taken = 0, 0, [0] * len(self.levels)
        self.history: list[Step] = []
        self.best: Best | None = None
        self._objective: Objective | None = None
        self._still: Tensor | None = None
        self._optimiser = optimisers.make(options.optimiser, step=options.step)
        self._since_best, self._restarts = 0, 0
        self._seconds_before: float = 0.0
        self._started: float | None = None

    # -- running -------------------------------------------------------------------------------------------------------

    def run(self) -> Iterator[Iterate]:
        """Paint from where the painting stands to its end."""
        self._started = time.perf_counter()
        try:
            while self.level < len(self.levels):
                if self._objective is None:
                    self._begin_level()
                while self.step < self.levels[self.level].steps and not self._late() and self._restarts <= RESTARTS:
                    yield self._one_step()
                self._end_level()
        finally:
            self._seconds_before, self._started = self.seconds, None

    @property
    def done(self) -> bool:
        """Whether every scale is finished."""
        return self.level == len(self.levels)

    @property
    def seconds(self) -> float:
        """Painting time, over all sessions of a resumed painting."""
        running = 0.0 if self._started is None else time.perf_counter() - self._started
        return self._seconds_before + running

    def _begin_level(self, *, x: Tensor | None = None) -> None:
        here = self.levels[self.level]
        coherent = self.level > 0 and balance(self.options).coherence > 0
        coarser = self._objective_at(self.levels[self.level - 1]) if coherent else None
        self._objective = self._objective_at(here, coarser=coarser)
        where = self.canvas.regions(here)
        # Where no mask lets the paint, the photo stays from the start: nothing would hold those pixels otherwise.
        covered = None if where is None else torch.from_numpy(where.coverage).to(self.options.device)
        self._still = None if covered is None else (covered == 0)[None, None]
        if x is None:
            x = self._first_picture() if self.best is None else self._next_picture(self.best.x)
            self.best, self.step, self._since_best, self._restarts = None, 0, 0, 0
            self._optimiser = optimisers.make(self.options.optimiser, step=self.options.step)
        self.x = x
        if self.level == len(self.levels) - 1 and self.before is None and self.inputs.content is not None:
            self.before = self._evaluate(self.canvas.content(here))

    def _objective_at(self, level: pyramid.Level, *, coarser: Objective | None = None) -> Objective:
        return Objective(
            self.net,
            content=self.canvas.content(level),
            styles=self.canvas.styles(level),
            recipe=recipe(self.options.recipe),
            balance=balance(self.options),
            options=self.options,
            regions=self.canvas.regions(level),
            coarser=coarser,
        )

    def _first_picture(self) -> Tensor:
        return self.canvas.start(self.levels[0])

    def _next_picture(self, painted: Tensor) -> Tensor:
        coarse, fine = self.levels[self.level - 1], self.levels[self.level]
        if self.options.start == "content" and not self.options.texture:
            return pyramid.warm_start(painted, coarse=self.canvas.content(coarse), fine=self.canvas.content(fine))
        return pyramid.enlarge(painted, fine.height, fine.width)

    def _one_step(self) -> Iterate:
        x = self.x.detach()
        costs, gradient = self._require_objective().gradient(x)
        if self._still is not None:
            gradient = gradient.masked_fill(self._still, 0)
        cost = Cost(float(costs.total), float(costs.content), float(costs.style))
        self._consider(x, cost)
        if not np.isfinite(cost.total) or self._stalled():
            self._start_again()
        else:
            self.x = self._optimiser.propose(x, gradient)
        self.step += 1
        self.taken[self.level] = self.step
        iterate = self._iterate(cost)
        self.history.append(Step(*(getattr(iterate, name) for name in _NUMBERS)))
        return iterate

    def _consider(self, x: Tensor, cost: Cost) -> None:
        if np.isfinite(cost.total) and (self.best is None or cost.total < self.best.cost.total):
            self.best, self._since_best = Best(x, cost), 0
        else:
            self._since_best += 1

    def _stalled(self) -> bool:
        return not self.options.faithful and self._since_best >= PATIENCE[self.options.optimiser]

    def _start_again(self) -> None:
        """From the best picture, with a smaller step."""
        if self.best is not None:
            self.x = self.best.x
        self._optimiser.shrink()
        self._since_best = 0
        self._restarts += 1

    def _end_level(self) -> None:
        """Judge the last step's picture beside the best one; at the finest scale as they are delivered: in 8 bits."""
        finest = self.level == len(self.levels) - 1
        candidates = [self.x] if self.best is None else [self.best.x, self.x]
        judged = [Best(x, self._evaluate(_in_8_bits(x) if finest else x)) for x in candidates]
        self.best = min(judged, key=lambda best: best.cost.total if np.isfinite(best.cost.total) else np.inf)
        if not np.isfinite(self.best.cost.total):
            raise MienError(
                f"Expected a cost that is a number, got {self.best.cost.total} at every step of "
                f"{self.options.backbone}. Try --precision float32; in a network of your own, look for NaN."
            )
        self.level += 1
        self._objective = None

    def _evaluate(self, x: Tensor) -> Cost:
        with torch.no_grad():
            costs = self._require_objective()(x)
        return Cost(float(costs.total), float(costs.content), float(costs.style))

    def _require_objective(self) -> Objective:
        if self._objective is None:
            self._begin_level()
        if self._objective is None:
            raise RuntimeError("a level begins with its objective")
        return self._objective

    # -- time ----------------------------------------------------------------------------------------------------------

    def _work(self, level: int, steps: int) -> float:
        here = self.levels[level]
        return here.width * here.height * (steps + 2.0)  # the targets cost about two steps

    def _late(self) -> bool:
        """Whether the time set for the painting up to this scale has run out (one step is always taken)."""
        if self.options.seconds is None or self.step == 0:
            return False
        whole = sum(self._work(i, level.steps) for i, level in enumerate(self.levels))
        share = sum(self._work(i, level.steps) for i, level in enumerate(self.levels[: self.level + 1])) / whole
        return self.seconds > self.options.seconds * share

    def _iterate(self, cost: Cost) -> Iterate:
        here, seconds = self.levels[self.level], self.seconds
        finished = sum(self._work(i, self.taken[i]) for i in range(self.level + 1))
        ahead = self._work(self.level, here.steps - self.step) - self._work(self.level, 0)
        ahead += sum(self._work(i, self.levels[i].steps) for i in range(self.level + 1, len(self.levels)))
        return Iterate(
            size=here.size,
            level=self.level + 1,
            levels=len(self.levels),
            step=self.step,
            steps=here.steps,
            total=cost.total,
            content=cost.content,
            style=cost.style,
            seconds=seconds,
            remaining=seconds / finished * ahead,
            snapshot=self.snapshot,
        )

    def snapshot(self) -> NDArray[np.uint8]:
        """The picture as it is now, (H, W, 3), at the present scale's size."""
        return images.to_uint8(images.from_tensor(self.x))

    # -- what comes out ------------------------------------------------------------------------------------------------

    def picture(self) -> NDArray[np.float32]:
        """The best picture so far, (H, W, 3) in [0, 1] at the finest size, with the options' colours and masks."""
        x = self.best.x if self.best is not None else self.canvas.start(self.levels[0])
        finest = self.levels[-1]
        if x.shape[2:] != (finest.height, finest.width):
            x = pyramid.enlarge(x, finest.height, finest.width)
        return self.canvas.finish(images.from_tensor(x), finest)

    # -- stopping and going on -----------------------------------------------------------------------------------------

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and plain values from which `restore` goes on bit for bit."""
        tensors = {f"optimiser.{k}": v for k, v in self._optimiser.state().items()}
        if self._objective is not None:
            tensors["x"] = self.x
        plain: dict[str, Any] = {
            "level": self.level,
            "step": self.step,
            "taken": list(self.taken),
            "since_best": self._since_best,
            "restarts": self._restarts,
            "seconds": self.seconds,
            "within_level": self._objective is not None,
            "before": None if self.before is None else list(astuple(self.before)),
            "history": [astuple(step) for step in self.history],
        }
        if self.best is not None:
            tensors["best"] = self.best.x
            plain["best"] = list(astuple(self.best.cost))
        return tensors, plain

    def restore(self, tensors: dict[str, Tensor], plain: dict[str, Any]) -> None:
        """Become the painting whose `state` this was."""
        tensors = {k: v.to(self.options.device) for k, v in tensors.items()}
        self.level, self.step, self.taken = plain["level"], plain["step"], list(plain["taken"])
        self._since_best, self._restarts = plain["since_best"], plain["restarts"]
        self._seconds_before, self._started = plain["seconds"], None
        self.before = None if plain["before"] is None else Cost(*plain["before"])
        self.history = [Step(*row) for row in plain["history"]]
        self.best = Best(tensors["best"], Cost(*plain["best"])) if "best" in plain else None
        self._optimiser.restore({k.removeprefix("optimiser."): v for k, v in tensors.items() if "." in k})
        if plain["within_level"]:
            self._begin_level(x=tensors["x"])


def _in_8_bits(x: Tensor) -> Tensor:
    return images.to_tensor(images.to_uint8(images.from_tensor(x))).to(x.device)
