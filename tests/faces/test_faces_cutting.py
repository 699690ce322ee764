"""Faces cut out for training: where they come to lie, what is left out, and that an encoder of them can be used."""

import json
import shutil
from pathlib import Path

import cv2
import matplotlib.cbook
import numpy as np
import pytest
from click.testing import CliRunner
from skimage import data

from mien import images
from mien.cli.main import cli
from mien.errors import FaceError, OptionError, OutputError, WeightsError
from mien.faces.cutting import _names, cut_folder, template_of
from mien.faces.detect import Detector
from mien.faces.encode import load_encoder
from mien.weights import RECORDS, read_template


@pytest.fixture(scope="module")
def detector():
    cv2.setNumThreads(1)
    return Detector()


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """Two photos and their mirror images as four people, each in two lights."""
    with matplotlib.cbook.get_sample_data("grace_hopper.jpg") as file:
        photos = {"eileen": data.astronaut(), "grace": images.load(file.read()).pixels}
    root = tmp_path_factory.mktemp("people")
    for name, photo in photos.items():
        for person, pixels in ((name, photo), (f"{name}-mirrored", photo[:, ::-1])):
            for number, light in enumerate((1.0, 0.8)):
                folder = root / person
                folder.mkdir(exist_ok=True)
                images.save(folder / f"{number}.png", np.ascontiguousarray(pixels * light, np.uint8))
    return root


def test_the_template_is_sfaces_and_scales_by_pixel_centres():
    np.testing.assert_allclose(template_of(112), RECORDS["sface"].template)
    x, y = RECORDS["sface"].template[0]
    np.testing.assert_allclose(template_of(56)[0], ((x + 0.5) / 2 - 0.5, (y + 0.5) / 2 - 0.5))


def test_every_face_comes_to_lie_upon_the_template(people, detector, tmp_path):
    told = []
    done = cut_folder(people, tmp_path / "cut", detector=detector, progress=lambda n, of: told.append((n, of)))
    assert (done.people, done.photos, done.without_face, done.unreadable) == (4, 8, (), ())
    assert told[-1] == (8, 8)
    for path in (tmp_path / "cut").rglob("*.png"):
        cut = images.load(path).pixels
        assert cut.shape == (112, 112, 3)
        # Seen again in a frame with room around it, the face is where the template has it.
        room = np.full((336, 336, 3), 128, np.uint8)
        room[112:224, 112:224] = cut
        found = detector.detect(room)[0].landmarks - 112
        assert np.abs(found - template_of(112)).max() < 6


def test_the_template_is_told_at_the_size_that_is_learnt_from(people, detector, tmp_path):
    cut_folder(people, tmp_path / "cut", detector=detector, size=96)
    np.testing.assert_allclose(read_template(tmp_path / "cut", (48, 48)), template_of(48), atol=1e-3)
    assert read_template(people, (48, 48)) is None
    with pytest.raises(WeightsError, match="--size 48"):  # a similarity cannot squash a face
        read_template(tmp_path / "cut", (48, 32))
    (tmp_path / "cut" / "template.json").write_text(json.dumps({"size": [96, 96]}))
    with pytest.raises(WeightsError, match='"template"'):
        read_template(tmp_path / "cut", (48, 48))


def test_what_shows_no_face_is_left_out_and_said(people, detector, tmp_path):
    folder = tmp_path / "people"
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        images.save(folder / name / "1.png", data.astronaut())
    images.save(folder / "a" / "1.jpg", data.astronaut())
    images.save(folder / "b" / "wall.png", np.full((99, 99, 3), 90, np.uint8))
    (folder / "b" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    done = cut_folder(folder, tmp_path / "cut", detector=detector)
    assert (done.photos, [p.name for p in done.without_face], [p.name for p in done.unreadable]) == (
        3,
        ["wall.png"],
        ["broken.png"],
    )
    # Two photos of one name are two faces.
    assert sorted(p.name for p in (tmp_path / "cut" / "a").iterdir()) == ["1.jpg.png", "1.png.png"]


def test_no_two_photos_become_one_file():
    names = _names([Path(name) for name in ("x.jpeg", "x.jpg", "x.jpg.png", "IMG.JPG", "img.png", "alone.jpg")])
    assert names == ["x.jpeg.png", "x.jpg.png", "x.jpg-2.png", "IMG.JPG.png", "img.png.png", "alone.png"]


def test_an_interrupted_call_is_gone_on_with_and_another_folders_is_not(people, detector, tmp_path):
    def stop(done, of):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut_folder(people, tmp_path / "cut", detector=detector, progress=stop)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "cut").rglob("*.png")}
    assert len(kept) == 3
    assert cut_folder(people, tmp_path / "cut", detector=detector).photos == 8
    assert kept == {path: path.stat().st_mtime_ns for path in kept}
    with pytest.raises(OutputError, match="exists already"):
        cut_folder(people, tmp_path / "cut", detector=detector, size=64)
    shutil.copytree(people, tmp_path / "others")
    with pytest.raises(OutputError, match="exists already"):
        cut_folder(tmp_path / "others", tmp_path / "cut", detector=detector)


def test_what_cannot_be_cut_is_refused_before_anything_is_written(people, detector, tmp_path):
    with pytest.raises(OutputError, match="new folder"):
        cut_folder(people, people, detector=detector)
    with pytest.raises(OptionError, match="16 to 512"):
        cut_folder(people, tmp_path / "cut", detector=detector, size=8)
    for name in ("a", "b"):
        (tmp_path / "walls" / name).mkdir(parents=True)
        for number in (1, 2):
            images.save(tmp_path / "walls" / name / f"{number}.png", np.full((99, 99, 3), 90, np.uint8))
    with pytest.raises(FaceError, match="none was found in 4"):
        cut_folder(tmp_path / "walls", tmp_path / "cut", detector=detector)
    assert not (tmp_path / "cut").exists()


def test_an_encoder_trained_on_cut_faces_works_with_mien_faces(people, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = CliRunner()
    cut = run.invoke(cli, ["faces", "cut", str(people), "-o", "cut (2) & more", "--size", "48"])
    assert cut.exit_code == 0, cut.output
    assert "8 faces of 4 people" in cut.output
    train = ["train", "--data", "cut (2) & more", "-o", "trained", "--steps", "2", "--identities", "2", "--items", "2"]
    small = ["--widths", "4,8", "--no-plain", "--quiet"]
    squashed = run.invoke(cli, [*train, *small, "--size", "32x24"])
    assert "keep their proportions" in str(squashed.exception)
    assert not Path("trained").exists()
    trained = run.invoke(cli, [*train, *small, "--size", "32x32"])
    assert trained.exit_code == 0, trained.output
    encoder = load_encoder(Path("trained/encoder/encoder.json"))
    np.testing.assert_allclose(encoder.weights.template, template_of(32), atol=1e-3)
    judged = run.invoke(cli, ["faces", "evaluate", "folder", str(people), "--encoder", "trained/encoder/encoder.json"])
    assert judged.exit_code == 0, judged.output
    assert "EER" in judged.output
