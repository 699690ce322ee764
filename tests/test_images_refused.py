"""Pictures in: what is refused, each in one sentence, and without harm."""

from __future__ import annotations

import contextlib
import io
import struct
import threading
import time
import warnings

import numpy as np
import pytest
from PIL import Image
from skimage import data

import picture_files as files
from mien import images
from mien.errors import ImageError
from picture_files import encoded, tiff_bytes


@pytest.fixture
def corner():
    """2 × 3 pixels, all different, so that no turn or mirroring leaves it as it is."""
    return (np.arange(18).reshape(2, 3, 3) * 14).astype(np.uint8)


def test_a_missing_file_a_folder_and_an_empty_file_are_told_apart(tmp_path):
    (tmp_path / "empty.png").touch()
    with pytest.raises(ImageError, match=r"there is no file “.*nothing\.png”; check the name"):
        images.load(tmp_path / "nothing.png")
    with pytest.raises(ImageError, match="is a folder"):
        images.load(str(tmp_path))
    with pytest.raises(ImageError, match=r"is empty \(0 bytes\)"):
        images.load(tmp_path / "empty.png")
    with pytest.raises(ImageError, match="cannot be opened"):
        images.load("a\0b.png")
    with pytest.raises(ImageError, match="cannot be opened"):
        images.load(tmp_path / ("x" * 300 + ".png"))


@pytest.mark.parametrize("content", [b"Dear diary,\n" * 9, b"%PDF-1.7\n", b"<svg/>", b"\0" * 100, b"RIFF\0\0\0\0WAVE"])
def test_what_is_no_picture_is_refused_by_its_content(tmp_path, content):
    (tmp_path / "photo.jpg").write_bytes(content)
    with pytest.raises(ImageError, match=r"Expected a picture \(JPEG, .*photo.jpg” is none of these"):
        images.load(tmp_path / "photo.jpg")


def whole_files():
    photo = data.astronaut()[:96, 100:228]
    image, wide = Image.fromarray(photo), photo.astype(np.uint16) * 257
    whole = {kind: encoded(image, kind) for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")}
    whole["progressive JPEG"] = encoded(image, "JPEG", progressive=True)
    whole["LZW TIFF"] = encoded(image, "TIFF", compression="tiff_lzw")
    whole["16-bit PNG"] = files.png_bytes(wide[:20, :20])
    whole["16-bit TIFF"] = tiff_bytes(wide, photometric="rgb")
    whole["16-bit Deflate TIFF"] = tiff_bytes(wide, photometric="rgb", compression="zlib")
    whole["float TIFF"] = tiff_bytes(photo.astype(np.float32) / 255, photometric="rgb")
    return whole


WHOLE = whole_files()


@pytest.mark.parametrize("kind", WHOLE)
def test_a_file_cut_short_anywhere_is_refused(kind):
    content = WHOLE[kind]
    images.load(content)
    for part in (0.02, 0.2, 0.5, 0.8, 0.95):
        with pytest.raises(ImageError, match="damaged or cut short"):
            images.load(content[: int(len(content) * part)])


@pytest.mark.parametrize("kind", WHOLE)
def test_flipped_bytes_are_either_read_or_refused_in_a_sentence(kind):
    rng = np.random.default_rng(8)
    for _ in range(25):
        content = bytearray(WHOLE[kind])
        for place in rng.integers(0, len(content), 6):
            content[place] = rng.integers(256)
        # Anything but a refusal fails the test.
        with contextlib.suppress(ImageError):
            assert images.load(bytes(content)).pixels.dtype == np.uint8


def bombs():
    side = 20_000
    png = files.png_bytes(np.zeros((2, 2, 3), np.uint8)).replace(
        struct.pack(">II", 2, 2), struct.pack(">II", side, side)
    )
    head = png[12:29]
    png = png[:29] + struct.pack(">I", files.zlib.crc32(head)) + png[33:]
    gif = encoded(Image.new("L", (4, 4)), "GIF")
    bmp = encoded(Image.new("RGB", (4, 4)), "BMP")
    jpeg = encoded(Image.new("RGB", (16, 16)), "JPEG").replace(
        struct.pack(">HH", 16, 16), struct.pack(">HH", side, side)
    )
    tiff = encoded(Image.new("RGB", (4, 4)), "TIFF")
    for tag in (256, 257):
        at = tiff.index(struct.pack("<HHI", tag, 4, 1)) + 8
        tiff = tiff[:at] + struct.pack("<I", side) + tiff[at + 4 :]
    float_tiff = tiff_bytes(np.zeros((4, 4, 3), np.float32), photometric="rgb")
    for tag in (256, 257):
        at = float_tiff.index(struct.pack("<HHI", tag, 4, 1)) + 8
        float_tiff = float_tiff[:at] + struct.pack("<I", side) + float_tiff[at + 4 :]
    return {
        "PNG": png,
        "GIF": gif[:6] + struct.pack("<HH", side, side) + gif[10:],
        "BMP": bmp[:18] + struct.pack("<ii", side, side) + bmp[26:],
        "JPEG": jpeg,
        "PGM": f"P5\n{side} {side}\n255\n".encode(),
        "TIFF": tiff,
        "float TIFF": float_tiff,
    }


@pytest.mark.parametrize("kind", bombs())
def test_a_decompression_bomb_is_refused_from_its_header(kind):
    limit = Image.MAX_IMAGE_PIXELS
    before = time.perf_counter()
    with pytest.raises(ImageError, match="at most 178,000,000 pixels, but the file has 20,000 × 20,000"):
        images.load(bombs()[kind])
    assert time.perf_counter() - before < 1
    assert limit == Image.MAX_IMAGE_PIXELS


def test_max_pixels_is_the_only_limit_and_warns_of_nothing(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    content = encoded(Image.new("RGB", (40, 30)), "PNG")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert images.load(content, max_pixels=1200).size == (40, 30)
    with pytest.raises(ImageError, match="at most 1,199 pixels"):
        images.load(content, max_pixels=1199)


def test_a_picture_of_one_pixel_is_refused_unless_asked_for():
    content = encoded(Image.new("RGB", (1, 1)), "PNG")
    with pytest.raises(ImageError, match="at least 2 pixels a side, but the file has 1 × 1"):
        images.load(content)
    assert images.load(content, min_side=1).size == (1, 1)
    with pytest.raises(ImageError, match="has 1 × 9"):
        images.load(np.zeros((9, 1, 3), np.uint8))


@pytest.mark.parametrize("tags", [{254: 1}, {50706: b"\1\4\0\0"}], ids=["thumbnail first", "DNG"])
def test_a_cameras_raw_file_is_refused_rather_than_its_thumbnail_read(tags):
    with pytest.raises(ImageError, match="camera's raw file"):
        images.load(encoded(Image.new("RGB", (8, 8)), "TIFF", tiffinfo=tags))


@pytest.mark.parametrize(
    "array",
    [np.zeros((4, 4, 3)), np.zeros((4, 4, 2), np.uint8), np.zeros((1, 3, 4, 4), np.uint8), np.zeros(9, np.uint8)],
    ids=lambda array: f"{array.dtype} {array.shape}",
)
def test_arrays_of_another_type_or_shape_are_refused(array):
    with pytest.raises(ImageError, match="Expected an array of uint8"):
        images.load(array)


def test_other_things_are_refused():
    with pytest.raises(ImageError, match="but got list"):
        images.load([1, 2, 3])
    with pytest.raises(ImageError, match='mode "rb"'):
        images.load(io.StringIO("text"))


def test_threads_that_load_at_once_leave_the_warning_filters_as_they_were(corner):
    content = encoded(Image.fromarray(corner), "PNG")
    before = list(warnings.filters)
    threads = [threading.Thread(target=lambda: [images.load(content) for _ in range(20)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(warnings.filters) == before
