"""Fifty clients at once against `mien serve` on loopback: what they are answered, how fast, and what memory it takes.

    python benchmarks/serve.py [--clients 50] [--seconds 60]

Every client is a browser of its own: it opens pages, asks for styles and jobs, sends small paintings, follows them and
takes them back. Anything but an answer below 400, 404 (its job ended meanwhile) or 429 (too much) is an error.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import httpx
import numpy as np
import psutil
from PIL import Image

PAGES = ("/", "/door", "/explorer", "/static/house.css", "/api/v1/about", "/api/v1/options", "/api/v1/styles")
FINE = {404, 429}


def photo(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).resize((400, 300)).save(file, "JPEG")
    return file.getvalue()


class Client:
    """One browser, until the time is over."""

    def __init__(self, address: str, number: int, told: list[tuple[str, int, float]]) -> None:
        self.http = httpx.AsyncClient(base_url=address, headers={"origin": address}, timeout=60)
        self.random, self.told, self.photo = random.Random(number), told, photo(number)
        self.job: str | None = None

    async def live(self, until: float) -> None:
        async with self.http:
            await self.ask("GET", "/")
            while time.monotonic() < until:
                act = self.random.choices((self.look, self.paint, self.follow, self.drop), (10, 2, 1, 1))[0]
                await act()
                await asyncio.sleep(self.random.uniform(0.1, 0.5))

    async def ask(self, method: str, path: str, **what: object) -> httpx.Response:
        begun = time.perf_counter()
        answer = await self.http.request(method, path, **what)  # type: ignore[arg-type]
        self.told.append(
            (f"{method} {re.sub('[0-9a-f]{32}', 'ID', path)}", answer.status_code, time.perf_counter() - begun)
        )
        return answer

    async def look(self) -> None:
        await self.ask("GET", self.random.choice((*PAGES, "/api/v1/jobs", "/api/v1/door")))

    async def paint(self) -> None:
        files = {"photo": ("a.jpg", self.photo), "style_files": ("b.jpg", self.photo)}
        answer = await self.ask("POST", "/api/v1/paintings", files=files, data={"size": "32", "steps": "2,1"})
        if answer.status_code == 202:
            self.job = answer.json()["id"]

    async def follow(self) -> None:
        if self.job is None:
            return
        begun = time.perf_counter()
        async with self.http.stream("GET", f"/api/v1/jobs/{self.job}/events") as stream:
            self.told.append(("GET events", stream.status_code, time.perf_counter() - begun))
            async for line in stream.aiter_lines():
                if line.startswith("data: ") and json.loads(line[6:])["state"] not in ("queued", "running"):
                    break
                if time.perf_counter() - begun > 3:
                    break

    async def drop(self) -> None:
        if self.job is not None:
            await self.ask("DELETE", f"/api/v1/jobs/{self.job}")
            self.job = None


async def watch(process: psutil.Process, until: float) -> list[float]:
    """The server's own memory in MB, once a second; the worker's is counted apart."""
    found = []
    while time.monotonic() < until:
        found.append(process.memory_info().rss / 2**20)
        await asyncio.sleep(1)
    return found


async def load(address: str, process: psutil.Process, clients: int, seconds: float) -> bool:
    told: list[tuple[str, int, float]] = []
    warm = Client(address, 0, told)
    await warm.live(time.monotonic() + 5)  # what is loaded once is no leak
    told.clear()
    until = time.monotonic() + seconds
    memory, *_ = await asyncio.gather(
        watch(process, until), *(Client(address, number, told).live(until) for number in range(clients))
    )
    statuses = Counter(status for _, status, _ in told)
    errors = Counter((what, status) for what, status, _ in told if status >= 400 and status not in FINE)
    taken = sorted(each for _, _, each in told)
    tenth = max(1, len(memory) // 10)
    first, last = float(np.mean(memory[tenth : 3 * tenth])), float(np.mean(memory[-2 * tenth :]))
    print(f"{clients} clients, {seconds:.0f} s: {len(told):,} answers, {len(told) / seconds:.0f} a second")
    print("statuses:", ", ".join(f"{status}: {count:,}" for status, count in sorted(statuses.items())))
    median, slow = (1000 * taken[int(share * len(taken))] for share in (0.5, 0.95))
    print(f"until answered: median {median:.0f} ms, p95 {slow:.0f} ms")
    print(f"server's memory: {first:.0f} MB early, {last:.0f} MB at the end, {max(memory):.0f} MB at most")
    print("errors:", dict(errors) or "none")
    return not errors


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data, gallery = Path(folder) / "serve", Path(folder) / "gallery.db"
        command = [sys.executable, "-m", "mien.cli.serve", "--port", "0", "--quiet", "--data", str(data)]
        server = subprocess.Popen([*command, "--gallery", str(gallery)], stdout=subprocess.PIPE, text=True)
        try:
            if server.stdout is None:
                return 1
            address = server.stdout.readline().split()[-1].rstrip("/")
            fine = asyncio.run(load(address, psutil.Process(server.pid), given.clients, given.seconds))
        finally:
            server.terminate()
            server.wait(30)
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
