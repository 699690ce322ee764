"""What `mien faces risk`, `calibrate` and `evaluate` print and refuse, with encodings in place of networks."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

from mien.cli import main
from mien.cli.faces_measure import _summary
from mien.cli.main import cli
from mien.errors import MienError
from mien.faces.calibration import Rate, load_calibration
from mien.faces.evaluate import Sightings
from mien.faces.wording import rate_in_words, times_in_words

PEOPLE = 60


@pytest.fixture
def mien(tmp_path, monkeypatch):
    """A function: exit code and output of `mien faces …`, in a home of its own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    runner = CliRunner()

    def run(*arguments):
        try:
            result = runner.invoke(cli, ["faces", *map(str, arguments)], standalone_mode=False, catch_exceptions=False)
        except MienError as error:
            return error.exit_code, str(error)
        return result.return_value or result.exit_code, result.output

    return run


@pytest.fixture
def people(tmp_path, monkeypatch):
    """A folder of 60 people with 3 photos each, empty files; the first of p00 and both others' of p01 show no face."""
    folder = tmp_path / "people"
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(PEOPLE, 12))
    encodings = {}
    for i in range(PEOPLE):
        (folder / f"p{i:02}").mkdir(parents=True)
        for j in range(3):
            path = folder / f"p{i:02}" / f"{j}.jpg"
            path.touch()
            row = centres[i] + 0.35 * rng.normal(size=12)
            encodings[path] = (row / np.linalg.norm(row)).astype(np.float32)
    for name in ("p00/0.jpg", "p01/0.jpg", "p01/1.jpg"):
        encodings[folder / name] = None
    encoder = SimpleNamespace(name="toy", dimension=12)
    monkeypatch.setattr(
        "mien.cli.faces_measure.open_pipeline", lambda name: SimpleNamespace(encoder=encoder, detector=None)
    )
    monkeypatch.setattr(
        "mien.faces.evaluate.see_folder", lambda photos, *_, progress: Sightings({p: encodings[p] for p in photos}, {})
    )
    return folder


@pytest.fixture
def shipped(monkeypatch):
    """The shipped thresholds, without their networks."""
    monkeypatch.setattr("mien.cli.faces_measure.open_pipeline", lambda name: None)
    monkeypatch.setattr("mien.cli.faces_measure.find_calibration", lambda pipeline, chosen: load_calibration("sface"))


# risk


@pytest.mark.parametrize("people", [1, 12, 1000, 20_000])
def test_no_number_of_the_risk_has_an_exponent_and_every_bound_a_mark(mien, shipped, people):
    code, text = mien("risk", "--people", people, "--strangers", "2000", "--visits", "1", "--fpir", "0.05")
    assert code == 0
    assert not re.search(r"\d[eE][+-]?\d|\binf\b|\bnan\b", text)
    table = text[text.index("   τ") :].splitlines()
    rows = [re.split(r" {2,}", line.strip()) for line in table[1:] if "0." in line or "1." in line]
    bounds = 0
    for row in rows:
        if len(row) >= 6 and row[2].startswith("≤"):
            assert row[5].startswith("≤"), row
            bounds += 1
    assert bounds or people < 1000
    assert "100 %" in text or people > 12


def test_the_table_of_the_risk_rounds_bounds_up():
    assert rate_in_words(Rate(0.00121, 0, 0.00121, True)) == "≤ 0.13 %"
    assert times_in_words(Rate(3.61, 0, 3.61, True)) == "≤ 3.7"
    assert times_in_words(Rate(1640, 1000, 2000, False)) == "1,600"
    assert rate_in_words(Rate(1, 1, 1, False)) == "100 %"
    assert rate_in_words(Rate(0, 0, 0.0501, False)) == "< 5.1 %"
    assert (rate_in_words(None), times_in_words(None)) == ("–", "–")


def test_a_plot_is_a_png_or_refused_with_the_fix(mien, shipped, tmp_path):
    code, text = mien("risk", "--people", 5, "--plot", tmp_path / "risk.jpg")
    assert (code, "ends in .png" in text) == (2, True)
    assert not (tmp_path / "risk.jpg").exists()
    assert mien("risk", "--people", 5, "--plot", tmp_path / "risk.PNG")[0] == 0
    assert (tmp_path / "risk.PNG").read_bytes().startswith(b"\x89PNG")


def test_the_notes_of_the_calibration_are_told(mien, shipped):
    text = mien("risk", "--people", 5)[1]
    assert "Three labels were corrected" in text
    assert "√2" in text
    record = json.loads(mien("risk", "--people", 5, "--json")[1])
    assert 0 < record["misidentified"] < record["fpir"]["high"]


# calibrate


def test_photos_without_a_face_are_misses_of_their_people(mien, people, tmp_path):
    code, text = mien("calibrate", people, "-o", tmp_path / "c.json")
    assert code == 0
    found = load_calibration(tmp_path / "c.json")
    assert found.genuine_comparisons == 3 * PEOPLE
    assert found.photos == 3 * PEOPLE
    # At the loosest threshold all others match: two of three of p00, and all of p01, do not.
    assert found.fnmr(found.table.thresholds[-1]).value >= (2 / 3 + 1) / PEOPLE
    (note,) = found.notes
    assert note.startswith("3 photos show no face")
    assert note in text
    assert "left out" not in text


def test_a_calibration_is_summed_up_with_its_intervals(mien, people, tmp_path):
    text = mien("calibrate", people, "-o", tmp_path / "c.json")[1]
    found = load_calibration(tmp_path / "c.json")
    lines = [line for line in text.splitlines() if line.startswith("FMR at most ")]
    assert lines
    assert all(re.search(r" of the pairs of one person's photos are refused \([\d.]+ to [\d.]+ %\)$", x) for x in lines)
    shipped = list(_summary(load_calibration("sface")))
    assert shipped[3].startswith("FMR at most 0.01 %: τ 1.064 (measured, 0.0034 to 0.01 %); 4.6 % of the pairs")
    assert shipped[5].startswith("FMR at most 0.0001 %: τ 0.949 (extrapolated, pessimistic bound); 21 % of the pairs")
    assert f"of {found.genuine_people} people with themselves" in text
    assert "another group of as many people" in text


def test_a_folder_as_output_is_called_a_folder(mien, people, tmp_path):
    for arguments in (("calibrate", people, "-o"), ("evaluate", "folder", people, "--report")):
        code, text = mien(*arguments, tmp_path)
        assert (code, "is a folder" in text, "--force" in text) == (1, True, False)
        code, text = mien(*arguments, tmp_path / "none" / "x")
        assert (code, "create it first" in text) == (1, True)
        assert mien(*arguments, "x" * 5000)[0] == 1


# evaluate


def test_an_evaluation_prints_intervals_marks_and_spreads(mien, people):
    code, text = mien("evaluate", "folder", people)
    assert code == 0
    assert re.search(r"^EER [\d.]+ %( \*)? \(95 %: ", text, re.MULTILINE)
    assert re.search(r"^at FMR 0.1 % \* \(95 %: .*\): FNMR .* \(95 %: .*\), τ ", text, re.MULTILINE)
    assert "* rests on fewer than 30 errors" in text
    assert "spread over splits" in text
    assert "photos without a face, or that cannot be read: 3" in text


def test_a_page_is_made_only_where_one_was_asked_for(mien, people, monkeypatch, tmp_path):
    made = []
    monkeypatch.setattr(
        "mien.faces.evaluation_report.folder_page", lambda result, encoder: made.append(encoder) or "page"
    )
    assert mien("evaluate", "folder", people)[0] == 0
    assert made == []
    assert mien("evaluate", "folder", people, "--report", tmp_path / "r.html")[0] == 0
    assert (made, (tmp_path / "r.html").read_text()) == (["toy"], "page")


@pytest.mark.parametrize("option", ["--groups", "--relabel"])
def test_a_monstrous_field_is_one_sentence(mien, people, tmp_path, option):
    file = tmp_path / "monster.csv"
    file.write_text("p00," + 200_000 * "x", encoding="utf-8")
    command = ("evaluate", "folder") if option == "--groups" else ("calibrate", "-o", tmp_path / "c.json")
    code, text = mien(*command, people, option, file)
    assert (code, "no such CSV" in text) == (2, True)


@pytest.mark.parametrize("command", [["calibrate", "-o"], ["evaluate", "folder", "--report"]])
def test_an_interruption_exits_with_130_and_writes_nothing(people, tmp_path, monkeypatch, capsys, command):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("mien.faces.evaluate.see_folder", interrupted)
    out = tmp_path / "out"
    monkeypatch.setattr("sys.argv", ["mien", "faces", *command, str(out), str(people)])
    before = sorted(Path(tmp_path).rglob("*"))
    with pytest.raises(SystemExit) as stopped:
        main.main()
    assert stopped.value.code == 130
    assert "Interrupted" in capsys.readouterr().err
    assert sorted(Path(tmp_path).rglob("*")) == before
