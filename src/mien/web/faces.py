"""The administrator's routes: who is enrolled, who came when, how often the door errs; and whether two photos agree."""

from __future__ import annotations

import functools
import json
from collections import deque
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, File, Form, Query, Request, UploadFile
from numpy.typing import NDArray
from starlette.responses import Response

from mien.errors import AuditError, FaceError, OptionError
from mien.web import uploads
from mien.web.house import house_of
from mien.web.problems import not_there
from mien.web.records import now
from mien.web.risk_words import risk_rows
from mien.web.schemas import (
    PROBLEMS,
    AuditEntry,
    AuditShown,
    AuditVerified,
    Enrolled,
    FaceIdentified,
    Identified,
    People,
    PersonShown,
    ReceiptShown,
    RiskShown,
    Verified,
)
from mien.web.security import AdministratorRoute, visitor_of

_MOST_PHOTOS = 12
Count = Annotated[float, Query(ge=0, le=1e6)]
MaybeCount = Annotated[float | None, Query(ge=0, le=1e6)]

router = APIRouter(prefix="/api/v1", tags=["administrator"], responses=PROBLEMS, route_class=AdministratorRoute)
open_router = APIRouter(prefix="/api/v1", tags=["faces"], responses=PROBLEMS)


# ---- people ----------------------------------------------------------------------------------------------------------


@router.get("/people")
async def list_people(request: Request) -> People:
    """Everybody enrolled, by name."""
    found = await house_of(request).faces.ask(lambda recognizer: recognizer.gallery.people())
    return People(people=[_person(p) for p in sorted(found, key=lambda person: person.name.casefold())])


def _person(person: Any) -> PersonShown:
    return PersonShown(
        id=person.id,
        name=person.name,
        enrolled=person.enrolled.isoformat(timespec="seconds"),
        consent=person.consent,
        samples=person.samples,
    )


@router.post("/people", status_code=201)
async def enrol(
    request: Request,
    name: Annotated[str, Form()],
    photos: Annotated[list[UploadFile], File(description="one photo is enough; none is kept")],
    consent: Annotated[bool, Form(description="whether they agreed; nobody is enrolled without")] = False,
    add: Annotated[bool, Form(description="add photos to somebody enrolled already")] = False,
    note: Annotated[str, Form(description="how they agreed; kept encrypted with the name")] = "",
) -> Enrolled:
    """Enrol somebody who agreed to it."""
    if not consent:
        raise OptionError("Expected the person's consent: nobody is enrolled without it.")
    if len(photos) > _MOST_PHOTOS:
        raise OptionError(f"Expected at most {_MOST_PHOTOS} photos at a time, got {len(photos)}.")
    house = house_of(request)
    read = _reader(photos, house.settings.limits.pixels)
    told = note.strip() or f"Given on {now():%Y-%m-%d}, as the administrator said on the page."

    def enrolled(recognizer: Any) -> Any:
        pixels = read()
        try:
            return recognizer.enrol(name, *pixels, add=add, consent=told)
        except FaceError:
            for upload, image in zip(photos, pixels, strict=True):  # which of them it is: the same, by name
                called = uploads.plain_name(upload.filename, "photo")
                recognizer.pipeline.see_one(image, limits=recognizer.limits, name=f"“{called}”")
            raise

    done, created = await house.faces.ask(lambda recognizer: (enrolled(recognizer), recognizer.gallery.key_created))
    return Enrolled(
        **_person(done.person).model_dump(),
        added=done.added,
        looks_like=[match.person for match in done.looks_like],
        key_created=None if created is None else str(created),
    )


def _reader(photos: Sequence[UploadFile], max_pixels: int) -> Any:
    """What reads the photos, in the faces' thread."""

    def read() -> list[NDArray[np.uint8]]:
        names = (uploads.plain_name(photo.filename, f"photo {i}") for i, photo in enumerate(photos, 1))
        return [
            uploads.read_face_photo(photo, max_pixels=max_pixels, name=name)
            for photo, name in zip(photos, names, strict=True)
        ]

    return read


@router.delete("/people/{id}")
async def forget(request: Request, id: str) -> ReceiptShown:
    """Forget somebody without a trace; the answer is the receipt."""

    def forgotten(recognizer: Any) -> Any:
        person = recognizer.gallery.person(_checked(id))
        if person is None:
            raise not_there("person")
        return recognizer.forget(person.name)

    receipt = await house_of(request).faces.ask(forgotten)
    return ReceiptShown(receipt=receipt.text, complete=receipt.complete)


@router.get("/people/{id}/export", response_class=Response)
async def export(request: Request, id: str) -> Response:
    """Everything that is kept about somebody, for them."""

    def exported(recognizer: Any) -> Any:
        person = recognizer.gallery.person(_checked(id))
        if person is None:
            raise not_there("person")
        return recognizer.gallery.export(person.name)

    kept = await house_of(request).faces.ask(exported)
    data = json.dumps(kept, ensure_ascii=False, indent=1)
    headers = {"Content-Disposition": f'attachment; filename="mien-{_checked(id)[:8]}.json"'}
    return Response(data, media_type="application/json", headers=headers)


def _checked(id: str) -> str:
    """A person's id as the gallery takes it: 32 hexadecimal digits."""
    if len(id) != 32 or not set(id) <= set("0123456789abcdef"):
        raise not_there("person")
    return id


# ---- the log and the risk --------------------------------------------------------------------------------------------


@router.get("/audit")
async def show_audit(request: Request, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> AuditShown:
    """The newest lines of the log, with the names of those who are still enrolled."""

    def read(recognizer: Any) -> list[AuditEntry]:
        from mien.faces.audit import entries
        from mien.faces.journal import log_file

        path = log_file(recognizer.gallery.url)
        if not path.exists():
            return []
        names = {person.id: person.name for person in recognizer.gallery.people()}
        return [_entry(entry, names) for entry in reversed(deque(entries(path), maxlen=limit))]

    return AuditShown(entries=await house_of(request).faces.ask(read))


def _entry(entry: Any, names: dict[str, str]) -> AuditEntry:
    shown = ("person", "verdict", "reason", "source", "distance", "tau", "people")
    fields = {name: entry.fields.get(name) for name in shown}
    name = names.get(str(fields["person"]))
    time = entry.time.isoformat(timespec="seconds")
    return AuditEntry(number=entry.number, time=time, event=entry.event, name=name, **fields)


@router.get("/audit/verify")
async def verify_audit(request: Request) -> AuditVerified:
    """Whether anybody touched the log."""

    def verified(recognizer: Any) -> AuditVerified:
        from mien.faces.journal import verify_log

        if recognizer.gallery.audit_key is None:
            return AuditVerified(
                whole=True, sentence="Nobody is enrolled yet, so there is no log.", entries=0, notes=[]
            )
        try:
            report, headed = verify_log(recognizer.gallery)
        except AuditError as error:
            return AuditVerified(whole=False, sentence=str(error), entries=0, notes=[])
        notes = []
        if report.heads_missing:
            notes.append("Its head was missing before: lines cut before that would not show.")
        if not headed:
            notes.append("Its head is not on this computer, so lines cut from its end would not show.")
        lines = "1 entry" if report.entries == 1 else f"{report.entries:,} entries"
        sentence = f"The log is whole: {lines}."
        return AuditVerified(whole=True, sentence=sentence, entries=report.entries, notes=notes)

    return await house_of(request).faces.ask(verified)


@router.get("/risk")
async def show_risk(
    request: Request,
    strangers: Count = 10.0,
    visits: MaybeCount = None,
    people: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> RiskShown:
    """How often this gallery will be wrong, as it is; `people` supposes another number of them."""
    found = await house_of(request).faces.ask(lambda recognizer: _risk(recognizer, strangers, visits, people))
    if found is None:
        return RiskShown(sentences=["Nobody is enrolled yet, so nobody can be mistaken for anybody."], rows=[])
    return RiskShown(sentences=found.sentences(), rows=risk_rows(found))


@router.get("/risk.png", response_class=Response)
async def draw_risk(
    request: Request,
    strangers: Count = 10.0,
    visits: MaybeCount = None,
    people: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> Response:
    """The same as a picture."""
    house = house_of(request)
    found = await house.faces.ask(lambda recognizer: _risk(recognizer, strangers, visits, people))
    if found is None:
        raise not_there("picture")
    # Drawing takes seconds, in which nobody should wait at the door.
    return Response(await house.reading.do(functools.partial(_drawn, found)), media_type="image/png")


def _drawn(found: Any) -> bytes:
    from mien.faces.risk import plot

    return plot(found)


def _risk(recognizer: Any, strangers: float, visits: float | None, people: int) -> Any:
    from mien.faces.risk import risk

    enrolled = recognizer.gallery.people()
    samples = sum(person.samples for person in enrolled) / len(enrolled) if enrolled else 1.0
    if not (people or enrolled):
        return None
    return risk(
        recognizer.calibration,
        people=people or len(enrolled),
        fpir=recognizer.fpir,
        strangers_a_day=strangers,
        visits_a_day=visits,
        samples=1.0 if people else samples,
    )


# ---- photos ----------------------------------------------------------------------------------------------------------


@router.post("/identify")
async def identify(request: Request, photo: Annotated[UploadFile, File()]) -> Identified:
    """Who is in a photo, with the figures; it is written to the log."""
    house = house_of(request)
    read = _reader([photo], house.settings.limits.pixels)

    def identified(recognizer: Any) -> list[FaceIdentified]:
        (pixels,) = read()
        height, width = pixels.shape[:2]
        return [_identified(decision, width, height) for decision in recognizer.identify_all(pixels)]

    return Identified(faces=await house.faces.ask(identified))


def _identified(decision: Any, width: int, height: int) -> FaceIdentified:
    x, y, w, h = decision.face.box
    return FaceIdentified(
        verdict=decision.verdict,
        name=decision.match.person if decision.match else None,
        id=decision.match.id if decision.match else None,
        distance=None if decision.nearest is None else round(decision.nearest.distance, 4),
        runner_up=None if decision.runner_up is None else round(decision.runner_up.distance, 4),
        threshold=round(decision.threshold, 4),
        people=decision.people,
        box=[round(v, 4) for v in (x / width, y / height, w / width, h / height)],
    )


@open_router.post("/verify", response_model_exclude_none=True)
async def verify(
    request: Request, first: Annotated[UploadFile, File()], second: Annotated[UploadFile, File()]
) -> Verified:
    """Whether two photos, each of one face, show the same person; figures for administrators alone."""
    house = house_of(request)
    read = _reader([first, second], house.settings.limits.pixels)

    def verified(recognizer: Any) -> Any:
        from mien.faces.recognize import verify_encodings

        a, b = (
            recognizer.pipeline.see_one(pixels, name=f"The {which} photo").encoding
            for pixels, which in zip(read(), ("first", "second"), strict=True)
        )
        return verify_encodings(a, b, calibration=recognizer.calibration)

    found = await house.faces.ask(verified)
    if not visitor_of(request).administrator:
        return Verified(same=found.same)
    return Verified(
        same=found.same, distance=round(found.distance, 4), threshold=round(found.threshold, 4), fmr=found.fmr
    )
