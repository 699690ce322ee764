"""A recipe's data judged by what needs no network, under the same protocol and the very same trials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mien.training import baselines, evaluate
from mien.training.data import Array, Indices, stacked
from mien.training.evaluate import Classification, OneShot, OneShotTrials, Verification
from mien.training.recipes.ecg import RR
from mien.training.splits import RecipeData, Split

_COMPONENTS = 100
_ACROSS = 4000  # runs of one query: known to 0.4 %, where 400 know it to 1.3 %
# PCA of more rows takes longer and finds the same directions.
_ROWS = 3000


@dataclass(frozen=True, eq=False)
class Baseline:
    """One way without a network, and how good it is."""

    name: str
    report: Verification | OneShot | Classification


def judged(made: RecipeData, *, split: int = 0) -> tuple[Baseline, ...]:
    """Every baseline that fits the recipe; classifiers on folds are pooled, the others judged on the split named."""
    chosen = made.protocol.splits[split]
    if made.protocol.task == "classification":
        splits = made.protocol.splits if made.protocol.pooled else (chosen,)
        return tuple(Baseline(name, classified(made, values, splits=splits)) for name, values in features(made).items())
    rows = encodings(made, chosen)
    if made.protocol.task == "verification":
        people = made.dataset.groups[chosen.test]
        return tuple(Baseline(name, evaluate.verify(encoded, people)) for name, encoded in rows.items())
    both = trials(made, chosen)
    return tuple(Baseline(name, evaluate.one_shot(rows[name], t)) for t in both for name in rows)


def trials(made: RecipeData, split: Split, *, seed: int = 0) -> tuple[OneShotTrials, OneShotTrials]:
    """One-shot trials within an alphabet and across, over the test part: places count from its first example."""
    unseen = made.dataset.subset(split.test)
    labels = [example.label for example in unseen.examples]
    # Lake et al. have 20 runs in all, 400 queries; 20 an alphabet know the same accuracy to a third of the error.
    runs = 20 * len(set(unseen.groups.tolist()))
    within = evaluate.within_alphabet(labels, unseen.groups, unseen.mark("drawer"), runs=runs, seed=seed)
    return within, evaluate.across(labels, runs=_ACROSS, seed=seed)


def encodings(made: RecipeData, split: Split) -> dict[str, Array]:
    """Encodings (N, D) of the test part's pictures, fitted on all that may be learnt from."""
    learnt = split.learnt[:: max(1, len(split.learnt) // _ROWS)]
    unseen = stacked(made.dataset, split.test)
    pca = baselines.fit_pca(baselines.pixels(stacked(made.dataset, learnt)), components=_COMPONENTS)
    projected = pca.encode(baselines.pixels(unseen))
    cell = max(4, min(unseen.shape[2:]) // 4 if min(unseen.shape[2:]) < 64 else 8)
    return {
        "pixels": baselines.pixels(unseen),
        f"pixels + PCA ({len(pca.directions)} eigenfaces)": projected,
        "pixels + PCA, unit length": baselines.unit(projected),
        "HOG": baselines.hog(unseen, cell=cell),
        "LBP": baselines.lbp(unseen, cell=2 * cell),
    }


def features(made: RecipeData) -> dict[str, Array]:
    """What a logistic regression is given, (N, F) for every example: by the recipe's kind."""
    data = made.dataset
    values = stacked(data)
    if data.kind == "volume":
        centre, statistics = baselines.centre_voxel(values), baselines.intensity_statistics(values)
        return {
            "centre voxel": centre,
            "intensity statistics": statistics,
            "centre voxel and intensity statistics": np.concatenate([centre, statistics], axis=1),
        }
    # Channels beyond the second are differences from the usual beat: they belong to the shape, not to the wavelets.
    waves = baselines.haar(values[:, :2] if made.name == "ecg" else values)
    if made.name != "ecg" or data.extras is None:
        return {"wavelets": waves}
    rhythm = data.extras[:, : len(RR)]
    found = {"RR intervals": rhythm, "RR intervals and wavelets": np.concatenate([rhythm, waves], axis=1)}
    if data.extras.shape[1] > len(RR):
        found["RR intervals and difference from the usual beat"] = data.extras
    return found


def classified(
    made: RecipeData, values: Array, *, splits: tuple[Split, ...], settings: Mapping[str, float] | None = None
) -> Classification:
    """A logistic regression on `values` (N, F), learnt and judged split by split, all judged beats together."""
    data = made.dataset
    labels = data.labels
    # Half-way between counting beats and counting classes: measured as the best of 0, 1/2 and 1 for heartbeats.
    how = {"l2": 1e-3, "balance": 0.5, **(settings or {})}
    true: list[Indices] = []
    said: list[Indices] = []
    for split in splits:
        model = baselines.fit_logistic(values[split.learnt], labels[split.learnt], classes=len(data.classes), **how)
        true.append(labels[split.test])
        said.append(model.predict(values[split.test]))
    return evaluate.classify(np.concatenate(true), np.concatenate(said), data.classes, averaged=made.protocol.classes)
