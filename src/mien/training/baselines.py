"""What one would do without a network: every report has it beside the network's figure.

Pictures: pixels + PCA (eigenfaces, Turk & Pentland 1991), HOG (Dalal & Triggs 2005), LBP (Ahonen et al. 2004).
Heartbeats: Haar wavelet energies and shape, with RR intervals, into a logistic regression. Volumes: statistics of the
intensities, and the centre voxel alone. Each is fitted on the training part only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError, MissingExtra, OptionError
from mien.training.data import Array, Indices

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Pca:
    """Directions of greatest variance, greatest first."""

    mean: Floats
    """(D,)"""
    directions: Floats
    """(K, D), orthonormal."""
    deviations: Floats
    """(K,): standard deviation along each."""

    def encode(self, rows: NDArray[Any], *, whiten: bool = False) -> Array:
        """Rows (N, D) as (N, K); `whiten` divides by the deviations, so that every direction counts the same."""
        encoded = (np.asarray(rows, np.float64) - self.mean) @ self.directions.T
        return (encoded / self.deviations if whiten else encoded).astype(np.float32)


def fit_pca(rows: NDArray[Any], *, components: int) -> Pca:
    """The `components` (at most) main directions of rows (N, D), by a singular value decomposition."""
    values = np.asarray(rows, np.float64)
    if values.ndim != 2 or len(values) < 2:
        raise DataError(f"Expected at least two rows (N, D) to find directions in, but got {values.shape}; add more.")
    if components < 1:
        raise OptionError(f"Expected at least 1 component, but got {components}.")
    mean = values.mean(axis=0)
    _, singular, directions = np.linalg.svd(values - mean, full_matrices=False)
    # N centred rows span N - 1 directions; what is left is rounding.
    real = int(np.count_nonzero(singular > singular[0] * 1e-10)) if singular[0] > 0 else 0
    if not real:
        raise DataError("Expected rows that differ, but they are all the same; there is no direction of variance.")
    kept = min(components, real)
    return Pca(mean, directions[:kept], singular[:kept] / np.sqrt(len(values) - 1))


def unit(rows: NDArray[Any]) -> Array:
    """Rows (N, D) of L2 norm 1; a row of zeros stays."""
    values = np.asarray(rows, np.float64)
    norm = np.linalg.norm(values, axis=1, keepdims=True)
    return (values / np.where(norm > 0, norm, 1)).astype(np.float32)


def pixels(values: Array) -> Array:
    """Examples (N, C, *spatial) as rows (N, D)."""
    return values.reshape(len(values), -1)


def hog(pictures: Array, *, cell: int = 8) -> Array:
    """Histograms of oriented gradients of pictures (N, C, H, W): 9 directions, blocks of 2 × 2 cells, unit rows."""
    feature = _skimage()
    rows = [
        feature.hog(
            picture.mean(axis=0), orientations=9, pixels_per_cell=(cell, cell), cells_per_block=(2, 2), block_norm="L2"
        )
        for picture in pictures
    ]
    return unit(np.stack(rows))


def lbp(pictures: Array, *, cell: int = 16) -> Array:
    """Uniform local binary patterns (8 neighbours, radius 1): one histogram of 59 a cell; Hellinger-scaled unit rows.

    The square root makes the L2 distance of two histograms their Hellinger distance, a kin of chi-square.
    """
    feature = _skimage()
    rows = []
    for picture in pictures:
        # skimage compares integers only without warning about rounding; pictures come in [0, 1].
        grey = np.rint(picture.mean(axis=0) * 255).astype(np.uint8)
        codes = feature.local_binary_pattern(grey, 8, 1, method="nri_uniform").astype(np.int64)
        height, width = (max(side // cell, 1) for side in codes.shape)
        cells = [np.array_split(band, width, axis=1) for band in np.array_split(codes, height, axis=0)]
        rows.append(np.concatenate([np.bincount(c.ravel(), minlength=59) / c.size for band in cells for c in band]))
    return unit(np.sqrt(np.stack(rows)))


def haar(signals: Array, *, levels: int = 5) -> Array:
    """Haar wavelet features (N, F) of signals (N, C, L): per channel the log energy of each level, and what remains.

    One level: a = (x0 + x1) / sqrt(2), d = (x0 - x1) / sqrt(2) over neighbouring pairs; an odd last sample is left out.
    """
    if signals.shape[-1] >> levels < 1:
        raise OptionError(f"Expected signals of at least {1 << levels} samples, but got {signals.shape[-1]}.")
    smooth = np.asarray(signals, np.float64)
    features = []
    for _ in range(levels):
        even = smooth[..., : smooth.shape[-1] // 2 * 2]
        first, second = even[..., ::2], even[..., 1::2]
        detail, smooth = (first - second) / np.sqrt(2), (first + second) / np.sqrt(2)
        features.append(np.log(np.square(detail).mean(axis=-1) + 1e-8))
    shape = smooth / 2 ** (levels / 2)
    return np.concatenate([*features, shape.reshape(len(shape), -1)], axis=1).astype(np.float32)


def intensity_statistics(volumes: Array) -> Array:
    """Per channel of volumes (N, C, D, H, W): mean, deviation, five percentiles; no place, no shape."""
    rows = []
    for volume in volumes:  # one by one: sorting copies, and thousands of patches at once would not fit
        flat = volume.reshape(len(volume), -1).astype(np.float64)
        rows.append(np.vstack([flat.mean(-1), flat.std(-1), np.percentile(flat, [5, 25, 50, 75, 95], axis=-1)]).T)
    return np.stack(rows).reshape(len(volumes), -1).astype(np.float32)


def centre_voxel(volumes: Array) -> Array:
    """The intensity (N, C·k) in the middle of volumes (N, C, D, H, W), its square and cube, for a curved border."""
    middle = tuple(side // 2 for side in volumes.shape[2:])
    value = volumes[(slice(None), slice(None), *middle)].astype(np.float64)
    return np.concatenate([value, value**2, value**3], axis=1).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Logistic:
    """A multinomial logistic regression on standardised features."""

    weights: Floats
    """(K, F)"""
    bias: Floats
    """(K,)"""
    mean: Floats
    scale: Floats

    def probabilities(self, features: NDArray[Any]) -> Floats:
        """(N, K), rows summing to 1, of features (N, F)."""
        standard = (np.asarray(features, np.float64) - self.mean) / self.scale
        return np.exp(_log_softmax(standard @ self.weights.T + self.bias))

    def predict(self, features: NDArray[Any]) -> Indices:
        """The likeliest class (N,)."""
        likeliest: Indices = self.probabilities(features).argmax(axis=1).astype(np.int64)
        return likeliest


def fit_logistic(
    features: NDArray[Any], labels: Indices, *, classes: int, l2: float = 1e-3, balance: float = 0.0
) -> Logistic:
    """Weights that minimise mean cross-entropy + l2/2 ‖W‖², by L-BFGS; a class that is not there gets no chance.

    balance: 0 counts every example the same, 1 every class; between them, class weights n^-balance.
    """
    from scipy.optimize import minimize

    x = np.asarray(features, np.float64)
    mean, scale = x.mean(axis=0), x.std(axis=0)
    scale = np.where(scale > 1e-12, scale, 1.0)
    x = (x - mean) / scale
    counts = np.bincount(labels, minlength=classes).astype(np.float64)
    each = np.where(counts > 0, np.maximum(counts, 1) ** -balance, 0.0)[labels]
    each /= each.sum()
    absent = np.where(counts > 0, 0.0, -30.0)
    target = np.eye(classes)[labels]

    def cost(flat: Floats) -> tuple[float, Floats]:
        parameters = flat.reshape(classes, -1)
        weights, bias = parameters[:, :-1], parameters[:, -1]
        logs = _log_softmax(x @ weights.T + bias + absent)
        wrong = (np.exp(logs) - target) * each[:, None]
        gradient = np.column_stack([wrong.T @ x + l2 * weights, wrong.sum(axis=0)])
        value = -float((logs[np.arange(len(x)), labels] * each).sum()) + l2 / 2 * float(np.square(weights).sum())
        return value, gradient.ravel()

    start = np.zeros(classes * (x.shape[1] + 1))
    found = minimize(cost, start, jac=True, method="L-BFGS-B", options={"maxiter": 300})
    parameters = found.x.reshape(classes, -1)
    return Logistic(parameters[:, :-1], parameters[:, -1] + absent, mean, scale)


def _log_softmax(scores: Floats) -> Floats:
    shifted = scores - scores.max(axis=1, keepdims=True)
    logs: Floats = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return logs


def _skimage() -> Any:
    try:
        from skimage import feature
    except ImportError as error:
        raise MissingExtra("The HOG and LBP baselines", "training") from error
    return feature
