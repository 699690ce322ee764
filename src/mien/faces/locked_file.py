"""The audit log's file: locked against others, and written a whole line at a time."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from mien.errors import AuditError, OutputError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


def is_there(path: Path) -> bool:
    """Also True where the system does not say: opening the file will."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def check_folder(path: Path, folder: Path) -> None:
    """Raise OutputError if nothing can be written to `path`, which is to be made in this folder."""
    try:
        if not stat.S_ISDIR(folder.stat().st_mode):
            raise NotADirectoryError(errno.ENOTDIR, f"“{folder}” is no folder")
    except OSError as error:
        raise refused(path, error, writing=True) from error
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        raise refused(path, PermissionError(errno.EACCES, f"the folder “{folder}” is read-only"), writing=True)


@contextlib.contextmanager
def locked(path: Path, flags: int, *, lock: bool = True) -> Iterator[BinaryIO]:
    """The file, locked against other processes and threads; a new one has mode 0600."""
    writing = bool(flags & os.O_RDWR)
    new = bool(flags & os.O_CREAT) and not is_there(path)
    try:
        number = os.open(path, flags | getattr(os, "O_BINARY", 0), 0o600)
    except OSError as error:
        raise refused(path, error, writing=writing) from error
    with os.fdopen(number, "r+b" if writing else "rb", buffering=0 if writing else -1) as file:
        if lock:
            _lock(number, exclusive=writing)
        try:
            if new:
                _sync_folder(path.parent)
            yield file
        finally:
            if lock:
                _unlock(number)


if sys.platform == "win32":
    _FAR = 0x7FFF_0000  # a byte that no log reaches: a lock there lets others read

    def _lock(number: int, *, exclusive: bool) -> None:
        where = os.lseek(number, 0, os.SEEK_CUR)
        os.lseek(number, _FAR, os.SEEK_SET)
        msvcrt.locking(number, msvcrt.LK_LOCK, 1)
        os.lseek(number, where, os.SEEK_SET)

    def _unlock(number: int) -> None:
        os.lseek(number, _FAR, os.SEEK_SET)
        msvcrt.locking(number, msvcrt.LK_UNLCK, 1)

    def _sync_folder(folder: Path) -> None:
        """Windows has no such thing."""

else:

    def _lock(number: int, *, exclusive: bool) -> None:
        fcntl.flock(number, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)

    def _unlock(number: int) -> None:
        fcntl.flock(number, fcntl.LOCK_UN)

    def _sync_folder(folder: Path) -> None:
        """Only then does a new file's name survive a loss of power."""
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def write_or_leave(file: BinaryIO, line: bytes, path: Path) -> None:
    """Write a whole line in one write, on the disk; the file as it was if that fails."""
    size = file.seek(0, os.SEEK_END)
    try:
        written = os.write(file.fileno(), line)
        if written != len(line):
            raise OSError(f"{written} of {len(line)} bytes were written; the disk may be full")
        os.fsync(file.fileno())
    except OSError as error:
        os.ftruncate(file.fileno(), size)
        raise refused(path, error, writing=True) from error


def refused(path: Path, error: OSError, *, writing: bool) -> AuditError | OutputError:
    """The error for a log, or the head of one, that cannot be written or read."""
    reason = error.strerror or error
    if writing:
        return OutputError(f"Expected to write the audit log “{path}”, but could not ({reason}); nothing was added.")
    return AuditError(f"Expected an audit log in “{path}”, but could not read it ({reason}).")
