"""What is measured inside a fresh process: the convolutions' speed, a painting's memory, a preview after import.

    python probes.py convolutions SIZE
    python probes.py memory CONTENT STYLE SIZE PRECISION STEPS
    python probes.py preview CONTENT STYLE OUT

Each prints one line of JSON.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from typing import Any

MACS_PER_PIXEL = 361_152  # of VGG-19's convolutions up to relu5_1
CONVOLUTIONS = ("aten::mkldnn_convolution", "aten::convolution_backward")
MATRICES = (1024, 2048, 4096)
ROUNDS = 10


def convolutions(size: str) -> dict[str, Any]:
    """GFLOP/s of the convolutions in one bf16 evaluation, against the machine's bf16 matrix product, interleaved."""
    import torch

    from mien.backbones import vgg
    from mien.style.device import cpu_has_bfloat16

    if not cpu_has_bfloat16():
        return {"skipped": "this processor has no bf16 in hardware"}
    net = vgg.load("vgg19", dtype=torch.bfloat16)
    picture = torch.rand(1, 3, int(size), int(size), generator=torch.Generator().manual_seed(0))
    work = 2 * 2 * MACS_PER_PIXEL * int(size) ** 2  # a MAC is two operations; forward and input gradient
    rates, inside, whole, shares = dict.fromkeys(MATRICES, 0.0), float("inf"), float("inf"), []
    for _ in range(ROUNDS):
        now = {n: _matrix_rate(n) for n in MATRICES}
        seconds, wall = _evaluation(net, picture)
        rates = {n: max(rates[n], now[n]) for n in MATRICES}
        inside, whole = min(inside, seconds), min(whole, wall)
        shares.append(work / seconds / max(now.values()))
    return {
        "size": int(size),
        "matrix_gflops": {str(n): rate / 1e9 for n, rate in rates.items()},
        "convolution_seconds": inside,
        "evaluation_seconds": whole,
        "convolution_gflops": work / inside / 1e9,
        "share": work / inside / max(rates.values()),
        "round_shares": shares,
    }


def _matrix_rate(n: int) -> float:
    """Operations a second of an n × n × n product in bf16: the best of several, with either layout of the factor."""
    import torch

    a, b = torch.rand(n, n).bfloat16(), torch.rand(n, n).bfloat16()
    best = float("inf")
    for _ in range(max(3, 8192 // n)):
        for factor in (b, b.T):
            start = time.perf_counter()
            a @ factor
            best = min(best, time.perf_counter() - start)
    return 2 * n**3 / best


def _evaluation(net: Any, picture: Any) -> tuple[float, float]:
    """Seconds in the convolutions and in all of one forward pass and input gradient."""
    import torch
    from torch.profiler import ProfilerActivity, profile

    x = picture.clone().requires_grad_()
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        start = time.perf_counter()
        out = net(x, ["relu5_1"])["relu5_1"]
        out.backward(torch.ones_like(out))
        wall = time.perf_counter() - start
    spent = {event.key: event.self_cpu_time_total for event in profiled.key_averages()}
    if missing := [name for name in CONVOLUTIONS if name not in spent]:
        raise RuntimeError(f"Expected the profile to show {missing}; it shows {sorted(spent)}.")
    return sum(spent[name] for name in CONVOLUTIONS) / 1e6, wall


def memory(content: str, style: str, size: str, precision: str, steps: str) -> dict[str, Any]:
    """Peak memory of a painting above the loaded program: imports, weights, and kernels that have run once."""
    import psutil
    import torch

    from mien.backbones import load_backbone
    from mien.style.stylize import transfer

    net = load_backbone("vgg19", dtype=getattr(torch, precision))
    transfer(content, style, size=64, steps=(1,), precision=precision)
    loaded = psutil.Process().memory_info().rss
    del net  # the painting loads it again
    options = {"size": int(size), "precision": precision, "steps": tuple(int(n) for n in steps.split(","))}
    height, width = transfer(content, style, **options).pixels.shape[:2]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {
        "width": width,
        "height": height,
        "precision": precision,
        "steps": steps,
        "loaded": loaded,
        "peak": peak,
        "bytes_per_pixel": (peak - loaded) / (width * height),
    }


def preview(content: str, style: str, out: str) -> dict[str, Any]:
    """Seconds of a preview, its file written, once everything is imported."""
    from mien.style.stylize import transfer

    start = time.perf_counter()
    transfer(content, style, preview=True).save(out, force=True)
    return {"seconds": time.perf_counter() - start}


def main() -> None:
    name, *arguments = sys.argv[1:]
    probe = {"convolutions": convolutions, "memory": memory, "preview": preview}[name]
    print(json.dumps(probe(*arguments)))


if __name__ == "__main__":
    main()
