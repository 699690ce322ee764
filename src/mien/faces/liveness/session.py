"""One person's try in front of one camera: are they there, alive, and the same all the time?

    looking ──(3 good frames from the front)──► challenge ──(every step answered, then the front again)──► live
       │                                            │
       └──────────────(no steps: the net's votes)───┴──► refused, with a code; it stays so

A session says codes; what a person is told is written elsewhere.

What it does not stop: a moving picture of the person that follows the prompts (a face swapped or animated by a
computer), on a good screen or fed in place of the camera: its head is as solid as the one that was filmed. Only a
camera that signs its pictures closes the second. A film of earlier turns passes where it happens to have the right ones
in the right order: one in twenty for two steps, one in eighty for three. Nor a mask in three dimensions, be it of paper
with a nose folded out of it.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mien.errors import CalibrationError, LivenessError, OptionError
from mien.faces import quality
from mien.faces.calibration import Calibration, load_calibration
from mien.faces.liveness.challenge import FRONT, TURNS, check_steps
from mien.faces.liveness.freshness import GAP, Freshness
from mien.faces.liveness.geometry import AT_FRONT, CLOSER, LEAP, TURNED, WIDEST, Front, Motion
from mien.faces.liveness.status import Liveness, Phase, Status
from mien.faces.liveness.tracking import Tracker
from mien.faces.liveness.votes import Votes
from mien.faces.pipeline import FacePipeline
from mien.faces.quality import QualityLimits
from mien.faces.records import Face, Image
from mien.faces.similarity import distance

if TYPE_CHECKING:
    from mien.faces.liveness.passive import PassiveNet

FRONTS = 3
"""Good frames from the front before anything is asked, or decided."""
HELD = 2
"""Frames in a row that a step, the return to the front, and a refusal by geometry take: one may be a slip."""
REACTION = 0.25
"""Seconds after a prompt in which no person can have followed it."""
SAME_FMR = 1e-4
"""False match rate of the threshold that every judged frame's encoding must keep to the front's."""
_SMALLEST = 60.0  # pixels of the face's shorter side: about 25 between the eyes
_YAW, _PITCH = 20.0, 30.0  # degrees of an average head, within which a first look counts as one from the front
_BYSTANDER = 0.25  # faces of less than this share of the largest one's side stand far behind
_STEADY = 0.15  # parallax by the detector's landmarks, between first looks: they are as rough as that
_FARTHEST = 0.24  # parallax beyond which a turned face's encoding strays: about 35 degrees
_BEST = 5  # frames whose encodings are averaged


@dataclass(frozen=True, eq=False)
class _Frontal:
    """A good frame from the front."""

    face: Face
    encoding: NDArray[np.float32]
    sharpness: float


class LivenessSession:
    """One try, fed frame by frame; it decides once, and whatever fails or is missing is a refusal.

    Every frame of the challenge with one face that is large enough, and not turned too far, is encoded and held against
    the front's encoding; then followed from the front, and looked at for what was asked.
    """

    def __init__(
        self,
        pipeline: FacePipeline,
        *,
        passive: PassiveNet | None,
        steps: Sequence[str],
        seconds: float = 25.0,
        clock: Callable[[], float] = time.monotonic,
        nonce: str | None = None,
        calibration: Calibration | None = None,
    ) -> None:
        """`steps` as from `choose_steps`; with none, the passive net alone decides, beside some it may only deny.

        `seconds` by `clock` are there for everything, from now on. Frames of a file need a clock that keeps the file's
        own time. `nonce` names the try; without one it is drawn. `calibration` is the encoder's, the shipped one of
        SFace unless given.
        """
        self.steps = check_steps(steps)
        if not self.steps and passive is None:
            raise OptionError("Expected steps to ask for, or a passive net: without either, anything would pass.")
        calibration = calibration or load_calibration("sface")
        if calibration.encoder != pipeline.encoder.name:
            raise CalibrationError(
                f"Expected a calibration of the encoder {pipeline.encoder.name}, got one of {calibration.encoder}."
            )
        self.nonce = nonce or secrets.token_urlsafe(16)
        self.same_below = calibration.threshold_for_fmr(SAME_FMR)
        self.error: Exception | None = None
        """What failed, where the reason is `error`; for a log."""
        self._pipeline, self._passive = pipeline, passive
        self._seconds, self._clock, self._began = seconds, clock, clock()
        self._ended = self._began
        self._lock = threading.Lock()
        self._limits = QualityLimits(size=_SMALLEST)
        self._freshness = Freshness()
        self._votes: Votes | None = None
        if passive is not None:
            self._votes = Votes(passive.threshold, denied_below=passive.denied_below, alone=not self.steps)
        self._phase: Phase = "looking"
        self._reason: str | None = None
        self._face: Face | None = None
        self._frontals: list[_Frontal] = []
        self._tracker: Tracker | None = None
        self._reference: NDArray[np.float32] | None = None
        self._done, self._back = 0, False
        self._asked_at = self._judged_at = 0.0
        self._held: dict[str, int] = {}
        self._scale, self._moved = 1.0, 0.0
        self._leapt = self._wide = False
        self._frames = 0
        self._token: str | None = None

    # ---- what callers ask --------------------------------------------------------------------------------------------

    def show(self, image: Image, taken: float) -> Status:
        """The next frame, (H, W, 3) RGB, not mirrored; `taken` is the camera's own clock in seconds, and must rise."""
        with self._lock:
            if self._phase in ("looking", "challenge"):
                self._reason = self._face = None
                try:
                    self._look(image, taken)
                except Exception as error:  # whatever fails, the door stays shut
                    self.error = error
                    self._refuse("error")
            return self.status

    @property
    def status(self) -> Status:
        """Where the session stands, after the last frame."""
        prompt = None
        if self._phase == "challenge":
            prompt = FRONT if self._back else self.steps[self._done]
        return Status(self._phase, prompt, self._done, len(self.steps), self._reason, self._face)

    def result(self) -> Liveness:
        """What came of it, so far."""
        with self._lock:
            now = self._clock()
            if self._phase in ("looking", "challenge") and now - self._began > self._seconds:
                self._refuse("late")
            live = self._phase == "live"
            best = sorted(self._frontals, key=lambda f: f.sharpness, reverse=True)[:_BEST] if live else []
            return Liveness(
                live=live,
                reason="live" if live else self._reason if self._phase == "refused" and self._reason else "unfinished",
                encoding=_mean(best) if best else None,
                face=best[0].face if best else None,
                frames=self._frames,
                seconds=(self._ended if self._phase in ("live", "refused") else now) - self._began,
                token=self._token,
            )

    def take_token(self) -> str:
        """The token of a live session: once. Raises LivenessError before it is live, and ever after."""
        with self._lock:
            token, self._token = self._token, None
        if token is None:
            raise LivenessError("Expected a try that has just succeeded, but this one has not, or was used already.")
        return token

    # ---- a frame -----------------------------------------------------------------------------------------------------

    def _look(self, image: Image, taken: float) -> None:
        now = self._clock()
        if now - self._began > self._seconds:
            return self._refuse("late")
        code = self._freshness.check(image, taken, now)
        if code == "gap" and self._phase == "looking":
            self._start_again()
        elif code is not None:
            return self._refuse(code)
        faces = self._pipeline.faces(image)
        self._face = faces[0] if faces else None
        if self._phase == "challenge" and taken - self._judged_at > GAP:
            return self._refuse("gap")
        hint = _unusable(image, faces)
        if hint == "several_faces" and self._phase == "challenge":
            return self._refuse(hint)  # on one frame already: two could take turns
        if hint is not None:
            return self._pass_over(hint)
        if self._phase == "looking":
            return self._look_to_the_front(image, faces[0], taken)
        return self._judge(image, faces[0], taken)

    def _look_to_the_front(self, image: Image, face: Face, taken: float) -> None:
        if not to_the_front(face):
            return self._pass_over("turned")
        seen = self._frontal(image, face)
        if isinstance(seen, str):
            return self._pass_over(seen)
        self._frames += 1
        steady = all(Front([f.face.landmarks]).motion(face.landmarks).parallax <= _STEADY for f in self._frontals)
        same = all(distance(f.encoding, seen.encoding) < self.same_below for f in self._frontals)
        if not (steady and same):
            self._start_again()  # somebody else came, or they moved: from the beginning, with this frame
        self._frontals.append(seen)
        if self._vote(image, face):
            self._begin(image, taken)
        return None

    def _begin(self, image: Image, taken: float) -> None:
        """With enough frames from the front: ask the first step; without steps, decide by the votes."""
        enough = len(self._frontals) >= FRONTS
        if self.steps and enough:
            self._tracker = Tracker(image, [f.face.landmarks for f in self._frontals])
            self._reference = _mean(self._frontals)
            self._phase, self._judged_at = "challenge", taken
            self._ask(taken)
        elif not self.steps and self._votes is not None and self._votes.decided and (enough or not self._votes.live):
            self._decide()

    def _judge(self, image: Image, face: Face, taken: float) -> None:
        """A frame of the challenge: the same face? a head? what was asked for?"""
        if self._tracker is None or self._reference is None:
            raise LivenessError("Expected a front before a challenge.")
        motion = self._tracker.follow(image, face.landmarks)
        if motion.parallax > _FARTHEST if motion else not to_the_front(face):
            return self._pass_over("too_far")
        encoding = self._pipeline.encode(image, [face])[0]
        another = not distance(encoding, self._reference) < self.same_below
        if self._hold("another_face", another):
            return self._refuse("another_face")
        if another or motion is None:
            return self._pass_over("lost")
        if motion.expressive:  # no plane any more: what it would say of turns and sheets is not true
            return self._pass_over("expression")
        self._frames += 1
        self._judged_at = taken
        if self._hold("flat", motion.flat) or self._folded(motion):
            return self._refuse("flat")
        step = self.steps[self._done]
        if self._hold("wrong_direction", any(motion.turned(turn) for turn in TURNS if turn != step)):
            return self._refuse("wrong_direction")
        if not self._back:
            self._answer(step, motion, taken)
        elif self._come_back(image, face, encoding, motion):
            self._next(motion, taken)
        return None

    def _answer(self, step: str, motion: Motion, taken: float) -> None:
        if step in TURNS:
            self._watch(step, motion)
            reached = motion.turned(step) and motion.solid and not self._leapt and not self._wide
        else:
            reached = motion.scale >= CLOSER * self._scale and motion.parallax < TURNED
        if reached and taken - self._asked_at < REACTION:
            return self._refuse("early")
        if self._hold(step, reached):
            if step in TURNS and self._held.get("nosed", 0) < HELD:
                self._reason = "covered"
            else:
                self._back, self._held = True, {}
        return None

    def _folded(self, motion: Motion) -> bool:
        """Whether it is a sheet folded along the nose, by the frames that show it, each against the one before.

        A frame that does not show it neither refuses, nor counts as one of a nose that stands out, which every turn
        needs, in its own direction. Else it would be enough to paint over what gives a fold away.
        """
        if motion.nosed or motion.folded:
            step = self.steps[self._done]
            self._hold("nosed", motion.nosed and step in TURNS and motion.turned(step))
            return self._hold("folded", motion.folded)
        return False

    def _watch(self, step: str, motion: Motion) -> None:
        """Two things that spoil a turn until the face is back where it was.

        A leap: photos of a turned head, shown after one of its front, have nothing between. And a face that grows wider
        while it turns: a head is widest at its front, but a bent sheet may have been turned the other way there, to
        gather twice the parallax.
        """
        if motion.parallax - self._moved > LEAP:
            self._leapt, self._reason = True, "too_fast"
        elif motion.parallax <= AT_FRONT:
            self._leapt = False
        self._moved = motion.parallax
        wider = motion.extent(step)
        if self._hold("wide", wider >= WIDEST):
            self._wide = True
        elif wider < (1 + WIDEST) / 2 and motion.parallax <= AT_FRONT / 2:
            self._wide = False

    def _come_back(self, image: Image, face: Face, encoding: NDArray[np.float32], motion: Motion) -> bool:
        """Whether the face is at the front again, held; such frames are votes, and may be the best ones."""
        at_front = motion.parallax <= AT_FRONT
        if at_front:
            seen = self._frontal(image, face, encoding)
            if isinstance(seen, str):
                self._pass_over(seen)
                return False
            self._frontals.append(seen)
            if not self._vote(image, face):
                return False
        return self._hold(FRONT, at_front)

    def _next(self, motion: Motion, taken: float) -> None:
        """A step is done, and the face at the front again: the next step, or the decision."""
        self._done, self._back, self._scale = self._done + 1, False, motion.scale
        if self._done == len(self.steps):
            self._decide()
        else:
            self._ask(taken)

    # ---- parts -------------------------------------------------------------------------------------------------------

    def _ask(self, taken: float) -> None:
        self._back, self._held, self._asked_at = False, {}, taken
        self._leapt = self._wide = False
        self._moved = 0.0

    def _hold(self, what: str, holds: bool) -> bool:
        """Whether something has held for HELD frames in a row."""
        self._held[what] = self._held.get(what, 0) + 1 if holds else 0
        return self._held[what] >= HELD

    def _frontal(self, image: Image, face: Face, encoding: NDArray[np.float32] | None = None) -> _Frontal | str:
        """A frame from the front with its encoding, or why it is not good enough to recognise somebody by."""
        measured = quality.measure(image, face)
        if measured.cut > self._limits.cut:
            return "cut_off"
        if measured.brightness < self._limits.darkest or measured.contrast < self._limits.contrast:
            return "too_dark"
        if measured.brightness > self._limits.brightest:
            return "too_bright"
        if measured.sharpness < self._limits.sharpness:
            return "blurred"
        if encoding is None:
            encoding = self._pipeline.encode(image, [face])[0]
        return _Frontal(face, encoding, measured.sharpness)

    def _vote(self, image: Image, face: Face) -> bool:
        """Let the passive net vote; False where the session has ended by it."""
        if self._passive is None or self._votes is None:
            return True
        self._votes.add(float(self._passive.score(image, [face])[0]))
        if self._votes.denied:
            self._refuse("attack")
            return False
        return True

    def _decide(self) -> None:
        if self._votes is not None and not self._votes.live:
            return self._refuse("not_live")
        self._phase, self._reason, self._ended = "live", None, self._clock()
        self._token = secrets.token_urlsafe(24)
        return None

    def _pass_over(self, hint: str) -> None:
        """A frame that does not count; before the challenge, the frames from the front must follow each other."""
        self._reason = hint
        if self._phase == "looking":
            self._start_again()

    def _start_again(self) -> None:
        """Frames from the front, and the votes for them, follow each other: else one could vote for another."""
        self._frontals.clear()
        if self._votes is not None:
            self._votes.start_again()

    def _refuse(self, code: str) -> None:
        self._phase, self._reason, self._ended = "refused", code, self._clock()


def _unusable(image: Image, faces: Sequence[Face]) -> str | None:
    """Why a frame cannot be judged, or None: exactly one face, large enough, and whole."""
    if not faces:
        return "no_face"
    if sum(face.size >= _BYSTANDER * faces[0].size for face in faces) > 1:
        return "several_faces"
    face = faces[0]
    if face.size < _SMALLEST:
        return "too_small"
    height, width = image.shape[:2]
    inside = (face.landmarks >= 0).all() and (face.landmarks < [width, height]).all()
    return None if inside else "cut_off"


def to_the_front(face: Face) -> bool:
    """Whether a face looks to the front, as far as the detector's landmarks can tell."""
    yaw, pitch, _ = quality.pose(face.landmarks)
    return abs(yaw) <= _YAW and abs(pitch) <= _PITCH


def _mean(frontals: Sequence[_Frontal]) -> NDArray[np.float32]:
    total = np.stack([f.encoding for f in frontals]).astype(np.float64).sum(axis=0)
    return np.asarray(total / np.linalg.norm(total), np.float32)
