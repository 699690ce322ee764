"""Simulated attacks: what follows from the seed, what grey photos may carry, who is kept apart from whom."""

import csv
from dataclasses import replace

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from skimage import data

from mien import images
from mien.cli.faces_liveness import attacks
from mien.errors import OptionError
from mien.faces.detect import Detector
from mien.faces.liveness.attacks import (
    LIVE,
    QUALITIES,
    SPECIES,
    UNTESTED,
    Plan,
    Presentation,
    generate,
    part_of,
    take_picture,
)
from mien.faces.liveness.attacks.camera import Camera, developed, draw_camera, is_grey, photograph, to_light
from mien.faces.liveness.attacks.generate import COLUMNS, crop_box, presentations
from mien.faces.liveness.attacks.scene import View, covered, draw_view, inside_box, sample, source_of, turned
from mien.faces.records import Face
from mien.training.reading import from_csv
from mien.training.splits import by_group


@pytest.fixture(autouse=True)
def one_thread():
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield
    cv2.setNumThreads(threads)


@pytest.fixture(scope="module")
def detector():
    return Detector(thorough=False)


@pytest.fixture(scope="module")
def photo():
    """NASA's portrait of Eileen Collins, 256 pixels."""
    return images.resize(data.astronaut(), 256, 256)


@pytest.fixture(scope="module")
def source(photo, detector):
    return source_of(photo, detector.detect(photo)[0], person="A", name="a")


@pytest.fixture(scope="module")
def behind(photo, detector):
    other = np.ascontiguousarray(photo[:, ::-1])
    return source_of(other, detector.detect(other)[0], person="B", name="b")


@pytest.fixture(scope="module")
def people(photo, tmp_path_factory):
    """Two people: a colour one, and a grey one who is her mirror image."""
    folder = tmp_path_factory.mktemp("people")
    for person, pixels in (("Anne", photo), ("Bea", _greyed(np.ascontiguousarray(photo[:, ::-1])))):
        (folder / person).mkdir()
        images.save(folder / person / "one.png", pixels)
    return folder


@pytest.fixture(scope="module")
def made(people, tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "attacks"
    return folder, generate(people, folder, Plan(seed=3, per=5, size=48))


def _greyed(pixels):
    luma = np.rint(pixels @ [0.2126, 0.7152, 0.0722]).astype(np.uint8)
    return np.repeat(luma[:, :, None], 3, axis=2)


def _rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _taken(source, behind, species, seed=0, quality="low"):
    what = Presentation(species, None if species == LIVE else quality, "middle")
    return developed(take_picture(source, what, behind, np.random.default_rng(seed)))


# the camera


def test_a_neutral_camera_gives_a_picture_back_but_for_the_jpeg(photo):
    light = to_light(photo, grey=False)
    again = developed(photograph(light, Camera(quality=100), np.random.default_rng(0)))
    assert np.abs(again.astype(int) - photo).mean() < 2.5  # halved chroma, mostly


def test_exposure_doubles_the_light_and_not_the_code():
    # 0.2 of the light is code 124 in sRGB, 0.4 is 170 (IEC 61966-2-1).
    scene = np.full((16, 16, 1), 0.2, np.float32)
    for gain, code in ((1.0, 124), (2.0, 170)):
        seen = developed(photograph(scene, Camera(gain=gain, quality=100), np.random.default_rng(0)))
        assert abs(int(np.median(seen)) - code) <= 1


def test_the_cameras_settings_do_not_know_what_stands_before_it():
    one, other = (draw_camera(np.random.default_rng(5), 100.0) for _ in range(2))
    assert one == other
    assert 55 <= one.quality <= 96


def test_noise_is_stronger_in_the_light(photo):
    scene = np.concatenate([np.full((64, 64, 1), 0.02, np.float32), np.full((64, 64, 1), 0.8, np.float32)])
    from mien.faces.liveness.attacks.camera import expose

    codes = expose(scene, Camera(noise=0.02), np.random.default_rng(0))
    light = np.where(codes <= 0.04045, codes / 12.92, ((codes + 0.055) / 1.055) ** 2.4)
    assert light[70:].std() > 3 * light[:58].std()


# the scene


def test_how_far_inside_a_box_a_point_lies():
    a, b = np.array([[0.0, 0.9, 1.5, 1.0]]), np.array([[0.0, 0.0, 0.0, 2.0]])
    assert inside_box(a, b, (-1, -2, 1, 2)) == pytest.approx(np.array([[1.0, 0.1, -0.5, 0.0]]))
    # A round corner of radius 1: the box's corner is √2 − 1 outside of it.
    assert inside_box(np.array([[1.0]]), np.array([[2.0]]), (-1, -2, 1, 2), 1.0) == pytest.approx(1 - 2**0.5)


def test_an_edge_covers_half_of_the_pixel_it_crosses():
    assert covered(np.array([[0.0, 0.01, -0.01]], np.float32), 100.0)[0, :, 0] == pytest.approx([0.5, 1, 0])


def test_the_plain_view_of_a_photo_is_the_photo(source):
    placed = replace(source, centre=(120.5, 90.5))
    x = (np.arange(60, dtype=np.float32) - 30) / np.float32(placed.side)
    a, b = np.meshgrid(x, x)
    seen = sample(placed, View(a, b, placed.side))
    assert np.abs(seen - placed.light[60:120, 90:150]).max() < 0.03  # OpenCV's remap steps by 1/32 of a pixel


def test_a_turned_head_moves_its_middle_and_leaves_the_wall():
    view = draw_view(np.random.default_rng(0), 100.0, tilt=0, turn=0, shift=0)
    a, b = turned(view, 0.1, 0.0)
    middle = view.side // 2
    assert view.a[middle, middle] - a[middle, middle] == pytest.approx(0.1, abs=0.01)
    far = (np.abs(view.a) > 0.7) | (np.abs(view.b) > 0.9)
    assert (a[far] == view.a[far]).all()
    assert (b == view.b).all()


def test_black_wedges_at_the_edge_are_filled_and_dark_eyes_are_not(photo, detector):
    dark = photo.copy()
    dark[:40] = 0
    dark[120:124, 120:124] = 0
    face = detector.detect(photo)[0]
    kept = source_of(dark, Face((70.0, 80.0, 100.0, 100.0), face.landmarks, 1.0), person="A", name="a").pixels
    assert kept[:38].mean() > 40
    assert kept[121:123, 121:123].max() < 10


# attacks


@pytest.mark.parametrize("species", [LIVE, *SPECIES])
def test_the_same_seed_gives_the_same_picture_and_another_seed_another(source, behind, species):
    first = _taken(source, behind, species, seed=4)
    assert (first == _taken(source, behind, species, seed=4)).all()
    other = _taken(source, behind, species, seed=5)
    assert other.shape != first.shape or (other != first).any()


@pytest.mark.parametrize("species", [LIVE, *SPECIES])
def test_a_grey_photo_gives_a_grey_picture_even_before_a_coloured_background(photo, detector, behind, species):
    grey = source_of(_greyed(photo), detector.detect(photo)[0], person="A", name="a")
    assert not grey.colour
    for seed in range(3):
        seen = _taken(grey, behind, species, seed).astype(int)
        assert (seen[..., 0] == seen[..., 1]).all()
        assert (seen[..., 0] == seen[..., 2]).all()


def test_a_colour_photo_gives_a_colour_picture(source, behind):
    assert all(not is_grey(_taken(source, behind, species)) for species in (LIVE, *SPECIES))


@pytest.mark.parametrize("quality", QUALITIES)
@pytest.mark.parametrize("species", list(SPECIES))
def test_a_face_is_found_in_most_attacks(source, behind, detector, species, quality):
    found = [bool(detector.detect(_taken(source, behind, species, seed, quality))) for seed in range(4)]
    assert sum(found) >= 2


def test_species_qualities_and_distances_take_turns():
    drawn = list(presentations(30, 0))
    assert len(drawn) == 60
    assert sum(what.species == LIVE for what in drawn) == 30
    every = {(what.species, what.quality, what.distance) for what in drawn if what.species != LIVE}
    assert every == {(s, q, d) for s in SPECIES for q in QUALITIES for d in ("near", "middle", "far")}
    # Where each photo gives one attack, the photos share the kinds out among them.
    assert {next(w for w in presentations(1, i) if w.species != LIVE).species for i in range(10)} == set(SPECIES)


def test_what_cannot_be_presented_is_refused():
    with pytest.raises(OptionError, match="live or one of print-halftone"):
        Presentation("hologram", "low", "near")
    with pytest.raises(OptionError, match="near, middle, far"):
        Presentation(LIVE, None, "moon")
    with pytest.raises(OptionError, match="low or high"):
        Presentation("print-mask", None, "near")


def test_a_crops_box_moves_by_no_more_than_its_jitter():
    face = Face((100.0, 50.0, 40.0, 60.0), np.zeros((5, 2), np.float32), 1.0)
    random = np.random.default_rng(0)
    drawn = np.array([crop_box(face, random, 0.2) for _ in range(300)])
    middle = drawn[:, :2] + drawn[:, 2:] / 2 - [120, 80]
    assert (np.abs(middle) <= [8 + 1e-6, 12 + 1e-6]).all()
    assert np.abs(middle[:, 0]).max() > 6
    assert drawn[:, 2].min() >= 40 / 1.2 - 1e-6
    assert drawn[:, 2].max() <= 48 + 1e-6


# folders


def test_the_folder_holds_as_many_living_faces_as_attacks(made):
    folder, about = made
    rows = _rows(folder / "attacks.csv")
    assert about.pictures == len(rows) == 20
    assert sum(row["label"] == "live" for row in rows) == 10
    assert all((folder / row["path"]).is_file() for row in rows)
    assert tuple(rows[0]) == COLUMNS
    assert {row["path"].split("/")[0] for row in rows} == {LIVE, *SPECIES}
    assert (about.people, about.colour, about.grey, about.without_face) == (2, 1, 1, 0)


def test_the_table_says_who_carries_colour_and_the_files_agree(made):
    folder, _ = made
    for row in _rows(folder / "attacks.csv"):
        assert row["colour"] == ("yes" if row["person"] == "Anne" else "no")
        if row["person"] == "Bea":
            assert is_grey(images.load(folder / row["path"]).pixels)


def test_a_second_run_writes_the_same_bytes(made, people, tmp_path):
    folder, _ = made
    generate(people, tmp_path / "again", Plan(seed=3, per=5, size=48))
    rows = _rows(folder / "attacks.csv")
    assert (tmp_path / "again" / "attacks.csv").read_bytes() == (folder / "attacks.csv").read_bytes()
    assert all((tmp_path / "again" / r["path"]).read_bytes() == (folder / r["path"]).read_bytes() for r in rows)


def test_mien_train_reads_the_table_and_keeps_people_apart(made):
    folder, _ = made
    crops = from_csv(folder / "crops.csv")
    assert set(crops.classes) == {"attack", "live"}
    assert set(crops.groups.tolist()) == {"Anne", "Bea"}
    assert crops[0].shape == (3, 48, 48)
    split = by_group(crops.groups, crops.labels, shares=(0.5, 0.0, 0.5))
    assert not set(crops.groups[split.train]) & set(crops.groups[split.test])


def test_a_person_stays_in_one_part_however_the_name_is_written():
    names = [f"person {i}" for i in range(2000)]
    parts = [part_of(name) for name in names]
    assert [part_of(name.upper()) for name in names] == parts
    shares = [parts.count(part) / 2000 for part in ("learn", "choose", "judge")]
    assert shares == pytest.approx([0.7, 0.15, 0.15], abs=0.03)


def test_a_full_folder_and_a_lone_person_are_refused(made, photo, tmp_path):
    with pytest.raises(OptionError, match="holds something"):
        generate(made[0].parent, made[0])
    (tmp_path / "alone" / "Anne").mkdir(parents=True)
    images.save(tmp_path / "alone" / "Anne" / "one.png", photo)
    with pytest.raises(OptionError, match="at least two people"):
        generate(tmp_path / "alone", tmp_path / "out")
    with pytest.raises(OptionError, match="none"):
        generate(tmp_path / "nowhere", tmp_path / "out")


def test_the_command_says_what_is_grey_and_what_is_untested(people, tmp_path):
    answer = CliRunner().invoke(attacks, [str(people), "-o", str(tmp_path / "out"), "--crops", "0"])
    assert answer.exit_code == 0, answer.output
    assert "1 photos are grey" in answer.output
    assert "light and shade only" in answer.output
    assert all(one in answer.output for one in UNTESTED)
    assert not (tmp_path / "out" / "crops.csv").exists()
