"""`mien faces attacks`, `evaluate-liveness` and `liveness-model`: how well pictures of faces are told from faces."""

from __future__ import annotations

import itertools
import json
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from mien import images
from mien.cli.faces_house import json_option
from mien.cli.faces_measure import _bar
from mien.errors import OptionError, OutputError

if TYPE_CHECKING:
    from mien.faces.liveness.evaluate import Looks
    from mien.faces.liveness.passive import PassiveNet
    from mien.faces.liveness.scripted import Scripted

PARTS = ("learn", "choose", "judge")


@click.command(epilog="Example: mien faces attacks people/ -o attacks --per 4")
@click.argument("photos", nargs=-1, required=True, metavar="DIR...")
@click.option("-o", "--out", required=True, metavar="DIR", help="a new folder")
@click.option("--seed", type=click.IntRange(0), default=0, help="of everything random [0]")
@click.option("--per", type=click.IntRange(1, 1000), default=1, help="live pictures of each photo, and attacks [1]")
@click.option("--per-colour", type=click.IntRange(1, 1000), help="of each photo in colour, where they are few [--per]")
@click.option("--most", type=click.IntRange(1), default=10, help="photos of one person at most [10]")
@click.option("--crops", type=click.IntRange(0, 100), default=1, help="cuts of each picture to learn from; 0: none [1]")
@click.option("--size", type=click.IntRange(16, 512), default=96, help="of the cuts, in pixels [96]")
@click.option("--part", type=click.Choice(PARTS), help="only the people who are learnt from, chosen on, or judged")
def attacks(photos: tuple[str, ...], out: str, **values: Any) -> None:
    """Make live pictures and simulated attacks from DIR, which holds one folder of photos for each person.

    Every picture goes through the same simulated camera. Grey photos carry no colour cues; colour ones do.
    attacks.csv and crops.csv say what each picture is; `mien train --recipe liveness --data DIR` learns from it.
    """
    from mien.faces.liveness.attacks import UNTESTED, Plan, generate

    with _bar("making") as advance:
        made = generate(photos, out, Plan(**values), progress=advance)
    click.echo(f"{made.pictures:,} pictures of {made.people:,} people, half of them attacks: {made.table}")
    if made.crops is not None:
        click.echo(f"cuts to learn from: {made.crops}")
    click.echo(
        f"{made.grey:,} photos are grey: their pictures carry cues of light and shade only. {made.colour:,} are in "
        "colour, and only theirs carry gamut, white point and the tint of paper."
    )
    if made.without_face:
        click.echo(f"left out, because no face was found: {made.without_face:,} photos")
    click.echo(f"Not made, and so untested: {'; '.join(UNTESTED)}.")


@click.command("evaluate-liveness", epilog="Example: mien faces evaluate-liveness attacks --part judge -o sheet")
@click.argument("folder", required=False, metavar="[DIR]")
@click.option("--model", metavar="RECORD", default="liveness", help="a network's record (.json) [the shipped one]")
@click.option("--part", type=click.Choice(PARTS), help="only people of that part of attacks.csv")
@click.option("--threshold", type=click.FloatRange(0, 1), help="live from this score on [the record's]")
@click.option("--moves/--no-moves", default=True, help="also move the box of each face by 20 % [yes]")
@click.option("--scripts", type=click.IntRange(0), default=0, metavar="N", help="also N tries of each scripted attack")
@click.option("-o", "--out", metavar="DIR", help="write liveness.html, liveness.png and liveness.json there")
@click.option("--force", is_flag=True, help="overwrite what exists")
@json_option
def evaluate_liveness(
    folder: str | None,
    model: str,
    part: str | None,
    threshold: float | None,
    moves: bool,
    scripts: int,
    out: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """The score sheet of a liveness network on DIR, which holds live/ and a folder for each species of attack.

    DIR is what `mien faces attacks` made, or your own: DIR/live/PERSON/… and DIR/KIND/PERSON/…
    """
    from mien.faces.liveness import evaluation_text as text
    from mien.faces.liveness.evaluate import evaluate, read_shown

    if folder is None and not scripts:
        raise OptionError("Expected pictures to judge by (DIR), or scripted attacks to run (--scripts 1000); got none.")
    if folder is None:
        if out is not None:
            raise OptionError("Expected pictures to judge by (DIR) for a score sheet; got none beside -o.")
        _tell_scripts(_run_scripts(scripts), as_json=as_json)
        return
    shown = read_shown(folder, part=part)
    net = _network(model)
    target = _new_folder(out, force=force)
    tried = _run_scripts(scripts) if scripts else []
    looks = _look(shown, net, moves=moves)
    result = evaluate(looks, net.threshold if threshold is None else threshold)
    record = text.record(result, network=net.name, scripts=tried)
    if target is not None:
        sheet = text.page(result, network=net.name, scripts=tried).encode()
        plain = json.dumps(record, indent=1, ensure_ascii=False).encode()
        for name, content in (("html", sheet), ("png", text.picture(result)), ("json", plain)):
            images.write_whole(target / f"liveness.{name}", partial(_put, content), force=force)
    if as_json:
        click.echo(json.dumps(record, indent=1, ensure_ascii=False))
        return
    for line in text.lines(result, network=net.name, scripts=tried):
        click.echo(line)
    if target is not None:
        click.echo(target / "liveness.html")


@click.command("liveness-model", epilog="Example: mien faces liveness-model trained/encoder attacks -o model")
@click.argument("checkpoint")
@click.argument("folder", metavar="DIR")
@click.option("-o", "--out", required=True, metavar="DIR", help="where liveness.onnx and liveness.json go")
@click.option("--apcer", type=click.FloatRange(0.001, 0.5), default=0.05, help="of the worst species at most [0.05]")
@click.option("--scale", type=click.FloatRange(1, 5), default=2.2, help="of the cuts that were learnt from [2.2]")
@click.option("--source", metavar="TEXT", default="photos of the maker's own", help="what the faces were, in words")
@click.option("--licence", metavar="TEXT", default="as its training data allow", help="of the weights")
@click.option("--force", is_flag=True, help="overwrite what exists")
def liveness_model(
    checkpoint: str, folder: str, out: str, apcer: float, scale: float, source: str, licence: str, force: bool
) -> None:
    """Make a liveness network of CHECKPOINT, trained by `mien train --recipe liveness`, with its threshold.

    The threshold is chosen on the people of DIR's part “choose”, whom nothing was learnt from.
    """
    from mien.faces.liveness.evaluate import choose_denial, choose_threshold, evaluate, read_shown
    from mien.faces.wording import percent
    from mien.training.recipes.liveness import to_network

    about = {
        "task": "living face or attack, from one picture; trained on simulated attacks, not certified",
        "origin": "trained by mien train --recipe liveness on simulated attacks, made by mien faces attacks from "
        f"{source}; not certified",
        "licence": licence,
    }
    if (Path(out) / "liveness.json").exists() and not force:
        raise OutputError(f"Expected a new folder, but “{out}” holds a network already; overwrite it with --force.")
    how = {"scale": scale, "threshold": 0.5}
    shown = read_shown(folder, part="choose")
    # Until it has its threshold, the network is nobody's to use.
    with tempfile.TemporaryDirectory() as beside:
        looks = _look(shown, _network(str(to_network(checkpoint, beside, about=about, liveness=how))), moves=False)
    threshold = min(0.9999, round(choose_threshold(looks, apcer=apcer) + 5e-5, 4))
    deny = max(1e-4, round(min(choose_denial(looks), threshold), 4))
    record = to_network(checkpoint, out, about=about, liveness={**how, "threshold": threshold, "deny": deny})
    found = evaluate(looks, threshold)
    click.echo(
        f"live from {threshold:.4f} on: on the people it was chosen on, the worst APCER is {percent(found.worst.rate)} "
        f"({found.worst.name}) and the BPCER {percent(found.bpcer.rate)}; clearly an attack below {deny:.4f}, where "
        "one living face in a hundred lies"
    )
    click.echo("Judge it on others: mien faces evaluate-liveness DIR --part judge --model RECORD")
    click.echo(record)


def _put(content: bytes, file: BinaryIO) -> None:
    file.write(content)


def _network(model: str) -> PassiveNet:
    from mien.faces.liveness.passive import PassiveNet

    return PassiveNet(model)


def _look(shown: Any, net: PassiveNet, *, moves: bool) -> Looks:
    from mien.faces.detect import Detector
    from mien.faces.liveness.evaluate import look

    with _bar("looking", total=len(shown)) as advance:
        return look(shown, net, Detector(thorough=False), moves=moves, progress=advance)


def _new_folder(out: str | None, *, force: bool) -> Path | None:
    if out is None:
        return None
    target = Path(out)
    if target.exists() and not target.is_dir():
        raise OutputError(f"Expected a folder for the score sheet, but “{out}” is a file; choose another name.")
    if (target / "liveness.html").exists() and not force:
        raise OutputError(f"Expected a new folder, but “{out}” holds a score sheet already; overwrite it with --force.")
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"Expected to make the folder “{out}”, but: {error.strerror}.") from error
    return target


def _run_scripts(tries: int) -> list[Scripted]:
    from mien.faces.liveness.scripted import SCRIPTS, run_scripts

    with _bar("acting", total=tries * len(SCRIPTS)) as advance:
        done = itertools.count(1)
        return run_scripts(tries, on_try=lambda _name, _outcome: advance(next(done), tries * len(SCRIPTS)))


def _tell_scripts(tried: list[Scripted], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"scripts": [script._asdict() for script in tried]}, indent=1, ensure_ascii=False))
        return
    for name, tries, passes in tried:
        click.echo(f"scripted attack, {name}: {passes:,} of {tries:,} passed")
