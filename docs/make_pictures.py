"""Make the pictures of docs/ again: all of them (about 15 minutes on two cores), or those named.

    python docs/make_pictures.py
    python docs/make_pictures.py strength colours

The photos are scikit-image's (coffee, cat, rocket) and the styles mien's own. Every painting is told with its seconds
and its costs; those are the numbers in style.md and questions.md.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
import skimage.data
import torch
from numpy.typing import NDArray
from torch import nn

from mien import images, style
from mien.style import patterns, sheet
from mien.style.log import save_log
from mien.style.recipes import FIRST_OF_BLOCK, RECIPES

Pixels = NDArray[np.uint8]
Cell = tuple[str, Pixels]

PICTURES = Path(__file__).parent / "pictures"
PHOTOS = {"coffee": skimage.data.coffee, "cat": skimage.data.chelsea, "rocket": skimage.data.rocket}
LARGEST = 250_000  # bytes of one picture
SIZE = 208  # long side of a painting, where nothing else is said


def photo(name: str) -> Pixels:
    """One of scikit-image's photographs."""
    return np.asarray(PHOTOS[name]())


def transfer(content: str | None, styles: str | Sequence[str], **options: Any) -> style.Result:
    """One painting, told with its seconds and its costs."""
    result = style.transfer(None if content is None else photo(content), styles, **{"size": SIZE, **options})
    after = result.after
    costs = f"J {after.total:.4g}  content {after.content:.4g}  style {after.style:.4g}" if after else ""
    said = {k: v for k, v in options.items() if k not in ("masks", "style_masks", "callback")}
    click.echo(f"  {content or 'texture'} {styles} {said}: {result.seconds:.1f} s  {costs}")
    return result


def paint(content: str | None, styles: str | Sequence[str], **options: Any) -> Pixels:
    """The pixels of `transfer`."""
    return transfer(content, styles, **options).picture


def save(name: str, cells: Sequence[Cell], *, columns: int, cell: int | None = None) -> None:
    """A labelled contact sheet as docs/pictures/NAME.jpg, at the highest quality up to 85 that is small enough."""
    labels, pixels = [label for label, _ in cells], [picture for _, picture in cells]
    save_jpeg(name, sheet.contact_sheet(pixels, labels, columns=columns, cell=cell))


def save_jpeg(name: str, pixels: Pixels) -> None:
    """The same for one picture."""
    path = PICTURES / f"{name}.jpg"
    for quality in (85, 82, 79, 76, 73, 70):
        images.save(path, pixels, quality=quality, force=True)
        if path.stat().st_size <= LARGEST:
            break
    height, width = pixels.shape[:2]
    click.echo(f"{path.name}: {width} × {height}, {path.stat().st_size / 1000:.0f} kB, quality {quality}")


def small(name: str, size: int = 256) -> Pixels:
    """A photo or @pattern at a long side of `size`."""
    if name.startswith("@"):
        return patterns.draw(name[1:], size)
    pixels = photo(name)
    return images.resize(pixels, *images.fit(pixels.shape[1], pixels.shape[0], size))


# ---- first steps -----------------------------------------------------------------------------------------------------


def before_and_after() -> None:
    """The picture of the README."""
    result = transfer("cat", "@night", size=384)
    save("before-and-after", [("before", small("cat", 384)), ("after", result.picture)], columns=2)


def the_patterns() -> None:
    """The twelve built-in styles."""
    save("patterns", [(f"@{name}", patterns.draw(name, 190)) for name in patterns.names()], columns=4)


def twelve() -> None:
    """One photo in all twelve."""
    save("twelve", [(f"@{n}", paint("coffee", f"@{n}", size=240)) for n in patterns.names()], columns=4, cell=220)


def strength() -> None:
    """The dial."""
    dial = (0.1, 0.3, 0.5, 0.7, 0.9)
    save("strength", [("photo", small("cat")), *swept("strength", dial, "cat", "@night", size=256)], columns=3)


def swept(option: str, values: Sequence[Any], content: str | None, styles: Any, **options: Any) -> list[Cell]:
    """What `mien style --sweep OPTION=VALUES` paints."""
    name = option.replace("_", " ")
    return [(f"{name} {value}", paint(content, styles, **{**options, option: value})) for value in values]


def sizes() -> None:
    """One strength at three sizes."""
    save("sizes", swept("size", (128, 256, 384), "rocket", "@points"), columns=3, cell=300)


def coherence() -> None:
    """How much a finer scale is held to the look of the coarser one."""
    save("coherence", swept("coherence", (0, 0.5, 2), "cat", "@points", size=320), columns=3, cell=288)


def scale() -> None:
    """Narrow and broad strokes."""
    save("style-scale", swept("style_scale", (0.5, 1, 2), "rocket", "@night", size=256), columns=3)


def preview() -> None:
    """A draft beside the painting."""
    draft, full = transfer("coffee", "@rose", size=512, preview=True), transfer("coffee", "@rose", size=384)
    cells = [(f"preview, {draft.seconds:.1f} s", draft.picture), (f"384 px, {full.seconds:.0f} s", full.picture)]
    save("preview", cells, columns=2, cell=384)


# ---- styles, regions, colours ----------------------------------------------------------------------------------------


def several() -> None:
    """Two styles, mixed by weight."""
    weights = ((1, 0), (2, 1), (1, 1), (1, 2), (0, 1))
    cells = swept("style_weights", weights, "coffee", ["@ink", "@poppies"], size=224)
    save("several-styles", [(f"{a} : {b}", pixels) for (a, b), (_, pixels) in zip(weights, cells, strict=True)],
         columns=5, cell=192)  # fmt: skip


def ellipse(height: int, width: int, *, x: float, y: float, rx: float, ry: float) -> NDArray[np.float32]:
    """A soft mask (height, width): white in an ellipse, all in shares of the picture."""
    across, down = np.linspace(0, 1, width)[None], np.linspace(0, 1, height)[:, None]
    distance = np.sqrt(((across - x) / rx) ** 2 + ((down - y) / ry) ** 2)
    return np.clip((1.25 - distance) / 0.5, 0, 1).astype(np.float32)


def shown(mask: NDArray[np.float32]) -> Pixels:
    """A mask as a grey picture."""
    return images.to_uint8(np.repeat(mask[:, :, None], 3, axis=2))


def regions() -> None:
    """A mask, and what is painted through it."""
    mask = ellipse(171, 256, x=0.47, y=0.52, rx=0.34, ry=0.62)
    save(
        "regions",
        [
            ("mask.png", shown(mask)),
            ("@mosaic where it is white", paint("cat", "@mosaic", masks=[mask], size=256)),
            ("@mosaic there, @night elsewhere", paint("cat", ["@mosaic", "@night"], masks=[mask, 1 - mask], size=256)),
        ],
        columns=3,
    )


def style_mask() -> None:
    """Parts of a style."""
    above = np.clip((0.68 - np.linspace(0, 1, 256)) / 0.04 + 0.5, 0, 1).astype(np.float32)[:, None].repeat(256, 1)
    wave, ground = patterns.draw("night", 256), "the photo in"
    save(
        "style-mask",
        [
            ("@night", wave),
            ("sky.png", shown(above)),
            (f"{ground} the sky's style", paint("rocket", "@night", style_masks=[above])),
            (f"{ground} the rest's style", paint("rocket", "@night", style_masks=[1 - above])),
        ],
        columns=4,
    )


def colours() -> None:
    """The four colour modes."""
    modes = ("style", "luminance", "linear", "histogram")
    cells = [("photo", small("coffee")), ("@waves", small("@waves")[20:191])]
    save("colours", cells + swept("colour", modes, "coffee", "@waves"), columns=3)


# ---- start, texture --------------------------------------------------------------------------------------------------


def start() -> None:
    """Where the painting begins."""
    with tempfile.TemporaryDirectory() as folder:
        sketch = images.save(Path(folder) / "sketch.png", patterns.draw("marbling", 256))
        cells = [
            (label, paint("coffee", "@night", start=where))
            for label, where in (("content", "content"), ("noise", "noise"), ("style", "style"), ("a file", sketch))
            for where in [str(where)]
        ]
    save("start", cells, columns=4, cell=224)


def texture() -> None:
    """The style alone."""
    names = ("@waves", "@mosaic", "@poppies", "@marbling")
    save("texture", [(f"texture of {n}", paint(None, n, texture=True)) for n in names], columns=4, cell=224)


# ---- layers and weights ----------------------------------------------------------------------------------------------


def content_depth() -> None:
    """What each content layer remembers, and the painting it gives."""
    common: dict[str, Any] = {"start": "noise", "size": 192}
    alone = [(n, paint("cat", "@night", content_layers=((n, 1.0),), beta=0.0, **common)) for n in FIRST_OF_BLOCK]
    painted = [(n, paint("cat", "@night", content_layers=((n, 1.0),), **common)) for n in FIRST_OF_BLOCK]
    label = ("{}, content alone", "{}, with @night")
    cells = [(form.format(n), pixels) for form, row in zip(label, (alone, painted), strict=True) for n, pixels in row]
    save("content-depth", cells, columns=5, cell=200)


def style_depth() -> None:
    """What each style layer knows, and up to which layer it matters."""
    alone = []
    for n in FIRST_OF_BLOCK:
        pixels = paint(None, "@night", texture=True, style_layers=((n, 1.0),), size=192)
        alone.append((f"{n} alone", pixels[32:160]))  # of the cat's shape, so that both rows are as high
    first = [tuple((n, 1.0) for n in FIRST_OF_BLOCK[: k + 1]) for k in range(5)]
    upto = [
        (f"relu1_1 to {layers[-1][0]}" if k else "relu1_1", paint("cat", "@night", style_layers=layers, size=192))
        for k, layers in enumerate(first)
    ]
    save("style-depth", alone + upto, columns=5, cell=192)


def lambdas() -> None:
    """Fine and coarse marks by λ."""
    fine, equal, coarse = (16, 8, 1, 0.2, 0.1), (1, 1, 1, 1, 1), (0.05, 0.1, 0.3, 8, 16)
    cells = []
    for name, weights in (("fine layers", fine), ("equal weights", equal), ("deep layers", coarse)):
        layers = tuple(zip(FIRST_OF_BLOCK, map(float, weights), strict=True))
        cells.append((name, paint("coffee", "@mosaic", style_layers=layers)))
    save("lambda", cells, columns=3)


def alpha_beta() -> None:
    """The balance of the two costs; the last two are the same painting."""
    cells = [(f"beta {beta:g}", paint("cat", "@points", beta=beta)) for beta in (0.25, 1.0, 4.0, 64.0, 16.0)]
    cells.append(("beta 4, strength 2/3", paint("cat", "@points", strength=2 / 3)))
    save("alpha-beta", cells, columns=3)


# ---- recipes, costs, optimisers --------------------------------------------------------------------------------------


def recipes() -> None:
    """The six formulations under our optimiser."""
    save("recipes", [(n, paint("coffee", "@night", recipe=n)) for n in RECIPES], columns=3)


def faithful() -> None:
    """The same with their sources' starts and optimisers, at one scale; 200 steps each, of up to 6,000."""
    cells = [(n, paint("coffee", "@night", recipe=n, faithful=True, size=160, steps=(200,))) for n in RECIPES]
    save("faithful", cells, columns=3)


def style_cost() -> None:
    """What of the activations is style."""
    costs = ("gram", "mean-deviation", "wasserstein")
    save("style-cost", [(c, paint("rocket", "@mosaic", style_cost=c)) for c in costs], columns=3)


def smoothness() -> None:
    """Edges kept, and noise smoothed."""
    edges = swept("laplacian", (0, 0.1, 0.5), "cat", "@poppies")
    smooth = swept("tv", (0, 20, 100), "cat", "@poppies")
    save("laplacian-tv", edges + smooth, columns=3)


def pooling() -> None:
    """Two ways of pooling."""
    save("pooling", swept("pooling", ("max", "average"), "coffee", "@rose"), columns=2)


def optimisers() -> None:
    """Three ways downhill, the same steps each."""
    cells = []
    for name in ("lbfgs", "adam", "gradient"):
        result = transfer("coffee", "@night", optimiser=name, steps=(80, 60))
        if result.after:
            cells.append((f"{name}, J {result.after.total:.2f}", result.picture))
    save("optimisers", cells, columns=3)


def evolution() -> None:
    """How a painting comes about, as pictures and as costs."""
    frames: list[Pixels] = []
    wanted = (1, 8, 30, 80)

    def keep(step: style.Iterate) -> None:
        if (step.level == 1 and step.step in wanted) or step.step == step.steps:
            frames.append(step.snapshot())

    result = transfer("cat", "@poppies", size=320, callback=keep)
    save_jpeg("evolution", sheet.evolution_strip([*frames[:4], *frames[-2:]]))
    with tempfile.TemporaryDirectory() as folder:
        plot = save_log(Path(folder) / "costs.csv", result.history)[1]
        save_jpeg("costs", images.load(plot).pixels)


def own_network() -> None:
    """Another measuring instrument: random filters."""
    sys.modules["random_filters"] = module = type(sys)("random_filters")
    module.__dict__["net"] = random_filters
    layers = {"content_layers": (("2", 1.0),), "style_layers": (("0", 1.0), ("2", 1.0))}
    cells = [(n, paint("cat", n, backbone="random_filters:net", **layers)) for n in ("@rose", "@points", "@ink")]
    save("own-network", cells, columns=3)


def random_filters() -> nn.Module:
    """The net of examples/own_network.py."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 64, 7, padding=3), nn.ReLU(), nn.Conv2d(64, 64, 7, padding=3), nn.ReLU())


MAKERS: dict[str, Callable[[], None]] = {
    "before-and-after": before_and_after,
    "patterns": the_patterns,
    "twelve": twelve,
    "strength": strength,
    "sizes": sizes,
    "coherence": coherence,
    "style-scale": scale,
    "preview": preview,
    "several-styles": several,
    "regions": regions,
    "style-mask": style_mask,
    "colours": colours,
    "start": start,
    "texture": texture,
    "content-depth": content_depth,
    "style-depth": style_depth,
    "lambda": lambdas,
    "alpha-beta": alpha_beta,
    "recipes": recipes,
    "style-cost": style_cost,
    "laplacian-tv": smoothness,
    "pooling": pooling,
    "optimisers": optimisers,
    "evolution": evolution,
    "own-network": own_network,
    "faithful": faithful,
}


def main(names: Sequence[str]) -> None:
    """Make the pictures of these names, or all."""
    PICTURES.mkdir(exist_ok=True)
    for name in names or MAKERS:
        began = time.perf_counter()
        MAKERS[name]()
        click.echo(f"  {name}: {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
