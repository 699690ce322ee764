"""Rehearsals and scripted attacks through the real networks, on synthetic heads of two real photos."""

import itertools
import random

import numpy as np
import pytest

from mien.errors import FaceError, OptionError
from mien.faces.liveness import actors as film
from mien.faces.liveness import rehearsal, scripted
from mien.faces.liveness.actors import Cast
from mien.faces.liveness.geometry import FOLDED
from mien.faces.liveness.rehearsal import Pose, Stage, filmed, movement
from mien.faces.liveness.tracking import Tracker


@pytest.fixture(scope="module")
def stage(astronaut, pipeline):
    return Stage(astronaut, size=(240, 320), detector=pipeline.detector, eyes=0.14)


@pytest.fixture(scope="module")
def actors(astronaut, hopper, pipeline):
    """Their clips are made once for all tests of this file."""
    return Cast(pipeline, [astronaut, hopper])


@pytest.fixture(autouse=True)
def _two_steps_only(monkeypatch):
    """Two steps instead of five, and fewer frames: less to look at."""
    monkeypatch.setattr(film, "FPS", 7.0)
    monkeypatch.setattr(scripted, "_SHORT", 3.0)
    orders = [("left", "up"), ("up", "left")]
    monkeypatch.setattr(scripted, "choose_steps", lambda count, choose: choose.choice(orders))


def motions(view, poses, pipeline):
    """How a tracker sees poses, after a front."""
    front, *rest = filmed([Pose(), *poses], view, tremor=0)
    tracker = Tracker(front, [pipeline.faces(front)[0].landmarks])
    return [tracker.follow(frame, pipeline.faces(frame)[0].landmarks) for frame in rest]


def test_a_head_is_followed_as_a_head_in_every_direction(stage, pipeline):
    poses = [Pose(22), Pose(-22), Pose(0, -22), Pose(0, 22)]
    for motion, step in zip(motions(stage.head, poses, pipeline), ("left", "right", "up", "down"), strict=True):
        assert motion.turned(step), step
        assert motion.solid, step


def test_a_sheet_is_followed_as_a_sheet_to_a_hundredth_of_the_eyes_distance(stage, pipeline):
    for motion in motions(stage.sheet, [Pose(30), Pose(-30), Pose(0, 30), Pose(45)], pipeline):
        assert motion.parallax < 0.01
        assert motion.flat


def test_a_sheet_around_a_pipe_is_no_head(stage, pipeline):
    def bent(pose, *, sway):
        return stage.sheet(pose, sway=sway, bend=0.84)

    for motion in motions(bent, [Pose(25), Pose(-25), Pose(45)], pipeline):
        assert motion.parallax < 0.1
        assert not motion.solid


def test_rays_meet_a_roof_where_they_should():
    # From 10 before the ridge, to the right by 1 in 10 and straight on: z = x there at 10 / (1 - 0.1) of the way.
    across, down = np.float32([[0.1, -0.1, 0.0, 2.0]]), np.float32([[0.0, 0.0, 0.3, 0.0]])
    u, v, inside = rehearsal._on_roof(np.array([0.0, 0.0, -10.0]), across, down, np.ones_like(across), 1.0)
    assert u[0, :3] == pytest.approx([10 / 9, -10 / 9, 0])
    assert v[0, :3] == pytest.approx([0, 0, 3])
    assert inside.tolist() == [[True, True, True, False]]  # the last one goes beside the halves for ever


@pytest.mark.parametrize("crease", [0.0, 0.1])
def test_a_folded_sheet_is_followed_as_one_and_a_head_is_not(stage, pipeline, crease):
    def folded(pose, *, sway):
        return stage.sheet(pose, sway=sway, fold=38, crease=crease)

    poses = [Pose(25), Pose(-25), Pose(0, 28), Pose(0, -28)]
    assert all(motion.ridge >= FOLDED for motion in motions(folded, poses, pipeline))
    poses = [Pose(22), Pose(-22), Pose(0, 20), Pose(0, -20)]
    assert all(motion.nosed and not motion.folded for motion in motions(stage.head, poses, pipeline))


def test_a_lip_that_is_lost_does_not_lose_the_face(stage, pipeline):
    front, turned = filmed([Pose(), Pose(22)], stage.head, tremor=0)
    first, then = (pipeline.faces(frame)[0].landmarks for frame in (front, turned))
    tracker, unit = Tracker(front, [first]), np.linalg.norm(first[1] - first[0])
    x, y = np.rint(then[3:].mean(axis=0)).astype(int)
    turned[y : y + int(0.3 * unit), x - int(0.15 * unit) : x + int(0.15 * unit)] = 130
    motion = tracker.follow(turned, then)
    assert np.isnan(motion.lip)
    assert motion.turned("left")
    assert motion.bridge > 0


def test_a_face_that_cannot_be_found_again_is_not_guessed(stage, pipeline):
    front, there = filmed([Pose(), Pose()], stage.head)
    face = pipeline.faces(front)[0]
    noise = np.random.default_rng(0).integers(0, 255, there.shape, np.uint8)
    assert Tracker(front, [face.landmarks]).follow(noise, face.landmarks) is None
    assert Tracker(front, [face.landmarks]).follow(there, face.landmarks[::-1].copy()) is None


def test_a_turned_head_is_still_the_person(stage, pipeline):
    front, turned = filmed([Pose(), Pose(25)], stage.head, tremor=0)
    first, second = (pipeline.see(frame)[0].encoding for frame in (front, turned))
    assert 0.1 < np.linalg.norm(first - second) < 1.0


def test_movement_rests_turns_and_comes_back():
    poses = movement(("left", "closer"), fps=10, angle=30, closer=1.5, rest=0.5, turn=0.6, hold=0.4)
    assert len(poses) == 5 + 16 + 5 + 16 + 5
    assert poses[0] == poses[-1] == poses[23] == Pose()
    assert max(pose.yaw for pose in poses) == pytest.approx(30)
    assert max(pose.scale for pose in poses) == pytest.approx(1.5)
    assert all(abs(a.yaw - b.yaw) < 9 for a, b in itertools.pairwise(poses))


@pytest.mark.parametrize("wrong", [{"steps": ["nod"]}, {"steps": ["left"], "fps": 0}, {"steps": ["up"], "angle": 80}])
def test_movements_that_make_no_sense_are_refused(wrong):
    with pytest.raises(OptionError, match="steps out of left, right"):
        movement(**wrong)


def test_clips_are_repeatable_and_no_two_frames_are_alike(astronaut):
    def clip(seed):
        return list(rehearsal.still(astronaut, seconds=0.4, fps=5, seed=seed))

    frames = clip(0)
    assert [frame.shape for frame in frames] == [(480, 640, 3)] * 2
    assert all(np.array_equal(a, b) for a, b in zip(frames, clip(0), strict=True))
    assert not np.array_equal(frames[0], frames[1])
    assert not np.array_equal(frames[0], clip(1)[0])


def test_head_and_sheet_look_the_same_from_the_front_and_differ_when_turned(astronaut):
    clips = [
        list(itertools.islice(make(astronaut, ("left",), fps=2, rest=0.5, turn=0.5, hold=0.5), 2))
        for make in (rehearsal.head_turn, rehearsal.flat_turn)
    ]
    front, turned = (np.abs(clips[0][i].astype(float) - clips[1][i])[120:320, 260:380].mean() for i in (0, 1))
    assert front < 20
    assert turned > 1.5 * front


def test_a_photo_without_a_face_cannot_rehearse(pipeline):
    with pytest.raises(FaceError):
        Stage(np.full((200, 200, 3), 127, np.uint8), detector=pipeline.detector)


def test_a_head_that_does_what_it_is_asked_passes(actors):
    assert scripted._run("genuine", scripted._genuine, actors, 1, seed=0, on_try=None).passes == 1


@pytest.mark.parametrize(
    ("name", "reasons"),
    [
        ("photo first, then another person's head", {"another_face"}),
        ("head first, then another person's photo", {"another_face"}),
        ("replayed session", {"wrong_direction"}),
        ("all frames at once", {"clock"}),
        ("dropped frames", {"gap"}),
        ("doubled frames", {"duplicate"}),
        ("reordered frames", {"order", "wrong_direction"}),
        ("two faces", {"several_faces"}),
        ("late", {"late"}),
        ("ahead of the prompt", {"early"}),
        ("slides of a turned head", {"late", "wrong_direction", "gap", "unfinished"}),
        ("flat sheet turned", {"flat"}),
        ("folded print turned", {"flat"}),
        ("still photo", {"late"}),
    ],
)
def test_no_script_passes_and_each_fails_for_its_own_reason(actors, name, reasons):
    seen = []
    result = scripted._run(
        name, scripted.SCRIPTS[name], actors, 1, seed=0, on_try=lambda name, liveness: seen.append(liveness.reason)
    )
    assert tuple(result) == (name, 1, 0)
    assert set(seen) <= reasons


def test_scripts_are_repeatable(actors):
    def takes(seed):
        one = scripted._Try(actors, random.Random(seed))
        scripted._doubled(one)
        return [(take.taken, take.mark) for take in one.takes]

    assert takes(1) == takes(1) != takes(2)


def test_scripts_that_do_not_exist_are_refused(astronaut, hopper, pipeline):
    with pytest.raises(OptionError, match="nothing done"):
        scripted.run_scripts(1, names=["moonwalk"], photos=[astronaut, hopper], pipeline=pipeline)
    with pytest.raises(OptionError, match="two people"):
        scripted.run_scripts(1, photos=[astronaut], pipeline=pipeline)
