"""What the style tests share: one thread, the real VGG-19 loaded once, and a small seeded net."""

import pytest
import torch
from torch import nn

from mien.backbones import load_backbone
from mien.backbones.features import ModuleBackbone
from nets import seeded_net

# On pictures of 64 pixels a second thread costs more than it gives, above all beside other work.
_ALL = torch.get_num_threads()
torch.set_num_threads(1)


@pytest.fixture
def all_threads():
    """For the slow tests, whose pictures are large."""
    torch.set_num_threads(_ALL)
    yield
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def vgg19():
    """The real VGG-19 in float32."""
    return load_backbone("vgg19", dtype=torch.float32)


@pytest.fixture(scope="session")
def small_net():
    """Layers `0` (convolution, seeded), `1` (ReLU), `2` (pool), `3` (convolution) and `4` (ReLU)."""
    return ModuleBackbone(seeded_net(), name="small")


@pytest.fixture(scope="session")
def picture():
    """A function: a seeded picture (1, 3, height, width) in [0, 1] with structure at several scales."""

    def make(height, width, seed=0):
        generator = torch.Generator().manual_seed(seed)
        x = torch.zeros(1, 3, height, width)
        for cells in (3, 8, 20):
            noise = torch.rand(1, 3, cells, cells, generator=generator)
            x += nn.functional.interpolate(noise, (height, width), mode="bilinear", align_corners=False)
        return x / 3

    return make
