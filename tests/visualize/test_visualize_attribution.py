"""Occlusion and gradient maps: numbers worked by hand, and the parts that a score is known to use."""

import numpy as np
import pytest
import torch
from torch import nn

from mien.errors import OptionError
from mien.visualize.attribution import distance_score, gradient_map, occlude, unit_score


def test_occlusion_worked_by_hand():
    # The score is twice the third value plus the fourth; windows (0, 1), (2, 3), (3, 4) with fill 0.
    image = torch.tensor([[1.0, 1.0, 1.0, 3.0, 1.0]])
    seen = occlude(lambda x: 2 * x[0, 2] + x[0, 3], image, size=2, stride=2, fill=0)
    assert seen.score == 5
    # Drops: 0, 5, 3. Place 3 is covered by the last two windows: (5 + 3) / 2.
    assert seen.drops.tolist() == [0, 0, 5, 4, 3]
    assert (seen.lowest, seen.window) == (0, ((2, 4),))


def test_occlusion_finds_the_part_that_a_score_uses():
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    pixels[4:8, 20:24] = 255
    before = pixels.copy()
    seen = occlude(lambda p: float(p[4:8, 20:24].mean()), pixels, size=4, stride=2)
    assert seen.drops.shape == (20, 30)
    assert seen.window == ((4, 8), (20, 24))
    assert seen.lowest == 128  # the mid grey of uint8
    assert (seen.drops[:, :16] == 0).all()
    assert np.unravel_index(seen.drops.argmax(), seen.drops.shape)[0] in range(4, 8)
    np.testing.assert_array_equal(pixels, before)


def test_every_place_is_covered_also_where_windows_do_not_fit_evenly():
    seen = occlude(lambda x: float(x.sum()), torch.ones(1, 7, 10), size=(3, 4), stride=3, fill=0)
    # Each window of the same size takes the same away.
    assert (seen.drops == 12).all()


def test_a_window_larger_than_the_image_covers_it_once():
    told = []
    occlude(lambda x: float(x.sum()), torch.ones(1, 3, 3), size=9, progress=lambda *n: told.append(n))
    assert told == [(1, 1)]


def test_why_two_faces_are_the_same_is_shown_by_minus_their_distance():
    # An encoder that looks at the mouth only; the faces differ elsewhere.
    def encode(pixels):
        return pixels[6:8].mean((0, 1)) / 255

    a, b = np.full((10, 10, 3), 200, np.uint8), np.full((10, 10, 3), 200, np.uint8)
    b[:4] = 0
    score = distance_score(encode, b)
    assert score(a) == 0
    seen = occlude(score, a, size=2, stride=2)
    assert (seen.drops[6:8] > 0).all()
    assert (seen.drops[:6] == 0).all()
    assert (seen.drops[8:] == 0).all()


def test_distance_is_euclidean():
    assert distance_score(lambda x: x, [0.0, 3.0])([4.0, 0.0]) == -5


def test_the_gradient_of_a_linear_score_is_its_weights_and_times_the_input_adds_up_to_it():
    weights = torch.tensor([[[1.0, -2.0], [0.5, 4.0]]])
    image = torch.tensor([[[3.0, 1.0], [2.0, -1.0]]])

    def score(x):
        return (weights * x).sum()

    assert torch.equal(gradient_map(score, image), weights)
    shares = gradient_map(score, image, times_input=True)
    assert shares.tolist() == [[[3, -2], [1, -4]]]
    assert shares.sum() == score(image)


def test_gradient_maps_work_where_gradients_are_off_and_leave_the_image_alone():
    image = torch.tensor([[2.0]])
    with torch.inference_mode():
        assert gradient_map(lambda x: (x**3).sum(), torch.tensor([[2.0]])).item() == 12
    gradient_map(lambda x: x.sum(), image)
    assert not image.requires_grad
    assert image.grad is None


def test_a_units_score_serves_both_maps():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 3)).train()
    with torch.no_grad():
        net[0].bias.fill_(1)  # so that both ReLUs are open
    image = torch.rand(1, 8, 8)
    score = unit_score(net, "4", 2)
    with torch.no_grad():
        expected = net(image.unsqueeze(0))[0, 2]
    assert float(score(image).detach()) == pytest.approx(float(expected), rel=1e-5)
    down = gradient_map(score, image)
    step = 1e-2 * down / down.norm()
    with torch.no_grad():
        assert score(image + step) - score(image - step) == pytest.approx(float(2e-2 * down.norm()), rel=0.05)
    assert occlude(score, image, size=4).drops.shape == (8, 8)
    assert net.training
    assert all(p.requires_grad and p.grad is None for p in net.parameters())


def test_the_score_of_a_map_is_its_strongest_position():
    net = nn.Sequential(nn.Conv1d(1, 1, 1, bias=False))
    with torch.no_grad():
        net[0].weight.fill_(2)
    assert float(unit_score(net, "0", 0)(torch.tensor([[1.0, 5.0, 3.0]])).detach()) == 10


def test_what_cannot_be_is_refused_with_a_sentence():
    image = torch.rand(1, 4, 4)
    with pytest.raises(OptionError, match="Expected the score to be one number that torch can differentiate"):
        gradient_map(lambda x: 3.0, image)
    with pytest.raises(OptionError, match="Expected the score to be a finite number, got nan"):
        occlude(lambda x: float("nan"), image, size=2)
    with pytest.raises(OptionError, match="Expected a window and stride of at least 1, got 0"):
        occlude(lambda x: 0.0, image, size=0)
    with pytest.raises(OptionError, match="Expected one number or 2"):
        occlude(lambda x: 0.0, image, size=(1, 2, 3))
    with pytest.raises(OptionError, match="Expected a unit of '0' from 0 to 0, got 3"):
        unit_score(nn.Sequential(nn.Conv2d(1, 1, 1)), "0", 3)(image)
