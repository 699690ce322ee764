"""People who come to a door one after the other, and `mien faces door` over a video file of them."""

import json
import sys

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from liveness_nets import bright_is_live

from mien.cli.main import cli
from mien.errors import MienError, OptionError
from mien.faces.audit import entries
from mien.faces.door import LOCKED, ONE_AT_A_TIME, REFUSED, UNKNOWN, Door
from mien.faces.journal import log_file
from mien.faces.liveness.passive import PassiveNet
from mien.faces.lockout import Lockout

RATE = 3


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """The record of a network for which bright faces are alive, and dark ones pictures."""
    return bright_is_live(tmp_path_factory.mktemp("net"))


class Scenes:
    """Makes frames (320, 320, 3) with fresh noise."""

    def __init__(self, astronaut, hopper):
        self._random = np.random.default_rng(0)
        self._eileen, self._grace = astronaut[:320, 60:380], hopper[60:380, 110:430]

    def _filmed(self, picture, count):
        noise = self._random.normal(0, 2, (count, *picture.shape))
        return list(np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8))

    def eileen(self, count):
        return self._filmed(self._eileen, count)

    def grace(self, count):
        return self._filmed(self._grace, count)

    def photo(self, count):
        return self._filmed(self._eileen * 0.3, count)

    def both(self, count):
        small = np.full((320, 320, 3), 120, np.uint8)
        small[80:240, :160] = self._eileen[::2, ::2]
        small[80:240, 160:] = self._grace[::2, ::2]
        return self._filmed(small, count)

    def far(self, count):
        wall = np.full((320, 320, 3), 120, np.uint8)
        wall[100:180, 100:180] = self._eileen[::4, ::4]
        return self._filmed(wall, count)

    def wall(self, count):
        return self._filmed(np.full((320, 320, 3), 120.0), count)


@pytest.fixture(scope="module")
def scenes(astronaut, hopper):
    return Scenes(astronaut, hopper)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def watch(office, record, clock, astronaut):
    """A function: a door with Eileen enrolled, and a function that shows it frames and gives what it tells."""
    office.enrol("Eileen", astronaut)
    net = PassiveNet(record)

    def make(**options):
        door = Door(office, net, "front-door", clock=clock, **options)

        def show(frames):
            told = []
            for frame in frames:
                told.append(door.show(frame, clock.now))
                clock.now += 1 / RATE
            return told

        return door, show

    return make


def sentences(told):
    """What is told at the ends of tries, and None for the rest."""
    return [t.sentence for t in told if t is not None and t.over]


def events(office):
    return [entry.event for entry in entries(log_file(office.gallery.url))]


# one after the other


def test_somebody_who_stays_is_admitted_once(watch, scenes, office):
    door, show = watch()
    told = show([*scenes.wall(2), *scenes.eileen(7)])
    assert [t and t.phase for t in told[:5]] == [None, None, "looking", "looking", "admitted"]
    assert told[5:] == [None] * 4
    assert events(office) == ["enrol", "identify", "admit"]
    assert door.attempt.told is told[4]


def test_whoever_comes_back_at_once_is_not_admitted_again_and_later_is(watch, scenes, office):
    _, show = watch(cool_down=6.0)
    assert sentences(show([*scenes.eileen(4), *scenes.wall(5), *scenes.eileen(5)])) == ["Welcome, Eileen"]
    assert sentences(show([*scenes.wall(9), *scenes.eileen(6)])) == ["Welcome, Eileen"]
    assert events(office).count("admit") == 2


def test_the_next_person_need_not_wait_for_an_empty_scene(watch, scenes):
    _, show = watch()
    told = show([*scenes.eileen(4), *scenes.grace(6)])
    assert sentences(told) == ["Welcome, Eileen", UNKNOWN]


def test_a_picture_that_stays_is_refused_once_and_again_only_after_an_empty_scene(watch, scenes, office):
    _, show = watch()
    assert sentences(show(scenes.photo(6))) == [REFUSED]
    assert sentences(show([*scenes.wall(2), *scenes.photo(3)])) == []  # gone for a moment
    assert sentences(show([*scenes.wall(5), *scenes.photo(4)])) == [REFUSED]
    assert events(office) == ["enrol", "refuse", "refuse"]


def test_a_locked_door_says_so_once_a_person_and_looks_at_nobody(watch, scenes, clock, office):
    _, show = watch(lockout=Lockout(failures=1, seconds=60, clock=clock))
    assert sentences(show([*scenes.photo(3), *scenes.wall(5)])) == [REFUSED]
    assert sentences(show([*scenes.eileen(6), *scenes.wall(5)])) == [LOCKED]
    assert events(office) == ["enrol", "refuse"]
    clock.now += 60
    assert sentences(show(scenes.eileen(4))) == ["Welcome, Eileen"]


def test_two_people_are_asked_to_come_one_at_a_time_and_no_try_begins(watch, scenes):
    door, show = watch()
    told = show(scenes.both(4))
    assert [(t.phase, t.sentence) for t in told] == [("looking", ONE_AT_A_TIME)] * 4
    assert door.attempt is None


def test_somebody_far_away_is_left_in_peace(watch, scenes):
    door, show = watch()
    assert show(scenes.far(4)) == [None] * 4
    assert door.attempt is None


def test_somebody_who_passes_by_ends_the_try_and_is_no_failure(watch, scenes, clock):
    lockout = Lockout(failures=1, clock=clock)
    _, show = watch(lockout=lockout)
    told = show([*scenes.eileen(2), *scenes.wall(8)])
    assert [t.reason for t in told if t is not None and t.over] == ["left"]
    assert lockout.remaining("front-door") == 0


def test_each_try_has_a_challenge_of_its_own(watch, scenes):
    drawn = iter([("left", "up"), ("right", "closer")])
    door, show = watch(steps=lambda: next(drawn))
    told = show([*scenes.eileen(4), *scenes.wall(9), *scenes.eileen(4)])
    prompts = [t.prompt for t in told if t is not None and t.phase == "challenge"]
    assert list(dict.fromkeys(filter(None, prompts))) == ["left", "right"]
    assert door.close().reason == "ended"
    assert door.close() is None


def test_a_draw_of_steps_that_fails_is_not_a_try_without_steps(watch, scenes):
    def broken():
        raise OptionError("no random numbers")

    _, show = watch(steps=broken)
    with pytest.raises(OptionError):
        show(scenes.eileen(1))


# the command


@pytest.fixture
def film(tmp_path, scenes):
    """A function: the path of a video of these scenes, by name and number of frames."""

    def make(*parts, name="door.avi"):
        path = tmp_path / name
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), RATE, (320, 320))
        assert writer.isOpened()
        for kind, count in parts:
            for frame in getattr(scenes, kind)(count):
                writer.write(np.ascontiguousarray(frame[..., ::-1]))
        writer.release()
        return path

    return make


@pytest.fixture
def mien(office, astronaut, record):
    """A function: exit code, standard output and error of `mien faces door` over a gallery with Eileen."""
    office.enrol("Eileen", astronaut)
    runner = CliRunner()

    def run(*arguments):
        always = ["--gallery", str(office.gallery.url), "--liveness", str(record)]
        words = ["faces", "door", *always, *map(str, arguments)]
        done = runner.invoke(cli, words, standalone_mode=False)
        if isinstance(done.exception, MienError):
            return done.exception.exit_code, done.stdout, str(done.exception)
        if done.exception is not None:
            raise done.exception
        return done.return_value or done.exit_code, done.stdout, done.stderr

    return run


def test_a_video_of_a_morning_at_the_door(mien, film, office, tmp_path):
    came = tmp_path / "came"
    program = tmp_path / "open.py"
    program.write_text(
        "import os\n"
        f"with open({str(came)!r}, 'a') as file:\n"
        "    file.write(' '.join(os.environ[n] for n in ('MIEN_NAME', 'MIEN_CAMERA')) + '\\n')\n"
    )
    path = film(("wall", 2), ("eileen", 4), ("wall", 5), ("grace", 4))
    on_admit = f"'{sys.executable}' '{program}'"
    code, out, error = mien("--video", path, "--name", "lobby", "--on-admit", on_admit)
    assert code == 0
    assert out.splitlines() == [
        "Please look at the camera",
        "Welcome, Eileen",
        "Please look at the camera",
        "Not in the database",
    ]
    assert "Watching lobby, asking for no steps." in error
    assert came.read_text() == "Eileen lobby\n"
    assert [entry.fields["source"] for entry in entries(log_file(office.gallery.url)) if entry.event == "admit"] == [
        "lobby"
    ]


def test_json_is_one_line_an_end_and_nothing_else_on_standard_output(mien, film, office):
    code, out, error = mien("--video", film(("photo", 3), ("wall", 5), ("eileen", 4)), "--json")
    assert code == 0
    refused, admitted = map(json.loads, out.splitlines())
    assert set(refused) == {"time", "camera", "phase", "reason", "person"}
    assert (refused["phase"], refused["reason"], refused["person"], refused["camera"]) == (
        "refused",
        "attack",
        None,
        "video",
    )
    assert admitted["phase"] == "admitted"
    assert admitted["person"] == {"name": "Eileen", "id": office.gallery.find("Eileen").id}
    assert "Welcome, Eileen" in error


def test_once_ends_after_the_first_person_and_says_so_by_its_exit_code(mien, film):
    path = film(("grace", 4), ("wall", 5), ("eileen", 4))
    assert mien("--video", path, "--once", "--quiet") == (3, "", "")
    path = film(("eileen", 4), ("wall", 5), ("grace", 4), name="other.avi")
    assert mien("--video", path, "--once", "--quiet") == (0, "", "")


def test_a_video_in_which_nobody_comes_admits_nobody(mien, film):
    assert mien("--video", film(("wall", 3)), "--quiet")[0] == 3


def test_a_video_that_ends_in_the_middle_of_a_try_admits_nobody(mien, film):
    code, out, _ = mien("--video", film(("eileen", 2)), "--json", "--quiet")
    assert code == 3
    assert json.loads(out)["reason"] == "ended"


def test_steps_are_asked_for_in_a_video_too(mien, film):
    code, out, _ = mien("--video", film(("eileen", 8)), "--steps", "1")
    assert code == 3
    assert out.splitlines()[1].split()[0] in ("Turn", "Lift", "Lower")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "Expected one of --camera"),
        (("--camera", "0", "--rtsp", "rtsp://host/x"), "Expected one of --camera"),
        (("--camera", "0", "--no-active", "--steps", "2"), "either --no-active or --steps 2"),
        (("--camera", "0", "--webhook", "https://example.org/"), "--webhook-secret-file together"),
    ],
)
def test_what_does_not_fit_together_is_refused(mien, arguments, words):
    with pytest.raises(Exception, match=words):
        mien(*arguments)


def test_what_is_not_there_is_said_in_one_sentence(mien, tmp_path):
    assert "there is no file" in mien("--video", tmp_path / "none.avi")[2]
    assert "begins with rtsp://" in mien("--rtsp", "host/stream")[2]
    assert "camera's name" in mien("--camera", 0, "--name", "front door")[2]
    code, _, error = mien("--camera", 97)
    assert code == 1
    assert "camera 97" in error
