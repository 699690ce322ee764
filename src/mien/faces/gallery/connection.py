"""The one way to the gallery's SQLite file: how it is opened, how a transaction begins and ends, what its errors say.

The journal is the rollback journal (`journal_mode=DELETE`), not the write-ahead log: a log keeps earlier pages beside
the database for as long as anybody reads, so that a person who was forgotten would live on in it; it also cannot be
read from a read-only disk. A rollback journal is gone when the transaction is. `secure_delete` overwrites what is
deleted, but now and then leaves a piece of it in a page that was reorganised earlier, hence VACUUM after forgetting.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from mien.errors import GalleryBusy, GalleryError

APPLICATION_ID = 0x4D49454E
"""“MIEN”, in the header of the file."""
WAIT_SECONDS = 5.0
"""How long to wait for another process that is writing."""

# EXTRA: the folder is synced, too, so that the journal's end, which is the commit, outlives a power cut.
_PRAGMAS = ("secure_delete=ON", "temp_store=MEMORY", "synchronous=EXTRA", "trusted_schema=OFF", "cache_size=-32768")
_PAGE_BYTES = 8192
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_READ_ONLY = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM)
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def connect(path: Path) -> sqlite3.Connection | None:
    """Open a gallery's file; None if there is none, or an empty one.

    Raises GalleryError for any other file, which is left untouched: it is looked at without locks or journal first.
    """
    if not _is_gallery(path):
        return None
    connection = _open(path, "mode=rw")
    try:
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        # Only now has a transaction that a crash cut short been rolled back; it may have been the very first.
        if connection.execute("PRAGMA page_count").fetchone()[0] == 0:
            connection.close()
            return None
        connection.execute("PRAGMA journal_mode=DELETE")  # should somebody have changed it by other means
        return connection
    except BaseException:
        connection.close()
        raise


def create(path: Path) -> sqlite3.Connection:
    """Open an empty file for a new gallery, readable by its owner alone; its folder is made where it is missing."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise GalleryError(
            f"Expected to write the gallery “{path}”, but got: {error.strerror}; choose a place that is writable."
        ) from error
    connection = _open(path, "mode=rw")
    for pragma in (f"page_size={_PAGE_BYTES}", *_PRAGMAS):
        connection.execute(f"PRAGMA {pragma}")
    return connection


@contextmanager
def reading(connection: sqlite3.Connection) -> Iterator[None]:
    """One state of the database for several questions."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


@contextmanager
def writing(connection: sqlite3.Connection) -> Iterator[None]:
    """Everything in it is written when it ends, or nothing is; the lock is taken at the beginning."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # after a full disk SQLite has rolled back by itself
            connection.execute("ROLLBACK")
        raise


@contextmanager
def one_sentence(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into the gallery's."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # the lower byte is the kind
        if code in _BUSY:
            raise GalleryBusy(
                f"Expected to reach the gallery “{path}”, but another process was still using it after "
                f"{WAIT_SECONDS:g} seconds; nothing was changed, try again when it has finished."
            ) from error
        if code == sqlite3.SQLITE_FULL:
            raise GalleryError(
                f"Expected room for the gallery “{path}”, but the disk is full; nothing was changed, make room and try "
                "again."
            ) from error
        if code in _READ_ONLY:
            raise GalleryError(
                f"Expected to write to the gallery “{path}”, but the file, its folder or the disk is read-only; "
                "nothing was changed, make it writable or copy the gallery elsewhere."
            ) from error
        if code in _DAMAGED:
            raise GalleryError(
                f"Expected a gallery, but the file “{path}” is damaged or something else ({error}); bring it back from "
                "a backup."
            ) from error
        raise GalleryError(f"Expected to use the gallery “{path}”, but SQLite says: {error}.") from error


def _is_gallery(path: Path) -> bool:
    """False if there is no file yet, or an empty one; GalleryError if it is something else than a gallery."""
    if not path.exists():
        return False
    if path.is_dir():
        raise GalleryError(f"Expected the gallery's file, but “{path}” is a folder; name a file in it.")
    if path.stat().st_size == 0:
        return False
    # Not by reading the file ourselves: closing it would drop the locks that other connections of this process hold.
    try:
        with closing(_open(path, "mode=ro&immutable=1")) as connection:
            found = connection.execute("PRAGMA application_id").fetchone()[0]
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF not in _DAMAGED:
            raise
        found = None
    if found != APPLICATION_ID:
        raise GalleryError(
            f"Expected a gallery, but “{path}” is {'something else' if found is None else 'another database'}; choose "
            "another path. It was left as it is."
        )
    return True


def _open(path: Path, how: str) -> sqlite3.Connection:
    # isolation_level=None: transactions begin where we say. Threads share it behind the gallery's own lock.
    return sqlite3.connect(
        f"{path.resolve().as_uri()}?{how}",
        uri=True,
        timeout=WAIT_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
