"""The jobs of `mien style`: one painting, a folder, a sweep, a repetition, a resumption."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien import images
from mien.cli import settings as cli_settings
from mien.cli.progress import ProgressLine
from mien.errors import ImageError, OptionError, ResumeError
from mien.style import sheet
from mien.style.inputs import gather
from mien.style.log import save_log
from mien.style.options import StyleOptions
from mien.style.painting import Iterate, Painting
from mien.style.state import Saved, check_same_job, load_state, save_state
from mien.style.stylize import result

PICTURES = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp", ".gif", ".heic", ".heif", ".avif"}
FRAMES = 24  # of an evolution GIF; its strip shows a quarter of them


@dataclass(frozen=True, kw_only=True)
class How:
    """What the command line says beside the style options."""

    out: str | None = None
    bits: int = 8
    force: bool = False
    evolution: bool = False
    log: str | None = None
    save_every: int | None = None
    quiet: bool = False
    masks: tuple[str, ...] = ()
    style_masks: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Done:
    """The outcome of one job, as `--json` prints it."""

    out: Path | None = None
    seconds: float = 0.0
    before: Any = None
    after: Any = None
    options: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    error: str | None = None
    exit_code: int = 0


def paint(content: str | None, styles: list[str], settings: dict[str, Any], how: How) -> Done:
    """One painting."""
    options = StyleOptions.from_dict(settings)
    how = replace(how, out=how.out or str(_free_name(content, styles)))
    _check_outputs(how)
    inputs = gather(content, styles, options=options, masks=how.masks, style_masks=how.style_masks)
    return _run(Painting(inputs, options), how)


def folder(content: str, styles: list[str], settings: dict[str, Any], how: How) -> list[Done]:
    """Every picture of a folder, skipping those already painted."""
    files = sorted(p for p in Path(content).iterdir() if p.suffix.lower() in PICTURES and p.is_file())
    if not files:
        raise ImageError(f"Expected pictures in the folder “{content}”, found none.")
    out = Path(how.out or f"{Path(content).resolve().name}-{_joined(styles)}")
    if out.exists() and not out.is_dir():
        raise OptionError(f"Expected a folder to put the paintings into, but “{out}” is a file.")
    out.mkdir(parents=True, exist_ok=True)
    done = []
    for number, file in enumerate(files, 1):
        target = out / f"{file.stem}.png"
        if target.exists() and not how.force:
            done.append(Done(out=target, notes=(f"{file.name}: already painted, skipped.",)))
            continue
        try:
            here = replace(how, out=str(target), log=None)
            label = f"{number}/{len(files)}"
            options = StyleOptions.from_dict(settings)
            inputs = gather(str(file), styles, options=options, masks=how.masks, style_masks=how.style_masks)
            job = _run(Painting(inputs, options), here, label=label)
        except ImageError as error:
            # One bad file must not cost the others their turn.
            job = Done(error=str(error), exit_code=error.exit_code)
        done.append(job)
        if job.exit_code == 130:
            break
    return done


def sweep(text: str, content: str | None, styles: list[str], settings: dict[str, Any], how: How) -> Done:
    """One painting a value, in a labelled contact sheet."""
    name, found = cli_settings.sweep(text)
    how = replace(how, out=how.out or str(_free_name(content, styles, ending=f"-{name}")))
    _check_outputs(how)
    every = [StyleOptions.from_dict({**settings, name: value}) for value in found]
    pictures, labels, seconds = [], [], 0.0
    for number, options in enumerate(every, 1):
        inputs = gather(content, styles, options=options, masks=how.masks, style_masks=how.style_masks)
        painting = Painting(inputs, options)
        with ProgressLine(quiet=how.quiet, label=f"{number}/{len(every)}") as line:
            for iterate in painting.run():
                line.show(iterate)
        finished = result(painting)
        pictures.append(finished.picture)
        labels.append(f"{name.replace('_', ' ')} {_shown(found[number - 1])}")
        seconds += finished.seconds
    pixels = sheet.contact_sheet(pictures, labels)
    return Done(out=images.save(str(how.out), pixels, force=how.force), seconds=seconds)


def again(source: str, pictures: tuple[str, ...], settings: dict[str, Any], how: How) -> Done:
    """Repeat the painting in the file `source` from the settings it carries; other options change single settings."""
    text = images.read_settings(source)
    if text is None:
        raise ImageError(f"Expected a painting that carries mien's settings, but “{source}” has none.")
    kept = json.loads(text)
    how = replace(
        how,
        out=how.out or str(_unused(Path(source).with_name(f"{Path(source).stem}-again{Path(source).suffix}"))),
        masks=how.masks or _found(kept.get("masks", []), source),
        style_masks=how.style_masks or _found(kept.get("style_masks", []), source),
    )
    _check_outputs(how)
    options = StyleOptions.from_dict({**kept["options"], **settings})
    if "start" in kept and "start" not in settings:
        options = replace(options, start=_found([kept["start"]], source)[0])
    content, styles = _named(kept, pictures, source)
    inputs = gather(content, styles, options=options, masks=how.masks, style_masks=how.style_masks)
    if not pictures:
        check_same_job(Saved({}, {}, {k: kept[k] for k in _IDENTITY if k in kept}, options, ""), inputs.identity())
    _same_threads(kept.get("threads"))
    return _run(Painting(inputs, options), how)


def resume(state: str, pictures: tuple[str, ...], how: How) -> Done:
    """Go on from a state file, whose settings hold."""
    saved = load_state(state)
    content, styles = _named(saved.identity, pictures, state)
    masks = how.masks or _found(saved.identity.get("masks", []), state)
    style_masks = how.style_masks or _found(saved.identity.get("style_masks", []), state)
    inputs = gather(content, styles, options=saved.options, masks=masks, style_masks=style_masks)
    check_same_job(saved, inputs.identity())
    painting = Painting(inputs, saved.options)
    painting.restore(saved.tensors, saved.plain)
    # The unfinished picture that the state belongs to may be replaced; anything else may not.
    own = how.out is None or how.out == saved.out
    how = replace(how, out=how.out or saved.out, force=how.force or own)
    _check_outputs(how)
    return _run(painting, how)


# ---- one painting ----------------------------------------------------------------------------------------------------


def _run(painting: Painting, how: How, *, label: str = "") -> Done:
    """Paint, with all that is to be written on the way; Ctrl-C ends it with the best picture so far."""
    out = Path(str(how.out))
    state = out.with_name(out.name + ".state")
    frames = Frames(painting) if how.evolution else None
    interrupted = False
    with ProgressLine(quiet=how.quiet, label=label) as line:
        try:
            for number, iterate in enumerate(painting.run(), len(painting.history) + 1):
                line.show(iterate)
                if frames is not None:
                    frames.consider(number, iterate)
                if how.save_every and number % how.save_every == 0:
                    _save(painting, out, how, force=True)
                    save_state(state, painting, out=str(out))
        except KeyboardInterrupt:
            interrupted = True
    how = replace(how, force=how.force or bool(how.save_every))
    finished = result(painting)
    finished_path = _save(painting, out, how, force=how.force)
    notes = list(finished.notes)
    if interrupted:
        save_state(state, painting, out=str(out))
        notes.append(f"Interrupted: the best picture so far is kept. Go on with: mien style --resume “{state}”")
    else:
        state.unlink(missing_ok=True)
    if frames is not None:
        notes += frames.save(out, finished.picture, force=how.force)
    if how.log:
        notes += [f"Costs: {path}" for path in save_log(how.log, finished.history, force=how.force)]
    return Done(
        out=finished_path,
        seconds=round(finished.seconds, 2),
        before=finished.before,
        after=finished.after,
        options=json.loads(finished.options.to_json()),
        notes=tuple(notes),
        exit_code=130 if interrupted else 0,
    )


def _save(painting: Painting, out: Path, how: How, *, force: bool) -> Path:
    return result(painting).save(out, bits=how.bits, force=force)


class Frames:
    """Pictures of the way, more at the beginning, where more happens."""

    def __init__(self, painting: Painting) -> None:
        steps = sum(level.steps for level in painting.levels)
        shares = np.linspace(0, 1, FRAMES) ** 1.6
        self._wanted = sorted({max(1, round(float(share) * steps)) for share in shares})
        self._frames: list[NDArray[np.uint8]] = [_first(painting)]

    def consider(self, number: int, iterate: Iterate) -> None:
        """Keep the picture if it is time for one."""
        if number in self._wanted:
            self._frames.append(iterate.snapshot())

    def save(self, out: Path, last: NDArray[np.uint8], *, force: bool) -> list[str]:
        """Write the strip and the GIF beside the painting; return what to tell."""
        frames = [*self._frames, last]
        picks = [frames[round(i)] for i in np.linspace(0, len(frames) - 1, min(6, len(frames)))]
        strip = images.save(out.with_name(f"{out.stem}-evolution.png"), sheet.evolution_strip(picks), force=force)
        gif = sheet.save_gif(out.with_name(f"{out.stem}-evolution.gif"), frames, force=force)
        return [f"Evolution: {strip}, {gif}"]


def _first(painting: Painting) -> NDArray[np.uint8]:
    return images.to_uint8(images.from_tensor(painting.canvas.start(painting.levels[0])))


# ---- names and files -------------------------------------------------------------------------------------------------

_IDENTITY = ("content", "styles", "start", "masks", "style_masks")


def _check_outputs(how: How) -> None:
    """Refuse now, not after a minute of painting."""
    out = Path(str(how.out))
    images.check_writable(out, force=how.force, bits=how.bits)
    if how.evolution:
        images.check_writable(out.with_name(f"{out.stem}-evolution.png"), force=how.force)
    if how.log and Path(how.log).suffix.lower() == ".png":
        raise OptionError("Expected --log to name a table like costs.csv (its plot becomes costs.png), got a picture.")
    if how.log:
        images.check_writable(Path(how.log).with_suffix(".png"), force=how.force)


def _joined(styles: list[str]) -> str:
    return "+".join(s[1:] if s.startswith("@") else Path(s).stem for s in styles)


def _free_name(content: str | None, styles: list[str], *, ending: str = "") -> Path:
    """A name made of the photo's and the styles', in the current folder, that no file has yet."""
    first = "texture" if content is None else Path(content).stem
    return _unused(Path(f"{first}-{_joined(styles)}{ending}.png"))


def _unused(path: Path) -> Path:
    candidate, number = path, 2
    while candidate.exists():
        candidate, number = path.with_name(f"{path.stem}-{number}{path.suffix}"), number + 1
    return candidate


def _found(items: list[dict[str, str]], near: str) -> tuple[str, ...]:
    """Files by the names they were given by: from here, or from the folder of the file that names them."""
    paths = []
    for item in items:
        name = item["name"]
        beside = Path(near).parent / name
        if not name.startswith("@") and not Path(name).exists():
            if not beside.exists():
                raise ResumeError(
                    f"Expected to find “{name}” here or beside “{near}”, found it in neither. Run mien in the folder "
                    "it was run in, or give CONTENT and STYLE anew."
                )
            name = str(beside)
        paths.append(name)
    return tuple(paths)


def _named(kept: dict[str, Any], pictures: tuple[str, ...], near: str) -> tuple[str | None, list[str]]:
    """The photo and the styles, as given now or as they were given then."""
    if pictures:
        return (pictures[0], list(pictures[1:])) if "content" in kept else (None, list(pictures))
    content = _found([kept["content"]], near)[0] if "content" in kept else None
    return content, list(_found(kept["styles"], near))


def _same_threads(threads: int | None) -> None:
    """Sums depend on how many threads share them, so a bit-equal repetition needs as many."""
    import torch

    if threads and threads != torch.get_num_threads():
        torch.set_num_threads(threads)


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(f"{v[0]}={v[1]:g}" if isinstance(v, tuple) else str(v) for v in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
