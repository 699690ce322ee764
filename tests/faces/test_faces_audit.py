"""The audit log: what a file goes through in the hands of crashes, of other processes and of people who edit it."""

import hashlib
import hmac
import itertools
import json
import os
import stat
import subprocess
import sys
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from mien.errors import AuditError, OutputError
from mien.faces import audit
from mien.faces.audit import Audit, Head, entries, read_head, verify

KEY = bytes(range(32))
ALICE, BOB = "a" * 32, "b0" * 16


@pytest.fixture
def path(tmp_path):
    return tmp_path / "office.audit"


@pytest.fixture
def log(path):
    return filled(path)


def filled(path, count=6, key=KEY):
    log = Audit(path, key)
    events = [
        ("enrol", {"person": ALICE, "samples": 1}),
        ("enrol", {"person": BOB, "samples": 2}),
        ("identify", {"person": ALICE, "verdict": "known", "distance": 0.8124, "tau": 0.95}),
        ("identify", {"verdict": "unknown", "distance": 1.3, "tau": 0.95}),
        ("forget", {"person": BOB}),
        ("identify", {"verdict": "unsure", "runner_up": ALICE, "tau": 0.95}),
    ]
    for event, fields in itertools.islice(itertools.cycle(events), count):
        log.append(event, people=2, encoder="sface", **fields)
    return log


def lines(path):
    return path.read_bytes().splitlines(keepends=True)


def found(path, changed, head=None):
    """What `verify` says of a log with this content."""
    path.write_bytes(changed if isinstance(changed, bytes) else b"".join(changed))
    with pytest.raises(AuditError) as error:
        verify(path, KEY, head)
    return str(error.value)


# what is written


def test_an_entry_is_one_line_of_json_bound_to_the_one_before(path):
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    log = Audit(path, KEY)
    log.append("enrol", person=ALICE, samples=1, people=1, encoder="sface")
    head = log.append("identify", person=ALICE, verdict="known", distance=0.81249, tau=0.95, people=1, reason=None)
    first, second = lines(path)
    record = json.loads(second)
    assert list(record) == [
        "number", "time", "event", "person", "verdict", "distance", "tau", "people", "previous", "hash",
    ]  # fmt: skip
    assert (record["number"], record["event"], record["distance"], record["tau"]) == (2, "identify", 0.812, 0.95)
    assert record["time"].endswith("Z")
    assert before <= datetime.fromisoformat(record["time"]) <= datetime.now(UTC)
    assert record["previous"] == json.loads(first)["hash"]
    assert json.loads(first)["previous"] == 64 * "0"
    secret = hmac.new(KEY, b"mien audit log, version 1", hashlib.sha256).digest()
    body = second[: second.index(b',"hash"')]
    assert record["hash"] == hmac.new(secret, body, hashlib.sha256).hexdigest()
    assert head == Head(2, record["hash"]) == log.head()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_only_the_owner_reads_the_log(path, log):
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_every_entry_reaches_the_disk_in_a_single_write(path, log, monkeypatch):
    calls = []
    write, sync = os.write, os.fsync
    monkeypatch.setattr(os, "write", lambda number, line: calls.append(line) or write(number, line))
    monkeypatch.setattr(os, "fsync", lambda number: calls.append("sync") or sync(number))
    log.append("identify", verdict="unknown")
    assert calls == [lines(path)[-1], "sync"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "Danielle"),
        ("encoding", [0.1, 0.2]),
        ("person", "Danielle"),
        ("person", "A" * 32),
        ("runner_up", 7),
        ("verdict", "it was Danielle"),
        ("reason", "x" * 65),
        ("source", "door\n"),
        ("encoder", "a\nb"),
        ("encoder", ""),
        ("distance", [0.1, 0.2]),
        ("distance", np.array([0.1, 0.2])),
        ("distance", "0.1"),
        ("distance", float("nan")),
        ("tau", float("inf")),
        ("people", -1),
        ("people", 1.5),
        ("people", 10**400),
    ],
)
def test_what_may_be_a_name_a_text_or_a_vector_is_refused_and_not_repeated(path, log, field, value):
    before = path.read_bytes()
    with pytest.raises(AuditError) as error:
        log.append("identify", **{field: value})
    assert field in str(error.value)
    assert "Danielle" not in str(error.value)
    assert path.read_bytes() == before


def test_an_event_is_one_word(path):
    with pytest.raises(AuditError, match="one word"):
        Audit(path, KEY).append("Danielle came in")
    assert not path.exists()


def test_numpy_numbers_are_written_as_plain_ones(path):
    Audit(path, KEY).append("identify", distance=np.float32(0.5), people=np.int64(3))
    assert json.loads(path.read_bytes())["distance"] == 0.5
    assert json.loads(path.read_bytes())["people"] == 3


def test_the_longest_entry_fits_into_a_line(path):
    words = dict.fromkeys(("verdict", "reason", "source"), "x" * 64)
    numbers = dict.fromkeys(audit._DECIMALS, 1e-15 / 3) | dict.fromkeys(audit._COUNTS, 2**53 - 1)
    log = Audit(path, KEY)
    for _ in range(2):
        log.append("e" * 64, person=ALICE, runner_up=BOB, encoder="😀" * 200, **words, **numbers)
    assert len(lines(path)[0]) < audit._LONGEST
    assert verify(path, KEY).entries == 2


# what verify finds


def test_an_untouched_log_is_whole(path, log):
    report = verify(path, KEY, log.head())
    assert (report.entries, report.repairs, report.head) == (6, 0, log.head())
    assert report.first <= report.last <= datetime.now(UTC)
    assert report.first.utcoffset() == timedelta(0)


def test_an_empty_log_is_whole(path):
    path.touch()
    assert verify(path, KEY).entries == 0
    assert verify(path, KEY).first is None


def test_every_edit_of_a_single_byte_is_found(path):
    filled(path, 2)
    whole = path.read_bytes()
    starts = [0, *itertools.accumulate(len(line) for line in lines(path))]
    for i, byte in enumerate(whole):
        line = sum(start <= i for start in starts)
        for other in {byte ^ 1, byte ^ 32, ord("\n")} - {byte}:
            text = found(path, whole[:i] + bytes([other]) + whole[i + 1 :])
            assert f"Line {line} of" in text
            assert "edited" in text


def test_every_byte_added_or_taken_away_is_found(path):
    filled(path, 3)
    whole = path.read_bytes()
    for i in range(len(whole)):
        found(path, whole[:i] + whole[i + 1 :])
        found(path, whole[:i] + b" " + whole[i:])
    found(path, whole + b" ")
    found(path, whole + b"\n")


@pytest.mark.parametrize("gone", range(5))
def test_a_line_removed_before_the_last_is_found_as_cut(path, log, gone):
    kept = lines(path)
    del kept[gone]
    assert f"Line {gone + 1} of" in (text := found(path, kept))
    assert "was cut" in text


@pytest.mark.parametrize(("a", "b"), list(itertools.combinations(range(6), 2)))
def test_two_swapped_lines_are_found_as_reordered(path, log, a, b):
    swapped = lines(path)
    swapped[a], swapped[b] = swapped[b], swapped[a]
    assert f"Line {a + 1} of" in (text := found(path, swapped))
    assert "was reordered" in text


@pytest.mark.parametrize(("line", "to"), list(itertools.product(range(6), range(7))))
def test_a_repeated_line_is_found_as_inserted(path, log, line, to):
    more = lines(path)
    more.insert(to, more[line])
    text = found(path, more)
    if to < line:  # the entry that belongs there stands right behind it
        assert f"Line {to + 1} of" in text
        assert "reordered" in text
    else:
        assert f"Line {max(to, line + 1) + 1} of" in text
        assert "inserted" in text


@pytest.mark.parametrize("to", range(6))
def test_a_line_made_up_without_the_key_is_found_as_inserted(path, log, to):
    more = lines(path)
    more.insert(to, more[0].replace(b"enrol", b"admit"))
    assert f"Line {to + 1} of" in (text := found(path, more))
    assert "was inserted" in text


def test_a_chain_computed_anew_with_another_key_is_found(path, log):
    head = log.head()
    path.unlink()
    filled(path, key=bytes(32))
    with pytest.raises(AuditError, match=r"Line 1 of .* was edited, or its key is another one"):
        verify(path, KEY, head)


def test_a_line_of_another_log_with_the_same_key_is_found(path, log, tmp_path):
    filled(tmp_path / "other")
    mixed = lines(path)
    mixed[3] = lines(tmp_path / "other")[3]
    assert "Line 4 of" in (text := found(path, mixed))
    assert "another log" in text


@pytest.mark.parametrize("left", range(6))
def test_an_end_cut_off_is_found_against_a_head_kept_elsewhere_and_only_then(path, log, left):
    head = log.head()
    text = found(path, lines(path)[:left], head)
    assert f"Line {left + 1} of" in text
    assert "cut" in text
    assert verify(path, KEY).entries == left


def test_every_cut_in_the_middle_of_a_line_is_found(path):
    head = filled(path, 3).head()
    whole = path.read_bytes()
    ends = set(itertools.accumulate(len(line) for line in lines(path)))
    for size in range(1, len(whole)):
        if size not in ends:
            assert "cut" in found(path, whole[:size])
        assert "cut" in found(path, whole[:size], head)


def test_a_log_longer_than_its_head_is_whole_but_not_one_that_was_begun_anew(path, log):
    old = log.head()
    log.append("admit")
    assert verify(path, KEY, old).entries == 7
    path.unlink()
    filled(path, 8)
    with pytest.raises(AuditError, match=r"Line 6 .* another log"):
        verify(path, KEY, old)


def test_what_is_no_log_is_refused(path):
    with pytest.raises(AuditError, match="could not read"):
        verify(path, KEY)
    path.write_bytes(os.urandom(100_000))
    with pytest.raises(AuditError, match=r"Line 1 of"):
        verify(path, KEY)
    with pytest.raises(AuditError, match="edited, or its key"):
        Audit(path, KEY).append("admit")
    with pytest.raises(AuditError, match="no entry"):
        list(entries(path))


def test_a_short_key_is_refused(path):
    with pytest.raises(AuditError, match="16 bytes"):
        Audit(path, b"short")


# appending to a log that was touched


def test_nothing_is_added_behind_an_edited_or_foreign_end(path, log):
    last = lines(path)
    with pytest.raises(AuditError, match="another one"):
        Audit(path, bytes(32)).append("admit")
    path.write_bytes(b"".join(last[:-1]) + last[-1].replace(b"unsure", b"known "))
    with pytest.raises(AuditError, match="edited"):
        log.append("admit")


def test_a_cut_log_is_not_written_on_as_if_nothing_had_been(path, tmp_path):
    head_file = tmp_path / "head"
    log = Audit(path, KEY, head_file=head_file)
    heads = [log.append("admit") for _ in range(3)]
    assert read_head(head_file, KEY) == heads[-1] == log.head()
    path.write_bytes(b"".join(lines(path)[:2]))
    with pytest.raises(AuditError, match="cut or replaced"):
        log.append("admit")
    assert read_head(head_file, KEY) == heads[-1]
    path.unlink()
    filled(path, 3)
    with pytest.raises(AuditError, match="cut or replaced"):
        log.append("admit")


def test_a_head_that_lags_behind_after_a_crash_is_no_reason_to_stop(path, tmp_path):
    head_file = tmp_path / "head"
    Audit(path, KEY, head_file=head_file).append("admit")
    Audit(path, KEY).append("admit")  # the process died before it wrote the head
    assert Audit(path, KEY, head_file=head_file).append("admit").count == 3
    assert verify(path, KEY, read_head(head_file, KEY)).entries == 3


def test_an_unreadable_head_is_an_error(tmp_path):
    for content in (None, "", "[]", "7", '{"count": 1}', "\0"):
        if content is not None:
            (tmp_path / "head").write_text(content)
        with pytest.raises(AuditError, match="head"):
            read_head(tmp_path / "head", KEY)


# the head


@pytest.fixture
def head_file(tmp_path):
    return tmp_path / "kept" / "head"


@pytest.fixture
def kept(path, head_file):
    """A log of three entries, its head kept."""
    log = Audit(path, KEY, head_file=head_file)
    for _ in range(3):
        log.append("admit")
    return log


def events(path):
    return [entry.event for entry in entries(path)]


def test_a_head_that_was_removed_is_noted_before_a_new_one_is_written(path, kept, head_file):
    assert verify(path, KEY).heads_missing == 0
    path.write_bytes(b"".join(lines(path)[:2]))  # what the head would have shown
    head_file.unlink()
    head = kept.append("deny")
    assert events(path) == ["admit", "admit", "head-missing", "deny"]
    assert read_head(head_file, KEY) == head
    assert verify(path, KEY, head).heads_missing == 1
    kept.append("deny")
    assert verify(path, KEY).heads_missing == 1


def test_a_new_log_and_one_without_a_kept_head_miss_none(path, kept, log):
    assert events(path).count("head-missing") == 0


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_only_the_owner_reads_the_head(kept, head_file):
    assert stat.S_IMODE(head_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(head_file.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("forgery", ["fewer entries", "no hash", "another key's", "another kind's hash"])
def test_a_forged_head_is_refused(path, kept, head_file, tmp_path, forgery):
    path.write_bytes(b"".join(lines(path)[:2]))
    second = json.loads(lines(path)[1])
    forged = json.loads(head_file.read_bytes()) | {"count": 2, "digest": second["hash"]}
    if forgery == "no hash":
        del forged["hash"]
    elif forgery == "another key's":
        other = tmp_path / "other"
        Audit(tmp_path / "log", bytes(32), head_file=other).append("admit")
        forged = json.loads(other.read_bytes())
    elif forgery == "another kind's hash":
        forged["hash"] = second["hash"]
    head_file.write_text(json.dumps(forged))
    before = path.read_bytes()
    for verb in (lambda: read_head(head_file, KEY), lambda: kept.append("admit"), kept.check):
        with pytest.raises(AuditError, match="forged"):
            verb()
    assert path.read_bytes() == before


def test_an_entry_whose_head_cannot_be_kept_is_not_left_behind(path, kept, head_file, monkeypatch):
    head_file.unlink()
    before = path.read_bytes()

    def fail(*_):
        raise OutputError("no room")

    monkeypatch.setattr(audit, "write_whole", fail)
    with pytest.raises(OutputError, match="no room"):
        kept.append("admit")
    assert path.read_bytes() == before


# asking first


def test_a_check_writes_nothing_and_an_append_after_it_succeeds(path, head_file, kept, tmp_path):
    for log in (kept, Audit(path, KEY), Audit(tmp_path / "new", KEY, head_file=tmp_path / "a" / "b" / "head")):
        before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
        log.check()
        assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before
    for log in (kept, Audit(tmp_path / "new", KEY, head_file=tmp_path / "a" / "b" / "head")):
        log.append("admit")


def test_a_check_says_what_an_append_would_say(path, kept, head_file, tmp_path):
    whole = path.read_bytes()

    def both(log, error, match):
        said = []
        for verb in (log.check, lambda: log.append("admit")):
            with pytest.raises(error, match=match) as caught:
                verb()
            said.append(str(caught.value))
        assert said[0] == said[1]

    both(Audit(path, bytes(32)), AuditError, "another one")
    path.write_bytes(whole[:-5] + b"!" + whole[-4:])
    both(kept, AuditError, "edited")
    path.write_bytes(b"".join(lines(path)[:2]))
    both(kept, AuditError, "cut or replaced")
    path.unlink()
    with pytest.raises(AuditError, match="cut or replaced"):
        kept.check()
    both(Audit(tmp_path / "no folder" / "log", KEY), OutputError, "could not")
    both(Audit(tmp_path, KEY), OutputError, "could not")
    both(Audit(tmp_path / ("x" * 300), KEY), OutputError, "name too long")
    path.write_bytes(whole)
    both(Audit(path, KEY, head_file=path / "head"), AuditError, "head of an audit log")
    head_file.write_bytes(b"")
    both(kept, AuditError, "forged or damaged")


@pytest.fixture
def as_another_user():
    """A folder, and another user's rights for the test: root may write everywhere."""
    if os.name != "posix":
        pytest.skip("file modes are POSIX's")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        if os.getuid() == 0:
            os.seteuid(65534)
        yield Path(folder)
        if os.geteuid() != os.getuid():
            os.seteuid(os.getuid())
        for place in (Path(folder), *Path(folder).rglob("*")):
            place.chmod(0o755)


@pytest.mark.parametrize("which", ["the log", "the log's folder", "the head's folder", "a folder above the head's"])
def test_a_check_notices_what_may_not_be_written(as_another_user, which):
    (house := as_another_user / "house").mkdir()
    (keys := as_another_user / "keys").mkdir()
    head_file = keys / "head" if which == "the head's folder" else keys / "new" / "head"
    log = Audit(house / "log", KEY, head_file=head_file)
    log.check()
    if which == "the log":
        Audit(house / "log", KEY).append("admit")
        (house / "log").chmod(0o444)
    else:
        (house if which == "the log's folder" else keys).chmod(0o555)
    for verb in (log.check, lambda: log.append("admit")):
        with pytest.raises(OutputError):
            verb()


# crashes and other processes


@pytest.mark.parametrize("before", [0, 2])
def test_a_line_torn_anywhere_is_removed_and_recorded_and_nothing_finished_is_lost(path, before):
    log = filled(path, before + 1)
    *finished, torn = lines(path)
    for size in [*range(1, len(torn), 5), len(torn) - 1]:
        path.write_bytes(b"".join(finished) + torn[:size])
        assert len(list(entries(path))) == before
        log.append("admit")
        report = verify(path, KEY)
        assert lines(path)[:before] == finished
        if size == len(torn) - 1:  # all but the end of the line: the entry is there
            assert (report.entries, report.repairs) == (before + 2, 0)
            assert lines(path)[before] == torn
        else:
            assert (report.entries, report.repairs) == (before + 2, 1)
            assert json.loads(lines(path)[before])["event"] == "repair"
            assert json.loads(lines(path)[before])["bytes"] == size


def test_a_full_disk_leaves_the_log_as_it_was(path, log, monkeypatch):
    before = path.read_bytes()
    write = os.write
    monkeypatch.setattr(os, "write", lambda number, line: write(number, line[:50]))
    with pytest.raises(OutputError, match="50 of"):
        log.append("admit")
    assert path.read_bytes() == before


def test_a_log_that_cannot_be_opened_is_an_error(tmp_path):
    with pytest.raises(OutputError, match="could not"):
        Audit(tmp_path / "no folder" / "log", KEY).append("admit")
    with pytest.raises(OutputError, match="could not"):
        Audit(tmp_path, KEY).append("admit")


def test_two_processes_write_one_chain(path):
    code = (
        "import sys; from mien.faces.audit import Audit\n"
        "log = Audit(sys.argv[1], bytes(range(32)), head_file=sys.argv[1] + '.head')\n"
        "for _ in range(200): log.append('identify', source=sys.argv[2])\n"
    )
    started = [subprocess.Popen([sys.executable, "-c", code, path, name]) for name in ("front", "back")]
    assert [process.wait(120) for process in started] == [0, 0]
    assert verify(path, KEY, read_head(f"{path}.head", KEY)).entries == 400
    sources = [entry.fields["source"] for entry in entries(path)]
    assert sources.count("front") == sources.count("back") == 200


def test_threads_of_one_process_write_one_chain_while_another_verifies(path, log):
    threads = [threading.Thread(target=lambda: [log.append("admit") for _ in range(25)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        verify(path, KEY, log.head())
    assert verify(path, KEY).entries == 106


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_killed_process_leaves_a_log_that_can_be_written_on(path):
    code = (
        "import sys; from mien.faces.audit import Audit\n"
        "log = Audit(sys.argv[1], bytes(range(32)))\n"
        "while True: print(log.append('identify', verdict='known').count, flush=True)\n"
    )
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE, text=True)
        told = [process.stdout.readline() for _ in range(20)]
        process.kill()
        told += process.communicate()[0].splitlines()
        Audit(path, KEY).append("admit")
        assert verify(path, KEY).entries > int(told[-1])


# reading


def test_entries_are_read_in_order_by_person_and_by_time(path, log):
    everything = list(entries(path))
    assert [entry.number for entry in everything] == [1, 2, 3, 4, 5, 6]
    assert everything[2].fields == {
        "person": ALICE, "verdict": "known", "distance": 0.812, "tau": 0.95, "people": 2, "encoder": "sface",
    }  # fmt: skip
    assert [entry.number for entry in entries(path, person=ALICE)] == [1, 3, 6]
    moment = everything[3].time
    assert list(entries(path, since=moment)) == [entry for entry in everything if entry.time >= moment]
    assert list(entries(path, since=everything[-1].time + timedelta(seconds=1))) == []
    with pytest.raises(AuditError, match="time zone"):
        list(entries(path, since=datetime(2026, 1, 1)))
