"""The built-in style pictures: named, repeatable, alike at every size, rich in tone and texture."""

from __future__ import annotations

import ast
import functools
import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from mien.errors import OptionError
from mien.style import patterns
from mien.style.patterns import field, strokes

NAMES = patterns.names()


@functools.cache
def picture(name, size=64, seed=0):
    return patterns.draw(name, size, seed=seed)


def luminance(image):
    return image @ np.array([0.2126, 0.7152, 0.0722]) / 255


def blurred(image, sigma):
    return ndimage.gaussian_filter(image.astype(np.float64), (sigma, sigma, 0))


def test_at_least_eight_patterns_are_listed_with_one_line_each():
    assert len(NAMES) >= 8
    descriptions = [patterns.describe(name) for name in NAMES]
    assert all(20 < len(line) < 90 and "\n" not in line for line in descriptions)
    assert len(set(descriptions)) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [64, 200])
def test_a_pattern_is_an_rgb_image_of_the_size_asked_for(name, size):
    image = picture(name, size)
    assert image.shape == (size, size, 3)
    assert image.dtype == np.uint8


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_repeats_its_picture_and_another_seed_does_not(name):
    again = patterns.draw(name, 64, seed=0)
    np.testing.assert_array_equal(again, picture(name))
    difference = np.abs(picture(name, seed=1).astype(int) - again).mean()
    assert difference > 8  # the least varied, the mosaic, measures 13


def test_a_small_picture_is_the_larger_one_averaged_down():
    # Both are drawn at 320 px.
    larger = patterns.draw("mosaic", 160).reshape(32, 5, 32, 5, 3).mean((1, 3))
    np.testing.assert_allclose(larger, picture("mosaic").reshape(32, 2, 32, 2, 3).mean((1, 3)), atol=1.01)


@pytest.mark.parametrize("name", NAMES)
def test_structure_stays_when_a_pattern_is_drawn_finer(name):
    # 64 px is averaged down from 320, 200 px from 400: another drawing of the same picture.
    finer = np.asarray(Image.fromarray(picture(name, 200)).resize((64, 64), Image.Resampling.BOX))
    close = np.abs(blurred(finer, 1) - blurred(picture(name), 1)).mean()
    upside_down = np.abs(blurred(finer[::-1], 1) - blurred(picture(name), 1)).mean()
    assert close < 8  # the finest lines, the ink's, measure 5.6
    assert close < upside_down / 5


@pytest.mark.parametrize("name", NAMES)
def test_a_pattern_has_darks_and_lights(name):
    dark, light = np.percentile(luminance(picture(name, 200)), [5, 95])
    assert light - dark > 0.42  # the narrowest, the rose window, measures 0.47
    assert dark < 0.25


@pytest.mark.parametrize("name", NAMES)
def test_a_pattern_has_texture_at_fine_and_middle_scales_everywhere(name):
    tone = luminance(picture(name, 200))
    for fine, coarse in [(0, 1.5), (1.5, 5)]:
        smooth = ndimage.gaussian_filter(tone, fine)
        detail = np.abs(smooth - ndimage.gaussian_filter(tone, coarse))
        tiles = detail.reshape(8, 25, 8, 25).mean((1, 3))
        assert np.percentile(tiles, 10) > 0.01  # a flat vector drawing has tiles of 0


@pytest.mark.parametrize("name", NAMES)
def test_colour_varies_inside_small_areas(name):
    tiles = picture(name, 200).reshape(25, 8, 25, 8, 3).std((1, 3)).mean(-1)
    assert np.percentile(tiles, 5) > 3


def test_no_two_patterns_look_alike():
    for one, other in itertools.combinations(NAMES, 2):
        assert np.abs(blurred(picture(one), 4) - blurred(picture(other), 4)).mean() > 15, (one, other)


def test_a_name_may_carry_its_at_sign():
    assert patterns.describe("@waves") == patterns.describe("waves")


@pytest.mark.parametrize("asked", ["wave", "Waves", "@wavs"])
def test_an_unknown_name_is_refused_with_the_choices_and_the_closest(asked):
    with pytest.raises(OptionError, match="Did you mean @waves") as refusal:
        patterns.draw(asked)
    assert all(f"@{name}" in str(refusal.value) for name in NAMES)


def test_a_name_like_no_other_gets_no_suggestion():
    with pytest.raises(OptionError) as refusal:
        patterns.describe("xqzzkj")
    assert "Did you mean" not in str(refusal.value)


@pytest.mark.parametrize("size", [0, 15, 5000])
def test_a_size_out_of_range_is_refused(size):
    with pytest.raises(OptionError, match="16 to 4096"):
        patterns.draw("ink", size)


def test_noise_has_mean_zero_and_deviation_four_thirds():
    made = field.noise(512, 64, np.random.default_rng(0), octaves=2)
    assert abs(made.mean()) < 0.05
    assert made.std() == pytest.approx(4 / 3, rel=0.03)


def test_noise_is_the_same_field_at_every_size():
    coarse = field.noise(128, 8, np.random.default_rng(3))
    fine = field.noise(256, 8, np.random.default_rng(3)).reshape(128, 2, 128, 2).mean((1, 3))
    np.testing.assert_allclose(fine, coarse, atol=0.02)


def test_a_ramp_passes_through_its_colours():
    palette = field.colours("000000 ff0000 ffffff")
    made = field.ramp(palette, np.array([-1.0, 0.0, 0.25, 0.5, 1.0, 2.0]))
    expected = [[0, 0, 0], [0, 0, 0], [0.5, 0, 0], [1, 0, 0], [1, 1, 1], [1, 1, 1]]
    np.testing.assert_allclose(made, expected, atol=2e-3)


def test_level_lines_of_a_cone_run_round_it():
    x, y = field.grid(64)
    direction = field.level_lines(np.hypot(x - 0.5, y - 0.5))
    outwards = np.arctan2(y - 0.5, x - 0.5)
    away = np.hypot(x - 0.5, y - 0.5) > 0.1
    np.testing.assert_allclose(np.cos(direction - outwards)[away], 0, atol=0.05)


def test_a_strokes_coordinates_reach_one_at_its_ends_and_sides():
    one = strokes.Strokes(*(np.array([v], np.float32) for v in (0.5, 0.5, 0, 0.5, 0.2, 0)), np.zeros((1, 3)))
    u, v = strokes.stroke_coordinates(one, np.zeros((100, 100), np.int32))
    assert u[50, 74] == pytest.approx(0.98)  # the pixel's centre lies at 0.745, 0.245 of 0.25 along
    assert v[59, 50] == pytest.approx(0.95)  # 0.095 of 0.1 across


def test_a_bent_stroke_covers_the_pixels_its_coordinates_call_inside():
    one = strokes.Strokes(*(np.array([v], np.float32) for v in (0.5, 0.4, 0.7, 0.5, 0.1, 2)), np.zeros((1, 3)))
    covered = strokes.number(strokes.outlines(one, bluntness=60, points=41), 200) == 0
    u, v = strokes.stroke_coordinates(one, np.zeros((200, 200), np.int32))
    inside = (np.abs(u) < 0.97) & (np.abs(v) < 1)
    assert inside.sum() > 1500
    assert (covered & inside).sum() > 0.95 * inside.sum()
    assert (covered & ~inside).sum() < 0.1 * inside.sum()


def test_later_shapes_lie_on_top():
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    index = strokes.number([square * 0.6, square * 0.3 + 0.2], 10)
    assert index[0, 0] == 0
    assert index[3, 3] == 1
    assert index[8, 8] == -1


def test_every_picture_is_drawn_without_torch():
    for file in Path(patterns.__file__).parent.glob("*.py"):
        imported = {
            (node.module if isinstance(node, ast.ImportFrom) else node.names[0].name).split(".")[0]
            for node in ast.walk(ast.parse(file.read_text()))
            if isinstance(node, ast.Import | ast.ImportFrom)
        }
        assert imported <= {
            "__future__",
            "collections",
            "dataclasses",
            "difflib",
            "typing",
            "numpy",
            "scipy",
            "skimage",
            "PIL",
            "mien",
        }
