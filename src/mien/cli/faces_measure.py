"""`mien faces risk`, `calibrate` and `evaluate`: how often the answers are wrong."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mien import images
from mien.cli.faces_house import encoder_options, find_calibration, gallery_option, json_option, open_pipeline, opened
from mien.errors import OptionError, OutputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mien.faces.calibration import Calibration, Rate
    from mien.faces.evaluate import Sightings
    from mien.faces.pipeline import FacePipeline
    from mien.faces.risk import Risk


@click.command(epilog="Example: mien faces risk --strangers 20 --visits 40 --plot risk.png")
@click.option("--strangers", type=click.FloatRange(0), default=10.0, help="strangers at the door a day [10]")
@click.option("--visits", type=click.FloatRange(0), help="visits a day by the people enrolled, all together")
@click.option("--people", type=click.IntRange(1), help="suppose so many were enrolled, instead of asking the gallery")
@click.option("--fpir", type=float, help="strangers taken for anybody enrolled, per stranger [0.001]")
@click.option("--plot", "picture", metavar="OUT.png", help="draw the curve over the number of people")
@click.option("--force", is_flag=True, help="overwrite what exists")
@gallery_option
@encoder_options
@json_option
def risk(
    strangers: float,
    visits: float | None,
    people: int | None,
    picture: str | None,
    force: bool,
    as_json: bool,
    **values: Any,
) -> None:
    """Say how often this gallery will be wrong, and how that grows with the number of people."""
    from mien.faces import risk as r
    from mien.faces.recognize import FPIR

    if picture is not None:
        _check_png(picture, force=force)
    fpir = FPIR if values["fpir"] is None else values["fpir"]
    samples = 1.0
    if people is None:
        with opened(values) as recognizer:
            calibration = recognizer.calibration
            enrolled = recognizer.gallery.people()
        if not enrolled:
            raise OptionError("Nobody is enrolled yet; suppose a number: mien faces risk --people 20")
        people, samples = len(enrolled), sum(person.samples for person in enrolled) / len(enrolled)
    else:
        calibration = find_calibration(open_pipeline(values["encoder"]), values["calibration"])
    found = r.risk(
        calibration, people=people, fpir=fpir, strangers_a_day=strangers, visits_a_day=visits, samples=samples
    )
    if picture is not None:
        images.write_whole(picture, lambda file: file.write(r.plot(found)), force=force)
    if as_json:
        click.echo(json.dumps({**asdict(found), "sentences": found.sentences()}, ensure_ascii=False, indent=1))
        return
    for sentence in found.sentences():
        click.echo(sentence)
    click.echo()
    _print_curve(found)
    if picture is not None:
        click.echo(picture)


def _check_png(picture: str, *, force: bool) -> None:
    if Path(picture).suffix.lower() != ".png":
        raise OptionError(f"Expected a name that ends in .png for the plot, but got “{picture}”; call it so.")
    images.check_writable(picture, force=force)


def _print_curve(found: Risk) -> None:
    from mien.faces.wording import rate_in_words, times_in_words

    titles = ("people", "τ", "stranger let in", "with τ as now", "own refused", "let in a year", "")
    rows = [
        (
            f"{row.people:,}",
            "–" if row.threshold is None else f"{row.threshold:.3f}",
            rate_in_words(row.fpir),
            rate_in_words(row.unchanged),
            rate_in_words(row.fnir),
            times_in_words(row.false_acceptances_a_year),
            "← now" if row.people == found.people else "",
        )
        for row in found.curve
    ]
    lines = [titles, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(titles))]
    for line in lines:
        click.echo("   ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    if any(row.fpir and row.fpir.extrapolated for row in found.curve):
        click.echo("≤: beyond what was measured; a pessimistic bound, extrapolated from the nearest strangers.")
    if any(row.fpir is None for row in found.curve):
        click.echo("–: beyond what the data support.")


@click.command(epilog="Example: mien faces calibrate people/ -o calibration.json")
@click.argument("folder", metavar="DIR")
@click.option("-o", "--out", metavar="FILE", default="calibration.json", help="where it goes [calibration.json]")
@click.option("--source", metavar="TEXT", help="what the photos are, in words [the folder's name]")
@click.option("--relabel", metavar="FILE", help="corrected labels: photo,person lines, the photo as a path within DIR")
@click.option("--note", "notes", multiple=True, metavar="TEXT", help="what a reader must know about the data")
@click.option("--force", is_flag=True, help="overwrite what exists")
@click.option("--encoder", metavar="NAME", default="sface", help="an encoder, or your own one's record [sface]")
def calibrate(
    folder: str, out: str, source: str | None, relabel: str | None, notes: tuple[str, ...], force: bool, encoder: str
) -> None:
    """Measure the thresholds of an encoder on DIR, which holds one folder of photos for each person.

    All photos count, bad ones too: leaving them out would promise more than the camera keeps.
    """
    import numpy as np

    from mien.faces.protocols import read_labels, read_people
    from mien.faces.threshold import calibrate, nearest_strangers

    _check_new(out, force=force)
    people = read_people(folder)
    labels = {photo: person for person, photos in people.items() for photo in photos}
    if relabel is not None:
        labels |= read_labels(relabel, folder, list(labels))
    pipeline = open_pipeline(encoder)
    seen = _see(list(labels), pipeline)
    encodings = {photo: encoding for photo, encoding in seen.encodings.items() if encoding is not None}
    who = [labels[photo] for photo in encodings]
    missed = Counter(labels[photo] for photo, encoding in seen.encodings.items() if encoding is None)
    failed = [_failed(missed.total())] if missed else []
    rows = np.stack(list(encodings.values())) if encodings else np.empty((0, pipeline.encoder.dimension), np.float32)
    with _bar("comparing") as advance:
        calibration = calibrate(
            rows,
            who,
            encoder=pipeline.encoder.name,
            source=source or f"the photos in {Path(folder).name}",
            notes=[*notes, *failed],
            missed=missed,
            progress=advance,
        )
    calibration.save(out, force=force)
    for line in _summary(calibration):
        click.echo(line)
    for note in failed:
        click.echo(note)
    # Nearer than the strictest threshold that means anything: rather a wrong label than two people.
    strictest, photos = calibration.table.thresholds[0], list(encodings)
    if alike := [(a, b, d) for a, b, d in nearest_strangers(rows, who, 5) if d < strictest]:
        click.secho("Look at these: one person under two names? A wrong label spoils the thresholds.", fg="yellow")
        for a, b, d in alike:
            click.echo(f"  {photos[a].relative_to(folder)} and {photos[b].relative_to(folder)}, distance {d:.3f}")
        click.echo("Correct them in a file of photo,person lines: --relabel FILE")
    click.echo(out)


def _failed(photos: int) -> str:
    what, their = ("1 photo shows", "its") if photos == 1 else (f"{photos:,} photos show", "their")
    return (
        f"{what} no face that could be found, or cannot be read: each of {their} comparisons with the same person's "
        "other photos counts as not recognised."
    )


def _summary(calibration: Calibration) -> Iterator[str]:
    """The thresholds in lines: what each stands for, and what it costs the people themselves."""
    from mien.faces.wording import percent, rate_in_words

    yield (
        f"{calibration.impostor_comparisons:,} comparisons of {calibration.people:,} people with each other, "
        f"{calibration.genuine_comparisons:,} of {calibration.genuine_people:,} people with themselves."
    )
    for fmr in (1e-2, 1e-3, 1e-4, 1e-5, 1e-6):
        if fmr < calibration.lowest_fmr:
            continue
        tau = calibration.threshold_for_fmr(fmr)
        rate, miss = calibration.fmr(tau), calibration.fnmr(tau)
        between, refused = "" if rate.extrapolated else f", {_range(rate)}", rate_in_words(miss)
        yield (
            f"FMR at most {percent(fmr)}: τ {tau:.3f} ({rate.label}{between}); {refused} of the pairs of one person's "
            f"photos are refused ({_range(miss)})"
        )
    yield (
        "Ranges are to hold for another group of as many people, 95 times in 100; for that they are √2 times as wide, "
        "on a logarithmic scale, as a confidence interval for these people alone."
    )


def _range(rate: Rate) -> str:
    from mien.faces.wording import percent

    return f"{percent(rate.low).removesuffix(' %')} to {percent(rate.high)}"


@click.group()
def evaluate() -> None:
    """Measure accuracy on the LFW protocol, or on a folder of people."""


def _evaluation_options(command: Any) -> Any:
    for option in (
        click.option("--force", is_flag=True, help="overwrite what exists"),
        click.option("--report", metavar="OUT.html", help="a page with the plots"),
        click.option("--encoder", metavar="NAME", default="sface", help="an encoder, or your own one's record [sface]"),
        json_option,
    ):
        command = option(command)
    return command


@evaluate.command(epilog="Example: mien faces evaluate lfw --pairs pairs.txt --images lfw/ --report lfw.html")
@click.option("--pairs", required=True, metavar="FILE", help="LFW's pairs.txt, of however many folds")
@click.option("--images", "folder", required=True, metavar="DIR", help="LFW's photos: DIR/NAME/NAME_0001.jpg")
@_evaluation_options
def lfw(pairs: str, folder: str, report: str | None, encoder: str, force: bool, as_json: bool) -> None:
    """The LFW protocol: mean accuracy over the folds, τ chosen on the others, and the error rates."""
    from mien.faces.evaluate import evaluate_lfw
    from mien.faces.evaluation_report import lfw_page, lfw_record, save_report
    from mien.faces.evaluation_text import lfw_lines
    from mien.faces.protocols import read_pairs

    _check_new(report, force=force)
    compared = read_pairs(pairs, folder)
    pipeline = open_pipeline(encoder)
    photos = sorted({path for pair in compared for path in (pair.first, pair.second)})
    seen = _see(photos, pipeline)
    result = evaluate_lfw(compared, seen.encodings, unreadable=seen.unreadable)
    if report is not None:
        save_report(report, lfw_page(result, encoder=pipeline.encoder.name), force=force)
    _show(lfw_record(result), lfw_lines(result), report, as_json=as_json)


@evaluate.command(epilog="Example: mien faces evaluate folder people/ --report people.html")
@click.argument("folder", metavar="DIR")
@click.option("--groups", metavar="FILE", help="person,group lines: error rates by group, and the worst of them")
@_evaluation_options
def folder(folder: str, groups: str | None, report: str | None, encoder: str, force: bool, as_json: bool) -> None:
    """Every two photos of DIR compared, which holds one folder for each person; and searches among some of them."""
    from mien.faces.evaluate import evaluate_folder
    from mien.faces.evaluation_report import folder_page, folder_record, save_report
    from mien.faces.evaluation_text import folder_lines
    from mien.faces.protocols import read_groups, read_people

    _check_new(report, force=force)
    people = read_people(folder)
    named = None if groups is None else read_groups(groups, list(people))
    pipeline = open_pipeline(encoder)
    seen = _see([photo for photos in people.values() for photo in photos], pipeline)
    result = evaluate_folder(people, seen.encodings, groups=named, unreadable=seen.unreadable)
    if report is not None:
        save_report(report, folder_page(result, encoder=pipeline.encoder.name), force=force)
    _show(folder_record(result), folder_lines(result), report, as_json=as_json)


def _check_new(path: str | None, *, force: bool) -> None:
    """Refuse now, not after minutes of looking."""
    if path is None:
        return
    if os.path.isdir(path):  # noqa: PTH112 - pathlib's raises for a name that is too long
        raise OutputError(f"Expected the name of a file to write, but “{path}” is a folder; name a file in it.")
    if os.path.exists(path) and not force:  # noqa: PTH110
        raise OutputError(f"Expected a new file, but “{path}” exists already; overwrite it with --force.")
    if not Path(path).parent.is_dir():
        raise OutputError(f"Expected a folder for “{path}”, but there is no “{Path(path).parent}”; create it first.")


def _show(record: dict[str, Any], lines: Sequence[str], report: str | None, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(record, indent=1))
        return
    for line in lines:
        click.echo(line)
    if report is not None:
        click.echo(report)


def _see(photos: Sequence[Path], pipeline: FacePipeline) -> Sightings:
    from mien.faces.evaluate import see_folder

    with _bar("looking", total=len(photos)) as advance:
        return see_folder(photos, pipeline.detector, pipeline.encoder, progress=lambda done: advance(done, len(photos)))


@contextmanager
def _bar(what: str, *, total: int | None = None) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on standard error, which is gone when the work is done."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done, of: bar.update(task, completed=done, total=of)
