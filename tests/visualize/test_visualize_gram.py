"""Gram matrices read: against the definition, and on maps whose reading is known."""

import numpy as np
import pytest
import torch
from torch import nn

from mien.backbones.features import ModuleBackbone
from mien.errors import OptionError
from mien.visualize.gram import read_gram
from mien.visualize.page import gram_words


class Maps(nn.Module):
    """Gives its input as its activations."""

    def __init__(self):
        super().__init__()
        self.out = nn.Identity()

    def forward(self, x):
        return self.out(x)


def reading(maps):
    return read_gram(ModuleBackbone(Maps(), name="maps"), maps, ["out"])["out"]


def test_the_matrix_is_the_texts_sum_over_positions(small_net, picture):
    image = picture(20, 14)[0]
    found = read_gram(small_net, image, ["1", "4"])
    for layer in ("1", "4"):
        maps = small_net(image.unsqueeze(0), [layer])[layer][0].double()
        units, height, width = maps.shape
        for k, other in ((0, 0), (1, 2), (units - 1, 0)):
            total = sum(float(maps[k, i, j] * maps[other, i, j]) for i in range(height) for j in range(width))
            assert found[layer].matrix[k, other] == pytest.approx(total, rel=1e-9)
        np.testing.assert_array_equal(found[layer].matrix, found[layer].matrix.T)
        assert found[layer].positions == height * width


def test_a_reading_worked_by_hand():
    # Unit 0 is the most active; 1 and 2 fire at one place in proportion; 0 and 1 have the largest product.
    maps = torch.tensor([[6.0, 0, 2, 0], [0, 0, 4.0, 0], [0, 0, 1.0, 0], [0, 0, 0, 0]]).view(4, 2, 2)
    found = reading(maps)
    assert found.order.tolist() == [0, 1, 2, 3]
    assert np.diag(found.matrix).tolist() == [40, 16, 1, 0]
    assert found.pair == (0, 1)
    assert found.matrix[found.pair] == 8
    assert found.likeness == pytest.approx(8 / np.sqrt(40 * 16))
    assert found.closest == (1, 2)
    assert found.closest_likeness == pytest.approx(1)
    assert found.together.tolist() == [[0, 0], [8, 0]]
    words = " ".join(gram_words(found))
    assert "unit 0 is the most active, with 70% of all activity" in words
    assert "3 of 4 units are active at all" in words
    assert "units 0 and 1 occur together most strongly, G[0, 1] = 8 over 4 positions" in words


def test_a_faint_pair_is_not_called_closest():
    maps = torch.tensor([[10.0, 0, 1], [0, 10.0, 1], [0.0, 0, 0.1], [0, 0, 0.2]]).view(4, 3)
    assert reading(maps).closest == (0, 1)


def test_units_that_never_fire_read_as_nothing():
    found = reading(torch.zeros(3, 4, 4))
    assert found.likeness == 0
    assert not found.together.any()
    assert "0 of 3 units are active" in " ".join(gram_words(found))


def test_a_layer_of_one_unit_has_no_pair_and_is_left_out():
    assert read_gram(ModuleBackbone(Maps(), name="maps"), torch.rand(1, 4, 4), ["out"]) == {}


def test_activations_that_are_not_finite_are_refused():
    with pytest.raises(OptionError, match="Expected finite activations, got NaN or infinity at 'out'"):
        reading(torch.tensor([[1.0, float("nan")], [1.0, 2.0]]).view(2, 1, 2))
