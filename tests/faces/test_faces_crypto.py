"""Sealing, the index of names, and where the key comes from."""

import base64
import hashlib
import hmac
import os
import stat
from pathlib import Path

import numpy as np
import pytest

from mien.errors import GalleryError, OptionError, WrongKey
from mien.faces.gallery import blocks, keys, open_gallery
from mien.faces.gallery.crypto import Vault

KEY = bytes(range(32))
ID = "0f" * 16
ROW = np.eye(1, 8, dtype=np.float32)


def vault(key=KEY, gallery_id=ID, encoder="sface", dimension=8):
    return Vault(key, gallery_id=gallery_id, encoder=encoder, dimension=dimension)


@pytest.fixture(autouse=True)
def config(tmp_path, monkeypatch):
    """The user's config folder, empty, and no key in the environment."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("MIEN_KEY", raising=False)
    monkeypatch.delenv("MIEN_NEW_KEY", raising=False)
    monkeypatch.setattr(keys.sys, "platform", "linux")
    return tmp_path / "config" / "mien" / "keys"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "office.gallery"


def opened(path, key=None):
    return open_gallery(path, encoder="sface", dimension=8, key=key)


# sealing


def test_what_was_sealed_opens_again():
    sealed = vault().seal("person", "ab", b"Danielle")
    assert vault().open("person", "ab", sealed) == b"Danielle"
    assert len(sealed) == 12 + 8 + 16
    assert b"Danielle" not in sealed


@pytest.mark.parametrize(
    ("other", "kind", "row"),
    [
        ({}, "photo", "ab"),
        ({}, "person", "cd"),
        ({"gallery_id": "0e" * 16}, "person", "ab"),
        ({"encoder": "sface2"}, "person", "ab"),
        ({"dimension": 9}, "person", "ab"),
        ({"key": bytes(32)}, "person", "ab"),
    ],
)
def test_it_opens_in_no_other_place(other, kind, row):
    sealed = vault().seal("person", "ab", b"Danielle")
    with pytest.raises(GalleryError, match="changed, moved or damaged"):
        vault(**other).open(kind, row, sealed)


def test_a_gallery_under_other_names_does_not_share_keys_by_a_clever_encoder_name():
    sealed = Vault(KEY, gallery_id=ID, encoder='a", 8, "person', dimension=8).seal("person", "ab", b"x")
    with pytest.raises(GalleryError):
        Vault(KEY, gallery_id=ID, encoder="a", dimension=8).open("person", "ab", sealed)


@pytest.mark.parametrize("position", [0, 11, 12, 19, -1])
def test_any_flipped_bit_is_noticed(position):
    sealed = bytearray(vault().seal("person", "ab", b"Danielle"))
    sealed[position] ^= 1
    with pytest.raises(GalleryError):
        vault().open("person", "ab", bytes(sealed))


@pytest.mark.parametrize("length", [0, 5, 12, 20])
def test_a_cut_text_is_noticed(length):
    with pytest.raises(GalleryError):
        vault().open("person", "ab", vault().seal("person", "ab", b"Danielle")[:length])


def test_no_nonce_is_used_twice():
    nonces = {vault().seal("person", "ab", b"same")[:12] for _ in range(500)}
    assert len(nonces) == 500


def hkdf(key, salt, info):
    """RFC 5869 for 32 bytes, written out."""
    extracted = hmac.digest(salt, key, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")


def test_the_derived_keys_are_hkdf_s():
    def derived(purpose):
        return hkdf(KEY, bytes.fromhex(ID), b"mien gallery 1: " + purpose)

    assert vault().check == derived(b"key check value")
    name_key = derived(b"index of names")
    assert vault().name_index("Zoë") == hmac.new(name_key, "zoë".encode(), hashlib.sha256).digest()


def test_the_index_of_names_depends_on_key_and_gallery_and_on_nothing_else():
    index = vault().name_index("Zoë")
    assert index == vault(encoder="other").name_index("zoe\u0308".upper())
    assert index not in (vault(key=bytes(32)).name_index("Zoë"), vault(gallery_id="00" * 16).name_index("Zoë"))
    assert index != vault().name_index("Zoe")


def test_the_check_value_fits_its_own_key_alone():
    assert vault().fits(vault().check)
    assert not vault().fits(vault(key=bytes(32)).check)
    assert not vault().fits(vault(gallery_id="00" * 16).check)


# reading keys


@pytest.mark.parametrize(
    "text",
    [
        KEY.hex(),
        KEY.hex().upper() + "\n",
        base64.b64encode(KEY).decode(),
        base64.urlsafe_b64encode(b"\xff" * 32).decode(),
        base64.b64encode(KEY).decode().rstrip("="),
    ],
)
def test_keys_in_hexadecimal_and_base64_are_read(text):
    assert keys.parse_key(text, "here") in (KEY, b"\xff" * 32)


@pytest.mark.parametrize(
    "text", ["", "secret", KEY.hex()[:-2], "z" * 64, base64.b64encode(KEY[:31]).decode(), "é" * 44]
)
def test_anything_else_is_refused_without_repeating_it(text):
    with pytest.raises(WrongKey, match="32 bytes as 64 hexadecimal digits or in base64 in here") as caught:
        keys.parse_key(text, "here")
    assert not text or text not in str(caught.value)


def test_a_key_is_not_shown_where_objects_are():
    shown = repr(keys.Key(KEY, "file"))
    assert KEY.hex() not in shown
    assert repr(KEY) not in shown


@pytest.mark.parametrize(
    ("platform", "variable", "place"),
    [("linux", "XDG_CONFIG_HOME", ""), ("win32", "APPDATA", ""), ("darwin", "HOME", "Library/Application Support")],
)
def test_key_files_lie_in_the_systems_config_folder(monkeypatch, tmp_path, platform, variable, place):
    monkeypatch.setattr(keys.sys, "platform", platform)
    monkeypatch.setenv(variable, str(tmp_path))
    assert keys.keys_folder() == tmp_path / place / "mien" / "keys"


# the key file of a gallery


def test_the_first_enrolment_makes_a_key_file_for_its_owner_and_says_so(path, config):
    with opened(path) as gallery:
        assert gallery.key_created is None
        gallery.add_person("Anna", ROW)
        created = gallery.key_created
    assert created.parent == config
    assert created.suffix == ".key"
    assert stat.S_IMODE(created.stat().st_mode) == 0o600
    assert stat.S_IMODE(config.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(bytes.fromhex(created.read_text().strip())) == 32
    assert [p.name for p in path.parent.iterdir()] == ["office.gallery"]
    with opened(path) as gallery:
        assert gallery.find("Anna").samples == 1
        gallery.add_person("Ben", ROW)
        assert gallery.key_created is None
    assert list(config.iterdir()) == [created]


def test_a_key_in_the_environment_makes_no_file(path, config, monkeypatch):
    monkeypatch.setenv("MIEN_KEY", base64.b64encode(KEY).decode())
    with opened(path) as gallery:
        gallery.add_person("Anna", ROW)
        assert gallery.key_created is None
    assert not config.exists()
    with opened(path, key=KEY) as gallery:
        assert len(gallery.people()) == 1
    monkeypatch.setenv("MIEN_KEY", bytes(32).hex())
    with pytest.raises(WrongKey, match="environment variable MIEN_KEY does not fit and there is no key file"):
        opened(path)
    monkeypatch.setenv("MIEN_KEY", "nonsense")
    with pytest.raises(WrongKey, match="in the environment variable MIEN_KEY"):
        opened(path)


def test_a_key_file_opens_its_gallery_whatever_key_of_another_one_is_in_the_environment(path, monkeypatch):
    with opened(path) as gallery:
        gallery.add_person("Anna", ROW)
    monkeypatch.setenv("MIEN_KEY", KEY.hex())
    with opened(path) as gallery:
        assert len(gallery.people()) == 1


def test_a_missing_key_file_is_named(path):
    with opened(path) as gallery:
        gallery.add_person("Anna", ROW)
        created = gallery.key_created
    created.rename(created.with_name("elsewhere"))
    with pytest.raises(WrongKey, match="bring the key file back") as caught:
        opened(path)
    assert str(created) in str(caught.value)


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_key_file_that_others_may_open_is_refused_with_the_remedy(path, mode):
    with opened(path) as gallery:
        gallery.add_person("Anna", ROW)
        created = gallery.key_created
    created.chmod(mode)
    with pytest.raises(WrongKey, match=f"{mode:04o}.*chmod 600 "):
        opened(path)
    created.chmod(0o600)
    opened(path).close()


def test_a_key_beside_its_gallery_is_refused_even_through_a_link(config, tmp_path):
    config.mkdir(parents=True)
    link = tmp_path / "link"
    link.symlink_to(config)
    for folder in (config, link):
        with opened(folder / "office.gallery") as gallery, pytest.raises(GalleryError, match="in another folder"):
            gallery.add_person("Anna", ROW)
    assert list(config.glob("*.key")) == []


def test_a_config_folder_that_cannot_be_written_is_named_and_nobody_is_enrolled(path, config):
    config.parent.parent.mkdir(parents=True)
    config.parent.write_text("a file where a folder should be")
    with opened(path) as gallery:
        with pytest.raises(GalleryError, match=r"key file .* MIEN_KEY"):
            gallery.add_person("Anna", ROW)
        assert len(gallery) == 0


# another key


def make(path, *, people=3):
    with opened(path) as gallery:
        for i in range(people):
            gallery.add_person(f"p{i}", ROW)
        return gallery.key_created


def test_rotation_puts_a_new_key_into_the_key_file(path, config):
    created = make(path)
    before = created.read_bytes()
    with opened(path) as reader, opened(path) as gallery:
        assert gallery.rotate_key() == created
        assert len(gallery.people()) == 3
        assert len(reader.people()) == 3  # it looks into the key file again
    assert created.read_bytes() != before
    assert stat.S_IMODE(created.stat().st_mode) == 0o600
    assert list(config.iterdir()) == [created]
    with opened(path) as gallery:
        assert len(gallery.people()) == 3
        assert gallery.rotate_key(KEY) == created
    assert created.read_text().strip() == KEY.hex()
    created.write_bytes(before)
    with pytest.raises(WrongKey):
        opened(path)


def test_a_key_in_the_environment_is_changed_for_one_in_the_environment(path, config, monkeypatch):
    monkeypatch.setenv("MIEN_KEY", KEY.hex())
    new = bytes(reversed(range(32)))
    with opened(path) as gallery:
        gallery.add_person("Anna", ROW)
        with pytest.raises(OptionError, match="set the environment variable MIEN_NEW_KEY"):
            gallery.rotate_key()
        for text, error in ((KEY.hex(), OptionError), ("nonsense", WrongKey)):
            monkeypatch.setenv("MIEN_NEW_KEY", text)
            with pytest.raises(error, match="new key" if error is OptionError else "variable MIEN_NEW_KEY"):
                gallery.rotate_key()
        monkeypatch.setenv("MIEN_NEW_KEY", base64.b64encode(new).decode())
        assert gallery.rotate_key() is None
        assert len(gallery.people()) == 1
    with pytest.raises(WrongKey):
        opened(path)
    monkeypatch.setenv("MIEN_KEY", new.hex())
    opened(path).close()
    assert not config.exists()


def test_the_new_key_in_the_environment_is_for_a_present_one_there_and_for_no_other(path, monkeypatch):
    created = make(path)
    monkeypatch.setenv("MIEN_NEW_KEY", KEY.hex())
    with opened(path) as gallery:
        assert gallery.rotate_key() == created
    assert created.read_text().strip() != KEY.hex()
    with opened(path.with_name("callers"), bytes(32)) as gallery:
        gallery.add_person("Anna", ROW)
        with pytest.raises(OptionError, match="new key"):
            gallery.rotate_key()


class Crash(Exception):
    pass


def crash(*_, **__):
    raise Crash


@pytest.mark.parametrize("moment", ["before the new key is written", "while it encrypts", "before the key file's name"])
def test_a_crash_at_any_moment_of_a_rotation_leaves_a_key_that_opens(path, config, monkeypatch, moment):
    created = make(path)
    old = created.read_bytes()
    where = {
        "before the new key is written": (keys, "stage"),
        "while it encrypts": (blocks, "reseal"),
        "before the key file's name": (keys, "promote"),
    }[moment]
    with monkeypatch.context() as patched, opened(path) as gallery:
        patched.setattr(*where, crash)
        with pytest.raises(Crash):
            gallery.rotate_key()
    with opened(path) as gallery:
        assert [p.name for p in gallery.people()] == ["p0", "p1", "p2"]
        assert (created.read_bytes() == old) == (moment != "before the key file's name")
        gallery.rotate_key()  # what the crash left behind is not in the way
    assert list(config.iterdir()) == [created]
    with opened(path) as gallery:
        assert len(gallery.encodings()[0]) == 3


def test_a_rotation_after_one_whose_key_file_kept_its_old_name_never_loses_the_key(path, monkeypatch):
    created = make(path)
    with opened(path) as gallery:
        with monkeypatch.context() as patched:
            patched.setattr(keys, "promote", crash)
            with pytest.raises(Crash):
                gallery.rotate_key()
        # The present key lies in the staged file alone; a second rotation stages another one and fails.
        with monkeypatch.context() as patched:
            patched.setattr(blocks, "reseal", crash)
            with pytest.raises(Crash):
                gallery.rotate_key()
    with opened(path) as gallery:
        assert len(gallery.people()) == 3
    assert Path(created).exists()
