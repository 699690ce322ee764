"""The optimisers: their formulas on small problems, known minima in the box, and going on bit for bit."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from mien.style import optimisers
from mien.style.optimisers import LBFGS, Adam, GradientDescent


def quadratic(seed, *, size=12, span=2.0):
    """A (size, size) of condition 30 and the centre of ½ (x − c)ᵀ A (x − c), whose c lies partly outside the box."""
    generator = torch.Generator().manual_seed(seed)
    axes = torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=torch.float64))[0]
    A = axes @ torch.diag(torch.logspace(0, 1.5, size, dtype=torch.float64)) @ axes.T
    return A, 0.5 + span * (torch.rand(size, generator=generator, dtype=torch.float64) - 0.5)


def run(optimiser, A, c, x, *, steps):
    path = [x]
    for _ in range(steps):
        path.append(optimiser.propose(path[-1], A @ (path[-1] - c)))
    return path


@pytest.mark.parametrize(
    ("name", "steps", "near"), [("lbfgs", 200, 1e-6), ("adam", 2000, 5e-3), ("gradient", 4000, 1e-3)]
)
@pytest.mark.parametrize("seed", range(4))
def test_a_convex_quadratic_ends_at_its_minimum_in_the_box(name, steps, near, seed):
    A, c = quadratic(seed)

    def cost(z):
        difference = z - c.numpy()
        return 0.5 * difference @ A.numpy() @ difference, A.numpy() @ difference

    known = minimize(
        cost,
        np.full(12, 0.5),
        jac=True,
        bounds=[(0, 1)] * 12,
        method="L-BFGS-B",
        options={"ftol": 1e-15, "gtol": 1e-10},
    )
    assert np.isin(known.x, (0, 1)).any()  # the box matters
    path = run(optimisers.make(name), A, c, torch.full((12,), 0.5, dtype=torch.float64), steps=steps)
    np.testing.assert_allclose(path[-1], known.x, atol=near)


@pytest.mark.parametrize("name", ["lbfgs", "adam", "gradient"])
def test_every_step_stays_in_the_box(name):
    A, c = quadratic(7, span=8.0)
    for x in run(optimisers.make(name, step=0.5), A, c, torch.full((12,), 0.5, dtype=torch.float64), steps=60):
        assert x.min() >= 0
        assert x.max() <= 1


@pytest.mark.parametrize("name", ["lbfgs", "adam", "gradient"])
def test_the_pictures_passed_in_are_not_written_to(name):
    A, c = quadratic(0)
    x = torch.full((12,), 0.5, dtype=torch.float64)
    optimiser = optimisers.make(name)
    for _ in range(4):
        gradient = A @ (x - c)
        before = x.clone(), gradient.clone()
        after = optimiser.propose(x, gradient)
        assert torch.equal(x, before[0])
        assert torch.equal(gradient, before[1])
        x = after


# L-BFGS


@pytest.mark.parametrize("history", [3, 10])
def test_the_two_loops_equal_the_dense_bfgs_formula(history):
    A, c = quadratic(3, size=6, span=0.2)  # all within the box
    x0 = c + 0.1 * torch.randn(6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    path = run(LBFGS(history=history, first_step=0.02), A, c, x0, steps=9)
    gradients = [A @ (x - c) for x in path]
    compared = 0
    for k in range(1, 9):
        pairs = [(path[i + 1] - path[i], gradients[i + 1] - gradients[i]) for i in range(max(0, k - history), k)]
        s, y = pairs[-1]
        H = torch.eye(6, dtype=torch.float64) * (s @ y) / (y @ y)
        for s, y in pairs:  # Nocedal & Wright, equation 6.17
            V = torch.eye(6, dtype=torch.float64) - torch.outer(y, s) / (s @ y)
            H = V.T @ H @ V + torch.outer(s, s) / (s @ y)
        expected = path[k] - H @ gradients[k]
        if expected.min() > 0 and expected.max() < 1:
            torch.testing.assert_close(path[k + 1], expected, rtol=0, atol=1e-9)
            compared += 1
    assert compared >= 7


def test_the_first_step_of_lbfgs_moves_no_pixel_by_more_than_first_step():
    x, gradient = torch.full((3,), 0.5), torch.tensor([200.0, -50.0, 0.0])
    torch.testing.assert_close(LBFGS(first_step=0.1).propose(x, gradient), torch.tensor([0.4, 0.525, 0.5]))


def test_pixels_pushed_out_of_the_box_take_no_part_in_the_step():
    A, c = quadratic(1)
    c[:3], c[3:6] = -0.5, 1.5  # strongly outside
    path = run(LBFGS(), A, c, torch.full((12,), 0.5, dtype=torch.float64), steps=40)
    x = path[-1]
    gradient = A @ (x - c)
    stuck = ((x == 0) & (gradient > 0)) | ((x == 1) & (gradient < 0))
    assert stuck.any()
    assert gradient[~stuck].abs().max() < 1e-4  # the free ones are at rest: Karush, Kuhn and Tucker


def test_a_pair_without_positive_curvature_is_not_remembered():
    optimiser = LBFGS()
    optimiser.propose(torch.tensor([0.5, 0.5]), torch.tensor([1.0, 0.0]))
    optimiser.propose(torch.tensor([0.4, 0.5]), torch.tensor([2.0, 0.0]))  # the gradient grows downhill
    assert not any(name.startswith("change") for name in optimiser.state())
    optimiser.propose(torch.tensor([0.3, 0.5]), torch.tensor([1.0, 0.0]))
    assert [name for name in optimiser.state() if name.startswith("change")] == ["change000"]


def test_history_holds_no_more_pairs_than_asked_for():
    A, c = quadratic(2, span=0.2)
    optimiser = LBFGS(history=4)
    run(optimiser, A, c, torch.full((12,), 0.7, dtype=torch.float64), steps=20)
    assert sum(name.startswith("step") for name in optimiser.state()) == 4


@pytest.mark.parametrize("name", ["lbfgs", "adam", "gradient"])
def test_a_gradient_of_zero_leaves_the_picture_as_it_is(name):
    optimiser, x = optimisers.make(name), torch.tensor([0.0, 0.3, 1.0])
    for _ in range(3):
        x = optimiser.propose(x, torch.zeros(3))
    assert torch.equal(x, torch.tensor([0.0, 0.3, 1.0]))


# Adam and gradient descent


def test_adams_first_step_is_step_against_the_gradients_sign_whatever_its_size():
    x, gradient = torch.full((4,), 0.5), torch.tensor([3.0, -0.02, 0.5, 0.0])
    for scale in (1e-6, 1.0, 1e6):
        found = Adam(step=0.05).propose(x, scale * gradient)
        torch.testing.assert_close(found, torch.tensor([0.45, 0.55, 0.45, 0.5]), rtol=0, atol=1e-6)


def test_adams_second_step_on_hand_numbers():
    optimiser = Adam(step=0.1)
    x = optimiser.propose(torch.tensor([0.5]), torch.tensor([1.0]))
    x = optimiser.propose(x, torch.tensor([-1.0]))
    # mean = (0.9·0.1·1 − 0.1)/(1 − 0.81) = −0.01/0.19; square = (0.99·0.01 + 0.01)/(1 − 0.9801) = 1
    torch.testing.assert_close(x, torch.tensor([0.4 + 0.1 * 0.01 / 0.19]))


def test_gradient_descent_is_g_minus_a_constant_eta_times_the_gradient():
    optimiser = GradientDescent(step=0.1)
    x = optimiser.propose(torch.tensor([0.5, 0.5]), torch.tensor([2.0, -4.0]))  # η = 0.1 / 4
    torch.testing.assert_close(x, torch.tensor([0.45, 0.6]))
    x = optimiser.propose(x, torch.tensor([8.0, 0.0]))
    torch.testing.assert_close(x, torch.tensor([0.25, 0.6]))


@pytest.mark.parametrize("name", ["lbfgs", "adam", "gradient"])
def test_the_path_does_not_depend_on_the_costs_scale(name):
    A, c = quadratic(4)
    x = torch.full((12,), 0.5, dtype=torch.float64)
    plain = run(optimisers.make(name), A, c, x, steps=20)[-1]
    for scale in (1e-8, 1e8):
        torch.testing.assert_close(run(optimisers.make(name), scale * A, c, x, steps=20)[-1], plain, rtol=0, atol=1e-8)


# shrinking, stopping and going on


@pytest.mark.parametrize("name", ["lbfgs", "adam", "gradient"])
def test_the_step_after_shrinking_is_at_most_half_as_long(name):
    x, gradient = torch.full((3,), 0.5, dtype=torch.float64), torch.tensor([2.0, 2.0, -2.0], dtype=torch.float64)
    whole = optimisers.make(name, step=0.08).propose(x, gradient) - x
    optimiser = optimisers.make(name, step=0.08)
    optimiser.propose(x, gradient)
    optimiser.shrink()
    half = optimiser.propose(x, gradient) - x
    ratio = (half / whole).tolist()
    assert ratio == pytest.approx(ratio[:1] * 3)
    assert 0.1 < ratio[0] < 0.5 + 1e-6


@pytest.mark.parametrize("name", ["lbfgs", "adam", "gradient"])
@pytest.mark.parametrize("taken", [0, 1, 5, 14])
@pytest.mark.parametrize("shrunk", [False, True])
def test_state_and_restore_go_on_bit_for_bit(name, taken, shrunk):
    A, c = quadratic(5)
    A, c = A.float(), c.float()
    optimiser = optimisers.make(name, step=0.03)
    x = run(optimiser, A, c, torch.full((12,), 0.5), steps=taken)[-1]
    if shrunk:
        optimiser.shrink()
    state = {key: value.clone() for key, value in optimiser.state().items()}
    uninterrupted = run(optimiser, A, c, x, steps=12)
    other = optimisers.make(name)  # with other settings: all of them are in the state
    other.restore(state)
    for a, b in zip(uninterrupted, run(other, A, c, x, steps=12), strict=True):
        assert torch.equal(a, b)


def test_make_gives_the_optimiser_of_that_name_and_step():
    assert [type(optimisers.make(name)) for name in ("lbfgs", "adam", "gradient")] == [LBFGS, Adam, GradientDescent]
    assert optimisers.make("lbfgs", step=0.3).first_step == 0.3
    assert optimisers.make("adam", step=0.3).step == optimisers.make("gradient", step=0.3).step == 0.3
