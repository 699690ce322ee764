"""The door's routes: a camera in a browser, frame by frame. Whoever stands there reads sentences, and never a score."""

from __future__ import annotations

import functools
import math
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from mien import images
from mien.errors import ImageError
from mien.web.house import House, house_of
from mien.web.problems import Refusal
from mien.web.schemas import PROBLEMS, AttemptBegun, Door, Told
from mien.web.security import visitor_of

SECONDS = 25.0
"""How long a try may take."""

router = APIRouter(prefix="/api/v1/door", tags=["door"], responses=PROBLEMS)


def closed(house: House) -> str | None:
    """Why nobody can be let in here; None if somebody can."""
    return house.faces.closed() or house.faces.without_liveness()


@router.get("")
async def show_door(request: Request) -> Door:
    """Whether the door takes tries, and when this browser may try again."""
    house = house_of(request)
    why = closed(house)
    if why is None:
        house.faces.warm_up()
        why = house.faces.fault  # a try would be told the reason; here it is enough that the door does not look open
    locked = math.ceil(house.attempts.locked(visitor_of(request)))
    return Door(ready=why is None, why=why or "", steps=house.settings.steps, locked=locked)


@router.post("/attempts", status_code=201)
async def begin(request: Request) -> AttemptBegun:
    """Begin a try: the movements are chosen here, and asked for one by one."""
    house = house_of(request)
    if (why := closed(house)) is not None:
        raise Refusal(409, why)
    one = await house.attempts.begin(visitor_of(request))
    told = one.attempt.told
    return AttemptBegun(id=one.id, nonce=one.attempt.nonce, seconds=SECONDS, **_shown(told))


@router.post(
    "/attempts/{id}/frames",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def show_frame(
    request: Request,
    id: str,
    nonce: Annotated[str, Query(max_length=100)],
    n: Annotated[int, Query(ge=0, le=100_000, description="the frame's number; it rises")],
    taken: Annotated[float, Query(description="the camera's own clock, in seconds; it rises")],
) -> Told:
    """Show one frame of the camera, a JPEG, not mirrored; after the end 409."""
    house = house_of(request)
    one = house.attempts.get(id, visitor_of(request), nonce)
    data = await request.body()
    if not data.startswith(b"\xff\xd8\xff"):
        raise ImageError("Expected a frame as JPEG, but this is none.")
    read = functools.partial(_read, data, house.settings.limits.frame_pixels)
    return Told(**_shown(await house.attempts.show(one, n, read, taken)))


def _read(data: bytes, max_pixels: int) -> Any:
    return images.load(data, max_pixels=max_pixels, min_side=32).pixels


def _shown(told: Any) -> dict[str, Any]:
    """What leaves the house: no reason, no distance, no person beside the sentence."""
    box = None if told.face_box is None else [round(side, 4) for side in told.face_box]
    return {
        "phase": told.phase,
        "sentence": told.sentence,
        "prompt": told.prompt,
        "step": told.step,
        "steps": told.steps,
        "box": box,
    }
