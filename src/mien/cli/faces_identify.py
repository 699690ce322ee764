"""`mien faces identify`: who is in photos, folders and videos."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mien import images
from mien.cli.faces import exit_code
from mien.cli.faces_house import encoder_options, gallery_option, json_option, opened, photos_in
from mien.errors import ImageError, OptionError, OutputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mien.faces.recognize import Recognizer
    from mien.faces.records import Decision


@dataclass(frozen=True)
class _Look:
    """One picture that was looked at, and who is in it."""

    path: Path
    seconds: float | None
    image: NDArray[np.uint8]
    decisions: list[Decision]

    @property
    def label(self) -> str:
        """The file, and for a video the moment."""
        name = _printable(self.path)
        return name if self.seconds is None else f"{name} at {self.seconds:.1f} s"


@click.command(epilog="Example: mien faces identify door.jpg --draw who.png")
@click.argument("photos", nargs=-1, metavar="PHOTO...")
@click.option("--camera", metavar="N|URL", help="look once through a camera: its number, or the address of a stream")
@click.option("--fpir", type=float, help="strangers taken for anybody enrolled, per stranger [0.001]")
@click.option("--draw", metavar="OUT", help="a copy with the faces framed and named; a folder for several photos")
@click.option("--force", is_flag=True, help="overwrite what exists")
@gallery_option
@encoder_options
@json_option
def identify(
    photos: tuple[str, ...], camera: str | None, draw: str | None, force: bool, as_json: bool, **values: Any
) -> int:
    """Say who is in the photos, folders or video files PHOTO.

    Exit code 0: everybody is known; 3: somebody, or nobody, is not in the database; 4: unsure between two.
    """
    from mien.faces.video import is_video

    if not photos and camera is None:
        raise click.UsageError("Expected a photo, a folder, a video file, or --camera 0.")
    paths = list(dict.fromkeys(photos_in(photos, extra=is_video)))
    looked_at = [*paths, *([] if camera is None else [_CAMERA])]
    targets = _targets(looked_at, draw, force=force)
    decisions: list[Decision] = []
    unreadable = 0
    with opened(values) as recognizer:
        for path in looked_at:
            try:
                for look in _looks(recognizer, path, camera):
                    decisions += look.decisions
                    if as_json:
                        click.echo(json.dumps(_as_json(look), ensure_ascii=False))
                    else:
                        _say(look)
                    if path in targets:
                        _draw(look, targets[path], force=force)
            except ImageError as error:
                if len(looked_at) == 1:
                    raise
                # One bad file does not keep the others from being looked at.
                click.secho(str(error), fg="red", err=True)
                unreadable += 1
    return 1 if unreadable else exit_code(decisions)


_CAMERA = Path("camera")


def _looks(recognizer: Recognizer, path: Path, camera: str | None) -> Iterator[_Look]:
    """What is seen in a photo or a camera; of a video the moments with a face, or its last one if there is none."""
    from mien.faces.video import camera_frame, frames, is_video

    if path == _CAMERA and camera is not None:
        image = camera_frame(int(camera) if camera.isdigit() else camera)
        yield _Look(path, None, image, recognizer.identify_all(image))
    elif is_video(path):
        seen = False
        for frame in frames(path):
            look = _Look(path, frame.seconds, frame.image, recognizer.identify_all(frame.image))
            seen |= bool(look.decisions)
            if look.decisions:
                yield look
        if not seen:
            yield _Look(path, None, frame.image, [])
    else:
        image = images.load(path).pixels
        yield _Look(path, None, image, recognizer.identify_all(image))


def _targets(paths: list[Path], draw: str | None, *, force: bool) -> dict[Path, Path]:
    """Where the annotated copy of each photo goes; refused now rather than after the work."""
    from mien.faces.video import is_video

    if draw is None:
        return {}
    stills = [path for path in paths if not is_video(path)]
    if not stills:
        raise OptionError("Expected photos to draw on, got a video only: --draw works on photos.")
    if len(stills) == 1 and not Path(draw).is_dir():
        targets = {stills[0]: Path(draw)}
    else:
        try:
            Path(draw).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"Expected a folder for several pictures, but “{draw}” cannot be made ({error.strerror}); choose "
                "another name."
            ) from error
        targets = {path: Path(draw) / f"{path.stem}-{number}.png" for number, path in enumerate(stills, 1)}
    for target in targets.values():
        images.check_writable(target, force=force)
    return targets


def _printable(path: Path) -> str:
    """The path without characters that would move the cursor or turn the writing around."""
    return "".join(letter if letter.isprintable() else "�" for letter in str(path))


def _say(look: _Look) -> None:
    if not look.decisions:
        if look.seconds is None:
            click.secho(f"{look.label}: no face found", fg="yellow")
        return
    for decision in look.decisions:
        text, colour = {
            "known": (f"Welcome, {decision.match.person if decision.match else ''}", "green"),
            "unsure": ("Unsure: two people are about as near", "yellow"),
            "unknown": ("Not in the database", "red"),
        }[decision.verdict]
        near = "" if decision.nearest is None else f"distance {decision.nearest.distance:.3f}, "
        people = "person" if decision.people == 1 else "people"
        click.echo(
            f"{look.label}: {click.style(text, fg=colour)}  ({near}τ {decision.threshold:.3f} for {decision.people} "
            f"{people})"
        )


def _as_json(look: _Look) -> dict[str, Any]:
    answer: dict[str, Any] = {"photo": str(look.path)}
    if look.seconds is not None:
        answer["seconds"] = round(look.seconds, 3)
    answer["faces"] = [
        {
            "verdict": d.verdict,
            "person": d.match.person if d.match else None,
            "distance": None if d.nearest is None else round(d.nearest.distance, 4),
            "runner_up": None if d.runner_up is None else round(d.runner_up.distance, 4),
            "threshold": round(d.threshold, 4),
            "people": d.people,
            "box": None if d.face is None else [round(v, 1) for v in d.face.box],
        }
        for d in look.decisions
    ]
    return answer


def _draw(look: _Look, target: Path, *, force: bool) -> None:
    from mien.faces.drawing import caption, draw

    shown = [d for d in look.decisions if d.face is not None]
    framed = draw(
        look.image,
        [d.face for d in shown if d.face is not None],
        [caption(d) for d in shown],
        verdicts=[d.verdict for d in shown],
    )
    images.save(target, framed, force=force)
    click.echo(str(target), err=True)
