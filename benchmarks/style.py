"""The benchmark of style transfer: time, cost, memory and start-up, beside the tools people use now.

    python benchmarks/style.py                       all of it, at most an hour; what `make bench` runs
    python benchmarks/style.py ratios --all          also the rivals' pictures that take hours, once
    python benchmarks/style.py memory                one part: ratios, convolutions, memory or preview
    python benchmarks/style.py report                the tables again, from the last results
    python benchmarks/style.py rivals                which pictures of rivals are kept, and under which names

Results go to bench/results.json and docs/benchmarks.md, pictures to bench/. With $MIEN_DATA set its pictures are
painted, otherwise those that scikit-image carries, in built-in styles. Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import report
from pairs import found, pattern_file, photo_file
from ratios import Job, Plan, jobs_of, judged, measure
from rivals import of_size
from shell import Clock, say, seconds_of, timed

HERE = Path(__file__).resolve()
MIEN = str(Path(sys.executable).with_name("mien"))
# The finest scale long enough to fill L-BFGS's history; the others do not matter for the peak.
MEMORY_STEPS = {512: "1,1,12", 1024: "1,1,1,12"}
REPEATS = 5

Record = dict[str, Any]


def convolutions(_: argparse.Namespace) -> Record:
    """How near the bf16 convolutions come to the machine's matrix product."""
    return _probe("convolutions", "512")


def memory(options: argparse.Namespace) -> Record:
    """Peak memory of paintings in fresh processes."""
    pictures = options.folder / "pictures"
    photo, style = photo_file(pictures, "astronaut"), pattern_file(pictures, "night")
    runs = []
    for precision in ("bfloat16", "float32"):
        for size, steps in MEMORY_STEPS.items():
            runs.append(_probe("memory", str(photo), str(style), str(size), precision, steps))
            say(f"memory, {size} px, {precision}: {runs[-1]['bytes_per_pixel']:.0f} bytes a pixel")
    return {"runs": runs}


def preview(options: argparse.Namespace) -> Record:
    """Seconds until a draft is there, and until the program is."""
    pictures, out = options.folder / "pictures", str(options.folder / "preview.png")
    photo, style = str(photo_file(pictures, "coffee")), str(pattern_file(pictures, "night"))
    command = [MIEN, "style", photo, style, "-o", out, "--preview", "--quiet", "--force"]
    measured: dict[str, Callable[[], float]] = {
        "preview, from the shell": lambda: seconds_of(command),
        "preview, after import": lambda: _probe("preview", photo, style, out)["seconds"],
        "mien --help": lambda: seconds_of([MIEN, "--help"]),
        "mien style --help": lambda: seconds_of([MIEN, "style", "--help"]),
        "import mien": lambda: seconds_of([sys.executable, "-c", "import mien"]),
        "python alone": lambda: seconds_of([sys.executable, "-c", ""]),
    }
    return {"repeats": REPEATS, "seconds": {name: [run() for _ in range(REPEATS)] for name, run in measured.items()}}


def ratios(options: argparse.Namespace) -> Record:
    """Time and cost against the rivals."""
    plan = Plan(
        jobs=_jobs(options),
        folder=options.folder,
        steps=options.rival_steps,
        ladder=tuple(options.ladder.split()) or None,
        clock=options.clock,
    )
    return measure(plan, lambda record: _keep(options, "ratios", record))


def judge(options: argparse.Namespace) -> Record:
    """Judge what `ratios` painted, with the rivals' pictures that are there by now; no painting of ours."""
    record: Record = json.loads((options.folder / "results.json").read_text(encoding="utf-8"))["ratios"]
    plan = Plan(jobs=_jobs(options), folder=options.folder, steps=options.rival_steps, ladder=None, clock=options.clock)
    return judged(plan, record, lambda record: _keep(options, "ratios", record))


PARTS: dict[str, Callable[[argparse.Namespace], Record]] = {
    "preview": preview,
    "convolutions": convolutions,
    "memory": memory,
    "ratios": ratios,
}


def _jobs(options: argparse.Namespace) -> list[Job]:
    jobs = jobs_of(found(options.folder / "pictures"), sizes=options.sizes, names=options.pairs)
    if not jobs:
        raise SystemExit(f"Expected --pairs to name a pair, got {', '.join(options.pairs)}.")
    return jobs


def _probe(*arguments: str) -> Record:
    say(f"measuring {arguments[0]}")
    _, printed = timed([sys.executable, str(HERE.with_name("probes.py")), *arguments])
    answer: Record = json.loads(printed.splitlines()[-1])
    return answer


def _machine() -> Record:
    """What a figure cannot do without."""
    lines = _read("/proc/cpuinfo").splitlines()
    about = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = [flag for flag in ("amx_bf16", "avx512_bf16") if flag in about.get("flags", "").split()]
    commit = _git("rev-parse", "--short", "HEAD") or "unknown"
    changed = " with changes" if _git("status", "--porcelain", "--untracked-files=no") else ""
    return {
        "cpu": about.get("model name", "unknown processor"),
        "cores": os.cpu_count(),
        "bf16": " and ".join(flags) or "no bf16 in hardware",
        "torch": version("torch"),
        "commit": commit + changed,
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "load_before": os.getloadavg()[0],
    }


def _read(path: str) -> str:
    return Path(path).read_text(encoding="utf-8", errors="replace") if Path(path).exists() else ""


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=HERE.parent, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _results(folder: Path) -> Record:
    path = folder / "results.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _keep(options: argparse.Namespace, part: str, record: Record) -> None:
    """Put a part's figures beside the other parts' last ones."""
    stamped = {**record, "machine": {**options.machine, "load_after": os.getloadavg()[0]}}
    text = json.dumps({**_results(options.folder), part: stamped}, indent=1, ensure_ascii=False)
    options.folder.mkdir(parents=True, exist_ok=True)
    unfinished = options.folder / "results.json.part"
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(options.folder / "results.json")


def _report(options: argparse.Namespace) -> None:
    results = _results(options.folder)
    if not results:
        raise SystemExit("Expected results to report; run a part of the benchmark first.")
    sheets = report.save_sheets(results, options.folder, options.docs / "pictures")
    report.write(results, options.docs / "benchmarks.md", sheets=sheets)
    report.show(results)


def _rivals(options: argparse.Namespace) -> None:
    for job in _jobs(options):
        for rival in of_size(job.size):
            picture = rival.picture(options.folder / "rivals", job.pair, job.size, options.rival_steps)
            print(f"{'kept   ' if picture.exists() else 'missing'} {job.name}: {rival.name}: {picture.name}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="?", default="all", choices=("all", *PARTS, "judge", "report", "rivals"))
    parser.add_argument("--minutes", type=float, default=55, help="time for all of it [%(default)s]")
    parser.add_argument("--all", action="store_true", help="every rival's picture, however long it takes")
    parser.add_argument("--sizes", type=_numbers, default=(), help="long sides, as 256,512 [each pair's own]")
    parser.add_argument("--pairs", type=_names, default=(), help="parts of pairs' names, as starry,coffee [all]")
    parser.add_argument("--ladder", default="", help='our budgets of steps, as "8 20,10" [by size]')
    parser.add_argument("--rival-steps", type=int, default=500, help="the rivals' steps, at least 3 [%(default)s]")
    parser.add_argument("--folder", type=Path, default=HERE.parents[1] / "bench", help="for pictures and results")
    parser.add_argument("--docs", type=Path, default=HERE.parents[1] / "docs", help="for the report")
    options = parser.parse_args()
    if options.rival_steps < 3:
        parser.error(f"Expected --rival-steps of at least 3, got {options.rival_steps}.")
    options.folder, options.docs = options.folder.resolve(), options.docs.resolve()
    options.clock = Clock(float("inf") if options.all else options.minutes)
    return options


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(","))


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def main() -> None:
    options = _options()
    if options.part == "rivals":
        _rivals(options)
        return
    if options.part != "report":
        options.folder.mkdir(parents=True, exist_ok=True)
        options.machine = _machine()
        if options.machine["load_before"] > report.QUIET:
            say(f"the machine is busy (load average {options.machine['load_before']:.1f}): the figures will not hold")
        for name in PARTS if options.part == "all" else (options.part,):
            _keep(options, *(("ratios", judge(options)) if name == "judge" else (name, PARTS[name](options))))
    _report(options)


if __name__ == "__main__":
    main()
