"""`mien faces`: enrol, verify, identify, and what an administrator needs beside."""

from __future__ import annotations

import importlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from mien.cli.faces_house import (
    encoder_options,
    find_calibration,
    gallery_option,
    json_option,
    open_pipeline,
    opened,
    opened_gallery,
)
from mien.errors import AuditError

if TYPE_CHECKING:
    from pathlib import Path

    from mien.faces.records import Decision

SAME, DIFFERENT, UNSURE = 0, 3, 4

# Commands that load more than the others live in modules of their own, loaded when they are called.
_ELSEWHERE = {
    "door": ("mien.cli.faces_door:door", "Watch a camera, and welcome who is alive and enrolled."),
    "identify": ("mien.cli.faces_identify:identify", "Say who is in photos, folders or videos."),
    "cut": ("mien.cli.faces_cut:cut", "Cut faces out of photos of people, for an encoder to be trained on."),
    "risk": (
        "mien.cli.faces_measure:risk",
        "Say how often this gallery will be wrong, and how it grows with people.",
    ),
    "calibrate": ("mien.cli.faces_measure:calibrate", "Measure the thresholds of an encoder on a folder of people."),
    "evaluate": ("mien.cli.faces_measure:evaluate", "Measure accuracy on the LFW protocol or a folder of people."),
    "audit": ("mien.cli.faces_audit:audit", "Show the log of decisions, or verify that nobody touched it."),
    "attacks": ("mien.cli.faces_liveness:attacks", "Make live pictures and simulated attacks from photos of people."),
    "evaluate-liveness": (
        "mien.cli.faces_liveness:evaluate_liveness",
        "Measure how well a liveness network tells pictures of faces from faces.",
    ),
    "liveness-model": (
        "mien.cli.faces_liveness:liveness_model",
        "Make a network trained on attacks into a liveness model with its record.",
    ),
}


class _Faces(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *_ELSEWHERE]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _ELSEWHERE:
            module, _, function = _ELSEWHERE[cmd_name][0].partition(":")
            command: click.Command = getattr(importlib.import_module(module), function)
            return command
        return super().get_command(ctx, {"enrol": "enroll"}.get(cmd_name, cmd_name))


@click.group(cls=_Faces, epilog='Example: mien faces enroll "Danielle" danielle.jpg')
def faces() -> None:
    """Verify and recognise people from one photo each, and know how often that is wrong.

    A photo of somebody is taken for them. Whether a living person stands before the camera, only `door` looks.
    """


@faces.command(epilog='Example: mien faces enroll "Danielle" danielle.jpg')
@click.argument("name")
@click.argument("photos", nargs=-1, required=True, metavar="PHOTO...")
@click.option("--add", is_flag=True, help="add the photos to somebody who is enrolled already")
@click.option("--consent", metavar="TEXT", help="a note on their consent, kept encrypted with the name")
@click.option("--keep-photos", is_flag=True, help="keep the photos too, encrypted")
@gallery_option
@encoder_options
@json_option
def enroll(
    name: str,
    photos: tuple[str, ...],
    add: bool,
    consent: str | None,
    keep_photos: bool,
    as_json: bool,
    **values: Any,
) -> None:
    """Enrol NAME from one photo or more; one is enough. The photos themselves are not kept."""
    with opened(values, must_exist=False) as recognizer:
        try:
            done = recognizer.enrol(name, *photos, add=add, consent=consent, keep_photos=keep_photos)
        except AuditError:
            _tell_of_key(recognizer.gallery.key_created)  # the gallery is there, and so is its key
            raise
        created = recognizer.gallery.key_created
        if as_json:
            _print_json(
                person=done.person.name,
                id=done.person.id,
                added=done.added,
                samples=done.person.samples,
                looks_like=[{"person": m.person, "distance": round(m.distance, 4)} for m in done.looks_like],
                key_created=None if created is None else str(created),
            )
            return
    total = "" if done.person.samples == done.added else f", {done.person.samples} in all"
    kept = "The photos are kept, encrypted." if keep_photos else "No photo is kept."
    click.echo(f"Enrolled {done.person.name} from {_count(done.added, 'photo')}{total}. {kept}")
    _tell_of_key(created)
    for match in done.looks_like:
        click.secho(
            f"Looks like {match.person}, who is enrolled already: is it the same person? The two may be mistaken for "
            "each other.",
            fg="yellow",
        )


def _tell_of_key(created: Path | None) -> None:
    if created is not None:
        click.echo(f"A new key locks the gallery: {created}")
        click.echo("Keep a copy of it somewhere safe: without it nobody, you included, can open the gallery.")


@faces.command(epilog="Example: mien faces verify passport.jpg selfie.jpg --fmr 1e-4")
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option("--fmr", type=float, default=None, help="strangers taken for one person, per comparison [0.0001]")
@click.option("--head", metavar="FILE", help="a pair head trained by `mien train` decides instead of the threshold")
@encoder_options
@json_option
def verify(first: str, second: str, fmr: float | None, head: str | None, as_json: bool, **values: Any) -> int:
    """Say whether the photos A and B show the same person: exit code 0 the same, 3 different."""
    from mien.faces.recognize import FMR, verify, verify_with_head

    pipeline = open_pipeline(values["encoder"])
    if head is not None:
        from mien.backbones.pair_head import load_head

        judged = verify_with_head(first, second, pipeline=pipeline, head=load_head(head))
        if as_json:
            _print_json(same=judged.same, probability=judged.probability, distance=judged.distance)
        else:
            click.secho("The same person" if judged.same else "Different people", fg="green" if judged.same else "red")
            click.echo(f"probability {judged.probability:.3f}, distance {judged.distance:.3f}")
        return SAME if judged.same else DIFFERENT
    calibration = find_calibration(pipeline, values["calibration"])
    answer = verify(first, second, pipeline=pipeline, calibration=calibration, fmr=FMR if fmr is None else fmr)
    low, high = answer.fmr_interval
    if as_json:
        _print_json(
            same=answer.same,
            distance=answer.distance,
            cosine=answer.cosine,
            threshold=answer.threshold,
            fmr=answer.fmr,
            fmr_interval=[low, high],
            extrapolated=answer.extrapolated,
        )
    else:
        click.secho("The same person" if answer.same else "Different people", fg="green" if answer.same else "red")
        sign = "<" if answer.same else "≥"
        click.echo(f"distance {answer.distance:.3f} {sign} τ {answer.threshold:.3f}")
        if answer.extrapolated:
            rate = f"at most {100 * high:.2g} % of strangers would be taken for the person (a bound, extrapolated)"
        else:
            rate = f"{100 * answer.fmr:.2g} % of strangers would be taken for the person"
            rate += f" (95 %: {100 * low:.2g} to {100 * high:.2g} %)"
        click.echo(f"At this τ, {rate}.")
    return SAME if answer.same else DIFFERENT


@faces.command(epilog="Example: mien faces people")
@gallery_option
@json_option
def people(as_json: bool, **values: Any) -> None:
    """List who is enrolled."""
    with opened_gallery(values) as gallery:
        enrolled = sorted(gallery.people(), key=lambda person: person.name.casefold())
    if as_json:
        _print_json(people=[{**asdict(p), "enrolled": p.enrolled.isoformat()} for p in enrolled])
        return
    for person in enrolled:
        note = f"  consent: {person.consent}" if person.consent else ""
        click.echo(f"{person.name}  {_count(person.samples, 'photo')}, {person.enrolled:%Y-%m-%d}{note}")
    click.echo(f"{len(enrolled)} enrolled." if enrolled else "Nobody is enrolled.")


@faces.command(epilog='Example: mien faces forget "Danielle"')
@click.argument("name")
@gallery_option
@json_option
def forget(name: str, as_json: bool, **values: Any) -> None:
    """Forget NAME: no trace of the name or the encodings stays, and a receipt is printed."""
    from mien.faces import ledger

    with opened_gallery(values) as gallery:
        receipt = ledger.forget(gallery, name)
    if as_json:
        _print_json(**{**asdict(receipt), "when": receipt.when.isoformat()})
    else:
        click.echo(receipt.text)


@faces.command(epilog='Example: mien faces export "Danielle" > danielle.json')
@click.argument("name")
@gallery_option
def export(name: str, **values: Any) -> None:
    """Print everything that is kept about NAME, as JSON."""
    with opened_gallery(values) as gallery:
        _print_json(**gallery.export(name))


@faces.command("rotate-key", epilog="Example: mien faces rotate-key")
@gallery_option
def rotate_key(**values: Any) -> None:
    """Lock the gallery with a new key; the old one opens nothing any more.

    A gallery whose key is in MIEN_KEY takes its new one from MIEN_NEW_KEY.
    """
    from mien.faces import ledger

    with opened_gallery(values) as gallery:
        place = ledger.rotate_key(gallery)
    if place is None:
        click.echo("The gallery has a new key: the one in MIEN_NEW_KEY. Put it into MIEN_KEY now, and keep a copy.")
    else:
        click.echo(f"The gallery has a new key: {place}")
    click.echo("Copies of the old key, and backups made before, are of no use any more: make new ones.")


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def _print_json(**answer: Any) -> None:
    click.echo(json.dumps(answer, ensure_ascii=False, indent=1))


def exit_code(decisions: list[Decision]) -> int:
    """0 only if there is somebody and everybody is known, 3 if anybody is not (or nobody is there), 4 if unsure."""
    verdicts = {decision.verdict for decision in decisions}
    if not verdicts or "unknown" in verdicts:
        return DIFFERENT
    return UNSURE if "unsure" in verdicts else SAME
