"""Where a gallery's log of decisions lies, and what it is kept with.

The log lies beside the gallery, as `GALLERY.audit.jsonl`. Its key is a secret of its own that the gallery keeps sealed,
so that rotating the gallery's key leaves the log whole. Its head, against which cut lines show, lies with the key
files in the user's config folder: whoever can only write beside the gallery cannot bring the two into line.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from mien.errors import GalleryError
from mien.faces.audit import Audit, Report, read_head, verify
from mien.faces.gallery import Gallery, gallery_path
from mien.faces.gallery.keys import keys_folder


def log_file(url: str | Path) -> Path:
    """The log of the gallery at `url` (it need not exist)."""
    path = gallery_path(url)
    return path.with_name(f"{path.name}.audit.jsonl")


def head_file(key: bytes) -> Path:
    """Where the head of the log with this key is kept."""
    return keys_folder() / f"{hashlib.sha256(key).hexdigest()[:16]}.head"


def open_log(gallery: Gallery) -> Audit | None:
    """The log of a gallery, to be added to; None before the first enrolment, when there is no gallery yet."""
    key = gallery.audit_key
    return None if key is None else Audit(log_file(gallery.url), key, head_file=head_file(key))


def verify_log(gallery: Gallery) -> tuple[Report, bool]:
    """Check a gallery's log from its first line to its last; whether its head was at hand, so that cuts show.

    Raises AuditError, saying where, for any line that was edited, added, cut or moved; GalleryError if nobody is
    enrolled yet.
    """
    key = gallery.audit_key
    if key is None:
        raise GalleryError(f"Expected a gallery with a log, but there is none at “{gallery.url}” yet; enrol somebody.")
    place = head_file(key)
    kept = place.exists()
    return verify(log_file(gallery.url), key, read_head(place) if kept else None), kept
