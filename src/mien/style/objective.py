"""The cost J(G) of one painting at one size: targets computed once, then evaluated as often as the optimiser asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mien.backbones.features import Backbone
from mien.style import costs
from mien.style.masks import Regions, guided_gram, propagate
from mien.style.options import Balance, StyleOptions
from mien.style.pyramid import shrink
from mien.style.recipes import Recipe, style_factor


@dataclass(frozen=True)
class StylePicture:
    """A style at one scale: its picture (1, 3, h, w), how much it counts, and the part of it that is read."""

    picture: Tensor
    weight: float = 1.0
    mask: Tensor | None = None  # (1, 1, h, w) in [0, 1]


@dataclass(frozen=True)
class Costs:
    """J = α J_content + β J_style + …, as scalars of the graph; `content` and `style` before α and β."""

    total: Tensor
    content: Tensor
    style: Tensor


class Objective:
    """Holds what does not change while the pixels do: the net, the targets, the weights."""

    def __init__(
        self,
        net: Backbone,
        *,
        content: Tensor,
        styles: Sequence[StylePicture],
        recipe: Recipe,
        balance: Balance,
        options: StyleOptions,
        regions: Regions | None = None,  # where each style goes; None: everywhere, their average
        coarser: Objective | None = None,  # of the next coarser scale, for coherence
    ) -> None:
        self.net, self.recipe, self.balance, self.options = net, recipe, balance, options
        self._regions = None if regions is None else torch.from_numpy(regions.masks)[:, None].to(content.device)
        # A region's style counts by its share of the picture, as it would in a mean over the whole.
        self._shares = [1.0] if regions is None else [float(share) for share in regions.shares]
        # Each region has its own style; otherwise the styles' raw moments are averaged, which gives those of a mixture.
        self._averaged = len(self._shares) == 1
        self._coarser, self._size = coarser, (content.shape[2], content.shape[3])
        self._guides: dict[str, Tensor] = {}
        with torch.no_grad():
            layers = balance.content_layers if balance.alpha else {}
            taps = net(content, layers) if layers else {}
            self._content = {layer: self._scaled(taps[layer]) for layer in layers}
            self._content_scale = {k: float(v.float().square().mean()) for k, v in self._content.items()}
            self._edges = costs.laplacian(content) if options.laplacian else None
            # Relative to the photo's own edges and to α, so that 1 means the same for every photo and recipe.
            if self._edges is not None:
                self._edge_weight = options.laplacian * balance.alpha / max(float(self._edges.square().mean()), 1e-8)
            self._style = self._style_targets(styles)

    def __call__(self, x: Tensor) -> Costs:
        """The costs of the picture x (1, 3, H, W) in [0, 1]."""
        own = self._own(x)
        if self._coarser is None:
            return own
        return replace(own, total=own.total + self._echo(x, self._coarser))

    def gradient(self, x: Tensor) -> tuple[Costs, Tensor]:
        """The costs of x, detached, and ∂J/∂x (1, 3, H, W).

        The two scales are differentiated one after the other, so that only one holds its activations at a time.
        """
        x = x.detach().requires_grad_()
        own = self._own(x)
        (gradient,) = torch.autograd.grad(own.total, x)
        total = own.total.detach()
        if self._coarser is not None:
            echo = self._echo(x, self._coarser)
            gradient = gradient + torch.autograd.grad(echo, x)[0]
            total = total + echo.detach()
        return Costs(total, own.content.detach(), own.style.detach()), gradient.contiguous()

    def _echo(self, x: Tensor, coarser: Objective) -> Tensor:
        return self.balance.coherence * coarser(shrink(x, *coarser._size)).total

    def _own(self, x: Tensor) -> Costs:
        balance, zero = self.balance, x.new_zeros(())
        taps = self.net(
            x, {**balance.content_layers, **balance.style_layers} if self._content else balance.style_layers
        )
        content, style = zero, zero
        for layer, target in self._content.items():
            content = content + balance.content_layers[layer] * self._content_cost(layer, target, taps[layer])
        for layer, weight in balance.style_layers.items():
            if weight:
                style = style + weight * self._style_cost(layer, taps[layer])
        total = costs.total_cost(content, style, alpha=balance.alpha, beta=balance.beta)
        if balance.tv:
            total = total + balance.tv * costs.total_variation(x)
        if self._edges is not None:
            total = total + self._edge_weight * costs.mean_squared_error(self._edges, costs.laplacian(x))
        return Costs(total, content, style)

    def _scaled(self, F: Tensor) -> Tensor:
        return F if self.recipe.divide_by == 1 else F / self.recipe.divide_by

    def _content_cost(self, layer: str, target: Tensor, tap: Tensor) -> Tensor:
        a_C, a_G = target.float(), self._scaled(tap).float()
        if self.recipe.content == "half-sum":
            return costs.content_cost(a_C, a_G)
        if self.recipe.content == "sum":
            return costs.squared_error(a_C, a_G)
        cost = costs.mean_squared_error(a_C, a_G)
        if self.recipe.style == "relative":
            cost = cost / max(self._content_scale[layer], 1e-12)
        return cost

    # -- style ---------------------------------------------------------------------------------------------------------

    def _style_targets(self, styles: Sequence[StylePicture]) -> dict[str, tuple[Tensor, ...]]:
        """Per layer the styles' statistics: one row a region, or one row in all."""
        gathered: dict[str, list[tuple[Tensor, ...]]] = {layer: [] for layer in self.balance.style_layers}
        for style in styles:
            taps = self.net(style.picture, gathered)
            for layer, rows in gathered.items():
                F = self._scaled(taps[layer])
                guide = (
                    None
                    if style.mask is None
                    else propagate(style.mask, layer_height=F.shape[2], layer_width=F.shape[3])
                )
                rows.append(self._statistics(F, guide))
        weights = torch.tensor([style.weight for style in styles])
        weights = weights / weights.sum()
        targets = {}
        for layer, rows in gathered.items():
            stacked = [torch.cat(parts) for parts in zip(*rows, strict=True)]
            if self._averaged:
                stacked = [torch.einsum("s,s...->...", weights.to(part), part)[None] for part in stacked]
            targets[layer] = tuple(stacked)
        return targets

    def _statistics(self, F: Tensor, guide: Tensor | None) -> tuple[Tensor, ...]:
        """Raw moments of the activations: the Gram matrix per position (R, C, C), and the mean (R, C) where needed."""
        G = costs.gram(F) / F[0, 0].numel() if guide is None else guided_gram(F, guide).float()
        if self.options.style_cost == "gram":
            return (G,)
        rows = F.movedim(1, -1).flatten(1, -2).float()
        if guide is None:
            return G, rows.mean(1)
        return G, guide.float().flatten(1).square() @ rows[0]  # the squared guides sum to one over the positions

    def _style_cost(self, layer: str, tap: Tensor) -> Tensor:
        F = self._scaled(tap)
        found, target = self._statistics(F, self._guide(layer, F)), self._style[layer]
        cost = F.new_zeros((), dtype=torch.float32)
        for region, share in enumerate(self._shares):
            pick = slice(region, region + 1)
            here, wanted = [part[pick] for part in found], [part[pick] for part in target]
            if self.options.style_cost == "gram":
                cost = cost + share * self._gram_cost(wanted[0], here[0], positions=F[0, 0].numel())
            else:
                cost = cost + share * self._distribution_cost(wanted, here)
        return cost

    def _gram_cost(self, G_S: Tensor, G_G: Tensor, *, positions: int) -> Tensor:
        form = self.recipe.style
        factor = style_factor(form, channels=G_G.shape[-1], positions=positions)
        cost = costs.style_cost(G_S, G_G, positions=positions, factor=factor)
        return cost / G_S.square().sum().clamp(min=1e-12) if form == "relative" else cost

    def _distribution_cost(self, target: list[Tensor], found: list[Tensor]) -> Tensor:
        """Mean-and-deviation or Wasserstein-2 cost, relative to the style's own energy tr(E[F Fᵀ])."""
        (G_S, mean_S), (G_G, mean_G) = target, found
        energy = G_S.diagonal(dim1=-2, dim2=-1).sum().clamp(min=1e-12)
        floor = 1e-6 * energy / mean_S.shape[-1]
        cov_S, cov_G = _covariance(G_S, mean_S), _covariance(G_G, mean_G)
        if self.options.style_cost == "wasserstein":
            return costs.wasserstein2_cost((mean_S, cov_S), (mean_G, cov_G)) / energy
        return (
            costs.mean_deviation_cost((mean_S, _deviation(cov_S, floor)), (mean_G, _deviation(cov_G, floor))) / energy
        )

    def _guide(self, layer: str, F: Tensor) -> Tensor | None:
        if self._regions is None:
            return None
        if layer not in self._guides:
            self._guides[layer] = propagate(self._regions, layer_height=F.shape[2], layer_width=F.shape[3])
        return self._guides[layer]


def _covariance(G: Tensor, mean: Tensor) -> Tensor:
    return G - mean.unsqueeze(-1) * mean.unsqueeze(-2)


def _deviation(cov: Tensor, floor: Tensor) -> Tensor:
    return cov.diagonal(dim1=-2, dim2=-1).clamp(min=0).add(floor).sqrt()
