"""Published formulations of style transfer as data: which costs, layers and weights, and (faithfully) which optimiser.

A cell that its source leaves open is our reading and is listed in `ours`. α and β mean something only within a recipe:
the content cost grows with the square, the style cost with the fourth power of the activations' scale, so every recipe
states its scale (`divide_by`: activations of the original weights, whose pictures run to 255, are divided by 58 where
the text's network takes pictures of unit variance).
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Literal

from mien.errors import OptionError

ContentForm = Literal["half-sum", "sum", "mean"]
StyleForm = Literal["gatys", "plain", "notebook", "neural-style", "relative"]

FIRST_OF_BLOCK = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
FIRST_CONVOLUTIONS = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
BEFORE_POOLING = ("relu1_2", "relu2_2", "relu3_4", "relu4_4", "relu5_4")

# Pictures of unit variance (ImageNet's mean and deviation) against pictures to 255: 255 × 0.226 ≈ 58.
UNIT_VARIANCE = 58.0


@dataclass(frozen=True)
class Faithful:
    """How the source optimises; used under `--faithful` instead of the pyramid."""

    start: Literal["content", "noise"]
    optimiser: Literal["lbfgs", "adam", "gradient"]
    steps: int
    step: float | None = None  # learning rate, in pixel values of [0, 1]; None for L-BFGS


@dataclass(frozen=True)
class Recipe:
    """One formulation of the cost.

    `coherence` is the weight of the same cost seen at the next coarser scale, which keeps a large painting's look that
    of a small one; the published formulations have none.
    """

    name: str
    source: str
    content: ContentForm
    style: StyleForm
    content_layers: dict[str, float]
    style_layers: dict[str, float]
    alpha: float
    beta: float
    faithful: Faithful
    total_variation: float = 0.0
    divide_by: float = 1.0
    coherence: float = 0.0
    ours: tuple[str, ...] = ()


def _equal(layers: tuple[str, ...], weight: float = 1.0) -> dict[str, float]:
    return dict.fromkeys(layers, weight)


RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="mien",
            source="ours: every layer's cost is relative to the picture it aims at, so that no layer, style or size "
            "outweighs another by its mere scale",
            content="mean",
            style="relative",
            content_layers={"relu4_2": 1.0},
            style_layers=_equal(FIRST_OF_BLOCK),
            alpha=1.0,
            beta=4.0,
            coherence=0.5,
            faithful=Faithful(start="content", optimiser="lbfgs", steps=500),
        ),
        Recipe(
            name="gatys",
            source="Gatys, Ecker & Bethge, Image Style Transfer Using Convolutional Neural Networks, CVPR 2016",
            content="half-sum",
            style="gatys",
            content_layers={"relu4_2": 1.0},
            style_layers=_equal(FIRST_OF_BLOCK, 0.2),
            alpha=1.0,
            beta=1e3,
            faithful=Faithful(start="noise", optimiser="lbfgs", steps=500),
            ours=("alpha/beta = 1e-3 (the paper shows 1e-3 and 1e-4)",),
        ),
        Recipe(
            name="lecture",
            source="texts 000 and 003 (after Gatys et al.): the slides print the style difference without its square, "
            "the prose says squared Frobenius norm; the same normalisation as gatys",
            content="half-sum",
            style="gatys",
            content_layers={"relu4_2": 1.0},
            style_layers=_equal(FIRST_OF_BLOCK, 0.2),
            alpha=1.0,
            beta=1e3,
            faithful=Faithful(start="noise", optimiser="gradient", steps=500, step=0.02),
            ours=(
                "the layers",
                "lambda = 1/5",
                "alpha = 1, beta = 1000",
                "eta = 0.02, divided by the first gradient's size",
            ),
        ),
        Recipe(
            name="plain",
            source="text 001: sums of squares without normalisation, at the five layers before max-pooling",
            content="sum",
            style="plain",
            content_layers=_equal(BEFORE_POOLING),
            style_layers=_equal(BEFORE_POOLING),
            alpha=1.0,
            beta=1.0,
            divide_by=UNIT_VARIANCE,
            faithful=Faithful(start="content", optimiser="adam", steps=500, step=0.01),
            ours=("content at all five layers", "Adam, 500 steps of 0.01"),
        ),
        Recipe(
            name="notebook",
            source="text 002: mean squared errors over the first convolution of every block",
            content="mean",
            style="notebook",
            content_layers=_equal(FIRST_CONVOLUTIONS),
            style_layers=_equal(FIRST_CONVOLUTIONS),
            alpha=1.0,
            beta=10.0,
            divide_by=UNIT_VARIANCE,
            faithful=Faithful(start="content", optimiser="adam", steps=6000, step=0.001),
            ours=("Adam (the text says gradient descent)",),
        ),
        Recipe(
            name="neural-style",
            source="J. Johnson's neural-style and its PyTorch port: their defaults, whose weights most tutorials quote",
            content="mean",
            style="neural-style",
            content_layers={"relu4_2": 1.0},
            style_layers=_equal(FIRST_OF_BLOCK),
            alpha=5.0,
            beta=100.0,
            faithful=Faithful(start="noise", optimiser="lbfgs", steps=1000),
            ours=("no total variation (the tools' default is 1e-3 on pictures to 255)",),
        ),
    )
}


def recipe(name: str) -> Recipe:
    """The recipe called `name`; `OptionError` names the known ones otherwise."""
    try:
        return RECIPES[name]
    except KeyError:
        near = difflib.get_close_matches(name, RECIPES, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise OptionError(f"Expected a recipe ({', '.join(RECIPES)}), got {name!r}.{hint}") from None


def style_factor(form: StyleForm, *, channels: int, positions: int) -> float:
    """What multiplies Σ (G_S/M_S − G_G/M)², for Gram matrices per position.

    n_C = `channels`, M = n_H·n_W = `positions`.

    Dividing each matrix by its own number of positions lets the style picture have any size. With equal sizes these
    are the texts' factors times M²: gatys 1/(2 M n_C)², plain 1, notebook 1/(n_C M)², neural-style 1/n_C² (1/(n_C M))².
    `relative` is 1; its cost is divided by Σ (G_S/M_S)² instead.
    """
    return {
        "gatys": 1 / (4 * channels**2),
        "plain": float(positions) ** 2,
        "notebook": 1 / channels**2,
        "neural-style": 1 / channels**4,
        "relative": 1.0,
    }[form]
