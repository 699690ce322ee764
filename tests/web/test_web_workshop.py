"""The worker process is begun, heard, stopped, killed and replaced."""

import asyncio
import time

import odd_workers

from mien.web.workshop import Workshop


def having(workshop, story):
    """Run a story with a workshop, and end its worker whatever happens."""

    async def told():
        try:
            return await story(workshop)
        finally:
            await workshop.close()

    return asyncio.run(told())


def test_an_order_is_done_and_what_is_said_on_the_way_is_heard():
    async def story(workshop):
        heard = []
        first = await workshop.do({"do": "x"}, heard.append, seconds=30)
        second = await workshop.do({"do": "x"}, heard.append, seconds=30)
        return heard, first, second, workshop.begun

    heard, first, second, begun = having(Workshop(odd_workers.good), story)
    assert heard[:2] == [{"fraction": 0.25, "elapsed": 0.1, "remaining": 1.0, "words": "one"}, b"\xff\xd8 a draft"]
    assert (first["end"], first["seconds"]) == ("done", 0.5)
    assert second["pid"] == first["pid"]  # it was kept warm
    assert begun == 1


def test_an_order_can_be_taken_back():
    async def story(workshop):
        asyncio.get_running_loop().call_later(1.0, workshop.cancel)
        first = await workshop.do({"do": "x", "seconds": 30}, lambda message: None, seconds=60)
        second = await workshop.do({"do": "x"}, lambda message: None, seconds=30)
        return first, second, workshop.begun

    first, second, begun = having(Workshop(odd_workers.good), story)
    assert first == {"end": "cancelled"}
    assert second["end"] == "done"
    assert begun == 1


def test_a_worker_that_does_not_listen_is_killed():
    async def story(workshop):
        begun = asyncio.get_running_loop().time()
        heard = asyncio.Event()
        order = asyncio.create_task(workshop.do({"do": "x"}, lambda message: heard.set(), seconds=60))
        await heard.wait()
        process = workshop.pid
        workshop.cancel()
        workshop.cancel()
        outcome = await order
        return outcome, asyncio.get_running_loop().time() - begun, process, workshop.alive

    outcome, seconds, process, alive = having(Workshop(odd_workers.deaf, patience=0.3), story)
    assert outcome == {"end": "cancelled"}
    assert seconds < 20
    assert not alive
    assert not _runs(process)


def test_work_that_takes_too_long_is_ended():
    outcome = having(
        Workshop(odd_workers.deaf), lambda workshop: workshop.do({"do": "x"}, lambda message: None, seconds=3)
    )
    assert outcome == {"end": "late"}


def test_a_worker_that_dies_is_noticed_and_replaced():
    async def story(workshop):
        before = await workshop.do({"do": "x"}, lambda message: None, seconds=30)
        died = await workshop.do({"do": "x", "die": True}, lambda message: None, seconds=30)
        after = await workshop.do({"do": "x"}, lambda message: None, seconds=30)
        return before, died, after, workshop.begun

    before, died, after, begun = having(Workshop(odd_workers.mortal), story)
    assert died == {"end": "died", "code": -9}
    assert (before["end"], after["end"]) == ("done", "done")
    assert after["pid"] != before["pid"]
    assert begun == 2


def test_a_worker_ends_with_the_workshop():
    async def story(workshop):
        return (await workshop.do({"do": "x"}, lambda message: None, seconds=30))["pid"]

    assert not _runs(having(Workshop(odd_workers.good), story))


def _runs(process):
    import psutil

    deadline = time.monotonic() + 5
    while psutil.pid_exists(process) and psutil.Process(process).status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > deadline:
            return True
        time.sleep(0.05)
    return False


def test_taking_back_nothing_changes_nothing():
    async def story(workshop):
        workshop.cancel()
        return await workshop.do({"do": "x"}, lambda message: None, seconds=30)

    assert having(Workshop(odd_workers.good), story)["end"] == "done"
