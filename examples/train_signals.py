"""Learn likeness from arrays: an encoder of signals, judged on people it has not seen.

python train_signals.py out/
"""

import sys
from pathlib import Path

import numpy as np

from mien.training.data import from_arrays
from mien.training.options import TrainOptions
from mien.training.own import own_recipe
from mien.training.study import study

random = np.random.default_rng(0)
rows, names = [], []
for person in range(16):
    pitch, colour = random.uniform(1, 4), random.uniform(0, 1)
    for _ in range(8):
        time = np.linspace(0, 2 * np.pi, 64) + random.uniform(0, 6)
        wave = np.sin(pitch * time) + colour * np.sin(3 * pitch * time)
        rows.append((wave + random.normal(0, 0.2, 64))[None])
        names.append(f"person {person}")

options = TrainOptions(widths=(16, 32), encoding=32, identities=8, epochs=20)
made = own_recipe(from_arrays(np.stack(rows), names, kind="signal"), options)
done = study(made, options, out=Path(sys.argv[1]))
if done is not None:
    print(f"EER on unseen people: {done.figures('')['EER'][0]:.1%}")
    for plain in done.baselines:
        print(f"{plain.name}: {plain.report.eer:.1%}")
