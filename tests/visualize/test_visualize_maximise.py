"""Activation maximisation: it beats the data, finds known optima, says what is dead, and keeps to its bounds."""

import pytest
import torch
from torch import nn

from mien.errors import OptionError
from mien.visualize.maximise import PHOTO_COLOURS, colour_basis, maximise_units
from mien.visualize.top_patches import find_top_patches


def small_net(dims=2, channels=3):
    torch.manual_seed(0)
    conv, pool = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dims - 1], (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)[dims - 1]
    layers = [conv(channels, 6, 3, padding=1), nn.ReLU(inplace=True), pool(2), conv(6, 8, 3, padding=1)]
    return nn.Sequential(*layers, nn.ReLU(inplace=True))


def smooth(i):
    generator = torch.Generator().manual_seed(i)
    noise = torch.rand(1, 3, 6, 6, generator=generator)
    return nn.functional.interpolate(noise, (24, 24), mode="bilinear")[0]


def noise(i, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(i))


CASES = {
    "pictures": (2, 3, (16, 16), (0.0, 1.0), [(i, smooth(i)) for i in range(100)]),
    "signals": (1, 2, (32,), (-4.0, 4.0), [(i, noise(i, 2, 32).clamp(-4, 4)) for i in range(100)]),
    "volumes": (3, 1, (8, 8, 8), (0.0, 1.0), [(i, noise(i, 1, 8, 8, 8).sigmoid()) for i in range(50)]),
}


@pytest.mark.parametrize("case", CASES)
def test_it_beats_the_best_of_the_data_for_nine_in_ten_live_units(case):
    dims, channels, size, bounds, data = CASES[case]
    net = small_net(dims, channels)
    best = torch.from_numpy(find_top_patches(net, data, ["4"]).layer("4").maximum)
    found = maximise_units(net, "4", range(8), size=size, channels=channels, bounds=bounds, steps=100, rate=0.1)
    live = best > 0
    assert live.sum() >= 4
    assert (found.values[live] > best[live]).float().mean() >= 0.9
    assert bounds[0] <= found.inputs.min()
    assert found.inputs.max() <= bounds[1]
    assert found.inputs.shape == (8, channels, *size)


def test_the_value_is_that_of_the_input_given_back():
    net = small_net()
    found = maximise_units(net, "4", [5, 1], size=(16, 16), steps=10)
    with torch.no_grad():
        maps = net(found.inputs)
    torch.testing.assert_close(found.values, torch.stack([maps[0, 5].max(), maps[1, 1].max()]))
    assert found.units == (5, 1)


def test_a_filter_is_answered_by_its_own_signs():
    # One filter over four values, (1, -2, 3, -1): within [0, 1] the best input is 1 where it is positive, else 0.
    net = nn.Sequential(nn.Conv1d(1, 1, 4, bias=False))
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[[1.0, -2.0, 3.0, -1.0]]]))
    found = maximise_units(net, "0", [0], size=(4,), channels=1, steps=200, rate=0.1, robust=False)
    assert found.inputs[0, 0].round(decimals=1).tolist() == pytest.approx([1, 0, 1, 0])
    assert float(found.values[0]) == pytest.approx(4, abs=0.2)


def lazy(bias):
    """A unit that fires only when both values together are above -bias."""
    net = nn.Sequential(nn.Conv1d(1, 1, 2), nn.ReLU(), nn.Conv1d(1, 1, 1, bias=False), nn.ReLU())
    with torch.no_grad():
        net[0].weight.fill_(1)
        net[0].bias.fill_(bias)
        net[2].weight.fill_(1)
    return net


def test_a_dead_start_is_left_and_a_dead_unit_is_reported():
    # Starts near 0.5 + 0.5; fires from 1.6 on: every ReLU blocks at the start. Beyond 2 nothing can fire.
    for layer in ("1", "3"):
        found = maximise_units(lazy(-1.6), layer, [0], size=(2,), channels=1, steps=40, rate=0.3, robust=False)
        assert not found.dead[0]
        assert found.values[0] > 0.3
        assert maximise_units(lazy(-2.5), layer, [0], size=(2,), channels=1, steps=20).dead.tolist() == [True]


def test_units_do_not_disturb_one_another_and_seeds_repeat():
    net = small_net()
    both = maximise_units(net, "4", [2, 6], size=(12, 12), steps=20, robust=False)
    again = maximise_units(net, "4", [2, 6], size=(12, 12), steps=20, robust=False)
    assert torch.equal(both.inputs, again.inputs)
    swapped = maximise_units(net, "4", [2, 3], size=(12, 12), steps=20, robust=False)
    torch.testing.assert_close(swapped.inputs[0], both.inputs[0], rtol=1e-4, atol=1e-4)


def test_a_start_is_where_it_begins():
    net, start = small_net(), smooth(4)
    plain = {"size": (24, 24), "parametrisation": "plain", "start": start, "robust": False}
    found = maximise_units(net, "4", [1, 2], steps=0, **plain)
    torch.testing.assert_close(found.inputs, start.clamp(0.01, 0.99).expand(2, -1, -1, -1))
    better = maximise_units(net, "4", [1, 2], steps=30, **plain)
    assert (better.values > found.values).all()


def test_fourier_pictures_are_smoother_than_plain_ones():
    net = small_net()

    def roughness(parametrisation):
        x = maximise_units(net, "4", range(8), size=(24, 24), steps=40, parametrisation=parametrisation).inputs
        return float(x.diff(dim=-1).abs().mean() / x.std())

    assert roughness("fourier") < 0.8 * roughness("plain")


def test_the_colour_basis_is_a_root_of_the_covariance():
    pixels = torch.randn(2, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    pixels[:, 1] += 2 * pixels[:, 0]
    basis = colour_basis(pixels)
    covariance = torch.cov(pixels.movedim(1, -1).reshape(-1, 3).T)
    torch.testing.assert_close(basis @ basis.T, covariance, rtol=1e-3, atol=1e-4)
    assert basis.norm(dim=0).diff().max() <= 0  # the strongest first


def test_the_colours_of_photographs_have_light_first():
    light, *hues = torch.tensor(PHOTO_COLOURS).T
    assert (light > 0.2).all()
    for hue in hues:
        assert abs(float(hue @ light)) < 0.01 * float(light @ light)
        assert hue.norm() < light.norm() / 3


def test_the_net_is_as_it_was():
    net = small_net().train()
    maximise_units(net, "4", [0], size=(12, 12), steps=2)
    assert net.training
    assert all(p.requires_grad and p.grad is None for p in net.parameters())


def test_progress_is_told_each_step():
    told = []
    maximise_units(small_net(), "4", [0], size=(12, 12), steps=3, progress=told.append)
    assert told == [1, 2, 3]


def test_what_cannot_be_is_refused_with_a_sentence():
    net = small_net()
    with pytest.raises(OptionError, match="Expected units of '4' from 0 to 7, got"):
        maximise_units(net, "4", [8], size=(12, 12), steps=1)
    with pytest.raises(OptionError, match="bounds low < high"):
        maximise_units(net, "4", [1], size=(12, 12), bounds=(1.0, 0.0))
    with pytest.raises(OptionError, match="Expected the parametrisation auto, fourier or plain, got 'gan'"):
        maximise_units(net, "4", [1], size=(12, 12), parametrisation="gan")
    with pytest.raises(OptionError, match="Expected no start with the Fourier parametrisation"):
        maximise_units(net, "4", [1], size=(12, 12), start=smooth(0))
