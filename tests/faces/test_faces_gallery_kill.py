"""`kill -9` at any moment: whatever was reported as enrolled is there, and the file is whole."""

import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import numpy as np
import pytest

from mien.errors import WrongKey
from mien.faces.gallery import NewPerson, open_gallery

KEY = bytes(range(32))
pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")

# Small blocks, so that kills also fall into the folding of blocks; every fourth person is forgotten again.
LOOP = """
import sys
import numpy as np
from mien.faces.gallery import blocks, open_gallery

path, run, work = sys.argv[1:]
blocks.BLOCK_ROWS = 8
row = np.eye(1, 16, dtype=np.float32)
with open_gallery(path, encoder="sface", dimension=16, key=bytes(range(32))) as gallery:
    print("ready", flush=True)
    for i in range(100_000):
        if work == "rotate":
            gallery.rotate_key(bytes([i % 2]) * 32)
        else:
            gallery.add_person(f"{run}-{i}", row, consent="yes")
            print(f"+{run}-{i}", flush=True)
        if work == "forget" and i % 4 == 3:
            print(f"?{run}-{i - 1}", flush=True)
            gallery.forget(f"{run}-{i - 1}")
            print(f"-{run}-{i - 1}", flush=True)
"""


def killed(path, run, work, after):
    """What a process reported before it was killed, `after` seconds from its first sign of life."""
    process = subprocess.Popen([sys.executable, "-c", LOOP, path, run, work], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    time.sleep(after)
    process.kill()
    out, _ = process.communicate()
    assert process.returncode == -signal.SIGKILL
    return [line for line in out.split("\n")[:-1] if line]  # the last line may be half a one


def rows_of(n):
    rows = np.random.default_rng(0).standard_normal((n, 16)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def check_whole(path):
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        blocks = connection.execute("SELECT count(*), coalesce(sum(count), 0) FROM block").fetchone()
        assert blocks[1] == connection.execute("SELECT count(*) FROM sample").fetchone()[0]


@pytest.mark.parametrize("work", ["enrol", "forget"])
def test_whatever_was_reported_survives_a_kill(tmp_path, work):
    path, rng = tmp_path / "office.gallery", random.Random(work)
    present, gone, unsettled = set(), set(), set()
    for run in range(8):
        lines = killed(path, str(run), work, rng.uniform(0, 0.25))
        present |= {line[1:] for line in lines if line[0] == "+"}
        gone |= {line[1:] for line in lines if line[0] == "-"}
        unsettled |= {line[1:] for line in lines if line[0] == "?"}
        unsettled -= gone
        with open_gallery(path, encoder="sface", dimension=16, key=KEY) as gallery:  # rolls the cut transaction back
            names = {p.name for p in gallery.people()}
            matrix, people = gallery.encodings()
        if path.stat().st_size:
            check_whole(path)
        assert len(names) == len(matrix) == len(set(people))
        assert names >= present - gone - unsettled
        assert not names & gone
        assert len(names - present) <= run + 1  # the enrolment in progress may have been written, but not reported
    assert len(present) > 10
    # A journal that was cut before it counted for anything stays until the next transaction, and no longer.
    with open_gallery(path, encoder="sface", dimension=16, key=KEY) as gallery:
        gallery.add_person("the last", rows_of(1))
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_gallery_killed_while_its_key_is_changed_opens_with_one_of_the_two(tmp_path):
    path, rng = tmp_path / "office.gallery", random.Random(5)
    rows = rows_of(40)
    with open_gallery(path, encoder="sface", dimension=16, key=KEY) as gallery:
        gallery.add_people(NewPerson(f"p{i}", rows[i : i + 1]) for i in range(40))
    for run in range(4):
        killed(path, str(run), "rotate", rng.uniform(0, 0.2))
        fitting = [candidate for candidate in (KEY, bytes(32), bytes([1]) * 32) if fits(path, candidate)]
        assert len(fitting) == 1
        with open_gallery(path, encoder="sface", dimension=16, key=fitting[0]) as gallery:
            np.testing.assert_array_equal(gallery.encodings()[0], rows)
            assert [p.name for p in gallery.people()] == [f"p{i}" for i in range(40)]
            if fitting[0] != KEY:
                gallery.rotate_key(KEY)
        check_whole(path)


def fits(path, key):
    try:
        open_gallery(path, encoder="sface", dimension=16, key=key).close()
    except WrongKey:
        return False
    return True
