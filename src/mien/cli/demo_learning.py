"""The training of `mien demo`: a network learns whose hand a scrap of a picture is by, and is looked into."""

from __future__ import annotations

import contextlib
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from mien import images
from mien.style import patterns, sheet
from mien.training.options import TrainOptions

UNSEEN = ("cubist", "waves", "mosaic", "watercolour")
VALIDATING = ("linocut", "night")
SCRAPS, SIDE, PICTURE = 24, 40, 256
OPTIONS = TrainOptions(
    task="triplet", identities=6, items=6, widths=(16, 32, 64), encoding=64, steps=300, patience=0, rate=2e-3
)
_SHOWN = 6  # of the nearest scraps
_RIGHT, _WRONG = (46, 139, 87), (200, 60, 50)

Scraps = NDArray[np.uint8]


@dataclass(frozen=True)
class LearningShown:
    """What the training's part of the demo found."""

    learnt: int
    """Styles that were learnt from."""
    eer: float
    """On the styles never seen: the share of pairs taken wrongly, at the threshold where both kinds are alike."""
    recall: float
    """Share of unseen scraps whose nearest one is by the same hand."""
    plain_eer: float
    """The same of the pixels' principal components."""
    seconds: float
    units: int
    """In the report on the network."""

    @property
    def numbers(self) -> dict[str, Any]:
        """As JSON keeps them."""
        return {
            "seconds": round(self.seconds, 1),
            "eer": round(self.eer, 4),
            "recall_at_1": round(self.recall, 4),
            "eer_of_pixels_and_pca": round(self.plain_eer, 4),
        }


def show_learning(folder: Path, *, quiet: bool) -> LearningShown:
    """Train for about a minute on scraps of the built-in styles, judge on styles never seen, and look inside.

    Writes nearest.jpg and the report network/index.html into `folder`.
    """
    from mien.training import baselines, evaluate
    from mien.training.data import from_arrays
    from mien.training.judging import outputs
    from mien.training.splits import Split, of_groups
    from mien.training.train import fitted_loader, train

    scraps, hands = cut_scraps()
    data = from_arrays(scraps.transpose(0, 3, 1, 2), hands, kind="image", source="scraps of the built-in styles")
    learnt = [name for name in patterns.names() if name not in {*UNSEEN, *VALIDATING}]
    train_part, validation, test = (of_groups(data.groups, part) for part in (learnt, VALIDATING, UNSEEN))
    split = Split(train_part, validation, test, name="four unseen styles")
    with tempfile.TemporaryDirectory() as place, _bar(quiet) as told:
        start = time.perf_counter()
        trained = train(data, OPTIONS, split=split, out=Path(place) / "run", callback=told)
        seconds = time.perf_counter() - start
        units = _look_inside(trained.folder / "best", scraps, hands, folder / "network")
    encodings = outputs(trained.net, fitted_loader(trained, data, OPTIONS), split.test)
    unseen = [hands[i] for i in split.test]
    found = evaluate.verify(encodings, unseen)
    pixels = baselines.pixels(np.stack([data[int(i)] for i in range(len(data))]))
    plain = baselines.fit_pca(pixels[split.train], components=32).encode(pixels[split.test])
    images.save(folder / "nearest.jpg", _nearest(scraps[split.test], unseen, encodings), force=True)
    plain_eer = evaluate.verify(baselines.unit(plain), unseen).eer
    return LearningShown(len(learnt), found.eer, found.recall, plain_eer, seconds, units)


def cut_scraps(*, seed: int = 0) -> tuple[Scraps, list[str]]:
    """Squares (N, SIDE, SIDE, 3) cut from each built-in style where chance has it, and whose hand each is by."""
    random = np.random.default_rng(seed)
    scraps, hands = [], []
    for name in patterns.names():
        picture = patterns.draw(name, PICTURE)
        for top, left in random.integers(0, PICTURE - SIDE + 1, (SCRAPS, 2)):
            scraps.append(picture[top : top + SIDE, left : left + SIDE])
            hands.append(name)
    return np.stack(scraps), hands


def _look_inside(checkpoint: Path, scraps: Scraps, hands: list[str], out: Path) -> int:
    """A small report on the trained network, over all scraps; how many units it shows."""
    from mien.visualize import look, open_source, open_subject, save_report

    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "scraps.npz"
        np.savez(path, x=scraps.transpose(0, 3, 1, 2), y=np.array(hands))
        subject = open_subject(str(checkpoint))
        report = look(subject, open_source(path, subject), data="scraps of the built-in styles", units=8)
    save_report(report, out, force=True)
    return sum(len(layer.units) for layer in report.layers)


def _nearest(scraps: Scraps, hands: list[str], encodings: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Two scraps of each unseen hand, and beside each the others that the network finds most alike, framed."""
    from mien.training.evaluate import pair_distances

    distances = pair_distances(encodings, encodings)
    np.fill_diagonal(distances, np.inf)
    cells, labels = [], []
    for hand in UNSEEN:
        for i in [i for i, other in enumerate(hands) if other == hand][:2]:
            order = np.argsort(distances[i], kind="stable")[:_SHOWN]
            cells += [_framed(scraps[i], sheet.PAPER)] + [
                _framed(scraps[j], _RIGHT if hands[j] == hand else _WRONG) for j in order
            ]
            labels += [f"@{hand}", *("" for _ in order)]
    return sheet.contact_sheet(cells, labels, columns=_SHOWN + 1)


def _framed(scrap: Scraps, colour: tuple[int, int, int]) -> Scraps:
    large = np.kron(scrap, np.ones((3, 3, 1), np.uint8))
    framed = np.empty((large.shape[0] + 8, large.shape[1] + 8, 3), np.uint8)
    framed[:] = colour
    framed[4:-4, 4:-4] = large
    return framed


@contextlib.contextmanager
def _bar(quiet: bool) -> Any:
    """A progress line; what it gives is called after every step."""
    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(bar_width=24), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as progress:
        task = progress.add_task("learning", total=OPTIONS.steps)

        def told(step: Any) -> None:
            words = "" if step.best is None else f", EER {step.best.value:.0%}"
            progress.update(task, completed=step.step, description=f"learning, loss {step.loss:.3f}{words}")

        yield told


def section(shown: LearningShown) -> str:
    """The page's part about training."""
    return f"""<h2>Whose hand is this?</h2>
<p>In {shown.seconds:.0f} s a small network learnt from {shown.learnt} of the built-in styles which scraps of
{SIDE} × {SIDE} pixels are by one hand (triplet loss). Here it is asked about four styles it has <em>never seen</em>: on
the left a scrap, then the six that it finds most alike, green where the hand is the same.</p>
<img src="nearest.jpg" alt="scraps of four unseen styles, each with the six nearest ones">
<p>The nearest scrap is by the same hand for {shown.recall:.0%}. Equal error rate over all pairs: {shown.eer:.1%}; of
the bare pixels and their principal components: {shown.plain_eer:.1%}.
<a href="network/index.html">What {shown.units} of its units respond to</a>: patches, and what in them did it.</p>
<p><code>mien train --data people/</code> learns from your own, <code>mien visualize</code> looks into any network.</p>
"""
