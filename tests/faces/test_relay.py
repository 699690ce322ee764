"""What an admission sets off: a real command, and a real server on this machine that hears of it."""

import hmac
import json
import os
import sys
import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mien.errors import OptionError
from mien.faces.relay import Admission, Relay, admission, command, read_secret, signature, webhook

WHO = Admission("0123456789abcdef" * 2, "Żofia; rm -rf $HOME", "front-door", datetime(2026, 11, 22, 8, 30, tzinfo=UTC))
SECRET = b"a secret of some length"


# a command


def python(code, *arguments):
    """A command line that runs a program of ours."""
    quoted = " ".join(f"'{argument}'" for argument in arguments)
    return f"'{sys.executable}' -c \"{code}\" {quoted}"


def test_the_command_finds_who_was_admitted_in_its_environment_and_no_key(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("MIEN_")]:
        monkeypatch.delenv(name)  # what the machine has set, such as MIEN_DATA
    for name in ("MIEN_KEY", "MIEN_NEW_KEY", "MIEN_RTSP"):
        monkeypatch.setenv(name, "hidden")
    monkeypatch.setenv("KEPT", "yes")
    out = tmp_path / "seen.json"
    code = "import json, os, sys; json.dump(dict(os.environ), open(sys.argv[1], 'w'))"
    assert command(python(code, out))(WHO) is None
    seen = json.loads(out.read_text())
    assert {name: value for name, value in seen.items() if name.startswith("MIEN_")} == {
        "MIEN_PERSON": WHO.person,
        "MIEN_NAME": WHO.name,
        "MIEN_CAMERA": "front-door",
        "MIEN_TIME": "2026-11-22T08:30:00+00:00",
    }
    assert seen["KEPT"] == "yes"


def test_no_shell_reads_the_command(tmp_path):
    out = tmp_path / "arguments"
    code = "import sys; open(sys.argv[1], 'w').write('|'.join(sys.argv[2:]))"
    assert command(f"{python(code, out)} $HOME ; touch {tmp_path}/oops")(WHO) is None
    assert out.read_text() == f"$HOME|;|touch|{tmp_path}/oops"
    assert not (tmp_path / "oops").exists()


def test_a_command_that_fails_or_takes_too_long_is_told(tmp_path):
    assert command(python("raise SystemExit(7)"))(WHO) == f"The command {sys.executable} ended with code 7."
    left = tmp_path / "left"
    # The command starts another one, which would write a file; both are ended.
    child = f"import time; time.sleep(1.5); open('{left}', 'w')"
    program = tmp_path / "slow.py"
    program.write_text(f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {child!r}])\n")
    start = time.monotonic()
    said = command(f"'{sys.executable}' '{program}'", seconds=0.7)(WHO)
    assert time.monotonic() - start < 1.4
    assert "more than 0.7 s" in said
    time.sleep(1.2)
    assert not left.exists()


def test_a_command_that_does_not_exist_is_refused_before_anybody_comes():
    for line in ("no-such-program-anywhere --now", "", "'unclosed"):
        with pytest.raises(OptionError, match="Expected a"):
            command(line)


# a relay


def test_the_door_waits_for_nothing_and_everything_is_done_in_order():
    done, said, begin = [], [], threading.Event()

    def act(who):
        begin.wait(5)
        done.append(who.camera)
        if who.camera == "2":
            raise RuntimeError("private words")
        return "failed" if who.camera == "3" else None

    with Relay(act, said=said.append) as relay:
        start = time.monotonic()
        for number in range(5):
            relay.admitted(admission("id", "name", str(number)))
        assert time.monotonic() - start < 0.5
        assert done == []
        begin.set()
    assert done == ["0", "1", "2", "3", "4"]
    assert said == ["An admission was not passed on: RuntimeError.", "failed"]


def test_a_relay_that_does_not_keep_up_says_so_and_blocks_nobody():
    said, begin = [], threading.Event()
    relay = Relay(lambda who: begin.wait(5) and None, said=said.append)
    for _ in range(40):
        relay.admitted(WHO)
    assert said
    assert set(said) == {"An admission was not passed on: too many wait already."}
    begin.set()
    relay.close()
    assert not relay._thread.is_alive()


# a webhook


@pytest.fixture
def server():
    """A server of this machine: `answers` are given in turn, `heard` has (path, headers, body)."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            here.heard.append((self.path, dict(self.headers), body))
            time.sleep(here.delay)
            code = here.answers.pop(0) if here.answers else 204
            self.send_response(code)
            if code == 302:
                self.send_header("Location", "/elsewhere")
            self.end_headers()

        def do_GET(self):
            self.do_POST()

        def log_message(self, *arguments):
            pass

    here = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    here.heard, here.answers, here.delay = [], [], 0.0
    here.url = f"http://127.0.0.1:{here.server_port}/hook"
    thread = threading.Thread(target=here.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield here
    here.shutdown()
    here.server_close()


def test_the_webhook_posts_signed_json_without_the_name(server):
    assert webhook(server.url, SECRET)(WHO) is None
    ((path, headers, body),) = server.heard
    assert path == "/hook"
    assert headers["Content-Type"] == "application/json"
    message = json.loads(body)
    assert len(message.pop("delivery")) == 32
    assert message == {
        "event": "admit",
        "id": WHO.person,
        "time": "2026-11-22T08:30:00.000+00:00",
        "camera": "front-door",
    }
    assert "ofia" not in body.decode()
    timestamp = headers["X-Mien-Timestamp"]
    assert abs(int(timestamp) - time.time()) < 5
    # As a receiver in any language would compute it:
    expected = "v1=" + hmac.new(SECRET, f"{timestamp}.".encode() + body, "sha256").hexdigest()
    assert hmac.compare_digest(headers["X-Mien-Signature"], expected)


def test_a_signature_is_of_this_time_and_this_body():
    good = signature(SECRET, "1", b"{}")
    assert good != signature(SECRET, "2", b"{}")
    assert good != signature(SECRET, "1", b"{ }")
    assert good != signature(SECRET + b"x", "1", b"{}")


def test_three_tries_and_the_same_delivery(server):
    server.answers = [500, 429, 204]
    assert webhook(server.url, SECRET, pauses=(0.01, 0.01))(WHO) is None
    deliveries = {json.loads(body)["delivery"] for _, _, body in server.heard}
    assert (len(server.heard), len(deliveries)) == (3, 1)
    server.heard.clear()
    server.answers = [503] * 9
    said = webhook(server.url, SECRET, pauses=(0.01, 0.01))(WHO)
    assert len(server.heard) == 3
    address = server.url.removesuffix("/hook")
    assert said == f"The webhook at {address} was not told of an admission: it answered 503."


@pytest.mark.parametrize("code", [302, 400, 401, 404])
def test_an_answer_that_will_not_change_is_not_asked_for_again_and_no_redirection_followed(server, code):
    server.answers = [code]
    assert f"it answered {code}" in webhook(server.url, SECRET, pauses=(0.01, 0.01))(WHO)
    assert [path for path, _, _ in server.heard] == ["/hook"]


def test_a_server_that_is_slow_or_gone_is_told(server):
    server.delay = 0.6
    said = webhook(server.url, SECRET, seconds=0.1, pauses=(0.01, 0.01))(WHO)
    assert "was not told of an admission" in said
    server.delay = 0
    port = server.server_port
    server.shutdown()
    server.server_close()
    said = webhook(f"http://localhost:{port}/x", SECRET, seconds=0.5, pauses=(0.01, 0.01))(WHO)
    assert "refused" in said


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/hook",
        "http://127.0.0.1.example.org/",
        "http://192.168.1.4/hook",
        "ftp://localhost/",
        "file:///etc/passwd",
        "https://",
        "localhost:8000",
        "http://[::1/",
        "",
    ],
)
def test_only_https_or_this_machine(url):
    with pytest.raises(OptionError, match="https"):
        webhook(url, SECRET)


def test_https_and_this_machine_are_allowed():
    for url in ("https://example.org/hook", "http://localhost:9/", "http://127.0.0.5/", "http://[::1]:80/x"):
        assert callable(webhook(url, SECRET))


def test_a_password_in_the_address_is_refused_and_not_repeated():
    with pytest.raises(OptionError) as caught:
        webhook("https://admin:s3cret@example.org/", SECRET)
    assert "s3cret" not in str(caught.value)


def test_the_secret_is_read_from_a_file(tmp_path):
    path = tmp_path / "secret"
    path.write_bytes(b"  0123456789abcdef\n")
    assert read_secret(path) == b"0123456789abcdef"
    path.write_bytes(b"short")
    with pytest.raises(OptionError, match=r"at least 16 bytes.*openssl"):
        read_secret(path)
    with pytest.raises(OptionError, match="No such file"):
        read_secret(tmp_path / "none")
