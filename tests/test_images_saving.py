"""Pictures out: every format and depth, profiles, alpha, settings."""

from __future__ import annotations

import io
import os

import numpy as np
import pytest
from PIL import Image, ImageCms, JpegImagePlugin
from skimage import data

import picture_files as files
from mien import images
from mien.errors import ImageError, OptionError, OutputError
from mien.images import profiles

tifffile = pytest.importorskip("tifffile")
ADOBE = files.rgb_profile(**files.ADOBE_RGB, curve=2.19921875)
SWAPPED = files.rgb_profile(files.SRGB["green"], files.SRGB["red"], files.SRGB["blue"], curve=files.SRGB_CURVE)
LOSSLESS = [".png", ".tif", ".tiff", ".webp"]
EVERY = [*LOSSLESS, ".jpg", ".jpeg"]
# Latin, a newline, a quote, a backslash that looks like an escape, Greek, Chinese, beyond 16 bits.
UNICODE = '{"style": "Sternennacht\\n\\u00e9"}\n"ü" α/β 星月夜 🎨'


@pytest.fixture
def photo():
    return data.astronaut()[:60, 100:190]


@pytest.fixture
def floats():
    return np.random.default_rng(0).random((21, 34, 3))


def read_16_bits(path):
    """The file's own 16-bit samples, without mien's reader."""
    if path.suffix == ".png":
        return files.unfilter_png(path.read_bytes())[0]
    return tifffile.imread(path)


def read_8_bits(path):
    """The file's own 8-bit samples, with no profile applied."""
    with Image.open(path) as stored:
        return np.array(stored)


def left_over(folder):
    return sorted(path.name for path in folder.iterdir())


# --- pixels ---


@pytest.mark.parametrize("suffix", LOSSLESS)
def test_8_bits_come_back_identical(tmp_path, photo, suffix):
    path = images.save(tmp_path / f"a{suffix}", photo, quality=100)
    np.testing.assert_array_equal(images.load(path).pixels, photo)
    with Image.open(path) as stored:
        np.testing.assert_array_equal(np.asarray(stored), photo)
        assert "icc_profile" not in stored.info


@pytest.mark.parametrize("suffix", LOSSLESS)
def test_8_bits_with_alpha_come_back_identical(tmp_path, photo, suffix):
    alpha = np.random.default_rng(1).integers(0, 256, photo.shape[:2], np.uint8)
    path = images.save(tmp_path / f"a{suffix}", photo, alpha=alpha, quality=100)
    picture = images.load(path)
    np.testing.assert_array_equal(picture.pixels, photo)
    np.testing.assert_array_equal(picture.alpha, alpha)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("with_alpha", [False, True])
def test_16_bits_keep_what_8_would_lose(tmp_path, floats, suffix, with_alpha):
    alpha = floats[..., 0].astype(np.float32) if with_alpha else None
    path = images.save(tmp_path / f"a{suffix}", floats, alpha=alpha, bits=16)
    stored = read_16_bits(path)
    assert stored.dtype.itemsize == 2
    np.testing.assert_array_equal(stored[..., :3], np.rint(floats * 65535))
    if with_alpha:
        np.testing.assert_array_equal(stored[..., 3], np.rint(alpha * np.float32(65535)))
    back = images.load(path)
    np.testing.assert_array_equal(back.pixels, np.rint(np.rint(floats * 65535) / 257))
    assert (back.alpha is not None) == with_alpha


def test_8_bits_in_a_16_bit_file_are_the_same_levels(tmp_path, photo):
    path = images.save(tmp_path / "a.png", photo, bits=16)
    np.testing.assert_array_equal(read_16_bits(path), photo.astype(int) * 257)
    np.testing.assert_array_equal(images.load(path).pixels, photo)


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (700, 1), (3, 4000), (300, 1500)])
@pytest.mark.parametrize("bits", [8, 16])
def test_png_of_every_shape_by_the_letter_of_its_specification(tmp_path, shape, bits):
    samples = np.random.default_rng(2).integers(0, 4, (*shape, 3)).cumsum(0).cumsum(1)
    pixels = (samples % 256).astype(np.uint8)
    path = images.save(tmp_path / "a.png", pixels, bits=bits)
    if pixels.size < 50_000:
        stored, chunks = files.unfilter_png(path.read_bytes())
        np.testing.assert_array_equal(stored, pixels.astype(int) * (257 if bits == 16 else 1))
        assert chunks[b"sRGB"] == b"\1"
    np.testing.assert_array_equal(images.load(path, min_side=1).pixels, pixels)


def test_png_is_about_as_small_as_pillows(tmp_path):
    photo = data.astronaut()
    ours = images.save(tmp_path / "a.png", photo).stat().st_size
    Image.fromarray(photo).save(tmp_path / "b.png")
    assert ours < 1.1 * (tmp_path / "b.png").stat().st_size


def test_jpeg_is_4_4_4_and_close(tmp_path, photo):
    path = images.save(tmp_path / "a.jpg", photo)
    with Image.open(path) as stored:
        assert JpegImagePlugin.get_sampling(stored) == 0
    assert np.abs(images.load(path).pixels.astype(int) - photo).mean() < 2
    small = images.save(tmp_path / "b.jpg", photo, quality=30)
    assert small.stat().st_size < path.stat().st_size / 2


def test_transparent_parts_of_a_jpeg_are_white(tmp_path):
    black = np.zeros((16, 48, 3), np.uint8)
    alpha = np.repeat(np.array([[0, 51, 255]], np.uint8), 16, 0).repeat(16, 1)
    seen = images.load(images.save(tmp_path / "a.jpg", black, alpha=alpha)).pixels
    np.testing.assert_allclose(seen[8, [8, 24, 40]], [[255] * 3, [204] * 3, [0] * 3], atol=2)


def test_the_same_picture_makes_the_same_bytes(tmp_path, floats):
    for suffix in EVERY:
        first, second = (
            images.save(tmp_path / f"{name}{suffix}", floats, settings=UNICODE).read_bytes() for name in "ab"
        )
        assert first == second


# --- profiles ---


@pytest.mark.parametrize("suffix", EVERY)
def test_a_photo_comes_back_in_its_own_profile(tmp_path, suffix):
    wide = data.astronaut()[:128, 100:260]
    content = io.BytesIO()
    Image.fromarray(wide).save(content, "PNG", icc_profile=ADOBE)
    picture = images.load(content.getvalue())
    path = images.save(tmp_path / f"a{suffix}", picture.pixels, icc=picture.icc, quality=100)
    with Image.open(path) as saved:
        assert saved.info["icc_profile"] == ADOBE
        stored = np.asarray(saved)
    assert np.abs(stored.astype(int) - wide).mean() < 1
    assert images.load(path).icc == ADOBE


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_values_are_converted_into_the_profile(tmp_path, suffix, bits):
    pixels = np.random.default_rng(3).integers(0, 256, (16, 16, 3), np.uint8)
    path = images.save(tmp_path / f"a{suffix}", pixels, icc=SWAPPED, bits=bits)
    stored = read_16_bits(path) / 257 if bits == 16 else read_8_bits(path)
    off = np.abs(stored - pixels[..., [1, 0, 2]].astype(float))
    assert off.max() <= 1
    assert off.mean() < (0.1 if bits == 8 else 0.03)


CURVES = {
    "gamma": 2.19921875,
    "no curve": [],
    "table": (np.linspace(0, 1, 1024) ** 1.8 * 65535).round().astype(int).tolist(),
    "type 0": (2.2,),
    "type 1": (2.2, 0.9, 0.1),
    "type 2": (2.2, 0.9, 0.05, 0.04),
    "type 3": files.SRGB_CURVE,
    "type 4": (2.4, 0.93, 0.06, 0.08, 0.03, 0.01, 0.0),
}


@pytest.mark.parametrize("curve", CURVES)
def test_16_bit_conversion_agrees_with_littlecms(curve):
    icc = files.rgb_profile(**files.ADOBE_RGB, curve=CURVES[curve])
    pixels = np.random.default_rng(4).integers(30, 226, (64, 64, 3), np.uint8)
    ours = profiles.float_from_srgb(pixels / 255, icc) * 255
    theirs = np.asarray(profiles.from_srgb(Image.fromarray(pixels), icc))
    assert np.abs(ours - theirs).max() < 1.1
    assert np.abs(ours - theirs).mean() < 0.3


def test_16_bit_conversion_of_hand_worked_colours():
    # Grey stays grey: sRGB 0.5 is light 0.21404, which gamma 2.19921875 writes as 0.21404^(1/2.19921875) = 0.49612.
    grey = profiles.float_from_srgb(np.full((1, 1, 3), 0.5), ADOBE)
    np.testing.assert_allclose(grey, 0.49612, atol=2e-5)
    ends = profiles.float_from_srgb(np.array([[[0, 0, 0], [1, 1, 1]]]), ADOBE)
    np.testing.assert_allclose(ends, [[[0, 0, 0], [1, 1, 1]]], atol=1e-6)
    # Pure sRGB red is Adobe RGB (0.8586, 0, 0): ISO 22028's well-known 219.
    red = profiles.float_from_srgb(np.array([[[1.0, 0, 0]]]), ADOBE)
    assert red[0, 0, 0] * 255 == pytest.approx(218.95, abs=0.3)
    assert red[0, 0, 1:].max() * 255 < 2


def test_16_bits_are_smooth_in_a_profile(tmp_path):
    ramp = np.repeat(np.linspace(0.4, 0.41, 600)[None, :, None], 2, 0).repeat(3, 2)
    stored = read_16_bits(images.save(tmp_path / "a.png", ramp, icc=ADOBE, bits=16)).astype(int)
    assert len(np.unique(stored)) > 500
    assert (np.diff(stored[0, :, 0]) >= 0).all()


def test_16_bits_with_a_table_profile_stay_srgb(tmp_path, floats, monkeypatch):
    monkeypatch.setattr(profiles, "float_from_srgb", lambda pixels, icc: None)
    path = images.save(tmp_path / "a.png", floats, icc=ADOBE, bits=16)
    np.testing.assert_array_equal(read_16_bits(path), np.rint(floats * 65535))
    assert b"iCCP" not in path.read_bytes()


def test_a_profile_with_tables_is_left_to_littlecms():
    pixels, adobe = np.zeros((1, 1, 3)), files.matrix_tags(**files.ADOBE_RGB, curve=2.2)
    assert profiles.float_from_srgb(pixels, files.profile(adobe)) is not None
    assert profiles.float_from_srgb(pixels, files.profile(adobe | {b"A2B0": b"mft1"})) is None
    assert profiles.float_from_srgb(np.zeros((1, 1, 3)), ADOBE[:200]) is None


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("icc", [b"nonsense", files.grey_profile(2.2), files.cmyk_profile(lambda *ink: (0, 128, 128))])
def test_only_an_rgb_profile_is_accepted(tmp_path, photo, icc, bits):
    with pytest.raises(OutputError, match="Expected an RGB profile"):
        images.save(tmp_path / "a.png", photo, icc=icc, bits=bits)
    assert left_over(tmp_path) == []


# --- settings ---


@pytest.mark.parametrize(
    "text", ["plain ASCII", UNICODE, "x" * 20_000, "null \0 inside"], ids=["ascii", "unicode", "long", "null"]
)
@pytest.mark.parametrize(("suffix", "bits"), [*((suffix, 8) for suffix in EVERY), (".png", 16), (".tif", 16)])
def test_settings_come_back_from_every_format(tmp_path, photo, suffix, text, bits):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = images.save(tmp_path / f"a{suffix}", photo, settings=text, bits=bits, icc=srgb)
    assert images.read_settings(path) == text
    assert images.load(path).size == (90, 60)


@pytest.mark.parametrize("suffix", EVERY)
def test_a_picture_without_settings_has_none(tmp_path, photo, suffix):
    assert images.read_settings(images.save(tmp_path / f"a{suffix}", photo)) is None


def test_other_programs_comments_are_not_settings(tmp_path, photo):
    exif = Image.Exif()
    exif.get_ifd(34665)[37510] = b"ASCII\0\0\0a holiday"
    for suffix, options in (
        (".jpg", {"exif": exif}),
        (".webp", {"exif": exif}),
        (".tif", {"description": "a holiday"}),
    ):
        Image.fromarray(photo).save(tmp_path / f"a{suffix}", **options)
        assert images.read_settings(tmp_path / f"a{suffix}") is None
    Image.new("L", (4, 4)).save(tmp_path / "a.gif")
    assert images.read_settings(tmp_path / "a.gif") is None


def test_settings_survive_undecodable_file_names_in_them(tmp_path, photo):
    text = os.fsdecode(b"caf\xe9.jpg")
    for suffix in EVERY:
        assert images.read_settings(images.save(tmp_path / f"a{suffix}", photo, settings=text)) == "caf\\udce9.jpg"


def test_settings_too_long_for_a_jpeg_are_refused(tmp_path, photo):
    with pytest.raises(OutputError, match="at most 64 kB"):
        images.save(tmp_path / "a.jpg", photo, settings="x" * 70_000)
    assert left_over(tmp_path) == []


def test_settings_of_what_is_no_picture(tmp_path):
    (tmp_path / "a.png").write_text("Dear diary")
    with pytest.raises(ImageError, match="none of these"):
        images.read_settings(tmp_path / "a.png")
    with pytest.raises(ImageError, match="there is no file"):
        images.read_settings(tmp_path / "b.png")


# --- refusals ---


def test_pixels_of_another_shape_type_or_value_are_refused(tmp_path, photo):
    for pixels, reason in (
        (photo[..., 0], r"\(H, W, 3\), but got \(60, 90\)"),
        (photo.astype(np.int32), "int32"),
        (np.full((4, 4, 3), np.nan), "NaN"),
        (np.zeros((0, 4, 3), np.uint8), r"\(0, 4, 3\)"),
    ):
        for bits in (8, 16):
            with pytest.raises(ImageError, match=reason):
                images.save(tmp_path / "a.png", pixels, bits=bits)
    with pytest.raises(ImageError, match=r"alpha of the pixels' size"):
        images.save(tmp_path / "a.png", photo, alpha=np.zeros((60, 91), np.uint8))
    assert left_over(tmp_path) == []


@pytest.mark.parametrize(("name", "side"), [("a.jpg", 65_536), ("a.webp", 16_384)])
def test_more_pixels_than_the_format_takes_are_refused(tmp_path, name, side):
    with pytest.raises(OutputError, match=f"{side - 1:,} pixels a side"):
        images.save(tmp_path / name, np.zeros((1, side, 3), np.uint8))


@pytest.mark.parametrize("quality", [0, 101])
def test_a_quality_outside_1_to_100_is_refused(tmp_path, photo, quality):
    with pytest.raises(OptionError, match="quality from 1 to 100"):
        images.save(tmp_path / "a.jpg", photo, quality=quality)
