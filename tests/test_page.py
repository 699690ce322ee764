"""What reports are made of: text is safe on a page, and a plot is the same twice and turns with light and dark."""

import io
import re
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from mien.errors import MissingExtra
from mien.page import (
    FAINT,
    INK,
    LINE,
    SERIES,
    Html,
    document,
    figure,
    headline,
    illustration,
    inline_svg,
    legend,
    listed,
    milestone,
    note,
    png,
    table,
)

NAME = '<i>Ada</i> & "Grace"'
SAFE = "&lt;i&gt;Ada&lt;/i&gt; &amp; &quot;Grace&quot;"


def drawing(columns=1):
    """Every colour of the house, each kind of artist."""
    drawn, row = figure(4, 3, extra="faces", columns=columns)
    for axes in row:
        for i, colour in enumerate(SERIES):
            axes.plot([0, 1e-5], [i, i + 1], color=colour, label=f"line {i}")
            axes.fill_between([0, 1e-5], [i, i], [i + 1, i + 1], color=colour, alpha=0.2, linewidth=0)
        axes.set(xlabel="x", ylabel="y")
        axes.title.set_text("over")
        milestone(axes, 5e-6, "half")
        note(axes, "noted", (0, 1))
        legend(axes, loc="upper right")
    return drawn


def svg(label="curves", name="one"):
    return inline_svg(drawing(), name, label)


def luminance(colour):
    """As WCAG 2 defines it."""
    parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return float(np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ (0.2126, 0.7152, 0.0722))


def contrast(one, other):
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


# pages


@pytest.mark.parametrize(
    "made",
    [
        table((NAME,), ()),
        table(("name",), ((NAME,),)),
        headline([(NAME, "people")]),
        headline([("2", NAME)]),
        listed([NAME]),
        illustration(Html("<img>"), NAME),
        document(NAME, ""),
    ],
)
def test_text_is_escaped_wherever_it_stands(made):
    assert SAFE in made
    assert "<i>" not in made


def test_what_is_html_already_is_left_as_it_is():
    assert table(("", "rate"), ((Html("<b>mien</b>"), "< 2 %"),)) == (
        '<div class="wide"><table><tr><th></th><th>rate</th></tr>\n'
        "<tr><td><b>mien</b></td><td>&lt; 2 %</td></tr>\n</table></div>"
    )
    assert "<figure><svg></svg><figcaption>" in illustration(Html("<svg></svg>"), "a curve")


def test_a_page_fetches_nothing_and_has_one_title():
    page = document("a & b", "\n<h1>Hello</h1>\n")
    assert page.startswith("<!doctype html>\n")
    assert "<title>mien: a &amp; b</title>" in page
    assert "<body>\n<h1>Hello</h1>\n</body>" in page
    assert not re.search(r"https?:|url\(|@import|src=|<script|<link", page)


def test_every_colour_of_a_page_has_a_light_and_a_dark_value_that_can_be_read():
    page = document("", "")
    light, dark = (dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", part)) for part in page.split("@media (prefers")[:2])
    assert set(re.findall(r"var\(--(\w+)\)", page)) <= set(light) == set(dark)
    assert len(set(light.values())) == len(light)
    for colours in (light, dark):
        assert contrast(colours["ink"], colours["paper"]) > 12
        assert contrast(colours["faint"], colours["paper"]) > 4.5
        assert min(contrast(colours[name], colours["paper"]) for name in ("one", "two", "three", "four", "five")) > 3


# plots


def test_a_plot_within_a_page_has_no_colour_but_the_page_s_own():
    made = svg()
    assert not re.search(r"#[0-9a-f]{3,6}\b(?=[;\"])", made)
    page = document("", made)
    for variable in ("ink", "faint", "line", "one", "two", "three", "four", "five"):
        assert f"var(--{variable})" in made
        assert page.count(f"--{variable}: #") == 2


def test_a_plot_within_a_page_is_the_same_twice_and_carries_no_date_and_no_metadata():
    made = svg()
    assert made == svg()
    assert not re.search(r"metadata|<!--|<\?xml|<!DOCTYPE|\bdate|https?:", made, re.IGNORECASE)


@pytest.mark.parametrize("label", ["curves", NAME, r"a \1 \g<0>"])
def test_a_screen_reader_is_told_what_a_plot_shows(label):
    root = ElementTree.fromstring(svg(label).replace("xlink:href", "href"))
    assert root.get("role") == "img"
    assert root.get("aria-label") == label
    assert not root.get("width")
    words = {"".join(element.itertext()).strip() for element in root.iter() if element.tag.endswith("text")}
    assert {"x", "y", "over", "half", "noted", "line 0"} <= words


def test_two_plots_on_a_page_share_no_id_and_refer_only_to_their_own():
    one, two = svg(name="one"), svg(name="two")
    ids = [set(re.findall(r'\bid="([^"]+)"', part)) for part in (one, two)]
    assert ids[0]
    assert not ids[0] & ids[1]
    for part, own in zip((one, two), ids, strict=True):
        assert set(re.findall(r'(?:href="|url\()#([^")]+)', part)) <= own


def test_a_png_is_the_same_twice_on_white_in_the_colours_of_a_light_page():
    made = png(drawing())
    assert made == png(drawing())
    picture = Image.open(io.BytesIO(made))
    assert picture.size == (600, 450)
    assert "Software" not in picture.info
    counts = {colour: n for n, colour in picture.convert("RGB").getcolors(1 << 20)}
    assert max(counts, key=counts.get) == (255, 255, 255)
    for colour in (INK, FAINT, LINE, *SERIES):
        assert counts.get(tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5)), 0) > 0


def test_axes_stand_side_by_side():
    drawn, (left, right) = figure(8, 3, extra="faces", columns=2)
    assert drawn.axes == [left, right]
    assert left.get_position().x1 < right.get_position().x0


def test_without_matplotlib_the_sentence_names_the_callers_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtra, match=r'^The curve needs .* pip install "mien\[training\]"$'):
        figure(4, 3, extra="training", what="The curve")


def test_importing_it_loads_neither_matplotlib_nor_numpy():
    code = "import sys, mien.page; print({'matplotlib', 'numpy'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
