"""A training that ends in figures: several seeds, folds or ways of mining, each judged beside what needs no network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from mien.errors import DataError, MissingExtra, OptionError, WeightsError
from mien.training import baselines, evaluate, own
from mien.training.augment import Augmentation
from mien.training.data import Array, in_memory
from mien.training.describe import Row, describe
from mien.training.distributed import current
from mien.training.evaluate import Classification, OneShot, Verification
from mien.training.features import load_extractor
from mien.training.judging import outputs
from mien.training.networks import prepared, spec_of
from mien.training.options import TrainOptions
from mien.training.progress import Progress
from mien.training.recipes import RECIPES, traditional
from mien.training.splits import RecipeData, Split, leaking
from mien.training.train import Trained, fitted_loader, train

Report = Verification | OneShot | Classification
Told = Callable[[str, Progress], bool | None]
"""Called with the name of the run and its progress; true stops."""

# On ORL the best of relu3_1, relu4_1 and relu5_1 as it is; and each picture takes a tenth of a second.
_PROBE, _PROBED = "relu5_1", 1500

FLATTERING = "at random, patients ignored"


@dataclass(frozen=True, eq=False)
class Run:
    """One training, and what its network makes of the test part."""

    variant: str
    """What differs from the other variants: the mining; empty where there is one."""
    seed: int
    split: Split
    trained: Trained
    test: Array
    """Encodings (N, D) or logits (N, K)."""

    @property
    def name(self) -> str:
        """For folders and messages."""
        return _name(self.variant, self.seed, self.split if "fold" in self.split.name else None)


@dataclass(frozen=True, eq=False)
class Judged:
    """One seed of one variant (all folds of it together)."""

    variant: str
    seed: int
    reports: tuple[Report, ...]


@dataclass(frozen=True, eq=False)
class Study:
    """Everything a report needs."""

    made: RecipeData
    options: TrainOptions
    runs: tuple[Run, ...]
    judged: tuple[Judged, ...]
    baselines: tuple[traditional.Baseline, ...] = ()
    flattering: Classification | None = None
    """The same network on a split that cuts patients apart: a warning, not a result."""
    layers: tuple[Row, ...] = ()
    notes: tuple[str, ...] = ()
    head: Mapping[str, Any] = field(default_factory=dict)
    """The pair head's calibration, if one was fitted."""

    @property
    def best(self) -> Run:
        """The run whose network was best on its validation part."""
        return max(self.runs, key=lambda run: run.trained.measure.rank if run.trained.measure else (-np.inf,))

    @property
    def variants(self) -> tuple[str, ...]:
        """In the order in which they ran."""
        return tuple(dict.fromkeys(run.variant for run in self.runs))

    def figures(self, variant: str) -> dict[str, tuple[float, float]]:
        """Mean and deviation over the seeds of every figure of a variant."""
        each = [figures(judged.reports) for judged in self.judged if judged.variant == variant]
        return {name: evaluate.spread([one[name] for one in each]) for name in (each[0] if each else {})}


def study(
    made: RecipeData,
    options: TrainOptions,
    *,
    out: Path,
    seeds: int = 1,
    mining: Sequence[str] = (),
    resume: bool = False,
    told: Told | None = None,
    augmentation: Augmentation | None = None,
    template: tuple[tuple[float, float], ...] | None = None,
    plain: bool = True,
) -> Study | None:
    """Train and judge; None where `told` asked to stop: the same with `resume` goes on from there.

    Args:
        made: data and protocol.
        options: of every run, but for the seed (which counts up) and the mining.
        out: each run has a folder of its own below it.
        seeds: how many.
        mining: ways of mining to compare; the options' own where empty.
        resume: go on with what is in `out`.
        told: called after every step.
        augmentation: instead of the usual one.
        template: for the record of encoders of faces.
        plain: also judge what needs no network.
    """
    check_task(made, options)
    seen = replace(made, dataset=prepared(made.dataset, options))
    ways = [("", options)] if not mining else [(how, replace(options, mining=how)) for how in mining]
    splits = made.protocol.splits if made.protocol.pooled else made.protocol.splits[:1]
    runs: list[Run] = []
    plan = [(way, o, seed, s) for way, o in ways for seed in range(options.seed, options.seed + seeds) for s in splits]
    if made.protocol.pooled and made.name == "ecg":
        plan.append((FLATTERING, options, options.seed, leaking(len(made.dataset), seed=options.seed)))
    settled = {"resume": resume, "augmentation": augmentation, "template": template}
    for way, o, seed, split in plan:
        name = _name(way, seed, split if len(splits) > 1 and way != FLATTERING else None)
        run = _run(seen, way, replace(o, seed=seed), split, out / name.replace(" ", "-"), name, told, settled)
        if run.trained.ended == "interrupted":
            return None
        runs.append(run)
    usual = [run for run in runs if run.variant != FLATTERING]
    warned = next((run for run in runs if run.variant == FLATTERING), None)
    if not current().leads:
        return Study(seen, options, tuple(usual), ())
    spec = spec_of(options, seen.dataset)
    return Study(
        seen,
        options,
        tuple(usual),
        tuple(_judged(made, usual, options)),
        _baselines(replace(made, dataset=in_memory(made.dataset)), options) if plain else (),
        None if warned is None else _pooled(made, [warned]),
        tuple(describe(spec, usual[0].trained.record.size or ())),
        tuple(dict.fromkeys(note for run in runs for note in run.trained.notes)),
    )


def check_task(made: RecipeData, options: TrainOptions) -> None:
    """Refuse a task that the protocol cannot judge. OptionError."""
    classes = made.protocol.task == "classification"
    if options.task != "simclr" and classes != (options.task == "classify"):
        fix = "classify" if classes else "triplet, contrastive or pair"
        raise OptionError(
            f"Expected the task {fix} for {made.name}, which is judged by {made.protocol.task}, got {options.task}; "
            f"use --task {fix.partition(',')[0]}."
        )


def figures(reports: Sequence[Report]) -> dict[str, float]:
    """The figures of a table, by name; all are shares of 1."""
    found: dict[str, float] = {}
    for report in reports:
        if isinstance(report, Verification):
            found["EER"] = report.eer
            found |= {f"TAR at FMR {100 * at.fmr:g} %": at.tar for at in report.operating}
            found["recall@1"] = report.recall
        elif isinstance(report, OneShot):
            found[report.protocol.partition(" (")[0]] = report.accuracy
        else:
            found["macro-F1"] = report.macro_f1
            found["accuracy"] = report.accuracy
            names = zip(report.classes, report.sensitivity, strict=True)
            found |= {f"sensitivity {name}": float(value) for name, value in names if len(report.classes) <= 8}
    return found


def _name(variant: str, seed: int, split: Split | None) -> str:
    if variant == FLATTERING:
        return "flattering"
    parts = [variant, f"seed {seed}", split.name.partition(" of ")[0] if split is not None else ""]
    return " ".join(part for part in parts if part)


def _run(
    made: RecipeData,
    way: str,
    options: TrainOptions,
    split: Split,
    folder: Path,
    name: str,
    told: Told | None,
    settled: Mapping[str, Any],
) -> Run:
    callback = None if told is None else (lambda progress: told(name, progress))
    trained = train(made, options, out=folder, split=split, callback=callback, **settled)
    if trained.ended == "interrupted" or not current().leads:
        return Run(way, options.seed, split, trained, np.empty((0, 0), np.float32))
    loader = fitted_loader(trained, made.dataset, options)
    kind = "logits" if options.task == "classify" else "encoding"
    return Run(way, options.seed, split, trained, outputs(trained.net, loader, split.test, kind))  # type: ignore[arg-type]


def _judged(made: RecipeData, runs: Sequence[Run], options: TrainOptions) -> list[Judged]:
    found: list[Judged] = []
    for variant, seed in dict.fromkeys((run.variant, run.seed) for run in runs):
        own_runs = [run for run in runs if (run.variant, run.seed) == (variant, seed)]
        split, encodings = own_runs[0].split, own_runs[0].test
        reports: tuple[Report, ...] = ()
        if len(split.test) == 0 or (options.task == "simclr" and made.protocol.task == "classification"):
            pass  # learnt without labels: there is nothing to judge
        elif made.protocol.task == "verification":
            reports = (evaluate.verify(encodings, made.dataset.labels[split.test]),)
        elif made.protocol.task == "one-shot":
            reports = tuple(evaluate.one_shot(encodings, t) for t in traditional.trials(made, split))
        else:
            reports = (_pooled(made, own_runs),)
        found.append(Judged(variant, seed, reports))
    return found


def _pooled(made: RecipeData, runs: Sequence[Run]) -> Classification:
    true = np.concatenate([made.dataset.labels[run.split.test] for run in runs])
    said = np.concatenate([run.test.argmax(1) for run in runs])
    return evaluate.classify(true, said, made.dataset.classes, averaged=made.protocol.classes)


def _baselines(made: RecipeData, options: TrainOptions) -> tuple[traditional.Baseline, ...]:
    """What needs no training: the methods without a network, and VGG-19 as it is."""
    if len(made.protocol.splits[0].test) == 0 or options.task == "simclr":
        return ()
    return (*_traditional(made), *_on_vgg(made))


def _on_vgg(made: RecipeData) -> tuple[traditional.Baseline, ...]:
    """A probe of frozen VGG-19: its activations averaged, compared as they are or by a logistic regression."""
    data, split = made.dataset, made.protocol.splits[0]
    fits = data.kind == "image" and min(data.shape or (0,)) >= 32 and data.channels in (1, 3)
    classes = made.protocol.task == "classification"
    seen = np.arange(len(data)) if classes else split.test
    if not fits or made.protocol.task == "one-shot" or len(seen) > _PROBED:
        return ()
    try:
        probe = load_extractor("vgg19", layer=_PROBE)
    except WeightsError:
        return ()
    rows = np.stack([probe.encode(data[int(i)], None) for i in seen])
    name = f"frozen VGG-19 {_PROBE}, averaged"
    if classes:
        return (traditional.Baseline(f"{name} + logistic", traditional.classified(made, rows, splits=(split,))),)
    return (traditional.Baseline(name, evaluate.verify(baselines.unit(rows), data.labels[split.test])),)


def _traditional(made: RecipeData) -> tuple[traditional.Baseline, ...]:
    split = made.protocol.splits[0]
    try:
        if made.name in RECIPES:
            return traditional.judged(made)
        if made.protocol.task == "classification":
            found = own.plain_features(made.dataset)
            return tuple(
                traditional.Baseline(name, traditional.classified(made, values, splits=(split,)))
                for name, values in found.items()
            )
        pictures = made.dataset.kind == "image" and min(made.dataset.shape or (0,)) >= 16
        rows = traditional.encodings(made, split) if pictures else own.plain_encodings(made.dataset, split)
        labels = made.dataset.labels[split.test]
        return tuple(traditional.Baseline(name, evaluate.verify(e, labels)) for name, e in rows.items())
    except (MissingExtra, DataError):
        return ()
