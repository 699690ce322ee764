"""What the number and size of filters cost: output sizes, parameters and multiply-adds of a network, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mien.backbones.convnet import ConvNet, ConvNetSpec

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


@dataclass(frozen=True)
class Row:
    """One layer, in the order in which it runs."""

    name: str
    """Its path in the network."""
    kind: str
    """What it is, with the size of its filters and its step."""
    output: tuple[int, ...]
    """Channels and size of what comes out for one input; a vector has one number."""
    parameters: int
    multiply_adds: int
    """Multiplications each followed by an addition, for one input; comparisons and normalisation are not counted."""


def describe(spec: ConvNetSpec, size: Sequence[int]) -> list[Row]:
    """The rows of the network of `spec` for one input of spatial `size`; nothing is computed, only shapes run through.

    The parameters add up to those of the network, multiply-adds to those of one forward pass (a training step takes
    about three times as many).
    """
    with torch.device("meta"):
        net = ConvNet(spec).eval()
        x = torch.empty(1, spec.channels, *size)
        extras = torch.empty(1, spec.extras) if spec.extras else None
    rows: list[Row] = []
    names = {module: name for name, module in net.named_modules() if not any(module.children())}

    def note(module: nn.Module, given: tuple[Any, ...], out: Any) -> None:
        result: Tensor = out[0] if isinstance(out, tuple) else out
        shape = tuple(result.shape[1:])
        if names[module].startswith("head."):  # along time: channels last there, first in a table
            shape = shape[::-1]
        rows.append(
            Row(
                names[module],
                _kind(module),
                shape,
                sum(p.numel() for p in module.parameters()),
                _multiply_adds(module, given[0], result),
            )
        )

    silent = (nn.Identity, nn.Dropout, nn.Sequential)  # of a stage without layers of its own
    handles = [m.register_forward_hook(note) for m in names if not isinstance(m, silent)]
    try:
        with torch.no_grad():
            net(x, "logits" if spec.classes else "encoding", extras=extras)
    finally:
        for handle in handles:
            handle.remove()
    if spec.head == "transformer":
        rows = _with_attention(rows, spec.widths[-1])
    return rows


def table(rows: Sequence[Row]) -> str:
    """The rows as a text table, with the sums below."""
    head = ("layer", "", "output", "parameters", "multiply-adds")
    cells = [
        (r.name, r.kind, " × ".join(map(str, r.output)), _count(r.parameters), _count(r.multiply_adds)) for r in rows
    ]
    total = ("total", "", "", f"{sum(r.parameters for r in rows):,}", f"{sum(r.multiply_adds for r in rows):,}")
    lines = [head, *cells, total]
    widths = [max(len(line[i]) for line in lines) for i in range(5)]

    def text(line: tuple[str, ...]) -> str:
        left = [part.ljust(width) for part, width in zip(line[:3], widths[:3], strict=True)]
        return "  ".join([*left, *(part.rjust(width) for part, width in zip(line[3:], widths[3:], strict=True))])

    rule = "─" * (sum(widths) + 8)
    return "\n".join([text(head), rule, *map(text, cells), rule, text(total)])


def _count(number: int) -> str:
    return f"{number:,}" if number else "·"


def _kind(module: nn.Module) -> str:
    if isinstance(module, _CONVOLUTIONS):
        lengths = "×".join(map(str, module.kernel_size))
        step = max(module.stride)
        return f"{module.out_channels} filters of {lengths}" + (f", step {step}" if step > 1 else "")
    if isinstance(module, nn.MaxPool1d | nn.MaxPool2d | nn.MaxPool3d):
        return f"max of {module.kernel_size}, step {module.stride}"
    if isinstance(module, nn.GroupNorm):
        return f"norm of {module.num_groups} group{'s' if module.num_groups > 1 else ''}"
    names = {
        "ReLU": "ReLU",
        "Linear": "linear",
        "GRU": "GRU, both ways",
        "LayerNorm": "norm",
        "_Centre": "middle position, and mean",
    }
    return names.get(type(module).__name__, "mean over positions")


def _multiply_adds(module: nn.Module, given: Tensor, out: Tensor) -> int:
    if isinstance(module, _CONVOLUTIONS):
        return out.numel() * module.in_channels * math.prod(module.kernel_size)
    if isinstance(module, nn.Linear):
        return out.numel() * module.in_features
    if isinstance(module, nn.GRU):  # three gates, each from the input and from the last state
        directions = 2 if module.bidirectional else 1
        steps = given.shape[1]
        return 3 * directions * steps * module.hidden_size * (module.input_size + module.hidden_size)
    return 0


def _with_attention(rows: list[Row], width: int) -> list[Row]:
    """The row of what has no weights: L² scores of `width` products, and as many to mix the values by them."""
    place = next(i for i, row in enumerate(rows) if row.name == "head.mixed")
    length = rows[place].output[-1]
    row = Row("head.attention", f"{length} × {length} places", (width, length), 0, 2 * length * length * width)
    return [*rows[: place + 1], row, *rows[place + 1 :]]
