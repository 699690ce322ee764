"""ICC profiles: any file's colours into sRGB, and sRGB back into a photo's own profile.

Every conversion is relative colorimetric with black point compensation. A colour that both spaces hold keeps its exact
place, so that a photo goes to sRGB and back into its own profile unharmed; perceptual tables squeeze all colours to
make room for a few, and differently each way. Black point compensation maps ink's black to the screen's.

LittleCMS converts 8 bits a channel. For 16 bits `float_from_srgb` does the arithmetic of matrix profiles (Adobe RGB,
Display P3, ProPhoto: nearly every RGB photo) as ICC.1:2022, annex F.3, has it.
"""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

_GRID = 17
_CURVE_POINTS = 65537
_SPACE_OF_MODE = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}
# The linear sRGB primaries as XYZ under D50, Bradford-adapted as ICC profiles are; one column each for R, G, B.
_SRGB_TO_XYZ = np.array(
    [
        [0.4360747, 0.3850649, 0.1430804],
        [0.2225045, 0.7168786, 0.0606169],
        [0.0139322, 0.0971045, 0.7141733],
    ]
)


class ProfileError(ValueError):
    """A profile that is broken, or of another colour space than the pixels."""


def space(icc: bytes) -> str:
    """The profile's colour space, as "RGB", "GRAY" or "CMYK"; raises ProfileError."""
    return _open(icc).profile.xcolor_space.strip()


def to_srgb(image: Image.Image, icc: bytes) -> Image.Image:
    """An L, RGB, CMYK or LAB picture in the profile `icc` as RGB in sRGB; raises ProfileError."""
    if image.mode == "L" and space(icc) == "RGB":
        image = image.convert("RGB")
    if space(icc) != _SPACE_OF_MODE.get(image.mode):
        raise ProfileError(f"it is for {space(icc)} and the picture is {image.mode}")
    return _apply(image, _open(icc), _srgb(), "RGB")


def from_srgb(image: Image.Image, icc: bytes) -> Image.Image:
    """An RGB picture in sRGB converted into the RGB profile `icc`, 8 bits a channel; raises ProfileError."""
    if space(icc) != "RGB":
        raise ProfileError(f"it is for {space(icc)}, not for RGB")
    return _apply(image, _srgb(), _open(icc), "RGB")


def lab_to_srgb(image: Image.Image) -> Image.Image:
    """A CIELAB (D50) picture as RGB in sRGB."""
    return _apply(image, ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")), _srgb(), "RGB")


def is_srgb(icc: bytes) -> bool:
    """Whether an RGB profile moves no colour of a coarse grid by more than one level; raises ProfileError."""
    steps = np.linspace(0, 255, _GRID).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(_GRID, -1, 3)
    converted = np.asarray(to_srgb(Image.fromarray(grid), icc))
    return int(np.abs(converted.astype(int) - grid).max()) <= 1


def check_writable_into(icc: bytes) -> None:
    """Raise ProfileError unless sRGB can be converted into it: RGB, and with a way in (a scanner's may have none)."""
    from_srgb(Image.new("RGB", (1, 1)), icc)


def float_from_srgb(pixels: NDArray[Any], icc: bytes) -> NDArray[np.float32] | None:
    """Floats (H, W, 3) in [0, 1], from sRGB into an RGB profile; None if it is more than a matrix and curves."""
    try:
        parts = _matrix_and_curves(icc)
    except (struct.error, ValueError, IndexError, ArithmeticError):
        return None  # tags we cannot follow; LittleCMS may
    if parts is None:
        return None
    matrix, curves = parts
    linear = _linear(np.asarray(pixels, dtype=np.float32)) @ matrix.T.astype(np.float32)
    encoded = np.empty_like(linear)
    for channel, light in enumerate(curves):
        encoded[..., channel] = np.interp(linear[..., channel], light, np.linspace(0, 1, len(light)))
    return encoded


def _open(icc: bytes) -> ImageCms.ImageCmsProfile:
    try:
        return ImageCms.ImageCmsProfile(io.BytesIO(icc))
    except (OSError, ImageCms.PyCMSError) as error:
        raise ProfileError("it is broken") from error


def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _apply(
    image: Image.Image, source: ImageCms.ImageCmsProfile, target: ImageCms.ImageCmsProfile, mode: str
) -> Image.Image:
    try:
        transform = ImageCms.buildTransform(
            source,
            target,
            image.mode,
            mode,
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        return transform.apply(image)
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        raise ProfileError(f"it is broken ({error})") from error


def _linear(srgb: NDArray[np.float32]) -> NDArray[np.float32]:
    """Light from sRGB's code values (IEC 61966-2-1)."""
    srgb = srgb.clip(0, 1)
    light: NDArray[np.float32] = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    return light.astype(np.float32, copy=False)


def _matrix_and_curves(icc: bytes) -> tuple[NDArray[np.float64], list[NDArray[np.float64]]] | None:
    """The matrix from linear sRGB, and per channel the rising light at 65,537 code values; None without both."""
    tags = _tags(icc)
    colorants, tone = (b"rXYZ", b"gXYZ", b"bXYZ"), (b"rTRC", b"gTRC", b"bTRC")
    has_tables = any(name[:3] in (b"A2B", b"B2A", b"D2B", b"B2D") for name in tags)
    if has_tables or any(name not in tags for name in colorants + tone):
        return None
    to_xyz = np.stack([_xyz(tags[name]) for name in colorants], axis=1)
    matrix = np.linalg.solve(to_xyz, _SRGB_TO_XYZ)
    # White is white in both spaces; without this the rounded constants above would tint it in the fourth digit.
    matrix /= matrix.sum(axis=1, keepdims=True)
    position = np.linspace(0, 1, _CURVE_POINTS)
    return matrix, [_from_black(_curve(tags[name], position)) for name in tone]


def _from_black(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """A rising curve stretched to begin at 0: black point compensation, where a profile's black glows."""
    rising = np.maximum.accumulate(light)
    return np.asarray((rising - rising[0]) / (1 - rising[0]))


def _tags(icc: bytes) -> dict[bytes, bytes]:
    count = int.from_bytes(icc[128:132], "big")
    entries = struct.iter_unpack(">4sII", icc[132 : 132 + 12 * count])
    return {name: icc[offset : offset + size] for name, offset, size in entries}


def _xyz(tag: bytes) -> NDArray[np.float64]:
    return np.frombuffer(tag, ">i4", 3, offset=8) / 65536


def _curve(tag: bytes, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """A tone curve's light at the code values x (ICC.1:2022, 10.6 curveType and 10.18 parametricCurveType)."""
    if tag[:4] == b"curv":
        count = int.from_bytes(tag[8:12], "big")
        table = np.frombuffer(tag, ">u2", count, offset=12)
        if count == 0:
            return x
        if count == 1:
            return np.asarray(x ** (table[0] / 256))
        return np.interp(x, np.linspace(0, 1, count), table / 65535)
    kind = int.from_bytes(tag[8:10], "big")
    g, *rest = (np.frombuffer(tag, ">i4", (1, 3, 4, 5, 7)[kind], offset=12) / 65536).tolist()
    a, b = rest[:2] if kind else (1.0, 0.0)
    if kind <= 2:
        start, slope = -b / a, 0.0
        above = below = rest[2] if kind == 2 else 0.0
    else:
        slope, start = rest[2:4]
        above, below = rest[4:] if kind == 4 else (0.0, 0.0)
    power = np.maximum(a * x + b, 0) ** g + above
    return np.where(x >= start, power, slope * x + below)
