"""The Explorer's routes: a look at a network, as a job."""

from __future__ import annotations

import functools
import importlib.util
import re
import shutil
from typing import Annotated, Any, Literal

from fastapi import APIRouter, File, Form, Request, UploadFile

from mien.errors import OptionError
from mien.web import uploads
from mien.web.house import House, house_of
from mien.web.problems import Refusal
from mien.web.records import INPUTS
from mien.web.schemas import PROBLEMS, JobShown, Model
from mien.web.security import visitor_of

VGG = "vgg19"
_DEPTHS = (2, 2, 4, 4, 4)  # of its blocks; here, as the network itself would bring torch along
_METHODS = {"both": ("deconvnet", "guided"), "none": ()}
_LAYER = re.compile(r"[A-Za-z0-9_.]{1,80}")
_MOST_UNITS, _MOST_LAYERS = 64, 16

router = APIRouter(prefix="/api/v1", tags=["explorer"], responses=PROBLEMS)


def closed() -> str | None:
    """Why no network can be looked at here; None if one can."""
    if importlib.util.find_spec("torch") is None:
        return 'Looking into networks needs packages that are not installed here: pip install "mien[style]" (torch)'
    return None


def models(house: House) -> list[Model]:
    """The networks that can be looked at."""
    rectified = [f"relu{block}_{i}" for block, depth in enumerate(_DEPTHS, 1) for i in range(1, depth + 1)]
    own = [Model(name=name, layers=[]) for name, _ in house.settings.models]
    return [Model(name=VGG, layers=rectified), *own]


@router.post("/looks", status_code=202)
async def look(
    *,
    request: Request,
    pictures: Annotated[list[UploadFile], File(description="pictures to look at")],
    model: Annotated[str, Form(description="vgg19, or a network that the server was started with")] = VGG,
    layers: Annotated[str, Form(description="layers, like relu1_1,relu4_1; by default a few")] = "",
    units: Annotated[int, Form(description="units a layer, the clearest")] = 16,
    method: Annotated[Literal["deconvnet", "guided", "gradient", "both", "none"], Form()] = "deconvnet",
    top: Annotated[int, Form(description="patches a unit")] = 9,
) -> JobShown:
    """Have a report made of what the units of a network respond to in these pictures: a job."""
    if (why := closed()) is not None:
        raise Refusal(409, why)
    house, owner = house_of(request), visitor_of(request).owner
    limits = house.settings.limits
    house.jobs.check_room(owner)
    if len(pictures) > limits.pictures:
        raise OptionError(f"Expected at most {limits.pictures} pictures, got {len(pictures)}.")
    chosen = _layers(layers)
    for name, number, most in (("units", units, _MOST_UNITS), ("top", top, 16)):
        if not 1 <= number <= most:
            raise OptionError(f"Expected {name} to be from 1 to {most}, got {number}.")
    settings: dict[str, Any] = {"model": model, "layers": chosen, "units": units, "method": method, "top": top}
    order = {
        **settings,
        "model": _network(house, model),
        "methods": _METHODS.get(method, (method,)),
        "data": "your pictures",
    }
    folder = house.jobs.new_folder()
    try:
        names = await house.reading.do(
            functools.partial(uploads.keep_for_looking, pictures, folder / INPUTS, max_pixels=limits.pixels)
        )
        settings["pictures"] = len(names)
        title = f"{model} on {names[0] if len(names) == 1 else f'{len(names)} pictures'}"
        job = house.jobs.add("look", owner, folder, title=title, order=order, settings=settings)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return JobShown.model_validate(house.jobs.shown(job))


def _network(house: House, name: str) -> str:
    """What the worker opens: only what the server was started with, never a path that somebody sent."""
    places = {VGG: VGG, **{called: str(path) for called, path in house.settings.models}}
    if name not in places:
        raise OptionError(f"Expected one of the networks {', '.join(places)}, got {name[:40]!r}.")
    return places[name]


def _layers(text: str) -> list[str] | None:
    names = [part.strip() for part in text.split(",") if part.strip()]
    for name in names:
        if not _LAYER.fullmatch(name):
            raise OptionError(f"Expected names of layers, like relu1_1,relu4_1, got {name[:40]!r}.")
    if len(names) > _MOST_LAYERS:
        raise OptionError(f"Expected at most {_MOST_LAYERS} layers, got {len(names)}.")
    return names or None
