"""The embedded store's own matters: addresses, foreign files, versions, locks, full and read-only disks, tampering."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest

from mien.errors import GalleryBusy, GalleryError, OptionError
from mien.faces.gallery import NewPerson, Stamp, blocks, connection, describe_gallery, migrations, open_gallery

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


# what a file says without its key


def test_a_gallery_says_without_its_key_what_it_holds(path, tmp_path):
    before = path.read_bytes()
    assert describe_gallery(path) == describe_gallery(f"sqlite:///{path}") == ("sface", 8)
    assert path.read_bytes() == before
    with open_gallery(tmp_path / "other", encoder="arcface-0123abcd", dimension=512, key=KEY) as gallery:
        assert describe_gallery(tmp_path / "other") is None
        gallery.add_person("Anna", np.eye(1, 512, dtype=np.float32))
    assert describe_gallery(tmp_path / "other") == ("arcface-0123abcd", 512)
    (tmp_path / "empty").touch()
    assert describe_gallery(tmp_path / "empty") is None


def test_what_is_no_gallery_says_nothing(path, tmp_path):
    (tmp_path / "text").write_text("Dear diary, " * 100)
    with pytest.raises(GalleryError, match="something else"):
        describe_gallery(tmp_path / "text")
    other_database(tmp_path / "shell", connection.APPLICATION_ID)
    with pytest.raises(GalleryError, match="Expected to use the gallery"):
        describe_gallery(tmp_path / "shell")
    with pytest.raises(OptionError, match="sqlite:///"):
        describe_gallery("mysql://x")
    with closing(sqlite3.connect(path)) as database:
        database.execute("DELETE FROM meta WHERE key = 'encoder'")
        database.commit()
    with pytest.raises(GalleryError, match="empty shell"):
        describe_gallery(path)
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA user_version = {len(migrations.MIGRATIONS) + 1}")
    with pytest.raises(GalleryError, match="newer mien"):
        describe_gallery(path)


# a file that goes away, or becomes another one, while it is open


def verbs_of(gallery):
    return {
        "people": gallery.people,
        "find": lambda: gallery.find("Anna"),
        "encodings": gallery.encodings,
        "changes": gallery.changes,
        "news": lambda: gallery.news(Stamp(0, 0)),
        "audit key": lambda: gallery.audit_key,
        "number": lambda: len(gallery),
        "add": lambda: gallery.add_person("Ben", ROW),
        "add samples": lambda: gallery.add_samples("Anna", ROW),
        "forget": lambda: gallery.forget("Anna"),
        "rotate": lambda: gallery.rotate_key(bytes(32)),
    }


def another(folder, people):
    """Another gallery, under the same key, in the same number of steps."""
    folder.mkdir()
    with opened(folder / "other.gallery") as gallery:
        for name, row in people:
            gallery.add_person(name, row)
    return folder / "other.gallery"


@pytest.mark.parametrize("how", ["removed", "moved away", "replaced", "written over", "emptied", "folder removed"])
def test_an_open_gallery_notices_that_its_file_is_not_the_same(path, tmp_path, how):
    if os.name != "posix":
        pytest.skip("Windows does not let an open file be removed")
    other = another(tmp_path / "other", [("Mallory", np.roll(ROW, 1, axis=1))])
    house = tmp_path / "house"
    house.mkdir()
    path = path.rename(house / "office.gallery")
    os.utime(path, (1e9, 1e9))
    with opened(path) as gallery:
        assert len(gallery.encodings()[0]) == len(gallery.people()) == 1
        if how == "removed":
            path.unlink()
        elif how == "moved away":
            path.rename(tmp_path / "elsewhere")
        elif how == "replaced":
            other.replace(path)
        elif how == "written over":  # the file keeps its number, and its counters happen to be the same
            shutil.copyfile(other, path)
        elif how == "emptied":
            os.truncate(path, 0)
        else:
            shutil.rmtree(house)
        there = path.read_bytes() if path.exists() else None
        for verb in verbs_of(gallery).values():
            with pytest.raises(GalleryError, match=r"replaced or removed while it was open; open it again\."):
                verb()
        assert (path.read_bytes() if path.exists() else None) == there
    if path.parent.exists():
        assert [p.name for p in path.parent.iterdir()] == [path.name] * (there is not None)
    if there:
        with opened(path) as gallery:
            assert [p.name for p in gallery.people()] == ["Mallory"]


def test_a_gallery_that_comes_back_is_answered_from_again(path, tmp_path):
    with opened(path) as gallery:
        path.rename(tmp_path / "elsewhere")
        with pytest.raises(GalleryError, match="removed"):
            gallery.people()
        (tmp_path / "elsewhere").rename(path)
        assert [p.name for p in gallery.people()] == ["Anna"]


def test_a_gallery_that_is_put_back_to_an_older_state_is_noticed(path, tmp_path):
    """A reader who heard of later news would keep people that the older state does not know."""
    shutil.copyfile(path, tmp_path / "backup")
    with opened(path) as gallery:
        gallery.add_person("Ben", ROW)
        assert gallery.changes() == Stamp(2, 0)
        shutil.copyfile(tmp_path / "backup", path)
        os.utime(path, (1e9, 1e9))  # whatever the clock's steps are
        with pytest.raises(GalleryError, match="replaced"):
            gallery.changes()
    with opened(path) as gallery:
        assert [p.name for p in gallery.people()] == ["Anna"]


def test_what_the_gallery_itself_does_to_its_file_is_no_replacement(path, tmp_path, monkeypatch):
    with opened(path) as gallery, opened(path) as reader:
        seen = path.stat()
        for i in range(4):
            gallery.add_person(f"p{i}", ROW)
            assert len(reader) == 2
            gallery.forget(f"p{i}")  # VACUUM
            assert len(reader) == len(gallery) == 1
        gallery.rotate_key(bytes(32))
        assert len(gallery.people()) == 1
        assert path.stat().st_ino == seen.st_ino
    with open_gallery(tmp_path / "new" / "x", encoder="sface", dimension=8, key=KEY) as gallery:
        assert len(gallery) == 0
        gallery.add_person("Anna", ROW)
        assert len(gallery) == 1


def test_somebody_enrolled_while_the_file_goes_away_is_not_reported_as_enrolled(path, tmp_path, monkeypatch):
    append = blocks.append

    def remove_first(*args):
        path.rename(tmp_path / "elsewhere")
        append(*args)

    monkeypatch.setattr(blocks, "append", remove_first)
    with opened(path) as gallery, pytest.raises(GalleryError, match="removed"):
        gallery.add_person("Ben", ROW)
    (tmp_path / "elsewhere").rename(path)
    with opened(path) as gallery:
        assert [p.name for p in gallery.people()] == ["Anna"]


def test_a_relative_path_stays_the_same_file_when_the_program_changes_its_folder(path, monkeypatch, tmp_path):
    monkeypatch.chdir(path.parent)
    (tmp_path / "elsewhere").mkdir()
    with opened(path.name) as gallery, opened("new.gallery") as new:
        monkeypatch.chdir(tmp_path / "elsewhere")
        assert len(gallery) == 1
        new.add_person("Ben", ROW)
        with opened(gallery.url) as again:
            assert len(again) == 1
    assert (path.parent / "new.gallery").exists()


# a first enrolment that fails


class Crash(Exception):
    pass


@pytest.mark.parametrize("key", [KEY, None])
def test_a_first_enrolment_that_fails_leaves_no_file(tmp_path, monkeypatch, key):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("MIEN_KEY", raising=False)
    path = tmp_path / "data" / "office.gallery"
    with open_gallery(path, encoder="sface", dimension=8, key=key) as gallery:
        with monkeypatch.context() as patched:

            def crash(*_):
                raise Crash

            patched.setattr(blocks, "append", crash)
            with pytest.raises(Crash):
                gallery.add_person("Anna", ROW)
        assert [p for p in tmp_path.rglob("*") if p.is_file()] == []
        assert len(gallery) == 0
        gallery.add_person("Anna", ROW)
        assert len(gallery) == 1
    assert [p.name for p in path.parent.iterdir()] == ["office.gallery"]


def test_an_empty_file_that_was_there_before_stays(tmp_path, monkeypatch):
    path = tmp_path / "office.gallery"
    path.touch()

    def crash(*_):
        raise Crash

    monkeypatch.setattr(blocks, "append", crash)
    with opened(path) as gallery, pytest.raises(Crash):
        gallery.add_person("Anna", ROW)
    assert path.stat().st_size == 0


def test_a_file_in_which_another_process_made_the_gallery_meanwhile_stays(tmp_path, monkeypatch):
    path = tmp_path / "office.gallery"
    connect_empty = connection.connect_empty

    def other_first(place):
        with monkeypatch.context() as patched:
            patched.setattr("mien.faces.gallery.store.connect_empty", connect_empty)
            with opened(place) as other:
                other.add_person("Ben", ROW)
        return connect_empty(place)

    monkeypatch.setattr("mien.faces.gallery.store.connect_empty", other_first)
    with opened(path) as gallery, pytest.raises(GalleryError):
        gallery.add_people([NewPerson("Anna", ROW), NewPerson("Ben", ROW)])
    with opened(path) as gallery:
        assert [p.name for p in gallery.people()] == ["Ben"]


def test_nobody_is_enrolled_into_a_file_that_its_maker_has_taken_away(tmp_path, monkeypatch):
    path = tmp_path / "office.gallery"
    path.touch()  # another process made it, ...
    connect_empty = connection.connect_empty

    def taken_away(place):
        opened_before = connect_empty(place)
        place.unlink()  # ... and gives up while this one waits for the lock
        return opened_before

    monkeypatch.setattr("mien.faces.gallery.store.connect_empty", taken_away)
    with opened(path) as gallery:
        with pytest.raises(GalleryError, match="removed"):
            gallery.add_person("Anna", ROW)
        monkeypatch.undo()
        gallery.add_person("Anna", ROW)
    with opened(path) as gallery:
        assert len(gallery) == 1


# addresses that the system does not take


@pytest.mark.parametrize("name", ["x" * 5000, "a/" * 2500 + "x", "nul\0"])
def test_an_impossible_path_is_a_short_sentence(tmp_path, name):
    for verb in (opened, describe_gallery):
        with pytest.raises(GalleryError, match="Expected to reach the gallery") as caught:
            verb(f"{tmp_path}/{name}")
        assert len(str(caught.value)) < 400


def test_a_file_that_nobody_may_look_at_is_a_sentence(path, monkeypatch):
    stat = Path.stat
    refused = set()

    def no_permission(self, **how):
        if self in refused:
            raise PermissionError(13, "Permission denied", str(self))
        return stat(self, **how)

    monkeypatch.setattr(Path, "stat", no_permission)
    with opened(path) as gallery:
        refused.add(path)
        for verb in (*verbs_of(gallery).values(), lambda: opened(path), lambda: describe_gallery(path)):
            with pytest.raises(GalleryError, match="Permission denied; check its name, its folder"):
                verb()


def test_a_folder_that_nobody_may_enter_is_a_sentence(unprivileged):
    house = unprivileged / "house"
    house.mkdir()
    with opened(house / "office.gallery") as gallery:
        gallery.add_person("Anna", ROW)
    house.chmod(0)
    if os.getuid() == 0:
        os.seteuid(65534)
    try:
        for verb in (opened, describe_gallery):
            with pytest.raises(GalleryError, match="Permission denied"):
                verb(house / "office.gallery")
    finally:
        os.seteuid(os.getuid())
        house.chmod(0o755)


def test_a_relative_path_in_a_folder_that_was_removed_is_a_sentence(tmp_path, monkeypatch):
    if os.name != "posix":
        pytest.skip("Windows keeps the present folder")
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(GalleryError, match="Expected to reach the gallery"):
        opened("office.gallery")
    assert describe_gallery("office.gallery") is None


def test_a_link_to_itself_is_a_sentence(tmp_path):
    link = tmp_path / "link"
    link.symlink_to(link)
    with pytest.raises(GalleryError, match="symbolic links"):
        opened(link)


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


def test_a_gallery_about_to_be_made_does_not_drop_the_locks_of_this_process(tmp_path, monkeypatch):
    monkeypatch.setattr(connection, "WAIT_SECONDS", 0.1)
    path = tmp_path / "office.gallery"
    with closing(sqlite3.connect(path, isolation_level=None)) as here:
        here.execute("BEGIN IMMEDIATE")
        with opened(path) as gallery, pytest.raises(GalleryBusy):
            gallery.add_person("Anna", ROW)
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
