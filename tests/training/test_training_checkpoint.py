"""Checkpoints: back as they were, whole or not at all, refused when they are not what they say; and as ONNX."""

import dataclasses
import importlib.util
import json
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from mien import weights
from mien.backbones.checkpoint import (
    CheckpointRecord,
    load_checkpoint,
    read_extra,
    read_metrics,
    read_record,
    save_checkpoint,
)
from mien.backbones.convnet import ConvNet, ConvNetSpec
from mien.backbones.onnx_export import export_onnx
from mien.errors import MissingExtra, OptionError, OutputError, WeightsError, WeightsMismatch, WeightsNotFound

SPEC = ConvNetSpec(dim=2, channels=1, widths=(8, 16), encoding=12)


def seeded(spec=SPEC, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = ConvNet(spec)
        for name, parameter in net.named_parameters():
            if parameter.dim() == 1:
                nn.init.normal_(parameter, mean=1.0 if name.endswith("weight") else 0.0, std=0.3)
    return net.eval()


def a_record(spec=SPEC, **changes):
    given = {"name": "orl", "spec": spec, "size": (14, 10), "normalisation": {"mean": [0.4], "scale": [0.2]}}
    return CheckpointRecord(**{**given, **changes})


def rand(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def folder(tmp_path):
    return save_checkpoint(tmp_path / "run", seeded(), a_record(), metrics={"eer": 0.05})


# there and back


def test_a_network_comes_back_bit_equal_with_its_record(tmp_path):
    given = a_record(
        labels=("a", "b"),
        task="classes of beats",
        kind="signal",
        rate=360.0,
        spacing=(1.0, 2.0, 2.5),
        template=((1.0, 2.0), (3.0, 4.0), (5.0, 6.0), (7.0, 8.0), (9.0, 1.0)),
        training={"recipe": "ecg", "seed": 3},
    )
    path = save_checkpoint(tmp_path / "run", seeded(), given, metrics={"eer": 0.05}, extra={"state.pt": b"momentum"})
    net, found = load_checkpoint(path, expected=SPEC)
    x = rand(2, 1, 14, 10)
    assert torch.equal(net(x), seeded()(x))
    assert not net.training
    written = {"sha256", "files", "mien"}
    for item in dataclasses.fields(CheckpointRecord):
        if item.name not in written:
            assert getattr(found, item.name) == getattr(given, item.name), item.name
    assert found.sha256 == weights.sha256(path / "weights.safetensors")
    assert read_metrics(path) == {"eer": 0.05}
    assert read_extra(path, "state.pt") == b"momentum"
    assert sorted(p.name for p in path.iterdir()) == ["metrics.json", "record.json", "state.pt", "weights.safetensors"]
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_the_record_normalises_as_it_was_fitted():
    x = rand(2, 1, 3, 3)
    assert torch.allclose(a_record().normalise(x), (x - 0.4) / 0.2)
    assert a_record(normalisation=None).normalise(x) is x


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"name": "my net/2"}, "letters, digits"),
        ({"normalisation": {"mean": [0.1, 0.2], "scale": [1, 1]}}, "for each of 1 channels"),
        ({"normalisation": {"mean": [0.1], "scale": [0]}}, "scale above 0"),
        ({"spec": dataclasses.replace(SPEC, classes=3), "labels": ("a",)}, "3 labels"),
    ],
)
def test_a_record_that_contradicts_itself_is_refused(changes, text):
    with pytest.raises(OptionError, match=text):
        a_record(**changes)


# whole or not at all


def test_an_existing_checkpoint_is_replaced_only_if_asked_and_then_whole(folder):
    with pytest.raises(OutputError, match="holds a checkpoint already"):
        save_checkpoint(folder, seeded(seed=1), a_record())
    (folder / "head.json").write_text("{}")
    save_checkpoint(folder, seeded(seed=1), a_record(), force=True)
    x = rand(1, 1, 14, 10)
    assert torch.equal(load_checkpoint(folder)[0](x), seeded(seed=1)(x))
    assert not (folder / "head.json").exists()  # it belonged to the old weights
    assert [p.name for p in folder.parent.iterdir()] == ["run"]


def test_files_of_somebody_elses_are_not_lost(folder):
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"“notes\.txt”, which would be lost"):
        save_checkpoint(folder, seeded(), a_record(), force=True)
    assert (folder / "notes.txt").read_text() == "mine"
    with pytest.raises(OutputError, match="is a file"):
        save_checkpoint(folder / "notes.txt", seeded(), a_record(), force=True)


def test_a_folder_that_cannot_be_moved_leaves_the_old_checkpoint(folder, monkeypatch):
    rename = Path.rename

    def refuse(self, target):
        if self.name.endswith(".part"):
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OutputError, match="No space left"):
        save_checkpoint(folder, seeded(seed=1), a_record(), force=True)
    x = rand(1, 1, 14, 10)
    assert torch.equal(load_checkpoint(folder)[0](x), seeded()(x))
    assert [p.name for p in folder.parent.iterdir()] == ["run"]


class Killed(BaseException):
    pass


@pytest.mark.parametrize("moment", [1, 2, 3])
def test_a_run_killed_at_any_moment_leaves_one_whole_checkpoint(folder, monkeypatch, moment):
    rename, calls = Path.rename, []

    def die(self, target):
        calls.append(self)
        if len(calls) == moment:
            raise Killed
        rename(self, target)
        if len(calls) == moment - 1 == 2:
            raise Killed

    monkeypatch.setattr(Path, "rename", die)
    with pytest.raises(Killed):
        save_checkpoint(folder, seeded(seed=1), a_record(), force=True)
    monkeypatch.undo()
    x = rand(1, 1, 14, 10)
    expected = seeded(seed=1) if moment == 3 else seeded()
    assert torch.equal(load_checkpoint(folder)[0](x), expected(x))
    # The next run goes on from there, and clears up.
    save_checkpoint(folder, seeded(seed=2), a_record(), force=True)
    assert torch.equal(load_checkpoint(folder)[0](x), seeded(seed=2)(x))
    assert [p.name for p in folder.parent.iterdir()] == ["run"]


def test_a_further_file_may_not_take_the_place_of_ours_or_lie_elsewhere(tmp_path):
    for name in ("record.json", "../state.pt"):
        with pytest.raises(OptionError, match="plain names"):
            save_checkpoint(tmp_path / "run", seeded(), a_record(), extra={name: b""})


# refused


def test_no_checkpoint_is_said_to_be_none(tmp_path):
    with pytest.raises(WeightsNotFound, match="is none; give the folder"):
        load_checkpoint(tmp_path)


def test_a_checkpoint_of_another_architecture_is_refused_with_the_differences(folder):
    with pytest.raises(
        WeightsMismatch, match=r"widths is \[8, 16\] instead of \[8, 32\], encoding is 12 instead of 64"
    ):
        load_checkpoint(folder, expected=dataclasses.replace(SPEC, widths=(8, 32), encoding=64))


def test_a_net_of_another_architecture_is_not_saved_with_this_record(tmp_path):
    with pytest.raises(OptionError, match="encoding is 12 instead of 13"):
        save_checkpoint(tmp_path / "run", seeded(dataclasses.replace(SPEC, encoding=13)), a_record())


def test_a_changed_file_is_refused(folder):
    path = folder / "weights.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(WeightsMismatch, match="the file was changed"):
        load_checkpoint(folder)


@pytest.mark.parametrize("data", [b"", b"not weights at all", None])
def test_unreadable_or_missing_weights_are_refused(folder, data):
    path = folder / "weights.safetensors"
    path.unlink()
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(WeightsMismatch, match=r"cannot be read.*copy the whole folder"):
        load_checkpoint(folder)


def edited(folder, change):
    path = folder / "weights.safetensors"
    state = load_file(path)
    change(state)
    save_file(state, path)
    about = json.loads((folder / "record.json").read_text())
    about["sha256"] = weights.sha256(path)
    (folder / "record.json").write_text(json.dumps(about))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda state: state.pop("embed.bias"), "embed.bias is missing"),
        (lambda state: state.update(extra=torch.zeros(1)), "extra is one too many"),
        (
            lambda state: state.update({"embed.bias": torch.zeros(3)}),
            r"embed.bias is \(3,\) instead of \(12,\)",
        ),
        (lambda state: [state.pop(name) for name in list(state)[:5]], "and 2 more"),
    ],
)
def test_missing_extra_and_misshapen_tensors_are_named(folder, change, text):
    edited(folder, change)
    with pytest.raises(WeightsMismatch, match=text):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    "change",
    [{"format": "other"}, {"spec": {"dim": 7}}, {"spec": {"dim": 2, "colour": 1}}, {"unknown": 1}, {"name": None}],
)
def test_a_record_that_cannot_be_read_is_refused(folder, change):
    path = folder / "record.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(WeightsError, match=r"Expected a record that mien wrote in"):
        read_record(folder)
    path.write_text("[")
    with pytest.raises(WeightsError, match="cannot be read"):
        read_record(folder)


def test_a_further_file_that_is_not_there_is_said_to_be_missing(folder):
    with pytest.raises(WeightsNotFound, match=r"state\.pt"):
        read_extra(folder, "state.pt")


# ONNX

needs_onnx = pytest.mark.skipif(importlib.util.find_spec("onnx") is None, reason="the onnx package is not installed")


@pytest.fixture(scope="module")
def cv2():
    module = pytest.importorskip("cv2")
    module.setNumThreads(1)
    return module


PICTURES = [
    SPEC,
    ConvNetSpec(dim=2, channels=3, widths=(8, 16, 24), blocks=2, encoding=12, cells=3, stride=2),
    ConvNetSpec(dim=2, channels=3, kind="plain", widths=(8, 12), encoding=12, cells=2),
    ConvNetSpec(dim=2, channels=3, norm="none", widths=(8,), normalise=False, kernel=5, encoding=12),
]


@needs_onnx
@pytest.mark.parametrize("spec", PICTURES, ids=repr)
def test_opencv_runs_an_exported_encoder_of_pictures(tmp_path, cv2, spec):
    fitted = {"mean": [0.4, 0.5, 0.6][: spec.channels], "scale": [0.2, 0.3, 0.25][: spec.channels]}
    record = a_record(spec, size=(33, 30), normalisation=fitted)
    net = seeded(spec)
    path = export_onnx(net, record, tmp_path)
    graph = cv2.dnn.readNetFromONNX(str(tmp_path / "encoder.onnx"))
    for count in (1, 3):
        x = rand(count, 3, 33, 30, seed=count)
        seen = (x * torch.tensor([0.2126, 0.7152, 0.0722]).view(1, 3, 1, 1)).sum(1, keepdim=True)
        with torch.no_grad():
            expected = net(record.normalise(x if spec.channels == 3 else seen)).numpy()
        graph.setInput(x.numpy())
        assert np.abs(graph.forward() - expected).max() < 1e-5
    about = weights.read_record(path)
    assert weights.find(about) == tmp_path / "encoder.onnx"
    assert (about.name, about.size, about.encoding, about.input.channels) == ("orl", (33, 30), 12, "RGB")
    assert net.embed.weight.requires_grad  # the network itself is as before


@needs_onnx
def test_the_faces_room_encodes_with_an_exported_encoder(tmp_path, cv2):
    from mien.faces.encode import load_encoder

    template = ((3.0, 5.0), (7.0, 5.0), (5.0, 8.0), (3.5, 11.0), (6.5, 11.0))
    record = a_record(template=template)
    net = seeded()
    encoder = load_encoder(export_onnx(net, record, tmp_path))
    crops = (rand(2, 14, 10, 3) * 255).byte()
    grey = (crops.float() / 255 @ torch.tensor([0.2126, 0.7152, 0.0722])).unsqueeze(1)
    with torch.no_grad():
        expected = net(record.normalise(grey)).numpy()
    assert np.abs(encoder.encode(crops.numpy(), mirror=False) - expected).max() < 1e-4
    assert encoder.name.startswith("orl-")


@needs_onnx
@pytest.mark.parametrize("kind", ["plain", "residual"])
@pytest.mark.parametrize("cells", [1, 3])
def test_opencv_runs_an_exported_encoder_of_signals(tmp_path, cv2, kind, cells):
    spec = ConvNetSpec(dim=1, channels=2, widths=(8, 16), kind=kind, cells=cells, encoding=6, kernel=7)
    record = a_record(spec, size=(101,), normalisation={"mean": [0.1, 0.2], "scale": [2.0, 3.0]})
    net = seeded(spec)
    export_onnx(net, record, tmp_path)
    graph = cv2.dnn.readNetFromONNX(str(tmp_path / "encoder.onnx"))
    x = rand(2, 2, 101)
    graph.setInput(x.numpy())
    with torch.no_grad():
        assert np.abs(graph.forward() - net(record.normalise(x)).numpy()).max() < 1e-5


@needs_onnx
@pytest.mark.parametrize(
    ("spec", "size"),
    [
        (ConvNetSpec(dim=1, channels=2, widths=(8, 16), encoding=6, cells=2), (19,)),
        (ConvNetSpec(dim=1, channels=2, widths=(8,), encoding=6, head="transformer"), (9,)),
        (ConvNetSpec(dim=1, channels=2, widths=(8,), encoding=6, head="gru"), (9,)),
        (ConvNetSpec(dim=3, channels=1, widths=(8,), encoding=6, kind="plain", depth_padding="replicate"), (4, 5, 6)),
    ],
    ids=repr,
)
def test_the_graph_of_signals_and_volumes_is_the_network(tmp_path, spec, size):
    from onnx.reference import ReferenceEvaluator

    fitted = {"mean": [0.1, 0.2][: spec.channels], "scale": [2.0, 3.0][: spec.channels]}
    record = a_record(spec, size=size, normalisation=fitted)
    net = seeded(spec)
    export_onnx(net, record, tmp_path)
    graph = ReferenceEvaluator(str(tmp_path / "encoder.onnx"))
    x = rand(2, spec.channels, *size)
    with torch.no_grad():
        expected = net(record.normalise(x)).numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (found,) = graph.run(None, {"input": x.numpy()})
    assert np.abs(found - expected).max() < 1e-5


@needs_onnx
def test_what_cannot_be_exported_is_refused(tmp_path):
    with pytest.raises(OptionError, match="input's size"):
        export_onnx(seeded(), a_record(size=None), tmp_path)
    spec = dataclasses.replace(SPEC, extras=2)
    with pytest.raises(OptionError, match="2 numbers beside it"):
        export_onnx(seeded(spec), a_record(spec), tmp_path)


def test_without_the_onnx_package_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtra, match=r"mien\[training\]"):
        export_onnx(seeded(), a_record(), tmp_path)
