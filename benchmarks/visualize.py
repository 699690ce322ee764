"""How fast the visualize room is: the scan against bare forward passes, and projections against one by one.

    python benchmarks/visualize.py [PHOTOS]        PHOTOS: a folder of pictures; generated ones without it

Each function can be called alone and smaller; each returns a record of what it measured.
"""

from __future__ import annotations

import json
import os
import platform
import random
import sys
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

import pages
from mien import images
from mien.backbones import load_backbone
from mien.backbones.features import Backbone
from mien.visualize import rules
from mien.visualize.deconvnet import Seed, project, project_one
from mien.visualize.top_patches import TopPatches, find_top_patches

STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
SIDE = 224
# What the issue asks of each layer: projections in batches against one by one.
WANTED = {"relu1_1": 10, "relu2_1": 10, "relu3_1": 3, "relu4_1": 3, "relu5_1": 3}

Clock = Callable[[], float]


def photo(path: Path, side: int = SIDE) -> Tensor:
    """The middle square of a picture, float32 (3, side, side) in [0, 1]."""
    pixels = images.load(path).pixels
    height, width = pixels.shape[:2]
    short = min(height, width)
    top, left = (height - short) // 2, (width - short) // 2
    square = images.resize(pixels[top : top + short, left : left + short].copy(), side, side)
    return images.to_tensor(square)[0]


def generated(index: int, side: int = SIDE) -> Tensor:
    """A seeded picture with structure at several scales."""
    generator = torch.Generator().manual_seed(index)
    x = torch.zeros(1, 3, side, side)
    for cells in (3, 10, 40, 112):
        noise = torch.rand(1, 3, cells, cells, generator=generator)
        x += nn.functional.interpolate(noise, (side, side), mode="bilinear", align_corners=False)
    return x[0] / 4


def loader(folder: Path | None) -> tuple[Callable[[int], Tensor], int]:
    """A function from index to picture, and how many there are."""
    if folder is None:
        return generated, 500
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    return lambda index: photo(paths[index % len(paths)]), len(paths)


def small_net_scan(count: int = 5000, *, clock: Clock = time.perf_counter) -> dict[str, Any]:
    """Five layers of a net of 256 units over `count` images of 32 × 32: at most 60 s for 5,000."""
    torch.manual_seed(0)
    widths, layers = (3, 64, 64, 256, 256, 256), []
    for i, (a, b) in enumerate(pairwise(widths)):
        layers += [nn.Conv2d(a, b, 3, padding=1), nn.ReLU(inplace=True)] + ([nn.MaxPool2d(2)] if i in (1, 3) else [])
    net = nn.Sequential(*layers)
    relus = [name for name, part in net.named_modules() if isinstance(part, nn.ReLU)]
    data = torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    start = clock()
    find_top_patches(net, enumerate(data), relus, batch=64)
    scan = clock() - start
    start = clock()
    with torch.inference_mode():
        for part in data.split(64):
            net(part)
    bare = clock() - start
    return {"images": count, "seconds": scan, "bare_seconds": bare, "ratio": scan / bare}


def vgg_scan(
    net: Backbone, load: Callable[[int], Tensor], count: int = 500, *, batch: int = 16, clock: Clock = time.perf_counter
) -> tuple[dict[str, Any], TopPatches]:
    """VGG-19's five style layers over `count` photos: at most 1.25 times the bare forward passes (loading included)."""
    found = TopPatches(STYLE_LAYERS)
    scan = bare = 0.0
    # In turns, so that what else the machine does weighs on both alike.
    for first in range(0, count, 4 * batch):
        part = range(first, min(first + 4 * batch, count))
        start = clock()
        find_top_patches(net, ((i, load(i)) for i in part), STYLE_LAYERS, batch=batch, into=found)
        scan += clock() - start
        start = clock()
        with torch.inference_mode():
            for begin in range(part.start, part.stop, batch):
                x = torch.stack([load(i) for i in range(begin, min(begin + batch, part.stop))])
                net(x, [STYLE_LAYERS[-1]])
        bare += clock() - start
    return {"photos": count, "seconds": scan, "bare_seconds": bare, "ratio": scan / bare}, found


def projections(
    net: Backbone,
    load: Callable[[int], Tensor],
    seeds: Sequence[Seed],
    *,
    layer: str,
    alone: int = 5,
    clock: Clock = time.perf_counter,
) -> dict[str, Any]:
    """Seconds a projection: in batches, one by one on the whole picture, and so by plain autograd without our cones."""
    start = clock()
    ready = sum(1 for _ in project(net, load, seeds, layer=layer))
    batched = (clock() - start) / ready
    chosen = random.Random(1).sample(list(seeds), alone)

    def each() -> float:
        start = clock()
        for seed in chosen:
            project_one(net, load(seed.image), layer=layer, unit=seed.unit, position=seed.position)
        return (clock() - start) / alone

    whole = each()
    with patch.dict(rules._CONVOLUTIONS, clear=True):
        plain = each()
    return {
        "layer": layer,
        "projections": ready,
        "batched": batched,
        "one_by_one": whole,
        "plain_one_by_one": plain,
        "ratio": whole / batched,
        "ratio_to_plain": plain / batched,
        "wanted": WANTED.get(layer),
    }


def seeds_of(found: TopPatches, layer: str, units: int | None = None) -> list[Seed]:
    """The seeds of all units of a layer, or of some drawn at random."""
    count = len(found.layer(layer).maximum)
    chosen = range(count) if units is None else sorted(random.Random(0).sample(range(count), units))
    return [seed for unit in chosen for seed in found.seeds(layer, unit=unit)]


def table(small: dict[str, Any], scan: dict[str, Any], rows: Sequence[dict[str, Any]]) -> str:
    """What was measured, as Markdown."""
    lines = [
        "## Looking into networks",
        "",
        f"{time.strftime('%Y-%m-%d %H:%M')}; {machine()}. Both sides of every ratio in one run.",
        "",
        "| one pass over the data | inputs | seconds | bare forward passes | ratio | wanted |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        f"| five layers of a net of 256 units, 32 × 32 | {small['images']:,} | {small['seconds']:.1f} | "
        f"{small['bare_seconds']:.1f} | {small['ratio']:.2f} | 60 s {_mark(small['seconds'] <= 60)} |",
        f"| VGG-19's five style layers, 224 × 224, loading included | {scan['photos']:,} | {scan['seconds']:.1f} | "
        f"{scan['bare_seconds']:.1f} | {scan['ratio']:.2f} | 1.25 {_mark(scan['ratio'] <= 1.25)} |",
        "",
        "| projections of VGG-19 | how many | ms each, in batches | ms one by one | times faster | wanted | "
        "times faster than plain autograd |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {row['layer']} | {row['projections']:,} | {1e3 * row['batched']:.1f} | {1e3 * row['one_by_one']:.0f} | "
        f"{row['ratio']:.1f} | {row['wanted']} {_mark(row['ratio'] >= row['wanted'])} | "
        f"{row['ratio_to_plain']:.1f} |"
        for row in rows
    ]
    return "\n".join(lines)


def machine() -> str:
    """The processor, and how busy it was."""
    names = [x for x in Path("/proc/cpuinfo").read_text().splitlines() if x.startswith("model name")]
    name = names[0].partition(":")[2].strip() if names else platform.processor()
    return f"{name}, {os.cpu_count()} cores; torch {torch.__version__}; load average before {os.getloadavg()[0]:.1f}"


def _mark(kept: bool) -> str:
    return "✓" if kept else "✗"


def main() -> None:
    folder, units = (Path(sys.argv[1]) if len(sys.argv) > 1 else None), 48
    load, _ = loader(folder)
    small = small_net_scan()
    print(json.dumps(small), flush=True)
    net = load_backbone("vgg19")
    scan, found = vgg_scan(net, load)
    print(json.dumps(scan), flush=True)
    rows = []
    for layer in STYLE_LAYERS:
        rows.append(projections(net, load, seeds_of(found, layer, units), layer=layer))
        print(json.dumps(rows[-1]), flush=True)
    pages.put("visualize", table(small, scan, rows))


if __name__ == "__main__":
    main()
