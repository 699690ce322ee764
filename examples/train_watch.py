"""Watch a training, and stop it as soon as it is good enough.

python train_watch.py people/ out/
"""

import sys

from mien.training import reading
from mien.training.options import TrainOptions
from mien.training.own import own_recipe
from mien.training.progress import Progress
from mien.training.train import train


def enough(progress: Progress) -> bool:
    """Print a line an epoch; true where the validation error is below 5 %."""
    rows = progress.history.rows
    if rows and rows[-1].step == progress.step - 1:
        print(f"epoch {rows[-1].epoch}: loss {rows[-1].loss:.3f}, EER {rows[-1].measure or 0:.1%}")
    return progress.best is not None and progress.best.value < 0.05


options = TrainOptions(widths=(8, 16), epochs=30, identities=4, items=3)
data = reading.open_data(sys.argv[1], how=reading.Reading(size=(32, 32), grey=True))
trained = train(own_recipe(data, options), options, out=sys.argv[2], callback=enough)
print(f"{trained.ended} after {trained.seconds:.0f} s, best {trained.measure}")
