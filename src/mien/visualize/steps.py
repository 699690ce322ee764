"""How the deconvnet works, step by step: what comes down after each layer is undone.

It answers an open question of a text that mien follows: how does a "deconvnet" find what in the input led to an
activation? Zeiler & Fergus 2014: set all other activations of the layer to zero, then unpool, rectify and filter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from mien import images
from mien.backbones.features import Backbone
from mien.errors import OptionError
from mien.visualize import drawing
from mien.visualize.networks import activations
from mien.visualize.receptive_field import Box, receptive_fields
from mien.visualize.rules import Method, ReluRule, check_method
from mien.visualize.top_patches import crop

Pixels = NDArray[np.uint8]

_WORDS = {"relu": "rectify", "pool": "unpool", "conv": "filter"}


@dataclass(frozen=True)
class Step:
    """What came down to one place.

    Attributes:
        did: `start`, `unpool`, `rectify` or `filter`.
        layer: the layer that this undid; the unit's own layer at the start.
        signal: float32 (C, *spatial), as the layer's input; for the last step the pixels.
        box: the unit's window on this map.
    """

    did: str
    layer: str
    signal: Tensor
    box: Box


def steps_down(
    net: Backbone, image: Tensor, *, layer: str, unit: int, position: Sequence[int], method: Method = "deconvnet"
) -> list[Step]:
    """One unit's activation on its way down to the pixels, after each layer.

    Args:
        net: a VGG, whose layers follow one another.
        image: (C, H, W).
        layer: the layer.
        unit: the channel.
        position: on the layer's map.
        method: as for `project`.
    """
    check_method(method, net)
    layers = net.layers[: net.layers.index(layer) + 1] if layer in net.layers else net.layers
    fields = receptive_fields(net, image.unsqueeze(0), layers)
    field = fields[layer]
    with torch.inference_mode(False), torch.enable_grad():
        leaf = image.detach().unsqueeze(0).clone().requires_grad_()
        with ReluRule(method):
            taps = activations(net, leaf, layers)
        value = taps[layer][(0, unit, *position)]
        below = [leaf, *(taps[name] for name in layers[:-1])]
        signals = torch.autograd.grad(value, below, value.detach(), allow_unused=True)
    if any(signal is None for signal in signals):
        raise OptionError(f"Expected a network whose layers follow one another, like a VGG, got {net.name}.")
    start = torch.zeros_like(taps[layer][0])
    start[(unit, *position)] = value.detach()
    box = tuple(axis.span(p) for axis, p in zip(field.axes, position, strict=True))
    found = [Step("start", layer, start.float(), tuple((p, p + 1) for p in position))]
    for number in range(len(layers) - 1, -1, -1):
        axes = fields[layers[number - 1]].axes if number else ()
        strides = [axis.stride for axis in axes] or [1] * len(box)
        part = tuple((a // s, -(-b // s)) for (a, b), s in zip(box, strides, strict=True))
        did = _WORDS.get(layers[number][:4], "undo")
        found.append(Step(did, layers[number], signals[number][0].float(), part))
    return found


def draw_steps(image: Tensor, steps: Sequence[Step], *, cell: int = 150, columns: int = 5) -> Pixels:
    """The steps in one picture, each on the unit's window, the patch itself first.

    Orange is positive and blue negative, summed over the channels; the last step is in the pixels' own colours.
    """
    box = steps[-1].box
    parts = [("1  the patch", drawing.draw_patch(images.to_uint8(image.numpy()), box))]
    for number, step in enumerate(steps, 2):
        what = f"{number}  {step.did} {step.layer}" if step.did != "start" else f"{number}  one unit of {step.layer}"
        last = number == len(steps) + 1
        drawn = drawing.draw_projection(_cut(step.signal, step.box)) if last else _both_signs(step, steps[0])
        parts.append((what, drawn))
    font, line, gap = ImageFont.load_default(13), 22, 12
    rows = -(-len(parts) // columns)
    size = (columns * (cell + gap) + gap, rows * (cell + line + gap) + gap)
    sheet = Image.new("RGB", size, drawing.PAPER)
    draw = ImageDraw.Draw(sheet)
    for i, (label, pixels) in enumerate(parts):
        x, y = gap + i % columns * (cell + gap), gap + i // columns * (cell + line + gap)
        draw.text((x, y + 2), label, drawing.INK, font=font)
        sheet.paste(Image.fromarray(pixels).resize((cell, cell), Image.Resampling.NEAREST), (x, y + line))
        draw.rectangle((x - 1, y + line - 1, x + cell, y + line + cell), outline=drawing.FAINT)
    return np.asarray(sheet)


def _cut(signal: Tensor, box: Box) -> Tensor:
    return crop(signal, box, fill=0)


def _both_signs(step: Step, start: Step) -> Pixels:
    """A map as paper with orange and blue ink, the square root of how much there is."""
    box = step.box if step is not start else tuple((a - 2, b + 2) for a, b in step.box)
    seen = _cut(step.signal, box)
    parts = [seen.clamp(min=0).sum(0).numpy(), (-seen).clamp(min=0).sum(0).numpy()]
    peak = max(float(part.max()) for part in parts) or 1.0
    ink = np.full((*parts[0].shape, 3), drawing.PAPER, np.float64)
    for part, colour in zip(parts, (drawing.ACCENT, (38, 84, 190)), strict=True):
        share = np.sqrt(part / peak)[..., None]
        ink -= share * (np.array(drawing.PAPER) - np.array(colour))
    return images.to_uint8(np.clip(ink / 255, 0, 1))
