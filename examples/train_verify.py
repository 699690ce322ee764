"""Use what `mien train` wrote: how likely is it that two pictures are of the same person?

python train_verify.py learnt/encoder one.png other.png
"""

import sys
from pathlib import Path

from mien.backbones.pair_head import load_head
from mien.training.features import load_extractor
from mien.training.reading import files

folder, one, other = sys.argv[1:]
encoder, head = load_extractor(folder), load_head(Path(folder) / "head.json")
first, second = (encoder.encode(files.read(Path(p), encoder.reading).values, None) for p in (one, other))
print(f"the same with probability {float(head.probability(first, second)):.2f}")
