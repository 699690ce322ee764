"""Frames and labels on a photo, and the frames of a real video file."""

import cv2
import numpy as np
import pytest

from mien.errors import ImageError
from mien.faces.drawing import COLOURS, caption, draw
from mien.faces.records import Decision, Face, Match
from mien.faces.video import camera_frame, frames, is_video

NOBODY = Decision("unknown", None, Match("Danielle", 1.2), None, 1.0, 4)


def face(x, y, w, h):
    return Face((x, y, w, h), np.zeros((5, 2), np.float32), 0.9)


def test_the_caption_names_only_whom_the_decision_names():
    known = Decision("known", Match("Danielle", 0.7), Match("Danielle", 0.7), None, 1.0, 4)
    assert caption(known) == "Danielle"
    assert caption(NOBODY) == "not in the database"
    assert caption(Decision("unsure", None, Match("A", 0.7), Match("B", 0.71), 1.0, 4)) == "unsure"


def test_a_frame_is_drawn_around_the_face_and_the_photo_is_left_alone():
    photo = np.full((200, 300, 3), 128, np.uint8)
    framed = draw(photo, [face(100, 40, 60, 80)], [""], verdicts=["known"])
    assert (photo == 128).all()
    changed = np.argwhere((framed != photo).any(axis=2))
    assert changed.min(axis=0).tolist() == [40, 100]
    assert changed.max(axis=0).tolist() == [120, 160]
    assert tuple(framed[40, 130]) == COLOURS["known"]
    assert (framed[60:100, 110:150] == 128).all()


@pytest.mark.parametrize("name", ["Danielle", "Łukasz", "Ελένη", "محمد", "渡辺", "🙂", "a" * 200])
def test_any_name_can_be_written_even_at_the_edge(name):
    photo = np.full((120, 160, 3), 128, np.uint8)
    framed = draw(photo, [face(140, 100, 40, 40)], [name], verdicts=["unknown"])
    assert framed.shape == photo.shape
    assert (framed == COLOURS["unknown"]).all(axis=2).sum() > 100


@pytest.fixture
def video(tmp_path):
    """Two seconds at 10 frames a second, each a grey that grows by ten, at the given path's ending."""

    def make(name="clip.mp4", codec="mp4v", rate=10):
        path = tmp_path / name
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), rate, (64, 48))
        assert writer.isOpened()
        for number in range(20):
            frame = np.full((48, 64, 3), 10 * number, np.uint8)
            frame[..., 0] = 0  # blue, in OpenCV's order
            writer.write(frame)
        writer.release()
        return path

    return make


def test_frames_come_at_the_asked_pace_in_rgb(video):
    found = list(frames(video(), a_second=2))
    assert [frame.seconds for frame in found] == pytest.approx([0, 0.5, 1.0, 1.5])
    for frame, grey in zip(found, (0, 50, 100, 150), strict=True):
        red, green, blue = frame.image.reshape(-1, 3).mean(axis=0)
        assert abs(red - grey) < 8
        assert abs(green - grey) < 8
        assert blue < 25


def test_a_pace_beyond_the_videos_gives_every_frame(video):
    assert len(list(frames(video("clip.avi", "MJPG"), a_second=100))) == 20


def test_a_video_that_claims_a_thousand_frames_a_second_is_looked_at_all_the_same(video):
    assert len(list(frames(video("clip.avi", "MJPG", rate=1000), a_second=5))) == 4


def test_what_is_no_video_is_refused(tmp_path):
    (tmp_path / "text.mp4").write_text("not a film")
    with pytest.raises(ImageError, match="not one frame"):
        list(frames(tmp_path / "text.mp4"))
    with pytest.raises(ImageError, match="no file"):
        list(frames(tmp_path / "none.mp4"))


def test_a_video_is_told_by_its_ending():
    assert is_video("door.MP4")
    assert not is_video("door.jpg")


def test_a_look_through_a_stream_passes_over_the_first_frames(video, tmp_path):
    seen = camera_frame(str(video("clip.avi", "MJPG")), warm_up=8)
    red, green, _ = seen.reshape(-1, 3).mean(axis=0)
    assert abs(red - 80) < 8
    assert abs(green - 80) < 8
    with pytest.raises(ImageError, match="gives none"):
        camera_frame(str(tmp_path / "no stream"))
