"""Pictures into files, whole or not at all, with their profile, their transparency and how they were made."""

from __future__ import annotations

import errno
import importlib.util
import io
import os
import secrets
import stat
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile, PngImagePlugin, TiffImagePlugin

from mien.errors import ImageError, MissingExtra, OptionError, OutputError
from mien.images import profiles
from mien.images.decoding import one_sentence, open_header, opened
from mien.images.pixels import is_uint8, quantise, to_uint8
from mien.images.png import write_png

_KINDS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "TIFF", ".tiff": "TIFF", ".webp": "WebP"}
_LONGEST_SIDE = {"JPEG": 65_535, "WebP": 16_383}
_JPEG_SEGMENT_BYTES = 65_533
_KEYWORD = "mien settings"
# Other programs write into the same TIFF and EXIF fields; our text begins with this.
_MARK = f"{_KEYWORD}: "
_ICC_PROFILE, _UNDEFINED = 34675, 7
_ASCII, _UNICODE = b"ASCII\0\0\0", b"UNICODE\0"


def save(
    path: str | Path,
    pixels: NDArray[Any],
    *,
    alpha: NDArray[Any] | None = None,
    icc: bytes | None = None,
    bits: int = 8,
    settings: str | None = None,
    force: bool = False,
    quality: int = 95,
) -> Path:
    """Write sRGB pixels to a .png, .jpg, .tif or .webp file, whole or not at all, and return its path.

    pixels: (H, W, 3), uint8 or floats in [0, 1]; alpha: (H, W) likewise. JPEG has no alpha: white shows through.
    icc: the RGB profile to convert into and embed, as `Picture.icc` has it. Without one the values are written as they
        are and nothing is embedded but PNG's sRGB mark: untagged means sRGB everywhere, and the same picture makes the
        same bytes. At 16 bits a profile that is more than a matrix and three curves is left out: the file is sRGB.
    bits: 8, or 16 for PNG and TIFF.
    settings: a text that `read_settings` gives back.
    quality: 1 to 100 for JPEG (always 4:4:4) and WebP, where 100 is lossless.

    Raises OutputError for a file that exists (unless `force`) or cannot be written, ImageError for bad pixels.
    """
    path = Path(path)
    check_writable(path, force=force, bits=bits)
    kind = _KINDS[path.suffix.lower()]
    if not 1 <= quality <= 100:
        raise OptionError(f"Expected a quality from 1 to 100, but got {quality}; choose one in that range.")
    _check_shapes(path, pixels, alpha)
    samples, icc = _in_profile(pixels, icc, bits)
    if alpha is not None:
        samples = np.dstack([samples, _in_bits(alpha, bits)])
    # Undecodable bytes in a file's name become lone surrogates, which no encoding takes.
    text = (settings or "").encode("utf-8", "backslashreplace").decode("utf-8")

    def write(file: BinaryIO) -> None:
        if kind == "PNG":
            write_png(file, samples, icc=icc, text={_KEYWORD: text} if text else None)
        elif kind == "TIFF":
            _write_tiff(file, samples, icc, text)
        else:
            file.write(_jpeg_or_webp(kind, samples, icc, text, quality))

    return write_whole(path, write, force=force)


def read_settings(path: str | Path) -> str | None:
    """The text that `save` embedded in a picture; None if there is none. ImageError if it is no picture."""
    name = f"“{path}”"
    with opened(path, name) as file, one_sentence(name):
        header = open_header(file, name)
        if isinstance(header, PngImagePlugin.PngImageFile):
            text = header.info.get(_KEYWORD)
            return None if text is None else str(text)
        if isinstance(header, TiffImagePlugin.TiffImageFile):
            marked = str(header.tag_v2.get(ExifTags.Base.ImageDescription, ""))
            found = marked.removeprefix(_MARK).encode("latin-1", "replace").decode("unicode_escape", "replace")
        else:
            marked = _user_comment(header)
            found = marked.removeprefix(_MARK)
        return found if marked.startswith(_MARK) else None


def write_whole(path: str | Path, write: Callable[[BinaryIO], object], *, force: bool = True) -> Path:
    """Let `write` fill a temporary file beside `path`, then move it there: nobody ever sees half a file.

    A link is followed, not replaced. Raises OutputError if the file exists (unless `force`) or cannot be written;
    whatever else `write` raises passes through. In each case the temporary file is gone.
    """
    target = _check_place(path, force=force)
    temporary = _beside(target)
    try:
        try:
            with temporary.open("xb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            _check_place(path, force=force)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from error
    return Path(path)


def check_writable(path: str | Path, *, force: bool, bits: int = 8) -> None:
    """Raise what `save` would raise about this path, before a long job: OutputError, OptionError or MissingExtra.

    It looks at the name, the folder and the file there, and tries the folder with an empty temporary file.
    """
    kind = _KINDS.get(Path(path).suffix.lower())
    if kind is None:
        raise OutputError(
            f"Expected an output name that ends in {', '.join(_KINDS)}, but got “{path}”; choose one of these."
        )
    if bits not in (8, 16) or (bits == 16 and kind not in ("PNG", "TIFF")):
        raise OptionError(
            f"Expected 8 bits per channel, or 16 for PNG and TIFF, but got {bits} for {kind}; "
            "change the bits or the output's ending."
        )
    if kind == "TIFF" and importlib.util.find_spec("tifffile") is None:
        raise MissingExtra("Writing TIFF files", "style")
    probe = _beside(_check_place(path, force=force))
    try:
        probe.open("xb").close()
        probe.unlink()
    except OSError as error:
        raise _unwritable(path, error) from error


def _check_place(path: str | Path, *, force: bool) -> Path:
    """Where a file at `path` really goes; OutputError if nothing may be written there."""
    try:
        target = Path(os.path.realpath(path))
        mode = target.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        if not target.parent.is_dir():
            raise OutputError(
                f"Expected a folder for “{path}”, but there is no “{Path(path).parent}”; create it first."
            ) from None
        return target
    except (OSError, ValueError) as error:
        raise _unwritable(path, error) from error
    if not stat.S_ISREG(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "not an ordinary file"
        raise OutputError(f"Expected the name of a file to write, but “{path}” is {what}; choose another name.")
    if not force:
        raise OutputError(
            f"Expected a new file, but “{path}” exists already; choose another name, or overwrite it with --force "
            "(force=True)."
        )
    return target


def _beside(target: Path) -> Path:
    return target.with_name(f".mien-{secrets.token_hex(8)}.part")


def _unwritable(path: str | Path, error: Exception) -> OutputError:
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.ENOSPC, errno.EDQUOT):
        return OutputError(
            f"Expected room for “{path}”, but the disk is full; free some space or choose another folder."
        )
    reason = (error.strerror if isinstance(error, OSError) else None) or error
    return OutputError(
        f"Expected to write “{path}”, but the system refused it ({reason}); choose another name or folder."
    )


def _check_shapes(path: Path, pixels: NDArray[Any], alpha: NDArray[Any] | None) -> None:
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.size == 0:
        raise ImageError(f"Expected pixels of shape (H, W, 3), but got {pixels.shape}; reshape them first.")
    if alpha is not None and alpha.shape != pixels.shape[:2]:
        raise ImageError(
            f"Expected alpha of the pixels' size {pixels.shape[:2]}, but got {alpha.shape}; resize it first."
        )
    limit = _LONGEST_SIDE.get(_KINDS[path.suffix.lower()])
    if limit and max(pixels.shape[:2]) > limit:
        raise OutputError(
            f"Expected at most {limit:,} pixels a side for “{path}”, but the picture has "
            f"{pixels.shape[1]:,} × {pixels.shape[0]:,}; save it as .png or .tif."
        )


def _in_profile(pixels: NDArray[Any], icc: bytes | None, bits: int) -> tuple[NDArray[Any], bytes | None]:
    """The samples to write, and the profile they are in (None: sRGB)."""
    if icc is None:
        return _in_bits(pixels, bits), None
    try:
        if bits == 8:
            return np.asarray(profiles.from_srgb(Image.fromarray(np.ascontiguousarray(to_uint8(pixels))), icc)), icc
        profiles.check_writable_into(icc)
    except profiles.ProfileError as error:
        raise OutputError(
            f"Expected an RGB profile to save with, but {error}; leave icc out to save as sRGB."
        ) from error
    floats = pixels / np.float32(255) if is_uint8(pixels) else pixels
    converted = profiles.float_from_srgb(floats, icc)
    if converted is None:
        return _in_bits(pixels, bits), None
    return _in_bits(converted, bits), icc


def _in_bits(pixels: NDArray[Any], bits: int) -> NDArray[np.uint8] | NDArray[np.uint16]:
    if bits == 8:
        return to_uint8(pixels)
    if is_uint8(pixels):
        return pixels.astype(np.uint16) * np.uint16(257)
    return quantise(pixels, 65535).astype(np.uint16)


def _write_tiff(file: BinaryIO, samples: NDArray[Any], icc: bytes | None, text: str) -> None:
    import tifffile

    tifffile.imwrite(
        file,
        samples,
        photometric="rgb",
        extrasamples=["unassalpha"] if samples.shape[2] == 4 else None,
        compression="zlib",
        predictor=True,
        extratags=[(_ICC_PROFILE, _UNDEFINED, len(icc), icc, True)] if icc else (),
        # A TIFF's text is 7-bit, so everything else is escaped.
        description=_MARK + text.encode("unicode_escape").decode("ascii") if text else None,
        metadata=None,
        software=False,
    )


def _jpeg_or_webp(kind: str, samples: NDArray[np.uint8], icc: bytes | None, text: str, quality: int) -> bytes:
    exif = _exif(text)
    if kind == "JPEG":
        if len(exif) > _JPEG_SEGMENT_BYTES:
            raise OutputError(
                f"Expected settings of at most 64 kB for a JPEG file, but they take {len(exif):,} bytes; "
                "save as .png, which holds any length."
            )
        options: dict[str, Any] = {"quality": quality, "subsampling": 0}
        samples = _on_white(samples) if samples.shape[2] == 4 else samples
    else:
        options = {"quality": quality, "lossless": quality == 100, "exact": True}
    if icc:
        options["icc_profile"] = icc
    if exif:
        options["exif"] = exif
    # In memory first: writing to a file itself, Pillow loses why the system refused.
    encoded = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(samples)).save(encoded, kind.upper(), **options)
    return encoded.getvalue()


def _on_white(samples: NDArray[np.uint8]) -> NDArray[np.uint8]:
    alpha = samples[..., 3:].astype(np.float32) / 255
    return np.rint(samples[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)


def _exif(text: str) -> bytes:
    """An EXIF block with the text as its UserComment (CIPA DC-008, 4.6.5); empty without a text."""
    if not text:
        return b""
    marked = _MARK + text
    # UTF-16 follows the block's byte order. Pillow would write the comment as BYTE, where UNDEFINED (7) is asked for.
    comment = _ASCII + marked.encode() if marked.isascii() else _UNICODE + marked.encode("utf-16-le")
    first_ifd = struct.pack("<HHHIII", 1, ExifTags.IFD.Exif, 4, 1, 26, 0)
    exif_ifd = struct.pack("<HHHIII", 1, ExifTags.Base.UserComment, 7, len(comment), 44, 0)
    return b"Exif\0\0II*\0" + struct.pack("<I", 8) + first_ifd + exif_ifd + comment


def _user_comment(header: ImageFile.ImageFile) -> str:
    comment = header.getexif().get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.UserComment, b"")
    if not isinstance(comment, bytes):
        return ""
    if comment.startswith(_UNICODE):
        return comment.removeprefix(_UNICODE).decode("utf-16-le", "replace")
    return comment.removeprefix(_ASCII).decode("utf-8", "replace")
