"""The risk of a gallery: numbers by hand, sentences a person can read, and nothing drawn beyond the data."""

import io
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from mien.errors import CalibrationError, OptionError
from mien.faces.calibration import Calibration, Rate, Table, load_calibration
from mien.faces.risk import BEYOND, _odds, _one_in, _yearly, plot, risk
from mien.faces.wording import count, percent, two_digits


def calibration():
    """Five decades of FMR, one every 0.05, the last three of them measured."""
    return Calibration(
        encoder="sface",
        source="photos of statues",
        notes=(),
        people=1000,
        photos=3000,
        impostor_comparisons=1_234_567,
        genuine_people=500,
        genuine_comparisons=3000,
        seed=0,
        table=Table(
            thresholds=(0.90, 0.95, 1.00, 1.05, 1.10),
            measured_from=2,
            false_matches=(0, 1, 12, 120, 1200),
            fmr=(0.0, 1e-6, 5e-5, 5e-4, 5e-3),
            fmr_low=(0.0, 0.0, 2e-5, 2e-4, 2e-3),
            fmr_high=(1e-6, 1e-5, 1e-4, 1e-3, 1e-2),
            spread=(0.0,) * 5,
            fnmr=(0.3, 0.2, 0.1, 0.05, 0.02),
            fnmr_low=(0.25, 0.15, 0.08, 0.04, 0.01),
            fnmr_high=(0.35, 0.25, 0.12, 0.06, 0.03),
        ),
    )


def measured(**changes):
    given = {"people": 10, "fpir": 1 - (1 - 1.00001e-4) ** 10, "strangers_a_day": 20, "visits_a_day": 30, **changes}
    return risk(calibration(), **given)


def test_expected_errors_of_a_year_by_hand():
    # The threshold whose FMR is at most 1e-4 is 1.00; there the FMR is 5e-5 and the FNMR 0.1.
    def near(number):
        return pytest.approx(number, rel=1e-4)

    found = measured()
    assert found.threshold == near(1.0)
    assert found.fpir.value == near(1 - (1 - 5e-5) ** 10)
    assert found.fnir == Rate(near(0.1), near(0.08), near(0.12), False)
    a_year = found.false_acceptances_a_year
    assert a_year.value == near(365 * 20 * (1 - (1 - 5e-5) ** 10))
    assert a_year.low == near(365 * 20 * (1 - (1 - 2e-5) ** 10))
    assert a_year.high == near(365 * 20 * (1 - (1 - 1e-4) ** 10))
    assert found.false_rejections_a_year.value == near(365 * 30 * 0.1)


def test_without_visits_there_is_no_number_of_rejections():
    found = measured(visits_a_day=None)
    assert found.false_rejections_a_year is None
    assert not any("turned away" in line for line in found.sentences())


def test_a_threshold_can_be_given_instead_of_a_rate():
    found = risk(calibration(), people=10, threshold=1.05, strangers_a_day=1)
    assert found.threshold == 1.05
    assert found.fmr.value == 5e-4
    assert {row.threshold for row in found.curve} == {1.05}
    assert [row.fpir for row in found.curve] == [row.unchanged for row in found.curve]


def test_every_row_keeps_to_the_rate_and_more_people_cost_more_rejections():
    found = measured(fpir=1e-2)
    known = [row for row in found.curve if row.fpir]
    assert len(known) > 4
    assert all(row.fpir.high <= 1e-2 * (1 + 1e-9) for row in known)
    assert (np.diff([row.threshold for row in known]) < 0).all()
    assert (np.diff([row.fnir.value for row in known]) > 0).all()
    assert (np.diff([row.unchanged.value for row in found.curve]) > 0).all()
    assert known[0].false_acceptances_a_year.high == pytest.approx(73)


def test_the_curve_goes_from_ten_to_ten_thousand_and_through_the_own_number():
    assert [row.people for row in measured(people=12).curve] == [
        10, 12, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000,
    ]  # fmt: skip


def test_each_row_says_how_its_rate_is_known():
    labels = {row.people: row.label for row in measured().curve}
    assert labels[10] == "measured"
    assert labels[100] == "extrapolated, pessimistic bound"
    assert labels[2000] == BEYOND
    beyond = next(row for row in measured().curve if row.people == 2000)
    assert (beyond.threshold, beyond.fmr, beyond.fpir, beyond.fnir, beyond.false_acceptances_a_year) == (None,) * 5


def test_more_photos_a_person_make_the_threshold_stricter():
    assert measured(samples=5).threshold < measured().threshold
    assert any("with more it is less" in line for line in measured(samples=5).sentences())


def test_a_gallery_beyond_the_data_is_refused():
    with pytest.raises(CalibrationError, match="5,000 people"):
        measured(people=5000)
    with pytest.raises(CalibrationError, match="calibrated"):
        risk(calibration(), people=10, threshold=0.5, strangers_a_day=1)


def test_numbers_that_count_nothing_are_refused():
    with pytest.raises(OptionError, match="either"):
        risk(calibration(), people=10, strangers_a_day=1)
    with pytest.raises(OptionError, match="either"):
        measured(threshold=1.0)
    with pytest.raises(OptionError, match="strangers_a_day"):
        measured(strangers_a_day=-1)
    with pytest.raises(OptionError, match="visits_a_day"):
        measured(visits_a_day=float("nan"))
    with pytest.raises(OptionError, match="at least one person"):
        measured(people=0)


# words


def test_the_sentences_say_a_measured_rate_with_its_interval():
    lines = measured().sentences()
    assert lines[0] == (
        "About 1 stranger in 2,000 would be taken for one of your 10 people (measured: 1 in 5,000 to 1 in 1,000)."
    )
    assert lines[1] == "With 20 strangers a day, expect about 3.6 a year (1.5 to 7.3) let in by mistake."
    assert lines[2].startswith("About 10 % of the visits by your own people would not be recognised")
    assert "(8 % to 12 %, measured with one photo of each person)" in lines[2]
    assert lines[3] == "With 30 visits a day, expect about 1,100 a year (880 to 1,300) turned away by mistake."
    assert "1,234,567 comparisons of 1,000 people with each other: photos of statues." in " ".join(lines)
    assert any("twins" in line for line in lines)
    assert any("another group of as many people" in line and "√2" in line for line in lines)


def test_the_sentences_say_that_a_bound_is_extrapolated():
    found = measured(people=100, fpir=1e-3)
    assert found.sentences()[0].startswith(
        "At most 1 stranger in 1,000 would be taken for one of your 100 people (extrapolated, pessimistic bound"
    )
    assert found.sentences()[1] == "With 20 strangers a day, expect on average at most 7.3 a year let in by mistake."


def test_the_sentences_say_where_the_data_end():
    assert any("up to 1,000 people; for more than that nothing is promised" in line for line in measured().sentences())


def test_no_sentence_says_a_rate_below_what_the_data_support():
    for people in (1, 10, 100, 900):
        text = " ".join(measured(people=people, fpir=1e-3).sentences())
        odds = [int(n.replace(",", "")) for n in re.findall(r"\bin (\d[\d,]*)", text)]
        assert odds
        assert max(odds) <= 1 / calibration().lowest_fmr


def test_odds_and_years_in_words():
    assert _one_in(1 / 1700) == "1 stranger in 1,700"
    assert _one_in(0.125) == "12 strangers in 100"
    assert _yearly(Rate(0.2, 0.1, 0.4, False)) == "about one in 5 years (0.1 to 0.4 a year)"
    assert _yearly(Rate(0.2, 0, 0.2, True)) == "on average at most one in 5 years"
    assert _yearly(Rate(0.23, 0, 0.23, True)) == "on average at most one in 4.3 years"
    assert _yearly(Rate(0.94, 0, 0.94, True)) == "on average at most one a year"
    assert _yearly(Rate(12.4, 9.6, 20, False)) == "about 12 a year (10 to 20)"
    assert _yearly(Rate(0, 0, 0, False)) == "nobody"
    assert "the one person enrolled" in measured(people=1).sentences()[0]


def test_where_nobody_was_turned_away_the_sentences_say_what_that_shows():
    assert _yearly(Rate(0, 0, 541.2, False)).startswith("at most 550 a year")
    rows = {"fnmr": (0.0,) * 5, "fnmr_low": (0.0,) * 5, "fnmr_high": (0.05,) * 5}
    one = calibration()
    flawless = replace(one, table=replace(one.table, **rows))
    lines = risk(flawless, people=10, threshold=1.05, strangers_a_day=1, visits_a_day=30).sentences()
    assert lines[2].startswith("Fewer than 5 % of the visits")
    assert "0 % to 5 %" in lines[2]
    assert "expect at most 550 a year" in lines[3]
    assert not any("inf" in line for line in lines)


def test_one_is_not_a_plural():
    lines = measured(people=1, strangers_a_day=1, visits_a_day=1, fpir=1e-4).sentences()
    assert lines[1].startswith("With 1 stranger a day")
    assert lines[3].startswith("With 1 visit a day")
    few = calibration()
    few = replace(few, table=replace(few.table, fmr_high=(1e-3, 1e-3, 1e-3, 1e-3, 1e-2)))
    some = risk(few, people=1, fpir=1.5e-3, strangers_a_day=1, curve=(2,)).sentences()
    assert any("up to one person; for more" in line for line in some)


def test_numbers_that_were_given_come_back_as_they_are():
    lines = measured(strangers_a_day=125, visits_a_day=12.5).sentences()
    assert lines[1].startswith("With 125 strangers a day")
    assert lines[3].startswith("With 12.5 visits a day")


def test_own_people_are_taken_for_another_of_them_at_most_as_often_as_strangers_among_one_fewer():
    found = measured()
    assert found.misidentified == calibration().fpir(found.threshold, 9).high
    assert found.misidentified < found.fpir.high
    assert found.sentences()[4] == (
        "At most 0.09 % of the visits by your own people would be taken for somebody else of them."
    )
    alone = measured(people=1, fpir=1e-4)
    assert alone.misidentified is None
    assert not any("somebody else" in line for line in alone.sentences())


def test_the_notes_of_the_calibration_come_last_as_sentences():
    one = replace(calibration(), notes=("The statues were washed", "Venus is there twice."))
    assert risk(one, people=10, threshold=1.05, strangers_a_day=1).sentences()[-2:] == [
        "The statues were washed.",
        "Venus is there twice.",
    ]
    sface = risk(load_calibration("sface"), people=12, fpir=1e-3, strangers_a_day=10).sentences()
    assert any("Three labels were corrected" in line for line in sface)


def test_a_bound_is_never_rounded_to_something_rarer():
    assert _odds(Rate(0.00121, 0, 0.00121, True)) == "at most 1 stranger in 820"
    assert _odds(Rate(0.121, 0, 0.121, True)) == "at most 13 strangers in 100"
    assert _odds(Rate(0.00121, 0.001, 0.002, False)) == "about 1 stranger in 830"
    for bound in np.geomspace(1e-9, 1, 200):
        assert two_digits(bound, toward="up") >= bound * (1 - 1e-6)
        assert two_digits(bound, toward="down") <= bound * (1 + 1e-6)
        assert float(percent(bound, toward="up").removesuffix(" %")) >= 100 * bound * (1 - 1e-6)
        assert float(count(1e6 * bound, toward="up").replace(",", "")) >= 1e6 * bound * (1 - 1e-6)


def test_no_number_for_people_has_an_exponent():
    for number in np.geomspace(1e-9, 1e9, 400):
        for text in (
            percent(min(number, 1)),
            count(number),
            count(number, toward="up"),
            _yearly(Rate(*(number,) * 3, False)),
        ):
            assert not re.search(r"\de[+-]?\d", text), text
    assert percent(1) == "100 %"
    assert percent(5e-7) == "0.00005 %"
    assert count(1640.0, toward="up") == "1,700"
    assert count(1e-3 * 3650, toward="up") == "3.7"


def test_a_float_s_own_error_costs_a_bound_no_digit():
    assert percent(1e-3 * (1 + 1e-12), toward="up") == "0.1 %"
    assert two_digits(1000 * (1 - 1e-12), toward="down") == 1000


# plot


def drawn(found):
    return np.asarray(Image.open(io.BytesIO(plot(found))).convert("RGB")).astype(int)


def test_the_plot_is_a_png_with_ink_and_grey_where_the_data_end():
    some, everything = drawn(measured()), drawn(measured(fpir=0.5))
    for picture in (some, everything):
        assert picture.shape == (600, 1350, 3)
        assert 0.6 < np.mean(picture.min(2) > 220) < 0.99
    grey = [np.count_nonzero((picture == round(0.92 * 255)).all(2)) for picture in (some, everything)]
    assert grey[0] > 10_000
    assert grey[1] < 1000


def test_a_single_extrapolated_threshold_can_be_drawn():
    assert drawn(risk(calibration(), people=3, threshold=0.92, strangers_a_day=1, curve=(10,))).shape == (600, 1350, 3)
