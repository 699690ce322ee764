"""Where `mien serve` listens, what it keeps where, and how much it takes."""

from __future__ import annotations

import ipaddress
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from mien.errors import OptionError

TOKEN_LENGTH = 16
"""Letters that an administrator's token has, at least."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much is taken before the answer is "too much"."""

    bytes: int = 64 * 2**20
    """Of one request."""
    pixels: int = 50_000_000
    """Of one picture."""
    size: int = 1536
    """Long side of a painting."""
    steps: int = 2000
    """Steps of a painting, at all scales together."""
    styles: int = 4
    pictures: int = 64
    """Of one look at a network."""
    queue: int = 20
    """Jobs waiting or running."""
    queue_per_client: int = 5
    kept_per_client: int = 50
    """Jobs kept; the oldest ended one gives way."""
    job_seconds: float = 3600.0
    streams_per_client: int = 10
    frame_bytes: int = 400_000
    frame_pixels: int = 4_000_000
    attempts: int = 8
    """Tries at the door at the same time."""
    attempt_seconds: float = 60.0
    faces_waiting: int = 8
    """Questions to the face networks at the same time; one is answered, the others wait."""
    faces_seconds: float = 30.0
    requests_a_second: float = 40.0
    """By one client."""
    uploads_a_minute: float = 60.0
    """By one client."""
    tokens_a_minute: float = 10.0
    """Tries at the administrator's token, by one address."""
    body_seconds: float = 30.0
    """Between two pieces of an upload."""


@dataclass(frozen=True, kw_only=True)
class ServeSettings:
    """What `mien serve` was asked for. OptionError for what would not be safe."""

    data: Path
    """Folder of the jobs."""
    host: str = "127.0.0.1"
    port: int = 8808
    gallery: str | None = None
    """The gallery's address; None closes the door."""
    encoder: str = "sface"
    calibration: str | None = None
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    """The administrator's."""
    certificate: Path | None = None
    key: Path | None = None
    insecure: bool = False
    """Whether another address than loopback may do without TLS."""
    names: tuple[str, ...] = ()
    """Names by which this machine is called; where it listens on loopback `localhost` is known anyway."""
    steps: int = 2
    """Movements that the door asks for; 0: none, the passive check alone."""
    liveness: str | None = "liveness"
    """The network that tells living faces from pictures, or the record of one's own; None: the movements alone."""
    models: tuple[tuple[str, Path], ...] = ()
    """Networks for the Explorer beside vgg19: name and the folder of a checkpoint."""
    keep_hours: float = 24.0
    """How long an ended job is kept."""
    abandoned_seconds: float = 120.0
    """After so long without a word of its owner a job is cancelled."""
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise OptionError(f"Expected a port from 0 to 65535, got {self.port}.")
        if len(self.token) < TOKEN_LENGTH:
            raise OptionError(
                f"Expected a token of at least {TOKEN_LENGTH} letters, got {len(self.token)}; whoever guesses it is "
                "the administrator."
            )
        if (self.certificate is None) != (self.key is None):
            raise OptionError("Expected a certificate and its key, got one of them; give --cert and --key.")
        if not self.loopback and self.certificate is None and not self.insecure:
            raise OptionError(
                f"Expected a certificate to listen on {self.host}, where other machines can read along; give --cert "
                "and --key, or say --insecure if something else encrypts the way."
            )
        if not 0 <= self.steps <= 5:
            raise OptionError(f"Expected 0 to 5 movements at the door, got {self.steps}.")
        if not 0 < self.keep_hours <= 876_000:
            raise OptionError(
                f"Expected to keep ended jobs for more than 0 hours, up to a century, got {self.keep_hours}."
            )

    @property
    def loopback(self) -> bool:
        """Whether only this machine can connect."""
        return is_loopback(self.host)

    @property
    def scheme(self) -> str:
        """http or https."""
        return "http" if self.certificate is None else "https"


def is_loopback(host: str) -> bool:
    """Whether a name or address means this machine alone."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
