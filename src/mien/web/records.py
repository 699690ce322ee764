"""What is known of a job, on disk and on the page."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from mien import images

Kind = Literal["painting", "look"]
State = Literal["queued", "running", "done", "failed", "cancelled"]
ENDED = ("done", "failed", "cancelled")

RECORD, PHOTO, PICTURE, REPORT = "job.json", "photo.jpg", "picture.png", "report"
STYLES = "styles"
"""Folder, beside that of the jobs, of the built-in styles as they were drawn."""
INPUTS = "inputs"
"""Folder of what was uploaded as it came; it is gone when the job has ended."""
_KEPT = ("id", "owner", "kind", "title", "state", "order", "settings", "error", "seconds")


@dataclass(eq=False)
class Progress:
    """How far a job is."""

    fraction: float = 0.0
    elapsed: float = 0.0
    remaining: float | None = None
    words: str = ""
    frame: int = 0
    """Number of the newest draft; 0 before the first."""


@dataclass(eq=False, kw_only=True)
class Job:
    """One painting, or one look at a network."""

    id: str
    owner: str
    kind: Kind
    title: str
    folder: Path
    order: dict[str, Any]
    """What the worker is told to do."""
    settings: dict[str, Any]
    """The same for the person: without places on this machine."""
    created: datetime
    state: State = "queued"
    ended: datetime | None = None
    error: str | None = None
    seconds: float | None = None
    progress: Progress = field(default_factory=Progress)
    draft: bytes | None = None
    """The newest draft, a JPEG."""
    listeners: set[asyncio.Event] = field(default_factory=set)

    @property
    def over(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in ENDED

    def changed(self) -> None:
        """Wake whoever follows this job."""
        for listener in self.listeners:
            listener.set()

    def public(self, position: int) -> dict[str, Any]:
        """The job as its owner sees it."""
        here, done = f"/api/v1/jobs/{self.id}", self.state == "done"
        progress = self.progress
        return {
            "id": self.id,
            "kind": self.kind,
            "state": self.state,
            "position": position,
            "title": self.title,
            "created": self.created.isoformat(timespec="seconds"),
            "progress": {
                "fraction": round(progress.fraction, 4),
                "elapsed": round(progress.elapsed, 1),
                "remaining": None if progress.remaining is None else round(progress.remaining, 1),
                "words": progress.words,
                "frame": progress.frame,
            },
            "error": self.error,
            "photo": f"{here}/photo" if self.kind == "painting" else None,
            "picture": f"{here}/picture" if done and self.kind == "painting" else None,
            "frame": f"{here}/frame?n={progress.frame}" if self.draft is not None else None,
            "report": f"{here}/report/" if done and self.kind == "look" else None,
            "settings": self.settings,
            "seconds": self.seconds,
        }

    def save(self) -> None:
        """Write the record into the job's folder."""
        kept = {name: getattr(self, name) for name in _KEPT}
        kept["created"] = self.created.isoformat()
        kept["ended"] = None if self.ended is None else self.ended.isoformat()
        data = json.dumps(kept, ensure_ascii=False).encode()
        images.write_whole(self.folder / RECORD, lambda file: file.write(data))

    @classmethod
    def load(cls, folder: Path) -> Job:
        """The job that `save` wrote. Raises OSError, ValueError, KeyError or TypeError for a folder that is none."""
        kept = json.loads((folder / RECORD).read_bytes())
        if kept["id"] != folder.name or kept["state"] not in ("queued", "running", *ENDED):
            raise ValueError("the record is another job's")
        ended = kept.pop("ended")
        created = datetime.fromisoformat(kept.pop("created"))
        return cls(
            folder=folder,
            created=created,
            ended=None if ended is None else datetime.fromisoformat(ended),
            **{name: kept[name] for name in _KEPT},
        )


def style_file(number: int) -> str:
    """The name of the page's copy of a style picture of one's own, counted from 0."""
    return f"style-{number}.jpg"


def now() -> datetime:
    """This moment, UTC."""
    return datetime.now(UTC)
