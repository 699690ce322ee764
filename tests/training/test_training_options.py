"""The record of a training's settings: what it takes and refuses, its plain form, and what follows from it."""

import json
import subprocess
import sys

import pytest

from mien.errors import OptionError
from mien.training.options import TrainOptions
from mien.training.recipes import RECIPES, recipe


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"task": "classify", "widths": (8, 16), "epochs": 3, "steps": 12},
        {"init": "runs/best", "freeze": ("stem", "stages.0"), "augmentation": False, "margin": 0.5},
    ],
)
def test_a_round_trip_through_json_gives_the_same_record(changes):
    options = TrainOptions(**changes)
    assert TrainOptions.from_dict(json.loads(json.dumps(options.to_dict()))) == options
    assert set(options.changed()) == set(changes)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("task", "tripet", "Did you mean triplet"),
        ("mining", "semihard", "Did you mean semi-hard"),
        ("items", 1, "at least 2"),
        ("dropout", 1.0, "between 0 and 0.95"),
        ("rate", float("nan"), "at least 0"),
        ("epochs", 2.5, "a whole number"),
        ("widths", (), "whole numbers"),
        ("widths", [8, 8], "whole numbers"),
        ("augmentation", 1, "true or false"),
        ("kernel", 4, "odd"),
    ],
)
def test_a_wrong_value_is_refused_by_name(name, value, said):
    with pytest.raises(OptionError, match=said) as refused:
        TrainOptions(**{name: value})
    assert name in str(refused.value)


def test_an_unknown_setting_is_refused_with_the_nearest_one():
    with pytest.raises(OptionError, match="Did you mean patience"):
        TrainOptions.from_dict({"patiance": 3})


def test_layers_are_frozen_only_with_weights_worth_keeping():
    with pytest.raises(OptionError, match="add --init"):
        TrainOptions(freeze=("stem",))
    with pytest.raises(OptionError, match="one layer of VGG-19"):
        TrainOptions(init="vgg19", freeze=("relu1_1", "relu2_1"))


def test_the_margin_and_the_clipping_follow_from_task_and_head_unless_given():
    assert (TrainOptions().chosen_margin, TrainOptions(task="contrastive").chosen_margin) == (0.2, 1.0)
    assert TrainOptions(task="contrastive", margin=0.3).chosen_margin == 0.3
    assert (TrainOptions().chosen_clip, TrainOptions(head="gru").chosen_clip) == (0.0, 1.0)
    assert TrainOptions(head="gru", clip=0.0).chosen_clip == 0.0


def test_every_recipe_has_its_settings_and_an_unknown_one_is_refused():
    assert set(RECIPES) == {"faces", "omniglot", "ecg", "sensor", "volume", "liveness"}
    assert {name: r.options.encodes for name, r in RECIPES.items()} == {
        "faces": True,
        "omniglot": True,
        "ecg": False,
        "sensor": False,
        "volume": False,
        "liveness": False,
    }
    with pytest.raises(OptionError, match="Did you mean omniglot"):
        recipe("omniglott")


def test_reading_the_settings_loads_neither_torch_nor_scipy():
    code = (
        "import sys, mien.training.options, mien.training.recipes; print(sorted({'torch', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
