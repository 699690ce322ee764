"""What the face tests share: real photos that installed packages carry, the networks loaded once, a private gallery."""

import importlib.metadata

import cv2
import numpy as np
import pytest
from skimage import data

from mien import images
from mien.faces import FacePipeline, Recognizer, load_calibration, open_gallery


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    cv2.setNumThreads(1)


@pytest.fixture(scope="session")
def astronaut():
    """Eileen Collins, 512 × 512 (scikit-image; NASA)."""
    return data.astronaut()


@pytest.fixture(scope="session")
def hopper():
    """Grace Hopper, 600 × 512 (matplotlib; US Navy)."""
    file = next(f for f in importlib.metadata.files("matplotlib") if f.name == "grace_hopper.jpg")
    return images.load(str(file.locate())).pixels


@pytest.fixture(scope="session")
def pipeline():
    """YuNet and SFace."""
    return FacePipeline()


@pytest.fixture(scope="session")
def calibration():
    """The thresholds that are shipped."""
    return load_calibration("sface")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A user's folders of their own, and no key in the environment."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    for name in ("MIEN_KEY", "MIEN_NEW_KEY", "MIEN_GALLERY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def office(home, pipeline, calibration):
    """A recogniser over an empty gallery."""
    with open_gallery(home / "data" / "office.db", encoder=pipeline.encoder.name, dimension=128) as gallery:
        yield Recognizer(gallery, pipeline, calibration)


@pytest.fixture
def strangers():
    """A function: seeded unit encodings (N, 128), about 1.41 from each other."""

    def make(count, seed=0):
        rows = np.random.default_rng(seed).normal(size=(count, 128))
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    return make
