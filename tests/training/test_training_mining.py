"""Mined triplets equal those of plain loops over all triplets, with ties, singletons and no valid negative."""

import importlib.util

import pytest
import torch

from mien.errors import OptionError
from mien.training.losses import triplet_loss
from mien.training.mining import balanced_pairs, batch_hard, mine, random_triplets, semi_hard

LABELS = {
    "four of four": [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3],
    "shuffled, with singletons": [5, 1, 3, 1, 9, 5, 5, 2, 1, 7, 2, 3, 5],
    "one label": [4, 4, 4],
    "all singletons": [0, 1, 2, 3],
    "one item": [0],
    "none": [],
    "more than a block": [i % 23 for i in range(150)] + [99],
}


def points(count, seed=0, *, grid=False):
    generator = torch.Generator().manual_seed(seed)
    if grid:  # few whole numbers: squared distances are exact, and many of them equal
        return torch.randint(-1, 2, (count, 3), generator=generator).float()
    return torch.randn(count, 8, generator=generator)


def squares(f):
    return [[float(((a - b).double() ** 2).sum()) for b in f] for a in f]


def listed(triplets):
    return list(zip(*(index.tolist() for index in triplets), strict=True))


def naive_hard(f, labels):
    d2, found = squares(f), []
    for a, whose in enumerate(labels):
        positives = [i for i, other in enumerate(labels) if other == whose and i != a]
        negatives = [i for i, other in enumerate(labels) if other != whose]
        if positives and negatives:
            p = max(positives, key=lambda i: (d2[a][i], -i))
            n = min(negatives, key=lambda i: (d2[a][i], i))
            found.append((a, p, n))
    return found


def naive_semi_hard(f, labels, margin):
    d2, found = squares(f), []
    for a, whose in enumerate(labels):
        for p, other in enumerate(labels):
            if other != whose or p == a:
                continue
            valid = [n for n, third in enumerate(labels) if third != whose and d2[a][p] < d2[a][n] < d2[a][p] + margin]
            if valid:
                found.append((a, p, min(valid, key=lambda n: (d2[a][n], n))))
    return found


@pytest.mark.parametrize("grid", [False, True], ids=["points", "ties"])
@pytest.mark.parametrize("name", LABELS)
def test_batch_hard_equals_the_loop(name, grid):
    labels = LABELS[name]
    f = points(len(labels), grid=grid)
    assert listed(batch_hard(f, torch.tensor(labels, dtype=torch.int64))) == naive_hard(f, labels)


@pytest.mark.parametrize("margin", [0.2, 1.5, 30.0])
@pytest.mark.parametrize("grid", [False, True], ids=["points", "ties"])
@pytest.mark.parametrize("name", LABELS)
def test_semi_hard_equals_the_loop(name, grid, margin):
    labels = LABELS[name]
    f = points(len(labels), grid=grid)
    found = semi_hard(f, torch.tensor(labels, dtype=torch.int64), margin=margin)
    assert listed(found) == naive_semi_hard(f, labels, margin)


def test_the_loops_above_have_something_to_compare():
    labels = LABELS["shuffled, with singletons"]
    f = points(len(labels), grid=True)
    d2 = squares(f)
    assert len(naive_hard(f, labels)) == len(labels) - 2  # but the singletons 9 and 7
    assert any(len(set(row)) < len(row) - 3 for row in d2)
    assert 0 < len(naive_semi_hard(f, labels, 1.5)) < 24


def test_a_negative_as_far_as_the_positive_or_the_margin_beyond_is_not_semi_hard():
    # From 0: the positive at 1, negatives at exactly 1, 1.5 and 2 (squared).
    f = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0.5**0.5], [0, 1, 1]])
    labels = torch.tensor([0, 0, 1, 2, 3])
    assert [n for a, _, n in listed(semi_hard(f, labels, margin=1.0)) if a == 0] == [3]
    assert [n for a, _, n in listed(semi_hard(f, labels, margin=0.5)) if a == 0] == []


def test_no_valid_negative_is_skipped_and_not_replaced_by_the_first_item():
    f = torch.tensor([[0.0], [1.0], [100.0]])
    assert listed(semi_hard(f, torch.tensor([0, 0, 1]))) == []


def test_mining_leaves_no_trace_in_the_graph():
    f = points(16).requires_grad_()
    labels = torch.tensor(LABELS["four of four"])
    for how in ("random", "semi-hard", "hard"):
        assert all(not index.requires_grad and index.dtype == torch.int64 for index in mine(how, f, labels))
    triplet_loss(f, batch_hard(f, labels)).loss.backward()
    assert f.grad.abs().sum() > 0


def test_the_hardest_triplets_cost_most():
    f, labels = torch.nn.functional.normalize(points(151)), torch.tensor(LABELS["more than a block"])
    generator = torch.Generator().manual_seed(0)
    random, semi, hard = (
        triplet_loss(f, mine(how, f, labels, generator=generator), reduction="mean").loss.item()
        for how in ("random", "semi-hard", "hard")
    )
    assert random < hard
    assert 0 < semi < 0.2 < hard


@pytest.mark.parametrize("name", LABELS)
def test_random_triplets_are_valid_and_one_per_anchor_that_can(name):
    labels = torch.tensor(LABELS[name], dtype=torch.int64)
    a, p, n = random_triplets(labels, generator=torch.Generator().manual_seed(3))
    assert (labels[a] == labels[p]).all()
    assert (a != p).all()
    assert (labels[a] != labels[n]).all()
    f = points(len(labels))
    assert a.tolist() == [anchor for anchor, _, _ in naive_hard(f, LABELS[name])]


def test_random_triplets_draw_every_positive_and_negative_alike():
    labels = torch.tensor([0, 1, 0, 1, 0, 2])
    generator = torch.Generator().manual_seed(0)
    drawn = [random_triplets(labels, generator=generator) for _ in range(3000)]
    positives = torch.stack([t.positives[t.anchors == 2] for t in drawn]).flatten().bincount(minlength=6)
    negatives = torch.stack([t.negatives[t.anchors == 2] for t in drawn]).flatten().bincount(minlength=6)
    assert positives.nonzero().flatten().tolist() == [0, 4]
    assert negatives.nonzero().flatten().tolist() == [1, 3, 5]
    assert positives[positives > 0].min() > 1350  # of 1,500 expected
    assert negatives[negatives > 0].min() > 880  # of 1,000 expected


def test_the_same_seed_draws_the_same_triplets():
    labels = torch.tensor(LABELS["four of four"])
    once, again, other = (
        listed(random_triplets(labels, generator=torch.Generator().manual_seed(seed))) for seed in (1, 1, 2)
    )
    assert once == again != other


def test_balanced_pairs_have_as_many_same_as_different_and_no_more_than_asked():
    labels = torch.tensor(LABELS["four of four"])
    a, p, n = balanced_pairs(labels, most=40, generator=torch.Generator().manual_seed(0))
    assert len(a) == len(p) == len(n) == 40
    assert (labels[a] == labels[p]).all()
    assert (labels[a] != labels[n]).all()


def test_balanced_pairs_of_one_item_each_are_refused():
    with pytest.raises(OptionError, match="two or more items"):
        balanced_pairs(torch.arange(5))


def test_unknown_mining_and_labels_of_another_length_are_refused():
    with pytest.raises(OptionError, match="random, semi-hard, hard, got 'easy'"):
        mine("easy", points(3), torch.zeros(3))
    with pytest.raises(OptionError, match=r"labels \(B,\)"):
        batch_hard(points(3), torch.zeros(4))


@pytest.mark.skipif(
    importlib.util.find_spec("pytorch_metric_learning") is None, reason="pytorch-metric-learning is not installed"
)
def test_batch_hard_and_its_loss_equal_pytorch_metric_learning():
    from pytorch_metric_learning import distances, losses, miners, reducers

    squared = distances.LpDistance(normalize_embeddings=False, p=2, power=2)
    f = torch.nn.functional.normalize(points(151)).requires_grad_()
    labels = torch.tensor(LABELS["more than a block"])
    theirs = miners.BatchHardMiner(distance=squared)(f, labels)
    ours = batch_hard(f, labels)
    assert listed(ours) == listed(theirs)
    loss = losses.TripletMarginLoss(margin=0.2, distance=squared, reducer=reducers.AvgNonZeroReducer())
    expected = loss(f, labels, theirs)
    (expected_gradient,) = torch.autograd.grad(expected, f)
    found = triplet_loss(f, ours).loss
    (gradient,) = torch.autograd.grad(found, f)
    assert found.item() == pytest.approx(expected.item(), abs=1e-6)
    assert torch.allclose(gradient, expected_gradient, atol=1e-6)
