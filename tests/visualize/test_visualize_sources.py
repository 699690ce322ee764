"""What may be looked at: folders of pictures, arrays, and networks by name."""

import numpy as np
import pytest
import skimage.data
import torch
from torch import nn

from mien import images
from mien.backbones.checkpoint import CheckpointRecord, save_checkpoint
from mien.backbones.convnet import ConvNet, ConvNetSpec
from mien.errors import DataError, ImageError, OptionError, WeightsNotFound
from mien.visualize.receptive_field import receptive_fields
from mien.visualize.sources import open_source
from mien.visualize.subjects import choose_layers, open_subject, subject_of


def colour_net():
    return subject_of(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU()), name="net")


@pytest.fixture
def folder(tmp_path):
    """Two classes, mixed sizes, one grey picture, a hidden file and a text."""
    for name, pixels in {
        "cats/one.png": images.resize(skimage.data.chelsea(), 60, 40),
        "cats/two.jpg": images.resize(skimage.data.chelsea(), 31, 47),
        "cups/deep/cup.png": images.resize(skimage.data.coffee(), 40, 40),
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        images.save(tmp_path / name, pixels)
    from PIL import Image

    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(tmp_path / "grey.png")
    (tmp_path / ".hidden.png").write_bytes(b"no picture")
    (tmp_path / "notes.txt").write_text("no picture either")
    return tmp_path


# pictures


def test_pictures_of_mixed_sizes_become_squares_and_folders_classes(folder):
    source = open_source(folder, colour_net(), size=24)
    assert source.names == ("cats/one.png", "cats/two.jpg", "cups/deep/cup.png", "grey.png")
    assert source.labels == ("cats", "cats", "cups", "")
    loaded = dict(source.pairs())
    assert {tuple(x.shape) for x in loaded.values()} == {(3, 24, 24)}
    assert all(x.dtype == torch.float32 and float(x.min()) >= 0 and float(x.max()) <= 1 for x in loaded.values())
    assert torch.equal(loaded[3][0], loaded[3][2])


def test_the_middle_square_is_taken(tmp_path):
    pixels = np.zeros((10, 30, 3), np.uint8)
    pixels[:, 10:20] = (10, 20, 30)
    images.save(tmp_path / "wide.png", pixels)
    source = open_source(tmp_path, colour_net(), size=10)
    assert source.labels == ()
    assert source.values(0).reshape(3, -1).T.tolist() == [[10, 20, 30]] * 100


def test_a_network_of_one_channel_gets_grey(folder):
    grey = subject_of(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()))
    assert open_source(folder, grey, size=16).load(0).shape == (1, 16, 16)


def test_a_network_trained_on_one_size_gets_whole_pictures_in_it(folder):
    trained = subject_of(nn.Sequential(nn.Conv2d(3, 2, 3)), size=(12, 20))
    source = open_source(folder, trained)
    whole = images.resize(images.load(folder / "cats" / "one.png").pixels, 20, 12)
    np.testing.assert_array_equal(source.values(0).transpose(1, 2, 0), whole)


def test_a_picture_that_cannot_be_read_is_passed_over_and_told(folder):
    (folder / "cats" / "broken.png").write_bytes(b"\x89PNG nothing")
    source = open_source(folder, colour_net(), size=16)
    assert [index for index, _ in source.pairs()] == [1, 2, 3, 4]
    assert list(source.unreadable) == [0]
    assert source.first().shape == (1, 3, 16, 16)


def test_a_stop_ends_the_pairs(folder):
    source = open_source(folder, colour_net(), size=16)
    seen = []
    for index, _ in source.pairs(stopped=lambda: len(seen) == 2):
        seen.append(index)
    assert seen == [0, 1]


def test_no_pictures_are_refused(tmp_path):
    with pytest.raises(ImageError, match=r"Expected pictures in the folder .* found none"):
        open_source(tmp_path, colour_net())
    with pytest.raises(DataError, match=r"there is no “.*nowhere”"):
        open_source(tmp_path / "nowhere", colour_net())
    (tmp_path / "broken.png").write_bytes(b"nothing")
    with pytest.raises(ImageError, match="Expected pictures that can be read, but of 1 none can"):
        open_source(tmp_path, colour_net()).first()


# arrays


def test_signals_come_with_labels_rate_and_names(tmp_path):
    x = np.random.default_rng(0).standard_normal((4, 2, 50))
    path = tmp_path / "signals.npz"
    np.savez(path, x=x, y=[0, 1, 1, 0], rate=360.0, names=["a", "b", "c", "d"])
    source = open_source(path, subject_of(nn.Sequential(nn.Conv1d(2, 3, 5))))
    assert (source.names, source.labels, source.rate) == (("a", "b", "c", "d"), ("0", "1", "1", "0"), 360.0)
    np.testing.assert_allclose(source.load(2).numpy(), x[2].astype(np.float32))


@pytest.mark.parametrize(
    ("shape", "net", "expected"),
    [
        ((4, 50), nn.Conv1d(1, 2, 3), (1, 50)),
        ((4, 9, 10), nn.Conv2d(1, 2, 3), (1, 9, 10)),
        ((4, 9, 10, 3), nn.Conv2d(3, 2, 3), (3, 9, 10)),
        ((4, 5, 9, 10), nn.Conv2d(5, 2, 3), (5, 9, 10)),
        ((4, 6, 7, 8), nn.Conv3d(1, 2, 3), (1, 6, 7, 8)),
    ],
)
def test_arrays_are_put_in_the_networks_order(tmp_path, shape, net, expected):
    np.save(tmp_path / "x.npy", np.zeros(shape, np.uint8))
    source = open_source(tmp_path / "x.npy", subject_of(nn.Sequential(net)))
    assert source.load(3).shape == expected
    assert len(source) == 4


def test_arrays_that_do_not_fit_are_refused(tmp_path):
    net = subject_of(nn.Sequential(nn.Conv1d(2, 3, 5)), name="net")
    for name, arrays, words in (
        ("other", {"z": np.zeros(3)}, "Expected an array x in .* got z"),
        ("shape", {"x": np.zeros((4, 3, 50))}, r"with C = 2 as x in .* got float64 \(4, 3, 50\)"),
        ("labels", {"x": np.zeros((4, 2, 50)), "y": [1, 2]}, "Expected 4 y in .* got 2"),
        ("none", {"x": np.zeros((0, 2, 50))}, "Expected at least one example"),
    ):
        np.savez(tmp_path / f"{name}.npz", **arrays)
        with pytest.raises(DataError, match=words):
            open_source(tmp_path / f"{name}.npz", net)
    np.save(tmp_path / "nan.npy", np.full((1, 2, 50), np.nan))
    with pytest.raises(DataError, match="has NaN or infinity"):
        open_source(tmp_path / "nan.npy", net).load(0)
    (tmp_path / "bad.npz").write_bytes(b"nothing")
    with pytest.raises(DataError, match="it cannot be read"):
        open_source(tmp_path / "bad.npz", net)
    with pytest.raises(DataError, match="a network of 1 dimension, got"):
        open_source(tmp_path, net)


# networks


def test_a_networks_dimensions_are_read_from_its_first_convolution():
    subject = subject_of(nn.Sequential(nn.BatchNorm3d(2), nn.Conv3d(2, 4, 3)))
    assert (subject.dims, subject.channels) == (3, 2)
    with pytest.raises(OptionError, match="Expected flat to have convolutions, got none"):
        subject_of(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), name="flat")


def test_layers_left_open_are_a_few_activations_and_an_unknown_one_is_answered_with_the_list():
    many = [part for _ in range(12) for part in (nn.Conv2d(3, 3, 3, padding=1), nn.ReLU())]
    subject, x = subject_of(nn.Sequential(*many), name="deep"), torch.rand(1, 3, 8, 8)
    assert choose_layers(subject, x) == ("1", "7", "13", "17", "23")
    assert choose_layers(subject, x, ["5", "0"]) == ("0", "5")
    with pytest.raises(OptionError, match=r"Expected a layer of deep that gives a map \(0, 1, 2.*got 'relu'"):
        choose_layers(subject, x, ["relu"])


def test_a_checkpoint_is_opened_with_its_normalisation_and_classes(tmp_path):
    torch.manual_seed(0)
    spec = ConvNetSpec(dim=1, widths=(8, 8), classes=2, extras=2)
    net = ConvNet(spec).eval()
    record = CheckpointRecord(
        name="beats",
        spec=spec,
        kind="signal",
        size=(40,),
        normalisation={"mean": [3.0], "scale": [2.0]},
        labels=("yes", "no"),
        rate=100.0,
    )
    save_checkpoint(tmp_path / "beats", net, record)
    subject = open_subject(str(tmp_path / "beats"))
    assert (subject.dims, subject.channels, subject.size, subject.rate) == (1, 1, (40,), 100.0)
    x = torch.randn(1, 1, 40)
    with torch.no_grad():
        expected = net.features((x - 3) / 2)
    assert torch.allclose(subject.net(x, ["stages.1.0.relu"])["stages.1.0.relu"], expected, atol=1e-6)
    np.savez(tmp_path / "x.npz", x=np.zeros((3, 1, 40)), y=[1, 0, 5])
    assert open_source(tmp_path / "x.npz", subject).labels == ("no", "yes", "5")


def test_a_window_behind_a_normalisation_is_everything_or_that_of_its_filters():
    net = nn.Sequential(nn.Conv1d(1, 4, 5), nn.GroupNorm(1, 4), nn.ReLU(), nn.Conv1d(4, 4, 3), nn.InstanceNorm1d(4))
    x = torch.rand(1, 1, 30)
    assert [field.everything for field in receptive_fields(net, x).values()] == [False, True, True, True, True]
    windows = receptive_fields(net, x, statistics=False)
    assert [field.axes[0].size for field in windows.values()] == [5, 5, 5, 7, 7]


def test_a_network_that_is_none_is_refused(tmp_path):
    with pytest.raises(OptionError, match=r"Expected a network .* got 'vgg99', which is none of these"):
        open_subject("vgg99")
    with pytest.raises(WeightsNotFound, match="Expected a checkpoint"):
        open_subject(str(tmp_path))
    with pytest.raises(OptionError, match="Expected the precision float32 or bfloat16"):
        open_subject("vgg19", precision="float8")
