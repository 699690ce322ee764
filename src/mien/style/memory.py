"""How much memory a painting takes, and whether this machine has it: refused before the start instead of killed."""

from __future__ import annotations

import math
from pathlib import Path

import psutil

from mien import images
from mien.errors import OutOfMemory

# Bytes a pixel at the finest scale, above the loaded program, measured with `benchmarks/style.py memory`:
# 1,456 and 2,341 at 1,024 px, 1,565 and 2,074 at 512 px (docs/benchmarks.md); the history comes on top.
BYTES_PER_PIXEL = {"bfloat16": 1570, "float32": 2350}
HISTORY_BYTES_PER_PIXEL = {"lbfgs": 24 * 10 + 24, "adam": 24, "gradient": 0}
# The Gram matrices, the weights and the allocator's slack, whatever the size.
FIXED = 150e6


def needed(pixels: int, *, precision: str, optimiser: str) -> float:
    """Bytes that painting so many pixels takes above the loaded program."""
    return FIXED + pixels * (BYTES_PER_PIXEL[precision] + HISTORY_BYTES_PER_PIXEL[optimiser])


def available() -> float:
    """Bytes that may be taken: what the system has left, or less where a container says so."""
    free = float(psutil.virtual_memory().available)
    for folder in (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/memory")):
        for limit_name, usage_name in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            try:
                limit = (folder / limit_name).read_text().strip()
                usage = (folder / usage_name).read_text().strip()
            except OSError:
                continue
            if limit.isdigit() and usage.isdigit():
                free = min(free, float(limit) - float(usage))
    return max(free, 0.0)


def check(width: int, height: int, *, precision: str, optimiser: str, budget: float | None = None) -> None:
    """Raise `OutOfMemory`, with the size that would fit, if the painting would not."""
    budget = available() if budget is None else budget
    wanted = needed(width * height, precision=precision, optimiser=optimiser)
    if wanted <= budget:
        return
    per_pixel = (wanted - FIXED) / (width * height)
    fitting = math.sqrt(max(0.0, budget - FIXED) / per_pixel / (width * height)) * max(width, height)
    size = int(fitting) // 16 * 16
    # Rounding a thin side up may take more than its share.
    while size >= 16 and FIXED + math.prod(images.fit(width, height, size)) * per_pixel > budget:
        size -= 16
    advice = f"--size {size} would fit" if size >= 16 else "close other programs"
    raise OutOfMemory(
        f"A painting of {width}×{height} needs about {wanted / 1e9:.1f} GB of memory, and {budget / 1e9:.1f} GB are "
        f"free; {advice}."
    )
