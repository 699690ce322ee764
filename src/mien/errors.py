"""Every error mien raises on purpose.

MienError                   exit code 1; the text says what was expected, what came, and how to fix it
├── ImageError              a picture that cannot be read, or should not be
├── OutputError             a file that cannot be written, or exists already
├── WeightsError            a network's weights
│   ├── WeightsNotFound     ... are on none of the places looked at
│   └── WeightsMismatch     ... have another hash or shape than their record says
├── OptionError             a setting that does not exist or does not fit the others (exit code 2: usage)
├── OutOfMemory             a job that would not fit, refused before it starts
├── ResumeError             a saved state of another job
├── FaceError               a photo without a face that can be used: none, several, too small, too dark, ...
├── CalibrationError        a decision asked for where no threshold has been measured, or a rate beyond the data
├── GalleryError            a gallery that cannot be opened, read or written
│   ├── GalleryBusy         ... because another process is writing to it
│   ├── WrongKey            ... because its key is missing or another one
│   └── NameTaken           ... because somebody of that name is enrolled already
├── AuditError              a log of decisions that was edited, cut or reordered
├── TrainingError           a training that has run away
├── LivenessError           a try at the camera that is unknown, over, or used already
├── DataError               examples that cannot be learnt from; the text names the file and the fix
└── MissingExtra            a Python package that an extra brings
"""

from __future__ import annotations


class MienError(Exception):
    """Any error that mien raises on purpose; `str(error)` is one sentence fit for a person."""

    exit_code = 1


class ImageError(MienError):
    """A picture that cannot be read, or should not be."""


class OutputError(MienError):
    """A file that cannot be written, or that exists already."""


class WeightsError(MienError):
    """Something is wrong with a network's weights."""


class WeightsNotFound(WeightsError):
    """The weights are on none of the places looked at."""


class WeightsMismatch(WeightsError):
    """The weights have another hash or shape than their record says."""


class OptionError(MienError):
    """A setting that does not exist, or does not fit the others."""

    exit_code = 2


class OutOfMemory(MienError):
    """A job that would not fit into memory, refused before it starts."""


class ResumeError(MienError):
    """A saved state that belongs to another job."""


class FaceError(MienError):
    """A photo without a face that can be used; the text says why."""


class CalibrationError(MienError):
    """A decision asked for where no threshold has been measured, or a rate that the data cannot support."""


class GalleryError(MienError):
    """A gallery that cannot be opened, read or written."""


class GalleryBusy(GalleryError):
    """Another process is writing to the gallery."""


class WrongKey(GalleryError):
    """The gallery's key is missing, or another one than it was locked with."""


class NameTaken(GalleryError):
    """Somebody of that name is enrolled already."""


class AuditError(MienError):
    """A log of decisions that was edited, cut or reordered."""


class TrainingError(MienError):
    """A training that has run away."""


class LivenessError(MienError):
    """A try at the camera that is unknown, over, or used already."""


class DataError(MienError):
    """Examples that cannot be learnt from; the text names the file and the fix."""


class MissingExtra(MienError):
    """A Python package that an optional extra brings is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f'{what} needs a package that is not installed. Install it with: pip install "mien[{extra}]"')
