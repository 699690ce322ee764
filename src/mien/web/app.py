"""The rooms put together as one FastAPI application."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles

import mien
from mien.web import about_routes, door, job_routes, problems, style, visualize
from mien.web import faces as faces_routes
from mien.web.attempts import Attempts
from mien.web.clients import Sessions
from mien.web.face_room import FaceRoom
from mien.web.house import House
from mien.web.jobs import Jobs
from mien.web.observing import Observing
from mien.web.problems import not_there
from mien.web.security import Guard
from mien.web.settings import ServeSettings
from mien.web.uploads import Reading

STATIC = Path(__file__).parent / "static"
PAGES = {
    "/": "index.html",
    "/door": "door.html",
    "/door/admin": "admin.html",
    "/explorer": "explorer.html",
    "/favicon.ico": "mien.svg",
}


def create_app(settings: ServeSettings, *, choose: Any = None, clock: Callable[[], float] = time.monotonic) -> FastAPI:
    """The application behind `mien serve`.

    choose: draws the door's movements in place of chance; clock: of the door. Both are for tests.
    """
    jobs, faces = Jobs(settings), FaceRoom(settings)
    house = House(
        settings=settings,
        sessions=Sessions(settings.token),
        jobs=jobs,
        reading=Reading(),
        observing=Observing(jobs.counts, jobs.present),
        faces=faces,
        attempts=Attempts(settings, faces, choose=choose, clock=clock),
    )

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        await jobs.open()
        house.attempts.open()
        try:
            yield
        finally:
            await jobs.close()
            await house.attempts.close()
            await faces.close()

    app = FastAPI(
        title="mien",
        version=mien.__version__,
        summary="Paintings, faces, and a look inside networks.",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # both pages of documentation would load scripts from elsewhere
        redoc_url=None,
        lifespan=life,
    )
    app.state.house = house
    problems.install(app)
    for room in (about_routes, style, visualize, job_routes, door, faces_routes):
        app.include_router(room.router)
    app.include_router(faces_routes.open_router)
    _add_pages(app)
    app.add_middleware(Guard, settings=settings, sessions=house.sessions, watch=house.observing)
    return app


def _add_pages(app: FastAPI) -> None:
    for address, name in PAGES.items():
        app.add_api_route(
            address, _page(STATIC / name), methods=["GET", "HEAD"], include_in_schema=False, response_class=FileResponse
        )
    app.mount("/static", StaticFiles(directory=STATIC, check_dir=False), name="static")


def _page(path: Path) -> Callable[[], Any]:
    async def page() -> Response:
        if not path.is_file():
            raise not_there("page")
        return FileResponse(path, headers={"Cache-Control": "no-cache"})

    return page
