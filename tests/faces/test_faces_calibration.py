"""A calibration record: what it says at a threshold, which threshold it gives, and what it refuses to promise."""

import dataclasses
import json
import math

import numpy as np
import pytest

from mien.errors import CalibrationError, OptionError, OutputError
from mien.faces.calibration import Calibration, Rate, Table, load_calibration


def table(**changes):
    """Six rows, a decade of FMR every 0.05; the first two are extrapolated."""
    rows = {
        "thresholds": (0.90, 0.95, 1.00, 1.05, 1.10, 1.15),
        "measured_from": 2,
        "false_matches": (0, 1, 30, 300, 3000, 30000),
        "fmr": (0.0, 1e-6, 3e-5, 3e-4, 3e-3, 3e-2),
        "fmr_low": (0.0, 0.0, 1e-5, 1e-4, 1e-3, 1e-2),
        "fmr_high": (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1),
        "spread": (1.0, 1.0, 1.0, 0.5, 0.25, 0.0),
        "fnmr": (0.3, 0.2, 0.1, 0.05, 0.01, 0.0),
        "fnmr_low": (0.25, 0.15, 0.08, 0.03, 0.005, 0.0),
        "fnmr_high": (0.35, 0.25, 0.12, 0.07, 0.02, 0.01),
    }
    return Table(**{**rows, **changes})


def calibration(**changes):
    return Calibration(
        encoder="sface",
        source="photos of statues",
        notes=("Venus of Milo and Aphrodite of Milos are one person.",),
        people=1000,
        photos=3000,
        impostor_comparisons=1_000_000,
        genuine_people=500,
        genuine_comparisons=3000,
        seed=0,
        table=table(**changes),
    )


# rates


def test_a_measured_rate_has_an_interval_and_an_extrapolated_one_is_a_bound():
    assert calibration().fmr(1.05) == Rate(3e-4, 1e-4, 1e-3, False)
    assert calibration().fmr(1.05).label == "measured"
    assert calibration().fmr(0.95) == Rate(1e-5, 0, 1e-5, True)
    assert calibration().fmr(0.95).label == "extrapolated, pessimistic bound"
    assert calibration().fmr(np.nextafter(1.0, 0)).extrapolated


def test_between_two_rows_the_rate_is_a_straight_line_on_a_logarithmic_scale():
    rate = calibration().fmr(1.075)
    assert rate.value == pytest.approx(3e-4 * math.sqrt(10))
    assert (rate.low, rate.high) == (pytest.approx(1e-4 * math.sqrt(10)), pytest.approx(1e-3 * math.sqrt(10)))
    assert calibration().fnmr(1.125) == Rate(
        pytest.approx(0.005), pytest.approx(0.0025), pytest.approx(math.sqrt(2e-4)), False
    )


def test_the_fpir_is_one_less_the_chance_of_no_match_with_anybody():
    loose, tight = calibration(spread=(0.0,) * 6), calibration()
    for K, samples in ((1, 1), (7, 1), (100, 2.5)):
        rate = loose.fpir(1.05, K, samples_per_person=samples)
        assert rate.value == pytest.approx(1 - (1 - 3e-4) ** (K * samples))
        assert rate.high == pytest.approx(1 - (1 - 1e-3) ** (K * samples))
        unequal = tight.fpir(1.05, K, samples_per_person=samples)
        assert unequal.high == rate.high
        assert unequal.value <= rate.value
    assert loose.fpir(1.05, 1).value == pytest.approx(3e-4)


def test_unequal_strangers_are_the_mean_over_their_own_rates():
    # Gamma with mean f and squared coefficient of variation c: shape 1/c, scale c·f.
    p = np.random.default_rng(0).gamma(1 / 0.5, 0.5 * 3e-4, 200_000)
    naive = np.mean(1 - np.exp(-2000 * p))
    assert calibration().fpir(1.05, 2000).value == pytest.approx(naive, rel=0.01)
    assert calibration().fpir(1.05, 2000).value < 0.95 * (1 - (1 - 3e-4) ** 2000)


def test_an_extrapolated_fpir_is_a_bound_too():
    rate = calibration().fpir(0.95, 100)
    assert rate == Rate(rate.high, 0, rate.high, True)
    assert rate.high == pytest.approx(1 - (1 - 1e-5) ** 100)


@pytest.mark.parametrize("tau", [0.89, 1.16, math.nan, math.inf])
def test_a_threshold_outside_the_grid_stands_for_nothing(tau):
    for rate in (calibration().fmr, calibration().fnmr, lambda t: calibration().fpir(t, 5)):
        with pytest.raises(CalibrationError, match=r"0\.900 to 1\.150"):
            rate(tau)


def test_nobody_enrolled_is_no_number_of_people():
    for K, samples in ((0, 1), (5, 0), (5, math.nan)):
        with pytest.raises(OptionError, match="at least one person"):
            calibration().fpir(1.05, K, samples_per_person=samples)
        with pytest.raises(OptionError, match="at least one person"):
            calibration().threshold_for_fpir(1e-3, K, samples_per_person=samples)


# thresholds


def test_the_threshold_keeps_the_upper_end_of_the_rate():
    assert calibration().threshold_for_fmr(1e-3) == pytest.approx(1.05)
    assert calibration().threshold_for_fmr(1e-6) == pytest.approx(0.90)
    assert calibration().threshold_for_fmr(math.sqrt(1e-7)) == pytest.approx(1.025)
    for fmr in np.geomspace(1e-6, 1e-1, 40):
        assert calibration().fmr(calibration().threshold_for_fmr(fmr)).high == pytest.approx(fmr)


def test_the_default_is_one_in_ten_thousand():
    assert calibration().threshold_for_fmr() == calibration().threshold_for_fmr(1e-4)


def test_without_pessimism_the_measured_rate_decides_but_never_an_extrapolated_one():
    lax = calibration().threshold_for_fmr(3e-4, pessimistic=False)
    assert lax == pytest.approx(1.05)
    assert lax > calibration().threshold_for_fmr(3e-4)
    assert calibration().threshold_for_fmr(5e-6, pessimistic=False) == calibration().threshold_for_fmr(5e-6)


def test_more_people_or_more_photos_make_the_threshold_stricter():
    taus = [calibration().threshold_for_fpir(1e-2, K) for K in (1, 2, 10, 100, 1000)]
    assert (np.diff(taus) < 0).all()
    assert calibration().threshold_for_fpir(1e-2, 10, samples_per_person=3) == pytest.approx(
        calibration().threshold_for_fpir(1e-2, 30)
    )


def test_the_threshold_for_an_fpir_keeps_it():
    for K in (1, 10, 100, 1000):
        tau = calibration().threshold_for_fpir(1e-2, K)
        assert calibration().fpir(tau, K).high == pytest.approx(1e-2)


def test_a_rate_that_anybody_would_keep_gives_the_loosest_threshold():
    assert calibration().threshold_for_fpir(0.5, 1) == 1.15


def test_a_rate_lower_than_the_data_support_is_refused_with_one_that_is_not():
    with pytest.raises(CalibrationError, match=r"1e-07 .* 1,000 people .* Ask for 1e-06 or more"):
        calibration().threshold_for_fmr(1e-7)
    with pytest.raises(CalibrationError, match=r"among 5,000 people .* Ask for 0.005 or more"):
        calibration().threshold_for_fpir(1e-3, 5000)
    assert calibration().threshold_for_fpir(0.005, 5000) > 0.9
    assert not calibration().supports(1e-3, 5000)
    assert calibration().supports(0.005, 5000)
    assert not calibration().supports(0.005, 5000, samples_per_person=2)
    assert calibration().lowest_fmr == 1e-6
    assert calibration().lowest_measured_fmr == 3e-5


def test_a_refusal_among_one_person_says_one_person():
    with pytest.raises(CalibrationError, match="among one person of 1e-07 is lower"):
        calibration().threshold_for_fpir(1e-7, 1)


@pytest.mark.parametrize(("fpir", "samples"), [(1e-3, 1), (1e-3, 2.5), (1e-4, 3), (0.5, 1), (1e-5, 7)])
def test_the_most_people_are_supported_and_one_more_is_not(fpir, samples):
    most = calibration().most_people(fpir, samples_per_person=samples)
    assert most == pytest.approx(math.log1p(-fpir) / math.log1p(-1e-6) / samples, abs=1)
    calibration().threshold_for_fpir(fpir, most, samples_per_person=samples)
    with pytest.raises(CalibrationError):
        calibration().threshold_for_fpir(fpir, most + 1, samples_per_person=samples)


def test_the_most_people_may_be_none_at_all_or_more_than_there_are():
    assert calibration().most_people(1e-7) == 0
    assert calibration().most_people(1e-6) == 1
    assert calibration(fmr_high=(1e-12, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)).most_people(1e-2) is None
    for fpir, samples in ((0, 1), (1, 1), (math.nan, 1), (1e-3, 0), (1e-3, math.nan)):
        with pytest.raises(OptionError):
            calibration().most_people(fpir, samples_per_person=samples)


@pytest.mark.parametrize("rate", [0, 1, -0.1, math.nan])
def test_what_is_no_rate_is_refused(rate):
    with pytest.raises(OptionError, match="between 0 and 1"):
        calibration().threshold_for_fmr(rate)
    with pytest.raises(OptionError, match="between 0 and 1"):
        calibration().threshold_for_fpir(rate, 10)


def test_a_rate_past_the_grid_is_refused():
    with pytest.raises(OptionError, match=r"up to 0\.1.*takes too many strangers for the person"):
        calibration().threshold_for_fmr(0.2)


# files


def test_json_round_trip(tmp_path):
    one = calibration()
    assert Calibration.from_json(one.to_json()) == one
    path = one.save(tmp_path / "own.json")
    assert load_calibration(path) == one
    with pytest.raises(OutputError):
        one.save(path)


def test_the_shipped_calibration_is_small_and_holds_what_it_says():
    sface = load_calibration("sface")
    assert sface.encoder == "sface-fb143eea"  # the network and the beginning of its hash
    assert sface.people > 1000
    assert sface.impostor_comparisons > 5_000_000
    assert len(sface.to_json().encode()) <= 60_000
    assert sface.lowest_fmr < 1e-7
    assert sface.lowest_measured_fmr < 2e-5
    tau = [sface.threshold_for_fpir(1e-3, K) for K in (1, 4, 10, 100, 1000)]
    assert (np.diff(tau) < 0).all()
    rate = sface.fmr(sface.threshold_for_fmr(1e-4))
    assert 0 < rate.low < rate.value < rate.high
    assert rate.high == pytest.approx(1e-4)
    assert not rate.extrapolated


def test_the_shipped_rates_rise_and_fall_as_they_must():
    rows = load_calibration("sface").table
    measured = slice(rows.measured_from, None)
    assert (np.diff(rows.column("false_matches")) >= 0).all()
    assert (np.diff(rows.column("fmr")) >= 0).all()
    assert (np.diff(rows.column("fnmr")) <= 0).all()
    assert (rows.column("fmr_low")[measured] < rows.column("fmr")[measured]).all()
    assert (rows.column("fmr") <= rows.column("fmr_high")).all()
    assert (rows.column("fnmr_low") <= rows.column("fnmr")).all()
    assert (rows.column("fnmr") <= rows.column("fnmr_high")).all()


def test_an_encoder_without_a_calibration_is_told_how_to_make_one():
    with pytest.raises(CalibrationError, match="mien faces calibrate DIR"):
        load_calibration("arcface")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: "{", "no JSON"),
        (lambda r: "[]", "version 1"),
        (lambda r: json.dumps({**r, "version": 2}), "version 1"),
        (lambda r: json.dumps({k: v for k, v in r.items() if k != "people"}), "people"),
        (lambda r: json.dumps({**r, "more": 1}), "more"),
        (lambda r: json.dumps({**r, "people": "many"}), "no int"),
        (lambda r: json.dumps({**r, "people": True}), "no int"),
        (lambda r: json.dumps({**r, "table": None}), "table is missing"),
        (lambda r: json.dumps({**r, "table": {**r["table"], "fmr": [1, 2]}}), "fmr"),
        (lambda r: json.dumps({**r, "table": {**r["table"], "fmr": "x"}}), "no list"),
        (lambda r: json.dumps({**r, "table": {**r["table"], "fmr": ["x"] * 6}}), "x"),
        (lambda r: json.dumps({**r, "table": {**r["table"], "fmr_high": [math.nan] * 6}}), "fmr_high"),
        (lambda r: json.dumps({**r, "table": {**r["table"], "thresholds": [1.0] * 6}}), "rise"),
        (lambda r: json.dumps({**r, "table": {**r["table"], "measured_from": 6}}), "measured row"),
    ],
)
def test_a_file_that_is_no_calibration_is_refused_with_its_name(tmp_path, change, message):
    path = tmp_path / "broken.json"
    path.write_text(change(json.loads(calibration().to_json())), encoding="utf-8")
    with pytest.raises(CalibrationError, match=rf"broken\.json: .*{message}"):
        load_calibration(path)


def test_bytes_and_folders_are_no_calibration(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff")
    for path in (tmp_path, tmp_path / "photo.jpg"):
        with pytest.raises(CalibrationError, match="can be read"):
            load_calibration(path)


def test_a_calibration_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        calibration().encoder = "another"
