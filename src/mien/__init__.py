"""mien: a ConvNet's inner activations measure pictures.

The rooms load on first use, so `import mien` costs nothing:

    import mien
    mien.style.transfer("photo.jpg", "@waves").save("painting.png")
    mien.faces.decide([8.5, 0.7, 9.2, 7.8], ["Khan", "Danielle", "Younes", "Thian"], 1.0).match
"""

from __future__ import annotations

import importlib
from types import ModuleType

__version__ = "0.1.0"
__all__ = ["__version__", "faces", "style", "training", "visualize"]

_ROOMS = ("faces", "style", "training", "visualize")


def __getattr__(name: str) -> ModuleType:
    if name in _ROOMS:
        return importlib.import_module(f"mien.{name}")
    raise AttributeError(f"module 'mien' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_ROOMS})
