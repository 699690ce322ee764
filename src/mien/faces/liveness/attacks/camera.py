"""The camera at the door: light to a JPEG, the same for a living face and for a picture of one.

A network that learns from these pictures must not learn "blurred", "noisy" or "compressed" for "attack", so that both
go through every step here with the same chances.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import MissingExtra
from mien.faces.records import Image

try:
    import cv2
except ModuleNotFoundError as error:
    raise MissingExtra("Making attacks", "faces") from error

Light = NDArray[np.float32]
"""Linear light (H, W, C): 0 is black, 1 the brightest white that is not clipped; C is 1 (grey) or 3 (RGB)."""

_CODES = np.arange(256) / 255
_TO_LIGHT = np.where(_CODES <= 0.04045, _CODES / 12.92, ((_CODES + 0.055) / 1.055) ** 2.4).astype(np.float32)
_STEPS = 4095
_LINEAR = np.arange(_STEPS + 1) / _STEPS
_TO_CODES = np.where(_LINEAR <= 0.0031308, 12.92 * _LINEAR, 1.055 * _LINEAR ** (1 / 2.4) - 0.055).astype(np.float32)

# Mean difference of the channels, in steps of 255: a grey picture that went through a colour JPEG still counts as grey.
_GREY = 1.5


def is_grey(pixels: Image) -> bool:
    """Whether a picture (H, W, 3) carries no colour."""
    wide = pixels.astype(np.int16)
    return bool(np.abs(wide - wide.mean(axis=2, keepdims=True)).mean() < _GREY)


def to_light(pixels: Image, *, grey: bool) -> Light:
    """sRGB pixels (H, W, 3) as linear light, in one channel where the picture is grey."""
    light = _TO_LIGHT[pixels]
    return np.ascontiguousarray(light.mean(axis=2, keepdims=True) if grey else light)


def to_codes(light: Light) -> NDArray[np.float32]:
    """Linear light as sRGB values in [0, 1]; what is brighter than 1 is clipped."""
    codes: NDArray[np.float32] = _TO_CODES[(np.clip(light, 0, 1) * _STEPS + 0.5).astype(np.int32)]
    return codes


def blurred(light: Light, sigma: float) -> Light:
    """Gaussian blur of `sigma` pixels; too little to be seen is left out."""
    return light if sigma < 0.2 else planes(cv2.GaussianBlur(light, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE))


def planes(values: NDArray[Any]) -> Light:
    """(H, W, C), also where OpenCV dropped the only channel."""
    light: Light = values if values.ndim == 3 else values[:, :, None]
    return light


@dataclass(frozen=True)
class Camera:
    """One exposure's settings."""

    gain: float = 1.0
    """Exposure: all light is multiplied by it."""
    white: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Gains of red, green and blue: a white balance that is not quite right. Grey pictures have none."""
    fall: tuple[float, float] = (0.0, 0.0)
    """How much brighter the light is at the right and at the lower edge than in the middle, as a share."""
    defocus: float = 0.0
    """Sigma in pixels."""
    motion: tuple[float, float] = (0.0, 0.0)
    """Length in pixels and direction in radians of a shaken exposure."""
    noise: float = 0.0
    """Standard deviation at white; it falls with the square root of the light."""
    floor: float = 0.0
    """Light that the lens scatters into the shadows."""
    contrast: float = 0.0
    """Strength of an S-shaped tone curve, -1 to 1."""
    smoothing: float = 0.0
    """Sigma in pixels of what the camera does against noise."""
    sharpening: float = 0.0
    """Amount of the unsharp mask that follows."""
    quality: int = 92
    """Of the JPEG."""


def draw_camera(random: np.random.Generator, face: float) -> Camera:
    """A camera's settings for a face of so many pixels: nothing in it depends on what stands before the camera."""
    dim = random.random() < 0.3
    noise = random.uniform(0.015, 0.045) if dim else random.uniform(0.002, 0.018)
    warm = random.normal(0, 0.06)
    shaken = random.random() < 0.2
    return Camera(
        gain=float(np.exp(random.normal(-0.25 if dim else 0.05, 0.25))),
        white=(float(1 + warm), float(1 + random.normal(0, 0.02)), float(1 - warm)),
        fall=(float(random.normal(0, 0.2)), float(random.normal(0, 0.15))),
        defocus=float(abs(random.normal(0, 0.006)) * face + random.uniform(0.2, 0.5)),
        motion=(float(random.uniform(0.01, 0.04) * face) if shaken else 0.0, float(random.uniform(0, np.pi))),
        noise=float(noise),
        floor=float(random.uniform(0, 0.02)),
        contrast=float(random.normal(0.1, 0.2)),
        smoothing=float(random.uniform(0.3, 0.8)) if noise > 0.012 else 0.0,
        sharpening=float(random.uniform(0, 0.9)),
        quality=int(random.integers(55, 97)),
    )


def expose(light: Light, camera: Camera, random: np.random.Generator) -> Light:
    """What the camera makes of light: sRGB values (H, W, C) in [0, 1] before the JPEG."""
    height, width, channels = light.shape
    across = np.linspace(-1, 1, width, dtype=np.float32)[None, :, None] * np.float32(camera.fall[0])
    down = np.linspace(-1, 1, height, dtype=np.float32)[:, None, None] * np.float32(camera.fall[1])
    lit = np.float32(camera.gain) * np.clip(1 + across + down, 0.3, 1.7)
    seen: Light = (light * lit + np.float32(camera.floor)).astype(np.float32)
    if channels == 3:
        seen = seen * np.array(camera.white, np.float32)
    seen = _shaken(blurred(seen, camera.defocus), *camera.motion)
    grain = random.standard_normal(seen.shape, dtype=np.float32)
    seen = seen + grain * np.float32(camera.noise) * np.sqrt(np.clip(seen, 0.01, 1))
    codes = to_codes(seen)
    curve = codes * codes * (3 - 2 * codes)
    smooth = blurred(codes + np.float32(camera.contrast) * (curve - codes), camera.smoothing)
    if camera.sharpening > 0:
        smooth = smooth + np.float32(camera.sharpening) * (smooth - blurred(smooth, 1.0))
    return np.asarray(np.clip(smooth, 0, 1), np.float32)


def photograph(light: Light, camera: Camera, random: np.random.Generator) -> bytes:
    """A JPEG of the scene, as `camera` takes it; of a grey scene it is grey."""
    codes = (expose(light, camera, random) * 255 + 0.5).astype(np.uint8)
    ordered = codes[:, :, 0] if codes.shape[2] == 1 else np.ascontiguousarray(codes[:, :, ::-1])
    return bytes(cv2.imencode(".jpg", ordered, [cv2.IMWRITE_JPEG_QUALITY, camera.quality])[1].tobytes())


def developed(jpeg: bytes) -> Image:
    """The pixels (H, W, 3) RGB of such a JPEG."""
    pixels = np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), np.uint8)
    return np.ascontiguousarray(pixels[:, :, ::-1])


def _shaken(light: Light, length: float, direction: float) -> Light:
    if length < 1.2:
        return light
    side = 2 * int(np.ceil(length / 2)) + 1
    kernel = np.zeros((side, side), np.float32)
    along = np.linspace(-length / 2, length / 2, 4 * side)
    at = np.rint(np.outer(along, [np.sin(direction), np.cos(direction)])).astype(int) + side // 2
    np.add.at(kernel, (at[:, 0], at[:, 1]), 1)
    return planes(cv2.filter2D(light, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE))
