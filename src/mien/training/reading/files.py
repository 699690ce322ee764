"""What a file is, told by its name, and how it is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mien import images
from mien.errors import DataError, OptionError
from mien.training.data import Array, Kind, check_finite
from mien.training.reading import pictures, signals, video, volumes

_ENDINGS: dict[str, Kind] = {
    **dict.fromkeys(images.ENDINGS, "image"),
    **dict.fromkeys((".wav", ".hea"), "signal"),
    **dict.fromkeys((".nii", ".nii.gz"), "volume"),
    **dict.fromkeys(video.ENDINGS, "clip"),
}
_DICOM = (".dcm", ".dicom", ".ima")
_BY_AXES: dict[int, Kind] = {1: "signal", 2: "signal", 3: "image", 4: "volume"}
# Rates and spacings are written with a few digits.
_SAME = 1e-3


@dataclass(frozen=True)
class Reading:
    """How files are read; what is None is left as each file has it."""

    size: tuple[int, int] | None = None
    """Height and width of pictures and clips."""
    grey: bool = False
    """Pictures in one channel instead of three."""
    frames: int = 16
    """Pictures of a clip."""
    spacing: tuple[float, float, float] | None = None
    """Millimetres (D, H, W) of volumes that do not say it themselves."""

    def __post_init__(self) -> None:
        if self.size is not None and min(self.size) < 1:
            raise OptionError(f"Expected a size of at least 1 × 1 pixel, but got {self.size}; give a larger one.")
        if self.frames < 1:
            raise OptionError(f"Expected at least 1 picture of a clip, but got frames={self.frames}; give more.")
        if self.spacing is not None and not all(np.isfinite(s) and s > 0 for s in self.spacing):
            raise OptionError(f"Expected a spacing above 0 mm, but got {self.spacing}; give (depth, height, width).")


@dataclass(frozen=True, eq=False)
class Content:
    """What one file holds."""

    kind: Kind
    values: Array
    """(C, *spatial)."""
    rate: float | None = None
    spacing: tuple[float, ...] | None = None


def ending(path: Path) -> str:
    """The file's ending in small letters; .nii.gz is one."""
    name = path.name.lower()
    return ".nii.gz" if name.endswith(".nii.gz") else path.suffix.lower()


def kind_of(path: Path) -> Kind | None:
    """The kind of a file, or of a folder that holds a DICOM series; None for anything else. An .npz is opened."""
    if path.is_dir():
        return "volume" if any(p.suffix.lower() in _DICOM for p in path.iterdir()) else None
    if ending(path) == ".npz":
        return read(path, Reading()).kind
    return _ENDINGS.get(ending(path))


def is_readable(path: Path) -> bool:
    """Whether `read` knows what to do with it, told by the name alone."""
    return ending(path) in _ENDINGS or ending(path) == ".npz" or (path.is_dir() and kind_of(path) is not None)


def read(path: Path, how: Reading) -> Content:
    """One file (or DICOM folder). Raises ImageError or DataError, naming it, for anything that cannot be used."""
    if not path.exists() and not path.with_suffix(".hea").exists():
        raise DataError(f"Expected a file at “{path}”, but there is none; correct its path in the list.")
    content = _content(path, how)
    check_finite(content.values, f"“{path}”")
    return content


def check_alike(content: Content, first: Content, path: Path, first_path: str) -> None:
    """Raise DataError where two files differ in kind, channels, rate or spacing."""
    if content.kind != first.kind:
        raise DataError(
            f"Expected one kind of file, but “{path}” is a {content.kind} and {first_path} a {first.kind}; "
            "train on one kind at a time."
        )
    if len(content.values) != len(first.values):
        raise DataError(
            f"Expected the same channels in every file, but “{path}” has {len(content.values)} and {first_path} "
            f"{len(first.values)}; keep those that all have."
        )
    if content.kind == "signal" and not _same(content.rate, first.rate):
        raise DataError(
            f"Expected one rate, but “{path}” has {content.rate or 0:g} Hz and {first_path} {first.rate or 0:g} Hz; "
            "resample them to one rate."
        )
    if content.kind == "volume" and not all(
        _same(a, b) for a, b in zip(content.spacing or (), first.spacing or (), strict=False)
    ):
        raise DataError(
            f"Expected one spacing, but “{path}” has {content.spacing} mm and {first_path} {first.spacing} mm; "
            "resample the volumes to one grid."
        )


def _content(path: Path, how: Reading) -> Content:
    name = ending(path)
    if path.is_dir():
        scan = volumes.read_dicom(path, spacing=how.spacing)
        return Content("volume", scan.values, spacing=scan.spacing)
    if name in (".nii", ".nii.gz"):
        scan = volumes.read_nifti(path, spacing=how.spacing)
        return Content("volume", scan.values, spacing=scan.spacing)
    if name == ".wav":
        sound = signals.read_wav(path)
        return Content("signal", sound.values, rate=sound.rate)
    if name == ".npz":
        return _one_array(path, how)
    if name in video.ENDINGS:
        clip = video.read_clip(path, frames=how.frames, size=how.size)
        return Content("clip", clip.values, rate=clip.rate)
    if name in images.ENDINGS:
        return Content("image", pictures.read_picture(path, size=how.size, grey=how.grey))
    if name in (".hea", ".dat") or path.with_suffix(".hea").exists():
        record = signals.read_wfdb(path)
        return Content("signal", record.values, rate=record.rate)
    known = ", ".join(sorted({*_ENDINGS, ".npz", *_DICOM}))
    raise DataError(f"Expected a file that ends in one of {known}, but got “{path}”; convert it or leave it out.")


def _one_array(path: Path, how: Reading) -> Content:
    """An .npz with one example `x` (L,), (C, L), (C, H, W) or (C, D, H, W), and its `rate` or `spacing`."""
    with open_npz(path) as file:
        if "x" not in file.files:
            raise DataError(f"Expected an array x in “{path}”, but it holds {', '.join(file.files) or 'nothing'}.")
        x = file["x"]
        rate = float(file["rate"]) if "rate" in file.files else None
        spacing = tuple(float(s) for s in file["spacing"]) if "spacing" in file.files else how.spacing
    if x.ndim not in _BY_AXES or x.dtype.kind not in "uifb":
        raise DataError(
            f"Expected x in “{path}” as numbers (L,), (C, L), (C, H, W) or (C, D, H, W), but got {x.dtype} {x.shape}."
        )
    kind = _BY_AXES[x.ndim]
    if kind == "volume" and spacing is None:
        raise volumes.no_spacing(path)
    values = x.astype(np.float32) / np.float32(255) if x.dtype == np.uint8 else x.astype(np.float32)
    return Content(kind, values if x.ndim > 1 else values[None], rate=rate, spacing=spacing)


def open_npz(path: Path) -> np.lib.npyio.NpzFile:
    """An .npz, opened without pickle (which could run code). Raises DataError."""
    try:
        opened = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(
            f"Expected an NPZ file in “{path}”, but it cannot be read: {error}; write it with numpy.savez."
        ) from error
    if not isinstance(opened, np.lib.npyio.NpzFile):
        raise DataError(f"Expected an NPZ file in “{path}”, but it is a single array; write it with numpy.savez(x=…).")
    return opened


def _same(one: float | None, other: float | None) -> bool:
    return one == other or (one is not None and other is not None and abs(one - other) <= _SAME * abs(other))
