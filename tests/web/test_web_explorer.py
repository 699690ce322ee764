"""The Explorer's routes: a look at a network as a job, and its report in an origin of its own."""

import time

import pytest

from mien.web.app import create_app
from mien.web.security import REPORT_POLICY


def look(client, pictures, **values):
    files = [("pictures", (name, data, "image/jpeg")) for name, data in pictures]
    return client.post("/api/v1/looks", files=files, data=values)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"model": "/etc"}, "Expected one of the networks vgg19, got '/etc'."),
        ({"model": "os:system"}, "Expected one of the networks vgg19"),
        ({"layers": "relu1_1,../x"}, "Expected names of layers"),
        ({"layers": ",".join(f"l{i}" for i in range(17))}, "Expected at most 16 layers, got 17."),
        ({"units": "0"}, "Expected units to be from 1 to 64, got 0."),
        ({"top": "100"}, "Expected top to be from 1 to 16, got 100."),
        ({"method": "magic"}, "Expected another method"),
    ],
)
def test_what_does_not_fit_is_told_in_a_sentence(app, browser, jpeg, values, sentence):
    answer = look(browser, [("a.jpg", jpeg())], **values)
    assert answer.status_code == 422
    assert sentence in answer.json()["error"]
    assert not list(app.state.house.jobs.folder.iterdir())


def test_there_may_be_too_many_pictures_or_none(browser, jpeg):
    assert "at most 64 pictures, got 65" in look(browser, [("a.jpg", jpeg(8, 8))] * 65).json()["error"]
    assert look(browser, []).status_code == 422


def test_a_report_is_made_and_shown_apart_from_the_page(settings, served, jpeg):
    app = create_app(settings())
    with served(app) as client:
        pictures = [("a.jpg", jpeg(64, 64)), ("../a.jpg", jpeg(64, 64, seed=1)), ("b?.png", jpeg(40, 60, seed=2))]
        job = look(client, pictures, layers="relu1_1", units="2", top="2").json()
        assert job["kind"] == "look"
        assert job["title"] == "vgg19 on 3 pictures"
        assert job["settings"] == {
            "model": "vgg19", "layers": ["relu1_1"], "units": 2, "method": "deconvnet", "top": 2, "pictures": 3,
        }  # fmt: skip
        deadline = time.monotonic() + 120
        while job["state"] in ("queued", "running"):
            assert time.monotonic() < deadline
            time.sleep(0.2)
            job = client.get(f"/api/v1/jobs/{job['id']}").json()
        assert job["state"] == "done", job["error"]
        page = client.get(job["report"])
        assert page.headers["content-security-policy"] == REPORT_POLICY
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert "What vgg19 responds to" in page.text
        assert "a (2).png" in page.text
        assert str(app.state.house.settings.data) not in page.text
        assert client.get(job["report"] + "units.csv").text.startswith("layer,unit,")
        assert client.get(job["report"] + "relu1_1.png").headers["content-type"] == "image/png"
        for other in ("job.json", "..%2fjob.json", "index.html%00", "nothing.html", ".html"):
            assert client.get(job["report"] + other).status_code == 404, other
        assert client.get(f"/api/v1/jobs/{job['id']}/photo").status_code == 404
