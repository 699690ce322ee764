"""docs/training.md is true: its commands run in order, small, its program prints what it says, its examples run."""

import importlib.metadata
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from click.testing import CliRunner
from PIL import Image

from mien.cli.main import cli
from mien.cli.train import train as command

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
_FENCED = re.compile(r"(?P<skip><!-- not run:[^>]*-->\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.M | re.S)
_SMALL = ("--epochs", "1", "--encoding", "8")


def blocks(kind):
    return [m["text"] for m in _FENCED.finditer(PAGE) if m["kind"] == kind and not m["skip"]]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The files that the page names."""
    place = tmp_path_factory.mktemp("docs")
    random = np.random.default_rng(0)
    for person in range(8):
        face = random.integers(0, 200, (40, 40))
        for photo in range(4):
            pixels = Image.fromarray((face + random.integers(0, 55, face.shape)).astype(np.uint8))
            for path in (place / "people" / f"p{person}" / f"{photo}.png", place / "photos" / f"{person}{photo}.png"):
                path.parent.mkdir(parents=True, exist_ok=True)
                pixels.save(path)
    rows = ["path,label,group"]
    for kind in range(2):
        for patient in range(4):
            wave = np.sin(np.arange(128) * (0.2 + 0.3 * kind)) + random.normal(0, 0.1, 128)
            np.savez(place / f"{kind}{patient}.npz", x=wave[None].astype(np.float32), rate=100.0)
            rows.append(f"{kind}{patient}.npz,class {kind},patient {patient}")
    (place / "beats.csv").write_text("\n".join(rows), encoding="utf-8")
    Image.fromarray(skimage.data.astronaut()).save(place / "one.jpg")
    hopper = next(f for f in importlib.metadata.files("matplotlib") if f.name == "grace_hopper.jpg")
    Image.open(hopper.locate()).convert("RGB").save(place / "other.jpg")
    # Two faces and their mirror images as four people, in two lights.
    for folder in ("staff", "guests"):
        for name in ("one", "other"):
            photo = np.asarray(Image.open(place / f"{name}.jpg"))
            for person, pixels in ((name, photo), (f"{name}-mirrored", photo[:, ::-1])):
                (place / folder / person).mkdir(parents=True)
                for number, light in enumerate((1.0, 0.8)):
                    lit = Image.fromarray((pixels * light).astype(np.uint8))
                    lit.save(place / folder / person / f"{number}.jpg")
    return place


def made_small(words):
    """One epoch of a tiny network; a training that is gone on with has its settings already."""
    if words[0] != "train" or {"--list", "--resume", "--describe"} & set(words):
        return words
    words = [*words, *_SMALL, *(() if "--widths" in words else ("--widths", "8"))]
    if "--seeds" in words:
        words[words.index("--seeds") + 1] = "2"
    return words if "sensor" not in words else [*words, "--no-plain"]


@pytest.fixture(scope="module")
def story(place):
    """Every command of the page, run in order: its line, exit code, output and exception."""
    told = []
    patch = pytest.MonkeyPatch()
    patch.chdir(place)
    patch.delenv("MIEN_DATA", raising=False)  # the stand-ins are enough here
    try:
        for line in "".join(blocks("sh")).splitlines():
            words = made_small(shlex.split(line, comments=True)[1:])
            outcome = CliRunner().invoke(cli, words, standalone_mode=False)
            told.append((line, outcome.return_value or 0, outcome.output, outcome.exception))
    finally:
        patch.undo()
    return told


def test_the_commands_of_the_page_run_in_order(story, place):
    assert len(story) >= 14
    for line, code, output, exception in story:
        assert exception is None, (line, exception)
        assert code in ((0, 3) if " verify " in line else (0,)), (line, output)
        words = shlex.split(line)
        if "-o" in words:
            assert (place / words[words.index("-o") + 1]).exists(), line
    assert not list(place.rglob("*.part"))


def test_a_stand_in_is_said_first(story, place):
    assert "STAND-IN" in (place / "sensor" / "report.html").read_text(encoding="utf-8").partition("<h2>")[0]


def test_the_program_of_the_page_prints_what_it_says(place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    [program] = blocks("python")
    exec(compile(program, "docs/training.md", "exec"), {})
    assert capsys.readouterr().out in blocks("text")


@pytest.mark.parametrize(
    "flag", [max(item.opts, key=len) for item in command.params if item.name not in ("list_", "out", "data")]
)
def test_every_option_is_documented(flag):
    no = flag.replace("--", "--no-", 1)
    assert re.search(rf"`[^`\n]*({re.escape(flag)}|{re.escape(no)})(?![\w-])", PAGE) or re.search(
        rf"^mien .*({re.escape(flag)}|{re.escape(no)})(?![\w-])", PAGE, re.M
    )


def test_every_chapter_that_is_listed_is_there():
    anchors = {re.sub(r"[^\w -]", "", t.lower()).replace(" ", "-") for t in re.findall(r"^## (.+)$", PAGE, re.M)}
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) == anchors


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("train_signals.py", "ex-signals"), r"EER on unseen people: [\d.]+%\nraw values"),
        (
            ("train_watch.py", "people", "ex-watch"),
            r"(epoch \d+: loss [\d.]+, EER [\d.]+%\n)*\w+ after \d+ s, best Measure",
        ),
        (
            ("train_verify.py", "learnt/encoder", "photos/00.png", "photos/11.png"),
            r"the same with probability [01]\.\d\d\n",
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else None,
)
def test_the_examples_run(words, said, story, place):
    program = ROOT / "examples" / words[0]
    done = subprocess.run(
        [sys.executable, str(program), *words[1:]], capture_output=True, text=True, check=True, cwd=place
    )
    assert re.match(said, done.stdout), done.stdout
