"""What all routes share: the settings, the queue, and the rooms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.requests import Request

from mien.web.clients import Sessions
from mien.web.jobs import Jobs
from mien.web.observing import Observing
from mien.web.settings import ServeSettings
from mien.web.uploads import Reading

if TYPE_CHECKING:
    from mien.web.attempts import Attempts
    from mien.web.face_room import FaceRoom


@dataclass(eq=False)
class House:
    """Everything that lives as long as the server does."""

    settings: ServeSettings
    sessions: Sessions
    jobs: Jobs
    reading: Reading
    observing: Observing
    faces: FaceRoom
    attempts: Attempts


def house_of(request: Request) -> House:
    """The house that a request came to."""
    house: House = request.app.state.house
    return house
