"""Small invented data for where a recipe's real data are missing: seeded, learnable, and no evidence of anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mien.training.data import Array, Dataset, Example, from_arrays

if TYPE_CHECKING:
    from mien.training.recipes.volume import Template

_SOURCE = "the stand-in"


def marked(data: Dataset, examples: Sequence[Example]) -> Dataset:
    """The same data under fuller examples (groups, marks)."""
    return replace(data, examples=tuple(examples))


def faces(*, size: tuple[int, int], seed: int, people: int = 40, photos: int = 10) -> Dataset:
    """Face-like drawings (1, H, W): head, eyes, brows, nose and mouth by person; pose, light and noise by photo."""
    random = np.random.default_rng([seed, 1])
    y, x = np.meshgrid(*(np.linspace(-1, 1, side) for side in size), indexing="ij")
    pictures, names = [], []
    for person in range(people):
        face = random.uniform(-1, 1, 12)
        for _ in range(photos):
            dx, dy, lean, light = random.normal(0, (0.05, 0.05, 0.08, 0.25))
            u, v = x - dx + lean * y, y - dy
            picture = _face(u, v, face) + 0.25 * light * x + random.normal(0, 0.03, size)
            pictures.append(picture.clip(0, 1))
            names.append(f"s{person + 1}")
    return from_arrays(np.stack(pictures)[:, None], names, kind="image", source=_SOURCE)


def characters(*, size: int, seed: int, alphabets: int = 12, each: int = 20, drawers: int = 10) -> Dataset:
    """Characters (1, size, size) of two to four strokes; an alphabet shares its slant, a drawer's hand trembles."""
    random = np.random.default_rng([seed, 2])
    pictures: list[Array] = []
    examples: list[Example] = []
    for a in range(alphabets):
        lean, bend = random.normal(0, 0.25), random.uniform(0.1, 0.6)
        for c in range(each):
            strokes = random.uniform(0.12, 0.88, (random.integers(2, 5), 3, 2))
            strokes[:, 1] += random.normal(0, bend, strokes[:, 1].shape) / 3
            for d in range(drawers):
                hand = strokes + random.normal(0, 0.03, strokes.shape) + random.normal(0, 0.03, 2)
                hand[..., 0] += (lean + random.normal(0, 0.06)) * (hand[..., 1] - 0.5)
                pictures.append(_drawn(hand, size))
                label = f"alphabet{a + 1:02d}/character{c + 1:02d}"
                examples.append(
                    Example(f"{_SOURCE}[{len(examples)}]", label, label.split("/")[0], {"drawer": f"{d + 1:02d}"})
                )
    data = from_arrays(np.stack(pictures)[:, None], [e.label for e in examples], kind="image", source=_SOURCE)
    return marked(data, examples)


def beats(*, seed: int, patients: int = 10, each: int = 240) -> Dataset:
    """Heartbeats (2, 256): normal ones, early narrow ones (S), early wide ones (V), and mixtures (F)."""
    random = np.random.default_rng([seed, 3])
    time = (np.arange(256) - 128) / 360
    rows, examples, extras = [], [], []
    for p in range(patients):
        height, width, axis = random.uniform(0.8, 1.6), random.uniform(0.9, 1.2), random.uniform(0.3, 0.8)
        kinds = random.choice(["N", "S", "V", "F"], size=each, p=[0.8, 0.07, 0.1, 0.03])
        for n, kind in enumerate(kinds):
            share = {"V": 1.0, "F": 0.5}.get(str(kind), 0.0)
            narrow = _beat(time, width, p_wave=0.0 if kind == "S" else 0.15)
            lead = height * ((1 - share) * narrow + share * _wide(time, width))
            wander = 0.1 * np.sin(2 * np.pi * (0.3 * time + random.random()))
            rows.append(np.stack([lead, -axis * lead]) + wander + random.normal(0, 0.04, (2, 256)))
            early = {"N": 1.0, "S": 0.72, "V": 0.68, "F": 0.92}[str(kind)] * random.normal(1, 0.06)
            late = {"N": 1.0, "S": 1.1, "V": 1.3, "F": 1.05}[str(kind)] * random.normal(1, 0.06)
            extras.append([early, late, early * random.normal(1, 0.02), late / early])
            examples.append(Example(f"{_SOURCE} beat {n} of patient {p + 1}", str(kind), f"patient {p + 1:02d}"))
    labels = [e.label for e in examples]
    data = from_arrays(
        np.stack(rows), labels, kind="signal", source=_SOURCE, rate=360.0, extras=np.array(extras, np.float32)
    )
    return marked(data, examples)


def motions(*, seed: int, each: int = 10) -> Dataset:
    """Series (6, 100) at 10 Hz of four activities, as 40 and 40: still, a slow swing, a fast one, bursts."""
    random = np.random.default_rng([seed, 4])
    time = np.arange(100) / 10
    rows: list[NDArray[np.float64]] = []
    examples: list[Example] = []
    for part in ("train", "test"):
        for name, (rate, size) in {
            "Standing": (0, 0),
            "Walking": (1, 1),
            "Running": (2.6, 3),
            "Badminton": (0.4, 4),
        }.items():
            for _ in range(each):
                tempo, phase = rate * random.normal(1, 0.08), random.uniform(0, 2 * np.pi, (6, 1))
                swing = size * random.uniform(0.6, 1.2, (6, 1)) * np.sin(2 * np.pi * tempo * time + phase)
                if name == "Badminton":
                    swing = swing * (random.random(100) < 0.25) * 2
                rows.append(swing + random.normal(0, 0.25, (6, 100)))
                examples.append(Example(f"{_SOURCE}[{len(examples)}]", name, f"{part} series {len(examples)}"))
    data = from_arrays(np.stack(rows), [e.label for e in examples], kind="signal", source=_SOURCE, rate=10.0)
    return marked(data, examples)


def brain(*, seed: int, shape: tuple[int, int, int] = (96, 150, 96)) -> Template:
    """A folded ball of white in grey in fluid, blurred and noisy, with the tissue of each voxel; (D, H, W)."""
    from scipy.ndimage import gaussian_filter

    from mien.training.recipes.volume import Template

    random = np.random.default_rng([seed, 5])
    axes = np.meshgrid(*(np.linspace(-1, 1, side) for side in shape), indexing="ij", sparse=True)
    radius = np.sqrt(sum(axis**2 for axis in axes))
    folds = gaussian_filter(random.standard_normal(shape), 5)
    depth = 0.92 - radius + 0.16 * folds / folds.std() * (radius > 0.3)
    tissue = np.select([depth > 0.28, depth > 0.12, depth > 0], [2, 1, 0], -1).astype(np.int8)
    bright = np.array([0.35, 0.62, 0.85, 0.0])[tissue]
    noisy = gaussian_filter(bright, 0.8) * random.normal(1, 0.08, shape)
    intensity = np.where(tissue >= 0, noisy, 0).clip(0, 1).astype(np.float32)
    return Template(intensity, tissue, (1.0, 1.0, 1.0))


def _face(u: NDArray[np.float64], v: NDArray[np.float64], face: NDArray[np.float64]) -> NDArray[np.float64]:
    head = ((u / (0.72 + 0.1 * face[0])) ** 2 + (v / (0.85 + 0.08 * face[1])) ** 2) < 1
    picture = np.where(head, 0.62 + 0.15 * face[2], 0.2 + 0.1 * face[3])
    picture = np.where(head & (v < -0.42 + 0.15 * face[4]), 0.25 + 0.2 * face[5], picture)
    apart, line = 0.3 + 0.06 * face[6], -0.12 + 0.05 * face[7]
    for side in (-1, 1):
        eye = ((u - side * apart) / 0.12) ** 2 + ((v - line) / (0.06 + 0.015 * face[8])) ** 2
        brow = (np.abs(u - side * apart) < 0.16) & (np.abs(v - line + 0.13 + 0.03 * face[9]) < 0.025)
        picture = np.where((eye < 1) | brow, 0.12, picture)
    nose = (np.abs(u) < 0.04 + 0.015 * face[10]) & (v > line) & (v < 0.2)
    mouth = (u / (0.22 + 0.07 * face[11])) ** 2 + ((v - 0.48) / (0.05 + 0.02 * face[0])) ** 2 < 1
    whole: NDArray[np.float64] = np.where(nose | mouth, picture * 0.6, picture)
    return whole


def _drawn(strokes: NDArray[np.float64], size: int) -> Array:
    """Ink (size, size) along quadratic curves (S, 3, 2) in the unit square, soft at its edge."""
    t = np.linspace(0, 1, 24)[:, None]
    curves = strokes[:, None, 0] * (1 - t) ** 2 + 2 * strokes[:, None, 1] * t * (1 - t) + strokes[:, None, 2] * t**2
    points = curves.reshape(-1, 2) * size
    grid = np.arange(size) + 0.5
    apart = (grid[None, :, None] - points[:, 0]) ** 2 + (grid[:, None, None] - points[:, 1]) ** 2
    nearest = np.sqrt(apart.min(axis=2))
    ink: Array = (1.7 - nearest * 28 / size).clip(0, 1).astype(np.float32)
    return ink


def _beat(time: NDArray[np.float64], width: float, *, p_wave: float) -> NDArray[np.float64]:
    def bump(at: float, spread: float, height: float) -> NDArray[np.float64]:
        wave: NDArray[np.float64] = height * np.exp(-0.5 * ((time - at) / (spread * width)) ** 2)
        return wave

    qrs = bump(0, 0.011, 1.0) + bump(-0.028, 0.01, -0.15) + bump(0.03, 0.012, -0.25)
    return qrs + bump(-0.17, 0.025, p_wave) + bump(0.27, 0.05, 0.3)


def _wide(time: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    rise: NDArray[np.float64] = 1.2 * np.exp(-0.5 * (time / (0.045 * width)) ** 2)
    fall: NDArray[np.float64] = -0.5 * np.exp(-0.5 * ((time - 0.25) / 0.07) ** 2)
    return rise + fall
