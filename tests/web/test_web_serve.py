"""`mien serve` as a person starts it: what it prints, what it refuses, how it ends, and that it speaks TLS."""

import datetime
import ipaddress
import re
import signal
import ssl
import subprocess
import sys
import time

import httpx
import psutil
import pytest
from click.testing import CliRunner

from mien.cli.serve import serve
from mien.errors import OptionError
from mien.web.data_lock import DataLock


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    for name in ("MIEN_KEY", "MIEN_GALLERY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def started(home):
    """A function: the command in a process of its own, once it answers; gives the process and what it printed."""
    processes = []

    def start(*arguments):
        command = [sys.executable, "-m", "mien.cli.serve", "--port", "0", *arguments]
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        lines = [process.stdout.readline(), process.stdout.readline()]
        assert all(lines), process.stderr.read()
        return process, lines

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def certificate(folder):
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mien")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = serialization.PrivateFormat.PKCS8
    data = key.private_bytes(serialization.Encoding.PEM, private, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(data)
    return folder / "cert.pem", folder / "key.pem"


def test_it_says_where_it_is_works_and_ends_in_peace(started, home, jpeg):
    process, lines = started("--quiet")
    address = re.fullmatch(r"The page: +(http://127\.0\.0\.1:\d+)/\n", lines[0])[1]
    token = re.fullmatch(rf"The administrator: {re.escape(address)}/door/admin#token=([\w-]{{43}})\n", lines[1])[1]
    with httpx.Client(base_url=address, headers={"authorization": f"Bearer {token}"}, timeout=30) as client:
        assert client.get("/api/v1/about").json()["administrator"]
        assert client.get("/health/ready").json() == {"status": "ready"}
        files = {"photo": jpeg(), "style_files": ("a.jpg", jpeg(seed=3))}
        job = client.post("/api/v1/paintings", files=files, data={"size": "64", "steps": "1000"}).json()["id"]
        worker = _worker_of(process)
        with client.stream("GET", f"/api/v1/jobs/{job}/events") as events:
            lines = events.iter_lines()
            next(lines)
            process.send_signal(signal.SIGINT)
            list(lines)  # whoever follows a job is let go
    out, error = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "")
    assert error == "Ctrl-C ends it.\nStopped.\n"
    assert not worker.is_running()
    record = next((home / "data" / "mien" / "serve" / "jobs").iterdir()) / "job.json"
    assert '"state": "cancelled"' in record.read_text()
    assert (home / "data" / "mien" / "serve" / "jobs").stat().st_mode & 0o777 == 0o700


def _worker_of(process):
    deadline = time.monotonic() + 30
    while True:
        for child in psutil.Process(process.pid).children(recursive=True):
            if "spawn_main" in " ".join(child.cmdline()):
                return child
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_it_speaks_tls_to_other_machines(started, home):
    cert, key = certificate(home)
    (home / "token").write_text("a-token-of-our-own\n")
    own = ("--cert", str(cert), "--key", str(key), "--token-file", str(home / "token"), "--name", "door.example")
    _, lines = started("--host", "0.0.0.0", *own)
    port = re.fullmatch(r"The page: +https://door\.example:(\d+)/\n", lines[0])[1]
    assert lines[1].endswith("/door/admin#token=a-token-of-our-own\n")
    trusted = ssl.create_default_context(cafile=cert)
    with httpx.Client(base_url=f"https://127.0.0.1:{port}", verify=trusted, timeout=30) as client:
        assert client.get("/api/v1/about").status_code == 401
        answer = client.get("/api/v1/about", headers={"authorization": "Bearer a-token-of-our-own"})
        assert answer.status_code == 200
        assert answer.headers["strict-transport-security"].startswith("max-age=")
        assert client.get("/").headers["set-cookie"].endswith("; Secure")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--host", "0.0.0.0"], "Expected a certificate to listen on 0.0.0.0"),
        (["--cert", "cert.pem"], "Expected a certificate and its key, got one of them"),
        (["--cert", "no.pem", "--key", "no.pem"], "are none"),
        (["--token-file", "nothing"], "Expected a file with a token"),
        (["--token-file", "short"], "at least 16 letters, got 5"),
        (["--model", "beats"], "Expected --model NAME=PATH"),
        (["--model", "beats=nowhere"], "Expected --model NAME=PATH"),
        (["--host", "192.0.2.1", "--insecure"], "Expected to listen on 192.0.2.1"),
        (["--host", "no.such.host.invalid", "--insecure"], "Expected to listen on no.such.host.invalid"),
        (["--keep", "0"], "more than 0 hours"),
    ],
)
def test_what_cannot_be_served_is_refused_in_a_sentence(home, monkeypatch, arguments, sentence):
    monkeypatch.chdir(home)
    (home / "short").write_text("short")
    outcome = CliRunner().invoke(serve, arguments)
    assert isinstance(outcome.exception, OptionError), outcome.output
    assert sentence in str(outcome.exception)


def test_a_taken_port_is_told_in_a_sentence(home):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        outcome = CliRunner().invoke(serve, ["--port", str(taken.getsockname()[1])])
    assert "choose another with --host or --port" in str(outcome.exception)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such lock on Windows")
def test_a_folder_that_another_server_has_is_refused_in_a_sentence(home):
    lock = DataLock(home / "data" / "mien" / "serve")
    outcome = CliRunner().invoke(serve, ["--port", "0"])
    assert "another one keeps its jobs there" in str(outcome.exception)
    lock.close()


def loaded_by(code, *names):
    code = f"import sys; {code}; print(sorted(set({names}) & set(sys.modules)))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_help_loads_nothing_heavy():
    assert loaded_by("from mien.cli.serve import serve", "torch", "cv2", "fastapi", "uvicorn") == "[]\n"


def test_the_app_is_made_without_torch_and_opencv():
    code = (
        "from pathlib import Path; from mien.web.app import create_app; from mien.web.settings import ServeSettings; "
        "create_app(ServeSettings(data=Path('x'))).openapi()"
    )
    assert loaded_by(code, "torch", "cv2", "scipy", "matplotlib") == "[]\n"
