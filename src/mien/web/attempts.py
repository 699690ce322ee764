"""Tries at the door that go on: in memory, few, for a minute at most, each bound to one browser."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hmac
import math
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException

from mien.errors import LivenessError, MienError, OptionError
from mien.web.clients import Visitor
from mien.web.face_room import FaceRoom
from mien.web.problems import TooMany, not_there
from mien.web.settings import ServeSettings

if TYPE_CHECKING:
    from mien.faces.door import Attempt, Told
    from mien.faces.lockout import Lockout
    from mien.faces.recognize import Recognizer

CAMERA = "web"
"""What the log calls the cameras of browsers."""
_TIDIED_EVERY = 5.0


@dataclass(eq=False)
class Try:
    """One try, and whose it is."""

    id: str
    owner: str
    attempt: Attempt
    until: float
    frames: int = -1
    """Number of the last frame that was shown."""


class Attempts:
    """All tries at the door."""

    def __init__(
        self,
        settings: ServeSettings,
        faces: FaceRoom,
        *,
        choose: Any = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings, self._faces, self._choose, self._clock = settings, faces, choose, clock
        self._tries: dict[str, Try] = {}
        self._beginning = 0
        self._lockouts: list[Lockout] = []
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begin to end tries that nobody goes on with."""
        self._task = asyncio.create_task(self._tidy_now_and_then())

    async def close(self) -> None:
        """End all tries: not admitted."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for one in list(self._tries.values()):
            await self._leave(one, "ended")

    def locked(self, visitor: Visitor) -> float:
        """Seconds until this visitor may try again: their browser or their address failed too often."""
        if not self._lockouts:
            return 0.0
        return self._lockout().remaining(_who(visitor))

    async def begin(self, visitor: Visitor) -> Try:
        """A new try; an earlier one of the same browser ends."""
        await self.tidy()
        for earlier in [one for one in self._tries.values() if one.owner == visitor.owner]:
            await self._leave(earlier, "replaced")
        wait = self.locked(visitor)
        if wait > 0:
            raise TooMany("Please wait a few minutes, or ask at the desk.", seconds=wait)
        limits = self._settings.limits
        if self._beginning + sum(not one.attempt.over for one in self._tries.values()) >= limits.attempts:
            raise TooMany("Too many people try at the same time; please wait a moment.", seconds=5)
        self._beginning += 1
        try:
            attempt = await self._faces.ask(lambda recognizer: self._made(recognizer, visitor))
        finally:
            self._beginning -= 1
        one = Try(secrets.token_urlsafe(16), visitor.owner, attempt, self._clock() + limits.attempt_seconds)
        self._tries[one.id] = one
        return one

    def _made(self, recognizer: Recognizer, visitor: Visitor) -> Attempt:
        from mien.faces.door import Attempt
        from mien.faces.liveness.challenge import choose_steps

        steps = choose_steps(self._settings.steps, choose=self._choose) if self._settings.steps else ()
        return Attempt(
            recognizer,
            self._faces.passive(),
            steps,
            CAMERA,
            clock=self._clock,
            lockout=self._lockout(),
            client=_who(visitor),
        )

    def get(self, id: str, visitor: Visitor, nonce: str) -> Try:
        """A try of this very browser, which knows its nonce; a refusal as if there were none for anybody else."""
        one = self._tries.get(id)
        if one is None or one.owner != visitor.owner or not hmac.compare_digest(one.attempt.nonce, _ascii(nonce)):
            raise not_there("try")
        return one

    async def show(self, one: Try, number: int, read: Callable[[], Any], taken: float) -> Told:
        """Show a frame, which `read` decodes; LivenessError once the try is over, or if the frame comes too late."""
        if one.attempt.over or self._clock() >= one.until:
            await self._leave(one, "late")
            raise LivenessError("This try is over; begin a new one.")
        if not math.isfinite(taken):
            raise OptionError("Expected the time at which the camera took the frame, in seconds.")

        def shown(recognizer: Recognizer) -> Told:
            if number <= one.frames:
                raise LivenessError("This frame was shown already, or a later one was.")
            image = read()
            one.frames = number  # what cannot be read was not shown
            return one.attempt.show(image, taken)

        return await self._faces.ask(shown)

    async def tidy(self) -> None:
        """End the tries whose time is over, and forget them."""
        for one in [one for one in self._tries.values() if self._clock() >= one.until]:
            await self._leave(one, "late")
            self._tries.pop(one.id, None)

    async def _leave(self, one: Try, reason: str) -> None:
        if not one.attempt.over:
            await self._faces.ask(lambda recognizer: one.attempt.leave(reason))

    async def _tidy_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(_TIDIED_EVERY)
            with contextlib.suppress(MienError, HTTPException):  # busy; the next round tries again
                await self.tidy()

    def _lockout(self) -> Lockout:
        if not self._lockouts:
            self._lockouts.append(_both()(clock=self._clock))
        return self._lockouts[0]


@functools.cache
def _both() -> type[Lockout]:
    from mien.faces.lockout import Lockout

    class Both(Lockout):
        """Counts an address and a browser, and locks whichever fails too often: cookies can be thrown away."""

        def remaining(self, who: str) -> float:
            return max(super(Both, self).remaining(part) for part in who.split())

        def failed(self, who: str) -> float:
            return max(super(Both, self).failed(part) for part in who.split())

        def succeeded(self, who: str) -> None:
            for part in who.split():
                super().succeeded(part)

    return Both


def _who(visitor: Visitor) -> str:
    return f"address:{visitor.address} browser:{visitor.owner}"


def _ascii(text: str) -> str:
    """compare_digest takes no other letters, and no nonce has any."""
    return text if text.isascii() else ""
