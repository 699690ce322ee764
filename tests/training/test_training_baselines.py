"""Baselines: known answers of PCA, Haar, HOG, LBP, intensities and the logistic regression."""

import numpy as np
import pytest

from mien.errors import DataError, OptionError
from mien.training import baselines


def test_pca_finds_the_direction_that_varies():
    t = np.linspace(-1, 1, 50)
    rows = np.outer(t, [3.0, 4.0, 0.0]) + np.array([1, 2, 3])
    found = baselines.fit_pca(rows, components=2)
    assert len(found.directions) == 1  # everything else is rounding
    np.testing.assert_allclose(np.abs(found.directions[0]), [0.6, 0.8, 0], atol=1e-12)
    np.testing.assert_allclose(found.deviations, [5 * t.std(ddof=1)])
    np.testing.assert_allclose(np.abs(found.encode(rows)[:, 0]), 5 * np.abs(t), atol=1e-6)


def test_all_components_keep_every_distance_and_whitening_makes_them_even():
    rows = np.random.default_rng(0).normal(0, [1, 5, 0.2], (40, 3))
    found = baselines.fit_pca(rows, components=10)
    apart = np.linalg.norm(rows[:, None] - rows[None], axis=2)
    encoded = found.encode(rows)
    np.testing.assert_allclose(np.linalg.norm(encoded[:, None] - encoded[None], axis=2), apart, atol=1e-5)
    np.testing.assert_allclose(found.encode(rows, whiten=True).std(axis=0, ddof=1), 1, atol=1e-5)


def test_pca_refuses_what_has_no_direction():
    with pytest.raises(DataError, match="all the same"):
        baselines.fit_pca(np.ones((4, 3)), components=2)
    with pytest.raises(DataError, match="at least two rows"):
        baselines.fit_pca(np.ones((1, 3)), components=2)


def test_unit_rows_have_norm_1_and_zeros_stay():
    np.testing.assert_allclose(baselines.unit(np.array([[3.0, 4.0], [0.0, 0.0]])), [[0.6, 0.8], [0, 0]])


def test_haar_by_hand():
    signal = np.array([[[4.0, 2.0, 6.0, 8.0]]], np.float32)
    features = baselines.haar(signal, levels=2)[0]
    # details (2, -2)/sqrt 2 and (3 - 7); what remains is 20/2, scaled to the mean of the samples
    np.testing.assert_allclose(features, [np.log(2), np.log(16), 5], rtol=1e-5)


def test_haar_keeps_the_energy():
    signal = np.random.default_rng(1).normal(size=(1, 1, 64)).astype(np.float32)
    features = baselines.haar(signal, levels=6)[0].astype(float)
    sizes = 64 / 2.0 ** np.arange(1, 7)
    energy = (np.exp(features[:6]) * sizes).sum() + features[6] ** 2 * 64
    assert energy == pytest.approx(float((signal**2).sum()), rel=1e-3)


def test_haar_refuses_more_levels_than_the_signal_has():
    with pytest.raises(OptionError, match="at least 32 samples"):
        baselines.haar(np.zeros((1, 1, 20), np.float32))


@pytest.mark.parametrize("describe", [baselines.hog, baselines.lbp])
def test_picture_baselines_give_unit_rows_that_tell_textures_apart(describe):
    y, x = np.mgrid[:32, :32]
    across, down = np.sin(x), np.sin(y)
    noise = np.random.default_rng(2).normal(0, 0.05, (4, 32, 32))
    pictures = ((np.stack([across, across, down, down]) + noise) / 4 + 0.5).astype(np.float32)[:, None]
    rows = describe(pictures)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    assert np.linalg.norm(rows[0] - rows[1]) < np.linalg.norm(rows[0] - rows[2])


def test_intensity_statistics_know_no_place():
    volume = np.random.default_rng(3).random((1, 1, 4, 4, 4), np.float32)
    shuffled = np.random.default_rng(4).permutation(volume.ravel()).reshape(volume.shape)
    np.testing.assert_allclose(
        baselines.intensity_statistics(volume), baselines.intensity_statistics(shuffled), atol=1e-6
    )
    assert baselines.intensity_statistics(volume)[0, 0] == pytest.approx(volume.mean(), rel=1e-5)


def test_the_centre_voxel_is_the_one_at_half_of_each_side():
    volume = np.zeros((1, 1, 28, 28, 28), np.float32)
    volume[0, 0, 14, 14, 14] = 2
    np.testing.assert_array_equal(baselines.centre_voxel(volume), [[2, 4, 8]])


def test_the_logistic_regression_is_at_its_minimum():
    random = np.random.default_rng(5)
    x, y = random.normal(size=(60, 2)), random.integers(0, 3, 60)
    made = baselines.fit_logistic(x, y, classes=3, l2=0.1)
    standard = (x - made.mean) / made.scale
    wrong = made.probabilities(x) - np.eye(3)[y]
    np.testing.assert_allclose(wrong.T @ standard / 60 + 0.1 * made.weights, 0, atol=1e-4)
    np.testing.assert_allclose(wrong.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(made.probabilities(x).sum(axis=1), 1)


def test_separable_classes_are_separated_and_an_absent_class_is_never_said():
    random = np.random.default_rng(6)
    y = np.repeat([0, 2], 50)
    x = random.normal(0, 0.3, (100, 2)) + y[:, None]
    predicted = baselines.fit_logistic(x, y, classes=3).predict(x)
    np.testing.assert_array_equal(predicted, y)


def test_balancing_lifts_the_rare_class():
    random = np.random.default_rng(7)
    y = (np.arange(1000) < 40).astype(np.int64)
    x = random.normal(0, 1, (1000, 1)) + 1.5 * y[:, None]
    found = [np.mean(baselines.fit_logistic(x, y, classes=2, balance=b).predict(x)[y == 1]) for b in (0, 0.5, 1)]
    assert found[0] < found[1] < found[2]
