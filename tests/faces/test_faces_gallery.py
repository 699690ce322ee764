"""What every gallery store does; a new store joins by a branch in `open_store`."""

import json
import random
import threading
import unicodedata
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from mien.errors import GalleryError, NameTaken, OptionError, WrongKey
from mien.faces.gallery import NewPerson, Stamp, blocks, connection, open_gallery

D = 16
KEY = bytes(range(32))


def unit(n, seed=0):
    x = np.random.default_rng(seed).standard_normal((n, D)).astype(np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.fixture(params=["sqlite"])
def open_store(request, tmp_path, monkeypatch):
    """A function that opens one and the same gallery, as often as it is called."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("MIEN_KEY", raising=False)
    # What is on the disk after a power cut is not this suite's question, and syncing takes most of its time.
    monkeypatch.setattr(connection, "_PRAGMAS", (*connection._PRAGMAS, "synchronous=OFF"))
    url = {"sqlite": tmp_path / "data" / "office.gallery"}[request.param]
    opened = []

    def open_it(*, encoder="sface", dimension=D, key=KEY):
        opened.append(open_gallery(url, encoder=encoder, dimension=dimension, key=key))
        return opened[-1]

    yield open_it
    for gallery in opened:
        gallery.close()


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_ROWS", 8)


# the log's secret


@pytest.mark.parametrize("twin", ["Gra\u200dce", "Grace\u200e", "Grace\ufe0f"])
def test_a_name_that_looks_the_same_is_the_same(open_store, twin):
    gallery = open_store()
    gallery.add_person("Grace", unit(1))
    with pytest.raises(NameTaken):
        gallery.add_person(twin, unit(1))
    assert gallery.find(twin).name == "Grace"


def test_the_logs_secret_is_there_with_the_first_person_and_outlives_a_change_of_key(open_store):
    gallery = open_store()
    assert gallery.audit_key is None
    gallery.add_person("Danielle", unit(1))
    secret = gallery.audit_key
    assert len(secret) == 32
    gallery.rotate_key(bytes(32))
    assert gallery.audit_key == secret
    assert open_store(key=bytes(32)).audit_key == secret


# enrolment


def test_an_empty_gallery_has_nobody_and_is_not_written(open_store, tmp_path):
    gallery = open_store()
    assert (len(gallery), gallery.people(), gallery.find("Anna"), gallery.person("00" * 16)) == (0, [], None, None)
    matrix, people = gallery.encodings()
    assert (matrix.shape, matrix.dtype, people.shape) == ((0, D), np.float32, (0,))
    assert gallery.changes() == Stamp(0, 0)
    assert gallery.news(Stamp(0, 0)).encodings.shape == (0, D)
    for verb in (gallery.forget, gallery.export, gallery.samples, lambda name: gallery.add_samples(name, unit(1))):
        with pytest.raises(GalleryError, match="nobody is called “Anna”"):
            verb("Anna")
    assert list(tmp_path.iterdir()) == []


def test_somebody_enrolled_is_there_at_once_and_after_opening_again(open_store):
    before = datetime.now(UTC)
    rows = unit(3)
    with open_store() as gallery:
        person = gallery.add_person("Danielle", rows, consent="signed, 2026-11-22")
        assert gallery.find("Danielle") == person == gallery.person(person.id)
    with open_store() as gallery:
        assert gallery.people() == [person]
        matrix, people = gallery.encodings()
        np.testing.assert_array_equal(matrix, rows)
        assert people.tolist() == [person.id] * 3
    assert (person.name, person.consent, person.samples) == ("Danielle", "signed, 2026-11-22", 3)
    assert before <= person.enrolled <= datetime.now(UTC)
    assert person.enrolled.utcoffset() == timedelta(0)
    assert len(bytes.fromhex(person.id)) == 16


def test_more_samples_improve_a_person_given_by_record_or_name(open_store):
    gallery, rows = open_store(), unit(4)
    anna = gallery.add_person("Anna", rows[:1])
    gallery.add_person("Ben", rows[1:2])
    assert gallery.add_samples(anna, rows[2:3]).samples == 2
    assert gallery.add_samples("ANNA", rows[3:]).samples == 3
    matrix, people = gallery.encodings()
    np.testing.assert_array_equal(matrix, rows)
    assert (people == anna.id).tolist() == [True, False, True, True]
    samples = gallery.samples("Anna")
    assert [(s.person_id, s.id) for s in samples] == [(anna.id, 1), (anna.id, 3), (anna.id, 4)]
    assert samples[0].added <= samples[1].added <= datetime.now(UTC)


def test_more_samples_may_bring_a_new_consent_note(open_store):
    gallery, rows = open_store(), unit(4)
    anna = gallery.add_person("Anna", rows[:1], consent="oral")
    gallery.add_person("Ben", rows[1:2], consent="his own")
    assert gallery.add_samples("Anna", rows[2:3]).consent == "oral"
    changed = gallery.add_samples(anna, rows[3:], consent="signed, folder 17")
    assert (changed.name, changed.consent, changed.samples) == ("Anna", "signed, folder 17", 3)
    assert open_store().people() == [changed, gallery.find("Ben")]
    assert gallery.find("Ben").consent == "his own"
    with pytest.raises(OptionError, match="consent note"):
        gallery.add_samples("Anna", rows[3:], consent="two\nlines")
    assert gallery.find("anna") == changed


def test_ids_of_people_are_random(open_store):
    gallery = open_store()
    ids = [p.id for p in gallery.add_people(NewPerson(f"p{i}", unit(1)) for i in range(50))]
    assert len(set(ids)) == 50
    assert ids != sorted(ids)


def test_the_gallery_says_what_opens_it_again(open_store):
    gallery = open_store()
    anna = gallery.add_person("Anna", unit(1))
    with open_gallery(gallery.url, encoder="sface", dimension=D, key=KEY) as again:
        assert again.people() == [anna]


# names


@pytest.mark.parametrize(
    "name",
    [
        "O'Brien; DROP TABLE person; --",
        'Say "hi"',
        "  two  spaces ",
        "Łukasz Żółć",
        "王小明",
        "محمد",
        "👩‍👩‍👧 Ana",
        "می‌خواهم",  # with a zero-width non-joiner
        "\u200fאנה\u200e A.",
        "葛\U000e0100城 ❤\ufe0f",
        "%_\\",
        "a" * 200,
    ],
)
def test_a_name_is_kept_as_it_is(open_store, name):
    gallery = open_store()
    gallery.add_person(name, unit(1))
    assert [p.name for p in gallery.people()] == [name]
    assert gallery.find(name).name == name
    assert gallery.forget(name).samples == 1
    assert gallery.people() == []


@pytest.mark.parametrize(
    ("name", "same"),
    [("Zoë", unicodedata.normalize("NFD", "Zoë")), ("Zoë", "ZOË"), ("Straße", "STRASSE"), ("ΣΊΣΥΦΟΣ", "σίσυφος")],
)
def test_names_are_compared_without_case_and_encoding_of_accents(open_store, name, same):
    gallery = open_store()
    gallery.add_person(name, unit(1))
    assert gallery.find(same).name == name
    with pytest.raises(NameTaken, match=name):
        gallery.add_person(same, unit(1))


def test_names_that_only_look_alike_are_others(open_store):
    gallery = open_store()
    for name in ("Anna", "Аnna", "Anna ", "Ana"):  # the second begins with a Cyrillic letter
        gallery.add_person(name, unit(1))
    assert len(gallery) == 4


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "without a visible"),
        (" \t ", "without a visible"),
        ("\u200b\u00a0", "without a visible"),
        ("a" * 201, "at most 200 characters, but got one of 201"),
        ("a" * 10_000, "10,000"),
        ("Anna\nBen", "control character '\\\\n'"),
        ("Anna\x1b[31m", "control character"),
        ("Anna\x00", "control character"),
        ("Anna\u2028", "control character"),
        ("Anna\udcff", "control character"),
        ("Gr\u200bace", r"U\+200B \(ZERO WIDTH SPACE\)"),
        ("\ufeffGrace", r"U\+FEFF"),
        ("Gr\u2060ace", "WORD JOINER"),
        ("Gr\u00adace", "SOFT HYPHEN"),
        ("Grace\u3164", "HANGUL FILLER"),
        ("Grace\U000e0041", r"U\+E0041 \(TAG LATIN CAPITAL LETTER A\)"),
        ("\u202eecarG", "RIGHT-TO-LEFT OVERRIDE"),
        ("Grace\u202a", r"U\+202A"),
        ("Grace\u2066", r"U\+2066"),
        ("Grace\u2069", r"U\+2069"),
    ],
)
def test_a_name_that_cannot_be_one_is_refused_and_nothing_is_written(open_store, tmp_path, name, reason):
    with pytest.raises(OptionError, match=reason):
        open_store().add_person(name, unit(1))
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_taken_changes_nothing(open_store):
    gallery = open_store()
    anna = gallery.add_person("Anna", unit(1))
    stamp = gallery.changes()
    with pytest.raises(NameTaken, match="--add"):
        gallery.add_person("Anna", unit(1, seed=1))
    with pytest.raises(NameTaken):
        gallery.add_people([NewPerson("Ben", unit(1)), NewPerson("anna", unit(1))])
    assert (gallery.people(), gallery.changes()) == ([anna], stamp)
    assert len(gallery.encodings()[0]) == 1


def test_the_same_name_twice_in_the_first_enrolment_leaves_no_gallery_and_no_key(open_store, tmp_path):
    gallery = open_store(key=None)
    with pytest.raises(NameTaken):
        gallery.add_people([NewPerson("Ben", unit(1)), NewPerson("BEN", unit(1))])
    assert gallery.key_created is None
    assert list(tmp_path.rglob("*.key*")) == []
    assert len(open_store(key=None)) == 0
    assert gallery.add_person("Ben", unit(1)).samples == 1


@pytest.mark.parametrize(
    ("note", "reason"),
    [
        ("x" * 10_001, "10,000"),
        ("agreed\n", r"its character 7 is the control character U\+000A"),
        ("\x1b[31magreed", r"control character U\+001B"),
        ("a\tb", r"control character U\+0009"),
        ("a\x85b", r"control character U\+0085"),
        ("a\u2028b", r"control character U\+2028 \(LINE SEPARATOR\)"),
        ("a\u202eb", r"invisible character U\+202E \(RIGHT-TO-LEFT OVERRIDE\)"),
        ("a\u200bb", r"invisible character U\+200B"),
        ("a\udcffb", "undecodable"),
    ],
)
def test_a_consent_note_that_cannot_be_shown_as_it_is_is_refused_and_not_repeated(open_store, note, reason):
    with pytest.raises(OptionError, match=reason) as caught:
        open_store().add_person("Anna", unit(1), consent=note)
    assert note not in str(caught.value)


def test_a_consent_note_in_any_script_is_kept(open_store):
    for i, note in enumerate(("بموافقة\u200f", "می‌خواهم", "👩‍👧 signed", "x" * 10_000)):
        assert open_store().add_person(f"p{i}", unit(1), consent=note).consent == note
    assert [p.consent for p in open_store().people()][2] == "👩‍👧 signed"


# encodings


@pytest.mark.parametrize(
    ("encodings", "reason"),
    [
        (unit(1)[0], rf"shape \(n, {D}\)"),
        (unit(0), r"\(0, 16\)"),
        (unit(2)[:, :8], r"\(2, 8\)"),
        (unit(2) * 1.1, "a norm of 1.1"),
        (np.zeros((1, D), np.float32), "a norm of 0"),
        (np.vstack([unit(1), np.full((1, D), np.nan, np.float32)]), "a norm of nan"),
    ],
)
def test_encodings_that_are_none_are_refused(open_store, encodings, reason):
    gallery = open_store()
    gallery.add_person("Anna", unit(1))
    with pytest.raises(GalleryError, match=reason):
        gallery.add_person("Ben", encodings)
    with pytest.raises(GalleryError, match=reason):
        gallery.add_samples("Anna", encodings)
    assert gallery.changes() == Stamp(1, 0)


@pytest.mark.parametrize(("encoder", "dimension"), [("arcface", D), ("sface", 8)])
def test_another_encoders_gallery_is_refused(open_store, encoder, dimension):
    open_store().add_person("Anna", unit(1))
    with pytest.raises(GalleryError, match=f"holds encodings of sface with {D}"):
        open_store(encoder=encoder, dimension=dimension)


def test_many_samples_come_back_in_order_however_they_were_added(open_store):
    gallery, rows = open_store(), unit(3456)
    gallery.add_people(NewPerson(f"a{i}", rows[i : i + 1]) for i in range(990))
    for i in range(990, 1012):  # over the edge of a block, one at a time
        gallery.add_person(f"b{i}", rows[i : i + 1])
    gallery.add_person("many", rows[1012:])
    np.testing.assert_array_equal(gallery.encodings()[0], rows)
    np.testing.assert_array_equal(open_store().encodings()[0], rows)
    gallery.forget("a500")
    np.testing.assert_array_equal(gallery.encodings()[0], np.delete(rows, 500, axis=0))
    gallery.forget("many")
    np.testing.assert_array_equal(open_store().encodings()[0], np.delete(rows, [500, *range(1012, 3456)], axis=0))


def test_any_order_of_verbs_leaves_what_a_plain_list_would(open_store, small_blocks):
    gallery, other, rng = open_store(), open_store(), random.Random(3)
    plain, rows, stamp = [], unit(400), Stamp(0, 0)
    seen = []  # what a reader has who only hears the news
    for step in range(150):
        who = f"person {rng.randrange(25)}"
        known = any(name == who for name, _, _ in plain)
        new = rows[rng.randrange(390) :][: rng.choice([1, 1, 2, 7, 9])]
        writer = rng.choice([gallery, other])
        if not known:
            identity = writer.add_person(who, new).id
            plain += [(who, identity, row) for row in new]
        elif rng.random() < 0.5:
            receipt = writer.forget(who)
            assert receipt.samples == sum(name == who for name, _, _ in plain)
            assert receipt.complete
            plain = [entry for entry in plain if entry[0] != who]
        else:
            identity = writer.add_samples(who, new).id
            plain += [(who, identity, row) for row in new]
        if step % 5 == 0:
            news = other.news(stamp)
            seen = [s for s in seen if s[0] not in news.forgotten]
            seen += zip(news.people.tolist(), news.encodings, strict=True)
            stamp = news.stamp
            matrix, people = gallery.encodings()
            assert people.tolist() == [identity for _, identity, _ in plain] == [identity for identity, _ in seen]
            np.testing.assert_array_equal(matrix, np.array([row for *_, row in plain]))
            np.testing.assert_array_equal(matrix, np.array([row for _, row in seen]))
            assert stamp == gallery.changes()
            assert {p.name: p.samples for p in gallery.people()} == {
                n: sum(n == m for m, _, _ in plain) for n, _, _ in plain
            }


# other readers and writers


def test_a_reader_notices_what_others_write_and_only_that(open_store):
    writer, reader = open_store(), open_store()
    stamps = [reader.changes()]
    writer.add_person("Anna", unit(1))
    stamps.append(reader.changes())
    writer.add_samples("Anna", unit(1))
    stamps.append(reader.changes())
    writer.forget("Anna")
    stamps.append(reader.changes())
    assert len(set(stamps)) == 4
    writer.find("Anna")
    writer.encodings()
    assert reader.changes() == writer.changes() == stamps[-1]


def test_news_are_what_came_and_who_went(open_store):
    gallery, rows = open_store(), unit(4)
    anna = gallery.add_person("Anna", rows[:1])
    ben = gallery.add_person("Ben", rows[1:2])
    since = gallery.changes()
    nothing = gallery.news(since)
    assert (nothing.stamp, len(nothing.encodings), nothing.forgotten) == (since, 0, ())
    gallery.forget("Anna")
    gallery.add_samples("Ben", rows[2:3])
    short = gallery.add_person("Short stay", rows[3:])
    gallery.forget("Short stay")
    news = gallery.news(since)
    np.testing.assert_array_equal(news.encodings, rows[2:3])
    assert news.people.tolist() == [ben.id]
    assert news.forgotten == (anna.id, short.id)


def test_several_writers_take_turns_and_nothing_is_lost(open_store):
    errors = []

    def enrol(who):
        try:
            with open_store() as gallery:
                for i in range(15):
                    gallery.add_person(f"{who} {i}", unit(1, seed=i))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=enrol, args=(w,)) for w in ("a", "b", "c")]  # the first makes the gallery
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    gallery = open_store()
    assert {p.name for p in gallery.people()} == {f"{w} {i}" for w in "abc" for i in range(15)}
    assert len(gallery.encodings()[0]) == 45


def test_threads_may_share_one_gallery(open_store):
    gallery, errors = open_store(), []

    def work(who):
        try:
            for i in range(10):
                gallery.add_person(f"{who} {i}", unit(1))
                gallery.encodings()
                gallery.find(f"{who} {i}")
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(w,)) for w in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (errors, len(gallery)) == ([], 20)


# forgetting and exporting (tests/faces/test_faces_forget.py looks at the bytes)


def test_somebody_forgotten_is_nowhere_and_may_come_back_as_somebody_else(open_store):
    gallery, rows = open_store(), unit(3)
    anna = gallery.add_person("Anna", rows[:2], consent="yes")
    gallery.add_person("Ben", rows[2:])
    receipt = gallery.forget("anna")
    assert (receipt.person_id, receipt.samples, receipt.photos, receipt.complete) == (anna.id, 2, 0, True)
    assert abs(datetime.now(UTC) - receipt.when) < timedelta(minutes=1)
    assert (gallery.find("Anna"), gallery.person(anna.id), len(gallery)) == (None, None, 1)
    np.testing.assert_array_equal(gallery.encodings()[0], rows[2:])
    assert gallery.add_person("Anna", rows[:1]).id != anna.id


def test_the_receipt_names_nobody_and_says_what_was_done(open_store):
    gallery = open_store()
    anna = gallery.add_person("Anna", unit(2), consent="a note", photos=[b"picture"])
    text = gallery.forget("Anna").text
    assert anna.id in text
    assert "Anna" not in text
    for part in (
        "consent note",
        "2 encodings in 1 block",
        "1 photo",
        "audit log keep the random id",
        "file was rebuilt",
    ):
        assert part in text


def test_an_export_holds_everything_and_is_json(open_store):
    gallery, rows = open_store(), unit(3)
    gallery.add_person("Ben", rows[2:])
    anna = gallery.add_person("Anna", rows[:1], consent="oral", photos=[b"\xff\xd8 first"])
    gallery.add_samples("Anna", rows[1:2], photos=[b"second"])
    kept = json.loads(json.dumps(gallery.export("ANNA")))
    assert {k: kept[k] for k in ("id", "name", "consent", "encoder")} == {
        "id": anna.id,
        "name": "Anna",
        "consent": "oral",
        "encoder": "sface",
    }
    assert datetime.fromisoformat(kept["enrolled"]) == anna.enrolled
    np.testing.assert_array_equal(np.array([s["encoding"] for s in kept["samples"]], np.float32), rows[:2])
    assert [s["id"] for s in kept["samples"]] == [2, 3]
    assert kept["photos"] == ["/9ggZmlyc3Q=", "c2Vjb25k"]


# keys


def test_another_key_opens_nothing(open_store):
    open_store().add_person("Anna", unit(1))
    with pytest.raises(WrongKey, match="another one"):
        open_store(key=bytes(32))
    with pytest.raises(WrongKey, match="no key file"):
        open_store(key=None)
    with pytest.raises(WrongKey, match="32 bytes, but got 3"):
        open_store(key=b"abc")
    assert len(open_store()) == 1


def test_a_new_key_opens_everything_and_the_old_one_nothing(open_store, small_blocks):
    gallery, rows = open_store(), unit(20)
    people = gallery.add_people(NewPerson(f"p{i}", rows[i : i + 1], "yes", [b"photo"]) for i in range(20))
    new = bytes(reversed(range(32)))
    assert gallery.rotate_key(new) is None
    for reader in (gallery, open_store(key=new)):
        assert reader.people() == people
        np.testing.assert_array_equal(reader.encodings()[0], rows)
        assert reader.find("P7") == people[7]
        assert reader.export("p7")["photos"] == ["cGhvdG8="]
    with pytest.raises(WrongKey):
        open_store()
    gallery.add_person("after", unit(1))
    assert len(open_store(key=new)) == 21


def test_an_open_reader_is_told_that_its_key_is_the_old_one(open_store):
    reader, writer = open_store(), open_store()
    writer.add_person("Anna", unit(1))
    assert len(reader.people()) == 1
    writer.rotate_key(bytes(32))
    for verb in (reader.people, reader.encodings, lambda: reader.add_person("Ben", unit(1))):
        with pytest.raises(WrongKey):
            verb()
    assert len(writer) == 1


def test_a_key_that_the_caller_keeps_is_not_made_up(open_store):
    gallery = open_store()
    with pytest.raises(GalleryError, match="none yet"):
        gallery.rotate_key(bytes(32))
    gallery.add_person("Anna", unit(1))
    with pytest.raises(OptionError, match=r"Expected the new key.*MIEN_NEW_KEY"):
        gallery.rotate_key()
    with pytest.raises(OptionError, match="present one"):
        gallery.rotate_key(KEY)
    with pytest.raises(WrongKey, match="but got 5"):
        gallery.rotate_key(b"short")
    assert len(open_store().people()) == 1


def test_a_closed_gallery_says_so(open_store):
    gallery = open_store()
    gallery.close()
    gallery.close()
    with pytest.raises(GalleryError, match="was closed"):
        gallery.people()
