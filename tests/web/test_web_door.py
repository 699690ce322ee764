"""The door over HTTP: a head that follows is welcomed, a flat photo is not, and nobody learns more than a sentence."""

import importlib.metadata
import io
import itertools
import time

import cv2
import pytest
from browsers import Client
from PIL import Image
from skimage import data

from mien import images
from mien.faces.liveness import rehearsal
from mien.web.app import create_app
from mien.web.settings import Limits

STEPS = ("left", "up")


class Drawn:
    """Draws these steps, over and over."""

    def __init__(self, *steps):
        self._steps = itertools.cycle(steps)

    def choice(self, options):
        return next(self._steps)


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    cv2.setNumThreads(1)


@pytest.fixture(scope="module")
def hopper():
    """Grace Hopper, 600 × 512 (matplotlib; US Navy)."""
    file = next(f for f in importlib.metadata.files("matplotlib") if f.name == "grace_hopper.jpg")
    return images.load(str(file.locate())).pixels


def jpeg(pixels, quality=92):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return file.getvalue()


@pytest.fixture(scope="module")
def clips():
    """Frames as JPEG: of a head that does the steps, of a flat photo turned in the same way, and of one held."""
    photo = data.astronaut()
    made = {
        "head": rehearsal.head_turn(photo, STEPS),
        "flat": rehearsal.flat_turn(photo, STEPS),
        "still": rehearsal.still(photo, seconds=3),
    }
    return {name: [jpeg(frame) for frame in frames] for name, frames in made.items()}


class Clock:
    """Seconds as the test sets them."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def office(clock, settings, tmp_path, monkeypatch, bearer):
    """A function: an app whose gallery knows Eileen, with movements alone; the clock of its tries can be set."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("MIEN_KEY", raising=False)

    def make(*, enrolled=True, **values):
        made = settings(gallery=str(tmp_path / "gallery.db"), liveness=None, **values)
        app = create_app(made, choose=Drawn(*STEPS), clock=clock)
        if enrolled:
            with Client(app) as client:
                files = {"photos": jpeg(data.astronaut())}
                form = {"name": "Eileen", "consent": "true"}
                assert client.post("/api/v1/people", files=files, data=form, headers=bearer).status_code == 201
            app = create_app(app.state.house.settings, choose=Drawn(*STEPS), clock=clock)
        return app

    return make


def begin(browser):
    answer = browser.post("/api/v1/door/attempts")
    assert answer.status_code == 201, answer.text
    return answer.json()


def show(browser, attempt, number, frame, *, taken=None, nonce=None):
    return browser.post(
        f"/api/v1/door/attempts/{attempt['id']}/frames",
        params={"nonce": nonce or attempt["nonce"], "n": number, "taken": number / 12 if taken is None else taken},
        content=frame,
        headers={"content-type": "image/jpeg"},
    )


def walk(browser, frames, clock):
    """One try, frame by frame as the clock goes on, until it is over; everything that was told."""
    attempt, told, begun = begin(browser), [], clock.now
    for number, frame in enumerate(frames):
        clock.now = begun + number / 12
        answer = show(browser, attempt, number, frame)
        assert answer.status_code == 200, answer.text
        told.append(answer.json())
        if told[-1]["phase"] in ("admitted", "refused"):
            break
    return attempt, told


def test_a_head_that_follows_is_welcomed_and_the_log_knows(office, clock, clips, bearer):
    with Client(office()) as browser:
        browser.get("/door")
        assert browser.get("/api/v1/door").json() == {"ready": True, "why": "", "steps": 2, "locked": 0}
        attempt, told = walk(browser, clips["head"], clock)
        assert (told[-1]["phase"], told[-1]["sentence"]) == ("admitted", "Welcome, Eileen")
        prompts = [prompt for prompt, _ in itertools.groupby(t["prompt"] for t in told) if prompt]
        assert [prompt for prompt in prompts if prompt != "front"] == list(STEPS)
        assert told[0]["phase"] == "looking"
        assert {t["steps"] for t in told} == {2}
        assert all(0 <= side <= 1 for t in told if t["box"] for side in t["box"])
        # Neither a score nor a reason leaves the house, and nobody is named before the end.
        assert {key for t in told for key in t} == {"phase", "sentence", "prompt", "step", "steps", "box"}
        assert not any("Eileen" in t["sentence"] for t in told[:-1])
        over = show(browser, attempt, 10_000, clips["head"][0])
        assert over.status_code == 409
        assert "over" in over.json()["error"]
        entries = browser.get("/api/v1/audit", headers=bearer).json()["entries"]
        assert (entries[0]["event"], entries[0]["name"], entries[0]["source"]) == ("admit", "Eileen", "web")


@pytest.mark.parametrize("clip", ["flat", "still"])
def test_a_photo_of_somebody_enrolled_is_not_let_in(office, clock, clips, clip, bearer):
    with Client(office()) as browser:
        browser.get("/door")
        _, told = walk(browser, clips[clip], clock)
        assert all(t["phase"] != "admitted" for t in told)
        assert not any("Eileen" in t["sentence"] for t in told)
        if clip == "flat":
            assert told[-1]["phase"] == "refused"
            assert browser.get("/api/v1/audit", headers=bearer).json()["entries"][0]["event"] == "refuse"


def test_the_networks_are_loaded_before_somebody_tries(office):
    app = office(enrolled=False)
    with Client(app) as browser:
        browser.get("/api/v1/about")
        assert app.state.house.faces._recognizer is None
        browser.get("/api/v1/door")
        deadline = time.monotonic() + 20
        while app.state.house.faces._recognizer is None:
            assert time.monotonic() < deadline
            time.sleep(0.02)


@pytest.mark.slow
def test_a_living_stranger_is_told_so(office, clock, hopper):
    with Client(office()) as browser:
        browser.get("/door")
        frames = (jpeg(frame) for frame in rehearsal.head_turn(hopper, STEPS))
        _, told = walk(browser, frames, clock)
        assert told[-1]["phase"] == "refused"
        assert told[-1]["sentence"] in ("Not in the database", "Not admitted. Please try again or ask at the desk.")


def test_a_try_is_its_own_browsers_alone(office, clips, another):
    app = office(enrolled=False)
    with Client(app) as browser:
        browser.get("/door")
        attempt = begin(browser)
        other = Client(app)
        other.get("/door")
        assert show(other, attempt, 0, clips["still"][0]).status_code == 404
        for nonce in ("wrong", "ä", attempt["nonce"][:-1], attempt["nonce"] + "x"):
            assert show(browser, attempt, 0, clips["still"][0], nonce=nonce).status_code == 404
        assert show(browser, {**attempt, "id": "../" + attempt["id"]}, 0, clips["still"][0]).status_code == 404
        assert show(browser, attempt, 0, clips["still"][0]).status_code == 200


def test_a_frame_is_shown_once_and_in_order(office, clips):
    with Client(office(enrolled=False)) as browser:
        browser.get("/door")
        attempt = begin(browser)
        assert show(browser, attempt, 5, clips["still"][0]).status_code == 200
        for number in (5, 4, 0):
            assert show(browser, attempt, number, clips["still"][1]).status_code == 409
        assert show(browser, attempt, 6, clips["still"][2], taken=1).status_code == 200


@pytest.mark.parametrize("taken", ["nan", "inf", "-inf"])
def test_a_frame_needs_a_time(office, clips, taken):
    with Client(office(enrolled=False)) as browser:
        browser.get("/door")
        assert show(browser, begin(browser), 0, clips["still"][0], taken=taken).status_code == 422


def test_what_is_no_small_jpeg_is_no_frame(office, clips):
    with Client(office(enrolled=False, limits=Limits(frame_pixels=10_000))) as browser:
        browser.get("/door")
        attempt = begin(browser)
        for frame in (b"", b"no picture", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0" + b"\0" * 50, clips["still"][0]):
            answer = show(browser, attempt, 0, frame)
            assert answer.status_code == 422, frame[:10]
        assert "10,000 pixels" in answer.json()["error"]
        # None of these counted as a frame that was shown.
        assert show(browser, attempt, 0, clips["still"][0]).status_code == 422


def test_five_failures_lock_browser_and_address(office, clock, clips):
    app = office()
    with Client(app) as browser:
        browser.get("/door")
        for _ in range(5):
            assert browser.get("/api/v1/door").json()["locked"] == 0
            _, told = walk(browser, clips["head"][:8], clock)
            assert told[-1]["prompt"] == "left"  # and walks away
            clock.now += 60
        locked = browser.post("/api/v1/door/attempts")
        assert locked.status_code == 429
        assert int(locked.headers["retry-after"]) == pytest.approx(300, abs=1)
        assert locked.json()["error"] == "Please wait a few minutes, or ask at the desk."
        assert browser.get("/api/v1/door").json()["locked"] == pytest.approx(300, abs=1)
        fresh = Client(app)  # a new cookie does not help
        fresh.get("/door")
        assert fresh.post("/api/v1/door/attempts").status_code == 429
        clock.now += 300
        assert browser.get("/api/v1/door").json()["locked"] == 0
        assert browser.post("/api/v1/door/attempts").status_code == 201


def test_there_are_only_so_many_tries_at_once_and_one_for_each_browser(office, clock, clips):
    app = office(enrolled=False, limits=Limits(attempts=2))
    with Client(app) as first:
        others = [Client(app) for _ in range(2)]
        for browser in (first, *others):
            browser.get("/door")
        attempt = begin(first)
        begin(others[0])
        full = others[1].post("/api/v1/door/attempts")
        assert (full.status_code, full.headers["retry-after"]) == (429, "5")
        begin(first)  # in place of the one before
        assert show(first, attempt, 0, clips["still"][0]).status_code == 409
        clock.now = 60.0
        begin(others[1])


def test_a_try_ends_after_a_minute(office, clock, clips):
    app = office(enrolled=False)
    with Client(app) as browser:
        browser.get("/door")
        attempt = begin(browser)
        clock.now = 60.0
        assert show(browser, attempt, 0, clips["still"][0]).status_code == 409


def test_a_door_without_a_gallery_is_closed_and_says_why(browser):
    door = browser.get("/api/v1/door").json()
    assert (door["ready"], door["why"]) == (False, "This server was started without a gallery.")
    assert browser.get("/api/v1/about").json()["rooms"]["door"] == {"ready": False, "why": door["why"]}
    answer = browser.post("/api/v1/door/attempts")
    assert (answer.status_code, answer.json()["error"]) == (409, door["why"])


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"liveness": None, "steps": 0}, "This server asks for no movements, and has no liveness network."),
        ({"liveness": "no such"}, "The network that tells living faces from pictures is not there."),
    ],
)
def test_a_door_that_would_check_nothing_is_closed(settings, tmp_path, values, why):
    with Client(create_app(settings(gallery=str(tmp_path / "gallery.db"), **values))) as browser:
        browser.get("/door")
        door = browser.get("/api/v1/door").json()
        assert (door["ready"], door["why"]) == (False, why)
        assert browser.post("/api/v1/door/attempts").json() == {"error": why}
