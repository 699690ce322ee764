"""A real browser at a real server: paint, cancel, reload; enrol; be welcomed as a head, and refused as a photo.

The fake camera plays a file. Its head is synthetic: one real photo, warped in depth (mien.faces.liveness.rehearsal).
"""

import io
import itertools
import shutil
from contextlib import contextmanager

import cv2
import pytest
from browsers import TOKEN, running
from PIL import Image
from skimage import data

from mien.faces.liveness import rehearsal
from mien.web.app import create_app

playwright = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(600),
    pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium"),
]
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync"]
STEPS = ("left", "up")
FPS = 10
# A slow machine shows the page few frames a second: whoever moves in front of it takes their time.
SLOWLY = {"fps": FPS, "rest": 2.5, "turn": 1.2, "hold": 1.2}


class Drawn:
    """Draws these steps, over and over, in place of chance: a file cannot follow what nobody knows before."""

    def __init__(self, *steps):
        self._steps = itertools.cycle(steps)

    def choice(self, options):
        return next(self._steps)


@contextmanager
def browsing(address, *, camera=None):
    """A tab; afterwards, that nothing was complained about, and that nothing left this machine."""
    flags = list(FLAGS)
    if camera is not None:
        flags += ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
        flags.append(f"--use-file-for-fake-video-capture={camera}")
    complaints, elsewhere = [], []
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=flags)
        context = browser.new_context(permissions=["camera"] if camera else [], viewport={"width": 1200, "height": 900})
        tab = context.new_page()
        tab.set_default_timeout(60_000)
        tab.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        here = (address, "blob:", "data:")
        tab.on("request", lambda asked: None if asked.url.startswith(here) else elsewhere.append(asked.url))
        yield tab
        browser.close()
    assert complaints == []
    assert elsewhere == []


def filmed(path, frames):
    """The frames as a raw video that Chromium plays as a camera."""
    frames = list(frames)
    height, width = frames[0].shape[:2]
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{width} H{height} F{FPS}:1 Ip A1:1 C420jpeg\n".encode())
        for frame in frames:
            file.write(b"FRAME\n" + cv2.cvtColor(frame, cv2.COLOR_RGB2YUV_I420).tobytes())
    return path


@pytest.fixture
def photo(tmp_path):
    """A small photo as a file."""
    path = tmp_path / "cat.png"
    Image.fromarray(data.chelsea()).resize((128, 85)).save(path)
    return path


@pytest.fixture
def office(settings, tmp_path, monkeypatch):
    """A server whose door asks for two movements."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("MIEN_KEY", raising=False)
    made = create_app(settings(gallery=str(tmp_path / "office.db")), choose=Drawn(*STEPS))
    with running(made) as address:
        yield address


def choose(tab, photo, *, size):
    tab.set_input_files("#photo", photo)
    tab.locator("#styles input[type=checkbox]").first.check()
    tab.locator("#size").fill(str(size))


def test_a_photo_is_painted_downloaded_and_still_there_after_a_reload(settings, photo):
    with running(create_app(settings())) as address, browsing(address) as tab:
        tab.goto(address)
        choose(tab, photo, size=0)  # the smallest
        tab.click("#paint")
        download = tab.get_by_role("link", name="Download")
        download.wait_for(timeout=180_000)
        with tab.expect_download() as coming:
            download.click()
        picture = Image.open(io.BytesIO(coming.value.path().read_bytes()))
        assert picture.size == (128, 85)
        tab.reload()
        tab.locator("#strip img").first.wait_for()
        assert tab.locator("#strip img").count() == 1
        tab.set_viewport_size({"width": 390, "height": 844})
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")  # a phone need not scroll sideways


def test_a_painting_can_be_cancelled_and_its_page_reloaded_meanwhile(settings, photo):
    with running(create_app(settings())) as address, browsing(address) as tab:
        tab.goto(address)
        choose(tab, photo, size=4)
        tab.click("#paint")
        tab.get_by_role("button", name="Cancel", exact=True).wait_for()
        tab.reload()
        tab.get_by_role("button", name="Cancel", exact=True).click()
        tab.get_by_role("button", name="Cancel", exact=True).wait_for(state="hidden")
        (job,) = tab.request.get(f"{address}/api/v1/jobs").json()["jobs"]
        assert job["state"] == "cancelled"


def enrol(tab, address, tmp_path):
    """The administrator enrols Eileen."""
    Image.fromarray(data.astronaut()).save(tmp_path / "eileen.png")
    tab.goto(f"{address}/door/admin#token={TOKEN}")
    tab.get_by_role("link", name="Enrol").click()
    assert TOKEN not in tab.url
    tab.set_input_files("#photos", tmp_path / "eileen.png")
    tab.fill("#name", "Eileen")
    tab.check("#consent")
    tab.click("#enrol-do")
    tab.locator("#enrol-done").get_by_text("Eileen").first.wait_for()


def step_up(tab, *, tries):
    """What the door says at the end, having tried so often."""
    for _ in range(tries):
        tab.click("#begin")
        ends = ", ".join(f'#main[data-state="{end}"]' for end in ("admitted", "refused", "locked"))
        tab.locator(ends).wait_for(timeout=90_000)
        if tab.get_attribute("#main", "data-state") == "admitted":
            break
    return tab.get_attribute("#main", "data-state"), tab.inner_text("#sentence")


def test_a_head_that_follows_the_challenge_is_welcomed_and_the_log_says_so(office, tmp_path):
    camera = filmed(tmp_path / "head.y4m", rehearsal.head_turn(data.astronaut(), STEPS, **SLOWLY))
    with browsing(office, camera=camera) as tab:
        enrol(tab, office, tmp_path)
        tab.goto(f"{office}/door")
        # The file goes on as it pleases: whoever comes in at the wrong moment tries again.
        assert step_up(tab, tries=4) == ("admitted", "Welcome, Eileen")
        tab.goto(f"{office}/door/admin#log")
        tab.locator("#log").get_by_text("Eileen").first.wait_for()
        tab.click("#verify")
        tab.locator("#verified").get_by_text("whole").wait_for()


@pytest.mark.parametrize("clip", ["the same photo, held", "the same photo, turned as a sheet"])
def test_a_photo_of_somebody_enrolled_is_refused(office, tmp_path, clip):
    if clip == "the same photo, held":
        frames = rehearsal.still(data.astronaut(), seconds=12, fps=FPS)
    else:
        frames = rehearsal.flat_turn(data.astronaut(), STEPS, **SLOWLY)
    camera = filmed(tmp_path / "photo.y4m", frames)
    with browsing(office, camera=camera) as tab:
        enrol(tab, office, tmp_path)
        tab.goto(f"{office}/door")
        state, sentence = step_up(tab, tries=1)
        assert state == "refused"
        assert "Eileen" not in sentence


def test_the_explorer_makes_a_report_that_opens_in_its_frame(settings, tmp_path):
    for name in ("chelsea", "coffee", "astronaut"):
        Image.fromarray(getattr(data, name)()).resize((96, 96)).save(tmp_path / f"{name}.png")
    with running(create_app(settings())) as address, browsing(address) as tab:
        tab.goto(f"{address}/explorer")
        tab.set_input_files("#pictures", sorted(tmp_path.glob("*.png")))
        tab.locator("#units").fill("2")
        tab.click("#go")
        frame = tab.locator("iframe")
        frame.wait_for(timeout=240_000)
        heading = tab.frame_locator("iframe").get_by_role("heading").first
        heading.wait_for()
        assert "vgg19" in heading.inner_text()
