"""Faces: who is this, is this the same person, and how often is the answer wrong?

    from mien import faces

    pipeline = faces.FacePipeline()
    calibration = faces.load_calibration("sface")
    with faces.open_gallery("office.db", encoder=pipeline.encoder.name, dimension=128) as gallery:
        office = faces.Recognizer(gallery, pipeline, calibration)
        office.enrol("Danielle", "danielle.jpg")
        print(office.identify("door.jpg").verdict)

OpenCV and numpy do the work, without torch; the names load on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mien.faces.calibration import Calibration, load_calibration
    from mien.faces.detect import Detector
    from mien.faces.encode import Encoder, load_encoder
    from mien.faces.gallery import Gallery, open_gallery
    from mien.faces.pipeline import FacePipeline, Seen
    from mien.faces.recognize import Enrolment, Recognizer, verify, verify_encodings
    from mien.faces.records import Decision, Face, Match, Verification
    from mien.faces.similarity import cosine, decide, distance

_HOMES = {
    "Calibration": "calibration",
    "Decision": "records",
    "Detector": "detect",
    "Encoder": "encode",
    "Enrolment": "recognize",
    "Face": "records",
    "FacePipeline": "pipeline",
    "Gallery": "gallery",
    "Match": "records",
    "Recognizer": "recognize",
    "Seen": "pipeline",
    "Verification": "records",
    "cosine": "similarity",
    "decide": "similarity",
    "distance": "similarity",
    "load_calibration": "calibration",
    "load_encoder": "encode",
    "open_gallery": "gallery",
    "verify": "recognize",
    "verify_encodings": "recognize",
}

__all__ = [
    "Calibration",
    "Decision",
    "Detector",
    "Encoder",
    "Enrolment",
    "Face",
    "FacePipeline",
    "Gallery",
    "Match",
    "Recognizer",
    "Seen",
    "Verification",
    "cosine",
    "decide",
    "distance",
    "load_calibration",
    "load_encoder",
    "open_gallery",
    "verify",
    "verify_encodings",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"mien.faces.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'mien.faces' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
