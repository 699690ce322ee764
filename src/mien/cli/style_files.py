"""The files of `mien style`: how they are named, found again, and refused before the work begins."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mien import images
from mien.errors import MienError, OptionError, OutputError, ResumeError
from mien.style import inputs


def check_outputs(out: Path, *, bits: int, force: bool, evolution: bool, log: str | None) -> None:
    """Refuse now, not after a minute of painting: OutputError or OptionError."""
    images.check_writable(out, force=force, bits=bits)
    beside = [out.with_name(f"{out.stem}-evolution{ending}") for ending in (".png", ".gif")] if evolution else []
    if log:
        table = Path(log)
        if table.suffix.lower() in images.ENDINGS:
            raise OptionError(
                "Expected --log to name a table like costs.csv (its plot becomes costs.png), got a picture."
            )
        plot = table.with_suffix(".png")
        if plot.resolve() == out.resolve():
            raise OptionError(
                f"Expected --log to leave the painting alone, but the plot of “{table}” would be “{plot}” too; "
                f"choose another name, like {table.stem}-costs.csv"
            )
        images.check_writable(plot, force=force)
        beside.append(table)
    for path in beside:
        if path.is_dir() or (path.exists() and not force):
            raise OutputError(
                f"Expected a new file, but “{path}” exists already; choose another name, or overwrite it with --force."
            )


def check_style(style: str) -> None:
    """Refuse a wrong style before anything is written; a pattern is not drawn for it."""
    if style.startswith("@"):
        from mien.style import patterns  # here, because what draws them takes a quarter of a second to load

        patterns.describe(style)
    else:
        images.load(style)


def make_folder(path: Path) -> bool:
    """The folder `path`, made if it is not there (then True); OutputError if it cannot be."""
    if path.is_dir():
        return False
    try:
        path.mkdir(parents=True)
    except OSError as error:
        raise OutputError(
            f"Expected a folder to put the pictures into, but “{path}” cannot be made ({error.strerror}); "
            "choose another name."
        ) from error
    return True


def targets(files: list[Path], out: Path) -> list[Path]:
    """A painting's name for each photo; photos that differ only in their ending keep it in the name."""
    stems = [file.stem for file in files]
    return [out / f"{file.name if stems.count(file.stem) > 1 else file.stem}.png" for file in files]


def state_of(out: Path) -> Path:
    """Where the state lies from which a painting goes on."""
    return out.with_name(out.name + ".state")


def joined(styles: list[str]) -> str:
    """The styles' names in one."""
    return "+".join(s[1:] if s.startswith("@") else Path(s).stem for s in styles)


def free_name(content: str | None, styles: list[str], *, ending: str = "") -> Path:
    """A name made of the photo's and the styles', in the current folder, that no file has yet."""
    first = "texture" if content is None else Path(content).stem
    name = f"{first}-{joined(styles)}".replace("/", "-")
    # File systems take 255 bytes, of which the state and the number want some.
    short = os.fsencode(name)[:200].decode("utf-8", "ignore")
    return unused(Path(f"{name if len(os.fsencode(name)) <= 200 else short}{ending}.png"))


def unused(path: Path) -> Path:
    """`path`, or with the first number that makes it a name no file has."""
    candidate, number = path, 2
    while candidate.exists():
        candidate, number = path.with_name(f"{path.stem}-{number}{path.suffix}"), number + 1
    return candidate


def found(items: list[dict[str, str]], near: str) -> tuple[str, ...]:
    """Files by the names they were given by: from here, or beside the file that names them."""
    paths = []
    for item in items:
        name = item["name"]
        home = Path(near).parent
        places = [name] if name.startswith("@") else [name, str(home / name), str(home / Path(name).name)]
        there = [place for place in dict.fromkeys(places) if place.startswith("@") or Path(place).exists()]
        if not there:
            raise ResumeError(
                f"Expected to find “{name}” here or beside “{near}”, found it in neither. Run mien in the folder it "
                "was run in, or give CONTENT and STYLE anew."
            )
        paths.append(_the_same(there, item))
    return tuple(paths)


def _the_same(places: list[str], item: dict[str, str]) -> str:
    """Of several files by one name, the one whose picture it was; the first if none is (the painting will say so)."""
    if len(places) == 1:
        return places[0]
    return next((place for place in places if _has(place, item["sha256"])), places[0])


def _has(place: str, sha256: str) -> bool:
    try:
        return inputs.read(place).sha256 == sha256
    except MienError:
        return False


def named(kept: dict[str, Any], pictures: tuple[str, ...], near: str) -> tuple[str | None, list[str]]:
    """The photo and the styles, as given now or as they were given then."""
    if "content" not in kept:
        return None, list(pictures or found(kept["styles"], near))
    content = pictures[0] if pictures else found([kept["content"]], near)[0]
    return content, list(pictures[1:] or found(kept["styles"], near))
