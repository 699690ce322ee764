"""Use another network as the measuring instrument: any nn.Module with named layers.

    mien style photo.jpg @rose --backbone own_network:net --content-layers 2 --style-layers 0,2 --size 128

An untrained net has textures of its own: Ustyuzhaninov et al. 2016 found that random filters do well.
"""

import torch
from torch import nn


def net() -> nn.Module:
    """Two layers of random filters; `mien` freezes it and reads its layers by path."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 64, 7, padding=3), nn.ReLU(), nn.Conv2d(64, 64, 7, padding=3), nn.ReLU())
