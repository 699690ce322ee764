"""`mien train`: teach a network, judge it, and leave an encoder that the other rooms can use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mien.cli.settings import given, options_of
from mien.cli.train_data import reading_options
from mien.errors import OptionError
from mien.training.options import MINING, TrainOptions
from mien.training.recipes import RECIPES, Recipe, recipe

if TYPE_CHECKING:
    from mien.cli.train_jobs import Job

_EPILOG = """Examples:

\b
  mien train --recipe faces --seeds 3 -o faces
  mien train --data signatures/ --size 64x128 --grey -o signatures
  mien train --data beats.npz --task classify --describe
  mien train --resume -o faces
"""


@click.command(epilog=_EPILOG)
@click.option(
    "--recipe", "recipe_name", metavar="NAME", help=f"data and settings that belong together: {', '.join(RECIPES)}"
)
@click.option(
    "--data", metavar="PATH", help="a folder per label, a .csv of path,label,group, an .npz; or the recipe's data"
)
@click.option("-o", "--out", metavar="FOLDER", help="what is written: runs, encoder, report [trained]")
@click.option("--seeds", type=click.IntRange(1, 100), metavar="N", help="so many trainings, to know the spread [1]")
@click.option("--compare-mining", is_flag=True, help=f"{', '.join(MINING)} mining in one report")
@click.option("--describe", is_flag=True, help="sizes, parameters and multiply-adds of every layer; nothing is trained")
@click.option("--resume", is_flag=True, help="go on with what was begun in FOLDER, bit for bit")
@options_of(TrainOptions)
@reading_options
@click.option("--plain/--no-plain", default=True, help="judge beside it what needs no network [yes]")
@click.option("--quiet", is_flag=True, help="nothing but the path of the report")
@click.option("--json", "as_json", is_flag=True, help="everything measured as JSON on standard output")
@click.option("--list", "list_", is_flag=True, help="the recipes")
def train(recipe_name: str | None, data: str | None, out: str | None, **values: Any) -> int:
    """Train an encoder or a classifier, and judge it on people, alphabets or patients it has never seen.

    The data are a recipe's or your own: files in folders named after whose they are. FOLDER gets a report
    (report.html, metrics.json, plots) and an encoder that `mien faces --encoder`, `mien features` and
    `mien visualize` can use. Several processes: torchrun --nproc-per-node 2 -m mien.cli.main train …
    """
    if values["list_"]:
        for one in RECIPES.values():
            click.echo(f"{one.name:<10} {one.sentence}")
        return 0
    from mien.cli import train_jobs as jobs
    from mien.training.distributed import together

    with together() as team:
        quiet = values["quiet"] or values["as_json"] or not team.leads
        job = jobs.begun(Path(out or "trained"), values) if values["resume"] else _asked(recipe_name, data, values)
        if values["resume"]:
            jobs.check_same(job, recipe_name, data, given(values, TrainOptions), values)
        if values["describe"]:
            click.echo(jobs.description(job))
            return 0
        done = jobs.run(job, Path(out or "trained"), resume=values["resume"], quiet=quiet, plain=values["plain"])
        if not team.leads:
            return 0 if done is not None else 130
    if done is None:
        click.secho(f"Interrupted. Go on with: mien train --resume -o {out or 'trained'}", fg="yellow", err=True)
        return 130
    _tell(done, as_json=values["as_json"], quiet=quiet)
    return 0


def _asked(recipe_name: str | None, data: str | None, values: dict[str, Any]) -> Job:
    from mien.cli import train_jobs as jobs

    if recipe_name is None and data is None:
        raise click.UsageError("Expected what to learn from: mien train --recipe NAME, or --data PATH; see --help.")
    settings = given(values, TrainOptions)
    found: Recipe | None = None if recipe_name is None else recipe(recipe_name)
    if found is None:
        options = TrainOptions.from_dict(settings)
    else:
        reading = [n for n in ("size", "grey", "spacing", "window", "hop", "kind") if values[n]]
        if reading:
            raise OptionError(f"Expected --{reading[0]} only with --data of your own, got it with --recipe.")
        options = TrainOptions.from_dict({**found.options.to_dict(), **settings})
    if values["compare_mining"] and options.task != "triplet":
        raise OptionError(f"Expected the task triplet to compare ways of mining, got {options.task}.")
    how = {name: values[name] for name in jobs.READING}
    mining = MINING if values["compare_mining"] else ()
    return jobs.Job(recipe_name, data, options, values["seeds"] or 1, mining, how)


def _tell(done: Any, *, as_json: bool, quiet: bool) -> None:
    if as_json:
        click.echo(json.dumps(done.record, ensure_ascii=False))
        return
    if not quiet:
        for line in done.lines:
            click.echo(line)
        for note in done.notes:
            click.secho(note, fg="yellow", err=True)
    click.echo(click.format_filename(done.report))
