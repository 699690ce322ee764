"""Scans as float32 (C, D, H, W) with the size of a voxel in mm."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError, MissingExtra
from mien.training.data import Array

Spacing = tuple[float, float, float]

# Slices of one series lie evenly to within a scanner's rounding.
_UNEVEN = 0.01


@dataclass(frozen=True, eq=False)
class Volume:
    """A scan."""

    values: Array
    """(C, D, H, W): D upwards (to the head), H forwards, W to the right where the file says how it lies."""
    spacing: Spacing
    """Millimetres between voxels along D, H, W."""


def read_nifti(path: Path, *, spacing: Spacing | None = None) -> Volume:
    """A NIfTI volume, turned so that its axes are upwards, forwards, to the right; a fourth axis becomes channels.

    spacing: for a file that does not say (without it such a file is refused). Raises DataError.
    """
    try:
        nibabel = importlib.import_module("nibabel")
    except ImportError as error:
        raise MissingExtra("Reading NIfTI volumes", "training") from error
    try:
        stored = nibabel.load(path)
        image = nibabel.as_closest_canonical(stored)
        values = np.asarray(image.dataobj, np.float32)
    except Exception as error:  # nibabel raises its own, OSError, EOFError and zlib's on damaged files
        raise DataError(
            f"Expected a NIfTI volume in “{path}”, but it cannot be read: {error}; replace it or leave it out."
        ) from error
    if values.ndim not in (3, 4) or 0 in values.shape:
        raise DataError(f"Expected a volume of three axes in “{path}”, but it has the shape {values.shape}.")
    zooms = tuple(float(z) for z in image.header.get_zooms()[:3])
    # Turning it writes codes into the header, so the stored one is asked.
    codes = [int(stored.header[name]) for name in ("qform_code", "sform_code") if name in stored.header]
    # The format's blank header says 1 × 1 × 1 and points nowhere: that is no measurement.
    unsaid = (codes == [0, 0] and zooms == (1.0, 1.0, 1.0)) or not all(np.isfinite(z) and z > 0 for z in zooms)
    if unsaid and spacing is None:
        raise no_spacing(path)
    axes = (2, 1, 0) if values.ndim == 3 else (3, 2, 1, 0)
    turned = np.ascontiguousarray(values.transpose(axes))
    return Volume(turned if values.ndim == 4 else turned[None], spacing or (zooms[2], zooms[1], zooms[0]))


def read_dicom(folder: Path, *, spacing: Spacing | None = None) -> Volume:
    """The one series of slices in a folder, sorted along its normal, in rescaled units (CT: HU). Raises DataError."""
    slices = _slices(folder)
    series = sorted({str(s.get("SeriesInstanceUID", "")) for s in slices})
    if len(series) > 1:
        raise DataError(
            f"Expected one DICOM series in “{folder}”, but there are {len(series)}; give each its own folder."
        )
    if all("ImagePositionPatient" in s and "ImageOrientationPatient" in s for s in slices):
        row, column = np.asarray(slices[0].ImageOrientationPatient, float).reshape(2, 3)
        heights = [float(np.dot(np.cross(row, column), np.asarray(s.ImagePositionPatient, float))) for s in slices]
    else:
        heights = [float(s.get("SliceLocation", s.get("InstanceNumber", 0)) or 0) for s in slices]
        if spacing is None:
            raise no_spacing(folder)
    order = np.argsort(heights, kind="stable")
    planes = [_rescaled(slices[i], folder) for i in order]
    if len({plane.shape for plane in planes}) > 1:
        raise DataError(f"Expected slices of one size in “{folder}”, but they differ; leave the localizer out.")
    return Volume(np.stack(planes)[None], spacing or _measured(slices[0], np.asarray(heights)[order], folder))


def no_spacing(path: Path | str) -> DataError:
    """The refusal of a volume that does not say how large its voxels are."""
    return DataError(
        f"Expected the size of a voxel in mm in “{path}”, but it has none, so distances in it mean nothing; "
        "write it into the file, or give spacing=(depth, height, width)."
    )


def _slices(folder: Path) -> list[Any]:
    try:
        pydicom = importlib.import_module("pydicom")
    except ImportError as error:
        raise MissingExtra("Reading DICOM series", "training") from error
    files = sorted(p for p in folder.iterdir() if p.is_file() and p.suffix.lower() in (".dcm", ".dicom", ".ima"))
    slices = []
    for path in files:
        try:
            slices.append(pydicom.dcmread(path))
        except Exception as error:  # pydicom raises many kinds on damaged files
            raise DataError(
                f"Expected a DICOM slice in “{path}”, but it cannot be read: {error}; replace it or leave it out."
            ) from error
    if not slices:
        raise DataError(f"Expected DICOM slices (.dcm) in “{folder}”, but there are none.")
    return slices


def _rescaled(slice_: Any, folder: Path) -> Array:
    try:
        values = slice_.pixel_array
    except Exception as error:  # an unknown compression, or no pixels at all
        raise DataError(
            f"Expected pixels in every slice of “{folder}”, but {getattr(slice_, 'filename', 'one')} gives none: "
            f"{error}; convert the series to uncompressed DICOM or NIfTI."
        ) from error
    slope, intercept = float(slice_.get("RescaleSlope", 1)), float(slice_.get("RescaleIntercept", 0))
    plane: Array = (values * slope + intercept).astype(np.float32)
    if plane.ndim != 2:
        raise DataError(f"Expected grey slices (H, W) in “{folder}”, but got {plane.shape}; convert it to NIfTI first.")
    return plane


def _measured(first: Any, heights: NDArray[np.float64], folder: Path) -> Spacing:
    gaps = np.diff(heights)
    if "PixelSpacing" not in first:
        raise no_spacing(folder)
    if len(gaps) == 0:
        depth = float(first.get("SliceThickness", 0) or 0)
        if not depth > 0:
            raise no_spacing(folder)
    else:
        depth = float(np.median(gaps))
        if depth <= 0 or np.abs(gaps - depth).max() > max(_UNEVEN * depth, 1e-3):
            raise DataError(
                f"Expected evenly spaced slices in “{folder}”, but the gaps run from {gaps.min():g} to {gaps.max():g} "
                "mm; a slice is missing or double: complete the series."
            )
    height, width = (float(x) for x in first.PixelSpacing)
    return depth, height, width
