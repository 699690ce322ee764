"""The costs of style transfer: pure functions on activations, each with the equation it computes.

Activations F are `(B, C, H, W)`; in the texts' letters n_C = C, n_H·n_W = H·W = M, and F reshaped is C × M.
Pictures have B = 1; regions and several pictures may use B > 1.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as NF
from torch import Tensor

# ---- content ---------------------------------------------------------------------------------------------------------


def content_cost(a_C: Tensor, a_G: Tensor) -> Tensor:
    """J_content = ½ ‖a(C) − a(G)‖², over all activations of one layer (Gatys et al. 2016, eq. 1)."""
    return 0.5 * squared_error(a_C, a_G)


def squared_error(a: Tensor, b: Tensor) -> Tensor:
    """Σ (a − b)²; the content cost of recipe `plain`."""
    return (a - b).square().sum()


def mean_squared_error(a: Tensor, b: Tensor) -> Tensor:
    """1/m Σ (a − b)² over the m activations; the content cost of recipe `notebook`."""
    return (a - b).square().mean()


# ---- style -----------------------------------------------------------------------------------------------------------


def gram(F: Tensor) -> Tensor:
    """Gram matrix F Fᵀ of F (B, C, H, W) reshaped to C × M: (B, C, C) float32, symmetric, not normalised.

    Entry k, k' is Σ over positions of a_k · a_k' (Gatys et al. 2016, eq. 3). Diagonal: how active a channel is;
    off the diagonal: what occurs together with what.
    """
    result: Tensor = _Gram.apply(F)  # type: ignore[no-untyped-call]
    return result


class _Gram(torch.autograd.Function):
    """Gram matrix with its closed-form gradient dJ/dF = (dJ/dG + dJ/dGᵀ) F.

    Activations of 8 mantissa bits are multiplied in slices whose partial sums are added in float32: a product of the
    whole length would be rounded to 8 bits at its end, which is three times the error (measured 1.7e-3 against 5e-4
    of the matrix's norm), and a float32 copy of F costs four times the time and twice the memory.
    """

    SLICES = 16

    @staticmethod
    def forward(ctx: Any, F: Tensor) -> Tensor:
        ctx.save_for_backward(F)
        rows = _rows(F)  # (B, M, C)
        B, M, C = rows.shape
        if rows.dtype == torch.float32 or rows.dtype == torch.float64:
            return rows.transpose(1, 2) @ rows
        whole = M - M % _Gram.SLICES
        slices = rows[:, :whole].reshape(B * _Gram.SLICES, -1, C)
        total = (slices.transpose(1, 2) @ slices).view(B, _Gram.SLICES, C, C).sum(1, dtype=torch.float32)
        if whole < M:
            rest = rows[:, whole:].float()
            total += rest.transpose(1, 2) @ rest
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (F,) = ctx.saved_tensors
        (d,) = grads
        rows = _rows(F)
        moved = rows @ (d + d.transpose(1, 2)).to(rows.dtype)  # (B, M, C)
        return (
            moved.transpose(1, 2).reshape(F.shape)
            if not _is_rows(F)
            else moved.view(F.shape[0], *F.shape[2:], F.shape[1]).movedim(-1, 1)
        )


def _is_rows(F: Tensor) -> bool:
    return F.dim() == 4 and F.is_contiguous(memory_format=torch.channels_last)


def _rows(F: Tensor) -> Tensor:
    """(B, C, *spatial) as (B, M, C), one row a position; a view where F is channels_last."""
    return F.movedim(1, -1).flatten(1, -2)


def style_cost(G_S: Tensor, G_G: Tensor, *, positions: int, factor: float | None = None) -> Tensor:
    """J_style of one layer: 1/(2 n_H n_W n_C)² Σ_k Σ_k' (G_S − G_G)² (Gatys et al. 2016, eq. 4; text 000).

    Args:
        G_S: Gram matrix (…, C, C) of the style picture, for as many positions as the generated one has.
        G_G: Gram matrix (…, C, C) of the generated picture.
        positions: n_H · n_W.
        factor: replaces 1/(2 n_H n_W n_C)²; 1 gives recipe `plain`, 1/(c² (hw)²) recipe `notebook`.
    """
    if factor is None:
        factor = 1.0 / (2 * positions * G_G.shape[-1]) ** 2
    return squared_error(G_S, G_G) * factor


def mean_deviation(F: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (B, C) of every channel over the positions."""
    rows = _rows(F).float()
    return rows.mean(1), rows.var(1, correction=0).add(1e-8).sqrt()


def mean_deviation_cost(style: tuple[Tensor, Tensor], generated: tuple[Tensor, Tensor]) -> Tensor:
    """‖μ_S − μ_G‖² + ‖σ_S − σ_G‖²: batch-norm statistics as style (Li et al. 2017, eq. 12; Huang & Belongie 2017)."""
    return squared_error(style[0], generated[0]) + squared_error(style[1], generated[1])


def moments(F: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (B, C) and covariance (B, C, C) over the positions."""
    M = F[0, 0].numel()
    mean = _rows(F).mean(1, dtype=torch.float32)
    return mean, gram(F) / M - mean.unsqueeze(2) * mean.unsqueeze(1)


def wasserstein2_cost(style: tuple[Tensor, Tensor], generated: tuple[Tensor, Tensor]) -> Tensor:
    """Squared 2-Wasserstein (Bures) distance of two normal distributions given as (mean (B, C), covariance (B, C, C)).

    ‖μ_S − μ_G‖² + tr(Σ_S + Σ_G − 2 (Σ_S^½ Σ_G Σ_S^½)^½)   (Olkin & Pukelsheim 1982)
    """
    (mean_S, cov_S), (mean_G, cov_G) = style, generated
    trace = (cov_S + cov_G).diagonal(dim1=-2, dim2=-1).sum()
    overlap: Tensor = _BuresOverlap.apply(cov_G, _root(cov_S))  # type: ignore[no-untyped-call]
    return squared_error(mean_S, mean_G) + trace - 2 * overlap


def _root(cov: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(cov)
    root: Tensor = (vectors * values.clamp(min=0).sqrt().unsqueeze(-2)) @ vectors.transpose(-1, -2)
    return root


class _BuresOverlap(torch.autograd.Function):
    """tr (R Σ R)^½ for a fixed root R, with the gradient ½ R (R Σ R)^-½ R in closed form.

    The gradient through an eigendecomposition divides by gaps between eigenvalues, which vanish for flat channels;
    this one only divides by the roots themselves, which are held away from zero.
    """

    @staticmethod
    def forward(ctx: Any, cov: Tensor, root: Tensor) -> Tensor:
        values, vectors = torch.linalg.eigh(root @ cov @ root)
        roots = values.clamp(min=0).sqrt()
        ctx.save_for_backward(root, vectors, roots)
        total: Tensor = roots.sum()
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        root, vectors, roots = ctx.saved_tensors
        floor = 1e-4 * roots.amax(-1, keepdim=True) + torch.finfo(roots.dtype).tiny
        inverse = torch.where(roots > floor, 1 / roots.clamp(min=1e-30), torch.zeros_like(roots))
        inner = (vectors * inverse.unsqueeze(-2)) @ vectors.transpose(-1, -2)
        return grads[0] * 0.5 * (root @ inner @ root), None


# ---- on the pixels ---------------------------------------------------------------------------------------------------


def total_variation(x: Tensor) -> Tensor:
    """Mean squared difference of neighbouring pixels of x (B, C, H, W), across and down; 0 for a constant picture."""
    return x.diff(dim=-1).square().mean() + x.diff(dim=-2).square().mean()


def laplacian(x: Tensor, *, pool: int = 4) -> Tensor:
    """The Laplacian (B, C, h, w) of x averaged over `pool` × `pool` pixels (Li et al. 2017, Laplacian-steered)."""
    small = NF.avg_pool2d(x, pool) if min(x.shape[-2:]) >= 3 * pool else x
    if min(small.shape[-2:]) < 3:
        small = NF.pad(small, (1, 1, 1, 1), mode="replicate")
    kernel = torch.tensor([[0.0, -1.0, 0.0], [-1.0, 4.0, -1.0], [0.0, -1.0, 0.0]], device=x.device, dtype=x.dtype)
    C = x.shape[1]
    edges: Tensor = NF.conv2d(small, kernel.expand(C, 1, 3, 3), groups=C)
    return edges


# ---- the whole -------------------------------------------------------------------------------------------------------


def total_cost(content: Tensor, style: Tensor, *, alpha: float, beta: float) -> Tensor:
    """J(G) = α J_content(C, G) + β J_style(S, G)."""
    return alpha * content + beta * style
