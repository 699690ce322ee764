"""Any picture as upright sRGB."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.errors import ImageError
from mien.images import profiles
from mien.images.decoding import Limits, decode, one_sentence, opened
from mien.images.samples import Decoded, decode_image

Source = str | Path | bytes | BinaryIO | NDArray[Any] | Image.Image
Plane = TypeVar("Plane", bound=np.generic)

_MAX_PIXELS = 178_000_000
# Rec. 709 luma: the weights that belong to sRGB's primaries.
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture as it is seen: upright, sRGB."""

    pixels: NDArray[np.uint8]
    """(H, W, 3) RGB."""
    alpha: NDArray[np.uint8] | None
    """(H, W), 255 is opaque; None if the file has none, or is opaque everywhere."""
    icc: bytes | None
    """The RGB profile the file came in, to give to `save`; None for sRGB, untagged, grey and CMYK files."""
    notes: tuple[str, ...]
    """What had to be decided, as sentences for a person."""

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self.pixels.shape[1], self.pixels.shape[0]


def load(source: Source, *, max_pixels: int = _MAX_PIXELS, min_side: int = 2) -> Picture:
    """The first picture in a file (path, bytes or file object), a Pillow image, or an array, upright and in sRGB.

    EXIF's orientation is applied, ICC profiles are converted (see `profiles`), more than 8 bits are rounded, and of an
    animation or a multi-page file the first picture is taken; `notes` says what was done.
    An array is uint8: grey (H, W), RGB (H, W, 3) or RGBA (H, W, 4), in sRGB.

    Raises ImageError for anything else, for a picture of more than `max_pixels` (told from the header, undecoded) or
    less than `min_side` pixels a side, and MissingExtra for HEIC or a rare TIFF whose reader is not installed.
    """
    limits = Limits(max_pixels, min_side)
    if isinstance(source, np.ndarray):
        return _from_array(source, limits)
    if isinstance(source, Image.Image):
        limits.check(source.size, "the image")
        with one_sentence("the image"):
            decoded = decode_image(source)
    else:
        name = f"“{source}”" if isinstance(source, str | Path) else "the file"
        with opened(source, name) as file:
            decoded = decode(file, name, limits)
    pixels, icc, notes = _in_srgb(decoded)
    alpha = decoded.alpha
    if alpha is not None and alpha.min() == 255:
        alpha = None
    return Picture(
        upright(pixels, decoded.orientation),
        None if alpha is None else upright(alpha, decoded.orientation),
        icc,
        decoded.notes + notes,
    )


def load_mask(source: Source, *, max_pixels: int = _MAX_PIXELS) -> NDArray[np.float32]:
    """A mask (H, W) in [0, 1]: the picture's alpha if it has transparency, otherwise its lightness (Rec. 709 luma).

    Besides what `load` takes, an array may be a plane (H, W) of booleans, or of floats in [0, 1].
    """
    if isinstance(source, np.ndarray) and source.ndim == 2 and source.dtype.kind in "bf" and source.size:
        if not (source.min() >= 0 and source.max() <= 1):
            raise ImageError(
                f"Expected a mask from 0 to 1, but it ranges from {source.min():g} to {source.max():g}; scale it first."
            )
        return source.astype(np.float32)
    picture = load(source, max_pixels=max_pixels, min_side=1)
    if picture.alpha is not None:
        return np.divide(picture.alpha, 255, dtype=np.float32)
    luma: NDArray[np.float32] = picture.pixels @ (_LUMA / np.float32(255))
    return luma.clip(0, 1)


def upright(plane: NDArray[Plane], orientation: int) -> NDArray[Plane]:
    """(H, W) or (H, W, C) turned and mirrored from EXIF's orientation 1 to 8 to how it is meant to be seen."""
    if orientation >= 5:
        plane = plane.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        plane = plane[::-1]
    if orientation in (2, 3, 6, 7):
        plane = plane[:, ::-1]
    return np.array(plane, order="C")


def _from_array(array: NDArray[Any], limits: Limits) -> Picture:
    grey, colour = array.ndim == 2, array.ndim == 3 and array.shape[2] in (3, 4)
    if array.dtype != np.uint8 or not (grey or colour):
        raise ImageError(
            "Expected an array of uint8 with the shape (H, W), (H, W, 3) or (H, W, 4), "
            f"but got {array.dtype} {array.shape}; convert it first, floats with images.to_uint8."
        )
    limits.check((array.shape[1], array.shape[0]), "the array")
    pixels = np.array(np.stack([array] * 3, axis=-1) if grey else array[..., :3], order="C")
    has_alpha = colour and array.shape[2] == 4 and array[..., 3].min() < 255
    return Picture(pixels, array[..., 3].copy() if has_alpha else None, None, ())


def _in_srgb(decoded: Decoded) -> tuple[NDArray[np.uint8], bytes | None, tuple[str, ...]]:
    """Its pixels in sRGB (H, W, 3), the RGB profile they came in, and what had to be decided."""
    image, icc = decoded.image, decoded.icc
    if image.mode == "LAB":
        return np.asarray(profiles.lab_to_srgb(image)), None, ("It was converted from CIELAB.",)
    ignored: tuple[str, ...] = ()
    if icc:
        try:
            if profiles.space(icc) != "RGB":
                converted = profiles.to_srgb(image, icc)
                through = ("It was converted from CMYK through its own profile.",) if image.mode == "CMYK" else ()
                return np.asarray(converted), None, through
            if not profiles.is_srgb(icc):
                return np.asarray(profiles.to_srgb(image, icc)), *_kept(icc)
        except profiles.ProfileError as error:
            ignored = (f"Its colour profile was ignored, because {error}.",)
    if image.mode == "CMYK":
        ignored += ("It was converted from CMYK without a profile, so colours may be off.",)
    return np.asarray(image.convert("RGB")), None, ignored


def _kept(icc: bytes) -> tuple[bytes | None, tuple[str, ...]]:
    try:
        profiles.check_writable_into(icc)
    except profiles.ProfileError:
        return None, ("Its colour profile can only be read, so what is made of it will be sRGB.",)
    return icc, ()
