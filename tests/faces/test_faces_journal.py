"""Where a gallery's log and its head lie, and what copies of a gallery do to each other: nothing."""

import json
import shutil

import numpy as np
import pytest

from mien.errors import AuditError, GalleryError
from mien.faces.audit import entries
from mien.faces.gallery import open_gallery
from mien.faces.gallery.keys import keys_folder
from mien.faces.journal import head_file, log_file, open_log, verify_log

KEY = bytes(range(32))
ROW = np.eye(1, 8, dtype=np.float32)


def opened(url):
    return open_gallery(url, encoder="sface", dimension=8, key=KEY)


@pytest.fixture
def office(home):
    """The path of a gallery with Anna in it, and three entries in its log."""
    path = home / "data" / "office.db"
    with opened(path) as gallery:
        assert open_log(gallery) is None
        gallery.add_person("Anna", ROW)
        for _ in range(3):
            open_log(gallery).append("admit")
    return path


def events(path):
    return [entry.event for entry in entries(log_file(path))]


@pytest.mark.parametrize("url", ["a/office.db", "sqlite:///a/office.db"])
def test_the_log_lies_beside_the_gallery(url):
    assert log_file(url).as_posix() == "a/office.db.audit.jsonl"
    assert log_file("/").name == ".audit.jsonl"  # what is no gallery is told by who opens it


def test_the_head_lies_with_the_keys_and_says_neither_secret_nor_path(office):
    with opened(office) as gallery:
        place = head_file(gallery.audit_key, log_file(office))
        assert place.parent == keys_folder()
        assert place.exists()
        assert "office" not in place.name
        assert gallery.audit_key.hex()[:8] not in place.name
        assert verify_log(gallery)[1]


def test_the_head_is_found_by_any_way_to_the_log(office, monkeypatch):
    monkeypatch.chdir(office.parent)
    (office.parent / "link").symlink_to(office.parent)
    for url in ("office.db", "../data/office.db", office.parent / "link" / "office.db"):
        with opened(url) as gallery:
            open_log(gallery).append("admit")
            report, headed = verify_log(gallery)
            assert (headed, report.heads_missing) == (True, 0)


def test_the_log_stays_in_its_place_when_the_program_changes_its_folder(office, monkeypatch, tmp_path):
    monkeypatch.chdir(office.parent)
    with opened("office.db") as gallery:
        monkeypatch.chdir(tmp_path)
        open_log(gallery).append("deny")
        assert gallery.find("Anna").samples == 1
    assert events(office)[-1] == "deny"


def test_a_copy_goes_its_own_way_and_the_original_is_not_refused(office, home):
    shutil.copytree(office.parent, home / "copy")
    copy = home / "copy" / "office.db"
    for path in (copy, office, copy, office):
        with opened(path) as gallery:
            open_log(gallery).check()
            open_log(gallery).append("admit")
    with opened(copy) as gallery:
        report, headed = verify_log(gallery)
    assert (report.heads_missing, report.entries, headed) == (1, 6, True)
    assert events(copy)[3] == "head-missing"
    with opened(office) as gallery:
        report, headed = verify_log(gallery)
    assert (report.heads_missing, report.entries, headed) == (0, 5, True)


def test_a_head_that_is_not_there_is_said_and_counted_once_it_was_missed(office):
    with opened(office) as gallery:
        head_file(gallery.audit_key, log_file(office)).unlink()
        report, headed = verify_log(gallery)
        assert (report.heads_missing, headed) == (0, False)
        open_log(gallery).append("admit")
        report, headed = verify_log(gallery)
        assert (report.heads_missing, headed) == (1, True)


def test_a_cut_and_a_forged_head_are_found(office):
    log = log_file(office)
    whole = log.read_bytes()
    with opened(office) as gallery:
        place = head_file(gallery.audit_key, log)
        log.write_bytes(b"".join(whole.splitlines(keepends=True)[:2]))
        with pytest.raises(AuditError, match="cut"):
            verify_log(gallery)
        last = json.loads(log.read_bytes().splitlines()[-1])
        place.write_text(json.dumps({"count": 2, "digest": last["hash"], "hash": "0" * 64}))
        with pytest.raises(AuditError, match="forged"):
            verify_log(gallery)


def test_a_gallery_without_anybody_has_no_log(home):
    with opened(home / "data" / "new.db") as gallery, pytest.raises(GalleryError, match="enrol somebody"):
        verify_log(gallery)
