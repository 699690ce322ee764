"""Who is this? People are enrolled from one photo each and recognised by their encodings; nothing is retrained."""

from __future__ import annotations

import difflib
import itertools
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.backbones.pair_head import PairHead
from mien.errors import CalibrationError, FaceError, GalleryError, OptionError, WeightsMismatch
from mien.faces import ledger
from mien.faces.calibration import Calibration
from mien.faces.gallery import Gallery, Person, Receipt, Stamp
from mien.faces.gallery.search import Index
from mien.faces.ledger import Ledger
from mien.faces.pipeline import FacePipeline, Photo, file_bytes, named
from mien.faces.quality import QualityLimits
from mien.faces.records import Decision, Encodings, Face, Match, Verification
from mien.faces.similarity import MARGIN, distance, judge

FMR = 1e-4
"""Default false match rate of a verification: strangers taken for one person, per comparison."""
FPIR = 1e-3
"""Default false positive identification rate: strangers taken for anybody enrolled, per stranger."""
ONE_PERSON_FMR = 1e-2
"""Photos given for one person that are less alike than this rate stands for are taken to show several people: a real
pair of photos of one person fails it once in 200 times (LFW)."""


@dataclass(frozen=True)
class Enrolment:
    """What came of enrolling somebody."""

    person: Person
    added: int
    """Photos added."""
    looks_like: tuple[Match, ...]
    """People enrolled already who would be taken for this one, nearest first: to be looked at by a person."""


def verify(
    first: Photo, second: Photo, *, pipeline: FacePipeline, calibration: Calibration, fmr: float = FMR
) -> Verification:
    """Whether two photos, each of one face, show the same person."""
    a, b = pipeline.see_one(first), pipeline.see_one(second)
    return verify_encodings(a.encoding, b.encoding, calibration=calibration, fmr=fmr)


def verify_encodings(
    first: NDArray[np.float32], second: NDArray[np.float32], *, calibration: Calibration, fmr: float = FMR
) -> Verification:
    """Whether two encodings (D,) are one person's, at the threshold that keeps the false match rate at `fmr`."""
    for encoding in (first, second):
        if not abs(float(np.linalg.norm(encoding)) - 1) < 1e-3:  # also where it is not a number
            raise OptionError("Expected encodings of length 1; anything else is no face, and is like no other.")
    tau = calibration.threshold_for_fmr(fmr)
    rate = calibration.fmr(tau)
    d = distance(first, second)
    return Verification(d, tau, d < tau, rate.value, (rate.low, rate.high), rate.extrapolated)


@dataclass(frozen=True)
class HeadVerification:
    """What a trained pair head says of two faces."""

    probability: float
    """That they are one person's, 0 to 1."""
    distance: float

    @property
    def same(self) -> bool:
        """1 same, 0 different: at a probability of one half."""
        return self.probability > 0.5


def verify_with_head(first: Photo, second: Photo, *, pipeline: FacePipeline, head: PairHead) -> HeadVerification:
    """Verification as binary classification: a logistic unit over both encodings decides instead of a threshold."""
    if head.encoder != pipeline.encoder.name:
        raise WeightsMismatch(
            f"Expected a head that was trained on {pipeline.encoder.name}, got one for {head.encoder}: it knows other "
            "encodings than these."
        )
    a, b = pipeline.see_one(first).encoding, pipeline.see_one(second).encoding
    return HeadVerification(float(head.probability(a, b)), distance(a, b))


class Recognizer:
    """A gallery of people, the networks that see faces, and a threshold that knows how many people there are.

    Threads may share one. Other processes' enrolments and forgettings are seen at the next question.
    """

    def __init__(
        self,
        gallery: Gallery,
        pipeline: FacePipeline,
        calibration: Calibration,
        *,
        fpir: float = FPIR,
        margin: float = MARGIN,
        limits: QualityLimits | None = None,
        audited: bool = True,
    ) -> None:
        """`fpir` is the share of strangers that may be taken for somebody enrolled, whatever the number of people.

        Enrolments, decisions and forgettings are written to the gallery's log, unless `audited` is False.
        """
        for what, other in (("gallery", gallery.encoder), ("calibration", calibration.encoder)):
            if other != pipeline.encoder.name:
                raise GalleryError(
                    f"Expected a {what} of the encoder {pipeline.encoder.name}, got one of {other}: their encodings "
                    "cannot be compared."
                )
        self.gallery, self.pipeline, self.calibration = gallery, pipeline, calibration
        self.fpir, self.margin, self.limits = fpir, margin, limits or QualityLimits()
        self._lock = threading.RLock()
        self._ledger = Ledger(gallery, kept=audited)
        self._index = Index(np.empty((0, pipeline.encoder.dimension), np.float32), [])
        self._numbers: dict[str, int] = {}  # a person's id -> the number the index knows them by
        self._ids: list[str] = []  # by that number; also of people who are forgotten since
        self._names: dict[str, str] = {}  # of those who were recognised: a name is decrypted when it is needed
        self._stamp: Stamp | None = None
        self._tau: dict[tuple[int, int], float] = {}

    # ---- enrolment ---------------------------------------------------------------------------------------------------

    def enrol(
        self, name: str, *photos: Photo, add: bool = False, consent: str | None = None, keep_photos: bool = False
    ) -> Enrolment:
        """Enrol somebody from one photo or more; from then on they are known, at once and everywhere.

        All photos are looked at before anything is written. With `add` the photos are added to those of a person
        who is enrolled already. The photos are not kept, unless asked for (then encrypted, as everything else).

        Raises:
            FaceError: a photo has no face, several, or one that is too small, dark, blurred or turned away; or two
                photos, also of those added to, seem to show two people.
            NameTaken: somebody of that name is enrolled, and `add` was not asked for.
            GalleryError: `add` was asked for, and nobody of that name is enrolled.
            CalibrationError: with one more person the data would not support the rate asked for.
            OptionError: no photo, or a name that cannot be one.
        """
        if not photos:
            raise OptionError("Expected at least one photo to enrol somebody from, got none.")
        # What is seen is what is kept: a file may be another one by the time it is read again.
        files = [file_bytes(photo) for photo in photos] if keep_photos else None
        seen = [
            self.pipeline.see_one(photo, limits=self.limits, name=named(given))
            for given, photo in zip(photos, files or photos, strict=True)
        ]
        labels = [named(photo) for photo in photos]
        encodings = np.stack([s.encoding for s in seen])
        self._check_one_person(encodings, labels)
        if add:
            self._check_same_person(name, encodings, labels)
        return self.enrol_encodings(name, encodings, add=add, consent=consent, photos=files)

    def enrol_encodings(
        self,
        name: str,
        encodings: Encodings,
        *,
        add: bool = False,
        consent: str | None = None,
        photos: Sequence[bytes] | None = None,
    ) -> Enrolment:
        """`enrol` from encodings (N, D) that this encoder made before."""
        with self._lock:
            known = self._somebody(name) if add else None
            likeness = self._alike(encodings, but=known)
            if known is None:
                self._check_supported(len(encodings))
            self._ledger.ready()
            if known is not None:
                person = self.gallery.add_samples(known, encodings, photos=photos, consent=consent)
            else:
                person = self.gallery.add_person(name, encodings, consent=consent, photos=photos)
            self._refresh()
            self._ledger.write_done(
                f"{person.name} is enrolled", "enrol", person=person.id, samples=len(encodings), people=self.people
            )
        return Enrolment(person, len(encodings), likeness)

    def forget(self, name: str) -> Receipt:
        """Remove somebody without a trace, from the gallery and from this object's memory."""
        with self._lock:
            receipt = ledger.forget(self.gallery, name, ledger=self._ledger)
            self._refresh()
        return receipt

    def rotate_key(self, new_key: bytes | None = None) -> Path | None:
        """`ledger.rotate_key` of this gallery."""
        with self._lock:
            return ledger.rotate_key(self.gallery, new_key, ledger=self._ledger)

    def _somebody(self, name: str) -> Person:
        """Who has this name; GalleryError, with the nearest names, if nobody has."""
        if (person := self.gallery.find(name)) is not None:
            return person
        near = difflib.get_close_matches(name, [p.name for p in self.gallery.people()], n=3)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        raise GalleryError(f"Expected somebody enrolled to add photos to, but nobody is called “{name}”.{hint}")

    def _check_one_person(self, encodings: Encodings, labels: Sequence[str]) -> None:
        tau = self.calibration.threshold_for_fmr(ONE_PERSON_FMR)
        for i, j in itertools.combinations(range(len(encodings)), 2):
            if distance(encodings[i], encodings[j]) >= tau:
                raise FaceError(
                    f"{labels[i]} and {labels[j]} seem to show two different people. Enrol them apart, or leave out "
                    "the photo that looks least like the person."
                )

    def _check_same_person(self, name: str, encodings: Encodings, labels: Sequence[str]) -> None:
        """Refuse photos that are like none of those that the person is enrolled from."""
        tau = self.calibration.threshold_for_fmr(ONE_PERSON_FMR)
        kept = self.gallery.export(self._somebody(name).name)["samples"]
        theirs = [np.array(sample["encoding"], np.float32) for sample in kept]
        for encoding, label in zip(encodings, labels, strict=True):
            if min(distance(encoding, own) for own in theirs) >= tau:
                raise FaceError(
                    f"{label} seems to show somebody else than {name}, as they are enrolled. If it is {name}, forget "
                    "them and enrol them anew from photos that are alike."
                )

    def _check_supported(self, samples: int) -> None:
        """Refuse the person with whom no threshold would be supported any more, for then nobody would be recognised."""
        self._refresh()
        people, rows = self.people + 1, len(self._index) + samples
        if not self.calibration.supports(self.fpir, people, samples_per_person=rows / people):
            raise CalibrationError(
                f"Expected a gallery that the calibration supports, but its {self.calibration.people:,} people cannot "
                f"show that at most {100 * self.fpir:g} % of strangers are taken for one of {people:,}. Accept a "
                "higher rate (fpir), or calibrate with more people: mien faces calibrate DIR"
            )

    def _alike(self, encodings: Encodings, *, but: Person | None) -> tuple[Match, ...]:
        """Who among the enrolled, other than `but`, would be taken for these encodings' person."""
        self._refresh()
        tau, nearest = self.threshold(), dict[str, Match]()
        for encoding in encodings:
            for match in self._nearest(encoding, k=5):
                if match.distance < min(tau, nearest[match.id].distance if match.id in nearest else tau):
                    nearest[match.id] = match
        others = [match for match in nearest.values() if but is None or match.id != but.id]
        return tuple(sorted(others, key=lambda match: match.distance))

    # ---- identification ----------------------------------------------------------------------------------------------

    def identify(self, photo: Photo) -> Decision:
        """Who the one person in the photo is; FaceError if the photo shows nobody, or several."""
        seen = self.pipeline.see_one(photo)
        return self.identify_encoding(seen.encoding, face=seen.face)

    def identify_all(self, photo: Photo) -> list[Decision]:
        """Who everybody in the photo is, the largest face first; an empty list if there is no face."""
        return [self.identify_encoding(seen.encoding, face=seen.face) for seen in self.pipeline.see(photo)]

    def identify_encoding(self, encoding: NDArray[np.float32], *, face: Face | None = None) -> Decision:
        """Who the encoding (D,) belongs to, among everybody enrolled at this moment."""
        with self._lock:
            self._refresh()
            matches = self._nearest(encoding, k=2)
            decision = judge(matches, tau=self.threshold(), margin=self.margin, people=self.people)
            self._ledger.write(
                "identify",
                person=decision.match.id if decision.match else None,
                verdict=decision.verdict,
                distance=decision.nearest.distance if decision.nearest else None,
                tau=decision.threshold,
                people=self.people,
            )
        return replace(decision, face=face)

    @property
    def people(self) -> int:
        """How many people are enrolled: K, as of the last question."""
        return len(self._numbers)

    def threshold(self) -> float:
        """τ for the number of people and photos enrolled now: the more there are, the stricter."""
        self._refresh()
        key = max(1, self.people), max(1, len(self._index))
        if key not in self._tau:
            people, samples = key
            tau = self.calibration.threshold_for_fpir(self.fpir, people, samples_per_person=samples / people)
            self._tau = {key: tau}
        return self._tau[key]

    def _nearest(self, encoding: NDArray[np.float32], *, k: int) -> list[Match]:
        found = self._index.nearest(encoding, k=k)
        matches = []
        for owner, d in zip(found.owners.tolist(), found.distances.tolist(), strict=True):
            identity = self._ids[owner]
            if (name := self._name(identity)) is not None:  # None: forgotten this very moment
                matches.append(Match(name, d, identity))
        return matches

    def _name(self, identity: str) -> str | None:
        if identity not in self._names and (person := self.gallery.person(identity)) is not None:
            self._names[identity] = person.name
        return self._names.get(identity)

    def _refresh(self) -> None:
        """Take up what changed in the gallery, here or in another process."""
        with self._lock:
            if self._stamp is not None and self.gallery.changes() == self._stamp:
                return
            news = self.gallery.news(self._stamp or Stamp(0, 0))
            self._index.remove([self._numbers.pop(person) for person in news.forgotten if person in self._numbers])
            for person in news.forgotten:
                self._names.pop(person, None)
            owners = news.people.tolist()
            for owner in owners:
                if owner not in self._numbers:
                    self._numbers[owner] = len(self._ids)
                    self._ids.append(owner)
            self._index.add(news.encodings, [self._numbers[owner] for owner in owners])
            self._stamp = news.stamp
