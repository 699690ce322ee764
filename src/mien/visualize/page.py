"""The report as one HTML file that needs no other file and no network.

Pictures lie in it as base64 text at its end, so that the page is there before they are; a script unpacks each when it
comes near the screen.
"""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterator
from importlib import resources
from typing import Any

import numpy as np

from mien import images
from mien.visualize import drawing
from mien.visualize.findings import LayerFinding, Patch, Report
from mien.visualize.gram import GramReading
from mien.visualize.receptive_field import Axis

GRAM_SHOWN = 64
"""Units of a Gram matrix that are drawn, the most active."""


def page(report: Report) -> str:
    """The whole page."""
    here = resources.files("mien.visualize")
    style, script = (here.joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    title = html.escape(f"What {report.network} responds to")
    # In a script element nothing but its end tag is special.
    findings = json.dumps(_findings(report), ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/")
    shown = f"{report.seen:,} inputs" + (f" of {html.escape(report.data)}" if report.data else "")
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>{style}</style></head><body>
<a class="skip" href="#view">Skip to the units</a>
<div class="frame"><nav aria-label="layers"><h1>{title}</h1><p>{shown}, seen by mien</p><div class="list"></div></nav>
<main><form id="find" role="search"><input type="search" name="q" aria-label="search"
placeholder="layer:unit, a class or a file"><button class="close">Search</button></form>
<div id="view" tabindex="-1">
<noscript><p>This page needs JavaScript; the contact sheets beside it do not.</p></noscript>
</div></main></div><dialog aria-label="one unit"></dialog>
<script type="application/json" id="findings">{findings}</script>
{"".join(_pictures(report))}<script>{script}</script></body></html>
"""


def _pictures(report: Report) -> Iterator[str]:
    for number, layer in enumerate(report.layers):
        for view, sprites in layer.views.items():
            for i, data in enumerate(sprites):
                yield _kept(f"v{number}-{view}-{i}", data)
        if layer.layer in report.gram:
            reading = report.gram[layer.layer]
            yield _kept(f"g{number}", drawing.encoded(_gram_picture(reading), kind="png"))
            if report.dims == 2:
                yield _kept(f"t{number}", drawing.encoded(_together(reading), kind="png"))
    for index, data in report.pictures.items():
        yield _kept(f"p{index}", data)
    if report.filters is not None:
        yield _kept("filters", drawing.encoded(report.filters[1], kind="png"))


def _kept(name: str, data: bytes) -> str:
    kind = "image/png" if data.startswith(b"\x89PNG") else "image/jpeg"
    text = base64.b64encode(data).decode("ascii")
    return f'<script type="text/plain" id="{html.escape(name)}" data-type="{kind}">{text}</script>\n'


def _findings(report: Report) -> dict[str, Any]:
    """What the script reads; short, as there may be tens of thousands of patches."""
    used = {report.example, *(p.source for layer in report.layers for unit in layer.units for p in unit.top)}
    sizes = {p.source: _size(report, p) for layer in report.layers for unit in layer.units for p in unit.top}
    sizes.setdefault(report.example, _spread(report.size))
    filters = report.filters[0] if report.filters else ""
    return {
        "network": report.network,
        "data": report.data,
        "dims": report.dims,
        "rate": report.rate,
        "methods": report.methods,
        "top": report.top,
        "seen": report.seen,
        "total": report.total,
        "notes": report.notes,
        "inputs": {i: [report.names[i], report.labels[i] if report.labels else "", *sizes[i]] for i in sorted(used)},
        "layers": [_layer(layer) for layer in report.layers],
        "fields": report.fields,
        "filters": filters,
        "example": report.example,
        "windows": _windows(report),
        "gram": {layer: _gram(reading) for layer, reading in report.gram.items()},
    }


def _size(report: Report, patch: Patch) -> tuple[int, int]:
    """Height and width in which boxes are given."""
    return _spread(report.extents.get(patch.source, report.size))


def _spread(extents: tuple[int, ...]) -> tuple[int, int]:
    return (1, int(extents[-1])) if len(extents) == 1 else (int(extents[-2]), int(extents[-1]))


def _layer(layer: LayerFinding) -> dict[str, Any]:
    strides = {axis.stride for axis in layer.window.axes}
    stride = "" if not strides else f"{strides.pop()}" if len(strides) == 1 else ""
    return {
        "name": layer.layer,
        "window": window_words(layer.window.axes),
        "stride": stride,
        "note": layer.note,
        "count": layer.count,
        "dead": layer.dead,
        "tile": layer.tile,
        "cut": "patches" not in layer.views and any(len(unit.top) for unit in layer.units),
        "live": sum(1 for unit in layer.units if unit.top),
        "clearest": layer.clearest,
        "units": [
            [
                unit.unit,
                *(_short(value) for value in (unit.maximum, unit.mean, unit.share, unit.clearness)),
                [_patch(patch) for patch in unit.top],
                unit.classes,
            ]
            for unit in layer.units
        ],
    }


def _patch(patch: Patch) -> list[float]:
    return [patch.source, _short(patch.value), *(a for a, _ in patch.box), *(b for _, b in patch.box)]


def window_words(axes: tuple[Axis, ...]) -> str:
    """A window's size in words: `24 × 24 pixels`."""
    if not axes:
        return "everything"
    what = {1: "samples", 2: "pixels", 3: "voxels"}[len(axes)]
    return f"{' × '.join(str(axis.size) for axis in axes)} {what}"


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def _windows(report: Report) -> list[list[Any]]:
    """Of each layer the window nearest the middle of the example, largest last."""
    found: list[list[Any]] = []
    for layer in report.layers:
        if layer.window.axes:
            spans = []
            for axis, extent in zip(layer.window.axes, report.size, strict=True):
                nearest = round((extent / 2 - axis.start - axis.size / 2) / axis.stride)
                spans.append(axis.span(max(0, nearest)))
            found.append([layer.layer, *(a for a, _ in spans), *(b for _, b in spans)])
    return found


# ---- Gram matrices ---------------------------------------------------------------------------------------------------


def _gram(reading: GramReading) -> dict[str, Any]:
    return {
        "pair": reading.pair,
        "closest": reading.closest,
        "shown": min(GRAM_SHOWN, len(reading.matrix)),
        "say": gram_words(reading),
    }


def gram_words(reading: GramReading) -> list[str]:
    """A Gram matrix read aloud."""
    (a, b), (c, d), energy = reading.pair, reading.closest, np.diag(reading.matrix)
    first = int(reading.order[0])
    share = energy[first] / max(float(energy.sum()), 1e-30)
    words = [
        f"The diagonal: unit {first} is the most active, with {share:.0%} of all activity in its layer; "
        f"{int((energy > 0).sum())} of {len(energy)} units are active at all.",
        f"Off the diagonal: units {a} and {b} occur together most strongly, G[{a}, {b}] = {reading.matrix[a, b]:.3g} "
        f"over {reading.positions:,} positions. Their cosine is {reading.likeness:.2f}: "
        f"{_cosine_words(reading.likeness)}.",
    ]
    if (c, d) != (a, b):
        words.append(
            f"For how active they are, units {c} and {d} go together most: cosine {reading.closest_likeness:.2f}."
        )
    return words


def _cosine_words(likeness: float) -> str:
    if likeness > 0.8:
        return "where one fires, the other does, and about as strongly"
    if likeness > 0.5:
        return "they often fire at the same places"
    return "both are active, but mostly at different places"


def _gram_picture(reading: GramReading) -> drawing.Pixels:
    """The most active units' part of the matrix, as square roots of the values."""
    chosen = reading.order[:GRAM_SHOWN]
    part = np.sqrt(np.clip(reading.matrix[np.ix_(chosen, chosen)], 0, None))
    scaled = drawing.heat(part / max(float(part.max()), 1e-30))
    return scaled.repeat(4, axis=0).repeat(4, axis=1)


def _together(reading: GramReading) -> drawing.Pixels:
    """Where both units of the strongest pair fire, at least 224 pixels high."""
    values = np.sqrt(np.clip(reading.together, 0, None))
    pixels = drawing.heat(values / max(float(values.max()), 1e-30))
    times = max(1, -(-224 // max(pixels.shape[:2])))
    large: drawing.Pixels = images.resize(
        pixels.repeat(times, axis=0).repeat(times, axis=1), *images.fit(pixels.shape[1], pixels.shape[0], 224)
    )
    return large
