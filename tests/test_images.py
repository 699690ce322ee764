"""Pictures in: every format, mode and depth, as RGB and alpha; and from every kind of source."""

from __future__ import annotations

import io
import struct
import sys

import numpy as np
import pytest
from PIL import Image
from skimage import data

import picture_files as files
from mien import images
from mien.errors import ImageError, MissingExtra
from picture_files import deep, encoded, tiff_bytes, to_8

ROUNDED_16 = "Its 16-bit samples were rounded to 8 bits."


@pytest.fixture
def corner():
    """2 × 3 pixels, all different, so that no turn or mirroring leaves it as it is."""
    return (np.arange(18).reshape(2, 3, 3) * 14).astype(np.uint8)


# --- formats and modes ---


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("BMP", {}), ("TIFF", {}), ("WEBP", {"lossless": True})])
def test_lossless_rgb_arrives_as_it_is(corner, kind, options):
    picture = images.load(encoded(Image.fromarray(corner), kind, **options))
    np.testing.assert_array_equal(picture.pixels, corner)
    assert (picture.alpha, picture.icc, picture.notes, picture.size) == (None, None, (), (3, 2))


@pytest.mark.parametrize(("kind", "options"), [("JPEG", {"quality": 95, "subsampling": 0}), ("AVIF", {"quality": 95})])
def test_lossy_files_arrive_nearly_as_they_were(kind, options):
    if kind == "AVIF":
        pytest.importorskip("PIL.AvifImagePlugin", reason="this Pillow has no AVIF")
    photo = data.astronaut()[100:228, 150:310]
    picture = images.load(encoded(Image.fromarray(photo), kind, **options))
    assert np.abs(picture.pixels.astype(int) - photo).mean() < 3


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"P1\n2 2\n1 0\n0 1\n", [[0, 255], [255, 0]]),  # 1 is ink
        (b"P2 # a remark\n2 2\n255\n7 8\n9 10\n", [[7, 8], [9, 10]]),
        (b"P4\n2 2\n\x80\x40", [[0, 255], [255, 0]]),
        (b"P5\n2 2\n255\n\x07\x08\x09\x0a", [[7, 8], [9, 10]]),
        (b"P5\n2 2\n65535\n\xff\xff\x80\x80\x01\x01\x00\x00", [[255, 128], [1, 0]]),
        (b"P5\n2 2\n15\n\x0f\x00\x01\x02", [[255, 0], [17, 34]]),
    ],
)
def test_portable_pictures_are_read(content, expected):
    np.testing.assert_array_equal(images.load(content).pixels, np.repeat(np.array(expected)[..., None], 3, axis=2))


def test_a_portable_picture_in_colour(corner):
    np.testing.assert_array_equal(images.load(b"P6\n3 2\n255\n" + corner.tobytes()).pixels, corner)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "JPEG", "GIF"])
def test_grey_becomes_three_equal_channels(kind):
    grey = np.full((8, 8), 77, np.uint8)
    pixels = images.load(encoded(Image.fromarray(grey), kind)).pixels
    np.testing.assert_array_equal(pixels, np.full((8, 8, 3), 77))


def test_grey_with_alpha():
    grey_alpha = np.array([[[10, 255], [200, 0]], [[30, 128], [40, 1]]], np.uint8)
    for picture in (
        images.load(files.png_bytes(grey_alpha)),
        images.load(encoded(Image.fromarray(grey_alpha), "TIFF")),
    ):
        np.testing.assert_array_equal(picture.pixels[..., 1], [[10, 200], [30, 40]])
        np.testing.assert_array_equal(picture.alpha, [[255, 0], [128, 1]])


def test_one_bit_files_are_black_and_white():
    bits = np.array([[0, 1, 1], [1, 0, 0]], np.uint8)
    image = Image.fromarray(bits * 255).convert("1")
    for content in (files.png_bytes(bits, bits=1), encoded(image, "TIFF"), encoded(image, "BMP")):
        np.testing.assert_array_equal(images.load(content).pixels[..., 2], bits * 255)


def test_palette_with_transparency_per_entry():
    indices = np.array([[0, 1], [2, 3]], np.uint8)
    palette = [[10, 20, 30], [40, 50, 60], [70, 80, 90], [100, 110, 120]]
    picture = images.load(files.png_bytes(indices, bits=4, palette=palette, extra=[(b"tRNS", bytes([0, 128, 255]))]))
    np.testing.assert_array_equal(picture.pixels.reshape(4, 3), palette)
    np.testing.assert_array_equal(picture.alpha, [[0, 128], [255, 255]])


def test_palette_without_transparency_has_no_alpha():
    picture = images.load(files.png_bytes(np.array([[0, 1], [1, 0]], np.uint8), palette=[[1, 2, 3], [4, 5, 6]]))
    np.testing.assert_array_equal(picture.pixels[0], [[1, 2, 3], [4, 5, 6]])
    assert picture.alpha is None


def test_gif_transparency_becomes_alpha():
    image = Image.new("P", (4, 4), 1)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((0, 0), 0)
    picture = images.load(encoded(image, "GIF", transparency=0))
    assert picture.alpha[0, 0] == 0
    assert picture.alpha[1:].min() == 255
    np.testing.assert_array_equal(picture.pixels[3, 3], [0, 0, 255])


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_a_transparent_grey_level_is_compared_in_the_files_own_bits(bits):
    top = 2**bits - 1
    levels = np.array([[0, 1], [top, top - 1]], np.uint16)
    content = files.png_bytes(levels, bits=bits, extra=[(b"tRNS", struct.pack(">H", 1))])
    for source in (content, Image.open(io.BytesIO(content))):
        np.testing.assert_array_equal(images.load(source).alpha, np.where(levels == 1, 0, 255))


def test_a_transparent_colour_of_16_bits_is_compared_in_all_of_them():
    near = np.array([[[1000, 2000, 3000], [1000, 2000, 3001]], [[0, 0, 0], [1, 1, 1]]], np.uint16)
    content = files.png_bytes(near, extra=[(b"tRNS", struct.pack(">3H", 1000, 2000, 3000))])
    np.testing.assert_array_equal(images.load(content).alpha, [[0, 255], [255, 255]])


def test_a_transparent_colour_of_8_bits():
    colours = np.array([[[1, 2, 3], [1, 2, 4]], [[3, 2, 1], [1, 2, 3]]], np.uint8)
    content = files.png_bytes(colours, extra=[(b"tRNS", struct.pack(">3H", 1, 2, 3))])
    np.testing.assert_array_equal(images.load(content).alpha, [[0, 255], [255, 0]])


def test_alpha_that_is_opaque_everywhere_is_none():
    opaque = np.dstack([np.full((4, 4, 3), 9), np.full((4, 4), 255)]).astype(np.uint8)
    assert images.load(files.png_bytes(opaque)).alpha is None
    assert images.load(opaque).alpha is None


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_colours_under_transparent_pixels_stay(kind):
    rgba = np.random.default_rng(5).integers(0, 256, (6, 5, 4), np.uint8)
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    picture = images.load(encoded(Image.fromarray(rgba), kind, **options))
    np.testing.assert_array_equal(picture.pixels, rgba[..., :3])
    np.testing.assert_array_equal(picture.alpha, rgba[..., 3])


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_the_first_frame_of_an_animation_is_used_and_said(kind):
    frames = [Image.new("RGB", (6, 4), colour) for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]
    options = {"lossless": True} if kind == "WEBP" else {}
    picture = images.load(encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=50, **options))
    np.testing.assert_array_equal(picture.pixels, np.full((4, 6, 3), (255, 0, 0)))
    assert picture.notes == ("It is animated: the first of 3 frames is used.",)


def test_the_first_page_of_a_tiff_is_used_and_said(corner):
    pages = [Image.fromarray(corner), Image.new("RGB", (9, 9))]
    picture = images.load(encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:]))
    np.testing.assert_array_equal(picture.pixels, corner)
    assert picture.notes == ("It has 2 pages: the first is used.",)


def test_an_animation_cut_short_after_its_first_frame_is_still_read():
    frames = [Image.fromarray(np.roll(data.astronaut()[:64, :64], shift, 0)) for shift in (0, 9, 30)]
    content = encoded(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    picture = images.load(content[: len(content) // 2])
    np.testing.assert_array_equal(picture.pixels, np.asarray(frames[0]))
    assert picture.notes == ("It holds more pictures, but is damaged after the first: that one is used.",)


# --- 16 bits and more ---


def test_16_bits_are_rounded_not_cut():
    # 1/257 of each: 0.498, 0.502, 1.498, 1.502, 254.502, 255.
    edge = np.array([[128, 129, 385], [386, 65407, 65535]], np.uint16)
    expected = [[0, 1, 1], [2, 255, 255]]
    assert (edge >> 8).tolist() != expected
    for content in (files.png_bytes(edge), files.png_bytes(np.dstack([edge] * 3)), tiff_bytes(edge)):
        picture = images.load(content)
        assert picture.pixels[..., 0].tolist() == expected
        assert picture.notes == (ROUNDED_16,)


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_16_bit_png_of_every_layout_and_filter(channels, interlaced):
    samples = deep(11, 13, channels)
    picture = images.load(files.png_bytes(samples, filters=(0, 1, 2, 3, 4), interlaced=interlaced))
    colours = samples[..., :3] if channels > 2 else samples[..., :1]
    np.testing.assert_array_equal(picture.pixels, np.broadcast_to(to_8(colours), (11, 13, 3)))
    if channels in (2, 4):
        np.testing.assert_array_equal(picture.alpha, to_8(samples[..., -1]))
    else:
        assert picture.alpha is None


STORAGE = [
    {},
    {"byteorder": ">"},
    {"compression": "zlib"},
    {"compression": "zlib", "byteorder": ">"},
    {"bigtiff": True},
    {"tile": (16, 16)},
    {"tile": (16, 16), "compression": "zlib", "predictor": True},
]


@pytest.mark.parametrize("storage", STORAGE, ids=str)
def test_16_bit_tiff_of_every_storage(storage):
    rgb, rgba, grey = deep(40, 30, 3), deep(40, 30, 4), deep(40, 30)
    np.testing.assert_array_equal(images.load(tiff_bytes(rgb, photometric="rgb", **storage)).pixels, to_8(rgb))
    with_alpha = images.load(tiff_bytes(rgba, photometric="rgb", extrasamples=["unassalpha"], **storage))
    np.testing.assert_array_equal(with_alpha.pixels, to_8(rgba[..., :3]))
    np.testing.assert_array_equal(with_alpha.alpha, to_8(rgba[..., 3]))
    black_is_0 = images.load(tiff_bytes(grey, photometric="minisblack", **storage))
    np.testing.assert_array_equal(black_is_0.pixels[..., 0], to_8(grey))
    white_is_0 = images.load(tiff_bytes(grey, photometric="miniswhite", **storage))
    np.testing.assert_array_equal(white_is_0.pixels[..., 0], to_8(65535 - grey))


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_16_bit_tiff_plane_by_plane(compression):
    planes = deep(3, 8, 9)
    content = tiff_bytes(planes, photometric="rgb", planarconfig="separate", compression=compression)
    np.testing.assert_array_equal(images.load(content).pixels, to_8(planes.transpose(1, 2, 0)))


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_premultiplied_alpha_is_divided_out(compression):
    # A half and a quarter of full, times alpha a half: 0.5 · 0.5 and 0.25 · 0.5; transparent pixels are black.
    stored = np.array([[[16384, 8192, 0, 32768], [0, 0, 0, 0]]] * 2, np.uint16)
    content = tiff_bytes(stored, photometric="rgb", extrasamples=["assocalpha"], compression=compression)
    picture = images.load(content)
    assert picture.pixels[0].tolist() == [[128, 64, 0], [0, 0, 0]]
    assert picture.alpha[0].tolist() == [128, 0]


def test_16_bit_grey_with_alpha_tiff():
    samples = deep(5, 7, 2)
    content = tiff_bytes(samples, photometric="minisblack", extrasamples=["unassalpha"], planarconfig="contig")
    picture = images.load(content)
    np.testing.assert_array_equal(picture.pixels[..., 0], to_8(samples[..., 0]))
    np.testing.assert_array_equal(picture.alpha, to_8(samples[..., 1]))


def test_unspecified_extra_samples_of_a_tiff_are_not_alpha():
    samples = deep(5, 7, 4)
    picture = images.load(tiff_bytes(samples, photometric="rgb", extrasamples=["unspecified"]))
    np.testing.assert_array_equal(picture.pixels, to_8(samples[..., :3]))
    assert picture.alpha is None


def test_floating_point_alpha_is_divided_out_and_other_extra_samples_are_left():
    stored = np.array([[[0.4, 0.2, 0, 0.5], [0, 0, 0, 0]]] * 2, np.float32)
    premultiplied = images.load(tiff_bytes(stored, photometric="rgb", extrasamples=["assocalpha"]))
    assert premultiplied.pixels[0].tolist() == [[204, 102, 0], [0, 0, 0]]
    assert premultiplied.alpha[0].tolist() == [128, 0]
    other = images.load(tiff_bytes(stored, photometric="rgb", extrasamples=["unspecified"]))
    assert other.pixels[0].tolist() == [[102, 51, 0], [0, 0, 0]]
    assert other.alpha is None


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_channels_without_a_meaning_are_taken_as_rgb_and_said(dtype):
    samples = deep(5, 7, 3, dtype=dtype)
    picture = images.load(tiff_bytes(samples, photometric="minisblack", planarconfig="contig"))
    np.testing.assert_array_equal(picture.pixels, samples if dtype == np.uint8 else to_8(samples))
    assert picture.notes[0] == "It does not say what its channels are: the first three are taken as RGB."


def test_12_bit_grey_tiff_is_scaled_to_its_own_full():
    # Two samples in three bytes: 0x000 0xFFF, 0x800 0x7F7.
    packed = b"".join(bytes.fromhex(row) for row in ("000fff", "8007f7"))
    tags = [(256, 3, 2), (257, 3, 2), (258, 3, 12), (259, 3, 1), (262, 3, 1), (273, 4, 122), (277, 3, 1), (278, 3, 2)]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in [*tags, (279, 4, 6)])
    content = b"II*\0" + struct.pack("<IH", 8, 9) + entries + bytes(4) + packed
    picture = images.load(content)
    assert picture.pixels[..., 0].tolist() == [[0, 255], [128, 127]]
    assert picture.notes == ("Its 12-bit samples were rounded to 8 bits.",)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(6, 5, 3), (6, 5)])
def test_floating_point_tiff_from_0_to_1(dtype, shape):
    samples = np.random.default_rng(3).random(shape).astype(dtype)
    picture = images.load(tiff_bytes(samples, photometric="rgb" if len(shape) == 3 else "minisblack"))
    expected = np.rint(samples.astype(np.float64) * 255)
    np.testing.assert_array_equal(picture.pixels[..., 0], expected[..., 0] if len(shape) == 3 else expected)
    assert picture.notes == ("Its floating-point samples, 0 to 1, were rounded to 8 bits.",)


def test_32_bit_grey_tiff():
    samples = np.array([[0, 2**32 - 1], [2**31, 2**24]], np.uint32)
    picture = images.load(tiff_bytes(samples))
    assert picture.pixels[..., 0].tolist() == [[0, 255], [128, 1]]


def test_samples_of_unknown_scale_are_refused():
    with pytest.raises(ImageError, match="from 0 to 1, but they range from 0 to 300"):
        images.load(tiff_bytes(np.linspace(0, 300, 12, dtype=np.float32).reshape(3, 4)))
    with pytest.raises(ImageError, match="int16"):
        images.load(tiff_bytes(np.zeros((3, 4), np.int16)))


def test_tiff_that_needs_tifffile_names_its_extra(monkeypatch):
    content = tiff_bytes(np.zeros((4, 4, 3), np.float32), photometric="rgb")
    monkeypatch.setitem(sys.modules, "tifffile", None)
    with pytest.raises(MissingExtra, match=r"mien\[style\]"):
        images.load(content)


# --- sources ---


def test_every_kind_of_source_gives_the_same(tmp_path, corner):
    path = tmp_path / "my photo – 写真 ü.png"
    Image.fromarray(corner).save(path)
    for source in (path, str(path), path.read_bytes(), io.BytesIO(path.read_bytes()), corner, Image.fromarray(corner)):
        np.testing.assert_array_equal(images.load(source).pixels, corner)
    with path.open("rb") as file:
        np.testing.assert_array_equal(images.load(file).pixels, corner)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_deep_files_are_read_from_a_path_as_from_bytes(tmp_path, compression):
    samples = deep(20, 30, 3)
    (tmp_path / "a.tif").write_bytes(tiff_bytes(samples, photometric="rgb", compression=compression))
    np.testing.assert_array_equal(images.load(tmp_path / "a.tif").pixels, to_8(samples))


def test_arrays_may_be_grey_rgb_or_rgba_and_are_copied():
    rgba = np.random.default_rng(9).integers(0, 255, (4, 5, 4), np.uint8)
    picture = images.load(rgba)
    expected = rgba.copy()
    rgba[:] = 0
    np.testing.assert_array_equal(picture.pixels, expected[..., :3])
    np.testing.assert_array_equal(picture.alpha, expected[..., 3])
    assert images.load(expected[..., 0]).pixels[2, 3].tolist() == [expected[2, 3, 0]] * 3


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "I", "I;16", "F"])
def test_pillow_images_of_every_mode(mode):
    plain = Image.new("L", (4, 4), 0)
    plain.paste(255, (2, 0, 4, 4))
    if mode in ("I", "I;16", "F"):
        full = 1.0 if mode == "F" else 65535
        image = Image.fromarray((np.asarray(plain) / 255 * full).astype({"I": "i4", "I;16": "u2", "F": "f4"}[mode]))
        assert image.mode == mode
    else:
        image = plain.convert("RGB").convert(mode)
    np.testing.assert_array_equal(images.load(image).pixels, np.asarray(plain.convert("RGB")))


# --- masks ---


def test_a_masks_values_come_from_its_greys(tmp_path):
    grey = np.array([[0, 51], [102, 255]], np.uint8)
    Image.fromarray(grey).save(tmp_path / "mask.png")
    for source in (tmp_path / "mask.png", grey, np.dstack([grey] * 3)):
        mask = images.load_mask(source)
        assert mask.dtype == np.float32
        np.testing.assert_allclose(mask, [[0, 0.2], [0.4, 1]], atol=1e-6)


def test_a_masks_values_come_from_alpha_where_there_is_transparency():
    black_strokes = np.zeros((2, 2, 4), np.uint8)
    black_strokes[..., 3] = [[0, 255], [51, 0]]
    np.testing.assert_allclose(images.load_mask(black_strokes), [[0, 1], [0.2, 0]], atol=1e-6)


def test_a_coloured_mask_is_weighed_by_rec_709():
    primaries = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    np.testing.assert_allclose(images.load_mask(primaries), [[0.2126, 0.7152, 0.0722]], atol=1e-6)


def test_a_mask_may_be_a_plane_of_booleans_or_floats():
    np.testing.assert_array_equal(images.load_mask(np.array([[True, False]])), [[1, 0]])
    np.testing.assert_allclose(images.load_mask(np.array([[0.25, 1.0]])), [[0.25, 1]])
    for bad in (np.array([[0.0, 1.5]]), np.array([[-0.1, 0.5]]), np.array([[np.nan, 0.5]])):
        with pytest.raises(ImageError, match="from 0 to 1"):
            images.load_mask(bad)
