"""`mien features`: encodings of a folder by any network, as an .npz."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mien.cli.train_data import has_labels, opened, reading_of, reading_options
from mien.errors import OutputError

_EPILOG = """Examples:

\b
  mien features vgg19 photos/ --layer relu4_1 -o photos.npz
  mien features trained/encoder people/ -o people.npz
"""


@click.command(epilog=_EPILOG)
@click.argument("model")
@click.argument("data")
@click.option("-o", "--out", required=True, metavar="FILE", help="the .npz to write")
@click.option("--layer", metavar="NAME", help="of a backbone, averaged over its positions [relu5_1 of VGG]")
@reading_options
@click.option("--force", is_flag=True, help="overwrite FILE")
@click.option("--quiet", is_flag=True, help="nothing but the path of the file")
def features(model: str, data: str, out: str, layer: str | None, force: bool, quiet: bool, **values: Any) -> None:
    """Write the encodings that MODEL makes of DATA.

    MODEL is a folder that `mien train` wrote, vgg19 (vgg16, …), or module:function of your own network; DATA a folder,
    with or without folders for labels, a .csv of paths and labels, or an .npz. FILE holds encodings (N, D), labels,
    groups, sources and the encoder's name.
    """
    import numpy as np
    from rich.console import Console
    from rich.progress import Progress as RichProgress

    from mien import images
    from mien.training.features import extract, load_extractor

    target = Path(out)
    if target.suffix.lower() != ".npz":
        raise OutputError(f"Expected a name that ends in .npz, got “{out}”.")
    if target.exists() and not force:
        raise OutputError(
            f"Expected a new file, but “{out}” exists; choose another name, or overwrite it with --force."
        )
    labelled = has_labels(data)
    extractor = load_extractor(model, layer=layer, reading=reading_of(values))
    examples = opened(data, values, labelled=labelled, reading=extractor.reading)
    console = Console(stderr=True)
    with RichProgress(console=console, transient=True, disable=quiet or not console.is_terminal) as line:
        task = line.add_task("encoding", total=len(examples))
        rows = extract(extractor, examples, progress=lambda done, total: line.update(task, completed=done))
    arrays: dict[str, Any] = {
        "encodings": rows,
        "labels": np.array([example.label for example in examples.examples]),
        "groups": examples.groups,
        "sources": np.array([example.source for example in examples.examples]),
        "encoder": np.array(extractor.name),
    }
    images.write_whole(target, lambda file: np.savez(file, **arrays), force=force)
    if not quiet:
        click.echo(f"{len(rows):,} encodings of {rows.shape[1]} numbers by {extractor.name}", err=True)
    click.echo(click.format_filename(target))
