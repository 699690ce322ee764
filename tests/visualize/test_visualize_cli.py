"""The command: files it writes, what it prints, and how it refuses."""

import json
import signal

import numpy as np
import pytest
import skimage.data
from click.testing import CliRunner

from mien import images
from mien.cli.main import cli
from mien.cli.visualize import METHODS, methods_of, units_of
from mien.errors import DataError, ImageError, OptionError, OutputError
from mien.visualize import rules

NETWORK = """
import torch
from torch import nn

def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3), nn.ReLU())

def flat():
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 4))

def stubborn():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(7, 2))
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with three pictures of two classes and a module of networks."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "visualize_cli_nets.py").write_text(NETWORK)
    for i, (name, photo) in enumerate({"cats/a": skimage.data.chelsea(), "cups/b": skimage.data.coffee()}.items()):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        images.save(tmp_path / "photos" / f"{name}.png", images.resize(photo, 40 + i, 40))
    images.save(tmp_path / "photos" / "c.png", images.resize(skimage.data.astronaut(), 50, 40))
    return tmp_path


def run(*words):
    return cli.main(["visualize", *words], standalone_mode=False) or 0


NET = "visualize_cli_nets:net"


def test_a_report_of_ones_own_network(here, capsys):
    assert run(NET, "photos", "-o", "report", "--size", "32", "--method", "both", "--top", "2") == 0
    assert capsys.readouterr().out == "report/index.html\n"
    assert {p.name for p in (here / "report").iterdir()} == {"index.html", "report.json", "units.csv", "1.png", "4.png"}
    kept = json.loads((here / "report" / "report.json").read_text(encoding="utf-8"))
    assert kept["methods"] == ["deconvnet", "guided"]
    assert kept["inputs"] == {"seen": 3, "total": 3}
    assert kept["layers"][1]["window"] == [8, 8]
    assert set(kept["layers"][0]["found"][0]["classes"]) <= {"cats", "cups", ""}


def test_json_says_what_came_of_it_and_nothing_else_is_printed(here):
    done = CliRunner().invoke(
        cli, ["visualize", NET, "photos", "-o", "report", "--size", "24", "--layers", "4", "--units", "3,", "--json"]
    )
    outcome = json.loads(done.stdout)
    assert done.stderr == ""
    assert outcome["page"] == "report/index.html"
    assert outcome["layers"]["4"]["units"] == 6
    assert outcome["bytes"] == (here / "report" / "index.html").stat().st_size
    assert (here / "report" / "units.csv").read_text().splitlines()[1].startswith("4,3,")


def test_signals_from_a_file(here):
    (here / "visualize_cli_signals.py").write_text(
        "from torch import nn\ndef net():\n    return nn.Sequential(nn.Conv1d(1, 3, 5), nn.ReLU())\n"
    )
    np.savez("x.npz", x=np.random.default_rng(0).standard_normal((4, 1, 64)), y=[0, 1, 0, 1], rate=100.0)
    assert run("visualize_cli_signals:net", "x.npz", "-o", "report") == 0
    assert json.loads((here / "report" / "report.json").read_text())["rate"] == 100.0


def test_a_report_that_is_there_is_kept_unless_forced(here):
    assert run(NET, "photos", "-o", "report", "--size", "24", "--method", "none") == 0
    with pytest.raises(OutputError, match="holds a report already"):
        run(NET, "photos", "-o", "report", "--size", "24")
    assert run(NET, "photos", "-o", "report", "--size", "24", "--method", "none", "--force") == 0


def test_ctrl_c_writes_a_report_of_what_was_seen(here, monkeypatch):
    from mien.visualize import sources

    read = sources.images.load

    def interrupting(path):
        if path.name == "a.png":
            signal.raise_signal(signal.SIGINT)
        return read(path)

    monkeypatch.setattr(sources.images, "load", interrupting)
    assert run(NET, "photos", "-o", "report", "--size", "24", "--batch", "1") == 130
    kept = json.loads((here / "report" / "report.json").read_text(encoding="utf-8"))
    assert kept["interrupted"]
    assert kept["inputs"]["seen"] == 2
    assert "Interrupted after" in (here / "report" / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "error", "sentence"),
    [
        ((NET, "empty", "-o", "r"), ImageError, "found none"),
        ((NET, "nowhere", "-o", "r"), DataError, "there is no “nowhere”"),
        ((NET, "photos", "-o", "r", "--layers", "7"), OptionError, r"gives a map \(0, 1, 2, 3, 4\), got '7'"),
        ((NET, "photos", "-o", "r", "--units", "a few"), OptionError, "Expected --units as a number"),
        (("visualize_cli_nets:flat", "photos", "-o", "r"), OptionError, "have convolutions, got none"),
        (("visualize_cli_nets:stubborn", "photos", "-o", "r", "--size", "9"), OptionError, "but it failed"),
        (("vgg", "photos", "-o", "r"), OptionError, "got 'vgg', which is none of these"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_one_sentence(here, words, error, sentence):
    (here / "empty").mkdir()
    with pytest.raises(error, match=sentence) as caught:
        run(*words)
    assert str(caught.value).startswith("Expected ")
    assert not (here / "r" / "index.html").exists()


def test_units_are_how_many_or_which():
    assert [units_of(text) for text in (None, "16", "7,", "1, 5,7")] == [None, 16, [7], [1, 5, 7]]


def test_methods_of_the_command_are_those_of_the_room():
    assert METHODS == rules.METHODS
    assert methods_of("both") == ("deconvnet", "guided")
    assert methods_of("none") == ()
    assert methods_of("gradient") == ("gradient",)


def test_help_ends_with_an_example_and_needs_no_torch():
    done = CliRunner().invoke(cli, ["visualize", "--help"])
    assert done.exit_code == 0
    assert "mien visualize vgg19 photos -o report" in done.stdout
