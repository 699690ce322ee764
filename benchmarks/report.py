"""The results as tables (for the terminal and for docs/benchmarks.md) and as contact sheets."""

from __future__ import annotations

import io
import math
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

import pages
from mien.images import write_whole
from mien.style.memory import HISTORY_BYTES_PER_PIXEL
from mien.style.sheet import contact_sheet
from verdicts import COST_RATIO, TIME_RATIO, Comparison, compared, missing

Record = dict[str, Any]

LIMITS = {256: 12.0, 512: 60.0}  # seconds of our defaults
CONVOLUTION_SHARE, BYTES_PER_PIXEL, PREVIEW_SHELL, PREVIEW_IMPORTED = 0.75, 1800, 6.0, 3.0
SHEET_BYTES = 250_000
QUIET = 0.7  # load average before the start, above which other work disturbs the figures

INTRO = """# Style transfer

Made by `benchmarks/style.py`; every figure is from one run on the machine named with it. Times are wall
times from the shell, start-up included, on both sides. A cost is always that of the neutral judge (`judge.py`:
neural-style-pt's definition, content weight 5, style weight 100 a layer), computed on the 8-bit file a tool delivers.
**A lower cost is not yet a better picture**, so look at the contact sheets of the same runs too.
"""


@dataclass(frozen=True)
class Section:
    """A table with what has to be said about it; cells are Markdown."""

    title: str
    text: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]

    def markdown(self) -> str:
        lines = [f"## {self.title}", "", self.text, ""]
        if self.rows:
            rules = ["---", *["---:"] * (len(self.header) - 1)]
            lines += ["| " + " | ".join(row) + " |" for row in (self.header, rules, *self.rows)]
        return "\n".join(lines).rstrip() + "\n"

    def table(self) -> Table:
        table = Table(title=self.title, caption=_plain(self.text), title_justify="left", caption_justify="left")
        for i, name in enumerate(self.header):
            table.add_column(name, justify="right" if i else "left")
        for row in self.rows:
            table.add_row(*(_plain(cell) for cell in row))
        return table


def sections(results: Record) -> list[Section]:
    """One section for everything that has been measured."""
    made = []
    if ratios := results.get("ratios"):
        made += [_summary(ratios), _comparisons(ratios), _defaults(ratios), _ladders(ratios), _paces(ratios)]
    makers = {"convolutions": _convolutions, "memory": _memory, "preview": _preview}
    made += [make(results[name]) for name, make in makers.items() if name in results]
    return [section for section in made if section.rows or section.text]


def show(results: Record) -> None:
    """The tables on standard output."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=150)
    for section in sections(results):
        console.print(section.table())
        console.print()


def write(results: Record, path: Path, *, sheets: list[Path]) -> Path:
    """The whole report as Markdown, with the contact sheets that may be shown."""
    parts = [INTRO, *(section.markdown() for section in sections(results))]
    if sheets:
        images = [f"![the same runs side by side]({sheet.relative_to(path.parent).as_posix()})" for sheet in sheets]
        parts.append("## Side by side\n\n" + "\n\n".join(images) + "\n")
    return pages.put("style", "\n".join(parts), page=path)


# -- time and cost -----------------------------------------------------------------------------------------------------


def _all_compared(ratios: Record) -> list[tuple[Record, Comparison]]:
    return [(job, comparison) for job in ratios["jobs"] for comparison in compared(job)]


def _summary(ratios: Record) -> Section:
    """The ratios' range a size and rival, over the pairs."""
    groups: dict[tuple[int, str], list[Comparison]] = {}
    for job, comparison in _all_compared(ratios):
        groups.setdefault((job["size"], comparison.rival["name"]), []).append(comparison)
    rows = []
    for (size, name), found in sorted(groups.items()):
        times, costs = [c.time_ratio or 0.0 for c in found], [c.cost_ratio or math.inf for c in found]
        rows.append(
            (
                f"{size} px, {name}",
                str(len(found)),
                _times(statistics.median(times)),
                _met(_times(min(times)), min(times) >= TIME_RATIO),
                _share(statistics.median(costs)),
                _met(_share(max(costs)), max(costs) <= COST_RATIO),
            )
        )
    text = (
        f"{_stamp(ratios)} Wanted on every pair: at equal cost at least {TIME_RATIO:.0f} times less time, and in 1/20 "
        f"of the time at most {COST_RATIO} of the cost."
    )
    header = ("rival", "pairs", "faster (median)", "worst pair", "cost in 1/20 of the time (median)", "worst pair")
    return Section("Against the rivals", text, header, rows)


def _comparisons(ratios: Record) -> Section:
    rows = []
    for job, c in _all_compared(ratios):
        equal, quick = c.equal, c.quick
        rows.append(
            (
                f"{_job(job)}: {c.rival['name']}",
                f"{c.rival['seconds']:.0f} s",
                _cost(c.rival["cost"]),
                f"{equal['steps']}: {equal['seconds']:.1f} s" if equal else "none",
                _met(f"{c.time_ratio:.0f} ×", c.time_ratio >= TIME_RATIO) if c.time_ratio else "–",
                f"{quick['steps']}: {quick['seconds']:.1f} s, {_cost(quick['cost'])}" if quick else "none",
                _met(f"{c.cost_ratio:.2f}", c.cost_ratio <= COST_RATIO) if c.cost_ratio else "–",
            )
        )
    absent = [
        f"{_job(job)}: {rival['name']} (would take {rival['seconds'] / 60:.0f} minutes)"
        for job in ratios["jobs"]
        for rival in missing(job)
    ]
    text = (
        f"Rivals paint {ratios['steps']} steps at one scale; their pictures are seeded and kept from earlier runs, "
        "their times are extrapolated from short runs made in this run (below). Ours: `--recipe neural-style --steps "
        "…`. Costs in thousands: total (content + style)."
    )
    if absent:
        text += f"\n\nNot run: {'; '.join(absent)}. `benchmarks/style.py ratios --all` runs them."
    header = ("pair", "its time", "its cost", "ours at equal cost", "faster", "ours in 1/20 of its time", "cost ratio")
    return Section("Every pair", text, header, rows)


def _defaults(ratios: Record) -> Section:
    rows = []
    for job in ratios["jobs"]:
        seconds, limit = job["defaults"]["seconds"], LIMITS.get(job["size"])
        shown = f"{seconds:.1f} s" if limit is None else _met(f"{seconds:.1f} s", seconds <= limit)
        rows.append((_job(job), shown, f"{limit:.0f} s" if limit else "–", _cost(job["defaults"]["cost"])))
    text = (
        "`mien style PHOTO STYLE --size N`, nothing else. Its recipe aims at another cost than the judge's, so the "
        "judge's figure is only for comparison."
    )
    return Section("Our defaults", text, ("pair", "time", "wanted at most", "judged cost"), rows)


def _ladders(ratios: Record) -> Section:
    rows = [
        (_job(job), rung["steps"], f"{rung['seconds']:.1f} s", _cost(rung["cost"]))
        for job in ratios["jobs"]
        for rung in job["ours"]
    ]
    unfinished = [_job(job) for job in ratios["jobs"] if not job["complete"]]
    text = "Steps are given coarse to fine; each scale has half the size of the next."
    if unfinished:
        text += f" Cut short, for want of time: {', '.join(unfinished)}."
    return Section("Our budgets", text, ("pair", "--steps", "time", "judged cost"), rows)


def _paces(ratios: Record) -> Section:
    rows = []
    for found in ratios["paces"]:
        (few, first), (more, second) = found["runs"]
        whole = found["start"] + found["step"] * ratios["steps"]
        rows.append(
            (
                f"{found['tool']}, {found['photo']}, {found['size']} px",
                f"{few}: {first:.1f} s",
                f"{more}: {second:.1f} s",
                f"{found['start']:.1f} s",
                f"{found['step']:.3f} s",
                f"{whole:.0f} s",
            )
        )
    text = (
        "Two short runs from the shell, extrapolated linearly. L-BFGS's history still grows in them, which makes the "
        "rivals look a little faster than they are."
    )
    if check := ratios.get("check"):
        text += (
            f" Check: {check['rival']} on {check['job']} in full took {check['measured']:.0f} s, extrapolated "
            f"{check['extrapolated']:.0f} s."
        )
        if check["same"] is not None:
            text += (
                f" Its picture is {'the same as' if check['same'] else 'not the same as'} the one kept, to the byte."
            )
    header = ("tool", "short run", "longer run", "start", "a step", f"{ratios['steps']} steps, extrapolated")
    return Section("The rivals' times", text, header, rows)


# -- the machine -------------------------------------------------------------------------------------------------------


def _convolutions(found: Record) -> Section:
    title = "Convolutions in bf16"
    if reason := found.get("skipped"):
        return Section(title, f"Skipped: {reason}.", ("",), [])
    text = (
        f"{_stamp(found)} One evaluation of VGG-19 to relu5_1 at {found['size']} × {found['size']}, forward and input "
        "gradient: the convolutions alone (self time by torch's profiler) against the best bf16 matrix product "
        f"measured between them. Wanted: at least {CONVOLUTION_SHARE:.0%}."
    )
    believable = found["share"] <= 1
    if not believable:
        text += " A share above 100 % says that something held the matrix product back: measure again when it is quiet."
    shares = found["round_shares"]
    rows = [(f"matrix product, n = {n}", f"{rate:.0f} GFLOP/s") for n, rate in found["matrix_gflops"].items()]
    rows += [
        ("convolutions", f"{found['convolution_gflops']:.0f} GFLOP/s ({found['convolution_seconds']:.2f} s)"),
        ("the whole evaluation", f"{found['evaluation_seconds']:.2f} s"),
        (
            "share of the best matrix product, best of both",
            _met(f"{found['share']:.0%}", found["share"] >= CONVOLUTION_SHARE)
            if believable
            else "doubtful: above 100 %",
        ),
        (
            "the same within one round, median and range",
            f"{statistics.median(shares):.0%} ({min(shares):.0%}–{max(shares):.0%})",
        ),
    ]
    return Section(title, text, ("what", "measured"), rows)


def _memory(found: Record) -> Section:
    history = HISTORY_BYTES_PER_PIXEL["lbfgs"]
    rows = [
        (
            f"{run['width']} × {run['height']}, {run['precision']}",
            f"{run['loaded'] / 1e6:.0f} MB",
            f"{run['peak'] / 1e6:.0f} MB",
            _met(f"{run['bytes_per_pixel']:.0f}", run["bytes_per_pixel"] <= BYTES_PER_PIXEL),
            f"{run['bytes_per_pixel'] - history:.0f}",
        )
        for run in found["runs"]
    ]
    text = (
        f"{_stamp(found)} Peak of a fresh process above the loaded program (imports, weights, kernels). Wanted: at "
        f"most {BYTES_PER_PIXEL} bytes a pixel. L-BFGS's full history is {history} of them."
    )
    return Section("Memory", text, ("painting", "loaded", "peak", "bytes a pixel", "without the history"), rows)


def _preview(found: Record) -> Section:
    limits = {"preview, from the shell": PREVIEW_SHELL, "preview, after import": PREVIEW_IMPORTED}
    rows = []
    for name, seconds in found["seconds"].items():
        middle, limit = statistics.median(seconds), limits.get(name)
        shown = f"{middle:.2f} s" if limit is None else _met(f"{middle:.2f} s", middle <= limit)
        rows.append((name, shown, f"{min(seconds):.2f}–{max(seconds):.2f} s", f"{limit:.0f} s" if limit else "–"))
    header = ("what", "median", "range", "wanted at most")
    return Section("Preview and start-up", f"{_stamp(found)} Each {found['repeats']} times.", header, rows)


# -- contact sheets ----------------------------------------------------------------------------------------------------


def save_sheets(results: Record, folder: Path, public: Path) -> list[Path]:
    """One sheet a pair, at the largest size with a rival; those that may be shown go to `public` and are returned."""
    largest: dict[str, Record] = {}
    for job in results.get("ratios", {}).get("jobs", []):
        if compared(job) and job["size"] >= largest.get(job["slug"], job)["size"]:
            largest[job["slug"]] = job
    shown = []
    for slug, job in largest.items():
        path = public / f"benchmark-{slug}.jpg" if job["public"] else folder / "sheets" / f"{slug}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, lambda file, job=job: file.write(_sheet(job, folder)) and None, force=True)
        shown += [path] if job["public"] else []
    return shown


def _sheet(job: Record, folder: Path) -> bytes:
    """Photo, style, rivals, ours at the best rival's cost, ours in 1/20 of the quickest rival's time, our defaults."""
    comparisons = compared(job)
    hardest = min(comparisons, key=lambda c: c.rival["cost"]["total"])
    quickest = min(comparisons, key=lambda c: c.rival["seconds"])
    chosen = [("photo", job["inputs"][0], None), ("style", job["inputs"][1], None)]
    chosen += [(c.rival["name"].replace("content ", ""), c.rival["picture"], c.rival) for c in comparisons]
    for label, rung in (
        ("mien, equal cost", hardest.equal),
        ("mien, 1/20 of the time", quickest.quick),
        ("mien, defaults", job["defaults"]),
    ):
        if rung:
            chosen.append((label, rung["picture"], rung))
    pictures = [np.asarray(Image.open(folder / path).convert("RGB")) for _, path, _ in chosen]
    labels = [
        label if run is None else f"{label}: {run['seconds']:.0f} s, cost {run['cost']['total'] / 1e3:.0f}"
        for label, _, run in chosen
    ]
    data = b""
    for cell in (512, 448, 384, 320, 256):
        buffer = io.BytesIO()
        Image.fromarray(contact_sheet(pictures, labels, columns=4, cell=cell)).save(buffer, "JPEG", quality=88)
        data = buffer.getvalue()
        if len(data) <= SHEET_BYTES:
            break
    return data


# -- words -------------------------------------------------------------------------------------------------------------


def _job(job: Record) -> str:
    return f"{job['pair']}, {job['size']} px"


def _times(ratio: float) -> str:
    return f"{ratio:.0f} ×" if ratio else "not reached"


def _share(ratio: float) -> str:
    return f"{ratio:.2f}" if math.isfinite(ratio) else "no painting so quick"


def _cost(cost: Record | None) -> str:
    if cost is None:
        return "not judged"
    return f"{cost['total'] / 1e3:.0f} ({cost['content'] / 1e3:.0f} + {cost['style'] / 1e3:.0f})"


def _met(text: str, met: bool) -> str:
    return f"**{text}** ✓" if met else f"{text} ✗"


def _plain(text: str) -> str:
    return text.replace("**", "").replace("`", "")


def _stamp(record: Record) -> str:
    machine = record["machine"]
    busy = " **The machine was busy before the start: these figures do not hold.**"
    return (
        f"{machine['date']}, commit {machine['commit']}; {machine['cpu']}, {machine['cores']} cores, "
        f"{machine['bf16']}; torch {machine['torch']}; load average {machine['load_before']:.1f} before, "
        f"{machine['load_after']:.1f} after." + busy * (machine["load_before"] > QUIET)
    )
