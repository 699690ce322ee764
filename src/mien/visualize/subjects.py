"""The network to look at, by the name a person gives it: `vgg19`, a checkpoint's folder, or `module:function`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from mien.backbones import features, load_backbone, vgg
from mien.backbones.checkpoint import CheckpointRecord, load_checkpoint
from mien.backbones.convnet import ConvNet
from mien.backbones.features import Backbone, ModuleBackbone
from mien.errors import OptionError
from mien.visualize.networks import feature_layers, inner_module

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_RECTIFIERS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SELU, nn.GELU, nn.SiLU, nn.Hardswish, nn.Mish)
_VGG = ("vgg19", "vgg19-torchvision", "vgg16")
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")

LAYERS_SHOWN = 5
"""Layers looked at where none are named."""


@dataclass(frozen=True)
class Subject:
    """A network under study, and what it takes.

    Attributes:
        net: its backbone.
        name: as a person calls it.
        dims: 1 for signals, 2 for pictures, 3 for volumes and clips.
        channels: of its input.
        size: the spatial size of its input in training, where that is known.
        classes: what a label's number stands for, where that is known.
        clip: whether the first axis of its volumes is time.
        rate: samples a second of its signals, where that is known.
    """

    net: Backbone
    name: str
    dims: int
    channels: int
    size: tuple[int, ...] | None = None
    classes: tuple[str, ...] = ()
    clip: bool = False
    rate: float | None = None


def open_subject(name: str, *, precision: str = "float32") -> Subject:
    """The network called `name`.

    Args:
        name: `vgg19` (or another VGG), the folder of a checkpoint that `mien train` wrote, or `module:function`.
        precision: `float32`, or `bfloat16` for a VGG on a processor that multiplies it.

    Raises:
        OptionError: there is no such network, or it has no convolutions.
        WeightsError: its weights are not found, or not as they should be.
    """
    if name in _VGG:
        if precision not in ("float32", "bfloat16"):
            raise OptionError(f"Expected the precision float32 or bfloat16, got {precision!r}.")
        return Subject(load_backbone(name, dtype=getattr(torch, precision)), name, 2, 3)
    if Path(name).is_dir():
        return _of_checkpoint(*load_checkpoint(name))
    if ":" in name:
        return subject_of(features.load_custom(name))
    raise OptionError(
        f"Expected a network ({', '.join(_VGG)}, the folder of a checkpoint that mien train wrote, or "
        f"module:function), got {name!r}, which is none of these; check the spelling and the current folder."
    )


def subject_of(net: Backbone | nn.Module, *, name: str = "", size: Sequence[int] | None = None) -> Subject:
    """Any network of one's own, its dimensions and channels read from its first convolution."""
    if isinstance(net, nn.Module):
        dtype = next((p.dtype for p in net.parameters()), torch.float32)
        net = ModuleBackbone(net, name=name or type(net).__name__, dtype=dtype)
    name, shape = name or net.name, None if size is None else tuple(size)
    module = inner_module(net)
    if module is None:
        return Subject(net, name, 2, 3, shape)
    first = next((part for part in module.modules() if isinstance(part, _CONVOLUTIONS)), None)
    if first is None:
        raise OptionError(
            f"Expected {name} to have convolutions, got none; units without a filter have no window to show."
        )
    return Subject(net, name, _CONVOLUTIONS.index(_kind(first)) + 1, first.in_channels, shape)


def _kind(part: nn.Module) -> type[nn.Module]:
    return next(kind for kind in _CONVOLUTIONS if isinstance(part, kind))


class _Normalise(nn.Identity):
    """(x - mean) / scale per channel, as the checkpoint's record says."""

    mean: Tensor
    scale: Tensor

    def __init__(self, record: CheckpointRecord) -> None:
        super().__init__()
        given = record.normalisation or {"mean": [0.0], "scale": [1.0]}
        shape = (1, -1, *[1] * record.spec.dim)
        self.register_buffer("mean", torch.tensor(given["mean"]).view(shape))
        self.register_buffer("scale", torch.tensor(given["scale"]).view(shape))

    def forward(self, input: Tensor) -> Tensor:
        return (input - self.mean) / self.scale


class _Maps(nn.Module):
    """The convolutions of a ConvNet, under the names they have there; what it does with their maps is left out."""

    def __init__(self, net: ConvNet) -> None:
        super().__init__()
        self.stem, self.stages = net.stem, net.stages

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x)
        return x


def _of_checkpoint(net: ConvNet, record: CheckpointRecord) -> Subject:
    backbone = ModuleBackbone(_Maps(net), name=record.name)
    backbone.preprocess = _Normalise(record)
    return Subject(
        backbone,
        record.name,
        record.spec.dim,
        record.spec.channels,
        record.size,
        record.labels,
        record.kind == "clip",
        record.rate,
    )


def choose_layers(subject: Subject, example: Tensor, wanted: Sequence[str] | None = None) -> tuple[str, ...]:
    """The layers to look at: those asked for, in the order of computation, or a few from the first to the last.

    A VGG's are those whose Gram matrices style transfer compares; of other networks up to five activations.

    Args:
        subject: the network.
        example: one input (1, C, *spatial).
        wanted: layers by name; OptionError, which says the ones there are, for a name that is none.
    """
    if wanted is None and isinstance(subject.net, vgg.VGG):
        return STYLE_LAYERS
    known = feature_layers(subject.net, example)
    if wanted is not None:
        for layer in wanted:
            if layer not in known:
                raise OptionError(
                    f"Expected a layer of {subject.name} that gives a map ({', '.join(known)}), got {layer!r}; "
                    "choose one of these."
                )
        return tuple(layer for layer in known if layer in wanted)
    module = inner_module(subject.net)
    parts = dict(module.named_modules()) if module is not None else {}
    rectified = [layer for layer in known if isinstance(parts.get(layer), _RECTIFIERS)]
    found = rectified or [layer for layer in known if isinstance(parts.get(layer), _CONVOLUTIONS)] or list(known)
    if not found:
        raise OptionError(f"Expected {subject.name} to have layers that give a map, got none.")
    count = min(LAYERS_SHOWN, len(found))
    picks = [round(i * (len(found) - 1) / max(1, count - 1)) for i in range(count)]
    return tuple(found[i] for i in picks)
