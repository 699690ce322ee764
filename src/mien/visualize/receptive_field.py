"""How large a window of the input each layer sees, and where that window lies: by formula, from one run of the net.

A run on one example is watched call by call, so functional calls, reused modules and Python branches are all seen.
With kernel k, stride s, padding p and dilation d, and k' = d (k − 1) + 1, each layer takes (size, stride, start) to

    size + (k' − 1) · stride,   stride · s,   start − p · stride

from (1, 1, 0) at the input (Araujo et al. 2019). Position y then sees `start + y · stride … + size − 1` of each axis.
Whatever mixes positions beyond a window (a linear layer, attention, a mean over space), and whatever the formula does
not know, sees everything. Branches that meet must agree in stride and centre; the largest window is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from mien.backbones.features import Backbone
from mien.errors import OptionError
from mien.visualize.networks import activations, feature_layers, studied

Box = tuple[tuple[int, int], ...]
"""First pixel and one past the last, for each axis; may reach over the edge."""


@dataclass(frozen=True)
class Axis:
    """The window along one axis of the input, in input pixels."""

    size: int = 1
    stride: int = 1
    start: int = 0

    def span(self, position: int) -> tuple[int, int]:
        """First pixel and one past the last that `position` sees; may reach over the edge."""
        first = self.start + position * self.stride
        return first, first + self.size


@dataclass(frozen=True)
class ReceptiveField:
    """What one position of a layer sees.

    `axes` is empty where that is everything, or where unequal branches met; `note` then says why.
    """

    layer: str
    axes: tuple[Axis, ...]
    note: str = ""

    @property
    def everything(self) -> bool:
        """Whether every position sees the whole input."""
        return not self.axes


@dataclass(frozen=True)
class ReceptiveFields(Mapping[str, ReceptiveField]):
    """The receptive fields of a network's layers, by layer."""

    fields: dict[str, ReceptiveField]
    refused: dict[str, str]

    def __getitem__(self, layer: str) -> ReceptiveField:
        if layer in self.refused:
            raise OptionError(
                f"Expected branches of equal stride and centre before {layer!r}, got {self.refused[layer]}; "
                "its window is not one box. Ask for a layer before the branches meet."
            )
        if layer not in self.fields:
            raise OptionError(f"Expected one of the layers {', '.join(self.fields)}, got {layer!r}.")
        return self.fields[layer]

    def __iter__(self) -> Iterator[str]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self.fields)

    def box(self, layer: str, position: Sequence[int], size: Sequence[int] | None = None) -> Box:
        """The input pixels that `position` of `layer` sees, as (first, one past the last) for each axis.

        Args:
            layer: the layer.
            position: one index for each spatial axis of the layer's map.
            size: the input's extent for each axis; needed where the layer sees everything.
        """
        field = self[layer]
        if field.everything:
            if size is None:
                raise OptionError(f"Expected the input's size, as {layer!r} sees all of it ({field.note}); got none.")
            return tuple((0, int(extent)) for extent in size)
        if len(position) != len(field.axes):
            raise OptionError(f"Expected {len(field.axes)} indices of a position at {layer!r}, got {tuple(position)}.")
        return tuple(axis.span(int(index)) for axis, index in zip(field.axes, position, strict=True))

    def table(self) -> list[dict[str, str]]:
        """One row a layer: `layer`, `size`, `stride`, `start` (as `11 × 11`, or `everything`) and `note`."""
        rows = []
        for layer, field in self.fields.items():
            row = {"layer": layer, "note": self.refused.get(layer, field.note)}
            for name in ("size", "stride", "start"):
                row[name] = " × ".join(str(getattr(axis, name)) for axis in field.axes)
            if field.everything:
                row["size"] = "unequal branches" if layer in self.refused else "everything"
            rows.append(row)
        return rows


def receptive_fields(
    net: Backbone | nn.Module, example: Tensor, layers: Sequence[str] | None = None, *, statistics: bool = True
) -> ReceptiveFields:
    """The receptive field of every layer, found by running `net` once on `example`.

    Args:
        net: a backbone, or any module on (B, C, *spatial).
        example: one input (1, C, *spatial), of any size that the net takes; its values do not matter.
        layers: the layers; by default all that give a map.
        statistics: whether the mean and variance count that a normalisation takes over the whole map. With them a
            layer behind one sees everything; without them the window is that of the filters.
    """
    with studied(net) as backbone:
        wanted = tuple(layers) if layers is not None else feature_layers(backbone, example)
        with torch.no_grad(), _Tracer(example, statistics=statistics) as tracer:
            taps = activations(backbone, example, wanted)
    if not tracer.convolutions:
        raise OptionError(
            f"Expected {backbone.name} to have convolutions, got none up to {', '.join(wanted[-1:]) or 'its end'}; "
            "units without a filter have no window to show."
        )
    fields, refused = {}, {}
    for layer in wanted:
        state = tracer.state(taps[layer])
        if isinstance(state, tuple):
            fields[layer] = ReceptiveField(layer, state)
        else:
            fields[layer] = ReceptiveField(layer, (), state.why)
            if state.unequal:
                refused[layer] = state.why
    return ReceptiveFields(fields, refused)


@dataclass(frozen=True)
class _Lost:
    """No window: everything is seen, or unequal branches have met."""

    why: str
    unequal: bool = False


_State = tuple[Axis, ...] | _Lost

# Each value depends on the values at its own position only (names without their underscores).
_POINTWISE_NAMES = """
    relu relu6 hardtanh leaky_relu prelu rrelu elu celu selu gelu silu mish softplus softsign sigmoid logsigmoid
    hardsigmoid hardswish tanh hardshrink softshrink tanhshrink threshold dropout dropout1d dropout2d dropout3d
    alpha_dropout feature_alpha_dropout batch_norm local_response_norm clone contiguous detach to float double half
    bfloat16 type_as requires_grad add iadd radd sub isub rsub mul imul rmul div idiv truediv rtruediv true_divide pow
    ipow rpow square sqrt rsqrt exp log log1p neg abs clamp clamp_min clamp_max maximum minimum where lerp addcmul
    copy identity
"""
_POINTWISE = frozenset(_POINTWISE_NAMES.split())
_STATISTICS = frozenset({"group_norm", "instance_norm"})


class _Tracer(TorchFunctionMode):
    """Follows the window of every tensor that comes from `x` through the calls made under this context."""

    def __init__(self, x: Tensor, *, statistics: bool = True) -> None:
        super().__init__()
        self.convolutions = 0
        self.statistics = statistics
        self.axes = x.dim() - 2
        # By identity; the tensors are kept so that no identity is given out twice.
        self._states: dict[int, _State] = {id(x): (Axis(),) * self.axes}
        self._kept = [x]

    def state(self, tensor: Tensor) -> _State:
        return self._states.get(id(tensor), _Lost("not computed from the input"))

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given = [t for t in _tensors((args, kwargs)) if id(t) in self._states]
        out = func(*args, **kwargs)
        made = _tensors(out)
        if given and made:
            state = self._after(getattr(func, "__name__", str(func)).strip("_"), args, kwargs, given)
            for tensor in made:
                self._states[id(tensor)] = state
                self._kept.append(tensor)
        return out

    def _after(self, name: str, args: Any, kwargs: Any, given: list[Tensor]) -> _State:
        state = _merged([self._states[id(t)] for t in given], name)
        known = re.fullmatch(r"(conv|max_pool|avg_pool)([123])d(_with_indices)?", name)
        if known:
            self.convolutions += known[1] == "conv"
        if isinstance(state, _Lost):
            return state
        if known and int(known[2]) == len(state):
            return _windowed(state, **_WINDOWS[known[1]](args, kwargs))
        if name == "pad" and _named(args, kwargs, "input", "pad", "mode").get("mode") == "circular":
            return _Lost("circular padding joins both ends")
        if name == "pad":
            return _padded(state, kwargs.get("pad", args[1] if len(args) > 1 else ()))
        if name in _POINTWISE and not (name == "batch_norm" and kwargs.get("training")):
            return state
        if name in _STATISTICS and not self.statistics:
            return state
        if _keeps_positions(name, args, kwargs):
            return state
        if name == "getitem":
            return _sliced(state, args[1])
        return _Lost(f"{name} mixes positions, or is not known to keep them apart")


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = tuple(value.values())
    return [t for part in value for t in _tensors(part)] if isinstance(value, tuple | list) else []


def _merged(states: list[_State], name: str) -> _State:
    """The window of what depends on all of `states`: the largest, if strides and centres agree."""
    for unequal in (True, False):
        for state in states:
            if isinstance(state, _Lost) and state.unequal == unequal:
                return state
    local = [state for state in states if isinstance(state, tuple)]
    merged = []
    for several in zip(*local, strict=True):
        strides = sorted({axis.stride for axis in several})
        centres = sorted({axis.start + (axis.size - 1) / 2 for axis in several})
        if len(strides) > 1:
            return _Lost(f"strides of {' and '.join(map(str, strides))} at {name}", unequal=True)
        if len(centres) > 1:
            return _Lost(f"centres {' and '.join(f'{c:g}' for c in centres)} at {name}", unequal=True)
        merged.append(max(several, key=lambda axis: axis.size))
    return tuple(merged)


def _windowed(
    state: tuple[Axis, ...], *, kernel: Sequence[int], stride: Any, padding: Any, dilation: Any = 1
) -> tuple[Axis, ...]:
    n = len(state)
    strides, dilations = _each(stride, n), _each(dilation, n)
    widths = [d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True)]
    if isinstance(padding, str):  # `same` puts the odd pixel at the end
        pads = [(width - 1) // 2 if padding == "same" else 0 for width in widths]
    else:
        pads = _each(padding, n)
    return tuple(
        Axis(axis.size + (width - 1) * axis.stride, axis.stride * s, axis.start - p * axis.stride)
        for axis, width, s, p in zip(state, widths, strides, pads, strict=True)
    )


def _each(value: Any, n: int) -> list[int]:
    """One number for each axis, from a number or a sequence."""
    if isinstance(value, int):
        return [value] * n
    values = [int(v) for v in value]
    return values * n if len(values) == 1 else values


def _named(args: Any, kwargs: Any, *names: str) -> dict[str, Any]:
    return {**dict(zip(names, args, strict=False)), **kwargs}


def _convolution(args: Any, kwargs: Any) -> dict[str, Any]:
    call = _named(args, kwargs, "input", "weight", "bias", "stride", "padding", "dilation")
    return {
        "kernel": call["weight"].shape[2:],
        "stride": call.get("stride", 1),
        "padding": call.get("padding", 0),
        "dilation": call.get("dilation", 1),
    }


def _max_pool(args: Any, kwargs: Any) -> dict[str, Any]:
    call = _named(args, kwargs, "input", "kernel_size", "stride", "padding", "dilation")
    return {**_pool(call, args), "dilation": call.get("dilation", 1)}


def _avg_pool(args: Any, kwargs: Any) -> dict[str, Any]:
    return _pool(_named(args, kwargs, "input", "kernel_size", "stride", "padding"), args)


def _pool(call: dict[str, Any], args: Any) -> dict[str, Any]:
    kernel = _each(call["kernel_size"], args[0].dim() - 2)
    stride = call.get("stride")
    return {
        "kernel": kernel,
        "stride": kernel if stride is None or stride == () else stride,
        "padding": call.get("padding", 0),
    }


_WINDOWS = {"conv": _convolution, "max_pool": _max_pool, "avg_pool": _avg_pool}


def _padded(state: tuple[Axis, ...], pad: Sequence[int]) -> _State:
    if len(pad) > 2 * len(state):
        return state if not any(pad[2 * len(state) :]) else _Lost("padding of channels")
    before = [int(p) for p in pad[::2]][::-1]  # given from the last axis on
    before = [0] * (len(state) - len(before)) + before
    return tuple(Axis(a.size, a.stride, a.start - p * a.stride) for a, p in zip(state, before, strict=True))


def _keeps_positions(name: str, args: Any, kwargs: Any) -> bool:
    """Whether a call that could mix positions works along the channels only."""
    if name == "flip":
        dims = kwargs.get("dims", args[1:])
        return dims in (1, (1,), [1], ((1,),), ([1],))
    if name in ("cat", "concat", "concatenate"):
        return bool(kwargs.get("dim", args[1] if len(args) > 1 else 0) == 1)
    if name in ("chunk", "split", "tensor_split"):
        return bool(kwargs.get("dim", args[2] if len(args) > 2 else 0) == 1)
    return False


def _sliced(state: tuple[Axis, ...], index: Any) -> _State:
    index = index if isinstance(index, tuple) else (index,)
    if not all(isinstance(part, slice) for part in index):
        return _Lost("indexing")
    axes = list(state)
    for i, part in enumerate(index[2:]):
        first, step = part.start or 0, part.step or 1
        if first < 0 or step < 1:
            return _Lost("indexing from the end")
        axis = axes[i]
        axes[i] = Axis(axis.size, axis.stride * step, axis.start + first * axis.stride)
    return tuple(axes)
