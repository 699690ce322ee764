"""Faces large and small, merged from several views; pictures that are hardly pictures; threads."""

import threading

import cv2
import matplotlib
import numpy as np
import pytest
from skimage import data

from mien import images
from mien.errors import ImageError, OptionError, WeightsError
from mien.faces.detect import Detector, merge


@pytest.fixture(scope="module")
def detector():
    cv2.setNumThreads(1)
    return Detector()


@pytest.fixture(scope="module")
def hopper():
    return images.load(matplotlib.get_data_path() + "/sample_data/grace_hopper.jpg").pixels


def scaled(picture, factor):
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return cv2.resize(picture, None, fx=factor, fy=factor, interpolation=way)


def test_the_astronauts_face_and_landmarks_are_where_a_person_sees_them(detector):
    (face,) = detector.detect(data.astronaut())
    assert np.allclose(face.box, (178, 63, 90, 114), atol=8)
    assert 0.8 < face.score <= 1
    # Read off the picture by eye: the eye on the left, the one on the right, nose, mouth left, mouth right.
    seen = [(200, 102), (247, 103), (220, 125), (199, 143), (240, 144)]
    assert np.abs(face.landmarks - seen).max() < 6
    assert face.landmarks.dtype == np.float32


def test_a_mirrored_photo_gives_mirrored_landmarks_in_the_same_order(detector):
    photo = data.astronaut()
    (face,), (mirrored,) = detector.detect(photo), detector.detect(np.ascontiguousarray(photo[:, ::-1]))
    back = mirrored.landmarks[[1, 0, 2, 4, 3]]
    back[:, 0] = photo.shape[1] - 1 - back[:, 0]
    assert np.abs(back - face.landmarks).max() < 0.1 * face.size  # swapped eyes would be half the face apart


@pytest.mark.parametrize("factor", [0.4, 1, 3, 6])
def test_boxes_and_landmarks_are_in_the_pictures_own_pixels_at_any_size(detector, hopper, factor):
    face, same = detector.detect(hopper)[0], detector.detect(scaled(hopper, factor))[0]
    assert np.abs((same.landmarks + 0.5) / factor - 0.5 - face.landmarks).max() < 0.1 * face.size
    assert np.abs(np.array(same.box) / factor - face.box).max() < 0.1 * face.size


@pytest.mark.parametrize("height", [100, 640, 4000])
def test_a_face_that_fills_the_photo_is_one_face(detector, hopper, height):
    close = hopper[120:332, 183:353]
    found = detector.detect(scaled(close, height / len(close)))
    assert len(found) == 1
    assert found[0].size > 0.6 * height


def test_a_face_of_20_pixels_in_a_large_photo_is_found(detector):
    photo = cv2.resize(data.rocket(), (1280, 960))
    small = scaled(data.astronaut(), 20 / 90)
    photo[300 : 300 + len(small), 700 : 700 + small.shape[1]] = small
    (face,) = detector.detect(photo)
    assert 17 < face.box[2] < 24
    assert np.allclose(face.box[:2], (700 + 178 * 20 / 90, 300 + 63 * 20 / 90), atol=4)


def test_many_faces_come_largest_first(detector, hopper):
    photo = np.full((600, 1200, 3), 128, np.uint8)
    places = [(0, 0, 0.5), (300, 300, 0.3), (600, 0, 0.9), (1000, 500, 0.15)]
    for x, y, factor in places:
        small = scaled(hopper, factor)[: 600 - y, : 1200 - x]
        photo[y : y + small.shape[0], x : x + small.shape[1]] = small
    sizes = [face.size for face in detector.detect(photo)]
    assert np.allclose(sizes, [170 * 0.9, 170 * 0.5, 170 * 0.3, 170 * 0.15], rtol=0.25)


@pytest.mark.parametrize("shape", [(1, 1), (1, 4000), (4000, 1), (3, 3), (2, 700), (31, 33), (40, 32), (33, 900)])
def test_pictures_of_any_shape_are_looked_at(detector, shape):
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert detector.detect(noise) == []


def test_a_small_picture_of_a_face_gives_sound_numbers(detector, hopper):
    # OpenCV 4.14 gives random numbers for views of 32 pixels: boxes at 4e17 with a score of 1.
    for height in (24, 32, 40, 64):
        for face in detector.detect(scaled(hopper[120:332, 183:353], height / 212)):
            assert np.abs(face.landmarks).max() < 2 * height


def test_a_grey_photo_as_rgb_has_its_face(detector):
    grey = np.repeat(cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    assert len(detector.detect(grey)) == 1


def test_cats_and_coffee_have_no_face(detector):
    assert detector.detect(data.coffee()) == []


@pytest.mark.parametrize(
    "picture",
    [np.zeros((9, 9), np.uint8), np.zeros((9, 9, 4), np.uint8), np.zeros((9, 9, 3)), np.zeros((0, 9, 3), "u1")],
)
def test_what_is_no_picture_is_refused(detector, picture):
    with pytest.raises(ImageError, match=r"uint8 \(H, W, 3\)"):
        detector.detect(picture)


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(OptionError, match=r"score between 0 and 1, got 1\.5"):
        Detector(score=1.5)
    with pytest.raises(WeightsError, match="got 'mtcnn'"):
        Detector("mtcnn")


def test_threads_share_a_detector(detector, hopper):
    photos = [data.astronaut(), hopper, scaled(hopper, 0.5), scaled(data.astronaut(), 1.5)]
    expected = [detector.detect(photo)[0].landmarks for photo in photos]
    found = [None] * 4

    def work(i):
        found[i] = detector.detect(photos[i])[0].landmarks

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


def row(x, y, width, height, score):
    return [x, y, width, height, *[0] * 10, score]


def test_of_overlapping_boxes_the_best_is_kept():
    rows = np.array([row(0, 0, 10, 10, 0.7), row(1, 0, 10, 10, 0.9), row(30, 0, 10, 10, 0.8)], np.float32)
    assert merge(rows, overlap=0.3)[:, 14].tolist() == pytest.approx([0.9, 0.8])
    # 5 of 15 columns in common is a third of the union; 6 of 10 columns of each are not needed for it.
    pair = np.array([row(0, 0, 10, 10, 0.9), row(5, 0, 10, 10, 0.8)], np.float32)
    assert len(merge(pair, overlap=0.3)) == 1
    assert len(merge(pair, overlap=0.4)) == 2


def test_a_box_inside_another_is_the_same_face():
    rows = np.array([row(0, 0, 100, 100, 0.9), row(30, 30, 20, 20, 0.8)], np.float32)
    assert len(merge(rows, overlap=0.3)) == 1
    assert merge(np.empty((0, 15), np.float32), overlap=0.3).shape == (0, 15)
