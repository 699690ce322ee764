"""The recipes' data: stand-ins that say so and can be learnt, the real data where they are, protocols without leaks."""

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.errors import DataError
from mien.training import baselines
from mien.training.data import check_examples, stacked
from mien.training.recipes import ecg, omniglot, orl, sensor, traditional, volume
from mien.training.recipes.places import installed
from mien.training.splits import check_no_leak

RECIPES = [orl, omniglot, ecg, sensor, volume]
REAL = os.environ.get("MIEN_DATA")
needs_data = pytest.mark.skipif(not REAL, reason="MIEN_DATA names no folder with the development data")
needs_template = pytest.mark.skipif(
    installed("nilearn", "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz") is None, reason="nilearn is not installed"
)
needs_motions = pytest.mark.skipif(installed("aeon", "BasicMotions_TRAIN.ts") is None, reason="aeon is not installed")


@pytest.fixture(scope="module")
def stand_ins():
    """Each recipe where nothing is found."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MIEN_DATA", raising=False)
        for module in (sensor, volume):
            patch.setattr(module, "installed", lambda *_: None)
        few = {volume: {"per_class": 80}}
        return {module: module.load(**few.get(module, {})) for module in RECIPES}


@pytest.mark.parametrize("module", RECIPES)
def test_a_stand_in_says_so_first_and_is_fit_to_train_on(stand_ins, module):
    made = stand_ins[module]
    assert made.stand_in
    assert made.description.startswith("STAND-IN")
    data = made.dataset
    check_examples(data, pairs=True)
    assert data[0].dtype == np.float32
    assert data[0].shape == (data.channels, *data.shape)
    assert np.isfinite(data[len(data) - 1]).all()


@pytest.mark.parametrize("module", RECIPES)
def test_no_split_leaks_and_every_part_has_examples(stand_ins, module):
    made = stand_ins[module]
    for split in made.protocol.splits:
        check_no_leak(split, made.dataset.groups)
        assert all(len(part) for part in split.parts.values())


@pytest.mark.parametrize("module", [orl, ecg, sensor])
def test_a_stand_in_repeats_with_its_seed(stand_ins, module, monkeypatch):
    monkeypatch.delenv("MIEN_DATA", raising=False)
    monkeypatch.setattr(module, "installed", lambda *_: None, raising=False)
    np.testing.assert_array_equal(module.load().dataset[3], stand_ins[module].dataset[3])
    assert not np.array_equal(module.load(seed=1).dataset[3], stand_ins[module].dataset[3])


def test_the_drawn_faces_can_be_told_apart(stand_ins):
    rates = {b.name: b.report.eer for b in traditional.judged(stand_ins[orl])}
    assert len(rates) == 5
    assert 0.01 < rates["pixels + PCA (100 eigenfaces)"] < 0.3


def test_the_drawn_characters_can_be_told_apart_better_than_by_chance(stand_ins):
    reports = [b.report for b in traditional.judged(stand_ins[omniglot])]
    assert len({r.protocol for r in reports}) == 2
    assert 0.3 < max(r.accuracy for r in reports) < 0.99


def test_the_invented_beats_motions_and_tissues_are_learnable(stand_ins):
    beats, motions, tissue = (
        {b.name: b.report for b in traditional.judged(stand_ins[m])} for m in (ecg, sensor, volume)
    )
    assert beats["RR intervals and difference from the usual beat"].macro_f1 > 0.6
    assert beats["RR intervals and wavelets"].confusion.sum() == len(stand_ins[ecg].dataset)  # every beat, once
    assert beats["RR intervals"].averaged == ("N", "S", "V")
    assert motions["wavelets"].accuracy > 0.8
    assert 0.6 < tissue["centre voxel"].accuracy < 0.99
    assert tissue["intensity statistics"].accuracy < tissue["centre voxel"].accuracy


def test_the_front_and_the_back_of_the_volume_share_no_voxel(stand_ins):
    made = stand_ins[volume]
    corners = made.dataset.read.corners
    (split,) = made.protocol.splits
    rear = corners[split.learnt][:, 1].max() + volume.SIDE
    assert corners[split.test][:, 1].min() - rear >= volume.GAP
    middle = corners[split.validation][:, 0]  # what stops the training lies between the two parts that are learnt from
    learnt = corners[split.train][:, 0]
    below, above = learnt[learnt < middle.min()], learnt[learnt > middle.max()]
    assert len(below) + len(above) == len(learnt)
    assert below.max() + volume.SIDE <= middle.min()
    assert middle.max() + volume.SIDE <= above.min()
    assert corners[:, 2].max() < 48  # centres in one half only


def test_tissue_by_hand():
    bright = np.array([0, 0.5, 0.5, 0.5, 0.5], np.float32)
    grey = np.array([0, 0.1, 0.6, 0.2, 0.4], np.float32)
    white = np.array([0, 0.1, 0.3, 0.7, 0.4], np.float32)
    assert volume.tissues(bright, grey, white).tolist() == [-1, 0, 1, 2, -1]


def test_rr_ratios_of_an_even_rhythm_are_1_and_an_early_beat_stands_out():
    even = np.arange(40) * 300
    np.testing.assert_allclose(ecg.rr_ratios(even), 1)
    early = even.copy()
    early[20] -= 90
    ratios = ecg.rr_ratios(early)
    np.testing.assert_allclose(ratios[20], [0.7, 1.3, 0.7, 1.3 / 0.7], rtol=1e-6)
    np.testing.assert_allclose(ratios[10], 1)
    np.testing.assert_allclose(ecg.rr_ratios(np.array([5])), 1)
    assert ecg.rr_ratios(np.array([0, 300, 600, 90_000]))[2, 1] == 4


def test_the_usual_beat_differs_from_itself_by_nothing():
    random = np.random.default_rng(0)
    usual = random.normal(size=(2, 256)).astype(np.float32)
    beats = np.stack([usual] * 5 + [2 * usual] + [-usual])
    ratios = ecg.shape_ratios(beats, usual)
    np.testing.assert_allclose(ratios[:5], 0, atol=1e-6)
    np.testing.assert_allclose(ratios[5], [0, 0, np.log(2), np.log(2), *ratios[5, 4:]], atol=1e-3)
    np.testing.assert_allclose(ratios[6, :2], -2, atol=1e-5)


def test_the_baseline_is_taken_off_and_the_beat_stays():
    from mien.training.reading.signals import Signal

    time = np.arange(3600) / 360
    beats = np.exp(-0.5 * (((time % 1) - 0.5) / 0.012) ** 2)
    wander = 0.5 * np.sin(2 * np.pi * 0.15 * time) + 2
    flat = ecg.flattened(Signal(np.stack([beats + wander]).astype(np.float32), 360.0))[0]
    between = (time % 1) < 0.3
    assert np.abs(flat[between]).max() < 0.1
    assert flat[(np.abs((time % 1) - 0.5) < 0.002)].min() > 0.85


def test_every_fixed_fold_has_other_patients_and_all_are_there():
    patients = [p for fold in ecg.FOLDS for p in fold]
    assert len(patients) == len(set(patients)) == 22


def test_omniglot_is_read_from_the_archive_as_ink(tmp_path):
    with zipfile.ZipFile(tmp_path / "images_background.zip", "w") as archive:
        for number in range(10):
            picture = Image.new("1", (105, 105), 1)
            picture.paste(0, (0, 0, 105, 60))
            file = io.BytesIO()
            picture.save(file, "PNG")
            name = f"images_background/Alphabet{number}/character01/0001_07.png"
            archive.writestr(name, file.getvalue())
    data = omniglot.load(tmp_path, size=35).dataset
    assert data[0].shape == (1, 35, 35)
    np.testing.assert_array_equal(data[0][0, :20], 1)
    np.testing.assert_array_equal(data[0][0, 20:], 0)
    assert data.examples[0].label == "Alphabet0/character01"
    assert data.examples[0].group == "Alphabet0"
    assert data.mark("drawer")[0] == "07"


def test_series_are_read_from_both_forms(tmp_path):
    (tmp_path / "a.ts").write_text("# note\n@data\n1,2,3:4,5,6:Walking\n7,8,9:1,1,1:Standing\n")
    (tmp_path / "a.arff").write_text("% note\n@data\n'1,2,3\\n4,5,6',Walking\n'7,8,9\\n1,1,1',Standing\n")
    for ending in ("ts", "arff"):
        series = sensor.read_series(tmp_path / f"a.{ending}")
        np.testing.assert_array_equal(series.values[0], [[1, 2, 3], [4, 5, 6]])
        assert series.labels == ("Walking", "Standing")
    (tmp_path / "b.ts").write_text("@data\n1,x,3:Walking\n")
    with pytest.raises(DataError, match="line 2"):
        sensor.read_series(tmp_path / "b.ts")


@pytest.mark.parametrize("module", RECIPES)
def test_a_given_folder_without_the_data_is_refused_not_replaced(module, tmp_path):
    with pytest.raises(DataError, match="check the path"):
        module.load(tmp_path / "nowhere")
    with pytest.raises(DataError, match="Expected"):
        module.load(tmp_path)


@needs_data
def test_orl_has_40_people_of_whom_ten_are_unseen():
    made = orl.load()
    assert not made.stand_in
    assert len(made.dataset) == 400
    assert made.dataset[0].shape == (1, 112, 92)
    assert len(made.protocol.splits) == 4
    unseen = made.dataset.groups[made.protocol.splits[0].test]
    assert sorted(set(unseen.tolist())) == [f"s{i}" for i in range(31, 41)]


@needs_data
@pytest.mark.slow
def test_omniglot_holds_six_alphabets_back():
    made = omniglot.load()
    (split,) = made.protocol.splits
    assert len(made.dataset) == 19_280 + 3 * len(split.train) // 4  # what is learnt from is there in four turns
    assert not any("°" in made.dataset.examples[i].label for i in (*split.validation, *split.test))
    assert len(set(made.dataset.groups[split.test])) == 6
    assert len(set(made.dataset.groups[split.learnt])) == 24
    ink = stacked(made.dataset, range(0, 19_280, 200)).mean()
    assert 0.02 < ink < 0.15


@needs_data
def test_two_records_give_their_known_numbers_of_beats(tmp_path):
    for record in ("106", "114"):
        for ending in ("hea", "dat", "atr"):
            (tmp_path / f"{record}.{ending}").symlink_to(Path(REAL) / "ecg_mitbih_ds1" / f"{record}.{ending}")
    data = ecg.load(tmp_path, usual=False).dataset
    labels = np.array([f"{e.group} {e.label}" for e in data.examples])
    counts = dict(zip(*np.unique(labels, return_counts=True), strict=True))
    assert counts["106 V"] == 520
    assert counts["114 V"] == 43
    assert counts["106 N"] in (1506, 1507)  # a beat at the very edge has no window
    assert data.rate == 360
    # In record 114 lead MLII comes second in the file and first here; its R peaks point upwards.
    normal = stacked(data, np.flatnonzero(labels == "114 N"))
    assert np.median(normal, axis=0)[0].argmax() in range(120, 137)


@needs_template
def test_the_template_gives_patches_whose_label_is_the_centre_s_tissue():
    made = volume.load(per_class=20)
    assert not made.stand_in
    assert made.dataset.spacing == (1, 1, 1)
    middles = baselines.centre_voxel(stacked(made.dataset))[:, 0]
    by_tissue = [np.median(middles[made.dataset.labels == i]) for i in range(3)]
    assert by_tissue == sorted(by_tissue)


@needs_motions
def test_basic_motions_are_40_and_40():
    made = sensor.load()
    assert not made.stand_in
    assert [len(part) for part in made.protocol.splits[0].parts.values()] == [32, 8, 40]
    assert made.dataset[0].shape == (6, 100)
