"""`faces`: 40 people with 10 grey photos each; 30 people to learn from, 10 nobody has seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mien.errors import DataError
from mien.training.data import Dataset, in_memory
from mien.training.reading import Reading, from_folder
from mien.training.recipes import standins
from mien.training.recipes.places import find_folder
from mien.training.splits import Protocol, RecipeData, Split, check_no_leak, of_groups

_UNSEEN = 10
_VALIDATING = 5
_ORL = (
    "The ORL (AT&T) Database of Faces: 40 people, 10 photos each, 92 × 112 pixels, grey, taken at Olivetti Research "
    "1992-1994 (Samaria & Harter 1994)."
)
_STAND_IN = (
    "STAND-IN: these are no photos but face-like drawings by a generator (40 invented people × 10), because the ORL "
    "pictures were not found; give their folder (--data) or set MIEN_DATA. The figures say nothing about faces."
)


def load(folder: str | Path | None = None, *, size: tuple[int, int] | None = None, seed: int = 0) -> RecipeData:
    """Photos (1, 112, 92), or of `size`, and four splits: each holds back another ten people; the first s31 to s40.

    folder: the one with s1 ... s40. seed: of the stand-in only.
    """
    found = find_folder(folder, "orl")
    if found is None:
        data = standins.faces(size=size or (112, 92), seed=seed)
    else:
        data = in_memory(from_folder(found, how=Reading(size=size, grey=True)))
    return RecipeData("faces", data, _protocol(data), (_STAND_IN if found is None else _told(data),), found is None)


def _told(data: Dataset) -> str:
    """What the photos are, as far as their numbers can tell."""
    height, width = data[0].shape[1:]
    if (len(data.classes), len(data)) == (40, 400):
        return _ORL if (height, width) == (112, 92) else f"{_ORL} Here as {width} × {height} pixels."
    return f"{len(data)} photos of {len(data.classes)} people, {width} × {height} pixels, grey."


def _protocol(data: Dataset) -> Protocol:
    people = np.array(data.classes)
    fewest = _UNSEEN + _VALIDATING + 2
    if len(people) < fewest:
        raise DataError(
            f"Expected at least {fewest} people, {_UNSEEN} of them never seen and {_VALIDATING} to stop the training "
            f"on, but there are {len(people)}; add people, or train without the recipe: mien train --data FOLDER."
        )
    blocks = [people[i : i + _UNSEEN] for i in range(0, len(people) - _UNSEEN + 1, _UNSEEN)]
    splits = []
    for i in reversed(range(len(blocks))):
        unseen = blocks[i]
        # Those after the unseen ten, going round, stop the training.
        others = np.roll(people, -(i + 1) * _UNSEEN)[: len(people) - _UNSEEN]
        validating, learnt = others[:_VALIDATING], others[_VALIDATING:]
        parts = [of_groups(data.groups, list(names)) for names in (learnt, validating, unseen)]
        splits.append(Split(parts[0], parts[1], parts[2], name=f"{unseen[0]} to {unseen[-1]} unseen"))
        check_no_leak(splits[-1], data.groups)
    sentence = (
        f"{len(people) - _UNSEEN} people to learn from, {_VALIDATING} of them to stop the training on; the other "
        f"{_UNSEEN} are seen by nothing before the test, in which every pair of their photos is compared."
    )
    return Protocol("unseen people", "verification", tuple(splits), sentence)
