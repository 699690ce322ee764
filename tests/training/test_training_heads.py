"""The logistic unit over two encodings: by hand, symmetric, finite at 0/0, fitted, saved, read without torch."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest
import torch

from mien.backbones import pair_head
from mien.backbones.pair_head import PairHead, load_head, save_head
from mien.errors import OptionError, OutputError, WeightsError, WeightsMismatch, WeightsNotFound
from mien.metrics import ece, eer
from mien.training.heads import PairUnit, fit_head, fit_head_on_pairs, pair_features

FEATURES = ("absolute", "chi-square")


def people(count=40, items=6, dimensions=16, noise=0.15, seed=0):
    """Unit encodings about a direction of each person's own, and whose they are."""
    random = np.random.default_rng(seed)
    f = np.repeat(random.normal(size=(count, dimensions)), items, axis=0)
    f = f / np.linalg.norm(f, axis=1, keepdims=True) + noise * random.normal(size=f.shape)
    return f / np.linalg.norm(f, axis=1, keepdims=True), np.repeat(np.arange(count), items)


# features


def test_features_by_hand():
    f1, f2 = np.array([1.0, -2.0, 0.0]), np.array([3.0, 1.0, 0.0])
    assert pair_head.pair_features(f1, f2, "absolute") == pytest.approx([2, 3, 0])
    assert pair_head.pair_features(f1, f2, "chi-square") == pytest.approx([4 / 4, 9 / 3, 0])


def test_chi_square_of_encodings_without_signs_is_the_texts():
    f1, f2 = np.random.default_rng(0).uniform(0.1, 1, (2, 9))
    assert pair_head.pair_features(f1, f2, "chi-square") == pytest.approx((f1 - f2) ** 2 / (f1 + f2), rel=1e-6)


@pytest.mark.parametrize("feature", FEATURES)
def test_features_of_torch_and_numpy_are_the_same(feature):
    f1, f2 = np.random.default_rng(0).normal(size=(2, 5, 9))
    ours = pair_features(torch.from_numpy(f1), torch.from_numpy(f2), feature)
    assert ours.numpy() == pytest.approx(pair_head.pair_features(f1, f2, feature))


@pytest.mark.parametrize("feature", FEATURES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_are_finite_where_both_are_zero_or_equal(feature, dtype):
    f1 = torch.tensor([[0.0, 0.0, 1.0, -1e-30]], dtype=dtype, requires_grad=True)
    f2 = torch.tensor([[0.0, 1e-20, 1.0, 1e-30]], dtype=dtype, requires_grad=True)
    out = pair_features(f1, f2, feature)
    out.sum().backward()
    assert out[0, 0] == 0
    assert torch.isfinite(out).all()
    assert torch.isfinite(f1.grad).all()
    assert torch.isfinite(f2.grad).all()


@pytest.mark.parametrize("feature", FEATURES)
def test_gradients_pass_gradcheck(feature):
    f1, f2 = torch.randn(2, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    unit = PairUnit(4, feature=feature).double()
    assert torch.autograd.gradcheck(unit, (f1.requires_grad_(), f2.requires_grad_()))


# the unit


@pytest.mark.parametrize("feature", FEATURES)
def test_the_unit_is_symmetric(feature):
    f, labels = people()
    head = fit_head(f, labels, encoder="e", feature=feature)
    assert np.array_equal(head.probability(f[:50], f[50:100]), head.probability(f[50:100], f[:50]))


def test_probability_by_hand():
    head = PairHead("absolute", np.array([-1.0, -2.0]), 1.0, "e")
    assert head.probability([0.0, 0.0], [0.0, 0.0]) == pytest.approx(1 / (1 + math.exp(-1)))
    assert head.probability([1.0, 0.0], [0.0, 1.0]) == pytest.approx(1 / (1 + math.exp(2)))
    assert head.probability([1e9, 0.0], [0.0, 0.0]) == 0.0


def test_one_encoding_is_compared_with_a_gallery_at_once():
    f, labels = people()
    head = fit_head(f, labels, encoder="e")
    assert head.probability(f[0], f).shape == (240,)
    assert head.probability(f[:3, None], f[None]).shape == (3, 240)


@pytest.mark.parametrize("feature", FEATURES)
def test_a_unit_trained_with_the_encoder_is_the_head_it_becomes(feature):
    unit = PairUnit(6, feature=feature)
    with torch.no_grad():
        unit.weights.normal_(generator=torch.Generator().manual_seed(0))
        unit.bias.fill_(0.7)
    f1, f2 = torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(1))
    assert unit.to_head(encoder="e").logit(f1, f2) == pytest.approx(unit(f1, f2).detach().numpy(), abs=1e-5)


# fitting


@pytest.mark.parametrize("feature", FEATURES)
def test_a_fitted_head_tells_unseen_people_apart_with_calibrated_probabilities(feature):
    f, labels = people()
    head = fit_head(f, labels, encoder="e", feature=feature)
    unseen, whose = people(seed=1)
    i, j = np.triu_indices(len(whose), 1)
    same = whose[i] == whose[j]
    probability = head.probability(unseen[i], unseen[j])
    assert eer(1 - probability[same], 1 - probability[~same])[0] < 0.04
    balanced = np.concatenate([np.flatnonzero(same), np.flatnonzero(~same)[:: (~same).sum() // same.sum()]])
    assert ece(probability[balanced], same[balanced].astype(int)) < 0.05


def test_the_fit_is_where_the_penalised_loss_has_no_slope():
    f, labels = people(count=12, noise=0.5)
    random = np.random.default_rng(0)
    i, j = random.integers(0, len(f), (2, 400))
    same = (labels[i] == labels[j]).astype(float)
    head = fit_head_on_pairs(f[i], f[j], same, encoder="e", penalty=0.01)
    x = np.abs(f[i] - f[j])
    scale = x.std(0, ddof=1)
    weight = np.where(same == 1, 0.5 / same.sum(), 0.5 / (1 - same).sum())
    error = weight * (head.probability(f[i], f[j]) - same)
    slope = (x - x.mean(0)).T @ error / scale + 0.01 * head.weights * scale
    assert np.abs(slope).max() < 1e-6
    assert abs(error.sum()) < 1e-6


def test_a_fit_is_the_same_every_time():
    f, labels = people()
    one, two = (fit_head(f, labels, encoder="e") for _ in range(2))
    assert np.array_equal(one.weights, two.weights)


def test_a_component_that_never_differs_decides_nothing():
    f, labels = people()
    f[:, 3] = 0.0
    assert abs(fit_head(f, labels, encoder="e").weights[3]) < 1e-6


def test_data_that_cannot_be_fitted_are_refused():
    f, labels = people(count=3)
    with pytest.raises(OptionError, match="two or more items"):
        fit_head(f, np.arange(len(f)), encoder="e")
    with pytest.raises(OptionError, match=r"labels \(N,\)"):
        fit_head(f, labels[:-1], encoder="e")
    with pytest.raises(OptionError, match="both kinds"):
        fit_head_on_pairs(f, f, np.ones(len(f)), encoder="e")
    f[0] = np.nan
    with pytest.raises(OptionError, match="finite encodings"):
        fit_head(f, labels, encoder="e")


# the file


def saved(tmp_path, **changes):
    path = save_head(tmp_path / "head.json", PairHead("chi-square", np.array([-1.5, -0.25]), 0.1, "orl", {"ece": 0.02}))
    about = json.loads(path.read_text())
    path.write_text(json.dumps({**about, **changes}))
    return path


def test_a_head_comes_back_as_it_was(tmp_path):
    head = load_head(saved(tmp_path), encoder="orl")
    assert (head.feature, head.bias, head.encoder, head.calibration) == ("chi-square", 0.1, "orl", {"ece": 0.02})
    assert head.weights.tolist() == [-1.5, -0.25]


def test_an_existing_head_is_not_overwritten_unasked(tmp_path):
    path = saved(tmp_path)
    with pytest.raises(OutputError, match="exists already"):
        save_head(path, load_head(path))
    save_head(path, load_head(path), force=True)


def test_a_head_of_another_encoder_or_length_is_refused(tmp_path):
    path = saved(tmp_path)
    with pytest.raises(WeightsMismatch, match=r"encodings of sface, but .* fitted on orl"):
        load_head(path, encoder="sface")
    with pytest.raises(WeightsMismatch, match="encodings of 2 numbers"):
        load_head(path).probability(np.zeros(3), np.zeros(3))


@pytest.mark.parametrize(
    "changes",
    [{"format": "other"}, {"weights": "many"}, {"weights": []}, {"weights": [1, float("inf")]}, {"feature": "cosine"}],
)
def test_a_file_that_is_no_head_is_refused(tmp_path, changes):
    with pytest.raises(WeightsError, match=r"Expected a head that training wrote in .*head\.json"):
        load_head(saved(tmp_path, **changes))


def test_a_head_that_is_not_there_is_said_to_be_missing(tmp_path):
    with pytest.raises(WeightsNotFound, match="there is no"):
        load_head(tmp_path / "none.json")


def test_a_head_is_read_without_torch(tmp_path):
    code = (
        "import sys; from mien.backbones.pair_head import load_head; "
        f"head = load_head({str(saved(tmp_path))!r}); print(head.probability([0, 0], [0, 0]), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[1] == "False"
