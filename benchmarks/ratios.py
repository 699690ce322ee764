"""Time and cost of mien against the rivals, on every pair at every size: the long part of the benchmark."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from judge import Judge
from pairs import Pair
from rivals import RIVALS, Pace, Rival, of_size, pace
from shell import Clock, say, seconds_of
from verdicts import TIME_SHARE

MIEN = str(Path(sys.executable).with_name("mien"))
# Budgets of steps, coarse to fine; the last number is at full size, every one before at half the size of the next.
LADDERS = {
    256: "4 6,2 8 10,4 12 20 20,10 40,8 30,15 40,15 40,40,15 60,30 60,30,15 40 60,40,20 80,60,30 80,60,40",
    512: "4 6,3 8 10,6 12 20,8 20,20,8 40,40,20,12 20 40,15 40,40,15 60,40,20 60,40,30,20 60,30 40 80,60,40,30",
}

Record = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """One pair at one size."""

    pair: Pair
    size: int

    @property
    def name(self) -> str:
        return f"{self.pair.name}, {self.size} px"


@dataclass(frozen=True)
class Plan:
    """What a run is asked to do."""

    jobs: list[Job]
    folder: Path
    steps: int
    ladder: tuple[str, ...] | None
    clock: Clock

    @property
    def rivals_folder(self) -> Path:
        return self.folder / "rivals"


def measure(plan: Plan, keep: Callable[[Record], None]) -> Record:
    """Everything, in the order of its worth; `keep` gets what is there after every part, should the run be stopped."""
    paces = _paces(plan)
    record: Record = {"steps": plan.steps, "paces": [], "jobs": [], "check": None}
    record["paces"] = [
        {"photo": photo, "size": size, "tool": tool, **asdict(found)} for (photo, size, tool), found in paces.items()
    ]
    for job in plan.jobs:
        slowest = max(_pace(paces, job, rival).seconds(plan.steps) for rival in of_size(job.size))
        say(f"[b]mien[/b] on {job.name}, until {slowest * TIME_SHARE:.1f} s")
        record["jobs"].append(_ours(plan, job, slowest * TIME_SHARE))
        keep(record)
    record["check"] = _check(plan, paces)
    for job, entry in zip(plan.jobs, record["jobs"], strict=True):
        entry["rivals"] = [_rival(plan, job, rival, _pace(paces, job, rival)) for rival in of_size(job.size)]
        _judge(plan, job, entry)
        keep(record)
    return record


def judged(plan: Plan, record: Record, keep: Callable[[Record], None]) -> Record:
    """An earlier record with the rivals' pictures that have since been painted, and everything judged anew."""
    paces = {(row["photo"], row["size"], row["tool"]): _kept_pace(row) for row in record["paces"]}
    for entry in record["jobs"]:
        job = next(job for job in plan.jobs if (job.pair.slug, job.size) == (entry["slug"], entry["size"]))
        entry["rivals"] = [_rival(plan, job, rival, _pace(paces, job, rival)) for rival in of_size(job.size)]
        _judge(plan, job, entry)
        keep(record)
    return record


def _kept_pace(row: Record) -> Pace:
    return Pace(**{field.name: row[field.name] for field in fields(Pace)})


# -- the rivals --------------------------------------------------------------------------------------------------------

Paces = dict[tuple[str, int, str], Pace]


def _paces(plan: Plan) -> Paces:
    """Measured once for every photo, size and tool: the style changes nothing about the work of a step."""
    paces: Paces = {}
    for job in plan.jobs:
        for rival in of_size(job.size):
            key = (job.pair.content.stem, job.size, rival.tool)
            if key not in paces:
                paces[key] = pace(rival, job.pair, job.size, plan.steps, scratch=plan.folder / "scratch.png")
                seconds = paces[key].seconds(plan.steps)
                say(f"{rival.tool}, {key[0]}, {job.size} px: {plan.steps} steps would take {seconds:.0f} s")
    return paces


def _pace(paces: Paces, job: Job, rival: Rival) -> Pace:
    return paces[job.pair.content.stem, job.size, rival.tool]


def _check(plan: Plan, paces: Paces) -> Record | None:
    """One rival run in full against its extrapolated time, and against its kept picture, where the time allows it."""
    job, rival = min(plan.jobs, key=lambda job: job.size), RIVALS[0]
    expected = _pace(paces, job, rival).seconds(plan.steps)
    if not plan.clock.affords(1.2 * expected):
        say("no time left for a rival's full run as a check of the extrapolation")
        return None
    say(f"check: {rival.name} in full on {job.name}")
    picture = rival.picture(plan.rivals_folder, job.pair, job.size, plan.steps)
    kept = picture.read_bytes() if picture.exists() else None
    measured = rival.paint(plan.rivals_folder, job.pair, job.size, plan.steps)
    same = None if kept is None else kept == picture.read_bytes()
    say(f"check: extrapolated {expected:.0f} s, measured {measured:.0f} s")
    return {"rival": rival.name, "job": job.name, "extrapolated": expected, "measured": measured, "same": same}


def _rival(plan: Plan, job: Job, rival: Rival, found: Pace) -> Record:
    """Its time, and its picture if it is kept or can still be painted."""
    seconds = found.seconds(plan.steps)
    picture = rival.picture(plan.rivals_folder, job.pair, job.size, plan.steps)
    if not picture.exists() and plan.clock.affords(1.2 * seconds):
        say(f"{rival.name} paints {job.name}, about {seconds / 60:.1f} minutes")
        rival.paint(plan.rivals_folder, job.pair, job.size, plan.steps)
    there = _relative(plan, picture) if picture.exists() else None
    return {"name": rival.name, "seconds": seconds, "picture": there, "cost": None}


# -- mien --------------------------------------------------------------------------------------------------------------


def _ours(plan: Plan, job: Job, limit: float) -> Record:
    """Our defaults, and the ladder of budgets until two have taken longer than `limit` seconds."""
    folder = plan.folder / "ours" / f"{job.pair.slug}-{job.size}px"
    folder.mkdir(parents=True, exist_ok=True)
    entry: Record = {
        "pair": job.pair.name,
        "slug": job.pair.slug,
        "public": job.pair.public,
        "inputs": [_relative(plan, path) for path in (job.pair.content, job.pair.style)],
        "size": job.size,
        "defaults": _painted(plan, job, folder / "defaults.png", []),
        "ours": [],
        "complete": True,
        "rivals": [],
    }
    for steps in sorted(_ladder(plan, job.size), key=work):
        expected = entry["ours"][-1]["seconds"] if entry["ours"] else 0
        if not plan.clock.affords(2 * expected):
            entry["complete"] = False
            break
        options = ["--recipe", "neural-style", "--steps", steps]
        rung = _painted(plan, job, folder / f"{steps.replace(',', '-')}.png", options)
        entry["ours"].append({"steps": steps, **rung})
        if sum(painted["seconds"] > limit for painted in entry["ours"]) == 2:  # one may have been a hiccup
            break
    return entry


def _ladder(plan: Plan, size: int) -> tuple[str, ...]:
    return plan.ladder or tuple(LADDERS[256 if size <= 256 else 512].split())


def work(steps: str) -> float:
    """Steps at full size that cost about as much: at half the size a step costs a quarter."""
    return sum(int(n) * 4.0**-i for i, n in enumerate(reversed(steps.split(","))))


def _painted(plan: Plan, job: Job, out: Path, options: list[str]) -> Record:
    command = [MIEN, "style", str(job.pair.content), str(job.pair.style), "-o", str(out), "--size", str(job.size)]
    seconds = seconds_of([*command, *options, "--quiet", "--force"])
    say(f"  {out.stem}: {seconds:.1f} s")
    return {"seconds": seconds, "picture": _relative(plan, out), "cost": None}


# -- the verdict -------------------------------------------------------------------------------------------------------


def _judge(plan: Plan, job: Job, entry: Record) -> None:
    """Write the judged cost beside every picture of the job."""
    say(f"judging {job.name}")
    judge = Judge(job.pair.content, job.pair.style, job.size)
    for painted in (*entry["ours"], entry["defaults"], *entry["rivals"]):
        if painted["picture"]:
            verdict = judge.verdict(plan.folder / painted["picture"])
            painted["cost"] = {"total": verdict.total, **asdict(verdict)}


def _relative(plan: Plan, path: Path) -> str:
    """As kept in the results: below the benchmark's folder where it lies there."""
    return str(path.relative_to(plan.folder)) if path.is_relative_to(plan.folder) else str(path.resolve())


def jobs_of(pairs: list[Pair], *, sizes: tuple[int, ...], names: tuple[str, ...]) -> list[Job]:
    """The pairs whose name contains one of `names`, at `sizes`; empty: all pairs, each at its own sizes.

    Small before large, so that a limit on time costs the fewest rows.
    """
    wanted = [pair for pair in pairs if not names or any(name in pair.name for name in names)]
    jobs = [Job(pair, size) for pair in wanted for size in sizes or pair.sizes]
    return sorted(jobs, key=lambda job: job.size)
