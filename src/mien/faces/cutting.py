"""Faces cut out of photos as an encoder will see them, for one to be trained on.

    mien faces cut people/ -o cut
    mien train --data cut -o trained          # template.json tells it where eyes, nose and mouth lie
    mien faces evaluate folder others/ --encoder trained/encoder/encoder.json

An encoder that learnt from faces framed in another way than those it is asked about tells them apart badly: on ORL its
equal error rate doubled.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mien import images
from mien.errors import FaceError, ImageError, OptionError, OutputError
from mien.faces.align import align
from mien.faces.evaluate import SeesFaces, nearest_centre
from mien.faces.protocols import read_people
from mien.faces.records import Image
from mien.weights import RECORDS, TEMPLATE


@dataclass(frozen=True)
class Cut:
    """What was cut out."""

    people: int
    photos: int
    """Those a face was cut from."""
    without_face: tuple[Path, ...]
    unreadable: tuple[Path, ...]


def template_of(size: int) -> tuple[tuple[float, float], ...]:
    """Where eyes, nose and corners of the mouth lie in a square of `size` pixels: SFace's template, scaled.

    A pixel's number is its centre, so that what scales is x + 1/2.
    """
    record = RECORDS["sface"]
    if record.template is None or record.size is None:
        raise FaceError("Expected SFace's record to have a template and a size, but it has none.")
    factor = size / record.size[0]
    return tuple(((x + 0.5) * factor - 0.5, (y + 0.5) * factor - 0.5) for x, y in record.template)


def cut_folder(
    folder: str | Path,
    out: str | Path,
    *,
    detector: SeesFaces,
    size: int = 112,
    progress: Callable[[int, int], None] | None = None,
) -> Cut:
    """Cut one face out of every photo of a folder of people, the one nearest the centre, as OUT/PERSON/PHOTO.png.

    Every cut is `size` × `size` pixels RGB with the face upon `template_of(size)`, which OUT/template.json tells
    `mien train`. `progress` is called with the photos done and those in all.

    Raises:
        OptionError: `folder` does not hold the photos of two people, or `size` is not from 16 to 512.
        OutputError: `out` exists and is not an empty folder.
        FaceError: no photo has a face that was found.
    """
    if not 16 <= size <= 512:
        raise OptionError(f"Expected a size of 16 to 512 pixels, got {size}; 112 is usual.")
    people = read_people(folder)
    target = Path(out)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise OutputError(f"Expected a new folder for the faces, but “{out}” exists already; choose another name.")
    total, done, cut = sum(map(len, people.values())), 0, 0
    without, unreadable, whose = list[Path](), list[Path](), set[str]()
    for person, photos in people.items():
        for photo, name in zip(photos, _names(photos), strict=True):
            try:
                face = _face(images.load(photo).pixels, detector, size=size)
            except ImageError:
                unreadable.append(photo)
            else:
                if face is None:
                    without.append(photo)
                else:
                    (target / person).mkdir(parents=True, exist_ok=True)
                    images.save(target / person / name, face)
                    whose.add(person)
                    cut += 1
            done += 1
            if progress:
                progress(done, total)
    if not cut:
        raise FaceError(f"Expected photos with a face in “{folder}”, but none was found in {total}.")
    points = [[round(value, 4) for value in point] for point in template_of(size)]
    text = json.dumps({"size": [size, size], "template": points})
    images.write_whole(target / TEMPLATE, lambda file: file.write(text.encode()))
    return Cut(len(whose), cut, tuple(without), tuple(unreadable))


def _face(image: Image, detector: SeesFaces, *, size: int) -> Image | None:
    """The face nearest the centre upon the template; None where there is none, or what was found can be no face's."""
    faces = detector.detect(image)
    if not faces:
        return None
    try:
        return align(image, nearest_centre(faces, image).landmarks, template=template_of(size), size=(size, size))
    except FaceError:
        return None


def _names(photos: Sequence[Path]) -> list[str]:
    """A PNG's name for each photo: its own, with the ending kept where two would become one."""
    stems = [photo.stem for photo in photos]
    return [f"{photo.stem if stems.count(photo.stem) == 1 else photo.name}.png" for photo in photos]
