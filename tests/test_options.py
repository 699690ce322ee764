"""The record of settings: what it takes and refuses, its JSON, and what its weights come to."""

import dataclasses
import json
import math

import pytest

from mien.errors import OptionError
from mien.style.options import StyleOptions, balance, parse_layers


def test_json_of_the_defaults_is_empty():
    assert json.loads(StyleOptions().to_json()) == {}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"size": 384, "strength": 0.75, "steps": (60, 40, 20)},
        {"style_layers": (("relu1_1", 0.5), ("relu5_1", 2.0)), "content_layers": (("conv4_2", 1.0),)},
        {"recipe": "notebook", "faithful": True, "alpha": 0.0, "style_weights": (1.0, 3.0)},
        {"start": "photographs/Bäume am Fluß.jpg", "seconds": 12.5, "tv": 0.25, "colour": "luminance"},
    ],
)
def test_json_round_trip_gives_the_same_record(changes):
    options = StyleOptions(**changes)
    assert StyleOptions.from_json(options.to_json()) == options
    assert set(json.loads(options.to_json())) == set(changes)


def test_a_record_can_be_a_key_after_its_round_trip():
    options = StyleOptions.from_json('{"steps": [4, 3], "style_layers": [["relu1_1", 1.0]]}')
    assert hash(options) == hash(StyleOptions(steps=(4, 3), style_layers=(("relu1_1", 1.0),)))


def test_an_unknown_setting_is_refused_with_the_nearest_one():
    with pytest.raises(OptionError, match=r"'strenght'.*Did you mean strength\?"):
        StyleOptions.from_dict({"strenght": 0.5})


@pytest.mark.parametrize(
    ("name", "value", "near"),
    [("colour", "luminence", "luminance"), ("optimiser", "lbgfs", "lbfgs"), ("recipe", "notbook", "notebook")],
)
def test_an_unknown_choice_is_refused_with_the_nearest_one(name, value, near):
    with pytest.raises(OptionError, match=rf"Expected {name} to be one of .*Did you mean {near}\?"):
        StyleOptions(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("size", 15),
        ("size", 20001),
        ("strength", -0.01),
        ("strength", 1.01),
        ("strength", math.nan),
        ("alpha", -1.0),
        ("beta", math.nan),
        ("steps", (40, 0)),
        ("steps", (40, -1)),
        ("style_scale", 0.0),
        ("seed", -1),
        ("seconds", -1.0),
        ("laplacian", -0.5),
        ("tv", -1.0),
    ],
)
def test_numbers_outside_their_range_are_refused_with_the_range(name, value):
    with pytest.raises(OptionError, match=rf"Expected {name} to be (at least|between) .*, got"):
        StyleOptions(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("size", 16), ("size", 20000), ("strength", 0), ("strength", 1), ("seconds", 0), ("steps", (1,)), ("alpha", 0)],
)
def test_the_ends_of_a_range_are_within_it(name, value):
    assert getattr(StyleOptions(**{name: value}), name) == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("size", "512"),
        ("size", 512.5),
        ("strength", "half"),
        ("texture", "yes"),
        ("steps", 60),
        ("steps", (4.5, 3)),
        ("style_layers", ("relu1_1", "relu2_1")),
        ("seed", 0.5),
        ("start", 3),
    ],
)
def test_a_value_of_another_type_is_refused(name, value):
    with pytest.raises(OptionError, match=name):
        StyleOptions(**{name: value})


@pytest.mark.parametrize("weights", [(0.0, 0.0), (1.0, -1.0), (-2.0,)])
def test_style_weights_that_cannot_be_averaged_are_refused(weights):
    with pytest.raises(OptionError, match="style_weights"):
        StyleOptions(style_weights=weights)


@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_an_infinite_weight_is_refused(value):
    with pytest.raises(OptionError, match="beta"):
        StyleOptions(beta=value)


def test_a_texture_cannot_start_from_a_file():
    with pytest.raises(OptionError, match="noise or style"):
        StyleOptions(texture=True, start="photo.jpg")


def test_a_record_does_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        StyleOptions().size = 100


def test_every_setting_has_a_help_text_and_defaults_within_its_own_limits():
    for item in dataclasses.fields(StyleOptions):
        assert item.metadata["help"], item.name
    StyleOptions()


# layers as text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("relu4_2", (("relu4_2", 1.0),)),
        ("relu1_1, relu2_1=0.5", (("relu1_1", 1.0), ("relu2_1", 0.5))),
        (" conv1_1 = 2 ,,", (("conv1_1", 2.0),)),
        ("features.0=1e-3", (("features.0", 0.001),)),
    ],
)
def test_layers_are_parsed_as_pairs(text, expected):
    assert parse_layers(text) == expected


@pytest.mark.parametrize("text", ["relu1_1=much", "relu1_1=1=2", "", " , "])
def test_layers_that_are_none_are_refused(text):
    with pytest.raises(OptionError, match="Expected"):
        parse_layers(text)


# balance


@pytest.mark.parametrize(("strength", "factor"), [(0.0, 0.0), (0.2, 1 / 16), (0.5, 1.0), (0.75, 9.0), (0.9, 81.0)])
def test_beta_grows_with_the_square_of_the_odds_of_the_strength(strength, factor):
    found = balance(StyleOptions(recipe="gatys", strength=strength))
    assert found.beta == pytest.approx(1000 * factor)
    assert found.alpha == 1


def test_strength_one_drops_the_content_and_keeps_beta_finite():
    found = balance(StyleOptions(recipe="gatys", strength=1))
    assert (found.alpha, found.beta) == (0, 1000)


def test_a_texture_has_no_content_whatever_the_strength():
    found = balance(StyleOptions(recipe="gatys", strength=0.2, texture=True, alpha=5.0))
    assert (found.alpha, found.beta) == (0, 1000)


def test_weights_and_layers_of_the_user_replace_the_recipes():
    options = StyleOptions(
        recipe="gatys",
        alpha=3.0,
        beta=7.0,
        tv=0.5,
        content_layers=(("conv4_2", 2.0),),
        style_layers=(("relu1_1", 0.25), ("relu2_1", 0.75)),
    )
    found = balance(options)
    assert (found.alpha, found.beta, found.tv) == (3, 7, 0.5)
    assert found.content_layers == {"conv4_2": 2.0}
    assert found.style_layers == {"relu1_1": 0.25, "relu2_1": 0.75}


def test_zero_as_a_weight_is_kept_and_not_taken_for_unset():
    found = balance(StyleOptions(recipe="neural-style", alpha=0.0, beta=0.0))
    assert (found.alpha, found.beta) == (0, 0)
