"""`mien weights`: list, verify and fetch."""

from __future__ import annotations

import click

from mien import weights as w
from mien.errors import MienError, WeightsError, WeightsNotFound


@click.group(epilog="Example: mien weights verify vgg19", invoke_without_command=True)
@click.pass_context
def weights(ctx: click.Context) -> None:
    """The networks' weights: where they lie, whose they are, and under which licence."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_)


@weights.command("list", epilog="Example: mien weights list")
def list_() -> None:
    """Every network that mien knows, and whether its weights are here."""
    for record in w.RECORDS.values():
        try:
            place, colour = str(w.find(record.name)), "green"
        except WeightsError as error:
            place, colour = str(error), "yellow"
        click.secho(record.name, bold=True)
        for name, value in (
            ("network", f"{record.network}; {record.task}"),
            ("licence", record.licence),
            ("origin", record.origin),
            ("paper", record.citation),
        ):
            click.echo(f"  {name:<8} {value}")
        click.echo("  here     " + click.style(place, fg=colour))


@weights.command(epilog="Example: mien weights verify vgg19")
@click.argument("names", nargs=-1, metavar="[NAME]...")
def verify(names: tuple[str, ...]) -> int:
    """Check the SHA-256 of the weights called NAME, or of all that are here."""
    bad = 0
    for name in names or tuple(w.RECORDS):
        try:
            path = w.find(name)
            click.echo(f"{name}: {click.style('right', fg='green')}, {w.sha256(path)}, {path}")
        except WeightsNotFound as error:
            click.secho(f"{name}: not here. {error}", fg="yellow", err=bool(names))
            bad += bool(names)
        except MienError as error:
            click.secho(f"{name}: {error}", fg="red", err=True)
            bad += 1
    return 1 if bad else 0


@weights.command(epilog="Example: mien weights fetch vgg19-torchvision")
@click.argument("name")
def fetch(name: str) -> None:
    """Download the weights called NAME into the user's cache folder."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

    record = w.record(name)
    if record.url:
        click.echo(f"{name} from {record.url}; licence: {record.licence}", err=True)
    with Progress(
        BarColumn(), DownloadColumn(), TimeRemainingColumn(), console=Console(stderr=True), transient=True
    ) as bar:
        task = bar.add_task(name, total=None)
        path = w.fetch(name, progress=lambda got, whole: bar.update(task, completed=got, total=whole or None))
    click.echo(str(path))
