"""What in its patch a unit saw: Zeiler & Fergus' deconvnet, guided backpropagation and the plain gradient.

How the deconvnet works (Zeiler & Fergus 2014, section 2.1). Run the picture through the net and pick one activation
of one unit; set all others of its layer to zero; then go down, layer by layer, until the pixels:

    unpool     each value goes back to the place where the maximum was: the forward pass's switches
    rectify    negative values become zero
    filter     the same filters, transposed

That is the backward pass of that one activation with one rule changed: a ReLU passes what is positive in the signal
coming down, not what was positive going up. So it is computed as that, in any net that autograd runs, and biases drop
out by themselves. After the last filter nothing is rectified: projections are signed, and drawn with 0 as mid grey.
Where pooling windows overlap, two windows may share a maximum; both values are then summed there, as the transpose
of pooling has it (an unpooling layer would keep only one of them).

The signal starts as the activation itself. With fixed switches everything is homogeneous: starting with a gives a
times what starting with 1 gives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor, nn

from mien.backbones.features import Backbone
from mien.errors import OptionError
from mien.visualize.networks import activations, studied
from mien.visualize.receptive_field import Axis, Box, ReceptiveField, ReceptiveFields, receptive_fields
from mien.visualize.rules import Method, ReluRule, check_method

# Input values (batch × positions) that run together: large batches of small crops, few of whole pictures.
BATCH_POSITIONS = 4 * 224 * 224
LARGEST_BATCH = 256


@dataclass(frozen=True)
class Seed:
    """Where a projection starts: an image's index, a unit of the layer, and a position on its map."""

    image: int
    unit: int
    position: tuple[int, ...]


@dataclass(frozen=True)
class Projection:
    """What one unit saw of one image.

    Attributes:
        seed: where it started.
        box: its window in input pixels, which may reach over the edge.
        pixels: float32 (C, *box size), signed, zero over the edge; for the input as the net takes it (RGB in [0, 1]).
        activation: the seed's activation.
    """

    seed: Seed
    box: Box
    pixels: Tensor
    activation: float


def project_one(
    net: Backbone | nn.Module,
    image: Tensor,
    *,
    layer: str,
    unit: int,
    position: Sequence[int],
    method: Method = "deconvnet",
    start: float | None = None,
) -> Tensor:
    """One unit's activation at one position of one image, brought down to the pixels of the whole image.

    Args:
        net: a backbone, or any module.
        image: (C, *spatial).
        layer: the layer.
        unit: the channel.
        position: an index for each spatial axis of the layer's map.
        method: `deconvnet`, `guided` or `gradient`.
        start: the value to start with; by default the activation.

    Returns:
        (C, *spatial), signed.
    """
    check_method(method, net)
    seed = Seed(0, unit, tuple(int(p) for p in position))
    with studied(net) as backbone:
        return _down(backbone, image.unsqueeze(0), [seed], layer=layer, method=method, start=start)[0][0]


def project(
    net: Backbone | nn.Module,
    load: Callable[[int], Tensor],
    seeds: Sequence[Seed],
    *,
    layer: str,
    method: Method = "deconvnet",
    fields: ReceptiveFields | None = None,
    batch_positions: int = BATCH_POSITIONS,
) -> Iterator[tuple[int, Projection]]:
    """Projections of many seeds of one layer, in batches; each with its number in `seeds`, as they become ready.

    Each seed runs on no more of its image than its receptive field, cut where the layer's stride allows it, so that
    switches and padding are those of the whole image. Each image is loaded once.

    Args:
        net: a backbone, or any module.
        load: gives the input (C, *spatial) of an image's index.
        seeds: where to start; the signal starts as the activation.
        layer: the layer of all seeds.
        method: `deconvnet`, `guided` or `gradient`.
        fields: the receptive fields, where they are known already; else the first image is run for them.
        batch_positions: input positions that run together: memory against speed.
    """
    check_method(method, net)
    waiting: dict[tuple[int, ...], list[_Cut]] = {}
    field = fields[layer] if fields else None
    order = sorted(range(len(seeds)), key=lambda i: seeds[i].image)
    for index, numbers in groupby(order, key=lambda i: seeds[i].image):
        image = load(index)
        field = field or receptive_fields(net, image.unsqueeze(0), [layer])[layer]
        cuts = [_cut(number, seeds[number], image, field) for number in numbers]
        if _sharing_pays(cuts, image):
            yield from _projected_together(net, image, cuts, layer=layer, method=method)
            continue
        for cut in cuts:
            group = waiting.setdefault(tuple(cut.part.shape), [])
            group.append(cut)
            if len(group) >= min(LARGEST_BATCH, max(1, batch_positions // cut.part[0].numel())):
                del waiting[tuple(cut.part.shape)]
                yield from _projected(net, group, layer=layer, method=method)
    for group in waiting.values():
        yield from _projected(net, group, layer=layer, method=method)


def _sharing_pays(cuts: list[_Cut], image: Tensor) -> bool:
    """Whether one forward pass of the whole image and a backward pass for each seed cost less than a cut each.

    On VGG-19 a backward pass of one unit, narrow as it is, takes a quarter of a forward pass of the same area.
    """
    whole = image[0].numel()
    apart = sum(cut.part[0].numel() for cut in cuts)
    return len(cuts) > 1 and whole * (1 + len(cuts) / 4) < apart * 5 / 4


@dataclass(frozen=True)
class _Cut:
    """A seed with the part of its image that it sees: `part` begins at `origin`; `local` is the position on its map."""

    number: int
    seed: Seed
    box: Box
    part: Tensor
    origin: tuple[int, ...]
    local: Seed


def _cut(number: int, seed: Seed, image: Tensor, field: ReceptiveField) -> _Cut:
    if field.everything:
        whole = tuple((0, extent) for extent in image.shape[1:])
        return _Cut(number, seed, whole, image, (0,) * len(whole), seed)
    if len(seed.position) != len(field.axes):
        raise OptionError(f"Expected {len(field.axes)} indices of a position at {field.layer!r}, got {seed.position}.")
    box = tuple(axis.span(p) for axis, p in zip(field.axes, seed.position, strict=True))
    pairs = list(zip(field.axes, seed.position, image.shape[1:], strict=True))
    spans = [_needed(axis, position, extent) for axis, position, extent in pairs]
    part = image[(slice(None), *(slice(a, b) for a, b in spans))].clone()  # not a view that keeps the image alive
    moved = tuple(p - a // axis.stride for (axis, p, _), (a, _) in zip(pairs, spans, strict=True))
    return _Cut(number, seed, box, part, tuple(a for a, _ in spans), Seed(0, seed.unit, moved))


def _needed(axis: Axis, position: int, extent: int) -> tuple[int, int]:
    """The window within the image, begun at a multiple of the stride.

    Every position below that the unit depends on sees a part of the window, so it lies on the cut's maps as it lies
    on the image's, and padding enters only where the window reaches over the image's own edge.
    """
    first, stop = axis.span(position)
    first = max(first, 0) // axis.stride * axis.stride
    return first, min(stop, extent)


def _projected(
    net: Backbone | nn.Module, group: list[_Cut], *, layer: str, method: Method
) -> Iterator[tuple[int, Projection]]:
    """The seeds of cuts of one size, in one batch."""
    with studied(net) as backbone:
        x = torch.stack([cut.part for cut in group])
        down, values = _down(backbone, x, [cut.local for cut in group], layer=layer, method=method)
    for cut, pixels, value in zip(group, down, values.tolist(), strict=True):
        yield cut.number, Projection(cut.seed, cut.box, _placed(pixels, cut.origin, cut.box), value)


def _projected_together(
    net: Backbone | nn.Module, image: Tensor, cuts: list[_Cut], *, layer: str, method: Method
) -> Iterator[tuple[int, Projection]]:
    """Many seeds of one image: one forward pass, and a backward pass for each."""
    with studied(net) as backbone, torch.inference_mode(False), torch.enable_grad():
        leaf, out = _up(backbone, image.unsqueeze(0), layer=layer, method=method)
    for cut in cuts:
        _check_seed(cut.seed, out, layer)
        with torch.inference_mode(False), torch.enable_grad():
            value = out[(0, cut.seed.unit, *cut.seed.position)]
            (down,) = torch.autograd.grad(value, leaf, value.detach(), retain_graph=True)
        pixels = _placed(down[0], (0,) * len(cut.box), cut.box)
        yield cut.number, Projection(cut.seed, cut.box, pixels, value.item())


def _placed(pixels: Tensor, origin: tuple[int, ...], box: Box) -> Tensor:
    """The box's pixels, out of those of a part of the image that begins at `origin`; zero where it does not reach."""
    placed = pixels.new_zeros((pixels.shape[0], *(b - a for a, b in box)))
    here, there = [], []
    for (a, b), start, length in zip(box, origin, pixels.shape[1:], strict=True):
        low, high = max(a, start), min(b, start + length)
        here.append(slice(low - a, high - a))
        there.append(slice(low - start, high - start))
    placed[(slice(None), *here)] = pixels[(slice(None), *there)]
    return placed


def _up(net: Backbone, x: Tensor, *, layer: str, method: Method) -> tuple[Tensor, Tensor]:
    """The input as a leaf, and the layer's activations that come from it, with the method's rule in the graph."""
    leaf = x.detach().clone().requires_grad_()
    with ReluRule(method):
        # A clone, since a net may begin with an operation in place.
        out = activations(net, leaf.clone(), [layer])[layer]
    if not out.requires_grad:
        raise OptionError(f"Expected {net.name} to be differentiable up to {layer!r}, but no gradient came back.")
    return leaf, out


def _down(
    net: Backbone, x: Tensor, seeds: Sequence[Seed], *, layer: str, method: Method, start: float | None = None
) -> tuple[Tensor, Tensor]:
    """One seed a sample of x (B, C, *spatial): what comes down, as x, and the activations (B,)."""
    with torch.inference_mode(False), torch.enable_grad():
        leaf, out = _up(net, x, layer=layer, method=method)
        for seed in seeds:
            _check_seed(seed, out, layer)
        places = torch.tensor([[seed.unit, *seed.position] for seed in seeds], device=out.device).unbind(1)
        values = out[(torch.arange(len(seeds), device=out.device), *places)]
        signal = values.detach() if start is None else torch.full_like(values, start)
        (down,) = torch.autograd.grad(values, leaf, signal)
    return down, values.detach().float()


def _check_seed(seed: Seed, out: Tensor, layer: str) -> None:
    inside = len(seed.position) == out.dim() - 2 and all(
        0 <= p < extent for p, extent in zip((seed.unit, *seed.position), out.shape[1:], strict=True)
    )
    if not inside:
        raise OptionError(
            f"Expected a unit and position within {tuple(out.shape[1:])} at {layer!r}, "
            f"got unit {seed.unit} at {seed.position}."
        )


def as_picture(pixels: Tensor, *, peak: float | None = None) -> Tensor:
    """A signed projection as values in [0, 1]: 0 becomes mid grey (0.5), ± peak the ends.

    Args:
        pixels: any shape.
        peak: the magnitude drawn as black or white; by default that which 1 % of the values other than 0 exceed, as
            a projection from a deep layer has a few values far above all others.
    """
    if peak is None:
        lit = pixels[pixels != 0].abs().float()
        peak = float(lit.sort().values[int(0.99 * len(lit))]) if len(lit) else 0.0
    return (0.5 + pixels / (2 * peak)).clamp(0, 1) if peak > 0 else torch.full_like(pixels, 0.5)


def filters(net: Backbone | nn.Module, example: Tensor, layer: str) -> Tensor:
    """The filters of a first layer, as the input sees them (RGB for pictures): (units, C, *kernel), signed.

    Found as the gradient of each unit at one position, so the net's own preprocessing is included.

    Args:
        net: a backbone, or any module.
        example: one input (1, C, *spatial), larger than the filters.
        layer: a convolution on the input, before any ReLU (`conv1_1`).
    """
    field = receptive_fields(net, example, [layer])[layer]
    if field.everything:
        raise OptionError(f"Expected a convolution for its filters, got {layer!r}: {field.note}.")
    with studied(net) as backbone:
        with torch.no_grad():
            shape = activations(backbone, example, [layer])[layer].shape
        middle = tuple(extent // 2 for extent in shape[2:])
        seeds = [Seed(0, unit, middle) for unit in range(shape[1])]
        cuts = [_cut(number, seed, example[0], field) for number, seed in enumerate(seeds)]
        x = torch.stack([cut.part for cut in cuts])
        down, _ = _down(backbone, x, [cut.local for cut in cuts], layer=layer, method="gradient", start=1.0)
    first = [a - origin for (a, _), origin in zip(cuts[0].box, cuts[0].origin, strict=True)]
    inside = tuple(slice(a, a + axis.size) for a, axis in zip(first, field.axes, strict=True))
    return down[(slice(None), slice(None), *inside)]
