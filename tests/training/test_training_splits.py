"""Splits by identity: nobody on both sides, shares kept, seeds kept, and a leak is refused."""

import numpy as np
import pytest

from mien.errors import DataError, OptionError
from mien.training.splits import Split, by_group, check_no_leak, folds, from_parts, leaking, of_groups


def patients(count=20, seed=0):
    """Groups of unlike sizes with a common and a rare class."""
    random = np.random.default_rng(seed)
    groups = np.repeat([f"p{i}" for i in range(count)], random.integers(5, 60, count))
    return groups, np.where(random.random(len(groups)) < 0.1, "rare", "common")


@pytest.mark.parametrize("seed", range(5))
def test_no_group_is_on_two_sides_and_every_example_is_somewhere(seed):
    groups, labels = patients(seed=seed)
    split = by_group(groups, labels, seed=seed)
    sides = [set(groups[part]) for part in split.parts.values()]
    assert sum(len(side) for side in sides) == len(set.union(*sides))
    assert sorted(np.concatenate(list(split.parts.values()))) == list(range(len(groups)))


def test_the_shares_are_kept_in_each_class():
    groups, labels = patients(count=60)
    split = by_group(groups, labels, shares=(0.5, 0.25, 0.25))
    for name in ("rare", "common"):
        whole = np.count_nonzero(labels == name)
        for part, share in zip(split.parts.values(), (0.5, 0.25, 0.25), strict=True):
            assert np.count_nonzero(labels[part] == name) / whole == pytest.approx(share, abs=0.08)


def test_identities_are_dealt_by_their_number_of_examples():
    people = np.repeat([f"s{i}" for i in range(40)], 10)
    split = by_group(people, people, shares=(0.7, 0.15, 0.15))
    assert [len(part) for part in split.parts.values()] == [280, 60, 60]


def test_the_seed_decides_and_repeats():
    people = np.repeat([f"s{i}" for i in range(40)], 10)
    one, again, other = (by_group(people, people, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.test, again.test)
    assert set(people[one.test]) != set(people[other.test])


def test_a_part_with_a_share_gets_somebody_even_among_three_people():
    groups = np.array(["a"] * 100 + ["b"] * 2 + ["c"])
    split = by_group(groups, groups)
    assert all(len(part) for part in split.parts.values())


def test_a_share_of_nothing_stays_empty():
    people = np.repeat([f"s{i}" for i in range(10)], 3)
    assert len(by_group(people, people, shares=(0.8, 0.0, 0.2)).validation) == 0


def test_too_few_people_and_wrong_shares_are_refused():
    with pytest.raises(DataError, match="at least 3 people"):
        by_group(["a", "a", "b"], ["x", "y", "x"])
    with pytest.raises(OptionError, match="sum to 1"):
        by_group(["a"], ["a"], shares=(0.5, 0.5, 0.5))
    with pytest.raises(OptionError, match="at least 2 folds"):
        folds(["a"], ["a"], k=1)


def test_each_group_is_judged_in_exactly_one_fold():
    groups, labels = patients()
    made = folds(groups, labels, k=5)
    judged = np.concatenate([split.test for split in made])
    assert sorted(judged) == list(range(len(groups)))
    for i, split in enumerate(made):
        np.testing.assert_array_equal(split.validation, made[(i + 1) % 5].test)
        assert len(split.train) + len(split.validation) + len(split.test) == len(groups)


def test_two_folds_have_no_validation():
    groups, labels = patients()
    one, other = folds(groups, labels, k=2)
    assert len(one.validation) == 0
    np.testing.assert_array_equal(one.train, other.test)


def test_a_leak_is_named():
    split = Split(np.array([0]), np.array([], np.int64), np.array([1]))
    with pytest.raises(DataError, match=r"“anna” is in the train and the test part"):
        check_no_leak(split, ["anna", "anna"])


def test_an_example_twice_in_a_part_is_named():
    with pytest.raises(DataError, match="some twice"):
        check_no_leak(Split(np.array([0, 0]), np.array([], np.int64), np.array([1])), ["a", "b"])


def test_fixed_parts_that_share_a_patient_are_refused():
    with pytest.raises(DataError, match="“a”"):
        from_parts([np.array([0]), np.array([1]), np.array([2])], ["a", "a", "b"])


def test_the_leaking_split_leaks():
    groups, _ = patients()
    with pytest.raises(DataError, match="both sides"):
        check_no_leak(leaking(len(groups)), groups)


def test_learnt_is_train_and_validation():
    split = Split(np.array([4, 0]), np.array([2]), np.array([1]))
    assert split.learnt.tolist() == [0, 2, 4]


def test_groups_are_found_by_name():
    assert of_groups(["b", "a", "b", "c"], ["b", "c"]).tolist() == [0, 2, 3]
