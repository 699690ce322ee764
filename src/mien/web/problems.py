"""Errors as answers: `{"error": sentence}` with the status that fits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from mien import errors
from mien.web.sentences import sentence_of

# The first kind that fits decides.
_STATUS: tuple[tuple[type[errors.MienError], int], ...] = (
    (errors.NameTaken, 409),
    (errors.GalleryBusy, 503),
    (errors.OptionError, 422),
    (errors.ImageError, 422),
    (errors.FaceError, 422),
    (errors.DataError, 422),
    (errors.CalibrationError, 422),
    (errors.OutOfMemory, 422),
    (errors.OutputError, 503),
)
_ALL_ELSE = 409


class Refusal(HTTPException):
    """An answer that is no: the status and one sentence."""

    def __init__(self, status: int, sentence: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, sentence, dict(headers) if headers else None)


class TooMany(Refusal):
    """Not now: 429, and when to ask again."""

    def __init__(self, sentence: str, *, seconds: float) -> None:
        super().__init__(429, sentence, headers={"Retry-After": str(max(1, math.ceil(seconds)))})


def not_there(what: str = "job") -> Refusal:
    """404, also for what belongs to somebody else."""
    return Refusal(404, f"There is no such {what}; it may have been removed.")


def status_of(error: errors.MienError) -> int:
    """The status that belongs to an error of mien's."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), _ALL_ELSE)


def answer(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The one shape of every error."""
    said = sentence.encode("utf-8", "replace").decode()  # half a letter that somebody sent cannot be sent back
    return JSONResponse({"error": said}, status, dict(headers) if headers else None)


def install(app: FastAPI) -> None:
    """Let every error of the app's routes become an answer."""
    app.add_exception_handler(errors.MienError, _on_mien_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)


async def _on_mien_error(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, errors.MienError):
        raise error
    visitor = getattr(request.state, "visitor", None)
    sentence = sentence_of(error, administrator=bool(visitor and visitor.administrator))
    status = status_of(error)
    return answer(status, sentence, {"Retry-After": "2"} if status == 503 else None)


async def _on_http_error(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    sentence = error.detail if isinstance(error, Refusal) else _GENERAL.get(error.status_code, str(error.detail))
    return answer(error.status_code, sentence, error.headers)


_GENERAL = {
    400: "Expected a form or a picture, but what was sent cannot be read.",
    404: "There is nothing at this address.",
    405: "This address does not take this kind of request.",
}


async def _on_invalid(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    return answer(422, invalid_sentence(error.errors()))


def invalid_sentence(found: Any) -> str:
    """The first thing that does not fit, as a sentence."""
    first: dict[str, Any] = next(iter(found), {})
    place = [str(part) for part in first.get("loc", ()) if part not in ("body", "query", "path")]
    what = str(first.get("msg", "it cannot be read"))
    if first.get("type") == "missing":
        return f"Expected {place[-1]}, but it was not given." if place else "Expected a form, but nothing was sent."
    name = place[0] if place else "the request"
    if "UploadFile" in what:
        return f"Expected a file as {name}, but a text came; with curl it is --form {name}=@FILE."
    return f"Expected another {name}: {what[:1].lower()}{what[1:]}."
