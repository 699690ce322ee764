"""What an evaluation says: JSON with the keys that were promised, and a page that needs nothing else."""

import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from mien.errors import OutputError
from mien.faces.evaluate import evaluate_folder, evaluate_lfw
from mien.faces.evaluation_plots import probit
from mien.faces.evaluation_report import folder_page, folder_record, lfw_page, lfw_record, save_report
from mien.faces.evaluation_text import FEW, folder_lines, interval, lfw_lines
from mien.faces.protocols import Pair
from mien.faces.wording import percent

NAMES = ("Ada", "Grace")


def unit(x):
    return (x / np.linalg.norm(x, axis=-1, keepdims=True)).astype(np.float32)


def lfw(folds=3, *, failed=0):
    random = np.random.default_rng(0)
    pairs, encodings = [], {}
    for i in range(60 * folds):
        first, second = Path(f"Ada{i}/1.jpg"), Path(f"Grace{i}/1.jpg")
        centre, same = random.normal(size=16), i % 2 == 0
        encodings[first] = unit(centre + 0.5 * random.normal(size=16))
        encodings[second] = unit((centre if same else 0) + 0.7 * random.normal(size=16))
        pairs.append(Pair(first, second, (f"Ada{i}", f"Ada{i}" if same else f"Grace{i}"), i // 60))
        if i < failed:
            encodings[first] = None
    return evaluate_lfw(pairs, encodings, rounds=30)


def folder(people=60, *, groups=False, failed=0):
    random = np.random.default_rng(1)
    x = unit(random.normal(size=(people, 1, 8)) + 0.3 * random.normal(size=(people, 3, 8)))
    paths = {f"Ada{i}": tuple(Path(f"Ada{i}/{j}.jpg") for j in range(3)) for i in range(people)}
    encodings = {path: x[i, j] for i, own in enumerate(paths.values()) for j, path in enumerate(own)}
    for i in range(failed):
        encodings[Path(f"Ada{i}/0.jpg")] = None
    of = {name: f"<{i % 2}>" for i, name in enumerate(paths)} if groups else None
    return evaluate_folder(paths, encodings, groups=of, rounds=30, splits=4)


@pytest.fixture(scope="module")
def lfw_result():
    return lfw()


@pytest.fixture(scope="module")
def folder_result():
    return folder(groups=True, failed=2)


class Page(HTMLParser):
    """Tags that are open, the ids, what refers to one, and the text."""

    VOID = ("meta", "br", "img", "hr", "input", "link")

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.references, self.links, self.words, self.tags = [], [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        self._attributes(attrs)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self._attributes(attrs)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def _attributes(self, attrs):
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if name in ("href", "src", "xlink:href"):
                self.links.append(value)
            self.references += re.findall(r"url\(#([^)]+)\)", value or "")
        self.references += [link[1:] for link in self.links if link.startswith("#")]


# ---- JSON ------------------------------------------------------------------------------------------------------------


def test_json_of_lfw_has_exactly_the_keys_that_were_promised(lfw_result):
    record = json.loads(json.dumps(lfw_record(lfw_result), allow_nan=False))
    assert record.keys() == {"accuracy", "eer", "eer_interval", "fmr_fnmr", "threshold", "pairs", "failures"}
    assert record["accuracy"].keys() == {"mean", "standard_error", "interval"}
    assert record["accuracy"]["mean"] == lfw_result.accuracy
    assert record["pairs"] == 180
    assert record["failures"] == 0
    assert [point["fmr"] for point in record["fmr_fnmr"]] == [0.1, 0.01, 0.001]
    assert 0 < record["threshold"] < 2


def test_json_has_null_where_there_is_no_number():
    record = json.loads(json.dumps(lfw_record(lfw(folds=1, failed=20)), allow_nan=False))
    assert record["accuracy"]["standard_error"] is None
    assert record["fmr_fnmr"][0]["threshold"] is None  # 10 of 30 impostor pairs failed: no threshold has FMR 0.1
    assert record["failures"] == 20


def test_json_of_a_folder_says_what_was_compared_and_which_group_is_worst(folder_result):
    record = json.loads(json.dumps(folder_record(folder_result), allow_nan=False))
    assert record["comparisons"] == {"genuine": 180, "impostor": (178**2 - 58 * 9 - 2 * 4) // 2}
    assert record["failures"] == 2
    assert {row["people"] for row in record["identification"]} == {10, 30}
    assert record["worst_group"]["fmr"] in ("<0>", "<1>")
    assert len(record["groups"]) == 2


def test_json_marks_what_the_data_do_not_support(lfw_result):
    points = json.loads(json.dumps(lfw_record(lfw_result)))["fmr_fnmr"]
    assert [point["supported"] for point in points] == [True, False, False]  # 9 and 0 of 90 impostor pairs, and none
    assert [point["errors"] for point in points] == [point.rests_on for point in lfw_result.points]
    assert [point["misses"] for point in points] == [point.misses for point in lfw_result.points]


def test_json_calls_the_spread_over_splits_a_spread(folder_result):
    rows = folder_record(folder_result)["identification"]
    assert all({"fpir_spread", "fnir_spread", "strangers", "mated"} < row.keys() for row in rows)
    assert not any("interval" in key for row in rows for key in row)


# ---- text ------------------------------------------------------------------------------------------------------------


def test_the_text_of_lfw_has_every_interval_and_marks_what_rests_on_few_errors(lfw_result):
    lines = lfw_lines(lfw_result)
    assert lines[0].startswith(f"accuracy {percent(lfw_result.accuracy, digits=4)} ± ")
    assert "(± standard error)" in lines[0]
    assert interval(lfw_result.accuracy_interval, digits=4) in lines[0]
    assert lines[1].startswith(f"EER {percent(lfw_result.eer)} * (95 %: {interval(lfw_result.eer_interval)})")
    assert [line.split(" (")[0] for line in lines[2:5]] == ["at FMR 10 % *", "at FMR 1 % *", "at FMR 0.1 % *"]
    for line, point in zip(lines[2:5], lfw_result.points, strict=True):
        few = {0: "0 false matches; ", 1: "1 false match; "}.get(point.rests_on, "")
        assert f"({few}95 %: {interval(point.fmr_interval)})" in line
        assert f"95 %: {interval(point.fnmr_interval)})" in line
    assert FEW in lines


def test_the_text_says_less_than_where_there_was_no_error():
    random = np.random.default_rng(1)
    x = unit(random.normal(size=(30, 1, 16)) + 0.02 * random.normal(size=(30, 3, 16)))
    paths = {f"p{i}": tuple(Path(f"p{i}/{j}.jpg") for j in range(3)) for i in range(30)}
    encodings = {path: x[i, j] for i, own in enumerate(paths.values()) for j, path in enumerate(own)}
    groups = dict.fromkeys(paths, "only")
    result = evaluate_folder(paths, encodings, groups=groups, rounds=20, splits=4)
    text = "\n".join(folder_lines(result))
    assert "EER < 10 % (no error; 95 %: 0 to 10 %)" in text
    assert "FNMR < 10 % (no error; 95 %: 0 to 10 %)" in text
    assert "searches among 15 people at FPIR 10 %: FNIR < 20 % (spread over splits: 0 to 0 %)" in text
    assert "the highest FNMR of a group: only, < 10 %" in text
    page = folder_page(result, encoder="sface")
    assert "<td>&lt; 10 %</td>" in page
    assert "<td>&gt; 90 %</td>" in page
    assert "<td>0 %</td>" not in page


def test_a_bound_and_the_interval_it_ends_are_one_number(lfw_result):
    found = re.findall(r"< ([\d.]+) % \(no error; 95 %: 0 to ([\d.]+) %\)", "\n".join(lfw_lines(lfw_result)))
    assert found == [("3.4", "3.4")]  # 3 / 90, rounded up


def test_a_firm_rate_has_no_mark():
    firm = folder_lines(folder(120))
    assert any(line.startswith("at FMR 10 % (95 %") for line in firm)
    assert any(line.startswith("at FMR 0.01 % * (95 %") for line in firm)
    assert any("spread over splits" in line for line in firm)


def test_too_few_comparisons_are_said_in_place_of_an_equal_error_rate():
    few = folder(4)
    assert "EER: too few comparisons for an EER" in folder_lines(few)
    assert folder_record(few)["eer"] is None
    assert "too few comparisons for an EER" in folder_page(few, encoder="sface")


def test_where_no_threshold_keeps_to_a_rate_the_text_says_so():
    text = lfw_lines(lfw(folds=1, failed=20))
    assert any("no τ keeps to that" in line for line in text)
    assert any("optimistic" in line for line in text)


# ---- the page --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["lfw", "folder"])
def page(request, lfw_result, folder_result):
    if request.param == "lfw":
        return lfw_page(lfw_result, encoder="sface")
    return folder_page(folder_result, encoder="sface")


def test_a_page_is_whole_and_its_references_lead_to_one_place_each(page):
    parsed = Page(page)
    assert parsed.open == []
    assert parsed.tags.count("svg") == 3
    assert len(set(parsed.ids)) == len(parsed.ids)
    assert parsed.references
    assert set(parsed.references) <= set(parsed.ids)


def test_a_page_needs_no_network_and_no_script(page):
    parsed = Page(page)
    assert "http" not in page
    assert not {"script", "link", "img", "iframe", "object"} & set(parsed.tags)
    assert all(link.startswith("#") for link in parsed.links)
    assert "@import" not in page
    assert "@font-face" not in page


def test_a_page_holds_no_name_and_no_path(page):
    assert not [name for name in NAMES if name in page]
    assert ".jpg" not in page


def test_plots_keep_text_as_text_in_the_page_s_own_colours(page):
    words = Page(page).words
    assert "false match rate (FMR)" in words
    assert "distance of two encodings" in words
    drawn = "".join(re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL))
    assert "var(--one)" in drawn
    assert not re.findall(r"#[0-9a-f]{6}\b", drawn)
    assert "prefers-color-scheme: dark" in page
    for variable in set(re.findall(r"var\(--(\w+)\)", page)):
        assert page.count(f"--{variable}: #") == 2


def test_the_same_result_makes_the_same_page(lfw_result):
    assert lfw_page(lfw_result, encoder="sface") == lfw_page(lfw_result, encoder="sface")


def test_names_are_escaped(lfw_result, folder_result):
    assert "<b>sface</b>" not in lfw_page(lfw_result, encoder="<b>sface</b>")
    assert "&lt;0&gt;" in folder_page(folder_result, encoder="sface")


def test_the_page_marks_and_bounds_as_the_text_does(lfw_result):
    page = lfw_page(lfw_result, encoder="sface")
    assert "<td>0.1 % *</td>" in page
    assert f"equal error rate, 95 %: {interval(lfw_result.eer_interval)}" in page
    assert "rests on fewer than 30 errors" in page


def test_the_page_calls_the_spread_over_splits_a_spread(folder_result):
    page = folder_page(folder_result, encoder="sface")
    assert "<th>spread over splits</th>" in page
    assert "95 % of splits" not in page


def test_figures_of_the_result_stand_in_the_page(lfw_result):
    text = lfw_page(lfw_result, encoder="sface")
    assert f"{percent(lfw_result.accuracy, digits=4)} ± {percent(lfw_result.standard_error)}" in text
    assert f"{lfw_result.threshold:.3f}" in text
    assert "optimistic" not in text


def test_a_single_fold_and_failures_are_said_plainly():
    text = lfw_page(lfw(folds=1, failed=20), encoder="sface")
    assert "This accuracy is optimistic" in text
    assert "20 photos without a face that could be found, 0 files that could not be read" in text
    assert "±" not in text
    assert "none</td>" in text  # no threshold for these rates


def test_a_folder_too_small_for_any_rate_has_a_page_all_the_same():
    random = np.random.default_rng(2)
    x = unit(random.normal(size=(2, 2, 8)))
    paths = {f"p{i}": tuple(Path(f"p{i}/{j}.jpg") for j in range(2)) for i in range(2)}
    result = evaluate_folder(
        paths, {path: x[i, j] for i, own in enumerate(paths.values()) for j, path in enumerate(own)}
    )
    text = folder_page(result, encoder="sface")
    assert "too few comparisons of two people" in text
    assert "too few people" in text
    assert Page(text).open == []
    json.dumps(folder_record(result), allow_nan=False)


def test_groups_stand_in_the_page_only_where_they_were_given(folder_result):
    assert "Group by group" in folder_page(folder_result, encoder="sface")
    assert "Group by group" not in folder_page(folder(), encoder="sface")


def test_a_report_is_not_written_over_another_unless_forced(tmp_path):
    path = save_report(tmp_path / "report.html", "first")
    with pytest.raises(OutputError):
        save_report(path, "second")
    assert path.read_text(encoding="utf-8") == "first"
    assert save_report(path, "“second”", force=True).read_text(encoding="utf-8") == "“second”"


# ---- numbers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rate", "text"),
    [(0, "0 %"), (1, "100 %"), (0.1, "10 %"), (0.5, "50 %"), (0.0056, "0.56 %"), (1e-6, "0.0001 %"), (math.inf, "–")],
)
def test_rates_are_written_without_an_exponent(rate, text):
    assert percent(rate) == text


def test_rates_have_as_many_digits_as_asked_for():
    assert percent(0.994444, digits=4) == "99.44 %"
    assert percent(0.0123456, digits=3) == "1.23 %"
    assert percent(0.99999, digits=3) == "100 %"


def test_probit_is_the_normal_deviate():
    np.testing.assert_allclose(probit([0.5, 0.975, 0.025]), [0, 1.959964, -1.959964], atol=1e-6)
