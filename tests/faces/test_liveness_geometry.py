"""Parallax, foreshortening and depth on ideal points in space, and the tracker on real pixels."""

import itertools
import math
import random

import numpy as np
import pytest

from mien.errors import FaceError, OptionError
from mien.faces.liveness.challenge import STEPS, TURNS, check_steps, choose_steps
from mien.faces.liveness.geometry import (
    BRIDGE,
    FLAT,
    FOLDED,
    SOLID,
    TURNED,
    Front,
    Motion,
    homography,
    midline,
    project,
)

# Eyes, nose, corners of the mouth: one eye distance wide and high, the nose 0.4 before the plane (z: to the camera).
HEAD = np.array([[-0.5, -0.5, 0], [0.5, -0.5, 0], [0, 0.1, 0.4], [-0.4, 0.5, 0], [0.4, 0.5, 0]])
SHEET = HEAD * [1, 1, 0]
# Between the eyes, and the lower lip: a fifth of the way from the nose to the mouth below the mouth.
BESIDE = np.array([[0, -0.5, 0.15], [0, 0.58, 0.1]])


def seen(points, *, yaw=0.0, pitch=0.0, roll=0.0, scale=60.0, away=None, shift=(320, 240)):
    """Pixels of points that turned: yaw to the picture's right, pitch down; from afar, or `away` eye distances."""
    a, b, c = np.radians([yaw, pitch, roll])
    about_y = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), np.sin(b)], [0, -np.sin(b), np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    x, y, z = (about_z @ about_x @ about_y @ points.T).astype(float)
    near = scale if away is None else scale * away / (away - z)
    return np.column_stack([x * near, y * near]) + shift


@pytest.fixture
def head():
    return Front([seen(HEAD)])


def test_parallax_of_a_head_is_depth_times_the_tangent_and_width_the_cosine(head):
    motion = head.motion(seen(HEAD, yaw=30))
    assert motion.across == pytest.approx(0.4 * math.tan(math.radians(30)))
    assert motion.down == pytest.approx(0, abs=1e-9)
    assert motion.width == pytest.approx(math.cos(math.radians(30)))
    assert motion.depth == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("step", "turn"), [("left", {"yaw": 25}), ("right", {"yaw": -25}), ("up", {"pitch": -25}), ("down", {"pitch": 25})]
)
def test_each_turn_is_seen_as_that_turn_only_and_as_solid(head, step, turn):
    motion = head.motion(seen(HEAD, **turn))
    assert [name for name in TURNS if motion.turned(name)] == [step]
    assert motion.solid
    assert not motion.flat
    assert motion.depth == pytest.approx(0.4)


@pytest.mark.parametrize("turn", [{"yaw": 50}, {"yaw": -35}, {"pitch": 40}, {"pitch": -40}, {"yaw": 40, "pitch": 30}])
@pytest.mark.parametrize("away", [None, 4.0])
def test_a_sheet_has_no_parallax_however_it_is_turned_and_however_near(turn, away):
    motion = Front([seen(SHEET, away=away)]).motion(seen(SHEET, away=away, **turn))
    assert motion.parallax == pytest.approx(0, abs=1e-9)
    assert motion.flat == (len(turn) == 1)  # aslant, both sides become shorter, and nothing is known


def test_a_sheet_bent_like_a_head_is_neither_turned_nor_solid():
    radius = 75 / 63  # the sheet lies around an upright pipe, its nearest line under the nose
    around = SHEET[:, 0] / radius
    bent = np.column_stack([radius * np.sin(around), SHEET[:, 1], radius * np.cos(around)])
    motion = Front([seen(bent)]).motion(seen(bent, yaw=35))
    assert 0.03 < motion.parallax < TURNED
    assert motion.depth < 0.12 < SOLID


def test_depth_beats_a_bent_sheet_that_is_turned_until_its_nose_has_moved_enough():
    shallow = HEAD * [1, 1, 0.25]  # a nose of 0.1
    motion = Front([seen(shallow)]).motion(seen(shallow, yaw=50))
    assert motion.turned("left")
    assert not motion.solid


def roof(points, slope=0.7):
    """A sheet folded along x = 0, each half tilted back by 35 degrees."""
    return np.column_stack([points[:, :2], -slope * np.abs(points[:, 0])])


def test_the_midline_is_followed_between_the_eyes_and_at_the_lower_lip():
    assert midline(HEAD[:, :2]) == pytest.approx(BESIDE[:, :2])


@pytest.mark.parametrize("turn", [{"yaw": 25}, {"yaw": -25}, {"pitch": 25}, {"pitch": -20, "roll": 10}])
def test_a_heads_bridge_and_lip_move_less_than_its_nose(head, turn):
    front = Front([seen(HEAD, roll=turn.get("roll", 0))])
    motion = front.motion(seen(HEAD, **turn), seen(BESIDE, **turn))
    assert motion.bridge == pytest.approx(0.15 / 0.4 * motion.parallax)
    assert motion.lip == pytest.approx(0.1 / 0.4 * motion.parallax)
    assert motion.ridge == pytest.approx((0.15 + 0.1) / 2 / 0.4)
    assert motion.nosed
    assert not motion.folded


@pytest.mark.parametrize("turn", [{"yaw": 30}, {"yaw": -30}, {"pitch": 35}, {"pitch": -35}])
def test_the_midline_of_a_sheet_folded_along_the_nose_moves_with_it(turn):
    # At the eyes (half of 1 wide) the crease stands 0.5 slopes before the plane, at the nose 0.44, at the lip 0.392.
    motion = Front([seen(roof(HEAD))]).motion(seen(roof(HEAD), **turn), seen(roof(BESIDE), **turn))
    assert motion.solid
    assert motion.bridge / motion.parallax == pytest.approx(0.5 / 0.44)
    assert motion.lip / motion.parallax == pytest.approx(0.392 / 0.44)
    assert motion.folded
    assert not motion.nosed


def test_a_fold_is_told_only_where_the_face_has_turned_and_the_midline_was_seen():
    little = Motion(across=0.09, down=0, width=0.95, scale=1, bridge=0.09, lip=0.09)
    assert not little.folded
    assert not little.nosed
    lost = Motion(across=0.2, down=0, width=0.9, scale=1)
    assert math.isnan(lost.ridge)
    assert not lost.folded
    assert not lost.nosed


def test_the_bridge_alone_may_tell_a_nose_and_never_a_fold():
    def alone(share):
        return Motion(across=0.2, down=0, width=0.9, scale=1, bridge=0.2 * share)

    assert alone(BRIDGE - 0.01).nosed
    assert not any(alone(share).nosed for share in (-0.1, BRIDGE + 0.01, FOLDED, 1.0))
    assert not any(alone(share).folded for share in (BRIDGE + 0.01, FOLDED, 1.2))
    assert not Motion(across=0.2, down=0, width=0.9, scale=1, lip=0.02).nosed


def test_distance_and_lean_of_the_head_change_nothing_but_scale(head):
    plain = head.motion(seen(HEAD, yaw=20))
    moved = Front([seen(HEAD, roll=15)]).motion(seen(HEAD, yaw=20, roll=15, scale=90, shift=(100, 400)))
    assert moved.across == pytest.approx(plain.across)
    assert moved.depth == pytest.approx(plain.depth)
    assert moved.scale == pytest.approx(1.5 * plain.scale)


def test_coming_closer_is_scale_and_nothing_else(head):
    motion = head.motion(seen(HEAD, scale=78))
    assert (motion.scale, motion.width) == pytest.approx((1.3, 1))
    assert motion.parallax == pytest.approx(0, abs=1e-9)
    assert not motion.flat


def test_half_a_turn_to_the_side_of_another_is_no_turn():
    assert not Motion(across=0.15, down=0.1, width=0.9, scale=1).turned("left")
    assert Motion(across=0.15, down=0.05, width=0.9, scale=1).turned("left")


def test_no_foreshortening_says_nothing_of_depth():
    assert Motion(across=0.2, down=0, width=1.0, scale=1).depth == math.inf


def test_a_narrow_face_is_flat_only_where_the_nose_stayed_behind():
    w = math.cos(math.radians(32))
    least = FLAT * math.tan(math.radians(32))
    assert Motion(across=0.9 * least, down=0, width=w, scale=1).flat
    assert not Motion(across=1.1 * least, down=0, width=w, scale=1).flat


def test_the_front_is_the_median_of_its_frames():
    off = seen(HEAD)
    off[2] += [9, -9]
    front = Front([seen(HEAD), off, seen(HEAD, scale=66)])
    assert front.points == pytest.approx(Front([seen(HEAD)]).points)
    assert front.unit == pytest.approx(60)


def test_homography_of_a_square_to_a_trapezium_by_hand():
    # (x, y) -> (x, y) / (1 + y): the square's far side becomes half as long.
    square = [[0, 0], [1, 0], [1, 1], [0, 1]]
    h = homography(square, [[0, 0], [1, 0], [0.5, 0.5], [0, 0.5]])
    assert h == pytest.approx(np.array([[1, 0, 0], [0, 1, 0], [0, 1, 1]]), abs=1e-12)
    assert project(h, [0.5, 1]) == pytest.approx([0.25, 0.5])


@pytest.mark.parametrize(
    "points",
    [np.full((5, 2), 3.0), np.full((5, 2), np.nan), np.zeros((4, 2)), np.arange(10.0).reshape(5, 2)],
)
def test_what_is_no_face_is_refused(head, points):
    with pytest.raises(FaceError):
        head.motion(points)


def test_steps_are_drawn_with_a_turn_and_none_twice_in_a_row():
    for seed in range(200):
        steps = choose_steps(4, choose=random.Random(seed))
        assert all(a != b for a, b in itertools.pairwise(steps))
        assert set(steps) & set(TURNS)
        assert choose_steps(1, choose=random.Random(seed))[0] in TURNS
    assert {step for seed in range(100) for step in choose_steps(choose=random.Random(seed))} == set(STEPS)


@pytest.mark.parametrize("steps", [("nod",), ("closer",), ("closer", "closer")])
def test_steps_that_are_unknown_or_prove_nothing_are_refused(steps):
    with pytest.raises(OptionError):
        check_steps(steps)


def test_no_steps_to_draw_is_refused():
    with pytest.raises(OptionError, match="at least one"):
        choose_steps(0)
