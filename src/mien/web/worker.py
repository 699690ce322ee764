"""The process that paints and looks: it takes one order at a time from a pipe, and tells how far it is.

Orders and what is told are JSON, drafts are JPEG: whatever a hostile picture might do to this process, it cannot make
the server unpickle anything.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import mien
from mien.errors import MienError
from mien.web.records import INPUTS, PICTURE, REPORT, STYLES
from mien.web.sentences import log_failure, sentence_of

if TYPE_CHECKING:
    from mien.style.painting import Iterate

TOLD_EVERY, DRAWN_EVERY = 0.2, 1.0
"""Seconds between two words about the progress, and between two drafts."""
_BATCH = 8
_LOOKING = 0.4  # of a look's time goes into its inputs, the rest into its layers


class Cancelled(Exception):
    """The order was taken back."""


class Teller:
    """The worker's end of the pipe: what it says, and whether it has been told to stop."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._begun = self._told = self._drawn = time.monotonic()
        self._drawn -= DRAWN_EVERY
        self._parts: list[str] = []

    def say(self, **message: Any) -> None:
        """Send one message."""
        self._connection.send_bytes(json.dumps(message).encode())

    def check(self) -> Literal[False]:
        """Raise Cancelled if the order was taken back; EOFError if the server is gone."""
        while self._connection.poll():
            if json.loads(self._connection.recv_bytes()).get("do") == "cancel":
                raise Cancelled
        return False

    def step(self, iterate: Iterate) -> None:
        """One step of a painting."""
        self.check()
        whole = iterate.seconds + iterate.remaining
        self._progress(
            iterate.seconds / whole if whole > 0 else 0.0,
            iterate.remaining,
            f"{iterate.size} px, step {iterate.step} of {iterate.steps}",
        )
        now = time.monotonic()
        if now - self._drawn >= DRAWN_EVERY:
            self._drawn = now
            self._connection.send_bytes(_jpeg(iterate.snapshot()))

    def look(self, what: str, done: int, total: int, *, parts: int) -> None:
        """How far a look is: `done` of `total` of one of its parts, the inputs first and then each layer's."""
        self.check()
        if what not in self._parts:
            self._parts.append(what)
        here, part = done / total if total else 0.0, len(self._parts) - 2
        fraction = _LOOKING * here if part < 0 else _LOOKING + (1 - _LOOKING) * min(1.0, (part + here) / parts)
        self._progress(fraction, None, f"{what}, {done} of {total}")

    def _progress(self, fraction: float, remaining: float | None, words: str) -> None:
        now = time.monotonic()
        if now - self._told >= TOLD_EVERY:
            self._told = now
            self.say(fraction=fraction, elapsed=now - self._begun, remaining=remaining, words=words)


def main(connection: Connection) -> None:
    """Work until the server is gone."""
    _settle_in()
    with contextlib.suppress(EOFError, OSError):  # the pipe's other end is closed
        while True:
            order = json.loads(connection.recv_bytes())
            if order["do"] in _WORK:
                connection.send_bytes(json.dumps(_outcome(order, connection)).encode())


def _settle_in() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the server, which says what is to be done
    if hasattr(os, "nice"):
        os.nice(5)  # the page stays quick while a picture is painted
    # If memory runs out, rather this process than the server, which can say so and go on.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")


def _outcome(order: dict[str, Any], connection: Connection) -> dict[str, Any]:
    teller = Teller(connection)
    begun = time.monotonic()
    try:
        teller.say(fraction=0.0, elapsed=0.0, remaining=None, words="loading")
        found = _WORK[order["do"]](Path(order["folder"]), order, teller)
        return {"end": "done", "seconds": round(time.monotonic() - begun, 2), **found}
    except Cancelled:
        return {"end": "cancelled"}
    except MienError as error:
        return {"end": "failed", "sentence": sentence_of(error, administrator=False)}
    except MemoryError:
        return {"end": "failed", "sentence": "There is not enough memory for this; try a smaller size."}
    except (EOFError, BrokenPipeError):
        raise
    except Exception as error:
        log_failure(error, "the worker")
        return {"end": "broken"}


def _paint(folder: Path, order: dict[str, Any], teller: Teller) -> dict[str, Any]:
    from mien.style.inputs import gather
    from mien.style.options import StyleOptions
    from mien.style.painting import Painting
    from mien.style.stylize import result

    options = StyleOptions.from_dict(order["options"])
    given = (order["photo"], *order["files"])
    photo, *files = [_opened(folder / INPUTS / item["file"], item["name"]) for item in given]
    drawn = [_pattern(name, options.seed, folder.parent.parent / STYLES) for name in order["styles"]]
    painting = Painting(gather(photo, [*drawn, *files], options=options), options)
    for iterate in painting.run():
        teller.step(iterate)
    finished = result(painting)
    finished.save(folder / PICTURE, force=True)
    return {"notes": list(finished.notes)}


def _pattern(name: str, seed: int, folder: Path) -> _Named | str:
    """A built-in style as it is drawn, kept as a file without loss: drawing one takes seconds."""
    if seed:
        return name
    from mien import images
    from mien.style import patterns
    from mien.style.inputs import PATTERN_SIZE

    path = folder / f"{name.removeprefix('@')}-{mien.__version__}.png"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        images.save(path, patterns.draw(name, PATTERN_SIZE, seed=seed), force=True)
    return _opened(path, name)


def _look(folder: Path, order: dict[str, Any], teller: Teller) -> dict[str, Any]:
    from mien.visualize.report import look
    from mien.visualize.saving import save_report
    from mien.visualize.sources import open_source
    from mien.visualize.subjects import LAYERS_SHOWN, open_subject

    subject = open_subject(order["model"])
    parts = (len(order["layers"]) if order["layers"] else LAYERS_SHOWN) * max(1, len(order["methods"]))
    report = look(
        subject,
        open_source(folder / INPUTS, subject),
        data=order["data"],
        layers=order["layers"],
        units=order["units"],
        methods=tuple(order["methods"]),
        top=order["top"],
        batch=_BATCH,
        progress=lambda what, done, total: teller.look(what, done, total, parts=parts),
        stopped=teller.check,
    )
    teller.check()
    save_report(report, folder / REPORT, force=True)
    return {"notes": list(report.notes)}


_WORK: dict[str, Callable[[Path, dict[str, Any], Teller], dict[str, Any]]] = {"painting": _paint, "look": _look}


class _Named(io.BytesIO):
    """A file's bytes under the name that its owner knows it by, instead of the one it has here."""

    name = ""


def _opened(path: Path, name: str) -> _Named:
    file = _Named(path.read_bytes())
    file.name = name
    return file


def _jpeg(pixels: Any) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=85)
    return file.getvalue()
