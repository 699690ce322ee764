"""Samples of every mode and depth: all their bits read, rounded to 8, transparency apart from colour.

Pillow keeps only the upper byte of 16-bit colour, which darkens by half a level, and reads some TIFFs wrongly (16-bit
separate planes, 32-bit or inverted deep grey). Here both bytes are read through Pillow's fast decoders, and what those
get wrong goes through tifffile.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, PngImagePlugin, TiffImagePlugin

from mien.errors import ImageError, MissingExtra

_ORIENTATION, _PHOTOMETRIC, _BITS, _PLANAR, _ICC = 274, 262, 258, 284, 34675
_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB, _SEPARATED = 0, 1, 2, 5
_PREMULTIPLIED, _STRAIGHT = 1, 2


@dataclass(frozen=True, eq=False)
class Decoded:
    """What a file holds, rounded to 8 bits; its colours are not interpreted and it is not yet upright."""

    image: Image.Image
    """Mode L, RGB, CMYK or LAB."""
    alpha: NDArray[np.uint8] | None
    icc: bytes | None = None
    orientation: int = 1
    """EXIF's 1 to 8."""
    notes: tuple[str, ...] = ()


def decode_image(image: Image.Image) -> Decoded:
    """A Pillow image of any mode but 16-bit colour, decoded if it was not yet."""
    stretch = _grey_stretch(image)
    image.load()
    mode, key = image.mode, image.info.get("transparency")
    alpha: NDArray[Any] | None = None
    notes: tuple[str, ...] = ()
    colours = image.convert("L") if mode == "1" else image
    if mode in ("I", "F") or mode.startswith("I;16"):
        grey = np.asarray(image)
        if key is not None:
            alpha = _opaque_except(grey, key)
        rounded, note = _round(grey, 65535 if mode != "F" else 1)
        colours, notes = Image.fromarray(rounded), (note,)
    elif mode in ("1", "L", "RGB") and key is not None:
        level = 255 * bool(key) if mode == "1" else np.multiply(key, stretch)
        alpha = _opaque_except(np.asarray(colours), level)
    elif image.has_transparency_data or mode in ("La", "RGBa"):
        with_alpha = image.convert("LA" if mode in ("LA", "La") else "RGBA")
        alpha = np.asarray(with_alpha.getchannel("A"))
        colours = Image.merge("L" if with_alpha.mode == "LA" else "RGB", with_alpha.split()[:-1])
    if colours.mode not in ("L", "RGB", "CMYK", "LAB"):
        colours = colours.convert("RGB")
    return Decoded(colours, alpha, image.info.get("icc_profile"), _orientation(image), notes)


def decode_16_bits(header: ImageFile.ImageFile, reopen: Callable[[], ImageFile.ImageFile]) -> Decoded | None:
    """A PNG or TIFF of 16-bit samples, undecoded; None where there is nothing beyond `decode_image`.

    `reopen` gives the same reader anew: a Pillow reader decodes once, and the two bytes of a sample take two passes.
    """
    raw = _raw_mode(header)
    if not isinstance(header, (PngImagePlugin.PngImageFile, TiffImagePlugin.TiffImageFile)):
        return None
    key = header.info.get("transparency")
    alpha: NDArray[Any] | None = None
    if header.mode.startswith("I;16"):
        header.load()
        values = np.asarray(header)
        if raw == "I;12":
            return _rounded(values, 4095, None, header)
        if isinstance(header, TiffImagePlugin.TiffImageFile) and header.tag_v2.get(_PHOTOMETRIC) == _MIN_IS_WHITE:
            values = 65535 - values
    elif raw == "LA;16B":
        grey_and_alpha = _decode_as(header, "RGBA").astype(np.uint16)
        values = grey_and_alpha[..., 0] << 8 | grey_and_alpha[..., 1]
        alpha = grey_and_alpha[..., 2] << 8 | grey_and_alpha[..., 3]
    elif match := re.fullmatch(r"(RGB|RGBX|RGBA|RGBa|CMYK);16([LBN])", raw):
        layout, order = match.groups()
        values = _both_bytes(header, reopen, "RGBA" if layout == "RGBa" else layout, order)
        if layout in ("RGBA", "RGBa"):
            values, alpha = values[..., :3], values[..., 3]
        if layout == "RGBa" and alpha is not None:
            values = _unmultiply(values, alpha, 65535)
    else:
        return None
    if key is not None:
        alpha = _opaque_except(values, key).astype(np.uint16) * 257
    return _rounded(values, 65535, alpha, header)


def needs_tifffile(header: TiffImagePlugin.TiffImageFile) -> bool:
    """Whether Pillow opens this TIFF but decodes it wrongly: 32-bit or signed grey, or deep samples plane by plane."""
    bits = header.tag_v2.get(_BITS, (1,))
    return header.mode == "I" or (max(bits) > 8 and header.tag_v2.get(_PLANAR, 1) == 2)


def decode_with_tifffile(file: BinaryIO, name: str, check_size: Callable[[tuple[int, int], str], None]) -> Decoded:
    """The first page of a TIFF; `check_size` is given its (width, height) before anything is decoded."""
    try:
        import tifffile
    except ImportError as error:
        raise MissingExtra("Reading this kind of TIFF", "style") from error
    file.seek(0)
    with tifffile.TiffFile(file) as tiff:
        page = tiff.pages.first
        check_size((page.imagewidth, page.imagelength), name)
        photometric = int(page.photometric)
        extras = [int(extra) for extra in page.extrasamples]
        colours = {_MIN_IS_WHITE: 1, _MIN_IS_BLACK: 1, _RGB: 3, _SEPARATED: 4}.get(photometric, 0)
        notes: list[str] = []
        if photometric == _MIN_IS_BLACK and page.samplesperpixel >= 3 and not any(extras):
            colours, extras = 3, extras[2:]
            notes.append("It does not say what its channels are: the first three are taken as RGB.")
        if page.axes not in ("YX", "YXS", "SYX") or not colours or page.samplesperpixel > 8:
            raise ImageError(
                f"Expected a grey, RGB or CMYK TIFF, but the first page of {name} has the shape {page.shape} "
                f"({page.axes}); save it as RGB first."
            )
        values = _read_page(page, name)
        icc = page.tags[_ICC].value if _ICC in page.tags else None
        orientation = page.tags[_ORIENTATION].value if _ORIENTATION in page.tags else 1
        if len(tiff.pages) > 1:
            notes.append(f"It has {len(tiff.pages)} pages: the first is used.")
    values = np.moveaxis(values, 0, -1) if page.axes == "SYX" else np.atleast_3d(values)
    top = _top(values, name)
    alpha = next(
        (values[..., colours + i] for i, kind in enumerate(extras) if kind in (_PREMULTIPLIED, _STRAIGHT)), None
    )
    values = values[..., :colours] if colours > 1 else values[..., 0]
    if photometric == _MIN_IS_WHITE:
        values = top - values
    if alpha is not None and _PREMULTIPLIED in extras:
        values = _unmultiply(values, alpha, top)
    rounded, note = _round(values, top)
    if top != 255:
        notes.append(note)
    flat_alpha = None if alpha is None else _round(alpha, top)[0]
    return Decoded(_as_image(rounded), flat_alpha, icc, _sensible(orientation), tuple(notes))


def _raw_mode(header: ImageFile.ImageFile) -> str:
    """How Pillow will unpack the file's samples, as 'RGB;16B'; '' where it does not say."""
    args = header.tile[0].args if header.tile else ""
    raw = args[0] if isinstance(args, tuple) and args else args
    return raw if isinstance(raw, str) else ""


def _grey_stretch(image: Image.Image) -> int:
    """What Pillow multiplies a PNG's 2 and 4-bit grey by, though not the transparent level that belongs to it."""
    raw = _raw_mode(image) if isinstance(image, PngImagePlugin.PngImageFile) else ""
    return {"L;2": 85, "L;4": 17}.get(raw, 1)


def _both_bytes(
    header: ImageFile.ImageFile, reopen: Callable[[], ImageFile.ImageFile], layout: str, order: str
) -> NDArray[np.uint16]:
    """16-bit samples, from one pass for their upper bytes and one that takes the lower for the upper."""
    if order == "N":
        order = "L" if sys.byteorder == "little" else "B"
    other = "B" if order == "L" else "L"
    upper = _decode_as(header, f"{layout};16{order}").astype(np.uint16)
    upper <<= 8
    upper |= _decode_as(reopen(), f"{layout};16{other}")
    return upper


def _decode_as(header: ImageFile.ImageFile, raw: str) -> NDArray[np.uint8]:
    header.tile = [
        tile._replace(args=(raw, *tile.args[1:]) if isinstance(tile.args, tuple) else raw) for tile in header.tile
    ]
    header.load()
    return np.asarray(header)


def _read_page(page: Any, name: str) -> NDArray[Any]:
    try:
        values: NDArray[Any] = page.asarray()
    except ValueError as error:
        if "imagecodecs" not in str(error):
            raise
        raise ImageError(
            f"Expected a TIFF that is not compressed, or with Deflate, but {name} uses {page.compression.name}; "
            "save it again with one of these."
        ) from error
    return values


def _top(values: NDArray[Any], name: str) -> float:
    """The value that stands for full: the type's largest, or 1 for floats."""
    if values.dtype.kind == "u":
        return int(np.iinfo(values.dtype).max)
    if values.dtype.kind == "f":
        return 1.0
    raise ImageError(
        f"Expected unsigned or floating-point samples, but {name} holds {values.dtype}; "
        "save it with 8 or 16 bits per channel."
    )


def _round(values: NDArray[Any], top: float) -> tuple[NDArray[np.uint8], str]:
    """Values from 0 to `top` as 0 to 255, and the note about it; ImageError for values far outside."""
    low, high = values.min(), values.max()
    if not (-0.01 * top <= low and high <= 1.01 * top):
        raise ImageError(
            f"Expected samples from 0 to {top:g}, but they range from {low:g} to {high:g}; "
            "scale them, or save the picture with 8 or 16 bits per channel."
        )
    if top == 65535:
        # 255/65535 is 1/257: in whole numbers, and without ties, as 257 is odd.
        rounded = (np.clip(values, 0, 65535).astype(np.uint32) + 128) // 257
    else:
        rounded = np.rint(np.clip(np.divide(values, top, dtype=np.float64), 0, 1) * 255)
    if values.dtype.kind == "f":
        note = "Its floating-point samples, 0 to 1, were rounded to 8 bits."
    else:
        note = f"Its {round(np.log2(top + 1))}-bit samples were rounded to 8 bits."
    return rounded.astype(np.uint8), note


def _rounded(values: NDArray[Any], top: int, alpha: NDArray[Any] | None, header: ImageFile.ImageFile) -> Decoded:
    rounded, note = _round(values, top)
    flat_alpha = None if alpha is None else _round(alpha, top)[0]
    return Decoded(_as_image(rounded), flat_alpha, header.info.get("icc_profile"), _orientation(header), (note,))


def _as_image(values: NDArray[np.uint8]) -> Image.Image:
    if values.ndim == 3 and values.shape[2] == 4:
        return Image.frombytes("CMYK", values.shape[1::-1], np.ascontiguousarray(values).tobytes())
    return Image.fromarray(np.ascontiguousarray(values))


def _unmultiply(values: NDArray[Any], alpha: NDArray[Any], top: float) -> NDArray[Any]:
    """Colours that were stored times alpha as they were before, in the same type."""
    weight = alpha[..., None] if values.ndim == 3 else alpha
    straight = np.divide(values * float(top), weight, out=np.zeros(values.shape), where=weight > 0)
    whole: NDArray[Any] = np.rint(straight) if values.dtype.kind == "u" else straight
    return whole.clip(0, top).astype(values.dtype)


def _opaque_except(samples: NDArray[Any], key: Any) -> NDArray[np.uint8]:
    """Alpha (H, W): 0 where a sample is the transparent colour `key`, 255 elsewhere."""
    same = samples == np.asarray(key)
    return np.where(same.all(axis=-1) if samples.ndim == 3 else same, 0, 255).astype(np.uint8)


def _orientation(image: Image.Image) -> int:
    """EXIF's orientation of a decoded image, 1 to 8; 1 where there is none, or it makes no sense.

    Pillow turns a TIFF upright while it decodes, and then says 1.
    """
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # whatever a broken EXIF block throws, the pixels are fine
        return 1
    return _sensible(value)


def _sensible(orientation: object) -> int:
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1
