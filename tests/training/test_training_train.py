"""The loop: it learns, stops when it should, says when it has run away, and refuses what cannot be learnt."""

import dataclasses
import itertools
import json
import math

import numpy as np
import pytest
import torch

from mien.backbones.checkpoint import load_checkpoint, read_metrics
from mien.errors import DataError, MissingExtra, OptionError, OutputError, TrainingError, WeightsMismatch
from mien.training.augment import SIGNAL
from mien.training.batches import Loader, Order
from mien.training.data import from_arrays
from mien.training.judging import likeness, outputs
from mien.training.normalise import fit
from mien.training.objectives import Objective
from mien.training.options import TrainOptions
from mien.training.splits import Split
from mien.training.train import Training, fitted_loader, rate_at, train

TINY = TrainOptions(widths=(8,), encoding=8, identities=4, items=3, epochs=3, batch=16, rate=3e-3)


def people(count=8, each=6, seed=0, extras=False):
    """Signals (2, 24): every person has a wave of their own, every example noise and a shift of it."""
    random = np.random.default_rng(seed)
    time = np.arange(24) / 24 * 2 * np.pi
    rows, names = [], []
    for person in range(count):
        for _ in range(each):
            phase = random.normal(0, 0.2)
            wave = np.stack([np.sin((person % 4 + 1) * time + phase), np.cos((person // 4 + 1) * time + phase)])
            rows.append(wave + random.normal(0, 0.15, wave.shape))
            names.append(f"p{person}")
    beside = random.normal(size=(len(rows), 2)) if extras else None
    return from_arrays(np.stack(rows).astype(np.float32), names, kind="signal", rate=100.0, extras=beside)


def split_of(data, learnt=4, stopping=2):
    names = data.groups
    who = np.unique(names)
    parts = [np.flatnonzero(np.isin(names, g)) for g in np.split(who, [learnt, learnt + stopping])]
    return Split(parts[0], parts[1], parts[2], name="people")


def within(data):
    """A split in which every class is in each part."""
    places = np.arange(len(data))
    return Split(places[places % 6 < 4], places[places % 6 == 4], places[places % 6 == 5], name="within")


# ---- what it learns --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["triplet", "contrastive", "pair"])
def test_likeness_is_learnt_and_unseen_people_are_told_apart_better_than_before(task, tmp_path):
    data = people()
    split = split_of(data)
    options = dataclasses.replace(TINY, task=task, epochs=25)
    before = Training(data, split, options, out=tmp_path / "before")
    trained = train(data, options, split=split, out=tmp_path / "run")
    start, end = (
        likeness(outputs(net, fitted_loader(trained, data, options), split.learnt), data.labels[split.learnt])
        for net in (before.net, trained.net)
    )
    assert end.value < 0.7 * start.value
    assert trained.history.rows[-1].loss < 0.8 * trained.history.rows[0].loss


def test_classes_are_learnt(tmp_path):
    data = people(count=4)
    options = dataclasses.replace(TINY, task="classify", epochs=30, rate=2e-2)
    trained = train(data, options, split=within(data), out=tmp_path / "r")
    assert trained.measure.name == "macro-F1"
    assert trained.measure.value > 0.9
    assert trained.record.labels == data.classes


def test_views_are_learnt_without_labels(tmp_path):
    data = people()
    trained = train(data, dataclasses.replace(TINY, task="simclr", epochs=8), split=within(data), out=tmp_path / "r")
    losses = [row.loss for row in trained.history.rows]
    assert trained.measure.name == "NT-Xent"
    assert losses[-1] < losses[0] - 0.1


@pytest.mark.parametrize("mining", ["random", "semi-hard", "hard"])
def test_each_way_of_mining_trains_and_logs_a_share_of_active_triplets(mining, tmp_path):
    data = people()
    trained = train(data, dataclasses.replace(TINY, mining=mining), split=split_of(data), out=tmp_path / "r")
    assert all(0 <= row.active <= 1 and row.spread > 0 for row in trained.history.rows)


def test_semi_hard_counts_as_active_the_pairs_that_find_a_negative():
    # d² to the positive 0.01, to the negatives 0.09 and 0.64 (and back): within α = 0.2 only for label 0's two pairs.
    f = torch.tensor([[0.0], [0.1], [0.4], [0.9]], requires_grad=True)
    objective = Objective(TrainOptions(mining="semi-hard", margin=0.2), labels=np.array([0, 0, 1, 1]), classes=2)
    cost = objective(f, torch.tensor([0, 0, 1, 1]), torch.Generator())
    # Pairs (0,1), (1,0) find index 2 at d² 0.16 and 0.09; (2,3) and (3,2) have d² 0.25: 3's nearest beyond is 0.64.
    assert cost.active == pytest.approx(2 / 4)


@pytest.mark.parametrize("head", ["gru", "transformer"])
def test_a_sequence_head_over_the_convnet_trains(head, tmp_path):
    data = people(count=4)
    options = dataclasses.replace(TINY, task="classify", head=head, epochs=2)
    trained = train(data, options, split=within(data), out=tmp_path / "r")
    assert trained.net.spec.head == head
    assert math.isfinite(trained.history.rows[-1].loss)


def test_numbers_beside_each_example_reach_the_network(tmp_path):
    data = people(count=4, extras=True)
    trained = train(data, dataclasses.replace(TINY, task="classify"), split=within(data), out=tmp_path / "r")
    assert trained.net.spec.extras == 2


def test_bfloat16_trains_and_its_weights_stay_float32(tmp_path):
    data = people()
    options = dataclasses.replace(TINY, precision="bfloat16", epochs=2)
    trained = train(data, options, split=split_of(data), out=tmp_path / "r")
    assert {p.dtype for p in trained.net.parameters()} == {torch.float32}
    assert math.isfinite(trained.history.rows[-1].loss)


# ---- its parts -------------------------------------------------------------------------------------------------------


def test_the_rate_rises_in_a_line_and_falls_as_a_cosine():
    options = TrainOptions(rate=1.0, warm_up=0.2)
    rates = [rate_at(step, 20, options) for step in range(20)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[4] == 1.0
    assert rates[12] == pytest.approx(0.5)  # half-way down: (12 - 4) / 16
    assert all(a > b for a, b in itertools.pairwise(rates[4:]))
    assert rate_at(0, 20, TrainOptions(rate=1.0, warm_up=0.0)) == 1.0


def test_the_normalisation_is_fitted_on_the_training_part_only_and_kept_in_the_record(tmp_path):
    data = people()
    split = split_of(data)
    trained = train(data, TINY, split=split, out=tmp_path / "r")
    only = fit(data[int(i)] for i in split.train)
    assert trained.record.normalisation["mean"] == pytest.approx(only.mean)
    assert trained.record.normalisation["mean"] != pytest.approx(fit(data[i] for i in range(len(data))).mean)
    assert "training part" in trained.record.normalisation["fitted_on"]


def test_an_examples_changes_follow_from_seed_epoch_and_place_alone():
    data = people()
    training = Loader(data, fit(data[i] for i in range(8)), SIGNAL, seed=1)
    one = training.training([(3, 0), (5, 0)], epoch=2)
    assert torch.equal(one[1], training.training([(5, 0)], epoch=2)[0])
    assert not torch.equal(one[1], training.training([(5, 0)], epoch=3)[0])
    assert not torch.equal(one[1], training.training([(5, 1)], epoch=2)[0])


def test_the_batches_of_classes_are_of_nearly_one_size_and_hold_everything_once():
    data = people()
    order = Order(np.arange(10, 45), data.labels[10:45], TrainOptions(task="classify", batch=16))
    batches = list(order.epoch(0))
    assert [len(b) for b in batches] == [12, 12, 11]
    assert sorted(place for batch in batches for place, _ in batch) == list(range(10, 45))
    assert batches == list(order.epoch(0))
    assert batches != list(order.epoch(1))


def test_simclr_batches_hold_every_first_view_and_then_every_second():
    data = people()
    rows = next(iter(Order(np.arange(6), data.labels[:6], TrainOptions(task="simclr", batch=6)).epoch(0)))
    assert [view for _, view in rows] == [0] * 6 + [1] * 6
    assert [place for place, _ in rows[:6]] == [place for place, _ in rows[6:]]


def test_weights_decay_but_biases_and_norms_do_not(tmp_path):
    training = Training(people(), split_of(people()), dataclasses.replace(TINY, weight_decay=0.3), out=tmp_path)
    decaying, resting = training.optimiser.param_groups
    assert (decaying["weight_decay"], resting["weight_decay"]) == (0.3, 0.0)
    assert all(p.dim() > 1 for p in decaying["params"])
    assert all(p.dim() == 1 for p in resting["params"])
    assert sum(len(g["params"]) for g in training.optimiser.param_groups) == len(list(training.net.parameters()))


def test_classes_weigh_less_the_more_examples_they_have():
    labels = np.array([0] * 9 + [1])
    weights = Objective(TrainOptions(task="classify", balance=0.5), labels=labels, classes=2).weights
    assert float(weights[1] / weights[0]) == pytest.approx(3.0)
    assert float((weights[torch.from_numpy(labels)]).mean()) == pytest.approx(1.0)


# ---- when it stops ---------------------------------------------------------------------------------------------------


def test_it_stops_early_and_keeps_the_best_epoch(tmp_path):
    data = people()
    options = dataclasses.replace(TINY, epochs=60, patience=2, rate=1e-5)
    trained = train(data, options, split=split_of(data), out=tmp_path / "r")
    rows = trained.history.rows
    assert trained.ended == "early"
    assert len(rows) < 60
    assert trained.measure.value == min(row.measure for row in rows)
    assert read_metrics(tmp_path / "r" / "best")["validation"]["EER"] == trained.measure.value
    loaded, _ = load_checkpoint(tmp_path / "r" / "best")
    assert all(torch.equal(a, b) for a, b in zip(loaded.parameters(), trained.net.parameters(), strict=True))


def test_equal_error_rates_are_told_apart_by_how_far_the_distances_lie_apart():
    labels = np.array([0, 0, 1, 1])
    near, far = (likeness(np.array([[0.0], [0.1], [x], [x + 0.1]]), labels) for x in (0.5, 2.0))
    assert near.value == far.value == 0
    assert far.rank > near.rank
    assert likeness(np.eye(3), np.array([0, 1, 2])) is None


def test_so_many_steps_are_done_as_were_asked_for(tmp_path):
    data = people()
    seen = []
    train(data, dataclasses.replace(TINY, steps=5), split=split_of(data), out=tmp_path / "r", callback=seen.append)
    assert [p.step for p in seen] == [1, 2, 3, 4, 5]
    assert seen[-1].steps == 5
    assert seen[-1].remaining == 0


def test_a_loss_that_is_no_number_stops_with_a_sentence(tmp_path):
    data = people()
    options = dataclasses.replace(TINY, task="classify", rate=1e30, warm_up=0.0, epochs=40)
    with pytest.raises(TrainingError, match=r"finite loss, got (nan|inf) at step \d+.*lower rate"):
        train(data, options, split=within(data), out=tmp_path / "r")


def test_a_collapse_is_noted_once_and_stays_in_what_comes_out(tmp_path, monkeypatch):
    data = people()
    training = Training(
        data, split_of(data), dataclasses.replace(TINY, mining="semi-hard", steps=6), out=tmp_path / "r"
    )
    training.objective.collapse.patience = 3
    with torch.no_grad():
        training.net.embed.weight.zero_()
        training.net.embed.bias.fill_(1.0)
    training.optimiser.param_groups.clear()
    monkeypatch.setattr(training.optimiser, "step", lambda: None)
    monkeypatch.setattr(training.optimiser, "zero_grad", lambda: None)
    trained = training.run()
    assert len(trained.notes) == 1
    assert trained.notes[0].startswith("Step 3: The network has collapsed")


# ---- starting from other weights -------------------------------------------------------------------------------------


def test_weights_are_taken_over_and_frozen_ones_stay(tmp_path):
    data = people(count=4)
    first = train(data, TINY, split=within(data), out=tmp_path / "first")
    options = dataclasses.replace(
        TINY, task="classify", init=str(tmp_path / "first" / "best"), freeze=("stem", "stages")
    )
    second = train(data, options, split=within(data), out=tmp_path / "second")
    before, after = first.net.state_dict(), second.net.state_dict()
    assert all(torch.equal(before[n], after[n]) for n in before if n.startswith(("stem", "stages")))
    assert not torch.equal(before["embed.weight"], after["embed.weight"])


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"widths": (16,)}, WeightsMismatch, r"its widths is \(8,\) and here it is \(16,\)"),
        ({"freeze": ("stm",)}, OptionError, "layers of the network to freeze"),
        ({"freeze": ("stem", "stages", "head", "embed")}, OptionError, "layers of the network|something left to learn"),
    ],
)
def test_weights_of_another_network_and_unknown_layers_are_refused(changes, error, said, tmp_path):
    data = people(count=4)
    train(data, dataclasses.replace(TINY, epochs=1), split=within(data), out=tmp_path / "first")
    options = dataclasses.replace(TINY, init=str(tmp_path / "first" / "best"), **changes)
    with pytest.raises(error, match=said):
        train(data, options, split=within(data), out=tmp_path / "second")


def test_vgg19_is_only_for_pictures(tmp_path):
    data = people()
    with pytest.raises(DataError, match="Expected pictures"):
        train(data, dataclasses.replace(TINY, init="vgg19"), split=split_of(data), out=tmp_path / "r")


def test_a_small_network_is_trained_on_top_of_frozen_vgg19(tmp_path):
    random = np.random.default_rng(0)
    pictures = random.uniform(0, 1, (12, 1, 16, 16)).astype(np.float32)
    data = from_arrays(pictures, [f"p{i // 3}" for i in range(12)], kind="image")
    split = Split(np.arange(6), np.arange(6, 9), np.arange(9, 12))
    options = dataclasses.replace(TINY, init="vgg19", freeze=("relu2_1",), epochs=1, identities=2)
    trained = train(data, options, split=split, out=tmp_path / "r")
    assert trained.net.spec.channels == 128
    assert trained.record.training["input"] == "vgg19:relu2_1"


# ---- what is refused -------------------------------------------------------------------------------------------------


def test_one_example_per_person_is_refused_before_anything_is_read(tmp_path):
    data = people(each=1)
    unread = dataclasses.replace(data, read=lambda i: pytest.fail("it was read"))
    with pytest.raises(DataError, match="triplets need pairs"):
        train(unread, TINY, split=split_of(data), out=tmp_path / "r")
    assert not (tmp_path / "r").exists()


def test_one_person_and_a_training_part_of_one_person_are_refused(tmp_path):
    with pytest.raises(DataError, match="at least 2 different labels"):
        train(people(count=1), TINY, split=within(people(count=1)), out=tmp_path / "r")
    data = people()
    with pytest.raises(DataError, match="at least 2 different labels"):
        train(data, TINY, split=split_of(data, learnt=1), out=tmp_path / "r")


def test_the_bad_file_is_named_before_training(tmp_path):
    data = people()
    holed = np.array(data[7])
    holed[0, 3] = np.nan
    bad = dataclasses.replace(data, read=lambda i: holed if i == 7 else data[i])
    with pytest.raises(DataError, match=r"the array\[7\]"):
        train(bad, TINY, split=split_of(data), out=tmp_path / "r")


def test_a_folder_with_a_training_is_not_overwritten(tmp_path):
    data = people()
    options = dataclasses.replace(TINY, epochs=1)
    train(data, options, split=split_of(data), out=tmp_path / "r")
    with pytest.raises(OutputError, match="go on with --resume"):
        train(data, options, split=split_of(data), out=tmp_path / "r")


def test_a_dataset_needs_a_split_and_simclr_needs_changes(tmp_path):
    with pytest.raises(OptionError, match="split beside a dataset"):
        train(people(), TINY, out=tmp_path / "r")
    options = dataclasses.replace(TINY, task="simclr", augmentation=False)
    with pytest.raises(OptionError, match="two views"):
        train(people(), options, split=within(people()), out=tmp_path / "r")


def test_the_log_has_one_line_an_epoch(tmp_path):
    data = people()
    trained = train(data, TINY, split=split_of(data), out=tmp_path / "r")
    lines = (tmp_path / "r" / "log.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "epoch,step,loss,active,spread,name,measure,rate,seconds"
    assert [line.split(",")[0] for line in lines[1:]] == ["1", "2", "3"]
    assert float(lines[-1].split(",")[2]) == pytest.approx(trained.history.rows[-1].loss, rel=1e-5)


def test_tensorboard_reads_the_log(tmp_path):
    pytest.importorskip("tensorboard", reason="TensorBoard is an extra")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    data = people()
    train(data, dataclasses.replace(TINY, log="tensorboard"), split=split_of(data), out=tmp_path / "r")
    events = EventAccumulator(str(tmp_path / "r" / "tensorboard"))
    events.Reload()
    assert {"loss", "EER", "rate"} <= set(events.Tags()["scalars"])


def test_tensorboard_where_it_is_not_installed_is_said_with_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)
    data = people()
    with pytest.raises(MissingExtra, match="tensorboard"):
        train(data, dataclasses.replace(TINY, log="tensorboard"), split=split_of(data), out=tmp_path / "r")


def test_the_record_says_how_it_was_trained(tmp_path):
    data = people()
    split = split_of(data)
    train(data, TINY, split=split, out=tmp_path / "r")
    record = json.loads((tmp_path / "r" / "best" / "record.json").read_text(encoding="utf-8"))
    assert record["training"]["options"] == TINY.to_dict()
    assert record["training"]["split"] == "people"
    assert (record["kind"], record["rate"], record["size"]) == ("signal", 100.0, [24])
