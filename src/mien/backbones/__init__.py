"""Networks whose inner activations are read: named-layer taps, VGG-19 and VGG-16, and any net of the user's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mien.backbones.features import Backbone

__all__ = ["load_backbone"]


def load_backbone(name: str, *, pooling: Any = "max", dtype: Any = None, device: Any = "cpu") -> Backbone:
    """The backbone called `name`: a VGG's weights record, or `module:function` of the user's own network.

    Args:
        name: `vgg19`, `vgg19-torchvision`, `vgg16`, or `module:function`.
        pooling: `max` or `average`; only for VGG.
        dtype: of weights and activations; torch.float32 by default.
        device: where the weights lie.
    """
    import torch

    from mien.backbones import features, vgg

    if ":" in name:
        return features.load_custom(name).to(device)
    return vgg.load(name, pooling=pooling, dtype=dtype or torch.float32, device=device)
