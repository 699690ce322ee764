"""`mien faces audit`: the log of decisions."""

from __future__ import annotations

import json
from typing import Any

import click

from mien.cli.faces_house import check_gallery, default_gallery, gallery_option, json_option, opened_gallery


@click.group(invoke_without_command=True, epilog="Example: mien faces audit --last 20")
@click.option("--last", type=click.IntRange(1), default=50, help="so many entries, oldest first [50]")
@gallery_option
@json_option
@click.pass_context
def audit(ctx: click.Context, last: int, gallery: str | None, as_json: bool) -> None:
    """Show the log of decisions, or verify that nobody touched it. It names nobody: people stand there by number."""
    if ctx.invoked_subcommand is None:
        _show(last, gallery, as_json=as_json)


def _show(last: int, gallery: str | None, *, as_json: bool) -> None:
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
@json_option
@click.pass_context
def verify(ctx: click.Context, /, as_json: bool, **values: Any) -> None:
    """Find any edit, cut or reordering of the log; exit code 1 if there is one."""
    from mien.faces.journal import verify_log

    if ctx.parent is not None:  # mien faces audit --gallery X verify
        values["gallery"] = values["gallery"] or ctx.parent.params["gallery"]
    with opened_gallery(values) as gallery:
        report, headed = verify_log(gallery)
    if as_json:
        about = {"entries": report.entries, "repairs": report.repairs, "heads_missing": report.heads_missing}
        click.echo(json.dumps({**about, "digest": report.head.digest, "head": headed}))
        return
    span = f", {report.first:%Y-%m-%d} to {report.last:%Y-%m-%d}" if report.first and report.last else ""
    click.secho(f"The log is whole: {report.entries} entries{span}.", fg="green")
    if report.heads_missing:
        times = "once" if report.heads_missing == 1 else f"{report.heads_missing} times"
        click.secho(
            f"Its head was missing {times} (the log or the gallery was copied, or somebody removed it): lines cut "
            "before that would not show.",
            fg="yellow",
        )
    if not headed:
        click.secho("Its head is not on this computer, so lines cut from its end would not show.", fg="yellow")
