"""Pictures in: every colour profile and orientation, as upright sRGB."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import warnings

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageDraw

import picture_files as files
from mien import images
from mien.errors import MissingExtra
from picture_files import deep, encoded, exif_orientation, heic_bytes, tiff_bytes, to_8, turned

ROUNDED_16 = "Its 16-bit samples were rounded to 8 bits."


@pytest.fixture
def corner():
    """2 × 3 pixels, all different, so that no turn or mirroring leaves it as it is."""
    return (np.arange(18).reshape(2, 3, 3) * 14).astype(np.uint8)


# --- colour ---


def test_swapped_primaries_are_swapped_back():
    swapped = files.rgb_profile(files.SRGB["green"], files.SRGB["red"], files.SRGB["blue"], curve=files.SRGB_CURVE)
    pixels = np.random.default_rng(1).integers(0, 256, (16, 16, 3), np.uint8)
    picture = images.load(encoded(Image.fromarray(pixels), "PNG", icc_profile=swapped))
    assert np.abs(picture.pixels.astype(int) - pixels[..., [1, 0, 2]]).max() <= 1
    assert picture.icc == swapped


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_wide_gamut_is_converted_and_its_profile_kept(kind):
    adobe = files.rgb_profile(**files.ADOBE_RGB, curve=2.19921875)
    # Adobe RGB's (219, 0, 0) is about sRGB's pure red, and its green lies outside sRGB.
    patches = np.repeat(np.repeat(np.array([[[219, 0, 0], [0, 255, 0], [128, 128, 128]]], np.uint8), 16, 0), 16, 1)
    options = {"quality": 100} | ({"lossless": True} if kind == "WEBP" else {})
    picture = images.load(encoded(Image.fromarray(patches), kind, icc_profile=adobe, **options))
    np.testing.assert_allclose(picture.pixels[8, [8, 24, 40]], [[255, 0, 0], [0, 255, 0], [127, 127, 127]], atol=3)
    assert picture.icc == adobe


@pytest.mark.parametrize("origin", ["littlecms", "by hand"])
def test_an_srgb_profile_leaves_every_value_alone(origin):
    by_hand = files.rgb_profile(**files.SRGB, curve=files.SRGB_CURVE)
    srgb = by_hand if origin == "by hand" else ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pixels = np.random.default_rng(2).integers(0, 256, (64, 64, 3), np.uint8)
    picture = images.load(encoded(Image.fromarray(pixels), "PNG", icc_profile=srgb))
    np.testing.assert_array_equal(picture.pixels, pixels)
    assert (picture.icc, picture.notes) == (None, ())


def test_a_grey_profile_is_converted():
    # Linear light 128/255 = 0.502 is 0.738 in sRGB's curve: 188.
    grey = np.array([[0, 128], [255, 128]], np.uint8)
    picture = images.load(encoded(Image.fromarray(grey), "PNG", icc_profile=files.grey_profile(1.0)))
    assert picture.pixels[..., 1].tolist() == [[0, 188], [255, 188]]
    assert (picture.icc, picture.notes) == (None, ())


def test_grey_pixels_with_an_rgb_profile_are_converted_through_it():
    linear = files.rgb_profile(**files.SRGB, curve=1.0)
    picture = images.load(encoded(Image.fromarray(np.full((4, 4), 128, np.uint8)), "PNG", icc_profile=linear))
    np.testing.assert_array_equal(picture.pixels, np.full((4, 4, 3), 188))


def cmyk_patches():
    """Bare paper, full magenta, full black: three 16-pixel patches."""
    patches = np.zeros((16, 48, 4), np.uint8)
    patches[:, 16:32, 1] = 255
    patches[:, 32:, 3] = 255
    return Image.frombytes("CMYK", (48, 16), patches.tobytes())


@pytest.mark.parametrize("kind", ["TIFF", "JPEG"])
def test_cmyk_goes_through_its_own_profile(kind):
    def ink(c, m, y, k):
        if k:
            return 0, 128, 128
        return (128, 128, 128) if m else (180, 100, 160) if c or y else (255, 128, 128)

    options = {"quality": 100} if kind == "JPEG" else {}
    picture = images.load(encoded(cmyk_patches(), kind, icc_profile=files.cmyk_profile(ink), **options))
    # This ink's magenta is L* = 100 · 128/255 = 50.2, neutral: sRGB 119.
    np.testing.assert_allclose(picture.pixels[8, [8, 24, 40]], [[255] * 3, [119] * 3, [0] * 3], atol=2)
    assert picture.notes == ("It was converted from CMYK through its own profile.",)
    assert picture.icc is None


def test_cmyk_without_a_profile_is_converted_plainly_and_said():
    picture = images.load(encoded(cmyk_patches(), "TIFF"))
    np.testing.assert_array_equal(picture.pixels[8, [8, 24, 40]], [[255, 255, 255], [255, 0, 255], [0, 0, 0]])
    assert picture.notes == ("It was converted from CMYK without a profile, so colours may be off.",)


def test_16_bit_cmyk():
    samples = np.zeros((4, 4, 4), np.uint16)
    samples[..., 2] = 65535
    picture = images.load(tiff_bytes(samples, photometric="separated"))
    np.testing.assert_array_equal(picture.pixels, np.full((4, 4, 3), (255, 255, 0)))
    assert picture.notes[0] == ROUNDED_16


def test_cielab_is_converted():
    # L* = 100 · 128/255 = 50.2, a* = b* = 0: neutral sRGB 119.
    lab = np.full((4, 4, 3), (128, 0, 0), np.uint8)
    picture = images.load(tiff_bytes(lab, photometric="cielab"))
    np.testing.assert_allclose(picture.pixels, 119, atol=1)


@pytest.mark.parametrize(
    "profile", [b"not a profile", files.grey_profile(2.2), bytes(200)], ids=["text", "grey", "zeros"]
)
def test_a_broken_or_foreign_profile_is_ignored_and_said(corner, profile):
    picture = images.load(encoded(Image.fromarray(corner), "PNG", icc_profile=profile))
    np.testing.assert_array_equal(picture.pixels, corner)
    assert picture.icc is None
    (note,) = picture.notes
    assert note.startswith("Its colour profile was ignored, because it is ")


def test_a_profile_that_can_only_be_read_is_used_but_not_kept():
    scanner = files.profile(
        {b"wtpt": files.xyz_tag(0.9642, 1, 0.8249), b"A2B0": lut_of_rgb()}, pcs=b"Lab ", kind=b"scnr"
    )
    picture = images.load(encoded(Image.new("RGB", (4, 4), (255, 0, 0)), "PNG", icc_profile=scanner))
    np.testing.assert_allclose(picture.pixels, 119, atol=1)
    assert picture.icc is None
    assert picture.notes == ("Its colour profile can only be read, so what is made of it will be sRGB.",)


def lut_of_rgb():
    """A table that takes every colour but black to the neutral L* = 50.2."""
    grid = b"".join(bytes((128 if corner else 0, 128, 128)) for corner in range(8))
    identity = struct.pack(">9i", *[65536 * (i % 4 == 0) for i in range(9)])
    ramp = bytes(range(256))
    return b"mft1" + bytes(4) + bytes([3, 3, 2, 0]) + identity + ramp * 3 + grid + ramp * 3


# --- orientation ---


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "TIFF of floats", "16-bit PNG", "Pillow image"])
def test_every_orientation_is_made_upright(kind, orientation):
    rgba = np.random.default_rng(4).integers(0, 256, (3, 5, 4), np.uint8)
    exif = exif_orientation(orientation)
    tag = (274, 3, 1, orientation, True)
    source = {
        "PNG": lambda: encoded(Image.fromarray(rgba), "PNG", exif=exif),
        "WEBP": lambda: encoded(Image.fromarray(rgba), "WEBP", exif=exif, lossless=True, exact=True),
        "TIFF": lambda: encoded(Image.fromarray(rgba), "TIFF", tiffinfo={274: orientation}),
        "TIFF of floats": lambda: tiff_bytes(
            rgba.astype(np.float32) / 255, photometric="rgb", extrasamples=["unassalpha"], extratags=[tag]
        ),
        "16-bit PNG": lambda: files.png_bytes(
            rgba.astype(np.uint16) * 257, extra=[(b"eXIf", exif.removeprefix(b"Exif\0\0"))]
        ),
        "Pillow image": lambda: Image.open(io.BytesIO(encoded(Image.fromarray(rgba), "PNG", exif=exif))),
    }[kind]()
    picture = images.load(source)
    np.testing.assert_array_equal(picture.pixels, turned(rgba[..., :3], orientation))
    np.testing.assert_array_equal(picture.alpha, turned(rgba[..., 3], orientation))
    assert picture.pixels.flags.c_contiguous


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_of_a_jpeg(orientation):
    blocks = np.random.default_rng(4).integers(0, 2, (3, 5, 3), np.uint8) * 255
    large = blocks.repeat(16, 0).repeat(16, 1)
    content = encoded(Image.fromarray(large), "JPEG", quality=98, subsampling=0, exif=exif_orientation(orientation))
    seen = images.load(content).pixels[8::16, 8::16]
    np.testing.assert_allclose(seen.astype(int), turned(blocks, orientation), atol=12)


@pytest.mark.parametrize("orientation", [3, 6, 7])
def test_16_bit_tiffs_are_upright_too(orientation):
    samples = deep(3, 5, 3)
    content = tiff_bytes(samples, photometric="rgb", extratags=[(274, 3, 1, orientation, True)])
    np.testing.assert_array_equal(images.load(content).pixels, turned(to_8(samples), orientation))


def test_a_senseless_orientation_of_a_tiff_is_ignored():
    samples = deep(3, 5, 3, dtype=np.uint8)
    tags = [(274, 3, 1, 9, True)]
    for content in (
        tiff_bytes(samples, photometric="rgb", extratags=tags),
        tiff_bytes(samples / 255, photometric="rgb", extratags=tags),
    ):
        np.testing.assert_array_equal(images.load(content).pixels, samples)


@pytest.mark.parametrize("exif", [exif_orientation(0), exif_orientation(9), b"Exif\0\0II*\0\x08\0\0\0\x05\0", b"Exif"])
def test_senseless_exif_is_ignored_without_a_warning(corner, exif):
    with warnings.catch_warnings(record=True) as leaked:
        warnings.simplefilter("always")
        picture = images.load(encoded(Image.fromarray(corner), "PNG", exif=exif))
    assert leaked == []
    np.testing.assert_array_equal(picture.pixels, corner)


# --- HEIC ---


@pytest.mark.parametrize("orientation", [1, 2, 6, 8])
def test_heic_is_read_upright(orientation):
    blocks = np.random.default_rng(6).integers(0, 2, (3, 4, 3), np.uint8) * 255
    content = heic_bytes(Image.fromarray(blocks.repeat(16, 0).repeat(16, 1)), exif=exif_orientation(orientation))
    seen = images.load(content).pixels[8::16, 8::16]
    np.testing.assert_allclose(seen.astype(int), turned(blocks, orientation), atol=12)


def test_heic_without_its_extra_names_it(monkeypatch):
    content = heic_bytes(Image.new("RGB", (16, 16)))
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(MissingExtra, match=r"mien\[heic\]"):
        images.load(content)


def test_importing_and_reading_registers_nothing_and_loads_nothing_heavy(tmp_path):
    (tmp_path / "a.heic").write_bytes(heic_bytes(Image.new("RGB", (16, 16))))
    code = (
        "import sys; from mien import images; from PIL import Image;"
        "heavy = {'torch', 'tifffile', 'pillow_heif', 'skimage'} & set(sys.modules); assert not heavy, heavy;"
        "images.load(sys.argv[1]); assert '.heic' not in Image.registered_extensions()"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "a.heic"], check=True)


# --- all at once ---


def test_orientation_alpha_profile_and_16_bits_together():
    swapped = files.rgb_profile(files.SRGB["green"], files.SRGB["red"], files.SRGB["blue"], curve=files.SRGB_CURVE)
    samples = deep(5, 8, 4)
    extra = [
        (b"iCCP", b"swapped\0\0" + files.zlib.compress(swapped)),
        (b"eXIf", exif_orientation(6).removeprefix(b"Exif\0\0")),
    ]
    picture = images.load(files.png_bytes(samples, filters=(4,), extra=extra))
    expected = turned(to_8(samples), 6)
    assert np.abs(picture.pixels.astype(int) - expected[..., [1, 0, 2]]).max() <= 1
    np.testing.assert_array_equal(picture.alpha, expected[..., 3])
    assert (picture.icc, picture.notes, picture.size) == (swapped, (ROUNDED_16,), (5, 8))


def test_a_drawn_letter_reads_the_right_way_round():
    letter = Image.new("L", (32, 32), 255)
    ImageDraw.Draw(letter).polygon([(4, 4), (10, 4), (10, 22), (26, 22), (26, 28), (4, 28)], fill=0)
    stored = letter.transpose(Image.Transpose.ROTATE_90)
    seen = images.load(encoded(stored, "PNG", exif=exif_orientation(6))).pixels[..., 0]
    np.testing.assert_array_equal(seen, np.asarray(letter))
