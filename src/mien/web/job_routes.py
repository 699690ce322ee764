"""The routes of the queue: how far a job is, and what came of it."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import FileResponse, Response, StreamingResponse

from mien.web.house import house_of
from mien.web.jobs import file_of
from mien.web.problems import Refusal, not_there
from mien.web.records import PHOTO, PICTURE, REPORT, Job, style_file
from mien.web.schemas import PROBLEMS, JobShown, JobsShown
from mien.web.security import REPORT_POLICY, visitor_of

_KEPT = {"Cache-Control": "private, max-age=3600"}
_REPORT_FILE = re.compile(r"[\w.-]{1,100}\.(html|png|csv|json)")
_TYPES = {"html": "text/html; charset=utf-8", "png": "image/png", "csv": "text/csv", "json": "application/json"}

router = APIRouter(prefix="/api/v1", tags=["jobs"], responses=PROBLEMS)


def _job(request: Request, id: str) -> Job:
    return house_of(request).jobs.get(id, visitor_of(request).owner)


@router.get("/jobs")
async def list_jobs(request: Request) -> JobsShown:
    """Your jobs, the newest first."""
    jobs = house_of(request).jobs
    return JobsShown.model_validate({"jobs": [jobs.shown(job) for job in jobs.of(visitor_of(request).owner)]})


@router.get("/jobs/{id}")
async def show_job(request: Request, id: str) -> JobShown:
    """One of your jobs."""
    job = _job(request, id)
    return JobShown.model_validate(house_of(request).jobs.shown(job))


@router.delete("/jobs/{id}", status_code=204)
async def remove_job(request: Request, id: str) -> Response:
    """Cancel a job that waits or runs; remove one that has ended."""
    await house_of(request).jobs.remove(_job(request, id))
    return Response(status_code=204)


@router.get("/jobs/{id}/events", response_class=StreamingResponse)
async def follow_job(request: Request, id: str) -> Response:
    """Server-sent events named `job`: the job at once and whenever it changes, until it has ended."""
    events = house_of(request).jobs.follow(_job(request, id))
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)


@router.get("/jobs/{id}/photo", response_class=FileResponse)
async def show_photo(request: Request, id: str) -> Response:
    """The photo that is painted, upright."""
    return FileResponse(file_of(_job(request, id), PHOTO), media_type="image/jpeg", headers=_KEPT)


@router.get("/jobs/{id}/styles/{n}", response_class=FileResponse)
async def show_own_style(request: Request, id: str, n: Annotated[int, Path(ge=0, le=99)]) -> Response:
    """A style picture that was sent along, by its number among these."""
    return FileResponse(file_of(_job(request, id), style_file(n)), media_type="image/jpeg", headers=_KEPT)


@router.get("/jobs/{id}/frame", response_class=Response)
async def show_frame(request: Request, id: str, n: int = 0) -> Response:
    """The newest draft of a painting in the making; `n` only tells caches one from the next."""
    job = _job(request, id)
    if job.draft is None:
        raise Refusal(404, "There is no draft (any more).")
    return Response(job.draft, media_type="image/jpeg")


@router.get("/jobs/{id}/picture", response_class=FileResponse)
async def show_picture(request: Request, id: str, download: bool = False) -> Response:
    """The finished painting, a PNG that carries its settings."""
    job = _job(request, id)
    path = file_of(job, PICTURE) if job.state == "done" else None
    if path is None:
        raise not_there("picture")
    name = f"mien-{job.created:%Y-%m-%d}-{job.id[:6]}.png" if download else None
    return FileResponse(path, media_type="image/png", filename=name, headers=_KEPT)


@router.get("/jobs/{id}/report/{file}", response_class=FileResponse)
@router.get("/jobs/{id}/report/", response_class=FileResponse)
async def show_report(request: Request, id: str, file: str = "index.html") -> Response:
    """A finished report, or one of its tables and sheets; it runs in an origin of its own and reaches nothing."""
    job = _job(request, id)
    found = _REPORT_FILE.fullmatch(file)
    if job.state != "done" or found is None:
        raise not_there("report")
    path = file_of(job, f"{REPORT}/{file}")
    return FileResponse(path, media_type=_TYPES[found[1]], headers={**_KEPT, "Content-Security-Policy": REPORT_POLICY})
