"""What the commands of `mien faces` share: where the gallery lies, how it is opened, and the log beside it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mien import images
from mien.errors import CalibrationError, OptionError

if TYPE_CHECKING:
    from mien.faces.calibration import Calibration
    from mien.faces.gallery import Gallery
    from mien.faces.pipeline import FacePipeline
    from mien.faces.recognize import Recognizer


def default_gallery() -> str:
    """`$MIEN_GALLERY`, or a file in the user's data folder."""
    if chosen := os.environ.get("MIEN_GALLERY"):
        return chosen
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return str(base / "mien" / "gallery.db")


def gallery_option(command: Any) -> Any:
    """`--gallery`."""
    return click.option(
        "--gallery", metavar="URL", help="the gallery: a file [$MIEN_GALLERY, or one in your data folder]"
    )(command)


def encoder_options(command: Any) -> Any:
    """`--encoder` and `--calibration`."""
    for option in (
        click.option("--calibration", metavar="FILE", help="thresholds measured by `mien faces calibrate` [shipped]"),
        click.option(
            "--encoder", metavar="NAME", default="sface", help="an encoder, or the record of your own [sface]"
        ),
    ):
        command = option(command)
    return command


def json_option(command: Any) -> Any:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="the answer as JSON on standard output")(command)


def open_pipeline(encoder: str) -> FacePipeline:
    """The networks that see and encode faces."""
    from mien.faces.pipeline import FacePipeline

    return FacePipeline(Path(encoder) if encoder.endswith(".json") else encoder)


def find_calibration(pipeline: FacePipeline, chosen: str | None) -> Calibration:
    """The thresholds of the pipeline's encoder; CalibrationError says how to measure them where there are none."""
    from mien.faces.calibration import load_calibration

    weights = pipeline.encoder.weights
    source = chosen or weights.calibration
    if source is None:
        raise CalibrationError(
            f"The encoder {weights.name} has no calibration, so no threshold can be trusted. Measure one on photos of "
            "many people: mien faces calibrate DIR -o calibration.json, and give it with --calibration."
        )
    return load_calibration(source)


@contextmanager
def opened(values: dict[str, Any], *, must_exist: bool = True) -> Iterator[Recognizer]:
    """The recogniser that the options `--gallery`, `--encoder`, `--calibration` and `--fpir` ask for."""
    from mien.faces.gallery import open_gallery
    from mien.faces.recognize import FPIR, Recognizer

    url = values["gallery"] or default_gallery()
    if must_exist:
        check_gallery(url)
    pipeline = open_pipeline(values["encoder"])
    calibration = find_calibration(pipeline, values["calibration"])
    with open_gallery(url, encoder=pipeline.encoder.name, dimension=pipeline.encoder.dimension) as gallery:
        fpir = values.get("fpir")
        yield Recognizer(gallery, pipeline, calibration, fpir=FPIR if fpir is None else fpir)


@contextmanager
def opened_gallery(values: dict[str, Any]) -> Iterator[Gallery]:
    """The gallery alone, as the encoder it says it holds: no network is needed to list, export or forget people."""
    from mien.faces.gallery import describe_gallery, open_gallery

    url = values["gallery"] or default_gallery()
    check_gallery(url)
    kind = describe_gallery(url)
    if kind is None:
        raise _none_yet(url)
    with open_gallery(url, encoder=kind[0], dimension=kind[1]) as gallery:
        yield gallery


def check_gallery(url: str) -> None:
    """OptionError where nobody has been enrolled yet, rather than an empty gallery made by a question."""
    from mien.faces.gallery import gallery_path

    try:
        there = gallery_path(url).exists()
    except OSError as error:
        raise OptionError(f"Expected a gallery at “{url[:80]}”, but: {error.strerror}.") from error
    if not there:
        raise _none_yet(url)


def _none_yet(url: str) -> OptionError:
    return OptionError(
        f"Expected a gallery, but there is no “{url}” yet. Enrol somebody first: mien faces enroll NAME PHOTO"
    )


def photos_in(paths: tuple[str, ...], *, extra: Callable[[Path], bool] = lambda path: False) -> list[Path]:
    """The files among `paths`, with folders replaced by the pictures (and whatever `extra` says) in them."""
    found: list[Path] = []
    for path in map(Path, paths):
        try:
            inside = sorted(path.iterdir()) if path.is_dir() else None
        except OSError as error:
            raise OptionError(f"Expected a folder of pictures, but “{path}”: {error.strerror}.") from error
        if inside is None:
            found.append(path)
            continue
        pictures = [p for p in inside if p.name[0] != "." and (p.suffix.lower() in images.ENDINGS or extra(p))]
        if not pictures:
            raise OptionError(f"Expected pictures in the folder “{path}”, but there are none.")
        found += pictures
    return found
