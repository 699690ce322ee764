"""Small real paintings from first to last: the box, the costs, stopping, going on, repeating, refusing."""

import dataclasses
import functools
import gc
import json
import re
import weakref

import numpy as np
import pytest
import skimage.data
import torch

from mien import images, style
from mien.errors import MienError, OptionError, OutOfMemory, WeightsError
from mien.style import memory, painting, pyramid
from mien.style.canvas import Canvas
from mien.style.inputs import gather
from mien.style.objective import Objective, StylePicture
from mien.style.options import StyleOptions, balance
from mien.style.painting import Painting
from mien.style.pyramid import Level
from mien.style.recipes import RECIPES, recipe

TINY = {"size": 48, "steps": (4, 3), "precision": "float32", "device": "cpu"}
# A net of two layers, for what does not depend on VGG-19.
SKETCH = TINY | {
    "backbone": "nets:seeded_net",
    "content_layers": (("3", 1.0),),
    "style_layers": (("1", 1.0), ("4", 1.0)),
}


@pytest.fixture(autouse=True)
def _nets_loaded_once(monkeypatch):
    monkeypatch.setattr(painting, "load_backbone", _loaded)


_loaded = functools.cache(painting.load_backbone)


@pytest.fixture(scope="module")
def photo():
    """The cat, 96 × 64."""
    return images.resize(skimage.data.chelsea(), 96, 64)


@pytest.fixture(scope="module")
def pattern():
    """A cup of coffee as the style, 80 × 60."""
    return images.resize(skimage.data.coffee(), 80, 60)


@pytest.fixture(scope="module")
def painted(photo, pattern):
    """One painting with VGG-19."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(painting, "load_backbone", _loaded)
        return style.transfer(photo, pattern, **TINY)


def begin(content, styles, *, masks=(), style_masks=(), **changes):
    options = StyleOptions(**changes)
    return Painting(gather(content, styles, options=options, masks=masks, style_masks=style_masks), options)


def run(a_painting):
    for _ in a_painting.run():
        pass
    return a_painting


# what comes out


def test_transfer_is_the_function_however_often_it_is_asked_for():
    assert callable(style.transfer)
    assert style.transfer is style.transfer


def test_a_painting_has_the_photos_shape_at_the_size_asked_for_in_the_box(painted):
    assert painted.pixels.shape == (32, 48, 3)
    assert painted.pixels.dtype == np.float32
    assert painted.pixels.min() >= 0
    assert painted.pixels.max() <= 1
    assert painted.picture.dtype == np.uint8
    assert (painted.alpha, painted.icc) == (None, None)


def test_costs_fall_at_every_scale_and_from_the_photo_to_the_painting(painted):
    for level in (1, 2):
        totals = [i.total for i in painted.history if i.level == level]
        assert min(totals[1:]) < totals[0]
    assert painted.after.total < painted.before.total
    assert painted.after.style < painted.before.style
    assert painted.before.content == 0


def test_the_cost_is_that_of_the_delivered_8_bit_picture(painted, photo, pattern, vgg19):
    options = StyleOptions(**TINY)
    content, sample = (
        images.to_tensor(images.resize(p, *size)) for p, size in ((photo, (48, 32)), (pattern, (48, 36)))
    )
    J = Objective(
        vgg19,
        content=content,
        styles=[StylePicture(sample)],
        recipe=recipe("mien"),
        balance=balance(options),
        options=options,
    )
    found = J(images.to_tensor(painted.picture))
    assert painted.after.content == pytest.approx(found.content.item(), rel=1e-4)
    assert painted.after.style == pytest.approx(found.style.item(), rel=1e-4)
    assert painted.before.style == pytest.approx(J(content).style.item(), rel=1e-4)


def test_two_runs_are_bit_equal(painted, photo, pattern):
    again = style.transfer(photo, pattern, **TINY)
    np.testing.assert_array_equal(again.pixels, painted.pixels)
    assert again.after == painted.after
    assert [(i.total, i.content, i.style) for i in again.history] == [
        (i.total, i.content, i.style) for i in painted.history
    ]


def test_the_pictures_passed_in_are_not_written_to(photo, pattern):
    before = photo.copy(), pattern.copy()
    style.transfer(photo, pattern, colour="luminance", **SKETCH)
    np.testing.assert_array_equal(photo, before[0])
    np.testing.assert_array_equal(pattern, before[1])


def test_strength_zero_gives_the_photo_back(photo, pattern):
    found = style.transfer(photo, pattern, strength=0, **TINY)
    np.testing.assert_array_equal(found.picture, images.resize(photo, 48, 32))
    assert found.after.content == 0


def test_more_strength_gives_more_style_and_less_of_the_photo(photo, pattern):
    weak, strong = (style.transfer(photo, pattern, strength=s, **SKETCH | {"steps": (15, 15)}) for s in (0.2, 0.8))
    assert strong.after.style < weak.after.style
    assert strong.after.content > weak.after.content


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_lowers_its_own_cost(photo, pattern, name):
    found = style.transfer(photo, pattern, recipe=name, **TINY)
    assert found.after.total < found.before.total


@pytest.mark.parametrize("optimiser", ["lbfgs", "adam", "gradient"])
@pytest.mark.parametrize("style_cost", ["gram", "mean-deviation", "wasserstein"])
def test_every_optimiser_lowers_every_style_cost(photo, pattern, optimiser, style_cost):
    found = style.transfer(photo, pattern, optimiser=optimiser, style_cost=style_cost, **SKETCH)
    assert found.after.total < found.before.total


def test_keeping_the_photos_edges_keeps_more_of_them(photo, pattern):
    from mien.style.costs import laplacian

    edges = laplacian(images.to_tensor(images.resize(photo, 48, 32)))
    lost = []
    for weight in (0.0, 10.0):
        found = style.transfer(photo, pattern, laplacian=weight, strength=0.8, **SKETCH | {"steps": (15, 15)})
        lost.append((laplacian(images.to_tensor(found.pixels)) - edges).square().sum().item())
    assert lost[1] < 0.8 * lost[0]


def test_total_variation_makes_a_smoother_picture(photo, pattern):
    from mien.style.costs import total_variation

    rough, smooth = (style.transfer(photo, pattern, tv=tv, **SKETCH | {"steps": (10, 10)}) for tv in (0.0, 100.0))
    assert total_variation(images.to_tensor(smooth.pixels)) < total_variation(images.to_tensor(rough.pixels))


@pytest.mark.parametrize("shape", [(3, 200), (200, 3), (2, 2)])
def test_strips_and_specks_are_painted(shape, pattern):
    strip = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    for content, sample in ((strip, pattern), (pattern, strip)):
        found = style.transfer(content, sample, **TINY)
        assert found.picture.shape[:2] == images.fit(content.shape[1], content.shape[0], 48)[::-1]
        assert np.isfinite(found.after.total)


# progress


def test_the_callback_gets_every_step_in_order(photo, pattern):
    calls = []
    found = style.transfer(photo, pattern, callback=calls.append, **SKETCH)
    assert [(i.level, i.step, i.steps, i.size) for i in calls] == [
        (1, 1, 4, 24),
        (1, 2, 4, 24),
        (1, 3, 4, 24),
        (1, 4, 4, 24),
        (2, 1, 3, 48),
        (2, 2, 3, 48),
        (2, 3, 3, 48),
    ]
    assert [i.levels for i in calls] == [2] * 7
    seconds = [i.seconds for i in calls]
    assert seconds == sorted(seconds)
    assert all(i.remaining > 0 for i in calls[:-1])
    assert calls[-1].remaining == 0
    assert found.seconds >= seconds[-1]
    assert [i.total for i in found.history] == [i.total for i in calls]


def test_total_is_alpha_content_plus_beta_style_of_every_step(photo, pattern):
    found = style.transfer(photo, pattern, alpha=2.0, beta=0.5, coherence=0.0, **SKETCH)
    for i in found.history:
        assert i.total == pytest.approx(2 * i.content + 0.5 * i.style, rel=1e-5)


def test_a_snapshot_is_the_picture_at_that_scale(photo, pattern):
    shapes, pictures = [], []
    style.transfer(
        photo, pattern, callback=lambda i: (shapes.append(i.snapshot().shape), pictures.append(i.snapshot())), **SKETCH
    )
    assert shapes == [(16, 24, 3)] * 4 + [(32, 48, 3)] * 3
    assert all(picture.dtype == np.uint8 for picture in pictures)
    assert not np.array_equal(pictures[4], pictures[5])


def test_pictures_of_past_steps_are_let_go(photo, pattern):
    a_painting = begin(photo, pattern, **SKETCH | {"steps": (3, 20), "optimiser": "gradient"})
    past, kept = [], []
    for iterate in a_painting.run():
        past.append(weakref.ref(a_painting.x))
        kept.append(iterate)  # as `history` keeps them
    gc.collect()
    assert sum(x() is not None for x in past) <= 2  # the last one and the best one


def test_seconds_stand_still_once_the_painting_is_done(photo, pattern):
    done = run(begin(photo, pattern, **SKETCH))
    first = done.seconds
    for _ in range(10_000):
        pass
    assert done.seconds == first


# stopping and going on


def saved(a_painting):
    """The state as a file would hold it."""
    tensors, plain = a_painting.state()
    return {name: tensor.clone() for name, tensor in tensors.items()}, json.dumps(plain)


def go_on(state, *arguments, **changes):
    tensors, plain = state
    other = begin(*arguments, **changes)
    other.restore(tensors, json.loads(plain))
    return run(other)


def stopped_at(where, *arguments, **changes):
    a_painting = begin(*arguments, **changes)
    for iterate in a_painting.run():
        if (iterate.level, iterate.step) == where:
            return saved(a_painting)
    raise AssertionError("the painting never came there")


def assert_same(found, expected):
    np.testing.assert_array_equal(found.picture(), expected.picture())
    assert found.taken == expected.taken
    assert found.done
    assert found.before == expected.before
    assert found.best.cost == expected.best.cost
    assert [(i.level, i.step, i.total) for i in found.history] == [(i.level, i.step, i.total) for i in expected.history]


@pytest.mark.parametrize(("level", "step"), [(1, 2), (2, 1)])
def test_a_stopped_painting_with_vgg19_ends_bit_equal(photo, pattern, painted, level, step):
    found = go_on(stopped_at((level, step), photo, pattern, **TINY), photo, pattern, **TINY)
    np.testing.assert_array_equal(found.picture(), painted.pixels)
    assert found.best.cost == painted.after


@pytest.mark.parametrize("optimiser", ["lbfgs", "adam", "gradient"])
@pytest.mark.parametrize(("level", "step"), [(1, 1), (1, 6), (2, 1), (2, 3), (2, 5)])
@pytest.mark.parametrize("start", ["content", "noise"])
def test_a_painting_stopped_anywhere_ends_bit_equal(photo, pattern, optimiser, level, step, start):
    changes = SKETCH | {"steps": (6, 5), "optimiser": optimiser, "start": start}
    uninterrupted = run(begin(photo, pattern, **changes))
    assert_same(go_on(stopped_at((level, step), photo, pattern, **changes), photo, pattern, **changes), uninterrupted)


def test_a_painting_stopped_twice_ends_bit_equal(photo, pattern):
    uninterrupted = run(begin(photo, pattern, **SKETCH))
    second = begin(photo, pattern, **SKETCH)
    tensors, plain = stopped_at((1, 2), photo, pattern, **SKETCH)
    second.restore(tensors, json.loads(plain))
    steps = second.run()
    for _ in range(3):
        next(steps)
    assert_same(go_on(saved(second), photo, pattern, **SKETCH), uninterrupted)


def test_a_painting_stopped_after_a_restart_ends_bit_equal(photo, pattern):
    # A huge step: the picture only gets worse, and the optimiser starts again from the best with half the step.
    changes = SKETCH | {"steps": (160,), "optimiser": "gradient", "step": 5.0}
    uninterrupted = run(begin(photo, pattern, **changes))
    state = stopped_at((1, 90), photo, pattern, **changes)
    assert json.loads(state[1])["restarts"] == 1
    assert uninterrupted.state()[1]["restarts"] > 1
    assert_same(go_on(state, photo, pattern, **changes), uninterrupted)


def test_a_state_does_not_change_while_the_painting_goes_on(photo, pattern):
    a_painting = begin(photo, pattern, **SKETCH)
    steps = a_painting.run()
    next(steps)
    tensors, plain = a_painting.state()
    before = {name: tensor.clone() for name, tensor in tensors.items()}, json.dumps(plain)
    for _ in steps:
        pass
    assert json.dumps(plain) == before[1]
    assert all(torch.equal(tensors[name], tensor) for name, tensor in before[0].items())


def test_a_finished_paintings_state_is_the_finished_painting(photo, pattern):
    done = run(begin(photo, pattern, **SKETCH))
    assert_same(go_on(saved(done), photo, pattern, **SKETCH), done)


def test_the_steps_of_one_painting_can_be_taken_in_two_goes(photo, pattern):
    uninterrupted = run(begin(photo, pattern, **SKETCH))
    a_painting = begin(photo, pattern, **SKETCH)
    for iterate in a_painting.run():
        if iterate.level == 2:
            break
    seconds = a_painting.seconds
    assert_same(run(a_painting), uninterrupted)
    assert a_painting.seconds > seconds


def test_seconds_of_a_resumed_painting_go_on_from_where_they_stood(photo, pattern):
    tensors, plain = stopped_at((2, 1), photo, pattern, **SKETCH)
    values = json.loads(plain) | {"seconds": 100.0}
    assert go_on((tensors, json.dumps(values)), photo, pattern, **SKETCH).seconds > 100


def test_an_interrupted_painting_gives_its_best_picture_at_the_full_size(photo, pattern):
    a_painting = begin(photo, pattern, **SKETCH)
    steps = a_painting.run()
    next(steps)
    next(steps)
    found = style.result(a_painting)
    assert found.pixels.shape == (32, 48, 3)
    assert (found.before, found.after) == (None, a_painting.best.cost)
    assert json.loads(found.settings)["finished"] is False


def test_a_painting_that_has_not_begun_gives_the_picture_it_would_start_from(photo, pattern):
    found = style.result(begin(photo, pattern, **SKETCH))
    expected = pyramid.enlarge(images.to_tensor(images.resize(photo, 24, 16)), 32, 48)
    np.testing.assert_allclose(found.pixels, images.from_tensor(expected), atol=1e-6)
    assert found.after is None


# trouble


class Faulty:
    """A net whose activations (or their gradients) are not numbers at some of the optimiser's calls."""

    def __init__(self, net, *, at, gradients=False):
        self.net, self.at, self.gradients, self.calls = net, at, gradients, 0
        self.name, self.layers, self.dtype = net.name, net.layers, net.dtype

    def __call__(self, x, layers):
        taps = self.net(x, layers)
        if x.requires_grad:
            self.calls += 1
            if self.at(self.calls):
                if self.gradients:
                    taps = {k: tap + 0 for k, tap in taps.items()}
                    for tap in taps.values():
                        tap.register_hook(lambda gradient: gradient * torch.nan)
                else:
                    taps = {k: tap * torch.nan for k, tap in taps.items()}
        return taps


@pytest.mark.parametrize("optimiser", ["lbfgs", "adam", "gradient"])
@pytest.mark.parametrize("call", [1, 5, 14])
@pytest.mark.parametrize("gradients", [False, True])
def test_a_painting_recovers_from_one_step_that_is_not_a_number(photo, pattern, optimiser, call, gradients):
    a_painting = begin(photo, pattern, **SKETCH | {"steps": (8, 8), "optimiser": optimiser})
    a_painting.net = Faulty(a_painting.net, at=lambda calls: calls == call, gradients=gradients)
    run(a_painting)
    assert np.isfinite(a_painting.picture()).all()
    assert a_painting.taken == [8, 8]
    assert a_painting.best.cost.total < a_painting.before.total


def test_a_painting_that_never_is_a_number_is_an_error_and_no_picture(photo, pattern):
    a_painting = begin(photo, pattern, **SKETCH)
    a_painting.net = Faulty(a_painting.net, at=lambda calls: True)
    a_painting.net.net = _AlwaysNan(a_painting.net.net)
    with pytest.raises(MienError):
        run(a_painting)


class _AlwaysNan:
    def __init__(self, net):
        self.net, self.name, self.layers, self.dtype = net, net.name, net.layers, net.dtype

    def __call__(self, x, layers):
        return {k: tap * torch.nan for k, tap in self.net(x, layers).items()}


def test_a_budget_of_seconds_stops_early_with_one_step_at_every_scale(photo, pattern):
    found = style.transfer(photo, pattern, seconds=1e-6, **SKETCH | {"steps": (40, 30)})
    assert [(i.level, i.step) for i in found.history] == [(1, 1), (2, 1)]
    assert json.loads(found.settings)["options"]["steps"] == [1, 1]
    assert found.pixels.shape == (32, 48, 3)


def test_a_generous_budget_of_seconds_changes_nothing(photo, pattern, painted):
    found = style.transfer(photo, pattern, seconds=3600, **TINY)
    np.testing.assert_array_equal(found.pixels, painted.pixels)


def test_a_painting_too_large_for_the_memory_names_a_size_that_does_fit(photo, pattern, monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 400e6)
    with pytest.raises(OutOfMemory, match=r"3000×2000 needs about .* GB .*0\.4 GB are free") as error:
        begin(photo, pattern, **TINY | {"size": 3000, "steps": None})
    size = int(re.search(r"--size (\d+) would fit", str(error.value)).group(1))
    begin(photo, pattern, **TINY | {"size": size, "steps": None})
    with pytest.raises(OutOfMemory):
        begin(photo, pattern, **TINY | {"size": size + 48, "steps": None})


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("optimiser", ["lbfgs", "adam", "gradient"])
@pytest.mark.parametrize("shape", [(4000, 3000), (3000, 4000), (4000, 11)])
def test_the_size_that_is_named_fits_whatever_the_budget(precision, optimiser, shape):
    named = 0
    for budget in np.linspace(1e8, 3e9, 60):
        numbers = {"precision": precision, "optimiser": optimiser, "budget": float(budget)}
        try:
            memory.check(*shape, **numbers)
        except OutOfMemory as error:
            if found := re.search(r"--size (\d+) would fit", str(error)):
                named += 1
                assert int(found.group(1)) >= 16
                memory.check(*images.fit(*shape, int(found.group(1))), **numbers)
    assert named > 5 or shape == (4000, 11)


def test_a_budget_too_small_for_any_picture_names_no_size():
    with pytest.raises(OutOfMemory, match="close other programs"):
        memory.check(500, 500, precision="float32", optimiser="lbfgs", budget=1e6)


# textures and starts


def test_a_texture_needs_no_photo_and_has_the_styles_shape(pattern):
    found = style.transfer(None, pattern, texture=True, **TINY)
    assert found.pixels.shape == (36, 48, 3)
    assert found.before is None
    assert found.options.start == "noise"
    assert [i.content for i in found.history] == [0] * 7
    assert found.after.style < found.history[0].style


def test_a_texture_ignores_the_photo(photo, pattern):
    without, with_photo = (style.transfer(p, pattern, texture=True, **SKETCH).pixels for p in (None, photo))
    np.testing.assert_array_equal(without, with_photo)


@pytest.mark.parametrize("start", ["noise", "style"])
def test_noise_depends_on_the_seed_and_on_nothing_else(photo, pattern, start):
    first, same, other = (style.transfer(photo, pattern, start=start, seed=seed, **SKETCH).pixels for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, same)
    assert np.abs(first - other).mean() > 0.01


def first_picture(*arguments, **changes):
    a_painting = begin(*arguments, **SKETCH | {"size": 200, "steps": None} | changes)
    return images.from_tensor(a_painting.canvas.start(Level(200, 100, 1)))


def test_a_start_from_noise_is_grey_on_average(photo, pattern):
    np.testing.assert_allclose(first_picture(photo, pattern, start="noise").mean((0, 1)), 0.5, atol=0.01)


def test_a_start_from_the_style_is_noise_in_its_colours(photo):
    rng = np.random.default_rng(0)
    grey = rng.normal(0, 12, (60, 60, 1)) + rng.normal(0, 4, (60, 60, 3)) + (110, 140, 90)
    colours = grey.clip(0, 255).astype(np.uint8)
    found = first_picture(photo, colours, start="style").reshape(-1, 3)
    expected = colours.reshape(-1, 3) / 255
    np.testing.assert_allclose(found.mean(0), expected.mean(0), atol=0.003)
    np.testing.assert_allclose(np.cov(found.T), np.cov(expected.T), atol=1.5e-4)


def test_a_start_from_a_file_begins_with_that_picture(photo, pattern, tmp_path):
    path = images.save(tmp_path / "start.png", pattern)
    found = first_picture(photo, pattern, start=str(path))
    np.testing.assert_allclose(found, images.resize(pattern, 200, 100) / 255, atol=1e-6)
    result = style.transfer(photo, photo, start=str(path), **SKETCH)
    assert json.loads(result.settings)["start"]["name"] == str(path)


# masks


def halves():
    left = np.zeros((64, 96))
    left[:, :48] = 1
    return left, 1 - left


def test_outside_its_mask_the_photo_is_untouched(photo, pattern):
    left, _ = halves()
    found = style.transfer(photo, pattern, masks=[left], **TINY)
    small = images.resize(photo, 48, 32)
    np.testing.assert_array_equal(found.picture[:, 25:], small[:, 25:])  # the mask's edge is one pixel soft
    assert (found.picture[:, :24] != small[:, :24]).mean() > 0.5


def test_each_style_goes_where_its_mask_is(photo):
    red, blue = (np.full((32, 32, 3), colour, np.uint8) for colour in ((220, 30, 30), (30, 30, 220)))
    changes = SKETCH | {"steps": (15, 15), "strength": 1.0}
    found = style.transfer(photo, [red, blue], masks=halves(), **changes).pixels
    redness = found[..., 0] - found[..., 2]
    assert redness[:, :20].mean() > redness[:, 28:].mean() + 0.25


def test_a_style_mask_reads_only_its_part_of_the_style(photo):
    both = np.full((64, 96, 3), (30, 30, 220), np.uint8)
    both[:, :48] = (220, 30, 30)
    changes = SKETCH | {"steps": (15, 15), "strength": 1.0}
    red, blue = (style.transfer(photo, both, style_masks=[mask], **changes).pixels for mask in halves())
    assert (red[..., 0] - red[..., 2]).mean() > (blue[..., 0] - blue[..., 2]).mean() + 0.15


def test_a_mask_is_noted_once_and_only_where_its_shape_is_not_the_photos(photo, pattern):
    assert style.transfer(photo, pattern, masks=[halves()[0]], **SKETCH).notes == ()
    (note,) = style.transfer(photo, pattern, masks=[np.ones((64, 64))], **SKETCH).notes
    assert "Mask 1 is 64×64" in note
    assert "stretched" in note


def test_a_masked_painting_ends_bit_equal_after_a_stop(photo, pattern):
    changes = SKETCH | {"masks": [halves()[0]]}
    uninterrupted = run(begin(photo, pattern, **changes))
    assert_same(go_on(stopped_at((2, 1), photo, pattern, **changes), photo, pattern, **changes), uninterrupted)


@pytest.mark.parametrize(
    ("styles", "changes", "message"),
    [
        (3, {"masks": halves()}, r"Expected 1 or 3 masks for 3 style\(s\), got 2"),
        (2, {"style_masks": halves()[:1]}, r"Expected 2 style masks for 2 style\(s\), got 1"),
        (2, {"style_weights": (1.0, 2.0, 3.0)}, r"Expected 2 style weights for 2 style\(s\), got 3"),
        (0, {}, "at least one style"),
        (1, {"texture": True, "masks": halves()[:1]}, "no masks with a texture"),
    ],
)
def test_numbers_of_pictures_that_do_not_fit_are_refused(photo, pattern, styles, changes, message):
    with pytest.raises(OptionError, match=message):
        style.transfer(photo, [pattern] * styles, **SKETCH | changes)


def test_no_photo_without_texture_is_refused(pattern):
    with pytest.raises(OptionError, match="Expected a photo"):
        style.transfer(None, pattern, **SKETCH)


# alpha, colours, grey


def test_the_photos_transparency_is_kept_at_the_paintings_size(photo, pattern):
    alpha = np.zeros((64, 96), np.uint8)
    alpha[:, 48:] = 255
    found = style.transfer(np.dstack([photo, alpha]), pattern, **SKETCH)
    np.testing.assert_array_equal(found.alpha, images.resize(alpha, 48, 32))


def test_a_styles_transparent_parts_are_white(photo, pattern):
    clear = np.dstack([pattern, np.zeros(pattern.shape[:2], np.uint8)])
    white = np.full_like(pattern, 255)
    found, expected = (style.transfer(photo, sample, **SKETCH).pixels for sample in (clear, white))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("colour", ["style", "luminance", "linear", "histogram"])
def test_every_colour_mode_paints_within_the_box(photo, pattern, colour):
    found = style.transfer(photo, pattern, colour=colour, **SKETCH)
    assert found.pixels.min() >= 0
    assert found.pixels.max() <= 1
    assert found.after.total < found.before.total


def test_luminance_keeps_a_grey_photo_grey_in_the_colours_of_no_style(pattern):
    grey = images.resize(skimage.data.camera(), 48, 48)
    found = style.transfer(grey, pattern, colour="luminance", **SKETCH).picture.astype(int)
    assert (found.max(-1) - found.min(-1)).max() <= 1
    coloured = style.transfer(grey, pattern, colour="style", **SKETCH).picture.astype(int)
    assert (coloured.max(-1) - coloured.min(-1)).max() > 10


def test_luminance_compares_light_and_dark_alone(photo, pattern):
    canvas = begin(photo, pattern, colour="luminance", **SKETCH).canvas
    content = canvas.content(Level(48, 32, 1))
    assert (content.amax(1) - content.amin(1)).max() < 1e-6
    (sample,) = canvas.styles(Level(48, 32, 1))
    assert (sample.picture.amax(1) - sample.picture.amin(1)).max() < 0.01


def test_a_grey_picture_is_painted_in_colour(pattern):
    grey = images.resize(skimage.data.camera(), 64, 48)
    assert grey.ndim == 2
    found = style.transfer(grey, pattern, **SKETCH)
    assert found.pixels.shape == (36, 48, 3)
    three = style.transfer(np.stack([grey] * 3, -1), pattern, **SKETCH)
    np.testing.assert_array_equal(found.pixels, three.pixels)


# settings


def test_everything_left_to_the_machine_is_decided_and_recorded(photo, pattern):
    found = style.transfer(photo, pattern, **SKETCH | {"precision": "auto", "device": "auto"})
    assert found.options.precision in ("float32", "bfloat16")
    assert found.options.device in ("cpu", "cuda", "mps")
    settings = json.loads(found.settings)
    assert settings["options"]["precision"] == found.options.precision
    assert settings["torch"] == torch.__version__
    assert settings["threads"] == torch.get_num_threads()
    assert settings["finished"] is True
    assert len(settings["styles"][0]["sha256"]) == 64


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"seconds": 1e-6},
        {"start": "noise", "seed": 7},
        {"texture": True},
        {"faithful": True, "recipe": "gatys", "steps": (5,)},
        # Long steps often make it worse: the source goes on all the same, without patience.
        {"faithful": True, "recipe": "lecture", "steps": (120,), "step": 0.9},
        {"recipe": "notebook", "strength": 0.7, "optimiser": "adam", "step": 0.03},
        {"preview": True, "steps": (3, 2)},
    ],
    ids=lambda changes: "-".join(changes) or "defaults",
)
def test_the_settings_kept_in_a_painting_repeat_it_bit_for_bit(photo, pattern, changes):
    content = None if changes.get("texture") else photo
    first = style.transfer(content, pattern, **SKETCH | changes)
    options = StyleOptions.from_dict(json.loads(first.settings)["options"])
    second = style.transfer(content, pattern, options=options)
    assert len(second.history) == len(first.history)
    np.testing.assert_array_equal(second.pixels, first.pixels)


@pytest.mark.parametrize("name", RECIPES)
def test_a_faithful_painting_starts_and_moves_as_its_source_does_at_one_scale(photo, pattern, name):
    source = RECIPES[name].faithful
    a_painting = begin(photo, pattern, **SKETCH | {"recipe": name, "faithful": True, "steps": None})
    assert a_painting.levels == (Level(48, 32, source.steps),)
    assert a_painting.options.start == source.start
    assert a_painting.options.optimiser == source.optimiser
    assert a_painting.options.step == source.step


def test_a_faithful_painting_never_starts_again_from_its_best_picture(photo, pattern):
    changes = SKETCH | {"steps": (60,), "optimiser": "gradient", "step": 5.0, "recipe": "lecture", "start": "noise"}
    patient, faithful = (
        run(begin(photo, pattern, faithful=f, **changes)).state()[1]["restarts"] for f in (False, True)
    )
    assert patient == 1
    assert faithful == 0


def test_a_preview_is_small_and_short(photo, pattern):
    a_painting = begin(photo, pattern, **SKETCH | {"size": 2000, "preview": True, "steps": None})
    assert [level.size for level in a_painting.levels] == [128, 256]
    assert a_painting.options.seconds <= 3


def test_options_and_single_settings_combine(photo, pattern):
    options = StyleOptions(**SKETCH | {"strength": 0.3})
    found = style.transfer(photo, pattern, options=options, strength=0.7)
    assert found.options.strength == 0.7
    assert found.options.backbone == options.backbone


def test_an_unknown_setting_is_refused_with_the_nearest_one(photo, pattern):
    with pytest.raises(OptionError, match="Did you mean strength"):
        style.transfer(photo, pattern, strenght=0.7)


def test_an_unknown_layer_or_backbone_is_refused(photo, pattern):
    with pytest.raises(OptionError, match="relu4_2"):
        style.transfer(photo, pattern, content_layers=(("relu4-2", 1.0),), **TINY)
    with pytest.raises(WeightsError, match="resnet"):
        style.transfer(photo, pattern, **SKETCH | {"backbone": "resnet"})


def test_a_saved_painting_carries_its_settings(photo, pattern, tmp_path):
    found = style.transfer(photo, pattern, **SKETCH)
    path = found.save(tmp_path / "painting.png")
    assert images.read_settings(path) == found.settings
    np.testing.assert_array_equal(images.load(path).pixels, found.picture)


# the canvas


def test_a_styles_long_side_is_the_paintings_times_the_style_scale(photo, pattern):
    for scale, size in ((1.0, (48, 36)), (0.5, (24, 18)), (2.0, (96, 72)), (0.05, (21, 16))):
        options = StyleOptions(**SKETCH | {"style_scale": scale})
        canvas = Canvas(gather(photo, pattern, options=options), options)
        (found,) = canvas.styles(Level(48, 32, 1))
        height, width = found.picture.shape[2:]
        assert (width, height) == size or scale == 0.05
        assert min(width, height) >= 16


def test_notes_say_what_had_to_be_decided(photo, pattern, tmp_path):
    sixteen = (pattern.astype(np.uint16) * 257)[..., 0]
    path = tmp_path / "deep.png"
    from PIL import Image

    Image.fromarray(sixteen).save(path)
    found = style.transfer(path, pattern, **SKETCH)
    assert any(str(path) in note and "bit" in note for note in found.notes)
    assert style.transfer(photo, pattern, **SKETCH).notes == ()


def test_results_and_iterates_do_not_change(painted):
    with pytest.raises(dataclasses.FrozenInstanceError):
        painted.seconds = 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        painted.history[0].total = 0
