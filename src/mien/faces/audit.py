"""An append-only log of decisions in which edits show: JSON Lines, each bound to the one before by an HMAC.

    audit = Audit("office.audit", key, head_file="elsewhere/office.head")
    audit.append("identify", person=person.id, verdict="known", tau=0.95, people=4)
    verify("office.audit", key, read_head("elsewhere/office.head", key))

What `verify` finds, for whoever changed the file without the key: any edited byte, and any line removed from the front
or the middle, added, repeated, swapped or brought from another log. Lines cut from the *end* leave a log that is whole
in itself, so they (and a log that was removed, or put back as it once was) are found only against a `Head` kept where
the attacker cannot write. A head that somebody made up is refused, for it carries an HMAC; one that somebody removed is
missed by the next `append`, which says so in the log before it writes a new one. What is not found: anything done by
somebody who holds the key; entries that never were written; entries that were written after the last kept head, and
cut; a log and its head that were put back, or removed, together; a wrong clock, for times are this computer's own.

An `append` that returned has reached the disk. A line that a crash left unfinished is no entry; the next `append`
removes it and records so.

The log holds no names, images, encodings or texts: fields have fixed kinds. People stand there by their random ids, so
forgetting somebody makes their lines anonymous. Distances are kept, to 3 decimals: they tell the administrator whether
a door was opened by a hair's breadth, and none of them leaves this file (mode 0600); feeding rounded scores back to
somebody who tries pictures is the real danger, and nobody at the door reads this.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import math
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from mien.errors import AuditError, OutputError
from mien.faces.locked_file import check_folder, is_there, locked, refused, write_or_leave
from mien.images import write_whole

Value = str | int | float | bool

_START = "0" * 64  # what the first entry has as its previous one
_LONGEST = 4096  # bytes; no line is longer
_PURPOSE = b"mien audit log, version 1"
_HEAD_PURPOSE = b"head, version 1: "  # no entry begins like this
_ID, _WORD = re.compile(r"[0-9a-f]{32}"), re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+-]{0,63}")
_LABEL = re.compile(r"[^\x00-\x1f\x7f]{1,200}")
_TEXTS = {
    "person": _ID,
    "runner_up": _ID,
    "verdict": _WORD,
    "reason": _WORD,
    "source": _WORD,  # a camera or door
    "steps": _WORD,  # of a liveness challenge, such as left+up
    "encoder": _LABEL,  # name or digest
}
_DECIMALS = {"distance": 3, "tau": 6, "probability": 3, "highest": 3, "fmr": 15, "fpir": 15}
_COUNTS = ("people", "samples", "faces", "bytes")


@dataclass(frozen=True)
class Head:
    """The end of a log: how many entries, and the last one's hash."""

    count: int
    digest: str


@dataclass(frozen=True)
class Entry:
    """One line of a log."""

    number: int
    """1 for the first."""
    time: datetime
    """UTC."""
    event: str
    fields: dict[str, Value]
    previous: str
    digest: str


@dataclass(frozen=True)
class Report:
    """A log that is whole."""

    entries: int
    first: datetime | None
    last: datetime | None
    repairs: int
    """How often a line that a crash left unfinished was removed."""
    heads_missing: int
    """How often the kept head was not in its place, so that entries cut before that moment would not show."""
    head: Head


class Audit:
    """A log that entries can be added to, by several processes at once.

    key: at least 16 bytes; the log's own key is derived from it. It has to stay the same as long as the log does, so
        take a secret that a rotation of the gallery's key wraps anew, or begin a new log with the new key.
    head_file: where the head is written after every entry, for a later `verify`. Keep it out of reach of whoever could
        cut the log. `append` refuses a log that is shorter than this file says. Where a log has entries and no head
        lies there, somebody removed it, or the log is a copy, or a crash came between the first entry and its head:
        `append` then writes an entry `head-missing` before its own, and `verify` counts these.
    """

    def __init__(self, path: str | Path, key: bytes, *, head_file: str | Path | None = None) -> None:
        self.path = Path(path)
        self._key = _derived(key)
        self._head_file = None if head_file is None else Path(head_file)

    def append(self, event: str, **fields: Value | None) -> Head:
        """Write one entry, and return when it has reached the disk; the head is for whoever keeps it.

        event: one word, such as enrol, identify, verify, forget, rotate-key, admit or deny.
        fields: person and runner_up (ids), verdict, reason and source (one word each), encoder (name or digest),
            steps (of a challenge), distance, tau, probability and highest (the least and the greatest of several),
            fmr, fpir, people, samples, faces. None is left out.

        Raises AuditError for other fields, and if the log's end was edited or cut, belongs to another key, or its head
        was forged; OutputError if the log or its head cannot be written: then nothing of the entry is left.
        """
        record = _record(event, fields)
        with locked(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT) as file:
            head, torn = self._end(file)
            missing = self._check_not_cut(head) is None and self._head_file is not None and bool(head.count or torn)
            if torn:
                head = self._repaired(file, head, torn)
            size = file.seek(0, os.SEEK_END)
            try:
                if missing:
                    head = self._write(file, head, {"event": "head-missing"})
                head = self._write(file, head, record)
                self._keep(head)
            except OutputError:
                os.ftruncate(file.fileno(), size)
                raise
        return head

    def check(self) -> None:
        """Raise what an `append` would raise at this moment, and write nothing; cheap: the log's end alone is read.

        For whoever is to be told before something is changed that could not be written down afterwards. It promises
        nothing: the disk may be full a moment later.
        """
        if is_there(self.path):
            with locked(self.path, os.O_RDWR | os.O_APPEND) as file:
                self._check_not_cut(self._end(file)[0])
        else:
            self._check_not_cut(Head(0, _START))
            check_folder(self.path, self.path.parent)
        if self._head_file is not None:  # its folder is made by the first entry
            folder = self._head_file.parent
            while not is_there(folder) and folder != folder.parent:
                folder = folder.parent
            check_folder(self._head_file, folder)

    def head(self) -> Head:
        """The log's present end; an unfinished line does not count."""
        if not is_there(self.path):
            return Head(0, _START)
        with locked(self.path, os.O_RDONLY) as file:
            return self._end(file)[0]

    def _keep(self, head: Head) -> None:
        if self._head_file is None:
            return
        try:
            self._head_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise refused(self._head_file, error, writing=True) from error
        record = {"count": head.count, "digest": head.digest, "hash": _head_hash(self._key, head)}

        def write(out: BinaryIO) -> None:
            if sys.platform != "win32":
                os.fchmod(out.fileno(), 0o600)
            out.write(json.dumps(record).encode() + b"\n")

        write_whole(self._head_file, write)

    def _end(self, file: BinaryIO) -> tuple[Head, bytes]:
        """The last finished entry, and what a crash left behind it."""
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 2 * _LONGEST))
        *lines, torn = file.read().split(b"\n")
        if not lines and size <= _LONGEST:
            return Head(0, _START), torn
        entry = _parsed(lines[-1] + b"\n", self._key) if lines and len(torn) <= _LONGEST else None
        if entry is None:
            raise AuditError(
                f"Expected “{self.path}” to end with an entry made with this key, but it was edited, or its key is "
                "another one. Keep the file as evidence, and move it away to begin a new log."
            )
        return Head(entry.number, entry.digest), torn

    def _check_not_cut(self, head: Head) -> Head | None:
        """The kept head, with which the log's end agrees; None if there is none."""
        kept = None if self._head_file is None else _read_head(self._head_file, self._key)
        if kept is None:
            return None
        if head.count < kept.count or (head.count == kept.count and head.digest != kept.digest):
            raise AuditError(
                f"Expected “{self.path}” to hold the {kept.count} entries that “{self._head_file}” knows of, but it "
                f"ends with another entry, number {head.count}: it was cut or replaced. Keep both files as evidence, "
                "and move them away to begin a new log."
            )
        return kept

    def _repaired(self, file: BinaryIO, head: Head, torn: bytes) -> Head:
        whole = _parsed(torn + b"\n", self._key)
        if whole and (whole.number, whole.previous) == (head.count + 1, head.digest):
            write_or_leave(file, b"\n", self.path)  # only its end is missing
            return Head(whole.number, whole.digest)
        os.ftruncate(file.fileno(), file.seek(0, os.SEEK_END) - len(torn))
        return self._write(file, head, {"event": "repair", "bytes": len(torn)})

    def _write(self, file: BinaryIO, head: Head, record: dict[str, Value]) -> Head:
        time = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        full = {"number": head.count + 1, "time": time, **record, "previous": head.digest}
        body = json.dumps(full, separators=(",", ":"), allow_nan=False).encode()[:-1]
        digest = _digest(self._key, body)
        write_or_leave(file, body + _ending(digest), self.path)
        return Head(head.count + 1, digest)


def verify(path: str | Path, key: bytes, head: Head | None = None) -> Report:
    """Read a whole log and check every line; against a head kept elsewhere, also that its end was not cut.

    The log may be longer than the head says. Raises AuditError naming the first bad line, and whether it was edited,
    inserted or reordered, or lines were cut.
    """
    secret = _derived(key)
    end, first, last, repairs, missing = Head(0, _START), None, None, 0, 0
    with locked(Path(path), os.O_RDONLY) as file:
        for line in _lines(file):
            entry = _parsed(line, secret)
            if entry is None or (entry.number, entry.previous) != (end.count + 1, end.digest):
                raise AuditError(f"Line {end.count + 1} of “{path}” {_diagnosis(line, entry, end, file, secret)}.")
            end = Head(entry.number, entry.digest)
            first, last = first or entry.time, entry.time
            repairs += entry.event == "repair"
            missing += entry.event == "head-missing"
            if head is not None and head.count == end.count and head.digest != end.digest:
                raise AuditError(
                    f"Line {end.count} of “{path}” was edited with its key or comes from another log: its hash is not "
                    "the one that was kept elsewhere."
                )
    if head is not None and end.count < head.count:
        raise AuditError(
            f"Line {end.count + 1} of “{path}” and what follows was cut: expected at least {head.count} entries, but "
            f"got {end.count}."
        )
    return Report(end.count, first, last, repairs, missing, end)


def entries(path: str | Path, *, since: datetime | None = None, person: str | None = None) -> Iterator[Entry]:
    """The entries from a moment on, or about one person's id, in order; nothing is verified.

    since: with its time zone. An unfinished last line is left out; AuditError for a line that is no entry.
    """
    if since is not None and since.tzinfo is None:
        raise AuditError(f"Expected a moment with its time zone, but got {since}; add tzinfo=UTC, for example.")
    with locked(Path(path), os.O_RDONLY, lock=False) as file:
        for number, line in enumerate(_lines(file), 1):
            if not line.endswith(b"\n") and len(line) < _LONGEST:
                return
            entry = _parsed(line, None)
            if entry is None:
                raise AuditError(f"Line {number} of “{path}” is no entry of an audit log; verify the log.")
            about = person is None or person in (entry.fields.get("person"), entry.fields.get("runner_up"))
            if about and (since is None or entry.time >= since):
                yield entry


def read_head(path: str | Path, key: bytes) -> Head:
    """The head that an `Audit` with this key wrote to its `head_file`; AuditError if there is none, or a forged one."""
    head = find_head(path, key)
    if head is None:
        raise AuditError(f"Expected the head of an audit log in “{path}”, but there is no such file.")
    return head


def find_head(path: str | Path, key: bytes) -> Head | None:
    """As `read_head`, but None if there is no file."""
    return _read_head(Path(path), _derived(key))


# -- heads -------------------------------------------------------------------------------------------------------------


def _head_hash(secret: bytes, head: Head) -> str:
    return _digest(secret, _HEAD_PURPOSE + f"{head.count} {head.digest}".encode())


def _read_head(path: Path, secret: bytes) -> Head | None:
    """The head in a file; None if there is no file, AuditError if it is not one made with this secret."""
    try:
        found = json.loads(path.read_bytes())
        head, digest = Head(int(found["count"]), str(found["digest"])), str(found.get("hash", ""))
        whole = hmac.compare_digest(digest.encode(), _head_hash(secret, head).encode())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise AuditError(
            f"Expected the head of an audit log in “{path}”, but could not read it ({error.strerror}); make the file "
            "and its folder readable."
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        whole = False
    if not whole:
        raise AuditError(
            f"Expected in “{path}” the head of an audit log as it was written with this key, but it was forged or "
            "damaged. Keep it and the log as evidence, and move both away to begin a new log."
        )
    return head


# -- lines -------------------------------------------------------------------------------------------------------------


def _derived(key: bytes) -> bytes:
    if len(key) < 16:
        raise AuditError(f"Expected a key of at least 16 bytes, but got {len(key)}; use the gallery's key.")
    return hmac.digest(key, _PURPOSE, "sha256")


def _digest(secret: bytes, body: bytes) -> str:
    return hmac.digest(secret, body, "sha256").hex()


def _ending(digest: str) -> bytes:
    return b',"hash":"' + digest.encode() + b'"}\n'


def _record(event: str, fields: dict[str, Value | None]) -> dict[str, Value]:
    if not _WORD.fullmatch(event):
        raise AuditError(f"Expected an event of one word, such as identify, but got {event!r}; choose a word.")
    given = {name: value for name, value in fields.items() if value is not None}
    return {"event": event, **{name: _field(name, value) for name, value in given.items()}}


def _field(name: str, value: Value) -> Value:
    """The value as the log keeps it; AuditError for anything that might be a name, a text or a vector."""
    if name in _TEXTS and isinstance(value, str) and _TEXTS[name].fullmatch(value):
        return value
    with contextlib.suppress(TypeError, ValueError):
        if name in _DECIMALS and not isinstance(value, str) and math.isfinite(number := float(value)):
            return round(number, _DECIMALS[name])
        if name in _COUNTS and not isinstance(value, str) and 2**53 > int(value) == value >= 0:
            return int(value)
    if name in (*_TEXTS, *_DECIMALS, *_COUNTS):
        # The value is not repeated: it may be what must not be written down.
        raise AuditError(
            f"Expected {_kind(name)} as an audit entry's {name}, but got another {type(value).__name__}; names and "
            "texts are not kept here."
        )
    known = ", ".join((*_TEXTS, *_DECIMALS, *_COUNTS))
    raise AuditError(f"Expected an audit entry's fields among {known}, but got {name!r}; leave it out.")


def _kind(name: str) -> str:
    if name in _TEXTS:
        return {_ID: "32 hexadecimal digits", _WORD: "one word", _LABEL: "a short label"}[_TEXTS[name]]
    return "a whole number" if name in _COUNTS else "a finite number"


def _parsed(line: bytes, secret: bytes | None) -> Entry | None:
    """The entry on a line, or None if it is none, or none made with this secret (if one is given)."""
    tail = len(_ending(_START))
    body, ending = line[:-tail], line[-tail:]
    if secret is not None and not hmac.compare_digest(ending, _ending(_digest(secret, body))):
        return None
    try:
        record = json.loads(line)
        return Entry(
            number=int(record.pop("number")),
            time=datetime.fromisoformat(record.pop("time")).astimezone(UTC),
            event=record.pop("event"),
            previous=record.pop("previous"),
            digest=record.pop("hash"),
            fields=record,
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Line by line, but never more than `_LONGEST` bytes of a file that is no log at all."""
    return iter(lambda: file.readline(_LONGEST), b"")


def _diagnosis(line: bytes, entry: Entry | None, end: Head, file: BinaryIO, secret: bytes) -> str:
    """What was done to the first bad line, told from what follows it."""
    wanted = (end.count + 1, end.digest)
    later = [_parsed(other, secret) for other in _lines(file)]
    links = [(other.number, other.previous) for other in later if other]
    if entry is None:
        if links[:1] == [wanted] and later[0]:
            return "was inserted"
        if not line.endswith(b"\n"):
            return "was edited or cut short, or a crash interrupted its writing (the next entry would repair that)"
        return "was edited" if end.count or links else "was edited, or its key is another one"
    if entry.number <= end.count:
        return f"was inserted: it is a copy of entry {entry.number}, or of another log's"
    if wanted in links:
        return f"was reordered: it holds entry {entry.number}, and entry {wanted[0]} stands behind it"
    if entry.number > wanted[0]:
        return f"was cut: it holds entry {entry.number}, and what stood before it is missing"
    return "was inserted: it does not follow from the line before, and comes from another log"
