"""Every formula of the four source texts on numbers worked by hand, and the costs' invariants."""

import numpy as np
import pytest
import scipy.linalg
import torch
from torch.autograd import gradcheck

from mien.style import costs, optimisers
from mien.style.recipes import RECIPES, style_factor

# One layer with n_H = 1, n_W = 2, n_C = 2. Style channels (1, 2), (3, -1): Gram (1+4, 3-2; 3-2, 9+1).
F_S = torch.tensor([[[[1.0, 2.0]], [[3.0, -1.0]]]])
GRAM_S = torch.tensor([[[5.0, 1.0], [1.0, 10.0]]])
GRAM_G = torch.tensor([[[1.0, 0.0], [0.0, 2.0]]])  # Σ (G_S − G_G)² = 16 + 1 + 1 + 64 = 82


def randn(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def covariance(size, seed):
    A = randn(size, size, seed=seed)
    return A @ A.T / size + 0.1 * torch.eye(size, dtype=torch.float64)


# content


def test_content_cost_is_half_the_sum_of_squares():
    a_C, a_G = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), torch.tensor([[[[1.0, 0.0], [3.0, 1.0]]]])
    assert costs.content_cost(a_C, a_G).item() == 6.5  # ½ (0 + 4 + 0 + 9)


def test_text_001_content_is_the_sum_of_squares_over_the_chosen_layers():
    layers = [([1.0, 2.0], [3.0, 2.0]), ([0.5], [0.0]), ([1.0, -1.0, 2.0], [0.0, 1.0, 2.0])]
    found = sum(costs.squared_error(torch.tensor(C), torch.tensor(G)).item() for C, G in layers)
    assert found == 4 + 0.25 + (1 + 4)


def test_text_002_content_is_the_mean_over_the_m_activations():
    a_C, a_G = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), torch.tensor([[[[1.0, 0.0], [3.0, 1.0]]]])
    assert costs.mean_squared_error(a_C, a_G).item() == 13 / 4


def test_content_cost_of_a_picture_with_itself_is_zero():
    F = randn(1, 3, 4, 5)
    assert costs.content_cost(F, F) == costs.squared_error(F, F) == costs.mean_squared_error(F, F) == 0


# Gram


def test_gram_on_hand_numbers():
    torch.testing.assert_close(costs.gram(F_S), GRAM_S, rtol=0, atol=0)


def test_text_000_gram_is_the_double_sum_over_rows_and_columns_of_a_k_times_a_k_prime():
    a = randn(1, 3, 4, 5)
    expected = torch.zeros(3, 3, dtype=torch.float64)
    for k in range(3):
        for k2 in range(3):
            for i in range(4):
                for j in range(5):
                    expected[k, k2] += a[0, k, i, j] * a[0, k2, i, j]
    torch.testing.assert_close(costs.gram(a)[0], expected)


def test_text_003_gram_is_the_sum_over_positions_of_the_products_of_two_feature_maps():
    F = randn(1, 4, 3, 3, seed=1)
    maps = [F[0, i] for i in range(4)]
    expected = torch.tensor([[float((F_i * F_j).sum()) for F_j in maps] for F_i in maps], dtype=torch.float64)
    torch.testing.assert_close(costs.gram(F)[0], expected)


def test_text_002_gram_is_the_c_by_hw_matrix_times_its_transpose():
    F = randn(1, 3, 2, 4, seed=2)
    rows = F.reshape(3, 8)
    torch.testing.assert_close(costs.gram(F)[0], rows @ rows.T)


def test_gram_of_several_pictures_is_each_ones_own():
    F = randn(3, 4, 5, 6)
    torch.testing.assert_close(costs.gram(F), torch.cat([costs.gram(F[b : b + 1]) for b in range(3)]))


def test_gram_is_symmetric_with_no_negative_eigenvalue_and_ignores_where_things_are():
    F = randn(1, 5, 6, 7)
    G = costs.gram(F)
    torch.testing.assert_close(G, G.transpose(1, 2), rtol=0, atol=1e-13)
    assert torch.linalg.eigvalsh(G).min() > -1e-10
    shuffled = F.flatten(2)[:, :, torch.randperm(42, generator=torch.Generator().manual_seed(0))].view_as(F)
    torch.testing.assert_close(costs.gram(shuffled), G)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("batch", [1, 3])
def test_gram_and_its_gradient_equal_autograd_of_the_plain_product(layout, batch):
    F = randn(batch, 4, 3, 5).contiguous(memory_format=layout).requires_grad_()
    weights = randn(batch, 4, 4, seed=1)  # not symmetric, so that both halves of the gradient are needed
    plain = F.flatten(2) @ F.flatten(2).transpose(1, 2)
    torch.testing.assert_close(costs.gram(F), plain)
    (found,) = torch.autograd.grad((costs.gram(F) * weights).sum(), F)
    (expected,) = torch.autograd.grad((plain * weights).sum(), F)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_gram_passes_gradcheck(layout):
    assert gradcheck(costs.gram, randn(2, 3, 2, 3).contiguous(memory_format=layout).requires_grad_())


@pytest.mark.parametrize("shape", [(1, 3, 11), (1, 3, 4, 5, 2)])
def test_gram_of_one_or_three_spatial_axes_is_that_of_the_flattened_ones(shape):
    F = randn(*shape).requires_grad_()
    flat = F.reshape(1, 3, -1, 1)
    torch.testing.assert_close(costs.gram(F), costs.gram(flat))
    (found,) = torch.autograd.grad(costs.gram(F).square().sum(), F)
    rows = F.detach().flatten(2)
    torch.testing.assert_close(found, (4 * rows @ rows.transpose(1, 2) @ rows).view_as(F))


@pytest.mark.parametrize("size", [(40, 40), (41, 37), (3, 3), (1, 1)])
@pytest.mark.parametrize("batch", [1, 2])
def test_gram_of_bfloat16_is_float32_and_close_to_the_exact_one(size, batch):
    F = randn(batch, 32, *size, dtype=torch.float32).relu().bfloat16().contiguous(memory_format=torch.channels_last)
    found, exact = costs.gram(F), costs.gram(F.double())
    assert found.dtype == torch.float32
    error = (found - exact).flatten(1).norm(dim=1) / exact.flatten(1).norm(dim=1)
    # bf16 has 8 bits; one product of the whole length, rounded at its end, errs by about 1.7e-3
    assert error.max() < 1e-3


def test_gradient_of_the_bfloat16_gram_has_bfloat16_precision():
    F = randn(1, 16, 20, 20, dtype=torch.float32).bfloat16().requires_grad_()
    costs.gram(F).square().sum().backward()
    exact = F.detach().double().requires_grad_()
    costs.gram(exact).square().sum().backward()
    assert F.grad.dtype == torch.bfloat16
    assert (F.grad.double() - exact.grad).norm() / exact.grad.norm() < 1e-2


# style


def test_texts_000_and_003_style_cost_is_normalised_by_the_square_of_twice_its_size():
    # 1/(2·1·2·2)² · 82 = 82/64
    assert costs.style_cost(GRAM_S, GRAM_G, positions=2).item() == 82 / 64


def test_text_002_style_cost_is_divided_by_the_squares_of_c_and_hw():
    assert costs.style_cost(GRAM_S, GRAM_G, positions=2, factor=1 / (2**2 * 2**2)).item() == 82 / 16


def test_text_001_style_cost_is_not_normalised():
    assert costs.style_cost(GRAM_S, GRAM_G, positions=2, factor=1).item() == 82


def test_the_lectures_normalisation_is_that_of_gatys():
    n_C, M = 7, 30
    difference = randn(1, n_C, n_C)
    gatys = difference.square().sum() / (4 * n_C**2 * M**2)
    torch.testing.assert_close(costs.style_cost(difference, torch.zeros_like(difference), positions=M), gatys)
    assert RECIPES["lecture"].style == RECIPES["gatys"].style == "gatys"


@pytest.mark.parametrize(
    ("form", "of_the_text"),
    [
        ("gatys", lambda c, m: 1 / (2 * c * m) ** 2),
        ("plain", lambda c, m: 1.0),
        ("notebook", lambda c, m: 1 / (c**2 * m**2)),
        ("neural-style", lambda c, m: 1 / c**2 / (c * m) ** 2),
    ],
)
def test_style_factors_on_matrices_per_position_equal_the_texts_on_plain_ones(form, of_the_text):
    c, m = 5, 12
    G_S, G_G = costs.gram(randn(1, c, 3, 4)), costs.gram(randn(1, c, 3, 4, seed=1))
    found = costs.style_cost(G_S / m, G_G / m, positions=m, factor=style_factor(form, channels=c, positions=m))
    torch.testing.assert_close(found, of_the_text(c, m) * (G_S - G_G).square().sum())


def test_text_003_style_cost_of_several_layers_is_their_sum_weighted_by_lambda():
    layers = [
        (0.25, randn(1, 2, 2, 2, seed=0), randn(1, 2, 2, 2, seed=1)),
        (2.0, randn(1, 3, 1, 4), randn(1, 3, 1, 4, seed=2)),
    ]
    found = sum(lam * costs.style_cost(costs.gram(S), costs.gram(G), positions=S[0, 0].numel()) for lam, S, G in layers)
    expected = 0.0
    for lam, S, G in layers:
        n_C, M = S.shape[1], S[0, 0].numel()
        for k in range(n_C):
            for k2 in range(n_C):
                g_S, g_G = (float((a[0, k] * a[0, k2]).sum()) for a in (S, G))
                expected += lam / (2 * M * n_C) ** 2 * (g_S - g_G) ** 2
    assert found.item() == pytest.approx(expected, rel=1e-12)


def test_total_cost_is_alpha_content_plus_beta_style():
    assert costs.total_cost(torch.tensor(3.0), torch.tensor(5.0), alpha=2, beta=0.5).item() == 8.5


# text 001: a picture of one pixel


def test_one_pixel_algebra_of_text_001():
    # L = (a − (a − h))² + (b − (a − h))². The text prints the second term as (b − (b − h))², which would make L = 2 h²,
    # whatever a and b; the line it derives, (a − b)² + 2 h² + 2 h (b − a), is that of a − h.
    for a in (-3, 0, 2, 5):
        for b in (-1, 4):
            for h in (-2, 0, 1, 3):
                cost = costs.squared_error(torch.tensor(a), torch.tensor(a - h))
                cost = cost + costs.squared_error(torch.tensor(b), torch.tensor(a - h))
                assert cost.item() == (a - b) ** 2 + 2 * h**2 + 2 * h * (b - a)


@pytest.mark.parametrize(("name", "steps"), [("gradient", 400), ("lbfgs", 30), ("adam", 1500)])
@pytest.mark.parametrize(("a", "b"), [(0.2, 0.8), (0.9, 0.1), (0.0, 1.0)])
def test_a_one_pixel_picture_ends_half_way_between_content_and_style(name, steps, a, b):
    content, style = torch.full((1, 1, 1, 1), a), torch.full((1, 1, 1, 1), b)
    optimiser, x = optimisers.make(name), content.clone()  # as text 001: G begins as the content
    for _ in range(steps):
        g = x.detach().requires_grad_()
        cost = costs.total_cost(costs.squared_error(content, g), costs.squared_error(style, g), alpha=1, beta=1)
        x = optimiser.propose(g.detach(), torch.autograd.grad(cost, g)[0])
    assert x.item() == pytest.approx((a + b) / 2, abs=2e-3)
    assert cost.item() == pytest.approx((a - b) ** 2 / 2, abs=1e-4)


# mean and deviation, Wasserstein


def test_mean_and_deviation_on_hand_numbers():
    mean, deviation = costs.mean_deviation(torch.tensor([[[[1.0, 3.0]], [[5.0, -3.0]]]]))
    torch.testing.assert_close(mean, torch.tensor([[2.0, 1.0]]))
    torch.testing.assert_close(deviation, torch.tensor([[1.0, 4.0]]))


def test_mean_deviation_cost_on_hand_numbers():
    style = torch.tensor([[2.0, 1.0]]), torch.tensor([[1.0, 4.0]])
    generated = torch.tensor([[0.0, 1.5]]), torch.tensor([[1.0, 1.0]])
    assert costs.mean_deviation_cost(style, generated).item() == 4 + 0.25 + 0 + 9
    assert costs.mean_deviation_cost(style, style).item() == 0


def test_mean_deviation_of_a_flat_channel_has_a_finite_gradient():
    F = torch.full((1, 2, 3, 3), 0.5, requires_grad=True)
    sum(part.sum() for part in costs.mean_deviation(F)).backward()
    assert F.grad.isfinite().all()


def test_moments_are_mean_and_covariance_over_the_positions():
    F = randn(2, 3, 4, 5, dtype=torch.float32)
    mean, cov = costs.moments(F)
    for b in range(2):
        rows = F[b].flatten(1).numpy()
        np.testing.assert_allclose(mean[b], rows.mean(1), atol=1e-6)
        np.testing.assert_allclose(cov[b], np.cov(rows, bias=True), atol=1e-6)


def test_wasserstein_of_diagonal_covariances_is_the_sum_of_squared_differences_of_the_roots():
    mean_S, mean_G = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    cov_S, cov_G = torch.diag(torch.tensor([4.0, 9.0]))[None], torch.diag(torch.tensor([1.0, 16.0]))[None]
    # ‖(1, −2)‖² + (2 − 1)² + (3 − 4)² = 5 + 2
    assert costs.wasserstein2_cost((mean_S, cov_S), (mean_G, cov_G)).item() == pytest.approx(7, rel=1e-6)


def test_wasserstein_of_full_covariances_equals_scipys_matrix_roots():
    S, G = covariance(5, 0), covariance(5, 1)
    m_S, m_G = randn(1, 5, seed=2), randn(1, 5, seed=3)
    root = scipy.linalg.sqrtm(S.numpy())
    cross = scipy.linalg.sqrtm(root @ G.numpy() @ root).real
    expected = float((m_S - m_G).square().sum()) + np.trace(S.numpy() + G.numpy() - 2 * cross)
    found = costs.wasserstein2_cost((m_S, S[None]), (m_G, G[None])).item()
    assert found == pytest.approx(expected, rel=1e-9)
    assert costs.wasserstein2_cost((m_G, G[None]), (m_S, S[None])).item() == pytest.approx(expected, rel=1e-9)


def test_wasserstein_is_zero_and_flat_at_equality():
    S, mean = covariance(4, 0)[None], randn(1, 4)
    G = S.clone().requires_grad_()
    cost = costs.wasserstein2_cost((mean, S), (mean, G))
    cost.backward()
    assert abs(cost.item()) < 1e-12
    assert G.grad.abs().max() < 1e-10


def test_gradient_of_the_bures_overlap_passes_gradcheck():
    S, mean = covariance(4, 0)[None], torch.zeros(1, 4, dtype=torch.float64)

    def cost(A):  # through A Aᵀ, so that every perturbation keeps the covariance symmetric
        return costs.wasserstein2_cost((mean, S), (mean, A @ A.transpose(1, 2)))

    assert gradcheck(cost, randn(1, 4, 4, seed=5).requires_grad_())


def test_wasserstein_of_a_flat_channel_has_a_finite_gradient():
    S = covariance(3, 0).float()[None]
    G = torch.diag(torch.tensor([1.0, 0.0, 0.0]))[None].requires_grad_()
    cost = costs.wasserstein2_cost((torch.zeros(1, 3), S), (torch.zeros(1, 3), G))
    cost.backward()
    assert cost.isfinite()
    assert G.grad.isfinite().all()


# pixels


def test_total_variation_of_a_constant_is_zero():
    assert costs.total_variation(torch.full((1, 3, 5, 7), 0.3)).item() == 0


def test_total_variation_on_hand_numbers():
    x = torch.tensor([[[[0.0, 0.5], [1.0, 1.0]]]])
    # across: mean of 0.25 and 0; down: mean of 1 and 0.25
    assert costs.total_variation(x).item() == 0.125 + 0.625


def test_laplacian_of_a_linear_ramp_is_zero():
    y, x = torch.meshgrid(torch.arange(24.0), torch.arange(32.0), indexing="ij")
    ramp = (0.01 * x + 0.02 * y + 0.1).expand(1, 3, 24, 32)
    found = costs.laplacian(ramp)
    assert found.shape == (1, 3, 4, 6)  # 24 × 32 in cells of 4, without the border
    assert found.abs().max() < 1e-5


def test_laplacian_of_a_point_is_four_there_and_minus_one_beside_it():
    x = torch.zeros(1, 1, 5, 5)
    x[0, 0, 2, 2] = 1
    expected = torch.tensor([[0.0, -1.0, 0.0], [-1.0, 4.0, -1.0], [0.0, -1.0, 0.0]])
    torch.testing.assert_close(costs.laplacian(x)[0, 0], expected)


def test_laplacian_keeps_channels_apart():
    x = randn(1, 3, 16, 16, dtype=torch.float32)
    each = torch.cat([costs.laplacian(x[:, c : c + 1]) for c in range(3)], dim=1)
    torch.testing.assert_close(costs.laplacian(x), each)


@pytest.mark.parametrize("size", [(2, 40), (40, 1), (1, 1)])
def test_laplacian_of_a_strip_is_finite(size):
    strip = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    found = costs.laplacian(strip)
    assert found.numel()
    assert found.isfinite().all()
