"""Regions, their guidance channels, guided Gram matrices and the final blend."""

import numpy as np
import pytest
import torch

from mien.errors import ImageError, OptionError
from mien.style import masks


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def rand(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# regions


def test_a_mask_of_the_pictures_size_is_kept_without_a_note():
    mask = np.array([[0.0, 0.25], [0.5, 1.0]])
    found = masks.regions([mask], height=2, width=2)
    np.testing.assert_array_equal(found.masks, mask[None].astype(np.float32))
    assert found.masks.dtype == np.float32
    assert found.notes == ()


def test_overlapping_masks_share_a_pixel_and_gaps_stay_gaps():
    a, b = np.array([[1.0, 1.0, 0.2, 0.0]]), np.array([[1.0, 0.0, 0.3, 0.5]])
    found = masks.regions([a, b], height=1, width=4)
    np.testing.assert_allclose(found.masks[:, 0], [[0.5, 1.0, 0.2, 0.0], [0.5, 0.0, 0.3, 0.5]], atol=1e-7)
    np.testing.assert_allclose(found.coverage, [[1.0, 1.0, 0.5, 0.5]], atol=1e-7)
    np.testing.assert_allclose(found.shares, [1.7 / 4, 1.3 / 4], atol=1e-6)


def test_a_larger_mask_is_resized_with_its_area_kept_and_says_so():
    mask = np.zeros((80, 120))
    mask[:, :60] = 1.0
    found = masks.regions([mask], height=40, width=60)
    assert found.masks.shape == (1, 40, 60)
    assert found.shares[0] == pytest.approx(0.5, abs=1e-3)
    assert found.notes == ("Mask 1 is 120×80 and was resized to the picture's 60×40.",)


def test_a_mask_of_another_shape_is_stretched_and_says_so():
    found = masks.regions([np.ones((10, 10)), np.ones((30, 30))], height=10, width=20)
    assert found.notes == (
        "Mask 1 is 10×10 and was stretched to the picture's 20×10.",
        "Mask 2 is 30×30 and was stretched to the picture's 20×10.",
    )


def test_a_side_rounded_to_whole_pixels_is_not_called_stretched():
    found = masks.regions([np.ones((768, 1024))], height=287, width=383)
    assert "resized" in found.notes[0]


def test_fine_stripes_become_grey_and_not_moire():
    # One white column in four: taking every fourth place without averaging would see black alone.
    stripes = np.tile([1.0, 0.0, 0.0, 0.0], (200, 50))
    found = masks.regions([stripes], height=50, width=50)
    np.testing.assert_allclose(found.masks[0, 5:-5, 5:-5], 0.25, atol=0.05)


def test_masks_never_sum_to_more_than_one():
    some = [np.random.default_rng(i).random((13, 17)) for i in range(4)]
    found = masks.regions(some, height=29, width=31)
    assert found.masks.min() >= 0.0
    assert found.masks.sum(0).max() <= 1.0 + 1e-6
    assert found.coverage.max() <= 1.0


def test_a_black_mask_is_refused_by_number():
    with pytest.raises(OptionError, match="Mask 2 must be white somewhere, but it is black everywhere"):
        masks.regions([np.ones((4, 4)), np.full((4, 4), 1 / 255)], height=4, width=4)


def test_no_mask_at_all_is_refused():
    with pytest.raises(OptionError, match="at least one mask"):
        masks.regions([], height=4, width=4)


@pytest.mark.parametrize(
    "bad",
    [np.zeros((4, 4, 3)), np.ones((4, 4), np.uint8), np.full((4, 4), 255.0), np.full((4, 4), np.nan), -np.ones((4, 4))],
    ids=["colour", "uint8", "0 to 255", "nan", "negative"],
)
def test_what_is_no_mask_is_refused(bad):
    with pytest.raises(ImageError, match="Mask 1 must"):
        masks.regions([bad], height=4, width=4)


# propagate


def test_propagate_averages_areas_and_normalises_by_hand():
    mask = torch.tensor([[1.0, 1, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1], [0, 0, 1, 1]]).view(1, 1, 4, 4)
    guide = masks.propagate(mask, layer_height=2, layer_width=2)
    # Means of the quarters: 1, 0, 1/2, 1; the sum of their squares is 9/4, so T is the means over 3/2.
    torch.testing.assert_close(guide.view(2, 2), torch.tensor([[2 / 3, 0.0], [1 / 3, 2 / 3]]))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (6, 9), (11, 18), (45, 74)])
def test_squares_of_every_guide_sum_to_one_at_any_layer(height, width):
    guide = masks.propagate(rand(3, 1, 45, 74), layer_height=height, layer_width=width)
    assert guide.shape == (3, 1, height, width)
    torch.testing.assert_close(guide.square().sum((1, 2, 3)), torch.ones(3, dtype=torch.float64))


def test_eroding_leaves_only_positions_that_see_nothing_but_the_region():
    mask = torch.zeros(1, 1, 9, 9)
    mask[..., 1:8, 1:8] = 1
    guide = masks.propagate(mask, layer_height=9, layer_width=9, erode=2)
    expected = torch.zeros(9, 9)
    expected[3:6, 3:6] = 1 / 3
    torch.testing.assert_close(guide[0, 0], expected)


def test_the_frame_of_the_picture_does_not_erode_a_region():
    guide = masks.propagate(torch.ones(1, 1, 6, 8), layer_height=6, layer_width=8, erode=3)
    torch.testing.assert_close(guide, torch.full((1, 1, 6, 8), 48**-0.5))


def test_a_region_too_small_to_erode_keeps_its_mask_while_the_others_erode():
    mask = torch.zeros(2, 1, 12, 12)
    mask[0, :, 5:7, 5:7] = 1
    mask[1, :, :, :6] = 1
    eroded = masks.propagate(mask, layer_height=12, layer_width=12, erode=3)
    soft = masks.propagate(mask, layer_height=12, layer_width=12)
    torch.testing.assert_close(eroded[0], soft[0])
    assert (eroded[1, 0, :, 3:] == 0).all()
    assert (eroded[1, 0, :, :3] > 0).all()


def test_propagate_refuses_a_black_mask_by_number():
    mask = torch.stack([torch.ones(1, 4, 4), torch.zeros(1, 4, 4)])
    with pytest.raises(OptionError, match="Mask 2"):
        masks.propagate(mask, layer_height=2, layer_width=2)


# guided_gram


def test_guided_gram_under_one_uniform_guide_is_gram_over_positions():
    F = randn(1, 5, 6, 7)
    T = masks.propagate(torch.ones(1, 1, 24, 28, dtype=torch.float64), layer_height=6, layer_width=7)
    flat = F.flatten(2)[0]
    torch.testing.assert_close(masks.guided_gram(F, T)[0], flat @ flat.T / (6 * 7), rtol=1e-12, atol=1e-12)


def naive_guided_gram(F, T):
    R, C, H, W = T.shape[0], *F.shape[1:]
    G = torch.zeros(R, C, C, dtype=F.dtype)
    for r in range(R):
        features = F[r if F.shape[0] == R else 0]
        for c in range(C):
            for k in range(C):
                for i in range(H):
                    for j in range(W):
                        G[r, c, k] += T[r, 0, i, j] ** 2 * features[c, i, j] * features[k, i, j]
    return G


@pytest.mark.parametrize("batch", [1, 3])
def test_guided_gram_equals_the_naive_loop(batch):
    F, T = randn(batch, 4, 3, 5), rand(3, 1, 3, 5)
    torch.testing.assert_close(masks.guided_gram(F, T), naive_guided_gram(F, T))


def test_guided_gram_by_hand():
    # Two positions with features (1, 2) and (3, 4); the region is the second position alone.
    F = torch.tensor([[1.0, 3.0], [2.0, 4.0]]).view(1, 2, 1, 2)
    T = torch.tensor([0.0, 1.0]).view(1, 1, 1, 2)
    torch.testing.assert_close(masks.guided_gram(F, T)[0], torch.tensor([[9.0, 12.0], [12.0, 16.0]]))


def test_features_outside_a_region_do_not_matter_to_it():
    F, other = randn(1, 3, 4, 6), randn(1, 3, 4, 6, seed=1)
    mask = torch.zeros(1, 1, 4, 6, dtype=torch.float64)
    mask[..., :3] = 1
    T = masks.propagate(mask, layer_height=4, layer_width=6)
    mixed = torch.where(mask > 0, F, other)
    torch.testing.assert_close(masks.guided_gram(mixed, T), masks.guided_gram(F, T))


def test_gradients_flow_through_the_guided_gram():
    F = randn(1, 3, 4, 5).requires_grad_()
    T = masks.propagate(rand(2, 1, 8, 10), layer_height=4, layer_width=5)
    assert torch.autograd.gradcheck(lambda x: masks.guided_gram(x, T), (F,))


def test_a_share_makes_a_region_pull_on_a_pixel_as_the_whole_picture_would():
    F = randn(1, 3, 4, 6).requires_grad_()
    mask = torch.zeros(1, 1, 4, 6, dtype=torch.float64)
    mask[..., :2] = 1
    T = masks.propagate(mask, layer_height=4, layer_width=6)
    whole = masks.propagate(torch.ones_like(mask), layer_height=4, layer_width=6)
    (inside,) = torch.autograd.grad(masks.guided_gram(F, T).sum() * mask.mean(), F)
    (everywhere,) = torch.autograd.grad(masks.guided_gram(F, whole).sum(), F)
    torch.testing.assert_close(inside[..., :2], everywhere[..., :2])


@pytest.mark.parametrize("shape", [(1, 1, 4, 4), (1, 2, 4, 5), (3, 1, 4, 5)])
def test_guidance_that_does_not_fit_the_features_is_refused(shape):
    with pytest.raises(ImageError, match="make it with propagate"):
        masks.guided_gram(torch.zeros(2, 3, 4, 5), torch.zeros(shape))


# composite


def test_composite_mixes_by_the_mask():
    result, content = np.full((1, 3, 3), 0.8), np.full((1, 3, 3), 0.4)
    mixed = masks.composite(result, content, np.array([[0.0, 0.5, 1.0]]))
    np.testing.assert_allclose(mixed[0, :, 0], [0.4, 0.6, 0.8])


def test_feather_fades_in_from_the_black_by_hand():
    mixed = masks.composite(np.ones((1, 6, 3)), np.zeros((1, 6, 3)), np.array([[0.0, 1, 1, 1, 1, 1]]), feather=3)
    np.testing.assert_allclose(mixed[0, :, 0], [0, 0.25, 0.5, 0.75, 1, 1])


@pytest.mark.parametrize("feather", [0, 1, 7.5])
def test_black_is_the_untouched_photo_and_far_white_the_untouched_result(feather):
    rng = np.random.default_rng(0)
    result, content = rng.random((20, 60, 3)).astype(np.float32), rng.random((20, 60, 3)).astype(np.float32)
    mask = np.zeros((20, 60), np.float32)
    mask[:, 20:] = 1
    mixed = masks.composite(result, content, mask, feather=feather)
    assert mixed.dtype == np.float32
    np.testing.assert_array_equal(mixed[:, :20], content[:, :20])
    np.testing.assert_array_equal(mixed[:, 30:], result[:, 30:])


def test_an_all_white_mask_is_the_result_whatever_the_feather():
    result = np.random.default_rng(0).random((4, 5, 3))
    np.testing.assert_array_equal(masks.composite(result, np.zeros_like(result), np.ones((4, 5)), feather=9), result)


def test_the_black_of_a_jpeg_mask_feathers_too():
    mask = np.array([[1 / 255, 1.0, 1.0]])
    mixed = masks.composite(np.ones((1, 3, 3)), np.zeros((1, 3, 3)), mask, feather=1)
    np.testing.assert_allclose(mixed[0, :, 0], [0, 0.5, 1])


def test_composite_refuses_other_sizes_and_a_negative_feather():
    picture = np.zeros((4, 5, 3))
    with pytest.raises(ImageError, match="one size"):
        masks.composite(picture, picture, np.zeros((5, 4)))
    with pytest.raises(OptionError, match="0 or more pixels, not -1"):
        masks.composite(picture, picture, np.zeros((4, 5)), feather=-1)
