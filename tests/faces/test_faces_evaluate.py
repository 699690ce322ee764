"""The LFW protocol and folders of people: what is read, what is compared, and what counts as an error."""

import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

from mien import images, metrics, weights
from mien.errors import OptionError
from mien.faces import evaluate
from mien.faces.comparisons import compare_all, operating_points, rates_by_group, search, supported_levels
from mien.faces.detect import Detector
from mien.faces.encode import load_encoder
from mien.faces.evaluate import evaluate_folder, evaluate_lfw, nearest_centre, see_folder, worst_group
from mien.faces.protocols import Pair, parse_pairs, read_groups, read_labels, read_pairs, read_people
from mien.faces.records import Face


def at(degrees):
    """A unit encoding; two of them are 2 sin(difference / 2) apart."""
    return np.array([math.cos(math.radians(degrees)), math.sin(math.radians(degrees))], np.float32)


def apart(degrees):
    return 2 * math.sin(math.radians(degrees) / 2)


def people_in_space(people, photos, *, spread, seed=0, dimension=16):
    """Encodings of people: a random centre each, and photos around it."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(people, 1, dimension))
    x = centres + spread * random.normal(size=(people, photos, dimension))
    return (x / np.linalg.norm(x, axis=2, keepdims=True)).astype(np.float32)


def lfw(genuine, impostor, folds):
    """Pairs at the given angles, their encodings, and one person more for every photo of an impostor pair."""
    pairs, encodings = [], {}

    def pair(name, people, angle, fold):
        first, second = Path(f"{name}a"), Path(f"{name}b")
        pairs.append(Pair(first, second, people, fold))
        encodings[first], encodings[second] = at(0), None if angle is None else at(angle)

    for fold in range(folds):
        for i, angle in enumerate(genuine[fold]):
            pair(f"g{fold}_{i}", (f"p{fold}_{i}",) * 2, angle, fold)
        for i, angle in enumerate(impostor[fold]):
            pair(f"i{fold}_{i}", (f"p{fold}_{i}", f"q{fold}_{i}"), angle, fold)
    return pairs, encodings


# ---- pairs.txt -------------------------------------------------------------------------------------------------------

TWO_FOLDS = (
    "2\t2\nAnn\t1\t2\nBob\t1\t3\nAnn\t1\tBob\t2\nCid\t1\tAnn\t2\nDan\t1\t2\nEve\t2\t3\nDan\t1\tEve\t1\nEve\t1\tFay\t1\n"
)


def test_pairs_are_read_fold_by_fold_matched_ones_first():
    parsed = parse_pairs(TWO_FOLDS)
    assert len(parsed) == 8
    assert parsed[0] == (0, (("Ann", 1), ("Ann", 2)))
    assert parsed[3] == (0, (("Cid", 1), ("Ann", 2)))
    assert parsed[4] == (1, (("Dan", 1), ("Dan", 2)))
    assert [fold for fold, _ in parsed] == [0, 0, 0, 0, 1, 1, 1, 1]


@pytest.mark.parametrize("change", [lambda t: t.replace("\t", "  "), lambda t: t.replace("\n", "\r\n"), str.strip])
def test_spaces_line_ends_and_a_missing_last_one_make_no_difference(change):
    assert parse_pairs(change(TWO_FOLDS)) == parse_pairs(TWO_FOLDS)


def test_a_single_number_means_one_fold():
    assert parse_pairs("1\nAnn 1 2\nAnn 1 Bob 1") == [(0, (("Ann", 1), ("Ann", 2))), (0, (("Ann", 1), ("Bob", 1)))]


def test_a_name_between_tabs_may_hold_spaces():
    assert parse_pairs("1\nAnn Lee\t1\t2\nAnn Lee\t1\tBob\t1")[0][1][0] == ("Ann Lee", 1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("ten 300\n", "line 1.*folds"),
        ("0 1\n", "line 1"),
        ("1 1 1\n", "line 1"),
        ("1\nAnn 1 2\n", "line 2.*are 1;"),
        ("1\nAnn 1 2\nAnn 1 Bob 1\nAnn 2 Bob 2\n", "line 4.*are 3;"),
        ("1\nAnn 1 Bob 1\nAnn 1 2\n", "line 2.*one person"),
        ("1\nAnn 1 2\nBob 1 2\n", "line 3.*two people"),
        ("1\nAnn 1 x\nAnn 1 Bob 1\n", "line 2.*counted from 1"),
        ("1\nAnn 0 2\nAnn 1 Bob 1\n", "line 2.*counted from 1"),
        ("1\nAnn 1 -2\nAnn 1 Bob 1\n", "line 2"),
        ("1\nAnn 1 1\nAnn 1 Bob 1\n", "line 2.*two different photos"),
        ("1\nAnn 1 2\nAnn 1 Ann 2\n", "line 3.*two different people"),
        ("1\n../../etc 1 2\nAnn 1 Bob 1\n", "line 2.*names"),
    ],
)
def test_a_malformed_line_is_refused_with_its_number(text, said):
    with pytest.raises(OptionError, match=said):
        parse_pairs(text)


def test_photos_are_found_as_jpg_or_png_and_missing_ones_are_told(tmp_path):
    (tmp_path / "pairs.txt").write_text("1\nAnn 1 2\nAnn 1 Bob 12\n", encoding="utf-8")
    for name in ("Ann/Ann_0001.jpg", "Ann/Ann_0002.png", "Bob/Bob_0012.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    pairs = read_pairs(tmp_path / "pairs.txt", tmp_path)
    assert [pair.same for pair in pairs] == [True, False]
    assert pairs[0].second == tmp_path / "Ann/Ann_0002.png"
    assert pairs[1].second == tmp_path / "Bob/Bob_0012.jpg"
    (tmp_path / "Bob/Bob_0012.jpg").unlink()
    with pytest.raises(OptionError, match="1 of 3 are not there, Bob_0012"):
        read_pairs(tmp_path / "pairs.txt", tmp_path)


def test_a_pairs_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "pairs.txt").write_bytes(b"\xff\xfe\x00\x01")
    for name in ("pairs.txt", "nothing.txt"):
        with pytest.raises(OptionError, match="cannot be read"):
            read_pairs(tmp_path / name, tmp_path)


# ---- LFW -------------------------------------------------------------------------------------------------------------


def test_accuracy_is_the_mean_over_folds_with_tau_chosen_on_the_others():
    # Each fold is separable, but the second one's distances are larger: its best τ is wrong for the first, and back.
    pairs, encodings = lfw([[10, 20], [50, 60]], [[40, 45], [90, 100]], folds=2)
    result = evaluate_lfw(pairs, encodings, rounds=20)
    halfway = (apart(60) + apart(90)) / 2
    assert result.fold_thresholds == pytest.approx((halfway, (apart(20) + apart(40)) / 2), abs=1e-6)
    assert result.fold_accuracies == (0.5, 0.5)
    assert result.threshold == pytest.approx(np.mean(result.fold_thresholds))
    assert not result.optimistic


def test_standard_error_is_that_of_the_mean_of_folds():
    pairs, encodings = lfw([[10], [10], [10], [100]], [[90], [90], [90], [90]], folds=4)
    result = evaluate_lfw(pairs, encodings, rounds=20)
    assert result.fold_accuracies == (1, 1, 1, 0.5)
    assert result.accuracy == 0.875
    assert result.standard_error == pytest.approx(np.std([1, 1, 1, 0.5], ddof=1) / 2)


def test_a_single_fold_is_called_optimistic_and_has_no_standard_error():
    pairs, encodings = lfw([[10, 20]], [[40, 45]], folds=1)
    result = evaluate_lfw(pairs, encodings, rounds=20)
    assert result.accuracy == 1
    assert result.optimistic
    assert result.standard_error is None


def test_every_pair_of_a_photo_without_a_face_is_an_error():
    angles = [[10, 12, 14]] * 2, [[90, 95, 99]] * 2
    assert evaluate_lfw(*lfw(*angles, folds=2), rounds=20).accuracy == 1
    with_failures = [[10, 12, None]] * 2, [[90, 95, None]] * 2
    result = evaluate_lfw(*lfw(*with_failures, folds=2), rounds=20)
    assert result.accuracy == pytest.approx(4 / 6)
    assert result.failed_pairs == 4
    assert (result.failures, result.without_face, result.photos, result.pairs) == (4, 4, 24, 12)
    assert result.eer is None
    assert result.points[0].fnmr == 1  # at FMR 0.1 not one of six impostor pairs may match, and two do


def test_unreadable_photos_are_counted_apart_and_are_errors_too():
    pairs, encodings = lfw([[10, None]] * 2, [[90, 95]] * 2, folds=2)
    result = evaluate_lfw(pairs, encodings, unreadable={Path("g0_1b")}, rounds=20)
    assert (result.without_face, result.unreadable, result.failures) == (1, 1, 2)
    assert result.accuracy == 0.75


def test_an_equal_error_rate_of_one_where_all_impostor_pairs_failed():
    pairs, encodings = lfw([[None, 10] * 8] * 2, [[None, None] * 8] * 2, folds=2)
    assert evaluate_lfw(pairs, encodings, rounds=20).eer == 1


def test_an_equal_error_rate_takes_thirty_comparisons_of_each_kind():
    enough, few = [[10] * 15] * 2, [[10] * 15, [10] * 14]
    result = evaluate_lfw(*lfw(enough, [[90] * 15] * 2, folds=2), rounds=20)
    assert result.eer == 0
    assert result.eer_interval == (0, pytest.approx(3 / 30))  # no error: the rule of three
    assert result.accuracy_interval == (1 - 3 / 60, 1)
    for angles in ((few, [[90] * 15] * 2), (enough, [[90] * 15, [90] * 14])):
        result = evaluate_lfw(*lfw(*angles, folds=2), rounds=20)
        assert (result.eer, result.eer_interval) == (None, None)
    people, encodings = folder_of(people_in_space(8, 2, spread=0.1))  # 8 genuine, 112 impostor comparisons
    result = evaluate_folder(people, encodings, rounds=20, splits=2)
    assert (result.eer, result.eer_interval, result.eer_threshold) == (None, None, None)


def test_the_equal_error_rate_of_a_folder_lies_in_its_interval():
    people, encodings = folder_of(people_in_space(30, 3, spread=0.9))
    result = evaluate_folder(people, encodings, rounds=100, splits=2)
    low, high = result.eer_interval
    assert 0 < low < result.eer < high < 1


def test_a_point_says_how_many_errors_it_rests_on():
    people, encodings = folder_of(people_in_space(30, 3, spread=0.9))
    for point in evaluate_folder(people, encodings, rounds=20, splits=2).points:
        compared = compare_all([[encodings[path] for path in own] for own in people.values()])
        assert point.misses == np.count_nonzero(compared.genuine >= point.threshold)
        assert point.fnmr == pytest.approx(point.misses / len(compared.genuine))
        assert point.supported
    random = np.random.default_rng(3)
    result = evaluate_lfw(*lfw(random.uniform(5, 80, (3, 40)), random.uniform(50, 120, (3, 40)), folds=3), rounds=20)
    assert [(point.rests_on, point.supported) for point in result.points] == [(12, True), (1, False), (0, False)]


def test_where_every_photo_failed_that_is_said():
    with pytest.raises(OptionError, match="none of the comparisons"):
        evaluate_lfw(*lfw([[None]], [[None]], folds=1))


def test_rates_of_lfw_are_those_of_its_pairs():
    random = np.random.default_rng(3)
    genuine, impostor = random.uniform(5, 80, (3, 40)), random.uniform(50, 120, (3, 40))
    result = evaluate_lfw(*lfw(genuine, impostor, folds=3), rounds=50)
    same, other = apart_all(genuine), apart_all(impostor)
    assert result.eer == pytest.approx(metrics.eer(same, other)[0], abs=1e-6)
    assert [point.fmr for point in result.points] == [0.1, 0.01, 0.001]
    for point in result.points:
        assert np.mean(other < point.threshold - 1e-6) <= point.fmr
        assert point.fnmr == np.mean(same >= point.threshold)
        assert point.tar == 1 - point.fnmr
        assert point.fnmr_interval[0] <= point.fnmr <= point.fnmr_interval[1]
    assert [point.rests_on for point in result.points] == [12, 1, 0]
    assert not any(point.firm for point in result.points)
    assert result.points[2].fmr_interval == (0, 3 / 120)  # no false match: the rule of three
    low, high = result.accuracy_interval
    assert low < result.accuracy < high


def apart_all(angles):
    return np.array([apart(angle) for angle in np.ravel(angles)])


def test_the_same_seed_gives_the_same_intervals_and_another_one_others():
    random = np.random.default_rng(4)
    data = lfw(random.uniform(5, 80, (2, 30)), random.uniform(50, 120, (2, 30)), folds=2)
    first, again, other = (evaluate_lfw(*data, rounds=50, seed=seed) for seed in (1, 1, 2))
    assert first.accuracy_interval == again.accuracy_interval
    assert first.points == again.points
    assert first.points != other.points


def test_pairs_of_one_kind_or_without_an_encoding_are_refused():
    pairs, encodings = lfw([[10, 20]], [[40, 45]], folds=1)
    with pytest.raises(OptionError, match="all are of one kind"):
        evaluate_lfw([pair for pair in pairs if pair.same], encodings)
    del encodings[Path("g0_0a")]
    with pytest.raises(OptionError, match="nothing for “g0_0a”"):
        evaluate_lfw(pairs, encodings)


# ---- every two photos ------------------------------------------------------------------------------------------------


def test_all_comparisons_are_those_of_two_loops():
    x = people_in_space(5, 3, spread=0.5)
    encodings = [list(own) for own in x]
    encodings[3] = encodings[3][:1]
    encodings[1][2] = None
    compared = compare_all(encodings)
    flat = [(p, e) for p, own in enumerate(encodings) for e in own]
    genuine, impostor = [], []
    for i in range(len(flat)):
        for j in range(i):
            (a, e), (b, f) = flat[i], flat[j]
            missing = e is None or f is None
            if a == b:
                genuine.append((a, np.inf if missing else np.linalg.norm(e - f)))
            elif not missing:
                impostor.append((*sorted((a, b)), np.linalg.norm(e - f)))
    found = sorted(zip(compared.owner, compared.genuine, strict=True))
    np.testing.assert_allclose(found, sorted(genuine), atol=1e-6)
    ends = np.sort([compared.left, compared.right], axis=0)
    order = np.lexsort((compared.impostor, ends[1], ends[0]))
    np.testing.assert_allclose(np.array([*ends, compared.impostor]).T[order], sorted(impostor), atol=1e-5)
    assert compared.total == len(impostor)
    assert compared.histograms[1].sum() == len(impostor)
    assert compared.histograms[0].sum() == np.isfinite([d for _, d in genuine]).sum()


def test_with_fewer_comparisons_kept_the_rates_are_the_same(monkeypatch):
    monkeypatch.setattr("mien.faces.comparisons._ROWS", 7)
    encodings = [list(own) for own in people_in_space(40, 3, spread=1.2)]
    everything, nearest = compare_all(encodings), compare_all(encodings, kept=2000)
    assert len(nearest.impostor) == 2000
    assert nearest.total == everything.total == 40 * 39 // 2 * 9
    np.testing.assert_array_equal(nearest.impostor.max(), np.sort(everything.impostor)[1999])
    assert operating_points(nearest, (0.1, 0.01), rounds=20) == operating_points(everything, (0.1, 0.01), rounds=20)


def test_rates_stop_where_fewer_than_three_errors_are_expected():
    assert supported_levels(29) == ()
    assert supported_levels(30) == (0.1,)
    assert supported_levels(299) == (0.1,)
    assert supported_levels(3_000_000) == (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)


def test_a_folder_gives_the_rates_of_all_its_comparisons():
    x = people_in_space(30, 3, spread=0.6)
    people, encodings = folder_of(x)
    result = evaluate_folder(people, encodings, rounds=100, splits=5)
    compared = compare_all(x)
    assert result.eer == pytest.approx(metrics.eer(compared.genuine, compared.impostor)[0])
    assert [point.fmr for point in result.points] == [0.1, 0.01, 0.001]
    for point in result.points:
        assert (point.fnmr, point.threshold) == metrics.fnmr_at_fmr(compared.genuine, compared.impostor, point.fmr)
        assert point.fmr_interval[0] <= point.fmr <= point.fmr_interval[1]
        assert point.fnmr_interval[0] <= point.fnmr <= point.fnmr_interval[1]
    assert [point.firm for point in result.points] == [True, True, False]
    assert (result.people, result.photos, result.failures) == (30, 90, 0)


def test_a_photo_without_a_face_costs_genuine_comparisons_and_leaves_impostor_ones_alone():
    x = people_in_space(30, 3, spread=0.05)
    people, encodings = folder_of(x)
    before = evaluate_folder(people, encodings, rounds=20, splits=5)
    assert before.points[0].fnmr == 0
    assert before.points[0].fnmr_interval == (0, 3 / 30)  # three by the people compared
    encodings[people["p7"][0]] = None
    after = evaluate_folder(people, encodings, rounds=20, splits=5)
    assert after.points[0].fnmr == pytest.approx(2 / 90)
    assert after.compared.total == before.compared.total - 87
    assert after.without_face == 1
    assert max(row.fnir for row in after.identification) > max(row.fnir for row in before.identification) == 0


def folder_of(x):
    people = {f"p{i}": tuple(Path(f"p{i}/{j}.jpg") for j in range(len(own))) for i, own in enumerate(x)}
    return people, {path: x[i][j] for i, paths in enumerate(people.values()) for j, path in enumerate(paths)}


def test_a_folder_in_which_nothing_can_be_compared_is_refused():
    people, encodings = folder_of(people_in_space(3, 2, spread=0.1))
    with pytest.raises(OptionError, match="two people"):
        evaluate_folder(people, dict.fromkeys(encodings))
    with pytest.raises(OptionError, match="two photos"):
        evaluate_folder({name: paths[:1] for name, paths in people.items()}, encodings)


# ---- searches --------------------------------------------------------------------------------------------------------


def test_searches_find_everybody_where_photos_of_one_person_are_alike():
    x = people_in_space(60, 2, spread=0.01)
    rows = search(x, fixed={1e-3: 0.2}, splits=5)
    assert {(row.people, row.kind, row.rate) for row in rows} == {
        (k, kind, rate) for k in (10, 30) for kind, rate in (("fpir", 0.1), ("fmr", 1e-3))
    }
    assert all(row.fnir == 0 and row.strangers == 30 for row in rows)
    by_tau = [row for row in rows if row.kind == "fmr"]
    assert all(row.fpir == 0 and row.fpir_spread == (0, 0) for row in by_tau)
    assert all(row.threshold == 0.2 for row in by_tau)


def test_fpir_is_kept_to_and_grows_with_the_number_of_people_at_one_threshold():
    x = people_in_space(300, 2, spread=0.4, dimension=8)
    rows = search(x, fixed={1e-2: 0.5}, splits=10)
    kept = [row for row in rows if row.kind == "fpir"]
    assert kept
    assert all(0.5 * row.rate < row.fpir <= row.rate for row in kept)
    taus = {row.people: row.threshold for row in kept if row.rate == 0.1}
    assert taus[10] > taus[100] > taus[150]
    fpir = {row.people: row.fpir for row in rows if row.kind == "fmr"}
    assert fpir[10] < fpir[100] < fpir[150]
    # The chance that at least one of K matches, of comparisons that hardly depend on each other:
    one = np.mean(compare_all(x).impostor < 0.5)
    assert fpir[10] == pytest.approx(1 - (1 - one) ** 10, rel=0.3)


def test_a_search_that_names_the_wrong_person_is_an_error_though_it_is_near():
    """Two people whose second photos are swapped: each is found as the other."""
    x = people_in_space(40, 2, spread=0.01)
    x[0::2, 1], x[1::2, 1] = x[1::2, 1].copy(), x[0::2, 1].copy()
    everybody = [row for row in search(x, fixed={1e-2: 1.9}, splits=3) if row.kind == "fmr"]
    assert all(row.fnir > 0.8 for row in everybody)


def test_people_with_one_photo_are_enrolled_but_not_searched():
    x = people_in_space(40, 2, spread=0.01)
    encodings = [list(own) if i % 2 else list(own[:1]) for i, own in enumerate(x)]
    rows = search(encodings, fixed={1e-2: 0.2}, splits=4)
    assert all(row.fnir == 0 for row in rows)
    assert search([own[:1] for own in encodings], fixed={1e-2: 0.2}, splits=2) == ()


# ---- groups ----------------------------------------------------------------------------------------------------------


def test_the_worst_group_is_the_one_whose_people_look_alike():
    x = people_in_space(40, 3, spread=0.5)
    x[20:, :, 0] += 2  # a direction that half of them share
    x /= np.linalg.norm(x, axis=2, keepdims=True)
    people, encodings = folder_of(x)
    groups = {person: "alike" if i >= 20 else "not" for i, person in enumerate(people) if i}
    result = evaluate_folder(people, encodings, groups=groups, rounds=50, splits=2)
    assert worst_group(result.groups, "fmr").group == "alike"
    alike, other = result.groups
    assert alike.fmr > other.fmr
    assert (alike.people, other.people, result.ungrouped) == (20, 19, 1)
    compared, tau = compare_all(x), result.group_threshold
    inside = (compared.left >= 20) & (compared.right >= 20)
    assert alike.impostors == inside.sum()
    assert alike.fmr == pytest.approx(np.mean(compared.impostor[inside] < tau))
    assert alike.fnmr == pytest.approx(np.mean(compared.genuine[compared.owner >= 20] >= tau))
    assert alike.fmr_interval[0] <= alike.fmr <= alike.fmr_interval[1]


def test_a_group_of_one_person_has_no_false_match_rate():
    x = people_in_space(4, 3, spread=0.1)
    (alone, rest) = rates_by_group(compare_all(x), ["a", "b", "b", "b"], 0.5, rounds=20)
    assert (alone.group, alone.fmr, alone.fmr_interval, alone.fnmr_interval) == ("a", None, None, None)
    assert rest.people == 3
    assert worst_group((alone,), "fmr") is None


def test_groups_are_read_with_or_without_a_header(tmp_path):
    file = tmp_path / "groups.csv"
    for header in ("person,group\n", ""):
        file.write_text(f'{header}Ann, one\n"Lee, Bob",two\nStranger,two\n\n', encoding="utf-8")
        assert read_groups(file, ["Ann", "Lee, Bob", "Cid"]) == {"Ann": "one", "Lee, Bob": "two"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Ann\n", "line 1"),
        ("Ann,a\nBob,b,c\n", "line 2"),
        ("Ann,a\nAnn,b\n", "line 2.*two"),
        ("Zoe,a\n", "none of"),
        ("Ann," + 200_000 * "a", "no such CSV"),
    ],
)
def test_a_malformed_group_file_is_refused(tmp_path, text, said):
    (tmp_path / "groups.csv").write_text(text, encoding="utf-8")
    with pytest.raises(OptionError, match=said):
        read_groups(tmp_path / "groups.csv", ["Ann", "Bob"])


def test_corrections_with_a_monstrous_field_are_refused(tmp_path):
    (tmp_path / "fixes.csv").write_text("Ann/1.jpg," + 200_000 * "x", encoding="utf-8")
    with pytest.raises(OptionError, match="no such CSV"):
        read_labels(tmp_path / "fixes.csv", tmp_path, [tmp_path / "Ann/1.jpg"])


# ---- seeing ----------------------------------------------------------------------------------------------------------


def face(x, y, width=20, height=20):
    landmarks = np.array([[x + 5, y + 6], [x + 15, y + 6], [x + 10, y + 11], [x + 6, y + 15], [x + 14, y + 15]])
    return Face((x, y, width, height), landmarks.astype(np.float32), 0.9)


class GreyDetector:
    """Finds a face in the middle of every picture that is not black."""

    def detect(self, image):
        height, width = image.shape[:2]
        return [face(0, 0), face(width / 2 - 10, height / 2 - 10)] if image.max() else []


class GreyEncoder:
    """Encodes a crop as the direction of its brightness."""

    weights = weights.RECORDS["sface"]

    def __init__(self):
        self.batches = []

    def encode(self, crops):
        self.batches.append(len(crops))
        return np.stack([at(float(crop.max()) / 255 * 90) for crop in crops])


def test_a_folder_is_seen_in_batches_and_what_fails_is_told_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate, "_BATCH", 2)
    values = {"a.png": 51, "b.png": 102, "c.png": 0, "d.png": 204}
    for name, value in values.items():
        images.save(tmp_path / name, np.full((60, 60, 3), value, np.uint8))
    (tmp_path / "e.png").write_bytes(b"no picture")
    paths = sorted(tmp_path.iterdir())
    encoder, told = GreyEncoder(), []
    seen = see_folder(paths, GreyDetector(), encoder, progress=told.append)
    assert list(seen.encodings) == paths
    assert told == [1, 2, 3, 4, 5]
    assert encoder.batches == [2, 1]
    for name, value in values.items():
        encoding = seen.encodings[tmp_path / name]
        if value:
            np.testing.assert_allclose(encoding, at(value / 255 * 90), atol=0.02)
        else:
            assert encoding is None
    assert list(seen.unreadable) == [tmp_path / "e.png"]
    assert seen.encodings[tmp_path / "e.png"] is None


def test_real_photos_are_seen_and_a_cat_is_no_face(tmp_path):
    cv2.setNumThreads(1)
    face = data.astronaut()[:256, 96:352]
    pictures = {
        "a.png": face,
        "b.png": np.clip(face[:, ::-1] * 0.7, 0, 255).astype(np.uint8),
        "cat.png": data.chelsea(),
    }
    for name, pixels in pictures.items():
        images.save(tmp_path / name, pixels)
    seen = see_folder(sorted(tmp_path.iterdir()), Detector(), load_encoder())
    a, b, cat = seen.encodings.values()
    assert a.shape == (128,)
    assert np.linalg.norm(a) == pytest.approx(1, abs=1e-5)
    assert np.linalg.norm(a - b) < 0.6
    assert cat is None
    assert seen.unreadable == {}


def test_the_face_nearest_the_centre_is_taken():
    faces = [face(0, 0), face(60, 30), face(38, 41)]
    assert nearest_centre(faces, np.zeros((100, 100, 3), np.uint8)) is faces[2]
    assert nearest_centre(faces, np.zeros((80, 140, 3), np.uint8)) is faces[1]


def test_an_encoder_without_a_template_is_refused():
    encoder = GreyEncoder()
    encoder.weights = replace(encoder.weights, template=None)
    with pytest.raises(OptionError, match="template"):
        see_folder([], GreyDetector(), encoder)


def test_people_are_the_folders_that_hold_pictures(tmp_path):
    for name in (
        "Ann/1.jpg",
        "Ann/2.PNG",
        "Ann/notes.txt",
        "Ann/.hidden.jpg",
        "Bob/1.jpeg",
        "Cid/none.txt",
        "pairs.txt",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    people = read_people(tmp_path)
    assert {name: [path.name for path in photos] for name, photos in people.items()} == {
        "Ann": ["1.jpg", "2.PNG"],
        "Bob": ["1.jpeg"],
    }
    (tmp_path / "Ann/2.PNG").unlink()
    with pytest.raises(OptionError, match="found 2 photos of 2 people"):
        read_people(tmp_path)
    with pytest.raises(OptionError, match="is none"):
        read_people(tmp_path / "pairs.txt")
