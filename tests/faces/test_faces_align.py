"""The similarity that lays landmarks upon a template, by hand and by invariants; and the crop it makes."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

from mien import images, weights
from mien.errors import FaceError
from mien.faces.align import align, similarity_transform
from mien.faces.detect import Detector

TEMPLATE, SIZE = weights.RECORDS["sface"].template, weights.RECORDS["sface"].size
SQUARE = [(0, 0), (2, 0), (2, 2), (0, 2)]


@pytest.fixture(autouse=True)
def _one_thread():
    cv2.setNumThreads(1)


def moved(points, *, scale=1.0, degrees=0.0, shift=(0, 0)):
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return scale * np.asarray(points, float) @ np.array([[c, s], [-s, c]]) + shift


@pytest.mark.parametrize(
    ("target", "matrix"),
    [
        (SQUARE, [[1, 0, 0], [0, 1, 0]]),
        ([(3, 4), (5, 4), (5, 6), (3, 6)], [[1, 0, 3], [0, 1, 4]]),
        ([(0, 0), (6, 0), (6, 6), (0, 6)], [[3, 0, 0], [0, 3, 0]]),
        # A quarter turn takes x to y and y to -x.
        ([(0, 0), (0, 2), (-2, 2), (-2, 0)], [[0, -1, 0], [1, 0, 0]]),
    ],
)
def test_shift_scale_and_turn_worked_by_hand(target, matrix):
    assert np.allclose(similarity_transform(SQUARE, target), matrix)


def test_of_two_points_pulled_apart_the_mean_is_the_best_scale():
    # Source -1, 1; target -3, 1 on a line: centred 1 against 2, so scale 2 and shift -1.
    assert np.allclose(similarity_transform([(-1, 0), (1, 0)], [(-3, 0), (1, 0)]), [[2, 0, -1], [0, 2, 0]])


def test_any_similarity_is_found_again():
    rng = np.random.default_rng(1)
    for _ in range(20):
        points = rng.normal(size=(5, 2)) * 40 + 100
        target = moved(points, scale=rng.uniform(0.1, 4), degrees=rng.uniform(-180, 180), shift=rng.normal(size=2) * 50)
        m = similarity_transform(points, target)
        assert np.allclose(points @ m[:, :2].T + m[:, 2], target)


def test_no_other_similarity_has_a_smaller_error():
    rng = np.random.default_rng(2)
    points, target = rng.normal(size=(5, 2)), rng.normal(size=(5, 2))

    def error(m):
        return ((points @ m[:, :2].T + m[:, 2] - target) ** 2).sum()

    best = similarity_transform(points, target)
    for _ in range(200):
        a, b, x, y = rng.normal(size=4) * 0.05
        assert error(best + np.array([[a, -b, x], [b, a, y]])) >= error(best)


def test_mirrored_points_are_never_mirrored_back():
    points = np.random.default_rng(3).normal(size=(5, 2))
    m = similarity_transform(points, points * [-1, 1])
    assert np.linalg.det(m[:, :2]) > 0


@pytest.mark.parametrize("points", [np.zeros((5, 2)), np.full((5, 2), 1e6), np.full((5, 2), np.nan)])
def test_points_in_one_place_or_nowhere_are_refused(points):
    for pair in ((points, TEMPLATE), (TEMPLATE, points)):
        with pytest.raises(FaceError):
            similarity_transform(*pair)


def test_unequal_lists_are_refused():
    with pytest.raises(FaceError, match=r"\(4, 2\) and \(5, 2\)"):
        similarity_transform(SQUARE, TEMPLATE)


# the crop


def test_landmarks_on_the_template_leave_the_picture_as_it_is():
    picture = np.random.default_rng(4).integers(0, 256, (112, 112, 3), dtype=np.uint8)
    assert np.array_equal(align(picture, TEMPLATE, template=TEMPLATE, size=SIZE), picture)


def test_beyond_the_picture_is_black():
    picture = np.full((112, 112, 3), 200, np.uint8)
    crop = align(picture, np.array(TEMPLATE) - 56, template=TEMPLATE, size=SIZE)
    assert (crop[:50] == 0).all()
    assert (crop[60:, 60:] == 200).all()
    whole_outside = align(picture, np.array(TEMPLATE) * 5 + 3000, template=TEMPLATE, size=SIZE)
    assert not whole_outside.any()


@pytest.mark.parametrize("scale", [1.5, 2.0, 3.7, 8.0])
def test_a_gradient_keeps_its_place_at_any_size(scale):
    # A plane of light is the same plane after averaging and warping: a shift of the shrunken part would show at once.
    height = width = round(112 * scale) + 60
    x = np.arange(width) / width * 250
    picture = np.repeat(np.broadcast_to(x, (height, width))[..., None], 3, axis=2).round().astype(np.uint8)
    crop = align(picture, np.array(TEMPLATE) * scale + 20, template=TEMPLATE, size=SIZE)
    expected = (np.arange(112) * scale + 20) / width * 250
    assert np.abs(crop[56, :, 0] - expected).max() < 1.5  # each of three roundings to 8 bits takes half a step


def test_a_face_much_larger_than_the_template_does_not_alias():
    # Lines of one pixel, black and white by turns, are grey from afar; plain bilinear warping makes stripes of them.
    picture = np.zeros((1200, 1200, 3), np.uint8)
    picture[:, ::2] = 255
    landmarks = np.array(TEMPLATE) * 9.5 + 30
    crop = align(picture, landmarks, template=TEMPLATE, size=SIZE)
    plain = cv2.warpAffine(picture, similarity_transform(landmarks, TEMPLATE), SIZE)
    assert crop[..., 0].std() < 20
    assert plain[..., 0].std() > 60


def test_a_photo_and_its_enlargement_give_nearly_the_same_crop():
    photo = data.astronaut()
    face = Detector().detect(photo)[0]
    small = align(photo, face.landmarks, template=TEMPLATE, size=SIZE).astype(float)
    large = cv2.resize(photo, None, fx=6, fy=6, interpolation=cv2.INTER_CUBIC)
    crop = align(large, (face.landmarks + 0.5) * 6 - 0.5, template=TEMPLATE, size=SIZE)
    assert np.abs(crop - small).mean() < 3


@pytest.mark.skipif("MIEN_DATA" not in os.environ, reason="needs the LFW photos in $MIEN_DATA")
def test_crops_of_lfw_are_those_of_opencv():
    paths = sorted(Path(os.environ["MIEN_DATA"], "lfw_folds_1_3", "images").rglob("*.jpg"))[::160]
    theirs = cv2.FaceRecognizerSF.create(str(weights.find("sface")), "")
    detector, compared = Detector(), 0
    for path in paths:
        image = images.load(path).pixels
        for face in detector.detect(image)[:1]:
            row = np.concatenate([face.box, face.landmarks.ravel(), [face.score]]).astype(np.float32)
            expected = theirs.alignCrop(np.ascontiguousarray(image[..., ::-1]), row)[..., ::-1]
            crop = align(image, face.landmarks, template=TEMPLATE, size=SIZE)
            assert np.abs(crop.astype(int) - expected).mean() < 0.2
            compared += 1
    assert compared > 15
