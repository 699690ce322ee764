"""Measuring thresholds from comparisons: counts against loops, honest intervals, tails, and what is refused."""

import numpy as np
import pytest

from mien import metrics
from mien.errors import CalibrationError, OptionError
from mien.faces import threshold
from mien.faces.threshold import calibrate, nearest_strangers, tail_bound


def people(rng, count, photos=(1, 4), dimension=12, noise=0.35):
    """Encodings of random people, some with one photo, and their names."""
    samples = rng.integers(*photos, count, endpoint=True)
    centre = rng.normal(0, 1, (count, dimension)) / np.sqrt(dimension)
    names = [f"person {k:04d}" for k in np.repeat(np.arange(count), samples)]
    X = np.repeat(centre, samples, axis=0) + rng.normal(0, noise / np.sqrt(dimension), (samples.sum(), dimension))
    return (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32), names


@pytest.fixture(scope="module")
def measured():
    X, names = people(np.random.default_rng(5), 120)
    return X, names, calibrate(X, names, encoder="toy", source="random points", notes=["made up"], rounds=200)


def test_every_comparison_is_counted(measured):
    X, names, found = measured
    same, other = [], []
    for i in range(len(X)):
        for j, d in enumerate(np.linalg.norm(X[:i] - X[i], axis=1)):
            (same if names[i] == names[j] else other).append(d)
    assert (found.people, found.photos) == (120, len(X))
    assert (found.impostor_comparisons, found.genuine_comparisons) == (len(other), len(same))
    assert found.genuine_people == sum(names.count(name) > 1 for name in set(names))
    table = found.table
    naive = [np.sum(np.array(other) < tau) for tau in table.thresholds]
    assert np.abs(np.subtract(naive, table.false_matches)).max() <= 1  # float32 products round at the very threshold
    np.testing.assert_allclose(table.fmr, np.divide(table.false_matches, len(other)), rtol=1e-3)


def test_each_person_counts_the_same_among_the_false_non_matches(measured):
    X, names, found = measured
    tau = found.table.thresholds[len(found.table.thresholds) // 2]
    rates = []
    for name in set(names):
        own = X[[k for k, other in enumerate(names) if other == name]]
        d = [np.linalg.norm(own[i] - own[j]) for i in range(len(own)) for j in range(i)]
        if d:
            rates.append(np.mean([not x < tau for x in d]))
    assert found.fnmr(tau).value == pytest.approx(np.mean(rates), abs=2e-3)


def test_a_rate_is_measured_from_thirty_pairs_of_people_on(measured):
    X, names, found = measured

    def pairs(tau):
        return len(
            {
                (names[i], names[j])
                for i in range(len(X))
                for j in range(len(X))
                if names[i] < names[j] and np.linalg.norm(X[i] - X[j]) < tau
            }
        )

    first = found.table.measured_from
    assert pairs(found.table.thresholds[first]) >= 30 > pairs(found.table.thresholds[first - 1])
    assert not found.fmr(found.table.thresholds[first]).extrapolated
    assert found.fmr(found.table.thresholds[first - 1]).extrapolated


def test_nothing_is_stated_below_the_reach(measured):
    *_, found = measured
    reach = metrics.rule_of_three(120 * 119 // 2) / 100
    assert reach <= found.lowest_fmr < 2 * reach


def test_a_model_does_not_overrule_what_was_seen():
    X, names = people(np.random.default_rng(5), 120)
    names[-1] = "a person under two names"
    X[-1] = X[0]
    found = calibrate(X, names, encoder="toy", source="random points", rounds=50)
    assert found.table.false_matches[0] == 1
    assert found.lowest_fmr == pytest.approx(metrics.wilson(1, found.impostor_comparisons)[1], rel=1e-3)
    assert (found.table.column("fmr") <= found.table.column("fmr_high")).all()


def test_the_same_data_and_seed_give_the_same_calibration(measured):
    X, names, found = measured
    again = calibrate(X, names, encoder="toy", source="random points", notes=["made up"], rounds=200)
    assert again == found
    assert calibrate(X, names, encoder="toy", source="x", seed=1, rounds=200).table.fmr_high != found.table.fmr_high


def test_the_order_of_the_photos_does_not_matter(measured):
    X, names, found = measured
    order = np.random.default_rng(0).permutation(len(X))
    other = calibrate(X[order], [names[k] for k in order], encoder="toy", source="x", rounds=200)
    begin = found.table.thresholds[found.table.measured_from]
    np.testing.assert_allclose(other.fmr(begin).high, found.fmr(begin).high, rtol=0.02)
    assert other.fnmr(begin).value == pytest.approx(found.fnmr(begin).value, rel=1e-3)


def test_progress_reaches_the_number_of_photos():
    X, names = people(np.random.default_rng(1), 60, photos=(10, 10))
    told = []
    calibrate(X, names, encoder="toy", source="x", rounds=20, progress=lambda done, total: told.append((done, total)))
    assert told == [(512, 600), (600, 600)]


def test_a_photo_without_a_face_is_a_miss_with_each_other_photo_of_the_person(measured):
    X, names, plain = measured
    several = next(name for name in names if names.count(name) == 3)
    alone = next(name for name in names if names.count(name) == 1)
    missed = {several: 2, alone: 1, "never seen": 3, "once missed": 1, "nobody missed": 0}
    found = calibrate(X, names, encoder="toy", source="x", missed=missed, rounds=200)
    assert found.genuine_comparisons == plain.genuine_comparisons + (3 * 2 + 1) + 1 + 3
    assert found.genuine_people == plain.genuine_people + 2  # alone now has two photos, and so has who was never seen
    assert found.photos == plain.photos + 7
    assert (found.people, found.impostor_comparisons) == (plain.people, plain.impostor_comparisons)
    assert found.table.fmr_high == plain.table.fmr_high
    for tau in plain.table.thresholds[plain.table.measured_from :]:
        own = X[[k for k, name in enumerate(names) if name == several]]
        d = [np.linalg.norm(own[i] - own[j]) for i in range(3) for j in range(i)]
        wrong = np.mean([not x < tau for x in d])
        expected = plain.genuine_people * plain.fnmr(tau).value - wrong + (3 * wrong + 7) / 10 + 1 + 1
        assert found.fnmr(tau).value == pytest.approx(expected / found.genuine_people, abs=1e-3)
        assert found.fnmr(tau).low <= found.fnmr(tau).value <= found.fnmr(tau).high


def test_without_a_missed_photo_nothing_changes(measured):
    X, names, found = measured
    again = calibrate(X, names, encoder="toy", source="random points", notes=["made up"], missed={}, rounds=200)
    assert again == found
    with pytest.raises(OptionError, match="below 0"):
        calibrate(X, names, encoder="toy", source="x", missed={names[0]: -1})


# honest intervals


def fpir_of_others(rng, X, names, tau, K, searches=40):
    """Measured: K people enrolled with one photo each, everybody else comes to the door, over random galleries."""
    who = np.unique(names, return_inverse=True)[1]
    rates = []
    for _ in range(searches):
        order = rng.permutation(len(X))
        first = order[np.unique(who[order], return_index=True)[1]]  # one photo of everybody
        gallery = rng.choice(len(first), K, replace=False)
        strangers = ~np.isin(who, gallery)
        d = np.sqrt(np.maximum(2 - 2 * X[strangers] @ X[first[gallery]].T, 0)).min(1)
        rates.append(np.mean(d < tau))
    return np.mean(rates)


def test_strangers_among_other_people_are_mistaken_as_often_as_the_interval_says():
    rng = np.random.default_rng(12)
    inside = above = trials = 0
    for _ in range(12):
        found = calibrate(*people(rng, 100), encoder="toy", source="half", rounds=100)
        X, names = people(rng, 100)
        for K, target in ((10, 0.05), (50, 0.2)):
            tau = found.threshold_for_fpir(target, K)
            stated, rate = found.fpir(tau, K), fpir_of_others(rng, X, names, tau, K)
            inside += stated.low <= rate <= stated.high
            above += rate > target
            trials += 1
    assert inside >= 0.85 * trials
    assert above <= 0.1 * trials


def test_wolves_widen_the_interval():
    rng = np.random.default_rng(4)
    X, names = people(rng, 150, photos=(2, 2), dimension=24)
    even = calibrate(X, names, encoder="toy", source="x", rounds=100)
    middle = X.mean(0) / np.linalg.norm(X.mean(0))
    wolves = X.copy()
    wolves[:12] = wolves[:12] * 0.6 + middle  # six people resemble everybody a little
    wolves /= np.linalg.norm(wolves, axis=1, keepdims=True)
    some = calibrate(wolves, names, encoder="toy", source="x", rounds=100)

    def width(found):
        tau = found.threshold_for_fmr(1e-2, pessimistic=False)
        return found.fmr(tau).high / found.fmr(tau).low, found.table.at(tau, "spread")

    assert width(some)[0] > 1.3 * width(even)[0]
    assert width(some)[1] > 2 * width(even)[1]


# the tail


def draws(rng, distances, P=200, rounds=200):
    left = rng.integers(0, P, len(distances))
    return left, (left + rng.integers(1, P, len(distances))) % P, metrics.draw_identities(P, rounds, 0)


TAU = np.array([0.8, 0.86, 0.95])


@pytest.mark.parametrize("shape", [-0.1, 0.0, 0.2])
def test_the_tail_bound_lies_above_the_true_tail_and_not_absurdly_far(shape):
    rng = np.random.default_rng(8)
    z = (1 - TAU) / 0.02
    truth = 1e-3 * (np.exp(-z) if shape == 0 else np.maximum(1 + shape * z, 1e-9) ** (-1 / shape))
    above = []
    for _ in range(10):
        u = rng.random(2000)
        d = 1.0 - 0.02 * (-np.log(u) if shape == 0 else (u**-shape - 1) / shape)
        bound = tail_bound(d, *draws(rng, d), TAU, end=1.0, rates=np.full(201, 1e-3))
        above.append(bound >= truth)
        assert (bound <= 50 * np.maximum(truth, 1e-3 * np.exp(-z))).all()
    assert np.mean(above) >= 0.9


def test_the_tail_bound_follows_the_rate_at_its_end():
    rng = np.random.default_rng(8)
    d = 1 - 0.02 * rng.exponential(size=2000)
    sure = tail_bound(d, *draws(np.random.default_rng(0), d), TAU, end=1.0, rates=np.full(201, 1e-3))
    unsure = np.append(1e-3, np.linspace(0, 3e-3, 200))
    wide = tail_bound(d, *draws(np.random.default_rng(0), d), TAU, end=1.0, rates=unsure)
    assert (wide > 2 * sure).all()


def test_a_tail_that_ends_is_not_believed():
    rng = np.random.default_rng(8)
    d = 1 - 0.1 * rng.random(2000)  # nobody is nearer than 0.9
    bound = tail_bound(d, *draws(rng, d), TAU, end=1.0, rates=np.full(201, 1e-3))
    assert (bound > 1e-3 * np.exp(-(1 - TAU) / 0.05)).all()
    assert (np.diff(bound) > 0).all()


# what comes in


def test_the_most_alike_strangers_come_first_and_nobody_twice():
    X, names = people(np.random.default_rng(2), 70, photos=(8, 10))
    found = nearest_strangers(X, names, 15)
    naive = []
    for j in range(len(X)):
        naive += [(d, i, j) for i, d in enumerate(np.linalg.norm(X[:j] - X[j], axis=1)) if names[i] != names[j]]
    naive = sorted(naive)[:15]
    assert [(i, j) for i, j, _ in found] == [(i, j) for _, i, j in naive]
    np.testing.assert_allclose([d for *_, d in found], [d for d, *_ in naive], atol=1e-3)


def test_too_few_people_are_refused():
    X, names = people(np.random.default_rng(3), 49)
    with pytest.raises(CalibrationError, match=r"at least 50 people.*49"):
        calibrate(X, names, encoder="toy", source="x")
    X, names = people(np.random.default_rng(3), 60, photos=(1, 1))
    with pytest.raises(CalibrationError, match="two or more of at least 20"):
        calibrate(X, names, encoder="toy", source="x")


def test_too_many_photos_are_refused_before_the_work():
    X, names = people(np.random.default_rng(3), 2001, photos=(10, 10), dimension=2)
    with pytest.raises(CalibrationError, match="20,000 photos; got 20,010"):
        calibrate(X, names, encoder="toy", source="x")


def test_photos_without_a_face_and_arrays_that_do_not_fit_are_refused():
    X, names = people(np.random.default_rng(3), 60)
    X[3] = np.nan
    X[4] *= 2
    with pytest.raises(OptionError, match=r"length 1; 2 of .* no face"):
        calibrate(X, names, encoder="toy", source="x")
    for wrong in (X[:-1], X[0], X[:0]):
        with pytest.raises(OptionError, match="identities"):
            nearest_strangers(wrong, names)


def test_the_widened_interval_is_the_square_root_of_two_as_wide():
    low, high = threshold._widened(np.array([0.01, 0.0]), np.array([0.005, 0.0]), np.array([0.02, 0.1]))
    np.testing.assert_allclose(low, [0.01 / 2 ** np.sqrt(2), 0])
    np.testing.assert_allclose(high, [0.01 * 2 ** np.sqrt(2), 0.1])
