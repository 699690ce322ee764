"""Named-layer taps: a frozen network that gives the activations of chosen layers.

Every backbone takes pictures as `float32 (B, 3, H, W)` RGB in [0, 1]; mean, scale and channel order are its own affair.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from mien.errors import OptionError
from mien.weights import Input


class Backbone(Protocol):
    """A frozen network with named layers."""

    name: str
    layers: tuple[str, ...]
    dtype: torch.dtype

    def __call__(self, x: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        """Activations (B, C, *spatial) of `layers` for pictures x (B, 3, H, W) in [0, 1], no deeper than needed."""
        ...

    def reduction(self, layer: str) -> int:
        """Input pixels per activation along one side at `layer`."""
        ...


def check_layers(known: Sequence[str], wanted: Iterable[str], *, net: str) -> None:
    """Refuse a layer that the net does not have, with the nearest name it does have."""
    for layer in wanted:
        if layer not in known:
            near = difflib.get_close_matches(layer, known, n=1, cutoff=0.3)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise OptionError(f"Expected a layer of {net} ({known[0]} … {known[-1]}), got {layer!r}.{hint}")


class Preprocess(nn.Module):
    """RGB in [0, 1] to what the net was trained on, as its `Input` record says."""

    mean: Tensor
    scale: Tensor

    def __init__(self, spec: Input) -> None:
        super().__init__()
        self.flip = spec.channels == "BGR"
        # ((x * range) - mean) * scale as one multiplication and one addition a channel
        scale = torch.tensor(spec.scale).view(1, 3, 1, 1)
        self.register_buffer("mean", torch.tensor(spec.mean).view(1, 3, 1, 1) * scale)
        self.register_buffer("scale", scale * spec.range)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, 3, H, W)."""
        return (x.flip(1) if self.flip else x) * self.scale - self.mean


class _Enough(Exception):
    """The deepest wanted layer has been reached."""


class ModuleBackbone:
    """Any `nn.Module` as a backbone: its layers are its leaf modules, named by module path, read through hooks.

    The net is switched to evaluation, frozen, and run only as deep as the layers asked for; hooks live only during
    a call and are gone afterwards, also after an error.
    """

    def __init__(
        self, net: nn.Module, *, name: str, spec: Input | None = None, dtype: torch.dtype = torch.float32
    ) -> None:
        self.name = name
        self.dtype = dtype
        self.preprocess = Preprocess(spec) if spec else nn.Identity()
        self.net = net.eval().requires_grad_(False).to(dtype)
        self._modules = {path: m for path, m in net.named_modules() if path and not any(m.children())}
        self.layers = tuple(self._modules)
        self._reductions: dict[str, int] = {}

    def to(self, device: torch.device | str) -> ModuleBackbone:
        """Move the weights."""
        self.net.to(device)
        self.preprocess.to(device)
        return self

    def __call__(self, x: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        """Activations of `layers`; see `Backbone`."""
        wanted = set(layers)
        check_layers(self.layers, wanted, net=self.name)
        taps: dict[str, Tensor] = {}
        waiting = set(wanted)

        def tap(path: str, out: Tensor) -> None:
            # A clone: a following in-place ReLU would otherwise overwrite what was tapped.
            if path in taps:
                return
            taps[path] = out.float() if out.dtype != torch.float32 else out.clone()
            waiting.discard(path)
            if not waiting:
                raise _Enough

        handles = [
            self._modules[path].register_forward_hook(lambda _m, _i, out, path=path: tap(path, out)) for path in wanted
        ]
        try:
            self.net(self.preprocess(x).to(self.dtype))
        except _Enough:
            pass  # every wanted layer is read: the rest of the net need not run
        finally:
            for handle in handles:
                handle.remove()
        if waiting:
            raise OptionError(
                f"Expected {self.name} to run through {sorted(waiting)[0]!r}, but its forward pass did not."
            )
        return taps

    def reduction(self, layer: str) -> int:
        """Input pixels per activation along one side, found by running a blank picture once."""
        if layer not in self._reductions:
            side = 256
            device = next(self.net.parameters()).device
            with torch.no_grad():
                out = self(torch.zeros(1, 3, side, side, device=device), [layer])[layer]
            self._reductions[layer] = max(1, round(side / max(1, out.shape[-1]))) if out.dim() == 4 else side
        return self._reductions[layer]


def load_custom(where: str) -> ModuleBackbone:
    """The net that `module:function` returns, as a backbone.

    The function takes no argument and returns an `nn.Module` that takes RGB in [0, 1], or the pair of an `nn.Module`
    and a `mien.weights.Input` that says what it takes instead.
    """
    module_name, _, function_name = where.partition(":")
    if not module_name or not function_name:
        raise OptionError(f"Expected --backbone as a weights' name or module:function, got {where!r}.")
    try:
        function = getattr(importlib.import_module(module_name), function_name)
    except (ImportError, AttributeError) as error:
        raise OptionError(f"Expected {where!r} to name a function that returns a network, but: {error}.") from error
    try:
        made = function()
    except Exception as error:  # whatever the user's code raises is the user's to know, in one sentence
        raise OptionError(f"Expected {where!r} to return a network when called, but it raised {error!r}.") from error
    net, spec = made if isinstance(made, tuple) else (made, None)
    if not isinstance(net, nn.Module):
        raise OptionError(f"Expected {where!r} to return a torch.nn.Module, got {type(net).__name__}.")
    return ModuleBackbone(net, name=where, spec=spec)
