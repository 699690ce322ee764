"""Every setting of style transfer, in one torch-free record: the library, the command line and the web read it."""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
from dataclasses import dataclass, field
from typing import Any

from mien.errors import OptionError
from mien.style.recipes import RECIPES, recipe


def option(
    default: Any, help: str, *, choices: tuple[str, ...] = (), low: float | None = None, high: float | None = None
) -> Any:
    """A field with what the command line and the web need to show and to check it."""
    return field(default=default, metadata={"help": help, "choices": choices, "low": low, "high": high})


@dataclass(frozen=True, kw_only=True)
class StyleOptions:
    """Settings of one painting. Layer weights are pairs (layer, weight); λ in the texts."""

    size: int = option(512, "long side of the painting, in pixels", low=16, high=20000)
    strength: float = option(0.5, "0 the photo, 0.5 balanced, 1 all style; looks the same at every size", low=0, high=1)
    recipe: str = option("mien", "the cost's formulation", choices=tuple(RECIPES))
    faithful: bool = option(False, "start, optimiser, steps and single scale as the recipe's source has them")
    texture: bool = option(False, "the style's texture alone: no content, from noise")
    alpha: float | None = option(None, "weight of the content cost (default: the recipe's)", low=0)
    beta: float | None = option(None, "weight of the style cost (default: the recipe's)", low=0)
    content_layers: tuple[tuple[str, float], ...] | None = option(
        None, "content layers, as LAYER or LAYER=WEIGHT, …", low=0
    )
    style_layers: tuple[tuple[str, float], ...] | None = option(None, "style layers and their λ, as LAYER=λ, …", low=0)
    style_cost: str = option(
        "gram", "what of the activations is style", choices=("gram", "mean-deviation", "wasserstein")
    )
    laplacian: float = option(0.0, "weight of keeping the photo's edges (try 0.1)", low=0)
    coherence: float | None = option(
        None, "how much the next coarser scale holds a finer one to its look (0 not, and a fifth faster)", low=0
    )
    tv: float | None = option(None, "weight of smoothness, total variation (try 20; default: the recipe's)", low=0)
    style_weights: tuple[float, ...] | None = option(None, "how much each style counts (default: equally)", low=0)
    style_scale: float = option(
        1.0, "size of the style picture against the painting: larger, broader strokes", low=0.05, high=8
    )
    colour: str = option("style", "whose colours", choices=("style", "luminance", "linear", "histogram"))
    start: str = option("content", "content, noise, style (its colours as noise), or a picture's path")
    seed: int = option(0, "seed of the noise and of built-in styles", low=0, high=2**63 - 1)
    optimiser: str = option("lbfgs", "how the pixels move", choices=("lbfgs", "adam", "gradient"))
    steps: tuple[int, ...] | None = option(None, "steps at each scale, coarse to fine, as 60,40,20", low=1)
    step: float | None = option(None, "learning rate of adam and gradient, in pixel values of [0, 1]", low=0)
    seconds: float | None = option(None, "finish within about so many seconds of painting", low=0)
    preview: bool = option(False, "a draft in about three seconds")
    backbone: str = option("vgg19", "vgg19, vgg19-torchvision, vgg16, or module:function of your own network")
    pooling: str = option("max", "pooling of the backbone", choices=("max", "average"))
    precision: str = option("auto", "numbers in the network", choices=("auto", "float32", "bfloat16"))
    device: str = option("auto", "auto, cpu, cuda or mps")

    def __post_init__(self) -> None:
        for item in dataclasses.fields(self):
            _check(item, getattr(self, item.name))
        if self.style_weights is not None and sum(self.style_weights) <= 0:
            raise OptionError(f"Expected style_weights of which one is more than 0, got {self.style_weights}.")
        if self.texture and self.start not in ("content", "noise", "style"):
            raise OptionError(f"Expected a texture to start from noise or style, got start={self.start!r}.")

    def to_json(self) -> str:
        """Only what differs from the defaults, as JSON."""
        changed = {
            item.name: getattr(self, item.name)
            for item in dataclasses.fields(self)
            if getattr(self, item.name) != item.default
        }
        return json.dumps(changed, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> StyleOptions:
        """The record that `to_json` wrote."""
        return cls.from_dict(json.loads(text))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> StyleOptions:
        """A record from plain values (lists become tuples); an unknown name is refused with the nearest known one."""
        known = {item.name for item in dataclasses.fields(cls)}
        for name in values:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                raise OptionError(
                    f"Expected a setting of style transfer, got {name!r}."
                    + (f" Did you mean {near[0]}?" if near else "")
                )
        return cls(**{name: _frozen(value) for name, value in values.items()})


def _frozen(value: Any) -> Any:
    return tuple(_frozen(v) for v in value) if isinstance(value, list | tuple) else value


_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "int": ((int,), "a whole number"),
    "float": ((int, float), "a number"),
    "bool": ((bool,), "true or false"),
    "str": ((str,), "a text"),
    "tuple[int, ...]": ((int,), "whole numbers, like (60, 40)"),
    "tuple[float, ...]": ((int, float), "numbers, like (1.0, 2.0)"),
    "tuple[tuple[str, float], ...]": ((int, float), "pairs of a layer and its weight, like (('relu1_1', 1.0),)"),
}


def _check_type(item: dataclasses.Field[Any], value: Any) -> None:
    """Refuse a value that is not of the field's annotation, down to the elements of tuples."""
    annotation = str(item.type).removesuffix(" | None")
    kinds, described = _TYPES[annotation]
    elements: Any = value if annotation.startswith("tuple[") else (value,)
    right = isinstance(elements, tuple)
    if right and "str, float" in annotation:
        right = all(isinstance(p, tuple) and len(p) == 2 and isinstance(p[0], str) for p in elements)
        elements = tuple(p[1] for p in elements) if right else ()
    if not right or any(not isinstance(e, kinds) or isinstance(e, bool) != (annotation == "bool") for e in elements):
        raise OptionError(f"Expected {item.name} to be {described}, got {value!r}.")


def _check(item: dataclasses.Field[Any], value: Any) -> None:
    meta = item.metadata
    if value is None:
        return
    _check_type(item, value)
    if meta["choices"] and value not in meta["choices"]:
        near = difflib.get_close_matches(str(value), meta["choices"], n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise OptionError(f"Expected {item.name} to be one of {', '.join(meta['choices'])}, got {value!r}.{hint}")
    numbers = value if isinstance(value, tuple) else (value,)
    numbers = tuple(n[1] if isinstance(n, tuple) else n for n in numbers)  # of a layer, its weight
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int | float):
            continue
        low, high = meta["low"], meta["high"]
        if not math.isfinite(number) or (low is not None and number < low) or (high is not None and number > high):
            span = "a finite number" if low is None else f"at least {low:g}"
            span = span if high is None else f"between {low:g} and {high:g}"
            raise OptionError(f"Expected {item.name} to be {span}, got {number}.")


def parse_layers(text: str) -> tuple[tuple[str, float], ...]:
    """`relu1_1,relu2_1=0.5` as pairs; a layer without a weight gets 1."""
    pairs = []
    for part in filter(None, (p.strip() for p in text.split(","))):
        layer, _, weight = part.partition("=")
        try:
            pairs.append((layer.strip(), float(weight) if weight else 1.0))
        except ValueError:
            raise OptionError(f"Expected LAYER or LAYER=WEIGHT, got {part!r}.") from None
    if not pairs:
        raise OptionError("Expected at least one layer, got none.")
    return tuple(pairs)


@dataclass(frozen=True)
class Balance:
    """What a recipe and the settings that override it come to."""

    content_layers: dict[str, float]
    style_layers: dict[str, float]
    alpha: float
    beta: float
    tv: float
    coherence: float


def balance(options: StyleOptions) -> Balance:
    """Layers and weights in force. β is the recipe's times (s / (1 − s))² for the strength s: 1 at ½."""
    source = recipe(options.recipe)
    alpha = source.alpha if options.alpha is None else options.alpha
    beta = source.beta if options.beta is None else options.beta
    s = options.strength
    if options.texture or s == 1:
        alpha = 0.0
    else:
        beta *= (s / (1 - s)) ** 2
    return Balance(
        content_layers=dict(options.content_layers or source.content_layers),
        style_layers=dict(options.style_layers or source.style_layers),
        alpha=alpha,
        beta=beta,
        tv=source.total_variation if options.tv is None else options.tv,
        coherence=source.coherence if options.coherence is None else options.coherence,
    )
