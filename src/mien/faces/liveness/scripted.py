"""Attacks on a challenge, each acted out many times: how many pass? None should.

    for name, tries, passes in run_scripts(1000):
        print(f"{name}: {passes} of {tries}")

Every try draws a challenge, the moments, the frame rate and the light anew, and is judged by a real session without a
passive net, on frames that the real networks have seen (`actors`). So the figures say what the rules keep out, and
nothing of how convincing a print or a screen is: that is measured on pictures (`evaluate`).

Not among the scripts, as nothing here stops it: a puppet that follows the prompts, a mask in three dimensions, and a
print out of which a nose has been folded.
"""

from __future__ import annotations

import importlib
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple, cast

from mien import images
from mien.errors import MissingExtra, OptionError
from mien.faces.liveness.actors import Cast, Shot, Take
from mien.faces.liveness.challenge import TURNS, choose_steps
from mien.faces.liveness.freshness import GAP
from mien.faces.liveness.session import LivenessSession
from mien.faces.liveness.status import Liveness
from mien.faces.pipeline import FacePipeline
from mien.faces.records import Image

_SHORT = 6.0
"""Seconds for a try of those who do nothing or are late: shorter than at a door, where they would only wait longer."""
_OPPOSITE = {"left": "right", "right": "left", "up": "down", "down": "up"}


class Scripted(NamedTuple):
    """How often a script passed."""

    name: str
    tries: int
    passes: int


class _Try:
    """One try: what is left to chance, and the takes as they follow each other in time."""

    def __init__(self, actors: Cast, draw: random.Random) -> None:
        self.actors, self.draw = actors, draw
        self.takes: list[Take] = []
        self.asked = choose_steps(2, choose=draw)
        self.seconds = 25.0
        self.pace = 1 / draw.uniform(8, 14)
        self._light = draw.randint(-8, 8)

    def show(self, shots: Iterable[Shot], *, pace: float | None = None) -> None:
        """Append shots, each a little later than the one before."""
        for shot in shots:
            now = (self.takes[-1].taken if self.takes else 0.0) + (pace or self.pace) * self.draw.uniform(0.8, 1.2)
            light = self._light + self.draw.randint(-1, 1)
            self.takes.append(Take(shot, now, now, light, self.draw.getrandbits(24)))

    def rest(self, who: int = 0, kind: str = "head", *, frames: int = 8) -> None:
        """Someone who looks at the camera."""
        shots = self.actors.clip(who, kind, "rest")
        self.show(self.draw.choice(shots) for _ in range(frames))

    def wait(self, kind: str) -> None:
        """Someone who looks at the camera until the time is up."""
        self.seconds = _SHORT
        self.rest(kind=kind, frames=int(1.3 * _SHORT / self.pace))

    def act(self, steps: Iterable[str], who: int = 0, kind: str = "head") -> None:
        """A rest, and each step followed by a rest."""
        self.rest(who, kind)
        for step in steps:
            self.show(self.actors.clip(who, kind, step))
            self.rest(who, kind, frames=6)

    def moment(self) -> int:
        """The number of a take after the first prompt and before the second step: no try has ended by then."""
        return self.draw.randint(5, 20)

    def judge(self) -> Liveness:
        """What a session makes of it."""
        now = 0.0
        session = LivenessSession(
            cast("FacePipeline", self.actors.projector),
            passive=None,
            steps=self.asked,
            seconds=self.seconds,
            clock=lambda: now,
            calibration=self.actors.calibration,
        )
        for take in self.takes:
            now = take.shown
            self.actors.projector.shot = take.shot
            if session.show(take.image, take.taken).phase in ("live", "refused"):
                return session.result()
        now += self.seconds
        return session.result()


def _genuine(t: _Try) -> None:
    t.act(t.asked, who=t.draw.randint(0, 1))


def _photo_then_head(t: _Try) -> None:
    t.rest(kind="sheet", frames=t.draw.randint(4, 10))
    t.act(t.asked, who=1)


def _head_then_photo(t: _Try) -> None:
    """While the head is turned for the first step, the photo is brought up to be seen at the front."""
    t.rest(who=1)
    t.show(t.actors.clip(1, "head", t.asked[0])[:8])
    t.rest(kind="sheet")
    t.act(t.asked[1:], who=1)


def _nothing(t: _Try) -> None:
    t.wait("head")


def _still_photo(t: _Try) -> None:
    t.wait("sheet")


def _replayed(t: _Try) -> None:
    while (earlier := choose_steps(2, choose=t.draw)) == t.asked:
        pass
    t.act(earlier)


def _hurried(t: _Try) -> None:
    """The right frames with the right times, all delivered at once."""
    t.act(t.asked)
    t.takes = [replace(take, shown=0.02 * number) for number, take in enumerate(t.takes)]


def _dropped(t: _Try) -> None:
    t.act(t.asked)
    begin = t.takes[t.moment()].taken
    end = begin + t.draw.uniform(1.1, 2) * (GAP + 2 * t.pace)
    t.takes = [take for take in t.takes if not begin <= take.taken < end]


def _doubled(t: _Try) -> None:
    t.act(t.asked)
    which = t.moment()
    again = t.draw.randint(0, which)
    later = (t.takes[which].taken + t.takes[which + 1].taken) / 2
    t.takes.insert(which + 1, replace(t.takes[again], taken=later, shown=later))


def _reordered(t: _Try) -> None:
    """Two frames change places, with their times; or the two steps do, with new times."""
    if t.draw.random() < 0.5:
        t.act(reversed(t.asked))
        return
    t.act(t.asked)
    first, second = sorted(t.draw.sample(range(20), 2))
    t.takes[first], t.takes[second] = t.takes[second], t.takes[first]


def _wrong_direction(t: _Try) -> None:
    steps = [_OPPOSITE.get(step, step) for step in t.asked]
    t.act(steps)


def _two_faces(t: _Try) -> None:
    t.act(t.asked)
    which = t.moment()
    pair = t.actors.pair()
    for number in range(which, which + t.draw.randint(1, 4)):
        t.takes[number] = replace(t.takes[number], shot=t.draw.choice(pair))


def _late(t: _Try) -> None:
    t.wait("head")
    t.act(t.asked)


def _ahead(t: _Try) -> None:
    """The right steps, but the first is done before anybody can have read the prompt."""
    t.rest(frames=3)
    t.show(t.actors.clip(0, "head", t.asked[0]), pace=0.04)
    t.act(t.asked[1:])


def _slides(t: _Try) -> None:
    """Photos of a face that has turned already, one after the other."""
    t.rest()
    for step in t.asked:
        clip = t.actors.clip(0, "head", step)
        middle = len(clip) // 2
        held = clip[middle - 1 : middle + 2]
        t.show([t.draw.choice(held) for _ in range(8)] if step in TURNS else clip)
        t.rest(frames=6)


def _flat_sheet(t: _Try) -> None:
    t.act(t.asked, kind="sheet")


def _bent_sheet(t: _Try) -> None:
    t.act(t.asked, kind="bent")


def _bent_from_aside(t: _Try) -> None:
    _from_aside(t, "aside")


def _from_aside(t: _Try, kind: str) -> None:
    for step in t.asked:
        clip = t.actors.clip(0, kind, step)
        t.show(t.draw.choice(clip[-2:]) for _ in range(6))
        t.show(clip)
        t.show(t.draw.choice(clip[-2:]) for _ in range(6))


def _folded(t: _Try) -> None:
    t.act(t.asked, who=t.draw.randint(0, 1), kind=t.draw.choice(["folded", "folded beside"]))


def _folded_from_aside(t: _Try) -> None:
    _from_aside(t, "folded aside")


def _only_closer(t: _Try) -> None:
    t.act(["closer", "closer"], kind="sheet")


SCRIPTS: dict[str, Callable[[_Try], None]] = {
    "photo first, then another person's head": _photo_then_head,
    "head first, then another person's photo": _head_then_photo,
    "nothing done": _nothing,
    "still photo": _still_photo,
    "replayed session": _replayed,
    "all frames at once": _hurried,
    "dropped frames": _dropped,
    "doubled frames": _doubled,
    "reordered frames": _reordered,
    "wrong direction": _wrong_direction,
    "two faces": _two_faces,
    "late": _late,
    "ahead of the prompt": _ahead,
    "slides of a turned head": _slides,
    "flat sheet turned": _flat_sheet,
    "bent sheet turned": _bent_sheet,
    "bent sheet turned from aside": _bent_from_aside,
    "folded print turned": _folded,
    "folded print turned from aside": _folded_from_aside,
    "photo moved closer": _only_closer,
}
"""The attacks by name."""


def run_scripts(
    tries: int = 1000,
    *,
    photos: Sequence[Image] | None = None,
    pipeline: FacePipeline | None = None,
    names: Sequence[str] | None = None,
    seed: int = 0,
    on_try: Callable[[str, Liveness], None] | None = None,
) -> list[Scripted]:
    """So many tries of each script, or of those in `names`; how many passed.

    photos: of two people, (H, W, 3) RGB; Eileen Collins and Grace Hopper unless given. on_try: called after each.
    """
    names = list(SCRIPTS) if names is None else names
    unknown = sorted(set(names) - set(SCRIPTS))
    if unknown or tries < 1:
        raise OptionError(
            f"Expected at least one try of scripts out of {', '.join(SCRIPTS)}; got {tries} of {unknown}."
        )
    actors = _cast(photos, pipeline, seed)
    return [_run(name, SCRIPTS[name], actors, tries, seed=seed, on_try=on_try) for name in names]


def run_genuine(
    tries: int = 100,
    *,
    photos: Sequence[Image] | None = None,
    pipeline: FacePipeline | None = None,
    seed: int = 0,
    on_try: Callable[[str, Liveness], None] | None = None,
) -> Scripted:
    """How many tries of a synthetic head that does what it is asked pass: nearly all should."""
    return _run("genuine", _genuine, _cast(photos, pipeline, seed), tries, seed=seed, on_try=on_try)


def _run(
    name: str,
    script: Callable[[_Try], None],
    actors: Cast,
    tries: int,
    *,
    seed: int,
    on_try: Callable[[str, Liveness], None] | None,
) -> Scripted:
    passes = 0
    for number in range(tries):
        attempt = _Try(actors, random.Random(f"{seed} {name} {number}"))
        script(attempt)
        outcome = attempt.judge()
        passes += outcome.live
        if on_try is not None:
            on_try(name, outcome)
    return Scripted(name, tries, passes)


def _cast(photos: Sequence[Image] | None, pipeline: FacePipeline | None, seed: int) -> Cast:
    return Cast(pipeline or FacePipeline(), _photos() if photos is None else photos, seed=seed)


def _photos() -> list[Image]:
    """Eileen Collins (NASA, in scikit-image) and Grace Hopper (US Navy, in matplotlib): both in the public domain."""
    try:
        data = importlib.import_module("skimage.data")
        cbook = importlib.import_module("matplotlib.cbook")
    except ModuleNotFoundError as error:
        raise MissingExtra("Acting out the attacks without photos of your own", "faces,training") from error
    with cbook.get_sample_data("grace_hopper.jpg") as file:
        return [images.load(data.astronaut()).pixels, images.load(file.read()).pixels]
