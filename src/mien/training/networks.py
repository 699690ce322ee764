"""The network of a training: its shape from options and data, its first weights, and what of it stays as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from mien.backbones import load_backbone
from mien.backbones.checkpoint import CheckpointRecord, load_checkpoint
from mien.backbones.convnet import ConvNet, ConvNetSpec, inflate
from mien.errors import DataError, OptionError, WeightsMismatch
from mien.training.data import SPATIAL, Array, Dataset, in_memory
from mien.training.options import TrainOptions

VGG_LAYER = "relu3_1"
"""Up to where VGG-19 is used unless --freeze names a layer."""


def spec_of(options: TrainOptions, data: Dataset) -> ConvNetSpec:
    """The architecture that the options ask for on such data."""
    return ConvNetSpec(
        dim=SPATIAL[data.kind],
        channels=data.channels,
        widths=options.widths,
        blocks=options.blocks,
        kernel=options.kernel,
        stride=options.stride,
        norm=options.norm,  # type: ignore[arg-type]
        head=options.head,  # type: ignore[arg-type]  # ConvNetSpec checks it
        cells=options.cells,
        encoding=options.encoding,
        classes=len(data.classes) if options.task == "classify" else 0,
        extras=0 if data.extras is None else data.extras.shape[1],
        dropout=options.dropout,
    )


def new_network(spec: ConvNetSpec, options: TrainOptions) -> ConvNet:
    """A network with seeded weights, or with those of the checkpoint that `init` names; the frozen part frozen."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        net = ConvNet(spec)
    if options.init is None or options.init == "vgg19":
        return net
    _take_over(net, options.init)
    _freeze(net, options.freeze)
    return net


def _take_over(net: ConvNet, folder: str) -> None:
    """Copy the checkpoint's weights; what is made for other classes or encodings begins anew."""
    source, record = load_checkpoint(folder)
    given, state = record.spec, dict(source.state_dict())
    if given.dim == 2 and net.spec.dim == 3:
        given, state = inflate(given, state, net.spec.depth or net.spec.kernel)
    body = ("dim", "channels", "widths", "blocks", "kernel", "kind", "stride", "norm")
    wrong = [name for name in body if getattr(given, name) != getattr(net.spec, name)]
    if wrong:
        first = wrong[0]
        raise WeightsMismatch(
            f"Expected a checkpoint of the same architecture in “{folder}”, but its {first} is {getattr(given, first)} "
            f"and here it is {getattr(net.spec, first)}; give --{first} as it has it, or start without --init."
        )
    own = net.state_dict()
    fitting = {name: value for name, value in state.items() if name in own and own[name].shape == value.shape}
    net.load_state_dict(fitting, strict=False)


def _freeze(net: ConvNet, layers: Sequence[str]) -> None:
    names = [name for name, _ in net.named_parameters()]
    for layer in layers:
        inside = [name for name in names if name == layer or name.startswith(f"{layer}.")]
        if not inside:
            raise OptionError(
                f"Expected layers of the network to freeze ({', '.join(n for n, _ in net.named_children())}, or parts "
                f"such as stages.0), got {layer!r}."
            )
        for name in inside:
            net.get_parameter(name).requires_grad_(False)
    if layers and not any(p.requires_grad for p in net.parameters()):
        raise OptionError("Expected something left to learn, but every layer is frozen; freeze fewer.")


def decayed(*modules: nn.Module | None, decay: float) -> list[dict[str, object]]:
    """Parameter groups for AdamW: weights of two or more axes decay; biases, norms and single rows do not."""
    learning = [p for module in modules if module is not None for p in module.parameters() if p.requires_grad]
    return [
        {"params": [p for p in learning if p.dim() > 1], "weight_decay": decay},
        {"params": [p for p in learning if p.dim() <= 1], "weight_decay": 0.0},
    ]


# ---- on top of VGG-19 ------------------------------------------------------------------------------------------------


def on_vgg(data: Dataset, layer: str = VGG_LAYER) -> Dataset:
    """Pictures as VGG-19's frozen activations (C, H, W) at `layer`, computed once: what a small network learns from.

    DataError for anything but pictures.
    """
    if data.kind != "image" or data.shape is None:
        raise DataError(
            f"Expected pictures of one size for VGG-19, got {data.kind}s; leave --init vgg19 out, or use pictures."
        )
    backbone = load_backbone("vgg19")
    rows = [seen_by(backbone, torch.from_numpy(data[i])[None], layer)[0] for i in range(len(data))]
    values = np.stack(rows)
    return replace(data, read=_Kept(values), channels=values.shape[1], shape=values.shape[2:])


def seen_by(backbone: object, x: Tensor, layer: str) -> Array:
    """Activations (B, C, H, W) of pictures x (B, 1 or 3, H, W) in [0, 1] at `layer` of a backbone."""
    with torch.no_grad():
        colour = x.expand(-1, 3, -1, -1) if x.shape[1] == 1 else x
        taps: dict[str, Tensor] = backbone(colour, [layer])  # type: ignore[operator]  # a Backbone
        activations: Array = taps[layer].float().contiguous().numpy()
    return activations


class _Kept:
    def __init__(self, values: Array) -> None:
        self.values = values

    def __call__(self, index: int) -> Array:
        row: Array = self.values[index]
        return row


def prepared(data: Dataset, options: TrainOptions) -> Dataset:
    """The data in memory and as the network sees them: VGG-19's activations where `init` says so.

    What is prepared already is given back as it is, so that a study does it once.
    """
    if isinstance(data.read, _Kept):
        return data
    read = in_memory(data)
    return read if options.init != "vgg19" else on_vgg(read, options.freeze[0] if options.freeze else VGG_LAYER)


def input_of(options: TrainOptions) -> str:
    """What stands before the network, for the record; empty: nothing."""
    if options.init != "vgg19":
        return ""
    return f"vgg19:{options.freeze[0] if options.freeze else VGG_LAYER}"


def describe_record(record: CheckpointRecord) -> str:
    """One line: dimension, widths, encoding."""
    spec = record.spec
    return f"{spec.dim}D {spec.kind} ConvNet, widths {', '.join(map(str, spec.widths))}, {spec.encoding} numbers"
