"""What is measured of a face, and which sentences a bad one gets."""

import dataclasses

import cv2
import matplotlib
import numpy as np
import pytest
from skimage import data

from mien import images, weights
from mien.errors import FaceError
from mien.faces.detect import Detector
from mien.faces.quality import _HEAD, QualityLimits, measure, pose, refusals
from mien.faces.records import Face


@pytest.fixture(scope="module", params=["astronaut", "hopper"])
def photo(request):
    """A real photo and its face."""
    cv2.setNumThreads(1)
    path = matplotlib.get_data_path() + "/sample_data/grace_hopper.jpg"
    picture = data.astronaut() if request.param == "astronaut" else images.load(path).pixels
    return picture, Detector().detect(picture)[0]


def test_a_good_photo_is_not_refused(photo):
    quality = measure(*photo)
    assert refusals(quality) == []
    assert quality.cut == 0
    assert quality.size == photo[1].size


def test_a_dark_photo_is_refused(photo):
    picture, face = photo
    (sentence, *_) = refusals(measure((picture * 0.1).astype(np.uint8), face))
    assert sentence.startswith("The face is too dark: brightness 0.0")


def test_a_photo_of_white_is_too_bright(photo):
    picture, face = photo
    white = np.maximum(picture, 250)
    assert any("too bright" in sentence for sentence in refusals(measure(white, face)))


def test_a_blurred_photo_is_refused(photo):
    picture, face = photo
    eyes = np.linalg.norm(face.landmarks[1] - face.landmarks[0])
    blurred = cv2.GaussianBlur(picture, (0, 0), 4 * eyes / 35.2)  # 4 pixels of the 112 × 112 crop
    assert any("blurred" in sentence for sentence in refusals(measure(blurred, face)))


def test_a_face_of_20_pixels_is_refused(photo):
    picture, face = photo
    factor = 20 / face.size
    small = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    smaller = Face(tuple(v * factor for v in face.box), face.landmarks * np.float32(factor), face.score)
    assert any("too small: 20 pixels" in sentence for sentence in refusals(measure(small, smaller)))


def test_a_face_cut_by_the_edge_is_refused(photo):
    picture, face = photo
    x, _, width, _ = (round(v) for v in face.box)
    half = picture[:, x + width // 2 :]
    moved = Face((x - (x + width // 2), *face.box[1:]), face.landmarks - np.float32([x + width // 2, 0]), face.score)
    quality = measure(half, moved)
    assert quality.cut == pytest.approx(0.5, abs=0.02)
    assert any("cut off: 5" in s or "cut off: 4" in s for s in refusals(quality))


def test_sharpness_does_not_hang_on_the_light(photo):
    picture, face = photo
    sharp, dim = measure(picture, face).sharpness, measure((picture * 0.5).astype(np.uint8), face).sharpness
    assert dim == pytest.approx(sharp, rel=0.15)


def test_a_plain_surface_has_no_contrast_and_no_sharpness(photo):
    quality = measure(np.full_like(photo[0], 128), photo[1])
    assert (quality.contrast, quality.sharpness) == (pytest.approx(0, abs=1e-5), 0)
    assert quality.brightness == pytest.approx(128 / 255, abs=1e-3)


# pose


def turned(yaw=0.0, pitch=0.0, roll=0.0):
    """The average head turned by right-handed rotations about y, x and z, seen from afar."""
    y, p, r = np.radians([-yaw, pitch, roll])
    about_y = [[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]]
    about_x = [[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]]
    about_z = [[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]]
    matrix = np.array(about_z) @ np.array(about_y) @ np.array(about_x)
    return (_HEAD @ matrix.T)[:, :2] * 1.7 + [300, 200]


@pytest.mark.parametrize(
    "angles", [(0, 0, 0), (30, 0, 0), (-45, 0, 0), (0, 20, 0), (0, -25, 0), (0, 0, 80), (20, 10, -30)]
)
def test_the_pose_of_a_turned_head_is_found(angles):
    assert np.allclose(pose(turned(*angles)), angles, atol=1e-6)


def test_the_signs_are_those_of_the_docstrings():
    nose_to_the_right, nose_down = (
        np.array(weights.RECORDS["sface"].template),
        np.array(weights.RECORDS["sface"].template),
    )
    nose_to_the_right[2, 0] += 10
    nose_down[2, 1] += 8
    assert pose(nose_to_the_right)[0] > 10
    assert pose(nose_down)[1] > 10
    assert pose([(0, 0), (40, 40), (5, 40), (-20, 45), (10, 75)])[2] == pytest.approx(
        45, abs=10
    )  # the right eye is lower


def test_the_template_looks_straight_ahead():
    assert np.abs(pose(weights.RECORDS["sface"].template)).max() < 2


def test_a_mirrored_face_looks_the_other_way(photo):
    points = photo[1].landmarks
    mirrored = points[[1, 0, 2, 4, 3]] * [-1, 1]
    assert np.allclose(pose(mirrored), np.array(pose(points)) * [-1, 1, -1], atol=1e-4)


def test_a_profile_is_refused(photo):
    picture, face = photo
    aside = dataclasses.replace(face, landmarks=turned(60).astype(np.float32))
    assert any("turned away: by about 60 degrees" in sentence for sentence in refusals(measure(picture, aside)))


def test_landmarks_in_one_place_are_refused():
    with pytest.raises(FaceError):
        pose(np.zeros((5, 2)))


def test_limits_are_the_callers(photo):
    strict = QualityLimits(size=1000)
    assert [s for s in refusals(measure(*photo), strict) if "expected at least 1000" in s]
