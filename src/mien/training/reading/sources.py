"""Where the files are and what they are called: a folder per person, a table of paths and labels, an NPZ."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError
from mien.training.data import Array, Dataset, Example, Kind, from_arrays, more, natural
from mien.training.reading import files, volumes
from mien.training.reading.files import Reading

_BY_AXES: dict[int, Kind] = {2: "signal", 3: "signal", 4: "image", 5: "volume"}


def open_data(source: str | Path, *, how: Reading | None = None, kind: Kind | None = None) -> Dataset:
    """A folder with one folder per label, a .csv of paths and labels, or an .npz of arrays. Raises DataError.

    kind: only for an .npz whose axes do not tell (such as uint8 (N, H, W): grey pictures).
    """
    path, how = Path(source), how or Reading()
    if path.is_dir():
        return from_folder(path, how=how)
    if not path.is_file():
        raise DataError(
            f"Expected a folder, a .csv or an .npz to learn from, but there is no “{path}”; check the path."
        )
    if path.suffix.lower() == ".csv":
        return from_csv(path, how=how)
    if path.suffix.lower() == ".npz":
        return from_npz(path, kind=kind, spacing=how.spacing)
    raise DataError(
        f"Expected a folder with one folder per label, a .csv of paths and labels, or an .npz, but got “{path}”; "
        "put the files into folders named after their labels."
    )


def from_folder(folder: str | Path, *, how: Reading | None = None, labelled: bool = True) -> Dataset:
    """Every file below `folder/LABEL/`; the label is the group. A folder of .dcm slices is one volume.

    labelled: False takes every file below the folder, all with one empty label (for pre-training).
    Raises DataError for files beside the label folders, for several kinds, and where nothing is found.
    """
    root = Path(folder)
    labels = [p for p in sorted(root.iterdir(), key=lambda p: natural(p.name)) if p.is_dir() and _visible(p)]
    loose = [p for p in sorted(root.iterdir()) if p.is_file() and _visible(p) and files.is_readable(p)]
    if labelled and loose:
        raise DataError(
            f"Expected one folder per label (person) in “{root}”, but {loose[0].name}{more([str(p) for p in loose])} "
            "lies beside them without a label; move it into a folder named after its label."
        )
    skipped: list[str] = []
    found: list[tuple[Path, Example]] = []
    for start in labels if labelled else [root]:
        label = start.name if labelled else ""
        found += [(path, Example(str(path), label, label or path.stem)) for path in _below(start, skipped)]
    empty = [p.name for p in labels if p.name not in {example.label for _, example in found}]
    if not found or (labelled and empty):
        where = f"“{root / empty[0]}”" if labelled and empty and found else f"“{root}”"
        raise DataError(
            f"Expected pictures, sound, records, scans or clips in {where}, but there are none that can be read; "
            "add files or remove the folder."
        )
    data = _lazy(found, how or Reading())
    if skipped:
        data = replace(data, notes=(*data.notes, f"Left out as no data: {skipped[0]}{more(skipped)}."))
    return data


def from_csv(table: str | Path, *, how: Reading | None = None) -> Dataset:
    """A table with the columns path and label, perhaps group; other columns become marks.

    Paths count from the table's folder. Raises DataError naming the row that lacks something.
    """
    path = Path(table)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = [name.strip() for name in reader.fieldnames or ()]
            rows = [{str(k).strip(): str(v or "").strip() for k, v in row.items()} for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"Expected a table in “{path}”, but it cannot be read: {error}; save it as UTF-8.") from error
    lacking = {"path", "label"} - set(columns)
    if lacking:
        raise DataError(
            f"Expected the columns path and label in “{path}”, but its first line has {', '.join(columns) or 'nothing'}"
            f"; add {' and '.join(sorted(lacking))}."
        )
    found = []
    for number, row in enumerate(rows, start=2):
        for column in ("path", "label"):
            if not row.get(column):
                raise DataError(f"Expected a {column} in line {number} of “{path}”, but it is empty; add it.")
        target = path.parent / row["path"]
        if not target.exists() and not target.with_suffix(".hea").exists():
            raise DataError(
                f"Expected the file of line {number} of “{path}” at “{target}”, but it is not there; correct the path."
            )
        marks = {k: v for k, v in row.items() if k not in ("path", "label", "group")}
        found.append((target, Example(str(target), row["label"], row.get("group") or row["label"], marks)))
    if not found:
        raise DataError(f"Expected rows below the first line of “{path}”, but there are none; add path,label rows.")
    return _lazy(found, how or Reading())


def from_npz(
    path: str | Path, *, kind: Kind | None = None, spacing: tuple[float, float, float] | None = None
) -> Dataset:
    """Arrays x (N, ...) with labels y (N,), perhaps group (N,), rate, spacing and extras (N, E). Raises DataError.

    x is (N, L) or (N, C, L) for signals, (N, C, H, W) for images (uint8 also (N, H, W, 3)), (N, C, D, H, W) for
    volumes; `kind` says which where one channel is left out: grey images (N, H, W), volumes (N, D, H, W).
    """
    source = Path(path)
    with files.open_npz(source) as file:
        try:
            arrays = {name: file[name] for name in file.files}
        except ValueError as error:
            raise DataError(
                f"Expected plain arrays in “{source}”, but {error}; save labels as strings or numbers, not as objects."
            ) from error
    for name, what in (("x", "the examples"), ("y", "their labels")):
        if name not in arrays:
            raise DataError(
                f"Expected {what} as {name} in “{source}”, but it holds {', '.join(arrays) or 'nothing'}; "
                "write it with numpy.savez(x=…, y=…)."
            )
    x = arrays["x"]
    if x.ndim not in _BY_AXES or x.dtype.kind not in "uifb":
        raise DataError(f"Expected x in “{source}” as numbers (N, C, *spatial), but got {x.dtype} {x.shape}.")
    found = kind or ("image" if x.ndim == 3 and x.dtype == np.uint8 else _BY_AXES[x.ndim])
    measured = tuple(float(s) for s in arrays["spacing"]) if "spacing" in arrays else spacing
    if found == "volume" and measured is None:
        raise volumes.no_spacing(source)
    return from_arrays(
        _with_channels(x, found),
        [str(label) for label in arrays["y"]],
        kind=found,
        groups=[str(group) for group in arrays["group"]] if "group" in arrays else None,
        source=str(source),
        rate=float(arrays["rate"]) if "rate" in arrays else None,
        spacing=measured,
        extras=arrays.get("extras"),
    )


@dataclass(frozen=True, eq=False)
class _FromFiles:
    paths: tuple[Path, ...]
    how: Reading
    first: files.Content

    def __call__(self, index: int) -> Array:
        content = files.read(self.paths[index], self.how)
        files.check_alike(content, self.first, self.paths[index], f"“{self.paths[0]}”")
        return content.values


def _lazy(found: list[tuple[Path, Example]], how: Reading) -> Dataset:
    """A dataset that reads its files when asked; the first is read now, to know what they are."""
    paths = tuple(path for path, _ in found)
    kinds = Counter(kind for path in paths if (kind := _kind_by_name(path)))
    if len(kinds) > 1:
        rarest = min(kinds, key=lambda k: kinds[k])
        odd = next(path for path in paths if _kind_by_name(path) == rarest)
        raise DataError(
            f"Expected one kind of file, but there are {', '.join(f'{n} {k}s' for k, n in kinds.most_common())}, such "
            f"as “{odd}”; train on one kind at a time."
        )
    first = files.read(paths[0], how)
    return Dataset(
        first.kind,
        tuple(example for _, example in found),
        _FromFiles(paths, how, first),
        channels=len(first.values),
        rate=first.rate,
        spacing=first.spacing,
    )


def _kind_by_name(path: Path) -> Kind | None:
    """None for an .npz: opening each one only to count would read everything twice."""
    return None if files.ending(path) == ".npz" else files.kind_of(path)


def _below(folder: Path, skipped: list[str]) -> list[Path]:
    """Everything readable below a folder, in natural order; a folder of DICOM slices is one thing."""
    if files.kind_of(folder) is not None:
        return [folder]
    found: list[Path] = []
    for path in sorted(folder.iterdir(), key=lambda p: natural(p.name)):
        if not _visible(path):
            continue
        if path.is_dir():
            found += _below(path, skipped)
        elif files.is_readable(path):
            found.append(path)
        elif path.suffix not in (".dat", ".atr"):
            skipped.append(str(path))
    return found


def _visible(path: Path) -> bool:
    return not path.name.startswith((".", "__")) and path.name.lower() not in ("thumbs.db", "desktop.ini")


def _with_channels(x: NDArray[Any], kind: Kind) -> NDArray[Any]:
    if kind == "image" and x.ndim == 4 and x.dtype == np.uint8 and x.shape[-1] in (1, 3) and x.shape[1] not in (1, 3):
        return x.transpose(0, 3, 1, 2)
    short = {"signal": 2, "image": 3, "volume": 4, "clip": 4}[kind]
    return x[:, None] if x.ndim == short else x
