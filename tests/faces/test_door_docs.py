"""docs/door.md is true: its commands run in order, as one story, and its receiver believes what mien signs."""

import json
import re
import shlex
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from liveness_nets import bright_is_live
from PIL import Image

from mien.cli.main import cli
from mien.errors import MienError
from mien.faces.door import HINTS, LOCKED, PROMPTS, REFUSED, UNKNOWN
from mien.faces.liveness import records
from mien.faces.liveness.records import LivenessInput
from mien.faces.liveness.status import REFUSALS
from mien.faces.relay import signature
from mien.weights import Weights

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "door.md").read_text(encoding="utf-8")
_FENCED = re.compile(r"(?P<skip><!-- not run:[^>]*-->\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.M | re.S)


def blocks(kind):
    return [block["text"] for block in _FENCED.finditer(PAGE) if block["kind"] == kind and not block["skip"]]


@pytest.fixture
def place(home, astronaut, monkeypatch):
    """The files that the page names: Danielle is played by an astronaut, and her morning is a clip of her photo."""
    monkeypatch.chdir(home)
    photo = Image.fromarray(astronaut)
    photo.save("danielle.jpg", quality=95)
    photo.rotate(5, resample=Image.Resampling.BICUBIC).crop((80, 0, 440, 360)).save("danielle-2.jpg", quality=95)
    writer = cv2.VideoWriter("morning.avi", cv2.VideoWriter_fourcc(*"MJPG"), 6, (640, 480))
    assert writer.isOpened()
    random = np.random.default_rng(0)
    wide = np.full((480, 640, 3), 120.0)
    wide[:, 64:576] = astronaut[:480]
    for number in range(18):
        seen = wide if number > 5 else np.full_like(wide, 120)
        frame = np.clip(np.rint(seen + random.normal(0, 2, wide.shape)), 0, 255).astype(np.uint8)
        writer.write(np.ascontiguousarray(frame[..., ::-1]))
    writer.release()


def test_the_page_is_a_story_that_comes_true(place, tmp_path_factory, monkeypatch):
    # A clip made of a photo is no living person: what the shipped network says of it proves nothing here.
    monkeypatch.setattr(records, "SHIPPED", bright_is_live(tmp_path_factory.mktemp("net")))
    runner, said, story = CliRunner(), "", []
    for block in _FENCED.finditer(PAGE):
        if block["skip"]:
            continue
        if block["kind"] == "sh":
            for line in block["text"].splitlines():
                outcome = runner.invoke(cli, shlex.split(line)[1:], standalone_mode=False)
                assert outcome.exception is None, (line, outcome.exception)
                assert (outcome.return_value or 0) == 0, (line, outcome.stdout)
                said = outcome.stdout
                story.append(line)
        elif block["kind"] == "text":
            assert said == block["text"], story[-1]
    assert len(story) >= 10


def test_the_commands_that_are_not_run_are_commands_with_options_that_exist():
    found = 0
    for block in _FENCED.finditer(PAGE):
        if block["kind"] != "sh" or not block["skip"]:
            continue
        for line in block["text"].splitlines():
            words = [word for word in shlex.split(line) if not re.fullmatch(r"[A-Z_]+=\S+", word)]
            if words[0] == "mien":
                outcome = CliRunner().invoke(cli, [*words[1:], "--help"], standalone_mode=False)
                assert not isinstance(outcome.exception, MienError), line
                assert "Usage:" in outcome.output
                options = re.findall(r"--[a-z-]+", outcome.output)
                assert set(re.findall(r"--[a-z-]+", line)) <= set(options)
                found += 1
    assert found >= 3


def test_the_receiver_on_the_page_believes_what_mien_signs_and_nothing_else():
    names = {}
    exec(compile(blocks("python")[0], "docs/door.md", "exec"), names)
    believed, secret, body, now = names["believed"], b"a secret of some length", b'{"event": "admit"}', time.time()
    fresh, old = str(int(now)), str(int(now) - 4000)
    assert believed(secret, fresh, signature(secret, fresh, body), body)
    assert not believed(secret, old, signature(secret, old, body), body)
    assert not believed(secret, fresh, signature(secret, fresh, body), body + b" ")
    assert not believed(b"another one", fresh, signature(secret, fresh, body), body)


def test_the_record_on_the_page_has_the_fields_that_a_record_has():
    record = json.loads(blocks("json")[0])
    assert set(record) <= {*Weights.__dataclass_fields__, "liveness"}
    assert set(record["liveness"]) == set(LivenessInput.__dataclass_fields__)


def test_the_page_names_every_reason_and_what_people_are_told():
    for reason in (*REFUSALS, "unknown", "unsure", "left", "ended", "locked", "live"):
        assert f"`{reason}`" in PAGE, reason
    for sentence in (UNKNOWN, REFUSED, LOCKED, PROMPTS["left"]):
        assert f"| {sentence}" in PAGE, sentence
    assert set(HINTS) & {"several_faces", "too_small"}


def test_links_within_the_page_lead_somewhere():
    anchors = {re.sub(r"[^\w -]", "", t.lower()).replace(" ", "-") for t in re.findall(r"^##+ (.+)$", PAGE, re.M)}
    links = re.findall(r"\]\(#([^)]+)\)", PAGE)
    assert len(links) > 4
    assert set(links) <= anchors
    others = re.findall(r"\]\(([\w.]+\.md)(?:#([^)]+))?\)", PAGE)
    for name, anchor in others:
        text = (ROOT / "docs" / name).read_text(encoding="utf-8")
        titles = {re.sub(r"[^\w -]", "", t.lower()).replace(" ", "-") for t in re.findall(r"^##+ (.+)$", text, re.M)}
        assert not anchor or anchor in titles, (name, anchor)
