"""One look at a network: its strongest patches, what it saw in them, its windows, filters and Gram matrices.

subject = open_subject("vgg19")
found = look(subject, open_source("photos", subject), layers=["relu1_1", "relu4_1"], units=16)
save_report(found, "report")
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch

from mien import images
from mien.errors import DataError, OptionError
from mien.visualize import drawing
from mien.visualize.deconvnet import as_picture, filters
from mien.visualize.findings import LayerFinding, Pixels, Report
from mien.visualize.gram import read_gram
from mien.visualize.layers import LayerStudy, Progress
from mien.visualize.networks import feature_layers
from mien.visualize.receptive_field import ReceptiveField, ReceptiveFields, receptive_fields
from mien.visualize.rules import check_method
from mien.visualize.sources import Source
from mien.visualize.subjects import Subject, choose_layers
from mien.visualize.top_patches import TopPatches, find_top_patches

_PICTURES_WHOLE = 800  # more inputs than this are kept smaller, so that the page stays light
_SMALLEST = 96


def look(
    subject: Subject,
    source: Source,
    *,
    data: str = "",
    layers: Sequence[str] | None = None,
    units: Sequence[int] | int | None = None,
    methods: Sequence[str] = ("deconvnet",),
    top: int = 9,
    batch: int = 16,
    example: str | None = None,
    progress: Progress | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Report:
    """Look at the data once, and say what makes each unit fire.

    Args:
        subject: the network, from `open_subject` or `subject_of`.
        source: the data, from `open_source`.
        data: what to call the data.
        layers: by default a few from the first to the last.
        units: their numbers, or how many a layer (the clearest, and the pairs of its Gram matrix); all by default.
        methods: of projecting; the first is what the page shows first. None at all: patches only.
        top: patches a unit.
        batch: inputs that run together.
        example: the name of the input whose windows and Gram matrices are shown; by default the first.
        progress: called with what is being done, how much of it is done, and how much there is.
        stopped: asked now and then; True ends the look with what has been seen so far.
    """
    start = time.perf_counter()
    for method in methods:
        check_method(method, subject.net)
    first = source.first()
    wanted = choose_layers(subject, first, layers)
    exact = receptive_fields(subject.net, first, wanted)
    if layers is None:
        wanted = tuple(layer for layer in wanted if layer not in exact.refused) or wanted
    windows = {layer: _window(subject, first, layer, exact) for layer in wanted}
    tables = TopPatches(wanted, top=top)
    _scan(subject, source, tables, batch=batch, progress=progress, stopped=stopped)
    chosen = _example(source, example)
    gram = read_gram(subject.net, source.load(chosen), wanted)
    study = LayerStudy(subject, source, exact, tables, units, tuple(methods), gram, progress, stopped)
    found = tuple(study.layer(layer, *windows[layer]) for layer in wanted)
    seen = tables.seen
    pictures, whole = _pictures(subject, source, found, chosen)
    kept = tuple(_light(layer, whole=whole and subject.dims == 2) for layer in found)
    return Report(
        network=subject.name,
        data=data,
        dims=subject.dims,
        size=tuple(first.shape[2:]),
        rate=source.rate,
        methods=tuple(methods),
        top=top,
        seen=seen,
        total=len(source),
        names=source.names,
        labels=source.labels,
        extents={i: source.values(i).shape[1:] for i in _used(found)},
        layers=kept,
        fields=_table(subject, first, wanted),
        example=chosen,
        pictures=pictures,
        filters=_filters(subject, first),
        gram=gram,
        notes=_notes(source, seen, stopped=stopped()),
        interrupted=stopped(),
        seconds=time.perf_counter() - start,
    )


def _window(subject: Subject, first: torch.Tensor, layer: str, exact: ReceptiveFields) -> tuple[ReceptiveField, str]:
    """The window that a layer's patches are cut to, and what has to be said of it."""
    field = exact[layer]
    if not field.everything:
        return field, ""
    filtered = receptive_fields(subject.net, first, [layer], statistics=False)[layer]
    if filtered.everything:
        return filtered, f"It sees the whole input: {field.note}"
    note = "This is the window of its filters; its normalisation also takes a mean and a variance over the whole input"
    return filtered, note


def _scan(
    subject: Subject,
    source: Source,
    tables: TopPatches,
    *,
    batch: int,
    progress: Progress | None,
    stopped: Callable[[], bool],
) -> None:
    def told(done: int) -> None:
        if progress:
            progress("looking", done, len(source))

    told(0)
    pairs = source.pairs(stopped=stopped)
    try:
        find_top_patches(subject.net, pairs, tables.layers, batch=batch, progress=told, into=tables)
    except OptionError as error:
        if not tables.seen and stopped():
            raise DataError(
                "Expected at least one input before the interruption, got none; let it run longer."
            ) from error
        raise


def _example(source: Source, name: str | None) -> int:
    readable = [i for i in range(len(source)) if i not in source.unreadable]
    if name is None:
        return readable[0]
    for i in readable:
        if name in (source.names[i], source.names[i].rpartition("/")[2]):
            return i
    raise OptionError(f"Expected the name of one of the inputs, like {source.names[readable[0]]!r}, got {name!r}.")


def _used(found: Sequence[LayerFinding]) -> set[int]:
    return {patch.source for layer in found for unit in layer.units for patch in unit.top}


def _pictures(
    subject: Subject, source: Source, found: Sequence[LayerFinding], example: int
) -> tuple[dict[int, bytes], bool]:
    """The inputs that appear, encoded, and whether they are kept at the size the network saw."""
    used = sorted({example, *_used(found)})
    if subject.dims == 3:
        return {}, False
    if subject.dims == 1:
        return {i: drawing.encoded(drawing.draw_signal(source.values(i)), kind="png") for i in used}, False
    whole, pictures = len(used) <= _PICTURES_WHOLE, {}
    for i in used:
        pixels = drawing.draw_picture(source.values(i))
        height, width = pixels.shape[:2]
        if not whole and max(height, width) > _SMALLEST:
            side = max(_SMALLEST, round(max(height, width) * (_PICTURES_WHOLE / len(used)) ** 0.5))
            pixels = images.resize(pixels, *images.fit(width, height, side))
        small = max(height, width) <= 64
        pictures[i] = drawing.encoded(pixels, kind="png" if small else "jpeg", quality=84)
    return pictures, whole


def _light(layer: LayerFinding, *, whole: bool) -> LayerFinding:
    """Without the patches of large windows, which the page cuts out of the inputs' own pictures."""
    if not whole or min(layer.tile) <= drawing.TILE // 2:
        return layer
    return dataclasses.replace(layer, views={k: v for k, v in layer.views.items() if k != "patches"})


def _table(subject: Subject, first: torch.Tensor, wanted: Sequence[str]) -> tuple[dict[str, str], ...]:
    """The windows of every layer down to the deepest one wanted."""
    known = feature_layers(subject.net, first)
    deepest = max(known.index(layer) for layer in wanted)
    layers = known[: deepest + 1]
    fields = receptive_fields(subject.net, first, layers)
    rows = fields.table()
    if any(field.everything for field in fields.fields.values()):
        filtered = {row["layer"]: row for row in receptive_fields(subject.net, first, layers, statistics=False).table()}
        rows = [_marked(row, filtered[row["layer"]]) for row in rows]
    return tuple(rows)


def _marked(row: dict[str, str], filtered: dict[str, str]) -> dict[str, str]:
    if row["size"] != "everything" or filtered["size"] == "everything":
        return row
    return {**filtered, "note": "of its filters; its normalisation sees everything"}


def _filters(subject: Subject, first: torch.Tensor) -> tuple[str, Pixels] | None:
    """The first convolution's filters, drawn."""
    fields = receptive_fields(subject.net, first, feature_layers(subject.net, first)[:2])
    layer = next((name for name, field in fields.fields.items() if not field.everything), None)
    if layer is None or min(axis.size for axis in fields[layer].axes) > min(first.shape[2:]):
        return None
    drawn = filters(subject.net, first, layer).float()
    if subject.dims == 1:
        tiles = np.stack([drawing.draw_trace(f.numpy(), (0, f.shape[1]), None) for f in drawn])
        return layer, drawing.grid(tiles, max(1, min(8, len(tiles))), gap=8)
    if subject.dims == 3:
        drawn = drawn[:, :, drawn.shape[2] // 2]
    pixels = [drawing.draw_picture((as_picture(f).numpy() * 255).round().astype(np.uint8)) for f in drawn]
    side = max(1, 40 // max(pixels[0].shape[:2]))
    tiles = np.stack([p.repeat(side, axis=0).repeat(side, axis=1) for p in pixels])
    return layer, drawing.grid(tiles, max(1, min(16, len(tiles))), gap=4)


def _notes(source: Source, seen: int, *, stopped: bool) -> tuple[str, ...]:
    notes = []
    if stopped and seen + len(source.unreadable) < len(source):
        notes.append(f"Interrupted after {seen:,} of {len(source):,} inputs: this shows what was seen by then.")
    elif stopped:
        notes.append("Interrupted when all inputs had been seen: some projections are missing.")
    if source.unreadable:
        index, why = next(iter(source.unreadable.items()))
        notes.append(
            f"{len(source.unreadable):,} of {len(source):,} files could not be read, such as "
            f"{source.names[index]}: {why}"
        )
    return tuple(notes)
