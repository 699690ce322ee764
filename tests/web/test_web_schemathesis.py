"""Whatever a machine makes up from the API's own description, the server never fails: no 5xx."""

import io
import secrets

import httpx
import hypothesis
import pytest
import skimage.data
from browsers import TOKEN, running
from PIL import Image

from mien.web.app import create_app
from mien.web.settings import Limits, ServeSettings

schemathesis = pytest.importorskip("schemathesis")

pytestmark = pytest.mark.slow

EXAMPLES = 12
"""For each of the operations."""


class Idle:
    """A worker that has done everything at once: the time is better spent on the routes."""

    alive = True

    async def do(self, order, told, *, seconds):
        return {"end": "done", "seconds": 0.0}

    def cancel(self):
        pass

    async def close(self):
        pass


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    from browsers import TOKEN

    folder = tmp_path_factory.mktemp("schemathesis")
    many = Limits(requests_a_second=100_000, uploads_a_minute=100_000, tokens_a_minute=100_000, queue_per_client=20)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        app = create_app(
            ServeSettings(
                data=folder / "serve", gallery=str(folder / "gallery.db"), liveness=None, token=TOKEN, limits=many
            )
        )
        app.state.house.jobs.workshop = Idle()
        with running(app) as found:
            yield found


@pytest.mark.parametrize("knowing", [False, True])
def test_nothing_that_the_description_allows_makes_the_server_fail(address, knowing, jpeg):
    """Knowing: as the administrator, about jobs and people that are there, and with pictures that are some."""
    schema = schemathesis.openapi.from_url(f"{address}/api/v1/openapi.json")
    headers = {"authorization": f"Bearer {TOKEN}"} if knowing else {}
    with httpx.Client(base_url=address, headers=headers, timeout=60) as client:
        called, statuses = set(), set()
        for result in schema.get_all_operations():
            operation = result.ok()
            called.add((operation.method, operation.path))
            known = _things(client, operation.path, jpeg()) if knowing else {}
            statuses |= _try_out(operation, address, headers, known)
    assert len(called) >= 32
    assert {200, 404, 422} <= statuses
    assert ({201, 202} <= statuses) == knowing


FILES = ("photo", "photos", "pictures", "first", "second", "style_files")


def _things(client, path, picture):
    """What a path's id may be, and a picture for every file."""
    things = {"picture": picture}
    if "/jobs/{id}" in path:
        form = {"files": {"photo": picture}, "data": {"styles": "@night"}}
        things["id"] = client.post("/api/v1/paintings", **form).json()["id"]
    elif "/people/{id}" in path:
        file = io.BytesIO()
        Image.fromarray(skimage.data.astronaut()).save(file, "JPEG")
        form = {"files": {"photos": file.getvalue()}, "data": {"name": secrets.token_hex(4), "consent": "true"}}
        things["id"] = client.post("/api/v1/people", **form).json()["id"]
    elif "/attempts/{id}" in path:
        things |= client.post("/api/v1/door/attempts").json()
    return things


def _fill_in(case, things):
    for name in ("id", "nonce"):
        for place in (case.path_parameters, case.query):
            if place and name in place and name in things:
                place[name] = things[name]
    if isinstance(case.body, dict) and things:
        for name in set(FILES) & set(case.body):
            case.body[name] = [things["picture"]] if isinstance(case.body[name], list) else things["picture"]


def _try_out(operation, address, headers, things):
    statuses = set()

    @hypothesis.settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=operation.as_strategy())
    def never_fails(case):
        _fill_in(case, things)
        response = case.call(base_url=address, headers=headers, timeout=60)
        assert response.status_code < 500, (case.as_curl_command(), response.text)
        statuses.add(response.status_code)

    never_fails()
    return statuses
