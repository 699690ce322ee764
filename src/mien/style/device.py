"""Where and in which numbers the network runs: bf16 only where the machine really has it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as NF

from mien.errors import OptionError
from mien.style.options import StyleOptions

# bf16 has to win clearly: on a noisy machine a tie must not pick it by chance.
_CLEARLY_FASTER = 1.2


@dataclass(frozen=True)
class Place:
    """Device and precision, both decided."""

    device: str
    dtype: torch.dtype

    @property
    def precision(self) -> str:
        """The dtype's name, as the options have it."""
        return str(self.dtype).removeprefix("torch.")


def place(options: StyleOptions) -> Place:
    """The options' device and precision, with `auto` decided by what this machine has."""
    device = _device(options.device)
    if options.precision != "auto":
        return Place(device, getattr(torch, options.precision))
    if device == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device == "mps":
        fast = False
    else:
        fast = bfloat16_pays()
    return Place(device, torch.bfloat16 if fast else torch.float32)


def _device(wanted: str) -> str:
    found = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if wanted == "auto":
        return next(name for name in ("cuda", "mps", "cpu") if found[name])
    if not found.get(wanted):
        here = ", ".join(name for name, there in found.items() if there)
        raise OptionError(f"Expected a device that this machine has ({here}), got {wanted!r}.")
    return wanted


def cpu_has_bfloat16() -> bool:
    """Whether the processor multiplies bf16 in hardware (AVX512_BF16, AMX, or Arm's BF16)."""
    try:
        flags = set(Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split())
    except OSError:
        return False
    return bool(flags & {"avx512_bf16", "amx_bf16", "bf16"})


@cache
def bfloat16_pays() -> bool:
    """Whether a convolution in bf16 is clearly faster than in float32 here, timed once (a few hundredths of a second).

    Without the hardware bf16 is emulated, up to ten times slower than float32, so it is not even tried.
    """
    if not cpu_has_bfloat16():
        return False
    seconds = {}
    with torch.no_grad():
        for dtype in (torch.float32, torch.bfloat16):
            x = torch.ones(1, 128, 64, 64, dtype=dtype).contiguous(memory_format=torch.channels_last)
            kernel = torch.ones(128, 128, 3, 3, dtype=dtype).contiguous(memory_format=torch.channels_last)
            trials = []
            for _ in range(4):
                start = time.perf_counter()
                NF.conv2d(x, kernel, padding=1)
                trials.append(time.perf_counter() - start)
            seconds[dtype] = min(trials)
    return seconds[torch.float32] > _CLEARLY_FASTER * seconds[torch.bfloat16]
