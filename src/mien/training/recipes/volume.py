"""`volume`: which tissue lies at the centre of 28³ patches of a brain template; learnt at the back, judged in front."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError
from mien.training.data import Array, Dataset, Example
from mien.training.reading.volumes import Spacing, read_nifti
from mien.training.recipes import standins
from mien.training.recipes.places import find_folder, installed
from mien.training.splits import Protocol, RecipeData, Split, check_no_leak, of_groups

SIDE = 28
GAP = 28
TISSUES = ("fluid", "grey", "white")
_FILES = tuple(f"mni_icbm152_{what}_tal_nlin_sym_09a_converted.nii.gz" for what in ("t1", "gm", "wm"))
_DERIVED = (
    "The labels are derived, not drawn by hand: grey or white where that tissue's probability map is above one half, "
    "fluid where both together are below it inside the brain."
)
_MNI = (
    "The ICBM 152 template, symmetric 2009a, 1 mm (Fonov et al. 2009, 2011), from {where}: an average of 152 brains, "
    "left and right exactly alike, so only patches centred in one half are taken."
)
_STAND_IN = (
    "STAND-IN: this brain is made by a generator (a folded ball of fluid, grey and white), because the MNI template "
    "was not found; install nilearn (its wheel carries it), or give the folder of its files (--data). The figures say "
    "nothing about brains."
)


@dataclass(frozen=True, eq=False)
class Template:
    """A scan and the tissue of each voxel."""

    intensity: NDArray[np.float32]
    """(D, H, W): D upwards, H forwards, W to the right; 0 to 1."""
    tissue: NDArray[np.int8]
    """(D, H, W): a place in `TISSUES`, -1 outside the brain."""
    spacing: Spacing


def load(folder: str | Path | None = None, *, per_class: int = 3000, seed: int = 0) -> RecipeData:
    """Patches (1, 28, 28, 28) in [0, 1], at most `per_class` of each tissue in each part; cut when asked for.

    folder: with the three mni_icbm152_*.nii.gz files; else they are looked for in the installed package nilearn.
    seed: of which patches are taken.
    """
    found = _find(folder)
    template = standins.brain(seed=seed) if found is None else _read(found[0])
    corners, examples = _patches(template, per_class, seed)
    data = Dataset(
        "volume",
        tuple(examples),
        _Patches(template.intensity, corners),
        channels=1,
        shape=(SIDE, SIDE, SIDE),
        spacing=template.spacing,
    )
    first = _STAND_IN if found is None else _MNI.format(where=found[1])
    return RecipeData("volume", data, _protocol(data), (first, _DERIVED), found is None)


def tissues(intensity: NDArray[np.float32], grey: NDArray[np.float32], white: NDArray[np.float32]) -> NDArray[np.int8]:
    """The tissue of each voxel from two probability maps in [0, 1]; -1 where the intensity is 0 or neither is clear."""
    tissue = np.full(intensity.shape, -1, np.int8)
    tissue[(intensity > 0) & (grey + white < 0.5)] = 0
    tissue[grey > 0.5] = 1
    tissue[white > 0.5] = 2
    return tissue


@dataclass(frozen=True, eq=False)
class _Patches:
    intensity: NDArray[np.float32]
    corners: NDArray[np.int64]

    def __call__(self, index: int) -> Array:
        d, h, w = self.corners[index]
        return np.ascontiguousarray(self.intensity[None, d : d + SIDE, h : h + SIDE, w : w + SIDE])


def _find(folder: str | Path | None) -> tuple[tuple[Path, Path, Path], str] | None:
    given = find_folder(folder, "mni_template")
    if given is not None:
        missing = [name for name in _FILES if not (given / name).is_file()]
        if missing:
            raise DataError(f"Expected {missing[0]} in “{given}”, but it is not there; copy it from nilearn's data.")
        return (given / _FILES[0], given / _FILES[1], given / _FILES[2]), str(given)
    paths = [installed("nilearn", name) for name in _FILES]
    if paths[0] is None or paths[1] is None or paths[2] is None:
        return None
    return (paths[0], paths[1], paths[2]), "the package nilearn"


def _read(paths: tuple[Path, Path, Path]) -> Template:
    scans = [read_nifti(path) for path in paths]
    intensity, grey, white = (scan.values[0] / np.float32(255) for scan in scans)
    return Template(intensity, tissues(intensity, grey, white), scans[0].spacing)


def _patches(template: Template, per_class: int, seed: int) -> tuple[NDArray[np.int64], list[Example]]:
    """Corners (N, 3) and examples: per part and tissue a seeded choice of centres whose patch lies within the part."""
    random = np.random.default_rng(seed)
    depth, height, width = template.intensity.shape
    middle, third = height // 2, depth // 3
    # The part of each patch in (D, H); the back is cut level, so that what stops the training overlaps nothing either.
    back, front = (0, middle - GAP // 2), (middle + GAP - GAP // 2, height)
    rooms = {
        "back, bottom": ((0, third), back),
        "back, middle": ((third, 2 * third), back),
        "back, top": ((2 * third, depth), back),
        "front": ((0, depth), front),
    }
    half = SIDE // 2
    corners, examples = [], []
    for part, ((low, high), (rear, fore)) in rooms.items():
        room = np.full_like(template.tissue, -1)
        inside = np.s_[low + half : high - half + 1, rear + half : fore - half + 1, half : width // 2]
        room[inside] = template.tissue[inside]
        for number, name in enumerate(TISSUES):
            centres = np.argwhere(room == number)
            chosen = random.permutation(len(centres))[:per_class]
            for centre in centres[np.sort(chosen)]:
                corners.append(centre - half)
                examples.append(Example(f"the template at {tuple(map(int, centre))}", name, part))
    return np.array(corners, np.int64).reshape(-1, 3), examples


def _protocol(data: Dataset) -> Protocol:
    learnt, stopping, judged = ("back, bottom", "back, top"), ("back, middle",), ("front",)
    parts = [of_groups(data.groups, part) for part in (learnt, stopping, judged)]
    split = Split(parts[0], parts[1], parts[2], name="back to front")
    check_no_leak(split, data.groups)
    sentence = (
        f"Learnt from the bottom and the top of the brain's back ({len(split.train):,} patches), stopped on the middle "
        f"between them ({len(split.validation):,}), judged in front ({len(split.test):,}); between back and front lie "
        f"{GAP} voxels "
        "that no patch touches. It is one brain: what is judged is whether the rule carries over, not to other people."
    )
    return Protocol("back to front", "classification", (split,), sentence)
