"""The recipes: what each one's data are, and how its network is trained unless one says otherwise.

Each module's `load` gives the same `RecipeData`, real where it is found, a stand-in elsewhere.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.errors import OptionError
from mien.training.options import TrainOptions

if TYPE_CHECKING:
    from mien.training.augment import Augmentation
    from mien.training.splits import RecipeData


@dataclass(frozen=True)
class Recipe:
    """A recipe's place and its settings."""

    name: str
    sentence: str
    """For the list that the command line shows."""
    module: str
    options: TrainOptions
    changes: Mapping[str, Any] = field(default_factory=dict)
    """The `Augmentation`'s fields, where the usual one of the data's kind does not suit."""
    template: tuple[tuple[float, float], ...] | None = None
    """Faces: where eyes, nose and corners of the mouth lie on average, as x, y in pixels of `size`."""
    size: tuple[int, int] | None = None
    """Height and width of the pictures that the template is for."""

    def load(self, folder: str | Path | None = None) -> RecipeData:
        """The data, from `folder`, from where they are found, or a stand-in."""
        made: RecipeData = importlib.import_module(self.module).load(folder)
        return made

    @property
    def augmentation(self) -> Augmentation | None:
        """None for the usual one."""
        from mien.training.augment import Augmentation

        return Augmentation(**self.changes) if self.changes else None


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            "faces",
            "ORL: 30 people to learn from, 10 unseen to verify",
            "mien.training.recipes.orl",
            TrainOptions(
                task="triplet",
                # Hard triplets from the first step on pull ORL's few people into one point.
                mining="semi-hard",
                identities=12,
                items=4,
                epochs=50,
                patience=25,
                widths=(16, 32, 64, 96),
                stride=2,
                cells=3,
                dropout=0.2,
            ),
            # Measured with YuNet on every third photo of ORL; the photos differ from it by 4 to 9 pixels.
            template=((28.0, 51.8), (60.9, 52.2), (44.0, 70.9), (30.2, 85.1), (58.2, 85.5)),
            size=(112, 92),
        ),
        Recipe(
            "omniglot",
            "one-shot: characters of alphabets nobody has seen",
            "mien.training.recipes.omniglot",
            TrainOptions(
                task="triplet",
                # Hard triplets from the first step on pull all characters into one point.
                mining="semi-hard",
                identities=32,
                items=4,
                epochs=7,
                patience=0,
                widths=(32, 64, 96),
                cells=3,
                kernel=3,
            ),
            {"shift": 0.06, "zoom": 0.12, "rotate": 10, "shear": 0.15},
        ),
        Recipe(
            "ecg",
            "MIT-BIH heartbeats in four classes, by patient",
            "mien.training.recipes.ecg",
            TrainOptions(
                task="classify",
                batch=256,
                epochs=6,
                patience=3,
                widths=(16, 32, 32),
                kernel=7,
                stride=2,
                dropout=0.3,
                balance=0.5,
                encoding=64,
            ),
        ),
        Recipe(
            "sensor",
            "BasicMotions: what somebody with a smart watch does",
            "mien.training.recipes.sensor",
            TrainOptions(
                task="classify",
                batch=16,
                epochs=60,
                patience=30,
                widths=(32, 64, 64),
                kernel=7,
                dropout=0.2,
                encoding=64,
            ),
        ),
        Recipe(
            "volume",
            "the tissue at the centre of 28³ patches of a brain template",
            "mien.training.recipes.volume",
            TrainOptions(
                task="classify",
                batch=32,
                epochs=5,
                patience=0,
                widths=(16,),
                # Filters of one voxel: how tissues lie beside each other at the back says little about the front. With
                # filters of three voxels, 0.92 in front where the middle voxel alone has 0.96.
                kernel=1,
                stride=2,
                # A norm over the patch would take away its brightness, which says most about the tissue.
                norm="none",
                # The label is that of the middle voxel; beside it stands the mean of all.
                head="centre",
                encoding=32,
                rate=3e-3,
            ),
            # A shift by a voxel, or mirroring an even number of them, would put another voxel in the middle.
            {"gain": 0.02, "offset": 0.02, "noise": 0.03},
        ),
        Recipe(
            "liveness",
            "living faces and simulated attacks, from mien faces attacks",
            "mien.training.recipes.liveness",
            TrainOptions(
                task="classify",
                batch=64,
                epochs=14,
                patience=0,
                widths=(16, 32, 48, 64),
                stride=2,
                cells=3,
                encoding=64,
                dropout=0.2,
                rate=2e-3,
            ),
        ),
    )
}


def recipe(name: str) -> Recipe:
    """The recipe of that name; OptionError with the nearest one for another."""
    if name not in RECIPES:
        near = difflib.get_close_matches(name, RECIPES, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise OptionError(f"Expected a recipe ({', '.join(RECIPES)}), got {name!r}.{hint}")
    return RECIPES[name]
