"""The whole J of one painting at one size: targets, regions, several styles, and what does not change it."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from mien import images, style
from mien.style import costs, masks
from mien.style.objective import Objective, StylePicture
from mien.style.options import StyleOptions, balance
from mien.style.pyramid import shrink
from mien.style.recipes import RECIPES, recipe

SMALL = {"content_layers": (("3", 1.0),), "style_layers": (("1", 1.0), ("4", 0.5))}


def objective(net, content, styles, *, regions=None, **changes):
    """The objective of `changes` over the defaults; styles are pictures or `StylePicture`s."""
    options = StyleOptions(**changes)
    made = [s if isinstance(s, StylePicture) else StylePicture(s) for s in styles]
    return Objective(
        net,
        content=content,
        styles=made,
        recipe=recipe(options.recipe),
        balance=balance(options),
        options=options,
        regions=regions,
    )


def halves(height, width):
    left = np.zeros((height, width))
    left[:, : width // 2] = 1
    return left, 1 - left


def test_coherence_adds_half_the_coarser_scales_cost(small_net, picture):
    content, painting = picture(24, 32), picture(24, 32, seed=1)
    coarse = objective(small_net, shrink(content, 12, 16), [shrink(painting, 12, 16)], **SMALL)
    options = StyleOptions(**SMALL)
    fine = Objective(
        small_net,
        content=content,
        styles=[StylePicture(painting)],
        recipe=recipe("mien"),
        balance=balance(options),
        options=options,
        coarser=coarse,
    )
    x = picture(24, 32, seed=2)
    alone = objective(small_net, content, [painting], **SMALL)(x)
    assert fine(x).total.item() == pytest.approx(alone.total.item() + 0.5 * coarse(shrink(x, 12, 16)).total.item())
    assert (fine(x).content, fine(x).style) == (alone.content, alone.style)


# at the targets


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("style_cost", ["gram", "mean-deviation", "wasserstein"])
def test_the_photo_has_no_content_cost_and_the_style_no_style_cost(small_net, picture, name, style_cost):
    content, painting = picture(24, 32), picture(24, 32, seed=1)
    changes = {"recipe": name, "style_cost": style_cost, **SMALL}
    assert objective(small_net, content, [painting], **changes)(content).content == 0
    itself, other = (objective(small_net, content, [x], **changes)(painting).style for x in (painting, content))
    assert other > 1e-3 or style_cost == "gram"
    # Wasserstein's cost is relative to the style's energy and subtracts roots of float32.
    assert abs(itself) <= (1e-4 if style_cost == "wasserstein" else 0)


def test_the_photo_has_no_content_cost_in_vgg19(vgg19, picture):
    found = objective(vgg19, picture(48, 48), [picture(48, 48, seed=1)])(picture(48, 48))
    assert found.content == 0
    assert found.style > 0


@pytest.mark.parametrize("style_cost", ["gram", "mean-deviation", "wasserstein"])
@pytest.mark.parametrize("layer", ["relu1_1", "relu3_1", "relu5_1"])
def test_a_style_costs_next_to_nothing_beside_another_in_vgg19(vgg19, picture, style_cost, layer):
    # Deep layers of small pictures have fewer positions than channels: their covariance is singular.
    changes = {"style_cost": style_cost, "style_layers": ((layer, 1.0),)}
    J = objective(vgg19, picture(64, 64), [picture(64, 64, seed=1)], **changes)
    itself, other = J(picture(64, 64, seed=1)).style, J(picture(64, 64, seed=2)).style
    assert other > 0
    assert abs(itself) < 0.02 * other


@pytest.mark.parametrize("style_cost", ["gram", "mean-deviation", "wasserstein"])
def test_gradient_equals_a_difference_quotient(small_net, picture, style_cost):
    regions = masks.regions([*halves(24, 32)], height=24, width=32)
    styles = [picture(30, 20, seed=1), picture(16, 28, seed=2)]
    J = objective(
        small_net, picture(24, 32), styles, regions=regions, style_cost=style_cost, tv=0.3, laplacian=0.5, **SMALL
    )
    x = picture(24, 32, seed=3).requires_grad_()
    (gradient,) = torch.autograd.grad(J(x).total, x)
    direction = gradient / gradient.norm()
    step = 0.05
    with torch.no_grad():
        quotient = (J(x + step * direction).total - J(x - step * direction).total) / (2 * step)
    assert quotient.item() == pytest.approx(gradient.norm().item(), rel=0.02)


# weights


def test_strength_zero_leaves_the_content_alone(vgg19, picture):
    found = objective(vgg19, picture(32, 32), [picture(32, 32, seed=1)], strength=0)(picture(32, 32, seed=2))
    assert found.style > 0
    assert found.total == found.content * RECIPES["mien"].alpha


def test_strength_one_leaves_the_style_alone(vgg19, picture):
    found = objective(vgg19, picture(32, 32), [picture(32, 32, seed=1)], strength=1)(picture(32, 32, seed=2))
    assert found.content == 0
    assert found.total == found.style * RECIPES["mien"].beta


def test_layers_of_the_user_are_weighted_and_summed(small_net, picture):
    content, painting, x = picture(20, 20), picture(20, 20, seed=1), picture(20, 20, seed=2)

    def parts(**layers):
        found = objective(small_net, content, [painting], **{**SMALL, **layers})(x)
        return found.content.item(), found.style.item()

    c3, s1 = parts(content_layers=(("3", 1.0),), style_layers=(("1", 1.0),))
    c0, s4 = parts(content_layers=(("0", 1.0),), style_layers=(("4", 1.0),))
    both = parts(content_layers=(("3", 2.0), ("0", 0.5)), style_layers=(("1", 0.25), ("4", 3.0)))
    assert both == pytest.approx((2 * c3 + 0.5 * c0, 0.25 * s1 + 3 * s4), rel=1e-5)


def test_total_variation_and_laplacian_are_added_with_their_weights(small_net, picture):
    content, painting, x = picture(24, 24), picture(24, 24, seed=1), picture(24, 24, seed=2)
    plain = objective(small_net, content, [painting], alpha=2.0, **SMALL)(x).total
    smooth = objective(small_net, content, [painting], alpha=2.0, tv=0.7, **SMALL)(x).total
    torch.testing.assert_close(smooth - plain, 0.7 * costs.total_variation(x), rtol=1e-3, atol=1e-6)
    edged = objective(small_net, content, [painting], alpha=2.0, laplacian=0.4, **SMALL)(x).total
    edges = costs.laplacian(content)
    relative = (costs.laplacian(x) - edges).square().sum() / edges.square().sum()
    torch.testing.assert_close(edged - plain, 0.4 * 2.0 * relative, rtol=1e-3, atol=1e-6)


# several styles


def test_two_copies_of_a_style_are_one(vgg19, picture):
    content, painting, x = (picture(32, 48, seed=seed) for seed in range(3))
    once = objective(vgg19, content, [painting])(x)
    twice = objective(vgg19, content, [StylePicture(painting, weight=1), StylePicture(painting, weight=3)])(x)
    torch.testing.assert_close(twice.style, once.style, rtol=1e-4, atol=0)


def test_several_styles_are_averaged_by_their_weights(small_net, picture):
    content, first, second, x = (picture(24, 24, seed=seed) for seed in range(4))
    styles = [StylePicture(first, weight=1), StylePicture(second, weight=3)]
    found = objective(small_net, content, styles, recipe="gatys", **SMALL)(x).style
    expected = 0.0
    for layer, weight in SMALL["style_layers"]:
        grams = [costs.gram(F) / F[0, 0].numel() for F in (small_net(p, [layer])[layer] for p in (first, second, x))]
        error = (0.25 * grams[0] + 0.75 * grams[1] - grams[2]).square().sum()
        expected += weight * error / (4 * grams[0].shape[-1] ** 2)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=0)


@pytest.mark.parametrize("style_cost", ["mean-deviation", "wasserstein"])
def test_averaged_styles_have_the_moments_of_their_pixels_together(small_net, picture, style_cost):
    # The mean and covariance of two pictures of one size are those of the two side by side, not the covariances' mean.
    content, first, second, x = (picture(24, 24, seed=seed) for seed in range(4))
    layers = {"content_layers": (("0", 1.0),), "style_layers": (("0", 1.0),)}
    found = objective(small_net, content, [first, second], style_cost=style_cost, **layers)(x).style
    rows = torch.cat([small_net(p, ["0"])["0"] for p in (first, second)], dim=3)
    target, here = costs.moments(rows), costs.moments(small_net(x, ["0"])["0"])
    energy = rows.square().mean((0, 2, 3)).sum()
    if style_cost == "wasserstein":
        expected = costs.wasserstein2_cost(target, here)
    else:
        deviations = [(mean, cov.diagonal(dim1=1, dim2=2).sqrt()) for mean, cov in (target, here)]
        expected = costs.mean_deviation_cost(*deviations)
    torch.testing.assert_close(found, expected / energy, rtol=2e-3, atol=1e-6)


# regions


@pytest.mark.parametrize("style_cost", ["gram", "mean-deviation", "wasserstein"])
def test_one_white_mask_equals_no_mask(vgg19, picture, style_cost):
    content, painting, x = picture(48, 64), picture(40, 40, seed=1), picture(48, 64, seed=2)
    white = masks.regions([np.ones((48, 64))], height=48, width=64)
    layers = {"style_layers": (("relu1_1", 1.0), ("relu3_1", 1.0)), "style_cost": style_cost}
    free, masked = (objective(vgg19, content, [painting], regions=r, **layers)(x) for r in (None, white))
    torch.testing.assert_close(masked.style, free.style, rtol=1e-3, atol=0)
    torch.testing.assert_close(masked.content, free.content)


def test_two_halves_of_one_style_equal_no_mask_where_the_halves_are_alike(vgg19, picture):
    tile, painting = picture(64, 64, seed=2), picture(64, 64, seed=1)
    x = torch.cat([tile, tile], dim=3)
    content = picture(64, 128)
    regions = masks.regions([*halves(64, 128)], height=64, width=128)
    # Not the deepest layers: they see over the border between the halves.
    layers = {"style_layers": (("relu1_1", 1.0), ("relu2_1", 1.0), ("relu3_1", 1.0))}
    free = objective(vgg19, content, [painting], **layers)(x).style
    found = objective(vgg19, content, [painting, painting], regions=regions, **layers)(x).style
    torch.testing.assert_close(found, free, rtol=0.1, atol=0)


def test_two_halves_of_one_style_cost_no_less_than_no_mask(small_net, picture):
    # The whole's matrix is the mean of the halves', and a square of a mean is at most the mean of the squares.
    content, painting, x = picture(32, 32), picture(32, 32, seed=1), picture(32, 32, seed=2)
    regions = masks.regions([*halves(32, 32)], height=32, width=32)
    free = objective(small_net, content, [painting], **SMALL)(x).style
    found = objective(small_net, content, [painting, painting], regions=regions, **SMALL)(x).style
    assert found > free > 0


def test_each_region_is_compared_with_its_own_style_by_its_share(small_net, picture):
    content, first, second, x = (picture(32, 32, seed=seed) for seed in range(4))
    quarter = np.zeros((32, 32))
    quarter[:, :8] = 1
    regions = masks.regions([quarter, 1 - quarter], height=32, width=32)
    layers = {"content_layers": (("0", 1.0),), "style_layers": (("0", 1.0),)}
    found = objective(small_net, content, [first, second], regions=regions, recipe="gatys", **layers)(x).style
    F = small_net(x, ["0"])["0"]
    expected = 0.0
    for share, style_picture, part in ((0.25, first, F[..., :8]), (0.75, second, F[..., 8:])):
        target = small_net(style_picture, ["0"])["0"]
        G_S, G_G = (costs.gram(a) / a[0, 0].numel() for a in (target, part))
        expected += share * (G_S - G_G).square().sum() / (4 * 6**2)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=0)


def test_a_style_mask_reads_only_its_part_of_the_style(small_net, picture):
    content, left, right, x = (picture(32, 32, seed=seed) for seed in range(4))
    mask = torch.zeros(1, 1, 32, 64)
    mask[..., :32] = 1
    both = StylePicture(torch.cat([left, right], dim=3), mask=mask)
    layers = {"content_layers": (("0", 1.0),), "style_layers": (("0", 1.0),)}
    found = objective(small_net, content, [both], **layers)(x).style
    F = small_net(both.picture, ["0"])["0"][..., :32]
    G_S, G_G = (costs.gram(a) / a[0, 0].numel() for a in (F, small_net(x, ["0"])["0"]))
    expected = (G_S - G_G).square().sum() / G_S.square().sum()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=0)


# the relative recipe


class Scaled:
    """A backbone whose activations are `factor` times another's."""

    def __init__(self, net, factor):
        self.net, self.factor = net, factor
        self.name, self.layers, self.dtype = "scaled", net.layers, net.dtype

    def __call__(self, x, layers):
        return {layer: self.factor * tap for layer, tap in self.net(x, layers).items()}


@pytest.mark.parametrize("factor", [0.02, 50.0])
@pytest.mark.parametrize("style_cost", ["gram", "mean-deviation", "wasserstein"])
def test_the_relative_recipe_does_not_depend_on_the_activations_scale(small_net, picture, factor, style_cost):
    content, painting, x = picture(24, 32), picture(40, 20, seed=1), picture(24, 32, seed=2)
    found = [
        objective(net, content, [painting], style_cost=style_cost, laplacian=0.1, **SMALL)(x)
        for net in (small_net, Scaled(small_net, factor))
    ]
    for part in ("content", "style", "total"):
        torch.testing.assert_close(getattr(found[1], part), getattr(found[0], part), rtol=5e-3, atol=0)


def test_other_recipes_do_depend_on_it_as_their_powers_say(small_net, picture):
    content, painting, x = picture(24, 32), picture(40, 20, seed=1), picture(24, 32, seed=2)
    plain, doubled = (
        objective(net, content, [painting], recipe="gatys", **SMALL)(x) for net in (small_net, Scaled(small_net, 2.0))
    )
    torch.testing.assert_close(doubled.content, 4 * plain.content)
    torch.testing.assert_close(doubled.style, 16 * plain.style)


def test_a_photo_and_a_style_without_any_activation_have_a_finite_cost(small_net, picture):
    silent = Scaled(small_net, 0.0)
    found = objective(silent, picture(24, 24), [picture(24, 24, seed=1)], **SMALL)(picture(24, 24, seed=2))
    assert found.total.isfinite()


def test_bfloat16_costs_are_close_to_float32(picture):
    from mien.backbones import load_backbone

    content, painting, x = picture(32, 32), picture(32, 32, seed=1), picture(32, 32, seed=2)
    exact, rough = (
        objective(load_backbone("vgg19", dtype=dtype), content, [painting])(x)
        for dtype in (torch.float32, torch.bfloat16)
    )
    assert rough.total.dtype == torch.float32
    for part in ("content", "style", "total"):
        torch.testing.assert_close(getattr(rough, part), getattr(exact, part), rtol=0.05, atol=0)


# real pictures


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.usefixtures("all_threads")
@pytest.mark.parametrize("name", ["starry_night_google", "the_scream", "shipwreck"])
def test_a_painting_of_512_pixels_scaled_down_costs_what_one_of_256_does(vgg19, name):
    if "MIEN_DATA" not in os.environ:
        pytest.skip("MIEN_DATA is unset: it names the folder that holds pictures/")
    pictures = Path(os.environ["MIEN_DATA"]) / "pictures"
    photo, painting = pictures / "content" / "tubingen.jpg", pictures / "style" / f"{name}.jpg"
    results = {size: style.transfer(photo, painting, size=size).picture for size in (256, 512)}
    loaded = images.load(photo).pixels, images.load(painting).pixels
    size = results[256].shape[1], results[256].shape[0]
    content = images.to_tensor(images.resize(loaded[0], *size))
    sample = images.to_tensor(images.resize(loaded[1], *images.fit(loaded[1].shape[1], loaded[1].shape[0], 256)))
    J = objective(vgg19, content, [sample])
    with torch.no_grad():
        small = J(images.to_tensor(results[256]))
        large = J(images.to_tensor(images.resize(results[512], *size)))
    found = {part: (getattr(small, part).item(), getattr(large, part).item()) for part in ("content", "style", "total")}
    ratios = {part: b / a for part, (a, b) in found.items()}
    assert all(1 / 1.15 < ratio < 1.15 for ratio in ratios.values()), (found, ratios)
