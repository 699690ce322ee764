"""See how a deconvnet works: one unit's activation, step by step down to the pixels.

python examples/visualize_how.py how.png
"""

import sys

import skimage.data
import torch

from mien import images, visualize
from mien.backbones import load_backbone

LAYER = "relu3_1"

cat = images.resize(skimage.data.chelsea()[:, 75:375].copy(), 224, 224)
image = images.to_tensor(cat)[0]
net = load_backbone("vgg19")
maps = net(image.unsqueeze(0), [LAYER])[LAYER][0]
# The strongest activation whose window lies wholly in the picture.
maps[:, :5], maps[:, -5:], maps[:, :, :5], maps[:, :, -5:] = 0, 0, 0, 0
unit, *position = (int(i) for i in torch.unravel_index(maps.argmax(), maps.shape))
steps = visualize.steps_down(net, image, layer=LAYER, unit=unit, position=position)
images.save(sys.argv[1], visualize.draw_steps(image, steps, columns=7), force=True)
print(f"{LAYER}:{unit} at {position}, {len(steps) - 1} steps down")
