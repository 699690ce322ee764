"""Distances and the decision that follows: the source text's own example, and the ways it must fail safely."""

import math

import numpy as np
import pytest

from mien.errors import OptionError
from mien.faces.similarity import cosine, decide, distance

OFFICE = ("Khan", "Danielle", "Younes", "Thian")


def test_the_texts_first_example_is_danielle():
    decision = decide([8.5, 0.7, 9.2, 7.8], OFFICE, 1.0)
    assert decision.verdict == "known"
    assert decision.match.person == "Danielle"
    assert decision.match.distance == 0.7
    assert decision.runner_up.person == "Thian"
    assert decision.people == 4


def test_the_texts_second_example_is_not_in_the_database():
    decision = decide([8.1, 7.5, 8.9, 9.0], OFFICE, 1.0)
    assert decision.verdict == "unknown"
    assert decision.match is None
    assert decision.nearest.person == "Danielle"


def test_a_distance_of_exactly_tau_is_different():
    assert decide([1.0], ["A"], 1.0).verdict == "unknown"
    assert decide([np.nextafter(1.0, 0)], ["A"], 1.0).verdict == "known"


def test_a_runner_up_within_the_margin_makes_it_unsure_and_names_nobody():
    decision = decide([0.50, 0.53], ["A", "B"], 1.0, 0.05)
    assert decision.verdict == "unsure"
    assert decision.match is None
    assert decide([0.50, 0.56], ["A", "B"], 1.0, 0.05).verdict == "known"


def test_a_runner_up_counts_even_beyond_tau():
    assert decide([0.99, 1.01], ["A", "B"], 1.0, 0.05).verdict == "unsure"


def test_a_tie_is_never_a_guess():
    assert decide([0.5, 0.5], ["A", "B"], 1.0).verdict == "unsure"


def test_several_samples_of_one_person_are_no_runner_up():
    decision = decide([0.50, 0.51, 1.4], ["A", "A", "B"], 1.0, 0.05)
    assert decision.verdict == "known"
    assert decision.runner_up.person == "B"
    assert decision.people == 2


def test_nobody_enrolled_means_unknown():
    decision = decide([], [], 1.0)
    assert (decision.verdict, decision.nearest, decision.runner_up, decision.people) == ("unknown", None, None, 0)


def test_a_distance_that_is_not_a_number_opens_no_door():
    assert decide([math.nan], ["A"], 1.0).verdict == "unknown"
    assert decide([math.nan, 0.3], ["A", "B"], 1.0).match.person == "B"


@pytest.mark.parametrize(("tau", "margin"), [(math.nan, 0.0), (math.inf, 0.0), (1.0, -0.1), (1.0, math.nan)])
def test_senseless_thresholds_are_refused(tau, margin):
    with pytest.raises(OptionError, match="threshold"):
        decide([0.1], ["A"], tau, margin)


def test_as_many_names_as_distances():
    with pytest.raises(OptionError, match="2 distances and 1 names"):
        decide([0.1, 0.2], ["A"], 1.0)


def test_distance_and_cosine_by_hand():
    a, b = np.array([1, 0, 0], np.float32), np.array([0.6, 0.8, 0], np.float32)
    assert distance(a, b) == pytest.approx(math.sqrt(0.16 + 0.64), abs=1e-7)
    assert cosine(a, b) == pytest.approx(0.6, abs=1e-7)
    assert distance(a, -a) == 2
    assert distance(a, a) == 0


def test_for_unit_encodings_the_distance_is_a_function_of_the_cosine():
    rng = np.random.default_rng(0)
    a, b = (v / np.linalg.norm(v) for v in rng.normal(size=(2, 128)))
    a, b = a.astype(np.float32), b.astype(np.float32)
    assert distance(a, b) ** 2 == pytest.approx(2 - 2 * cosine(a, b), abs=1e-6)


def test_a_zero_encoding_has_no_direction():
    assert cosine(np.zeros(3, np.float32), np.ones(3, np.float32)) == 0


def test_encodings_of_two_encoders_are_not_compared():
    with pytest.raises(OptionError, match="same encoder"):
        distance(np.zeros(128, np.float32), np.zeros(512, np.float32))
