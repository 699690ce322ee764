"""Where a gallery's key comes from: the caller, the environment variable MIEN_KEY, or a key file.

The key file lies in the user's config folder, `mien/keys/GALLERY-ID.key`, mode 0600, never beside the gallery: who
copies the gallery's folder (a backup, a share) must not get the key with it. It holds 64 hexadecimal digits.

A new key is first written as `GALLERY-ID.key.new` and takes the old one's name only when the gallery is encrypted
under it; `find_key` tries both, so that the key survives a crash at any moment.

A key in MIEN_KEY is changed by setting MIEN_NEW_KEY, written the same way, to the new one for the one call of
`rotate_key`; from then on it belongs into MIEN_KEY. Nothing is written anywhere: who set the variables keeps the keys.
"""

from __future__ import annotations

import base64
import binascii
import os
import secrets
import shlex
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mien.errors import GalleryError, WrongKey
from mien.faces.gallery.crypto import KEY_BYTES

VARIABLE = "MIEN_KEY"
NEW_VARIABLE = "MIEN_NEW_KEY"


@dataclass(frozen=True)
class Key:
    """A key, and who keeps it."""

    value: bytes
    source: Literal["caller", "environment", "file"]

    def __repr__(self) -> str:
        return f"Key(source={self.source!r})"  # a key must not end up in a log or a traceback


def keys_folder() -> Path:
    """The user's folder for key files (it need not exist)."""
    if sys.platform == "win32":
        base = Path(os.environ.get("APPDATA", Path.home() / "AppData" / "Roaming"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return base / "mien" / "keys"


def key_file(gallery_id: str, gallery: Path) -> Path:
    """The key file of a gallery (it need not exist); GalleryError if it would lie beside the gallery."""
    folder = keys_folder()
    # Unlike Path.resolve, realpath has no errors of its own; a path that cannot be is told by who opens it.
    if Path(os.path.realpath(folder)) == Path(os.path.realpath(gallery)).parent:
        raise GalleryError(
            f"Expected the gallery in another folder than its key, but both would lie in “{folder}”; move the gallery "
            f"elsewhere, or keep its key in the environment variable {VARIABLE}."
        )
    return folder / f"{gallery_id}.key"


def parse_key(text: str, where: str) -> bytes:
    """The 32 bytes written as 64 hexadecimal digits or in base64; WrongKey, not repeating the text, otherwise."""
    text = text.strip()
    try:
        if len(text) == 2 * KEY_BYTES:
            key = bytes.fromhex(text)
        else:
            key = base64.b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if len(key) != KEY_BYTES:
        raise WrongKey(
            f"Expected {KEY_BYTES} bytes as {2 * KEY_BYTES} hexadecimal digits or in base64 in {where}, but got "
            f"{len(text)} characters that are neither; put a key there."
        )
    return key


def environment_key(variable: str = VARIABLE) -> bytes | None:
    """The key in MIEN_KEY, or in another variable; None if that is not set, or empty."""
    text = os.environ.get(variable)
    return parse_key(text, f"the environment variable {variable}") if text else None


def find_key(fits: Callable[[bytes], bool], *, gallery_id: str, gallery: Path) -> Key:
    """The key that fits a gallery: MIEN_KEY's, or its key file's; WrongKey says what was tried."""
    tried = []
    if (key := environment_key()) is not None:
        if fits(key):
            return Key(key, "environment")
        tried.append(f"the one in the environment variable {VARIABLE} does not fit")
    path = key_file(gallery_id, gallery)
    for candidate in (path, _staged(path), path):  # once more, for a rotation that ended between the two
        if (key := _read(candidate)) is None:
            continue
        if fits(key):
            if candidate != path:
                promote(path)
            return Key(key, "file")
        if (reason := f"the one in “{candidate}” does not fit") not in tried:
            tried.append(reason)
    if not _is_there(path):
        tried.append(f"there is no key file “{path}”")
    raise WrongKey(
        f"Expected the key of the gallery “{gallery}”, but {' and '.join(tried)}; bring the key file back from where "
        f"it was created, or set {VARIABLE} to the key. Without it nobody can read the gallery."
    )


def create_key_file(gallery_id: str, gallery: Path) -> tuple[Path, Key]:
    """Write a new random key for a gallery, and return where it lies."""
    path = key_file(gallery_id, gallery)
    key = Key(secrets.token_bytes(KEY_BYTES), "file")
    _write(path, key.value)
    return path, key


def stage(gallery_id: str, gallery: Path, *, current: bytes, new: bytes) -> Path:
    """Write a new key beside the old key file, before the gallery is encrypted under it; return the key file's path."""
    path = key_file(gallery_id, gallery)
    staged = _staged(path)
    if _is_there(staged):
        if _read(staged) == current:  # a rotation that was done, but for the file's name
            promote(path)
        else:  # one that never came to its end: nothing is encrypted under that key
            try:
                staged.unlink(missing_ok=True)
            except OSError as error:
                raise _unwritable(staged, error) from error
    _write(staged, new)
    return path


def promote(path: Path) -> None:
    """Let the staged key take the key file's name, now that the gallery is encrypted under it."""
    try:
        _staged(path).replace(path)
        _sync_folder(path.parent)
    except FileNotFoundError:
        return  # another process that opened the gallery has done it
    except OSError as error:
        raise _unwritable(path, error) from error


def _is_there(path: Path) -> bool:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise _unreadable(path, error) from error
    return True


def _staged(path: Path) -> Path:
    return path.with_name(path.name + ".new")


def _read(path: Path) -> bytes | None:
    """The key in a file, or None if there is no such file."""
    try:
        mode = path.stat().st_mode
        if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise WrongKey(
                f"Expected a key file that its owner alone may read, but the mode of “{path}” is "
                f"{stat.S_IMODE(mode):04o}; run: chmod 600 {shlex.quote(str(path))}"
            )
        text = path.read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(path, error) from error
    return parse_key(text, f"“{path}”")


def _write(path: Path, key: bytes) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(key.hex() + "\n")
            file.flush()
            os.fsync(file.fileno())
        _sync_folder(path.parent)
    except OSError as error:
        raise _unwritable(path, error) from error


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return  # Windows has no such thing
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unreadable(path: Path, error: OSError) -> WrongKey:
    return WrongKey(f"Expected to read the key file “{path}”, but got: {error.strerror}; check the file and its owner.")


def _unwritable(path: Path, error: OSError) -> GalleryError:
    return GalleryError(
        f"Expected to write the gallery's key file “{path}”, but got: {error.strerror}; make its folder writable, or "
        f"keep the key in the environment variable {VARIABLE}."
    )
