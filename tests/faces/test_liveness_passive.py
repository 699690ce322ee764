"""The crop and the score of the passive network: hand-worked, with real ONNX files; and clear errors for wrong ones."""

import json
import math
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from liveness_nets import SIZE, bright_is_live, write_net, write_record

from mien.errors import FaceError, OptionError, WeightsError, WeightsMismatch
from mien.faces.liveness.passive import PassiveNet, crop
from mien.faces.liveness.records import SHIPPED, LivenessInput, read_liveness
from mien.faces.records import Face
from mien.weights import read_record


def face(x, y, width, height):
    return Face((x, y, width, height), np.zeros((5, 2), np.float32), 0.9)


@pytest.fixture
def noise():
    """A seeded picture of 90 × 120."""
    return np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)


# what the network sees


def test_the_crop_is_a_square_about_the_middle_of_the_box(noise):
    # Middle (45, 50), longer side 20, twice as wide: columns 25 to 65, rows 30 to 70.
    assert (crop(noise, face(40, 40, 10, 20), scale=2, size=(40, 40)) == noise[30:70, 25:65]).all()
    assert (crop(noise, face(35, 45, 20, 10), scale=2, size=(40, 40)) == noise[30:70, 25:65]).all()


def test_beyond_the_pictures_edge_its_last_pixels_go_on(noise):
    seen = crop(noise, face(0, 0, 20, 20), scale=2, size=(40, 40))  # from -10 to 30
    assert (seen[10:, 10:] == noise[:30, :30]).all()
    assert (seen[:10, :10] == noise[0, 0]).all()
    assert (seen[:10, 10:] == noise[0, :30]).all()
    seen = crop(noise, face(100, 70, 20, 20), scale=2, size=(40, 40))  # columns 90 to 130, rows 60 to 100
    assert (seen[:30, :30] == noise[60:, 90:]).all()
    assert (seen[30:, 30:] == noise[-1, -1]).all()


def test_a_face_larger_than_the_picture_is_cut_out_all_the_same(noise):
    seen = crop(noise, face(-50, -50, 300, 300), scale=4, size=(32, 32))
    assert seen.shape == (32, 32, 3)


def test_shrinking_averages_and_does_not_pick(noise):
    seen = crop(noise, face(30, 30, 32, 32), scale=1, size=(8, 8))
    blocks = noise[30:62, 30:62].reshape(8, 4, 8, 4, 3).mean(axis=(1, 3))
    assert np.abs(seen - blocks).max() <= 0.5


def test_the_size_is_height_and_width(noise):
    assert crop(noise, face(30, 30, 20, 20), scale=2, size=(24, 48)).shape == (24, 48, 3)


@pytest.mark.parametrize(
    "box",
    [
        (math.nan, 0, 10, 10),
        (0, 0, math.inf, 10),
        (10, 10, 0, 10),
        (10, 10, -5, 10),
        (500, 10, 10, 10),
        (10, -500, 10, 10),
        (0, 0, 9000, 10),
        (10, 10, 0.2, 0.2),
    ],
)
def test_a_box_that_is_no_faces_is_refused(noise, box):
    with pytest.raises(FaceError, match="got"):
        crop(noise, face(*box), scale=2, size=(40, 40))


# what it says


def uniform(red, green, blue):
    return np.full((60, 60, 3), (red, green, blue), np.uint8)


def test_softmax_sigmoid_and_none_give_the_hand_worked_probability(tmp_path):
    picture, one = uniform(51, 102, 204), [face(20, 20, 20, 20)]  # 0.2, 0.4, 0.8
    path = write_net(tmp_path, weights=[[1, 0, 0], [0, 2, 0], [0, 0, 0]], bias=[0, 0, 1])  # 0.2, 0.8, 1.0
    two = {"scale": 2, "live": 1, "activation": "softmax", "threshold": 0.5}
    powers = np.exp([0.2, 0.8, 1.0])
    score = PassiveNet(write_record(path, liveness=two)).score(picture, one)
    assert score.dtype == np.float32
    assert score == pytest.approx([powers[1] / powers.sum()], abs=1e-5)
    score = PassiveNet(write_record(path, liveness=two | {"activation": "sigmoid"})).score(picture, one)
    assert score == pytest.approx([1 / (1 + math.exp(-0.8))], abs=1e-5)
    score = PassiveNet(write_record(path, liveness=two | {"live": 0, "activation": "none"})).score(picture, one)
    assert score == pytest.approx([0.2], abs=1e-5)


def test_the_input_is_made_as_the_record_says(tmp_path):
    path = write_net(tmp_path, weights=[[1, 0, 0]], bias=[0])  # the first channel
    entry = {"channels": "BGR", "range": 255, "mean": [200, 0, 0], "scale": [0.1, 1, 1]}
    how = {"scale": 2, "live": 0, "activation": "none", "threshold": 0.5}
    net = PassiveNet(write_record(path, input=entry, liveness=how | {"activation": "sigmoid"}))
    score = net.score(uniform(51, 102, 204), [face(20, 20, 20, 20)])  # (204 - 200) / 10
    assert score == pytest.approx([1 / (1 + math.exp(-0.4))], abs=1e-5)


def test_a_score_is_bounded_for_the_largest_outputs(tmp_path):
    how = {"scale": 2, "live": 0, "threshold": 0.5}
    for sign, expected in ((1e6, 1.0), (-1e6, 0.0)):
        path = write_net(tmp_path, weights=[[sign, 0, 0], [0, 0, 0]], bias=[0, 0])
        for activation in ("softmax", "sigmoid"):
            net = PassiveNet(write_record(path, liveness=how | {"activation": activation}))
            assert net.score(uniform(255, 0, 0), [face(20, 20, 20, 20)]).tolist() == [expected]


def test_each_face_of_a_picture_has_its_own_score(tmp_path):
    net = PassiveNet(bright_is_live(tmp_path))
    picture = np.zeros((60, 120, 3), np.uint8)
    picture[:, 60:] = 200
    scores = net.score(picture, [face(20, 20, 20, 20), face(80, 20, 20, 20)])
    assert scores[0] < 0.01
    assert scores[1] > 0.99
    assert net.score(picture, []).shape == (0,)


def test_threads_may_share_it(tmp_path):
    net = PassiveNet(bright_is_live(tmp_path))
    pictures = [uniform(level, level, level) for level in range(30, 80, 2)] * 4
    alone = [float(net.score(picture, [face(20, 20, 20, 20)])[0]) for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda picture: float(net.score(picture, [face(20, 20, 20, 20)])[0]), pictures))
    assert together == alone


# records


def test_the_part_of_a_record_is_read(tmp_path):
    record, how = read_liveness(str(bright_is_live(tmp_path)))
    assert how == LivenessInput(scale=2.0, live=0, activation="softmax", threshold=0.5)
    assert (record.name, record.size) == ("bright", SIZE)
    net = PassiveNet(record, liveness=how)
    assert net.name == f"bright-{record.sha256[:8]}"
    with pytest.raises(OptionError, match="which output"):
        PassiveNet(record)


def test_a_record_without_the_part_says_what_is_missing(tmp_path):
    path = write_net(tmp_path, weights=[[1, 0, 0]], bias=[0])
    with pytest.raises(WeightsError, match=r'Expected a part "liveness" in the record .*"threshold": 0.5'):
        PassiveNet(write_record(path, liveness=None))
    with pytest.raises(WeightsError, match="no such field is known"):
        PassiveNet(write_record(path, liveness={"scale": 2, "live": 0, "activation": "none", "threshold": 1, "x": 1}))
    with pytest.raises(WeightsError, match="it is missing"):
        PassiveNet(write_record(path, liveness={"scale": 2, "live": 0, "activation": "none"}))
    with pytest.raises(WeightsError, match='Expected "size"'):
        PassiveNet(write_record(path, size=None))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("scale", 0.5),
        ("scale", "2"),
        ("scale", 9),
        ("live", -1),
        ("live", True),
        ("live", 0.0),
        ("activation", "tanh"),
        ("activation", ["softmax"]),
        ("threshold", 0),
        ("threshold", 1),
        ("threshold", 1.5),
        ("threshold", None),
    ],
)
def test_a_wrong_value_in_the_part_is_named(tmp_path, field, value):
    path = write_net(tmp_path, weights=[[1, 0, 0]], bias=[0])
    how = {"scale": 2, "live": 0, "activation": "none", "threshold": 0.5} | {field: value}
    with pytest.raises(WeightsError, match=f'Expected "{field}"'):
        PassiveNet(write_record(path, liveness=how))


def test_other_records_do_not_take_the_part(tmp_path):
    with pytest.raises(WeightsError, match='got "liveness"'):
        read_record(bright_is_live(tmp_path))


def test_a_network_for_something_else_is_refused():
    with pytest.raises(WeightsError, match="Expected a network for liveness, got sface"):
        PassiveNet("sface")
    with pytest.raises(WeightsError, match="Expected one of the weights"):
        PassiveNet("nothing")


def test_another_file_than_the_records_is_refused(tmp_path):
    record = bright_is_live(tmp_path)
    write_net(tmp_path, weights=[[1, 0, 0]], bias=[0], name="bright")
    with pytest.raises(WeightsMismatch, match="SHA-256"):
        PassiveNet(record)


def test_what_cannot_be_a_score_is_refused_before_any_face_comes(tmp_path):
    how = {"scale": 2, "live": 0, "activation": "none", "threshold": 0.5}
    one = write_net(tmp_path, weights=[[1, 0, 0]], bias=[0], name="one")
    with pytest.raises(WeightsMismatch, match="more than 1 outputs"):
        PassiveNet(write_record(one, liveness=how | {"live": 1}))
    with pytest.raises(WeightsMismatch, match="two outputs"):
        PassiveNet(write_record(one, liveness=how | {"activation": "softmax"}))
    beyond = write_net(tmp_path, weights=[[0, 0, 0]], bias=[3], name="beyond")
    with pytest.raises(WeightsError, match="probability from 0 to 1, got 3"):
        PassiveNet(write_record(beyond, liveness=how))
    for bad in (math.nan, math.inf):
        odd = write_net(tmp_path, weights=[[0, 0, 0]], bias=[bad], name="odd")
        with pytest.raises(WeightsError, match="finite numbers"):
            PassiveNet(write_record(odd, liveness=how | {"activation": "sigmoid"}))
    many = write_net(tmp_path, weights=[[0, 0, 0]] * 100, bias=[0] * 100, name="many")
    with pytest.raises(WeightsMismatch, match="no classifier"):
        PassiveNet(write_record(many, liveness=how))


def test_a_network_that_turns_to_nonsense_is_an_error_and_no_score(tmp_path):
    # log of the mean: not a number for a black picture, and a number for the grey one that is tried first
    path = write_net(tmp_path, weights=[[1, 0, 0]], bias=[-0.25], tail=("Log",))
    net = PassiveNet(write_record(path, liveness={"scale": 2, "live": 0, "activation": "sigmoid", "threshold": 0.5}))
    assert np.isfinite(net.score(uniform(128, 0, 0), [face(20, 20, 20, 20)])).all()
    with pytest.raises(WeightsError, match="finite numbers"):
        net.score(uniform(0, 0, 0), [face(20, 20, 20, 20)])


def test_a_file_that_is_no_network_is_refused(tmp_path):
    path = tmp_path / "text.onnx"
    path.write_bytes(b"not a network")
    with pytest.raises(WeightsError, match="ONNX that OpenCV can read"):
        PassiveNet(write_record(path))


# the shipped network, and one from elsewhere


@pytest.mark.skipif(not SHIPPED.is_file(), reason="the shipped network is not there yet")
def test_the_shipped_network_is_small_labelled_and_sees_a_face(pipeline, astronaut):
    net = PassiveNet()
    about = json.loads(SHIPPED.read_text(encoding="utf-8"))
    assert (SHIPPED.parent / about["file"]).stat().st_size <= 4 << 20
    assert "simulated attacks" in " ".join(str(value) for value in about.values())
    assert 0 < net.score(astronaut, pipeline.faces(astronaut)[:1])[0] < 1


@pytest.mark.skipif("MIEN_DATA" not in os.environ, reason="set MIEN_DATA to the folder of development data")
def test_a_users_own_network_plugs_in_through_a_record(tmp_path, pipeline, astronaut):
    theirs = Path(os.environ["MIEN_DATA"]) / "models" / "antispoof_print-replay_1.5_128.onnx"
    if not theirs.is_file():
        pytest.skip(f"there is no {theirs.name}")
    (tmp_path / theirs.name).write_bytes(theirs.read_bytes())
    how = {"scale": 1.5, "live": 0, "activation": "softmax", "threshold": 0.5}
    net = PassiveNet(write_record(tmp_path / theirs.name, name="minifas", size=[128, 128], liveness=how))
    faces = pipeline.faces(astronaut)[:1]
    score = net.score(astronaut, faces)
    assert score.shape == (1,)
    assert 0 <= score[0] <= 1
    assert score == pytest.approx(net.score(astronaut, faces))
