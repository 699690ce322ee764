"""docs/serve.md is true: its calls run as one story, its limits and options are those of the program."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import skimage.data
from browsers import TOKEN, running
from PIL import Image

from mien.cli.serve import serve
from mien.web.app import create_app
from mien.web.settings import Limits

PAGE = (Path(__file__).parents[2] / "docs" / "serve.md").read_text(encoding="utf-8")
CALLS = re.findall(r"<!-- not run: needs a running server -->\n```sh\n(.*?)^```$", PAGE, re.M | re.S)


@pytest.mark.slow
def test_the_calls_of_the_page_work_in_order(settings, tmp_path, monkeypatch):
    if shutil.which("curl") is None or shutil.which("bash") is None:
        pytest.skip("the page's calls need curl and bash")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("MIEN_KEY", raising=False)
    astronaut = Image.fromarray(skimage.data.astronaut())
    Image.fromarray(skimage.data.chelsea()).resize((90, 60)).save(tmp_path / "cat.jpg")
    Image.fromarray(skimage.data.coffee()).resize((60, 40)).save(tmp_path / "sketch.jpg")
    astronaut.save(tmp_path / "passport.jpg", quality=95)
    astronaut.rotate(8).crop((100, 0, 420, 320)).save(tmp_path / "selfie.jpg", quality=95)
    story = "".join(CALLS).replace("--form size=512", "--form size=32 --form steps=1,1")
    app = create_app(settings(gallery=str(tmp_path / "gallery.db")))
    with running(app) as address:
        script = "set -e\nshopt -s expand_aliases\n" + story.replace("http://127.0.0.1:8808", address)
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=tmp_path, env={**os.environ, "TOKEN": TOKEN}, capture_output=True, text=True, timeout=200,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout[-500:] + done.stderr
    assert len(CALLS) == 4
    assert Image.open(tmp_path / "painting.png").size == (32, 21)
    assert '"state": "done"' in done.stdout
    assert '{"same":true}' in done.stdout
    assert '"verdict":"known","name":"Danielle"' in done.stdout
    assert Image.open(tmp_path / "risk.png").format == "PNG"


def test_the_limits_in_the_page_are_the_programs():
    rows = dict(re.findall(r"^\| ([\w ]+) \| ([^|]+) \|$", PAGE[PAGE.index("## Limits") :], re.M))
    limits = Limits()
    numbers = {name: [int(n.replace(",", "")) for n in re.findall(r"\d[\d,]*", text)] for name, text in rows.items()}
    assert numbers["one request"] == [limits.bytes // 2**20]
    assert numbers["one picture"] == [limits.pixels]
    assert numbers["a painting"] == [limits.size, limits.steps, limits.styles]
    assert limits.job_seconds == 3600
    assert numbers["pictures of a report"] == [limits.pictures]
    assert numbers["jobs in the queue"] == [limits.queue, limits.queue_per_client]
    assert numbers["jobs kept"] == [limits.kept_per_client]
    assert numbers["requests"] == [limits.requests_a_second]
    assert numbers["uploads"] == [limits.uploads_a_minute]
    assert numbers["tries at the door"] == [limits.attempts, limits.attempt_seconds]


def test_the_options_in_the_page_are_the_commands():
    known = {option for parameter in serve.params for option in parameter.opts}
    named = set(re.findall(r"`(--[a-z-]+)", PAGE)) - {"--form-string", "--form"}
    assert named
    assert named <= known
    for parameter in serve.params:
        assert parameter.help


def test_every_route_is_in_the_page(settings):
    for path in create_app(settings()).openapi()["paths"]:
        last = [part for part in path.split("/") if part and not part.startswith("{")][-1]
        assert re.search(rf"[`/]{re.escape(last)}\b", PAGE), path
