"""The administrator's routes: enrol with consent, look up, export, forget; the log and the risk as they are."""

import importlib.metadata
import io
import json
import threading
from pathlib import Path

import cv2
import pytest
from browsers import Client
from PIL import Image
from skimage import data

from mien import images
from mien.errors import AuditError, GalleryBusy
from mien.faces import load_calibration
from mien.faces.audit import entries
from mien.faces.journal import log_file
from mien.faces.risk import risk
from mien.web.app import create_app
from mien.web.risk_words import risk_rows
from mien.web.settings import Limits


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    cv2.setNumThreads(1)


def jpeg(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=92)
    return file.getvalue()


@pytest.fixture(scope="module")
def astronaut():
    return jpeg(data.astronaut())


@pytest.fixture(scope="module")
def turned():
    """The same person in another picture."""
    picture = Image.fromarray(data.astronaut()).rotate(8, resample=Image.Resampling.BICUBIC)
    return jpeg(images.load(picture.crop((100, 0, 420, 320))).pixels)


@pytest.fixture(scope="module")
def hopper():
    file = next(f for f in importlib.metadata.files("matplotlib") if f.name == "grace_hopper.jpg")
    return jpeg(images.load(str(file.locate())).pixels)


@pytest.fixture
def app(settings, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("MIEN_KEY", raising=False)
    return create_app(settings(gallery=str(tmp_path / "gallery.db"), limits=Limits(faces_seconds=20, faces_waiting=2)))


@pytest.fixture
def administrator(app, bearer):
    with Client(app) as client:
        client.headers.update(bearer)
        yield client


def enrol(client, name, *photos, **values):
    files = [("photos", (f"{i}.jpg", photo, "image/jpeg")) for i, photo in enumerate(photos)]
    return client.post("/api/v1/people", files=files, data={"name": name, "consent": "true", **values})


def test_a_person_is_enrolled_found_exported_and_forgotten(app, administrator, astronaut, turned, hopper):
    assert administrator.get("/api/v1/people").json() == {"people": []}
    enrolled = enrol(administrator, "Eileen", astronaut, note="signed on paper")
    assert enrolled.status_code == 201
    person = enrolled.json()
    assert person["consent"] == "signed on paper"
    assert (person["name"], person["samples"], person["added"], person["looks_like"]) == ("Eileen", 1, 1, [])
    assert person["key_created"].endswith(".key")
    assert administrator.get("/api/v1/people").json()["people"][0]["id"] == person["id"]
    faces = administrator.post("/api/v1/identify", files={"photo": turned}).json()["faces"]
    assert [(face["verdict"], face["name"], face["people"]) for face in faces] == [("known", "Eileen", 1)]
    assert 0 < faces[0]["distance"] < faces[0]["threshold"]
    stranger = administrator.post("/api/v1/identify", files={"photo": hopper}).json()["faces"][0]
    assert (stranger["verdict"], stranger["name"], stranger["id"]) == ("unknown", None, None)
    exported = administrator.get(f"/api/v1/people/{person['id']}/export")
    assert exported.headers["content-disposition"].startswith("attachment")
    assert len(exported.json()["samples"][0]["encoding"]) == 128
    receipt = administrator.delete(f"/api/v1/people/{person['id']}").json()
    assert receipt["complete"]
    assert person["id"] in receipt["receipt"]
    assert administrator.get("/api/v1/people").json() == {"people": []}
    assert administrator.delete(f"/api/v1/people/{person['id']}").status_code == 404
    assert b"Eileen" not in (app.state.house.settings.data.parent / "gallery.db").read_bytes()


def test_nobody_is_enrolled_without_consent(administrator, astronaut):
    for consent in ({}, {"consent": "false"}, {"consent": ""}):
        files = {"photos": astronaut}
        answer = administrator.post("/api/v1/people", files=files, data={"name": "Eileen", **consent})
        assert answer.status_code == 422
        assert "consent" in answer.json()["error"]
    assert administrator.get("/api/v1/people").json() == {"people": []}


def test_what_cannot_be_enrolled_is_told_in_a_sentence(administrator, astronaut, hopper):
    cat = jpeg(data.chelsea())
    assert enrol(administrator, "Chelsea", cat).status_code == 422
    assert "expected one face, found none" in enrol(administrator, "Chelsea", cat).json()["error"]
    third = enrol(administrator, "Eileen", astronaut, astronaut, cat)
    assert third.json()["error"].startswith("“2.jpg”: expected one face, found none.")
    two = enrol(administrator, "Two", astronaut, hopper)
    assert (two.status_code, "two different people" in two.json()["error"]) == (422, True)
    assert enrol(administrator, "", astronaut).status_code == 422
    assert enrol(administrator, "a\nb", astronaut).status_code == 422
    assert enrol(administrator, "Eileen", astronaut).status_code == 201
    taken = enrol(administrator, "eileen", astronaut)
    assert (taken.status_code, "enrolled already" in taken.json()["error"]) == (409, True)
    assert "--" not in taken.json()["error"]
    assert enrol(administrator, "Many", *[astronaut] * 13).status_code == 422
    nobody = enrol(administrator, "Grace", hopper, add="true")
    assert (nobody.status_code, "nobody is called" in nobody.json()["error"]) == (409, True)


def test_photos_are_added_to_somebody(administrator, astronaut, turned):
    enrol(administrator, "Eileen", astronaut)
    more = enrol(administrator, "Eileen", turned, add="true").json()
    assert (more["samples"], more["added"], more["looks_like"]) == (2, 1, [])


def test_somebody_alike_is_pointed_out(administrator, astronaut, turned):
    enrol(administrator, "Eileen", astronaut)
    assert enrol(administrator, "Her sister", turned).json()["looks_like"] == ["Eileen"]


def test_the_log_names_those_who_are_enrolled_and_nobody_else(app, administrator, astronaut, hopper):
    id = enrol(administrator, "Eileen", astronaut).json()["id"]
    administrator.post("/api/v1/identify", files={"photo": astronaut})
    administrator.post("/api/v1/identify", files={"photo": hopper})
    found = administrator.get("/api/v1/audit").json()["entries"]
    assert [(e["event"], e["name"], e["verdict"]) for e in found] == [
        ("identify", None, "unknown"),
        ("identify", "Eileen", "known"),
        ("enrol", "Eileen", None),
    ]
    assert [e["number"] for e in administrator.get("/api/v1/audit?limit=1").json()["entries"]] == [3]
    administrator.delete(f"/api/v1/people/{id}")
    found = administrator.get("/api/v1/audit").json()["entries"]
    assert len(found) == 4
    assert {e["name"] for e in found} == {None}
    assert len(list(entries(log_file(app.state.house.settings.gallery)))) == 4


def test_an_edited_log_is_found(app, administrator, astronaut):
    assert administrator.get("/api/v1/audit/verify").json()["whole"]
    enrol(administrator, "Eileen", astronaut)
    administrator.post("/api/v1/identify", files={"photo": astronaut})
    whole = administrator.get("/api/v1/audit/verify").json()
    assert whole == {"whole": True, "sentence": "The log is whole: 2 entries.", "notes": [], "entries": 2}
    path = log_file(app.state.house.settings.gallery)
    path.write_bytes(path.read_bytes().replace(b'"known"', b'"unkno"'))
    edited = administrator.get("/api/v1/audit/verify").json()
    assert not edited["whole"]
    assert "Line 2" in edited["sentence"]


def test_the_risk_is_told_as_it_is(administrator, astronaut):
    assert administrator.get("/api/v1/risk").json()["rows"] == []
    assert administrator.get("/api/v1/risk.png").status_code == 404
    enrol(administrator, "Eileen", astronaut)
    found = administrator.get("/api/v1/risk?strangers=20&visits=5").json()
    assert "With 20 strangers a day" in found["sentences"][1]
    assert [row["people"] for row in found["rows"] if row["now"]] == [1]
    assert found["rows"][0]["known"] == "measured"
    assert found["rows"][-1]["known"] == "extrapolated, pessimistic bound"
    assert found["rows"][-1]["let_in"][0] == found["rows"][-1]["a_year"][0] == "≤"
    supposed = administrator.get("/api/v1/risk?people=100").json()
    assert [row["people"] for row in supposed["rows"] if row["now"]] == [100]
    assert administrator.get("/api/v1/risk?strangers=-1").status_code == 422
    assert administrator.get("/api/v1/risk?strangers=nan").status_code == 422


def test_what_lies_beyond_the_data_is_not_told():
    found = risk(load_calibration("sface"), people=10, fpir=1e-5, strangers_a_day=10)
    last = risk_rows(found)[-1]
    assert (last.people, last.threshold, last.let_in, last.refused, last.a_year) == (10_000, None, "–", "–", "–")
    assert last.known == "beyond the data"


def test_the_risk_is_drawn(administrator):
    picture = administrator.get("/api/v1/risk.png?people=12")
    assert picture.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(picture.content)).size[0] > 500


def test_figures_of_a_verification_are_for_administrators(app, administrator, bearer, astronaut, turned, hopper):
    visitor = Client(app)
    visitor.get("/api/v1/about")
    for second, same in ((turned, True), (hopper, False)):
        files = {"first": astronaut, "second": second}
        assert visitor.post("/api/v1/verify", files=files).json() == {"same": same}
        full = administrator.post("/api/v1/verify", files=files).json()
        assert (full["same"], full["distance"] < full["threshold"]) == (same, same)
        assert full["fmr"] > 0
    answer = visitor.post("/api/v1/verify", files={"first": astronaut, "second": jpeg(data.chelsea())})
    assert (answer.status_code, answer.json()["error"][:17]) == (422, "The second photo:")


@pytest.mark.parametrize("id", ["x", "0" * 31, "0" * 33, "G" * 32, "..", "%2e%2e", "0" * 32])
def test_an_id_that_is_nobodys_is_not_there(administrator, id):
    assert administrator.delete(f"/api/v1/people/{id}").status_code in (404, 405)
    assert administrator.get(f"/api/v1/people/{id}/export").status_code == 404


@pytest.mark.parametrize(
    ("error", "status"),
    [(GalleryBusy("“/home/me/gallery.db” is busy."), 503), (AuditError("“/home/me/log” was cut."), 409)],
)
def test_places_on_this_machine_are_told_to_administrators_alone(
    app, administrator, astronaut, monkeypatch, error, status
):
    def refuse(*args, **values):
        raise error

    monkeypatch.setattr("mien.faces.recognize.verify_encodings", refuse)
    files = {"first": astronaut, "second": astronaut}
    told = administrator.post("/api/v1/verify", files=files)
    assert (told.status_code, told.json()["error"]) == (status, str(error))
    visitor = Client(app)
    visitor.get("/api/v1/about")
    hidden = visitor.post("/api/v1/verify", files=files)
    assert hidden.status_code == status
    assert "/home/me" not in hidden.text
    if status == 503:
        assert "retry-after" in hidden.headers


def test_a_question_that_takes_too_long_is_given_up_and_others_are_not_kept_waiting(settings, tmp_path, bearer):
    app = create_app(settings(gallery=str(tmp_path / "gallery.db"), limits=Limits(faces_seconds=0.3, faces_waiting=2)))
    held = threading.Event()
    with Client(app) as client:
        app.state.house.faces.recognizer = lambda: held.wait(10)
        try:
            late = client.get("/api/v1/people", headers=bearer)
            assert (late.status_code, "too long" in late.json()["error"]) == (503, True)
            assert client.get("/api/v1/about").status_code == 200
            assert client.get("/api/v1/people", headers=bearer).status_code == 503
            full = client.get("/api/v1/people", headers=bearer)  # two still wait for the thread
            assert (full.status_code, full.headers["retry-after"]) == (429, "1")
        finally:
            held.set()


def test_a_gallery_that_was_put_back_is_opened_anew(app, administrator, astronaut, hopper):
    enrol(administrator, "Eileen", astronaut)
    path = Path(app.state.house.settings.gallery)
    backup = path.read_bytes()
    enrol(administrator, "Grace", hopper)
    path.unlink()
    path.write_bytes(backup)
    assert administrator.get("/api/v1/people").status_code == 409
    assert [person["name"] for person in administrator.get("/api/v1/people").json()["people"]] == ["Eileen"]


def test_what_is_kept_about_somebody_is_told_to_nobody_else(app, administrator, astronaut):
    enrol(administrator, "Eileen", astronaut)
    visitor = Client(app)
    for address in ("/api/v1/about", "/api/v1/door", "/metrics", "/api/v1/jobs", "/api/v1/openapi.json"):
        assert "Eileen" not in visitor.get(address).text
    assert json.loads(visitor.get("/api/v1/people").text) == {
        "error": "Only the administrator may do this; show the token."
    }
