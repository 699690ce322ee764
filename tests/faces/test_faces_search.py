"""The exact search, beside a loop over all rows."""

import itertools
import subprocess
import sys
import threading

import numpy as np
import pytest

from mien.errors import GalleryError, OptionError
from mien.faces.gallery import search
from mien.faces.gallery.search import Index

D = 16


def unit(rows):
    rows = np.asarray(rows, np.float64)
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def strangers(count, seed=0, dimension=D):
    return unit(np.random.default_rng(seed).standard_normal((count, dimension)))


def by_hand(rows, owners, query, k):
    """The definition: every distance in float64, then each person's first appearance."""
    distances = [float(np.linalg.norm(row.astype(np.float64) - query.astype(np.float64))) for row in rows]
    ranking = []
    for i in sorted(range(len(rows)), key=lambda i: (distances[i], i)):
        if owners[i] not in [owner for owner, _ in ranking]:
            ranking.append((owners[i], distances[i]))
    return ranking[:k]


def check(index, rows, owners, queries, k):
    found = index.nearest(queries, k)
    for query, people, distances in zip(queries, found.owners, found.distances, strict=True):
        wanted = by_hand(rows, owners, query, k)
        assert people.tolist() == [owner for owner, _ in wanted]
        np.testing.assert_allclose(distances, [distance for _, distance in wanted], rtol=0, atol=1e-12)


@pytest.fixture
def small_blocks(monkeypatch):
    """Borders of blocks, pieces, batches and threads where a small gallery meets all of them."""
    monkeypatch.setattr(search, "_BLOCK", 7)
    monkeypatch.setattr(search, "_PIECE", 3 * D)
    monkeypatch.setattr(search, "_SHARED_FROM", 0)
    monkeypatch.setattr(search, "_SCORES", 500)
    monkeypatch.setattr(search, "_GROUP", 4)
    monkeypatch.setattr(search, "_cores", lambda: 2)


def test_a_hand_worked_square():
    index = Index([[1, 0], [0, 1], [-1, 0], [0, -1]], [10, 20, 30, 40])
    found = index.nearest(np.array([0.6, 0.8], np.float32), k=4)
    assert found.owners.tolist() == [20, 10, 30, 40]
    np.testing.assert_allclose(found.distances, np.sqrt([0.4, 0.8, 3.2, 3.6]), atol=1e-7)


@pytest.mark.parametrize("k", [1, 2, 5, 40])
@pytest.mark.parametrize(("rows", "people"), [(1, 1), (6, 6), (7, 3), (50, 50), (300, 9), (300, 200)])
def test_the_ranking_is_that_of_a_loop_over_all_rows(small_blocks, rows, people, k):
    encodings = strangers(rows)
    owners = np.random.default_rng(1).integers(0, people, rows)
    check(Index(encodings, owners), encodings, owners.tolist(), strangers(9, seed=2), k)


@pytest.mark.parametrize("blocks", ["small", "usual"])
def test_many_equal_and_nearly_equal_rows_are_ranked_exactly(request, blocks):
    if blocks == "small":
        request.getfixturevalue("small_blocks")
    random = np.random.default_rng(3)
    few = strangers(5, seed=4)
    rows = few[random.integers(0, 5, 400)]
    # Half are moved by less than a float32 dot product can tell apart.
    moved = random.random(400) < 0.5
    rows[moved] = unit(rows[moved] + 1e-5 * random.standard_normal((moved.sum(), D)))
    owners = random.integers(0, 60, 400)
    check(Index(rows, owners), rows, owners.tolist(), np.concatenate([few, unit(few + 1e-6)]), 7)


def test_a_person_whose_samples_fill_the_first_places_takes_one_of_them(small_blocks):
    query = strangers(1)[0]
    near = unit(query + 0.01 * np.random.default_rng(5).standard_normal((200, D)))
    far = strangers(30, seed=6)
    rows, owners = np.concatenate([far[:15], near, far[15:]]), [*range(15), *([99] * 200), *range(15, 30)]
    found = Index(rows, owners).nearest(query, 4)
    assert found.owners[0] == 99
    assert len(set(found.owners.tolist())) == 4
    check(Index(rows, owners), rows, owners, query[None], 4)


@pytest.mark.parametrize("seed", range(20))
def test_no_row_within_the_margin_is_left_out(small_blocks, monkeypatch, seed):
    monkeypatch.setattr(search, "_UNIT", 0.3)  # wide, as if scores were as wrong as that
    random = np.random.default_rng(seed)
    owners = random.integers(0, 40, 300)
    scores = random.normal(0, 0.3, 300).astype(np.float32)
    index = Index(strangers(300), owners)
    best = {owner: scores[owners == owner].max() for owner in owners}
    enough = sorted(best.values())[-3]
    needed = [i for i in range(300) if scores[i] >= max(enough, best[owners[i]]) - index._margin]
    assert index._candidates(scores, 3).tolist() == needed


def test_equal_distances_go_to_the_lowest_row():
    row = strangers(1)[0]
    index = Index(np.stack([row, row, row, row]), [7, 3, 9, 3])
    assert index.nearest(row, 3).owners.tolist() == [7, 3, 9]


def test_the_distance_of_near_identical_vectors_is_not_lost_to_cancellation():
    query = strangers(1, dimension=128)[0]
    row = unit(query + 1e-6 * np.random.default_rng(1).standard_normal(128))
    exact = np.linalg.norm(row.astype(np.float64) - query)
    assert 5e-6 < exact < 2e-5
    assert Index(row[None], [0]).nearest(query, 1).distances[0] == pytest.approx(exact, rel=1e-9)
    assert Index(query[None], [0]).nearest(query, 1).distances[0] == 0


def test_one_query_is_answered_as_in_a_batch():
    encodings, queries = strangers(3000, dimension=128), strangers(20, seed=1, dimension=128)
    index = Index(encodings, np.arange(3000) // 2)
    batch = index.nearest(queries)
    for i, query in enumerate(queries):
        one = index.nearest(query)
        assert one.owners.shape == one.distances.shape == (5,)
        assert one.owners.tolist() == batch.owners[i].tolist()
        assert one.distances.tolist() == batch.distances[i].tolist()


def test_the_default_blocks_give_the_same_ranking_over_several_of_them():
    rows = strangers(40_000, dimension=128)  # three blocks, shared by two threads
    queries = strangers(5, seed=1, dimension=128)
    index = Index(rows, np.arange(40_000))
    assert rows.size >= search._SHARED_FROM
    for query, batched in zip(queries, index.nearest(queries).owners, strict=True):
        wanted = np.argsort(np.linalg.norm(rows.astype(np.float64) - query, axis=1), kind="stable")[:5]
        assert index.nearest(query).owners.tolist() == batched.tolist() == wanted.tolist()


# growth


def test_rows_added_bit_by_bit_are_found_as_if_added_at_once(small_blocks):
    encodings, queries = strangers(120), strangers(6, seed=1)
    owners = [i % 50 for i in range(120)]
    index = Index(np.empty((0, D)), [])
    cuts = [0, 1, 2, 9, 10, 31, 31, 77, 120]
    for lo, hi in itertools.pairwise(cuts):
        index.add(encodings[lo:hi], owners[lo:hi])
        assert len(index) == hi
        check(index, encodings[:hi], owners[:hi], queries, 4)
    assert index.people == 50


def test_removed_people_are_gone_and_the_others_keep_their_order(small_blocks):
    rows = np.repeat(strangers(30), 3, axis=0)  # ties everywhere
    owners = np.random.default_rng(2).permutation(90) // 2
    index = Index(rows, owners)
    for gone in (5, [0, 1, 2, 3, 40, 44], int(owners[-1])):
        kept = ~np.isin(owners, gone)
        assert index.remove(gone) == len(owners) - kept.sum()
        rows, owners = rows[kept], owners[kept]
        assert len(index) == len(rows)
        check(index, rows, owners.tolist(), strangers(4, seed=3), 50)
    index.add(strangers(10, seed=4), range(100, 110))
    rows, owners = np.concatenate([rows, strangers(10, seed=4)]), [*owners.tolist(), *range(100, 110)]
    check(index, rows, owners, strangers(4, seed=3), 50)


def test_removing_nobody_changes_nothing():
    index = Index(strangers(3), [0, 1, 2])
    assert index.remove(9) == 0
    assert index.remove([]) == 0
    assert len(index) == 3


def test_nothing_of_a_removed_person_is_left_in_the_blocks(small_blocks):
    rows = strangers(40)
    index = Index(rows, range(40))
    blocks = list(index._blocks)
    index.remove([3, 19, 39])
    assert len(index._blocks) == 6
    for block in blocks:
        for gone in (3, 19, 39):
            assert rows[gone].tobytes() not in block.tobytes()


def test_an_emptied_index_finds_nobody_and_can_be_filled_again():
    index = Index(strangers(4), [1, 1, 2, 2])
    assert index.remove([1, 2]) == 4
    assert index.nearest(strangers(1)[0]).owners.shape == (0,)
    assert index.nearest(strangers(3)).distances.shape == (3, 0)
    index.add(strangers(1), [8])
    assert index.nearest(strangers(1)[0]).owners.tolist() == [8]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/statm")
@pytest.mark.parametrize("people", [12_000, 40_000])
def test_a_person_takes_at_most_six_hundred_bytes(people):
    code = f"""
import mmap, pathlib
import numpy as np
from mien.faces.gallery.search import Index
def filled(people):
    index = Index(np.empty((0, 128)), [])
    for first in range(0, people, 500):
        rows = np.zeros((500, 128), np.float32)
        rows[:, first % 128] = 1
        index.add(rows, range(first, first + 500))
    index.nearest(rows[0])
    return index
def resident():
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE
filled(1000)
before = resident()
index = filled({people})
print((resident() - before) / len(index))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 512 <= float(done.stdout) <= 600


# refusals


def test_the_caller_keeps_the_array_it_gave():
    rows = strangers(3)
    index = Index(rows, [0, 1, 2])
    query = rows[0].copy()
    rows[:] = -rows
    assert index.nearest(query, 1).distances[0] == 0


@pytest.mark.parametrize(
    ("rows", "owners", "says"),
    [
        (np.zeros(D), [1], "shape"),
        (np.zeros((2, 0)), [1, 2], "shape"),
        (strangers(2), [1], "owner"),
        (strangers(2), [1.0, 2.0], "whole numbers"),
        (2 * strangers(2), [1, 2], "length 1, but row 0"),
        (np.full((1, D), np.nan), [1], "length 1"),
        (np.full((1, D), np.inf), [1], "length 1"),
    ],
)
def test_what_is_no_set_of_unit_encodings_is_refused(rows, owners, says):
    with pytest.raises(GalleryError, match=says):
        Index(rows, owners)


def test_a_refused_row_leaves_the_index_as_it_was():
    index = Index(strangers(2), [0, 1])
    bad = strangers(3)
    bad[2] *= 1.01
    with pytest.raises(GalleryError, match="row 2"):
        index.add(bad, [2, 3, 4])
    with pytest.raises(GalleryError, match=f"{D} numbers"):
        index.add(strangers(1, dimension=D + 1), [2])
    with pytest.raises(GalleryError, match=f"{D} numbers"):
        index.nearest(strangers(1, dimension=D - 1)[0])
    with pytest.raises(GalleryError, match="length 1"):
        index.nearest(0 * bad[0])
    with pytest.raises(OptionError, match="at least 1"):
        index.nearest(bad[0], 0)
    assert len(index) == index.people == 2


def test_several_threads_may_search_while_one_enrols_and_forgets(small_blocks):
    rows = strangers(200)
    index = Index(rows, range(200))
    wrong = []

    def ask():
        wrong.extend(i for i in range(100) if index.nearest(rows[i], 1).owners.tolist() != [i])

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for i in range(100, 200):
        index.remove(i)
        index.add(rows[i : i + 1], [i])
    for thread in threads:
        thread.join()
    assert wrong == []
    check(index, rows, list(range(200)), strangers(3, seed=1), 5)
