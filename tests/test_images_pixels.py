"""Arrays of pixels: sizes, resampling, rounding, tensors."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from mien import images
from mien.errors import ImageError, OptionError
from picture_files import encoded


@pytest.fixture
def corner():
    """2 × 3 pixels, all different, so that no turn or mirroring leaves it as it is."""
    return (np.arange(18).reshape(2, 3, 3) * 14).astype(np.uint8)


@pytest.mark.parametrize(
    ("size", "long_side", "expected"),
    [
        ((640, 480), 512, (512, 384)),
        ((480, 640), 512, (384, 512)),
        ((1000, 667), 512, (512, 342)),  # 341.504
        ((100, 50), 51, (51, 26)),  # 25.5: halves go up
        ((4000, 3), 512, (512, 1)),  # 0.384: never 0
        ((3, 4000), 8000, (6, 8000)),
        ((7, 7), 1, (1, 1)),
    ],
)
def test_fit_keeps_the_aspect_and_rounds(size, long_side, expected):
    assert images.fit(*size, long_side) == expected


@pytest.mark.parametrize("numbers", [(0, 5, 5), (5, 5, 0), (5, -1, 9)])
def test_fit_refuses_sizes_below_one(numbers):
    with pytest.raises(OptionError):
        images.fit(*numbers)


def test_resize_to_the_same_size_changes_nothing_and_copies(corner):
    same = images.resize(corner, 3, 2)
    np.testing.assert_array_equal(same, corner)
    assert not np.shares_memory(same, corner)


def test_shrinking_averages_instead_of_aliasing():
    checks = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    small = images.resize(np.dstack([checks] * 3), 16, 16)
    assert small.shape == (16, 16, 3)
    assert np.abs(small.astype(int) - 127.5).max() <= 2


def lanczos_row(values, length):
    """One row resampled by the definition: the sinc-windowed sinc of three lobes, widened when shrinking."""
    scale = len(values) / length
    width = max(scale, 1)
    out = []
    for i in range(length):
        x = (np.arange(len(values)) + 0.5 - (i + 0.5) * scale) / width
        weights = np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)
        out.append((weights * values).sum() / weights.sum())
    return np.array(out)


@pytest.mark.parametrize("length", [7, 20, 53])
def test_resize_is_lanczos_by_its_definition(length):
    values = np.random.default_rng(10).random(20).astype(np.float32)
    row = images.resize(np.stack([values] * 4), length, 4)[1]
    np.testing.assert_allclose(row, lanczos_row(values, length).clip(values.min(), values.max()), atol=1e-5)
    levels = np.rint(values * 255).astype(np.uint8)
    row = images.resize(np.stack([levels] * 4), length, 4)[1]
    np.testing.assert_allclose(row, lanczos_row(levels, length).clip(0, 255), atol=0.51)


def test_a_mask_plane_stays_within_its_range():
    step = np.zeros((8, 8), np.float32)
    step[:, 4:] = 1
    larger = images.resize(step, 33, 17)
    assert larger.dtype == np.float32
    assert larger.shape == (17, 33)
    assert (larger.min(), larger.max()) == (0, 1)


def test_huge_ratios_survive_loading_and_resizing():
    strip = np.random.default_rng(11).integers(0, 256, (3, 4000, 3), np.uint8)
    picture = images.load(encoded(Image.fromarray(strip), "PNG"))
    assert images.resize(picture.pixels, *images.fit(*picture.size, 512)).shape == (1, 512, 3)


def test_resize_refuses_what_it_cannot_do():
    with pytest.raises(OptionError, match="at least 1 × 1"):
        images.resize(np.zeros((4, 4, 3), np.uint8), 0, 4)
    with pytest.raises(ImageError, match="float64"):
        images.resize(np.zeros((4, 4, 3)), 2, 2)


def test_tensors_and_back(corner):
    x = images.to_tensor(corner)
    assert (tuple(x.shape), str(x.dtype), x.is_contiguous()) == ((1, 3, 2, 3), "torch.float32", True)
    assert x[0, 2, 1, 0].item() == pytest.approx(corner[1, 0, 2] / 255)
    back = images.from_tensor(x)
    assert (back.dtype, back.flags.c_contiguous) == (np.float32, True)
    np.testing.assert_array_equal(images.to_uint8(back), corner)
    np.testing.assert_array_equal(images.to_tensor(back).numpy(), x.numpy())


def test_all_256_levels_survive_the_way_through_a_tensor():
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    pixels = np.dstack([levels] * 3)
    np.testing.assert_array_equal(images.to_uint8(images.from_tensor(images.to_tensor(pixels))), pixels)


def test_a_tensor_of_another_type_with_a_gradient_is_taken_and_clamped():
    torch = pytest.importorskip("torch")
    x = torch.full((1, 3, 2, 2), 1.5, dtype=torch.bfloat16, requires_grad=True)
    np.testing.assert_array_equal(images.from_tensor(x), np.ones((2, 2, 3)))
    with pytest.raises(ImageError, match=r"\(1, 3, H, W\), but got \(3, 2, 2\)"):
        images.from_tensor(x[0])
    with pytest.raises(ImageError, match=r"\(H, W, 3\)"):
        images.to_tensor(np.zeros((2, 2), np.uint8))


def test_rounding_is_half_to_even_and_clamped():
    # 0.5, 1.5 and 2.5 levels, and what lies outside.
    floats = np.array([0.5, 1.5, 2.5, -9, 300]) / 255
    assert images.to_uint8(floats).tolist() == [0, 2, 2, 0, 255]
    with pytest.raises(ImageError, match="NaN"):
        images.to_uint8(np.array([0.5, np.nan]))
    with pytest.raises(ImageError, match="int64"):
        images.to_uint8(np.array([1, 2]))
