"""What `mien train` and `mien features` learn from the command line about the data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mien.errors import DataError, OptionError
from mien.training.data import SPATIAL, Dataset
from mien.training.reading import Reading, from_folder, open_data
from mien.training.windows import windowed


def reading_options(command: Any) -> Any:
    """A decorator: how files are read."""
    options = (
        click.option("--size", metavar="HxW", help="height and width of pictures and clips, like 64 or 112x92"),
        click.option("--grey", is_flag=True, help="pictures in one channel"),
        click.option("--frames", type=click.IntRange(1), default=16, help="pictures of a clip [16]", metavar="N"),
        click.option("--spacing", metavar="D,H,W", help="millimetres of a voxel, where volumes do not say it"),
        click.option("--window", metavar="N,…", help="cut long signals or large volumes into windows of this size"),
        click.option("--hop", metavar="N,…", help="from one window to the next [half a window]"),
        click.option("--kind", type=click.Choice(list(SPATIAL)), help="what an .npz holds, where its axes do not tell"),
    )
    for option in reversed(options):
        command = option(command)
    return command


def reading_of(values: dict[str, Any]) -> Reading:
    """The `Reading` that the options ask for."""
    size = None
    if values["size"]:
        sides = _numbers("size", values["size"].replace("x", ","), int)
        if len(sides) > 2:
            raise OptionError(f"Expected --size as 64 or 112x92 (height x width), got {values['size']!r}.")
        size = (sides[0], sides[-1])
    spacing = None
    if values["spacing"]:
        given = _numbers("spacing", values["spacing"], float)
        if len(given) != 3:
            raise OptionError(f"Expected --spacing as three millimetres D,H,W, got {values['spacing']!r}.")
        spacing = (given[0], given[1], given[2])
    return Reading(size=size, grey=values["grey"], frames=values["frames"], spacing=spacing)


def opened(source: str, values: dict[str, Any], *, labelled: bool = True, reading: Reading | None = None) -> Dataset:
    """The examples at `source`, cut into windows if that is asked for. DataError, OptionError."""
    how = reading or reading_of(values)
    path = Path(source)
    if path.is_dir() and not labelled:
        data = from_folder(path, how=how, labelled=False)
    else:
        data = open_data(path, how=how, kind=values["kind"])
    if not values["window"]:
        if values["hop"]:
            raise OptionError("Expected --hop only with --window; add --window, or leave it out.")
        return data
    axes = SPATIAL[data.kind]
    size = _along("window", values["window"], axes)
    hop = _along("hop", values["hop"], axes) if values["hop"] else tuple(max(1, side // 2) for side in size)
    return windowed(data, size=size, step=hop)


def has_labels(source: str) -> bool:
    """Whether a folder has folders in it, or the source is a table."""
    path = Path(source)
    if not path.exists():
        raise DataError(f"Expected a folder, a .csv or an .npz, but there is no “{source}”; check the path.")
    return not path.is_dir() or any(p.is_dir() and not p.name.startswith((".", "__")) for p in path.iterdir())


def _along(name: str, text: str, axes: int) -> tuple[int, ...]:
    sides = _numbers(name, text, int)
    if len(sides) not in (1, axes):
        raise OptionError(f"Expected --{name} as one number or {axes}, one an axis, got {text!r}.")
    return sides if len(sides) == axes else sides * axes


def _numbers(name: str, text: str, kind: Any) -> tuple[Any, ...]:
    try:
        found = tuple(kind(part) for part in text.split(","))
    except ValueError:
        raise OptionError(f"Expected --{name} as numbers with commas, got {text!r}.") from None
    if min(found) <= 0:
        raise OptionError(f"Expected --{name} above 0, got {text!r}.")
    return found
