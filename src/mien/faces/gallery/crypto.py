"""What a gallery writes is sealed here: AES-256-GCM, under keys derived from the gallery's master key.

From the master key (32 bytes) HKDF-SHA256, salted with the gallery's random id, derives three keys that have nothing to
do with each other: one seals, one makes the index of names, and one is stored in the open as the key check value. So
two galleries under one master key share nothing, and knowing the check value helps with neither of the others.

A sealed text is nonce (12 random bytes) ‖ ciphertext ‖ tag (16 bytes). Its associated data name the gallery, the kind
of row, the row itself, the encoder, the dimension and the format: a row that is moved to another place, or into another
gallery, no longer opens. It cannot show that a row, or the whole file, was put back to an older state.

Names are found without opening every row by HMAC-SHA256 of the name's compared form: without the key nobody can tell
which name an entry is, nor try names against it.
"""

from __future__ import annotations

import hmac
import json
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mien.errors import GalleryError, WrongKey
from mien.faces.gallery.checks import same_name

KEY_BYTES = 32
FORMAT = 1
_NONCE_BYTES = 12


class Vault:
    """Seals and opens what one gallery keeps; the keys live as long as the object."""

    def __init__(self, key: bytes, *, gallery_id: str, encoder: str, dimension: int) -> None:
        if len(key) != KEY_BYTES:
            raise WrongKey(f"Expected a key of {KEY_BYTES} bytes, but got {len(key)}; pass {KEY_BYTES} random bytes.")

        def derived(purpose: bytes) -> bytes:
            kdf = HKDF(hashes.SHA256(), KEY_BYTES, salt=bytes.fromhex(gallery_id), info=b"mien gallery 1: " + purpose)
            return kdf.derive(key)

        self._aead = AESGCM(derived(b"sealing"))
        self._name_key = derived(b"index of names")
        self.dimension = dimension
        self._place = (FORMAT, gallery_id, encoder, dimension)
        self.check = derived(b"key check value")
        """Stored with the gallery, in the open: equal for the right key alone."""

    def seal(self, kind: str, row: str, content: bytes) -> bytes:
        """Encrypt the content of one row; it opens only as the same kind and row."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, content, self._associated(kind, row))

    def open(self, kind: str, row: str, sealed: bytes) -> bytes:
        """Decrypt what `seal` made; GalleryError if it was changed or moved since."""
        try:
            return self._aead.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], self._associated(kind, row))
        except (InvalidTag, ValueError) as error:
            raise GalleryError(
                f"Expected the gallery as mien wrote it, but the entry “{kind} {row}” was changed, moved or damaged; "
                "bring the file back from a backup."
            ) from error

    def name_index(self, name: str) -> bytes:
        """32 bytes that are equal for equal names, and without the key say nothing about the name."""
        return hmac.digest(self._name_key, same_name(name).encode("utf-8", "surrogatepass"), "sha256")

    def fits(self, check: bytes) -> bool:
        """Whether a stored key check value is this key's."""
        return hmac.compare_digest(self.check, check)

    def _associated(self, kind: str, row: str) -> bytes:
        return json.dumps(["mien gallery", *self._place, kind, row]).encode()
