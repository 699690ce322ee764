"""What is painted from, at any scale: the photo, the styles and the regions as tensors, and the finishing touches."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien import images
from mien.style import colour, masks
from mien.style.inputs import Inputs, on_white
from mien.style.objective import StylePicture
from mien.style.options import StyleOptions
from mien.style.pyramid import Level

# A style picture thinner than this at some scale is scaled up to it: a texture needs room to repeat in.
_THINNEST = 16


class Canvas:
    """Gives the pictures of a painting at each scale; what the scales share is prepared once."""

    def __init__(self, inputs: Inputs, options: StyleOptions) -> None:
        self.inputs, self.options = inputs, options
        longest = round(options.size * options.style_scale)
        self._styles = [_small(on_white(style.picture).pixels, longest) for style in inputs.styles]
        self._photo = None if inputs.content is None else inputs.content.picture.pixels
        if self._photo is not None and options.colour != "style":
            reference = _unit(_small(self._photo, 512))  # enough for statistics of colour
            self._styles = [
                images.to_uint8(colour.prepare_style(_unit(pixels), reference, mode=options.colour))
                for pixels in self._styles
            ]

    @property
    def notes(self) -> tuple[str, ...]:
        """What is done to masks that are not of their picture's size, as sentences."""
        if not self.inputs.masks or self._photo is None:
            return ()
        height, width = self._photo.shape[:2]
        return masks.regions(self.inputs.masks, height=height, width=width).notes

    @property
    def size(self) -> tuple[int, int]:
        """Width and height whose ratio the painting has: the photo's, or a texture's style's."""
        if self._photo is not None:
            return self._photo.shape[1], self._photo.shape[0]
        height, width = self._styles[0].shape[:2]
        return width, height

    def content(self, level: Level) -> Tensor:
        """The photo (1, 3, H, W) at a scale, without its colours where they are put back later; mid-grey if none."""
        if self._photo is None:
            return torch.full((1, 3, level.height, level.width), 0.5, device=self.options.device)
        pixels = images.resize(self._photo, level.width, level.height)
        if self.options.colour == "luminance":
            pixels = images.to_uint8(colour.grey(_unit(pixels)))
        return images.to_tensor(pixels).to(self.options.device)

    def styles(self, level: Level) -> list[StylePicture]:
        """The styles at a scale: their long side is the painting's times the style scale, whatever their ratio."""
        weights = self.options.style_weights or (1.0,) * len(self._styles)
        made = []
        for i, (pixels, weight) in enumerate(zip(self._styles, weights, strict=True)):
            width, height = images.fit(
                pixels.shape[1], pixels.shape[0], max(_THINNEST, round(level.size * self.options.style_scale))
            )
            if min(width, height) < _THINNEST:
                width, height = max(width, _THINNEST), max(height, _THINNEST)
            mask = None
            if self.inputs.style_masks:
                fitted = masks.regions([self.inputs.style_masks[i]], height=height, width=width)
                mask = torch.from_numpy(fitted.masks)[:, None].to(self.options.device)
            made.append(StylePicture(self._tensor(pixels, width, height), weight=weight, mask=mask))
        return made

    def regions(self, level: Level) -> masks.Regions | None:
        """Where the styles go, at a scale; None: everywhere."""
        if not self.inputs.masks:
            return None
        return masks.regions(self.inputs.masks, height=level.height, width=level.width)

    def start(self, level: Level) -> Tensor:
        """The picture to begin with: the photo, noise, noise in the style's colours, or a picture of the user's."""
        if self.options.start == "content":
            return self.content(level)
        if self.inputs.start is not None:
            return self._tensor(on_white(self.inputs.start.picture).pixels, level.width, level.height)
        generator = torch.Generator().manual_seed(self.options.seed)
        noise = torch.randn(1, 3, level.height, level.width, generator=generator)
        if self.options.start == "noise":
            return (0.5 + 0.15 * noise).clamp(0, 1).to(self.options.device)
        return self._in_style_colours(noise).to(self.options.device)

    def _in_style_colours(self, noise: Tensor) -> Tensor:
        """Noise with the first style's mean colour and covariance."""
        colours = torch.from_numpy(_unit(_small(self._styles[0], 512))).reshape(-1, 3)
        values, vectors = torch.linalg.eigh(colours.T.cov())
        root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
        mixed = torch.einsum("ij,bjhw->bihw", root, noise) + colours.mean(0).view(1, 3, 1, 1)
        return mixed.clamp(0, 1)

    def finish(self, painted: NDArray[np.float32], level: Level) -> NDArray[np.float32]:
        """The painted pixels (H, W, 3) in the chosen colours, and the photo where no mask lets the paint."""
        if self._photo is None:
            return painted
        photo = _unit(images.resize(self._photo, level.width, level.height))
        coloured: NDArray[np.floating[Any]] = colour.finish(painted, photo, mode=self.options.colour)
        where = self.regions(level)
        if where is not None:
            coloured = masks.composite(coloured, photo, where.coverage)
        return coloured.astype(np.float32)

    def alpha(self, level: Level) -> NDArray[np.uint8] | None:
        """The photo's transparency at a scale."""
        if self.inputs.content is None or self.inputs.content.picture.alpha is None:
            return None
        resized: NDArray[np.uint8] = images.resize(self.inputs.content.picture.alpha, level.width, level.height)
        return resized

    def _tensor(self, pixels: NDArray[np.uint8], width: int, height: int) -> Tensor:
        return images.to_tensor(images.resize(pixels, width, height)).to(self.options.device)


def _unit(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = np.divide(pixels, 255, dtype=np.float32)
    return unit


def _small(pixels: NDArray[np.uint8], long_side: int) -> NDArray[np.uint8]:
    """The picture with at most this long side."""
    height, width = pixels.shape[:2]
    if max(height, width) <= long_side:
        return pixels
    resized: NDArray[np.uint8] = images.resize(pixels, *images.fit(width, height, long_side))
    return resized
