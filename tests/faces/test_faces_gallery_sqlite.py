"""The embedded store's own matters: addresses, foreign files, versions, locks, full and read-only disks, tampering."""

import os
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest

from mien.errors import GalleryBusy, GalleryError, OptionError
from mien.faces.gallery import NewPerson, connection, migrations, open_gallery

KEY = bytes(range(32))
ROW = np.eye(1, 8, dtype=np.float32)


def opened(path):
    return open_gallery(path, encoder="sface", dimension=8, key=KEY)


@pytest.fixture
def path(tmp_path):
    """A gallery with Anna in it."""
    path = tmp_path / "office.gallery"
    with opened(path) as gallery:
        gallery.add_person("Anna", ROW)
    return path


# addresses


def test_a_path_and_its_address_are_the_same_gallery(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    for url in (path, str(path), f"sqlite:///{path}", "sqlite:///office.gallery", "SQLite:///office.gallery"):
        with opened(url) as gallery:
            assert [p.name for p in gallery.people()] == ["Anna"]


@pytest.mark.parametrize("name", ["with space & ü?mode=ro#x%41.db", ":memory:", "100%.gallery"])
def test_any_file_name_is_taken_as_it_is(tmp_path, name):
    with opened(tmp_path / name) as gallery:
        gallery.add_person("Anna", ROW)
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    "url", ["postgresql://host/db", "mysql://x", "sqlite://office.gallery", "https://example.org/x"]
)
def test_an_unknown_address_is_refused_with_the_known_ones(url):
    with pytest.raises(OptionError, match="Expected a path, or sqlite:/// and a path, but got") as caught:
        opened(url)
    assert url in str(caught.value)


@pytest.mark.parametrize("url", ["", "sqlite:///"])
def test_an_address_without_a_file_is_refused(url):
    with pytest.raises(OptionError, match="name a file"):
        opened(url)


def test_a_folder_is_no_gallery(tmp_path):
    with pytest.raises(GalleryError, match="is a folder"):
        opened(tmp_path)


def test_missing_folders_are_made_at_the_first_enrolment(tmp_path):
    with opened(tmp_path / "new" / "deep" / "office.gallery") as gallery:
        assert not (tmp_path / "new").exists()
        gallery.add_person("Anna", ROW)
    assert (tmp_path / "new" / "deep" / "office.gallery").exists()


# other files, other versions


def other_database(path, application_id=0):
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE person (name)")
        database.execute(f"PRAGMA application_id = {application_id}")
        database.commit()


@pytest.mark.parametrize("kind", ["text", "database", "another application's", "cut", "key file"])
def test_a_file_that_is_no_gallery_is_refused_and_left_as_it_is(tmp_path, path, kind):
    file = tmp_path / "other"
    if kind == "text":
        file.write_text("Dear diary, " * 100)
    elif kind == "cut":
        file.write_bytes(path.read_bytes()[:50])
    elif kind == "key file":
        file.write_text(KEY.hex())
    else:
        other_database(file, 0 if kind == "database" else 1234)
    before, stat = file.read_bytes(), file.stat()
    for verb in (opened, lambda p: opened(f"sqlite:///{p}")):
        with pytest.raises(GalleryError, match="left as it is"):
            verb(file)
    assert (file.read_bytes(), file.stat().st_mtime_ns) == (before, stat.st_mtime_ns)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["office.gallery", "other"]


def test_a_newer_versions_gallery_is_refused_and_left_as_it_is(path):
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA user_version = {len(migrations.MIGRATIONS) + 1}")
    before = path.read_bytes()
    with pytest.raises(GalleryError, match="of version 2, made by a newer mien"):
        opened(path)
    assert path.read_bytes() == before


def add_column(database):
    database.execute("ALTER TABLE person ADD COLUMN colour TEXT DEFAULT 'grey'")


def fill_column(database):
    database.execute("UPDATE person SET colour = 'green'")


def fail(database):
    database.execute("DROP TABLE block")
    raise sqlite3.OperationalError("in the middle of a step")


def colours_and_version(path):
    with closing(sqlite3.connect(path)) as database:
        version = database.execute("PRAGMA user_version").fetchone()[0]
        return [row[0] for row in database.execute("SELECT colour FROM person")] if version > 1 else None, version


def test_missing_steps_are_taken_once_and_in_order(path):
    steps = (*migrations.MIGRATIONS, add_column, fill_column)
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        migrations.migrate(database, path, steps[:2])
        assert colours_and_version(path) == (["grey"], 2)
        migrations.migrate(database, path, steps)
        assert colours_and_version(path) == (["green"], 3)
        migrations.migrate(database, path, steps)  # a second ALTER TABLE would fail
        with pytest.raises(GalleryError, match="of version 3"):
            migrations.migrate(database, path, steps[:2])
    assert colours_and_version(path) == (["green"], 3)


def test_a_step_that_fails_leaves_the_gallery_as_it_was(path):
    before = path.read_bytes()
    with closing(sqlite3.connect(path, isolation_level=None)) as database, pytest.raises(sqlite3.OperationalError):
        migrations.migrate(database, path, (*migrations.MIGRATIONS, add_column, fail))
    assert path.read_bytes() == before
    with opened(path) as gallery:
        assert len(gallery.encodings()[0]) == 1


def test_an_older_gallery_is_brought_up_to_date_when_it_is_opened(path, monkeypatch):
    steps = (*migrations.MIGRATIONS, add_column)
    monkeypatch.setattr(migrations.migrate, "__defaults__", (steps,))
    monkeypatch.setattr(migrations.check_version, "__defaults__", (steps,))
    with opened(path) as gallery:
        assert gallery.find("Anna").samples == 1
    assert colours_and_version(path) == (["grey"], 2)


# locks


def test_a_write_ahead_log_that_somebody_switched_on_is_switched_off_again(path):
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA journal_mode=WAL").fetchone() == ("wal",)
    with opened(path) as gallery:
        gallery.add_person("Ben", ROW)
        assert [p.name for p in path.parent.iterdir()] == [path.name]
        pragmas = {"journal_mode": "delete", "secure_delete": 1, "temp_store": 2, "synchronous": 3}
        for pragma, value in pragmas.items():
            assert gallery._store._connection.execute(f"PRAGMA {pragma}").fetchone() == (value,)


@contextmanager
def locked(path, how="IMMEDIATE"):
    """Another process holds the lock."""
    code = (
        "import sqlite3, sys\nd = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        f"d.execute('BEGIN {how}')\nprint('locked', flush=True)\nsys.stdin.readline()\nd.execute('COMMIT')\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout.readline() == "locked\n"
        yield
    finally:
        other.communicate("\n", timeout=30)


def test_a_gallery_that_another_process_writes_to_is_busy_and_nothing_changes(path, monkeypatch):
    monkeypatch.setattr(connection, "WAIT_SECONDS", 0.2)
    with opened(path) as gallery:
        with locked(path):
            for verb in (
                lambda: gallery.add_person("Ben", ROW),
                lambda: gallery.forget("Anna"),
                lambda: gallery.rotate_key(bytes(32)),
            ):
                with pytest.raises(GalleryBusy, match=r"0\.2 seconds; nothing was changed"):
                    verb()
            assert [p.name for p in gallery.people()] == ["Anna"]  # reading goes on
        gallery.add_person("Ben", ROW)
        assert len(gallery) == 2


def test_a_gallery_that_is_locked_altogether_is_busy_when_it_is_opened(path, monkeypatch):
    monkeypatch.setattr(connection, "WAIT_SECONDS", 0.2)
    with locked(path, "EXCLUSIVE"), pytest.raises(GalleryBusy):
        opened(path)


def test_a_writer_waits_for_another_one(path):
    with (
        opened(path) as gallery,
        closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other,
    ):
        import threading

        other.execute("BEGIN IMMEDIATE")
        threading.Timer(0.3, lambda: other.execute("COMMIT")).start()
        assert gallery.add_person("Ben", ROW).name == "Ben"


def test_looking_at_a_file_does_not_drop_the_locks_of_this_process(path, monkeypatch):
    """POSIX drops a process's locks on a file when any of its descriptors of that file is closed."""
    monkeypatch.setattr(connection, "WAIT_SECONDS", 0.2)
    with closing(sqlite3.connect(path, isolation_level=None)) as here:
        here.execute("BEGIN IMMEDIATE")
        opened(path).close()
        code = (
            "import sqlite3, sys\n"
            "sqlite3.connect(sys.argv[1], timeout=0.1, isolation_level=None).execute('BEGIN IMMEDIATE')"
        )
        other = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=False)
        assert "database is locked" in other.stderr


# disks


def test_a_full_disk_is_said_and_changes_nothing(path):
    with opened(path) as gallery:
        database = gallery._store._connection
        pages = database.execute("PRAGMA page_count").fetchone()[0]
        database.execute(f"PRAGMA max_page_count = {pages}")
        rows = np.tile(ROW, (3000, 1))
        with pytest.raises(GalleryError, match="disk is full; nothing was changed"):
            gallery.add_person("Ben", rows)
        with pytest.raises(GalleryError, match="disk is full"):
            gallery.add_samples("Anna", rows)
        assert [(p.name, p.samples) for p in gallery.people()] == [("Anna", 1)]
        database.execute("PRAGMA max_page_count = 100000")
        gallery.add_person("Ben", rows)
    with opened(path) as gallery:
        assert len(gallery.encodings()[0]) == 3001


def test_a_full_disk_does_not_keep_anybody_from_being_forgotten(path):
    with opened(path) as gallery:
        gallery.add_people(NewPerson(f"p{i}", ROW) for i in range(50))
        database = gallery._store._connection
        database.execute(f"PRAGMA max_page_count = {database.execute('PRAGMA page_count').fetchone()[0]}")
        assert gallery.forget("p7").samples == 1
        assert gallery.find("p7") is None


def test_a_gallery_that_may_not_be_written_can_be_read(path):
    with opened(path) as gallery:
        gallery._store._connection.execute("PRAGMA query_only = ON")  # SQLite's own read-only disk
        assert len(gallery.encodings()[0]) == 1
        for verb in (lambda: gallery.add_person("Ben", ROW), lambda: gallery.forget("Anna")):
            with pytest.raises(GalleryError, match="read-only; nothing was changed"):
                verb()
        assert [p.name for p in gallery.people()] == ["Anna"]


@pytest.fixture
def unprivileged():
    """A folder that another user sees, and that user's rights for the test: root may write everywhere."""
    if os.name != "posix":
        pytest.skip("file modes are POSIX's")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)
        if os.geteuid() != os.getuid():
            os.seteuid(os.getuid())
        Path(folder).chmod(0o755)


@pytest.mark.parametrize(("file_mode", "folder_mode"), [(0o444, 0o555), (0o666, 0o555), (0o444, 0o777)])
def test_a_read_only_file_or_folder_is_read_and_writing_is_refused(unprivileged, file_mode, folder_mode):
    path = unprivileged / "office.gallery"
    with opened(path) as gallery:
        gallery.add_person("Anna", ROW)
    before = path.read_bytes()
    path.chmod(file_mode)
    unprivileged.chmod(folder_mode)
    if os.getuid() == 0:
        os.seteuid(65534)
    with opened(path) as gallery:
        assert [p.name for p in gallery.people()] == ["Anna"]
        assert len(gallery.encodings()[0]) == 1
        for verb in (lambda: gallery.add_person("Ben", ROW), lambda: gallery.forget("Anna")):
            with pytest.raises(GalleryError, match="read-only"):
                verb()
    assert path.read_bytes() == before
    assert [p.name for p in unprivileged.iterdir()] == ["office.gallery"]


def test_a_gallery_that_may_not_be_made_says_so(unprivileged):
    unprivileged.chmod(0o555)
    if os.getuid() == 0:
        os.seteuid(65534)
    with opened(unprivileged / "office.gallery") as gallery:
        with pytest.raises(GalleryError, match="choose a place that is writable"):
            gallery.add_person("Anna", ROW)
        assert len(gallery) == 0


# tampering


@pytest.fixture
def two(tmp_path):
    """A gallery of Anna and Ben, and a plain connection to its database."""
    path = tmp_path / "office.gallery"
    with opened(path) as gallery:
        gallery.add_person("Anna", ROW)
        gallery.add_person("Ben", np.roll(ROW, 1, axis=1))
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        yield path, database


@pytest.mark.parametrize("table", ["person", "block"])
def test_swapped_rows_are_noticed(two, table):
    path, database = two
    (first, a), (second, b) = database.execute(f"SELECT rowid, sealed FROM {table} ORDER BY rowid").fetchall()
    database.execute(f"UPDATE {table} SET sealed = ? WHERE rowid = ?", (b, first))
    database.execute(f"UPDATE {table} SET sealed = ? WHERE rowid = ?", (a, second))
    with opened(path) as gallery, pytest.raises(GalleryError, match="changed, moved or damaged"):
        gallery.people() if table == "person" else gallery.encodings()


def test_swapped_ids_are_noticed(two):
    path, database = two
    (a,), (b,) = database.execute("SELECT id FROM person ORDER BY number").fetchall()
    for old, new in ((a, b"x"), (b, a), (b"x", b)):
        database.execute("UPDATE person SET id = ? WHERE id = ?", (new, old))
    with opened(path) as gallery, pytest.raises(GalleryError, match="changed, moved or damaged"):
        gallery.find("Anna")


@pytest.mark.parametrize(
    "change", ["UPDATE block SET count = 2", "UPDATE block SET first = 7, last = 7 WHERE first = 1"]
)
def test_changed_ranges_of_a_block_are_noticed(two, change):
    path, database = two
    database.execute(change)
    with opened(path) as gallery, pytest.raises(GalleryError, match="changed, moved or damaged"):
        gallery.encodings()


def test_a_damaged_file_is_said(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 4 :] = bytes(len(content) - len(content) // 4)
    path.write_bytes(content)

    def read_everything():
        with opened(path) as gallery:
            return gallery.people(), gallery.encodings()

    with pytest.raises(GalleryError, match="damaged"):
        read_everything()
