"""A training that was stopped anywhere goes on bit for bit, and with nothing but its own state."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch

from mien.errors import ResumeError
from mien.training.data import from_arrays
from mien.training.options import TrainOptions
from mien.training.splits import Split
from mien.training.train import Training, train

TINY = TrainOptions(widths=(8,), encoding=8, identities=4, items=3, epochs=4, batch=8, rate=3e-3, patience=0)


def examples(seed=0):
    random = np.random.default_rng(seed)
    rows = random.normal(size=(48, 1, 16)).astype(np.float32)
    return from_arrays(rows, [f"p{i // 6}" for i in range(48)], kind="signal")


SPLIT = Split(np.arange(24), np.arange(24, 36), np.arange(36, 48))


def state(training):
    """Everything that decides what comes next."""
    unit = training.objective.unit
    return {
        "net": dict(training.net.state_dict()),
        "optimiser": training.optimiser.state_dict()["state"],
        "unit": {} if unit is None else dict(unit.state_dict()),
        "best": training.best,
        "waited": training.waited,
        "collapse": training.objective.collapse.steps,
        "history": [dataclasses.replace(row, seconds=0.0) for row in training.history.rows],
    }


def same(a, b):
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    return torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


def run(folder, options, *, stop_at=None, resume=False):
    training = Training(examples(), SPLIT, options, out=folder)
    if resume:
        training.restore()
    trained = training.run(None if stop_at is None else lambda p: p.step == stop_at)
    return training, trained


@pytest.mark.parametrize(
    "changes",
    [
        {"mining": "random"},
        {"mining": "hard", "dropout": 0.3},
        {"task": "pair"},
        {"task": "classify", "dropout": 0.3},
        {"task": "simclr"},
        {"task": "classify", "head": "gru", "precision": "bfloat16"},
    ],
    ids=str,
)
@pytest.mark.parametrize("stop_at", [3, 4], ids=["within an epoch", "at its end"])
def test_a_resumed_training_ends_as_the_uninterrupted_one_bit_for_bit(changes, stop_at, tmp_path):
    options = dataclasses.replace(TINY, **changes, epochs=3 if changes.get("head") else 4)
    whole, finished = run(tmp_path / "whole", options)
    assert whole.per_epoch in (2, 3)
    _, stopped = run(tmp_path / "parts", options, stop_at=stop_at)
    assert stopped.ended == "interrupted"
    again, gone_on = run(tmp_path / "parts", options, resume=True)
    assert (finished.ended, gone_on.ended) == ("finished", "finished")
    assert same(state(whole), state(again))
    assert all(torch.equal(a, b) for a, b in zip(finished.net.parameters(), gone_on.net.parameters(), strict=True))


def test_stopped_twice_it_still_ends_the_same(tmp_path):
    whole, _ = run(tmp_path / "whole", TINY)
    run(tmp_path / "parts", TINY, stop_at=1)
    run(tmp_path / "parts", TINY, stop_at=5, resume=True)
    again, _ = run(tmp_path / "parts", TINY, resume=True)
    assert same(state(whole), state(again))


def test_patience_that_was_used_up_before_stays_used_up(tmp_path):
    options = dataclasses.replace(TINY, patience=2, rate=1e-7, epochs=30)
    first, ended = run(tmp_path / "r", options)
    assert ended.ended == "early"
    again, same_end = run(tmp_path / "r", options, resume=True)
    assert (same_end.ended, again.step) == ("early", first.step)


def test_stopped_at_its_very_last_step_it_is_finished(tmp_path):
    options = dataclasses.replace(TINY, steps=3)  # within the second epoch
    whole, _ = run(tmp_path / "whole", options)
    stopped, trained = run(tmp_path / "stopped", options, stop_at=3)
    assert trained.ended == "finished"
    assert same(state(whole), state(stopped))


def test_a_best_checkpoint_without_a_last_one_is_begun_anew(tmp_path):
    whole, _ = run(tmp_path / "r", TINY)
    shutil.rmtree(tmp_path / "r" / "last")
    train(examples(), TINY, split=SPLIT, out=tmp_path / "r", resume=True)
    again = Training(examples(), SPLIT, TINY, out=tmp_path / "r")
    again.restore()
    assert same(state(whole), state(again))


def test_what_was_finished_is_not_trained_again(tmp_path):
    data = examples()
    options = dataclasses.replace(TINY, epochs=1)
    first = train(data, options, split=SPLIT, out=tmp_path / "r")
    steps = []
    again = train(data, options, split=SPLIT, out=tmp_path / "r", resume=True, callback=steps.append)
    assert steps == []
    assert again.measure == first.measure


def test_an_error_in_a_step_leaves_the_last_whole_epoch(tmp_path):
    def fail(progress):
        if progress.step == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(examples(), TINY, split=SPLIT, out=tmp_path / "r", callback=fail)
    whole, _ = run(tmp_path / "whole", TINY)
    again, _ = run(tmp_path / "r", TINY, resume=True)
    assert same(state(whole), state(again))


@pytest.mark.parametrize(
    ("options", "data", "split", "said"),
    [
        (dataclasses.replace(TINY, rate=1e-2), examples(), SPLIT, "rate was 0.003 then and is 0.01 now"),
        (TINY, examples(seed=1), SPLIT, "Expected the data of the training"),
        (TINY, examples(), Split(SPLIT.train, SPLIT.test, SPLIT.validation), "parts of the data"),
    ],
    ids=["options", "data", "split"],
)
def test_another_training_is_not_gone_on_with(options, data, split, said, tmp_path):
    run(tmp_path / "r", TINY, stop_at=1)
    with pytest.raises(ResumeError, match=said):
        train(data, options, split=split, out=tmp_path / "r", resume=True)


def test_a_damaged_state_is_refused_in_a_sentence(tmp_path):
    run(tmp_path / "r", TINY, stop_at=1)
    (tmp_path / "r" / "last" / "state.pt").write_bytes(b"PK nothing")
    with pytest.raises(ResumeError, match="its state cannot be read"):
        train(examples(), TINY, split=SPLIT, out=tmp_path / "r", resume=True)


def test_resume_in_a_new_folder_starts_anew(tmp_path):
    options = dataclasses.replace(TINY, epochs=1)
    trained = train(examples(), options, split=SPLIT, out=tmp_path / "r", resume=True)
    assert trained.ended == "finished"
    assert json.loads((tmp_path / "r" / "last" / "record.json").read_text(encoding="utf-8"))["files"] == ["state.pt"]
