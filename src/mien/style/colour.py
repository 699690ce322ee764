"""Whose colours the painting wears: four colour modes, as pure functions on float pictures (numpy only).

A picture here is a float array (H, W, 3), sRGB as stored (not linear light), in [0, 1]. `prepare_style` recolours the
style picture before the transfer, `finish` recolours the result after it; both give back the dtype that came.

Lightness and chroma are Oklab's (Ottosson 2020, "A perceptual color space for image processing"). Gatys et al. (2016,
"Preserving Color in Neural Artistic Style Transfer") use YIQ; we differ because in Oklab a hue stays itself when a
brush stroke changes the lightness beneath it, and when chroma shrinks to fit the gamut.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import ImageError, OptionError

Floats = NDArray[np.floating[Any]]
Float64 = NDArray[np.float64]

MODES: dict[str, str] = {
    "style": "the style picture's colours",
    "luminance": "the photo's own colours: only light and dark are painted",
    "linear": "the style picture recoloured so that its mean colour and colour covariance are the photo's",
    "histogram": "the style picture recoloured so that its whole palette is the photo's",
}

# A direction in which the colours deviate by less than two 8-bit levels holds the noise of rounding and JPEG, not
# colour: no more is made of it than if they deviated by two. The third direction of a painting has about six.
_NOISE = 2.0 / 255.0

# How far outside [0, 1] linear light may lie and still count as rounding.
_ROUNDING = 1e-6

# Pixels of each picture on which `match_palette` fits its maps.
_SAMPLE = 1 << 14

# Ottosson's two matrices: linear sRGB to cone responses, and their cube roots to (L, a, b).
_RGB_TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_LMS_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
_LMS_TO_RGB = np.linalg.inv(_RGB_TO_LMS)
_LAB_TO_LMS = np.linalg.inv(_LMS_TO_LAB)


def prepare_style(style_rgb: Floats, content_rgb: Floats, *, mode: str) -> Floats:
    """The style picture as the transfer should see it, (H, W, 3) in [0, 1]; the two pictures may differ in size.

    Raises:
        OptionError: there is no such mode.
        ImageError: a picture is not a finite float array (H, W, 3).
    """
    _check_mode(mode)
    style, content = _checked(style_rgb, "style picture"), _checked(content_rgb, "photo")
    if mode == "style":
        return style.astype(style_rgb.dtype)
    prepared = _PREPARE[mode](style, content)
    return np.clip(prepared, 0.0, 1.0).astype(style_rgb.dtype)


def finish(result_rgb: Floats, content_rgb: Floats, *, mode: str) -> Floats:
    """The transfer's result in its final colours, (H, W, 3) in [0, 1]; `luminance` alone has something to do.

    Raises:
        OptionError: there is no such mode.
        ImageError: a picture is not a finite float array (H, W, 3), or the two differ in size.
    """
    _check_mode(mode)
    result, content = _checked(result_rgb, "result"), _checked(content_rgb, "photo")
    if result.shape != content.shape:
        raise ImageError(
            f"The photo must be as large as the result to lend it its colours, but it is {_size(content)} "
            f"and the result {_size(result)}; resize the photo first."
        )
    if mode == "luminance":
        result = keep_colours(result, content)
    return result.astype(result_rgb.dtype)


def to_oklab(rgb: Floats) -> Float64:
    """Oklab (..., 3) of sRGB colours (..., 3): L in [0, 1] for colours in gamut, a and b about -0.4 to 0.4."""
    magnitude = np.abs(rgb)
    linear = np.where(magnitude <= 0.04045, magnitude / 12.92, ((magnitude + 0.055) / 1.055) ** 2.4)
    # Colours outside [0, 1] come here to be brought back, so the curve goes on below zero as its mirror image.
    return _mix(_LMS_TO_LAB, np.cbrt(_mix(_RGB_TO_LMS, np.sign(rgb) * linear)))


def from_oklab(lab: Float64) -> Float64:
    """Colours (..., 3) in [0, 1] of Oklab ones; what lies out of gamut keeps lightness and hue and loses chroma."""
    lightness, chroma = np.clip(lab[..., :1], 0.0, 1.0), lab[..., 1:]
    linear = _linear_rgb(lightness, chroma)
    outside = ~_in_gamut(linear)
    if outside.any():
        linear[outside] = _shrink_chroma(lightness[outside], chroma[outside])
    linear = np.clip(linear, 0.0, 1.0)
    encoded: Float64 = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.clip(encoded, 0.0, 1.0)


def grey(rgb: Floats) -> Float64:
    """The picture (..., 3) without chroma at the same Oklab lightness: Gatys et al.'s luminance picture L."""
    lab = to_oklab(rgb)
    lab[..., 1:] = 0.0
    return from_oklab(lab)


def keep_colours(result: Floats, content: Floats) -> Float64:
    """The result's lightness with the content's chroma and hue, both (H, W, 3)."""
    lab = to_oklab(content)
    lab[..., 0] = to_oklab(result)[..., 0]
    return from_oklab(lab)


def match_lightness(style: Floats, content: Floats) -> Float64:
    """The style in grey, its lightness having the content's mean and deviation (Gatys et al. 2016).

    L_S' = (sigma_C / sigma_S)(L_S - mu_S) + mu_C. Colour is left out of the style because `finish` throws the
    painted colour away: a stroke that shows in hue alone would be lost.
    """
    source, target = to_oklab(style)[..., 0], to_oklab(content)[..., 0]
    gain = target.std() / max(float(source.std()), _NOISE)
    lab = np.zeros(style.shape)
    lab[..., 0] = gain * (source - source.mean()) + target.mean()
    return from_oklab(lab)


def match_linear(style: Floats, content: Floats, *, how: str = "sym") -> Float64:
    """The style's colours x (..., 3) under one affine map that gives them the content's mean and covariance.

    x' = A (x - mu_S) + mu_C with A Sigma_S A^T = Sigma_C (Gatys et al. 2016); x' may leave [0, 1].
    Every such A is Sigma_C^(1/2) U Sigma_S^(-1/2) with U orthogonal, and the choices differ in U:
    `sym`   the Monge-Kantorovich map Sigma_S^(-1/2) (Sigma_S^(1/2) Sigma_C Sigma_S^(1/2))^(1/2) Sigma_S^(-1/2). It is
            the default because of all A it moves the colours least (smallest mean |x' - x|^2) and, symmetric and
            positive, it turns no colour into its opposite;
    `pca`   U = 1, symmetric roots: nearly as gentle;
    `chol`  Cholesky factors: depends on the order of the channels.
    The covariance is met exactly unless the style lacks a direction of colour (a grey picture): such a direction is
    amplified no more than if the style deviated in it by two 8-bit levels.

    Raises:
        OptionError: `how` is none of these.
    """
    if how not in _LINEAR:
        raise OptionError(f"A linear colour match is one of {', '.join(_LINEAR)}, not {how!r}; choose one of them.")
    source, target = _pixels(style), _pixels(content)
    matrix = _LINEAR[how](_covariance(source, floor=_NOISE**2), _covariance(target, floor=0.0))
    matched: Float64 = _mix(matrix, source - source.mean(0)) + target.mean(0)
    return matched.reshape(style.shape)


def match_channel(values: Floats, reference: Floats) -> Float64:
    """`values` moved, order kept, so that their distribution becomes that of `reference`; both of any shape.

    A value goes to the reference's quantile at its middle rank, so a flat area goes to the mean of what it stands for.
    """
    places, targets = _transport(np.ravel(values), np.ravel(reference))
    return np.interp(values, places, targets)


def match_palette(style: Floats, content: Floats, *, rounds: int = 8, blur: float = 0.04) -> Float64:
    """The style's colours (..., 3) moved until their distribution in three dimensions is the content's.

    Iterative distribution transfer (Pitie et al. 2007, "Automated colour grading using colour distribution
    transfer"): in each round the colours are matched one coordinate after the other along the axes of another
    rotation, the first being R, G and B themselves. The rotations are the same on every call. The outcome may leave
    [0, 1] by a little.

    We differ in two things, both because a photo's plain sky would flatten half the brush strokes and tear the rest
    into patches: the start is `match_linear`, which leaves little to move, and both palettes are taken as blurred by
    a deviation of `blur`.
    """
    start, goal = _pixels(match_linear(style, content)), _pixels(content)
    random = np.random.default_rng(0)
    rotations = np.linalg.qr(random.standard_normal((rounds, 3, 3)))[0]
    rotations[0] = np.eye(3)
    # The maps are fitted on a sample and applied to all. The same noise on both sides leaves equal pictures equal.
    noise = blur * random.standard_normal((_SAMPLE, 3))
    source, reference = (x[_spread(len(x), _SAMPLE)] for x in (start, goal))
    source, reference = source + noise[: len(source)], reference + noise[: len(reference)]
    moved = start
    for axes in rotations:
        along, known, wanted = _mix(axes, moved), _mix(axes, source), _mix(axes, reference)
        for i in range(3):
            places, targets = _transport(known[:, i], wanted[:, i], knots=256)
            known[:, i] = np.interp(known[:, i], places, targets)
            # As displacements, so that pixels beyond the sample's range move along with its ends.
            along[:, i] += np.interp(along[:, i], places, targets - places)
        moved, source = _mix(axes.T, along), _mix(axes.T, known)
    return moved.reshape(style.shape)


def into_gamut(rgb: Float64) -> Float64:
    """Colours (..., 3) outside [0, 1] brought back at their lightness and hue; the others are left as they are."""
    outside = ~_in_gamut(rgb)
    back = rgb.copy()
    back[outside] = from_oklab(to_oklab(rgb[outside]))
    return np.clip(back, 0.0, 1.0)


_PREPARE: dict[str, Callable[[Float64, Float64], Float64]] = {
    "luminance": match_lightness,
    "linear": lambda style, content: into_gamut(match_linear(style, content)),
    "histogram": lambda style, content: into_gamut(match_palette(style, content)),
}


def _check_mode(mode: str) -> None:
    if mode not in MODES:
        raise OptionError(f"A colour mode is one of {', '.join(MODES)}, not {mode!r}; choose one of them.")


def _checked(rgb: Floats, name: str) -> Float64:
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.size == 0 or not np.issubdtype(rgb.dtype, np.floating):
        raise ImageError(
            f"The {name} must be a float array (H, W, 3) in [0, 1], but it is {rgb.dtype} {rgb.shape}; "
            "divide an 8-bit picture by 255 first."
        )
    # A 0-255 picture in floats would otherwise become all white; a small overshoot of a resize is simply clipped.
    if not np.isfinite(rgb).all() or rgb.max() > 2.0:
        raise ImageError(
            f"The {name} must hold values in [0, 1], but its largest is {rgb.max():g}; "
            "scale it to [0, 1] and leave out what is not a number."
        )
    return np.clip(rgb.astype(np.float64), 0.0, 1.0)


def _size(rgb: Floats) -> str:
    return f"{rgb.shape[1]}×{rgb.shape[0]}"


def _in_gamut(rgb: Float64) -> NDArray[np.bool_]:
    within: NDArray[np.bool_] = (rgb >= -_ROUNDING) & (rgb <= 1.0 + _ROUNDING)
    return np.asarray(within.all(-1))


def _linear_rgb(lightness: Float64, chroma: Float64) -> Float64:
    return _mix(_LMS_TO_RGB, _mix(_LAB_TO_LMS, np.concatenate([lightness, chroma], axis=-1)) ** 3)


def _mix(matrix: Float64, colours: Float64) -> Float64:
    """`matrix` (3, 3) times every colour (..., 3)."""
    # For millions of rows of three numbers this is eight times faster than a threaded matrix product.
    mixed: Float64 = np.einsum("ij,...j->...i", matrix, colours)
    return mixed


def _shrink_chroma(lightness: Float64, chroma: Float64) -> Float64:
    """Linear RGB (N, 3) with the largest share of the chroma (N, 2) that stays in gamut, found by bisection."""
    low, high = np.zeros_like(lightness), np.ones_like(lightness)
    for _ in range(16):
        middle = (low + high) / 2
        inside = _in_gamut(_linear_rgb(lightness, middle * chroma))[:, None]
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    return _linear_rgb(lightness, low * chroma)


def _pixels(rgb: Floats) -> Float64:
    return rgb.reshape(-1, 3).astype(np.float64)


def _covariance(pixels: Float64, *, floor: float) -> Float64:
    """Covariance (3, 3) of colours (N, 3), no eigenvalue below `floor`."""
    centred = pixels - pixels.mean(0)
    values, vectors = np.linalg.eigh(centred.T @ centred / len(pixels))
    covariance: Float64 = (vectors * np.maximum(values, floor)) @ vectors.T
    return covariance


def _power(covariance: Float64, exponent: float) -> Float64:
    values, vectors = np.linalg.eigh(covariance)
    power: Float64 = (vectors * np.maximum(values, 0.0) ** exponent) @ vectors.T
    return power


def _sym(source: Float64, target: Float64) -> Float64:
    root, inverse = _power(source, 0.5), _power(source, -0.5)
    return inverse @ _power(root @ target @ root, 0.5) @ inverse


def _pca(source: Float64, target: Float64) -> Float64:
    return _power(target, 0.5) @ _power(source, -0.5)


def _chol(source: Float64, target: Float64) -> Float64:
    return _lower(target) @ np.linalg.inv(_lower(source))


def _lower(covariance: Float64) -> Float64:
    """The Cholesky factor; through QR of the root, which (unlike numpy's) also serves a singular covariance."""
    upper = np.linalg.qr(_power(covariance, 0.5))[1]
    signs = np.where(np.diag(upper) < 0, -1.0, 1.0)
    lower: Float64 = (signs[:, None] * upper).T
    return lower


_LINEAR: dict[str, Callable[[Float64, Float64], Float64]] = {"sym": _sym, "pca": _pca, "chol": _chol}


def _transport(values: Floats, reference: Floats, *, knots: int | None = None) -> tuple[Float64, Float64]:
    """The monotone map of `values` (N,) onto `reference` (M,) as rising places and their targets, `knots` at most."""
    places, counts = np.unique(np.asarray(values, dtype=np.float64), return_counts=True)
    levels = (np.cumsum(counts) - counts / 2) / len(values)
    if knots is not None and len(places) > knots:
        kept = np.linspace(0, len(places) - 1, knots).round().astype(np.intp)
        places, levels = places[kept], levels[kept]
    targets = np.interp(levels, (np.arange(len(reference)) + 0.5) / len(reference), np.sort(reference))
    return places, targets


def _spread(count: int, sample: int) -> NDArray[np.intp]:
    """At most `sample` indices below `count`; steps of the golden ratio, which never fall in with a picture's rows."""
    if count <= sample:
        return np.arange(count)
    golden = (5.0**0.5 - 1) / 2
    indices: NDArray[np.intp] = (np.arange(sample) * golden % 1.0 * count).astype(np.intp)
    return indices
