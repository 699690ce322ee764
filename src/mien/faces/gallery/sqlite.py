"""The embedded gallery: one SQLite file, sealed row by row."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mien.errors import GalleryError
from mien.faces.gallery import blocks, rows
from mien.faces.gallery.base import NewPerson, News, Person, Receipt, Sample, Stamp
from mien.faces.gallery.checks import check_consent, check_name, checked_encodings
from mien.faces.gallery.crypto import Vault
from mien.faces.gallery.store import STAMP, Opened, Store
from mien.faces.records import Encodings


class SqliteGallery:
    """A gallery in one SQLite file; `base.Gallery` says what it does. Threads may share it.

    Names, consent notes, encodings and photos are encrypted; random ids, dates and numbers of samples are not.
    """

    def __init__(self, path: Path, *, encoder: str, dimension: int, key: bytes | None) -> None:
        self._store = Store(path, encoder=encoder, dimension=dimension, key=key)

    @property
    def url(self) -> str:
        """What opens this gallery again."""
        return f"sqlite:///{self._store.path}"

    @property
    def encoder(self) -> str:
        """The name of the encoder that made the encodings."""
        return self._store.encoder

    @property
    def dimension(self) -> int:
        """The number D of values of an encoding."""
        return self._store.dimension

    @property
    def key_created(self) -> Path | None:
        """The key file that this object created, to be shown to the user; None if there was a key already."""
        return self._store.key_created

    @property
    def audit_key(self) -> bytes | None:
        """The secret of the gallery's audit log, which outlives a change of key; None before the first enrolment."""
        return self._store.audit_key()

    # ---- writing -----------------------------------------------------------------------------------------------------

    def add_person(
        self, name: str, encodings: Encodings, *, consent: str | None = None, photos: Sequence[bytes] | None = None
    ) -> Person:
        """Enrol somebody with encodings (n, D), n >= 1; NameTaken if the name is there, OptionError if it is none."""
        return self.add_people([NewPerson(name, encodings, consent, tuple(photos or ()))])[0]

    def add_people(self, people: Iterable[NewPerson]) -> list[Person]:
        """Enrol all of them or, on any error, none: much faster for many people than one at a time."""
        everybody = [replace(p, encodings=checked_encodings(p.encodings, self.dimension)) for p in people]
        for new in everybody:
            check_name(new.name)
            check_consent(new.consent)
        if not everybody:
            return []
        added, samples = [], []
        with self._store.writing() as (connection, vault):
            for new in everybody:
                number, person = rows.insert_person(connection, vault, new)
                added.append(person)
                samples.append(rows.insert_samples(connection, vault, (number, person.id), new.encodings, new.photos))
            blocks.append(connection, vault, blocks.joined(samples))
        return added

    def add_samples(
        self,
        person: Person | str,
        encodings: Encodings,
        *,
        consent: str | None = None,
        photos: Sequence[bytes] | None = None,
    ) -> Person:
        """Add encodings (n, D) to somebody enrolled, given as a record or a name; a new note replaces the old one."""
        encodings = checked_encodings(encodings, self.dimension)
        check_consent(consent)
        if not len(self):
            raise _nobody(person)
        with self._store.writing() as opened:
            number, known = _known(opened, person)
            added = rows.insert_samples(*opened, (number, known.id), encodings, photos or ())
            blocks.append(*opened, added)
            known = replace(known, samples=known.samples + len(encodings))
            if consent is not None:
                known = replace(known, consent=consent)
                rows.update_person(*opened, number, known)
        return known

    def forget(self, name: str) -> Receipt:
        """Remove somebody without a trace; GalleryError if nobody has this name."""
        if not len(self):
            raise _nobody(name)
        when, reason = rows.now(), None
        with self._store.writing() as (connection, vault):
            number, person = _known(Opened(connection, vault), name)
            identity = bytes.fromhex(person.id)
            ids = [i for (i,) in connection.execute("SELECT id FROM sample WHERE person = ? ORDER BY id", (number,))]
            removed, touched = blocks.remove_person(connection, vault, identity, ids)
            photos = connection.execute("DELETE FROM photo WHERE person = ?", (number,)).rowcount
            connection.execute("DELETE FROM sample WHERE person = ?", (number,))
            connection.execute("DELETE FROM person WHERE number = ?", (number,))
            connection.execute("INSERT INTO forgotten (person, at) VALUES (?, ?)", (identity, rows.to_micros(when)))
            self._store.note_sweep(connection)
        try:
            self._store.sweep()
        except GalleryError as error:
            reason = str(error.__cause__ or error)  # SQLite's own few words
        overwritten = [
            "the name" if person.consent is None else "the name and the consent note",
            f"{_counted(removed, 'encoding')} in {_counted(touched, 'block')}",
        ]
        if photos:
            overwritten.append(_counted(photos, "photo"))
        if reason is None:
            overwritten.append("the free space of the file")
        return Receipt(person.id, when, removed, photos, tuple(overwritten), reason is None, reason)

    def rotate_key(self, new_key: bytes | None = None) -> Path | None:
        """Encrypt everything under another key; the key file's path, or None if the caller keeps the key."""
        return self._store.rotate(new_key, _reseal)

    # ---- reading -----------------------------------------------------------------------------------------------------

    def people(self) -> list[Person]:
        """Everybody, in the order of enrolment."""
        with self._store.reading() as opened:
            return [*rows.all_people(*opened)] if opened else []

    def person(self, person_id: str) -> Person | None:
        """Who has this id."""
        with self._store.reading() as opened:
            found = rows.person_by_id(*opened, person_id) if opened else None
            return found[1] if found else None

    def find(self, name: str) -> Person | None:
        """Who has this name."""
        with self._store.reading() as opened:
            found = rows.person_by_index(*opened, opened.vault.name_index(name)) if opened else None
            return found[1] if found else None

    def samples(self, person: Person | str) -> list[Sample]:
        """When which encoding of this person was added."""
        with self._store.reading() as opened:
            if opened is None:
                raise _nobody(person)
            number, known = _known(opened, person)
            return [Sample(i, known.id, rows.from_micros(added)) for i, added in _dates(opened, number).items()]

    def export(self, name: str) -> dict[str, Any]:
        """Everything kept about somebody, ready for JSON: encodings as lists of numbers, photos in base64."""
        with self._store.reading() as opened:
            if opened is None:
                raise _nobody(name)
            number, person = _known(opened, name)
            connection, vault = opened
            dates = _dates(opened, number)
            kept = blocks.read_person(connection, vault, bytes.fromhex(person.id), list(dates))
            photos = connection.execute("SELECT sealed FROM photo WHERE person = ? ORDER BY id", (number,)).fetchall()
            return {
                "id": person.id,
                "name": person.name,
                "enrolled": person.enrolled.isoformat(),
                "consent": person.consent,
                "encoder": self.encoder,
                "samples": [
                    {"id": i, "added": rows.from_micros(dates[i]).isoformat(), "encoding": encoding}
                    for i, encoding in zip(kept.ids.tolist(), kept.encodings.tolist(), strict=True)
                ],
                "photos": [base64.b64encode(vault.open("photo", person.id, p)).decode("ascii") for (p,) in photos],
            }

    def encodings(self) -> tuple[Encodings, NDArray[np.str_]]:
        """All encodings (N, D) and whose they are: person ids (N,), in the order of the samples' ids."""
        with self._store.reading() as opened:
            kept = blocks.read_all(*opened) if opened else blocks.none(self.dimension)
        return kept.encodings, blocks.person_names(kept.people)

    def changes(self) -> Stamp:
        """The state of the encodings; cheap enough to be asked for before every identification."""
        with self._store.connected() as connection:
            return Stamp(*connection.execute(STAMP).fetchone()) if connection else Stamp(0, 0)

    def news(self, since: Stamp) -> News:
        """What has changed since a stamp, so that nobody has to read a large gallery again for one new face."""
        stamp, parts, forgotten = Stamp(0, 0), [blocks.none(self.dimension)], ()
        with self._store.reading() as opened:
            if opened:
                stamp = Stamp(*opened.connection.execute(STAMP).fetchone())
                parts.extend(blocks.read_after(*opened, since.samples))
                gone = "SELECT lower(hex(person)) FROM forgotten WHERE id > ? ORDER BY id"
                forgotten = tuple(i for (i,) in opened.connection.execute(gone, (since.forgotten,)))
        added = blocks.joined(parts)
        return News(stamp, added.encodings, blocks.person_names(added.people), forgotten)

    def __len__(self) -> int:
        """How many people are enrolled: K."""
        with self._store.connected() as connection:
            return int(connection.execute("SELECT count(*) FROM person").fetchone()[0]) if connection else 0

    def close(self) -> None:
        """Let go of the file; the object is of no use afterwards."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _known(opened: Opened, person: Person | str) -> tuple[int, Person]:
    """The row's number and the person; GalleryError if they are not in the gallery."""
    if isinstance(person, Person):
        found = rows.person_by_id(*opened, person.id)
    else:
        found = rows.person_by_index(*opened, opened.vault.name_index(person))
    if found is None:
        raise _nobody(person)
    return found


def _nobody(person: Person | str) -> GalleryError:
    name = person if isinstance(person, str) else person.name
    return GalleryError(f"Expected the name of somebody enrolled, but nobody is called “{name}”; see who is there.")


def _dates(opened: Opened, number: int) -> dict[int, int]:
    """When each sample of a person was added, by the sample's id, ascending."""
    return dict(opened.connection.execute("SELECT id, added FROM sample WHERE person = ? ORDER BY id", (number,)))


def _reseal(connection: sqlite3.Connection, old: Vault, new: Vault) -> None:
    rows.reseal(connection, old, new)
    blocks.reseal(connection, old, new)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
