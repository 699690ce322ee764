"""Frames of real video files, and of a stream that a server on this machine sends."""

import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pytest

from mien.errors import ImageError
from mien.faces.capture import LiveCamera, Recording
from mien.faces.video import camera_name


def write_video(path, greys, *, rate=10, codec="MJPG"):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), rate, (64, 48))
    assert writer.isOpened()
    for grey in greys:
        writer.write(np.full((48, 64, 3), (0, grey, grey), np.uint8))  # no blue
    writer.release()
    return path


def grey(frame):
    return float(frame.image[..., 0].mean())


# a recording


def test_every_frame_of_a_recording_comes_in_order_and_its_clock_keeps_up(tmp_path):
    recording = Recording(write_video(tmp_path / "clip.avi", range(0, 200, 10)))
    assert recording.clock() == 0
    seen = []
    for number, frame in enumerate(recording.frames()):
        assert frame.seconds == recording.clock() == pytest.approx(number / 10)
        seen.append(grey(frame))
        time.sleep(0.005)  # a machine that is slow misses nothing
    assert seen == pytest.approx(list(range(0, 200, 10)), abs=4)


def test_a_recording_is_thinned_to_its_pace_and_can_be_stopped(tmp_path):
    path = write_video(tmp_path / "clip.avi", [50] * 60, rate=30)
    assert len(list(Recording(path, a_second=10).frames())) == 20
    asked = iter([False] * 5 + [True])
    assert len(list(Recording(path).frames(stopped=lambda: next(asked)))) == 5


# a stream


@pytest.fixture
def stream(tmp_path):
    """A server that gives one clip to each caller in turn, and then none; `stream.url` has a password."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            here.asked += 1
            if not here.clips:
                self.send_error(404)
                return
            body = here.clips.pop(0).read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    here = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    here.asked = 0
    here.clips = [
        write_video(tmp_path / "one.avi", [40] * 10),
        write_video(tmp_path / "two.avi", [*range(100, 200, 10), 200]),
    ]
    here.url = f"http://admin:s3cret@127.0.0.1:{here.server_port}/live?password=s3cret"
    threading.Thread(target=here.serve_forever, args=(0.02,), daemon=True).start()
    yield here
    here.shutdown()
    here.server_close()


def wait_for(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def test_the_newest_frame_wins_and_a_stream_that_broke_off_is_opened_again(stream):
    said = []
    with LiveCamera(stream.url, said=said.append, first_pause=0.05) as camera:
        wait_for(lambda: stream.asked >= 4)
        frame = camera.newest(timeout=5)
        # Of the 21 frames of both clips nobody looked at 20.
        assert grey(frame) == pytest.approx(200, abs=4)
        assert camera.dropped == 20
        assert frame.image[..., 2].mean() < 25  # red first
        assert camera.newest(timeout=0.05) is None
        assert 0 < frame.seconds < camera.clock()
    name = camera_name(stream.url)
    assert said[:2] == [f"No picture from {name}; trying again in 0.05 s.", f"The picture of {name} is back."]
    assert "trying again in 0.1 s" in "".join(said[2:])  # each pause is longer, while nothing comes
    assert "s3cret" not in "".join(said)
    assert not camera._thread.is_alive()


def test_frames_come_until_they_are_stopped(stream):
    asked = iter([False, True])
    with LiveCamera(stream.url, first_pause=0.05) as camera:
        wait_for(lambda: camera._newest is not None)
        assert len(list(camera.frames(stopped=lambda: next(asked)))) == 1


def test_a_camera_that_never_gives_a_picture_is_an_error_and_not_waited_for():
    with LiveCamera(97) as camera, pytest.raises(ImageError, match="picture from camera 97, but it gives none"):
        list(camera.frames())


def test_a_password_in_an_address_shows_nowhere_not_even_in_opencvs_own_words(stream):
    stream.clips.clear()
    code = (
        "import sys; from mien.faces.video import camera_frame; from mien.errors import ImageError\n"
        "for url in sys.argv[1:]:\n"
        "    try: camera_frame(url, warm_up=0)\n"
        "    except ImageError as error: print(error)"
    )
    urls = [stream.url, "nothing://admin:s3cret@host/path", "rtsp://admin:s3cret@127.0.0.1:9/live"]
    done = subprocess.run([sys.executable, "-c", code, *urls], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.count("gives none") == 3
    assert "s3cret" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("address", "name"),
    [
        (0, "camera 0"),
        ("rtsp://host/stream", "the stream “host/stream”"),
        ("rtsp://u:p@10.0.0.3:554/h264/ch1/main/av_stream", "the stream “10.0.0.3:554/h264/ch1/main/av_stream”"),
        ("rtsp://u:pa/ss@host/stream", "the stream “host/stream”"),
        ("rtsp://10.0.0.3/user=admin_password=x_channel=1.sdp", "the stream “10.0.0.3/…”"),
        ("rtsp://10.0.0.3/tokens/x", "the stream “10.0.0.3/…”"),
        ("http://host/live?password=x", "the stream “host/live”"),
        ("no address at all", "the stream"),
    ],
)
def test_a_camera_is_called_by_what_holds_no_password(address, name):
    assert camera_name(address) == name
