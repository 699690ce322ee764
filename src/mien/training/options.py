"""Every setting of a training, in one torch-free record: the library and the command line read it."""

from __future__ import annotations

import dataclasses
import difflib
import math
from dataclasses import dataclass, field
from typing import Any

from mien.errors import OptionError

TASKS = ("triplet", "contrastive", "pair", "classify", "simclr")
MINING = ("random", "semi-hard", "hard")
HEADS = ("pool", "centre", "gru", "transformer")
NORMS = ("group", "layer", "none")


def option(
    default: Any, help: str, *, choices: tuple[str, ...] = (), low: float | None = None, high: float | None = None
) -> Any:
    """A field with what the command line needs to show and to check it."""
    return field(default=default, metadata={"help": help, "choices": choices, "low": low, "high": high})


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Settings of one training; the dimension and the channels of the network come from the data."""

    task: str = option("triplet", "what is learnt", choices=TASKS)
    mining: str = option("semi-hard", "which triplets of a batch are learnt from", choices=MINING)
    margin: float | None = option(
        None, "α of the triplet loss, m of the contrastive one (default: 0.2 and 1)", low=1e-6
    )
    feature: str = option(
        "absolute", "what the pair head compares by: |f − g| or χ²", choices=("absolute", "chi-square")
    )
    temperature: float = option(0.5, "of SimCLR's loss", low=1e-3)
    identities: int = option(16, "P, identities in a batch (triplet, contrastive, pair)", low=2)
    items: int = option(4, "K, items of each identity in a batch", low=2)
    batch: int = option(64, "examples in a batch (classify, simclr)", low=2)
    balance: float = option(0.5, "classify: 0 counts every example the same, 1 every class", low=0, high=1)
    epochs: int = option(60, "times that about all examples are seen", low=1)
    steps: int | None = option(None, "steps in all, instead of epochs", low=1)
    rate: float = option(1e-3, "learning rate of AdamW at its highest", low=0)
    weight_decay: float = option(0.01, "of weights, not of biases and norms", low=0)
    warm_up: float = option(
        0.05, "share of the steps in which the rate rises; then it falls as a cosine", low=0, high=1
    )
    clip: float | None = option(None, "largest norm of the gradient (default: 1 with --head gru or transformer)", low=0)
    patience: int = option(20, "epochs without a better validation measure until the end; 0: never", low=0)
    encoding: int = option(128, "numbers in an encoding", low=1)
    widths: tuple[int, ...] = option((32, 64, 128), "filters of each stage, with commas", low=2)
    blocks: int = option(1, "residual blocks a stage", low=1)
    kernel: int = option(3, "length of the filters; odd", low=1)
    stride: int = option(1, "step of the first convolution", low=1)
    norm: str = option(
        "group", "what each layer's maps are normalised over; none where brightness itself matters", choices=NORMS
    )
    cells: int = option(1, "cells an axis that pooling keeps apart; 4 suits aligned pictures", low=1)
    head: str = option("pool", "what makes one vector of the positions; gru and transformer: of signals", choices=HEADS)
    dropout: float = option(0.0, "share of the pooled features dropped while training", low=0, high=0.95)
    augmentation: bool = option(True, "small changes of every example, other ones each time it is seen")
    init: str | None = option(None, "start from a checkpoint's weights, or on top of vgg19")
    freeze: tuple[str, ...] = option(
        (), "layers that stay as they are, such as stem,stages.0; with vgg19 the layer it is used up to"
    )
    seed: int = option(0, "of weights, batches and changes", low=0, high=2**31 - 1)
    precision: str = option("float32", "numbers in the network", choices=("float32", "bfloat16"))
    log: str = option("csv", "the log of every epoch", choices=("csv", "tensorboard"))

    def __post_init__(self) -> None:
        for item in dataclasses.fields(self):
            _check(item, getattr(self, item.name))
        if self.kernel % 2 == 0:
            raise OptionError(f"Expected an odd kernel, so that a filter has a middle, got {self.kernel}.")
        if self.freeze and self.init is None:
            raise OptionError(
                "Expected layers to be frozen only with trained weights, got freeze without init; add --init "
                "CHECKPOINT or --init vgg19."
            )
        if self.init == "vgg19" and len(self.freeze) > 1:
            raise OptionError(
                f"Expected one layer of VGG-19 up to which it is used, got {', '.join(self.freeze)}; give the deepest."
            )

    @property
    def encodes(self) -> bool:
        """Whether likeness is learnt, from identities, rather than classes or views."""
        return self.task in ("triplet", "contrastive", "pair")

    @property
    def chosen_margin(self) -> float:
        """The margin in force."""
        return self.margin if self.margin is not None else (1.0 if self.task == "contrastive" else 0.2)

    @property
    def chosen_clip(self) -> float:
        """The largest norm of the gradient; 0: any. AdamW divides by the gradients' own size, sequences still jump."""
        return self.clip if self.clip is not None else (1.0 if self.head in ("gru", "transformer") else 0.0)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {n: list(v) if isinstance(v, tuple) else v for n, v in dataclasses.asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainOptions:
        """A record from plain values (lists become tuples); an unknown name is refused with the nearest known one."""
        known = {item.name for item in dataclasses.fields(cls)}
        for name in values:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f" Did you mean {near[0]}?" if near else ""
                raise OptionError(f"Expected a setting of training, got {name!r}.{hint}")
        plain: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
        return cls(**plain)

    def changed(self) -> dict[str, Any]:
        """What differs from the defaults, plain."""
        default = type(self)().to_dict()
        return {name: value for name, value in self.to_dict().items() if value != default[name]}


_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "int": ((int,), "a whole number"),
    "float": ((int, float), "a number"),
    "bool": ((bool,), "true or false"),
    "str": ((str,), "a text"),
    "tuple[int, ...]": ((int,), "whole numbers, like (32, 64)"),
    "tuple[str, ...]": ((str,), "names, like ('stem',)"),
}


def _check(item: dataclasses.Field[Any], value: Any) -> None:
    annotation, meta = str(item.type), item.metadata
    if value is None and annotation.endswith("| None"):
        return
    annotation = annotation.removesuffix(" | None")
    kinds, described = _TYPES[annotation]
    elements: Any = value if annotation.startswith("tuple[") else (value,)
    wrong = not isinstance(elements, tuple) or any(
        not isinstance(e, kinds) or isinstance(e, bool) != (annotation == "bool") for e in elements
    )
    if wrong or (item.name == "widths" and not elements):
        raise OptionError(f"Expected {item.name} to be {described}, got {value!r}.")
    if meta["choices"] and value not in meta["choices"]:
        near = difflib.get_close_matches(str(value), meta["choices"], n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise OptionError(f"Expected {item.name} to be one of {', '.join(meta['choices'])}, got {value!r}.{hint}")
    low, high = meta["low"], meta["high"]
    for number in elements:
        if isinstance(number, str | bool):
            continue
        if not math.isfinite(number) or (low is not None and number < low) or (high is not None and number > high):
            span = f"at least {low:g}" if high is None else f"between {low:g} and {high:g}"
            raise OptionError(f"Expected {item.name} to be {span}, got {number}.")
