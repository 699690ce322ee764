"""The entrance refuses what it should, and every answer carries its headers."""

import hmac
import io
import json
import logging
import zlib

import httpx
import pytest
from browsers import Client
from fastapi.routing import APIRoute

from mien.errors import OptionError
from mien.web import clients, security
from mien.web.app import create_app
from mien.web.clients import Sessions
from mien.web.rates import Rates
from mien.web.security import CONTENT_POLICY, HEADERS, REPORT_POLICY, AdministratorRoute
from mien.web.settings import Limits

FOREIGN = ("http://evil.example", "http://127.0.0.1:9999", "https://127.0.0.1:8808", "null", "http://localhost:8808")


def routes(app):
    """Every route of the app with one address of it."""
    found = []
    for route in _flat(app.routes):
        if isinstance(route, APIRoute):
            address = route.path.format(**dict.fromkeys(route.param_convertors, "0" * 32))
            found += [(method, address, route) for method in sorted(route.methods - {"HEAD"})]
    return found


def _flat(routes):
    for route in routes:
        included = getattr(route, "original_router", None)  # how newer versions of FastAPI keep them
        yield from _flat(included.routes) if included is not None else (route,)


def changing(app):
    return [(method, address) for method, address, _ in routes(app) if method not in security.SAFE]


def test_the_routes_are_all_there(app):
    found = {(method, route.path) for method, _, route in routes(app)}
    assert len(found) >= 32
    assert ("POST", "/api/v1/paintings") in found
    assert ("DELETE", "/api/v1/people/{id}") in found
    assert len(changing(app)) >= 11


# who may change something


@pytest.mark.parametrize("origin", FOREIGN)
def test_no_other_page_may_change_anything(app, browser, origin):
    for method, address in changing(app):
        answer = browser.request(method, address, headers={"origin": origin})
        assert answer.status_code == 403, (method, address)
        assert "Origin" in answer.json()["error"]


def test_a_browser_that_names_no_origin_may_change_nothing(app, browser):
    del browser.headers["origin"]
    for method, address in changing(app):
        assert browser.request(method, address).status_code == 403, (method, address)


def test_what_a_browser_says_about_a_foreign_page_is_believed(app, browser):
    for site in ("cross-site", "same-site"):
        assert browser.delete("/api/v1/session", headers={"sec-fetch-site": site}).status_code == 403
    assert browser.delete("/api/v1/session", headers={"sec-fetch-site": "same-origin"}).status_code == 204


def test_a_script_without_cookies_needs_no_origin(another):
    script = another()
    script.cookies.clear()
    del script.headers["origin"]
    assert script.post("/api/v1/session", json={"token": "wrong"}).status_code == 401


def test_a_foreign_host_is_refused_at_every_address(app, browser):
    hosts = ("evil.example", "127.0.0.1.evil.example", "evil.example:8808", "", "localhost.evil.example:8808")
    for host in hosts:
        assert browser.get("/", headers={"host": host}).status_code == 403, host
    for method, address, _ in routes(app):
        answer = browser.request(method, address, headers={"host": "evil.example", "origin": "http://evil.example"})
        assert answer.status_code == 403, (method, address)


def test_loopbacks_own_names_are_taken(browser):
    for host in ("127.0.0.1:8808", "localhost:8808", "[::1]:8808", "127.0.0.1", "LOCALHOST:1234"):
        assert browser.get("/health/live", headers={"host": host}).status_code == 200, host


def test_no_answer_allows_another_site_to_read_it(app, browser):
    for method, address, _ in routes(app):
        for headers in ({"origin": "http://evil.example"}, {}):
            answer = browser.request(method, address, headers=headers)
            assert not [name for name in answer.headers if name.startswith("access-control-")], address
    preflight = browser.options("/api/v1/jobs", headers={"access-control-request-method": "DELETE"})
    assert preflight.status_code == 405
    assert not [name for name in preflight.headers if name.startswith("access-control-")]


# what every answer carries


def test_every_answer_carries_the_policy_and_its_kin(app, browser):
    addresses = [(method, address) for method, address, _ in routes(app)]
    addresses += [("GET", "/nothing"), ("GET", "/static/nothing.js"), ("GET", "/static/house.css")]
    addresses += [("GET", "/api/v1/openapi.json"), ("PUT", "/api/v1/jobs")]
    for method, address in addresses:
        answer = browser.request(method, address)
        policy = answer.headers["content-security-policy"]
        assert policy in (CONTENT_POLICY, REPORT_POLICY), address
        for name, value in HEADERS.items():
            assert answer.headers[name] == value, address
        assert "server" not in answer.headers
        if address.startswith("/api/") and "application/json" in answer.headers.get("content-type", ""):
            assert answer.headers["cache-control"] == "no-store", address


def test_the_policy_lets_nothing_in_from_elsewhere():
    rules = dict(rule.strip().split(" ", 1) for rule in CONTENT_POLICY.split(";"))
    assert rules["default-src"] == "'self'"
    assert rules["object-src"] == rules["base-uri"] == "'none'"
    assert "unsafe" not in CONTENT_POLICY
    assert "*" not in CONTENT_POLICY + REPORT_POLICY
    assert REPORT_POLICY.startswith("sandbox allow-scripts;")
    assert "allow-same-origin" not in REPORT_POLICY


def test_cookies_are_out_of_reach_of_scripts_and_other_sites(another, settings):
    cookie = another().get("/api/v1/about", headers={"cookie": ""}).headers["set-cookie"]
    assert cookie.startswith("mien=")
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))  # a link from elsewhere keeps its jobs
    session = clients.set_cookie(clients.SESSION, "x", seconds=1, secure=False)
    assert "SameSite=Strict" in session
    assert "Secure" in clients.set_cookie("mien", "x", seconds=1, secure=True)


# the administrator


def test_the_administrators_routes_need_the_token(settings):
    app = create_app(settings(limits=Limits(tokens_a_minute=1000)))
    own = [(method, address) for method, address, route in routes(app) if isinstance(route, AdministratorRoute)]
    assert len(own) == 9
    for method, address in own:
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Basic x"}):
            with Client(app) as client:
                answer = client.request(method, address, headers=headers)
            assert answer.status_code == 401, (method, address)
            assert "token" in answer.json()["error"]


def test_tokens_cannot_be_guessed_by_header_either(browser):
    statuses = [
        browser.get("/api/v1/people", headers={"authorization": f"Bearer guess-{i}"}).status_code for i in range(12)
    ]
    assert statuses == [401] * 10 + [429] * 2


def test_what_is_the_administrators_is_asked_for_before_the_body_is_read(browser):
    answer = browser.post(
        "/api/v1/people", content=_never(), headers={"content-type": "multipart/form-data; boundary=x"}
    )
    assert answer.status_code == 401


def _never():
    yield b"--x\r\n"
    raise AssertionError("the body was read")


def test_a_session_stands_for_the_token_until_it_is_left(browser, another):
    assert browser.post("/api/v1/session", json={"token": "the-administrators-tokem"}).status_code == 401
    assert not browser.get("/api/v1/about").json()["administrator"]
    entered = browser.post("/api/v1/session", json={"token": "the-administrators-token"})
    assert entered.status_code == 204
    assert "HttpOnly" in entered.headers["set-cookie"]
    assert "the-administrators-token" not in entered.headers["set-cookie"]
    assert browser.get("/api/v1/about").json()["administrator"]
    assert not another().get("/api/v1/about").json()["administrator"]
    session = browser.cookies["mien_session"]
    assert browser.delete("/api/v1/session").status_code == 204
    assert not browser.get("/api/v1/about", headers={"cookie": f"mien_session={session}"}).json()["administrator"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"token": 5}', b'{"token": null}', b"token=x"])
def test_a_session_needs_a_token(browser, body):
    assert browser.post("/api/v1/session", content=body).status_code == 422


def test_tokens_are_compared_in_constant_time(monkeypatch):
    compared, truly = [], hmac.compare_digest

    def compare(a, b):
        compared.append((a, b))
        return truly(a, b)

    monkeypatch.setattr(clients.hmac, "compare_digest", compare)
    sessions = Sessions("the-administrators-token")
    assert sessions.is_token("the-administrators-token")
    assert not sessions.is_token("die-administrators-token")
    assert not sessions.is_token("ähnlich")
    assert len(compared) == 3


def test_tokens_cannot_be_tried_out(browser, another):
    statuses = [another().post("/api/v1/session", json={"token": "guess"}).status_code for _ in range(12)]
    assert statuses[:10] == [401] * 10
    assert statuses[10:] == [429] * 2


def test_a_session_ends_by_itself():
    now = [0.0]
    sessions = Sessions("the-administrators-token", clock=lambda: now[0])
    value = sessions.open()
    now[0] = clients.SESSION_SECONDS - 1
    assert sessions.is_open(value)
    now[0] = clients.SESSION_SECONDS
    assert not sessions.is_open(value)


# other machines


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", "::", "office.example"])
def test_another_address_than_loopback_needs_a_token_and_tls_or_a_word(settings, host):
    with pytest.raises(OptionError, match="certificate"):
        settings(host=host)
    with pytest.raises(OptionError, match="token"):
        settings(host=host, insecure=True, token="")
    assert not settings(host=host, insecure=True).loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_needs_neither(settings, host):
    assert settings(host=host).loopback


def test_where_others_can_connect_everything_needs_the_token(settings, bearer):
    app = create_app(settings(host="0.0.0.0", insecure=True, names=("office.example",)))
    with Client(app) as client:
        for method, address, route in routes(app):
            answer = client.request(method, address)
            held = route.path.startswith(("/api/", "/health/ready", "/metrics")) and route.path != "/api/v1/session"
            assert (answer.status_code == 401) == held, address
        assert client.get("/api/v1/about", headers=bearer).json()["locked"]
        assert client.get("/health/ready", headers=bearer).status_code == 200
        for host, status in (("10.0.0.7:8808", 200), ("office.example", 200), ("evil.example", 403)):
            assert client.get("/health/live", headers={"host": host}).status_code == status


# too much, too often


def test_a_body_that_is_said_to_be_too_large_is_not_read(settings):
    with Client(create_app(settings(limits=Limits(bytes=10_000)))) as client:
        headers = {"content-type": "multipart/form-data; boundary=x", "content-length": "10001"}
        answer = client.post("/api/v1/paintings", content=_never(), headers=headers)
        assert answer.status_code == 413
        assert "0.00954 MB" in answer.json()["error"]


def test_a_body_of_unknown_length_is_read_up_to_the_limit(settings, served):
    sent = 0

    def endless():
        nonlocal sent
        yield b'--x\r\ncontent-disposition: form-data; name="photo"; filename="a.jpg"\r\n\r\n'
        while sent < 400 * 2**20:
            sent += 2**16
            yield b"\0" * 2**16

    with served(create_app(settings(limits=Limits(bytes=2**20)))) as client:
        try:
            answer = client.post(
                "/api/v1/paintings", content=endless(), headers={"content-type": "multipart/form-data; boundary=x"}
            )
            assert answer.status_code == 413
        except httpx.TransportError:
            pass  # the server closed the connection, while the client was still writing
        assert sent < 50 * 2**20
        assert client.get("/health/live").status_code == 200


def test_a_watchman_may_ask_for_the_head_alone(browser):
    for path in ("/health/live", "/health/ready"):
        answer = browser.head(path)
        assert answer.status_code == browser.get(path).status_code
        assert answer.content == b""


def test_a_frame_has_a_smaller_limit(browser):
    answer = browser.post(
        "/api/v1/door/attempts/x/frames?nonce=x&n=0&taken=0",
        content=b"\xff" * 400_001,
        headers={"content-type": "image/jpeg"},
    )
    assert answer.status_code == 413


def test_a_body_that_does_not_come_is_given_up(settings, served):
    import socket

    with served(create_app(settings(limits=Limits(body_seconds=0.3)))) as client:
        address = client.base_url
        with socket.create_connection((address.host, address.port)) as slow:
            slow.sendall(f"POST /api/v1/session HTTP/1.1\r\nHost: {address.host}\r\nContent-Length: 9\r\n\r\n".encode())
            assert slow.recv(100).startswith(b"HTTP/1.1 408")


def bomb(width, height):
    """A PNG of so many pixels in a few bytes."""

    def chunk(kind, data):
        body = kind + data
        return len(data).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")

    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x00\x00\x00\x00"
    data = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("address", "field", "others"),
    [
        ("/api/v1/paintings", "photo", {"styles": "@night"}),
        ("/api/v1/looks", "pictures", {}),
        ("/api/v1/identify", "photo", {}),
    ],
)
def test_bombs_are_refused_before_they_go_off(settings, bearer, tmp_path, monkeypatch, address, field, others):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with Client(create_app(settings(gallery=str(tmp_path / "gallery.db")))) as client:
        files = {field: ("bomb.png", io.BytesIO(bomb(20_000, 20_000)), "image/png")}
        answer = client.post(address, files=files, data=others, headers=bearer)
        assert answer.status_code == 422
        assert "at most 50,000,000 pixels" in answer.json()["error"]
        assert "“bomb.png”" in answer.json()["error"]
        jobs = tmp_path / "serve" / "jobs"
        assert not list(jobs.iterdir())


def test_who_asks_too_often_is_told_when_to_ask_again(settings):
    with Client(create_app(settings(limits=Limits(requests_a_second=2)))) as client:
        client.get("/api/v1/about")
        answers = [client.get("/api/v1/jobs") for _ in range(8)]
        late = [answer for answer in answers if answer.status_code == 429]
        assert 1 <= len(late) <= 3
        assert 1 <= int(late[0].headers["retry-after"]) <= 2
        assert "wait" in late[0].json()["error"]


def test_throwing_cookies_away_does_not_help(settings):
    with Client(create_app(settings(limits=Limits(requests_a_second=1)))) as client:
        statuses = set()
        for _ in range(30):
            client.cookies.clear()
            statuses.add(client.get("/api/v1/jobs").status_code)
        assert 429 in statuses


def test_a_bucket_fills_again():
    now = [0.0]
    rates = Rates(2.0, 3.0, clock=lambda: now[0])
    assert [rates.take("a") for _ in range(3)] == [0, 0, 0]
    assert rates.take("a") == 0.5
    assert rates.take("b") == 0
    now[0] = 0.5
    assert rates.take("a") == 0
    assert rates.take("a") == 0.5
    now[0] = 100.0
    assert [rates.take("a") > 0 for _ in range(4)] == [False, False, False, True]


# what is not said


def test_an_unforeseen_error_says_nothing_and_is_logged_without_its_text(app, browser, caplog, monkeypatch):
    def broken(owner):
        raise RuntimeError("Danielle lives at 5 Elm Street")

    monkeypatch.setattr(app.state.house.jobs, "of", broken)
    with caplog.at_level(logging.INFO):
        answer = browser.get("/api/v1/jobs")
    assert answer.status_code == 500
    assert answer.json() == {
        "error": "Something went wrong in the server, and it has been written down there; please try again."
    }
    assert answer.headers["content-security-policy"] == CONTENT_POLICY
    assert "RuntimeError" in caplog.text
    assert "job_routes.py" in caplog.text
    assert "Danielle" not in caplog.text


def test_the_log_of_requests_holds_no_names_queries_or_ids(browser, caplog):
    with caplog.at_level(logging.INFO, logger="mien.web.access"):
        browser.get("/api/v1/jobs/" + "ab" * 16 + "?secret=1")
        browser.get("/Danielle?who=me")
    lines = [record.getMessage() for record in caplog.records if record.name == "mien.web.access"]
    assert [line.rsplit(" ", 2)[0] for line in lines] == ["GET /api/v1/jobs/{id} 404", "GET other 404"]


def test_nothing_of_a_path_gets_out_of_the_folders(app, browser, tmp_path):
    (tmp_path / "secret.txt").write_text("secret")
    job = "0" * 32
    tricks = [
        "..%2f..%2fsecret.txt",
        "%2e%2e/secret.txt",
        "....//secret.txt",
        "..\\..\\secret.txt",
        "%00",
        "/etc/passwd",
    ]
    places = [
        "/api/v1/jobs/{}",
        "/api/v1/jobs/{}/photo",
        f"/api/v1/jobs/{job}/report/{{}}",
        "/api/v1/styles/{}.jpg",
        "/static/{}",
    ]
    for place in places:
        for trick in tricks:
            answer = browser.get(place.format(trick))
            assert answer.status_code in (404, 405), (place, trick)
            assert "secret" not in answer.text
            assert "root:" not in answer.text


def test_unknown_addresses_and_methods_are_told_in_one_shape(browser):
    assert browser.get("/nothing").json() == {"error": "There is nothing at this address."}
    assert browser.put("/api/v1/jobs").status_code == 405
    assert "error" in browser.put("/api/v1/jobs").json()


def test_the_metrics_are_for_administrators_and_this_machine(browser, settings, bearer, tmp_path):
    browser.get("/api/v1/jobs/" + "0" * 32)
    text = browser.get("/metrics").text
    assert 'mien_requests_total{method="GET",route="/api/v1/jobs/{id}",status="404"} 1.0' in text
    assert 'mien_jobs{state="queued"} 0.0' in text
    with Client(create_app(settings(host="0.0.0.0", insecure=True, data=tmp_path / "far"))) as far:
        assert far.get("/metrics").status_code == 401
        assert far.get("/metrics", headers=bearer).status_code == 200


def test_the_description_of_the_api_is_there_and_needs_nothing_from_elsewhere(browser):
    described = browser.get("/api/v1/openapi.json").json()
    assert "/api/v1/paintings" in described["paths"]
    assert browser.get("/docs").status_code == browser.get("/redoc").status_code == 404
    assert "http" not in json.dumps(described["paths"]).replace("HTTPValidationError", "")
