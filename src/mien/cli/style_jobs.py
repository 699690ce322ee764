"""The jobs of `mien style`: one painting, a folder, a sweep, a repetition, a resumption."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien import images
from mien.cli import settings as cli_settings
from mien.cli import style_files as files
from mien.cli.progress import ProgressLine
from mien.cli.stopping import Stopping
from mien.errors import ImageError, OptionError, OutOfMemory
from mien.style import sheet
from mien.style.inputs import gather
from mien.style.log import save_log
from mien.style.options import StyleOptions
from mien.style.painting import Iterate, Painting
from mien.style.state import check_same_job, load_state, save_state
from mien.style.stylize import result

FRAMES = 24  # of an evolution GIF; its strip shows a quarter of them


@dataclass(frozen=True, kw_only=True)
class How:
    """What the command line says beside the style options."""

    out: str | None = None
    bits: int | None = None  # 8, or for a repetition or resumption those of the first time
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
    how = replace(how, out=how.out or str(files.free_name(content, styles)))
    _check_outputs(how)
    inputs = gather(content, styles, options=options, masks=how.masks, style_masks=how.style_masks)
    return _run(Painting(inputs, options), how)


def folder(content: str, styles: list[str], settings: dict[str, Any], how: How) -> Iterator[Done]:
    """Every picture of a folder, skipping those already painted."""
    photos = sorted(
        p for p in Path(content).iterdir() if p.suffix.lower() in images.ENDINGS and p.is_file() and p.name[0] != "."
    )
    if not photos:
        raise ImageError(f"Expected pictures in the folder “{content}”, found none.")
    options = StyleOptions.from_dict(settings)
    for style in styles:
        files.check_style(style)  # a wrong style is told once, not once a picture
    out = Path(how.out or f"{Path(content).resolve().name}-{files.joined(styles)}")
    if out.resolve() == Path(content).resolve():
        raise OptionError(f"Expected another folder for the paintings than that of the photos, got “{out}” for both.")
    made = files.make_folder(out)
    try:
        for number, (file, target) in enumerate(zip(photos, files.targets(photos, out), strict=True), 1):
            unfinished = files.state_of(target).exists()
            if target.exists() and not how.force and not unfinished:
                yield Done(out=target, notes=(f"{file.name}: already painted, skipped.",))
                continue
            here = replace(how, out=str(target), force=how.force or unfinished)
            try:
                _check_outputs(here)
                inputs = gather(str(file), styles, options=options, masks=how.masks, style_masks=how.style_masks)
                job = _run(Painting(inputs, options), here, label=f"{number}/{len(photos)}")
            except (ImageError, OutOfMemory) as error:
                # One bad file must not cost the others their turn.
                job = Done(error=str(error), exit_code=error.exit_code)
            yield job
            if job.exit_code == 130:
                return
    finally:
        if made and not any(out.iterdir()):
            out.rmdir()


def sweep(text: str, content: str | None, styles: list[str], settings: dict[str, Any], how: How) -> Done:
    """One painting a value, in a labelled contact sheet; Ctrl-C ends it with those that are there."""
    name, found = cli_settings.sweep(text)
    how = replace(how, out=how.out or str(files.free_name(content, styles, ending=f"-{name}")))
    _check_outputs(how)
    every = [StyleOptions.from_dict({**settings, name: value}) for value in found]
    pictures, labels, notes, seconds = [], [], dict[str, None](), 0.0
    with Stopping() as stop:
        for number, options in enumerate(every, 1):
            inputs = gather(content, styles, options=options, masks=how.masks, style_masks=how.style_masks)
            painting = Painting(inputs, options)
            with ProgressLine(quiet=how.quiet, label=f"{number}/{len(every)}") as line:
                for iterate in painting.run():
                    line.show(iterate)
                    if stop.asked:
                        break
            finished = result(painting)
            pictures.append(finished.picture)
            labels.append(f"{name.replace('_', ' ')} {_shown(found[number - 1])}")
            notes |= dict.fromkeys(finished.notes)
            seconds += finished.seconds
            if stop.asked:
                notes["Interrupted: the sheet shows what there was by then."] = None
                break
    path = images.save(str(how.out), sheet.contact_sheet(pictures, labels), force=how.force)
    return Done(out=path, seconds=round(seconds, 2), notes=tuple(notes), exit_code=130 if stop.asked else 0)


def again(source: str, pictures: tuple[str, ...], settings: dict[str, Any], how: How) -> Done:
    """Repeat the painting in the file `source` from the settings it carries; other options change single settings."""
    kept = _kept(source)
    changed = bool(pictures or settings or how.masks or how.style_masks)
    out = how.out or str(files.unused(Path(source).with_name(f"{Path(source).stem}-again{Path(source).suffix}")))
    how = replace(
        how,
        out=out,
        bits=how.bits or (kept.get("bits") if Path(out).suffix.lower() in _DEEP else None),
        masks=how.masks or files.found(kept.get("masks", []), source),
        style_masks=how.style_masks or files.found(kept.get("style_masks", []), source),
    )
    _check_outputs(how)
    options = StyleOptions.from_dict({**kept["options"], **settings})
    _check_own_network(options.backbone, settings)
    if "start" in kept and "start" not in settings:
        options = replace(options, start=files.found([kept["start"]], source)[0])
    content, styles = files.named(kept, pictures, source)
    inputs = gather(content, styles, options=options, masks=how.masks, style_masks=how.style_masks)
    if not changed:
        check_same_job({k: kept[k] for k in _IDENTITY if k in kept}, inputs.identity())
    _same_threads(kept.get("threads"))
    done = _run(Painting(inputs, options), how)
    if kept.get("finished", True):
        return done
    return replace(done, notes=(f"“{source}” was interrupted; this one was painted to its end.", *done.notes))


def _kept(source: str) -> dict[str, Any]:
    """The settings that a painting carries."""
    text = images.read_settings(source)
    if text is None:
        raise ImageError(f"Expected a painting that carries mien's settings, but “{source}” has none.")
    try:
        kept = json.loads(text)
        if {"options", "styles"} <= kept.keys():
            return dict(kept)
    except (ValueError, AttributeError):
        pass  # no JSON, or none of ours: both end in the sentence below
    raise ImageError(f"Expected a painting that carries mien's settings, but those in “{source}” cannot be read.")


def resume(state: str, pictures: tuple[str, ...], settings: dict[str, Any], how: How) -> Done:
    """Go on from a state file, whose settings hold."""
    saved = load_state(state)
    for name, value in settings.items():
        if value != getattr(saved.options, name):
            raise OptionError(
                f"Expected the settings of the saved job, but {name} was {_shown(getattr(saved.options, name))} then "
                f"and is {_shown(value)} now; leave it out, or start anew without --resume."
            )
    _check_own_network(saved.options.backbone, settings)
    content, styles = files.named(saved.identity, pictures, state)
    masks = how.masks or files.found(saved.identity.get("masks", []), state)
    style_masks = how.style_masks or files.found(saved.identity.get("style_masks", []), state)
    options = saved.options
    if "start" in saved.identity:
        options = replace(options, start=files.found([saved.identity["start"]], state)[0])
    inputs = gather(content, styles, options=options, masks=masks, style_masks=style_masks)
    check_same_job(saved.identity, inputs.identity())
    # The unfinished picture lies beside its state, wherever that is now, and may be replaced; anything else may not.
    unfinished = Path(state).with_name(Path(saved.out).name)
    out = Path(how.out or unfinished)
    own = out.resolve() == unfinished.resolve()
    bits = how.bits or (_kept(str(unfinished)).get("bits") if unfinished.is_file() else None)
    how = replace(how, out=str(out), bits=bits, force=how.force or own)
    _check_outputs(how)
    painting = Painting(inputs, options)
    painting.restore(saved.tensors, saved.plain)
    return _run(painting, how)


def _check_own_network(backbone: str, settings: dict[str, Any]) -> None:
    """A picture or a state from elsewhere must not choose which code runs here."""
    if ":" in backbone and settings.get("backbone") != backbone:
        raise OptionError(
            f"Expected your word that the network {backbone} may run, as it is not mien's own; if you trust it, add "
            f"--backbone {backbone}"
        )


# ---- one painting ----------------------------------------------------------------------------------------------------


def _run(painting: Painting, how: How, *, label: str = "") -> Done:
    """Paint, with all that is to be written on the way; Ctrl-C ends it with the best picture so far."""
    out = Path(str(how.out))
    state = files.state_of(out)
    frames = Frames(painting) if how.evolution else None
    within_step = False
    with ProgressLine(quiet=how.quiet, label=label) as line, Stopping() as stop:
        try:
            for number, iterate in enumerate(painting.run(), len(painting.history) + 1):
                line.show(iterate)
                if frames is not None:
                    frames.consider(number, iterate)
                if how.save_every and number % how.save_every == 0:
                    _save(painting, out, how, force=how.force or number > how.save_every)
                    save_state(state, painting, out=str(out))
                if stop.asked:
                    break
        except KeyboardInterrupt:
            within_step = True
    how = replace(how, force=how.force or bool(how.save_every))
    finished = result(painting)
    notes = list(finished.notes)
    finished_path = _save(painting, out, how, force=how.force)
    if stop.asked and not within_step:
        save_state(state, painting, out=str(out))
    if stop.asked or within_step:
        notes.append("Interrupted: the best picture so far is kept." + _how_to_go_on(state, painting))
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
        exit_code=130 if stop.asked or within_step else 0,
    )


def _save(painting: Painting, out: Path, how: How, *, force: bool) -> Path:
    finished = result(painting)
    if how.bits == 16:
        settings = json.dumps({**json.loads(finished.settings), "bits": 16}, ensure_ascii=False)
        finished = replace(finished, settings=settings)
    return finished.save(out, bits=how.bits or 8, force=force)


def _how_to_go_on(state: Path, painting: Painting) -> str:
    if not state.exists():
        return ""
    backbone = painting.options.backbone
    network = f" --backbone {shlex.quote(backbone)}" if ":" in backbone else ""
    return f" Go on with: mien style --resume {shlex.quote(str(state))}{network}"


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


# ---- what they share -------------------------------------------------------------------------------------------------


def _check_outputs(how: How) -> None:
    files.check_outputs(Path(str(how.out)), bits=how.bits or 8, force=how.force, evolution=how.evolution, log=how.log)


_DEEP = {".png", ".tif", ".tiff"}  # have 16 bits
_IDENTITY = ("content", "styles", "start", "masks", "style_masks")


def _same_threads(threads: int | None) -> None:
    """Sums depend on how many threads share them, so a bit-equal repetition needs as many."""
    import torch

    if threads and threads != torch.get_num_threads():
        torch.set_num_threads(threads)


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(f"{v[0]}={v[1]:g}" if isinstance(v, tuple) else str(v) for v in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
