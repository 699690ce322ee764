"""What is done to a gallery is written to its log: asked first whether it can be, and said if it could not.

`forget` and `rotate_key` need no network, so that people can be forgotten on a machine that cannot see any more.
"""

from __future__ import annotations

from pathlib import Path

from mien.errors import AuditError, MienError
from mien.faces.audit import Audit, Value
from mien.faces.gallery import Gallery, Receipt
from mien.faces.journal import open_log


class Ledger:
    """Writes to the log of a gallery, unless `kept` is False."""

    def __init__(self, gallery: Gallery, *, kept: bool = True) -> None:
        self._gallery, self._kept = gallery, kept
        self._audit: Audit | None = None

    def ready(self) -> None:
        """Raise AuditError or OutputError if an entry could not be written now: before anything is changed."""
        if (log := self._log()) is not None:
            log.check()

    def write(self, event: str, **fields: Value | None) -> None:
        """Write one entry; before the first enrolment there is no gallery, and nobody to write about."""
        if (log := self._log()) is not None:
            log.append(event, encoder=self._gallery.encoder, **fields)

    def write_done(self, done: str, event: str, **fields: Value | None) -> None:
        """Write what is done already, so that an error says that it is: `done` is half a sentence."""
        try:
            self.write(event, **fields)
        except MienError as error:
            raise AuditError(f"{done}, but the log could not be told so. {error}") from error

    def _log(self) -> Audit | None:
        if self._kept and self._audit is None:
            self._audit = open_log(self._gallery)
        return self._audit


def forget(gallery: Gallery, name: str, *, ledger: Ledger | None = None) -> Receipt:
    """Remove somebody without a trace; the log is told their random number alone.

    Raises GalleryError if nobody has this name, and AuditError, with nothing changed, if the log cannot be written.
    """
    ledger = ledger or Ledger(gallery)
    ledger.ready()
    receipt = gallery.forget(name)
    ledger.write_done(receipt.text, "forget", person=receipt.person_id, people=len(gallery))
    return receipt


def rotate_key(gallery: Gallery, new_key: bytes | None = None, *, ledger: Ledger | None = None) -> Path | None:
    """Lock the gallery with another key: a random one if the present one lies in a key file, else 32 bytes.

    Returns the key file, or None if the caller keeps the key.
    """
    ledger = ledger or Ledger(gallery)
    ledger.ready()
    place = gallery.rotate_key(new_key)
    where = "" if place is None else f", in {place}"
    ledger.write_done(f"The gallery has its new key{where}", "rotate-key", people=len(gallery))
    return place
