"""Where a recipe's data lie: in the folder given, below $MIEN_DATA, or in an installed package (never imported)."""

from __future__ import annotations

import importlib.metadata
import os
from pathlib import Path

from mien.errors import DataError


def find_folder(given: str | Path | None, name: str) -> Path | None:
    """The folder given, else `$MIEN_DATA/name`, else None. Raises DataError for a given one that is not there."""
    if given is not None:
        if not Path(given).exists():
            raise DataError(f"Expected the recipe's data at “{given}”, but nothing is there; check the path.")
        return Path(given)
    base = os.environ.get("MIEN_DATA")
    below = Path(base) / name if base else None
    return below if below is not None and below.exists() else None


def installed(package: str, ending: str) -> Path | None:
    """The file of an installed package whose path ends so, such as nilearn's template; None if it is not there."""
    try:
        files = importlib.metadata.files(package) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    for file in files:
        if file.as_posix().endswith(ending):
            path = Path(str(file.locate()))
            if path.is_file():
                return path
    return None
