"""The session's rules, one by one, on ideal faces: the networks and the tracker are played by the points themselves."""

from types import SimpleNamespace

import numpy as np
import pytest

from mien.errors import CalibrationError, LivenessError, OptionError
from mien.faces.liveness import session as module
from mien.faces.liveness.freshness import AHEAD, BEHIND, GAP
from mien.faces.liveness.geometry import Front
from mien.faces.liveness.session import LivenessSession
from mien.faces.liveness.status import HINTS, REFUSALS
from mien.faces.liveness.votes import Votes
from mien.faces.records import Face

HEAD = np.array([[-0.5, -0.55, 0], [0.5, -0.55, 0], [0, 0.05, 0.4], [-0.4, 0.55, 0], [0.4, 0.55, 0]])
# After the five landmarks, what is followed beside them: between the eyes, and the lower lip.
HEAD = np.vstack([HEAD, [[0, -0.55, 0.15], [0, 0.65, 0.1]]])
SHEET = HEAD * [1, 1, 0]
ROOF = np.column_stack([HEAD[:, :2], -0.7 * np.abs(HEAD[:, 0])])
MIDLINES = {}
UNITS = np.eye(128, dtype=np.float32)


def face(points=HEAD, *, yaw=0.0, pitch=0.0, size=40.0, x=160.0):
    """What a detector would say of points that turned: yaw to the picture's right, pitch down."""
    a, b = np.radians([yaw, pitch])
    about_y = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), np.sin(b)], [0, -np.sin(b), np.cos(b)]])
    seen = (points @ (about_x @ about_y).T)[:, :2] * size + [x, 120]
    marks = seen[:5].astype(np.float32)
    MIDLINES[marks.tobytes()] = seen[5:]
    return Face((x - size, 120 - 1.2 * size, 2 * size, 2.5 * size), marks, 0.9)


class Door:
    """A session whose camera is fed by hand: every call is a frame, 0.1 s later."""

    def __init__(self, steps=("left",), *, passive=None, seconds=25.0):
        self.now, self.faces, self.who, self.number = 0.0, [], 0, 0
        pipeline = SimpleNamespace(
            encoder=SimpleNamespace(name="ideal"),
            faces=lambda image: self.faces,
            encode=lambda image, faces: UNITS[[self.who]],
        )
        calibration = SimpleNamespace(encoder="ideal", threshold_for_fmr=lambda fmr: 1.0)
        self.session = LivenessSession(
            pipeline, passive=passive, steps=steps, seconds=seconds, clock=lambda: self.now, calibration=calibration
        )

    def picture(self, number=None):
        self.number += 1
        return np.random.default_rng(self.number if number is None else number).integers(
            0, 255, (240, 320, 3), np.uint8
        )

    def show(self, *faces, who=0, later=0.1, taken=None, picture=None):
        self.now += later
        self.faces, self.who = list(faces), who
        self.status = self.session.show(
            self.picture() if picture is None else picture, self.now if taken is None else taken
        )
        return self.status

    def front(self, frames=3, **how):
        for _ in range(frames):
            self.show(face(), **how)
        return self

    def turn(self, *angles, points=HEAD, axis="yaw", **how):
        for angle in angles:
            self.show(face(points, **{axis: angle}), **how)
        return self

    @property
    def ended(self):
        return self.status.phase, self.status.reason


LEFT = (3, 7, 11, 20, 25, 20, 8, 0, 0, 0)


@pytest.fixture(autouse=True)
def _ideal_tracker(monkeypatch):
    class Ideal:
        def __init__(self, image, landmarks):
            self.front = Front(landmarks)

        def follow(self, image, landmarks):
            return self.front.motion(landmarks, MIDLINES.get(landmarks.tobytes()))

    monkeypatch.setattr(module, "Tracker", Ideal)


def test_a_head_that_does_what_it_is_asked_is_live():
    door = Door(("left", "up")).front()
    assert (door.status.phase, door.status.prompt, door.status.step, door.status.steps) == ("challenge", "left", 0, 2)
    door.turn(*LEFT[:5])
    assert door.status.prompt == "front"
    door.turn(*LEFT[5:])
    assert (door.status.prompt, door.status.step) == ("up", 1)
    door.turn(*(-angle for angle in LEFT), axis="pitch")
    assert (door.ended, door.status.prompt, door.status.step) == (("live", None), None, 2)
    result = door.session.result()
    assert result.live
    assert result.reason == "live"
    assert result.encoding == pytest.approx(UNITS[0])
    assert result.face is not None
    assert result.seconds == pytest.approx(0.1 * door.number - 0.1, abs=0.11)


def test_coming_closer_is_a_step_too():
    door = Door(("closer", "right")).front()
    for size in (42, 46, 51, 52, 52, 52):
        door.show(face(size=size))
    assert (door.status.prompt, door.status.step) == ("right", 1)
    for angle in LEFT:
        door.show(face(yaw=-angle, size=52))
    assert door.ended == ("live", None)


def test_the_token_is_given_once_and_only_to_the_living():
    door = Door().front()
    with pytest.raises(LivenessError):
        door.session.take_token()
    door.turn(*LEFT)
    assert door.session.result().token == door.session.take_token()
    assert door.session.result().token is None
    with pytest.raises(LivenessError):
        door.session.take_token()


def test_two_sessions_have_other_nonces_and_tokens():
    doors = [Door().front().turn(*LEFT) for _ in range(2)]
    assert doors[0].session.nonce != doors[1].session.nonce
    assert doors[0].session.take_token() != doors[1].session.take_token()


@pytest.mark.parametrize("points", [SHEET, HEAD * [1, 1, 0.2]])
def test_a_turned_sheet_is_refused_as_flat(points):
    door = Door()
    for _ in range(3):
        door.show(face(points))
    door.turn(10, 20, 32, 36, 40, points=points)
    assert door.ended == ("refused", "flat")


@pytest.mark.parametrize(("asked", "axis", "sign"), [("left", "yaw", 1), ("right", "yaw", -1), ("down", "pitch", 1)])
def test_a_print_folded_along_the_nose_is_refused_as_flat(asked, axis, sign):
    door = Door((asked,))
    for _ in range(3):
        door.show(face(ROOF))
    door.turn(*(sign * angle for angle in (6, 12, 18, 24, 30)), points=ROOF, axis=axis)
    assert door.ended == ("refused", "flat")


def test_a_single_frame_that_looks_folded_is_passed_over():
    door = Door().front().turn(3, 7, 11, 16)
    door.show(face(ROOF, yaw=22))
    door.turn(20, 25, 25, 20, 8, 0, 0, 0)
    assert door.ended == ("live", None)


@pytest.mark.parametrize(("hidden", "prompt"), [([5], "left"), ([5, 6], "left"), ([6], "front")])
def test_a_turn_without_a_nose_to_be_seen_does_not_count(hidden, prompt):
    points = HEAD.copy()
    points[hidden] = np.nan
    door = Door().front().turn(*LEFT[:5], 25, 25, points=points)
    assert (door.status.phase, door.status.prompt) == ("challenge", prompt)
    if prompt == "left":
        assert door.status.reason == "covered"  # they are told, instead of turning in vain


def test_a_nose_seen_in_another_turn_does_not_count_for_this_one():
    hidden = HEAD.copy()
    hidden[5:] = np.nan
    door = Door().front()
    for _ in range(2):  # one frame at a time, so that the wrong direction never holds
        door.turn(-8, -16, -8, 0)
    door.turn(*LEFT[:5], 25, 25, points=hidden)
    assert (door.status.phase, door.status.prompt) == ("challenge", "left")


def test_frames_without_a_midline_between_do_not_hide_a_fold():
    hidden = ROOF.copy()
    hidden[5:] = np.nan
    door = Door().front()
    for angle in (6, 12, 18, 24):
        door.turn(angle, points=ROOF).turn(angle + 1, points=hidden)
    assert door.ended == ("refused", "flat")


@pytest.mark.parametrize(
    ("asked", "axis", "sign"), [("right", "yaw", 1), ("left", "yaw", -1), ("up", "pitch", 1), ("left", "pitch", 1)]
)
def test_another_turn_than_the_one_asked_for_is_refused(asked, axis, sign):
    door = Door((asked,)).front().turn(*(sign * angle for angle in LEFT), axis=axis)
    assert door.ended == ("refused", "wrong_direction")


def test_the_second_step_before_the_first_is_refused():
    assert Door(("left", "right")).front().turn(*(-a for a in LEFT)).ended == ("refused", "wrong_direction")


def test_another_person_who_turns_for_the_photo_is_refused():
    door = Door().front(5).turn(3, 7, who=1)
    assert door.ended == ("refused", "another_face")
    assert door.session.result().encoding is None


def test_another_person_is_refused_and_a_single_slip_of_the_encoder_only_passed_over():
    door = Door().front().turn(3, 7, 11)
    frames = door.session.result().frames
    assert door.show(face(yaw=12), who=1).phase == "challenge"
    assert door.session.result().frames == frames  # it was not judged, and answers nothing
    assert Door().front().turn(3, 7, 11).turn(12, 13, who=1).ended == ("refused", "another_face")


def test_an_accomplices_votes_do_not_count_for_who_comes_after():
    door = Door((), passive=net(*[0.9] * 8, 0.3))
    for _ in range(4):  # never three in a row
        door.front(2)
        door.show(face(yaw=40))
    assert door.status.phase == "looking"
    assert door.front(3, who=1).ended == ("refused", "not_live")


def test_a_smile_in_the_challenge_is_neither_a_turn_nor_a_sheet():
    smile = face()
    smile.landmarks[3] += (-3, -2)
    smile.landmarks[4] += (3, -2)
    door = Door().front()
    for _ in range(4):
        assert door.show(smile).phase == "challenge"
    assert door.status.reason == "expression"
    assert door.turn(*LEFT).ended == ("live", None)


def test_whoever_comes_before_the_prompt_begins_anew():
    door = Door().front(2).front(2, who=1)
    assert door.status.phase == "looking"
    assert door.front(1, who=1).status.phase == "challenge"


def test_a_second_face_ends_a_challenge_but_not_a_bystander():
    door = Door().front()
    door.show(face(), face(size=9, x=280))
    assert door.status.reason is None
    door.show(face(), face(size=20, x=280))
    assert door.ended == ("refused", "several_faces")


def test_a_second_face_before_the_challenge_only_waits():
    door = Door().front(2)
    assert door.show(face(), face(size=30, x=260)).reason == "several_faces"
    assert door.front(2).status.phase == "looking"


def test_a_repeated_picture_is_refused():
    door = Door()
    picture = door.picture(99)
    door.show(face(), picture=picture)
    door.show(face())
    assert door.show(face(), picture=picture.copy()).reason == "duplicate"


@pytest.mark.parametrize("back", [0.0, 0.05])
def test_time_that_stands_or_runs_back_is_refused(back):
    door = Door().front()
    assert door.show(face(), taken=door.now - 0.1 - back, later=0.0).reason == "order"


def test_a_clock_that_is_not_a_number_is_refused():
    assert Door().front(1).show(face(), taken=float("nan")).reason == "order"


def test_a_hole_ends_a_challenge_and_before_it_begins_anew():
    assert Door().front().show(face(), later=GAP + 0.1).reason == "gap"
    door = Door().front(2)
    door.show(face(), later=GAP + 0.1)
    assert door.front(1).status.phase == "looking"
    assert door.front(1).status.phase == "challenge"


def test_a_face_out_of_sight_for_too_long_ends_a_challenge():
    door = Door().front()
    while door.status.phase == "challenge":
        door.show()
    assert door.status.reason == "gap"
    assert door.now == pytest.approx(0.3 + GAP, abs=0.11)


@pytest.mark.parametrize(("rate", "limit"), [(1.5, AHEAD), (0.5, BEHIND)])
def test_clocks_that_come_apart_are_refused(rate, limit):
    door = Door()
    for number in range(60):
        taken = 100 + (door.now + 0.1) * rate
        if door.show(face(yaw=25 if number < 50 else 0), taken=taken).phase == "refused":
            break
    assert door.status.reason == "clock"
    assert door.now == pytest.approx(limit * 2, abs=0.4)


def test_the_time_is_up():
    door = Door(seconds=2.0).front(30)
    assert door.ended == ("refused", "late")
    waiting = Door(seconds=2.0).front(3)
    assert waiting.session.result().reason == "unfinished"
    waiting.now += 3
    assert waiting.session.result().reason == "late"
    assert waiting.turn(*LEFT).ended == ("refused", "late")


def test_a_turn_faster_than_anybody_can_read_is_refused():
    assert Door().front().turn(12, 20, later=0.04).ended == ("refused", "early")


def test_a_leap_does_not_count_until_the_face_has_been_at_the_front_again():
    door = Door().front().turn(0, 0, 0, 25)
    assert door.status.reason == "too_fast"
    door.turn(25, 20, 25)
    assert (door.status.phase, door.status.prompt) == ("challenge", "left")
    door.turn(10, 0, *LEFT)
    assert door.ended == ("live", None)


def test_a_head_that_was_turned_away_at_its_front_has_to_come_back_first():
    door = Door()
    for _ in range(3):
        door.show(face(HEAD * [1, 1, 0.35], yaw=-28))
    door.turn(-20, -10, 0, 10, 20, 30, 30, 30, points=HEAD * [1, 1, 0.35])
    assert (door.status.phase, door.status.prompt) == ("challenge", "left")


def test_one_frame_of_a_turn_is_not_enough():
    door = Door().front().turn(3, 7, 11, 20, 8, 0, 0)
    assert (door.status.phase, door.status.prompt) == ("challenge", "left")


def test_it_is_not_over_before_the_face_is_back():
    door = Door().front().turn(*LEFT[:6], *[20] * 10)
    assert (door.status.phase, door.status.prompt) == ("challenge", "front")


@pytest.mark.parametrize(
    ("looks", "hint"),
    [
        ([], "no_face"),
        ([face(size=20)], "too_small"),
        ([face(x=10)], "cut_off"),
        ([face(yaw=35)], "turned"),
        ([face(), face(x=250)], "several_faces"),
    ],
)
def test_frames_that_do_not_count_say_why(looks, hint):
    status = Door().show(*looks)
    assert (status.phase, status.reason) == ("looking", hint)
    assert hint in HINTS


@pytest.mark.parametrize(("grey", "hint"), [(5, "too_dark"), (250, "too_bright")])
def test_bad_light_is_said(grey, hint):
    picture = np.random.default_rng(0).integers(grey - 5, grey + 5, (240, 320, 3)).astype(np.uint8)
    if hint == "too_bright":
        picture[::4] = 180  # bright and not plain
    assert Door().show(face(), picture=picture).reason == hint


def test_what_fails_is_refused_and_kept_for_the_log():
    door = Door().front()
    door.session._pipeline.faces = lambda image: 1 / 0
    assert door.show(face()).reason == "error"
    assert isinstance(door.session.error, ZeroDivisionError)
    assert door.turn(*LEFT).ended == ("refused", "error")
    assert not door.session.result().live


def test_once_refused_it_stays_refused():
    door = Door().front().turn(3, 4, who=1)
    for angle in (0, 0, 0, *LEFT):
        assert door.show(face(yaw=angle)).phase == "refused"
    assert door.session.result().reason in REFUSALS
    with pytest.raises(LivenessError):
        door.session.take_token()


# ---- the passive net -------------------------------------------------------------------------------------------------


def net(*scores, threshold=0.5, denied_below=0.25):
    """A net that gives these scores one after the other, and the last for ever."""
    left = list(scores)
    return SimpleNamespace(
        threshold=threshold,
        denied_below=denied_below,
        score=lambda image, faces: np.array([left.pop(0) if len(left) > 1 else left[0]]),
    )


def test_without_steps_three_live_votes_decide():
    door = Door((), passive=net(0.9)).front(2)
    assert door.status.phase == "looking"
    assert door.front(1).ended == ("live", None)
    assert door.session.result().frames == 3


def test_without_steps_the_majority_of_five_decides():
    assert Door((), passive=net(0.9, 0.4, 0.9, 0.4, 0.9)).front(5).ended == ("live", None)
    assert Door((), passive=net(0.9, 0.4, 0.9, 0.4, 0.4)).front(5).ended == ("refused", "not_live")


def test_two_frames_in_a_row_that_are_clearly_an_attack_override_everything():
    assert Door((), passive=net(0.9, 0.1, 0.1)).front(3).ended == ("refused", "attack")
    door = Door(passive=net(0.9, 0.9, 0.9, 0.1)).front().turn(*LEFT)
    assert door.ended == ("refused", "attack")


def test_hiding_the_face_does_not_wipe_out_bad_votes():
    door = Door((), passive=net(0.4, 0.9, 0.4, 0.9, 0.4, 0.9))
    for _ in range(6):
        door.show(face())
        door.show()
    assert door.ended == ("refused", "not_live")


def test_beside_a_challenge_the_net_may_only_deny():
    assert Door(passive=net(0.9)).front().turn(*LEFT).ended == ("live", None)
    assert Door(passive=net(0.4)).front().turn(*LEFT).ended == ("live", None)
    assert Door(passive=net(0.2)).front().turn(*LEFT).ended == ("refused", "attack")
    seldom_twice = [0.2, 0.9, 0.2, 0.9] + [0.2, 0.3, 0.2] * 9  # never two in a row, but most of them
    assert Door(passive=net(*seldom_twice)).front().turn(*LEFT).ended[0] == "refused"


def test_votes_beside_a_challenge_are_held_against_the_level_of_denial():
    alone, beside = Votes(0.5, denied_below=0.1), Votes(0.5, denied_below=0.1, alone=False)
    for votes in (alone, beside):
        for score in (0.3, 0.3, 0.05):
            votes.add(score)
    assert (alone.live, beside.live) == (False, True)
    assert not alone.denied
    beside.add(0.05)
    assert beside.denied
    assert Votes(0.5).denied_below == 0.25


def test_a_net_that_gives_no_number_votes_against():
    assert Door((), passive=net(float("nan"))).front(3).ended == ("refused", "attack")
    votes = Votes(0.5)
    votes.add(float("nan"))
    assert votes.scores == [0.0]


def test_a_net_that_fails_is_a_refusal():
    def fails(image, faces):
        raise RuntimeError

    assert Door((), passive=SimpleNamespace(threshold=0.5, denied_below=0.25, score=fails)).front(1).ended == (
        "refused",
        "error",
    )


def test_neither_steps_nor_net_is_no_session():
    with pytest.raises(OptionError, match="anything would pass"):
        Door(())


def test_a_calibration_of_another_encoder_is_refused():
    pipeline = SimpleNamespace(encoder=SimpleNamespace(name="another"))
    with pytest.raises(CalibrationError, match="another"):
        LivenessSession(pipeline, passive=None, steps=("left",))
