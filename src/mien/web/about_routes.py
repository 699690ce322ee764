"""What the server is, whether it is well, and who shows the administrator's token."""

from __future__ import annotations

import json

from fastapi import APIRouter, Request
from starlette.responses import Response

import mien
from mien.web import clients, door, style, visualize
from mien.web.house import house_of
from mien.web.observing import CONTENT_TYPE
from mien.web.problems import Refusal
from mien.web.schemas import PROBLEMS, About, DoorRoom, Health, LimitsShown, Rooms, Token
from mien.web.security import visitor_of

router = APIRouter(responses=PROBLEMS)


@router.get("/api/v1/about", tags=["about"])
async def about(request: Request) -> About:
    """What this server can do, and how much it takes."""
    house = house_of(request)
    limits, faces = house.settings.limits, door.closed(house)
    studio, explorer = style.closed(), visualize.closed()
    return About(
        version=mien.__version__,
        rooms=Rooms(
            studio=studio is None,
            door=DoorRoom(ready=faces is None, why=faces or ""),
            explorer=explorer is None,
            why={"studio": studio, "explorer": explorer},
        ),
        administrator=visitor_of(request).administrator,
        locked=not house.settings.loopback,
        limits=LimitsShown(
            bytes=limits.bytes,
            pixels=limits.pixels,
            size=limits.size,
            styles=limits.styles,
            pictures=limits.pictures,
            frame_bytes=limits.frame_bytes,
        ),
        models=visualize.models(house),
    )


@router.post(
    "/api/v1/session",
    tags=["about"],
    status_code=204,
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/json": {"schema": Token.model_json_schema()}}}
    },
)
async def enter(request: Request) -> Response:
    """Show the administrator's token; the answer is a cookie that stands for it."""
    house = house_of(request)
    given = _token_in(await request.body())
    if not isinstance(given, str):
        raise Refusal(422, 'Expected the token as {"token": "…"}.')
    if not house.sessions.is_token(given.strip()):
        raise Refusal(401, "This is not the administrator's token.", headers={"WWW-Authenticate": "Bearer"})
    secure = request.url.scheme == "https"
    cookie = clients.set_cookie(clients.SESSION, house.sessions.open(), seconds=clients.SESSION_SECONDS, secure=secure)
    answer = Response(status_code=204)
    answer.headers.append("Set-Cookie", cookie)
    return answer


def _token_in(body: bytes) -> object:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found.get("token") if isinstance(found, dict) else None


@router.delete("/api/v1/session", tags=["about"], status_code=204)
async def leave(request: Request) -> Response:
    """Be no administrator any more."""
    house_of(request).sessions.close(request.cookies.get(clients.SESSION, ""))
    answer = Response(status_code=204)
    secure = request.url.scheme == "https"
    answer.headers.append("Set-Cookie", clients.set_cookie(clients.SESSION, "", seconds=0, secure=secure))
    return answer


@router.head("/health/live", include_in_schema=False)
@router.get("/health/live", tags=["health"])
async def live() -> Health:
    """The server answers."""
    return Health(status="live")


@router.head("/health/ready", include_in_schema=False)
@router.get("/health/ready", tags=["health"])
async def ready(request: Request) -> Health:
    """The server takes jobs; 503 while it cannot."""
    if not house_of(request).jobs.working:
        raise Refusal(503, "The server is about to start or to end.")
    return Health(status="ready")


@router.get("/metrics", tags=["health"], response_class=Response)
async def metrics(request: Request) -> Response:
    """Prometheus' metrics, for administrators and this machine."""
    house, visitor = house_of(request), visitor_of(request)
    if not (visitor.administrator or house.settings.loopback):
        raise Refusal(401, "Only the administrator may see the metrics.", headers={"WWW-Authenticate": "Bearer"})
    return Response(house.observing.text(), media_type=CONTENT_TYPE)
