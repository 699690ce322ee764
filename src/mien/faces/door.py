"""The door: liveness, identification, decision, log, in this order; whatever is missing or fails, nobody enters.

    attempt = Attempt(office, PassiveNet(), choose_steps(2), "front-door")
    for frame in camera:
        told = attempt.show(frame.image, frame.seconds)
        print(told.sentence)  # all that the person at the camera ever learns

Only here is somebody admitted. An `Attempt` is one person's try; a `Door` begins one whenever somebody comes.
"""

from __future__ import annotations

import math
import re
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mien.errors import LivenessError, OptionError
from mien.faces.ledger import Ledger
from mien.faces.liveness.passive import PassiveNet
from mien.faces.liveness.session import LivenessSession, to_the_front
from mien.faces.liveness.status import Status
from mien.faces.lockout import Lockout
from mien.faces.recognize import ONE_PERSON_FMR, Recognizer
from mien.faces.records import Face, Image, Match
from mien.faces.similarity import distance

Phase = Literal["looking", "challenge", "admitted", "refused"]

LOOK = "Please look at the camera"
UNKNOWN = "Not in the database"
REFUSED = "Not admitted. Please try again or ask at the desk."
LOCKED = "Please wait a few minutes, or ask at the desk."
ONE_AT_A_TIME = "One person at a time, please"
PROMPTS = {
    "left": "Turn your head to your left",
    "right": "Turn your head to your right",
    "up": "Lift your chin and look up",
    "down": "Lower your chin and look down",
    "closer": "Come closer",
}
"""What is said for each step of a challenge; for any other prompt, `LOOK`."""
HINTS = {
    "several_faces": ONE_AT_A_TIME,
    "too_small": "Please come closer",
    "cut_off": "Please step back a little",
    "too_dark": "Please step into the light",
    "too_bright": "Please step out of the bright light",
    "blurred": "Please hold still",
    "too_far": "Not so far, please",
    "too_fast": "More slowly, please",
    "lost": "Look straight ahead, please",
    "expression": "With a calm face, please",
    "covered": "Please uncover your face; take off your glasses",
}
"""What is said where a frame cannot be used; for anything else, `LOOK` or the prompt."""

_GONE = 2.0  # seconds without a face, after which whoever tried has left
_EMPTY = 1.0  # seconds without a face, after which the next one may come
_COMPARE = 0.5  # seconds between two looks whether it is still the same face
_NEAR = 60.0  # pixels of a face's shorter side: as large as a session judges
_BYSTANDER = 0.25  # faces of less than this share of the largest one's side stand far behind
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+-]{0,63}")


@dataclass(frozen=True)
class Told:
    """What a try has come to after a frame."""

    phase: Phase
    """`admitted` and `refused` are the end."""
    sentence: str
    """For the person at the camera: never a score, and never whether they are known before they are live."""
    prompt: str | None = None
    """The step asked for now: left, right, up, down, closer, or back to the front."""
    person: Match | None = None
    """Who was admitted, for the administrator and the relay; their distance is for no one else."""
    reason: str = ""
    """A code for the administrator's log, never to be shown at the camera."""
    face_box: tuple[float, float, float, float] | None = None
    """x, y, width and height as shares of the picture, 0 to 1."""
    step: int = 0
    steps: int = 0

    @property
    def over(self) -> bool:
        """Whether the try has come to its end."""
        return self.phase in ("admitted", "refused")


class Attempt:
    """One person's try at one camera: one liveness session, one identification, one entry in the log.

    It may be called from several threads, and fails closed: any error ends it with "not admitted" and the reason
    `error`.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        passive: PassiveNet | None,
        steps: Sequence[str],
        camera: str,
        *,
        seconds: float = 25.0,
        clock: Callable[[], float] = time.monotonic,
        nonce: str | None = None,
        lockout: Lockout | None = None,
        client: str | None = None,
        audited: bool = True,
    ) -> None:
        """A try with these challenge steps; without any, the passive network alone decides who is live.

        camera: one word, the entry's source in the log. client: whom `lockout` counts, the camera unless given.
        clock: the house's own, not the camera's; it bounds the whole try.

        Raises:
            LivenessError: the camera or client is locked.
            OptionError: neither a network nor steps, or a camera's name that is no word.
        """
        if passive is None and not steps:
            raise OptionError("Expected a liveness network, or steps to ask for, or both, got neither: see PassiveNet.")
        check_camera(camera)
        self.camera, self.nonce = camera, nonce or secrets.token_urlsafe(16)
        self.error: Exception | None = None
        """What ended the try with the reason `error`, for the administrator."""
        self.face: Face | None = None
        """The face in the last frame."""
        self._recognizer, self._lockout, self._client = recognizer, lockout, client or camera
        if lockout is not None and (wait := lockout.remaining(self._client)) > 0:
            raise LivenessError(
                f"Expected a try at the camera {camera}, but after several failures it is locked for "
                f"{max(1, round(wait))} seconds more; wait."
            )
        self._ledger = Ledger(recognizer.gallery, kept=audited)
        self._heard = None if passive is None else _Heard(passive, alone=not steps)
        self._session = LivenessSession(
            recognizer.pipeline,
            passive=self._heard,
            steps=steps,
            seconds=seconds,
            clock=clock,
            nonce=self.nonce,
            calibration=recognizer.calibration,
        )
        self._lock = threading.Lock()
        self._seen = self._asked = self._counted = False
        self._told = Told("looking", LOOK, steps=len(steps))

    @property
    def told(self) -> Told:
        """What the try has come to so far."""
        return self._told

    @property
    def over(self) -> bool:
        """Whether the try has come to its end."""
        return self._told.over

    def show(self, image: Image, taken: float) -> Told:
        """Show a frame (H, W, 3) RGB that the camera took at `taken` (seconds, rising). After the end nothing changes.

        Never raises: what fails ends the try with "not admitted".
        """
        with self._lock:
            if not self._told.over:
                self._told = self._safely(lambda: self._looked(image, taken))
            return self._told

    def leave(self, reason: str = "left") -> Told:
        """End a try that nobody goes on with: not admitted, for this reason.

        Walking away counts as a failure where something had been asked for, or a picture was seen; passing by does not.
        """
        with self._lock:
            if not self._told.over:
                self._told = self._safely(lambda: self._refuse(reason, counts=self._tested()))
            return self._told

    def _safely(self, what: Callable[[], Told]) -> Told:
        """The one place that catches everything: an error opens no door."""
        try:
            return what()
        except Exception as error:
            self.error = error
        try:
            return self._refuse("error")
        except Exception as error:  # the log cannot be written either
            self.error = error
        return replace(self._told, phase="refused", sentence=REFUSED, prompt=None, person=None, reason="error")

    def _looked(self, image: Image, taken: float) -> Told:
        if self._locked():
            return self._refuse("locked")
        status = self._session.show(image, taken)
        self.face = status.face
        self._seen |= status.face is not None
        self._asked |= status.phase == "challenge"
        self._told = Told(
            "challenge" if status.phase == "challenge" else "looking",
            _sentence(status),
            prompt=status.prompt,
            reason=status.reason or "",
            face_box=_share(status.face, image),
            step=status.step,
            steps=status.steps,
        )
        if status.phase == "refused":
            self.error = self._session.error
            # Who only stood about, and was never asked for anything, has not failed.
            return self._refuse(status.reason or "refused", counts=status.reason != "late" or self._tested())
        return self._decided() if status.phase == "live" else self._told

    def _decided(self) -> Told:
        """Who the living person is. Nobody who is not live gets here, so nobody else learns who is known."""
        liveness, token = self._session.result(), self._session.take_token()
        if not liveness.live or token is None or liveness.encoding is None:
            return self._refuse(liveness.reason or "refused")
        if self._heard is not None and not self._heard.scores:
            return self._refuse("unscored")
        decision = self._recognizer.identify_encoding(liveness.encoding, face=liveness.face)
        if decision.verdict != "known" or decision.match is None:
            return self._refuse(decision.verdict)
        self._write("admit", "live", person=decision.match.id)  # before the door opens: no entry, no admission
        if self._lockout is not None:
            self._lockout.succeeded(self._client)
        welcome = f"Welcome, {decision.match.person}"
        return replace(
            self._told, phase="admitted", sentence=welcome, prompt=None, person=decision.match, reason="live"
        )

    def _tested(self) -> bool:
        """Whether something was asked of somebody, or the network doubted them."""
        heard = self._heard
        return self._asked or (heard is not None and any(score < heard.level for score in heard.scores))

    def _locked(self) -> bool:
        return self._lockout is not None and self._lockout.remaining(self._client) > 0

    def _refuse(self, reason: str, *, counts: bool = True) -> Told:
        """Not admitted. Without a face there was nobody: nothing to count, and only an error to write about."""
        reason = reason if _WORD.fullmatch(reason) else "refused"
        if self._seen and counts and reason != "locked" and self._lockout is not None and not self._counted:
            self._counted = True
            self._lockout.failed(self._client)
        if self._seen or reason == "error":
            self._write("refuse", reason)
        sentence = {"unknown": UNKNOWN, "locked": LOCKED}.get(reason, REFUSED if self._seen else LOOK)
        return replace(self._told, phase="refused", sentence=sentence, prompt=None, person=None, reason=reason)

    def _write(self, event: str, reason: str, *, person: str | None = None) -> None:
        """The try's entry: the range of the network's scores, beside the threshold that they were held against."""
        scores = [] if self._heard is None else self._heard.scores
        self._ledger.write(
            event,
            person=person,
            source=self.camera,
            reason=reason,
            steps="+".join(self._session.steps) or None,
            probability=min(scores) if scores else None,
            highest=max(scores) if scores else None,
            tau=self._heard.level if self._heard is not None and scores else None,
            samples=len(scores),
        )


class _Heard(PassiveNet):
    """A network shared by many tries, and what it said in this one."""

    def __init__(self, net: PassiveNet, *, alone: bool) -> None:
        self._net_of_all = net
        self.name, self.threshold, self.denied_below = net.name, net.threshold, net.denied_below
        self.level = net.threshold if alone else net.denied_below
        """What most frames have to reach: beside a challenge the network may only deny."""
        self.weights, self.liveness, self.size = net.weights, net.liveness, net.size
        self.scores: list[float] = []

    def score(self, image: Image, faces: Sequence[Face]) -> NDArray[np.float32]:
        found = self._net_of_all.score(image, faces)
        self.scores += found.tolist()
        return found


class Door:
    """One camera's door: a try begins when somebody comes, and the next one when they have gone or another one comes.

    Whoever was admitted is not admitted again for `cool_down` seconds, so that a relay is not fired at every frame.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        passive: PassiveNet | None,
        camera: str,
        *,
        steps: Callable[[], Sequence[str]] = tuple,
        lockout: Lockout | None = None,
        seconds: float = 25.0,
        cool_down: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
        audited: bool = True,
    ) -> None:
        """`steps` is asked for the challenge of every try; `choose_steps` draws one. Otherwise as `Attempt`."""
        self.camera = check_camera(camera)
        self._recognizer, self._passive, self._steps = recognizer, passive, steps
        self._lockout, self._clock, self._cool_down = lockout or Lockout(clock=clock), clock, cool_down
        self._options: dict[str, Any] = {"seconds": seconds, "clock": clock, "audited": audited}
        self._same_below = recognizer.calibration.threshold_for_fmr(ONE_PERSON_FMR)
        self.attempt: Attempt | None = None
        """The try that goes on, or the last one."""
        self._last: NDArray[np.float32] | None = None
        self._waits_for_change = False
        self._face_at = self._compared_at = self._recalled_at = -math.inf
        self._admitted: list[tuple[float, NDArray[np.float32]]] = []
        self._cooling: dict[str, float] = {}

    def show(self, image: Image, taken: float) -> Told | None:
        """What somebody at the camera is told after this frame; None while nobody has to be told anything.

        A told one that is `over` comes once for every try. Raises what the detector raises where nobody is looked at
        yet; a try itself fails closed.
        """
        if self.attempt is not None and not self.attempt.over:
            return self._go_on(self.attempt, image, taken)
        near = _near(self._recognizer.pipeline.faces(image))
        away = taken - self._face_at
        if near:
            self._face_at = taken
        if self._waits_for_change and not self._changed(image, near, taken, away=away):
            return None
        if len(near) != 1:
            return Told("looking", ONE_AT_A_TIME, reason="several_faces") if near else None
        if self._lockout.remaining(self.camera) > 0:
            self._rest(image, near[0], taken)
            return Told("refused", LOCKED, reason="locked")
        if self._was_admitted(image, near[0], taken):
            return None
        self.attempt = Attempt(
            self._recognizer, self._passive, self._steps(), self.camera, lockout=self._lockout, **self._options
        )
        return self._go_on(self.attempt, image, taken)

    def close(self) -> Told | None:
        """The camera has no more frames: a try that goes on ends."""
        if self.attempt is None or self.attempt.over:
            return None
        return self.attempt.leave("ended")

    def _go_on(self, attempt: Attempt, image: Image, taken: float) -> Told | None:
        told = attempt.show(image, taken)
        if told.face_box is not None:
            self._face_at = taken
        elif not told.over and taken - self._face_at > _GONE:
            told = attempt.leave()
        if told.over:
            self._rest(image, attempt.face, taken)
        if told.phase != "admitted" or told.person is None:
            return told
        again = self._cooling.get(told.person.id, -math.inf) > taken
        self._cooling[told.person.id] = taken + self._cool_down
        if self._last is not None:
            self._admitted.append((taken + self._cool_down, self._last))
        return None if again else told  # they are in already: nothing to be said, or relayed

    def _rest(self, image: Image, face: Face | None, taken: float) -> None:
        """Wait until the scene is empty, or somebody else stands there."""
        self._waits_for_change, self._compared_at, self._recalled_at = True, taken, -math.inf
        self._last = None if face is None else self._encoding(image, face)

    def _changed(self, image: Image, near: Sequence[Face], taken: float, *, away: float) -> bool:
        if not near:
            changed = away > _EMPTY
        elif len(near) > 1 or self._last is None or taken - self._compared_at < _COMPARE:
            changed = False
        else:
            self._compared_at = taken
            seen = self._encoding(image, near[0])
            changed = seen is not None and distance(seen, self._last) >= self._same_below
        self._waits_for_change = not changed
        return changed

    def _was_admitted(self, image: Image, face: Face, taken: float) -> bool:
        """Whether this is somebody who was admitted a moment ago; as long as that cannot be seen, it may be."""
        self._admitted = [(until, encoding) for until, encoding in self._admitted if until > taken]
        if not self._admitted or taken - self._recalled_at < _COMPARE:
            return bool(self._admitted)
        self._recalled_at = taken
        seen = self._encoding(image, face)
        return seen is None or any(distance(seen, encoding) < self._same_below for _, encoding in self._admitted)

    def _encoding(self, image: Image, face: Face) -> NDArray[np.float32] | None:
        """Of a face that looks to the front: a turned one is unlike itself. None too where it fails: nobody is new."""
        if not to_the_front(face):
            return None
        try:
            return np.asarray(self._recognizer.pipeline.encode(image, [face])[0], np.float32)
        except Exception as error:
            if self.attempt is not None:
                self.attempt.error = error
            return None


def _near(faces: Sequence[Face]) -> list[Face]:
    """Who stands before the camera, and not far behind."""
    if not faces or faces[0].size < _NEAR:
        return []
    return [face for face in faces if face.size >= _BYSTANDER * faces[0].size]


def check_camera(name: str) -> str:
    """The name of a camera as the log takes it; OptionError if it is not one word."""
    if not _WORD.fullmatch(name):
        raise OptionError(
            f"Expected a camera's name of up to 64 letters, digits and any of . _ : + -, such as front-door, got "
            f"{name[:80]!r}."
        )
    return name


def _sentence(status: Status) -> str:
    if status.reason in HINTS:
        return HINTS[status.reason]
    return PROMPTS.get(status.prompt or "", LOOK)


def _share(face: Face | None, image: Image) -> tuple[float, float, float, float] | None:
    """The part of the face's box that lies in the picture, as shares of it."""
    if face is None:
        return None
    height, width = image.shape[:2]
    x, y, w, h = face.box
    left, right = (min(1.0, max(0.0, v / width)) for v in (x, x + w))
    top, bottom = (min(1.0, max(0.0, v / height)) for v in (y, y + h))
    return left, top, right - left, bottom - top
