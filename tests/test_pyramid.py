"""The scales of a painting, and how a finer one starts from a coarser one."""

import itertools

import numpy as np
import pytest
import torch
from skimage import data

from mien import images
from mien.errors import OptionError
from mien.images import fit
from mien.style.options import StyleOptions
from mien.style.pyramid import MOST_AT_THE_FINEST, STEPS, Level, enlarge, levels, shrink, warm_start
from mien.style.recipes import RECIPES


def plan(width, height, **changes):
    return levels(width, height, StyleOptions(**changes))


def test_512_pixels_are_painted_in_three_scales():
    assert plan(640, 480, size=512) == (Level(128, 96, 80), Level(256, 192, 60), Level(512, 384, 40))


def test_an_upright_photo_has_its_long_side_scaled():
    found = plan(300, 400, size=256)
    assert [(x.width, x.height, x.size) for x in found] == [(96, 128, 128), (192, 256, 256)]


@pytest.mark.parametrize("size", [16, 17, 95, 96, 191, 192, 193, 195, 255, 384, 500, 777, 1024, 2000, 4096, 20000])
@pytest.mark.parametrize("photo", [(640, 480), (480, 640), (100, 100), (3000, 7)])
@pytest.mark.parametrize("optimiser", STEPS)
def test_scales_double_from_at_least_96_pixels_to_exactly_the_size_asked_for(size, photo, optimiser):
    found = plan(*photo, size=size, optimiser=optimiser)
    assert (found[-1].width, found[-1].height) == fit(*photo, size)
    sides = [level.size for level in found]
    assert all(abs(fine - 2 * coarse) <= 1 for coarse, fine in itertools.pairwise(sides))
    assert sides[0] < 192 if len(sides) == 1 else 96 <= sides[0] < 193
    steps = [level.steps for level in found]
    assert steps == sorted(steps, reverse=True)
    wanted = [next(count for limit, count in STEPS[optimiser] if side <= limit) for side in sides]
    if len(wanted) > 1:
        wanted[-1] = min(wanted[-1], MOST_AT_THE_FINEST[optimiser])
    assert steps == wanted


def test_one_number_of_steps_is_one_scale():
    assert plan(640, 480, size=512, steps=(500,)) == (Level(512, 384, 500),)


def test_fewer_numbers_of_steps_drop_the_coarsest_scales():
    assert [(x.size, x.steps) for x in plan(64, 64, size=512, steps=(30, 12))] == [(256, 30), (512, 12)]


def test_more_numbers_of_steps_add_coarser_scales_down_to_16_pixels():
    assert [(x.size, x.steps) for x in plan(64, 64, size=64, steps=(4, 3))] == [(32, 4), (64, 3)]
    assert [x.size for x in plan(64, 64, size=100, steps=(1, 2, 3, 4, 5))] == [16, 16, 25, 50, 100]


def test_no_numbers_of_steps_are_refused():
    with pytest.raises(OptionError, match="Expected"):
        plan(64, 64, size=512, steps=())


@pytest.mark.parametrize("name", RECIPES)
def test_a_faithful_painting_has_one_scale_and_its_sources_steps(name):
    found = plan(640, 480, size=512, recipe=name, faithful=True)
    assert found == (Level(512, 384, RECIPES[name].faithful.steps),)


def test_a_faithful_painting_of_several_numbers_of_steps_is_refused():
    with pytest.raises(OptionError, match="Expected 1 number"):
        plan(640, 480, size=512, faithful=True, steps=(10, 20))


def test_enlarging_keeps_a_constant_and_the_box():
    torch.testing.assert_close(enlarge(torch.full((1, 3, 7, 5), 0.3), 20, 13), torch.full((1, 3, 20, 13), 0.3))
    edge = torch.zeros(1, 3, 8, 8)
    edge[..., 4:] = 1  # bicubic overshoots here
    found = enlarge(edge, 32, 32)
    assert found.min() == 0
    assert found.max() == 1


def test_an_unpainted_coarse_scale_leaves_the_photo_untouched(picture):
    fine = picture(40, 56)
    coarse = picture(20, 28, seed=1)
    torch.testing.assert_close(warm_start(coarse, coarse=coarse, fine=fine), fine, rtol=0, atol=1e-6)


def test_paint_is_carried_up_and_the_photos_detail_put_back():
    coarse, fine = torch.full((1, 3, 4, 4), 0.5), torch.full((1, 3, 8, 8), 0.5)
    fine[..., 3, 3] = 0.75  # a detail the coarse scale did not see
    painted = torch.full((1, 3, 4, 4), 0.25)
    expected = torch.full((1, 3, 8, 8), 0.25)
    expected[..., 3, 3] = 0.5
    torch.testing.assert_close(warm_start(painted, coarse=coarse, fine=fine), expected)


def test_a_warm_start_stays_in_the_box():
    coarse, painted = torch.full((1, 3, 4, 4), 0.2), torch.full((1, 3, 4, 4), 0.9)
    fine = torch.full((1, 3, 8, 8), 0.8)
    found = warm_start(painted, coarse=coarse, fine=fine)
    assert found.max() == 1
    assert warm_start(1 - painted, coarse=1 - coarse, fine=1 - fine).min() == 0


def test_shrinking_is_pillows_lanczos():
    photo = images.resize(data.coffee(), 90, 60)
    found = shrink(images.to_tensor(photo), 30, 45)
    wanted = images.resize(photo, 45, 30).astype(np.float32) / 255
    # Pillow rounds and clips to 8 bits after each direction; where a filter overshoots that costs a few levels.
    difference = np.abs(images.from_tensor(found) - wanted) * 255
    assert difference.mean() < 0.5
    assert difference.max() < 6


def test_shrinking_keeps_a_constant_and_lets_the_gradient_through():
    x = torch.full((1, 3, 31, 17), 0.25, dtype=torch.float64, requires_grad=True)
    small = shrink(x, 15, 8)
    torch.testing.assert_close(small, torch.full((1, 3, 15, 8), 0.25, dtype=torch.float64))
    (gradient,) = torch.autograd.grad(small.sum(), x)
    assert gradient.sum().item() == pytest.approx(3 * 15 * 8)
