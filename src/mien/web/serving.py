"""The app behind a real socket, until somebody stops it."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from mien.errors import OptionError
from mien.web.app import create_app
from mien.web.settings import ServeSettings

_CONNECTIONS = 1000
_HEADER_SECONDS = 10.0
"""For the first request of a connection to come: half of one would hold a place for ever."""
_LAST_WORDS = 5  # seconds for requests in hand, once the server is told to stop


class _Impatient(H11Protocol):
    """Closes a connection on which no whole request has come."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.loop.call_later(_HEADER_SECONDS, self._give_up)

    def _give_up(self) -> None:
        if self.cycle is None and not self.transport.is_closing():
            self.transport.close()


class _Server(uvicorn.Server):
    """A server that says when it is there, and lets those go who follow a job when it is to stop."""

    def __init__(self, config: uvicorn.Config, app: FastAPI, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._app, self._ready = app, ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.should_exit:
            self._ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._app.state.house.jobs.stop_streams()
        super().handle_exit(sig, frame)


def serve_until_stopped(settings: ServeSettings, ready: Callable[[str], None]) -> None:
    """Serve until Ctrl-C or SIGTERM; `ready` is told the address once it answers.

    Raises OptionError if the address is taken or is none of this machine's, or another server has the data folder.
    """
    app = create_app(settings)
    app.state.house.jobs.claim()  # here, where a refusal still becomes a sentence
    with _listening(settings) as listener:
        server = _Server(_config(app, settings), app, lambda: ready(address_of(settings, listener)))
        try:
            server.run(sockets=[listener])
        except KeyboardInterrupt:
            # uvicorn raises the signal again when all is put away; that was the way to end it.
            logging.getLogger("mien.web").info("stopped")


def address_of(settings: ServeSettings, listener: socket.socket) -> str:
    """What to type into a browser, without an end: http://127.0.0.1:8808."""
    host, port = settings.host, listener.getsockname()[1]
    if host in ("0.0.0.0", "::"):
        host = next(iter(settings.names), socket.gethostname())
    return f"{settings.scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _listening(settings: ServeSettings) -> socket.socket:
    try:
        (family, kind, _, _, place), *_ = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        listener = socket.socket(family, kind)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
    except OSError as error:
        raise OptionError(
            f"Expected to listen on {settings.host}, port {settings.port}, but the system refused it "
            f"({error.strerror}); choose another with --host or --port."
        ) from error
    return listener


def _config(app: FastAPI, settings: ServeSettings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=settings.host,
        ssl_certfile=settings.certificate,
        ssl_keyfile=settings.key,
        log_config=None,
        access_log=False,  # uvicorn's would hold addresses and queries; ours is in observing
        server_header=False,
        # Anybody could claim to be somebody else with a header.
        proxy_headers=False,
        ws="none",
        http=_Impatient,
        lifespan="on",
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=_LAST_WORDS,
    )
