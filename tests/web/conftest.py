"""What the web's tests share: settings with a folder of their own, the app without a socket, and one with."""

import io
from contextlib import contextmanager

import httpx
import numpy as np
import pytest
from browsers import TOKEN, Client, running
from PIL import Image

from mien.web.app import create_app
from mien.web.settings import ServeSettings


@pytest.fixture
def bearer():
    return {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def settings(tmp_path):
    """A function: settings that keep everything in this test's folder."""

    def make(**values):
        return ServeSettings(**{"data": tmp_path / "serve", "token": TOKEN, "port": 8808, **values})

    return make


@pytest.fixture
def app(settings):
    return create_app(settings())


@pytest.fixture
def browser(app):
    """One browser, with its cookie."""
    with Client(app) as client:
        client.get("/api/v1/about")
        yield client


@pytest.fixture
def another(app):
    """A function: another browser at the same, running server."""

    def make():
        client = Client(app)
        client.get("/api/v1/about")
        return client

    return make


@pytest.fixture
def jpeg():
    """A function: a seeded picture as a JPEG's bytes."""

    def make(width=48, height=32, seed=0):
        pixels = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), np.uint8)
        file = io.BytesIO()
        Image.fromarray(pixels).resize((width, height)).save(file, "JPEG")
        return file.getvalue()

    return make


@pytest.fixture
def served():
    """A function: a context in which an app runs behind a real socket, and a client of it with a cookie."""

    @contextmanager
    def serve(app):
        with running(app) as address, httpx.Client(base_url=address, headers={"origin": address}, timeout=30) as client:
            client.get("/api/v1/about")
            yield client

    return serve
