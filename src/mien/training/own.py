"""One's own examples as a recipe: who is learnt from, who is judged, and what would be done without a network."""

from __future__ import annotations

import numpy as np

from mien.errors import DataError
from mien.training import baselines
from mien.training.data import Array, Dataset, Indices, stacked
from mien.training.options import TrainOptions
from mien.training.splits import Protocol, RecipeData, Split, by_group, check_no_leak, of_groups

_COMPONENTS = 100
_ROWS = 3000


def own_recipe(data: Dataset, options: TrainOptions, *, name: str = "own") -> RecipeData:
    """A dataset with a protocol that fits the task: identities held back, or examples where nobody says whose they are.

    Raises DataError where there are too few identities, or examples of a class, to hold some back.
    """
    if options.task == "simclr":
        protocol = _unlabelled(data, options.seed)
    elif options.task == "classify":
        protocol = _classes(data, options.seed)
    else:
        protocol = _identities(data, options.seed)
    sentence = f"{len(data):,} {data.kind}s of {len(data.classes)} labels."
    return RecipeData(name, data, protocol, (sentence, *data.notes), False)


def _identities(data: Dataset, seed: int) -> Protocol:
    groups = np.unique(data.groups)
    if len(groups) < 4:
        raise DataError(
            f"Expected at least four people (labels), two to learn from and two to judge by, but there are "
            f"{len(groups)}; add people."
        )
    random = np.random.default_rng(seed)
    order = random.permutation(groups).tolist()
    judged = max(2, round(0.25 * len(order)))
    stopping = max(2, round(0.15 * len(order)))
    if len(order) - judged - stopping < 2:
        stopping = 0
    chosen = order[:judged], order[judged : judged + stopping], order[judged + stopping :]
    test, validation, train = (of_groups(data.groups, names) for names in chosen)
    split = Split(train, validation, test, name=f"{judged} of {len(order)} unseen")
    check_no_leak(split, data.groups)
    labels = data.labels[test]
    if len(np.unique(labels)) == len(labels):
        raise DataError(
            f"Expected two examples of some label among those held back ({', '.join(chosen[0][:3])} …), but each has "
            "only one, so nothing can be verified; add more examples per person."
        )
    text = (
        f"{len(order) - judged} identities to learn from, {stopping} of them to stop the training on; the other "
        f"{judged} are seen by nothing before the test, in which every pair of their examples is compared."
    )
    return Protocol("unseen identities", "verification", (split,), text)


def _classes(data: Dataset, seed: int) -> Protocol:
    labels, groups = data.labels, data.groups
    owned = any(len(np.unique(labels[groups == group])) > 1 for group in np.unique(groups))
    if owned or len(np.unique(groups)) > len(np.unique(labels)):
        split = by_group(groups, labels, seed=seed)
        text = "70 % of the groups to learn from, 15 % to stop the training on, 15 % to be judged by; no group is cut."
        return Protocol("between groups", "classification", (split,), text)
    split = _of_each_class(labels, seed)
    text = (
        "70 % of each class to learn from, 15 % to stop the training on, 15 % to be judged by. Nothing says whose the "
        "examples are, so the same person may be on both sides, which flatters; the column group of a CSV prevents it."
    )
    return Protocol("at random within classes", "classification", (split,), text)


def _of_each_class(labels: Indices, seed: int) -> Split:
    random = np.random.default_rng(seed)
    parts: tuple[list[Indices], ...] = ([], [], [])
    for label in np.unique(labels):
        inside = random.permutation(np.flatnonzero(labels == label))
        if len(inside) < 3:
            raise DataError(
                f"Expected at least three examples of every class, one for each part, but one has {len(inside)}; add "
                "more, or leave that class out."
            )
        held = max(1, round(0.15 * len(inside)))
        for part, chosen in zip(parts, (inside[2 * held :], inside[:held], inside[held : 2 * held]), strict=True):
            part.append(chosen)
    train, validation, test = (np.sort(np.concatenate(part)) for part in parts)
    return Split(train, validation, test, name=f"at random within classes, seed {seed}")


def _unlabelled(data: Dataset, seed: int) -> Protocol:
    order = np.random.default_rng(seed).permutation(len(data)).astype(np.int64)
    held = max(2, len(order) // 10) if len(order) >= 8 else 0
    split = Split(np.sort(order[held:]), np.sort(order[:held]), np.empty(0, np.int64), name=f"seed {seed}")
    text = "A tenth is held back to stop the training on; labels are not used, and nothing is judged."
    return Protocol("without labels", "verification", (split,), text)


def plain_encodings(data: Dataset, split: Split) -> dict[str, Array]:
    """What encodings (N, D) of the test part would be without a network, for signals, volumes and clips."""
    learnt = split.learnt[:: max(1, len(split.learnt) // _ROWS)]
    pca = baselines.fit_pca(baselines.pixels(stacked(data, learnt)), components=_COMPONENTS)
    unseen = baselines.pixels(stacked(data, split.test))
    return {"raw values": unseen, f"raw values + PCA ({len(pca.directions)})": pca.encode(unseen)}


def plain_features(data: Dataset) -> dict[str, Array]:
    """What a logistic regression is given, (N, F), where no recipe says it."""
    values = stacked(data)
    if data.kind == "image":
        cell = max(2, min(8, min(values.shape[2:]) // 4))
        return {"HOG + logistic regression": baselines.hog(values, cell=cell)}
    if data.kind == "signal" and values.shape[-1] >= 32:
        return {"wavelets + logistic regression": baselines.haar(values)}
    if data.kind == "volume":
        return {"intensity statistics + logistic regression": baselines.intensity_statistics(values)}
    return {"mean of each channel + logistic regression": values.reshape(*values.shape[:2], -1).mean(-1)}
