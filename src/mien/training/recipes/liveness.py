"""`liveness`: living faces and simulated attacks, as `mien faces attacks` writes them; and the network they teach.

`mien train --recipe liveness --data FOLDER` teaches it, `to_network` makes of the checkpoint what a door can run.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien import images
from mien.errors import DataError, OptionError
from mien.training.data import Dataset, Indices, from_arrays
from mien.training.reading import from_csv
from mien.training.recipes import standins
from mien.training.recipes.places import find_folder
from mien.training.splits import Protocol, RecipeData, Split, check_no_leak

LEARN, CHOOSE, JUDGE = "learn", "choose", "judge"
_CROPS = "crops.csv"
_MADE = (
    "Cuts of living faces and of simulated attacks ({attacks}), made by mien faces attacks from photos of {people} "
    "people. What is learnt from them is trained on simulated attacks, and not certified."
)
_STAND_IN = (
    "STAND-IN: face-like drawings, and the same behind a flat grey veil for attacks, because no folder of mien faces "
    "attacks was given (--data). The figures say nothing about liveness."
)


def load(folder: str | Path | None = None, *, seed: int = 0) -> RecipeData:
    """Cuts (3, H, W) labelled live or attack; the group is the person, and the parts are the table's own.

    folder: what `mien faces attacks` wrote, or its crops.csv. seed: of the stand-in only.
    """
    found = find_folder(folder, "attacks")
    if found is None:
        data, parts = _stand_in(seed)
        return RecipeData("simulated-attacks", data, _protocol(data, parts), (_STAND_IN,), True)
    table = found / _CROPS if found.is_dir() else found
    data = from_csv(table)
    parts = data.mark("part")
    if set(parts.tolist()) - {LEARN, CHOOSE, JUDGE}:
        raise DataError(
            f"Expected the column part of “{table}” to say {LEARN}, {CHOOSE} or {JUDGE} in every row; make the table "
            "with: mien faces attacks"
        )
    species = sorted(set(data.mark("species").tolist()) - {"", "live"})
    text = _MADE.format(attacks=", ".join(species), people=f"{len(np.unique(data.groups)):,}")
    return RecipeData("simulated-attacks", data, _protocol(data, parts), (text,), False)


def to_network(checkpoint: str | Path, folder: str | Path, *, about: dict[str, Any], liveness: dict[str, Any]) -> Path:
    """Write the classifier in a checkpoint as `folder`/liveness.onnx, and its record liveness.json; return the latter.

    The graph takes pictures (B, 3, H, W) RGB in [0, 1] and gives logits (B, 2). about: fields of its Weights record,
    such as licence and origin. liveness: the record's part of that name, without `live`, which is found here.
    OptionError for a checkpoint that does not tell live from attack.
    """
    import torch

    from mien.backbones.checkpoint import load_checkpoint
    from mien.backbones.convnet import ConvNet
    from mien.backbones.onnx_export import ONNX, RECORD, export_onnx

    net, record = load_checkpoint(checkpoint)
    if net.classifier is None or set(record.labels) != {"live", "attack"}:
        raise OptionError(
            f"Expected a checkpoint that tells live from attack, got one of {', '.join(record.labels) or 'none'}; "
            "train it with: mien train --recipe liveness --data FOLDER"
        )
    # Nothing bends between the encoding and the classifier, so that one matrix does for both.
    spec = replace(net.spec, encoding=len(record.labels), normalise=False, classes=0, dropout=0.0)
    whole = ConvNet(spec)
    state = {name: value for name, value in net.state_dict().items() if not name.startswith(("classifier.", "embed."))}
    with torch.no_grad():
        state["embed.weight"] = net.classifier.weight @ net.embed.weight
        state["embed.bias"] = net.classifier.weight @ net.embed.bias + net.classifier.bias
    whole.load_state_dict(state)
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    export_onnx(whole, replace(record, spec=spec, labels=()), target, force=True)
    written = json.loads((target / RECORD).read_text(encoding="utf-8"))
    (target / ONNX).replace(target / "liveness.onnx")
    (target / RECORD).unlink()
    written |= {"name": "liveness", "file": "liveness.onnx", **about}
    written.pop("encoding", None)
    written["liveness"] = {**liveness, "live": record.labels.index("live"), "activation": "softmax"}
    text = json.dumps(written, ensure_ascii=False, indent=1) + "\n"
    return images.write_whole(target / "liveness.json", lambda file: file.write(text.encode()))


def _protocol(data: Dataset, parts: NDArray[np.str_]) -> Protocol:
    """Whom a hash of the name puts into each part; the people the threshold is chosen on also stop the training."""
    train, validation, test = (_places(parts, name) for name in (LEARN, CHOOSE, JUDGE))
    for name, places in ((LEARN, train), (JUDGE, test)):
        if len(np.unique(data.labels[places])) < 2:
            raise DataError(
                f"Expected living faces and attacks of people in the part “{name}”, but there are none; give photos "
                "of more people to mien faces attacks (twenty or so fill every part)."
            )
    split = Split(train, validation, test, name="by person")
    check_no_leak(split, data.groups)
    text = (
        "Who is learnt from, who stops the training (and serves to choose the threshold), and who is judged follows "
        "from a hash of the person's name: about 70, 15 and 15 %."
    )
    return Protocol("unseen people", "classification", (split,), text)


def _places(parts: NDArray[np.str_], name: str) -> Indices:
    return np.flatnonzero(parts == name).astype(np.int64)


def _stand_in(seed: int) -> tuple[Dataset, NDArray[np.str_]]:
    """Drawings of twenty people, three channels; a veil over every second one stands for a print."""
    drawn = standins.faces(size=(48, 48), seed=seed, people=20, photos=8)
    pictures = np.repeat(np.stack([drawn[i] for i in range(len(drawn))]), 3, axis=1)
    attack = np.arange(len(drawn)) % 2 == 1
    pictures[attack] = 0.35 + 0.4 * pictures[attack]
    labels = np.where(attack, "attack", "live").tolist()
    data = from_arrays(pictures, labels, kind="image", groups=drawn.groups.tolist(), source=drawn.examples[0].source)
    order = {person: i for i, person in enumerate(sorted(set(drawn.groups.tolist())))}
    thirds = [order[person] for person in drawn.groups.tolist()]
    parts = np.array([LEARN if i < 12 else CHOOSE if i < 16 else JUDGE for i in thirds], dtype=np.str_)
    return replace(data, notes=()), parts
