"""The queue: places, order, owners, events, abandonment, what is kept and what a restart finds."""

import asyncio
import json
import sys
from datetime import timedelta

import pytest

from mien.errors import OptionError, OutputError
from mien.web.jobs import ABANDONED, STOPPED, Jobs
from mien.web.problems import Refusal, TooMany
from mien.web.records import INPUTS, Job, now
from mien.web.settings import Limits

DONE = {"end": "done", "seconds": 1.5, "notes": ["a note"]}


class Workshop:
    """Does what the test says, when it says so."""

    def __init__(self):
        self.orders, self.closed = [], False
        self._outcome = None

    async def do(self, order, told, *, seconds):
        self.orders.append(order)
        self.told, self.seconds = told, seconds
        self._outcome = asyncio.get_running_loop().create_future()
        return await self._outcome

    def finish(self, outcome=DONE):
        self._outcome.set_result(outcome)

    def cancel(self):
        if not self._outcome.done():
            self.finish({"end": "cancelled"})

    async def close(self):
        self.closed = True


@pytest.fixture
def house(settings):
    """A function: runs a story with a queue whose clock and worker the test holds."""

    def run(story, **values):
        clock = [0.0]

        async def told():
            jobs = Jobs(settings(**values), workshop=Workshop(), clock=lambda: clock[0])
            jobs.at = clock
            await jobs.open()
            try:
                return await story(jobs, jobs.workshop)
            finally:
                await jobs.close()

        return asyncio.run(told())

    return run


def add(jobs, owner="a", title="one"):
    folder = jobs.new_folder()
    (folder / INPUTS / "0").write_bytes(b"a photo")
    return jobs.add("painting", owner, folder, title=title, order={"styles": ["@night"]}, settings={"size": 64})


async def settle():
    for _ in range(20):
        await asyncio.sleep(0.005)


def test_a_job_waits_runs_and_is_done(house):
    async def story(jobs, workshop):
        job = add(jobs)
        assert (job.state, jobs.position(job)) == ("queued", 0)
        await settle()
        assert job.state == "running"
        assert workshop.orders[0]["do"] == "painting"
        assert workshop.orders[0]["styles"] == ["@night"]
        assert workshop.orders[0]["folder"] == str(job.folder)
        workshop.told({"fraction": 0.5, "elapsed": 2.0, "remaining": 2.0, "words": "64 px, step 1 of 2"})
        workshop.told(b"\xff\xd8 a draft")
        seen = jobs.shown(job)
        assert seen["progress"] == {
            "fraction": 0.5, "elapsed": 2.0, "remaining": 2.0, "words": "64 px, step 1 of 2", "frame": 1,
        }  # fmt: skip
        assert seen["frame"] == f"/api/v1/jobs/{job.id}/frame?n=1"
        assert seen["picture"] is None
        workshop.finish()
        await settle()
        seen = jobs.shown(job)
        assert (seen["state"], seen["seconds"], seen["frame"]) == ("done", 1.5, None)
        assert seen["picture"] == f"/api/v1/jobs/{job.id}/picture"
        assert seen["settings"] == {"size": 64, "notes": ["a note"]}
        assert not (job.folder / INPUTS).exists()  # what was uploaded is gone

    house(story)


def test_progress_never_goes_back(house):
    async def story(jobs, workshop):
        job = add(jobs)
        await settle()
        for fraction in (0.5, 0.3, 1.7):
            workshop.told({"fraction": fraction, "elapsed": 0, "remaining": None, "words": ""})
            assert job.progress.fraction >= 0.5
        assert job.progress.fraction == 1.0

    house(story)


def test_jobs_are_done_in_order_one_at_a_time(house):
    async def story(jobs, workshop):
        three = [add(jobs, title=str(i)) for i in range(3)]
        await settle()
        assert [job.state for job in three] == ["running", "queued", "queued"]
        assert [jobs.position(job) for job in three] == [0, 1, 2]
        workshop.finish()
        await settle()
        assert [job.state for job in three] == ["done", "running", "queued"]
        assert [jobs.position(job) for job in three] == [0, 0, 1]
        assert [job.title for job in jobs.of("a")] == ["2", "1", "0"]

    house(story)


def test_a_full_queue_takes_no_more(house):
    async def story(jobs, workshop):
        add(jobs, "a")
        add(jobs, "a")
        with pytest.raises(TooMany, match="You have 2 jobs in the queue"):
            jobs.check_room("a")
        add(jobs, "b")
        with pytest.raises(TooMany, match="All 3 places") as refused:
            add(jobs, "c")
        assert refused.value.headers == {"Retry-After": "30"}
        await settle()
        workshop.finish()
        await settle()
        jobs.check_room("c")

    house(story, limits=Limits(queue=3, queue_per_client=2))


def test_nobody_sees_anybody_elses_jobs(house):
    async def story(jobs, workshop):
        job = add(jobs, "a")
        assert jobs.get(job.id, "a") is job
        with pytest.raises(Refusal) as foreign:
            jobs.get(job.id, "b")
        with pytest.raises(Refusal) as unknown:
            jobs.get("0" * 32, "b")
        assert (foreign.value.status_code, foreign.value.detail) == (unknown.value.status_code, unknown.value.detail)
        assert foreign.value.status_code == 404
        assert jobs.of("b") == []

    house(story)


def test_a_waiting_job_is_cancelled_at_once_and_a_running_one_by_its_worker(house):
    async def story(jobs, workshop):
        running, waiting = add(jobs), add(jobs)
        await settle()
        await jobs.remove(waiting)
        assert waiting.state == "cancelled"
        await jobs.remove(running)
        await settle()
        assert (running.state, running.error) == ("cancelled", None)
        assert len(workshop.orders) == 1
        assert running.folder.exists()
        await jobs.remove(running)
        assert not running.folder.exists()
        with pytest.raises(Refusal):
            jobs.get(running.id, "a")

    house(story)


@pytest.mark.parametrize(
    ("outcome", "sentence"),
    [
        ({"end": "failed", "sentence": "It does not fit."}, "It does not fit."),
        ({"end": "died", "code": -9}, "perhaps for want of memory"),
        ({"end": "late"}, "took longer than this server allows"),
        ({"end": "broken"}, "Something went wrong"),
    ],
)
def test_what_goes_wrong_is_told_in_a_sentence_and_the_next_job_runs(house, outcome, sentence):
    async def story(jobs, workshop):
        job, next_one = add(jobs), add(jobs)
        await settle()
        workshop.finish(outcome)
        await settle()
        assert job.state == "failed"
        assert sentence in job.error
        assert next_one.state == "running"

    house(story)


def test_an_abandoned_job_is_cancelled(house):
    async def story(jobs, workshop):
        running, waiting, followed = add(jobs, "a"), add(jobs, "b"), add(jobs, "c")
        await settle()
        events = jobs.follow(followed)
        await anext(events)
        jobs.at[0] = 100.0
        jobs.present("b")
        jobs.at[0] = 121.0
        await jobs.tidy()
        await settle()
        assert (running.state, running.error) == ("cancelled", ABANDONED)
        assert waiting.state == "running"
        assert followed.state == "queued"
        await events.aclose()
        jobs.at[0] = 240.0
        await jobs.tidy()
        assert waiting.state in ("running", "cancelled")
        assert followed.state == "queued"  # its stream ended at 121
        jobs.at[0] = 242.0
        await jobs.tidy()
        assert (followed.state, followed.error) == ("cancelled", ABANDONED)

    house(story)


def test_ended_jobs_are_erased_after_their_time(house):
    async def story(jobs, workshop):
        old, new, waiting = add(jobs), add(jobs), add(jobs)
        await jobs.remove(old)
        await jobs.remove(new)
        old.ended = now() - timedelta(hours=3)
        waiting.created = now() - timedelta(hours=3)
        await jobs.tidy()
        assert not old.folder.exists()
        assert [job.id for job in jobs.of("a")] == [waiting.id, new.id]

    house(story, keep_hours=2)


def test_one_client_keeps_so_many_and_no_more(house):
    async def story(jobs, workshop):
        kept = []
        for number in range(6):
            job = add(jobs, title=str(number))
            await settle()
            workshop.finish()
            await settle()
            kept.append(job)
        assert [job.title for job in jobs.of("a")] == ["5", "4", "3"]
        assert [job.folder.exists() for job in kept] == [False] * 3 + [True] * 3

    house(story, limits=Limits(kept_per_client=3))


def test_events_come_at_once_at_every_change_and_end_with_the_job(house):
    async def story(jobs, workshop):
        job = add(jobs)
        events = jobs.follow(job)
        first = await anext(events)
        assert first.startswith("event: job\ndata: {")
        assert first.endswith("}\n\n")
        await settle()
        found = [json.loads(first.split("data: ")[1])["state"]]
        asyncio.get_running_loop().call_later(0.5, workshop.finish)
        found += [json.loads(event.split("data: ")[1])["state"] async for event in events]
        assert found == ["queued", "running", "done"]
        assert not job.listeners
        assert [json.loads(e.split("data: ")[1])["state"] async for e in jobs.follow(job)] == ["done"]

    house(story)


def test_events_are_at_most_four_a_second(house):
    async def story(jobs, workshop):
        job = add(jobs)
        await settle()

        async def chatter():
            for number in range(100):
                workshop.told({"fraction": number / 100, "elapsed": 0, "remaining": None, "words": ""})
                await asyncio.sleep(0.01)
            workshop.finish()

        talking = asyncio.create_task(chatter())
        events = [event async for event in jobs.follow(job)]
        await talking
        assert 3 <= len(events) <= 8

    house(story)


def test_one_client_follows_only_so_much(house):
    async def story(jobs, workshop):
        job = add(jobs)
        open_ones = [jobs.follow(job) for _ in range(2)]
        for events in open_ones:
            await anext(events)
        with pytest.raises(TooMany):
            jobs.follow(job)
        await open_ones[0].aclose()
        jobs.follow(job)
        await open_ones[1].aclose()

    house(story, limits=Limits(streams_per_client=2))


def test_a_restart_goes_on_with_what_waited_and_owns_up_to_what_ran(house):
    ids = {}

    async def before(jobs, workshop):
        for name in ("done", "ran", "waited"):
            ids[name] = add(jobs, title=name).id
        await settle()
        workshop.finish()
        await settle()
        await settle()

        async def power_cut():  # nothing is told, nothing is tidied
            for task in jobs._tasks:
                task.cancel()
            jobs.lock.close()

        jobs.close = power_cut

    async def after(jobs, workshop):
        await settle()
        found = {job.title: job for job in jobs.of("a")}
        assert [job.title for job in jobs.of("a")] == ["waited", "ran", "done"]
        assert {name: job.id for name, job in found.items()} == ids
        assert (found["ran"].state, found["ran"].error) == ("failed", STOPPED)
        assert not (found["ran"].folder / INPUTS).exists()
        assert (found["done"].state, found["done"].seconds) == ("done", 1.5)
        assert found["waited"].state == "running"
        assert workshop.orders == [{**found["waited"].order, "folder": str(found["waited"].folder)}]

    house(before)
    house(after)


def test_a_stop_cancels_what_runs_and_keeps_what_waits(house):
    async def before(jobs, workshop):
        add(jobs, title="ran")
        add(jobs, title="waited")
        await settle()
        events = jobs.follow(jobs.of("a")[0])
        await anext(events)
        await jobs.close()
        assert [event async for event in events] == []
        assert workshop.closed

    async def after(jobs, workshop):
        found = {job.title: job for job in jobs.of("a")}
        assert (found["ran"].state, found["ran"].error) == ("cancelled", STOPPED)
        assert found["waited"].state in ("queued", "running")

    house(before)
    house(after)


@pytest.mark.parametrize("record", [b"", b"{", b"[]", b"{}", b'{"id": "x"}', b"\xff"])
def test_a_folder_that_holds_no_job_does_not_stop_the_server(house, settings, record):
    folder = settings().data / "jobs" / ("a" * 32)
    folder.mkdir(parents=True)
    (folder / "job.json").write_bytes(record)

    async def story(jobs, workshop):
        assert jobs.of("a") == []
        assert not folder.exists()

    house(story)


def test_what_others_keep_in_the_folder_is_left_alone(house, settings):
    photos = settings().data / "jobs" / "my applications"
    photos.mkdir(parents=True)
    (photos / "letter.txt").write_text("Dear Sir or Madam")

    async def story(jobs, workshop):
        await jobs.tidy()
        assert (photos / "letter.txt").exists()

    house(story)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such lock on Windows")
def test_two_servers_do_not_share_a_folder(house, settings):
    async def story(jobs, workshop):
        with pytest.raises(OptionError, match="another one keeps its jobs there"):
            await Jobs(settings()).open()

    house(story)
    house(story)


def test_a_record_comes_back_as_it_was_kept(house):
    async def story(jobs, workshop):
        job = add(jobs, title="“Grüße”")
        again = Job.load(job.folder)
        for name in ("id", "owner", "kind", "title", "state", "order", "settings", "created", "ended", "error"):
            assert getattr(again, name) == getattr(job, name)

    house(story)


def test_a_place_that_cannot_be_written_is_told_in_a_sentence(settings, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="--data"):
        asyncio.run(Jobs(settings(data=tmp_path / "file")).open())
