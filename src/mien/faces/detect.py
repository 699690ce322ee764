"""Finding faces of any size in a picture, with the five landmarks of each."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien import weights as w
from mien.errors import ImageError, MissingExtra, OptionError
from mien.faces.records import Face, Image

try:
    import cv2
except ModuleNotFoundError as error:
    raise MissingExtra("Seeing faces", "faces") from error

# YuNet was trained for faces of about 10 to 300 pixels. Two views of a picture cover that range and all above it.
_FINE = 640
"""Long side of the fine view; time grows with its square (22 ms at 640 × 480)."""
_COARSE = 4
"""The coarse view is that many times smaller: a face that fills the fine view has 100 to 300 pixels in it."""
_LEAST = 64
"""Least side of a view: OpenCV 4.14 gives random numbers where a side has no more than 32 pixels."""

# Small faces in large pictures: at 10 pixels YuNet is at its limit, and whether it sees a face hangs on what is around.
_FINEST = 1280
"""Long side of a third view, where the fine one showed nobody near (110 ms at 1280 × 960)."""
_NEAR = 32
"""A face of so many pixels in the fine view is near: the picture is a portrait of somebody, not a crowd far away."""
_SMALL = 20
"""Faces of fewer pixels in a view are looked at again in the picture's own pixels, ..."""
_FAINT = 0.1
"""... even where their score is no more than this, ..."""
_SECOND_LOOKS = 60
"""... but so many at most, so that a picture of a thousand dots takes no longer than a crowd."""

_PATCH, _IN_PATCH = 96, 32
"""The second look: a patch of this side, in which the face has that many pixels."""

_Rows = NDArray[np.float32]  # (N, 15): box x, y, width, height; five points x, y; score. Pixels of the whole picture.
_X, _Y = [0, 4, 6, 8, 10, 12], [1, 5, 7, 9, 11, 13]


class Detector:
    """YuNet, looking at each picture at two scales and again at its small faces; one may be shared by threads."""

    def __init__(
        self, weights: str | Path = "yunet", *, score: float = 0.6, overlap: float = 0.3, thorough: bool = True
    ) -> None:
        """`score` in (0, 1): the least confidence; boxes that overlap (IoU) by more than `overlap` are one face.

        Without `thorough` a large picture in which nobody is near is not searched again for faces far away: for video.
        """
        for name, value in (("score", score), ("overlap", overlap)):
            if not 0 < value < 1:
                raise OptionError(f"Expected {name} between 0 and 1, got {value}.")
        self.weights = w.record(weights)
        self.score, self.overlap, self.thorough = score, overlap, thorough
        path = str(w.find(self.weights))
        # A net of its own for each view: their sizes stay the same from picture to picture, and nothing is laid anew.
        self._fine, self._coarse, self._patch = (
            _Net(path, score=least, overlap=overlap) for least in (min(score, _FAINT), score, score)
        )
        self._lock = threading.Lock()

    def detect(self, image: Image) -> list[Face]:
        """Every face in the picture (H, W, 3) RGB, the largest first."""
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
            raise ImageError(
                f"Expected a picture as uint8 (H, W, 3), got {image.dtype} {image.shape}; read it with images.load."
            )
        with self._lock:
            faces = [_face(row) for row in self._search(image)]
        return sorted(faces, key=lambda face: face.box[2] * face.box[3], reverse=True)

    def _search(self, image: Image) -> _Rows:
        longest = max(image.shape[:2])
        scale = min(1.0, _FINE / longest)
        found = [self._view(image, scale)]
        if longest * scale > _FINE / 2:
            found.append(self._coarse(image, scale / _COARSE))
        rows = merge(np.concatenate(found), overlap=self.overlap)
        if scale < 1 and self.thorough and not (rows[:, 2:4].min(axis=1) * scale >= _NEAR).any():
            found.append(self._view(image, min(1.0, _FINEST / longest)))
            rows = merge(np.concatenate(found), overlap=self.overlap)
        return rows

    def _view(self, image: Image, scale: float) -> _Rows:
        """Faces in the picture seen at `scale`, the small ones confirmed by a second look."""
        rows = self._fine(image, scale)
        small = (rows[:, 2:4].min(axis=1) * scale < _SMALL) & (scale < 1)
        again = [self._closer(image, row) for row in rows[small][:_SECOND_LOOKS]]
        return np.concatenate([rows[~small & (rows[:, 14] >= self.score)], *again])

    def _closer(self, image: Image, row: _Rows) -> _Rows:
        """What the net sees in a patch around a face, at a size that it sees well; no rows if nothing."""
        # Never enlarged: a face that becomes clear only when blown up is too small for everything that follows.
        scale = min(1.0, _IN_PATCH / max(float(row[2:4].max()), 1.0))
        reach = _PATCH / scale / 2
        centre = row[:2] + row[2:4] / 2
        low = np.maximum(np.floor(centre - reach), 0).astype(int)
        high = np.ceil(centre + reach).astype(int)
        part = image[low[1] : max(high[1], 0), low[0] : max(high[0], 0)]
        if part.size == 0:
            return np.empty((0, 15), np.float32)
        rows = self._patch(part, scale, least=_PATCH)
        rows[:, _X] += low[0]
        rows[:, _Y] += low[1]
        return rows


class _Net:
    """One net with its own input size."""

    def __init__(self, path: str, *, score: float, overlap: float) -> None:
        self._net = cv2.FaceDetectorYN.create(path, "", (32, 32), score, overlap, 5000)

    def __call__(self, image: Image, scale: float, *, least: int = _LEAST) -> _Rows:
        """Faces in the picture seen at `scale`, best first, in the picture's pixels; `least` is the least side."""
        height, width = image.shape[:2]
        size = max(1, round(width * scale)), max(1, round(height * scale))
        view = image if size == (width, height) else cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        if min(size) < least:
            wide = np.zeros((max(least, size[1]), max(least, size[0]), 3), np.uint8)
            wide[: size[1], : size[0]] = view
            view = wide
        self._net.setInputSize((view.shape[1], view.shape[0]))
        rows = self._net.detect(cv2.cvtColor(view, cv2.COLOR_RGB2BGR))[1]
        if rows is None:
            return np.empty((0, 15), np.float32)
        rows = np.array(rows[np.isfinite(rows).all(axis=1) & (rows[:, 2:4] >= 1).all(axis=1)], np.float32)
        # Pixels are numbered by their centres, boxes by their edges: a point moves by half a pixel, an edge does not.
        ratio = np.array([width / size[0], height / size[1]], np.float32)
        rows[:, :4] *= np.tile(ratio, 2)
        rows[:, 4:14] = (rows[:, 4:14] + 0.5) * np.tile(ratio, 5) - 0.5
        best_first: _Rows = rows[np.argsort(-rows[:, 14], kind="stable")].astype(np.float32)
        return best_first


def merge(rows: NDArray[np.float32], *, overlap: float) -> NDArray[np.float32]:
    """One row a face: of those that overlap, the one with the highest score (greedy non-maximum suppression).

    Two boxes are one face where their intersection is more than `overlap` of their union, or most of the smaller box:
    a net that looks too closely takes an eye or a mouth for a face.

    rows: shape (N, 15) as YuNet gives them: x, y, width, height, five points, score.
    """
    order = np.argsort(-rows[:, 14], kind="stable")
    kept: list[int] = []
    for i in order:
        if all(not _one_face(rows[i], rows[k], overlap) for k in kept):
            kept.append(int(i))
    return rows[kept]


def _one_face(a: NDArray[np.float32], b: NDArray[np.float32], overlap: float) -> bool:
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[:2] + a[2:4], b[:2] + b[2:4])
    common = float(np.prod(np.maximum(high - low, 0)))
    first, second = float(a[2] * a[3]), float(b[2] * b[3])
    return common > overlap * (first + second - common) or common > 0.6 * min(first, second)


def _face(row: NDArray[np.float32]) -> Face:
    x, y, width, height = (float(value) for value in row[:4])
    # YuNet names eyes and corners of the mouth by the person's own right and left: their right is the picture's left.
    return Face((x, y, width, height), row[4:14].reshape(5, 2).copy(), min(1.0, float(row[14])))
