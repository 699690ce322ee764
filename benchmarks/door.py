"""The benchmark of the door: how long somebody waits, and whether memory stays flat.

    python benchmarks/door.py                  both parts
    python benchmarks/door.py wait             from the first good frame to the decision, among 1,000 people
    python benchmarks/door.py memory           resident memory over 5,000 frames
    python benchmarks/door.py report           the tables again, from the last results

Real networks, a real gallery of 1,000 random encodings and one person enrolled from a photo (Eileen Collins,
scikit-image), the log on disk. The camera is simulated: 30 frames of 640 × 480 a second, of which the newest is taken,
12 times a second at most, as `LiveCamera` does; its frames are the photo with a hand's tremor and a sensor's noise.
`--liveness` takes the record of another network than the shipped one. Results lie in bench/door.json. Run it on a quiet
machine, about 15 minutes; where there is none, the first part with real-time priority: chrt -f 10 python ...
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import files
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from skimage import data

import pages
from mien import images
from mien.faces import FacePipeline, Recognizer, load_calibration, open_gallery
from mien.faces.capture import PACE
from mien.faces.door import Door, Told
from mien.faces.liveness.passive import PassiveNet
from mien.faces.lockout import Lockout
from shell import say

Record = dict[str, Any]
Frames = list[NDArray[np.uint8]]
PEOPLE, TRIES, FRAMES, RATE = 1000, 60, 5000, 30.0
WANTED = {"wait": 500.0, "memory": 5.0}
WARM = 500
"""Frames before memory is taken for settled."""


def wait(options: argparse.Namespace) -> Record:
    """Milliseconds from the moment the first frame with the person was taken to the decision."""
    random = np.random.default_rng(0)
    with _office(options.people) as office:
        net = PassiveNet(options.liveness)
        face, wall = _scene(data.astronaut(), 40), _wall(40)
        times, cpu, frames, ends = [], [], [], []
        for number in range(options.tries + 3):
            door = Door(office, net, "bench", lockout=Lockout(failures=10**6))
            milliseconds, spent, shown, told = _try(door, wall, face, seconds_empty=float(random.uniform(0.1, 0.2)))
            if number >= 3:  # the first ones lay out memory
                times.append(milliseconds)
                cpu.append(spent)
                frames.append(shown)
                ends.append(told.phase if told.phase == "admitted" else told.reason)
    return {
        "ms": times,
        "cpu_ms": cpu,
        "frames": frames,
        "ends": {end: ends.count(end) for end in sorted(set(ends))},
        "people": options.people,
        "network": net.name,
        "wanted": WANTED["wait"],
    }


def memory(options: argparse.Namespace) -> Record:
    """Resident memory, every 100 frames, of a door before which people come and go."""
    with _office(options.people) as office:
        net = PassiveNet(options.liveness)
        face, stranger, wall = _scene(data.astronaut(), 60), _scene(_stranger(), 60), _wall(60)
        now, ends, resident = [0.0], 0, []
        door = Door(office, net, "bench", lockout=Lockout(failures=10**6), cool_down=0.5, clock=lambda: now[0])
        for number in range(options.frames):
            # 8 seconds, at 5 frames a second: nobody, Eileen, nobody, a stranger, of the same pixels in every round.
            scene = (wall, face, wall, stranger)[number // 10 % 4]
            told = door.show(scene[number % 40 + (number // 40) % 20], now[0])
            now[0] += 0.2
            ends += told is not None and told.over
            if number % 100 == 99:
                resident.append(_resident())
            if number % 1000 == 999:
                say(f"memory: {number + 1:,} frames, {ends} decisions, {resident[-1]:.1f} MB")
    settled = resident[WARM // 100 :]
    slope = float(np.polyfit(np.arange(len(settled)) / 10, settled, 1)[0]) if len(settled) > 1 else 0.0
    return {
        "resident": resident,
        "frames": options.frames,
        "decisions": ends,
        "network": net.name,
        "growth": settled[-1] - settled[0],
        "slope_per_1000": slope,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "wanted": WANTED["memory"],
    }


PARTS = {"wait": wait, "memory": memory}


# ---- the scene -------------------------------------------------------------------------------------------------------


@contextmanager
def _office(people: int) -> Iterator[Recognizer]:
    """A recogniser over a gallery of strangers and one person enrolled from a photo, in a folder of its own."""
    before = os.environ.get("XDG_CONFIG_HOME")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CONFIG_HOME"] = folder
        try:
            pipeline = FacePipeline()
            pipeline.detector.thorough = False  # as `mien faces door` has it
            name, dimension = pipeline.encoder.name, pipeline.encoder.dimension
            with open_gallery(Path(folder) / "people.gallery", encoder=name, dimension=dimension) as gallery:
                rows = np.random.default_rng(1).normal(size=(people - 1, dimension)).astype(np.float32)
                rows /= np.linalg.norm(rows, axis=1, keepdims=True)
                say(f"enrolling {people:,} people")
                for number, row in enumerate(rows):
                    gallery.add_person(f"person {number}", row[None])
                office = Recognizer(gallery, pipeline, load_calibration("sface"))
                office.enrol("Eileen", data.astronaut())
                yield office
        finally:
            os.environ.pop("XDG_CONFIG_HOME")
            if before is not None:
                os.environ["XDG_CONFIG_HOME"] = before


def _scene(photo: NDArray[np.uint8], count: int) -> Frames:
    """A camera's frames of a photo's person: tremor of a pixel or two, noise of the sensor."""
    random = np.random.default_rng(2)
    height, width = photo.shape[:2]
    scale = 480 / height
    frames = []
    for x, y in np.cumsum(random.normal(0, 0.5, (count, 2)), axis=0):
        to = np.array([[scale, 0, (640 - scale * width) / 2 + x], [0, scale, y]], np.float32)
        seen = cv2.warpAffine(photo, to, (640, 480), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
        frames.append(np.clip(np.rint(seen + random.normal(0, 2, seen.shape)), 0, 255).astype(np.uint8))
    return frames


def _wall(count: int) -> Frames:
    random = np.random.default_rng(3)
    return [np.clip(random.normal(140, 2, (480, 640, 3)), 0, 255).astype(np.uint8) for _ in range(count)]


def _stranger() -> NDArray[np.uint8]:
    """Grace Hopper, from matplotlib's wheel."""
    file = next(f for f in files("matplotlib") or [] if f.name == "grace_hopper.jpg")
    return images.load(str(file.locate())).pixels


def _try(door: Door, wall: Frames, face: Frames, *, seconds_empty: float) -> tuple[float, float, int, Told]:
    """One person comes: milliseconds on the clock and of the processor, frames looked at, and what was told."""
    start, shown, taken_of_first, spent = time.monotonic(), 0, 0.0, time.process_time()
    last, due = -1, start
    while True:
        time.sleep(max(0.0, due - time.monotonic()))
        number = int((time.monotonic() - start) * RATE)
        if number == last:  # the newest frame was looked at already
            time.sleep(max(0.0, start + (number + 1) / RATE - time.monotonic()))
            continue
        last, taken, due = number, start + number / RATE, time.monotonic() + 1 / PACE
        if taken - start < seconds_empty:
            door.show(wall[number % len(wall)], taken)
            spent = time.process_time()
            continue
        if not shown:  # the moment at which a camera first had the person, whether or not we were looking
            taken_of_first = start + np.ceil(seconds_empty * RATE) / RATE
        shown += 1
        told = door.show(face[shown % len(face)], taken)
        if told is not None and told.over:
            now = time.monotonic()
            return 1000 * (now - taken_of_first), 1000 * (time.process_time() - spent), shown, told


def _resident() -> float:
    """This process's resident memory in MB."""
    pages_of = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages_of * resource.getpagesize() / 2**20


# ---- results ---------------------------------------------------------------------------------------------------------


def _wait_tables(record: Record) -> list[Table]:
    title = (
        f"from the first good frame to the decision, {record['people']:,} people, wanted: p95 ≤ {record['wanted']:g} ms"
    )
    table = Table(title=title, title_justify="left")
    for column in ("", "p50", "p95", "worst"):
        table.add_column(column, justify="right" if column else "left")
    for name, values in (("ms on the clock", record["ms"]), ("ms of the processor", record["cpu_ms"])):
        table.add_row(name, *(f"{value:.0f}" for value in (*np.percentile(values, [50, 95]), max(values))))
    table.add_row("frames looked at", *(f"{value:.0f}" for value in np.percentile(record["frames"], [50, 95, 100])))
    ends = ", ".join(f"{count} {end}" for end, count in record["ends"].items())
    table.caption = f"{len(record['ms'])} tries: {ends}; liveness network {record['network']}"
    return [table]


def _memory_tables(record: Record) -> list[Table]:
    table = Table(title=f"resident memory over {record['frames']:,} frames, MB", title_justify="left")
    for column in ("", "MB"):
        table.add_column(column, justify="right" if column else "left")
    table.add_row(f"after {WARM} frames", f"{record['resident'][WARM // 100 - 1]:.1f}")
    table.add_row(f"after {record['frames']:,}", f"{record['resident'][-1]:.1f}")
    table.add_row(f"growth in between (wanted: ≤ {record['wanted']:g})", f"{record['growth']:+.1f}")
    table.add_row("slope per 1,000 frames", f"{record['slope_per_1000']:+.2f}")
    table.add_row("peak", f"{record['peak']:.1f}")
    table.caption = f"{record['decisions']} decisions in between; liveness network {record['network']}"
    return [table]


TABLES = {"wait": _wait_tables, "memory": _memory_tables}
TITLES = {"wait": "How long somebody waits", "memory": "Memory"}
INTRO = """Made by `benchmarks/door.py`: real networks, 1,000 people (random encodings, and one photo), the log on disk,
a simulated camera of 640 × 480 and 30 frames a second of which the newest is taken, 12 times a second at most. The
passive path: three frames must be judged live, and be the same face. The host lends its two cores to others too; where
the load average before the start is well above 1, the clock says more about that other work than about the door."""


def _machine() -> Record:
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    cpu = next((line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")), "")
    return {
        "cpu": cpu or "unknown processor",
        "cores": os.cpu_count(),
        "threads": cv2.getNumThreads(),
        "opencv": cv2.__version__,
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "load_before": os.getloadavg()[0],
        "real_time": hasattr(os, "sched_getscheduler") and os.sched_getscheduler(0) in (os.SCHED_FIFO, os.SCHED_RR),
    }


def _results(file: Path) -> Record:
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def _page(results: Record) -> str:
    text = ["# The door", INTRO]
    for name, tables in TABLES.items():
        if name in results:
            machine = results[name]["machine"]
            alone = "; run at real-time priority, so that other work took no core" if machine["real_time"] else ""
            text.append(f"## {TITLES[name]}")
            text.append(
                f"{machine['date']}; {machine['cpu']}, {machine['cores']} cores; OpenCV {machine['opencv']}; load "
                f"average before {machine['load_before']:.1f}{alone}."
            )
            text += [pages.markdown(table) for table in tables(results[name])]
    return "\n\n".join(text)


def main() -> None:
    root = Path(__file__).resolve().parents[1]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="?", default="all", choices=("all", *PARTS, "report"))
    parser.add_argument("--liveness", default="liveness", metavar="RECORD", help="another liveness network's record")
    parser.add_argument("--people", type=int, default=PEOPLE)
    parser.add_argument("--tries", type=int, default=TRIES)
    parser.add_argument("--frames", type=int, default=FRAMES)
    parser.add_argument("--no-page", action="store_true", help="leave docs/benchmarks.md alone")
    options = parser.parse_args()
    file = root / "bench" / "door.json"
    for part in [] if options.part == "report" else list(PARTS) if options.part == "all" else [options.part]:
        machine = _machine()
        record = PARTS[part](options)
        machine["load_after"] = os.getloadavg()[0]
        file.parent.mkdir(exist_ok=True)
        text = json.dumps({**_results(file), part: {**record, "machine": machine}}, indent=1)
        images.write_whole(file, lambda out, text=text: out.write(text.encode()), force=True)
    results = _results(file)
    console = Console(width=110)
    for name, tables in TABLES.items():
        for table in tables(results[name]) if name in results else []:
            console.print(table)
    if not options.no_page:
        pages.put("door", _page(results))


if __name__ == "__main__":
    main()
