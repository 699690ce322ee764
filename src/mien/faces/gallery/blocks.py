"""Encodings on disk: sealed blocks of up to a thousand, each with the ids of its samples and people.

An enrolment writes one small block of its own, a few hundred bytes; when these make a thousand rows together they are
folded into full blocks. So an enrolment is short, and a million encodings are about a thousand blocks to open.

A block's content is the sample ids (int64), the person ids (16 bytes each) and the encodings (float32), one array after
the other, little-endian.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.faces.gallery.crypto import Vault
from mien.faces.records import Encodings

BLOCK_ROWS = 1000
ID_BYTES = 16


@dataclass(frozen=True, eq=False)
class Rows:
    """Samples in the order of their ids."""

    ids: NDArray[np.int64]
    """Shape (n,)."""
    people: NDArray[np.uint8]
    """Shape (n, 16): the person id of each row."""
    encodings: Encodings

    def __getitem__(self, which: slice | NDArray[np.bool_]) -> Rows:
        return Rows(self.ids[which], self.people[which], self.encodings[which])

    def __len__(self) -> int:
        return len(self.ids)

    def of(self, person_id: bytes) -> NDArray[np.bool_]:
        """Which rows are this person's: shape (n,)."""
        mine: NDArray[np.bool_] = (self.people == np.frombuffer(person_id, np.uint8)).all(axis=1)
        return mine


def person_names(people: NDArray[np.uint8]) -> NDArray[np.str_]:
    """Person ids (n, 16) as 32 hexadecimal digits each: shape (n,)."""
    return np.frombuffer(people.tobytes().hex().encode(), dtype="S32").astype("U32")


def append(connection: sqlite3.Connection, vault: Vault, rows: Rows) -> None:
    """Write new rows, whose ids are higher than any there; fold the small blocks when they make a full one."""
    loose = connection.execute("SELECT coalesce(sum(count), 0) FROM block WHERE full = 0").fetchone()[0]
    if loose + len(rows) < BLOCK_ROWS:
        _insert(connection, vault, rows, full=False)
        return
    small = connection.execute("SELECT first, count, sealed FROM block WHERE full = 0 ORDER BY first").fetchall()
    together = joined([*(_opened(vault, *row) for row in small), rows])
    connection.execute("DELETE FROM block WHERE full = 0")
    for start in range(0, len(together), BLOCK_ROWS):
        part = together[start : start + BLOCK_ROWS]
        _insert(connection, vault, part, full=len(part) == BLOCK_ROWS)


def read_all(connection: sqlite3.Connection, vault: Vault) -> Rows:
    """All rows, decrypted into anonymous memory, each once."""
    total = connection.execute("SELECT coalesce(sum(count), 0) FROM block").fetchone()[0]
    ids = np.empty(total, np.int64)
    people = np.empty((total, ID_BYTES), np.uint8)
    encodings = np.empty((total, vault.dimension), np.float32)
    start = 0
    for rows in read_after(connection, vault, -1):
        end = start + len(rows)
        ids[start:end], people[start:end], encodings[start:end] = rows.ids, rows.people, rows.encodings
        start = end
    return Rows(ids, people, encodings)


def read_after(connection: sqlite3.Connection, vault: Vault, sample: int) -> Iterator[Rows]:
    """Block by block, the rows whose sample's id is higher than this."""
    blocks = connection.execute("SELECT first, count, sealed FROM block WHERE last > ? ORDER BY first", (sample,))
    for row in blocks:
        rows = _opened(vault, *row)
        yield rows if rows.ids[0] > sample else rows[rows.ids > sample]


def read_person(connection: sqlite3.Connection, vault: Vault, person_id: bytes, samples: list[int]) -> Rows:
    """One person's rows, given the ids of their samples."""
    found = [_opened(vault, *block) for block in _holding(connection, samples)]
    return joined([none(vault.dimension), *(rows[rows.of(person_id)] for rows in found)])


def remove_person(
    connection: sqlite3.Connection, vault: Vault, person_id: bytes, samples: list[int]
) -> tuple[int, int]:
    """Seal one person's blocks again, without their rows; return how many rows went, from how many blocks."""
    removed = 0
    holding = list(_holding(connection, samples))
    for first, count, sealed in holding:
        rows = _opened(vault, first, count, sealed)
        rest = rows[~rows.of(person_id)]
        removed += len(rows) - len(rest)
        # Deleted and inserted, not updated: the old bytes are overwritten before the new ones take their place.
        full, last = connection.execute("SELECT full, last FROM block WHERE first = ?", (first,)).fetchone()
        connection.execute("DELETE FROM block WHERE first = ?", (first,))
        if len(rest):
            connection.execute(
                "INSERT INTO block (first, last, count, full, sealed) VALUES (?, ?, ?, ?, ?)",
                (first, last, len(rest), full, _sealed(vault, first, rest)),
            )
    return removed, len(holding)


def reseal(connection: sqlite3.Connection, old: Vault, new: Vault) -> None:
    """Seal every block under another key."""
    for (first,) in connection.execute("SELECT first FROM block").fetchall():
        count, sealed = connection.execute("SELECT count, sealed FROM block WHERE first = ?", (first,)).fetchone()
        again = _sealed(new, first, _opened(old, first, count, sealed))
        connection.execute("UPDATE block SET sealed = ? WHERE first = ?", (again, first))


def _holding(connection: sqlite3.Connection, samples: list[int]) -> Iterator[tuple[int, int, bytes]]:
    """The blocks in which these samples (ascending ids) lie, each once."""
    reached = -1
    for sample in samples:
        if sample <= reached:
            continue
        block = connection.execute(
            "SELECT first, count, sealed, last FROM block WHERE first <= ? ORDER BY first DESC LIMIT 1", (sample,)
        ).fetchone()
        if block is not None and block[3] >= sample:
            reached = block[3]
            yield block[:3]


def _insert(connection: sqlite3.Connection, vault: Vault, rows: Rows, *, full: bool) -> None:
    first, last = int(rows.ids[0]), int(rows.ids[-1])
    connection.execute(
        "INSERT INTO block (first, last, count, full, sealed) VALUES (?, ?, ?, ?, ?)",
        (first, last, len(rows), int(full), _sealed(vault, first, rows)),
    )


def _sealed(vault: Vault, first: int, rows: Rows) -> bytes:
    content = rows.ids.astype("<i8").tobytes() + rows.people.tobytes() + rows.encodings.astype("<f4").tobytes()
    return vault.seal("block", f"{first} of {len(rows)}", content)


def _opened(vault: Vault, first: int, count: int, sealed: bytes) -> Rows:
    content = vault.open("block", f"{first} of {count}", sealed)
    ids = np.frombuffer(content, "<i8", count)
    people = np.frombuffer(content, np.uint8, count * ID_BYTES, offset=8 * count).reshape(count, ID_BYTES)
    values = np.frombuffer(content, "<f4", offset=(8 + ID_BYTES) * count)
    return Rows(ids, people, values.reshape(count, vault.dimension))


def joined(parts: list[Rows]) -> Rows:
    """Rows one after the other, of at least one part."""
    return Rows(
        np.concatenate([p.ids for p in parts]),
        np.concatenate([p.people for p in parts]),
        np.concatenate([p.encodings for p in parts]),
    )


def none(dimension: int) -> Rows:
    """No rows."""
    return Rows(np.empty(0, np.int64), np.empty((0, ID_BYTES), np.uint8), np.empty((0, dimension), np.float32))
