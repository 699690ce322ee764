"""`mien visualize`: what makes each unit of a network fire, as a page, contact sheets and tables."""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mien.cli.stopping import Stopping
from mien.errors import OptionError

METHODS = ("deconvnet", "guided", "gradient")

_EPILOG = """Examples:

\b
  mien visualize vgg19 photos -o report
  mien visualize vgg19 photos -o report --layers relu1_1,relu3_1 --units 16
  mien visualize runs/beats beats.npz -o report --method both
  mien visualize own_network:net photos -o report --size 64
"""


@click.command(epilog=_EPILOG)
@click.argument("model", metavar="MODEL")
@click.argument("data", metavar="DATA")
@click.option("-o", "--out", metavar="FOLDER", required=True, help="where the page and its tables go")
@click.option("--layers", metavar="A,B,…", help="which layers [five, from the first to the last]")
@click.option(
    "--units",
    metavar="N | 1,5,7",
    help="N units a layer, the clearest and the pairs of the Gram matrix; or these (one: `7,`) [all]",
)
@click.option(
    "--method",
    type=click.Choice([*METHODS, "both", "none"]),
    default="deconvnet",
    help="how a unit's activation is brought down to the pixels; both: deconvnet and guided [deconvnet]",
)
@click.option("--top", type=click.IntRange(1, 100), default=9, help="patches a unit [9]")
@click.option(
    "--size",
    type=click.IntRange(1, 4096),
    metavar="PX",
    help="side of the squares that pictures become [as in training, or 224]",
)
@click.option("--example", metavar="FILE", help="the picture whose windows and Gram matrices are shown [the first]")
@click.option("--batch", type=click.IntRange(1), default=16, help="inputs that run together [16]")
@click.option(
    "--precision",
    type=click.Choice(["float32", "bfloat16"]),
    default="float32",
    help="of a VGG; bfloat16 is faster on processors that have it, and coarser [float32]",
)
@click.option("--force", is_flag=True, help="replace a report that is there")
@click.option("--quiet", is_flag=True, help="nothing but the path of the page")
@click.option("--json", "as_json", is_flag=True, help="the outcome as JSON on standard output")
@click.option("--open", "open_", is_flag=True, help="open the page when it is done")
def visualize(model: str, data: str, **values: Any) -> int:
    """Show what each unit of the network MODEL responds to in DATA.

    MODEL is vgg19, the folder of a checkpoint that mien train wrote, or module:function, which gives any PyTorch
    network. DATA is a folder of pictures (sub-folders are classes), or an .npz or .npy file of signals (N, C, L),
    pictures (N, C, H, W) or volumes (N, C, D, H, W). Ctrl-C ends with a report of what has been seen.
    """
    # Here, so that --help needs no torch.
    from mien.visualize.report import look
    from mien.visualize.saving import check_folder, save_report
    from mien.visualize.sources import open_source
    from mien.visualize.subjects import open_subject

    units = units_of(values["units"])
    layers = [name.strip() for name in values["layers"].split(",") if name.strip()] if values["layers"] else None
    check_folder(values["out"], force=values["force"])
    if ":" in model:
        sys.path.append(str(Path.cwd()))  # last, so that no file here stands in for an installed package
    subject = open_subject(model, precision=values["precision"])
    source = open_source(data, subject, size=values["size"])
    with _Line(quiet=values["quiet"] or values["as_json"]) as line, Stopping() as stop:
        report = look(
            subject,
            source,
            data=Path(data).resolve().name,
            layers=layers,
            units=units,
            methods=methods_of(values["method"]),
            top=values["top"],
            batch=values["batch"],
            example=values["example"],
            progress=line.show,
            stopped=lambda: stop.asked,
        )
    start = time.perf_counter()
    page = save_report(report, values["out"], force=True)
    if values["as_json"]:
        outcome = {
            "page": str(page),
            "seen": report.seen,
            "total": report.total,
            "seconds": round(report.seconds + time.perf_counter() - start, 2),
            "bytes": page.stat().st_size,
            "layers": {layer.layer: {"units": layer.count, "dead": layer.dead} for layer in report.layers},
            "notes": list(report.notes),
        }
        click.echo(json.dumps(outcome, ensure_ascii=False).encode("utf-8", "backslashreplace").decode())
    else:
        for note in report.notes:
            click.secho(note, fg="yellow", err=True)
        click.echo(click.format_filename(page))
    if values["open_"]:
        click.launch(str(page))
    return 130 if report.interrupted else 0


def units_of(text: str | None) -> int | list[int] | None:
    """`16` as how many, `1,5,7` and `7,` as which; None for all."""
    if text is None:
        return None
    if not re.fullmatch(r"\s*\d+\s*(,\s*\d+\s*)*,?\s*", text):
        raise OptionError(f"Expected --units as a number of units (16) or their list (1,5,7), got {text!r}.")
    if "," not in text:
        return int(text)
    return [int(part) for part in text.split(",") if part.strip()]


def methods_of(name: str) -> tuple[str, ...]:
    """The methods that an option's value stands for."""
    return {"both": ("deconvnet", "guided"), "none": ()}.get(name, (name,))


class _Line:
    """The one line that says how far a look is; silent where `quiet`, and in a file or pipe."""

    def __init__(self, *, quiet: bool) -> None:
        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=quiet or not console.is_terminal,
        )
        self._what = ""
        self._task = self._progress.add_task("loading", total=None)

    def __enter__(self) -> _Line:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def show(self, what: str, done: int, total: int) -> None:
        """What is being done, and how much of it is done."""
        if what != self._what:
            self._progress.reset(self._task, description=what)
            self._what = what
        self._progress.update(self._task, description=what, completed=done, total=total)
