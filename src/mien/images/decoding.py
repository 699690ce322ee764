"""Files into samples: which format it is, whether its size is sane, and what it holds.

Only the formats below are tried, each through Pillow's own reader class: nothing is registered, no other reader sees
the bytes, and Pillow's process-wide pixel limit plays no part.
"""

from __future__ import annotations

import io
import re
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from mien.errors import ImageError, MienError, MissingExtra
from mien.images.samples import Decoded, decode_16_bits, decode_image, decode_with_tifffile, needs_tifffile

READABLE = "JPEG, PNG, TIFF, WebP, GIF, BMP, PGM, HEIC or AVIF"
ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp", ".gif", ".heic", ".heif", ".avif"}) | {
    ".pgm",
    ".ppm",
    ".pbm",
    ".pnm",
}
"""How the files that can be read usually end; what they hold decides."""
_READERS: dict[str, Callable[[BinaryIO], ImageFile.ImageFile]] = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "WebP": WebPImagePlugin.WebPImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "PGM": PpmImagePlugin.PpmImageFile,
}
_SIGNATURES = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"GIF8": "GIF",
    b"BM": "BMP",
}
# PBM, PGM and PPM, in letters (P1 to P3) and in bytes (P4 to P6): data sets of faces still come in them.
_PORTABLE = re.compile(rb"P[1-6][\s#]")
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
# How Pillow begins its refusal of a sound TIFF whose samples it does not know ("unknown pixel mode").
_UNKNOWN_TIFF = "unknown "
_NEW_SUBFILE_TYPE, _DNG_VERSION = 254, 50706
# warnings.catch_warnings swaps process-wide state, so only one of our threads at a time may be inside.
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True)
class Limits:
    """Which sizes are read: at least `min_side` pixels a side, at most `max_pixels` in all."""

    max_pixels: int
    min_side: int

    def check(self, size: tuple[int, int], name: str) -> None:
        """Raise an ImageError unless `size` (width, height) is within the limits."""
        width, height = size
        if width * height > self.max_pixels:
            raise ImageError(
                f"Expected a picture of at most {self.max_pixels:,} pixels, but {name} has {width:,} × {height:,}; "
                "scale it down first, or raise max_pixels if you trust the file."
            )
        if min(width, height) < self.min_side:
            raise ImageError(
                f"Expected a picture of at least {self.min_side} pixels a side, but {name} has {width} × {height}; "
                "choose a larger one."
            )


@contextmanager
def opened(source: str | Path | bytes | BinaryIO, name: str) -> Iterator[BinaryIO]:
    """A seekable file of the source's bytes; ImageError where there is none."""
    if isinstance(source, bytes):
        yield io.BytesIO(source)
    elif isinstance(source, str | Path):
        try:
            path = Path(source)
            if path.is_dir():
                raise ImageError(f"Expected a picture ({READABLE}), but {name} is a folder; name a file in it.")
            if path.exists() and not path.is_file():
                raise ImageError(f"Expected a picture ({READABLE}), but {name} is not a file; save it as one first.")
            file = path.open("rb")
        except FileNotFoundError as error:
            raise ImageError(f"Expected a picture, but there is no file {name}; check the name.") from error
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ImageError(f"Expected a picture, but {name} cannot be opened ({reason}); check the file.") from error
        with file:
            yield file
    elif hasattr(source, "read"):
        content = source.read()
        if not isinstance(content, bytes):
            raise ImageError('Expected a file of bytes, but got one of text; open it with mode "rb".')
        yield io.BytesIO(content)
    else:
        raise ImageError(
            f"Expected a path, bytes, a file, an array or a Pillow image, but got {type(source).__name__}; pass one."
        )


def open_header(file: BinaryIO, name: str) -> ImageFile.ImageFile:
    """Pillow's reader for a seekable file, with the header read and nothing decoded."""
    file.seek(0)
    head = file.read(64)
    file.seek(0)
    if not head:
        raise ImageError(f"Expected a picture, but {name} is empty (0 bytes); get a fresh copy of the file.")
    kind = _kind(head)
    if kind is None:
        raise ImageError(f"Expected a picture ({READABLE}), but {name} is none of these; convert it first.")
    if kind == "HEIC":
        return _heic_reader()(file)
    if kind == "AVIF":
        return _avif_reader()(file)
    return _READERS[kind](file)


def decode(file: BinaryIO, name: str, limits: Limits) -> Decoded:
    """The first picture in a seekable file; ImageError for anything that is not one, or of a size outside `limits`."""
    with one_sentence(name):
        try:
            header = open_header(file, name)
        except SyntaxError as error:
            if not str(error).startswith(_UNKNOWN_TIFF):
                raise
            return decode_with_tifffile(file, name, limits.check)
        limits.check(header.size, name)
        if isinstance(header, TiffImagePlugin.TiffImageFile):
            _refuse_camera_raw(header, name)
            if needs_tifffile(header):
                return decode_with_tifffile(file, name, limits.check)
        decoded = decode_16_bits(header, lambda: open_header(file, name)) or decode_image(header)
        # Counting moves a reader on to other frames, so it gets its own.
        return replace(decoded, notes=_note_frames(open_header(file, name)) + decoded.notes)


@contextmanager
def one_sentence(name: str) -> Iterator[None]:
    """Whatever a reader throws at a bad file becomes an ImageError, and its warnings stay inside."""
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except MienError:
            raise
        except (MemoryError, Image.DecompressionBombError) as error:
            raise ImageError(
                f"Expected a picture that fits into memory, but {name} is too large; scale it down first."
            ) from error
        except Exception as error:  # readers throw nearly every built-in exception at damaged files
            reason = str(error).strip().rstrip(".") or type(error).__name__
            raise ImageError(
                f"Expected a whole picture, but {name} is damaged or cut short ({reason}); get a fresh copy of it."
            ) from error


def _kind(head: bytes) -> str | None:
    for signature, kind in _SIGNATURES.items():
        if head.startswith(signature):
            return kind
    if _PORTABLE.match(head):
        return "PGM"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    if head[4:8] == b"ftyp":
        box_end = min(int.from_bytes(head[:4], "big"), len(head))
        brands = {head[start : start + 4] for start in range(8, box_end, 4)}
        if brands & _AVIF_BRANDS:
            return "AVIF"
        if brands & _HEIC_BRANDS:
            return "HEIC"
    return None


def _heic_reader() -> Callable[[BinaryIO], ImageFile.ImageFile]:
    try:
        from pillow_heif import HeifImageFile
    except ImportError as error:
        raise MissingExtra("Reading HEIC pictures", "heic") from error
    reader: Callable[[BinaryIO], ImageFile.ImageFile] = HeifImageFile
    return reader


def _avif_reader() -> Callable[[BinaryIO], ImageFile.ImageFile]:
    try:
        from PIL import AvifImagePlugin
    except ImportError:
        supported = False
    else:
        supported = AvifImagePlugin.SUPPORTED
    if not supported:
        raise ImageError(
            "Expected a Pillow that reads AVIF, but the installed one does not; "
            'upgrade it with: pip install --upgrade "pillow>=11.3"'
        )
    return AvifImagePlugin.AvifImageFile


def _refuse_camera_raw(header: TiffImagePlugin.TiffImageFile, name: str) -> None:
    """Cameras' raw files (DNG, NEF) are TIFFs whose first page is a thumbnail."""
    if header.tag_v2.get(_NEW_SUBFILE_TYPE, 0) & 1 or _DNG_VERSION in header.tag_v2:
        raise ImageError(
            f"Expected a finished picture, but {name} is a camera's raw file or begins with a thumbnail; "
            "export it as JPEG or TIFF first."
        )


def _note_frames(header: ImageFile.ImageFile) -> tuple[str, ...]:
    try:
        count = getattr(header, "n_frames", 1)
    except Exception:  # a later picture is damaged, and not wanted
        return ("It holds more pictures, but is damaged after the first: that one is used.",)
    if count == 1:
        return ()
    if isinstance(header, TiffImagePlugin.TiffImageFile):
        return (f"It has {count} pages: the first is used.",)
    if header.format == "HEIF":
        return (f"It holds {count} pictures: the main one is used.",)
    return (f"It is animated: the first of {count} frames is used.",)
