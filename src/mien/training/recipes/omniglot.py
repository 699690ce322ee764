"""`omniglot`: handwritten characters of 30 alphabets, each drawn once by 20 people; 6 alphabets are held out."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Set
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from mien.errors import DataError, OptionError
from mien.training.data import Dataset, Example, from_arrays, natural, stacked
from mien.training.recipes import standins
from mien.training.recipes.places import find_folder
from mien.training.splits import Protocol, RecipeData, Split, check_no_leak, of_groups

HELD_OUT = ("Balinese", "Early_Aramaic", "Greek", "Japanese_(katakana)", "Korean", "Sanskrit")
VALIDATING = ("Anglo-Saxon_Futhorc", "Hebrew", "Latin")
_OMNIGLOT = (
    "Omniglot's background set (Lake, Salakhutdinov & Tenenbaum 2015): {characters} characters of {alphabets} "
    "alphabets, each drawn by 20 people; ink is 1, paper 0, {size} × {size} pixels."
)
_STAND_IN = (
    "STAND-IN: these characters are random strokes by a generator ({characters} characters of {alphabets} invented "
    "alphabets × 10 drawers), because Omniglot was not found; give images_background.zip (--data) or set MIEN_DATA. "
    "The figures say nothing about handwriting."
)
_TURNED = (
    "Of the alphabets that are learnt from, every character is there in four ways, turned by 0, 90, 180 and 270 "
    "degrees: four characters instead of one (Santoro et al. 2016)."
)


def load(source: str | Path | None = None, *, size: int = 28, seed: int = 0) -> RecipeData:
    """Characters (1, size, size) in [0, 1] with ink = 1; label alphabet/character, group the alphabet, mark drawer.

    source: images_background.zip or the folder it lies in; it is read as it is, not unpacked. seed: of the stand-in.
    """
    if not 8 <= size <= 105:
        raise OptionError(f"Expected a size from 8 to 105 pixels, but got {size}; 28 and 35 are usual.")
    found = find_folder(source, "omniglot")
    data = standins.characters(size=size, seed=seed) if found is None else _read(_archive(found), size)
    text = _STAND_IN if found is None else _OMNIGLOT
    alphabets = len(set(data.groups.tolist()))
    sentence = text.format(characters=len(data.classes), alphabets=alphabets, size=size)
    learnt = set(data.groups[_protocol(data).splits[0].train].tolist())
    data = _with_turned(data, learnt)
    return RecipeData("omniglot", data, _protocol(data), (sentence, _TURNED), found is None)


def _with_turned(data: Dataset, alphabets: Set[str]) -> Dataset:
    """The same, and every character of these alphabets also turned by 90, 180 and 270 degrees, as another one."""
    own = np.flatnonzero(np.isin(data.groups, sorted(alphabets)))
    rows, turned = stacked(data), [np.rot90(stacked(data, own), k, axes=(2, 3)) for k in (1, 2, 3)]
    examples = list(data.examples)
    for angle in (90, 180, 270):
        for i in own:
            example = data.examples[int(i)]
            examples.append(
                replace(example, source=f"{example.source} at {angle}°", label=f"{example.label} at {angle}°")
            )
    labels = [example.label for example in examples]
    made = from_arrays(np.concatenate([rows, *turned]), labels, kind="image", source="characters, some of them turned")
    return standins.marked(made, examples)


def _archive(place: Path) -> Path:
    path = place / "images_background.zip" if place.is_dir() else place
    if not path.is_file():
        raise DataError(f"Expected images_background.zip in “{place}”, but it is not there; put it there unpacked.")
    return path


def _read(path: Path, size: int) -> Dataset:
    """A file is …/ALPHABET/CHARACTER/NNNN_DD.png, where DD is the drawer."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = sorted((n for n in archive.namelist() if n.endswith(".png")), key=natural)
            rows = np.stack([_ink(archive.read(name), size) for name in names])
    except (OSError, zipfile.BadZipFile, ValueError) as error:
        raise DataError(
            f"Expected Omniglot's pictures in “{path}”, but it cannot be read: {error}; fetch the archive again."
        ) from error
    examples = []
    for name in names:
        *_, alphabet, character, file = name.split("/")
        drawer = Path(file).stem.split("_")[-1]
        examples.append(Example(f"{path}/{name}", f"{alphabet}/{character}", alphabet, {"drawer": drawer}))
    return standins.marked(
        from_arrays(rows[:, None], [e.label for e in examples], kind="image", source=str(path)), examples
    )


def _ink(png: bytes, size: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    # 964 × 20 tiny two-colour pictures of one known make: Pillow alone reads them in seconds.
    with Image.open(io.BytesIO(png), formats=["PNG"]) as picture:
        grey = picture.convert("L").resize((size, size), Image.Resampling.BOX)
    return np.float32(1) - np.asarray(grey, np.float32) / np.float32(255)


def _protocol(data: Dataset) -> Protocol:
    names = sorted(set(data.groups.tolist()), key=natural)
    # Of other alphabets (the stand-in's), the last third is held out and the one before it stops the training.
    third = max(len(names) // 3, 1)
    held_out = [n for n in names if n in HELD_OUT] or names[-third:]
    validating = [n for n in names if n in VALIDATING] or names[-third - 1 : -third]
    learnt = [n for n in names if n not in {*held_out, *validating}]
    parts = [of_groups(data.groups, chosen) for chosen in (learnt, validating, held_out)]
    split = Split(parts[0], parts[1], parts[2], name=f"{len(held_out)} alphabets held out")
    check_no_leak(split, data.groups)
    sentence = (
        f"{len(learnt) + len(validating)} alphabets to learn from, {len(validating)} of them to stop the training on; "
        f"held out: {', '.join(held_out)}. Within an alphabet as Lake et al. (20-way, two drawers a run, 20 "
        "queries), but with 20 runs for each alphabet, and across all held-out alphabets (20-way)."
    )
    return Protocol("alphabets held out", "one-shot", (split,), sentence)
