"""Make three kinds of beats, teach a small 1D network to tell them apart, and keep both to look into.

    python examples/visualize_signals.py
    mien visualize beats beats.npz -o beats-report

The signals are drawn, not measured: a narrow beat, a wide one and one upside down, in noise.
"""

import numpy as np
import torch
import torch.nn.functional as F

from mien.backbones.checkpoint import CheckpointRecord, save_checkpoint
from mien.backbones.convnet import ConvNet, ConvNetSpec

KINDS, LENGTH, RATE = ("narrow", "wide", "upside down"), 256, 250.0

random = np.random.default_rng(0)
y = np.arange(60) % 3
t, middle = np.arange(LENGTH), random.integers(60, 196, (60, 1))
width, height = np.array([4, 14, 5])[y, None], np.array([1.5, 1.2, -1.5])[y, None]
beats = height * np.exp(-(((t - middle) / width) ** 2)) + 0.2 * np.sin(t / 40 + random.random((60, 1)) * 6)
x = (beats + 0.08 * random.standard_normal((60, LENGTH)))[:, None].astype(np.float32)
np.savez("beats.npz", x=x, y=y, rate=RATE)

torch.manual_seed(0)
mean, scale = float(x.mean()), float(x.std())
spec = ConvNetSpec(dim=1, widths=(16, 32), kernel=5, classes=3)
net = ConvNet(spec)
optimiser = torch.optim.Adam(net.parameters(), lr=0.01)
for _ in range(30):
    loss = F.cross_entropy(net((torch.from_numpy(x) - mean) / scale, "logits"), torch.from_numpy(y))
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
record = CheckpointRecord(
    name="beats",
    spec=spec,
    task="classes",
    kind="signal",
    size=(LENGTH,),
    normalisation={"mean": [mean], "scale": [scale]},
    labels=KINDS,
    rate=RATE,
)
save_checkpoint("beats", net, record, force=True)
print(f"loss {loss.item():.3f}; kept in beats and beats.npz")
