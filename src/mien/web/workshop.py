"""The server's end of the worker: begins it, gives it orders, hears what it says, and ends it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

from mien.web import worker

PATIENCE = 10.0
"""Seconds in which a worker that was told to stop has to, before it is killed."""

Told = Callable[[dict[str, Any] | bytes], None]


class Workshop:
    """One worker process, begun when it is needed and kept warm; a worker that dies is replaced at the next order."""

    def __init__(self, work: Callable[[Connection], None] = worker.main, *, patience: float = PATIENCE) -> None:
        self.begun = 0
        """How many workers there have been."""
        self._work = work
        self._patience = patience
        self._process: SpawnProcess | None = None
        self._connection: Connection | None = None
        self._messages: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._kill_at: float | None = None
        self._busy = False

    @property
    def alive(self) -> bool:
        """Whether there is a worker at this moment."""
        return self._process is not None and self._process.is_alive()

    @property
    def pid(self) -> int | None:
        """The worker's process number."""
        return self._process.pid if self._process is not None else None

    async def do(self, order: dict[str, Any], told: Told, *, seconds: float) -> dict[str, Any]:
        """Have one order done, and return its last message: `end` is done, cancelled, failed, broken, died or late."""
        loop = asyncio.get_running_loop()
        deadline, self._kill_at, self._busy = loop.time() + seconds, None, True
        try:
            await self._ensure()
            if self._kill_at is not None:
                return {"end": "cancelled"}
            if not self._send(order):
                return await self._died()
            while True:
                until = deadline if self._kill_at is None else min(deadline, self._kill_at)
                try:
                    message = await asyncio.wait_for(self._messages.get(), max(0.0, until - loop.time()))
                except TimeoutError:
                    if self._kill_at is None and loop.time() < deadline:
                        continue
                    if self._kill_at is not None and loop.time() < self._kill_at:
                        continue
                    stopped = self._kill_at is not None
                    await self._end()
                    return {"end": "cancelled" if stopped else "late"}
                if message is None:
                    return {"end": "cancelled"} if self._kill_at is not None else await self._died()
                if message == b"":  # told to stop: the time is reckoned anew
                    continue
                if message.startswith(b"\xff\xd8"):
                    told(message)
                    continue
                heard = json.loads(message)
                if "end" in heard:
                    return dict(heard)
                told(heard)
        finally:
            self._busy, self._kill_at = False, None

    def cancel(self) -> None:
        """Tell the worker to stop what it is doing; if it does not listen, it is killed."""
        if self._busy and self._kill_at is None:
            self._send({"do": "cancel"})
            self._kill_at = asyncio.get_running_loop().time() + self._patience
            self._messages.put_nowait(b"")

    async def close(self) -> None:
        """End the worker, whatever it is doing."""
        await self._end()

    # ---- the process -------------------------------------------------------------------------------------------------

    async def _ensure(self) -> None:
        if self.alive:
            return
        await self._end()
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe()
        process = context.Process(target=self._work, args=(there,), name="mien worker", daemon=True)
        await asyncio.to_thread(process.start)
        there.close()  # its end is the worker's alone, so that the worker's death closes it
        self._process, self._connection, self._messages = process, here, asyncio.Queue()
        self.begun += 1
        ear = (here, asyncio.get_running_loop(), self._messages)
        threading.Thread(target=_listen, args=ear, name="mien worker's ear", daemon=True).start()

    def _send(self, message: dict[str, Any]) -> bool:
        if self._connection is None:
            return False
        try:
            self._connection.send_bytes(json.dumps(message).encode())
        except OSError:
            return False
        return True

    async def _died(self) -> dict[str, Any]:
        process = self._process
        if process is not None:
            await asyncio.to_thread(process.join, 5)
        code = None if process is None else process.exitcode
        await self._end()
        return {"end": "died", "code": code}

    async def _end(self) -> None:
        process, self._process, self._connection = self._process, None, None
        if process is not None:
            process.kill()  # which ends the pipe, and with it the listener
            await asyncio.to_thread(process.join, 5)


def _listen(connection: Connection, loop: asyncio.AbstractEventLoop, messages: asyncio.Queue[bytes | None]) -> None:
    """Pass on what the worker says until it is gone."""
    message: bytes | None = b""
    while message is not None:
        try:
            message = connection.recv_bytes()
        except (EOFError, OSError):
            message = None
            connection.close()
        with contextlib.suppress(RuntimeError):  # the loop is over, and nobody listens
            loop.call_soon_threadsafe(messages.put_nowait, message)
