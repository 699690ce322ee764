"""What an evaluation compares: the pairs of the LFW protocol, or every two photos of a folder of people."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mien.errors import OptionError
from mien.images import ENDINGS

_LFW_SUFFIXES = (".jpg", ".png", ".jpeg")


@dataclass(frozen=True)
class Pair:
    """Two photos that the LFW protocol compares."""

    first: Path
    second: Path
    people: tuple[str, str]
    """Who is on the first and on the second photo."""
    fold: int
    """Counted from 0."""

    @property
    def same(self) -> bool:
        """Whether both photos show one person."""
        return self.people[0] == self.people[1]


def read_pairs(file: str | Path, folder: str | Path) -> tuple[Pair, ...]:
    """The pairs of an LFW `pairs.txt`, with their photos below `folder`: NAME/NAME_0001.jpg, .png or .jpeg.

    The first line holds the number of folds and of pairs (`10 300`; a single number means one fold). Each fold has as
    many matched lines (`name i j`) and then as many mismatched ones (`name1 i name2 j`); tabs or spaces divide.

    Raises OptionError, with the line's number, for a file that is anything else, and for photos that are not there.
    """
    named = parse_pairs(_text(file), str(file))
    paths: dict[tuple[str, int], Path | None] = {}
    for _, photos in named:
        for photo in photos:
            if photo not in paths:
                paths[photo] = _photo(Path(folder), *photo)
    missing = [f"{name}_{number:04d}" for (name, number), path in paths.items() if path is None]
    if missing:
        raise OptionError(
            f"Expected every photo of “{file}” below “{folder}” as NAME/NAME_0001.jpg or .png, but {len(missing)} of "
            f"{len(paths)} are not there, {missing[0]} among them; give the folder that holds the people's folders."
        )
    found = {photo: path for photo, path in paths.items() if path is not None}
    return tuple(Pair(found[one], found[two], (one[0], two[0]), fold) for fold, (one, two) in named)


def parse_pairs(text: str, source: str = "pairs.txt") -> list[tuple[int, tuple[tuple[str, int], tuple[str, int]]]]:
    """Fold and both photos, as name and number, of every line of a `pairs.txt`; `source` is its name in errors."""
    lines = [(number, line.rstrip("\r")) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not lines:
        raise OptionError(f"Expected “{source}” to begin with its numbers of folds and pairs, but it is empty.")
    folds, size = _header(*lines[0], source)
    if len(lines) - 1 != 2 * folds * size:
        last = lines[min(len(lines) - 1, 2 * folds * size + 1)][0]
        raise OptionError(
            f"{source}, line {last}: expected {folds} × {size} matched and as many mismatched pairs, "
            f"{2 * folds * size} lines after the first, but there are {len(lines) - 1}; the file is cut or not of LFW."
        )
    parsed = []
    for index, (number, line) in enumerate(lines[1:]):
        fold, place = divmod(index, 2 * size)
        parsed.append((fold, _photos(number, line, source, matched=place < size)))
    return parsed


def read_people(folder: str | Path) -> dict[str, tuple[Path, ...]]:
    """The photos of every person of a folder that holds one folder a person, both sorted by name.

    Other files and hidden ones are passed over. Raises OptionError for a folder without two people, or without anybody
    of whom there are two photos.
    """
    root = Path(folder)
    if not root.is_dir():
        raise OptionError(f"Expected a folder that holds one folder for each person, but “{folder}” is none.")
    people = {
        person.name: photos
        for person in sorted(root.iterdir())
        if person.is_dir() and not person.name.startswith(".") and (photos := tuple(_pictures(person)))
    }
    if len(people) < 2 or all(len(photos) < 2 for photos in people.values()):
        raise OptionError(
            f"Expected “{folder}” to hold a folder with photos for each of two people or more, with two photos of at "
            f"least one of them, but found {sum(map(len, people.values()))} photos of {len(people)} people."
        )
    return people


def read_groups(file: str | Path, people: Sequence[str]) -> dict[str, str]:
    """The group of every person of `people` that a CSV file of `person,group` names; a header is allowed.

    Raises OptionError, with the line's number, for a line that is not such, for a person put into two groups, and
    where the file names none of the people.
    """
    known = set(people)
    groups: dict[str, str] = {}
    for number, row in enumerate(_rows(file), 1):
        cells = [cell.strip() for cell in row]
        if not any(cells) or (number == 1 and [cell.lower() for cell in cells] == ["person", "group"]):
            continue
        if len(cells) != 2 or not all(cells):
            raise OptionError(f"{file}, line {number}: expected a person and a group, as person,group; got {row}.")
        person, group = cells
        if groups.get(person, group) != group:
            raise OptionError(f"{file}, line {number}: expected each person in one group, but {person} is in two.")
        groups[person] = group
    if not known & groups.keys():
        raise OptionError(f"Expected “{file}” to name people of the folder, but it names none of the {len(known)}.")
    return {person: group for person, group in groups.items() if person in known}


def read_labels(file: str | Path, folder: str | Path, photos: Sequence[Path]) -> dict[Path, str]:
    """Corrected labels: the person on each photo that a CSV file of `photo,person` names, a path below `folder`.

    Raises OptionError, with the line's number, for a line that is not such, and for a photo that is not of `photos`.
    """
    known = set(photos)
    labels: dict[Path, str] = {}
    for number, row in enumerate(_rows(file), 1):
        cells = [cell.strip() for cell in row]
        if not any(cells) or (number == 1 and [cell.lower() for cell in cells] == ["photo", "person"]):
            continue
        if len(cells) != 2 or not all(cells):
            raise OptionError(f"{file}, line {number}: expected a photo and a person, as photo,person; got {row}.")
        path = Path(folder) / cells[0]
        if path not in known:
            raise OptionError(f"{file}, line {number}: expected a photo below “{folder}”, but there is no {cells[0]}.")
        labels[path] = cells[1]
    return labels


def _header(number: int, line: str, source: str) -> tuple[int, int]:
    cells = line.split()
    if len(cells) not in (1, 2) or not all(_is_number(cell) for cell in cells):
        raise OptionError(
            f"{source}, line {number}: expected the numbers of folds and of pairs, such as 10 300; got “{line[:60]}”."
        )
    return (1, int(cells[0])) if len(cells) == 1 else (int(cells[0]), int(cells[1]))


def _photos(number: int, line: str, source: str, *, matched: bool) -> tuple[tuple[str, int], tuple[str, int]]:
    cells = [cell.strip() for cell in (line.split("\t") if "\t" in line else line.split())]
    if matched and len(cells) == 3:
        cells = [cells[0], cells[1], cells[0], cells[2]]
    elif matched or len(cells) != 4:
        expected = "name i j, two photos of one person" if matched else "name1 i name2 j, photos of two people"
        raise OptionError(f"{source}, line {number}: expected {expected}; got “{line[:80]}”.")
    one, first, two, second = cells
    if not (_is_number(first) and _is_number(second) and _is_name(one) and _is_name(two)):
        raise OptionError(f"{source}, line {number}: expected names and photos counted from 1; got “{line[:80]}”.")
    photos = (one, int(first)), (two, int(second))
    if photos[0] == photos[1] or (not matched and one == two):
        expected = "two different photos" if matched else "two different people"
        raise OptionError(f"{source}, line {number}: expected {expected}; got “{line[:80]}”.")
    return photos


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 9 and int(text) > 0


def _is_name(text: str) -> bool:
    """Whether it names a folder, and none but one of the folder of people."""
    return bool(text) and text not in (".", "..") and not set("/\\\0") & set(text)


def _photo(folder: Path, name: str, number: int) -> Path | None:
    stem = folder / name / f"{name}_{number:04d}"
    return next((path for suffix in _LFW_SUFFIXES if (path := Path(f"{stem}{suffix}")).is_file()), None)


def _pictures(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in ENDINGS and not path.name.startswith(".") and path.is_file():
            yield path


def _rows(file: str | Path) -> Iterator[list[str]]:
    """The rows of a CSV file; OptionError for one that cannot be read as such."""
    try:
        yield from csv.reader(_text(file).splitlines())
    except csv.Error as error:  # a field of 100,000 characters and more
        raise OptionError(f"Expected short lines of two fields in “{file}”, but it is no such CSV: {error}.") from error


def _text(file: str | Path) -> str:
    try:
        return Path(file).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"Expected a text file in UTF-8 at “{file}”, but it cannot be read: {error}.") from error
