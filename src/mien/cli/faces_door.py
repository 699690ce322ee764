"""`mien faces door`: a camera, and who may pass before it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mien.cli.faces import DIFFERENT, SAME, UNSURE
from mien.cli.faces_house import encoder_options, gallery_option, json_option, opened
from mien.errors import MienError, OptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mien.faces.capture import LiveCamera, Recording
    from mien.faces.door import Door, Told
    from mien.faces.recognize import Recognizer
    from mien.faces.relay import Relay

STEPS = 2
"""How many steps are asked for at a camera of this machine, whose prompts somebody can read."""


@dataclass(frozen=True)
class _Source:
    """Where the frames come from, and what the log calls it."""

    camera: int | str | None
    video: Path | None
    name: str


def _door_options(command: Any) -> Any:
    """The options that are the door's own."""
    for option in (
        click.option("--quiet", is_flag=True, help="print nothing but errors (and --json)"),
        click.option("--once", is_flag=True, help="end after the first person: 0 admitted, 3 not, 4 unsure"),
        click.option("--say", is_flag=True, help="speak too, where espeak-ng, espeak or say is installed"),
        click.option("--webhook-secret-file", "secret", metavar="FILE", help="the secret that signs the webhook"),
        click.option("--webhook", metavar="URL", help="post every admission there as signed JSON"),
        click.option("--on-admit", metavar="COMMAND", help="run a command at every admission, without a shell"),
        click.option("--fpir", type=float, help="strangers taken for anybody enrolled, per stranger [0.001]"),
        click.option(
            "--liveness", metavar="FILE", default="liveness", help="the record of your own liveness network [shipped]"
        ),
        click.option("--no-active", is_flag=True, help="ask for nothing: the passive network alone judges"),
        click.option(
            "--steps",
            type=click.IntRange(0, 6),
            help=f"turns of the head to ask for [{STEPS} at --camera, 0 otherwise]",
        ),
        click.option("--name", metavar="CAMERA", help="what the log calls this camera"),
        click.option("--rtsp", metavar="URL", help="a network camera; better in $MIEN_RTSP, where no list shows it"),
        click.option("--video", metavar="FILE", help="a video file in place of a camera"),
        click.option("--camera", type=click.IntRange(0), metavar="N", help="a camera of this machine, as 0"),
    ):
        command = option(command)
    return command


@click.command(epilog="Example: mien faces door --camera 0 --on-admit ./open-the-door")
@_door_options
@gallery_option
@encoder_options
@json_option
def door(
    camera: int | None,
    video: str | None,
    rtsp: str | None,
    name: str | None,
    steps: int | None,
    no_active: bool,
    once: bool,
    quiet: bool,
    as_json: bool,
    **values: Any,
) -> int:
    """Watch a camera: welcome who is alive and enrolled, and nobody else.

    A photo or a screen held up should be refused, but no test laboratory has certified that: read docs/door.md before a
    door depends on it. Five failures in a row lock the camera for five minutes.
    """
    from mien.cli.stopping import Stopping

    source = _source(camera, video, rtsp, name)
    asked = _steps(steps, no_active, default=STEPS if camera is not None else 0)
    with opened(values) as recognizer, ExitStack() as stack:
        relays = [stack.enter_context(relay) for relay in _relays(values)]
        speaker = _Speaker(wanted=values["say"])
        frames = _frames(source)
        stack.callback(frames.close)
        watched = _door(recognizer, source, asked, values["liveness"], frames)
        if not quiet:
            _say(f"Watching {source.name}, asking for {asked or 'no'} step{'' if asked == 1 else 's'}. Ctrl-C ends it.")
        stopping = stack.enter_context(Stopping())
        code, said, show = None, "", None if quiet else _person(aside=as_json)
        for frame in frames.frames(stopped=lambda: stopping.asked):
            told = watched.show(frame.image, frame.seconds)
            said = _tell(told, before=said, show=show, speaker=speaker)
            if told is not None and told.over:
                code = _ended(told, watched, relays, code, as_json=as_json)
                if once:
                    break
        if (told := watched.close()) is not None:
            _tell(told, before=said, show=show, speaker=speaker)
            code = _ended(told, watched, relays, code, as_json=as_json)
    return SAME if stopping.asked else DIFFERENT if code is None else code


# ---- what goes in ----------------------------------------------------------------------------------------------------


def _source(camera: int | None, video: str | None, rtsp: str | None, name: str | None) -> _Source:
    """The one source that was asked for; UsageError if there is none, or several."""
    from mien.faces.door import check_camera

    if camera is None and video is None:
        rtsp = rtsp or os.environ.get("MIEN_RTSP")
    given = [value for value in (camera, video, rtsp) if value is not None]
    if len(given) != 1:
        raise click.UsageError("Expected one of --camera 0, --video FILE and --rtsp URL.")
    if rtsp is not None and not re.match(r"(rtsps?|https?|rtmps?|srt|udp|rtp)://", rtsp):
        raise OptionError("Expected a stream's address that begins with rtsp:// (or rtsps, http, https, rtmp, srt).")
    if video is not None and not Path(video).is_file():
        raise OptionError(f"Expected a video, but there is no file “{video}”.")
    kind = "stream" if rtsp is not None else "video" if video is not None else f"camera-{camera}"
    return _Source(
        rtsp if rtsp is not None else camera, None if video is None else Path(video), check_camera(name or kind)
    )


def _steps(steps: int | None, no_active: bool, *, default: int) -> int:
    if no_active and steps:
        raise click.UsageError(f"Expected either --no-active or --steps {steps}, got both.")
    if no_active:
        return 0
    return default if steps is None else steps


def _frames(source: _Source) -> LiveCamera | Recording:
    from mien.faces.capture import LiveCamera, Recording

    if source.video is not None:
        return Recording(source.video)
    return LiveCamera(source.camera if source.camera is not None else 0, said=_say)


def _door(recognizer: Recognizer, source: _Source, steps: int, liveness: str, frames: LiveCamera | Recording) -> Door:
    from mien.faces.door import Door
    from mien.faces.liveness.challenge import choose_steps
    from mien.faces.liveness.passive import PassiveNet

    def chosen() -> Sequence[str]:
        return choose_steps(steps) if steps else ()

    recognizer.pipeline.detector.thorough = False  # nobody far away is looked for
    net = PassiveNet(liveness)
    recognizer.threshold()  # a gallery that its calibration does not support says so now, and the gallery is read
    return Door(recognizer, net, source.name, steps=chosen, clock=frames.clock)


def _relays(values: dict[str, Any]) -> list[Relay]:
    """What is to happen at an admission, each in a thread of its own."""
    from mien.faces.relay import Relay, command, read_secret, webhook

    acts = []
    if values["on_admit"] is not None:
        acts.append(command(values["on_admit"]))
    if (values["webhook"] is None) != (values["secret"] is None):
        raise click.UsageError(
            "Expected --webhook and --webhook-secret-file together, for anybody could send it unsigned."
        )
    if values["webhook"] is not None:
        acts.append(webhook(values["webhook"], read_secret(values["secret"])))
    return [Relay(act, said=_say) for act in acts]


# ---- what comes out --------------------------------------------------------------------------------------------------


def _person(*, aside: bool) -> Callable[[Told], None]:
    """What shows a sentence to the person at the camera; `aside` of standard output, where JSON goes."""
    colours = {"admitted": "green", "refused": "red"}
    return lambda told: click.secho(told.sentence, fg=colours.get(told.phase), err=aside)


def _tell(told: Told | None, *, before: str, show: Callable[[Told], None] | None, speaker: _Speaker) -> str:
    """Show a sentence if it is another one than before; what was said last comes back."""
    if told is None or (told.sentence == before and not told.over):
        return before if told is not None else ""
    if show is not None:
        show(told)
    speaker.say(told.sentence)
    return "" if told.over else told.sentence


def _ended(told: Told, door: Door, relays: Sequence[Relay], before: int | None, *, as_json: bool) -> int:
    """Pass an end on, and say its exit code: 0 once somebody was admitted."""
    from mien.faces.relay import admission

    if told.phase == "admitted" and told.person is not None:
        who = admission(told.person.id, told.person.person, door.camera)
        for relay in relays:
            relay.admitted(who)
    error = None if door.attempt is None or told.reason != "error" else door.attempt.error
    if error is not None:
        _say(str(error) if isinstance(error, MienError) else f"Something failed: {type(error).__name__}.")
    if as_json:
        person = None if told.person is None else {"name": told.person.person, "id": told.person.id}
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = {"time": now, "camera": door.camera, "phase": told.phase, "reason": told.reason, "person": person}
        click.echo(json.dumps(line, ensure_ascii=False))
    code = SAME if told.phase == "admitted" else UNSURE if told.reason == "unsure" else DIFFERENT
    return SAME if before == SAME else code


def _say(sentence: str) -> None:
    """A line for the administrator."""
    click.secho(sentence, fg="yellow", err=True)


class _Speaker:
    """Speaks sentences by the system's own program; the newest one interrupts the one before."""

    def __init__(self, *, wanted: bool) -> None:
        programs = {"espeak-ng": ["--stdin"], "espeak": ["--stdin"], "say": ["-f", "-"]}
        found = next((name for name in programs if shutil.which(name)), None) if wanted else None
        self._command = None if found is None else [found, *programs[found]]
        self._speaking: subprocess.Popen[bytes] | None = None
        if wanted and found is None:
            _say("Nothing is spoken: none of espeak-ng, espeak and say is installed.")

    def say(self, sentence: str) -> None:
        """Speak, without waiting."""
        if self._command is None:
            return
        if self._speaking is not None and self._speaking.poll() is None:
            self._speaking.terminate()
            self._speaking.wait()
        silent = subprocess.DEVNULL
        self._speaking = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=silent, stderr=silent)
        if self._speaking.stdin is not None:  # by standard input, where a name is never taken for an option
            self._speaking.stdin.write(sentence.encode() + b"\n")
            self._speaking.stdin.close()
