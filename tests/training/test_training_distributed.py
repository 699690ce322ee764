"""Two processes give what one gives: the gradient, the training, and its checkpoints."""

import dataclasses
import json
import multiprocessing
import os
import socket
import traceback

import numpy as np
import pytest
import torch

from mien.backbones.convnet import ConvNet, ConvNetSpec
from mien.errors import OptionError
from mien.training.data import from_arrays
from mien.training.distributed import Team, summed, together
from mien.training.options import TrainOptions
from mien.training.splits import Split
from mien.training.train import Training

SPEC = ConvNetSpec(dim=1, channels=1, widths=(8,), encoding=8)
TINY = TrainOptions(widths=(8,), encoding=8, identities=3, items=3, steps=4, batch=7, rate=3e-3, patience=0)
CASES = {
    "semi-hard": TINY,
    "hard": dataclasses.replace(TINY, mining="hard"),
    "pair": dataclasses.replace(TINY, task="pair"),
    "simclr": dataclasses.replace(TINY, task="simclr"),
    "classify": dataclasses.replace(TINY, task="classify"),
}


def examples():
    rows = np.random.default_rng(0).normal(size=(48, 1, 16)).astype(np.float32)
    return from_arrays(rows, [f"p{i // 6}" for i in range(48)], kind="signal")


SPLIT = Split(np.arange(24), np.arange(24, 36), np.arange(36, 48))


def gradient(rank=0, world=1):
    """The gradient of a loss over all pairs of the encodings of 7 rows: it looks across them."""
    torch.manual_seed(0)
    net = ConvNet(SPEC)
    team = Team(rank, world)
    x = torch.from_numpy(np.random.default_rng(1).normal(size=(7, 1, 16)).astype(np.float32))
    shared = summed(net, team)  # it has to live until the gradients are summed
    f = team.gather(shared(x[list(team.share(range(7)))]), 7)
    (f @ f.T).square().sum().backward()
    return {name: p.grad.numpy() for name, p in net.named_parameters()}


def trained(folder, options):
    training = Training(examples(), SPLIT, options, out=folder)
    result = training.run()
    found = {name: value.numpy() for name, value in training.net.state_dict().items()}
    if training.objective.unit is not None:
        found["unit"] = training.objective.unit.weights.detach().numpy()
    return found, [(row.loss, row.active, row.measure) for row in result.history.rows]


def member(rank, port, folder, box):
    """One of two processes: everything in one start, as starting takes longest."""
    os.environ.update(RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    try:
        with together() as team:
            told = {"team": (team.rank, team.world), "gradient": gradient(team.rank, team.world)}
            told |= {name: trained(folder / name, options) for name, options in CASES.items()}
            told["agreed"] = team.agreed({"from": rank})
        box.put((rank, told))
    except Exception:
        box.put((rank, traceback.format_exc()))


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """What each of two real processes found, and the folder they wrote into."""
    folder = tmp_path_factory.mktemp("pair")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    box = context.Queue()
    members = [context.Process(target=member, args=(rank, port, folder, box)) for rank in range(2)]
    for one in members:
        one.start()
    try:
        told = dict(box.get(timeout=120) for _ in members)
    finally:
        for one in members:
            one.join(10)
            one.kill()
    assert all(isinstance(found, dict) for found in told.values()), told
    return told, folder


def test_they_know_who_they_are_and_agree(pair):
    told, _ = pair
    assert [told[rank]["team"] for rank in range(2)] == [(0, 2), (1, 2)]
    assert told[0]["agreed"] == told[1]["agreed"] == {"from": 0}


def test_two_processes_give_the_gradient_of_one(pair):
    told, _ = pair
    alone = gradient()
    for rank in range(2):
        for name, value in alone.items():
            np.testing.assert_allclose(told[rank]["gradient"][name], value, rtol=2e-5, atol=1e-6, err_msg=name)
    assert max(np.abs(value).max() for value in alone.values()) > 0.1


@pytest.mark.parametrize("name", CASES)
def test_two_processes_give_the_training_of_one(name, pair, tmp_path):
    told, _ = pair
    weights, rows = trained(tmp_path / "alone", CASES[name])
    for rank in range(2):
        others, other_rows = told[rank][name]
        for key, value in weights.items():
            np.testing.assert_allclose(others[key], value, atol=2e-5, err_msg=key)
        np.testing.assert_allclose(
            np.array(other_rows, float), np.array(rows, float), atol=1e-4, equal_nan=True, err_msg=str(rows)
        )


def test_only_the_first_writes_and_what_it_wrote_can_be_gone_on_with_alone(pair):
    _, folder = pair
    assert {p.name for p in (folder / "hard").iterdir()} == {"best", "last", "log.csv"}
    longer = dataclasses.replace(CASES["hard"])
    training = Training(examples(), SPLIT, longer, out=folder / "hard")
    training.restore()
    assert training.step == 4
    record = json.loads((folder / "hard" / "best" / "record.json").read_text(encoding="utf-8"))
    assert record["training"]["options"]["mining"] == "hard"


def test_rows_are_dealt_out_one_by_one_and_fewer_rows_than_processes_are_refused():
    assert [list(Team(rank, 3).share(range(7))) for rank in range(3)] == [[0, 3, 6], [1, 4], [2, 5]]
    with pytest.raises(OptionError, match="2 rows for 3 processes"):
        Team(0, 3).share(range(2))


def test_alone_nothing_is_gathered_and_nobody_is_asked():
    rows = torch.randn(3, 2, requires_grad=True)
    assert Team().gather(rows, 3) is rows
    assert Team().agreed("yes") == "yes"
    net = ConvNet(SPEC)
    assert summed(net, Team()) is net
    with together() as team:
        assert (team.rank, team.world, team.leads) == (0, 1, True)
