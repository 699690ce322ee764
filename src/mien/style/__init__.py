"""Neural style transfer: a photo painted in the manner of another picture.

    from mien import style

    result = style.transfer("photo.jpg", "@waves", size=512, strength=0.6)
    result.save("painting.png")

The names load on first use, so that reading the options needs no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mien.style.options import StyleOptions

if TYPE_CHECKING:
    from mien.style.stylize import Cost, Iterate, Painting, Result, Step, result, transfer

__all__ = ["Cost", "Iterate", "Painting", "Result", "Step", "StyleOptions", "result", "transfer"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module("mien.style.stylize"), name)
    raise AttributeError(f"module 'mien.style' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
