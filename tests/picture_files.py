"""Picture files for the tests: PNGs of any depth and filter, ICC profiles from a few numbers, and what to expect."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

# Adobe RGB (1998): its primaries as XYZ under D50, and its gamma 2 + 51/256.
ADOBE_RGB = {
    "red": (0.60974, 0.31111, 0.01947),
    "green": (0.20528, 0.62567, 0.06087),
    "blue": (0.14919, 0.06322, 0.74457),
}
SRGB = {"red": (0.43607, 0.22249, 0.01392), "green": (0.38515, 0.71687, 0.09708), "blue": (0.14307, 0.06061, 0.71410)}
# sRGB's curve as ICC's parametric type 3: g, a, b, c, d.
SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png_bytes(samples, *, bits=None, filters=(0,), interlaced=False, palette=None, extra=()):
    """A PNG of (H, W) or (H, W, C) samples; the rows take the five filters of `filters` in turn, pixel by pixel."""
    samples = samples[..., None] if samples.ndim == 2 else samples
    height, width, channels = samples.shape
    bits = bits or samples.dtype.itemsize * 8
    colour_type = 3 if palette is not None else {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    passes = [(0, 0, 1, 1)]
    if interlaced:
        passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    raw = b"".join(_filtered(samples[y::dy, x::dx], bits, filters) for y, x, dy, dx in passes)
    head = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, int(interlaced))
    chunks = [chunk(b"IHDR", head)]
    if palette is not None:
        chunks.append(chunk(b"PLTE", bytes(np.asarray(palette, np.uint8).reshape(-1).tolist())))
    chunks += [chunk(name, body) for name, body in extra]
    return b"\x89PNG\r\n\x1a\n" + b"".join([*chunks, chunk(b"IDAT", zlib.compress(raw)), chunk(b"IEND", b"")])


def _filtered(samples, bits, filters):
    height, _, channels = samples.shape
    if samples.size == 0:
        return b""
    step = max(1, channels * bits // 8)
    above, out = None, b""
    for y in range(height):
        row = _packed(samples[y].reshape(-1), bits)
        above = above or bytes(len(row))
        kind = filters[y % len(filters)]
        out += bytes([kind])
        for i, value in enumerate(row):
            left, up, corner = (row[i - step], above[i], above[i - step]) if i >= step else (0, above[i], 0)
            guess = (0, left, up, (left + up) // 2, _paeth(left, up, corner))[kind]
            out += bytes([(value - guess) % 256])
        above = row
    return out


def _packed(values, bits):
    if bits == 16:
        return values.astype(">u2").tobytes()
    if bits == 8:
        return values.astype(np.uint8).tobytes()
    text = "".join(format(int(value), f"0{bits}b") for value in values)
    text += "0" * (-len(text) % 8)
    return bytes(int(text[i : i + 8], 2) for i in range(0, len(text), 8))


def _paeth(left, up, corner):
    guess = left + up - corner
    return min((abs(guess - left), 0, left), (abs(guess - up), 1, up), (abs(guess - corner), 2, corner))[2]


def unfilter_png(data):
    """The samples of a PNG without interlacing, by the letter of the specification; and its chunks by name."""
    chunks, position = {}, 8
    while position < len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        name, body = data[position + 4 : position + 8], data[position + 8 : position + 8 + length]
        assert data[position + 8 + length :][:4] == struct.pack(">I", zlib.crc32(name + body))
        chunks[name] = chunks.get(name, b"") + body
        position += 12 + length
    width, height, bits, colour_type, *_ = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour_type]
    step, stride = channels * bits // 8, width * channels * bits // 8
    raw, rows, above = zlib.decompress(chunks[b"IDAT"]), [], bytes(stride)
    assert len(raw) == height * (stride + 1)
    for y in range(height):
        kind, *row = raw[y * (stride + 1) : (y + 1) * (stride + 1)]
        for i in range(stride):
            left, up, corner = (row[i - step], above[i], above[i - step]) if i >= step else (0, above[i], 0)
            row[i] = (row[i] + (0, left, up, (left + up) // 2, _paeth(left, up, corner))[kind]) % 256
        rows.append(bytes(row))
        above = row
    return np.frombuffer(b"".join(rows), ">u2" if bits == 16 else np.uint8).reshape(height, width, channels), chunks


def profile(tags, *, space=b"RGB ", pcs=b"XYZ ", kind=b"mntr"):
    """An ICC version 2 profile of tags: name to body."""
    offset = 132 + 12 * len(tags)
    table, bodies = struct.pack(">I", len(tags)), b""
    for name, body in tags.items():
        table += name + struct.pack(">II", offset + len(bodies), len(body))
        bodies += body + bytes(-len(body) % 4)
    head = struct.pack(">I4sI4s4s4s", offset + len(bodies), b"test", 0x02400000, kind, space, pcs)
    head += (
        struct.pack(">6H4s", 2024, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + struct.pack(">3i", *_fixed(0.9642, 1, 0.8249))
    )
    return head + bytes(128 - len(head)) + table + bodies


def rgb_profile(red, green, blue, *, curve):
    """A matrix profile; `curve` is a gamma, a table of levels, or the numbers of a parametric curve."""
    return profile(matrix_tags(red, green, blue, curve=curve))


def matrix_tags(red, green, blue, *, curve):
    tone = curve_tag(curve)
    tags = {b"wtpt": xyz_tag(0.9642, 1, 0.8249)}
    tags |= {b"rXYZ": xyz_tag(*red), b"gXYZ": xyz_tag(*green), b"bXYZ": xyz_tag(*blue)}
    return tags | {b"rTRC": tone, b"gTRC": tone, b"bTRC": tone}


def grey_profile(gamma):
    return profile({b"wtpt": xyz_tag(0.9642, 1, 0.8249), b"kTRC": curve_tag(gamma)}, space=b"GRAY")


def cmyk_profile(lab_of_ink):
    """A CMYK profile with two grid points a channel; `lab_of_ink` gives CIELAB as bytes for 0-or-1 C, M, Y, K."""
    grid = b"".join(bytes(lab_of_ink(c, m, y, k)) for c in (0, 1) for m in (0, 1) for y in (0, 1) for k in (0, 1))
    ramp = bytes(range(256))
    matrix = struct.pack(">9i", *_fixed(1, 0, 0, 0, 1, 0, 0, 0, 1))
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + matrix + ramp * 4 + grid + ramp * 3
    tags = {b"wtpt": xyz_tag(0.9642, 1, 0.8249), b"A2B0": table, b"A2B1": table}
    return profile(tags, space=b"CMYK", pcs=b"Lab ", kind=b"prtr")


def xyz_tag(x, y, z):
    return b"XYZ " + bytes(4) + struct.pack(">3i", *_fixed(x, y, z))


def curve_tag(curve):
    if isinstance(curve, tuple):
        kind = {1: 0, 3: 1, 4: 2, 5: 3, 7: 4}[len(curve)]
        return b"para" + bytes(4) + struct.pack(">HH", kind, 0) + struct.pack(f">{len(curve)}i", *_fixed(*curve))
    if np.ndim(curve):
        return b"curv" + bytes(4) + struct.pack(f">I{len(curve)}H", len(curve), *curve)
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(curve * 256))


def _fixed(*numbers):
    return [round(number * 65536) for number in numbers]


def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def tiff_bytes(samples, **options):
    file = io.BytesIO()
    pytest.importorskip("tifffile").imwrite(file, samples, **options)
    return file.getvalue()


def deep(*shape, dtype=np.uint16, seed=0):
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def to_8(samples):
    """16 bits to 8 in floating point, the way the definition has it."""
    return np.floor(samples / 65535 * 255 + 0.5).astype(int)


def turned(pixels, orientation):
    """By EXIF's wording (CIPA DC-008, 4.6.4), pixel by pixel: which visual side the stored row 0 and column 0 are."""
    height, width = pixels.shape[:2]
    row_0, column_0 = {
        1: ("top", "left"),
        2: ("top", "right"),
        3: ("bottom", "right"),
        4: ("bottom", "left"),
        5: ("left", "top"),
        6: ("right", "top"),
        7: ("right", "bottom"),
        8: ("left", "bottom"),
    }[orientation]
    flat = row_0 in ("top", "bottom")
    seen = np.zeros((height, width, *pixels.shape[2:]) if flat else (width, height, *pixels.shape[2:]), pixels.dtype)
    for row in range(height):
        for column in range(width):
            from_row_0 = row if row_0 in ("top", "left") else height - 1 - row
            from_column_0 = column if column_0 in ("top", "left") else width - 1 - column
            seen[(from_row_0, from_column_0) if flat else (from_column_0, from_row_0)] = pixels[row, column]
    return seen


def exif_orientation(value):
    exif = Image.Exif()
    exif[274] = value
    return exif.tobytes()


def heic_bytes(image, **options):
    file = io.BytesIO()
    pytest.importorskip("pillow_heif").from_pillow(image).save(file, quality=-1, chroma=444, **options)
    return file.getvalue()
