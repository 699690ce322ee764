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
    `mien train`, which needs four people or more. What an interrupted call has cut already stays, and is not cut again.
    `progress` is called with the photos done and those in all.

    Raises:
        OptionError: `folder` does not hold the photos of two people, or `size` is not from 16 to 512.
        OutputError: `out` exists and is neither empty nor an interrupted call's.
        FaceError: no photo has a face that was found.
    """
    if not 16 <= size <= 512:
        raise OptionError(f"Expected a size of 16 to 512 pixels, got {size}; 112 is usual.")
    people = read_people(folder)
    target = Path(out)
    points = [[round(value, 4) for value in point] for point in template_of(size)]
    told = {"size": [size, size], "template": points, "of": str(Path(folder).resolve())}
    _begin(target, json.dumps(told, ensure_ascii=False).encode())
    total, done, cut = sum(map(len, people.values())), 0, 0
    without, unreadable, whose = list[Path](), list[Path](), set[str]()
    for person, photos in people.items():
        for photo, name in zip(photos, _names(photos), strict=True):
            done += 1
            try:
                there = (target / person / name).is_file()
                face = None if there else _face(images.load(photo).pixels, detector, size=size)
            except ImageError:
                unreadable.append(photo)
            else:
                if face is not None:
                    (target / person).mkdir(parents=True, exist_ok=True)
                    images.save(target / person / name, face)
                if face is not None or there:
                    whose.add(person)
                    cut += 1
                else:
                    without.append(photo)
            if progress:
                progress(done, total)
    if not cut:
        (target / TEMPLATE).unlink()
        target.rmdir()
        raise FaceError(f"Expected photos with a face in “{folder}”, but none was found in {total}.")
    return Cut(len(whose), cut, tuple(without), tuple(unreadable))


def _begin(target: Path, template: bytes) -> None:
    """Write the template into a new folder; one with the same, of the same photos, is gone on with."""
    path = target / TEMPLATE
    if path.is_file() and path.read_bytes() == template:
        return
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise OutputError(f"Expected a new folder for the faces, but “{target}” exists already; choose another name.")
    target.mkdir(parents=True, exist_ok=True)
    images.write_whole(path, lambda file: file.write(template))


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
    """A PNG's name for each photo: its own, with its ending and a number where two would become one."""
    names: list[str] = []
    stems = [photo.stem.casefold() for photo in photos]
    for photo, stem in zip(photos, stems, strict=True):
        base, number = photo.stem if stems.count(stem) == 1 else photo.name, 1
        name = f"{base}.png"
        while name.casefold() in (known.casefold() for known in names):
            name, number = f"{base}-{number + 1}.png", number + 1
        names.append(name)
    return names
