"""P × K batches: whole identities' rights, singletons, epochs, resumes, several processes, and data that cannot do."""

import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from mien.errors import OptionError
from mien.training.samplers import PKSampler

LABELS = np.repeat(np.arange(10), 6)


def test_every_batch_has_p_identities_of_k_different_items():
    sampler = PKSampler(LABELS, identities=4, items=3)
    batches = list(sampler)
    assert len(batches) == len(sampler) == 5  # 60 items, 12 at a time
    for batch in batches:
        assert len(set(batch)) == 12
        assert sorted(Counter(LABELS[batch].tolist()).values()) == [3, 3, 3, 3]


def test_every_identity_comes_once_before_any_comes_twice():
    batches = list(PKSampler(LABELS, identities=5, items=2, batches=6))
    for first in (0, 2, 4):
        assert set(LABELS[batches[first] + batches[first + 1]]) == set(range(10))


def test_every_item_comes_once_before_any_comes_twice():
    labels = np.repeat([0, 1], 7)
    batches = list(PKSampler(labels, identities=2, items=2, batches=14))
    drawn = [i for batch in batches for i in batch if labels[i] == 0]
    assert len(drawn) == 28
    for start in range(0, 28, 7):
        counts = Counter(drawn[: start + 7])
        assert set(counts.values()) == {start // 7 + 1}


def test_an_identity_with_fewer_items_gives_all_it_has_and_none_twice():
    labels = np.array([0, 0, 1, 1, 1, 1, 1])
    for batch in PKSampler(labels, identities=2, items=4, batches=8):
        assert Counter(labels[batch].tolist()) == {0: 2, 1: 4}
        assert len(set(batch)) == len(batch)


def test_single_items_never_anchor_and_come_as_negatives_if_wanted():
    labels = np.array([0, 0, 1, 1, 2, 3, 4])
    assert all(set(labels[batch]) == {0, 1} for batch in PKSampler(labels, identities=2, items=2, batches=9))
    batches = list(PKSampler(labels, identities=2, items=2, singles=1, batches=9))
    assert all(Counter(labels[b].tolist())[0] == 2 and len(b) == 5 for b in batches)
    assert set(labels[np.concatenate(batches)]) == {0, 1, 2, 3, 4}


def test_one_identity_with_pairs_takes_its_strangers_from_the_single_ones():
    labels = np.array([0, 0, 0, 1, 2])
    for batch in PKSampler(labels, identities=4, items=2, batches=5):
        assert sorted(labels[batch].tolist())[:2] == [0, 0]
        assert len(batch) == 3


def test_an_epoch_depends_on_seed_and_number_alone():
    sampler, later = PKSampler(LABELS, seed=3), PKSampler(LABELS, seed=3)
    first = list(sampler)
    assert list(sampler) == first
    sampler.set_epoch(4)
    assert list(sampler) != first
    later.set_epoch(4)  # as after a resume, without the epochs before
    assert list(later) == list(sampler)
    assert list(PKSampler(LABELS, seed=4)) != first


def test_processes_share_the_batches_of_the_single_one_whole():
    single = list(PKSampler(LABELS, identities=4, items=3, batches=6))
    parts = [PKSampler(LABELS, identities=4, items=3, batches=6, rank=rank, world=2) for rank in (0, 1)]
    assert [len(part) for part in parts] == [3, 3]
    assert [batch for both in zip(*parts, strict=True) for batch in both] == single


def test_every_process_gets_the_same_number_of_batches():
    parts = [list(PKSampler(LABELS, identities=4, items=3, batches=5, rank=rank, world=3)) for rank in range(3)]
    assert [len(part) for part in parts] == [2, 2, 2]


@pytest.mark.parametrize(
    ("labels", "settings", "text"),
    [
        ([0, 1, 2, 3], {}, "triplets need pairs"),
        ([7, 7, 7], {}, "triplets need a stranger"),
        ([], {}, "got none"),
        ([0, 0, 1, 1], {"items": 1}, "2 items a batch"),
        ([0, 0, 1, 1], {"identities": 1}, "2 identities"),
        ([0, 0, 1, 1], {"rank": 2, "world": 2}, "rank 2 of 2"),
    ],
)
def test_data_and_settings_without_triplets_are_refused(labels, settings, text):
    with pytest.raises(OptionError, match=text):
        PKSampler(np.array(labels, np.int64), **settings)


@pytest.mark.parametrize("statement", ["import mien.training", "from mien.training import PKSampler"])
def test_the_room_and_its_sampler_load_without_torch(statement):
    code = f"import sys; {statement}; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"


def test_every_public_name_of_the_room_is_there_and_no_other():
    import mien.training as room

    assert all(callable(getattr(room, name)) for name in room.__all__)
    assert dir(room) == sorted(room.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = room.nothing
