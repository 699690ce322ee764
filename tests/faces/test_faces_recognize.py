"""Enrolment from one photo, recognition, and what must never happen: on real photos, a real gallery, a real log."""

import base64
import itertools
import threading

import numpy as np
import pytest
from PIL import Image

from mien import images
from mien.errors import (
    AuditError,
    CalibrationError,
    FaceError,
    GalleryError,
    NameTaken,
    OptionError,
    OutputError,
    WeightsMismatch,
)
from mien.faces import Recognizer, open_gallery, verify, verify_encodings
from mien.faces.audit import entries
from mien.faces.journal import log_file, verify_log
from mien.faces.recognize import verify_with_head


def relit(pixels):
    """The picture turned by 8 degrees, cropped, and at 60 % of its light."""
    turned = Image.fromarray(pixels).rotate(8, resample=Image.Resampling.BICUBIC).crop((100, 0, 420, 320))
    return (np.asarray(turned) * 0.6).astype(np.uint8)


def near(encoding, distance, seed=99):
    """An encoding at exactly this distance from another."""
    other = np.random.default_rng(seed).normal(size=encoding.shape)
    other -= (other @ encoding) * encoding
    other /= np.linalg.norm(other)
    cosine = 1 - distance**2 / 2
    return (cosine * encoding + np.sqrt(1 - cosine**2) * other).astype(np.float32)


# one photo is enough


def test_one_photo_enrols_and_another_picture_is_recognised(office, astronaut):
    done = office.enrol("Eileen", astronaut)
    assert (done.person.name, done.added, done.looks_like) == ("Eileen", 1, ())
    decision = office.identify(relit(astronaut))
    assert decision.verdict == "known"
    assert decision.match.person == "Eileen"
    assert decision.match.id == done.person.id
    assert decision.people == 1
    x, _, width, _ = decision.face.box
    assert 0 < x < x + width < 320


def test_somebody_else_is_not_in_the_database(office, astronaut, hopper):
    office.enrol("Eileen", astronaut)
    decision = office.identify(hopper)
    assert decision.verdict == "unknown"
    assert decision.match is None
    assert decision.nearest.person == "Eileen"


def test_an_empty_gallery_knows_nobody_and_writes_nothing(office, astronaut, home):
    decision = office.identify(astronaut)
    assert (decision.verdict, decision.nearest, decision.people) == ("unknown", None, 0)
    assert not (home / "data" / "office.db").exists()


def test_everybody_in_a_photo_is_told_the_largest_face_first(office, astronaut, hopper):
    office.enrol("Grace", hopper)
    both = np.zeros((600, 1100, 3), np.uint8)
    both[:600, :512], both[:512, 560:1072] = hopper[:600, :512], astronaut
    decisions = office.identify_all(both)
    assert [d.match.person if d.match else None for d in decisions] in (["Grace", None], [None, "Grace"])
    sizes = [d.face.size for d in decisions]
    assert sizes == sorted(sizes, reverse=True)
    with pytest.raises(FaceError, match="expected one face, found 2"):
        office.identify(both)


def test_a_photo_without_a_face_gives_an_empty_list_or_an_error(office):
    wall = np.full((200, 300, 3), 180, np.uint8)
    assert office.identify_all(wall) == []
    with pytest.raises(FaceError, match="found none"):
        office.identify(wall)


# refusals, before anything is written


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda p: (p * 0.08).astype(np.uint8), "too dark"),
        (lambda p: np.asarray(Image.fromarray(p).resize((76, 76))), "too small"),
        (lambda p: np.asarray(Image.fromarray(p).resize((32, 32)).resize((512, 512))), "face|blurred"),
        (lambda p: np.full_like(p, 90), "found none"),
    ],
)
def test_a_photo_that_is_not_good_enough_is_refused_with_the_reason(office, astronaut, home, spoil, reason):
    with pytest.raises(FaceError, match=reason):
        office.enrol("Eileen", spoil(astronaut))
    assert office.gallery.people() == []
    assert not (home / "data" / "office.db").exists()


def test_the_second_of_two_photos_is_looked_at_before_the_first_is_written(office, astronaut):
    with pytest.raises(FaceError, match="found none"):
        office.enrol("Eileen", astronaut, np.full_like(astronaut, 90))
    assert office.gallery.people() == []


def test_photos_of_two_people_are_not_one_person(office, astronaut, hopper):
    with pytest.raises(FaceError, match="two different people"):
        office.enrol("Eileen", astronaut, hopper)


def test_photos_added_to_somebody_must_show_them(office, astronaut, hopper):
    office.enrol("Grace", hopper)
    with pytest.raises(FaceError, match="seems to show somebody else than Grace"):
        office.enrol("Grace", astronaut, add=True)
    assert office.gallery.find("Grace").samples == 1


def test_photos_are_added_only_to_somebody_who_is_there(office, astronaut, hopper):
    office.enrol("Grace", hopper)
    with pytest.raises(GalleryError, match=r"nobody is called “Gracie”\. Did you mean Grace\?"):
        office.enrol("Gracie", hopper, add=True)
    assert [p.name for p in office.gallery.people()] == ["Grace"]


def test_a_new_consent_note_comes_with_added_photos(office, hopper):
    office.enrol("Grace", hopper, consent="by word of mouth")
    office.enrol("Grace", hopper[:, ::-1], add=True, consent="signed")
    assert office.gallery.find("Grace").consent == "signed"


def test_nobody_is_enrolled_with_whom_the_data_would_not_support_the_rate(home, pipeline, calibration, strangers):
    with open_gallery(home / "data" / "a.db", encoder=pipeline.encoder.name, dimension=128) as gallery:
        office = Recognizer(gallery, pipeline, calibration, fpir=3 * calibration.lowest_fmr)
        for number, row in enumerate(strangers(3)):
            office.enrol_encodings(f"p{number}", row[None])
        with pytest.raises(CalibrationError, match="cannot show"):
            office.enrol_encodings("one too many", strangers(1, seed=7))
        assert office.identify_encoding(strangers(3)[0]).match.person == "p0"


def test_no_photo_is_refused(office):
    with pytest.raises(OptionError, match="at least one photo"):
        office.enrol("Eileen")


def test_a_name_is_taken_once_unless_photos_are_added(office, astronaut):
    office.enrol("Eileen", astronaut)
    with pytest.raises(NameTaken):
        office.enrol("eileen", relit(astronaut))
    done = office.enrol("Eileen", astronaut[:, ::-1], add=True)
    assert (done.added, done.person.samples) == (1, 2)
    assert done.looks_like == ()  # not like somebody else: it is herself
    assert office.people == 1


# likeness, margin, thresholds that know K


def test_an_enrolment_that_looks_like_somebody_says_whom(office, strangers):
    (anna,) = strangers(1)
    office.enrol_encodings("Anna", anna[None])
    done = office.enrol_encodings("Berta", near(anna, 0.7)[None])
    assert [(m.person, round(m.distance, 3)) for m in done.looks_like] == [("Anna", 0.7)]
    assert office.enrol_encodings("Carl", strangers(1, seed=5)).looks_like == ()


def test_two_people_about_as_near_make_it_unsure(office, strangers):
    (probe,) = strangers(1)
    office.enrol_encodings("Anna", near(probe, 0.60, seed=1)[None])
    office.enrol_encodings("Berta", near(probe, 0.64, seed=2)[None])
    decision = office.identify_encoding(probe)
    assert (decision.verdict, decision.match) == ("unsure", None)
    assert {decision.nearest.person, decision.runner_up.person} == {"Anna", "Berta"}


def test_more_photos_of_the_same_person_are_no_runner_up(office, strangers):
    (probe,) = strangers(1)
    office.enrol_encodings("Anna", np.stack([near(probe, 0.60, seed=1), near(probe, 0.62, seed=2)]))
    decision = office.identify_encoding(probe)
    assert decision.match.person == "Anna"
    assert decision.runner_up is None


def test_the_threshold_is_stricter_the_more_people_there_are(office, strangers, calibration):
    taus = []
    for number, row in enumerate(strangers(12)):
        office.enrol_encodings(f"p{number}", row[None])
        taus.append(office.threshold())
    assert all(later < earlier for earlier, later in itertools.pairwise(taus))
    assert taus[-1] == calibration.threshold_for_fpir(1e-3, 12)
    office.forget("p3")
    assert office.threshold() == taus[-2]


def test_more_photos_a_person_count_as_more_comparisons(office, strangers, calibration):
    for number in range(4):
        office.enrol_encodings(f"p{number}", strangers(3, seed=number))
    assert office.threshold() == calibration.threshold_for_fpir(1e-3, 4, samples_per_person=3)


# several processes and threads


def test_what_another_process_does_is_seen_at_the_next_question(office, home, pipeline, calibration, strangers):
    rows = strangers(3)
    office.enrol_encodings("Anna", rows[:1])
    assert office.identify_encoding(rows[0]).match.person == "Anna"
    with open_gallery(home / "data" / "office.db", encoder=pipeline.encoder.name, dimension=128) as other:
        other.add_person("Berta", rows[1:2])
        assert office.identify_encoding(rows[1]).match.person == "Berta"
        other.forget("Anna")
        assert office.identify_encoding(rows[0]).verdict == "unknown"
        other.add_person("Anna", rows[2:3])
        assert office.identify_encoding(rows[0]).verdict == "unknown"
        assert office.identify_encoding(rows[2]).match.person == "Anna"
    assert office.people == 2


def test_threads_may_share_a_recogniser(office, strangers):
    rows = strangers(24)
    wrong = []

    def work(start):
        for number in range(start, 24, 4):
            office.enrol_encodings(f"p{number}", rows[number : number + 1])
            found = office.identify_encoding(rows[number]).match
            if found is None or found.person != f"p{number}":
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert office.people == 24


def test_a_gallery_of_another_encoder_is_refused(home, pipeline, calibration, strangers):
    with open_gallery(home / "data" / "a.db", encoder="arcface-12345678", dimension=128) as gallery:
        gallery.add_person("Anna", strangers(1))
        with pytest.raises(GalleryError, match="cannot be compared"):
            Recognizer(gallery, pipeline, calibration)


# privacy


def test_no_photo_is_kept_unless_asked_for(office, astronaut):
    office.enrol("Eileen", astronaut)
    assert office.gallery.export("Eileen")["photos"] == []
    office.forget("Eileen")
    office.enrol("Eileen", astronaut, keep_photos=True)
    assert len(office.gallery.export("Eileen")["photos"]) == 1


def test_the_log_holds_decisions_and_no_names(office, astronaut, hopper, home):
    done = office.enrol("Eileen", astronaut)
    office.identify(astronaut)
    office.identify(hopper)
    office.rotate_key()
    office.forget("Eileen")
    found = list(entries(log_file(home / "data" / "office.db")))
    assert [e.event for e in found] == ["enrol", "identify", "identify", "rotate-key", "forget"]
    assert [e.fields.get("verdict") for e in found[1:3]] == ["known", "unknown"]
    assert found[1].fields["person"] == done.person.id
    assert "person" not in found[2].fields
    assert b"Eileen" not in log_file(home / "data" / "office.db").read_bytes()
    report, headed = verify_log(office.gallery)
    assert (report.entries, headed) == (5, True)


def test_a_recogniser_that_is_not_audited_leaves_no_log(home, pipeline, calibration, strangers):
    with open_gallery(home / "data" / "a.db", encoder=pipeline.encoder.name, dimension=128) as gallery:
        Recognizer(gallery, pipeline, calibration, audited=False).enrol_encodings("Anna", strangers(1))
    assert not log_file(home / "data" / "a.db").exists()


@pytest.mark.parametrize("spoil", ["edit", "folder"])
def test_nothing_is_changed_that_the_log_could_not_be_told(office, astronaut, hopper, home, spoil):
    office.enrol("Eileen", astronaut)
    log = log_file(home / "data" / "office.db")
    if spoil == "edit":
        log.write_bytes(log.read_bytes().replace(b'"enrol"', b'"enrap"'))
    else:
        log.unlink()
        log.mkdir()
    for change in (lambda: office.enrol("Grace", hopper), lambda: office.forget("Eileen"), office.rotate_key):
        with pytest.raises((AuditError, OutputError)):
            change()
    with pytest.raises((AuditError, OutputError)):
        office.identify(astronaut)
    assert [p.name for p in office.gallery.people()] == ["Eileen"]


def test_what_is_done_already_is_said_to_be_done_where_the_log_fails_then(office, hopper, monkeypatch):
    def fail(*arguments, **fields):
        raise OutputError("The disk is full.")

    monkeypatch.setattr("mien.faces.audit.Audit.append", fail)
    with pytest.raises(AuditError, match=r"Grace is enrolled, but the log could not be told so\. The disk is full\."):
        office.enrol("Grace", hopper)
    assert office.gallery.find("Grace") is not None


def test_a_kept_photo_is_the_one_that_was_seen(office, astronaut, home):
    path = images.save(home / "photo.png", astronaut)
    office.enrol("Eileen", path, keep_photos=True)
    (kept,) = office.gallery.export("Eileen")["photos"]
    assert base64.b64decode(kept) == path.read_bytes()


# verification


def test_two_pictures_of_one_person_are_the_same(pipeline, calibration, astronaut):
    answer = verify(astronaut, relit(astronaut), pipeline=pipeline, calibration=calibration)
    assert answer.same
    assert answer.distance < answer.threshold
    low, high = answer.fmr_interval
    assert 0 <= low <= answer.fmr <= high <= 1e-4 * 1.001
    assert answer.cosine == pytest.approx(1 - answer.distance**2 / 2)


def test_two_people_are_different(pipeline, calibration, astronaut, hopper):
    assert not verify(astronaut, hopper, pipeline=pipeline, calibration=calibration).same


def test_what_is_no_encoding_is_like_nothing(calibration, strangers):
    (a,) = strangers(1)
    for other in (np.zeros(128, np.float32), np.full(128, np.nan, np.float32), 2 * a):
        with pytest.raises(OptionError, match="length 1"):
            verify_encodings(other, other, calibration=calibration)


def test_a_rate_beyond_what_was_measured_is_labelled_a_bound(calibration, strangers):
    a, b = strangers(2)
    assert verify_encodings(a, b, calibration=calibration, fmr=1e-6).extrapolated
    assert not verify_encodings(a, b, calibration=calibration, fmr=1e-3).extrapolated


def test_a_stricter_rate_means_a_smaller_threshold(calibration, strangers):
    a, b = strangers(2)
    loose = verify_encodings(a, b, calibration=calibration, fmr=1e-2).threshold
    assert verify_encodings(a, b, calibration=calibration, fmr=1e-5).threshold < loose


def test_a_pair_head_decides_in_the_thresholds_place(pipeline, astronaut, hopper):
    from mien.backbones.pair_head import PairHead

    # Summed |f1 - f2| of unit encodings is below 16 √2; strangers lie near 12.
    head = PairHead(feature="absolute", weights=np.full(128, -2.0), bias=16.0, encoder=pipeline.encoder.name)
    same = verify_with_head(astronaut, relit(astronaut), pipeline=pipeline, head=head)
    different = verify_with_head(astronaut, hopper, pipeline=pipeline, head=head)
    assert same.same
    assert not different.same
    assert 0 <= different.probability < 0.5 < same.probability <= 1
    other = PairHead(feature="absolute", weights=np.full(128, -2.0), bias=16.0, encoder="arcface-12345678")
    with pytest.raises(WeightsMismatch, match="other encodings"):
        verify_with_head(astronaut, hopper, pipeline=pipeline, head=other)
