"""A painting in the making as a file, from which it goes on and ends bit-equal to an uninterrupted run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from mien import images
from mien.errors import ResumeError
from mien.style.options import StyleOptions
from mien.style.painting import Painting

_KEY = "mien style state"


@dataclass(frozen=True, eq=False)
class Saved:
    """What a state file holds."""

    tensors: dict[str, Tensor]
    plain: dict[str, Any]
    identity: dict[str, Any]
    options: StyleOptions
    out: str


def save_state(path: str | Path, painting: Painting, *, out: str = "") -> Path:
    """Write the painting's state to `path`, replacing an earlier one; `out` is where the painting was to go."""
    tensors, plain = painting.state()
    about = {
        "plain": plain,
        "identity": painting.inputs.identity(),
        "options": json.loads(painting.options.to_json()),
        "out": out,
    }
    # Clones: the best picture and the last one are often the same tensor, and safetensors refuses to write that.
    data = save({k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}, {_KEY: json.dumps(about)})
    return images.write_whole(path, lambda file: file.write(data), force=True)


def load_state(path: str | Path) -> Saved:
    """Read a state file; `ResumeError` if it is none."""
    try:
        with safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {})[_KEY])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (safe_open is no dict)
    except FileNotFoundError:
        raise ResumeError(f"Expected a state file, but there is no “{path}”.") from None
    except (SafetensorError, KeyError, OSError, json.JSONDecodeError):
        raise ResumeError(f"Expected a state that `mien style --save-every` wrote, but “{path}” is none.") from None
    return Saved(tensors, about["plain"], about["identity"], StyleOptions.from_dict(about["options"]), about["out"])


def check_same_job(before: dict[str, Any], identity: dict[str, Any]) -> None:
    """Refuse to go on with, or to repeat, what was made of another photo, style or mask (see `Inputs.identity`)."""
    for key in sorted({*before, *identity}):
        was, now = before.get(key), identity.get(key)
        if _hashes(was) != _hashes(now):
            raise ResumeError(
                f"Expected the job that was saved, but its {key} differs: {_names(was)} then, {_names(now)} now. "
                "Give the same files, or paint anew."
            )


def _hashes(items: Any) -> list[str]:
    return [item["sha256"] for item in _listed(items)]


def _names(items: Any) -> str:
    return ", ".join(item["name"] for item in _listed(items)) or "none"


def _listed(items: Any) -> list[dict[str, str]]:
    if items is None:
        return []
    return items if isinstance(items, list) else [items]
