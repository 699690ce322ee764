"""`mien style`: paint a photo, a folder of photos, a texture or a sweep."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mien.cli.settings import given, options_of
from mien.errors import OptionError
from mien.style.options import StyleOptions

if TYPE_CHECKING:
    from mien.cli.style_jobs import Done, How

_EPILOG = """Examples:

\b
  mien style photo.jpg painting.jpg
  mien style photo.jpg @night --size 768 --strength 0.6 -o out.png
  mien style photo.jpg @mosaic --sweep strength=0.2,0.5,0.8
  mien style --texture @waves --size 512
  mien style --again out.png
"""


@click.command(epilog=_EPILOG)
@click.argument("pictures", nargs=-1, metavar="CONTENT STYLE...")
@click.option("-o", "--out", metavar="OUT", help="the painting; a folder where CONTENT is one [named after both]")
@options_of(StyleOptions)
@click.option(
    "--mask", "masks", multiple=True, metavar="FILE", help="where to paint (white); one for all styles or one a style"
)
@click.option(
    "--style-mask", "style_masks", multiple=True, metavar="FILE", help="which part of a style is read; one a style"
)
@click.option("--sweep", metavar="OPTION=A,B,…", help="paint once a value, into a labelled contact sheet")
@click.option("--bits", type=click.Choice(["8", "16"]), help="bits a channel of the painting (16: PNG, TIFF) [8]")
@click.option("--force", is_flag=True, help="overwrite what exists")
@click.option("--evolution", is_flag=True, help="write how the painting came about: a strip and a GIF beside it")
@click.option("--log", metavar="FILE", help="keep the costs of every step as CSV, and plot them beside it")
@click.option(
    "--save-every",
    type=click.IntRange(1),
    metavar="N",
    help="write the picture and a state to resume from every N steps",
)
@click.option("--resume", metavar="STATE", help="go on from a state; CONTENT and STYLE may be left out")
@click.option("--again", metavar="PAINTING", help="repeat a painting from the settings it carries, bit for bit")
@click.option("--quiet", is_flag=True, help="nothing but the path of the painting")
@click.option("--json", "as_json", is_flag=True, help="the outcome as JSON on standard output, one line a painting")
@click.option("--open", "open_", is_flag=True, help="open the painting when it is done")
@click.option("--list", "list_", is_flag=True, help="the built-in styles, recipes and colour modes")
def style(pictures: tuple[str, ...], **values: Any) -> int:
    """Paint the photo CONTENT in the manner of STYLE.

    CONTENT is a picture or a folder of pictures, STYLE a picture or a built-in @pattern; several styles are mixed.
    """
    if values["list_"]:
        _list()
        return 0
    from mien.cli import style_jobs as jobs

    how = jobs.How(
        out=values["out"],
        bits=None if values["bits"] is None else int(values["bits"]),
        force=values["force"],
        evolution=values["evolution"],
        log=values["log"],
        save_every=values["save_every"],
        quiet=values["quiet"] or values["as_json"],
        masks=values["masks"],
        style_masks=values["style_masks"],
    )
    settings = given(values)
    if ":" in settings.get("backbone", ""):
        sys.path.append(str(Path.cwd()))  # last, so that no file here stands in for an installed package
    exit_code, last = 0, None
    for job in _jobs(pictures, values, settings, how):
        _report(job, as_json=values["as_json"], quiet=values["quiet"])
        exit_code, last = max(exit_code, job.exit_code), job.out or last
    if values["open_"] and last:
        click.launch(str(last))
    return exit_code


def _jobs(pictures: tuple[str, ...], values: dict[str, Any], settings: dict[str, Any], how: How) -> Iterator[Done]:
    """What the command line asks for, done one by one."""
    from mien.cli import style_jobs as jobs

    _only_one_of(values, "--again", "--resume", "--sweep")
    if values["again"]:
        yield jobs.again(values["again"], pictures, settings, how)
        return
    if values["resume"]:
        yield jobs.resume(values["resume"], pictures, settings, how)
        return
    content, styles = _content_and_styles(pictures, texture=bool(settings.get("texture")))
    if content is not None and Path(content).is_dir():
        for flag in ("--sweep", "--log"):
            _only_one_of({**values, "folder": True}, flag, "folder", named="a folder as CONTENT")
        yield from jobs.folder(content, styles, settings, how)
    elif values["sweep"]:
        for flag in ("--evolution", "--log", "--save-every", "--bits"):
            _only_one_of(values, flag, "--sweep")
        yield jobs.sweep(values["sweep"], content, styles, settings, how)
    else:
        yield jobs.paint(content, styles, settings, how)


def _only_one_of(values: dict[str, Any], *flags: str, named: str = "") -> None:
    """Refuse what would otherwise be passed over in silence."""
    found = [flag for flag in flags if values[flag.lstrip("-").replace("-", "_")]]
    if len(found) > 1:
        first, second = found[0], named or found[1]
        raise OptionError(f"Expected {first} without {second}, got both; leave one of them out.")


def _content_and_styles(pictures: tuple[str, ...], *, texture: bool) -> tuple[str | None, list[str]]:
    if texture and pictures:
        return None, list(pictures)
    if len(pictures) < 2:
        raise click.UsageError(
            "Expected a photo and at least one style: mien style CONTENT STYLE. See mien style --help."
        )
    return pictures[0], list(pictures[1:])


def _report(job: Done, *, as_json: bool, quiet: bool) -> None:
    if as_json:
        record = {k: str(v) if isinstance(v, Path) else v for k, v in asdict(job).items()}
        # A byte that is no character stands in Python as a surrogate, which only JSON's \u can write.
        click.echo(json.dumps(record, ensure_ascii=False).encode("utf-8", "backslashreplace").decode())
        return
    if not quiet or job.exit_code:
        for note in job.notes:
            click.secho(note, fg="yellow", err=True)
    if job.error:
        click.secho(job.error, fg="red", err=True)
    elif job.out:
        click.echo(click.format_filename(job.out))


def _list() -> None:
    from mien.style import patterns
    from mien.style.recipes import RECIPES

    click.secho("Built-in styles", bold=True)
    for name in patterns.names():
        click.echo(f"  @{name:<14} {patterns.describe(name)}")
    click.secho("Recipes (--recipe)", bold=True)
    for recipe in RECIPES.values():
        click.echo(f"  {recipe.name:<15} {recipe.source}")
    click.secho("Colours (--colour)", bold=True)
    from mien.style.colour import MODES

    for name, line in MODES.items():
        click.echo(f"  {name:<15} {line}")
