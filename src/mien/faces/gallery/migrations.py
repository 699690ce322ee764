"""The gallery's schema, as numbered steps that are taken once each; the database's `user_version` counts them.

A step is a function of the connection. To change the schema, write one more and add it to the end of MIGRATIONS; never
change one that was released. All missing steps are taken in one transaction: a failure leaves the database as it was.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from mien.errors import GalleryError
from mien.faces.gallery.connection import writing

Migration = Callable[[sqlite3.Connection], None]


def first(connection: sqlite3.Connection) -> None:
    """People, samples, sealed blocks of encodings, kept photos, and the ids of those forgotten."""
    for statement in (
        "CREATE TABLE meta (key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID",
        # AUTOINCREMENT: a number is never used twice, so that a reader can say how far it has read.
        "CREATE TABLE person (number INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB NOT NULL UNIQUE, "
        "name_index BLOB NOT NULL UNIQUE, enrolled INTEGER NOT NULL, sealed BLOB NOT NULL)",
        "CREATE TABLE sample (id INTEGER PRIMARY KEY AUTOINCREMENT, person INTEGER NOT NULL, added INTEGER NOT NULL)",
        "CREATE INDEX sample_person ON sample (person)",
        # `first` to `last` are the ids of its samples; no two blocks overlap. `full` ones are never added to.
        "CREATE TABLE block (first INTEGER PRIMARY KEY, last INTEGER NOT NULL, count INTEGER NOT NULL, "
        "full INTEGER NOT NULL, sealed BLOB NOT NULL)",
        "CREATE INDEX block_loose ON block (count) WHERE full = 0",
        "CREATE TABLE photo (id INTEGER PRIMARY KEY AUTOINCREMENT, person INTEGER NOT NULL, sealed BLOB NOT NULL)",
        "CREATE INDEX photo_person ON photo (person)",
        "CREATE TABLE forgotten (id INTEGER PRIMARY KEY AUTOINCREMENT, person BLOB NOT NULL, at INTEGER NOT NULL)",
    ):
        connection.execute(statement)


MIGRATIONS: tuple[Migration, ...] = (first,)


def migrate(connection: sqlite3.Connection, path: Path, steps: Sequence[Migration] = MIGRATIONS) -> None:
    """Take the steps that the database has not taken yet; GalleryError, and nothing touched, if it is a newer one's."""
    if check_version(connection, path, steps) == len(steps):
        return
    with writing(connection):
        for step in steps[check_version(connection, path, steps) :]:  # another process may have been first
            step(connection)
        connection.execute(f"PRAGMA user_version = {len(steps):d}")  # a pragma takes no parameters


def check_version(connection: sqlite3.Connection, path: Path, steps: Sequence[Migration] = MIGRATIONS) -> int:
    """How many steps the database has taken; GalleryError if that is more than there are."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(steps):
        raise GalleryError(
            f"Expected a gallery of version {len(steps)} or older, but “{path}” is of version {version}, made by a "
            "newer mien; update mien to open it. It was left as it is."
        )
    return version
