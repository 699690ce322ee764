"""Neural style transfer as one function: `transfer(photo, style)` paints the photo in the style's manner."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import mien
from mien import images
from mien.style.inputs import Source, gather
from mien.style.options import StyleOptions
from mien.style.painting import Cost, Iterate, Painting, Step

__all__ = ["Cost", "Iterate", "Painting", "Result", "Step", "result", "transfer"]


@dataclass(frozen=True, eq=False)
class Result:
    """A finished painting (or the best picture of an interrupted one)."""

    pixels: NDArray[np.float32]
    """(H, W, 3) RGB in [0, 1], sRGB."""
    alpha: NDArray[np.uint8] | None
    icc: bytes | None
    before: Cost | None
    """Costs of the photo itself at the finest scale; None for a texture, or where that scale was not reached."""
    after: Cost | None
    """Costs of the painting, judged in 8 bits."""
    seconds: float
    options: StyleOptions
    history: tuple[Step, ...]
    settings: str
    """JSON from which `mien style --again` repeats the painting."""
    notes: tuple[str, ...]

    @property
    def picture(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB."""
        return images.to_uint8(self.pixels)

    def save(self, path: str | Path, *, bits: int = 8, force: bool = False) -> Path:
        """Write the painting with its transparency, its photo's colour profile and its settings."""
        return images.save(
            path, self.pixels, alpha=self.alpha, icc=self.icc, bits=bits, settings=self.settings, force=force
        )


def transfer(
    content: Source | None,
    style: Source | Sequence[Source],
    *,
    options: StyleOptions | None = None,
    callback: Callable[[Iterate], None] | None = None,
    masks: Sequence[Source] = (),
    style_masks: Sequence[Source] = (),
    **changes: Any,
) -> Result:
    """Paint `content` in the manner of `style`.

    Args:
        content: path, bytes, file object, Pillow image or uint8 array (H, W, 3); None for a texture.
        style: the same, or `"@pattern"`, or a list of these.
        options: the settings; `StyleOptions()` by default.
        callback: called with an `Iterate` after every step.
        masks: where to paint (white), one for all styles or one a style.
        style_masks: which part of each style is read, one a style.
        changes: single settings by name, over `options`: `transfer(photo, "@waves", size=384, strength=0.7)`.

    Raises:
        ImageError, OptionError, WeightsError, OutOfMemory: each says what was expected and what to do.
    """
    settings = StyleOptions.from_dict({**vars(options or StyleOptions()), **changes})
    inputs = gather(content, style, options=settings, masks=masks, style_masks=style_masks)
    painting = Painting(inputs, settings)
    for iterate in painting.run():
        if callback is not None:
            callback(iterate)
    return result(painting)


def result(painting: Painting) -> Result:
    """What the painting has come to; before its end, the best picture so far."""
    picture = None if painting.inputs.content is None else painting.inputs.content.picture
    return Result(
        pixels=painting.picture(),
        alpha=painting.canvas.alpha(painting.levels[-1]),
        icc=None if picture is None else picture.icc,
        before=painting.before,
        after=None if painting.best is None else painting.best.cost,
        seconds=painting.seconds,
        options=painting.options,
        history=tuple(painting.history),
        settings=_settings(painting),
        notes=(*painting.inputs.notes, *painting.canvas.notes),
    )


def _settings(painting: Painting) -> str:
    """What was done, exactly: the steps really taken, the precision and the number of threads included."""
    options = replace(painting.options, steps=_steps_taken(painting), seconds=None, preview=False)
    return json.dumps(
        {
            "mien": mien.__version__,
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "options": json.loads(options.to_json()),
            "finished": painting.done,
            **painting.inputs.identity(),
        },
        ensure_ascii=False,
    )


def _steps_taken(painting: Painting) -> tuple[int, ...] | None:
    return tuple(painting.taken) if painting.done else painting.options.steps
