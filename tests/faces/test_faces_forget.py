"""Forgetting leaves no byte: every file of the gallery is searched for what was there before."""

import random
import sqlite3
import subprocess
import sys
from contextlib import closing

import numpy as np
import pytest

from mien.faces.gallery import NewPerson, blocks, connection, crypto, open_gallery, rows

KEY = bytes(range(32))
D = 128
NAME, NOTE, PHOTO = "Danielle Δ. de la Cruz", "agreed in writing, folder 17", b"\xff\xd8\xff the photo's bytes " * 9


def unit(n, seed=0):
    x = np.random.default_rng(seed).standard_normal((n, D)).astype(np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def opened(path, key=KEY):
    return open_gallery(path, encoder="sface", dimension=D, key=key)


@pytest.fixture(params=["in a small block", "in a full block", "in the middle of a much used gallery"])
def gallery_path(request, tmp_path, monkeypatch):
    """A gallery in which one person, with three encodings, a note and a photo, is to be forgotten."""
    path = tmp_path / "office.gallery"
    with opened(path) as gallery:
        if request.param == "in a small block":
            before, after = 3, 3
        elif request.param == "in a full block":
            before, after = 30, 1100
        else:
            monkeypatch.setattr(blocks, "BLOCK_ROWS", 16)
            before, after = 200, 60
        gallery.add_people(NewPerson(f"before {i}", unit(1, i), "x" * (i % 300)) for i in range(before))
        gallery.add_person(NAME, unit(2, 1000), consent=NOTE, photos=[PHOTO])
        if request.param.startswith("in the middle"):
            for i in range(12):
                gallery.add_person(f"after {i}", unit(1, 2000 + i), consent="y" * 17 * i)
        gallery.add_people(NewPerson(f"later {i}", unit(1, 3000 + i)) for i in range(after))
        gallery.add_samples(NAME, unit(1, 1001))
    return path


def traces(path):
    """What of the person lies in the database, by what it is: everything that must be gone."""
    with closing(sqlite3.connect(path)) as database, opened(path) as gallery:
        person = gallery.find(NAME)
        identity = bytes.fromhex(person.id)
        number, index, sealed = database.execute(
            "SELECT number, name_index, sealed FROM person WHERE id = ?", (identity,)
        ).fetchone()
        found = {"sealed name and note": sealed, "index of the name": index}
        for (photo,) in database.execute("SELECT sealed FROM photo WHERE person = ?", (number,)):
            found["sealed photo"] = photo
        samples = [s.id for s in gallery.samples(NAME)]
        for first, last, block in database.execute("SELECT first, last, sealed FROM block"):
            if any(first <= s <= last for s in samples):
                found[f"sealed block {first}"] = block
    assert len([what for what in found if "block" in what]) == 2
    return found


def plain_traces():
    for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
        for text in (NAME, NAME.casefold(), NOTE):
            yield f"{text} in {encoding}", text.encode(encoding)
    yield "photo", PHOTO
    for i, row in enumerate([*unit(2, 1000), *unit(1, 1001)]):
        yield f"encoding {i}", row.tobytes()
        yield f"encoding {i}, other byte order", row.astype(">f4").tobytes()
        yield f"encoding {i} as float64", row.astype(np.float64).tobytes()


def files_of(path):
    return {p.name: p.read_bytes() for p in path.parent.iterdir() if p.is_file()}


def pieces(found):
    """Whole texts, and the beginning, the middle and the end of each: fragments count, too."""
    for what, text in found.items():
        yield what, text
        for start in {0, len(text) // 2 // 16 * 16, len(text) - 24}:
            yield f"{what}, 24 bytes from {start}", text[start : start + 24]


def found_in(files, texts):
    return sorted({f"{what} in {name}" for name, content in files.items() for what, text in texts if text in content})


def test_nothing_of_somebody_forgotten_is_left_in_any_file(gallery_path):
    sealed = dict(pieces(traces(gallery_path)))
    content = gallery_path.read_bytes()
    assert [
        what for what, text in sealed.items() if len(text) <= 400 and text not in content
    ] == []  # the scan can find
    with opened(gallery_path) as gallery:
        receipt = gallery.forget(NAME)
        assert receipt.complete
        while_open = files_of(gallery_path)
    for files in (while_open, files_of(gallery_path)):
        assert list(files) == [gallery_path.name]  # no journal, no log, no shared memory
        assert found_in(files, sealed.items()) == []
        assert found_in(files, plain_traces()) == []
    with opened(gallery_path) as gallery:
        assert gallery.find(NAME) is None
        assert not (gallery.encodings()[1] == receipt.person_id).any()


def test_neither_names_nor_notes_nor_encodings_are_ever_in_a_file_in_the_clear(gallery_path):
    assert found_in(files_of(gallery_path), plain_traces()) == []


def test_an_open_reader_in_another_process_keeps_nothing_alive(gallery_path):
    sealed = dict(pieces(traces(gallery_path)))
    code = (
        "import sys\nfrom mien.faces.gallery import open_gallery\n"
        "gallery = open_gallery(sys.argv[1], encoder='sface', dimension=128, key=bytes(range(32)))\n"
        "print(len(gallery.encodings()[0]), flush=True)\nsys.stdin.readline()\n"
        "print(len(gallery.encodings()[0]), flush=True)\n"
    )
    reader = subprocess.Popen(
        [sys.executable, "-c", code, gallery_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        before = int(reader.stdout.readline())
        with opened(gallery_path) as gallery:
            assert gallery.forget(NAME).complete
        assert found_in(files_of(gallery_path), sealed.items()) == []
        out, _ = reader.communicate("\n", timeout=30)
        assert int(out) == before - 3
        assert found_in(files_of(gallery_path), sealed.items()) == []
    finally:
        reader.kill()
        reader.wait()


@pytest.mark.parametrize("gallery_path", ["in the middle of a much used gallery"], indirect=True)
def test_a_reader_in_the_middle_of_reading_makes_forgetting_wait_or_say_so(gallery_path, monkeypatch):
    """While a read is under way nobody is forgotten, rather than half."""
    monkeypatch.setattr(connection, "WAIT_SECONDS", 0.2)
    sealed = dict(pieces(traces(gallery_path)))
    with closing(sqlite3.connect(gallery_path, isolation_level=None)) as reader, opened(gallery_path) as gallery:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM person").fetchone()
        with pytest.raises(connection.GalleryBusy, match="nothing was changed"):
            gallery.forget(NAME)
        assert gallery.find(NAME).samples == 3
        reader.execute("COMMIT")
        assert gallery.forget(NAME).complete
    assert found_in(files_of(gallery_path), sealed.items()) == []


@pytest.mark.parametrize("gallery_path", ["in the middle of a much used gallery"], indirect=True)
def test_what_could_not_be_overwritten_at_once_is_at_the_next_opening(gallery_path, monkeypatch):
    monkeypatch.setattr(connection, "WAIT_SECONDS", 0.2)
    sealed = dict(pieces(traces(gallery_path)))
    with closing(sqlite3.connect(gallery_path, isolation_level=None)) as reader, opened(gallery_path) as gallery:
        sweep = gallery._store.sweep

        def begin_reading_first():
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM person").fetchone()
            sweep()

        monkeypatch.setattr(gallery._store, "sweep", begin_reading_first)
        receipt = gallery.forget(NAME)
        assert (receipt.complete, receipt.reason) == (False, "database is locked")
        assert "done when the gallery is opened next" in receipt.text
        assert "free space of the file" not in receipt.text.split("\n")[1]
        assert gallery.find(NAME) is None
        assert found_in(files_of(gallery_path), plain_traces()) == []
        with opened(gallery_path) as still_busy:  # a gallery that cannot be rebuilt can be read all the same
            assert len(still_busy.people()) == 272
        reader.execute("COMMIT")
    assert noted(gallery_path) == 1
    opened(gallery_path).close()
    assert found_in(files_of(gallery_path), sealed.items()) == []
    assert noted(gallery_path) == 0


def test_the_room_that_somebody_took_is_given_back(tmp_path):
    path = tmp_path / "office.gallery"
    with opened(path) as gallery:
        gallery.add_person("Anna", unit(1))
        size = path.stat().st_size
        gallery.add_person(NAME, unit(2000))
        assert path.stat().st_size > size + 2000 * D * 4
        gallery.forget(NAME)
        assert path.stat().st_size <= size


def noted(path):
    with closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT count(*) FROM meta WHERE key = 'sweep'").fetchone()[0]


@pytest.mark.parametrize("gallery_path", ["in the middle of a much used gallery"], indirect=True)
def test_after_a_change_of_key_nothing_under_the_old_one_is_left(gallery_path):
    with closing(sqlite3.connect(gallery_path)) as database:
        sealed = [text for (text,) in database.execute("SELECT sealed FROM person UNION ALL SELECT sealed FROM block")]
        sealed += [text for (text,) in database.execute("SELECT name_index FROM person")]
    with opened(gallery_path) as gallery:
        gallery.rotate_key(bytes(32))
    content = gallery_path.read_bytes()
    assert [text for text in sealed if text in content or text[:24] in content or text[-24:] in content] == []
    assert list(files_of(gallery_path)) == [gallery_path.name]


@pytest.mark.slow
def test_of_hundreds_who_came_and_went_not_sixteen_bytes_are_left(tmp_path, monkeypatch):
    """Pages are split and merged all the time; nothing may be left behind in their gaps."""
    monkeypatch.setattr(connection, "_PRAGMAS", (*connection._PRAGMAS, "synchronous=OFF"))
    rng, path = random.Random(1), tmp_path / "office.gallery"
    for module in (rows, crypto):
        monkeypatch.setattr(module.os, "urandom", rng.randbytes)
    present, gone = [], []
    with opened(path) as gallery, closing(sqlite3.connect(path)) as database:
        sweep = gallery._store.sweep
        monkeypatch.setattr(gallery._store, "sweep", lambda: None)
        gallery.add_person("the first", unit(1))
        for i in range(1200):
            gallery.add_person(f"p{i}", unit(1), consent="x" * rng.randrange(300))
            row = database.execute("SELECT name_index, sealed FROM person ORDER BY number DESC LIMIT 1").fetchone()
            present.append((f"p{i}", *row))
            if i % 3 == 2:
                gone.append(present.pop(rng.randrange(len(present))))
                gallery.forget(gone[-1][0])
        rng.shuffle(present)
        for person in present[:240]:
            gone.append(person)
            gallery.forget(person[0])
        sweep()
    content = path.read_bytes()
    texts = [text[start : start + 16] for _, *both in gone for text in both for start in (0, 16, len(text) - 16)]
    assert len(texts) == 640 * 6
    assert [text for text in texts if text in content] == []
