"""`mien demo`: a painting, six small ones, a face at the door, a network that learns, and a page that shows them."""

from __future__ import annotations

import html
import importlib.metadata
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from mien import images
from mien.cli import demo_faces, demo_learning
from mien.cli.demo_faces import FacesShown, show_faces
from mien.cli.demo_learning import LearningShown, show_learning
from mien.cli.progress import ProgressLine
from mien.cli.style_files import check_style, make_folder
from mien.cli.style_jobs import Frames
from mien.errors import ImageError
from mien.page import document, table
from mien.style import Cost, Painting, StyleOptions, result, sheet
from mien.style.inputs import gather
from mien.style.log import save_log

PHOTO, STYLE = "chelsea.png", "@night"  # the photo is scikit-image's (CC0)
SIX = ("@night", "@mosaic", "@rose", "@ink", "@points", "@waves")


@dataclass(frozen=True)
class Card:
    """One painting with what is told about it."""

    style: str
    size: tuple[int, int]
    seconds: float
    before: Cost | None
    after: Cost | None
    picture: NDArray[np.uint8]

    @property
    def numbers(self) -> dict[str, Any]:
        """As JSON keeps them."""
        return {
            "style": self.style,
            "width": self.size[0],
            "height": self.size[1],
            "seconds": round(self.seconds, 1),
            "before": None if self.before is None else asdict(self.before),
            "after": None if self.after is None else asdict(self.after),
        }


@click.command(epilog="Example: mien demo --photo holiday.jpg --style @mosaic")
@click.option("--photo", metavar="FILE", help="your photo [one that scikit-image carries]")
@click.option("--style", metavar="STYLE", default=STYLE, help=f"a picture or @pattern [{STYLE}]")
@click.option("--out", metavar="FOLDER", default="demo", help="where the pictures and the page go [demo]")
@click.option("--size", type=click.IntRange(64, 4096), default=384, help="long side of the painting [384]")
@click.option("--small", type=click.IntRange(32, 1024), default=224, help="long side of the six small ones [224]")
@click.option("--learn/--no-learn", default=True, help="also train a small network for a minute, and look into it")
@click.option("--quiet", is_flag=True, help="no progress line")
@click.option("--open", "open_", is_flag=True, help="open the page when it is done")
def demo(photo: str | None, style: str, out: str, size: int, small: int, learn: bool, quiet: bool, open_: bool) -> None:
    """Paint a photograph, and the same in six styles; know a face; teach a small network, and look into it.

    One page shows it all. The demo's own files in FOLDER are replaced; anything else there is left alone.
    """
    folder = Path(out)
    source = photo or str(example_photo())
    image = images.load(source)
    check_style(style)
    make_folder(folder)
    picture = images.resize(image.pixels, *images.fit(*image.size, size))
    images.save(folder / "photo.jpg", picture, force=True)
    main = _paint(source, style, size=size, folder=folder, label="painting", quiet=quiet)
    pair = sheet.contact_sheet([picture, main.picture], ["before", f"after, in {main.seconds:.0f} s"], columns=2)
    images.save(folder / "before-and-after.jpg", pair, force=True)
    six = [_paint(source, name, size=small, label=f"{i}/6 {name}", quiet=quiet) for i, name in enumerate(SIX, 1)]
    labels = [f"{card.style}, {card.seconds:.0f} s" for card in six]
    images.save(folder / "six.jpg", sheet.contact_sheet([c.picture for c in six], labels, columns=3), force=True)
    faces = show_faces(folder)
    learning = show_learning(folder, quiet=quiet) if learn else None
    numbers: dict[str, Any] = {"painting": main.numbers, "six": [card.numbers for card in six]}
    if faces is not None:
        numbers["faces"] = faces.numbers
    if learning is not None:
        numbers["learning"] = learning.numbers
    _write(folder / "numbers.json", json.dumps(numbers, indent=1, ensure_ascii=False))
    page = _write(folder / "index.html", _page(main, six, faces, learning))
    click.echo(f"{main.seconds:.0f} s for the painting, {sum(card.seconds for card in six):.0f} s for six small ones:")
    if faces is not None:
        for met in faces.met:
            click.echo(f"{met.answer}: {met.told}")
    if learning is not None:
        click.echo(
            f"{learning.seconds:.0f} s of training: of scraps in styles never seen, {learning.recall:.0%} have their "
            "nearest by the same hand."
        )
    click.echo("The same with your own pictures, and the door with its camera, on a page in your browser: mien serve")
    click.echo(str(page))
    if open_:
        click.launch(str(page))


def example_photo() -> Path:
    """The photograph that the installed scikit-image carries."""
    files = importlib.metadata.files("scikit-image") or []
    for file in files:
        if file.name == PHOTO:
            return Path(str(file.locate()))
    raise ImageError(f"Expected scikit-image to carry {PHOTO}, but it does not. Give a photo: mien demo --photo FILE")


def _paint(source: str, style: str, *, size: int, label: str, quiet: bool, folder: Path | None = None) -> Card:
    """Paint once; with a folder, keep the painting and how it came about there."""
    options = StyleOptions(size=size)
    painting = Painting(gather(source, style, options=options), options)
    frames = Frames(painting)
    with ProgressLine(quiet=quiet, label=label) as line:
        for number, iterate in enumerate(painting.run(), 1):
            line.show(iterate)
            frames.consider(number, iterate)
    finished = result(painting)
    if folder is not None:
        finished.save(folder / "painting.png", force=True)
        frames.save(folder / "painting.png", finished.picture, force=True)
        save_log(folder / "costs.csv", finished.history, force=True)
    height, width = finished.picture.shape[:2]
    return Card(style, (width, height), finished.seconds, finished.before, finished.after, finished.picture)


def _write(path: Path, text: str) -> Path:
    return images.write_whole(path, lambda file: file.write(text.encode()))


# ---- the page --------------------------------------------------------------------------------------------------------


def _page(main: Card, six: Sequence[Card], faces: FacesShown | None, learning: LearningShown | None) -> str:
    head = ("style", "pixels", "seconds", "J before", "J after", "content after", "style before", "style after")
    name = html.escape(main.style)
    body = f"""
<h1>A photo, painted</h1>
<p>{main.size[0]}×{main.size[1]} pixels in {main.seconds:.0f} seconds, in the style {name}.</p>
<div class="pair">
<figure><img src="photo.jpg" alt="the photo"><figcaption>before</figcaption></figure>
<figure><img src="painting.png" alt="the painting"><figcaption>after</figcaption></figure></div>
<h2>How it came about</h2>
<img src="painting-evolution.png" alt="six stages of the painting, first to last">
<p>From coarse to fine. The same as a moving picture: <a href="painting-evolution.gif">painting-evolution.gif</a></p>
<img src="costs.png" alt="the costs over the steps">
<p>J = α · J<sub>content</sub> + β · J<sub>style</sub> at every step, with half of the same at the next coarser scale;
each scale begins where the coarser one ended.</p>
<h2>Six styles</h2>
<img src="six.jpg" alt="the photo in six styles">
{"" if faces is None else demo_faces.section(faces)}{"" if learning is None else demo_learning.section(learning)}
<h2>Numbers</h2>
{table(head, map(_row, (main, *six)))}
<p>Before: the costs of the photo itself. After: of the painting as saved, in 8 bits.</p>
<h2>Your own</h2>
<p><code>mien style photo.jpg {name} -o painting.png</code></p>
<p><code>mien style --list</code> shows the built-in styles, <code>mien style --help</code> every setting.
<code>mien serve</code> opens all of it as a page: a studio, a door with its camera, a look inside networks.</p>
"""
    return document("a photo, painted", body)


def _row(card: Card) -> list[str]:
    before, after = card.before, card.after
    costs = (
        before and before.total,
        after and after.total,
        after and after.content,
        before and before.style,
        after and after.style,
    )
    size, seconds = f"{card.size[0]}×{card.size[1]}", f"{card.seconds:.1f}"
    return [card.style, size, seconds, *("" if cost is None else f"{cost:.3g}" for cost in costs)]
