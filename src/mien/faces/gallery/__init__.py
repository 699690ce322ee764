"""Who is enrolled: people and their encodings, encrypted, on disk.

    with open_gallery("office.gallery", encoder="sface", dimension=128) as gallery:
        gallery.add_person("Danielle", encodings)

`base` says what every store does, `sqlite` is the embedded one (over `store`, the file and its transactions, `rows` and
`blocks`, what lies in it, `connection` and `migrations`), `crypto` seals what is written, `keys` finds the key,
`checks` refuses names and encodings that cannot be kept, and `search` finds the nearest encodings.
"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

from mien.errors import MissingExtra, OptionError
from mien.faces.gallery.base import Gallery, NewPerson, News, Person, Receipt, Sample, Stamp

__all__ = [
    "Gallery",
    "NewPerson",
    "News",
    "Person",
    "Receipt",
    "Sample",
    "Stamp",
    "describe_gallery",
    "gallery_path",
    "open_gallery",
]

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def open_gallery(url: str | Path, *, encoder: str, dimension: int, key: bytes | None = None) -> Gallery:
    """Open a gallery of encodings (N, dimension) made by `encoder`; nothing is written before the first enrolment.

    url: a path, or `sqlite:///path` (a relative path after three slashes, an absolute one after four).
    key: 32 bytes; without it, the one in the environment variable MIEN_KEY or in the gallery's key file, which the
        first enrolment creates in the user's config folder.

    Raises OptionError for an unknown kind of address, WrongKey for a missing or another key, and GalleryError for a
    file that is no gallery, is one of a newer version, or holds another encoder's encodings.
    """
    path = gallery_path(url)
    _check_extra()
    from mien.faces.gallery.sqlite import SqliteGallery

    return SqliteGallery(path, encoder=encoder, dimension=dimension, key=key)


def describe_gallery(url: str | Path) -> tuple[str, int] | None:
    """The encoder's name and the dimension of a gallery, read without its key; None if there is no gallery yet.

    Enough to open it with `open_gallery` where no face is looked at, so that no network has to be loaded. Neither is
    authenticated before the gallery is opened. Raises OptionError for an unknown kind of address, GalleryError for a
    file that is no gallery or cannot be read.
    """
    path = gallery_path(url)
    _check_extra()
    from mien.faces.gallery.store import describe

    return describe(path)


def _check_extra() -> None:
    if importlib.util.find_spec("cryptography") is None:
        raise MissingExtra("A gallery", "faces")


def gallery_path(url: str | Path) -> Path:
    """The file that a gallery's address means; OptionError for an unknown kind of address."""
    if isinstance(url, Path):
        return url
    scheme = _SCHEME.match(url)
    path = url
    if scheme:
        path = url[scheme.end() :].removeprefix("/")
        if scheme[1].lower() != "sqlite" or not url[scheme.end() :].startswith("/"):
            raise OptionError(f"Expected a path, or sqlite:/// and a path, but got “{url}”; use one of these.")
    if not path:
        raise OptionError(f"Expected the path of a gallery's file, but got “{url}”; name a file.")
    return Path(path)
