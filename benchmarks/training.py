"""What training costs and gives: mining against pytorch-metric-learning, and the five recipes over three seeds.

    python benchmarks/training.py [--runs FOLDER]

FOLDER holds one folder a recipe, each written by `mien train --recipe NAME --seeds 3 -o FOLDER/NAME`; recipes that are
not there are trained first, which takes about 15 minutes each on two quiet cores (with MIEN_DATA, on real data). The
table of the losses needs the rival; see benchmarks/training_losses.py for how to install it.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console

import pages
import training_losses
from visualize import machine

# Figure of the report, how it is read, and what is wanted of it.
WANTED = {
    "faces": ("EER", "at most 0.7 of PCA's", lambda ours, plain: ours <= 0.7 * plain["pixels + PCA, unit length"]),
    "omniglot": ("20-way one-shot within an alphabet", "at least 85 %", lambda ours, plain: ours >= 0.85),
    "ecg": ("macro-F1", "at least 0.65", lambda ours, plain: ours >= 0.65),
    "sensor": ("macro-F1", "at least 0.97", lambda ours, plain: ours >= 0.97),
    "volume": ("accuracy", "above the centre voxel", lambda ours, plain: ours > plain["centre voxel"]),
}
ALSO = {
    "omniglot": ("20-way one-shot across all held-out labels", "at least 93 %", lambda ours, plain: ours >= 0.93),
    "ecg": ("sensitivity V", "at least 0.90", lambda ours, plain: ours >= 0.90),
}


def trained(name, runs):
    """The metrics of a recipe's run, which is made where it is missing."""
    folder = runs / name
    if not (folder / "metrics.json").exists():
        again = ["--resume"] if folder.exists() else []
        command = [sys.executable, "-m", "mien.cli.main", "train", "--recipe", name, "--seeds", "3", "-o", str(folder)]
        subprocess.run([*command, *again, "--quiet"], check=True)
    return json.loads((folder / "metrics.json").read_text(encoding="utf-8"))


def row(name, found, figure, wanted, kept):
    """One line of the table."""
    mine = next(iter(found["network"].values()))[figure]
    plain = {label: values[figure] for label, values in found["baselines"].items() if figure in values}
    best = (min if figure == "EER" else max)(plain.items(), key=lambda item: item[1], default=("", float("nan")))
    longest = max(run["seconds"] for run in found["runs"]) * (5 if name == "ecg" else 1)
    mark = "✓" if kept(mine["mean"], plain) else "✗"
    return (
        f"| {name} | {figure} | {mine['mean']:.3f} ± {mine['deviation']:.3f} | {len(found['seeds'])} | "
        f"{best[0]}: {best[1]:.3f} | {wanted} {mark} | {longest / 60:.1f} |"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=Path, default=Path("bench/training"))
    args = parser.parse_args()
    lines = [
        "## Training",
        "",
        f"{time.strftime('%Y-%m-%d %H:%M')}; {machine()}.",
        "",
        "| recipe | figure | the network | seeds | the best without one | wanted | minutes a seed, at most |",
        "| --- | --- | ---: | ---: | --- | --- | ---: |",
    ]
    for name in WANTED:
        found = trained(name, args.runs)
        if found["stand_in"]:
            lines.append(f"| {name} | on a stand-in: the real data were not found | | | | | |")
            continue
        lines += [row(name, found, *goals[name]) for goals in (WANTED, ALSO) if name in goals]
    console = Console(record=True)
    losses = training_losses.tables(console)
    lines += ["", "```text", losses.strip(), "```"]
    pages.put("training", "\n".join(lines))
    console.print("\n".join(lines))


if __name__ == "__main__":
    main()
