"""The shapes of what the API answers, from which its OpenAPI description is made."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel


class Problem(BaseModel):
    """What went wrong, in one sentence fit for a person."""

    error: str


class DoorRoom(BaseModel):
    """Whether faces can be recognised here, and why not."""

    ready: bool
    why: str


class Rooms(BaseModel):
    """Which rooms are open."""

    studio: bool
    door: DoorRoom
    explorer: bool
    why: dict[str, str | None]
    """Of the rooms that are closed, the reason."""


class LimitsShown(BaseModel):
    """How much is taken."""

    bytes: int
    pixels: int
    size: int
    styles: int
    pictures: int
    frame_bytes: int


class Model(BaseModel):
    """A network that can be looked at; its layers where they are known beforehand."""

    name: str
    layers: list[str]


class About(BaseModel):
    """What this server is, and what it can do."""

    version: str
    rooms: Rooms
    administrator: bool
    """Whether this browser has shown the administrator's token."""
    locked: bool
    """Whether other machines can connect, so that everything needs the token."""
    limits: LimitsShown
    models: list[Model]
    """Networks for the Explorer."""


class Token(BaseModel):
    """The administrator's token."""

    token: str


class Style(BaseModel):
    """A built-in style picture."""

    name: str
    sentence: str
    picture: str


class Styles(BaseModel):
    """All built-in style pictures."""

    styles: list[Style]


class Option(BaseModel):
    """A setting of a painting."""

    name: str
    help: str
    kind: Literal["int", "float", "bool", "str"]
    default: Any
    choices: list[str]
    low: int | float | None
    high: int | float | None


class Options(BaseModel):
    """The settings of a painting that are offered here."""

    options: list[Option]


class Progress(BaseModel):
    """How far a job is."""

    fraction: float
    elapsed: float
    remaining: float | None
    words: str
    frame: int


class JobShown(BaseModel):
    """A painting or a look, as its owner sees it."""

    id: str
    kind: Literal["painting", "look"]
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    position: int
    """Jobs before it, while it waits."""
    title: str
    created: str
    progress: Progress
    error: str | None
    photo: str | None
    picture: str | None
    frame: str | None
    """The newest draft."""
    report: str | None
    settings: dict[str, Any]
    seconds: float | None


class JobsShown(BaseModel):
    """The jobs of one client, the newest first."""

    jobs: list[JobShown]


class Door(BaseModel):
    """Whether the door is open for tries."""

    ready: bool
    why: str
    steps: int
    locked: int
    """Seconds until this client may try again; 0: now."""


class Told(BaseModel):
    """What the person at the camera is told. There are no scores, ever."""

    phase: str
    sentence: str
    prompt: str | None
    """The movement asked for now."""
    step: int
    steps: int
    box: list[float] | None = None
    """Of the face: x, y, width and height, 0 to 1 of the picture."""


class AttemptBegun(Told):
    """A new try at the door."""

    id: str
    nonce: str
    seconds: float
    """How long it may take."""


class PersonShown(BaseModel):
    """Somebody enrolled."""

    id: str
    name: str
    enrolled: str
    consent: str | None
    samples: int


class People(BaseModel):
    """Everybody enrolled."""

    people: list[PersonShown]


class Enrolled(PersonShown):
    """What came of enrolling somebody."""

    added: int
    looks_like: list[str]
    """People enrolled already who would be taken for this one."""
    key_created: str | None
    """The key file that this first enrolment made: keep a copy of it."""


class ReceiptShown(BaseModel):
    """What was erased."""

    receipt: str
    complete: bool


class AuditEntry(BaseModel):
    """One line of the log; the name only while the person is still enrolled."""

    number: int
    time: str
    event: str
    person: str | None
    name: str | None
    verdict: str | None
    reason: str | None
    source: str | None
    distance: float | None
    tau: float | None
    people: int | None


class AuditShown(BaseModel):
    """The newest lines of the log, the newest first."""

    entries: list[AuditEntry]


class AuditVerified(BaseModel):
    """Whether the log is as it was written."""

    whole: bool
    sentence: str
    notes: list[str]
    entries: int


class RiskRow(BaseModel):
    """The risk with so many people, in words."""

    people: int
    now: bool
    threshold: float | None
    let_in: str
    unchanged: str
    refused: str
    a_year: str
    known: str


class RiskShown(BaseModel):
    """How often the door will be wrong."""

    sentences: list[str]
    rows: list[RiskRow]


class FaceIdentified(BaseModel):
    """Who a face in a photo is, with the figures."""

    verdict: Literal["known", "unknown", "unsure"]
    name: str | None
    id: str | None
    distance: float | None
    runner_up: float | None
    threshold: float
    people: int
    box: list[float]


class Identified(BaseModel):
    """Every face in a photo, the largest first."""

    faces: list[FaceIdentified]


class Verified(BaseModel):
    """Whether two photos show one person; the figures are for administrators."""

    same: bool
    distance: float | None = None
    threshold: float | None = None
    fmr: float | None = None


class Health(BaseModel):
    """Whether the server lives, or is ready to work."""

    status: str


PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": words}
    for status, words in {
        400: "It cannot be read.",
        401: "The administrator's token is missing.",
        403: "Another site's page asked, or the server is not called so.",
        404: "Not there, or somebody else's.",
        408: "The upload stopped.",
        409: "It is over, taken, or cannot be done as things are.",
        413: "Too large.",
        422: "What was given does not fit.",
        429: "Too many; Retry-After says when.",
        503: "Busy.",
    }.items()
}
