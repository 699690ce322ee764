"""Normalisation: fitted in one pass, per channel, of the part it was given; kept as JSON."""

import json

import numpy as np
import pytest

from mien.errors import DataError, OptionError
from mien.training.normalise import Normaliser, fit, from_record


def test_mean_and_deviation_by_hand():
    made = fit([np.array([[1.0, 3.0], [0.0, 0.0]]), np.array([[5.0, 7.0], [10.0, 10.0]])])
    assert made.mean == pytest.approx((4.0, 5.0))
    assert made.scale == pytest.approx((np.sqrt(5.0), 5.0))
    assert "2 examples" in made.fitted_on


def test_one_pass_equals_numpy_over_all_even_far_from_zero():
    random = np.random.default_rng(0)
    arrays = [random.normal(1e6, 0.5, (3, n)) for n in (5, 50, 7)]
    together = np.concatenate(arrays, axis=1)
    made = fit(arrays)
    np.testing.assert_allclose(made.mean, together.mean(1), rtol=1e-12)
    np.testing.assert_allclose(made.scale, together.std(1), rtol=1e-8)


@pytest.mark.parametrize("shape", [(2, 30), (2, 6, 5), (2, 5, 3, 2)])
def test_what_was_fitted_on_comes_out_with_mean_0_and_deviation_1(shape):
    values = np.random.default_rng(1).normal(3, 7, shape).astype(np.float32)
    normalised = fit([values])(values)
    assert normalised.dtype == np.float32
    np.testing.assert_allclose(normalised.reshape(2, -1).mean(1), 0, atol=1e-5)
    np.testing.assert_allclose(normalised.reshape(2, -1).std(1), 1, atol=1e-5)


def test_a_batch_is_normalised_along_its_second_axis():
    made = Normaliser((1.0, 2.0), (2.0, 4.0))
    batch = np.ones((3, 2, 5), np.float32)
    np.testing.assert_array_equal(made.apply(batch, channel_axis=1)[1], made(batch[1]))


def test_the_robust_kind_ignores_a_spike():
    values = np.random.default_rng(2).normal(0, 1, (1, 500))
    spiked = values.copy()
    spiked[0, 7] = 1e9
    assert fit([spiked], robust=True).scale[0] == pytest.approx(fit([values], robust=True).scale[0], rel=0.02)
    assert fit([values], robust=True).scale[0] == pytest.approx(1, rel=0.15)
    assert fit([spiked]).scale[0] > 1e6


def test_a_constant_channel_keeps_its_scale():
    made = fit([np.full((1, 9), 0.1)])
    assert made.scale == (1.0,)
    assert np.abs(made(np.full((1, 9), 0.1, np.float32))).max() < 1e-6


def test_through_json_and_back():
    made = fit([np.random.default_rng(3).random((2, 9))], robust=True)
    assert from_record(json.loads(json.dumps(made.to_record()))) == made


@pytest.mark.parametrize("record", [{}, {"mean": [0], "scale": [0]}, {"mean": [0, 1], "scale": [1]}, {"mean": "x"}])
def test_a_damaged_record_is_refused(record):
    with pytest.raises(OptionError):
        from_record(record)


def test_other_channels_and_nothing_are_refused():
    with pytest.raises(DataError, match="2 channels"):
        Normaliser((0.0, 0.0), (1.0, 1.0))(np.zeros((3, 4), np.float32))
    with pytest.raises(DataError, match="is empty"):
        fit([])
    with pytest.raises(DataError, match="one has 3"):
        fit([np.zeros((2, 4)), np.zeros((3, 4))])
