"""A folder of labelled pictures from a folder of real faces: living ones, and every attack that is simulated.

What happens to a photo follows from the seed, the person, the photo's name and the picture's number alone.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mien import images
from mien.errors import ImageError, MissingExtra, OptionError
from mien.faces.detect import Detector
from mien.faces.liveness.attacks.camera import developed
from mien.faces.liveness.attacks.compose import DISTANCES, LIVE, QUALITIES, SPECIES, Presentation, take_picture
from mien.faces.liveness.attacks.scene import Source, source_of
from mien.faces.liveness.evaluate import nearest_middle
from mien.faces.liveness.passive import crop
from mien.faces.records import Face, Image

try:
    import cv2
except ModuleNotFoundError as error:
    raise MissingExtra("Making attacks", "faces") from error

PARTS = ("learn", "choose", "judge")
"""Who is learnt from, on whom the threshold is chosen, and who is judged."""
_SHARES = (0.7, 0.85)
COLUMNS = ("path", "label", "group", "species", "quality", "distance", "person", "colour", "part")
TABLE, CROPS = "attacks.csv", "crops.csv"


@dataclass(frozen=True)
class Plan:
    """How much is made of each photo, and where it goes."""

    seed: int = 0
    per: int = 1
    """Living pictures of each photo, and as many attacks."""
    per_colour: int | None = None
    """Of each photo that carries colour, where there are few; None for as many as of the others."""
    most: int = 4
    """Photos of one person at most, so that nobody rules the set."""
    crops: int = 1
    """Cuts of each picture as a network sees it; 0: none."""
    size: int = 96
    """Of the cuts, in pixels."""
    scale: float = 2.2
    """Side of a cut, in longer sides of the face's box."""
    jitter: float = 0.22
    """How far a cut's box is moved and scaled at most, as a share of it."""
    part: str | None = None
    """Only the people of this part."""

    def times(self, source: Source) -> int:
        """Living pictures of that photo, and attacks."""
        return self.per_colour if source.colour and self.per_colour is not None else self.per

    def __post_init__(self) -> None:
        limits = {"per": (1, 1000), "per_colour": (1, 1000), "most": (1, 10**6), "crops": (0, 100), "size": (16, 512)}
        for name, (low, high) in limits.items():
            if getattr(self, name) is not None and not low <= getattr(self, name) <= high:
                raise OptionError(f"Expected {name} from {low} to {high}, got {getattr(self, name)}.")
        if not 0 <= self.jitter <= 0.5 or not 1 <= self.scale <= 5:
            raise OptionError(
                f"Expected a jitter from 0 to 0.5 and a scale from 1 to 5, got {self.jitter} and {self.scale}."
            )
        if self.part is not None and self.part not in PARTS:
            raise OptionError(f"Expected a part of {', '.join(PARTS)}, got {self.part!r}.")


@dataclass(frozen=True)
class Made:
    """What was made."""

    table: Path
    crops: Path | None
    pictures: int
    people: int
    colour: int
    """Photos that carry colour; only these give colour cues."""
    grey: int
    without_face: int
    """Photos left out, because no face was found."""


def part_of(person: str) -> str:
    """The part that a person belongs to, by a hash of the name: the same in every set that is ever generated."""
    digest = hashlib.sha256(f"mien attacks {person.casefold()}".encode()).digest()
    share = int.from_bytes(digest[:8], "big") / 2**64
    return PARTS[sum(share >= limit for limit in _SHARES)]


def presentations(per: int, start: int) -> Iterator[Presentation]:
    """`per` living pictures, each followed by an attack; species, qualities and distances take turns from `start`."""
    kinds = [(species, quality) for species in SPECIES for quality in QUALITIES]
    distances = tuple(DISTANCES)
    for i in range(start, start + per):
        yield Presentation(LIVE, None, distances[i % len(distances)])
        species, quality = kinds[i % len(kinds)]
        yield Presentation(species, quality, distances[(i // len(kinds) + i) % len(distances)])


def generate(
    photos: str | Path | Sequence[str | Path],
    out: str | Path,
    plan: Plan | None = None,
    *,
    detector: Detector | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Made:
    """Write `out`/live/PERSON/… and `out`/SPECIES/PERSON/…, attacks.csv and crops.csv, from one folder a person.

    Both tables have the columns path, label (live, attack) and group (the person), as `mien train --data` reads them,
    and species, quality, distance, person, colour and part. OptionError where `out` exists, or nobody can be used.
    """
    plan, detector = plan or Plan(), detector or Detector(thorough=False)
    out = Path(out)
    if out.exists() and any(out.iterdir()):
        raise OptionError(f"Expected a new or empty folder, but “{out}” holds something; choose another one.")
    folders = [photos] if isinstance(photos, str | Path) else list(photos)
    sources, missed = read_sources(folders, plan, detector)
    made = [source for part in sources.values() for source in part]
    if not any(len({source.person for source in part}) > 1 for part in sources.values()):
        raise OptionError(
            f"Expected photos of at least two people with a face, got {len({s.person for s in made})}; "
            "an attack's background is made of somebody else's photo. Give one folder of photos a person."
        )
    rows: list[dict[str, str]] = []
    cuts: list[dict[str, str]] = []
    start = 0
    for number, source in enumerate(made):
        others = _others(source, sources[part_of(source.person)]) or _others(source, made)
        for row, picture, random in _write_pictures(out, source, others, plan, start=start):
            rows.append(row)
            if plan.crops:
                cuts.extend(_write_crops(out, row, picture, plan, detector, random))
        start += plan.times(source)
        if progress:
            progress(number + 1, len(made))
    table = _write_table(out / TABLE, rows)
    colour = sum(source.colour for source in made)
    return Made(
        table,
        _write_table(out / CROPS, cuts) if cuts else None,
        len(rows),
        len({source.person for source in made}),
        colour,
        len(made) - colour,
        missed,
    )


def read_sources(folders: Sequence[str | Path], plan: Plan, detector: Detector) -> tuple[dict[str, list[Source]], int]:
    """The photos that can be used, by part, and how many had no face.

    A photo of several people counts for the face nearest its middle.
    """
    found: dict[str, list[Source]] = {part: [] for part in PARTS}
    missed = 0
    for person, paths in (pair for folder in folders for pair in _people(folder).items()):
        if plan.part is not None and part_of(person) != plan.part:
            continue
        for path in paths[: plan.most]:
            try:
                pixels = images.load(path).pixels
            except ImageError:
                missed += 1
                continue
            face = nearest_middle(detector.detect(pixels), pixels)
            if face is None:
                missed += 1
            else:
                found[part_of(person)].append(source_of(pixels, face, person=person, name=path.stem))
    return found, missed


def random_of(seed: int, *names: str) -> np.random.Generator:
    """A generator that follows from the seed and the names alone."""
    digest = hashlib.sha256("/".join((str(seed), *names)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def crop_box(face: Face, random: np.random.Generator, jitter: float) -> tuple[float, float, float, float]:
    """The face's box, moved by up to `jitter` of its sides and scaled by up to 1 ± `jitter`."""
    x, y, width, height = face.box
    grown = float(np.exp(random.uniform(-1, 1) * np.log1p(jitter)))
    dx, dy = random.uniform(-jitter, jitter, 2)
    x, y = x + width / 2 * (1 - grown) + dx * width, y + height / 2 * (1 - grown) + dy * height
    return float(x), float(y), width * grown, height * grown


# ---- files -----------------------------------------------------------------------------------------------------------


def _others(source: Source, among: Sequence[Source]) -> list[Source]:
    """Photos of other people for the background; as colourful as the face, or colour itself would say "attack"."""
    strangers = [other for other in among if other.person != source.person]
    return [other for other in strangers if other.colour == source.colour] or strangers


def _write_pictures(
    out: Path, source: Source, others: Sequence[Source], plan: Plan, *, start: int
) -> Iterator[tuple[dict[str, str], Image, np.random.Generator]]:
    """Each picture that is made of a photo, written: its row, its pixels, and the generator that made it."""
    for number, what in enumerate(presentations(plan.times(source), start)):
        random = random_of(plan.seed, source.person, source.name, str(number))
        jpeg = take_picture(source, what, others[int(random.integers(len(others)))], random)
        quality = what.quality or ""
        name = "-".join(part for part in (source.name, str(number), quality, what.distance) if part)
        path = Path(what.species) / source.person / f"{name}.jpg"
        _write(out / path, jpeg)
        values = (
            path.as_posix(),
            what.label,
            source.person,
            what.species,
            quality,
            what.distance,
            source.person,
            "yes" if source.colour else "no",
            part_of(source.person),
        )
        yield dict(zip(COLUMNS, values, strict=True)), developed(jpeg), random


def _write_crops(
    out: Path, row: dict[str, str], pixels: Image, plan: Plan, detector: Detector, random: np.random.Generator
) -> Iterator[dict[str, str]]:
    """Cuts of the face that is found; none where none is."""
    face = nearest_middle(detector.detect(pixels), pixels)
    if face is None:
        return
    for number in range(plan.crops):
        moved = Face(crop_box(face, random, plan.jitter), face.landmarks, face.score)
        cut = crop(pixels, moved, scale=plan.scale, size=(plan.size, plan.size))
        path = Path(row["path"])
        target = Path("crops") / path.parent / f"{path.stem}-{number}.png"
        _write(out / target, cv2.imencode(".png", np.ascontiguousarray(cut[:, :, ::-1]))[1].tobytes())
        yield {**row, "path": target.as_posix()}


def _people(photos: str | Path) -> dict[str, list[Path]]:
    root = Path(photos)
    if not root.is_dir():
        raise OptionError(f"Expected a folder that holds one folder of photos a person, but “{photos}” is none.")
    people = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    return {
        person.name: sorted(
            path for path in person.iterdir() if path.suffix.lower() in images.ENDINGS and path.name[0] != "."
        )
        for person in people
    }


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    images.write_whole(path, lambda file: file.write(content))


def _write_table(path: Path, rows: Sequence[dict[str, str]]) -> Path:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return images.write_whole(path, lambda file: file.write(text.getvalue().encode()))
