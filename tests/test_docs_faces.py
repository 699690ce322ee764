"""docs/faces.md is true: its commands run in order, as one story, and print what it says, figures aside."""

import importlib.metadata
import itertools
import json
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
from mien.faces import load_calibration
from mien.weights import Weights

PAGE = (Path(__file__).parent.parent / "docs" / "faces.md").read_text(encoding="utf-8")
_FENCED = re.compile(r"(?P<skip><!-- not run:[^>]*-->\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.M | re.S)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The files that the page names: Danielle is played by an astronaut, the visitor by an admiral."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    for name in ("MIEN_KEY", "MIEN_NEW_KEY", "MIEN_GALLERY"):
        monkeypatch.delenv(name, raising=False)
    astronaut = Image.fromarray(skimage.data.astronaut())
    hopper = next(f for f in importlib.metadata.files("matplotlib") if f.name == "grace_hopper.jpg")
    visitor = Image.open(hopper.locate()).convert("RGB")
    turned = astronaut.rotate(8, resample=Image.Resampling.BICUBIC).crop((100, 0, 420, 320))
    door = Image.fromarray((np.asarray(turned) * 0.6).astype(np.uint8))
    astronaut.save("danielle.jpg", quality=95)
    door.save("door.jpg", quality=95)
    visitor.save("visitor.jpg", quality=95)
    # Somebody else again: a face put together from two, for the packages carry no third.
    between = Image.blend(astronaut.crop((120, 40, 340, 260)), visitor.crop((140, 60, 360, 280)), 0.6)
    between.resize((440, 440)).save("khan.jpg", quality=95)
    for folder, pictures in {
        "photos": (door,),
        "people/Danielle": (astronaut, door),
        "people/Visitor": (visitor,),
    }.items():
        Path(folder).mkdir(parents=True)
        for number, picture in enumerate(pictures):
            picture.save(Path(folder) / f"{number}.jpg", quality=95)
    return tmp_path


def without_figures(text):
    return re.sub(r"\d[\d,.]*", "#", text).strip()


def test_the_page_is_a_story_that_comes_true(place):
    runner, said, story = CliRunner(), "", []
    for block in _FENCED.finditer(PAGE):
        if block["skip"]:
            continue
        if block["kind"] == "sh":
            for line in block["text"].splitlines():
                outcome = runner.invoke(cli, shlex.split(line, comments=True)[1:], standalone_mode=False)
                assert outcome.exception is None, (line, outcome.exception)
                assert (outcome.return_value or 0) in (0, 3), line
                said = outcome.output
                story.append(line)
        elif block["kind"] == "text" and said:
            assert without_figures(said) == without_figures(block["text"]), story[-1]
            said = ""
        else:
            said = ""
    assert len(story) > 12
    assert not list(place.rglob("*.part"))


def test_the_programs_print_what_the_page_says(place, capsys):
    programs = list(_FENCED.finditer(PAGE))
    names = {}
    checked = 0
    for block, after in itertools.pairwise(programs):
        if block["kind"] == "python":
            capsys.readouterr()
            exec(compile(block["text"], "docs/faces.md", "exec"), names)
            assert capsys.readouterr().out == after["text"]
            checked += 1
    assert checked == 2


def test_the_table_of_thresholds_is_the_shipped_calibrations():
    calibration = load_calibration("sface")
    rows = re.findall(r"^\| 1 in ([\d,]+) \| ([\d.]+) \| ([\d.]+) % \| (\w+) \|$", PAGE, re.M)
    assert len(rows) == 5
    for odds, tau, refused, known in rows:
        exact = calibration.threshold_for_fmr(1 / int(odds.replace(",", "")))
        assert float(tau) == pytest.approx(exact, abs=5.1e-4)
        assert float(refused) == pytest.approx(100 * calibration.fnmr(exact).value, rel=0.03)
        assert (known == "bound") == calibration.fmr(exact).extrapolated
    assert f"{calibration.impostor_comparisons:,} comparisons of {calibration.people:,} people" in PAGE


def test_the_record_in_the_page_names_the_fields_that_a_record_has():
    record = json.loads(next(block["text"] for block in _FENCED.finditer(PAGE) if block["kind"] == "json"))
    assert set(record) <= set(Weights.__dataclass_fields__)


def run_example(name, *arguments):
    program = Path(__file__).parent.parent / "examples" / name
    done = subprocess.run([sys.executable, str(program), *arguments], capture_output=True, text=True, check=True)
    return done.stdout


def test_the_examples_run(place):
    text = run_example("office.py", "door.jpg", "Danielle=danielle.jpg", "Khan=khan.jpg")
    assert text.startswith("Welcome, Danielle\n")
    assert len(run_example("how_sure.py").splitlines()) == 5
