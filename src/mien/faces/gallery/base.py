"""What every gallery store keeps and does, whatever it is made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from mien.faces.records import Encodings


@dataclass(frozen=True)
class Person:
    """Somebody enrolled."""

    id: str
    """32 random hexadecimal digits; outside the gallery (in the audit log) they say nothing about who it is."""
    name: str
    """As it was given."""
    enrolled: datetime
    """UTC."""
    consent: str | None
    """The note on how and when this person agreed, if one was given."""
    samples: int
    """How many encodings are kept."""


@dataclass(frozen=True)
class Sample:
    """One encoding of a person; the encoding itself comes with `Gallery.encodings`."""

    id: int
    """Counts up over the whole gallery and is never used twice."""
    person_id: str
    added: datetime
    """UTC."""


@dataclass(frozen=True, eq=False)
class NewPerson:
    """Somebody to be enrolled by `Gallery.add_people`."""

    name: str
    encodings: Encodings
    consent: str | None = None
    photos: Sequence[bytes] = ()
    """Picture files to keep, as they are; none unless somebody asked for it."""


@dataclass(frozen=True)
class Stamp:
    """A state of the gallery's encodings: equal stamps, equal encodings."""

    samples: int
    """The last sample's id."""
    forgotten: int
    """How many people have been forgotten so far."""


@dataclass(frozen=True, eq=False)
class News:
    """What came to a gallery, and who went, since a stamp."""

    stamp: Stamp
    """The state after these news: the `since` of the next question."""
    encodings: Encodings
    """Those added and still there, in the order of their samples' ids."""
    people: NDArray[np.str_]
    """Shape (N,): the person id of each row; also people whom the reader knows already, if they got another sample."""
    forgotten: tuple[str, ...]
    """Ids of the people forgotten; the reader drops all their rows."""


@dataclass(frozen=True)
class Receipt:
    """What `forget` did. It names nobody: the id is the random one that the audit log may hold."""

    person_id: str
    when: datetime
    """UTC."""
    samples: int
    """Encodings removed."""
    photos: int
    """Kept photos removed."""
    overwritten: tuple[str, ...]
    """What was overwritten, in words."""
    complete: bool
    """False if the file's free space could not be rebuilt yet: the gallery does it when it is opened the next time."""
    reason: str | None = None
    """Why it is not complete."""

    @property
    def text(self) -> str:
        """The receipt as a person reads it."""
        lines = [
            f"Forgotten: person {self.person_id}, on {self.when:%Y-%m-%d at %H:%M:%S} UTC.",
            f"Removed and overwritten: {'; '.join(self.overwritten)}.",
        ]
        if self.complete:
            lines.append("The gallery's file was rebuilt; neither the name nor an encoding is left in it, in any form.")
        else:
            lines.append(
                "The entries are gone, but fragments of their encrypted form may be left in the file's free space, "
                f"because it could not be rebuilt now ({self.reason}). This is done when the gallery is opened next."
            )
        lines.append(
            "Entries in the audit log keep the random id alone; nothing is left that says whose it was. Backups of the "
            "gallery and the disk's own spare blocks are out of reach: they may hold the encrypted form, which "
            "`rotate-key` makes unreadable once the old key is gone."
        )
        return "\n".join(lines)


class Gallery(Protocol):
    """People and their encodings, encrypted wherever they lie.

    A store is opened by `mien.faces.gallery.open_gallery`. Every verb that writes is done wholly or not at all, and has
    reached the disk when it returns. Any verb may raise GalleryError (GalleryBusy while another process writes;
    WrongKey if another process changed the key meanwhile; also if the gallery was removed, replaced or put back to an
    older state while it was open: then it answers nothing until it is opened again). Names are kept as they are given,
    and compared without regard to case and to how accents are encoded (Unicode NFC, case-folded).
    """

    @property
    def url(self) -> str:
        """What opens this gallery again."""
        ...

    @property
    def encoder(self) -> str:
        """The name of the encoder that made the encodings."""
        ...

    @property
    def dimension(self) -> int:
        """The number D of values of an encoding."""
        ...

    @property
    def key_created(self) -> Path | None:
        """The key file that this object created, to be shown to the user; None if there was a key already."""
        ...

    @property
    def audit_key(self) -> bytes | None:
        """32 bytes, the audit log's secret, which outlives a change of key; None before the first enrolment."""
        ...

    def add_person(
        self, name: str, encodings: Encodings, *, consent: str | None = None, photos: Sequence[bytes] | None = None
    ) -> Person:
        """Enrol somebody with encodings (n, D), n >= 1; NameTaken if the name is there, OptionError if it is none."""
        ...

    def add_people(self, people: Iterable[NewPerson]) -> list[Person]:
        """Enrol all of them or, on any error, none: much faster for many people than one at a time."""
        ...

    def add_samples(
        self,
        person: Person | str,
        encodings: Encodings,
        *,
        consent: str | None = None,
        photos: Sequence[bytes] | None = None,
    ) -> Person:
        """Add encodings (n, D) to somebody enrolled, given as a record or a name.

        consent: a note that replaces the one there is; None keeps that.
        """
        ...

    def people(self) -> list[Person]:
        """Everybody, in the order of enrolment."""
        ...

    def person(self, person_id: str) -> Person | None:
        """Who has this id."""
        ...

    def find(self, name: str) -> Person | None:
        """Who has this name."""
        ...

    def samples(self, person: Person | str) -> list[Sample]:
        """When which encoding of this person was added."""
        ...

    def forget(self, name: str) -> Receipt:
        """Remove somebody without a trace; GalleryError if nobody has this name."""
        ...

    def export(self, name: str) -> dict[str, Any]:
        """Everything kept about somebody, ready for JSON: encodings as lists of numbers, photos in base64."""
        ...

    def encodings(self) -> tuple[Encodings, NDArray[np.str_]]:
        """All encodings (N, D) and whose they are: person ids (N,), in the order of the samples' ids."""
        ...

    def changes(self) -> Stamp:
        """The state of the encodings; cheap enough to be asked for before every identification."""
        ...

    def news(self, since: Stamp) -> News:
        """What has changed since a stamp, so that nobody has to read a large gallery again for one new face."""
        ...

    def rotate_key(self, new_key: bytes | None = None) -> Path | None:
        """Encrypt everything under another key (32 bytes; a random one if the key lies in a key file).

        If the present key is in the environment variable MIEN_KEY, the new one may be in MIEN_NEW_KEY. Returns the key
        file that holds it, or None if the caller keeps the key. At every moment the old or the new key opens the
        gallery.
        """
        ...

    def close(self) -> None:
        """Let go of the store; the object is of no use afterwards."""
        ...

    def __len__(self) -> int:
        """How many people are enrolled: K."""
        ...

    def __enter__(self) -> Self:
        """The gallery, which the `with` block closes."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
