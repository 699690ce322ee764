"""The encoder: unit vectors, mirror and batch, the record's input, and what is refused."""

import dataclasses
import hashlib
import json
import queue
import threading
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from skimage import data

from mien import weights
from mien.errors import FaceError, WeightsError, WeightsMismatch
from mien.faces import onnx
from mien.faces.align import align
from mien.faces.detect import Detector
from mien.faces.encode import Encoder, load_encoder


@pytest.fixture(scope="module")
def encoder():
    cv2.setNumThreads(1)
    return load_encoder()


@pytest.fixture(scope="module")
def crops(encoder):
    """The astronaut, and the same photo turned by 10 degrees, darker: uint8 (2, 112, 112, 3)."""
    photo = data.astronaut()
    turn = cv2.getRotationMatrix2D((223, 120), 10, 1)
    turned = (cv2.warpAffine(photo, turn, (512, 512)) * 0.6).astype(np.uint8)
    found = [Detector().detect(picture)[0] for picture in (photo, turned)]
    record = encoder.weights
    return np.stack(
        [
            align(picture, face.landmarks, template=record.template, size=record.size)
            for picture, face in zip((photo, turned), found, strict=True)
        ]
    )


def test_the_encoder_is_named_after_its_record_and_digest(encoder):
    assert encoder.name == "sface-fb143eea"
    assert encoder.dimension == 128
    assert encoder.weights is weights.RECORDS["sface"]


def test_encodings_are_unit_vectors_close_together_for_one_person(encoder, crops):
    noise = np.random.default_rng(0).integers(0, 256, (1, 112, 112, 3), dtype=np.uint8)
    made = encoder.encode(np.concatenate([crops, noise]))
    assert made.dtype == np.float32
    assert made.shape == (3, 128)
    assert np.abs(np.linalg.norm(made, axis=1) - 1).max() < 1e-6
    assert np.linalg.norm(made[0] - made[1]) < 0.5
    assert np.linalg.norm(made[0] - made[2]) > 1


def test_a_batch_gives_what_each_face_gives_alone_and_again(encoder, crops):
    together = encoder.encode(crops)
    alone = np.concatenate([encoder.encode(crops[i : i + 1]) for i in range(len(crops))])
    assert np.abs(together - alone).max() < 1e-5
    assert np.array_equal(together, encoder.encode(crops))


def test_with_mirror_it_is_the_normalised_sum_of_face_and_mirror_image(encoder, crops):
    face, mirrored = encoder.encode(crops, mirror=False), encoder.encode(crops[:, :, ::-1], mirror=False)
    total = face + mirrored
    expected = total / np.linalg.norm(total, axis=1, keepdims=True)
    assert np.abs(encoder.encode(crops) - expected).max() < 1e-6
    assert np.abs(face - expected).max() > 0.01
    assert np.abs(encoder.encode(crops[:, :, ::-1]) - encoder.encode(crops)).max() < 1e-6


def test_it_gives_what_opencvs_own_class_gives(encoder, crops):
    theirs = cv2.FaceRecognizerSF.create(str(weights.find("sface")), "")
    for crop, row in zip(crops, encoder.encode(crops, mirror=False), strict=True):
        expected = theirs.feature(np.ascontiguousarray(crop[..., ::-1]))[0]
        assert np.abs(row - expected / np.linalg.norm(expected)).max() < 1e-5


def test_no_faces_are_no_encodings(encoder):
    assert encoder.encode(np.empty((0, 112, 112, 3), np.uint8)).shape == (0, 128)


@pytest.mark.parametrize(
    "crops", [np.zeros((112, 112, 3), np.uint8), np.zeros((1, 96, 112, 3), np.uint8), np.zeros((1, 112, 112, 3))]
)
def test_crops_of_another_shape_or_type_are_refused(encoder, crops):
    with pytest.raises(FaceError, match=r"\(B, 112, 112, 3\)"):
        encoder.encode(crops)


def test_threads_share_an_encoder(encoder, crops):
    expected, made = encoder.encode(crops, mirror=False), [None] * 4

    def work(i):
        made[i] = encoder.encode(crops, mirror=False)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(result, expected) for result in made)


def test_the_records_input_is_applied():
    crop = np.zeros((2, 2, 3), np.uint8)
    crop[0, 1] = (255, 51, 0)
    record = weights.RECORDS["sface"]
    bgr = dataclasses.replace(record, input=weights.RECORDS["yunet"].input)
    arc = dataclasses.replace(record, input=weights.Input("RGB", 255.0, (127.5, 127.5, 127.5), (1 / 127.5,) * 3))
    assert onnx.prepared(crop, record)[0, :, 0, 1].tolist() == [255, 51, 0]
    assert onnx.prepared(crop, bgr)[0, :, 0, 1].tolist() == [0, 51, 255]
    assert np.allclose(onnx.prepared(crop, arc)[0, :, 0, 1], [1, -0.6, -1])
    unit = dataclasses.replace(record, input=weights.Input("RGB", 1.0, (0.5, 0.0, 0.0), (2.0, 1.0, 1.0)))
    assert np.allclose(onnx.prepared(crop, unit)[0, :, 0, 1], [1, 0.2, 0])


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_what_cannot_be_an_encoding_is_an_error(encoder, crops, value, monkeypatch):
    class Net:
        def setInput(self, blob):  # noqa: N802
            pass

        def forward(self):
            return np.full((1, 128), value, np.float32)

    nets = queue.SimpleQueue()
    nets.put(Net())
    monkeypatch.setattr(encoder, "_nets", nets)
    with pytest.raises(WeightsError, match="finite numbers, not all zero"):
        encoder.encode(crops)


def test_a_net_that_failed_is_there_for_the_next_face(encoder, crops, monkeypatch):
    class Net:
        def setInput(self, blob):  # noqa: N802
            raise cv2.error("no")

    nets = queue.SimpleQueue()
    nets.put(Net())
    monkeypatch.setattr(encoder, "_nets", nets)
    for _ in range(3):
        with pytest.raises(WeightsError, match="could not be run by OpenCV: no"):
            encoder.encode(crops)


def test_threads_may_share_an_encoder(encoder, crops):
    alone = encoder.encode(crops)
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda _: encoder.encode(crops), range(6)))
    for found in together:
        np.testing.assert_array_equal(found, alone)


def test_opencv_5_is_refused_with_the_command_that_helps(monkeypatch):
    monkeypatch.setattr(cv2, "__version__", "5.0.0")
    with pytest.raises(WeightsError, match=r'got 5\.0\.0.*pip install "opencv-python-headless>=4\.10,<5"'):
        load_encoder()


def test_weights_that_encode_nothing_are_refused():
    with pytest.raises(WeightsError, match="yunet has no size and no template and no encoding"):
        load_encoder("yunet")
    with pytest.raises(WeightsError, match="got 'arcface'"):
        load_encoder("arcface")


# a record of one's own


@pytest.fixture
def own(tmp_path):
    """A function: a record of one's own beside SFace's file, with changes."""

    def make(content=None, **changes):
        content = weights.find("sface").read_bytes() if content is None else content
        (tmp_path / "mine.onnx").write_bytes(content)
        entry = {
            "name": "mine",
            "file": "mine.onnx",
            "sha256": hashlib.sha256(content).hexdigest(),
            "input": {"channels": "RGB", "range": 255, "mean": [0, 0, 0]},
            "size": [112, 112],
            "template": [list(point) for point in weights.RECORDS["sface"].template],
            "encoding": 128,
        }
        path = tmp_path / "record.json"
        path.write_text(json.dumps(entry | changes), encoding="utf-8")
        return path

    return make


def test_an_encoder_of_ones_own_is_loaded_by_its_record(own, encoder, crops):
    mine = load_encoder(own())
    assert mine.name == "mine-fb143eea"
    assert np.array_equal(mine.encode(crops[:1], mirror=False), encoder.encode(crops[:1], mirror=False))


def test_another_number_of_dimensions_than_the_record_says_is_an_error(own, crops):
    with pytest.raises(WeightsMismatch, match="Expected 512 numbers from the encoder mine-fb143eea, got 128"):
        load_encoder(own(encoding=512)).encode(crops)


def test_an_input_of_another_size_than_the_network_takes_is_an_error(own):
    with pytest.raises(WeightsError, match="mine-fb143eea"):
        load_encoder(own(size=[96, 96])).encode(np.zeros((1, 96, 96, 3), np.uint8))


def test_a_file_that_is_no_network_is_an_error_of_one_line(own):
    with pytest.raises(WeightsError, match="ONNX") as error:
        load_encoder(own(b"no network"))
    assert "\n" not in str(error.value)


def test_an_encoder_takes_a_record():
    assert Encoder(weights.record("sface")).name == "sface-fb143eea"
