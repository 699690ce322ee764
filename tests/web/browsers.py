"""Browsers for the web's tests, and a server behind a real socket."""

import socket
import threading
import time
from contextlib import contextmanager

import uvicorn
from fastapi.testclient import TestClient

TOKEN = "the-administrators-token"
ORIGIN = "http://127.0.0.1:8808"


class Client(TestClient):
    """A browser on the server's own pages: it names the Origin with everything that changes something."""

    def __init__(self, app, **values):
        super().__init__(app, base_url=ORIGIN, client=("127.0.0.1", 50_000), **values)
        self.headers["origin"] = ORIGIN


@contextmanager
def running(app):
    """The app behind a real socket; gives its address."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_config=None, access_log=False, server_header=False, proxy_headers=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        app.state.house.jobs.stop_streams()
        server.should_exit = True
        thread.join(20)
        listener.close()
