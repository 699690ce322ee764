"""A gallery's file and its key, from the first transaction to the last."""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from mien.errors import GalleryError, OptionError, WrongKey
from mien.faces.gallery import keys
from mien.faces.gallery.connection import (
    APPLICATION_ID,
    check_same_file,
    connect,
    connect_empty,
    discard_empty,
    make_file,
    one_sentence,
    reading,
    replaced,
    status,
    writing,
)
from mien.faces.gallery.crypto import KEY_BYTES, Vault
from mien.faces.gallery.migrations import MIGRATIONS, check_version, migrate

STAMP = (
    "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'sample'), 0), "
    "coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'forgotten'), 0)"
)
"""The last ids given to a sample and to somebody forgotten; neither ever goes down."""
_AUDIT = ("secret", "audit")


class Opened(NamedTuple):
    """What a transaction works with."""

    connection: sqlite3.Connection
    vault: Vault


class Store:
    """One gallery file, opened when it is there, made at the first writing; threads take turns.

    Before every question it makes sure that the file is still the one that was opened.

    The `meta` table holds: `id`, `encoder`, `dimension`; `check`, the key check value; `audit`, the sealed secret
    of the audit log; and `sweep` while the file's free space has yet to be rebuilt, with a random value, so that nobody
    ticks off a task that came after their own.
    """

    def __init__(self, path: Path, *, encoder: str, dimension: int, key: bytes | None) -> None:
        if key is not None and len(key) != KEY_BYTES:
            raise WrongKey(f"Expected a key of {KEY_BYTES} bytes, but got {len(key)}; pass the gallery's key.")
        if dimension < 1 or not encoder:
            raise OptionError(f"Expected an encoder and its dimension, but got {encoder!r} and {dimension}; name them.")
        with one_sentence(path):  # where the present folder was removed
            self.path = path.absolute()  # the program may change its folder while the gallery is open
        self.encoder, self.dimension = encoder, dimension
        self.key_created: Path | None = None
        self._given = key
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._seen: os.stat_result | None = None  # the file that is open, as of the last look
        self._last = (0, 0)  # STAMP, as of the last look
        self._closed = False
        self._id = ""
        self._key: keys.Key | None = None
        self._vault: Vault | None = None
        try:
            with self.connected():
                pass
        except BaseException:
            self.close()
            raise

    @contextmanager
    def connected(self) -> Iterator[sqlite3.Connection | None]:
        """The connection, for one question without a transaction; None while there is no gallery."""
        with self._lock, one_sentence(self.path):
            if self._closed:
                raise GalleryError(f"Expected an open gallery, but “{self.path}” was closed; open it again.")
            if self._connection is None:
                self._open()
            self._check_file()
            yield self._connection

    def _open(self) -> None:
        seen = status(self.path)
        connection = None if seen is None else connect(self.path)
        if connection is None:
            return
        try:
            migrate(connection, self.path)
            with reading(connection):
                self._unlock(connection)
        except BaseException:
            connection.close()
            raise
        self._connection, self._seen, self._last = connection, seen, connection.execute(STAMP).fetchone()
        if get_meta(connection, "sweep") is not None:
            # It stays noted; a gallery that is busy or on a full disk can be read all the same.
            with contextlib.suppress(GalleryError):
                self.sweep()

    def _check_file(self) -> None:
        """Raise GalleryError if the file is gone, another one, another gallery's, or was put back to an older state."""
        if self._connection is None or self._seen is None:
            return
        found = check_same_file(self.path, self._seen)
        if self._connection.in_transaction or found.st_mtime_ns == self._seen.st_mtime_ns:
            return
        # Another gallery may have been written into the very same file. SQLite keeps the pages it has read if that
        # one happens to have counted as many changes.
        self._connection.execute("PRAGMA shrink_memory")
        last = None if found.st_size == 0 else self._connection.execute(STAMP).fetchone()
        if last is None or get_meta(self._connection, "id") != self._id:
            raise replaced(self.path)
        if last[0] < self._last[0] or last[1] < self._last[1]:
            raise replaced(self.path)
        self._seen, self._last = found, last

    @contextmanager
    def reading(self) -> Iterator[Opened | None]:
        """One state of the gallery for several questions; None while there is no gallery."""
        with self.connected() as connection:
            if connection is None:
                yield None
                return
            with reading(connection):
                yield Opened(connection, self._unlock(connection))

    @contextmanager
    def writing(self) -> Iterator[Opened]:
        """A transaction: all of it is on the disk when it ends, or nothing; it makes the gallery if there is none."""
        with self.connected() as connection:
            if connection is not None:
                with writing(connection):
                    yield Opened(connection, self._unlock(connection))
                    self._check_file()
                return
            made = make_file(self.path)
            if (seen := status(self.path)) is None:
                raise replaced(self.path)
            connection = connect_empty(self.path)
            try:
                with writing(connection):
                    check_same_file(self.path, seen)  # who made it may have given up, and taken it away
                    if _is_empty(connection):
                        self._make(connection)
                    yield Opened(connection, self._unlock(connection))
                    check_same_file(self.path, seen)
            except BaseException:
                self._give_up(connection, seen if made else None)
                raise
            self._connection, self._seen, self._last = connection, seen, (0, 0)

    def _give_up(self, connection: sqlite3.Connection, made: os.stat_result | None) -> None:
        """Leave nothing of a first writing that failed: no key, and no file, if this object made it."""
        try:
            if self.key_created is not None and _is_empty(connection):
                self.key_created.unlink(missing_ok=True)
                self.key_created = None
            if made is not None:
                discard_empty(connection, self.path, made)
        finally:
            connection.close()

    def rotate(self, new_key: bytes | None, reseal: Callable[[sqlite3.Connection, Vault, Vault], None]) -> Path | None:
        """Let `reseal` write everything under another key, in one transaction; return the key file that holds it."""
        with self.connected() as connection:
            if connection is None:
                raise GalleryError(f"Expected a gallery whose key to change, but there is none yet at “{self.path}”.")
            path = None
            with self.writing() as (_, old):
                key = self._key
                if new_key is None and key is not None and key.source == "environment":
                    new_key = keys.environment_key(keys.NEW_VARIABLE)
                if key is None or (key.source != "file" and new_key is None):
                    raise OptionError(
                        "Expected the new key, because the present one was not taken from a key file; pass 32 random "
                        f"bytes, or, if the present one is in {keys.VARIABLE}, set the environment variable "
                        f"{keys.NEW_VARIABLE} to the new one (openssl rand -hex {KEY_BYTES} makes one), and keep it."
                    )
                value = secrets.token_bytes(KEY_BYTES) if new_key is None else new_key
                new = self._vault_of(value)
                if new.fits(old.check):
                    raise OptionError("Expected a new key, but got the present one; pass 32 other random bytes.")
                if key.source == "file":
                    path = keys.stage(self._id, self.path, current=key.value, new=value)
                reseal(connection, old, new)
                set_meta(connection, "audit", new.seal(*_AUDIT, old.open(*_AUDIT, get_meta(connection, "audit"))))
                set_meta(connection, "check", new.check)
                self.note_sweep(connection)
            self._key, self._vault = replace(key, value=value), new
            self._given = None if self._given is None else value
            if path is not None:
                keys.promote(path)
            with contextlib.suppress(GalleryError):  # noted: done at the next opening
                self.sweep()
            return path

    def audit_key(self) -> bytes | None:
        """The secret of the gallery's audit log; None while there is no gallery."""
        with self.reading() as opened:
            return None if opened is None else opened.vault.open(*_AUDIT, get_meta(opened.connection, "audit"))

    @staticmethod
    def note_sweep(connection: sqlite3.Connection) -> None:
        """Note, within the transaction that removes something, that the free space is to be rebuilt after it."""
        set_meta(connection, "sweep", secrets.token_hex(8))

    def sweep(self) -> None:
        """Rebuild the file, so that nothing removed is left in its free space; GalleryError if that cannot be now.

        `secure_delete` has overwritten what was removed, but maybe not a piece in a page that was reorganised before.
        """
        with self.connected() as connection:
            if connection is None:
                return
            task = get_meta(connection, "sweep")
            connection.execute("VACUUM")
            with writing(connection):
                connection.execute("DELETE FROM meta WHERE key = 'sweep' AND value = ?", (task,))

    def close(self) -> None:
        """Let go of the file and the key."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = self._vault = self._key = None
            self._closed = True

    def _make(self, connection: sqlite3.Connection) -> None:
        """Write an empty gallery; the key file, if one is needed, is on the disk before the gallery is."""
        self._id = secrets.token_hex(16)
        key = self._given or keys.environment_key()
        if key is None:
            self.key_created, found = keys.create_key_file(self._id, self.path)
            key = found.value
        for step in MIGRATIONS:
            step(connection)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID:d}")  # a pragma takes no parameters
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS):d}")
        vault = self._vault_of(key)
        for name, value in (
            ("id", self._id),
            ("encoder", self.encoder),
            ("dimension", self.dimension),
            ("check", vault.check),
            ("audit", vault.seal(*_AUDIT, secrets.token_bytes(KEY_BYTES))),
        ):
            set_meta(connection, name, value)

    def _unlock(self, connection: sqlite3.Connection) -> Vault:
        """The vault for the key that the gallery has at this moment; another process may have changed it."""
        check = get_meta(connection, "check")
        if check is None:
            raise GalleryError(f"Expected a gallery, but “{self.path}” is an empty shell of one; choose another path.")
        if self._vault is not None and self._vault.fits(check):
            return self._vault
        if self._connection is not None and get_meta(connection, "id") != self._id:
            raise replaced(self.path)
        self._id = get_meta(connection, "id")
        encoder, dimension = get_meta(connection, "encoder"), get_meta(connection, "dimension")
        if (encoder, dimension) != (self.encoder, self.dimension):
            raise GalleryError(
                f"Expected a gallery of the encoder {self.encoder} with {self.dimension} values, but “{self.path}” "
                f"holds encodings of {encoder} with {dimension}, which cannot be compared; open it with that encoder, "
                "or enrol the people anew in another gallery."
            )

        def fits(value: bytes) -> bool:
            return self._vault_of(value).fits(check)

        if self._given is None:
            self._key = keys.find_key(fits, gallery_id=self._id, gallery=self.path)
        elif fits(self._given):
            self._key = keys.Key(self._given, "caller")
        else:
            raise WrongKey(
                f"Expected the key that the gallery “{self.path}” was locked with, but got another one; pass the right "
                "key. Without it nobody can read the gallery."
            )
        self._vault = self._vault_of(self._key.value)
        return self._vault

    def _vault_of(self, key: bytes) -> Vault:
        return Vault(key, gallery_id=self._id, encoder=self.encoder, dimension=self.dimension)


def describe(path: Path) -> tuple[str, int] | None:
    """The encoder's name and the dimension that a gallery's file tells without its key; None if there is no gallery."""
    with one_sentence(path), contextlib.ExitStack() as stack:
        connection = connect(path)
        if connection is None:
            return None
        stack.callback(connection.close)
        check_version(connection, path)
        encoder, dimension = get_meta(connection, "encoder"), get_meta(connection, "dimension")
    if not isinstance(encoder, str) or not isinstance(dimension, int):
        raise GalleryError(f"Expected a gallery, but “{path}” is an empty shell of one; choose another path.")
    return encoder, dimension


def get_meta(connection: sqlite3.Connection, name: str) -> Any:
    """A value of the table `meta`; None if it is not there."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (name,)).fetchone()
    return row[0] if row else None


def set_meta(connection: sqlite3.Connection, name: str, value: str | int | bytes) -> None:
    """Write a value of the table `meta`."""
    connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (name, value))


def _is_empty(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0)
