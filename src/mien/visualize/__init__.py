"""What a network has learnt: receptive fields, top patches, deconvnet projections, maximised inputs, attribution.

A report of all units on a person's own data, as one page:

    from mien import visualize

    subject = visualize.open_subject("vgg19")
    found = visualize.look(subject, visualize.open_source("photos", subject), units=16)
    visualize.save_report(found, "report")

Or one thing at a time:

    from mien.backbones import load_backbone

    net = load_backbone("vgg19")
    top = visualize.find_top_patches(net, pictures, ["relu1_1", "relu4_1"])
    for number, seen in visualize.project(net, load, top.seeds("relu4_1", unit=7), layer="relu4_1"):
        picture = visualize.as_picture(seen.pixels)

Every network of `mien.backbones` fits, and any `nn.Module` on signals (B, C, L), pictures (B, C, H, W) or volumes
(B, C, D, H, W). The network is as it was afterwards. The names load on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mien.visualize.attribution import Occlusion, distance_score, gradient_map, occlude, unit_score
    from mien.visualize.deconvnet import Projection, Seed, as_picture, filters, project, project_one
    from mien.visualize.findings import LayerFinding, Patch, Report, UnitFinding
    from mien.visualize.gram import GramReading, read_gram
    from mien.visualize.maximise import Maximised, colour_basis, maximise_units
    from mien.visualize.networks import feature_layers
    from mien.visualize.receptive_field import Axis, ReceptiveField, ReceptiveFields, receptive_fields
    from mien.visualize.report import look
    from mien.visualize.saving import save_report
    from mien.visualize.sources import Source, open_source
    from mien.visualize.steps import Step, draw_steps, steps_down
    from mien.visualize.subjects import Subject, choose_layers, open_subject, subject_of
    from mien.visualize.top_patches import LayerTop, TopPatches, crop, find_top_patches

_HOMES = {
    "attribution": ("Occlusion", "distance_score", "gradient_map", "occlude", "unit_score"),
    "deconvnet": ("Projection", "Seed", "as_picture", "filters", "project", "project_one"),
    "findings": ("LayerFinding", "Patch", "Report", "UnitFinding"),
    "gram": ("GramReading", "read_gram"),
    "maximise": ("Maximised", "colour_basis", "maximise_units"),
    "networks": ("feature_layers",),
    "receptive_field": ("Axis", "ReceptiveField", "ReceptiveFields", "receptive_fields"),
    "report": ("look",),
    "saving": ("save_report",),
    "sources": ("Source", "open_source"),
    "steps": ("Step", "draw_steps", "steps_down"),
    "subjects": ("Subject", "choose_layers", "open_subject", "subject_of"),
    "top_patches": ("LayerTop", "TopPatches", "crop", "find_top_patches"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Axis",
    "GramReading",
    "LayerFinding",
    "LayerTop",
    "Maximised",
    "Occlusion",
    "Patch",
    "Projection",
    "ReceptiveField",
    "ReceptiveFields",
    "Report",
    "Seed",
    "Source",
    "Step",
    "Subject",
    "TopPatches",
    "UnitFinding",
    "as_picture",
    "choose_layers",
    "colour_basis",
    "crop",
    "distance_score",
    "draw_steps",
    "feature_layers",
    "filters",
    "find_top_patches",
    "gradient_map",
    "look",
    "maximise_units",
    "occlude",
    "open_source",
    "open_subject",
    "project",
    "project_one",
    "read_gram",
    "receptive_fields",
    "save_report",
    "steps_down",
    "subject_of",
    "unit_score",
]


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        return getattr(importlib.import_module(f"mien.visualize.{_HOME_OF[name]}"), name)
    raise AttributeError(f"module 'mien.visualize' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
