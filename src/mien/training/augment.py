"""Small changes that leave the label as it is, in one, two and three dimensions.

What happens to an example follows from (seed, epoch, index, view) alone, never from a global generator: a resumed
training, another number of workers or another order of reading gives the same pixels, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from mien.errors import OptionError
from mien.training.data import SPATIAL, Array, Kind

_KNOTS = 6


@dataclass(frozen=True)
class Augmentation:
    """How strongly each change is made; 0 leaves it out. Amounts are drawn evenly from -x to x."""

    shift: float = 0.0
    """Along each axis, as a share of its length; the edge's value comes in."""
    zoom: float = 0.0
    """Of a picture, as a share of its size; together with `shift` this is cropping."""
    rotate: float = 0.0
    """Of a picture, in degrees."""
    shear: float = 0.0
    """Of a picture, as the tangent of its angle."""
    flip: tuple[int, ...] = ()
    """Spatial axes that are mirrored half of the time: (1,) is left and right of a picture, (0,) time in a signal.
    Never for signatures, digits or letters: mirrored they are something else."""
    gain: float = 0.0
    """All channels multiplied by 1 + x: contrast, amplitude."""
    offset: float = 0.0
    """Added to all values, in the values' own unit: brightness, baseline."""
    noise: float = 0.0
    """Standard deviation of normal noise, in the values' own unit."""
    warp: float = 0.0
    """Of a signal: how far time is bent at most, as a share of the length, smoothly."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name != "flip" and not (np.isfinite(value) and value >= 0):
                raise OptionError(f"Expected {field.name} of 0 or more, but got {value!r}; give 0 to leave it out.")

    @property
    def geometric(self) -> bool:
        """Whether a picture is resampled at all."""
        return any((self.shift, self.zoom, self.rotate, self.shear))


NONE = Augmentation()
SIGNAL = Augmentation(shift=0.02, gain=0.1, noise=0.05, warp=0.01)
"""For normalised signals (deviation 1)."""
PICTURE = Augmentation(shift=0.05, zoom=0.1, rotate=8, flip=(1,), gain=0.15, offset=0.08)
"""For pictures in [0, 1] of things that may be mirrored, such as faces."""
HANDWRITING = Augmentation(shift=0.06, zoom=0.12, rotate=10, shear=0.15)
"""For letters, digits and signatures: never mirrored."""
VOLUME = Augmentation(shift=0.04, flip=(2,), gain=0.1, offset=0.1, noise=0.03)
"""For normalised volumes (D, H, W); axis 2 is left and right."""
CLIP = Augmentation(shift=0.03, flip=(2,), gain=0.15, offset=0.08)
"""For clips (T, H, W)."""


def for_kind(kind: Kind) -> Augmentation:
    """The usual one of each kind."""
    return {"signal": SIGNAL, "image": PICTURE, "volume": VOLUME, "clip": CLIP}[kind]


def augment(values: Array, options: Augmentation, *, seed: int, epoch: int, index: int, view: int = 0) -> Array:
    """One example (C, *spatial), changed; a new array of the same shape, float32.

    index: the example's place in the whole data set, not in the batch. view: 0, or 1 for a second view of it.
    """
    axes = values.ndim - 1
    if axes not in (1, 2, 3):
        raise OptionError(f"Expected one example (C, *spatial) of 1, 2 or 3 axes, but got {values.shape}.")
    if any(not 0 <= axis < axes for axis in options.flip):
        raise OptionError(f"Expected axes to flip below {axes} for {values.shape}, but got {options.flip}.")
    # Philox takes a key and jumps: making one generator per example costs microseconds.
    random = np.random.Generator(np.random.Philox(key=_key(seed, epoch, index, view)))
    changed = _mirrored(values, options, random)
    if axes == 1:
        changed = _bent(changed, options, random)
    elif axes == 2:
        changed = _affine(changed, options, random)
    else:
        changed = _moved(changed, options, random)
    return _brightened(changed, options, random)


def two_views(values: Array, options: Augmentation, *, seed: int, epoch: int, index: int) -> tuple[Array, Array]:
    """Two different changes of one example, for SimCLR (Chen et al. 2020), where the pair is each other's positive."""
    one = augment(values, options, seed=seed, epoch=epoch, index=index, view=0)
    return one, augment(values, options, seed=seed, epoch=epoch, index=index, view=1)


def _key(seed: int, epoch: int, index: int, view: int) -> NDArray[np.uint64]:
    mixed = np.random.SeedSequence([seed, epoch, index, view])
    return mixed.generate_state(2, np.uint64).astype(np.uint64, copy=False)


def _mirrored(values: Array, options: Augmentation, random: np.random.Generator) -> Array:
    chosen = [axis + 1 for axis in options.flip if random.random() < 0.5]
    return np.flip(values, tuple(chosen)) if chosen else values


def _bent(values: Array, options: Augmentation, random: np.random.Generator) -> Array:
    """A signal (C, L) moved and bent in time by linear interpolation."""
    if not (options.shift or options.warp):
        return values
    length = values.shape[1]
    time = np.arange(length, dtype=np.float64)
    time += random.uniform(-options.shift, options.shift) * length
    knots = random.uniform(-options.warp, options.warp, _KNOTS) * length
    time += np.interp(np.linspace(0, _KNOTS - 1, length), np.arange(_KNOTS), knots)
    return np.stack([np.interp(time, np.arange(length), channel) for channel in values]).astype(np.float32)


def _affine(values: Array, options: Augmentation, random: np.random.Generator) -> Array:
    """A picture (C, H, W) turned, sheared, zoomed and moved about its middle, bilinear."""
    if not options.geometric:
        return values
    from scipy.ndimage import affine_transform

    height, width = values.shape[1:]
    angle = np.deg2rad(random.uniform(-options.rotate, options.rotate))
    lean = random.uniform(-options.shear, options.shear)
    zoom = 1 + random.uniform(-options.zoom, options.zoom)
    move = random.uniform(-options.shift, options.shift, 2) * (height, width)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn @ np.array([[1, 0], [lean, 1]]) / zoom
    middle = np.array([(height - 1) / 2, (width - 1) / 2])
    offset = middle - matrix @ (middle + move)
    made = [affine_transform(plane, matrix, offset, order=1, mode="nearest") for plane in values]
    return np.stack(made).astype(np.float32, copy=False)


def _moved(values: Array, options: Augmentation, random: np.random.Generator) -> Array:
    """A volume or clip moved by whole voxels."""
    if not options.shift:
        return values
    for axis, length in enumerate(values.shape[1:], start=1):
        most = int(options.shift * length)
        step = int(random.integers(-most, most + 1))
        if step:
            values = np.take(values, (np.arange(length) - step).clip(0, length - 1), axis=axis)
    return values


def _brightened(values: Array, options: Augmentation, random: np.random.Generator) -> Array:
    gain = np.float32(1 + random.uniform(-options.gain, options.gain))
    offset = np.float32(random.uniform(-options.offset, options.offset))
    changed = values * gain + offset
    if options.noise:
        changed += np.float32(options.noise) * random.standard_normal(values.shape, np.float32)
    return np.ascontiguousarray(changed, np.float32)


def check_fits(options: Augmentation, kind: Kind) -> None:
    """Raise OptionError for a change that examples of this kind do not know."""
    unused = {1: ("zoom", "rotate", "shear"), 2: ("warp",), 3: ("zoom", "rotate", "shear", "warp")}[SPATIAL[kind]]
    wrong = [name for name in unused if getattr(options, name)]
    if wrong:
        raise OptionError(f"Expected changes that fit a {kind}, but {wrong[0]} does not; leave it out.")
