"""A study to its end: judged beside baselines, exported for the other rooms, told on one page that needs no other."""

import dataclasses
import json
import re

import numpy as np
import pytest
from PIL import Image

from mien.backbones.checkpoint import load_checkpoint
from mien.backbones.pair_head import load_head
from mien.errors import DataError, OptionError
from mien.training.data import from_arrays
from mien.training.evaluate import one_shot, verify
from mien.training.export import export
from mien.training.features import extract, load_extractor
from mien.training.options import TrainOptions
from mien.training.own import own_recipe
from mien.training.plots import over_epochs
from mien.training.recipes import RECIPES, traditional
from mien.training.report import save_report, summary, to_dict
from mien.training.splits import leaking
from mien.training.study import check_task, figures, study
from mien.training.train import fitted_loader

TINY = TrainOptions(widths=(8,), encoding=8, identities=4, items=3, epochs=2, batch=16)


def pictures(people=8, each=4, size=16):
    random = np.random.default_rng(0)
    rows = [random.uniform(size=(1, size, size)) * 0.5 for _ in range(people)]
    noisy = np.stack([row + random.uniform(size=row.shape) * 0.5 for row in rows for _ in range(each)])
    return from_arrays(noisy.astype(np.float32), [f"p{i // each}" for i in range(people * each)], kind="image")


def waves(classes=3, each=12):
    random = np.random.default_rng(0)
    time = np.arange(64) / 64 * 2 * np.pi
    rows = [np.sin((i // each + 1) * time + random.normal())[None] for i in range(classes * each)]
    labels = [f"class {i // each}" for i in range(classes * each)]
    groups = [f"patient {i % 6}" for i in range(classes * each)]
    return from_arrays(np.stack(rows).astype(np.float32), labels, kind="signal", groups=groups, rate=50.0)


@pytest.fixture(scope="module")
def likeness(tmp_path_factory):
    """A study of two seeds on pictures, its export and its page."""
    out = tmp_path_factory.mktemp("likeness")
    made = own_recipe(pictures(), TINY, name="<b>people</b>")
    made = dataclasses.replace(made, name="people", sentences=("STAND-IN: drawn & <invented>.",), stand_in=True)
    done = study(made, TINY, out=out, seeds=2)
    exported = export(done, out)
    return done, exported, out, save_report(done, exported, out).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def classes(tmp_path_factory):
    out = tmp_path_factory.mktemp("classes")
    options = dataclasses.replace(TINY, task="classify")
    done = study(own_recipe(waves(), options, name="waves"), options, out=out)
    exported = export(done, out)
    return done, exported, out, save_report(done, exported, out).read_text(encoding="utf-8")


# ---- figures ---------------------------------------------------------------------------------------------------------


def test_the_figures_are_those_of_the_saved_encoder_on_unseen_people(likeness):
    done, exported, _, _ = likeness
    run = done.best
    net, _ = load_checkpoint(exported.checkpoint)
    loader = fitted_loader(dataclasses.replace(run.trained, net=net), done.made.dataset, done.options)
    encodings = net(loader.plain(run.split.test)).detach().numpy()
    people = done.made.dataset.groups[run.split.test]
    judged = next(j for j in done.judged if j.seed == run.seed)
    assert judged.reports[0].eer == verify(encodings, people).eer
    assert not set(people) & set(done.made.dataset.groups[run.split.learnt])


def test_mean_and_deviation_go_over_the_seeds(likeness):
    done, *_ = likeness
    each = [figures(j.reports)["EER"] for j in done.judged]
    assert len(each) == 2
    mean, deviation = done.figures("")["EER"]
    assert mean == pytest.approx(sum(each) / 2)
    assert deviation == pytest.approx(abs(each[0] - each[1]) / 2**0.5)


def test_baselines_are_judged_on_the_same_people(likeness):
    done, *_ = likeness
    assert {"pixels", "HOG", "LBP"} <= {b.name for b in done.baselines}
    assert {b.report.people for b in done.baselines} == {done.judged[0].reports[0].people}


def test_seeds_start_from_other_weights(likeness):
    done, *_ = likeness
    first, second = (run.trained.net.state_dict()["embed.weight"] for run in done.runs)
    assert not bool((first == second).all())


def test_folds_are_pooled_and_a_flattering_split_is_shown_as_a_warning(tmp_path, monkeypatch):
    monkeypatch.delenv("MIEN_DATA", raising=False)  # the stand-in is enough
    made = RECIPES["ecg"].load()
    few = made.dataset.subset(np.flatnonzero(np.arange(len(made.dataset)) % 40 == 0))
    splits = tuple(dataclasses.replace(leaking(len(few), seed=i), name=f"fold {i + 1} of 2") for i in range(2))
    made = dataclasses.replace(
        made, dataset=few, protocol=dataclasses.replace(made.protocol, splits=splits, pooled=True)
    )
    options = dataclasses.replace(RECIPES["ecg"].options, widths=(8,), epochs=1)
    done = study(made, options, out=tmp_path, plain=False)
    assert [run.name for run in done.runs] == ["seed 0 fold 1", "seed 0 fold 2"]
    assert done.judged[0].reports[0].confusion.sum() == sum(len(s.test) for s in splits)
    assert done.flattering is not None
    page = save_report(done, export(done, tmp_path), tmp_path).read_text(encoding="utf-8")
    assert "A warning, not a result" in page


def test_one_shot_is_judged_by_the_recipes_own_trials(tmp_path):
    made = _characters()
    options = dataclasses.replace(TINY, epochs=1, identities=8)
    done = study(made, options, out=tmp_path, plain=False)
    within, across = traditional.trials(made, made.protocol.splits[0])
    found = figures(done.judged[0].reports)
    run = done.runs[0]
    assert list(found) == [within.protocol.partition(" (")[0], across.protocol.partition(" (")[0]]
    assert list(found.values()) == [one_shot(run.test, t).accuracy for t in (within, across)]


def _characters():
    from mien.training.recipes import omniglot, standins

    data = standins.characters(size=14, seed=0, alphabets=4, each=20, drawers=3)
    made = omniglot._protocol(data)
    return dataclasses.replace(own_recipe(data, TINY, name="omniglot"), protocol=made)


def test_ways_of_mining_stand_side_by_side(tmp_path):
    made = own_recipe(pictures(), TINY, name="people")
    done = study(made, dataclasses.replace(TINY, epochs=1), out=tmp_path, mining=("random", "semi-hard", "hard"))
    page = save_report(done, export(done, tmp_path), tmp_path).read_text(encoding="utf-8")
    assert done.variants == ("random", "semi-hard", "hard")
    assert all(f"{how} mining" in page for how in done.variants)
    assert set(to_dict(done, export(done, tmp_path))["network"]) == set(done.variants)


def test_a_study_that_was_stopped_goes_on_to_the_same_figures(tmp_path, likeness):
    whole, *_ = likeness
    calls = []
    stopped = study(whole.made, TINY, out=tmp_path, seeds=2, told=lambda name, p: calls.append(name) or len(calls) == 3)
    assert stopped is None
    again = study(whole.made, TINY, out=tmp_path, seeds=2, resume=True)
    assert again.figures("") == whole.figures("")


def test_a_task_that_the_protocol_cannot_judge_is_refused():
    made = own_recipe(pictures(), TINY)
    with pytest.raises(OptionError, match="judged by verification, got classify; use --task triplet"):
        check_task(made, dataclasses.replace(TINY, task="classify"))


# ---- one's own data --------------------------------------------------------------------------------------------------


def test_own_identities_are_never_on_both_sides_and_two_at_least_are_judged():
    made = own_recipe(pictures(people=5), TINY)
    split = made.protocol.splits[0]
    parts = [set(made.dataset.groups[p]) for p in split.parts.values()]
    assert [len(p) for p in parts] == [3, 0, 2]
    assert not parts[0] & parts[2]


def test_own_classes_are_split_by_group_if_there_are_groups_and_said_to_flatter_if_not():
    options = dataclasses.replace(TINY, task="classify")
    data = waves()
    made = own_recipe(data, options)
    split = made.protocol.splits[0]
    assert not set(data.groups[split.train]) & set(data.groups[split.test])
    flat = own_recipe(from_arrays(np.zeros((9, 1, 8), np.float32), list("aaabbbccc"), kind="signal"), options)
    assert "which flatters" in flat.protocol.sentence
    assert all(set(flat.dataset.labels[p]) == {0, 1, 2} for p in flat.protocol.splits[0].parts.values())


def test_too_few_people_or_examples_to_hold_some_back_are_refused():
    with pytest.raises(DataError, match="at least four people"):
        own_recipe(pictures(people=3), TINY)
    with pytest.raises(DataError, match="nothing can be verified"):
        own_recipe(pictures(people=8, each=1), TINY)
    with pytest.raises(DataError, match="at least three examples of every class"):
        own_recipe(pictures(each=2), dataclasses.replace(TINY, task="classify"))


# ---- what is exported ------------------------------------------------------------------------------------------------


def test_the_onnx_encoder_gives_the_checkpoints_encodings(likeness):
    cv2 = pytest.importorskip("cv2")
    done, exported, out, _ = likeness
    if exported.record is None:
        pytest.skip("the package onnx is not installed")
    cv2.setNumThreads(1)
    picture = done.made.dataset[0]
    net = cv2.dnn.readNetFromONNX(str(out / "encoder" / "encoder.onnx"))
    net.setInput(np.repeat(picture, 3, axis=0)[None])
    extractor = load_extractor(str(exported.checkpoint))
    np.testing.assert_allclose(net.forward()[0], extractor.encode(picture, None), atol=1e-4)


def test_the_head_belongs_to_the_onnx_file_and_its_error_was_measured(likeness):
    _, exported, out, page = likeness
    if exported.record is None:
        pytest.skip("the package onnx is not installed")
    record = json.loads((out / "encoder" / "encoder.json").read_text(encoding="utf-8"))
    head = load_head(exported.head, encoder=f"{record['name']}-{record['sha256'][:8]}")
    assert 0 <= head.calibration["ece"] <= 1
    assert f"{head.calibration['ece']:.3f}" in page


def test_a_classifier_is_exported_without_a_head(classes):
    _, exported, out, _ = classes
    assert exported.head is None
    assert not (out / "encoder" / "head.json").exists()
    record = load_checkpoint(exported.checkpoint)[1]
    assert record.labels == ("class 0", "class 1", "class 2")


def test_features_of_a_checkpoint_are_its_encodings(likeness):
    done, exported, _, _ = likeness
    rows = extract(load_extractor(str(exported.checkpoint)), done.made.dataset)
    run = done.best
    np.testing.assert_allclose(rows[run.split.test], run.test, atol=1e-5)
    with pytest.raises(DataError, match="Expected images"):
        extract(load_extractor(str(exported.checkpoint)), waves())


# ---- the page --------------------------------------------------------------------------------------------------------


def test_the_page_needs_no_other_file_and_says_first_that_the_data_are_a_stand_in(likeness):
    _, _, _, page = likeness
    assert not re.search(r'(src|href)="(?!#)', page)
    assert "http" not in page.replace("http://www.w3.org", "")
    body = page.partition("<body>")[2]
    first = re.search(r"<p[^>]*>(.*?)</p>", body, re.DOTALL)
    assert first[0].startswith('<p class="warning">')
    assert first[1] == "STAND-IN: drawn &amp; &lt;invented&gt;."
    assert page.count("<svg") == 4


def test_colours_on_the_page_are_its_variables_and_ids_are_unique(likeness):
    _, _, _, page = likeness
    for drawing in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        assert set(re.findall(r"#[0-9a-f]{6}\b", drawing)) <= {"#000000"}
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_the_figures_on_the_page_and_in_the_json_are_the_same(likeness):
    done, _, out, page = likeness
    record = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    eer = record["network"]["network"]["EER"]
    assert eer["mean"] == pytest.approx(done.figures("")["EER"][0], abs=1e-6)
    assert f"{100 * eer['mean']:.1f} ± {100 * eer['deviation']:.1f} %" in page
    assert f"<b>{100 * eer['mean']:.1f} %</b><small>± {100 * eer['deviation']:.1f} %</small>" in page
    assert set(record["baselines"]) == {b.name for b in done.baselines}
    assert record["stand_in"] is True
    assert "EER" in summary(done)[0]


def test_the_classes_table_adds_up(classes):
    done, _, _, page = classes
    report = done.judged[0].reports[0]
    assert report.confusion.sum() == len(done.runs[0].split.test)
    assert "Class by class" in page
    assert all(name in page for name in report.classes)


def test_the_plots_are_pictures_with_something_on_them(likeness):
    *_, out, _ = likeness
    for name in ("loss", "active", "measure", "roc"):
        with Image.open(out / f"{name}.png") as picture:
            values = np.asarray(picture.convert("L"))
        assert values.shape[1] > 600
        assert (values == 255).mean() > 0.6
        assert (values < 200).mean() > 0.005


def test_a_plot_of_one_curve_a_seed_has_their_mean_too():
    figure = over_epochs({"a": [[(1, 1.0), (2, 3.0)], [(1, 3.0), (2, 5.0)]]}, label="loss")
    means = [line.get_ydata().tolist() for line in figure.axes[0].lines if line.get_linewidth() == 1.8]
    assert means == [[2.0, 4.0]]


@pytest.mark.parametrize("task", ["triplet", "classify"])
def test_pictures_of_32_pixels_are_also_judged_by_frozen_vgg19(task, tmp_path):
    options = dataclasses.replace(TINY, task=task, epochs=1)
    data = pictures(people=5, size=32)
    done = study(own_recipe(data, options, name="people"), options, out=tmp_path)
    [probe] = [b for b in done.baselines if "VGG-19" in b.name]
    assert ("logistic" in probe.name) == (task == "classify")
    assert figures((probe.report,)).keys() == done.figures("").keys()


def test_on_top_of_vgg19_there_is_no_onnx_file_and_features_go_through_it(tmp_path):
    options = dataclasses.replace(TINY, init="vgg19", freeze=("relu2_1",), epochs=1)
    made = own_recipe(pictures(people=5, size=16), options, name="people")
    done = study(made, options, out=tmp_path, plain=False)
    exported = export(done, tmp_path)
    assert exported.record is None
    assert "vgg19:relu2_1" in exported.notes[0]
    rows = extract(load_extractor(str(exported.checkpoint)), made.dataset)
    np.testing.assert_allclose(rows[done.best.split.test], done.best.test, atol=1e-4)
