"""Passive liveness: a small network looks at a face and its surroundings, and says how likely a living person is there.

    net = PassiveNet()  # the net that mien ships: trained on simulated attacks, not certified
    net.score(image, faces) >= net.threshold

One look proves little; a session asks for several, and a door adds what else has to hold.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import FaceError, MissingExtra, OptionError, WeightsError, WeightsMismatch
from mien.faces import onnx
from mien.faces.liveness.records import LivenessInput, read_liveness
from mien.faces.records import Face, Image
from mien.weights import Weights

try:
    import cv2
except ModuleNotFoundError as error:
    raise MissingExtra("Liveness", "faces") from error

_LARGEST = 8192
"""Pixels: no face in a picture has a square around it with a longer side, so a box that asks for one is a mistake."""


class PassiveNet:
    """The network that tells a living face from a picture of one; it may be shared by threads."""

    def __init__(self, weights: Weights | str | Path = "liveness", *, liveness: LivenessInput | None = None) -> None:
        """`weights`: "liveness" (the shipped net), the path of a user's own record (JSON), or a record.

        A record in JSON says in its part "liveness" how the answer is read; with a `Weights`, give `liveness`.

        Raises:
            WeightsError: the record has no such part, or the network cannot be read, or gives what cannot be a score.
            WeightsMismatch: the network's file is another one, or it has fewer outputs than the record says.
        """
        if isinstance(weights, Weights):
            if liveness is None:
                raise OptionError(
                    f"Expected liveness=LivenessInput(...) with the record {weights.name}, got none: it says which "
                    "output stands for a living face."
                )
            self.weights, self.liveness = weights, liveness
        else:
            self.weights, own = read_liveness(weights)
            self.liveness = liveness or own
        if self.weights.size is None:
            raise WeightsError(
                f'Expected "size" in the record {self.weights.name}, height and width of the network\'s input, got '
                "none; add it to the record."
            )
        self.size = self.weights.size
        self.name = f"{self.weights.name}-{self.weights.sha256[:8]}"
        self.threshold, self.denied_below = self.liveness.threshold, self.liveness.denied_below
        self._net = onnx.read_net(self.weights)
        self._lock = threading.Lock()
        self._probability(np.full((*self.size, 3), 128, np.uint8))  # what is wrong shows now, not at the door

    def crop(self, image: Image, face: Face) -> Image:
        """What the network sees of a face: `crop` with this network's scale and size."""
        return crop(image, face, scale=self.liveness.scale, size=self.size)

    def score(self, image: Image, faces: Sequence[Face]) -> NDArray[np.float32]:
        """The probability (N,) that each of the picture's faces is a living person's; live from `threshold` on.

        Raises:
            FaceError: a face's box is none.
            WeightsError: the network gives what cannot be a probability.
        """
        return np.array([self._probability(self.crop(image, face)) for face in faces], np.float32)

    def _probability(self, seen: Image) -> float:
        blob = onnx.prepared(seen, self.weights)
        try:
            with self._lock:
                self._net.setInput(blob)
                out = np.array(self._net.forward(), np.float64)
        except cv2.error as error:
            raise WeightsError(
                f"The liveness network {self.name} could not be run by OpenCV; look whether the size in its record is "
                f"right: {onnx.one_line(error)}"
            ) from error
        return _read(out, self.liveness, name=self.name)


def crop(image: Image, face: Face, *, scale: float, size: tuple[int, int]) -> Image:
    """A face and its surroundings, uint8 (height, width, 3) RGB of `size`.

    A square about the middle of the face's box, `scale` times as wide as the box's longer side; where it reaches over
    the picture's edge, the edge's pixels go on.

    Raises FaceError if the box is not finite, has no size, or is far larger than any face.
    """
    x, y, width, height = face.box
    side = scale * max(width, height)
    if not (all(map(math.isfinite, face.box)) and min(width, height) > 0 and 1 <= side <= _LARGEST):
        raise FaceError(f"Expected the box of a face, got {face.box}; take it from FacePipeline.faces.")
    rows, columns = image.shape[:2]
    pixels = round(side)
    left, top = round(x + width / 2 - side / 2), round(y + height / 2 - side / 2)
    if left >= columns or top >= rows or left + pixels <= 0 or top + pixels <= 0:
        raise FaceError(f"Expected a face in the picture of {columns} × {rows}, got one at {face.box}.")
    inside = image[max(0, top) : min(rows, top + pixels), max(0, left) : min(columns, left + pixels)]
    over = (max(0, -top), max(0, top + pixels - rows), max(0, -left), max(0, left + pixels - columns))
    square = cv2.copyMakeBorder(inside, *over, cv2.BORDER_REPLICATE) if any(over) else inside
    way = cv2.INTER_AREA if pixels > max(size) else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(np.ascontiguousarray(square), (size[1], size[0]), interpolation=way), np.uint8)


def _read(out: NDArray[np.float64], how: LivenessInput, *, name: str) -> float:
    """The probability of live in a network's answer to one face."""
    values = out.ravel()
    if values.size <= how.live:
        raise WeightsMismatch(
            f"Expected more than {how.live} outputs of the liveness network {name}, got {values.size}: correct "
            '"live" (counted from 0) in its record.'
        )
    if how.activation == "softmax" and values.size < 2:
        raise WeightsMismatch(
            f"Expected at least two outputs of the liveness network {name} for a softmax, got one: its record's "
            '"activation" is rather "sigmoid" or "none".'
        )
    if values.size > 64:
        raise WeightsMismatch(
            f"Expected the liveness network {name} to give one number a class, got {values.size} numbers of shape "
            f"{out.shape}: it is no classifier of faces."
        )
    if not np.isfinite(values).all():
        raise WeightsError(
            f"Expected the liveness network {name} to give finite numbers, got {values[how.live]}: check the input of "
            "its record, or its file."
        )
    value = float(values[how.live])
    if how.activation == "softmax":
        powers = np.exp(values - values.max())
        return float(powers[how.live] / powers.sum())
    if how.activation == "sigmoid":
        return 0.5 * (1 + math.tanh(value / 2))  # the logistic function, without overflow
    if not -1e-4 <= value <= 1 + 1e-4:
        raise WeightsError(
            f"Expected the liveness network {name} to give a probability from 0 to 1, got {value:.4g}: its record's "
            '"activation" is rather "sigmoid" or "softmax".'
        )
    return min(1.0, max(0.0, value))
