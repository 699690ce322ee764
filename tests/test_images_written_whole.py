"""Files are written whole or not at all, and what stands in the way is said before a long job."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from mien import images
from mien.errors import MissingExtra, OptionError, OutputError

pytest.importorskip("tifffile")
EVERY = [".png", ".tif", ".tiff", ".webp", ".jpg", ".jpeg"]


@pytest.fixture
def photo():
    return data.astronaut()[:60, 100:190]


def left_over(folder):
    return sorted(path.name for path in folder.iterdir())


# --- whole or not at all ---


@pytest.mark.parametrize("suffix", EVERY)
def test_an_existing_file_is_kept_without_force_and_replaced_with_it(tmp_path, photo, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_text("precious")
    with pytest.raises(OutputError, match="exists already; choose another name, or overwrite it with --force"):
        images.save(path, photo)
    assert path.read_text() == "precious"
    images.save(path, photo, force=True)
    assert images.load(path).size == (90, 60)
    assert left_over(tmp_path) == [path.name]


@pytest.mark.parametrize("suffix", EVERY)
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_full_disk_leaves_nothing_behind_and_the_old_file_as_it_was(tmp_path, photo, suffix, code, monkeypatch):
    def fail(descriptor):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    path = tmp_path / f"a{suffix}"
    path.write_text("precious")
    with pytest.raises(OutputError, match="the disk is full" if code == errno.ENOSPC else "refused it"):
        images.save(path, photo, force=True)
    assert path.read_text() == "precious"
    assert left_over(tmp_path) == [path.name]


@pytest.mark.parametrize("suffix", EVERY)
def test_the_system_refusing_to_write_on_is_an_output_error(tmp_path, suffix):
    pytest.importorskip("resource")
    code = (
        "import resource, sys; import numpy as np; from mien import images; from mien.errors import OutputError\n"
        "pixels = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))\n"
        "try: images.save(sys.argv[1], pixels)\n"
        "except OutputError as error: sys.exit(str(error))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / f"a{suffix}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Expected to write “")
    assert left_over(tmp_path) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_whatever_stops_the_writing_the_temporary_file_goes(tmp_path, error):
    def write(file):
        file.write(b"half")
        raise error

    with pytest.raises(error):
        images.write_whole(tmp_path / "a.bin", write)
    assert left_over(tmp_path) == []


def test_the_file_appears_only_when_it_is_whole(tmp_path):
    seen = []

    def write(file):
        file.write(b"all of it")
        seen.append((tmp_path / "a.bin").exists())

    assert images.write_whole(tmp_path / "a.bin", write) == tmp_path / "a.bin"
    assert seen == [False]
    assert (tmp_path / "a.bin").read_bytes() == b"all of it"


def test_a_file_that_appears_meanwhile_is_not_overwritten(tmp_path):
    path = tmp_path / "a.bin"

    def write(file):
        path.write_text("another job's")
        file.write(b"ours")

    with pytest.raises(OutputError, match="exists already"):
        images.write_whole(path, write, force=False)
    assert path.read_text() == "another job's"
    assert left_over(tmp_path) == ["a.bin"]


def test_a_new_file_has_the_usual_permissions(tmp_path, photo):
    (tmp_path / "usual").touch()
    path = images.save(tmp_path / "a.png", photo)
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "usual").stat().st_mode)


def test_a_link_is_followed_not_replaced(tmp_path, photo):
    (tmp_path / "pictures").mkdir()
    real, link = tmp_path / "pictures" / "real.png", tmp_path / "link.png"
    real.write_text("old")
    link.symlink_to(real)
    with pytest.raises(OutputError, match="exists already"):
        images.save(link, photo)
    images.save(link, photo, force=True)
    assert link.is_symlink()
    np.testing.assert_array_equal(images.load(real).pixels, photo)


def test_unicode_spaces_and_long_names(tmp_path, photo):
    for name in ("mein Bild – ünï.png", "写真 🎨.JPG", "x" * 251 + ".tif", " .webp"):
        path = images.save(tmp_path / name, photo)
        assert path == tmp_path / name
        assert images.load(path).size == (90, 60)


# --- before a long job ---


def test_a_place_that_can_be_written_passes_and_is_left_as_it_was(tmp_path):
    images.check_writable(tmp_path / "a.png", force=False, bits=16)
    images.check_writable(str(tmp_path / "a.WebP"), force=False)
    assert left_over(tmp_path) == []


def test_every_reason_is_found_before_the_job(tmp_path):
    (tmp_path / "old.png").touch()
    (tmp_path / "folder.png").mkdir()
    for name, force, reason in (
        ("a.gif", True, r"ends in \.png, \.jpg, \.jpeg, \.tif, \.tiff, \.webp, but got “.*a\.gif”"),
        ("a", True, "ends in"),
        ("old.png", False, "exists already"),
        ("folder.png", True, "is a folder"),
        ("missing/a.png", True, "there is no “.*missing”; create it first"),
        ("old.png/a.png", True, r"there is no “.*old\.png”; create it first"),
        ("x" * 300 + ".png", True, "refused it"),
        ("a\0.png", True, "refused it"),
    ):
        with pytest.raises(OutputError, match=reason):
            images.check_writable(tmp_path / name, force=force)
    images.check_writable(tmp_path / "old.png", force=True)
    assert left_over(tmp_path) == ["folder.png", "old.png"]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that even root cannot write to")
def test_a_folder_that_cannot_be_written_to():
    with pytest.raises(OutputError, match="refused it"):
        images.check_writable("/proc/a.png", force=False)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_device_or_pipe_is_never_replaced_by_a_file(tmp_path, photo):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(OutputError, match="not an ordinary file"):
        images.save(tmp_path / "pipe.png", photo, force=True)
    assert stat.S_ISFIFO((tmp_path / "pipe.png").stat().st_mode)


@pytest.mark.parametrize(("name", "bits"), [("a.jpg", 16), ("a.webp", 16), ("a.png", 12), ("a.tif", 32)])
def test_bits_that_do_not_fit_the_format_are_refused(tmp_path, name, bits):
    with pytest.raises(OptionError, match="8 bits per channel, or 16 for PNG and TIFF"):
        images.check_writable(tmp_path / name, force=False, bits=bits)


def test_writing_tiff_without_tifffile_names_its_extra(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"mien\[style\]"):
        images.check_writable(tmp_path / "a.tif", force=False)
