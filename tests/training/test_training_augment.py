"""Augmentation: decided by seed, epoch, index and view alone; it fits the dimension; off means untouched."""

from dataclasses import replace

import numpy as np
import pytest

from mien.errors import OptionError
from mien.training.augment import (
    CLIP,
    HANDWRITING,
    NONE,
    PICTURE,
    SIGNAL,
    VOLUME,
    Augmentation,
    augment,
    check_fits,
    for_kind,
    two_views,
)

CASES = [
    (SIGNAL, (2, 60)),
    (PICTURE, (3, 20, 24)),
    (HANDWRITING, (1, 28, 28)),
    (VOLUME, (1, 12, 13, 14)),
    (CLIP, (3, 8, 10, 12)),
]


def example(shape, seed=0):
    return np.random.default_rng(seed).random(shape, np.float32)


@pytest.mark.parametrize(("options", "shape"), CASES)
def test_the_same_place_in_training_gives_the_same_bits_whatever_the_global_generator_did(options, shape):
    values = example(shape)
    np.random.seed(1)  # noqa: NPY002  (the global generator is what must not matter)
    one = augment(values, options, seed=3, epoch=2, index=7)
    np.random.seed(2)  # noqa: NPY002
    augment(values, options, seed=3, epoch=2, index=8)
    np.testing.assert_array_equal(one, augment(values, options, seed=3, epoch=2, index=7))


@pytest.mark.parametrize(("options", "shape"), CASES)
@pytest.mark.parametrize("other", [{"seed": 1}, {"epoch": 1}, {"index": 1}, {"view": 1}])
def test_any_other_place_gives_something_else(options, shape, other):
    values = example(shape)
    place = {"seed": 0, "epoch": 0, "index": 0}
    changed = augment(values, options, **place)
    assert changed.shape == shape
    assert changed.dtype == np.float32
    assert not np.array_equal(changed, augment(values, options, **{**place, **other}))


@pytest.mark.parametrize("shape", [(2, 60), (3, 20, 24), (1, 12, 13, 14)])
def test_off_means_untouched_and_the_input_is_never_written_to(shape):
    values = example(shape)
    before = values.copy()
    np.testing.assert_array_equal(augment(values, NONE, seed=0, epoch=0, index=0), values)
    strong = Augmentation(shift=0.2, gain=0.5, offset=0.5, noise=0.5, flip=(0,))
    augment(values, strong, seed=0, epoch=0, index=0)
    np.testing.assert_array_equal(values, before)


def test_flips_mirror_half_of_the_time_and_only_the_named_axis():
    values = example((1, 4, 5))
    seen = [augment(values, Augmentation(flip=(1,)), seed=0, epoch=0, index=i) for i in range(200)]
    mirrored = [np.array_equal(s, values[:, :, ::-1]) for s in seen]
    kept = [np.array_equal(s, values) for s in seen]
    assert all(m != k for m, k in zip(mirrored, kept, strict=True))
    assert 60 < sum(mirrored) < 140


def test_handwriting_is_never_mirrored():
    assert HANDWRITING.flip == ()


def test_a_volume_moves_by_whole_voxels_and_the_edge_comes_in():
    values = example((1, 10, 1, 1))
    for i in range(20):
        moved = augment(values, Augmentation(shift=0.2), seed=0, epoch=0, index=i)[0, :, 0, 0]
        possible = [values[0, (np.arange(10) - step).clip(0, 9), 0, 0] for step in range(-2, 3)]
        assert any(np.array_equal(moved, p) for p in possible)


def test_gain_and_offset_stay_within_their_amounts():
    flat = np.ones((1, 8), np.float32)
    changed = [augment(flat, Augmentation(gain=0.1, offset=0.2), seed=0, epoch=0, index=i)[0, 0] for i in range(100)]
    assert 0.7 <= min(changed) < 0.85
    assert 1.15 < max(changed) <= 1.3


def test_noise_has_the_deviation_asked_for():
    changed = augment(np.zeros((1, 20_000), np.float32), Augmentation(noise=0.3), seed=0, epoch=0, index=0)
    assert changed.std() == pytest.approx(0.3, rel=0.03)


def test_a_bent_signal_keeps_its_range_and_its_middle_nearby():
    ramp = np.linspace(0, 1, 200, dtype=np.float32)[None]
    for i in range(10):
        bent = augment(ramp, Augmentation(warp=0.03), seed=0, epoch=0, index=i)
        assert np.abs(bent - ramp).max() <= 0.0301
        assert bent.min() >= 0
        assert bent.max() <= 1


def test_a_picture_is_moved_about_its_middle():
    values = np.zeros((1, 21, 21), np.float32)
    values[0, 10, 10] = 1
    turned = augment(values, Augmentation(rotate=45), seed=0, epoch=0, index=0)
    assert np.unravel_index(turned[0].argmax(), (21, 21)) == (10, 10)
    assert turned.max() == pytest.approx(1)


def test_two_views_differ_and_the_first_is_the_plain_one():
    values = example((1, 28, 28))
    one, other = two_views(values, HANDWRITING, seed=5, epoch=1, index=2)
    assert not np.array_equal(one, other)
    np.testing.assert_array_equal(one, augment(values, HANDWRITING, seed=5, epoch=1, index=2))


def test_wrong_options_are_refused():
    with pytest.raises(OptionError, match="noise of 0 or more"):
        Augmentation(noise=-1)
    with pytest.raises(OptionError, match="flip below 1"):
        augment(np.zeros((1, 5), np.float32), Augmentation(flip=(1,)), seed=0, epoch=0, index=0)
    with pytest.raises(OptionError, match="1, 2 or 3 axes"):
        augment(np.zeros(5, np.float32), NONE, seed=0, epoch=0, index=0)
    with pytest.raises(OptionError, match="rotate does not"):
        check_fits(replace(SIGNAL, rotate=3), "signal")


@pytest.mark.parametrize("kind", ["image", "signal", "volume", "clip"])
def test_the_usual_one_fits_its_kind(kind):
    check_fits(for_kind(kind), kind)
