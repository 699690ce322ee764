"""The score sheet of a liveness network, on tables worked by hand; and the network that mien ships."""

import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from skimage import data

from mien import images, weights
from mien.cli.faces_liveness import evaluate_liveness, liveness_model
from mien.errors import OptionError
from mien.faces.detect import Detector
from mien.faces.liveness import evaluation_text as text
from mien.faces.liveness.attacks import Presentation, take_picture
from mien.faces.liveness.attacks.camera import developed
from mien.faces.liveness.attacks.scene import source_of
from mien.faces.liveness.evaluate import (
    MOVES,
    Looks,
    Shown,
    choose_threshold,
    evaluate,
    look,
    nearest_middle,
    read_shown,
)
from mien.faces.liveness.passive import PassiveNet
from mien.faces.liveness.records import SHIPPED, read_liveness
from mien.faces.records import Face


@pytest.fixture(autouse=True)
def one_thread():
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield
    cv2.setNumThreads(threads)


def _face(x, y, width=40.0, height=60.0):
    return Face((x, y, width, height), np.zeros((5, 2), np.float32), 0.9)


def _looks(*rows, moved=None):
    """Rows of (species, person, score)."""
    shown = tuple(Shown(Path(f"{i}.jpg"), species, person) for i, (species, person, _) in enumerate(rows))
    scores = np.array([np.nan if score is None else score for *_, score in rows], np.float32)
    given = np.empty((len(rows), 0), np.float32) if moved is None else np.array(moved, np.float32)
    return Looks(shown, scores, given)


TABLE = _looks(
    *(("live", f"p{i}", score) for i, score in enumerate((0.9, 0.8, 0.7, 0.4))),  # one of four refused
    *(("print", f"p{i}", score) for i, score in enumerate((0.1, 0.2, 0.6, None))),  # one of three, one not seen
    *(("phone", f"p{i}", score) for i, score in enumerate((0.5, 0.9, 0.1, 0.2))),  # two of four: 0.5 is live at 0.5
)


# rates


def test_apcer_and_bpcer_are_those_of_the_table():
    result = evaluate(TABLE, 0.5)
    assert (result.bpcer.errors, result.bpcer.responses, result.bpcer.rate) == (1, 4, 0.25)
    phone, paper = result.apcer
    assert (phone.name, phone.errors, phone.responses) == ("phone", 2, 4)
    assert (paper.name, paper.errors, paper.responses, paper.presented) == ("print", 1, 3, 4)
    assert paper.rate == pytest.approx(1 / 3)


def test_a_picture_without_a_face_is_no_response_and_no_error():
    paper = evaluate(TABLE, 0.5).apcer[1]
    assert (paper.no_response, paper.no_response_rate) == (1, 0.25)


def test_the_worst_species_counts_and_not_the_mean():
    result = evaluate(TABLE, 0.5)
    assert result.worst.name == "phone"
    assert result.acer == (0.5 + 0.25) / 2
    assert result.pooled.rate == pytest.approx(3 / 7)


def test_a_threshold_of_its_own_changes_who_errs():
    result = evaluate(TABLE, 0.95)
    assert result.bpcer.rate == 1
    assert all(rate.errors == 0 for rate in result.apcer)


def test_without_an_error_the_interval_still_has_an_upper_end():
    rows = [("live", f"p{i}", 0.9) for i in range(10)] + [("print", f"p{i}", 0.1) for i in range(10)]
    result = evaluate(_looks(*rows), 0.5)
    # Wilson: z² / (n + z²) = 3.8415 / 13.8415.
    assert result.bpcer.interval == pytest.approx((0, 0.2775), abs=1e-3)
    assert result.acer == 0
    assert result.acer_interval[1] == pytest.approx(0.2775, abs=1e-3)


def test_pictures_of_one_person_err_together_and_widen_the_interval():
    # Ten people with ten pictures each; all errors are one person's.
    rows = [("live", f"p{i}", 0.1 if i == 0 else 0.9) for i in range(10) for _ in range(10)]
    attack = [("print", "q0", 0.1), ("print", "q1", 0.1)]
    together = evaluate(_looks(*rows, *attack), 0.5).bpcer
    spread = [("live", f"p{i}", 0.1 if j == 0 else 0.9) for i in range(10) for j in range(10)]
    apart = evaluate(_looks(*spread, *attack), 0.5).bpcer
    assert together.rate == apart.rate == 0.1
    assert together.interval[1] > apart.interval[1] + 0.05


def test_the_same_seed_gives_the_same_intervals():
    assert evaluate(TABLE, 0.5, seed=1) == evaluate(TABLE, 0.5, seed=1)


def test_groups_are_told_apart_by_their_marks():
    shown = (
        Shown(Path("a"), "live", "p", {"colour": "no", "distance": "far"}),
        Shown(Path("b"), "print", "p", {"colour": "no", "quality": "high"}),
        Shown(Path("c"), "print", "q", {"colour": "yes", "quality": "low"}),
    )
    result = evaluate(Looks(shown, np.array([0.9, 0.8, 0.1], np.float32), np.empty((3, 0), np.float32)), 0.5)
    rates = {group.name: group.rate for group in result.groups}
    assert rates == {
        "attacks, high": 1,
        "attacks, low": 0,
        "live, far": 0,
        "attacks, grey": 1,
        "attacks, colour": 0,
        "live, grey": 0,
    }


def test_flips_are_decisions_that_another_box_turns_round():
    rows = [("live", "p", 0.9), ("print", "q", 0.1), ("print", "r", None)]
    moved = [[0.9, 0.4, 0.9, 0.9, 0.9, 0.9], [0.1, 0.2, 0.1, 0.1, 0.6, 0.7], [math.nan] * 6]
    result = evaluate(_looks(*rows, moved=moved), 0.5)
    assert result.flips == pytest.approx(3 / 12)
    assert result.flips_by_move["right"] == 0.5
    assert result.flips_by_move["left"] == 0


def test_boxes_are_moved_by_a_fifth_of_their_sides(tmp_path):
    images.save(tmp_path / "one.png", np.full((200, 200, 3), 90, np.uint8))
    asked = []

    class Net:
        def score(self, image, faces):
            asked.extend(face.box for face in faces)
            return np.zeros(len(faces), np.float32)

    class Finder:
        def detect(self, image):
            return [_face(80, 70)]

    look([Shown(tmp_path / "one.png", "live", "p")], Net(), Finder())
    assert asked[0] == (80, 70, 40, 60)
    by_move = dict(zip(MOVES, asked[1:], strict=True))
    assert by_move["left"] == (72, 70, 40, 60)
    assert by_move["down"] == (80, 82, 40, 60)
    assert by_move["larger"] == pytest.approx((76, 64, 48, 72))
    assert by_move["smaller"] == pytest.approx((84, 76, 32, 48))


def test_the_face_in_the_middle_is_meant():
    image = np.zeros((200, 200, 3), np.uint8)
    assert nearest_middle([_face(0, 0), _face(75, 80), _face(150, 100)], image).box[0] == 75
    assert nearest_middle([], image) is None


# the threshold


def test_the_threshold_is_the_lowest_that_keeps_the_worst_species_to_the_apcer():
    rows = [("live", "p", 0.5)]
    rows += [("print", "p", s / 20) for s in range(20)]  # 0 … 0.95: one of twenty may pass
    rows += [("phone", "p", s / 200) for s in range(20)]
    threshold = choose_threshold(_looks(*rows), apcer=0.05)
    assert threshold == pytest.approx(0.9, abs=1e-6)
    result = evaluate(_looks(*rows), threshold)
    assert result.worst.name == "print"
    assert result.worst.errors == 1
    assert evaluate(_looks(*rows), 0.8999).worst.errors == 2


def test_no_threshold_without_attacks():
    with pytest.raises(OptionError, match="attacks with a face"):
        choose_threshold(_looks(("live", "p", 0.5), ("print", "p", None)))
    with pytest.raises(OptionError, match="between 0 and 1"):
        choose_threshold(TABLE, apcer=1.5)


# folders


def test_a_folder_of_ones_own_is_read_by_its_names(tmp_path):
    for name in ("live/anne/1.png", "live/2.png", "paper/anne/x.png", "paper/notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    shown = {(one.species, one.person) for one in read_shown(tmp_path)}
    assert shown == {("live", "anne"), ("live", "live/2"), ("paper", "anne")}


def test_a_table_is_believed_and_its_parts_kept_apart(tmp_path):
    lines = ("path,species,person,quality,colour,part", "a.jpg,live,anne,,no,judge", "b.jpg,print,bea,low,no,judge")
    (tmp_path / "attacks.csv").write_text("\n".join((*lines, "c.jpg,print,eve,low,no,learn", "")))
    judged = read_shown(tmp_path, part="judge")
    assert [(one.path.name, one.person, dict(one.marks)) for one in judged] == [
        ("a.jpg", "anne", {"colour": "no"}),
        ("b.jpg", "bea", {"quality": "low", "colour": "no"}),
    ]
    assert len(read_shown(tmp_path)) == 3
    with pytest.raises(OptionError, match="found print"):
        read_shown(tmp_path, part="learn")


def test_a_folder_without_living_faces_or_without_attacks_is_refused(tmp_path):
    with pytest.raises(OptionError, match="is none"):
        read_shown(tmp_path / "nowhere")
    (tmp_path / "live").mkdir()
    (tmp_path / "live" / "a.png").write_bytes(b"")
    with pytest.raises(OptionError, match="mien faces attacks"):
        read_shown(tmp_path)
    with pytest.raises(OptionError, match="part judge"):
        read_shown(tmp_path, part="judge")


def test_a_picture_that_cannot_be_read_is_counted(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    looks = look([Shown(tmp_path / "a.png", "live", "p")], None, None)
    assert looks.unreadable == 1
    assert np.isnan(looks.scores).all()


# words


def test_weakness_is_said_in_words():
    lines = text.lines(evaluate(TABLE, 0.5), network="net-0", scripts=[("a photo first", 1000, 0)])
    said = "\n".join(lines)
    assert "Weak against phone (1 in 2)" in said
    assert "One living face in 4 is refused" in said
    assert "simulations" in said
    assert "Not tested: silicone masks" in said
    assert "a photo first: 0 of 1,000 passed" in said


def test_the_record_is_json_without_nan():
    rows = [("live", "p", 0.9), ("live", "q", 0.9), ("print", "p", None)]
    plain = json.dumps(text.record(evaluate(_looks(*rows), 0.5), network="net-0"), allow_nan=False)
    assert json.loads(plain)["apcer"]["print"]["rate"] is None


def test_the_page_escapes_what_folders_are_called():
    rows = [("live", "p", 0.9), ("live", "q", 0.9), ("<b>", "p", 0.1), ("<b>", "q", 0.2)]
    page = text.page(evaluate(_looks(*rows), 0.5), network="net-0")
    assert "<b>" not in page
    assert "&lt;b&gt;" in page
    assert text.picture(evaluate(_looks(*rows), 0.5)).startswith(b"\x89PNG")


# the shipped network


@pytest.fixture(scope="module")
def detector():
    return Detector(thorough=False)


@pytest.fixture(scope="module")
def source(detector):
    photo = images.resize(data.astronaut(), 256, 256)
    return source_of(photo, detector.detect(photo)[0], person="A", name="a")


@pytest.fixture(scope="module")
def taken(source, detector):
    """A function: pictures of the astronaut, as presented."""
    other = np.ascontiguousarray(source.pixels[:, ::-1])
    behind = source_of(other, detector.detect(other)[0], person="B", name="b")

    def take(species, quality, seed):
        what = Presentation(species, quality, "middle")
        return developed(take_picture(source, what, behind, np.random.default_rng(seed)))

    return take


def test_the_shipped_network_is_the_one_of_its_record_and_small():
    record, how = read_liveness("liveness")
    path = weights.find(record)
    assert weights.sha256(path) == record.sha256
    assert path.stat().st_size < 1_000_000
    assert (how.scale, how.activation) == (2.2, "softmax")


def test_the_record_says_what_it_was_trained_on_and_what_it_is_not():
    given = json.loads(SHIPPED.read_text())
    assert "simulated attacks" in given["origin"]
    assert "not certified" in given["origin"]
    assert "LFW" in given["origin"]


def test_the_shipped_network_tells_prints_and_telephones_from_a_living_face(taken, detector):
    net = PassiveNet()

    def mean(species, quality):
        pictures = [taken(species, quality, seed) for seed in range(6)]
        found = [(picture, nearest_middle(detector.detect(picture), picture)) for picture in pictures]
        return float(np.mean([net.score(picture, [face])[0] for picture, face in found if face is not None]))

    assert mean("live", None) > net.threshold
    assert mean("print-paper", "low") < net.threshold
    assert mean("replay-phone", "low") < net.threshold


def test_the_command_writes_a_score_sheet(taken, tmp_path):
    for species, quality in (("live", None), ("print-mask", "low")):
        for person in ("a", "b"):
            folder = tmp_path / "shown" / species / person
            folder.mkdir(parents=True)
            images.save(folder / "one.png", taken(species, quality, ord(person)))
    out = tmp_path / "sheet"
    answer = CliRunner().invoke(evaluate_liveness, [str(tmp_path / "shown"), "-o", str(out), "--json"])
    assert answer.exit_code == 0, answer.output
    assert json.loads(answer.stdout)["apcer"]["print-mask"]["presented"] == 2
    assert sorted(path.name for path in out.iterdir()) == ["liveness.html", "liveness.json", "liveness.png"]
    again = CliRunner().invoke(evaluate_liveness, [str(tmp_path / "shown"), "-o", str(out)])
    assert again.exit_code != 0
    assert "--force" in str(again.exception)


def test_the_command_asks_for_something_to_judge_by():
    answer = CliRunner().invoke(evaluate_liveness, [])
    assert "got none" in str(answer.exception)


def test_a_score_sheet_needs_pictures_and_says_so_before_the_scripts_are_run(tmp_path):
    answer = CliRunner().invoke(evaluate_liveness, ["--scripts", "1000", "-o", str(tmp_path / "sheet")])
    assert "Expected pictures to judge by" in str(answer.exception)
    assert not (tmp_path / "sheet").exists()


def test_a_network_that_is_there_is_not_overwritten(tmp_path):
    (tmp_path / "liveness.json").write_text("{}")
    answer = CliRunner().invoke(liveness_model, ["encoder", "attacks", "-o", str(tmp_path)])
    assert "--force" in str(answer.exception)
    assert (tmp_path / "liveness.json").read_text() == "{}"
