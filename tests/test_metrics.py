"""Error rates, intervals and scores: hand-worked numbers, naive loops, and what is refused."""

import math

import numpy as np
import pytest

from mien import metrics
from mien.errors import OptionError

GENUINE = [0.2, 0.4, 0.6, 0.9]
IMPOSTOR = [0.5, 0.8, 1.0, 1.1, 1.2]


@pytest.fixture
def rng():
    return np.random.default_rng(11)


# comparisons


def test_roc_of_nine_comparisons_by_hand():
    curve = metrics.roc(GENUINE, IMPOSTOR)
    assert curve.thresholds[:-1].tolist() == sorted(GENUINE + IMPOSTOR)
    assert curve.thresholds[-1] > 1.2
    np.testing.assert_allclose(curve.fmr, [0, 0, 0, 0.2, 0.2, 0.4, 0.4, 0.6, 0.8, 1])
    np.testing.assert_allclose(curve.fnmr, [1, 0.75, 0.5, 0.5, 0.25, 0.25, 0, 0, 0, 0])


def test_roc_equals_a_loop_also_with_ties(rng):
    same, other = np.round(rng.normal(0.8, 0.2, 60), 1), np.round(rng.normal(1.2, 0.2, 80), 1)
    curve = metrics.roc(same, other)
    assert (np.diff(curve.thresholds) > 0).all()
    for tau, fmr, fnmr in zip(curve.thresholds, curve.fmr, curve.fnmr, strict=True):
        assert fmr == pytest.approx(sum(d < tau for d in other) / 80)
        assert fnmr == pytest.approx(sum(not d < tau for d in same) / 60)


def test_a_comparison_that_could_not_be_made_is_an_error_at_every_threshold():
    curve = metrics.roc([0.1, np.inf], [-np.inf, 0.9])
    assert curve.fnmr.min() == 0.5
    assert curve.fmr.min() == 0.5
    assert np.isfinite(curve.thresholds).all()


def test_equal_error_rate_by_hand():
    # Between 0.6 (FMR .2, FNMR .5) and 0.8 (FMR .2, FNMR .25) the gap goes from -.3 to -.05, at 0.9 it is +.15.
    rate, threshold = metrics.eer(GENUINE, IMPOSTOR)
    assert rate == pytest.approx(0.25)
    assert threshold == pytest.approx(0.8 + 0.1 * 0.25)


def test_equal_error_rate_of_separated_and_of_mixed_up_distances():
    assert metrics.eer([0.1, 0.2], [0.5, 0.7])[0] == 0
    assert metrics.eer([0.5, 0.7], [0.1, 0.2])[0] == 1
    assert metrics.eer([0.3], [0.3])[0] == 0.5


def test_equal_error_rate_does_not_change_with_a_monotone_change_of_scale(rng):
    same, other = rng.uniform(0, 1.2, 200), rng.uniform(0.8, 2, 300)
    assert metrics.eer(np.sqrt(same), np.sqrt(other))[0] == pytest.approx(metrics.eer(same, other)[0])


def test_rates_that_never_meet_are_refused():
    with pytest.raises(OptionError, match="could not be made"):
        metrics.eer([0.1, np.inf, np.inf], [0.9, np.inf, np.inf])


@pytest.mark.parametrize(
    ("fmr", "fnmr", "threshold"),
    [(0, 0.5, 0.5), (0.19, 0.5, 0.5), (0.2, 0.25, 0.8), (0.4, 0, 1.0), (1, 0, math.inf)],
)
def test_fnmr_at_fmr_by_hand(fmr, fnmr, threshold):
    assert metrics.fnmr_at_fmr(GENUINE, IMPOSTOR, fmr) == (fnmr, threshold)


def test_the_threshold_for_an_fmr_is_the_largest_that_keeps_it(rng):
    same, other = rng.normal(0.8, 0.2, 50), np.round(rng.normal(1.3, 0.2, 100), 2)
    for percent in range(100):
        _, tau = metrics.fnmr_at_fmr(same, other, percent / 100)
        assert np.mean(other < tau) <= percent / 100 < np.mean(other < np.nextafter(tau, 2))


def test_accuracy_by_hand():
    assert metrics.accuracy_at(GENUINE, IMPOSTOR, 0.8) == pytest.approx(7 / 9)
    assert metrics.best_threshold(GENUINE, IMPOSTOR) == (pytest.approx(0.45), pytest.approx(7 / 9))
    assert metrics.best_threshold([0.1, 0.3], [0.5]) == (pytest.approx(0.4), 1)


def test_the_best_threshold_equals_a_search_and_has_the_accuracy_it_says(rng):
    for n in (1, 2, 7, 40):
        same, other = np.round(rng.normal(0.8, 0.3, n), 1), np.round(rng.normal(1.1, 0.3, n), 1)
        tau, accuracy = metrics.best_threshold(same, other)
        tried = [metrics.accuracy_at(same, other, t) for t in np.arange(-1, 3, 0.05)]
        assert accuracy == pytest.approx(max(tried))
        assert metrics.accuracy_at(same, other, tau) == pytest.approx(accuracy)


def test_neighbouring_numbers_still_have_a_threshold_between_them():
    low = 0.7
    high = np.nextafter(low, 1)
    tau, accuracy = metrics.best_threshold([low], [high])
    assert accuracy == metrics.accuracy_at([low], [high], tau) == 1


@pytest.mark.parametrize(("same", "other"), [([], [0.1]), ([0.1], []), ([math.nan], [0.1]), ([0.1], [0.2, math.nan])])
def test_nothing_and_nan_are_refused(same, other):
    for function in (metrics.roc, metrics.eer, metrics.best_threshold):
        with pytest.raises(OptionError):
            function(same, other)
    with pytest.raises(OptionError):
        metrics.fnmr_at_fmr(same, other, 0.1)
    with pytest.raises(OptionError):
        metrics.accuracy_at(same, other, 0.5)


def test_rates_and_thresholds_that_are_none_are_refused():
    with pytest.raises(OptionError, match="0 to 1"):
        metrics.fnmr_at_fmr(GENUINE, IMPOSTOR, 1.5)
    with pytest.raises(OptionError, match="0 to 1"):
        metrics.fnmr_at_fmr(GENUINE, IMPOSTOR, math.nan)
    with pytest.raises(OptionError, match="NaN"):
        metrics.accuracy_at(GENUINE, IMPOSTOR, math.nan)


# intervals


def test_wilson_interval_against_worked_numbers():
    # 1 of 10: (0.1 + z²/20 ± z √(0.009 + z²/400)) / (1 + z²/10) with z = 1.959964
    assert metrics.wilson(1, 10) == (pytest.approx(0.017876, abs=1e-6), pytest.approx(0.404150, abs=1e-6))
    low, high = metrics.wilson(0, 500)
    assert low == 0
    assert high == pytest.approx(1.959964**2 / (500 + 1.959964**2), rel=1e-6)
    assert metrics.wilson(500, 500) == (pytest.approx(1 - high), 1)
    narrow = metrics.wilson(10, 100, confidence=0.5)
    wide = metrics.wilson(10, 100)
    assert wide[0] < narrow[0] < 0.1 < narrow[1] < wide[1]


def test_rule_of_three():
    assert metrics.rule_of_three(500) == 0.006
    assert metrics.rule_of_three(2) == 1


@pytest.mark.parametrize("wrong", [(1, 0), (3, 2), (-1, 5)])
def test_impossible_counts_are_refused(wrong):
    with pytest.raises(OptionError):
        metrics.wilson(*wrong)
    with pytest.raises(OptionError):
        metrics.rule_of_three(0)
    with pytest.raises(OptionError):
        metrics.wilson(1, 2, confidence=1)


def comparisons(rng, people=12, photos=3):
    """Between all photos of people, some of whom are easily mistaken."""
    who = np.repeat(np.arange(people), photos)
    place = rng.normal(0, 1, (people, 2))[who] + rng.normal(0, 0.1, (len(who), 2))
    i, j = np.triu_indices(len(who), 1)
    strangers = who[i] != who[j]
    d = np.linalg.norm(place[i] - place[j], axis=1)
    return d[strangers], who[i][strangers], who[j][strangers], d[~strangers], who[i][~strangers]


TAU = np.array([0.2, 0.5, 1.0, 2.0])


def test_resampled_fmr_equals_a_loop_over_people_drawn_again(rng):
    d, left, right, *_ = comparisons(rng)
    drawn = metrics.resampled_fmr(d, left, right, TAU, identities=12, rounds=20, seed=3)
    for rates, weights in zip(drawn, metrics.draw_identities(12, 20, 3), strict=True):
        assert weights.sum() == 12
        total = sum(weights[i] * weights[j] for i, j in zip(left, right, strict=True))
        for rate, tau in zip(rates, TAU, strict=True):
            some = sum(weights[i] * weights[j] for x, i, j in zip(d, left, right, strict=True) if x < tau)
            assert rate == pytest.approx(some / total)


def test_the_near_comparisons_and_the_numbers_of_samples_are_enough(rng):
    d, left, right, *_ = comparisons(rng)
    everything = metrics.resampled_fmr(d, left, right, TAU, identities=12, rounds=50)
    near = d < TAU[-1]
    some = metrics.resampled_fmr(
        d[near], left[near], right[near], TAU, identities=12, samples=np.full(12, 3), rounds=50
    )
    np.testing.assert_allclose(some, everything)


def test_the_product_of_matrices_equals_the_sum_over_entries(rng):
    weights = metrics.draw_identities(9, 30, 0)
    i, j = rng.integers(0, 9, 400), rng.integers(0, 9, 400)
    many = metrics._pair_sum(i, j, weights)
    few = sum(metrics._pair_sum(i[k : k + 4], j[k : k + 4], weights) for k in range(0, 400, 4))
    np.testing.assert_allclose(many, few)
    np.testing.assert_allclose(many, [sum(w[i] * w[j]) for w in weights])


def test_bootstrap_fmr_equals_the_general_bootstrap(rng):
    d, left, right, *_ = comparisons(rng)

    def fmr(w):
        return [w[left] * w[right] @ (d < tau) / (w[left] @ w[right]) for tau in TAU]

    low, high = metrics.bootstrap_fmr(d, left, right, TAU, identities=12, rounds=100, seed=5)
    expected = metrics.bootstrap_by_identity(fmr, identities=12, rounds=100, seed=5)
    np.testing.assert_allclose([low, high], expected)
    rate = np.array([np.mean(d < tau) for tau in TAU])
    assert (low <= rate).all()
    assert (rate <= high).all()


def test_bootstrap_fnmr_equals_the_general_bootstrap(rng):
    *_, d, owner = comparisons(rng)
    tau = np.array([0.05, 0.1, 0.2])

    def fnmr(w):
        return [w[owner] @ ~(d < t) / w[owner].sum() for t in tau]

    found = metrics.bootstrap_fnmr(d, owner, tau, identities=12, rounds=100, seed=5)
    np.testing.assert_allclose(found, metrics.bootstrap_by_identity(fnmr, identities=12, rounds=100, seed=5))


def test_bootstrap_fnmr_can_count_every_person_the_same():
    # Person 0 fails all of eight comparisons, person 1 none of two: 8 of 10 comparisons, but half of the people.
    d, owner, each = [0.9] * 8 + [0.1] * 2, [0] * 8 + [1] * 2, [1 / 8] * 8 + [1 / 2] * 2

    def fnmr(w):
        return [w[0] / w.sum()]

    found = metrics.bootstrap_fnmr(d, owner, [0.5], identities=2, weights=each, rounds=99)
    np.testing.assert_allclose(found, metrics.bootstrap_by_identity(fnmr, identities=2, rounds=99))
    with pytest.raises(OptionError, match="10 weights"):
        metrics.bootstrap_fnmr(d, owner, [0.5], identities=2, weights=[1])


def test_the_interval_by_identity_covers_what_the_naive_one_misses():
    # Two of a hundred people look like everybody: the comparisons are many, the people who decide are few.
    rng = np.random.default_rng(2)
    i, j = np.triu_indices(60, 1)
    truth = 1 - (1 - 0.05) ** 2
    hits = naive = 0
    for trial in range(40):
        wolf = rng.random(60) < 0.05
        d = np.where(wolf[i] | wolf[j], 0.1, 0.9)
        low, high = metrics.bootstrap_fmr(d, i, j, [0.5], identities=60, rounds=200, seed=trial)
        hits += low[0] <= truth <= high[0]
        low, high = metrics.wilson(int(np.sum(d < 0.5)), len(d))
        naive += low <= truth <= high
    assert hits >= 32
    assert naive <= 20


def test_the_bootstrap_repeats_with_its_seed(rng):
    d, left, right, *_ = comparisons(rng)
    a, b, c = (metrics.bootstrap_fmr(d, left, right, TAU, identities=12, rounds=30, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


def test_a_draw_that_leaves_nothing_to_compare_is_left_out():
    # Two people, one comparison: half of the draws take one person twice.
    low, high = metrics.bootstrap_fmr([0.1], [0], [1], [0.5], identities=2, rounds=50)
    assert (low[0], high[0]) == (1, 1)
    with pytest.raises(OptionError, match="too few"):
        metrics.percentile_interval([[math.nan], [math.nan]])


def test_what_the_bootstrap_refuses():
    with pytest.raises(OptionError, match="same person"):
        metrics.bootstrap_fmr([0.1], [1], [1], [0.5], identities=3)
    with pytest.raises(OptionError, match="0 to 2"):
        metrics.bootstrap_fmr([0.1], [0], [3], [0.5], identities=3)
    with pytest.raises(OptionError, match="ascending"):
        metrics.bootstrap_fmr([0.1], [0], [1], [0.5, 0.4], identities=3)
    with pytest.raises(OptionError, match="whole numbers"):
        metrics.bootstrap_fmr([0.1], [0.5], [1], [0.5], identities=3)
    with pytest.raises(OptionError, match="at least one"):
        metrics.bootstrap_fmr([], [], [], [0.5], identities=3)
    with pytest.raises(OptionError, match="at least one"):
        metrics.bootstrap_fnmr([], [], [0.5], identities=3)
    with pytest.raises(OptionError, match="NaN"):
        metrics.bootstrap_fnmr([math.nan], [0], [0.5], identities=3)
    with pytest.raises(OptionError, match="two people"):
        metrics.bootstrap_by_identity(lambda w: w, identities=1)
    with pytest.raises(OptionError, match="number of samples"):
        metrics.bootstrap_fmr([0.1], [0], [1], [0.5], identities=3, samples=[1, 2])


# searches


def test_open_set_rates_by_hand():
    # Four searches by enrolled people, one of which finds somebody else first; five by strangers.
    rates = metrics.fpir_fnir(
        [0.3, 0.5, 0.4, 0.9],
        [True, True, False, True],
        non_mated=[0.45, 0.8, 1.0, 1.1, 1.2],
        thresholds=[0.4, 0.5, 0.85, 1],
    )
    np.testing.assert_allclose(rates.fpir, [0, 0.2, 0.4, 0.4])
    np.testing.assert_allclose(rates.fnir, [0.75, 0.75, 0.5, 0.25])


def test_open_set_rates_refuse_what_they_cannot_use():
    with pytest.raises(OptionError, match="mated"):
        metrics.fpir_fnir([], np.array([], bool), non_mated=[0.1], thresholds=[1])
    with pytest.raises(OptionError, match="non-mated"):
        metrics.fpir_fnir([0.1], [True], non_mated=[], thresholds=[1])
    with pytest.raises(OptionError, match="true or false"):
        metrics.fpir_fnir([0.1, 0.2], [True], non_mated=[0.3], thresholds=[1])
    with pytest.raises(OptionError, match="NaN"):
        metrics.fpir_fnir([math.nan], [True], non_mated=[0.3], thresholds=[1])


def test_recall_at_k_by_hand():
    d = [[0.1, 0.2, 0.3], [0.3, 0.2, 0.1], [0.1, 0.2, 0.3]]
    labels = ["a", "b", "c"]
    assert metrics.recall_at_k(d, ["a", "a", "d"], labels, 1) == pytest.approx(1 / 3)
    assert metrics.recall_at_k(d, ["a", "a", "d"], labels, 2) == pytest.approx(1 / 3)
    assert metrics.recall_at_k(d, ["a", "a", "d"], labels, 3) == pytest.approx(2 / 3)


def test_recall_at_k_equals_a_sort(rng):
    d, queries, gallery = rng.random((30, 50)), rng.integers(0, 10, 30), rng.integers(0, 10, 50)
    for k in (1, 3, 50):
        naive = [q in gallery[np.argsort(row)[:k]] for row, q in zip(d, queries, strict=True)]
        assert metrics.recall_at_k(d, queries, gallery, k) == pytest.approx(np.mean(naive))


def test_a_network_that_maps_everything_to_one_point_finds_nothing():
    labels = np.arange(5) % 2
    assert metrics.recall_at_k(np.zeros((5, 5)), labels, labels, 1) == 0


def test_recall_at_k_refuses_shapes_and_k_that_do_not_fit():
    with pytest.raises(OptionError, match="shape"):
        metrics.recall_at_k(np.zeros((2, 3)), [0, 1], [0, 1], 1)
    with pytest.raises(OptionError, match="at least 1"):
        metrics.recall_at_k(np.zeros((0, 3)), [], [0, 1, 2], 1)
    with pytest.raises(OptionError, match="1 to"):
        metrics.recall_at_k(np.zeros((1, 3)), [0], [0, 1, 2], 4)
    with pytest.raises(OptionError, match="NaN"):
        metrics.recall_at_k([[math.nan]], [0], [0], 1)


# classifiers

TRUE, SAID = [0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 0, 1]


def test_confusion_matrix_and_what_is_read_off_it_by_hand():
    matrix = metrics.confusion_matrix(TRUE, SAID, 3)
    assert matrix.tolist() == [[2, 1, 0], [1, 1, 0], [0, 1, 0]]
    sensitivity, precision = metrics.sensitivity_precision(matrix)
    np.testing.assert_allclose(sensitivity, [2 / 3, 1 / 2, 0])
    np.testing.assert_allclose(precision, [2 / 3, 1 / 3, math.nan])
    assert metrics.macro_f1(TRUE, SAID, 3) == pytest.approx((4 / 6 + 2 / 5 + 0) / 3)


def test_macro_f1_leaves_out_a_class_that_nobody_has_and_nobody_says():
    assert metrics.macro_f1(TRUE, SAID, 7) == metrics.macro_f1(TRUE, SAID, 3)
    assert metrics.macro_f1([0, 1], [0, 1], 2) == 1


def test_calibration_error_by_hand():
    # Bin (0, .5]: 0.2 and 0.4, one of them right, |1 - .6| = .4; bin (.5, 1]: 0.9, right, .1. Together .5 over 3.
    assert metrics.ece([0.2, 0.4, 0.9], [0, 1, 1], bins=2) == pytest.approx(0.5 / 3)
    assert metrics.ece([0.0, 1.0], [0, 1]) == 0
    assert metrics.ece([1.0, 1.0], [0, 0]) == 1


def test_calibration_error_of_several_classes_judges_the_highest():
    p = [[0.7, 0.2, 0.1], [0.1, 0.8, 0.1]]
    assert metrics.ece(p, [0, 2], bins=1) == pytest.approx(abs(1 - 1.5) / 2)


def test_calibration_error_equals_a_loop(rng):
    p = rng.random(500)
    y = (rng.random(500) < p**2).astype(int)
    total = 0.0
    for b in range(15):
        inside = (p > b / 15) & (p <= (b + 1) / 15)
        if inside.any():
            total += inside.sum() / 500 * abs(y[inside].mean() - p[inside].mean())
    assert metrics.ece(p, y) == pytest.approx(total)
    assert total > 0.1


def test_classifier_scores_refuse_what_they_cannot_use():
    for function in (metrics.confusion_matrix, metrics.macro_f1):
        with pytest.raises(OptionError, match="at least one label"):
            function([], [], 2)
        with pytest.raises(OptionError, match="0 to 1"):
            function([0, 2], [0, 1], 2)
        with pytest.raises(OptionError, match="2 whole numbers"):
            function([0, 1], [0], 2)
    with pytest.raises(OptionError, match="NaN"):
        metrics.confusion_matrix([math.nan], [0], 2)
    with pytest.raises(OptionError, match="square"):
        metrics.sensitivity_precision([[1, 2]])
    with pytest.raises(OptionError, match="0 to 1"):
        metrics.ece([1.2], [1])
    with pytest.raises(OptionError, match="0 to 1"):
        metrics.ece([], [])
    with pytest.raises(OptionError, match="NaN"):
        metrics.ece([math.nan], [1])
