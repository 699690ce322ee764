"""`mien faces cut`: faces cut out of photos, for an encoder to be trained on."""

from __future__ import annotations

import click

from mien.cli.faces_measure import _bar


@click.command(epilog="Example: mien faces cut people/ -o cut, then: mien train --data cut -o trained")
@click.argument("folder", metavar="DIR")
@click.option("-o", "--out", required=True, metavar="DIR", help="a new folder")
@click.option("--size", type=click.IntRange(16, 512), default=112, help="side of the cuts, in pixels [112]")
def cut(folder: str, out: str, size: int) -> None:
    """Cut one face out of every photo of DIR, which holds one folder for each person: for training, four or more.

    Every face is laid upon the same template, as `mien faces` lays those that it asks an encoder about; an encoder that
    `mien train --data` makes of them works with `mien faces … --encoder`. Interrupted, the same command goes on.
    """
    from mien.faces.cutting import cut_folder
    from mien.faces.detect import Detector

    with _bar("cutting") as advance:
        done = cut_folder(folder, out, detector=Detector(), size=size, progress=advance)
    click.echo(f"{done.photos:,} faces of {done.people:,} people in {out}")
    for what, photos in (("no face was found", done.without_face), ("they cannot be read", done.unreadable)):
        if photos:
            click.echo(
                f"left out {len(photos):,} photos, because {what}: {', '.join(str(p) for p in photos[:3])}", err=True
            )
