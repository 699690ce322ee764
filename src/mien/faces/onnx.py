"""A network in ONNX, as OpenCV runs it: what the encoder and the liveness network have in common."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien import weights as w
from mien.errors import MissingExtra, WeightsError
from mien.weights import Weights

try:
    import cv2
except ModuleNotFoundError as error:
    raise MissingExtra("Faces", "faces") from error


def read_net(weights: Weights) -> cv2.dnn.Net:
    """The network of a record. Raises WeightsError where OpenCV cannot read its file, or there is none."""
    path = w.find(weights)
    try:
        return cv2.dnn.readNetFromONNX(str(path))
    except cv2.error as error:
        raise WeightsError(
            f"Expected {path} to be a network in ONNX that OpenCV can read, but: {one_line(error)}"
        ) from error


def prepared(pixels: NDArray[np.uint8], weights: Weights) -> NDArray[np.float32]:
    """RGB (H, W, 3) as the network's input (1, 3, H, W): `((x * range)[channels] - mean) * scale` of its record."""
    entry = weights.input
    ordered = pixels if entry.channels == "RGB" else pixels[..., ::-1]
    x = ordered.astype(np.float32)
    if entry.range != 255:
        x *= np.float32(entry.range / 255)
    x = (x - np.array(entry.mean, np.float32)) * np.array(entry.scale, np.float32)
    return np.ascontiguousarray(x.transpose(2, 0, 1)[None])


def one_line(error: Exception) -> str:
    """What OpenCV says, without its line breaks."""
    return " ".join(str(error).split())
