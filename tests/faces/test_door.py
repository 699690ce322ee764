"""A try at the door, whole: real networks, a real gallery and log; whatever is missing or fails, nobody enters."""

import threading

import numpy as np
import pytest
from liveness_nets import bright_is_live, write_net, write_record

from mien.errors import LivenessError, OptionError
from mien.faces.audit import entries
from mien.faces.door import HINTS, LOCKED, LOOK, PROMPTS, REFUSED, UNKNOWN, Attempt, Told
from mien.faces.journal import log_file, verify_log
from mien.faces.liveness.challenge import STEPS
from mien.faces.liveness.passive import PassiveNet
from mien.faces.liveness.rehearsal import Stage, filmed, movement
from mien.faces.liveness.status import HINTS as CODES
from mien.faces.lockout import Lockout


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    """The house's clock, which the frames below keep up with."""
    return Clock()


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    """Bright faces are alive, dark ones pictures."""
    return PassiveNet(bright_is_live(tmp_path_factory.mktemp("net")))


def clip(photo, *, frames=8, seed=0):
    """Frames of a face that looks at the camera, with a sensor's noise."""
    random = np.random.default_rng(seed)
    noise = random.normal(0, 2, (frames, *photo.shape))
    return list(np.clip(np.rint(photo + noise), 0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def eileen(astronaut):
    return clip(astronaut[:360, :440])


@pytest.fixture(scope="module")
def grace(hopper):
    return clip(hopper[:440, :500])


def dark(frames):
    """As a picture of the person: the same face, which the recogniser still knows."""
    return [(frame * 0.3).astype(np.uint8) for frame in frames]


def run(attempt, frames, clock=None, *, rate=12.0):
    """Show the frames until the end; everything that was told."""
    told = []
    for number, frame in enumerate(frames):
        if clock is not None:
            clock.now = number / rate
        told.append(attempt.show(frame, number / rate))
        if told[-1].over:
            break
    return told


def log_of(office):
    return list(entries(log_file(office.gallery.url)))


def attempt(office, net, clock, **options):
    return Attempt(office, net, options.pop("steps", ()), options.pop("camera", "front-door"), clock=clock, **options)


# who enters


def test_somebody_enrolled_and_alive_is_welcomed_by_name(office, net, clock, astronaut, eileen):
    enrolled = office.enrol("Eileen", astronaut).person
    told = run(attempt(office, net, clock), eileen, clock)
    assert [t.phase for t in told] == ["looking", "looking", "admitted"]
    assert {t.sentence for t in told[:-1]} == {LOOK}
    assert all(t.person is None for t in told[:-1])
    assert told[-1].sentence == "Welcome, Eileen"
    assert told[-1].person.id == enrolled.id
    x, y, width, height = told[-1].face_box
    assert 0 < x < x + width < 1
    assert 0 < y < y + height < 1


def test_the_log_keeps_one_entry_for_the_try_with_numbers_and_without_names(office, net, clock, astronaut, eileen):
    enrolled = office.enrol("Eileen", astronaut).person
    run(attempt(office, net, clock), eileen, clock)
    found = log_of(office)
    assert [entry.event for entry in found] == ["enrol", "identify", "admit"]
    fields = found[-1].fields
    assert fields["person"] == enrolled.id
    assert (fields["source"], fields["reason"], fields["samples"], fields["tau"]) == ("front-door", "live", 3, 0.5)
    assert 0.9 < fields["probability"] <= fields["highest"] <= 1
    assert "steps" not in fields
    assert "Eileen" not in log_file(office.gallery.url).read_text()
    assert verify_log(office.gallery)[0].entries == 3


def test_somebody_alive_who_is_not_enrolled_is_not_in_the_database(office, net, clock, astronaut, grace):
    office.enrol("Eileen", astronaut)
    told = run(attempt(office, net, clock), grace, clock)[-1]
    assert (told.phase, told.sentence, told.person, told.reason) == ("refused", UNKNOWN, None, "unknown")
    entry = log_of(office)[-1]
    assert (entry.event, entry.fields["reason"]) == ("refuse", "unknown")
    assert "person" not in entry.fields


def test_an_empty_gallery_admits_nobody(office, net, clock, eileen):
    assert run(attempt(office, net, clock), eileen, clock)[-1].sentence == UNKNOWN


def test_a_picture_is_refused_and_nobody_learns_whether_the_person_is_known(
    office, net, clock, astronaut, eileen, grace
):
    office.enrol("Eileen", astronaut)
    known = run(attempt(office, net, clock), dark(eileen), clock)
    assert log_of(office)[-1].fields["reason"] == "attack"
    unknown = run(attempt(office, net, clock), dark(grace), clock)
    assert [(t.phase, t.sentence, t.reason) for t in known] == [(t.phase, t.sentence, t.reason) for t in unknown]
    assert (known[-1].phase, known[-1].sentence) == ("refused", REFUSED)
    # They were not even looked up.
    assert [entry.event for entry in log_of(office)] == ["enrol", "refuse", "refuse"]
    assert log_of(office)[-1].fields["probability"] < 0.1


def test_unsure_between_two_is_not_admitted(office, net, clock, astronaut, eileen, pipeline):
    seen = pipeline.see_one(astronaut).encoding
    office.enrol_encodings("Eileen", seen[None])
    office.enrol_encodings("Twin", seen[None])
    told = run(attempt(office, net, clock), eileen, clock)[-1]
    assert (told.phase, told.sentence, told.person, told.reason) == ("refused", REFUSED, None, "unsure")


def test_two_faces_are_not_admitted(office, net, clock, astronaut, eileen):
    office.enrol("Eileen", astronaut)
    both = [np.hstack([frame, frame[:, ::-1]]) for frame in eileen]
    told = run(attempt(office, net, clock), both, clock)
    assert {t.phase for t in told} == {"looking"}
    assert {t.sentence for t in told} == {HINTS["several_faces"]}


def test_a_face_that_the_network_never_saw_is_not_admitted(office, net, clock, astronaut, eileen, monkeypatch):
    office.enrol("Eileen", astronaut)
    once = attempt(office, net, clock)
    monkeypatch.setattr(once._session, "_vote", lambda image, face: once._session._votes.add(1.0) or True)
    told = run(once, eileen, clock)[-1]
    assert (told.phase, told.reason) == ("refused", "unscored")
    assert "identify" not in [entry.event for entry in log_of(office)]


# challenges


def test_a_head_that_follows_the_challenge_is_welcomed_and_told_what_to_do(office, net, clock, astronaut):
    office.enrol("Eileen", astronaut)
    # Synthetic, and small: the photo laid upon a mean face, turned in depth.
    stage = Stage(astronaut, size=(240, 320), eyes=0.14, detector=office.pipeline.detector)
    frames = filmed(movement(["left"], fps=6, rest=0.7), stage.head)
    told = run(attempt(office, net, clock, steps=("left",)), frames, clock, rate=6)
    assert told[-1].sentence == "Welcome, Eileen"
    said = list(dict.fromkeys(t.sentence for t in told if t.phase == "challenge"))
    assert said == [PROMPTS["left"], LOOK]
    assert (told[-1].step, told[-1].steps) == (1, 1)
    assert log_of(office)[-1].fields["steps"] == "left"


def test_a_still_face_never_passes_a_challenge(office, net, clock, astronaut, eileen):
    office.enrol("Eileen", astronaut)
    once = attempt(office, net, clock, steps=("left",), seconds=0.5)
    told = run(once, eileen, clock)
    assert (told[-1].phase, told[-1].reason, told[-1].sentence) == ("refused", "late", REFUSED)


def test_every_step_and_every_hint_has_its_sentence():
    assert set(PROMPTS) == set(STEPS)
    assert set(HINTS) <= set(CODES)
    assert len({*PROMPTS.values(), *HINTS.values()}) == len(PROMPTS) + len(HINTS)


# whatever is missing or fails


def test_neither_a_network_nor_steps_is_refused(office, clock):
    with pytest.raises(OptionError, match="liveness network"):
        attempt(office, None, clock)


@pytest.mark.parametrize("name", ["", "front door", "-x", "a" * 65, "Büro", "a\nb"])
def test_a_cameras_name_is_one_word(office, net, clock, name):
    with pytest.raises(OptionError, match="camera's name"):
        attempt(office, net, clock, camera=name)


def test_a_log_that_cannot_be_written_opens_no_door(office, net, clock, astronaut, eileen):
    office.enrol("Eileen", astronaut)
    once = attempt(office, net, clock)
    told = run(once, eileen[:2], clock)
    with log_file(office.gallery.url).open("a") as file:
        file.write("{}\n")
    clock.now = 0.25
    told = once.show(eileen[2], 0.25)
    assert (told.phase, told.sentence, told.reason, told.person) == ("refused", REFUSED, "error", None)
    assert "edited" in str(once.error)


def test_a_gallery_that_fails_opens_no_door_and_the_log_says_error(office, net, clock, astronaut, eileen, monkeypatch):
    office.enrol("Eileen", astronaut)
    once = attempt(office, net, clock)
    run(once, eileen[:2], clock)

    def broken(*arguments, **options):
        raise RuntimeError("the disk is gone")

    monkeypatch.setattr(office, "identify_encoding", broken)
    clock.now = 0.25
    told = once.show(eileen[2], 0.25)
    assert (told.phase, told.sentence, told.reason) == ("refused", REFUSED, "error")
    assert isinstance(once.error, RuntimeError)
    assert log_of(office)[-1].fields["reason"] == "error"


def test_a_network_that_fails_opens_no_door(office, tmp_path, clock, astronaut, eileen):
    office.enrol("Eileen", astronaut)
    # The logarithm of a grey picture's mean less 0.4 is a number; that of a dark one's is none.
    path = write_net(tmp_path, weights=[[1, 0, 0]], bias=[-0.4], tail=("Log",))
    how = {"scale": 2.0, "live": 0, "activation": "sigmoid", "threshold": 0.5}
    once = attempt(office, PassiveNet(write_record(path, liveness=how)), clock)
    told = run(once, dark(eileen), clock)[-1]
    assert (told.phase, told.sentence, told.reason) == ("refused", REFUSED, "error")
    assert "finite" in str(once.error)


@pytest.mark.parametrize("frame", [np.zeros((0, 0, 3), np.uint8), np.zeros((9, 9), np.uint8), None])
def test_a_frame_that_is_no_picture_ends_the_try(office, net, clock, frame, astronaut):
    office.enrol("Eileen", astronaut)
    told = attempt(office, net, clock).show(frame, 0.0)
    assert (told.phase, told.reason) == ("refused", "error")
    assert log_of(office)[-1].fields["reason"] == "error"


def test_frames_that_come_too_late_are_not_admitted(office, net, clock, astronaut, eileen):
    office.enrol("Eileen", astronaut)
    once = attempt(office, net, clock, seconds=10)
    run(once, eileen[:2], clock)
    clock.now = 11
    assert once.show(eileen[2], 11).reason == "late"


def test_after_the_end_nothing_changes_and_nothing_more_is_written(office, net, clock, astronaut, eileen):
    office.enrol("Eileen", astronaut)
    refused = attempt(office, net, clock)
    end = run(refused, dark(eileen), clock)[-1]
    for number, frame in enumerate(eileen):
        clock.now += 0.1
        assert refused.show(frame, 5 + number / 10) is end
    assert refused.leave() is end
    assert len(log_of(office)) == 2
    admitted = attempt(office, net, clock)
    end = [admitted.show(frame, number / 12) for number, frame in enumerate(eileen)][-1]
    assert end.phase == "admitted"
    assert admitted.leave() is end
    assert [entry.event for entry in log_of(office)][2:] == ["identify", "admit"]


def test_many_threads_at_once_admit_once(office, net, astronaut, eileen):
    office.enrol("Eileen", astronaut)
    once = Attempt(office, net, (), "front-door")
    for number, frame in enumerate(eileen[:2]):
        once.show(frame, number / 12)
    threads = [
        threading.Thread(target=lambda f=frame, n=number: once.show(f, 0.2 + n / 1000))
        for number, frame in enumerate(eileen[2:])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [entry.event for entry in log_of(office)].count("admit") <= 1
    assert once.over


def test_every_try_has_a_nonce_of_its_own(office, net, clock):
    assert len({attempt(office, net, clock).nonce for _ in range(20)}) == 20
    assert attempt(office, net, clock, nonce="given").nonce == "given"


# leaving, and the lock


def test_passing_by_is_no_failure_but_leaving_a_challenge_or_a_doubt_is(office, net, clock, astronaut, eileen):
    office.enrol("Eileen", astronaut)
    lockout = Lockout(failures=1, clock=clock)
    passing = attempt(office, net, clock, lockout=lockout)
    run(passing, eileen[:2], clock)
    assert passing.leave() == Told("refused", REFUSED, reason="left", face_box=passing.told.face_box)
    assert lockout.remaining("front-door") == 0
    nobody = attempt(office, net, clock, lockout=lockout)
    assert nobody.leave().sentence == LOOK
    assert [entry.event for entry in log_of(office)] == ["enrol", "refuse"]
    doubted = attempt(office, net, clock, lockout=lockout, client="1")
    run(doubted, dark(eileen)[:1], clock)
    doubted.leave()
    assert lockout.remaining("1") > 0
    asked = attempt(office, net, clock, lockout=lockout, steps=("up",), client="2")
    assert run(asked, eileen[:4], clock)[-1].phase == "challenge"
    asked.leave("gone")
    assert lockout.remaining("2") > 0
    assert log_of(office)[-1].fields["reason"] == "gone"


def test_standing_about_until_the_time_is_up_is_no_failure(office, net, clock, astronaut, eileen):
    lockout = Lockout(failures=1, clock=clock)
    once = attempt(office, net, clock, lockout=lockout, seconds=5)
    run(once, eileen[:2], clock)
    clock.now = 6
    assert once.show(eileen[2], 6).reason == "late"
    assert lockout.remaining("front-door") == 0


def test_five_failures_lock_the_camera_and_no_other(office, net, clock, astronaut, eileen):
    office.enrol("Eileen", astronaut)
    lockout = Lockout(clock=clock)
    for _ in range(5):
        run(attempt(office, net, clock, lockout=lockout), dark(eileen)[:2], clock)
    with pytest.raises(LivenessError, match="locked for 300 seconds"):
        attempt(office, net, clock, lockout=lockout)
    assert run(attempt(office, net, clock, lockout=lockout, camera="back"), eileen, clock)[-1].phase == "admitted"
    clock.now += 301
    admitted = attempt(office, net, clock, lockout=lockout)
    start = clock.now
    for number, frame in enumerate(eileen[:3]):
        clock.now = start + number / 12
        told = admitted.show(frame, number / 12)
    assert told.phase == "admitted"


def test_a_success_begins_the_count_anew(office, net, clock, astronaut, eileen):
    office.enrol("Eileen", astronaut)
    lockout = Lockout(failures=2, clock=clock)
    for frames in (dark(eileen), eileen, dark(eileen)):
        run(attempt(office, net, clock, lockout=lockout), frames, clock)
    assert lockout.remaining("front-door") == 0


def test_a_try_that_began_before_the_lock_is_refused_by_it(office, net, clock, astronaut, eileen):
    office.enrol("Eileen", astronaut)
    lockout = Lockout(failures=1, clock=clock)
    begun = attempt(office, net, clock, lockout=lockout)
    run(begun, eileen[:2], clock)
    run(attempt(office, net, clock, lockout=lockout), dark(eileen)[:2], clock)
    told = begun.show(eileen[2], 0.2)
    assert (told.phase, told.sentence, told.reason) == ("refused", LOCKED, "locked")


def test_a_frame_without_a_face_counts_as_no_failure(office, net, clock):
    lockout = Lockout(failures=1, clock=clock)
    wall = [np.full((120, 160, 3), 90 + n, np.uint8) for n in range(3)]
    once = attempt(office, net, clock, lockout=lockout, seconds=0.1)
    told = run(once, wall, clock)[-1]
    assert (told.phase, told.reason, told.sentence) == ("refused", "late", LOOK)
    assert lockout.remaining("front-door") == 0
