"""Losses by hand-worked numbers and naive loops, gradients where they are easily lost, and the collapse alarm."""

import math

import pytest
import torch

from mien.errors import OptionError
from mien.training.losses import (
    Collapse,
    contrastive_loss,
    distance,
    nt_xent_loss,
    pair_logistic_loss,
    spread,
    squared_distance,
    triplet_cost,
    triplet_loss,
)
from mien.training.mining import Triplets


def rand(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def triplets(*rows):
    return Triplets(*torch.tensor(rows).T) if rows else Triplets(*torch.empty(3, 0, dtype=torch.int64))


def at(*squares):
    """Points on axes of their own, at these squared distances from the origin."""
    return torch.diag(torch.tensor(squares, dtype=torch.float64).sqrt())


# distances


def test_squared_distance_of_near_points_does_not_drown_in_their_length():
    a = torch.full((1, 128), 100.0)
    assert squared_distance(a, a + 1e-3).item() == pytest.approx(128 * 1e-6, rel=0.02)


@pytest.mark.parametrize("measure", [distance, squared_distance])
def test_gradient_at_two_equal_points_is_zero_and_not_nan(measure):
    a = rand(4, 8).requires_grad_()
    measure(a, a.detach().clone()).sum().backward()
    assert torch.equal(a.grad, torch.zeros(4, 8, dtype=torch.float64))


def test_spread_is_the_root_mean_square_of_all_pair_distances():
    f = rand(7, 5)
    squares = [(f[i] - f[j]).square().sum().item() for i in range(7) for j in range(7) if i != j]
    assert spread(f) == pytest.approx(math.sqrt(sum(squares) / len(squares)))


def test_spread_sees_a_collapse_far_from_the_origin():
    f = (1 + 1e-4 * rand(64, 128)).float()
    assert spread(f) == pytest.approx(1e-4 * math.sqrt(2 * 128), rel=0.1)
    assert spread(f[:1]) == 0


# triplets


def test_the_all_zero_encoder_costs_exactly_alpha():
    zeros = torch.zeros(5, 128)
    assert torch.equal(triplet_cost(zeros, zeros, zeros), torch.full((5,), 0.2))
    result = triplet_loss(zeros, triplets((0, 1, 2), (1, 0, 3)))
    assert result.loss.item() == pytest.approx(0.2)
    assert result.active == 1.0


@pytest.mark.parametrize(("negative", "cost"), [(0.51, 0.19), (0.7, 0.0), (0.9, 0.0), (0.3, 0.4)])
def test_a_positive_at_one_half_needs_its_negative_at_seven_tenths(negative, cost):
    anchor = torch.zeros(1, 2, dtype=torch.float64)
    positive, negative = at(0.5, negative)
    assert triplet_cost(anchor, positive[None], negative[None]).item() == pytest.approx(cost, abs=1e-12)


def test_triplet_loss_is_the_naive_loop_for_every_reduction():
    f, chosen = rand(12, 6) * 0.3, [(0, 1, 5), (2, 3, 4), (6, 7, 8), (9, 10, 11), (1, 0, 9), (3, 2, 0)]
    costs = [max(sum((f[a] - f[p]) ** 2).item() - sum((f[a] - f[n]) ** 2).item() + 0.2, 0.0) for a, p, n in chosen]
    active = [cost for cost in costs if cost > 0]
    assert 0 < len(active) < len(costs)
    expected = {"sum": sum(costs), "mean": sum(costs) / len(costs), "active": sum(active) / len(active)}
    for reduction, value in expected.items():
        result = triplet_loss(f, triplets(*chosen), reduction=reduction)
        assert result.loss.item() == pytest.approx(value, rel=1e-12)
        assert (result.active, result.triplets) == (len(active) / len(costs), len(costs))


def test_no_triplets_give_a_zero_that_can_be_gone_back_from():
    f = rand(3, 4).requires_grad_()
    result = triplet_loss(f, triplets())
    result.loss.backward()
    assert (result.loss.item(), result.active, result.triplets) == (0.0, 0.0, 0)
    assert torch.equal(f.grad, torch.zeros(3, 4, dtype=torch.float64))


def test_triplets_that_are_all_right_cost_nothing_and_move_nothing():
    f = at(4.0, 4.0, 4.0)
    f[1] = f[0]
    f.requires_grad_()
    result = triplet_loss(f, triplets((0, 1, 2)))
    result.loss.backward()
    assert (result.loss.item(), result.active) == (0.0, 0.0)
    assert not f.grad.any()


def test_the_collapsed_point_has_no_gradient():
    f = torch.ones(3, 4, requires_grad=True)
    triplet_loss(f, triplets((0, 1, 2))).loss.backward()
    assert torch.equal(f.grad, torch.zeros(3, 4))


def test_gradients_pass_gradcheck():
    f = (rand(8, 5) * 0.3).requires_grad_()
    chosen = triplets((0, 1, 2), (3, 4, 5), (1, 0, 6), (7, 6, 0))
    assert torch.autograd.gradcheck(lambda x: triplet_loss(x, chosen, margin=1.0, reduction="sum").loss, f)
    assert torch.autograd.gradcheck(lambda x: triplet_loss(x, chosen, margin="soft").loss, f)
    same = torch.tensor([1, 0, 1, 0])
    assert torch.autograd.gradcheck(lambda x: contrastive_loss(x[:4], x[4:], same, margin=3.0), f)
    assert torch.autograd.gradcheck(lambda x: pair_logistic_loss(x[:4, 0], same), f)
    assert torch.autograd.gradcheck(lambda x: nt_xent_loss(x[:4], x[4:]), f)


def test_the_soft_margin_is_ln_2_for_one_point_and_does_not_overflow():
    anchor, far = torch.zeros(1, 1), torch.full((1, 1), 20.0)
    assert triplet_cost(anchor, anchor, anchor, margin="soft").item() == pytest.approx(math.log(2))
    assert triplet_cost(anchor, far, anchor, margin="soft").item() == pytest.approx(400.0)


def test_half_precision_encodings_are_compared_in_float32():
    f = rand(6, 128, dtype=torch.float32).bfloat16()
    chosen = triplets((0, 1, 2), (3, 4, 5))
    assert triplet_loss(f, chosen).loss.dtype == torch.float32
    assert torch.equal(triplet_loss(f, chosen).loss, triplet_loss(f.float(), chosen).loss)


@pytest.mark.parametrize("margin", [0, -0.1, float("nan")])
def test_a_margin_that_is_not_above_zero_is_refused(margin):
    with pytest.raises(OptionError, match="margin above 0"):
        triplet_loss(torch.zeros(3, 2), triplets((0, 1, 2)), margin=margin)


def test_an_unknown_reduction_is_refused():
    with pytest.raises(OptionError, match="active, mean or sum"):
        triplet_loss(torch.zeros(3, 2), triplets((0, 1, 2)), reduction="median")


# pairs


def test_contrastive_loss_by_hand():
    f1 = torch.zeros(4, 1, dtype=torch.float64)
    f2 = torch.tensor([[0.5], [0.5], [2.0], [2.0]], dtype=torch.float64)
    same = torch.tensor([True, False, True, False])
    # ½ 0.25, ½ (1 − 0.5)², ½ 4, 0
    assert contrastive_loss(f1, f2, same).item() == pytest.approx((0.125 + 0.125 + 2.0 + 0.0) / 4)


def test_contrastive_gradient_of_equal_encodings_is_finite():
    f = torch.ones(2, 3, requires_grad=True)
    contrastive_loss(f, torch.ones(2, 3), torch.tensor([0, 1])).backward()
    assert torch.isfinite(f.grad).all()


def test_pair_logistic_loss_by_hand():
    logits = torch.tensor([2.0, -1.0], dtype=torch.float64)
    expected = (math.log1p(math.exp(-2.0)) + math.log1p(math.exp(-1.0))) / 2
    assert pair_logistic_loss(logits, torch.tensor([1, 0])).item() == pytest.approx(expected)


def test_balanced_pair_loss_does_not_care_how_many_different_pairs_there_are():
    few = pair_logistic_loss(torch.tensor([0.3, -0.7]), torch.tensor([1, 0]))
    many = pair_logistic_loss(torch.tensor([0.3] + [-0.7] * 9), torch.tensor([1] + [0] * 9))
    assert many.item() == pytest.approx(few.item())
    plain = pair_logistic_loss(torch.tensor([0.3] + [-0.7] * 9), torch.tensor([1] + [0] * 9), balance=False)
    assert plain.item() != pytest.approx(few.item(), rel=0.01)


def test_no_pairs_cost_nothing_and_have_a_graph():
    f = torch.zeros(0, 4, requires_grad=True)
    logits = torch.zeros(0, requires_grad=True)
    for cost, given in (
        (contrastive_loss(f, torch.zeros(0, 4), torch.zeros(0)), f),
        (pair_logistic_loss(logits, torch.zeros(0)), logits),
    ):
        assert cost.item() == 0
        cost.backward()
        assert given.grad.shape == given.shape


def test_nt_xent_is_the_naive_loop():
    first, second = rand(5, 7), rand(5, 7, seed=1)
    views = torch.cat([first, second])
    views = views / views.norm(dim=1, keepdim=True)
    costs = []
    for i in range(10):
        scores = {k: math.exp((views[i] @ views[k]).item() / 0.5) for k in range(10) if k != i}
        costs.append(-math.log(scores[(i + 5) % 10] / sum(scores.values())))
    assert nt_xent_loss(first, second).item() == pytest.approx(sum(costs) / 10)


# the alarm


def test_the_alarm_sounds_once_after_so_many_collapsed_steps_in_a_row():
    alarm = Collapse(patience=3)
    heard = [alarm.update(loss, wide) for loss, wide in [(0.2, 0)] * 2 + [(0.25, 0.3)] + [(0.2003, 2e-4)] * 5]
    assert [text is not None for text in heard] == [False] * 5 + [True, False, False]
    assert "all but in one point (0.0002 apart)" in heard[5]
    assert "semi-hard" in heard[5]


@pytest.mark.parametrize(("loss", "wide"), [(0.2, 0.5), (0.2, 0.11), (0.1, 1e-5), (0.189, 0.01)])
def test_a_loss_at_alpha_or_near_encodings_alone_are_no_collapse(loss, wide):
    alarm = Collapse(patience=2)
    assert [alarm.update(loss, wide) for _ in range(5)] == [None] * 5


def test_the_alarm_knows_where_a_soft_margin_sticks():
    assert Collapse(margin="soft", patience=1).update(math.log(2), 0.0) is not None
