"""What the documents say is true: their commands and programs run, their numbers come out, their pictures exist."""

import contextlib
import functools
import re
import shlex
from pathlib import Path

import click
import numpy as np
import pytest
import skimage.data

import mien.style.inputs
from mien import images
from mien.cli.main import cli
from mien.cli.style import style as style_command
from mien.style import painting, patterns

ROOT = Path(__file__).parent.parent
DOCUMENTS = ("README.md", "docs/style.md", "docs/questions.md", "docs/visualize.md")
PICTURES = ROOT / "docs" / "pictures"

_FENCED = re.compile(r"(?P<skip><!-- not run:[^>]*-->\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.M | re.S)
_NUMBER = re.compile(r"(?<![\w.])-?\d[\d,]*\.?\d*(?:e[+-]?\d+)?")


def read(document):
    return (ROOT / document).read_text(encoding="utf-8")


def blocks(document, kind):
    """The fenced blocks of one kind, each with the block that follows it."""
    found = list(_FENCED.finditer(read(document)))
    followed = [*found[1:], None]
    return [(m["text"], after) for m, after in zip(found, followed, strict=True) if m["kind"] == kind and not m["skip"]]


def commands():
    """Every line of the blocks that begin with mien, as words."""
    lines = []
    for document in DOCUMENTS:
        for text, _ in blocks(document, "sh"):
            if re.match(r"(\w+=\S+ )?mien ", text):
                lines += [pytest.param(line, id=f"{document}: {line}") for line in text.splitlines()]
    return lines


# the commands


def made_small(line):
    """The command's words without `mien`, with a size and steps that take a moment."""
    words = [word for word in shlex.split(line, comments=True) if not re.fullmatch(r"[A-Z]+=\S+", word)][1:]
    if words[0] == "demo":
        return None
    if words[0] == "visualize":
        for option in ("--size", "--units"):
            if option in words:
                at = words.index(option)
                del words[at : at + 2]
        small = ["--units", "1,5"] if words[1] != "beats" else []
        return [*words, *small, *(["--size", "48"] if small else []), "--force", "--quiet"]
    if words[0] != "style" or "--list" in words or "--help" in words:
        return words
    for option in ("--size", "--steps"):
        if option in words:
            at = words.index(option)
            del words[at : at + 2]
    if "--sweep" in words:
        at = words.index("--sweep") + 1
        name, _, values = words[at].partition("=")
        parting = ";" if ";" in values else ","
        words[at] = f"{name}={parting.join(values.split(parting)[:2])}"
    words += ["--size", "48"]
    words += ["--steps", "1" if "--faithful" in words else "1,1"]
    return [*words, "--force"] if "-o" in words else words


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with every file that the documents' commands name."""
    place = tmp_path_factory.mktemp("docs")
    photo = images.resize(skimage.data.coffee(), 72, 48)
    grey = np.broadcast_to(np.linspace(0, 255, 72).astype(np.uint8)[None, :, None], (48, 72, 3))
    (place / "holiday").mkdir()
    for name, pixels in {
        "photo.jpg": photo,
        "style.jpg": patterns.draw("points", 48),
        "sketch.png": patterns.draw("marbling", 48),
        "mask.png": grey,
        "rest.png": 255 - grey,
        "sky.png": grey,
        "holiday/one.jpg": photo,
        "holiday/two.jpg": photo[:, ::-1],
    }.items():
        images.save(place / name, pixels)
    program = next(text for text, _ in blocks("docs/style.md", "python") if "def net()" in text)
    (place / "own_network.py").write_text(program, encoding="utf-8")
    with contextlib.chdir(place):
        exec(compile(read("examples/visualize_signals.py"), "visualize_signals.py", "exec"), {"__name__": "example"})
    return place


@pytest.fixture
def here(folder, monkeypatch):
    """In that folder, with small patterns, the networks loaded once and nothing opened on a screen."""
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(mien.style.inputs, "PATTERN_SIZE", 64)
    monkeypatch.setattr(painting, "load_backbone", _loaded)
    monkeypatch.setattr(click, "launch", lambda name: 0)
    if not Path("painting.png").exists():
        run(["style", "photo.jpg", "style.jpg", "--size", "48", "--steps", "1,1", "-o", "painting.png"])
    return folder


_loaded = functools.cache(painting.load_backbone)


def run(words):
    return cli.main([*words, "--quiet"] if words[0] == "style" else words, standalone_mode=False) or 0


def test_there_are_commands_to_run():
    assert len(commands()) > 40


@pytest.mark.parametrize("line", commands())
def test_a_command_of_the_documents_runs(line, here):
    words = made_small(line)
    if words is None:
        pytest.skip("mien demo has its own tests")
    assert run(words) == 0
    if "-o" in words:
        assert Path(words[words.index("-o") + 1]).exists()


# the programs


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_programs_of_a_document_run_and_print_what_it_says(document, here, capsys, monkeypatch):
    names = {"__name__": "document"}
    programs = blocks(document, "python")
    assert programs
    for text, after in programs:
        capsys.readouterr()
        exec(compile(made_quick(text), document, "exec"), names)
        printed = capsys.readouterr().out
        if after is not None and after["kind"] == "text":
            same_but_for_rounding(printed, after["text"])


def made_quick(text):
    return re.sub(r"size=(384|512)", "size=48, steps=(1, 1)", text).replace(
        '("painting.png")', '("api.png", force=True)'
    )


def same_but_for_rounding(printed, promised):
    """The same words, and numbers within 3 % or one of the last digit shown: processors round differently."""
    assert _NUMBER.sub("#", printed) == _NUMBER.sub("#", promised)
    for got, said in zip(_NUMBER.findall(printed), _NUMBER.findall(promised), strict=True):
        got, said = got.replace(",", ""), said.replace(",", "")
        digits = len(said.partition("e")[0].partition(".")[2])
        last = 0 if "." not in said else 10.0**-digits * (10 ** int(said.partition("e")[2] or 0))
        assert float(got) == pytest.approx(float(said), rel=0.03, abs=1.01 * last), (printed, promised)


def test_numbers_that_differ_are_told_from_rounding():
    same_but_for_rounding("a: 0.51 after 1,000", "a: 0.50 after 1,000")
    for printed in ("a: 0.53 after 1,000", "a: 0.50 after 1,100", "b: 0.50 after 1,000"):
        with pytest.raises(AssertionError):
            same_but_for_rounding(printed, "a: 0.50 after 1,000")


# the pictures, the links, the options


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_picture_that_a_document_shows_exists(document):
    shown = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", read(document))
    missing = [name for name in shown if not (ROOT / document).parent.joinpath(name).is_file()]
    assert shown
    assert not missing


def test_every_chapter_that_style_md_lists_is_there():
    text = read("docs/style.md")
    anchors = {re.sub(r"[^\w -]", "", t.lower()).replace(" ", "-") for t in re.findall(r"^## (.+)$", text, re.M)}
    linked = re.findall(r"\]\(#([^)]+)\)", text)
    assert len(linked) > 10
    assert set(linked) == anchors


def test_the_pictures_are_small_and_none_is_left_over():
    kept = sorted(PICTURES.glob("*"))
    shown = {
        Path(name).name
        for document in ("README.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))
        for name in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", read(document))
    }
    assert {path.name for path in kept} == shown
    assert all(path.stat().st_size <= 250_000 for path in kept)
    assert sum(path.stat().st_size for path in kept) <= 4_800_000


@pytest.mark.parametrize("flag", [max(item.opts, key=len) for item in style_command.params if item.opts[0][0] == "-"])
def test_every_option_is_documented(flag):
    assert re.search(rf"`{re.escape(flag)}(?![\w-])", read("docs/style.md"))


def test_every_built_in_style_that_the_documents_name_exists():
    named = {name for document in DOCUMENTS for name in re.findall(r"@([a-z]+)\b", read(document))}
    assert named - {"pattern"} <= set(patterns.names())  # "@pattern" stands for any of them
