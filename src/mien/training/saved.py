"""The state that a training is gone on from, beside the weights of its last checkpoint."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import torch

from mien.backbones.checkpoint import read_extra
from mien.errors import ResumeError
from mien.training.batches import Loader
from mien.training.options import TrainOptions
from mien.training.splits import Split

STATE = "state.pt"


def digest(loader: Loader, split: Split, options: TrainOptions) -> dict[str, Any]:
    """What makes it the same training: options, what the examples are, and who is in which part."""
    data, normaliser = loader.data, loader.normaliser
    parts = hashlib.sha256()
    for part in split.parts.values():
        parts.update(part.astype("<i8").tobytes() + b"|")
    names = "\n".join(example.label for example in data.examples)
    labels = hashlib.sha256(f"{names} {normaliser.mean} {normaliser.scale} {loader.augmentation}".encode())
    return {
        "options": json.dumps(options.to_dict(), sort_keys=True),
        "data": f"{len(data)} {data.kind}s of {data.channels} × {data.shape}, {labels.hexdigest()[:16]}",
        "split": parts.hexdigest()[:16],
    }


def pack(state: dict[str, Any]) -> bytes:
    """As the bytes of a file."""
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


def read_state(folder: Path, identity: dict[str, Any]) -> dict[str, Any]:
    """The state in a checkpoint's folder; ResumeError if it is of another training, or cannot be read."""
    try:
        state: dict[str, Any] = torch.load(io.BytesIO(read_extra(folder, STATE)), weights_only=True)
        saved = dict(state["identity"])
    except Exception as error:  # torch.load raises whatever a damaged file makes of it
        raise ResumeError(
            f"Expected a training to go on from in “{folder}”, but its state cannot be read "
            f"({' '.join(str(error).split())[:200]}); start anew in another folder."
        ) from error
    if saved["options"] != identity["options"]:
        then, now = json.loads(saved["options"]), json.loads(identity["options"])
        first = next(name for name in now if then.get(name) != now[name])
        raise ResumeError(
            f"Expected the settings of the training in “{folder}”, but {first} was {then.get(first)} then and is "
            f"{now[first]} now; leave it out, or start anew in another folder."
        )
    for name, what in (("data", "data"), ("split", "parts of the data")):
        if saved[name] != identity[name]:
            raise ResumeError(
                f"Expected the {what} of the training in “{folder}” ({saved[name]}), got others ({identity[name]}); "
                "give the same, or start anew in another folder."
            )
    return state
