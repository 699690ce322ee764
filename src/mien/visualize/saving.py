"""A report's files: the page, a contact sheet of each layer, units.csv and report.json."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

from mien import images
from mien.errors import OutputError
from mien.visualize.findings import LayerFinding, Report
from mien.visualize.page import gram_words, page

PAGE, TABLE, RECORD = "index.html", "units.csv", "report.json"


def check_folder(folder: str | Path, *, force: bool = False) -> None:
    """Refuse now, not after minutes of work: OutputError if the folder cannot take a report."""
    target = Path(folder)
    if target.exists() and not target.is_dir():
        raise OutputError(f"Expected a folder for the report, but “{folder}” is a file; choose another name.")
    if (target / PAGE).exists() and not force:
        raise OutputError(
            f"Expected a new folder, but “{folder}” holds a report already; choose another name, or overwrite it with "
            "--force (force=True)."
        )
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"Expected a folder for the report, but “{folder}” cannot be made ({error.strerror}); choose another name."
        ) from error


def save_report(report: Report, folder: str | Path, *, force: bool = False) -> Path:
    """Write the report into a folder, and return the path of its page; each file whole or not at all."""
    check_folder(folder, force=force)
    target = Path(folder)
    for layer in report.layers:
        if layer.sheet is not None:
            images.save(target / f"{_plain(layer.layer)}.png", layer.sheet, force=True)
    _write(target / TABLE, units_csv(report))
    _write(target / RECORD, json.dumps(record(report), ensure_ascii=False, indent=1))
    return _write(target / PAGE, page(report))


def _write(path: Path, text: str) -> Path:
    # A byte of a file's name that is no character stands in Python as a surrogate.
    return images.write_whole(path, lambda file: file.write(text.encode("utf-8", "backslashreplace")))


def _plain(layer: str) -> str:
    return re.sub(r"[^\w.-]", "_", layer)


def units_csv(report: Report) -> str:
    """One row a unit: layer, unit, maximum, mean, share, clearness, dead, classes, files of its best patches."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["layer", "unit", "maximum", "mean", "share", "clearness", "dead", "classes", "best"])
    for layer in report.layers:
        for unit in sorted(layer.units, key=lambda unit: unit.unit):
            numbers = [f"{x:.6g}" for x in (unit.maximum, unit.mean, unit.share, unit.clearness)]
            classes = "; ".join(f"{name or '-'} {count}" for name, count in unit.classes)
            best = "; ".join(report.names[patch.source] for patch in unit.top)
            table.writerow([layer.layer, unit.unit, *numbers, int(unit.dead), classes, best])
    return text.getvalue()


def record(report: Report) -> dict[str, Any]:
    """Everything in numbers and names, for other programs."""
    return {
        "network": report.network,
        "data": report.data,
        "inputs": {"seen": report.seen, "total": report.total},
        "size": list(report.size),
        "rate": report.rate,
        "methods": list(report.methods),
        "top": report.top,
        "seconds": round(report.seconds, 1),
        "interrupted": report.interrupted,
        "notes": list(report.notes),
        "receptive_fields": [dict(row) for row in report.fields],
        "layers": [_layer(layer, report) for layer in report.layers],
        "gram": {
            "input": report.names[report.example],
            "layers": {
                layer: {
                    "pair": list(reading.pair),
                    "value": float(reading.matrix[reading.pair]),
                    "cosine": reading.likeness,
                    "reading": gram_words(reading),
                }
                for layer, reading in report.gram.items()
            },
        },
    }


def _layer(layer: LayerFinding, report: Report) -> dict[str, Any]:
    return {
        "layer": layer.layer,
        "window": [axis.size for axis in layer.window.axes],
        "stride": [axis.stride for axis in layer.window.axes],
        "note": layer.note,
        "units": layer.count,
        "dead": layer.dead,
        "clearest": list(layer.clearest),
        "found": [
            {
                "unit": unit.unit,
                "maximum": unit.maximum,
                "mean": unit.mean,
                "share": unit.share,
                "clearness": unit.clearness,
                "dead": unit.dead,
                "classes": dict(unit.classes),
                "top": [
                    {
                        "input": report.names[patch.source],
                        "activation": patch.value,
                        "position": list(patch.position),
                        "box": [list(span) for span in patch.box],
                    }
                    for patch in unit.top
                ],
            }
            for unit in layer.units
        ],
    }
