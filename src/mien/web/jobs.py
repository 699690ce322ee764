"""The queue: who waits, what runs, how far it is, what is kept of it and until when.

Everything here runs in the event loop; the work itself is done by the `Workshop`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import secrets
import shutil
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from mien.errors import MienError
from mien.web.data_lock import DataLock
from mien.web.problems import Refusal, TooMany, not_there
from mien.web.records import ENDED, INPUTS, RECORD, Job, Kind, State, now
from mien.web.sentences import BROKEN, log_failure
from mien.web.settings import ServeSettings
from mien.web.workshop import Workshop

logger = logging.getLogger("mien.web")

TOLD_EVERY, QUIET_FOR, TIDIED_EVERY = 0.25, 15.0, 5.0
"""Seconds: between two events, until a comment shows that the stream lives, and between two rounds of tidying."""

_ID = re.compile(r"[0-9a-f]{32}")

STOPPED = "The server was stopped."
ABANDONED = "Nobody was there any more to wait for it."
_ENDS = {
    "late": "It took longer than this server allows, and was stopped; try a smaller size.",
    "died": "The process that worked on it ended, perhaps for want of memory; try a smaller size.",
    "broken": BROKEN,
}


class Jobs:
    """All jobs of all clients."""

    def __init__(
        self, settings: ServeSettings, *, workshop: Workshop | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.folder = settings.data / "jobs"
        self.workshop = workshop or Workshop()
        self.lock: DataLock | None = None
        self._settings, self._clock = settings, clock
        self._jobs: dict[str, Job] = {}  # in the order they came
        self._seen: dict[str, float] = {}  # owner -> when they last asked for something
        self._streams: Counter[str] = Counter()
        self._wake, self._stopping = asyncio.Event(), asyncio.Event()
        self._running: Job | None = None
        self._tasks: list[asyncio.Task[None]] = []

    # ---- life --------------------------------------------------------------------------------------------------------

    def claim(self) -> None:
        """Take the data folder for this server; OptionError if another one has it, OutputError if it cannot be made."""
        if self.lock is None:
            self.lock = DataLock(self._settings.data)
            self.folder.mkdir(mode=0o700, exist_ok=True)

    async def open(self) -> None:
        """Take up what an earlier server left, and begin to work."""
        self.claim()
        await asyncio.to_thread(self._take_up)
        self._wake.set()
        self._tasks = [asyncio.create_task(self._work()), asyncio.create_task(self._tidy_now_and_then())]

    def stop_streams(self) -> None:
        """Let everybody who follows a job go, so that the server can end."""
        self._stopping.set()
        for job in self._jobs.values():
            job.changed()

    async def close(self) -> None:
        """End everything: the running job is cancelled, waiting ones stay for the next server."""
        self.stop_streams()
        running = self._running
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if running is not None and not running.over:
            await self._end(running, "cancelled", STOPPED)
        await self.workshop.close()
        if self.lock is not None:
            self.lock.close()
            self.lock = None

    def _take_up(self) -> None:
        found = []
        for folder in sorted(self.folder.iterdir()):
            if not _ID.fullmatch(folder.name):  # somebody else's, and no business of ours
                continue
            try:
                job = Job.load(folder)
            except (OSError, ValueError, KeyError, TypeError):
                logger.warning("a folder without a job was removed")
                shutil.rmtree(folder, ignore_errors=True)
                continue
            if job.state == "running":
                job.state, job.error, job.ended = "failed", STOPPED, now()
                job.save()
                shutil.rmtree(folder / INPUTS, ignore_errors=True)
            found.append(job)
        for job in sorted(found, key=lambda job: job.created):
            self._jobs[job.id] = job
            self._seen.setdefault(job.owner, self._clock())

    @property
    def working(self) -> bool:
        """Whether jobs are taken, and worked on."""
        return bool(self._tasks) and not self._stopping.is_set() and not any(task.done() for task in self._tasks)

    # ---- what clients do ---------------------------------------------------------------------------------------------

    def present(self, owner: str) -> None:
        """Note that this owner has just asked for something."""
        if owner in self._seen:  # who has no jobs need not be remembered
            self._seen[owner] = self._clock()

    def check_room(self, owner: str) -> None:
        """Refuse a job for which there is no room in the queue: before its pictures are looked at."""
        waiting, limits = self._waiting(), self._settings.limits
        if len(waiting) >= limits.queue:
            raise TooMany(f"All {limits.queue} places in the queue are taken; please try again later.", seconds=30)
        if sum(job.owner == owner for job in waiting) >= limits.queue_per_client:
            sentence = f"You have {limits.queue_per_client} jobs in the queue already; wait for one, or cancel one."
            raise TooMany(sentence, seconds=30)

    def new_folder(self) -> Path:
        """A folder for a job in the making; `add` makes it one, and until then its maker has to remove it."""
        folder = self.folder / secrets.token_hex(16)
        (folder / INPUTS).mkdir(mode=0o700, parents=True)
        return folder

    def add(
        self, kind: Kind, owner: str, folder: Path, *, title: str, order: dict[str, Any], settings: dict[str, Any]
    ) -> Job:
        """Queue a job whose files lie in `folder`."""
        self.check_room(owner)
        job = Job(
            id=folder.name,
            owner=owner,
            kind=kind,
            title=title,
            folder=folder,
            order={**order, "do": kind},
            settings=settings,
            created=now(),
        )
        job.save()
        self._jobs[job.id] = job
        self._seen[owner] = self._clock()
        self._forget_oldest(owner)
        self._wake.set()
        return job

    def of(self, owner: str) -> list[Job]:
        """This owner's jobs, the newest first."""
        return [job for job in reversed(self._jobs.values()) if job.owner == owner]

    def get(self, id: str, owner: str) -> Job:
        """One of this owner's jobs; a refusal as if there were none for anybody else's."""
        job = self._jobs.get(id)
        if job is None or job.owner != owner:
            raise not_there()
        return job

    def position(self, job: Job) -> int:
        """How many jobs come before this one; 0 for one that does not wait."""
        waiting = [other.id for other in self._waiting()]
        return waiting.index(job.id) if job.state == "queued" else 0

    def shown(self, job: Job) -> dict[str, Any]:
        """The job as its owner sees it."""
        return job.public(self.position(job))

    async def remove(self, job: Job) -> None:
        """Cancel a job that waits or runs; remove one that has ended."""
        if job.over:
            await self._erase(job)
        else:
            await self._cancel(job, None)

    def follow(self, job: Job) -> AsyncIterator[str]:
        """Server-sent events: the job at once and at every change, until it has ended or the server does."""
        if self._streams[job.owner] >= self._settings.limits.streams_per_client:
            raise TooMany("Too many pages follow jobs already; close one.", seconds=10)
        return self._events(job)

    async def _events(self, job: Job) -> AsyncIterator[str]:
        news, told = asyncio.Event(), ""
        job.listeners.add(news)
        self._streams[job.owner] += 1
        try:
            while True:
                news.clear()
                data = json.dumps(self.shown(job), ensure_ascii=False)
                if data != told:
                    yield f"event: job\ndata: {data}\n\n"
                    told = data
                if job.over or self._stopping.is_set():
                    return
                await asyncio.sleep(TOLD_EVERY)
                try:
                    await asyncio.wait_for(news.wait(), QUIET_FOR - TOLD_EVERY)
                except TimeoutError:
                    yield ": still here\n\n"
        finally:
            job.listeners.discard(news)
            self._left(job.owner)

    def _left(self, owner: str) -> None:
        self._seen[owner] = self._clock()
        self._streams[owner] -= 1
        if self._streams[owner] <= 0:
            del self._streams[owner]

    def counts(self) -> dict[str, int]:
        """How many jobs are in which state."""
        found = Counter[str](job.state for job in self._jobs.values())
        return {state: found[state] for state in ("queued", "running", *ENDED)}

    # ---- work --------------------------------------------------------------------------------------------------------

    def _waiting(self) -> list[Job]:
        """Jobs that run or wait, the running one first."""
        return [job for job in self._jobs.values() if not job.over]

    async def _work(self) -> None:
        while True:
            await self._wake.wait()
            job = next((job for job in self._jobs.values() if job.state == "queued"), None)
            if job is None:
                self._wake.clear()
                continue
            try:
                await self._perform(job)
            except (MienError, OSError) as error:  # its record could not be written: the disk is full
                log_failure(error, "the queue")
                job.state, job.error, job.ended = "failed", BROKEN, now()
                self._running = None
                job.changed()

    async def _perform(self, job: Job) -> None:
        self._running, job.state = job, "running"
        job.save()
        self._all_changed()
        outcome = await self.workshop.do(
            {**job.order, "folder": str(job.folder)}, lambda message: _hear(job, message),
            seconds=self._settings.limits.job_seconds,
        )  # fmt: skip
        job.seconds = outcome.get("seconds")
        end = outcome["end"]
        if end == "done":
            job.progress.fraction, job.progress.remaining = 1.0, 0.0
            job.settings["notes"] = outcome.get("notes", [])
            await self._end(job, "done", None)
        elif end == "cancelled":
            await self._end(job, "cancelled", job.error)
        else:
            await self._end(job, "failed", outcome.get("sentence") or _ENDS[end])

    async def _cancel(self, job: Job, reason: str | None) -> None:
        job.error = reason
        if job.state == "running":
            self.workshop.cancel()
        elif job.state == "queued":
            await self._end(job, "cancelled", reason)

    async def _end(self, job: Job, state: State, error: str | None) -> None:
        job.state, job.error, job.ended = state, error, now()
        job.draft = None
        if self._running is job:
            self._running = None
        job.save()  # at once: while the inputs are removed, somebody may erase the whole job
        await asyncio.to_thread(shutil.rmtree, job.folder / INPUTS, ignore_errors=True)
        self._all_changed()

    def _all_changed(self) -> None:
        """Positions in the queue have moved."""
        for job in self._jobs.values():
            job.changed()

    # ---- tidying -----------------------------------------------------------------------------------------------------

    async def _tidy_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(TIDIED_EVERY)
            try:
                await self.tidy()
            except Exception as error:  # such as a full disk; the next round tries again
                log_failure(error, "tidying")

    async def tidy(self) -> None:
        """Cancel what nobody waits for, and erase what was kept long enough."""
        long_ago = self._clock() - self._settings.abandoned_seconds
        for job in self._waiting():
            if not self._streams[job.owner] and self._seen.get(job.owner, 0.0) < long_ago and job.error is None:
                await self._cancel(job, ABANDONED)
        old = now() - timedelta(hours=self._settings.keep_hours)
        for job in list(self._jobs.values()):
            if job.over and (job.ended or job.created) < old:
                await self._erase(job)
        owners = {job.owner for job in self._jobs.values()}
        self._seen = {owner: when for owner, when in self._seen.items() if owner in owners}

    async def _erase(self, job: Job) -> None:
        self._jobs.pop(job.id, None)
        # Without its record first: half a folder that a crash leaves is no job any more.
        with contextlib.suppress(OSError):
            (job.folder / RECORD).unlink(missing_ok=True)
        await asyncio.to_thread(shutil.rmtree, job.folder, ignore_errors=True)

    def _forget_oldest(self, owner: str) -> None:
        """Let the oldest ended jobs go where one client keeps too many."""
        mine = [job for job in self._jobs.values() if job.owner == owner]
        for job in [job for job in mine if job.over][: max(0, len(mine) - self._settings.limits.kept_per_client)]:
            self._jobs.pop(job.id)
            shutil.rmtree(job.folder, ignore_errors=True)


def _hear(job: Job, message: dict[str, Any] | bytes) -> None:
    if isinstance(message, bytes):
        job.draft = message
        job.progress.frame += 1
    else:
        job.progress.fraction = max(job.progress.fraction, min(1.0, message["fraction"]))
        job.progress.elapsed, job.progress.remaining = message["elapsed"], message["remaining"]
        job.progress.words = message["words"]
    job.changed()


def file_of(job: Job, name: str) -> Path:
    """One of the job's files; a refusal if it is not there."""
    path = job.folder / name
    if not path.is_file():
        raise Refusal(404, "This is not there (yet).")
    return path
