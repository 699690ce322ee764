"""A trained network as an ONNX graph, for the rooms and machines that have no torch.

The graph is written so that OpenCV's dnn runs it, for any number of inputs at a time: torch's own way of writing group
normalisation holds the number of inputs in a reshape.
"""

from __future__ import annotations

import copy
import dataclasses
import importlib.util
import json
import tempfile
import warnings
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien import images
from mien.backbones.checkpoint import CheckpointRecord
from mien.backbones.convnet import ConvNet, unit
from mien.errors import MissingExtra, OptionError
from mien.weights import Input, Weights, sha256

ONNX, RECORD = "encoder.onnx", "encoder.json"

_OPSET = 14  # the first with attention; all else is older

# Rec. 709 luma, as the training room reads grey pictures.
_LUMA = (0.2126, 0.7152, 0.0722)

_CONVOLUTION = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


def export_onnx(net: ConvNet, record: CheckpointRecord, folder: str | Path, *, force: bool = False) -> Path:
    """Write encoder.onnx and encoder.json (its Weights record) into `folder`; return the record's path.

    The graph takes the data as they are before normalisation: pictures (B, 3, H, W) RGB in [0, 1], also for a network
    of grey ones, or signals, volumes and clips (B, channels, *spatial), all of the record's size. It gives encodings
    (B, D). OpenCV's dnn was tested with pictures and signals; volumes and clips want another ONNX runtime, since its
    4.14 gives wrong numbers for them without a word.

    Raises MissingExtra without the `onnx` package, OptionError where the record has no size, OutputError.
    """
    if importlib.util.find_spec("onnx") is None:
        raise MissingExtra("Writing ONNX files", "training")
    if record.size is None or len(record.size) != net.spec.dim:
        raise OptionError(
            f"Expected a record with the input's size ({net.spec.dim} numbers), got {record.size}; add it."
        )
    if net.spec.extras:
        raise OptionError(
            f"Expected a network of one input to export, got one with {net.spec.extras} numbers beside it; "
            "use its checkpoint with torch instead."
        )
    net = copy.deepcopy(net).cpu().float().eval().requires_grad_(False)
    graph = _graph(_Exported(net, record), record.size)
    folder = Path(folder)
    images.write_whole(folder / ONNX, lambda file: file.write(graph), force=force)
    given = dataclasses.asdict(to_weights(record, digest=sha256(folder / ONNX)))
    text = json.dumps({k: v for k, v in given.items() if v not in (None, "")}, ensure_ascii=False, indent=1)
    return images.write_whole(folder / RECORD, lambda file: file.write(text.encode()), force=force)


def to_weights(record: CheckpointRecord, *, digest: str) -> Weights:
    """The Weights record of an exported encoder: it takes RGB in [0, 1], all else is inside its graph."""
    return Weights(
        name=record.name,
        task=record.task,
        network=f"ConvNet, {record.spec.dim}D, {record.spec.kind}, widths {', '.join(map(str, record.spec.widths))}",
        file=ONNX,
        sha256=digest,
        licence=record.licence,
        origin=record.origin,
        citation=record.citation,
        input=Input(channels="RGB", range=1.0, mean=(0.0, 0.0, 0.0)),
        size=(record.size[0], record.size[1]) if record.size is not None and len(record.size) == 2 else None,
        template=record.template,
        encoding=record.spec.encoding,
        calibration=record.calibration,
    )


class _Exported(nn.Module):
    """From raw data to encodings, in operations that every runtime has."""

    shift: Tensor
    mix: Tensor
    weight: Tensor

    def __init__(self, net: ConvNet, record: CheckpointRecord) -> None:
        super().__init__()
        spec = net.spec
        self.spec = spec
        self.stem, self.stages, self.head, self.bias = net.stem, net.stages, net.head, net.embed.bias
        if spec.norm != "none":
            for part in (self.stem, self.stages, self.head):
                _replace_norms(part, spec.dim)
        # Normalisation, and grey from colour, as one convolution over a single position.
        mean, scale = _normalisation(record)
        self.grey = spec.dim == 2 and spec.channels == 1
        mix = torch.tensor([_LUMA]) / scale if self.grey else torch.diag(1 / scale)
        self.register_buffer("mix", mix.view(*mix.shape, *[1] * spec.dim))
        self.register_buffer("shift", -mean / scale)
        self.pooled = spec.head == "pool"
        size = (record.size or ())[: spec.dim]
        self.cells = spec.head == "pool" and spec.cells > 1
        self.register_buffer("weight", _with_pooling(net, size) if self.cells else net.embed.weight)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(_CONVOLUTION[self.spec.dim](x, self.mix, self.shift))
        for stage in self.stages:
            x = stage(x)
        if self.cells:
            x = x.flatten(1)
        elif self.pooled:
            x = x.mean(tuple(range(2, self.spec.dim + 2)))
        else:
            x = self.head(x)
        raw = F.linear(x, self.weight, self.bias)
        return unit(raw) if self.spec.normalise else raw


class _GroupNorm(nn.Module):
    """Group normalisation by means alone: over the positions, then over the group's channels as a convolution."""

    share: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(self, norm: nn.GroupNorm, dim: int) -> None:
        super().__init__()
        together = norm.num_channels // norm.num_groups
        share = torch.kron(torch.eye(norm.num_groups), torch.full((together, together), 1 / together))
        self.register_buffer("share", share.view(*share.shape, *[1] * dim))
        self.register_buffer("weight", norm.weight.view(1, -1, *[1] * dim))
        self.register_buffer("bias", norm.bias.view(1, -1, *[1] * dim))
        self.eps, self.dim, self.axes = norm.eps, dim, tuple(range(2, dim + 2))

    def forward(self, x: Tensor) -> Tensor:
        x = x - _CONVOLUTION[self.dim](x.mean(self.axes, keepdim=True), self.share)
        variance = _CONVOLUTION[self.dim](x.square().mean(self.axes, keepdim=True), self.share)
        return x * (torch.rsqrt(variance + self.eps) * self.weight) + self.bias


def _replace_norms(module: nn.Module, dim: int) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.GroupNorm):
            setattr(module, name, _GroupNorm(child, dim))
        else:
            _replace_norms(child, dim)


def _normalisation(record: CheckpointRecord) -> tuple[Tensor, Tensor]:
    channels = record.spec.channels
    if record.normalisation is None:
        return torch.zeros(channels), torch.ones(channels)
    return torch.tensor(list(record.normalisation["mean"])), torch.tensor(list(record.normalisation["scale"]))


def _with_pooling(net: ConvNet, size: tuple[int, ...]) -> Tensor:
    """The embedding's weights with the pooling into cells inside: both are linear, and not every runtime has it."""
    with torch.no_grad():
        maps = net.features(torch.zeros(1, net.spec.channels, *size))
        positions = maps[0, 0].numel()
        # Each column is what one position contributes to the cells.
        ones = torch.eye(positions).view(positions, 1, *maps.shape[2:])
        cells = net.head(ones).flatten(1)
        weight = net.embed.weight.view(net.spec.encoding, maps.shape[1], -1)
        together: Tensor = (weight @ cells.T).flatten(1)
    return together


def _graph(module: _Exported, size: tuple[int, ...]) -> bytes:
    channels = 3 if module.grey else module.spec.channels
    blank = torch.zeros(1, channels, *size)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # This exporter is the older of torch's two: a tenth of a second instead of six, and one package less.
        warnings.simplefilter("ignore")
        path = Path(folder) / ONNX
        torch.onnx.export(
            module,
            (blank,),
            path,
            dynamo=False,
            opset_version=_OPSET,
            input_names=["input"],
            output_names=["encoding"],
            dynamic_axes={"input": {0: "batch"}, "encoding": {0: "batch"}},
        )
        return path.read_bytes()
