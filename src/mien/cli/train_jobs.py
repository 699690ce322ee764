"""The jobs of `mien train`: a new study, one that is gone on with, and a network's description."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from mien import images
from mien.cli.stopping import Stopping
from mien.cli.train_data import opened
from mien.cli.train_live import LivePlot
from mien.errors import OptionError, OutputError, ResumeError
from mien.training.describe import describe, table
from mien.training.distributed import current
from mien.training.export import export
from mien.training.history import check_log
from mien.training.networks import prepared, spec_of
from mien.training.options import TrainOptions
from mien.training.own import own_recipe
from mien.training.recipes import recipe
from mien.training.report import save_report, summary, to_dict
from mien.training.splits import RecipeData
from mien.training.study import check_task, study
from mien.training.train import check_data
from mien.weights import read_template

ASKED = "run.json"
READING = ("size", "grey", "frames", "spacing", "window", "hop", "kind")


@dataclass(frozen=True)
class Job:
    """What was asked for; kept in run.json, so that a resumption needs no more than the folder."""

    recipe: str | None
    data: str | None
    options: TrainOptions
    seeds: int
    mining: tuple[str, ...]
    reading: dict[str, Any]


@dataclass(frozen=True)
class Done:
    """The outcome, as it is told."""

    report: Path
    record: dict[str, Any]
    lines: list[str]
    notes: list[str]


def made(job: Job) -> RecipeData:
    """The job's data and protocol, refused here if they do not fit the task."""
    if job.recipe is not None:
        found = recipe(job.recipe).load(job.data)
    else:
        data = opened(str(job.data), {**job.reading}, labelled=job.options.task != "simclr")
        if job.options.task != "simclr":
            from mien.training.data import check_examples

            check_examples(data, pairs=job.options.encodes)
        found = own_recipe(data, job.options, name=_name(Path(str(job.data))))
    check_task(found, job.options)
    for split in found.protocol.splits[:1]:
        check_data(found.dataset, split, job.options)
    return found


def run(job: Job, out: Path, *, resume: bool, quiet: bool, plain: bool) -> Done | None:
    """Train, judge, export and report; None where it was interrupted."""
    check_log(job.options.log)
    data = made(job)
    template = _template(job, data)
    leads = current().leads
    if leads and not resume:
        _begin(job, out)
    if not quiet:
        for sentence in data.sentences:
            click.secho(sentence, fg="yellow" if data.stand_in else None, err=True)
    chosen = None if job.recipe is None else recipe(job.recipe)
    with LivePlot(quiet=quiet) as live, Stopping() as stop:

        def told(name: str, progress: Any) -> bool:
            live.show(name, progress)
            return stop.asked

        done = study(
            data,
            job.options,
            out=out,
            seeds=job.seeds,
            mining=job.mining,
            resume=resume,
            told=told,
            augmentation=None if chosen is None else chosen.augmentation,
            template=template,
            plain=plain,
        )
    if done is None:
        return None
    if not leads:
        return Done(out, {}, [], [])
    exported = export(done, out)
    report = save_report(done, exported, out)
    return Done(report, to_dict(done, exported), summary(done), [*done.notes, *exported.notes])


def _name(path: Path) -> str:
    """What an encoder of these data is called: their name, in the characters that a record's name may have."""
    return re.sub(r"[^\w.-]+", "-", path.resolve().stem).strip(".-")[:48] or "own"


def _template(job: Job, data: RecipeData) -> tuple[tuple[float, float], ...] | None:
    """Where the landmarks of faces lie: as `mien faces cut` wrote beside the data, or else as the recipe says."""
    if data.dataset.kind != "image":
        return None
    shape = data.dataset.shape or data.dataset[0].shape[1:]
    size = (shape[0], shape[1])
    # CUT/PERSON/PHOTO.png, however it was named: by its folder, in a table, or as a recipe's own place.
    for folder in Path(data.dataset.examples[0].source).parents[:2]:
        if found := read_template(folder, size):
            return found
    chosen = None if job.recipe is None else recipe(job.recipe)
    return chosen.template if chosen is not None and chosen.size == size else None


def description(job: Job) -> str:
    """Sizes, parameters and multiply-adds of the job's network."""
    data = made(job)
    seen = prepared(data.dataset, job.options)
    size = seen.shape or tuple(seen[0].shape[1:])
    return table(describe(spec_of(job.options, seen), size))


def begun(out: Path, values: dict[str, Any]) -> Job:
    """The job that was begun in the folder. ResumeError."""
    path = out / ASKED
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        options = TrainOptions.from_dict(kept["options"])
        return Job(kept["recipe"], kept["data"], options, kept["seeds"], tuple(kept["mining"]), kept["reading"])
    except FileNotFoundError:
        raise ResumeError(
            f"Expected a training to go on with in “{out}”, but there is none; give the folder of one (-o), or start "
            "without --resume."
        ) from None
    except (OSError, ValueError, KeyError, TypeError, OptionError) as error:
        raise ResumeError(f"Expected what was asked for in “{path}”, but it cannot be read: {error}.") from error


def check_same(
    job: Job, recipe_name: str | None, data: str | None, settings: dict[str, Any], values: dict[str, Any]
) -> None:
    """Refuse settings that differ from those the folder's training was begun with."""
    reading = {name: values[name] for name in READING if values[name] and name != "frames"}
    asked = {"recipe": recipe_name, "data": data, "seeds": values["seeds"], **reading, **settings}
    kept = {**job.reading, **job.options.to_dict(), **asdict(job)}
    kept.pop("options")
    for name, value in asked.items():
        plain = list(value) if isinstance(value, tuple) else value
        if plain is not None and plain != kept[name]:
            raise OptionError(
                f"Expected the settings of the training that was begun, but {name} was {kept[name]} then and is "
                f"{plain} now; leave it out, or start anew in another folder."
            )


def _begin(job: Job, out: Path) -> None:
    if (out / ASKED).exists():
        raise OutputError(
            f"Expected a new folder, but a training was begun in “{out}”; choose another one (-o), or go on with it: "
            f"mien train --resume -o {out}"
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"Expected to make the folder “{out}”, but the system refused it ({error.strerror}); choose another name."
        ) from error
    text = json.dumps({**asdict(job), "options": job.options.to_dict()}, ensure_ascii=False, indent=1)
    images.write_whole(out / ASKED, lambda file: file.write(text.encode()))
