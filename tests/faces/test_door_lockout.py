"""Five failures in a row lock a camera for five minutes; the clock is the test's."""

import threading

import pytest

from mien.errors import OptionError
from mien.faces import lockout as module
from mien.faces.lockout import Lockout


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_the_fifth_failure_in_a_row_locks_for_five_minutes(clock):
    lockout = Lockout(clock=clock)
    assert [lockout.failed("a") for _ in range(4)] == [0, 0, 0, 0]
    assert lockout.remaining("a") == 0
    assert lockout.failed("a") == 300
    clock.now += 299
    assert lockout.remaining("a") == 1
    clock.now += 1
    assert lockout.remaining("a") == 0


def test_a_success_begins_the_count_anew(clock):
    lockout = Lockout(clock=clock)
    for _ in range(3):
        for _ in range(4):
            assert lockout.failed("a") == 0
        lockout.succeeded("a")


def test_a_success_does_not_open_a_lock(clock):
    lockout = Lockout(clock=clock)
    for _ in range(5):
        lockout.failed("a")
    lockout.succeeded("a")
    assert lockout.remaining("a") == 300


def test_failures_while_locked_neither_count_nor_prolong(clock):
    lockout = Lockout(clock=clock)
    for _ in range(5):
        lockout.failed("a")
    clock.now += 100
    assert [lockout.failed("a") for _ in range(7)] == [200] * 7
    clock.now += 200
    assert [lockout.failed("a") for _ in range(5)] == [0, 0, 0, 0, 300]


def test_each_camera_is_locked_for_itself(clock):
    lockout = Lockout(failures=1, seconds=10, clock=clock)
    lockout.failed("a")
    assert lockout.remaining("a") == 10
    assert lockout.remaining("b") == 0


def test_failures_of_many_threads_are_all_counted(clock):
    lockout = Lockout(failures=1000, clock=clock)
    threads = [threading.Thread(target=lambda: [lockout.failed("a") for _ in range(111)]) for _ in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lockout.remaining("a") == 0  # 999
    assert lockout.failed("a") == 300


def test_changing_names_fills_no_memory_and_frees_nobody_who_is_locked(clock, monkeypatch):
    monkeypatch.setattr(module, "_REMEMBERED", 50)
    lockout = Lockout(failures=2, clock=clock)
    lockout.failed("locked")
    lockout.failed("locked")
    for number in range(500):
        lockout.failed(f"client {number}")
    assert len(lockout._counts) == 50
    assert lockout.remaining("locked") == 300


@pytest.mark.parametrize("wrong", [{"failures": 0}, {"seconds": 0}, {"seconds": float("nan")}])
def test_a_lock_that_would_never_hold_is_refused(wrong):
    with pytest.raises(OptionError):
        Lockout(**wrong)
