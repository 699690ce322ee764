"""Faces to encodings: unit vectors that lie close together where the faces are one person's."""

from __future__ import annotations

import os
import queue
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien import weights as w
from mien.errors import FaceError, MissingExtra, WeightsError, WeightsMismatch
from mien.faces import onnx
from mien.faces.records import Encodings
from mien.weights import Weights

try:
    import cv2
except ModuleNotFoundError as error:
    raise MissingExtra("Encoding faces", "faces") from error


# A face keeps one core busy, and OpenCV does not divide it: a second copy of the net takes the mirror image.
_AT_ONCE = min(2, os.cpu_count() or 1)


class Encoder:
    """A network that encodes faces; one may be shared by threads."""

    def __init__(self, weights: Weights) -> None:
        if int(cv2.__version__.partition(".")[0]) >= 5:
            raise WeightsError(
                f"Expected OpenCV 4, got {cv2.__version__}, in which the encoder's 8-bit weights fail. Install "
                'the right one with: pip install "opencv-python-headless>=4.10,<5"'
            )
        if weights.size is None or weights.template is None or weights.encoding is None:
            missing = [name for name in ("size", "template", "encoding") if getattr(weights, name) is None]
            raise WeightsError(
                f"Expected the record of an encoder, but {weights.name} has no {' and no '.join(missing)}; add it to "
                "the record."
            )
        self.weights = weights
        self.dimension = weights.encoding
        self.name = f"{weights.name}-{weights.sha256[:8]}"
        self._size = weights.size
        self._nets: queue.SimpleQueue[cv2.dnn.Net] = queue.SimpleQueue()
        for _ in range(_AT_ONCE):
            self._nets.put(onnx.read_net(weights))
        self._threads = ThreadPoolExecutor(_AT_ONCE, "mien-encoder")

    def encode(self, crops: NDArray[np.uint8], *, mirror: bool = True) -> Encodings:
        """Encodings (B, D) of faces laid upon the template: uint8 (B, height, width, 3) RGB, as `align` gives them.

        With `mirror` each encoding is the normalised sum of the face's and its mirror image's: closer to the person,
        further from the light and the side they were seen from, in twice the time.

        Raises:
            FaceError: the crops have another shape or type.
            WeightsError: the network gives what cannot be an encoding (not finite, or all zero).
        """
        height, width = self._size
        if crops.dtype != np.uint8 or crops.ndim != 4 or crops.shape[1:] != (height, width, 3):
            raise FaceError(
                f"Expected faces as uint8 (B, {height}, {width}, 3), got {crops.dtype} {crops.shape}; cut them out "
                "with align."
            )
        looks = [look for crop in crops for look in ((crop, crop[:, ::-1]) if mirror else (crop,))]
        units = np.array(list(self._threads.map(self._unit, looks)), np.float32).reshape(len(looks), self.dimension)
        if not mirror:
            return units
        pairs = units[0::2] + units[1::2]
        return np.array([_normalised(pair, self.name) for pair in pairs], np.float32).reshape(pairs.shape)

    def _unit(self, crop: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The unit encoding (D,) of one face.

        One at a time: OpenCV 4.14 gives random numbers for SFace with a batch of two or more, and no time is lost, as
        one face keeps a processor busy (measured: 38 ms a face alone, 37 to 38 ms in batches of 2 to 8).
        """
        blob = onnx.prepared(crop, self.weights)
        net = self._nets.get()
        try:
            net.setInput(blob)
            out = np.array(net.forward(), np.float32).ravel()
        except cv2.error as error:
            raise WeightsError(f"The encoder {self.name} could not be run by OpenCV: {onnx.one_line(error)}") from error
        finally:
            self._nets.put(net)
        if out.size != self.dimension:
            raise WeightsMismatch(
                f"Expected {self.dimension} numbers from the encoder {self.name}, got {out.size}: correct the field "
                "“encoding” of its record."
            )
        return _normalised(out, self.name)


def load_encoder(source: str | Path = "sface") -> Encoder:
    """The encoder called `source`, or the one whose record (JSON) lies at that path."""
    return Encoder(w.record(source))


def _normalised(vector: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    length = float(np.linalg.norm(vector))
    if not np.isfinite(length) or length < 1e-6:
        raise WeightsError(
            f"Expected the encoder {name} to give finite numbers, not all zero, got a length of {length}: check the "
            "input of its record, or its file."
        )
    unit: NDArray[np.float32] = (vector / np.float32(length)).astype(np.float32)
    return unit
