"""What happens when somebody is admitted: a command is run, a web address is told; the door waits for neither.

The receiver of a webhook checks the header `X-Mien-Signature` before it believes a word:

    good = hmac.compare_digest(header, signature(secret, timestamp, body))

with `X-Mien-Timestamp` no older than some minutes, so that an old message cannot be sent again.
"""

from __future__ import annotations

import contextlib
import hmac
import http.client
import ipaddress
import json
import os
import queue
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any
from urllib.parse import urlsplit

from mien.errors import OptionError

TRIES, PAUSES = 3, (1.0, 4.0)
"""How often a webhook is tried, and the seconds between."""
_WAITING = 32  # admissions that may wait; a door that admits faster than that is told so
_PRIVATE = ("MIEN_KEY", "MIEN_NEW_KEY", "MIEN_RTSP")  # no business of a command's


@dataclass(frozen=True)
class Admission:
    """Somebody was admitted."""

    person: str
    """Their random number in the gallery."""
    name: str
    camera: str
    time: datetime
    """UTC."""


def admission(person: str, name: str, camera: str) -> Admission:
    """An admission, now."""
    return Admission(person, name, camera, datetime.now(UTC))


class Relay:
    """Runs one thing after every admission, in a thread of its own; a context that lets what waits end.

    `said` is told, from that thread, what failed: a sentence without names.
    """

    def __init__(self, act: Callable[[Admission], str | None], *, said: Callable[[str], None]) -> None:
        """`act` gives None, or a sentence that says what failed."""
        self._act, self._said = act, said
        self._waiting: queue.Queue[Admission | None] = queue.Queue(_WAITING)
        self._thread = threading.Thread(target=self._work, name="mien-relay", daemon=True)
        self._thread.start()

    def admitted(self, who: Admission) -> None:
        """Hand it over, at once: never blocks, never raises."""
        try:
            self._waiting.put_nowait(who)
        except queue.Full:
            self._said("An admission was not passed on: too many wait already.")

    def close(self, *, timeout: float = 25.0) -> None:
        """Let what waits end, for so many seconds at most."""
        end = time.monotonic() + timeout
        with contextlib.suppress(queue.Full):
            self._waiting.put(None, timeout=timeout)
        self._thread.join(max(0.0, end - time.monotonic()))

    def __enter__(self) -> Relay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _work(self) -> None:
        while (who := self._waiting.get()) is not None:
            try:
                failed = self._act(who)
            except Exception as error:  # the next one is passed on all the same
                failed = f"An admission was not passed on: {type(error).__name__}."
            if failed is not None:
                self._said(failed)


# ---- a command -------------------------------------------------------------------------------------------------------


def command(line: str, *, seconds: float = 10.0) -> Callable[[Admission], str | None]:
    """What runs the command `line` after an admission, without a shell, for so many seconds at most.

    The command finds MIEN_PERSON, MIEN_NAME, MIEN_CAMERA and MIEN_TIME in its environment, and no key of the gallery;
    what it prints is thrown away. Raises OptionError if there is no such program.
    """
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise OptionError(f"Expected a command, but its quotes do not match ({error}): {line[:80]}") from error
    if not words or shutil.which(words[0]) is None:
        raise OptionError(
            f"Expected a program to run, but there is no {words[0][:80] if words else 'word in the command'!r}; give "
            "its whole path."
        )
    return lambda who: _run(words, who, seconds)


def _run(words: Sequence[str], who: Admission, seconds: float) -> str | None:
    surroundings = {name: value for name, value in os.environ.items() if name not in _PRIVATE}
    surroundings |= {
        "MIEN_PERSON": who.person,
        "MIEN_NAME": who.name,
        "MIEN_CAMERA": who.camera,
        "MIEN_TIME": who.time.isoformat(timespec="seconds"),
    }
    quiet = subprocess.DEVNULL
    try:
        child = subprocess.Popen(
            words, env=surroundings, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True
        )
    except OSError as error:
        return f"The command {words[0]} could not be run: {error.strerror or error}."
    try:
        code = child.wait(seconds)
    except subprocess.TimeoutExpired:
        _end(child)
        return f"The command {words[0]} was ended: it took more than {seconds:g} s."
    return None if code == 0 else f"The command {words[0]} ended with code {code}."


def _end(child: subprocess.Popen[bytes]) -> None:
    """End a command and whatever it started."""
    if sys.platform == "win32":
        child.kill()
    else:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
    child.wait()


# ---- a webhook -------------------------------------------------------------------------------------------------------


def read_secret(path: str | Path) -> bytes:
    """The secret in a file, without white space around it; OptionError if it is shorter than 16 bytes."""
    try:
        secret = Path(path).read_bytes().strip()
    except OSError as error:
        raise OptionError(f"Expected the webhook's secret in “{path}”, but: {error.strerror}.") from error
    if len(secret) < 16:
        raise OptionError(
            f"Expected a secret of at least 16 bytes in “{path}”, got {len(secret)}. Make one: openssl rand -hex 32"
        )
    return secret


def signature(secret: bytes, timestamp: str, body: bytes) -> str:
    """The signature of a message: `v1=` and the HMAC-SHA256 of timestamp, a dot, and body, in hexadecimal digits."""
    return "v1=" + hmac.digest(secret, timestamp.encode() + b"." + body, "sha256").hex()


def webhook(
    url: str, secret: bytes, *, seconds: float = 5.0, pauses: Sequence[float] = PAUSES
) -> Callable[[Admission], str | None]:
    """What posts an admission to a web address as JSON: id, time and camera, signed. No name leaves the machine.

    It is tried `TRIES` times, with `seconds` for each; a redirection is not followed. Raises OptionError for an address
    that is neither https nor of this machine.
    """
    address = _checked(url)
    here = _is_here(urlsplit(url).hostname or "")
    opener = urllib.request.build_opener(_Stay, *([urllib.request.ProxyHandler({})] if here else []))

    def act(who: Admission) -> str | None:
        message = {
            "event": "admit",
            "delivery": secrets.token_hex(16),  # the same for every try, so that a receiver counts it once
            "id": who.person,
            "time": who.time.isoformat(timespec="milliseconds"),
            "camera": who.camera,
        }
        body, failed = json.dumps(message).encode(), ""
        for pause in (*pauses[: TRIES - 1], None):
            failed, again = _post(opener, url, secret, body, seconds)
            if not failed:
                return None
            if not again or pause is None:
                break
            time.sleep(pause)
        return f"The webhook at {address} was not told of an admission: {failed}."

    return act


def _post(
    opener: urllib.request.OpenerDirector, url: str, secret: bytes, body: bytes, seconds: float
) -> tuple[str, bool]:
    """Why it failed (empty if it did not), and whether to try again."""
    timestamp = str(int(time.time()))
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "mien",
        "X-Mien-Timestamp": timestamp,
        "X-Mien-Signature": signature(secret, timestamp, body),
    }
    request = urllib.request.Request(url, data=body, headers=headers, method="POST")
    try:
        with opener.open(request, timeout=seconds):
            return "", False
    except urllib.error.HTTPError as error:
        with error:
            return f"it answered {error.code}", error.code >= 500 or error.code in (408, 429)
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        return getattr(reason, "strerror", None) or type(reason).__name__, True


class _Stay(urllib.request.HTTPRedirectHandler):
    """A redirection is an answer like another, and not followed to who knows where."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> None:
        return None


def _checked(url: str) -> str:
    """The address without its path, for sentences."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        parts, host, port = urlsplit(""), "", None
    if parts.username is not None or parts.password is not None:
        raise OptionError("Expected a webhook's address without a password in it; the signature says who sends.")
    address = f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{'' if port is None else f':{port}'}"
    if not host or not (parts.scheme == "https" or (parts.scheme == "http" and _is_here(host))):
        raise OptionError(
            f"Expected a webhook's address that begins with https://, or is of this machine, got {address[:80]}: "
            "who entered when is nobody else's business."
        )
    return address


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
