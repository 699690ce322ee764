"""Where a gallery's log of decisions lies, and what it is kept with.

The log lies beside the gallery, as `GALLERY.audit.jsonl`. Its key is a secret of its own that the gallery keeps sealed,
so that rotating the gallery's key leaves the log whole. Its head, against which cut lines show, lies with the key
files in the user's config folder: whoever can only write beside the gallery cannot bring the two into line.

The head is named by the log's secret and by where the log lies: a copy of a gallery shares the secret, and goes its own
way. A gallery that was copied, moved or restored elsewhere therefore begins without a head; the first entry that is
written there is `head-missing`, which is right: up to that entry, lines cut from the log's end would not show.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from mien.errors import GalleryError
from mien.faces.audit import Audit, Report, find_head, verify
from mien.faces.gallery import Gallery, gallery_path
from mien.faces.gallery.keys import keys_folder


def log_file(url: str | Path) -> Path:
    """The log of the gallery at `url` (it need not exist)."""
    path = gallery_path(url)
    return path.parent / f"{path.name}.audit.jsonl"


def head_file(key: bytes, log: Path) -> Path:
    """Where the head of the log with this key (32 bytes), lying at this path, is kept."""
    name = hashlib.sha256(key + os.fsencode(os.path.realpath(log))).hexdigest()
    return keys_folder() / f"{name[:32]}.head"


def open_log(gallery: Gallery) -> Audit | None:
    """The log of a gallery, to be added to; None before the first enrolment, when there is no gallery yet."""
    key = gallery.audit_key
    log = log_file(gallery.url)
    return None if key is None else Audit(log, key, head_file=head_file(key, log))


def verify_log(gallery: Gallery) -> tuple[Report, bool]:
    """Check a gallery's log from its first line to its last; whether its head was at hand, so that cuts show.

    `Report.heads_missing` says how often the head was missed before: once for every copy, otherwise never. Raises
    AuditError, saying where, for any line that was edited, added, cut or moved, and for a forged head; GalleryError if
    nobody is enrolled yet.
    """
    key = gallery.audit_key
    if key is None:
        raise GalleryError(f"Expected a gallery with a log, but there is none at “{gallery.url}” yet; enrol somebody.")
    log = log_file(gallery.url)
    head = find_head(head_file(key, log), key)
    return verify(log, key, head), head is not None
