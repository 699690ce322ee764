"""`mien style` as a person uses it: small real paintings, what is written where, and what is refused."""

import csv
import functools
import io
import json
import os
import shlex
import signal
import struct
import subprocess
import sys
import time
import zlib
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass

import click
import numpy as np
import pytest
import skimage.data
from PIL import Image

from mien import images
from mien.cli import style_jobs
from mien.cli.main import main
from mien.style import memory, painting

SMALL = ("--size", 32, "--steps", "2,2")
MIEN = (sys.executable, "-m", "mien.cli.main")


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


def mien(*arguments):
    """Run the command line in this process, as `mien ARGUMENTS` would."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["mien", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
    return Outcome(stopped.value.code, out.getvalue(), err.getvalue())


def files_in(folder):
    return {p.relative_to(folder): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


def refused(*arguments, code=1):
    """The sentence of a refusal, after which every file is as it was."""
    before = files_in(here())
    outcome = mien(*arguments)
    assert outcome.code == code
    assert outcome.out == ""
    assert len(outcome.err.strip().splitlines()) == 1, outcome.err
    assert files_in(here()) == before
    return outcome.err.strip()


def painted(*arguments):
    """The painting that `mien style ARGUMENTS` prints the path of."""
    outcome = mien("style", *arguments)
    assert (outcome.code, outcome.err) == (0, "")
    (path,) = outcome.out.splitlines()
    return here() / path


def here():
    return images.Path.cwd() if hasattr(images, "Path") else type(images_path())(os.getcwd())  # noqa: PTH109


def images_path():
    from pathlib import Path

    return Path()


_loaded = functools.cache(painting.load_backbone)


@pytest.fixture(autouse=True)
def _desk(tmp_path, monkeypatch):
    """A working folder with a photo, two styles and two masks; the network is loaded once."""
    monkeypatch.setattr(painting, "load_backbone", _loaded)
    monkeypatch.chdir(tmp_path)
    for name, pixels in _pictures().items():
        Image.fromarray(pixels).save(name)


@functools.cache
def _pictures():
    left = np.zeros((48, 64), np.uint8)
    left[:, :30] = 255
    return {
        "cat.png": images.resize(skimage.data.chelsea(), 64, 48),
        "cup.png": images.resize(skimage.data.coffee(), 60, 44),
        "rocket.png": images.resize(skimage.data.rocket(), 40, 50),
        "left.png": left,
        "right.png": 255 - left,
    }
