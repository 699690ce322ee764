"""The photos and styles that are painted: those in $MIEN_DATA/pictures, and some that may be shown to everyone."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from mien import images
from mien.style import patterns

SUFFIXES = {".jpg", ".jpeg", ".png"}
SHOWN = (("coffee", "night"), ("chelsea", "mosaic"), ("astronaut", "waves"))  # photos of scikit-image, @patterns
SIZES = (256, 512)


@dataclass(frozen=True)
class Pair:
    """A photo and a style picture, both files, so that every tool reads the same bytes."""

    content: Path
    style: Path
    public: bool
    """Whether the pictures may enter the repository."""
    sizes: tuple[int, ...] = SIZES

    @property
    def name(self) -> str:
        return f"{self.content.stem} × {self.style.stem}"

    @property
    def slug(self) -> str:
        return f"{self.content.stem}-{self.style.stem}"

    @property
    def digest(self) -> str:
        """Of both files' bytes: a finished picture of a rival holds as long as this does."""
        both = hashlib.sha256(self.content.read_bytes()).digest() + hashlib.sha256(self.style.read_bytes()).digest()
        return hashlib.sha256(both).hexdigest()[:10]


def found(folder: Path) -> list[Pair]:
    """Every pair, the quickest to show first; pictures that are drawn or come from a package are put into `folder`."""
    data = os.environ.get("MIEN_DATA")
    if not data:
        return [_public(folder, photo, pattern) for photo, pattern in SHOWN]
    pictures = Path(data) / "pictures"
    every = [
        Pair(content, style, public=False)
        for content in _files(pictures / "content")
        for style in sorted(_files(pictures / "style"), key=lambda path: ("starry" not in path.stem, path.stem))
    ]
    return [*every[:1], _public(folder, *SHOWN[0], sizes=(256,)), *every[1:]]


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)


def _public(folder: Path, photo: str, pattern: str, *, sizes: tuple[int, ...] = SIZES) -> Pair:
    return Pair(photo_file(folder, photo), pattern_file(folder, pattern), public=True, sizes=sizes)


def photo_file(folder: Path, name: str) -> Path:
    """A photo that scikit-image's wheel carries, as a PNG file."""
    from skimage import data

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.png"
    Image.fromarray(getattr(data, name)()).save(path)
    return path


def pattern_file(folder: Path, name: str) -> Path:
    """A built-in style picture, drawn anew (it may have changed), as a PNG file."""
    return images.save(folder / f"{name}.png", patterns.draw(name, 512), force=True)
