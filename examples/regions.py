"""Two styles in one picture: one above, one below, with a soft border between them."""

import sys

import numpy as np

from mien import images, style

photo, out = sys.argv[1:]
height, width = images.load(photo).pixels.shape[:2]
below = np.broadcast_to(np.clip(np.linspace(-2, 3, height), 0, 1)[:, None], (height, width)).astype(np.float32)
style.transfer(photo, ["@night", "@mosaic"], masks=[1 - below, below], size=384).save(out)
