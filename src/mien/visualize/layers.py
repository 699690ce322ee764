"""One layer of a report: which units, their patches and projections as tiles, and what their numbers say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from torch import Tensor

from mien.errors import OptionError
from mien.visualize import drawing
from mien.visualize.deconvnet import Projection, Seed, project
from mien.visualize.findings import UNITS_A_SPRITE, LayerFinding, Patch, Pixels, UnitFinding
from mien.visualize.gram import GramReading
from mien.visualize.receptive_field import Box, ReceptiveField, ReceptiveFields
from mien.visualize.rules import Method
from mien.visualize.sources import Source
from mien.visualize.subjects import Subject
from mien.visualize.top_patches import LayerTop, TopPatches, crop

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""

STRIP = 8
"""Units of each layer in the summary strip."""


@dataclass(frozen=True)
class LayerStudy:
    """What all layers of a look share."""

    subject: Subject
    source: Source
    exact: ReceptiveFields
    tables: TopPatches
    units: Sequence[int] | int | None
    methods: tuple[str, ...]
    gram: Mapping[str, GramReading]
    progress: Progress | None
    stopped: Callable[[], bool]

    def layer(self, layer: str, window: ReceptiveField, note: str) -> LayerFinding:
        """The finding of one layer, whose patches are cut to `window`."""
        table = self.tables.layer(layer)
        findings = [self._unit(table, unit, window) for unit in self._chosen(table)]
        extents = self._extents(findings)
        tile = drawing.tile_shape([axis.size for axis in window.axes] or extents)
        live = [finding for finding in findings if finding.top]
        views = self._views(layer, live, tile)
        sheet = None
        if live:
            numbers = [finding.unit for finding in live]
            labels = [f"max {f.maximum:,.0f}" if f.maximum >= 100 else f"max {f.maximum:.3g}" for f in live]
            shown = [tiles for name, tiles in views.items() if name in ("patches", *self.methods[:1])]
            sheet = drawing.contact_sheet(numbers, shown, labels)
        return LayerFinding(
            layer=layer,
            window=window,
            note=note,
            count=len(table.maximum),
            dead=int(table.dead.sum()),
            units=(*live, *(finding for finding in findings if not finding.top)),
            tile=tile,
            views={name: _sprites(tiles, self.subject.dims) for name, tiles in views.items()},
            sheet=sheet,
            clearest=_strip(live, views.get("patches") if self.subject.dims == 2 else None, self._inside(live)),
        )

    def _chosen(self, table: LayerTop) -> list[int]:
        count = len(table.maximum)
        if self.units is None:
            return list(range(count))
        if isinstance(self.units, int):
            if self.units < 1:
                raise OptionError(f"Expected at least 1 unit a layer, got {self.units}.")
            clear = _clearness(table)
            reading = self.gram.get(table.layer)
            pairs = set() if reading is None else {*reading.pair, *reading.closest}
            return sorted(pairs.union(np.argsort(-clear, kind="stable")[: self.units].tolist()))
        chosen = [unit for unit in dict.fromkeys(self.units) if 0 <= unit < count]
        if not chosen:
            raise OptionError(
                f"Expected units of {table.layer!r} from 0 to {count - 1}, got {', '.join(map(str, self.units))}."
            )
        return chosen

    def _unit(self, table: LayerTop, unit: int, window: ReceptiveField) -> UnitFinding:
        top = []
        for value, image, place in zip(table.values[unit], table.images[unit], table.positions[unit], strict=True):
            if value > 0:  # NaN, where there are fewer inputs than places, is not
                position = tuple(int(p) for p in place)
                top.append(Patch(int(image), float(value), position, self._box(window, position, int(image))))
        labels = Counter(self.source.labels[patch.source] for patch in top) if self.source.labels else Counter()
        return UnitFinding(
            unit,
            float(table.maximum[unit]),
            float(table.mean[unit]),
            float(table.share[unit]),
            bool(table.dead[unit]),
            float(_clearness(table)[unit]),
            tuple(top),
            tuple(labels.most_common()),
        )

    def _box(self, window: ReceptiveField, position: tuple[int, ...], image: int) -> Box:
        if window.everything:
            return tuple((0, extent) for extent in self.source.values(image).shape[1:])
        return tuple(axis.span(p) for axis, p in zip(window.axes, position, strict=True))

    def _extents(self, findings: Sequence[UnitFinding]) -> tuple[int, ...]:
        image = next((patch.source for finding in findings for patch in finding.top), None)
        return (1,) * self.subject.dims if image is None else self.source.values(image).shape[1:]

    def _inside(self, live: Sequence[UnitFinding]) -> list[list[bool]]:
        """Whether each patch lies wholly in its input."""
        return [
            [
                all(a >= 0 and b <= n for (a, b), n in zip(p.box, self.source.values(p.source).shape[1:], strict=True))
                for p in finding.top
            ]
            for finding in live
        ]

    # the tiles

    def _views(self, layer: str, live: Sequence[UnitFinding], tile: tuple[int, int]) -> dict[str, Pixels]:
        """Tiles (units, k, h, w, 3) by view; a signal's trace and projection are one."""
        blank = np.full((len(live), self.tables.top, *tile, 3), drawing.GREY, np.uint8)
        views: dict[str, Pixels] = {}
        by_image: dict[int, list[tuple[int, int, Patch]]] = {}
        for row, finding in enumerate(live):
            for rank, patch in enumerate(finding.top):
                by_image.setdefault(patch.source, []).append((row, rank, patch))
        if self.subject.dims > 1 or not self.methods:
            views["patches"] = blank.copy()
            for image, places in by_image.items():
                for row, rank, patch in places:
                    views["patches"][row, rank] = self._patch(image, patch.box, tile)
        for method in self.methods:
            views[method] = blank.copy()
            self._project(layer, method, live, views[method], tile)
        return views

    def _patch(self, image: int, box: Box, tile: tuple[int, int]) -> Pixels:
        values = self.source.values(image)
        if self.subject.dims == 1:
            return drawing.draw_trace(values, box[0], None)
        if self.subject.dims == 3:
            return drawing.draw_slices(drawing.shown(values), box, clip=self.subject.clip)
        return _fitted(drawing.draw_patch(values, box), tile)

    def _project(
        self, layer: str, method: str, live: Sequence[UnitFinding], into: Pixels, tile: tuple[int, int]
    ) -> None:
        places = [(row, rank, patch) for row, found in enumerate(live) for rank, patch in enumerate(found.top)]
        seeds = [Seed(patch.source, live[row].unit, patch.position) for row, _, patch in places]
        what = f"{layer}: {method}"
        if self.stopped():
            seeds = []
        made = project(
            self.subject.net, self.source.load, seeds, layer=layer, method=cast(Method, method), fields=self.exact
        )
        for done, (number, projection) in enumerate(made, 1):
            row, rank, patch = places[number]
            into[row, rank] = self._drawn(projection, patch, tile)
            if self.progress and (done % 16 == 0 or done == len(seeds)):
                self.progress(what, done, len(seeds))
            if self.stopped():
                break

    def _drawn(self, projection: Projection, patch: Patch, tile: tuple[int, int]) -> Pixels:
        """A projection as a tile, cut to the patch's window."""
        seen = projection.pixels.detach().float()
        if projection.box != patch.box:
            moved = tuple((a - at, b - at) for (a, b), (at, _) in zip(patch.box, projection.box, strict=True))
            seen = crop(seen, moved, fill=0)
        if self.subject.dims == 1:
            return drawing.draw_trace(self.source.values(patch.source), patch.box[0], seen)
        if self.subject.dims == 3:
            whole = drawing.placed(seen, patch.box, self.source.values(patch.source).shape[1:])
            return drawing.draw_slices(as_grey(whole), patch.box, clip=self.subject.clip)
        return _fitted(drawing.draw_projection(seen), tile)


def as_grey(seen: Tensor) -> Tensor:
    """A signed volume in [0, 1] with 0 as mid grey."""
    peak = seen.abs().amax().clamp(min=1e-12)
    return 0.5 + seen / (2 * peak)


def _fitted(drawn: Pixels, tile: tuple[int, int]) -> Pixels:
    """As it is, or over grey: inputs of other sizes make windows of other sizes where a layer sees everything."""
    if drawn.shape[:2] == tile:
        return drawn
    whole = np.full((*tile, 3), drawing.GREY, np.uint8)
    height, width = min(tile[0], drawn.shape[0]), min(tile[1], drawn.shape[1])
    whole[:height, :width] = drawn[:height, :width]
    return whole


def _sprites(tiles: Pixels, dims: int) -> tuple[bytes, ...]:
    """Tiles (units, k, h, w, 3) as pictures of 16 units, four in a row, each a grid of its tiles."""
    across = drawing.columns_of(tiles.shape[1])
    lossless = dims == 1 or max(tiles.shape[2:4]) <= drawing.EXACT
    found = []
    for start in range(0, len(tiles), UNITS_A_SPRITE):
        blocks = np.stack(
            [drawing.grid(unit, across, ground=(128, 128, 128)) for unit in tiles[start : start + UNITS_A_SPRITE]]
        )
        sheet = drawing.grid(blocks, min(4, len(blocks)), ground=(128, 128, 128))
        found.append(drawing.encoded(sheet, kind="png" if lossless else "jpeg", quality=78))
    return tuple(found)


def _clearness(table: LayerTop) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """1 − mean / mean of the best, per unit; 0 for the dead."""
    best = np.where(np.isnan(table.values), 0, table.values).sum(1) / np.maximum(1, (~np.isnan(table.values)).sum(1))
    clear = np.where(best > 0, 1 - np.maximum(table.mean, 0) / np.where(best > 0, best, 1), 0)
    return cast("np.ndarray[tuple[int], np.dtype[np.float64]]", clear.astype(np.float64))


def _strip(live: Sequence[UnitFinding], tiles: Pixels | None, inside: Sequence[Sequence[bool]]) -> tuple[int, ...]:
    """Up to eight units: those whose best stand clearest above the mean and, of pictures, those alike in shape.

    The clearest alone would be colours in the first layer of a net: every picture has edges, few have much green.
    """
    by_clearness = sorted(range(len(live)), key=lambda row: -live[row].clearness)
    if tiles is None:
        return tuple(live[row].unit for row in _apart(live, by_clearness, STRIP))
    alike = [_alikeness(tiles[row], inside[row]) for row in range(len(live))]
    by_shape = sorted(range(len(live)), key=lambda row: -alike[row])
    clearest = _apart(live, by_clearness, STRIP // 2)
    shapes = _apart(live, [row for row in by_shape if row not in clearest], STRIP - len(clearest))
    return tuple(live[row].unit for row in (*clearest, *shapes))


def _apart(live: Sequence[UnitFinding], ranked: Sequence[int], count: int) -> list[int]:
    """The first rows no two of which share more than half of their inputs, then others: of few inputs all share."""
    chosen: list[int] = []
    for row in ranked:
        inputs = {patch.source for patch in live[row].top}
        if all(2 * len(inputs & {p.source for p in live[other].top}) <= len(inputs) for other in chosen):
            chosen.append(row)
        if len(chosen) == count:
            break
    return (chosen + [row for row in ranked if row not in chosen])[:count]


def _alikeness(tiles: Pixels, inside: Sequence[bool]) -> float:
    """The contrast that is left in the mean of a unit's patches: none where they differ in shape, or have none."""
    whole = [tile.mean(-1) for tile, within in zip(tiles, inside, strict=False) if within]
    return float(np.mean(whole, axis=0).std()) if 2 * len(whole) > len(inside) else 0.0
