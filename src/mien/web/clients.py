"""Who asks: a browser by its random cookie, a script by the administrator's token, and whether it is the administrator.

The cookie `mien` owns jobs and tries at the door. The cookie `mien_session` stands for the token, which itself never
lies in a browser. Only digests are kept.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import HTTPConnection

CLIENT, SESSION = "mien", "mien_session"
SESSION_SECONDS = 12 * 3600.0
CLIENT_SECONDS = 90 * 24 * 3600
_VALUE = re.compile(r"[A-Za-z0-9_-]{43}")
_MOST_SESSIONS = 100


@dataclass(frozen=True)
class Visitor:
    """Who is behind a request."""

    owner: str
    """What their jobs are kept under; nobody can tell the cookie from it."""
    administrator: bool
    address: str
    """Of their machine; of an IPv6 one the network, as a machine may take any address in it."""
    new_cookie: str | None
    """What their browser is to be given."""
    by_cookie: bool
    """Whether a cookie of ours came along, as it does from any page that a browser shows."""

    @property
    def known(self) -> str:
        """Whom to count requests for: the client, or the address of one who has no cookie yet."""
        return self.address if self.new_cookie else self.owner


class Sessions:
    """The administrator's token, and the browsers that have shown it."""

    def __init__(self, token: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._token = token.encode()
        self._clock = clock
        self._open: OrderedDict[str, float] = OrderedDict()  # digest of the cookie -> when it ends

    def is_token(self, text: str) -> bool:
        """Whether this is the token, found in the same time wherever it differs."""
        return hmac.compare_digest(text.encode("utf-8", "surrogatepass"), self._token)

    def open(self) -> str:
        """A new session's cookie."""
        value = secrets.token_urlsafe(32)
        self._open[_digest(value)] = self._clock() + SESSION_SECONDS
        if len(self._open) > _MOST_SESSIONS:
            self._open.popitem(last=False)
        return value

    def is_open(self, value: str) -> bool:
        """Whether this cookie belongs to a session that goes on."""
        ends = self._open.get(_digest(value))
        return ends is not None and self._clock() < ends

    def close(self, value: str) -> None:
        """End a session."""
        self._open.pop(_digest(value), None)


def recognise(connection: HTTPConnection, sessions: Sessions) -> Visitor:
    """The visitor behind a request; one without a cookie gets a new one."""
    cookies = connection.cookies
    cookie, session = cookies.get(CLIENT, ""), cookies.get(SESSION, "")
    bearer = connection.headers.get("authorization", "")
    scripted = bearer[:7].lower() == "bearer " and sessions.is_token(bearer[7:].strip())
    address = _address(connection.client.host if connection.client else "")
    new = None
    if not _VALUE.fullmatch(cookie):
        # A script that shows the token with every request is one client, and needs no cookie.
        cookie = new = secrets.token_urlsafe(32)
        if scripted:
            cookie, new = "the administrator's scripts", None
    return Visitor(
        owner=_digest(cookie),
        administrator=scripted or bool(session and sessions.is_open(session)),
        address=address,
        new_cookie=new,
        by_cookie=CLIENT in cookies or SESSION in cookies,
    )


def set_cookie(name: str, value: str, *, seconds: float, secure: bool) -> str:
    """A Set-Cookie header: for this site alone, and out of reach of scripts.

    A link from elsewhere brings the client's own cookie along, else it would come as a newcomer, and lose its jobs; it
    never brings the administrator's. What changes something is guarded by its Origin.
    """
    end = "; Secure" if secure else ""
    site = "Lax" if name == CLIENT else "Strict"
    return f"{name}={value}; Path=/; Max-Age={int(seconds)}; HttpOnly; SameSite={site}{end}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _address(text: str) -> str:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return text
    if isinstance(found, ipaddress.IPv6Address) and not found.is_loopback:
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)
