"""The rows of people, samples and photos: how they are written, found, sealed and opened."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from mien.errors import NameTaken
from mien.faces.gallery.base import NewPerson, Person
from mien.faces.gallery.blocks import ID_BYTES, Rows
from mien.faces.gallery.crypto import Vault
from mien.faces.records import Encodings

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_PERSON = (
    "SELECT number, id, enrolled, sealed, (SELECT count(*) FROM sample WHERE sample.person = person.number) FROM person"
)


def insert_person(connection: sqlite3.Connection, vault: Vault, new: NewPerson) -> tuple[int, Person]:
    """Write a person without samples yet; return the row's number and the person; NameTaken if the name is there."""
    identity, enrolled = os.urandom(ID_BYTES), now()
    index = vault.name_index(new.name)
    taken = person_by_index(connection, vault, index)
    if taken is not None:
        raise NameTaken(
            f"Expected a new name, but “{taken[1].name}” is enrolled already; add photos to this person with --add, or "
            "choose another name."
        )
    person = Person(identity.hex(), new.name, enrolled, new.consent, len(new.encodings))
    row = connection.execute(
        "INSERT INTO person (id, name_index, enrolled, sealed) VALUES (?, ?, ?, ?)",
        (identity, index, to_micros(enrolled), _sealed(vault, person)),
    )
    return int(row.lastrowid or 0), person


def update_person(connection: sqlite3.Connection, vault: Vault, number: int, person: Person) -> None:
    """Write the consent note of a person, the row's number given, in the place of the old one."""
    connection.execute("UPDATE person SET sealed = ? WHERE number = ?", (_sealed(vault, person), number))


def insert_samples(
    connection: sqlite3.Connection, vault: Vault, owner: tuple[int, str], encodings: Encodings, photos: Sequence[bytes]
) -> Rows:
    """Write samples and photos of a person, (number, id), and return the encodings as rows for a block."""
    number, person_id = owner
    added = to_micros(now())
    ids = [
        connection.execute("INSERT INTO sample (person, added) VALUES (?, ?)", (number, added)).lastrowid
        for _ in encodings
    ]
    for photo in photos:
        sealed = vault.seal("photo", person_id, photo)
        connection.execute("INSERT INTO photo (person, sealed) VALUES (?, ?)", (number, sealed))
    people = np.tile(np.frombuffer(bytes.fromhex(person_id), np.uint8), (len(encodings), 1))
    return Rows(np.array(ids, np.int64), people, encodings)


def all_people(connection: sqlite3.Connection, vault: Vault) -> Iterator[Person]:
    """Everybody, in the order of enrolment."""
    for row in connection.execute(f"{_PERSON} ORDER BY number"):
        yield _opened(vault, row)[1]


def person_by_index(connection: sqlite3.Connection, vault: Vault, name_index: bytes) -> tuple[int, Person] | None:
    """The row's number and the person, found by `Vault.name_index`."""
    row = connection.execute(f"{_PERSON} WHERE name_index = ?", (name_index,)).fetchone()
    return _opened(vault, row) if row else None


def person_by_id(connection: sqlite3.Connection, vault: Vault, person_id: str) -> tuple[int, Person] | None:
    """The row's number and the person, found by the 32 hexadecimal digits of the id."""
    try:
        identity = bytes.fromhex(person_id)
    except ValueError:
        return None
    row = connection.execute(f"{_PERSON} WHERE id = ?", (identity,)).fetchone()
    return _opened(vault, row) if row else None


def reseal(connection: sqlite3.Connection, old: Vault, new: Vault) -> None:
    """Write every person and photo anew under another key."""
    for (number,) in connection.execute("SELECT number FROM person").fetchall():
        identity, sealed = connection.execute("SELECT id, sealed FROM person WHERE number = ?", (number,)).fetchone()
        content = old.open("person", identity.hex(), sealed)
        connection.execute(
            "UPDATE person SET name_index = ?, sealed = ? WHERE number = ?",
            (new.name_index(json.loads(content)["name"]), new.seal("person", identity.hex(), content), number),
        )
    photos = connection.execute("SELECT photo.id, person.id FROM photo JOIN person ON person.number = photo.person")
    for photo, identity in photos.fetchall():
        (sealed,) = connection.execute("SELECT sealed FROM photo WHERE id = ?", (photo,)).fetchone()
        again = new.seal("photo", identity.hex(), old.open("photo", identity.hex(), sealed))
        connection.execute("UPDATE photo SET sealed = ? WHERE id = ?", (again, photo))


def now() -> datetime:
    """This moment in UTC."""
    return datetime.now(UTC)


def to_micros(moment: datetime) -> int:
    """Microseconds since 1970, as they are stored."""
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """The moment in UTC, of microseconds since 1970."""
    return _EPOCH + micros * _MICROSECOND


def _sealed(vault: Vault, person: Person) -> bytes:
    return vault.seal("person", person.id, json.dumps({"name": person.name, "consent": person.consent}).encode())


def _opened(vault: Vault, row: tuple[int, bytes, int, bytes, int]) -> tuple[int, Person]:
    number, identity, enrolled, sealed, samples = row
    content = json.loads(vault.open("person", identity.hex(), sealed))
    return number, Person(identity.hex(), content["name"], from_micros(enrolled), content["consent"], samples)
