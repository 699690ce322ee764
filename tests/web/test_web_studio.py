"""The Studio's routes: styles, settings and paintings, from the form to the file."""

import dataclasses
import io
import json
import time

import pytest
from PIL import Image

from mien import images
from mien.style import inputs, patterns
from mien.style.options import StyleOptions
from mien.web import style, worker
from mien.web.app import create_app
from mien.web.settings import Limits

NEVER = {"start", "backbone", "device", "precision"}


class Waiting:
    """A worker that never comes to an end."""

    alive = True

    async def do(self, order, told, *, seconds):
        import asyncio

        self.order = order
        self.stopped = asyncio.Event()
        await self.stopped.wait()
        return {"end": "cancelled"}

    def cancel(self):
        self.stopped.set()

    async def close(self):
        pass


@pytest.fixture
def app(settings):
    made = create_app(settings())
    made.state.house.jobs.workshop = Waiting()
    return made


def paint(browser, jpeg, *, styles=("@night",), own=(), **values):
    files = [("photo", ("cat.jpg", jpeg(), "image/jpeg"))]
    files += [("style_files", (name, jpeg(seed=3), "image/jpeg")) for name in own]
    return browser.post("/api/v1/paintings", files=files, data={"styles": list(styles), **values})


# styles and settings


def test_the_styles_are_those_of_the_house(browser):
    found = browser.get("/api/v1/styles").json()["styles"]
    assert [item["name"] for item in found] == [f"@{name}" for name in patterns.names()]
    assert found[0]["sentence"] == patterns.describe("night")
    assert found[0]["picture"] == "/api/v1/styles/night.jpg"


def test_a_style_has_a_picture_which_is_drawn_once(browser, monkeypatch):
    answer = browser.get("/api/v1/styles/linocut.jpg")
    assert answer.headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(answer.content)).size == (256, 256)
    monkeypatch.setattr(patterns, "draw", None)
    assert browser.get("/api/v1/styles/linocut.jpg").content == answer.content
    assert browser.get("/api/v1/styles/nothing.jpg").status_code == 404


def test_the_settings_offered_are_read_from_the_record(browser):
    fields = {field.name: field for field in dataclasses.fields(StyleOptions)}
    for option in browser.get("/api/v1/options").json()["options"]:
        field = fields[option["name"]]
        assert option["help"] == field.metadata["help"]
        assert option["default"] == field.default
        assert option["choices"] == list(field.metadata["choices"])
        if option["name"] != "size" and option["kind"] in ("int", "float"):
            assert (option["low"], option["high"]) == (field.metadata["low"], field.metadata["high"])


def test_nothing_that_names_a_file_a_network_or_a_device_is_offered(browser):
    offered = {option["name"] for option in browser.get("/api/v1/options").json()["options"]}
    form = browser.get("/api/v1/openapi.json").json()["components"]["schemas"]["Body_paint_api_v1_paintings_post"]
    assert offered == set(style.OFFERED)
    assert set(form["properties"]) == offered | {"photo", "styles", "style_files", "weights"}
    assert not NEVER & set(form["properties"])


def test_a_setting_that_is_not_offered_changes_nothing(app, browser, jpeg):
    answer = paint(browser, jpeg, start="/etc/passwd", backbone="os:system", device="cuda")
    assert answer.status_code == 202
    order = app.state.house.jobs.get(answer.json()["id"], _owner(app)).order
    assert order["options"] == {}


def _owner(app):
    return next(iter(app.state.house.jobs._jobs.values())).owner


# paintings


def test_a_painting_becomes_a_job(app, browser, jpeg):
    answer = paint(
        browser, jpeg, styles=["@night", "@rose"], own=["my style.jpg"], weights="1,0.5,2",
        strength="0.7", size="64", colour="luminance", style_scale="0.5", seed="3", steps="2,1", preview="false",
    )  # fmt: skip
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert job["title"] == "cat.jpg as @night and @rose and my style.jpg"
    assert job["settings"] == {
        "strength": 0.7, "size": 64, "colour": "luminance", "style_scale": 0.5, "seed": 3, "preview": False,
        "steps": [2, 1], "styles": ["@night", "@rose", "my style.jpg"], "weights": [1.0, 0.5, 2.0],
    }  # fmt: skip
    order = app.state.house.jobs.get(job["id"], _owner(app)).order
    assert StyleOptions.from_dict(order["options"]) == StyleOptions(
        strength=0.7, size=64, colour="luminance", style_scale=0.5, seed=3, steps=(2, 1), style_weights=(1.0, 0.5, 2.0)
    )
    assert browser.get("/api/v1/jobs").json()["jobs"][0]["id"] == job["id"]
    assert browser.get(job["photo"]).headers["content-type"] == "image/jpeg"
    assert browser.get(f"/api/v1/jobs/{job['id']}/styles/0").status_code == 200
    assert browser.get(f"/api/v1/jobs/{job['id']}/styles/1").status_code == 404


def test_another_browser_finds_nothing_of_it(browser, another, jpeg):
    job = paint(browser, jpeg).json()["id"]
    stranger = another()
    for end in ("", "/photo", "/frame", "/picture", "/events", "/report/", "/report/index.html", "/styles/0"):
        own, foreign = browser.get(f"/api/v1/jobs/{job}{end}") if end != "/events" else None, None
        foreign = stranger.get(f"/api/v1/jobs/{job}{end}")
        assert foreign.status_code == 404, end
        assert foreign.json() == stranger.get(f"/api/v1/jobs/{'0' * 32}{end}").json()
        assert own is None or own.status_code in (200, 404)
    assert stranger.delete(f"/api/v1/jobs/{job}").status_code == 404
    assert stranger.get("/api/v1/jobs").json() == {"jobs": []}
    assert browser.get(f"/api/v1/jobs/{job}").json()["state"] in ("queued", "running")


def test_a_script_with_the_token_keeps_its_jobs_without_a_cookie(another, jpeg, bearer):
    script = another()
    script.cookies.clear()
    job = script.post("/api/v1/paintings", files={"photo": jpeg()}, data={"styles": "@night"}, headers=bearer)
    script.cookies.clear()
    assert "set-cookie" not in job.headers
    assert script.get(f"/api/v1/jobs/{job.json()['id']}", headers=bearer).status_code == 200
    script.cookies.clear()
    assert script.get(f"/api/v1/jobs/{job.json()['id']}").status_code == 404


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"styles": []}, "Expected 1 to 4 styles, got 0."),
        ({"styles": ["@night"] * 5}, "Expected 1 to 4 styles, got 5."),
        ({"styles": ["@nihgt"]}, "Did you mean @night?"),
        ({"styles": ["/etc/passwd"]}, "Expected a built-in style like @night, got '/etc/passwd'"),
        ({"size": "4000"}, "Expected a size of at most 1536 pixels on this server, got 4000."),
        ({"size": "1"}, "Expected size to be between 16 and 20000, got 1."),
        ({"size": "large"}, "Expected another size: input should be a valid integer"),
        ({"strength": "1.5"}, "Expected strength to be between 0 and 1, got 1.5."),
        ({"strength": "nan"}, "Expected strength to be between 0 and 1, got nan."),
        ({"colour": "blue"}, "Expected colour to be one of style, luminance, linear, histogram, got 'blue'."),
        ({"weights": "1,x"}, "Expected weights as numbers with commas, like 1,0.5, got '1,x'."),
        ({"weights": "0"}, "Expected style_weights of which one is more than 0"),
        ({"weights": "1,1"}, "Expected as many weights as styles, 1, got 2."),
        ({"steps": "1,0"}, "Expected steps to be at least 1, got 0."),
        ({"steps": "1500,1500"}, "Expected at most 2,000 steps in all, got 3,000."),
    ],
)
def test_what_does_not_fit_is_told_in_a_sentence(app, browser, jpeg, values, sentence):
    answer = paint(browser, jpeg, **values)
    assert answer.status_code == 422
    assert sentence in answer.json()["error"]
    assert not list(app.state.house.jobs.folder.iterdir())


def test_what_is_no_picture_is_refused_by_its_name(app, browser):
    for data in (b"", b"no picture", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0" + b"\0" * 100):
        files = {"photo": ("../../ca\x07t.jpg", data)}
        answer = browser.post("/api/v1/paintings", files=files, data={"styles": "@night"})
        assert answer.status_code == 422, data
        assert str(app.state.house.settings.data) not in answer.json()["error"]
        assert "max_pixels" not in answer.json()["error"]
    assert browser.post("/api/v1/paintings", data={"styles": "@night"}).json()["error"].startswith("Expected photo")
    assert not list(app.state.house.jobs.folder.iterdir())


def test_a_full_queue_says_so_before_it_looks_at_the_photo(settings, jpeg):
    from browsers import Client

    app = create_app(settings(limits=Limits(queue_per_client=1)))
    app.state.house.jobs.workshop = Waiting()
    with Client(app) as browser:
        assert paint(browser, jpeg).status_code == 202
        answer = browser.post("/api/v1/paintings", files={"photo": b"no picture"}, data={"styles": "@night"})
        assert answer.status_code == 429
        assert answer.headers["retry-after"] == "30"
        assert "You have 1 jobs in the queue" in answer.json()["error"]


def test_a_job_is_cancelled_and_then_removed(browser, jpeg):
    job = paint(browser, jpeg).json()["id"]
    assert browser.delete(f"/api/v1/jobs/{job}").status_code == 204
    deadline = time.monotonic() + 5
    while browser.get(f"/api/v1/jobs/{job}").json()["state"] != "cancelled":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert browser.delete(f"/api/v1/jobs/{job}").status_code == 204
    assert browser.get("/api/v1/jobs").json() == {"jobs": []}


def test_a_closed_room_says_why_and_the_others_stay_open(browser, jpeg, monkeypatch):
    truly = style.importlib.util.find_spec
    monkeypatch.setattr(style.importlib.util, "find_spec", lambda name: None if name == "torch" else truly(name))
    about = browser.get("/api/v1/about").json()["rooms"]
    assert (about["studio"], about["explorer"]) == (False, False)
    assert 'pip install "mien[style]"' in about["why"]["studio"]
    answer = paint(browser, jpeg)
    assert answer.status_code == 409
    assert "pip install" in answer.json()["error"]
    assert browser.get("/health/ready").status_code == 200


def test_a_built_in_style_is_drawn_once_and_kept_as_it_is(tmp_path, monkeypatch):
    drawn = patterns.draw("linocut", 64)
    monkeypatch.setattr("mien.style.inputs.PATTERN_SIZE", 64)
    first = worker._pattern("@linocut", 0, tmp_path / "styles")
    monkeypatch.setattr(patterns, "draw", None)
    for file in (first, worker._pattern("@linocut", 0, tmp_path / "styles")):
        kept = inputs.read(file)
        assert kept.name == "@linocut"
        assert (kept.picture.pixels == drawn).all()
    assert worker._pattern("@linocut", 5, tmp_path / "styles") == "@linocut"


# with the real network and the real worker


def events_of(client, job, *, until=lambda job: False):
    found = []
    with client.stream("GET", f"/api/v1/jobs/{job}/events", timeout=120) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        for line in stream.iter_lines():
            if line.startswith("data: "):
                found.append(json.loads(line[6:]))
                if until(found[-1]):
                    break
    return found


def test_a_photo_is_painted_cancelled_and_survives_a_killed_worker(settings, served, jpeg):
    import os

    app = create_app(settings())
    with served(app) as client:

        def begun(**values):
            files = {
                "photo": ("cat.jpg", jpeg(), "image/jpeg"),
                "style_files": ("mine.jpg", jpeg(seed=3), "image/jpeg"),
            }
            return client.post("/api/v1/paintings", files=files, data=values).json()["id"]

        # It is cancelled while it is painted, as soon as the first draft is there.
        job = begun(size="32", steps="2000")
        seen = events_of(client, job, until=lambda job: job["frame"] is not None)[-1]
        assert seen["state"] == "running"
        assert seen["progress"]["words"].startswith("32 px, step ")
        assert seen["progress"]["words"].endswith("of 2000")
        assert 0 < seen["progress"]["fraction"] < 1
        assert seen["progress"]["remaining"] > 0
        assert max(Image.open(io.BytesIO(client.get(seen["frame"]).content)).size) == 32
        assert client.delete(f"/api/v1/jobs/{job}").status_code == 204
        assert events_of(client, job)[-1]["state"] == "cancelled"
        # Its worker is killed, as the kernel does where memory runs out.
        job = begun(size="32", steps="2000")
        events_of(client, job, until=lambda job: "step" in job["progress"]["words"])
        os.kill(app.state.house.jobs.workshop.pid, 9)
        last = events_of(client, job)[-1]
        assert last["state"] == "failed"
        assert "want of memory" in last["error"]
        # The next one is painted to its end by another worker.
        job = begun(size="48", steps="1,1")
        last = events_of(client, job)[-1]
        assert last["state"] == "done", last["error"]
        answer = client.get(last["picture"], params={"download": "1"})
        assert answer.headers["content-type"] == "image/png"
        assert answer.headers["content-disposition"].startswith('attachment; filename="mien-')
        path = app.state.house.settings.data / "painting.png"
        path.write_bytes(answer.content)
        assert images.load(path).size == (48, 32)
        kept = images.read_settings(path)
        assert json.loads(kept)["content"]["name"] == "cat.jpg"
        assert str(app.state.house.settings.data) not in kept  # nothing about this machine's folders
        assert app.state.house.jobs.workshop.begun == 2
