"""What goes into a painting: the photo, the styles and the masks, loaded, named and hashed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien import images
from mien.errors import OptionError
from mien.images import Picture
from mien.style.options import StyleOptions

# Built-in patterns are drawn at this size, then scaled like any picture.
PATTERN_SIZE = 1024

Source = Any  # a path, bytes, file object, Pillow image, uint8 array, or "@pattern"


@dataclass(frozen=True, eq=False)
class Input:
    """One picture with the name it was given by and the hash of its pixels."""

    name: str
    picture: Picture

    @property
    def sha256(self) -> str:
        """Of the pixels (and alpha), so that it holds for arrays as well as for files."""
        digest = hashlib.sha256(repr(self.picture.pixels.shape).encode())
        digest.update(self.picture.pixels.tobytes())
        if self.picture.alpha is not None:
            digest.update(self.picture.alpha.tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class Inputs:
    """Everything a painting is made from."""

    content: Input | None  # None: texture alone
    styles: tuple[Input, ...]
    masks: tuple[NDArray[np.float32], ...] = ()
    style_masks: tuple[NDArray[np.float32], ...] = ()
    mask_names: tuple[str, ...] = ()
    style_mask_names: tuple[str, ...] = ()
    start: Input | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What had to be decided while loading, as sentences."""
        named = [i for i in (self.content, *self.styles, self.start) if i is not None]
        return tuple(f"{i.name}: {note}" for i in named for note in i.picture.notes)

    def identity(self) -> dict[str, Any]:
        """Names and hashes, for the settings kept in the painting and for the check on resuming."""
        found: dict[str, Any] = {"styles": [_identity(style) for style in self.styles]}
        if self.content is not None:
            found["content"] = _identity(self.content)
        if self.start is not None:
            found["start"] = _identity(self.start)
        for key, names, masks in (
            ("masks", self.mask_names, self.masks),
            ("style_masks", self.style_mask_names, self.style_masks),
        ):
            if masks:
                found[key] = [
                    {"name": name, "sha256": hashlib.sha256(mask.tobytes()).hexdigest()}
                    for name, mask in zip(names, masks, strict=True)
                ]
        return found


def _identity(item: Input) -> dict[str, str]:
    return {"name": item.name, "sha256": item.sha256}


def gather(
    content: Source | None,
    styles: Source | Sequence[Source],
    *,
    options: StyleOptions,
    masks: Sequence[Source] = (),
    style_masks: Sequence[Source] = (),
) -> Inputs:
    """Load everything and check that the numbers of pictures fit each other."""
    sources = list(styles) if isinstance(styles, list | tuple) else [styles]
    if not sources:
        raise OptionError("Expected at least one style picture or @pattern, got none.")
    for name, given, allowed in (
        ("masks", masks, {0, 1, len(sources)}),
        ("style masks", style_masks, {0, len(sources)}),
        ("style weights", options.style_weights or (), {0, len(sources)}),
    ):
        if len(given) not in allowed:
            wanted = " or ".join(str(n) for n in sorted(allowed - {0}))
            raise OptionError(f"Expected {wanted} {name} for {len(sources)} style(s), got {len(given)}.")
    if content is None and not options.texture:
        raise OptionError("Expected a photo, got none; for the style's texture alone set texture.")
    if options.texture and masks:
        raise OptionError("Expected no masks with a texture: there is no photo whose regions they could be.")
    started = options.start not in ("content", "noise", "style")
    return Inputs(
        content=None if content is None or options.texture else read(content),
        styles=tuple(read(source, seed=options.seed) for source in sources),
        masks=tuple(images.load_mask(mask) for mask in masks),
        style_masks=tuple(images.load_mask(mask) for mask in style_masks),
        mask_names=tuple(_name(mask) for mask in masks),
        style_mask_names=tuple(_name(mask) for mask in style_masks),
        start=read(options.start) if started else None,
    )


def read(source: Source, *, seed: int = 0) -> Input:
    """One picture: a `@pattern` is drawn, anything else loaded. A style's transparency is laid on white."""
    if isinstance(source, str) and source.startswith("@"):
        from mien.style import patterns  # here, because only a pattern should wait for what draws it

        pixels = patterns.draw(source[1:], PATTERN_SIZE, seed=seed)
        return Input(source, Picture(pixels=pixels, alpha=None, icc=None, notes=()))
    return Input(_name(source), images.load(source))


def on_white(picture: Picture) -> Picture:
    """The picture without transparency, its see-through parts on white."""
    if picture.alpha is None:
        return picture
    alpha = picture.alpha[:, :, None].astype(np.float32) / 255
    pixels = images.to_uint8((picture.pixels.astype(np.float32) * alpha / 255) + (1 - alpha))
    return replace(picture, pixels=pixels, alpha=None)


def _name(source: Source) -> str:
    if isinstance(source, str | Path):
        return str(source)
    return str(getattr(source, "name", None) or type(source).__name__)
