"""One ConvNet for signals (1D), pictures (2D) and volumes or clips (3D): an encoder, and a classifier on top of it.

Only the layers' dimension differs, so that what is known of one holds for the others. There is no batch statistic
anywhere (group normalisation): a batch split over two processes gives the gradient of the whole one.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.errors import OptionError

Kind = Literal["plain", "residual"]
Norm = Literal["group", "layer", "none"]
Head = Literal["pool", "centre", "gru", "transformer"]
Padding = Literal["zeros", "replicate"]
Output = Literal["encoding", "raw", "logits", "features"]

_CONVOLUTION = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_MAX_POOL = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
_AVERAGE = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}

_BESIDE = 16  # features made of the numbers given beside an input
_GROUP = 8  # channels normalised together: with fewer, a map of one position would be normalised to a constant


def output_size(
    size: int, kernel: int, *, stride: int = 1, padding: int = 0, dilation: int = 1, ceil: bool = False
) -> int:
    """Positions along one axis after a filter or a pool: ⌊(n + 2p − d (f − 1) − 1) / s⌋ + 1.

    14 with a filter of 5 gives 10 (text 000), along each of one, two or three axes; the channels that come out are as
    many as the filters. `ceil`: a pool that keeps an incomplete last window. OptionError where nothing would be left.
    """
    room = size + 2 * padding - dilation * (kernel - 1) - 1
    if room < 0 and not (ceil and size >= 1):
        raise OptionError(
            f"Expected at least {dilation * (kernel - 1) + 1 - 2 * padding} positions for a filter of {kernel}, "
            f"got {size}; use a smaller filter, more padding or a larger input."
        )
    return (-(-room // stride) if ceil else room // stride) + 1


@dataclass(frozen=True, kw_only=True)
class ConvNetSpec:
    """Everything that decides the shape of a ConvNet; two nets of the same spec can take each other's weights."""

    dim: int
    """1 for signals, 2 for pictures, 3 for volumes and clips."""
    channels: int = 1
    """Channels of the input."""
    widths: tuple[int, ...] = (32, 64, 128)
    """Filters of each stage; every stage after the first has half the positions along each axis."""
    blocks: int = 1
    """Residual blocks (or, if plain, convolutions) a stage."""
    kernel: int = 3
    """Length of the filters along each axis; odd."""
    kind: Kind = "residual"
    stride: int = 1
    """Step of the first convolution: 2 for long signals and large pictures."""
    norm: Norm = "group"
    """`group`: eight channels together; `layer`: all of them."""
    head: Head = "pool"
    """What makes one vector of the positions: their mean, the middle one (of an even number the later one) beside their
    mean, or (1D) a GRU or a transformer along time."""
    cells: int = 1
    """Cells an axis that `pool` keeps apart: 1 forgets where things are, 4 suits aligned pictures such as faces."""
    encoding: int = 128
    normalise: bool = True
    """Encodings of L2 norm 1."""
    classes: int = 0
    """Logits of the classifier on top of the encoding; 0: none."""
    extras: int = 0
    """Numbers given beside each input, such as the ratios of beats; they join the pooled features."""
    dropout: float = 0.0
    """Share of the pooled features dropped while training."""
    depth: int | None = None
    """3D: length of the filters along the first axis, if it is not `kernel`; odd."""
    depth_padding: Padding = "zeros"
    """3D: what lies before the first and after the last slice; `replicate` keeps a static clip static."""

    def __post_init__(self) -> None:
        for name, known in (("kind", Kind), ("norm", Norm), ("head", Head), ("depth_padding", Padding)):
            if getattr(self, name) not in get_args(known):
                raise OptionError(
                    f"Expected {name} as one of {', '.join(get_args(known))}, got {getattr(self, name)!r}."
                )
        if self.dim not in _CONVOLUTION:
            raise OptionError(f"Expected a dimension of 1, 2 or 3, got {self.dim!r}.")
        for name in ("channels", "blocks", "kernel", "stride", "cells", "encoding"):
            if getattr(self, name) < 1:
                raise OptionError(f"Expected {name} of at least 1, got {getattr(self, name)}.")
        if not self.widths or min(self.widths) < 2:
            raise OptionError(f"Expected one or more widths of at least 2 filters, got {self.widths}.")
        for name, length in (("kernel", self.kernel), ("depth", self.depth or 1)):
            if length < 1 or length % 2 == 0:
                raise OptionError(f"Expected an odd {name}, so that a filter has a middle, got {length}.")
        if min(self.classes, self.extras) < 0 or not 0 <= self.dropout < 1:
            raise OptionError(
                f"Expected classes and extras of at least 0 and a dropout in [0, 1), got {self.classes}, "
                f"{self.extras} and {self.dropout}."
            )
        if self.head in ("gru", "transformer") and (self.dim != 1 or self.widths[-1] % 8):
            raise OptionError(
                f"Expected dim 1 and a last width that 8 divides for the head {self.head}, "
                f"got dim {self.dim} and {self.widths[-1]}."
            )
        if self.dim != 3 and (self.depth is not None or self.depth_padding != "zeros"):
            raise OptionError(f"Expected depth and depth_padding only with dim 3, got dim {self.dim}; leave them out.")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**dataclasses.asdict(self), "widths": list(self.widths)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ConvNetSpec:
        """The spec that `to_dict` wrote; OptionError for a key that this version does not know."""
        known = {item.name for item in dataclasses.fields(cls)}
        if unknown := sorted(values.keys() - known):
            raise OptionError(f"Expected only {', '.join(sorted(known))} in an architecture, got {', '.join(unknown)}.")
        if "dim" not in values:
            raise OptionError("Expected an architecture to say its dim (1, 2 or 3), got none; add it.")
        return cls(**{**values, "widths": tuple(values.get("widths", cls.widths))})


def unit(f: Tensor, *, least: float = 1e-6) -> Tensor:
    """f (…, D) divided by its L2 norm, or by `least` where the norm is smaller: finite value and gradient at f = 0."""
    return f * f.square().sum(-1, keepdim=True).clamp_min(least**2).rsqrt()


class ConvNet(nn.Module):
    """The network of a spec.

    Input (B, channels, *spatial) float32 of any spatial size; encodings (B, encoding), unit if `normalise`; logits
    (B, classes). Nothing is rectified between the pooled features and the encoding: a rectified encoding can die at 0.
    """

    def __init__(self, spec: ConvNetSpec) -> None:
        super().__init__()
        self.spec = spec
        width = spec.widths[0]
        self.stem = nn.Sequential(*_conv_norm(spec, spec.channels, width, stride=spec.stride), nn.ReLU())
        self.stages = nn.ModuleList()
        for number, wider in enumerate(spec.widths):
            self.stages.append(_stage(spec, width, wider, number=number))
            width = wider
        self.head = _head(spec)
        self.dropout = nn.Dropout(spec.dropout)
        pooled = width * {"pool": spec.cells**spec.dim, "centre": 2}.get(spec.head, 1)
        # Rectified, so that the classifier may bend with them, which it could not if they came in as they are.
        self.beside = nn.Sequential(nn.Linear(spec.extras, _BESIDE), nn.ReLU()) if spec.extras else None
        self.embed = nn.Linear(pooled + (_BESIDE if spec.extras else 0), spec.encoding)
        self.classifier = nn.Linear(spec.encoding, spec.classes) if spec.classes else None
        for module in self.modules():
            if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor, output: Output = "encoding", *, extras: Tensor | None = None) -> Tensor:
        """What is asked for: the encoding, the encoding before its normalisation (`raw`), logits or feature maps.

        extras: (B, spec.extras), the numbers beside each input, where the spec has some.
        """
        check_input(self.spec, tuple(x.shape))
        features = self.features(x)
        if output == "features":
            return features
        raw = self.encode_features(features, extras)
        if output == "raw":
            return raw
        if output == "logits":
            return self.classify(raw)
        return unit(raw) if self.spec.normalise else raw

    def features(self, x: Tensor) -> Tensor:
        """The last stage's maps (B, widths[-1], *smaller)."""
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x)
        return x

    def encode_features(self, features: Tensor, extras: Tensor | None = None) -> Tensor:
        """Feature maps (B, C, *spatial) to encodings (B, encoding) float32, not yet normalised."""
        given = 0 if extras is None else extras.shape[-1]
        if given != self.spec.extras:
            raise OptionError(f"Expected {self.spec.extras} numbers beside each input, got {given}; give as many.")
        pooled = self.head(features).flatten(1)
        if self.beside is not None:
            pooled = torch.cat([pooled, self.beside(extras)], dim=1)
        raw: Tensor = self.embed(self.dropout(pooled))
        # Norms and distances of 8 mantissa bits would be wrong by a percent.
        return raw if raw.dtype == torch.float64 else raw.float()

    def classify(self, raw: Tensor) -> Tensor:
        """Logits (B, classes) of encodings before their normalisation; OptionError without a classifier."""
        if self.classifier is None:
            raise OptionError(
                "Expected a network with a classifier, got one with classes=0; give the spec its classes."
            )
        logits: Tensor = self.classifier(raw)
        return logits


def check_input(spec: ConvNetSpec, shape: tuple[int, ...]) -> None:
    """Refuse a batch whose shape is not (B, channels, *spatial)."""
    if len(shape) != spec.dim + 2 or shape[1] != spec.channels or 0 in shape:
        axes = ("L", "H, W", "D, H, W")[spec.dim - 1]
        raise OptionError(
            f"Expected a batch of shape (B, {spec.channels}, {axes}), got {shape}; "
            "reshape the data or choose a network of their dimension and channels."
        )


# ---- its parts -------------------------------------------------------------------------------------------------------


class _StaticConv3d(nn.Conv3d):
    """A 3D convolution that repeats the first and the last slice instead of padding with zeros along depth."""

    def forward(self, x: Tensor) -> Tensor:
        deep, high, wide = (int(p) for p in self.padding)
        if deep:
            x = F.pad(x, (0, 0, 0, 0, deep, deep), mode="replicate")
        return F.conv3d(x, self.weight, self.bias, self.stride, (0, high, wide), self.dilation, self.groups)


def _convolution(spec: ConvNetSpec, given: int, filters: int, *, kernel: int, stride: int) -> nn.Module:
    lengths = [kernel] * spec.dim
    if spec.depth is not None and kernel > 1:
        lengths[0] = spec.depth
    layer: Any = _StaticConv3d if spec.depth_padding == "replicate" else _CONVOLUTION[spec.dim]
    convolution: nn.Module = layer(
        given,
        filters,
        tuple(lengths),
        stride=stride,
        padding=tuple(length // 2 for length in lengths),
        bias=spec.norm == "none",
    )
    return convolution


def _conv_norm(
    spec: ConvNetSpec, given: int, filters: int, *, kernel: int | None = None, stride: int = 1
) -> list[nn.Module]:
    layers = [_convolution(spec, given, filters, kernel=kernel or spec.kernel, stride=stride)]
    if spec.norm != "none":
        groups = filters // _GROUP if spec.norm == "group" and filters % _GROUP == 0 else 1
        layers.append(nn.GroupNorm(groups, filters))
    return layers


class _Residual(nn.Module):
    """relu(x + norm(conv(relu(norm(conv(x)))))), after He et al. 2016; a 1-filter where the shapes differ."""

    def __init__(self, spec: ConvNetSpec, given: int, filters: int, *, stride: int) -> None:
        super().__init__()
        self.first = nn.Sequential(*_conv_norm(spec, given, filters, stride=stride), nn.ReLU())
        self.second = nn.Sequential(*_conv_norm(spec, filters, filters))
        changes = stride > 1 or given != filters
        self.skip: nn.Module = (
            nn.Sequential(*_conv_norm(spec, given, filters, kernel=1, stride=stride)) if changes else nn.Identity()
        )
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.relu(self.second(self.first(x)) + self.skip(x))
        return out


def _stage(spec: ConvNetSpec, given: int, filters: int, *, number: int) -> nn.Sequential:
    if spec.kind == "residual":
        strides = [2 if number and not block else 1 for block in range(spec.blocks)]
        inputs = [given] + [filters] * (spec.blocks - 1)
        return nn.Sequential(*(_Residual(spec, i, filters, stride=s) for i, s in zip(inputs, strides, strict=True)))
    layers: list[nn.Module] = []
    if number:  # An incomplete last window is kept: nothing is lost at the edge, and one position stays one.
        layers.append(_MAX_POOL[spec.dim](2, ceil_mode=True))
    # The stem is the first convolution of the first stage.
    for block in range(0 if number else 1, spec.blocks):
        layers += [*_conv_norm(spec, given if block == 0 else filters, filters), nn.ReLU()]
    return nn.Sequential(*layers)


def _head(spec: ConvNetSpec) -> nn.Module:
    if spec.head == "gru":
        return _Recurrent(spec.widths[-1])
    if spec.head == "transformer":
        return _Attention(spec.widths[-1])
    if spec.head == "centre":
        return _Centre()
    return _AVERAGE[spec.dim](spec.cells)


class _Centre(nn.Module):
    """The middle position beside the mean over all: (B, C, *spatial) to (B, 2 C)."""

    def forward(self, x: Tensor) -> Tensor:
        middle: tuple[Any, ...] = (..., *(size // 2 for size in x.shape[2:]))
        return torch.cat([x[middle], x.flatten(2).mean(2)], dim=1)


class _Recurrent(nn.Module):
    """A GRU along time, forwards and backwards: (B, C, L) to its two last states, (B, C)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gru = nn.GRU(width, width // 2, batch_first=True, bidirectional=True)

    def forward(self, x: Tensor) -> Tensor:
        _, last = self.gru(x.transpose(1, 2))
        return torch.cat([last[0], last[1]], dim=1)


class _Attention(nn.Module):
    """One transformer block along time (Vaswani et al. 2017, normalised first), averaged: (B, C, L) to (B, C)."""

    HEADS = 4

    def __init__(self, width: int) -> None:
        super().__init__()
        self.before = nn.LayerNorm(width)
        # Without biases: one on the keys would change nothing, since softmax does not see a common shift.
        self.mixed = nn.Linear(width, 3 * width, bias=False)
        self.joined = nn.Linear(width, width)
        self.between = nn.LayerNorm(width)
        self.wide = nn.Linear(width, 2 * width)
        self.relu = nn.ReLU()
        self.narrow = nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        x = x.transpose(1, 2)
        x = x + sinusoids(x.shape[1], x.shape[2], like=x)
        B, L, C = x.shape
        query, key, value = self.mixed(self.before(x)).view(B, L, 3, self.HEADS, -1).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(query, key, value)
        x = x + self.joined(seen.transpose(1, 2).reshape(B, L, C))
        x = x + self.narrow(self.relu(self.wide(self.between(x))))
        return x.mean(1)


def sinusoids(length: int, width: int, *, like: Tensor) -> Tensor:
    """Where in time: (length, width) sines, then cosines, of wavelengths from 2π to 20,000π (Vaswani et al. 2017)."""
    place = torch.arange(length, device=like.device, dtype=torch.float32).unsqueeze(1)
    rate = torch.exp(torch.arange(width // 2, device=like.device) * (-math.log(10_000.0) / (width // 2)))
    return torch.cat([(place * rate).sin(), (place * rate).cos()], dim=1).to(like.dtype)


# ---- from pictures to clips ------------------------------------------------------------------------------------------


def inflate(spec: ConvNetSpec, state: Mapping[str, Tensor], depth: int) -> tuple[ConvNetSpec, dict[str, Tensor]]:
    """A 2D net's spec and weights as a 3D net's, whose features of a static clip are the 2D net's of its frame.

    Every filter is copied `depth` times along the new first axis and divided by `depth` (Carreira & Zisserman 2017,
    I3D). That alone is right only in the middle of a clip: at its ends zero padding would take away a part of the sum.
    So the 3D net repeats its first and last slice instead, and the equality holds for every frame; without padding
    (`valid`) it would hold too, but short clips would run out of frames.
    """
    if spec.dim != 2:
        raise OptionError(f"Expected a 2D network to inflate, got one of dim {spec.dim}.")
    inflated = dataclasses.replace(spec, dim=3, depth=depth, depth_padding="replicate")
    result: dict[str, Tensor] = {}
    for name, weight in state.items():
        if weight.dim() == 4:
            copies = 1 if ".skip." in name or spec.kernel == 1 else depth
            weight = weight.unsqueeze(2).repeat(1, 1, copies, 1, 1) / copies
        elif name == "embed.weight" and spec.cells > 1:
            cells = spec.cells
            pooled = spec.widths[-1] * cells**2  # behind them stand the extras, which have no depth
            apart = weight[:, :pooled].view(len(weight), -1, 1, cells**2).repeat(1, 1, cells, 1) / cells
            weight = torch.cat([apart.flatten(1), weight[:, pooled:]], dim=1)
        result[name] = weight.clone()
    return inflated, result
