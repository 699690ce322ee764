"""The network under study: any `Backbone` or `nn.Module`, frozen while it is looked at and as it was afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from mien.backbones.features import Backbone, ModuleBackbone
from mien.errors import MienError, OptionError


def inner_module(net: Backbone | nn.Module) -> nn.Module | None:
    """The `nn.Module` that does the work, or None for a backbone without one (VGG)."""
    module = net if isinstance(net, nn.Module) else getattr(net, "net", None)
    return module if isinstance(module, nn.Module) else None


@contextmanager
def studied(net: Backbone | nn.Module) -> Iterator[Backbone]:
    """`net` as a backbone in evaluation mode; training flags and `requires_grad` are put back at the end."""
    module = inner_module(net)
    if module is None:
        yield net  # type: ignore[misc]  # no module inside: it is a Backbone
        return
    training = [(part, part.training) for part in module.modules()]
    learning = [(parameter, parameter.requires_grad) for parameter in module.parameters()]
    try:
        if isinstance(net, nn.Module):
            dtype = next((p.dtype for p in net.parameters()), torch.float32)
            yield ModuleBackbone(net, name=type(net).__name__, dtype=dtype)
        else:
            module.eval().requires_grad_(False)
            yield net
    finally:
        for part, flag in training:
            part.training = flag
        for parameter, flag in learning:
            parameter.requires_grad_(flag)


@contextmanager
def _running(net: Backbone, x: Tensor) -> Iterator[None]:
    """A network that fails on x (B, C, *spatial) is refused in one sentence, with its own words."""
    try:
        yield
    except MienError:
        raise
    except Exception as error:  # whatever the network raises is the user's to know
        words = str(error).strip().split("\n")[0].rstrip(".") or type(error).__name__
        raise OptionError(
            f"Expected {net.name} to run on data of shape {tuple(x.shape[1:])}, but it failed: {words}. "
            "Give data of the size and channels that it takes."
        ) from error


def activations(net: Backbone, x: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
    """Activations of `layers` for x (B, C, *spatial); a network that fails on x is refused with its own words."""
    with _running(net, x):
        return net(x, layers)


def feature_layers(net: Backbone | nn.Module, example: Tensor) -> tuple[str, ...]:
    """The layers whose output is a map, in the order of computation.

    Args:
        net: the network.
        example: one input (1, C, *spatial); a layer counts whose output has as many axes.
    """
    with studied(net) as backbone:
        module = inner_module(backbone)
        return backbone.layers if module is None else _maps(backbone, module, example)


def _maps(net: Backbone, module: nn.Module, example: Tensor) -> tuple[str, ...]:
    found: dict[str, None] = {}

    def note(path: str, out: object) -> None:
        if isinstance(out, Tensor) and out.dim() == example.dim():
            found.setdefault(path)

    preprocess = getattr(net, "preprocess", nn.Identity())
    handles = [
        part.register_forward_hook(lambda _m, _i, out, path=path: note(path, out))
        for path, part in module.named_modules()
        if path in net.layers
    ]
    try:
        with torch.no_grad(), _running(net, example):
            module(preprocess(example).to(net.dtype))
    finally:
        for handle in handles:
            handle.remove()
    return tuple(found)
