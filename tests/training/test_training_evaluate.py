"""Evaluation: hand-worked trials and rates, honest ties, intervals that hold the figure, nothing flattering."""

import numpy as np
import pytest

from mien import metrics
from mien.errors import DataError, OptionError
from mien.training import evaluate


def crowd(people=8, photos=5, spread=0.4, seed=0, size=6):
    random = np.random.default_rng(seed)
    middles = random.normal(size=(people, size))
    encodings = np.repeat(middles, photos, axis=0) + random.normal(0, spread, (people * photos, size))
    return encodings, np.repeat([f"p{i}" for i in range(people)], photos)


def alphabets(names=("x", "y"), characters=6, drawers=4):
    rows = [(f"{a}/{c}", a, f"d{d}") for a in names for c in range(characters) for d in range(drawers)]
    return tuple(np.array(column) for column in zip(*rows, strict=True))


def test_distances_equal_a_loop():
    random = np.random.default_rng(0)
    a, b = random.normal(size=(5, 3)), random.normal(size=(4, 3))
    expected = [[np.linalg.norm(x - y) for y in b] for x in a]
    np.testing.assert_allclose(evaluate.pair_distances(a, b), expected, rtol=1e-10)
    assert evaluate.pair_distances(a.astype(np.float32), a.astype(np.float32)).diagonal().max() < 1e-6
    with pytest.raises(OptionError, match=r"\(N, D\)"):
        evaluate.pair_distances(a, b[:, :2])


def test_verification_counts_every_pair_once_and_agrees_with_the_metrics():
    encodings, people = crowd()
    report = evaluate.verify(encodings, people, fmrs=(0.05,))
    genuine, impostor = [], []
    for i in range(len(people)):
        for j in range(i):
            (genuine if people[i] == people[j] else impostor).append(np.linalg.norm(encodings[i] - encodings[j]))
    assert (report.people, report.genuine, report.impostor) == (8, len(genuine), len(impostor))
    assert report.eer == pytest.approx(metrics.eer(genuine, impostor)[0], abs=1e-9)
    assert report.operating[0].tar == pytest.approx(1 - metrics.fnmr_at_fmr(genuine, impostor, 0.05)[0])
    assert "8 unseen people" in report.sentences[0]


def test_the_interval_over_people_holds_the_rate_and_narrows_with_more_of_them():
    few = evaluate.verify(*crowd(people=6, spread=0.9), rounds=200)
    many = evaluate.verify(*crowd(people=40, spread=0.9), rounds=200)
    for report in (few, many):
        assert report.interval[0] <= report.eer <= report.interval[1]
    assert many.interval[1] - many.interval[0] < few.interval[1] - few.interval[0]


def test_perfect_and_collapsed_encodings():
    _, people = crowd()
    perfect = np.eye(8)[np.unique(people, return_inverse=True)[1]]
    report = evaluate.verify(perfect, people)
    assert report.eer == 0
    assert report.recall == 1
    collapsed = evaluate.verify(np.zeros((len(people), 3)), people)
    assert collapsed.eer == pytest.approx(0.5)
    assert collapsed.recall == 0


def test_nobody_to_compare_is_refused():
    with pytest.raises(DataError, match="at least two people"):
        evaluate.verify(np.eye(3), ["a", "b", "c"])
    with pytest.raises(DataError, match="at least two people"):
        evaluate.verify(np.eye(3), ["a", "a", "a"])


def test_within_an_alphabet_one_drawer_shows_and_another_asks_about_the_same_characters():
    characters, alphabet, drawer = alphabets()
    trials = evaluate.within_alphabet(characters, alphabet, drawer, ways=5, runs=6)
    assert trials.support.shape == trials.query.shape == (6, 5)
    shown = set()
    for support, query, answer in zip(trials.support, trials.query, trials.answer, strict=True):
        assert len(set(alphabet[support]) | set(alphabet[query])) == 1
        assert len(set(drawer[support])) == len(set(drawer[query])) == 1
        assert drawer[support[0]] != drawer[query[0]]
        np.testing.assert_array_equal(characters[support[answer]], characters[query])
        assert len(set(characters[support])) == 5
        shown.add(alphabet[support[0]])
    assert shown == {"x", "y"}


def test_across_alphabets_the_query_is_another_example_of_one_of_the_supported():
    characters, _, _ = alphabets()
    trials = evaluate.across(characters, ways=8, runs=30)
    for support, query, answer in zip(trials.support, trials.query, trials.answer, strict=True):
        assert len(set(characters[support])) == 8
        np.testing.assert_array_equal(characters[support[answer]], characters[query])
        assert not set(support) & set(query)


def test_trials_repeat_with_their_seed():
    characters, alphabet, drawer = alphabets()
    one, again = (evaluate.within_alphabet(characters, alphabet, drawer, ways=5, seed=4) for _ in range(2))
    np.testing.assert_array_equal(one.query, again.query)
    assert not np.array_equal(one.query, evaluate.within_alphabet(characters, alphabet, drawer, ways=5, seed=5).query)


def test_one_shot_accuracy_by_hand_and_a_tie_is_wrong():
    encodings = np.array([[0.0], [1.0], [0.1], [0.8], [0.5]])
    trials = evaluate.OneShotTrials(
        support=np.array([[0, 1]]), query=np.array([[2, 3, 4]]), answer=np.array([[0, 0, 0]]), protocol="by hand"
    )
    result = evaluate.one_shot(encodings, trials)
    assert result.accuracy == pytest.approx(1 / 3)
    assert (result.queries, result.ways) == (3, 2)
    assert result.sentences[0].startswith("by hand: 33.3% of 3")
    assert evaluate.one_shot(np.zeros((5, 1)), trials).accuracy == 0


def test_too_small_alphabets_are_named():
    characters, alphabet, drawer = alphabets()
    with pytest.raises(DataError, match="“x”"):
        evaluate.within_alphabet(characters, alphabet, drawer, ways=7)
    with pytest.raises(DataError, match="there are 12"):
        evaluate.across(characters, ways=13)


def test_recall_at_k_by_hand():
    encodings = np.array([[0.0], [1.0], [1.1], [5.0]])
    assert evaluate.recall(encodings, ["a", "a", "b", "b"], k=1) == 0.5
    assert evaluate.recall(encodings, ["a", "a", "b", "b"], k=2) == 0.75


def test_classification_by_hand():
    true = np.array([0, 0, 0, 0, 1, 1, 2])
    said = np.array([0, 0, 0, 1, 1, 0, 0])
    report = evaluate.classify(true, said, ("N", "S", "V", "F"), averaged=("N", "S", "V"))
    np.testing.assert_allclose(report.sensitivity, [0.75, 0.5, 0, np.nan])
    np.testing.assert_allclose(report.precision, [0.6, 0.5, np.nan, np.nan])
    np.testing.assert_allclose(report.f1, [2 / 3, 0.5, 0, np.nan])
    assert report.macro_f1 == pytest.approx((2 / 3 + 0.5) / 3)
    assert report.accuracy == pytest.approx(4 / 7)
    assert report.trivial == pytest.approx(4 / 7)
    assert "V: sensitivity 0.0%, precision none, 1 cases." in report.sentences


def test_by_default_the_average_goes_over_what_occurs():
    report = evaluate.classify(np.array([0, 1]), np.array([0, 1]), ("N", "S", "V"))
    assert report.averaged == ("N", "S")
    assert report.macro_f1 == 1


def test_an_unknown_class_to_average_is_refused():
    with pytest.raises(OptionError, match="X"):
        evaluate.classify(np.array([0]), np.array([0]), ("N",), averaged=("X",))


def test_spread_over_seeds():
    assert evaluate.spread([0.1, 0.2, 0.3]) == pytest.approx((0.2, 0.1))
    assert evaluate.spread([0.4]) == (0.4, 0.0)
    with pytest.raises(OptionError, match="at least one seed"):
        evaluate.spread([])
