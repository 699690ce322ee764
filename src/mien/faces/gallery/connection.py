"""The one way to the gallery's SQLite file: how it is opened, how a transaction begins and ends, what its errors say.

The journal is the rollback journal (`journal_mode=DELETE`), not the write-ahead log: a log keeps earlier pages beside
the database for as long as anybody reads, so that a person who was forgotten would live on in it; it also cannot be
read from a read-only disk. A rollback journal is gone when the transaction is. `secure_delete` overwrites what is
deleted, but now and then leaves a piece of it in a page that was reorganised earlier, hence VACUUM after forgetting.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
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


def make_file(path: Path) -> bool:
    """Make an empty file for a new gallery, readable by its owner alone, and its folder; False if there is a file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A file that is there is not opened: closing it would drop the locks that this process has on it.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as error:
        if isinstance(error, FileExistsError) and status(path) is not None:
            return False
        raise GalleryError(
            f"Expected to write the gallery “{shown(path)}”, but got: {error.strerror}; choose a place that is "
            "writable."
        ) from error
    return True


def connect_empty(path: Path) -> sqlite3.Connection:
    """Open an empty file to make a gallery in it."""
    connection = _open(path, "mode=rw")
    try:
        for pragma in (f"page_size={_PAGE_BYTES}", *_PRAGMAS):
            connection.execute(f"PRAGMA {pragma}")
        return connection
    except BaseException:
        connection.close()
        raise


def discard_empty(connection: sqlite3.Connection, path: Path, made: os.stat_result) -> None:
    """Remove the file of a first enrolment that came to nothing, if it is that file still, and empty.

    Under the lock: another process that waits to make the gallery in this file finds out that it has no name any more.
    """
    with contextlib.suppress(sqlite3.Error, OSError, GalleryError):
        connection.execute("PRAGMA journal_mode=MEMORY")  # a journal beside the file would outlive its name
        connection.execute("BEGIN IMMEDIATE")
        if check_same_file(path, made).st_size == 0:
            path.unlink()
        connection.execute("ROLLBACK")


def status(path: Path) -> os.stat_result | None:
    """What the system says about a gallery's file; None if there is none, GalleryError if nobody can say."""
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise _unreachable(path, error) from error


def check_same_file(path: Path, opened: os.stat_result) -> os.stat_result:
    """Raise GalleryError unless the file that was opened still lies at `path`; return what the system says about it.

    An open file lives on without its name: who went on with it would answer from a gallery that was taken away, and
    write into nothing.
    """
    found = status(path)
    # Windows does not let anybody remove an open file; where it knows no numbers of files they are 0.
    if found is None or (found.st_ino and (found.st_dev, found.st_ino) != (opened.st_dev, opened.st_ino)):
        raise replaced(path)
    return found


def replaced(path: Path) -> GalleryError:
    """The error for a file that is not the one that was opened."""
    return GalleryError(
        f"Expected the gallery “{path}” as it was opened, but it was replaced or removed while it was open; open it "
        "again."
    )


def shown(path: Path) -> str:
    """A path as it fits into a sentence."""
    text = str(path)
    return text if len(text) <= 300 else f"{text[:100]}…{text[-100:]}"


def _unreachable(path: Path, error: Exception) -> GalleryError:
    reason = getattr(error, "strerror", None) or error
    return GalleryError(
        f"Expected to reach the gallery “{shown(path)}”, but got: {reason}; check its name, its folder and who may "
        "open them."
    )


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
    """Turn the errors of SQLite and the system into the gallery's."""
    try:
        yield
    except OSError as error:
        raise _unreachable(path, error) from error
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
        if code in (sqlite3.SQLITE_IOERR, *_READ_ONLY) and status(path) is None:
            raise replaced(path) from error
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
    found_there = status(path)
    if found_there is None:
        return False
    if stat.S_ISDIR(found_there.st_mode):
        raise GalleryError(f"Expected the gallery's file, but “{path}” is a folder; name a file in it.")
    if found_there.st_size == 0:
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
