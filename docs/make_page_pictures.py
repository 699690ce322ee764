"""Make the pictures of `mien serve` for the docs: each room wide and in light, and beside it on a phone in the dark.

    python docs/make_page_pictures.py

A real server, a real Chromium, a camera that plays a file: a head that is one photo warped in depth (synthetic, from
NASA's astronaut). Photos are those that scikit-image carries. It takes some minutes.
"""

from __future__ import annotations

import itertools
import os
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import uvicorn
from PIL import Image
from playwright.sync_api import BrowserContext, Page, sync_playwright
from skimage import data

from mien.faces.liveness import rehearsal
from mien.web.app import create_app
from mien.web.settings import ServeSettings

PICTURES = Path(__file__).parent / "pictures"
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
WIDE, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 800}
TOKEN, FPS = "the-token-of-the-pictures", 10


class Left:
    """Draws the same movements every time."""

    def __init__(self) -> None:
        self._steps = itertools.cycle(("left", "up"))

    def choice(self, options: Any) -> str:
        """The next one."""
        return next(self._steps)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The server's address."""
    settings = ServeSettings(data=folder / "data", gallery=str(folder / "office.db"), token=TOKEN)
    app = create_app(settings, choose=Left())
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    app.state.house.jobs.stop_streams()
    server.should_exit = True
    thread.join(20)


def camera(path: Path) -> Path:
    """A raw video for Chromium's camera."""
    frames = list(rehearsal.head_turn(data.astronaut(), ("left", "up"), fps=FPS, rest=3.0, turn=1.5, hold=2.5))
    height, width = frames[0].shape[:2]
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{width} H{height} F{FPS}:1 Ip A1:1 C420jpeg\n".encode())
        for frame in frames:
            file.write(b"FRAME\n" + cv2.cvtColor(frame, cv2.COLOR_RGB2YUV_I420).tobytes())
    return path


def put_together(name: str, wide: Path, phone: Path) -> None:
    """The two pictures side by side, as a JPEG of the docs."""
    left, right = Image.open(wide).convert("RGB"), Image.open(phone).convert("RGB")
    both = Image.new("RGB", (left.width + right.width + 24, left.height), (128, 128, 128))
    both.paste(left, (0, 0))
    both.paste(right, (left.width + 24, 0))
    both.resize((both.width * 3 // 4, both.height * 3 // 4), Image.Resampling.LANCZOS).save(
        PICTURES / f"{name}.jpg", quality=88
    )


def shoot(tab: Page, folder: Path, name: str) -> Path:
    """What the tab shows."""
    tab.wait_for_timeout(1500)
    path = folder / f"{name}.png"
    tab.screenshot(path=str(path))
    return path


def paint(tab: Page, address: str, folder: Path) -> None:
    """Paint the cat, and wait for it."""
    Image.fromarray(data.chelsea()).save(folder / "chelsea.png")
    tab.goto(address)
    tab.set_input_files("#photo", folder / "chelsea.png")
    tab.get_by_role("checkbox", name="waves").check()
    tab.locator("#size").fill("2")
    tab.click("#paint")
    tab.get_by_role("link", name="Download").wait_for(timeout=400_000)


def look(tab: Page, address: str, folder: Path) -> None:
    """Look at VGG-19 by some photographs, and wait for the report."""
    names = []
    for name in ("chelsea", "coffee", "astronaut", "rocket"):
        Image.fromarray(getattr(data, name)()).resize((224, 224)).save(folder / f"look-{name}.png")
        names.append(folder / f"look-{name}.png")
    tab.goto(f"{address}/explorer")
    tab.set_input_files("#pictures", names)
    tab.locator("#units").fill("6")
    tab.click("#go")
    tab.locator("iframe").wait_for(timeout=600_000)
    tab.wait_for_timeout(4000)


def enrol(tab: Page, address: str, folder: Path) -> None:
    """Enrol the astronaut."""
    Image.fromarray(data.astronaut()).save(folder / "eileen.png")
    tab.goto(f"{address}/door/admin#token={TOKEN}")
    tab.get_by_role("link", name="Enrol").click()
    tab.set_input_files("#photos", folder / "eileen.png")
    tab.fill("#name", "Eileen")
    tab.check("#consent")
    tab.click("#enrol-do")
    tab.locator("#enrol-done").get_by_text("Eileen").first.wait_for()


def challenge(context: BrowserContext, address: str, folder: Path, name: str) -> Path:
    """The door as it asks for a movement; the try goes on to its end."""
    tab = context.new_page()
    tab.goto(f"{address}/door")
    tab.click("#begin")
    tab.locator('#main[data-state="challenge"]').wait_for(timeout=60_000)
    path = shoot(tab, folder, name)
    tab.locator('#main[data-state="admitted"], #main[data-state="refused"]').wait_for(timeout=60_000)
    tab.close()
    return path


def main() -> None:
    """All pictures."""
    with tempfile.TemporaryDirectory() as place, sync_playwright() as play:
        folder = Path(place)
        os.environ["XDG_CONFIG_HOME"] = place
        film = camera(folder / "head.y4m")
        flags = [*FLAGS, "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
        flags.append(f"--use-file-for-fake-video-capture={film}")
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=flags)
        with served(folder) as address:
            wide = browser.new_context(viewport=WIDE, color_scheme="light", permissions=["camera"])
            tab = wide.new_page()
            tab.set_default_timeout(120_000)
            paint(tab, address, folder)
            shots = {"studio": shoot(tab, folder, "studio-wide")}
            look(tab, address, folder)
            shots["explorer"] = shoot(tab, folder, "explorer-wide")
            enrol(tab, address, folder)
            shots["door"] = challenge(wide, address, folder, "door-wide")
            tab.goto(f"{address}/door/admin#log")
            shots["office"] = shoot(tab, folder, "office-wide")
            state = wide.storage_state()
            phone = browser.new_context(
                viewport=PHONE, color_scheme="dark", permissions=["camera"], storage_state=state, has_touch=True
            )
            small = {"door": challenge(phone, address, folder, "door-phone")}
            tab = phone.new_page()
            for room, path in (("studio", "/"), ("explorer", "/explorer"), ("office", "/door/admin#risk")):
                tab.goto(f"{address}{path}")
                if room == "studio":
                    tab.locator("#strip button").nth(1).click()
                small[room] = shoot(tab, folder, f"{room}-phone")
            for room, shot in shots.items():
                put_together(f"serve-{room}", shot, small[room])
        browser.close()


if __name__ == "__main__":
    sys.exit(main())
