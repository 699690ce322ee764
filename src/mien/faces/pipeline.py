"""From a photo to encodings: load → detect → align → encode."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from mien import images
from mien.errors import FaceError, ImageError, WeightsError
from mien.faces import quality
from mien.faces.align import align
from mien.faces.detect import Detector
from mien.faces.encode import Encoder, load_encoder
from mien.faces.quality import QualityLimits
from mien.faces.records import Encodings, Face, Image

Photo = str | Path | bytes | NDArray[np.uint8]
"""A picture file, its bytes, or pixels: uint8 (H, W, 3) RGB."""


@dataclass(frozen=True, eq=False)
class Seen:
    """One face in a photo, with what is kept of it."""

    face: Face
    encoding: NDArray[np.float32]
    """Shape (D,), L2 norm 1."""


class FacePipeline:
    """The two networks and what lies between them; loads once, sees many photos."""

    def __init__(self, encoder: Encoder | str | Path = "sface", *, detector: Detector | None = None) -> None:
        self.encoder = encoder if isinstance(encoder, Encoder) else load_encoder(encoder)
        self.detector = detector or Detector()

    def faces(self, image: Image) -> list[Face]:
        """Every face in the picture, the largest first."""
        return self.detector.detect(image)

    def crop(self, image: Image, face: Face) -> Image:
        """The face turned upright and cut out as the encoder expects it."""
        weights = self.encoder.weights
        if weights.template is None or weights.size is None:
            raise WeightsError(f"Expected the record of the encoder {weights.name} to have a template and a size.")
        return align(image, face.landmarks, template=weights.template, size=weights.size)

    def encode(self, image: Image, faces: Sequence[Face]) -> Encodings:
        """The encodings of some of the picture's faces, shape (N, D)."""
        if not faces:
            return np.empty((0, self.encoder.dimension), np.float32)
        return self.encoder.encode(np.stack([self.crop(image, face) for face in faces]))

    def see(self, photo: Photo) -> list[Seen]:
        """Every face in the photo, the largest first, with its encoding."""
        image = pixels(photo)
        return self.see_faces(image, self.faces(image))

    def see_one(self, photo: Photo, *, limits: QualityLimits | None = None, name: str | None = None) -> Seen:
        """The one face in the photo, which errors call `name`.

        Raises FaceError with the reason if there is none, more than one, or, with `limits`, one that is not good
        enough to be compared with for years.
        """
        name = name or named(photo)
        image = pixels(photo)
        face = only_face(self.faces(image), name)
        if limits is not None and (reasons := quality.refusals(quality.measure(image, face), limits)):
            raise FaceError(f"{name}: {' '.join(reasons)} Give a photo in which the face is easier to see.")
        return self.see_faces(image, [face])[0]

    def see_faces(self, image: Image, faces: Sequence[Face]) -> list[Seen]:
        """Some of the picture's faces with their encodings."""
        return [Seen(face, encoding) for face, encoding in zip(faces, self.encode(image, faces), strict=True)]


def pixels(photo: Photo) -> Image:
    """The photo's pixels, upright, RGB (H, W, 3)."""
    return images.load(photo).pixels


def only_face(faces: Sequence[Face], name: str) -> Face:
    """The one face in a photo; FaceError if there is none, or more than one."""
    if not faces:
        raise FaceError(
            f"{name}: expected one face, found none. Give a photo in which the face looks at the camera and is "
            "not too small."
        )
    if len(faces) > 1:
        raise FaceError(f"{name}: expected one face, found {len(faces)}. Crop the photo to one person.")
    return faces[0]


def file_bytes(photo: Photo) -> bytes:
    """The photo as a file's bytes, unchanged where it is one; pixels become a PNG."""
    if isinstance(photo, bytes):
        return photo
    if isinstance(photo, np.ndarray):
        file = io.BytesIO()
        Pillow.fromarray(photo).save(file, "PNG")
        return file.getvalue()
    try:
        return Path(photo).read_bytes()
    except OSError as error:
        raise ImageError(f"Expected a picture, but “{photo}” cannot be read ({error.strerror}).") from error


def named(photo: Photo) -> str:
    """What to call the photo in a sentence."""
    return f"“{photo}”" if isinstance(photo, str | Path) else "The photo"
