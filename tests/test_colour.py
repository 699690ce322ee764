"""The colour modes: hand-worked numbers, and what must hold for any picture."""

import subprocess
import sys

import numpy as np
import pytest

from mien.errors import ImageError, OptionError
from mien.style import colour


def noise(shape, seed=0):
    return np.random.default_rng(seed).random(shape)


def tinted(shape=(24, 32), *, seed=0, mean=(0.5, 0.4, 0.45), scale=0.05):
    """A picture of correlated colours well inside the gamut."""
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((3, 3)) * scale
    return np.clip(rng.standard_normal((*shape, 3)) @ mixing + mean, 0.05, 0.95)


def covariance(rgb):
    return np.cov(rgb.reshape(-1, 3).T, bias=True)


ODD_PICTURES = {
    "black": np.zeros((6, 5, 3)),
    "white": np.ones((6, 5, 3)),
    "red": np.broadcast_to([1.0, 0.0, 0.0], (6, 5, 3)).copy(),
    "one pixel": np.full((1, 1, 3), 0.25),
    "grey": np.repeat(noise((6, 5, 1), 4), 3, axis=2),
    "black and white": np.repeat((noise((6, 5, 1), 5) > 0.5).astype(float), 3, axis=2),
    "noise": noise((6, 5, 3), 6),
    "primaries": (noise((9, 9, 3), 7) > 0.5).astype(float),
}


# Oklab


def test_oklab_of_red_is_the_published_value():
    # Ottosson 2020: sRGB red is L 0.62796, a 0.22486, b 0.12585.
    np.testing.assert_allclose(colour.to_oklab(np.array([1.0, 0.0, 0.0])), [0.62796, 0.22486, 0.12585], atol=1e-4)


def test_oklab_of_white_grey_and_black_has_no_chroma():
    lab = colour.to_oklab(np.array([[1.0, 1.0, 1.0], [0.5, 0.5, 0.5], [0.0, 0.0, 0.0]]))
    # sRGB 0.5 is 0.21404 in linear light, and L of a grey is its cube root.
    np.testing.assert_allclose(lab[:, 0], [1.0, 0.21404114 ** (1 / 3), 0.0], atol=1e-6)
    np.testing.assert_allclose(lab[:, 1:], 0.0, atol=1e-6)


def test_oklab_and_back_is_the_same_colour():
    rgb = noise((50, 40, 3))
    np.testing.assert_allclose(colour.from_oklab(colour.to_oklab(rgb)), rgb, atol=1e-6)


def test_a_colour_out_of_gamut_keeps_lightness_and_hue():
    lab = np.array([[0.7, 0.4, 0.1], [0.3, -0.2, 0.2], [0.9, 0.0, -0.3]])
    back = colour.to_oklab(colour.from_oklab(lab))
    np.testing.assert_allclose(back[:, 0], lab[:, 0], atol=1e-3)
    hue, expected = np.arctan2(back[:, 2], back[:, 1]), np.arctan2(lab[:, 2], lab[:, 1])
    np.testing.assert_allclose(hue, expected, atol=2e-3)
    assert (np.hypot(*back[:, 1:].T) < np.hypot(*lab[:, 1:].T)).all()


def test_a_colour_out_of_gamut_loses_no_more_chroma_than_it_must():
    rgb = colour.from_oklab(np.array([[0.7, 0.4, 0.1]]))
    assert rgb.max() > 0.9999 or rgb.min() < 0.0001


def test_into_gamut_leaves_colours_inside_alone():
    rgb = np.concatenate([noise((4, 4, 3)), np.full((4, 4, 3), 1.2)])
    back = colour.into_gamut(rgb)
    np.testing.assert_array_equal(back[:4], rgb[:4])
    np.testing.assert_allclose(back[4:], 1.0, atol=1e-6)


# Luminance


def test_luminance_finish_takes_lightness_from_the_result_and_colour_from_the_photo():
    content, result = tinted(seed=1), tinted(seed=2, mean=(0.4, 0.5, 0.5))
    kept = colour.to_oklab(colour.finish(result, content, mode="luminance"))
    photo, painting = colour.to_oklab(content), colour.to_oklab(result)
    np.testing.assert_allclose(kept[..., 0], painting[..., 0], atol=1e-3)
    in_gamut = np.abs(kept[..., 1:] - photo[..., 1:]).max(-1) < 1e-3
    assert in_gamut.mean() > 0.95
    hue, expected = (np.arctan2(lab[..., 2], lab[..., 1]) for lab in (kept, photo))
    strong = np.hypot(kept[..., 1], kept[..., 2]) > 0.02
    np.testing.assert_allclose(np.exp(1j * hue[strong]), np.exp(1j * expected[strong]), atol=1e-2)


def test_luminance_finish_of_the_photo_itself_is_the_photo():
    content = noise((8, 9, 3))
    np.testing.assert_allclose(colour.finish(content, content, mode="luminance"), content, atol=1e-6)


def test_luminance_finish_of_a_grey_photo_is_grey():
    kept = colour.finish(noise((6, 5, 3)), ODD_PICTURES["grey"], mode="luminance")
    np.testing.assert_allclose(kept, kept.mean(2, keepdims=True) * np.ones(3), atol=1e-5)


def test_luminance_prepares_a_grey_style_with_the_photos_lightness_mean_and_deviation():
    style, content = tinted(seed=3, mean=(0.4, 0.4, 0.6), scale=0.03), tinted(seed=4, scale=0.03)
    prepared = colour.to_oklab(colour.prepare_style(style, content, mode="luminance"))
    target = colour.to_oklab(content)[..., 0]
    np.testing.assert_allclose(prepared[..., 1:], 0.0, atol=1e-6)
    assert prepared[..., 0].mean() == pytest.approx(target.mean(), abs=1e-5)
    assert prepared[..., 0].std() == pytest.approx(target.std(), abs=1e-5)


def test_luminance_prepare_keeps_the_order_of_light_and_dark():
    style, content = noise((7, 7, 3), 1), tinted(seed=2)
    before = colour.grey(style)[..., 0].ravel()
    after = colour.prepare_style(style, content, mode="luminance")[..., 0].ravel()
    assert (np.diff(after[np.argsort(before)]) >= -1e-9).all()


# Linear


@pytest.mark.parametrize("how", ["sym", "pca", "chol"])
def test_linear_gives_the_photos_mean_and_covariance(how):
    style, content = noise((40, 30, 3), 1), tinted(seed=2)
    matched = colour.match_linear(style, content, how=how)
    np.testing.assert_allclose(matched.mean((0, 1)), content.mean((0, 1)), atol=1e-6)
    np.testing.assert_allclose(covariance(matched), covariance(content), atol=1e-6)


def test_linear_on_one_varying_channel_by_hand():
    # Reds 0.2 and 0.4: mean 0.3, deviation 0.1. Content reds 0.4 and 0.8: mean 0.6, deviation 0.2. So x' = 2x.
    style = np.array([[[0.2, 0.5, 0.5], [0.4, 0.5, 0.5]]])
    content = np.array([[[0.4, 0.3, 0.1], [0.8, 0.3, 0.1]]])
    expected = [[[0.4, 0.3, 0.1], [0.8, 0.3, 0.1]]]
    for how in ("sym", "pca", "chol"):
        np.testing.assert_allclose(colour.match_linear(style, content, how=how), expected, atol=1e-9)


def test_the_default_linear_match_moves_colours_least():
    style, content = tinted(seed=5), tinted(seed=6)
    moved = {how: np.square(colour.match_linear(style, content, how=how) - style).mean() for how in colour._LINEAR}
    assert min(moved, key=moved.get) == "sym"
    np.testing.assert_array_equal(
        colour.prepare_style(style, content, mode="linear"), colour.into_gamut(colour.match_linear(style, content))
    )


def test_linear_of_a_grey_style_stays_on_one_line_of_colours():
    grey = ODD_PICTURES["grey"] + np.random.default_rng(0).normal(0, 0.2 / 255, (6, 5, 3))
    matched = colour.match_linear(grey, tinted(seed=2, scale=0.2)).reshape(-1, 3)
    spread = np.linalg.svd(matched - matched.mean(0), compute_uv=False)
    # Rounding noise of a tenth of the floor is not blown up into colour.
    assert spread[1] < 0.15 * spread[0]


def test_an_unknown_linear_match_names_the_choices():
    with pytest.raises(OptionError, match="sym, pca, chol"):
        colour.match_linear(noise((2, 2, 3)), noise((2, 2, 3)), how="lu")


# Histogram


def test_match_channel_by_hand():
    np.testing.assert_allclose(
        colour.match_channel(np.array([3.0, 0, 2, 1]), np.array([10.0, 40, 20, 30])), [40, 10, 30, 20]
    )


def test_match_channel_sends_a_flat_area_to_the_mean_of_what_it_stands_for():
    np.testing.assert_allclose(
        colour.match_channel(np.array([0.0, 1, 0, 1]), np.array([10.0, 20, 30, 40])), [15, 35, 15, 35]
    )
    np.testing.assert_allclose(colour.match_channel(np.full((2, 2), 7.0), np.array([1.0, 2, 6])), np.full((2, 2), 2.0))


def test_match_channel_to_fewer_values_interpolates():
    # Middle ranks of four values are 1/8, 3/8, 5/8, 7/8; the two reference values stand at 1/4 and 3/4.
    np.testing.assert_allclose(colour.match_channel(np.arange(4.0), np.array([0.0, 8.0])), [0, 2, 6, 8])


def test_palette_of_a_picture_matched_to_itself_is_unchanged():
    picture = noise((20, 30, 3))
    np.testing.assert_allclose(colour.match_palette(picture, picture), picture, atol=1e-9)


def sliced_distance(a, b):
    """Mean difference of quantiles along 40 directions: 0 only for equal distributions of colour."""
    directions = np.random.default_rng(1).standard_normal((3, 40))
    directions /= np.linalg.norm(directions, axis=0)
    levels = (np.arange(500) + 0.5) / 500
    x, y = (np.quantile(c.reshape(-1, 3) @ directions, levels, axis=0) for c in (a, b))
    return np.abs(x - y).mean()


def test_palette_comes_far_nearer_to_the_photos_than_a_linear_match():
    rng = np.random.default_rng(2)
    two_colours = np.where(rng.random((60, 60, 1)) < 0.3, [0.2, 0.5, 0.8], [0.8, 0.4, 0.2])
    content = np.clip(two_colours + rng.normal(0, 0.05, (60, 60, 3)), 0, 1)
    style = tinted((50, 70), seed=3)
    linear, palette = colour.match_linear(style, content), colour.match_palette(style, content)
    assert sliced_distance(palette, content) < 0.3 * sliced_distance(linear, content)


def test_palette_is_the_same_on_every_call():
    style, content = noise((20, 30, 3), 1), tinted(seed=2)
    np.testing.assert_array_equal(colour.match_palette(style, content), colour.match_palette(style, content))


def test_the_sample_of_a_large_picture_is_spread_over_rows_and_columns():
    picked = colour._spread(1024 * 1024, 1 << 14)
    assert np.unique(picked).size == 1 << 14
    for place in (picked // 1024, picked % 1024):
        assert np.bincount(place, minlength=1024).min() >= 8


# All modes


@pytest.mark.parametrize("mode", colour.MODES)
@pytest.mark.parametrize("style", ODD_PICTURES)
@pytest.mark.parametrize("content", ODD_PICTURES)
def test_no_mode_leaves_the_range_whatever_the_pictures(mode, style, content):
    a, b = ODD_PICTURES[style], ODD_PICTURES[content]
    result = np.resize(a, b.shape)
    for out in (colour.prepare_style(a, b, mode=mode), colour.finish(result, b, mode=mode)):
        assert np.isfinite(out).all()
        assert out.min() >= 0.0
        assert out.max() <= 1.0


@pytest.mark.parametrize("mode", ["linear", "histogram"])
def test_a_style_recoloured_to_a_flat_photo_is_about_flat(mode):
    flat = np.broadcast_to([0.2, 0.6, 0.4], (8, 8, 3))
    np.testing.assert_allclose(
        colour.prepare_style(noise((9, 7, 3)), flat, mode=mode).mean((0, 1)), flat[0, 0], atol=0.02
    )


@pytest.mark.parametrize("mode", colour.MODES)
def test_dtype_and_shape_come_back_and_inputs_are_untouched(mode):
    style, content = noise((5, 7, 3)).astype(np.float32), noise((4, 6, 3)).astype(np.float32)
    copies = style.copy(), content.copy()
    prepared = colour.prepare_style(style, content, mode=mode)
    finished = colour.finish(content, content, mode=mode)
    assert (prepared.shape, prepared.dtype) == (style.shape, np.float32)
    assert (finished.shape, finished.dtype) == (content.shape, np.float32)
    np.testing.assert_array_equal(style, copies[0])
    np.testing.assert_array_equal(content, copies[1])


def test_style_mode_changes_nothing():
    style, content = noise((5, 7, 3), 1), noise((5, 7, 3), 2)
    np.testing.assert_array_equal(colour.prepare_style(style, content, mode="style"), style)
    np.testing.assert_array_equal(colour.finish(style, content, mode="style"), style)


@pytest.mark.parametrize("function", [colour.prepare_style, colour.finish])
def test_an_unknown_mode_names_the_choices(function):
    with pytest.raises(OptionError, match="style, luminance, linear, histogram, not 'lumin'"):
        function(noise((2, 2, 3)), noise((2, 2, 3)), mode="lumin")


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((4, 4)),
        np.zeros((4, 4, 4)),
        np.zeros((4, 4, 3), np.uint8),
        np.full((4, 4, 3), np.nan),
        noise((4, 4, 3)) * 255,
    ],
    ids=["grey", "alpha", "uint8", "nan", "0 to 255"],
)
def test_what_is_no_float_picture_is_refused(bad):
    with pytest.raises(ImageError, match="photo must"):
        colour.prepare_style(noise((4, 4, 3)), bad, mode="style")


def test_finish_refuses_a_photo_of_another_size():
    with pytest.raises(ImageError, match="6×5 and the result 5×6"):
        colour.finish(noise((6, 5, 3)), noise((5, 6, 3)), mode="luminance")


def test_colour_does_not_load_torch():
    code = "import sys, mien.style.colour; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
