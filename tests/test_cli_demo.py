"""`mien demo` at the smallest size: the files it makes, the page that shows them, and what is refused."""

import dataclasses
import functools
import html.parser
import json
from pathlib import Path

import pytest
import skimage.data
from PIL import Image

from mien import images
from mien.cli import demo as room
from mien.cli import demo_learning
from mien.style import inputs, painting
from mien.style.patterns import names
from test_cli_style import mien, refused

MADE = {
    "photo.jpg",
    "painting.png",
    "before-and-after.jpg",
    "six.jpg",
    "painting-evolution.png",
    "painting-evolution.gif",
    "costs.csv",
    "costs.png",
    "faces-enrolled.jpg",
    "faces-again.jpg",
    "faces-stranger.jpg",
    "nearest.jpg",
    "network",
    "numbers.json",
    "index.html",
}

_loaded, _read = functools.cache(painting.load_backbone), inputs.read


@pytest.fixture(autouse=True)
def _desk(tmp_path, monkeypatch):
    monkeypatch.setattr(painting, "load_backbone", _loaded)
    # A pattern is drawn coarsely and few steps are taken: what the demo makes is looked at, not how beautiful it is.
    monkeypatch.setattr(inputs, "PATTERN_SIZE", 64)
    monkeypatch.setattr(room, "StyleOptions", functools.partial(room.StyleOptions, steps=(2,)))
    monkeypatch.setattr(demo_learning, "OPTIONS", dataclasses.replace(demo_learning.OPTIONS, steps=2, widths=(8,)))
    monkeypatch.setattr(demo_learning, "SCRAPS", 4)
    monkeypatch.setattr(demo_learning, "PICTURE", 64)
    monkeypatch.chdir(tmp_path)
    images.save("my photo.png", images.resize(skimage.data.coffee(), 60, 40))


@pytest.fixture
def made():
    Path("demo").mkdir()
    Path("demo/mine.txt").write_text("mine")
    outcome = mien("demo", "--size", 64, "--small", 32, "--quiet")
    assert (outcome.code, outcome.err) == (0, "")
    return outcome


def test_the_demo_makes_its_page_and_pictures_and_leaves_other_files_alone(made):
    assert {path.name for path in Path("demo").iterdir()} == MADE | {"mine.txt"}
    assert made.out.splitlines()[-1] == str(Path("demo/index.html"))
    assert Image.open("demo/painting.png").size == (64, 43)
    assert Image.open("demo/photo.jpg").size == (64, 43)
    numbers = json.loads(Path("demo/numbers.json").read_text())
    assert [card["style"] for card in numbers["six"]] == list(room.SIX)
    for card in (numbers["painting"], *numbers["six"]):
        assert card["seconds"] >= 0
        assert card["after"]["total"] < card["before"]["total"]
    again = mien("demo", "--size", 64, "--small", 32, "--quiet")
    assert (again.code, again.err) == (0, "")


def test_every_picture_and_link_on_the_page_is_there_and_every_picture_is_described(made):
    class Page(html.parser.HTMLParser):
        found, undescribed = set(), []

        def handle_starttag(self, tag, attributes):
            values = dict(attributes)
            self.found |= {values[key] for key in ("src", "href") if key in values}
            if tag == "img" and not values.get("alt"):
                self.undescribed.append(values)

    page = Page()
    page.feed(Path("demo/index.html").read_text(encoding="utf-8"))
    assert page.found < MADE | {"network/index.html"}
    assert Path("demo/network/index.html").is_file()
    assert {"painting.png", "six.jpg", "costs.png"} <= page.found
    assert page.undescribed == []


def test_ones_own_photo_and_style_are_painted_and_their_names_are_safe_on_the_page():
    Path("my photo.png").rename("a & <b>.png")
    outcome = mien(
        "demo", "--photo", "a & <b>.png", "--style", "a & <b>.png", "--out", "a/b", "--size", 64, "--small", 32
    )
    assert (outcome.code, outcome.err) == (0, "")
    assert Image.open("a/b/painting.png").size == (64, 43)
    page = Path("a/b/index.html").read_text(encoding="utf-8")
    assert "a &amp; &lt;b&gt;.png" in page
    assert "<b>" not in page


def test_the_demo_welcomes_one_and_not_the_other_and_says_what_the_pictures_are():
    outcome = mien("demo", "--size", 64, "--small", 32)
    assert "Welcome, Eileen: The same photo, turned, cropped and in less light" in outcome.out
    assert "Not in the database: Somebody else" in outcome.out
    numbers = json.loads(Path("demo/numbers.json").read_text())
    assert list(numbers["faces"]["answers"].values()) == [
        "Enrolled as Eileen",
        "Welcome, Eileen",
        "Not in the database",
    ]
    assert "no check here that a living person" in Path("demo/index.html").read_text()


def test_without_the_faces_extra_and_without_learning_the_demo_paints_all_the_same(monkeypatch):
    monkeypatch.setattr("mien.cli.demo.show_faces", lambda folder: None)
    outcome = mien("demo", "--size", 64, "--small", 32, "--no-learn")
    assert outcome.code == 0
    page = Path("demo/index.html").read_text()
    assert "Welcome" not in page
    assert "Whose hand" not in page
    assert not Path("demo/network").exists()


def test_the_demo_teaches_a_network_about_styles_it_is_not_judged_on(made):
    scraps, hands = demo_learning.cut_scraps()
    assert scraps.shape == (4 * len(names()), 40, 40, 3)
    assert {*demo_learning.UNSEEN, *demo_learning.VALIDATING} < set(hands) == set(names())
    assert not set(demo_learning.UNSEEN) & set(demo_learning.VALIDATING)
    found = json.loads(Path("demo/numbers.json").read_text())["learning"]
    assert 0 <= found["eer"] <= 1
    assert 0 <= found["recall_at_1"] <= 1
    assert "mien serve" in made.out


def test_what_cannot_be_shown_is_refused_before_a_folder_is_made():
    assert "no file “gone.jpg”" in refused("demo", "--photo", "gone.jpg")
    assert "no file “gone.jpg”" in refused("demo", "--style", "gone.jpg")
    assert "Did you mean @night?" in refused("demo", "--style", "@nigth", code=2)
    assert "cannot be made" in refused("demo", "--out", "my photo.png/below")
    assert "cannot be made" in refused("demo", "--out", "my photo.png")


def test_without_scikit_images_photo_the_sentence_asks_for_one(monkeypatch):
    monkeypatch.setattr("importlib.metadata.files", lambda package: [])
    assert "mien demo --photo FILE" in refused("demo")


def test_the_six_styles_are_built_in_and_the_help_ends_with_an_example():
    assert {name[1:] for name in room.SIX} <= set(names())
    assert len(set(room.SIX)) == 6
    assert mien("demo", "--help").out.strip().splitlines()[-1].strip().startswith("Example: mien demo ")


def test_sizes_out_of_range_are_usage_errors():
    for option in ("--size", "--small"):
        outcome = mien("demo", option, 1)
        assert outcome.code == 2
        assert option in outcome.err
