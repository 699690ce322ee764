"""Batch-hard mining with the triplet loss against pytorch-metric-learning's: same numbers, time and memory.

    python benchmarks/training_losses.py [--batch 1024] [--dimensions 128] [--items 4] [--rounds 20]

pytorch-metric-learning is asked for what the text says (squared distances, α = 0.2, mean over active triplets), its
miner and its loss sharing no work, as in its documentation. Time: best and median of the rounds, taken in turns, one
thread unless OMP_NUM_THREADS says otherwise; mining, loss and gradient together. Memory: the peak of torch's
allocations beyond the encodings and their graph, from torch's own profiler. Install the rival beside the project, such
as with `pip install --target /tmp/pml --no-deps pytorch-metric-learning tqdm` and PYTHONPATH=/tmp/pml.
"""

import argparse
import importlib.metadata
import os
import statistics
import sys
import time

import torch
from rich.console import Console
from rich.table import Table
from torch.profiler import ProfilerActivity, profile

from mien.training import batch_hard, random_triplets, semi_hard, triplet_loss

MARGIN = 0.2
FASTER, LEANER, CLOSE = 3.0, 0.25, 1e-6


def batch(size, dimensions, items, seed=0):
    """Unit encodings about a direction of each identity's own, and labels."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(size) // items
    centres = torch.randn(size // items + 1, dimensions, generator=generator)
    f = centres[labels] + 1.5 * torch.randn(size, dimensions, generator=generator)
    return torch.nn.functional.normalize(f).requires_grad_(), labels


def ours(f, labels):
    triplets = batch_hard(f, labels)
    loss = triplet_loss(f, triplets, margin=MARGIN).loss
    return tuple(triplets), loss, torch.autograd.grad(loss, f)[0]


def rival():
    from pytorch_metric_learning import distances, losses, miners, reducers

    distance = distances.LpDistance(normalize_embeddings=False, p=2, power=2)
    mine = miners.BatchHardMiner(distance=distance)
    cost = losses.TripletMarginLoss(margin=MARGIN, distance=distance, reducer=reducers.AvgNonZeroReducer())

    def run(f, labels):
        triplets = mine(f, labels)
        loss = cost(f, labels, triplets)
        return triplets, loss, torch.autograd.grad(loss, f)[0]

    return run


def timed(run, *given):
    start = time.perf_counter()
    run(*given)
    return (time.perf_counter() - start) * 1e3


def peak(run, *given):
    """The most bytes that torch held at once during a run, beyond what it held before."""
    run(*given)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        run(*given)
    held = most = 0
    changes = [e for e in seen.profiler.kineto_results.events() if e.name() == "[memory]"]
    for change in sorted(changes, key=lambda e: e.start_ns()):
        held += change.nbytes()
        most = max(most, held)
    return most


def compare(args, console):
    f, labels = batch(args.batch, args.dimensions, args.items)
    theirs = rival()
    (a, loss, gradient), (b, their_loss, their_gradient) = ours(f, labels), theirs(f, labels)
    same = all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
    difference = max(abs(loss.item() - their_loss.item()), (gradient - their_gradient).abs().max().item())
    times = {"mien": [], "theirs": []}
    for _ in range(args.rounds):  # in turns, so that a busy machine is busy for both
        times["mien"].append(timed(ours, f, labels))
        times["theirs"].append(timed(theirs, f, labels))
    best = {name: min(values) for name, values in times.items()}
    middle = {name: statistics.median(values) for name, values in times.items()}
    memory = {"mien": peak(ours, f, labels), "theirs": peak(theirs, f, labels)}
    version = importlib.metadata.version("pytorch-metric-learning")
    table = Table(title=f"batch-hard + triplet loss + gradient, {args.batch} × {args.dimensions}, K = {args.items}")
    for heading in ("", "best ms", "median ms", "peak MB"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, label in (("mien", "mien"), ("theirs", f"pytorch-metric-learning {version}")):
        table.add_row(label, f"{best[name]:.1f}", f"{middle[name]:.1f}", f"{memory[name] / 1e6:.2f}")
    speed, room = middle["theirs"] / middle["mien"], memory["mien"] / memory["theirs"]
    table.add_row("ratio", f"{best['theirs'] / best['mien']:.1f} ×", f"{speed:.1f} ×", f"{room:.3f}")
    console.print(table)
    console.print(f"same triplets: {same}; largest difference of loss and gradient: {difference:.1e}")
    return same and difference < CLOSE and speed >= FASTER and room <= LEANER


def others(args, console):
    f, labels = batch(args.batch, args.dimensions, args.items)
    table = Table(title="mining alone")
    for heading in ("", "triplets", "active", "median ms"):
        table.add_column(heading, justify="right" if heading else "left")
    miners = {
        "random": lambda: random_triplets(labels, generator=torch.Generator().manual_seed(0)),
        "semi-hard": lambda: semi_hard(f, labels, margin=MARGIN),
        "batch-hard": lambda: batch_hard(f, labels),
    }
    for name, mine in miners.items():
        result = triplet_loss(f, mine(), margin=MARGIN)
        took = statistics.median(timed(mine) for _ in range(args.rounds))
        table.add_row(name, f"{result.triplets:,}", f"{result.active:.0%}", f"{took:.1f}")
    console.print(table)


def tables(console):
    """Both tables as text, at the usual size; a sentence in place of the comparison where there is no rival."""
    args = argparse.Namespace(batch=1024, dimensions=128, items=4, rounds=20)
    torch.set_num_threads(1)
    others(args, console)
    try:
        compare(args, console)
    except ModuleNotFoundError as error:
        console.print(f"No comparison: {error}.")
    return console.export_text(clear=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name, default in (("batch", 1024), ("dimensions", 128), ("items", 4), ("rounds", 20)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    console = Console()
    others(args, console)
    try:
        passed = compare(args, console)
    except ModuleNotFoundError as error:
        console.print(f"No comparison: {error}. See the top of this file for how to install the rival.")
        sys.exit(1)
    wanted = f"at least {FASTER:g} × as fast, at most {LEANER:g} of the memory, equal to {CLOSE:g}"
    console.print(f"[bold]{'met' if passed else 'NOT met'}[/bold]: {wanted}")
    sys.exit(not passed)


if __name__ == "__main__":
    main()
