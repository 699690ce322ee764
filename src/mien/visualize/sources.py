"""The data to look at: a folder of pictures, or an NPZ or NPY file of pictures, signals or volumes, read one by one."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien import images
from mien.errors import DataError, ImageError, OptionError
from mien.visualize.subjects import Subject

PICTURE_SIZE = 224
"""Pixels a side of a picture where the network says nothing: what VGG was trained with."""

_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)  # Rec. 709, as in training
_KEPT = 256 * 2**20  # bytes of inputs that are kept, so that a picture is decoded once and not once a layer
_AXES = ("(N, C, L)", "(N, C, H, W)", "(N, C, D, H, W)")


class Source:
    """Inputs by index. A picture that cannot be read is noted in `unreadable` and passed over by `pairs`.

    Attributes:
        names: of the inputs, as a person finds them again.
        labels: one each, or none at all.
        rate: samples a second of signals, where that is known.
        stored: whether values are pixels, kept as uint8 and given out in [0, 1].
    """

    def __init__(
        self,
        names: Sequence[str],
        read: Callable[[int], NDArray[Any]],
        *,
        labels: Sequence[str] = (),
        rate: float | None = None,
    ) -> None:
        self.names, self.labels, self.rate = tuple(names), tuple(labels), rate
        self.unreadable: dict[int, str] = {}
        self._read = read
        self._kept: OrderedDict[int, NDArray[Any]] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self.names)

    def values(self, index: int) -> NDArray[Any]:
        """One input (C, *spatial): uint8 for pixels, else float32. Raises what reading it raises."""
        if index in self._kept:
            self._kept.move_to_end(index)
            return self._kept[index]
        values = self._read(index)
        self._kept[index] = values
        self._bytes += values.nbytes
        while self._bytes > _KEPT and len(self._kept) > 1:
            self._bytes -= self._kept.popitem(last=False)[1].nbytes
        return values

    def load(self, index: int) -> Tensor:
        """One input (C, *spatial) float32; pictures in [0, 1]."""
        values = self.values(index)
        tensor = torch.from_numpy(np.ascontiguousarray(values))
        return tensor.float().div_(255) if values.dtype == np.uint8 else tensor.clone()

    def pairs(self, *, stopped: Callable[[], bool] = lambda: False) -> Iterator[tuple[int, Tensor]]:
        """Every input with its index, as far as it can be read, until `stopped` says so."""
        for index in range(len(self)):
            if stopped():
                return
            try:
                yield index, self.load(index)
            except ImageError as error:
                self.unreadable[index] = str(error)

    def first(self) -> Tensor:
        """The first input that can be read (1, C, *spatial)."""
        for _, x in self.pairs():
            return x.unsqueeze(0)
        why = next(iter(self.unreadable.values()), "there are none")
        raise ImageError(f"Expected pictures that can be read, but of {len(self):,} none can: {why}")


def open_source(data: str | Path, subject: Subject, *, size: int | None = None) -> Source:
    """The data at a path, made to fit the network.

    Args:
        data: a folder of pictures (labels are the names of its sub-folders), a picture, or an .npz or .npy file of
            arrays (N, C, L), (N, C, H, W) or (N, C, D, H, W); an .npz has `x`, and may have labels `y`, `names` and
            a `rate` in Hz.
        subject: the network.
        size: the side in pixels of the squares that pictures become; by default what the network was trained with.

    Raises:
        ImageError: there are no pictures.
        DataError: the arrays cannot be read, or do not fit the network.
    """
    path = Path(data)
    if path.suffix.lower() in (".npz", ".npy") and path.is_file():
        return _from_arrays(path, subject)
    if not path.exists():
        raise DataError(
            f"Expected a folder of pictures or an .npz or .npy file, but there is no “{data}”; check the name."
        )
    if subject.dims != 2:
        raise DataError(
            f"Expected an .npz or .npy file with an array x {_AXES[subject.dims - 1]} for {subject.name}, a network of "
            f"{subject.dims} {'dimension' if subject.dims == 1 else 'dimensions'}, got “{data}”."
        )
    return _from_pictures(path, subject, size=size)


# ---- pictures --------------------------------------------------------------------------------------------------------


def _from_pictures(path: Path, subject: Subject, *, size: int | None) -> Source:
    if subject.channels not in (1, 3):
        raise DataError(
            f"Expected an .npz with an array x (N, {subject.channels}, H, W) for {subject.name}, which takes "
            f"{subject.channels} channels, got pictures, which have 1 or 3."
        )
    if size is not None and size < 1:
        raise OptionError(f"Expected a size of at least 1 pixel, got {size}.")
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if _is_picture(p, path))
    if not files:
        raise ImageError(
            f"Expected pictures in the folder “{path}” or its sub-folders, found none; give a folder that has some."
        )
    root = path.parent if path.is_file() else path
    inside = [file.relative_to(root) for file in files]
    labels = [part.parts[0] if len(part.parts) > 1 else "" for part in inside]
    # A network that was trained on one size saw pictures resized to it; others get the middle square.
    trained = subject.size if size is None else None
    shape = trained or (size or PICTURE_SIZE,) * 2

    def read(index: int) -> NDArray[np.uint8]:
        pixels = images.load(files[index]).pixels
        square = pixels if trained else _middle(pixels)
        fitted = images.resize(square, shape[1], shape[0])
        if subject.channels == 1:
            return np.rint(fitted @ _LUMA).astype(np.uint8)[None]
        return np.ascontiguousarray(fitted.transpose(2, 0, 1))

    return Source([part.as_posix() for part in inside], read, labels=labels if any(labels) else ())


def _is_picture(path: Path, root: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
    return path.suffix.lower() in images.ENDINGS and not hidden and path.is_file()


def _middle(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return np.ascontiguousarray(pixels[top : top + side, left : left + side])


# ---- arrays ----------------------------------------------------------------------------------------------------------


def _from_arrays(path: Path, subject: Subject) -> Source:
    held = _opened(path)
    x = _arranged(held["x"], subject, path)
    count = len(x)
    for name in ("y", "names"):
        if name in held and len(held[name]) != count:
            raise DataError(f"Expected {count} {name} in “{path}”, one for each of x, got {len(held[name])}.")
    names = [str(name) for name in held["names"]] if "names" in held else [f"{path.stem} {i}" for i in range(count)]
    labels = [_class(label, subject.classes) for label in held["y"].tolist()] if "y" in held else []
    rate = float(np.ravel(held["rate"])[0]) if "rate" in held else subject.rate

    def read(index: int) -> NDArray[Any]:
        values = x[index]
        if values.dtype == np.uint8:
            return np.ascontiguousarray(values)
        if not np.isfinite(values).all():
            raise DataError(
                f"Expected finite numbers in “{path}”, but {names[index]} has NaN or infinity; leave it out."
            )
        return np.ascontiguousarray(values, np.float32)

    return Source(names, read, labels=labels, rate=rate)


def _opened(path: Path) -> dict[str, NDArray[Any]]:
    try:
        found = np.load(path, allow_pickle=False)
        held = {"x": found} if isinstance(found, np.ndarray) else {name: found[name] for name in found.files}
    except (OSError, ValueError, EOFError) as error:
        raise DataError(
            f"Expected arrays in “{path}”, but it cannot be read ({error}); write it with numpy.savez(x=…)."
        ) from error
    if "x" not in held:
        raise DataError(f"Expected an array x in “{path}”, got {', '.join(held) or 'nothing'}; name the data x.")
    return held


def _arranged(x: NDArray[Any], subject: Subject, path: Path) -> NDArray[Any]:
    """As (N, C, *spatial), one axis added where a single channel was left out, channels last moved to the front."""
    axes = subject.dims + 2
    if x.ndim == axes - 1 and subject.channels == 1:
        x = x[:, None]
    if x.ndim == axes and x.shape[1] != subject.channels and x.shape[-1] == subject.channels:
        x = np.moveaxis(x, -1, 1)
    if x.ndim != axes or x.shape[1] != subject.channels or not np.issubdtype(x.dtype, np.number):
        raise DataError(
            f"Expected numbers {_AXES[subject.dims - 1]} with C = {subject.channels} as x in “{path}”, as "
            f"{subject.name} takes them, got {x.dtype} {x.shape}."
        )
    if not len(x):
        raise DataError(f"Expected at least one example in “{path}”, got none.")
    return x


def _class(label: Any, classes: Sequence[str]) -> str:
    return classes[label] if isinstance(label, int) and 0 <= label < len(classes) else str(label)
