"""`mien faces audit`: the log of decisions."""

from __future__ import annotations

import json
from typing import Any

import click

from mien.cli.faces_house import check_gallery, default_gallery, encoder_options, gallery_option, json_option, opened


@click.group(invoke_without_command=True, epilog="Example: mien faces audit verify")
@click.pass_context
def audit(ctx: click.Context) -> None:
    """Show the log of decisions, or verify that nobody touched it. It names nobody: people stand there by number."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(show)


@audit.command(epilog="Example: mien faces audit show --last 20")
@click.option("--last", type=click.IntRange(1), default=50, help="so many entries [50]")
@gallery_option
@json_option
def show(last: int = 50, gallery: str | None = None, as_json: bool = False) -> None:
    """The last entries, oldest first."""
    from collections import deque

    from mien.faces.audit import entries
    from mien.faces.journal import log_file

    url = gallery or default_gallery()
    check_gallery(url)
    found = deque(entries(log_file(url)), maxlen=last)
    for entry in found:
        if as_json:
            click.echo(
                json.dumps(
                    {"number": entry.number, "time": entry.time.isoformat(), "event": entry.event, **entry.fields}
                )
            )
        else:
            fields = "  ".join(f"{key} {value}" for key, value in entry.fields.items())
            click.echo(f"{entry.number:>6}  {entry.time:%Y-%m-%d %H:%M:%S}  {entry.event:<10}  {fields}")
    if not found and not as_json:
        click.echo("The log is empty.")


@audit.command(epilog="Example: mien faces audit verify")
@gallery_option
@encoder_options
@json_option
def verify(as_json: bool, **values: Any) -> None:
    """Find any edit, cut or reordering of the log; exit code 1 if there is one."""
    from mien.faces.journal import verify_log

    with opened(values) as recognizer:
        report, headed = verify_log(recognizer.gallery)
    if as_json:
        about = {"entries": report.entries, "repairs": report.repairs, "digest": report.head.digest, "head": headed}
        click.echo(json.dumps(about))
        return
    span = f", {report.first:%Y-%m-%d} to {report.last:%Y-%m-%d}" if report.first and report.last else ""
    click.secho(f"The log is whole: {report.entries} entries{span}.", fg="green")
    if not headed:
        click.secho("Its head is not on this computer, so lines cut from its end would not show.", fg="yellow")
