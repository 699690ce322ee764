"""`mien train` and `mien features` as a person uses them: tiny real trainings, what is written, what is refused."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from mien import images
from mien.cli.main import main
from mien.cli.train import train as command
from mien.cli.train_live import LivePlot, panel, sparkline
from mien.training.history import History
from mien.training.judging import Measure
from mien.training.options import TrainOptions
from mien.training.progress import Progress, Sums
from mien.training.recipes import RECIPES

SMALL = ("--widths", "8", "--encoding", "8", "--epochs", "1", "--identities", "3", "--items", "2")


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


def mien(*words):
    out, err = StringIO(), StringIO()
    before = sys.argv
    sys.argv = ["mien", *map(str, words)]
    try:
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
            main()
    finally:
        sys.argv = before
    return Outcome(int(ended.value.code or 0), out.getvalue(), err.getvalue())


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Photos of six people, three each, and a folder of the same without labels."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for person in range(6):
        face = random.integers(0, 200, (16, 12, 3))
        for photo in range(3):
            pixels = (face + random.integers(0, 55, face.shape)).astype(np.uint8)
            images.save(_made(tmp_path / "people" / f"p{person}") / f"{photo}.png", pixels)
            images.save(_made(tmp_path / "loose") / f"{person}-{photo}.png", pixels)
    return tmp_path


def _made(path):
    path.mkdir(parents=True, exist_ok=True)
    return path


# ---- training --------------------------------------------------------------------------------------------------------


def test_a_folder_of_people_ends_in_a_report_an_encoder_and_a_log(folder):
    outcome = mien("train", "--data", "people", "--grey", "--seeds", "2", *SMALL, "-o", "out")
    assert outcome.code == 0, outcome.err
    assert outcome.out.splitlines()[-1] == "out/report.html"
    assert outcome.out.splitlines()[0].startswith("EER ")
    assert "(2 seeds)" in outcome.out
    wanted = {"report.html", "metrics.json", "run.json", "loss.png", "roc.png", "encoder", "seed-0", "seed-1"}
    assert wanted <= {p.name for p in Path("out").iterdir()}
    assert {"record.json", "weights.safetensors", "head.json"} <= {p.name for p in Path("out/encoder").iterdir()}
    assert len(Path("out/seed-0/log.csv").read_text(encoding="utf-8").splitlines()) == 2


def test_json_is_one_object_and_quiet_only_the_path(folder):
    outcome = mien("train", "--data", "people", *SMALL, "--json", "-o", "a", "--no-plain")
    told = json.loads(outcome.out)
    assert outcome.err == ""
    assert told["network"]["network"]["EER"]["mean"] is not None
    assert told["baselines"] == {}
    assert told == json.loads(Path("a/metrics.json").read_text(encoding="utf-8"))
    assert mien("train", "--data", "people", *SMALL, "--quiet", "-o", "b").out == "b/report.html\n"


def test_classes_windows_and_a_table_with_groups(folder):
    random = np.random.default_rng(0)
    for kind in range(2):
        for patient in range(4):
            wave = np.sin(np.arange(64) * (0.2 + 0.3 * kind)) + random.normal(0, 0.1, 64)
            np.savez(f"{kind}{patient}.npz", x=wave[None].astype(np.float32), rate=100.0)
    rows = [f"{k}{p}.npz,class {k},patient {p}" for k in range(2) for p in range(4)]
    Path("beats.csv").write_text("path,label,group\n" + "\n".join(rows), encoding="utf-8")
    words = ("train", "--data", "beats.csv", "--task", "classify", "--window", "16", "--hop", "8", *SMALL)
    outcome = mien(*words, "--batch", "8", "-o", "out")
    assert outcome.code == 0, outcome.err
    assert "macro-F1" in outcome.out
    assert "no group is cut" in Path("out/report.html").read_text(encoding="utf-8")


def test_pre_training_without_labels_and_going_on_from_it(folder):
    outcome = mien("train", "--data", "loose", "--task", "simclr", "--batch", "8", *SMALL, "-o", "pre")
    assert outcome.code == 0, outcome.err
    begun = ("--init", "pre/encoder", "--freeze", "stem")
    assert mien("train", "--data", "people", *SMALL, *begun, "-o", "out").code == 0
    record = json.loads(Path("out/encoder/record.json").read_text(encoding="utf-8"))
    assert record["training"]["options"]["init"] == "pre/encoder"


def test_ways_of_mining_are_compared_in_one_report(folder):
    outcome = mien("train", "--data", "people", "--compare-mining", *SMALL, "--no-plain", "-o", "out")
    assert outcome.code == 0, outcome.err
    assert [line.split()[-1] for line in outcome.out.splitlines()[:3]] == ["random", "semi-hard", "hard"]


def test_describe_says_what_every_layer_costs_and_trains_nothing(folder):
    outcome = mien("train", "--data", "people", "--describe", "--widths", "8,16")
    assert outcome.code == 0
    assert "8 filters of 3×3" in outcome.out
    assert "multiply-adds" in outcome.out
    assert not Path("trained").exists()


def test_the_recipes_are_listed():
    lines = mien("train", "--list").out.splitlines()
    assert [line.split()[0] for line in lines] == list(RECIPES)


# ---- stopping and going on -------------------------------------------------------------------------------------------


def test_ctrl_c_leaves_a_training_that_goes_on_to_the_same_weights(folder):
    words = ("--data", "people", *SMALL[:-6], "--epochs", "40", "--identities", "3", "--items", "2", "--no-plain")
    assert mien("train", *words, "--quiet", "-o", "whole").code == 0
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    started = subprocess.Popen(
        [sys.executable, "-m", "mien.cli.main", "train", *words, "-o", "parts"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for _ in range(600):
        if Path("parts/seed-0/last").exists() or started.poll() is not None:
            break
        time.sleep(0.05)
    started.send_signal(signal.SIGINT)
    _, told = started.communicate(timeout=60)
    if started.returncode == 0:
        pytest.skip("it was done before it could be interrupted")
    assert started.returncode == 130
    assert "mien train --resume -o parts" in told
    assert not Path("parts/report.html").exists()
    assert mien("train", "--resume", "-o", "parts").code == 0
    both = [Path(f"{name}/encoder/weights.safetensors").read_bytes() for name in ("whole", "parts")]
    assert both[0] == both[1]


def test_a_begun_folder_is_kept_and_other_settings_are_refused_on_resume(folder):
    assert mien("train", "--data", "people", *SMALL, "--quiet", "--no-plain", "-o", "out").code == 0
    again = mien("train", "--data", "people", *SMALL, "-o", "out")
    assert (again.code, "a training was begun in “out”" in again.err) == (1, True)
    other = mien("train", "--resume", "--rate", "0.5", "-o", "out")
    assert (other.code, "rate was 0.001 then and is 0.5 now" in other.err) == (2, True)
    assert mien("train", "--resume", "--widths", "8", "-o", "out").code == 0
    nothing = mien("train", "--resume", "-o", "elsewhere")
    assert (nothing.code, "there is none" in nothing.err) == (1, True)


# ---- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 2, "Expected what to learn from"),
        (("--recipe", "face"), 2, "Did you mean faces?"),
        (("--data", "nowhere"), 1, "there is no “nowhere”"),
        (("--recipe", "sensor", "--size", "32"), 2, "--size only with --data"),
        (("--recipe", "sensor", "--task", "triplet"), 2, "use --task classify"),
        (("--recipe", "sensor", "--compare-mining"), 2, "task triplet to compare"),
        (("--data", "people", "--widths", "8,x"), 2, "numbers with commas"),
        (("--data", "people", "--size", "a"), 2, "--size as numbers"),
        (("--data", "people", "--hop", "4"), 2, "--hop only with --window"),
        (("--data", "people", "--mining", "semi"), 2, "Did you mean semi-hard?"),
        (("--data", "people", "--freeze", "stem"), 2, "--init"),
        (("--data", "people", "--init", "nowhere", *SMALL), 1, "Expected a checkpoint"),
        (("--data", "people", "--head", "gru"), 2, "dim 1"),
        (("--data", "people", "--no-augmentation", "--task", "simclr"), 2, "two views"),
    ],
    ids=lambda value: shlex.join(value) if isinstance(value, tuple) else None,
)
def test_what_cannot_be_is_said_in_one_line_before_anything_is_trained(words, code, said, folder):
    outcome = mien("train", *words, *(() if not words else ("-o", "out")))
    assert outcome.code == code
    assert said in outcome.err
    assert "Traceback" not in outcome.err
    assert not list(folder.glob("out/*/best"))


def test_one_photo_per_person_is_refused_with_the_reason(folder):
    for photo in folder.glob("people/*/[12].png"):
        photo.unlink()
    outcome = mien("train", "--data", "people", *SMALL, "-o", "out")
    assert (outcome.code, "triplets need pairs" in outcome.err) == (1, True)
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (lambda: Path("people/p2/1.png").write_bytes(b"no picture"), "p2/1.png"),
        (lambda: images.save("people/p2/1.png", np.zeros((9, 9, 3), np.uint8), force=True), "give one size for all"),
        (lambda: Path("people/stray.png").write_bytes(b""), "lies beside them without a label"),
    ],
    ids=["unreadable", "another size", "without a label"],
)
def test_the_file_that_cannot_be_learnt_from_is_named(break_it, said, folder):
    break_it()
    outcome = mien("train", "--data", "people", *SMALL, "-o", "out")
    assert outcome.code == 1
    assert said in outcome.err
    assert not list(folder.glob("out/*/best"))


# ---- features --------------------------------------------------------------------------------------------------------


def test_features_of_vgg19_and_of_a_checkpoint(folder):
    outcome = mien("features", "vgg19", "people", "--layer", "relu2_1", "-o", "vgg.npz", "--quiet")
    assert (outcome.code, outcome.out) == (0, "vgg.npz\n")
    with np.load("vgg.npz") as file:
        assert file["encodings"].shape == (18, 128)
        assert file["labels"].tolist() == [f"p{i // 3}" for i in range(18)]
        assert str(file["encoder"]) == "vgg19 relu2_1"
    assert mien("train", "--data", "people", "--grey", *SMALL, "--quiet", "--no-plain", "-o", "out").code == 0
    assert mien("features", "out/encoder", "loose", "-o", "own.npz").code == 0
    with np.load("own.npz") as file:
        np.testing.assert_allclose(np.linalg.norm(file["encodings"], axis=1), 1, atol=1e-5)
        assert file["sources"][0].endswith("loose/0-0.png")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("vgg19", "people", "-o", "a.csv"), 1, "ends in .npz"),
        (("vgg19", "nowhere", "-o", "a.npz"), 1, "there is no “nowhere”"),
        (("vgg19", "people", "--layer", "relu9_1", "-o", "a.npz"), 2, "Expected a layer of vgg19"),
        (("nowhere:net", "people", "-o", "a.npz"), 2, "nowhere:net"),
        (("vgg19", "people", "-o", "there.npz"), 1, "--force"),
    ],
)
def test_features_that_cannot_be_are_refused(words, code, said, folder):
    Path("there.npz").write_bytes(b"")
    outcome = mien("features", *words)
    assert outcome.code == code
    assert said in outcome.err
    assert Path("there.npz").read_bytes() == b""


# ---- the live plot ---------------------------------------------------------------------------------------------------


def progress(step=4, epochs=3):
    history = History()
    for epoch in range(epochs):
        found = Measure("EER", 0.3 - 0.1 * epoch, (0.0,))
        sums = Sums.from_list([2, 0.4, 1.2 - 0.4 * epoch, 2.0, 2, 2])
        history.add(epoch + 1, 2 * epoch, sums, found, rate=1e-3, seconds=1.0)
    return Progress(
        epoch=epochs + 1,
        epochs=10,
        step=step,
        steps=20,
        loss=0.1234,
        active=0.5,
        spread=1.0,
        best=Measure("EER", 0.1, (0.0,)),
        seconds=4.0,
        history=history,
    )


def test_a_sparkline_is_as_high_as_its_values():
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert sparkline([5, 5]) == "▄▄"
    assert sparkline([2, 4], low=0.0) == "▅█"
    assert len(sparkline(list(range(1000)), width=30)) == 30
    assert sparkline([]) == ""


def test_the_panel_shows_loss_active_triplets_and_the_validation_measure():
    console = Console(file=StringIO(), width=110, force_terminal=True, color_system=None)
    console.print(panel("seed 0", progress(), [3.0, 2.0, 1.0]))
    text = console.file.getvalue()
    assert "epoch 4/10, step 4/20, 0:04 gone, at most 0:16 left" in text
    assert all(word in text for word in ("seed 0", "0.1234", "active triplets", "20%", "EER", "0.100, best 0.100"))


def test_the_live_plot_is_silent_where_it_is_asked_to_be_and_in_a_pipe():
    for quiet, terminal in ((True, True), (False, False)):
        console = Console(file=StringIO(), force_terminal=terminal)
        with LivePlot(quiet=quiet, console=console) as live:
            live.show("seed 0", progress())
        assert console.file.getvalue() == ""
    console = Console(file=StringIO(), width=110, force_terminal=True)
    with LivePlot(console=console) as live:
        live.show("seed 0", progress())
    assert "seed 0" in console.file.getvalue()


# ---- the options -----------------------------------------------------------------------------------------------------


def test_every_setting_is_an_option_of_the_command():
    flags = {flag for item in command.params for flag in (*item.opts, *item.secondary_opts)}
    assert {"--" + name.replace("_", "-") for name in TrainOptions.__dataclass_fields__} <= flags
    assert "--no-augmentation" in flags


@pytest.mark.parametrize("name", ["train", "features"])
def test_help_ends_with_examples_whose_options_exist(name):
    text = mien(name, "--help").out
    options, _, examples = text.partition("Examples:")
    assert examples.strip().splitlines()
    for line in examples.strip().splitlines():
        words = shlex.split(line)
        assert words[:2] == ["mien", name]
        assert all(word in options for word in words if word.startswith("--"))
