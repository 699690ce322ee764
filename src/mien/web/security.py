"""The entrance: every request passes here before any route sees it, and every answer on its way out.

Refused are foreign Hosts (a name that an attacker lets point to this machine), state changes that another page started
(foreign Origin), anybody without the token where other machines can connect, too many requests, and bodies that are too
large or too slow. Answers carry the content security policy and its kin. There are no CORS headers at all.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from fastapi.routing import APIRoute
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mien.web import clients
from mien.web.clients import Sessions, Visitor
from mien.web.problems import Refusal, TooMany, answer
from mien.web.rates import Rates
from mien.web.sentences import BROKEN, log_failure
from mien.web.settings import ServeSettings, is_loopback

CONTENT_POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; object-src 'none'; "
    "frame-ancestors 'self'; base-uri 'none'; form-action 'self'"
)
# A report's page is made of what somebody uploaded: its script runs in an origin of its own, and reaches nothing.
REPORT_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src 'self' blob: data:; frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), payment=(), usb=()",
}
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_SESSION = "/api/v1/session"
_HELD = ("/api/", "/health/ready", "/metrics")
"""What needs the token where other machines can connect; the pages themselves hold nothing that is not public."""


class Watch(Protocol):
    """Who is told of every request: which owner asked, and how it ended."""

    def present(self, owner: str) -> None:
        """This owner has just asked for something."""
        ...

    def answered(self, scope: Scope, status: int, seconds: float) -> None:
        """A request was answered."""
        ...


class Guard:
    """The ASGI application at the entrance, with the app behind it."""

    def __init__(self, app: ASGIApp, *, settings: ServeSettings, sessions: Sessions, watch: Watch) -> None:
        self._app, self._settings, self._sessions, self._watch = app, settings, sessions, watch
        limits = settings.limits
        self._requests = Rates(limits.requests_a_second, 3 * limits.requests_a_second)
        # Whoever throws cookies away is still one machine; on loopback all clients are, hence the generous factor.
        self._machines = Rates(8 * limits.requests_a_second, 24 * limits.requests_a_second)
        self._uploads = Rates(limits.uploads_a_minute / 60, max(5.0, limits.uploads_a_minute / 4))
        self._upload_machines = Rates(limits.uploads_a_minute / 10, max(20.0, 2 * limits.uploads_a_minute))
        self._tokens = Rates(limits.tokens_a_minute / 60, limits.tokens_a_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer it here."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # there are no web sockets here
            await send({"type": "websocket.close", "code": 1008})
            return
        connection = HTTPConnection(scope)
        visitor = clients.recognise(connection, self._sessions)
        scope.setdefault("state", {})["visitor"] = visitor
        outcome = _Outcome(send, self._extra_headers(scope, visitor))
        begun = time.perf_counter()
        try:
            refusal = self._refusal(connection, visitor)
            if refusal is not None:
                await refusal(scope, receive, outcome.send)
            else:
                self._watch.present(visitor.owner)
                outcome.admit()
                await self._app(scope, self._measured(scope, receive), outcome.send)
        except Exception as error:
            log_failure(error, str(getattr(scope.get("route"), "path", "a request")))
            if outcome.status == 0:
                await answer(500, BROKEN)(scope, receive, outcome.send)
        finally:
            self._watch.answered(scope, outcome.status, time.perf_counter() - begun)

    # ---- who may come in ---------------------------------------------------------------------------------------------

    def _refusal(self, connection: HTTPConnection, visitor: Visitor) -> Response | None:
        try:
            self._check_host(connection)
            self._check_rate(connection, visitor)
            self._check_origin(connection, visitor)
            self._check_length(connection)
        except Refusal as refusal:
            return answer(refusal.status_code, refusal.detail, refusal.headers)
        return self._locked_out(connection, visitor)

    def _check_host(self, connection: HTTPConnection) -> None:
        host = _host_name(connection.headers.get("host", ""))
        # An address cannot be made to point elsewhere, as a name can.
        fine = is_loopback(host) if self._settings.loopback else host == "localhost" or _is_address(host)
        if not fine and host not in {name.lower() for name in self._settings.names}:
            raise Refusal(
                403, "This server is not called by that name; open it by its address, or start it with --name NAME."
            )

    def _check_origin(self, connection: HTTPConnection, visitor: Visitor) -> None:
        if connection.scope["method"] in SAFE:
            return
        origin = connection.headers.get("origin")
        if origin is None:
            # Every browser names the origin of a state change; a script without our cookies has nothing to be stolen.
            fine = not visitor.by_cookie
        else:
            fine = origin.lower() == f"{connection.scope['scheme']}://{connection.headers.get('host', '')}".lower()
        fine = fine and connection.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
        if not fine:
            raise Refusal(403, "Only this server's own pages may change something here (the Origin is another one).")

    def _check_rate(self, connection: HTTPConnection, visitor: Visitor) -> None:
        wait = self._machines.take(visitor.address) or self._requests.take(visitor.known)
        if "authorization" in connection.headers and not visitor.administrator:  # a guess, and a wrong one
            wait = wait or self._tokens.take(visitor.address)
        if connection.scope["method"] == "POST":
            if connection.scope["path"] == _SESSION:
                wait = wait or self._tokens.take(visitor.address)
            elif connection.headers.get("content-type", "").lower().startswith("multipart/"):
                wait = wait or self._upload_machines.take(visitor.address) or self._uploads.take(visitor.known)
        if wait:
            raise TooMany("Too many requests; please wait a moment.", seconds=wait)

    def _check_length(self, connection: HTTPConnection) -> None:
        length = connection.headers.get("content-length", "0")
        if not (length.isascii() and length.isdecimal()) or int(length) > self._most_bytes(connection.scope):
            raise _too_large(self._most_bytes(connection.scope))

    def _locked_out(self, connection: HTTPConnection, visitor: Visitor) -> Response | None:
        """What somebody without the token gets where other machines can connect."""
        path = connection.scope["path"]
        if self._settings.loopback or visitor.administrator or path == _SESSION or not path.startswith(_HELD):
            return None
        return answer(401, "This server asks for the administrator's token.", {"WWW-Authenticate": "Bearer"})

    # ---- what comes in -----------------------------------------------------------------------------------------------

    def _most_bytes(self, scope: Scope) -> int:
        kind = dict(scope["headers"]).get(b"content-type", b"")
        limits = self._settings.limits
        return limits.bytes if kind.lower().startswith(b"multipart/") else limits.frame_bytes

    def _measured(self, scope: Scope, receive: Receive) -> Receive:
        """`receive`, with an end to bodies that are too large, or too slow."""
        most, seconds = self._most_bytes(scope), self._settings.limits.body_seconds
        come, whole = 0, False

        async def measured() -> Message:
            nonlocal come, whole
            if whole:  # what follows is the wait for the client to leave, as long as an answer takes
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), seconds)
            except TimeoutError:
                raise Refusal(408, "Expected the rest of the upload, but it did not come.", headers=_CLOSE) from None
            come += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if come > most:
                raise _too_large(most)
            return message

        return measured

    # ---- what goes out -----------------------------------------------------------------------------------------------

    def _extra_headers(self, scope: Scope, visitor: Visitor) -> dict[str, str]:
        headers = {"Content-Security-Policy": CONTENT_POLICY, **HEADERS}
        if scope["path"].startswith(("/api/", "/health/", "/metrics")):
            headers["Cache-Control"] = "no-store"
        elif scope["path"].startswith("/static/"):
            headers["Cache-Control"] = "no-cache"  # ask whether it changed: a newer mien has newer pages
        if scope["scheme"] == "https":
            headers["Strict-Transport-Security"] = "max-age=31536000"
        if visitor.new_cookie and not scope["path"].startswith(("/static/", "/health/", "/metrics")):
            headers["Set-Cookie"] = clients.set_cookie(
                clients.CLIENT, visitor.new_cookie, seconds=clients.CLIENT_SECONDS, secure=scope["scheme"] == "https"
            )
        return headers


class _Outcome:
    """Sends an answer with its headers, and remembers how it went."""

    def __init__(self, send: Send, headers: dict[str, str]) -> None:
        self.status = 0
        self._send, self._headers, self._admitted = send, headers, False

    def admit(self) -> None:
        """The visitor is let in, and may be given a cookie."""
        self._admitted = True

    async def send(self, message: Message) -> None:
        """One message of the answer."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in self._headers.items():
                if name != "Set-Cookie":
                    headers.setdefault(name, value)
                elif self._admitted:
                    headers.append(name, value)
        await self._send(message)


_CLOSE = {"Connection": "close"}


def _too_large(most: int) -> Refusal:
    return Refusal(
        413,
        f"Expected at most {most / 2**20:,.3g} MB in one request; send fewer or smaller pictures.",
        headers=_CLOSE,
    )


def _host_name(header: str) -> str:
    """The name or address in a Host header, without the port and an IPv6 address's brackets."""
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.rpartition(":")[0].lower() if ":" in header else header.lower()


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def visitor_of(request: Request) -> Visitor:
    """Who asks, as the guard found."""
    visitor: Visitor = request.state.visitor
    return visitor


class AdministratorRoute(APIRoute):
    """A route for administrators: nobody else's body is even read."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Any]]:  # type: ignore[override]
        """The handler, behind the question for the token."""
        handler = super().get_route_handler()

        async def guarded(request: Request) -> Any:
            if not visitor_of(request).administrator:
                raise Refusal(
                    401, "Only the administrator may do this; show the token.", headers={"WWW-Authenticate": "Bearer"}
                )
            return await handler(request)

        return guarded
