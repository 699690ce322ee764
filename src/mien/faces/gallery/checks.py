"""Which names and encodings a gallery takes, and when two names are the same."""

from __future__ import annotations

import unicodedata

import numpy as np
from numpy.typing import NDArray

from mien.errors import GalleryError, OptionError
from mien.faces.records import Encodings

LONGEST_NAME = 200
LONGEST_CONSENT = 10_000
_INVISIBLE = "ZC"  # Unicode's major classes of separators, and of control, format and unassigned characters
_BREAKING = ("Cc", "Cs", "Zl", "Zp")  # control characters, halves of characters, line and paragraph separators
# Two names that differ in these look the same. Not among them: the zero-width joiner and non-joiner (emoji, Persian,
# Indian scripts), direction marks (Arabic, Hebrew) and variation selectors (emoji, Japanese names).
_DIRECTION = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))  # embeddings, overrides, isolates
# Soft hyphen, grapheme joiner, Mongolian vowel separator, zero-width space, word joiner and invisible operators, old
# format controls, Hangul fillers, byte order mark, tags.
_NO_WIDTH = (0xAD, 0x34F, 0x180E, 0x200B, *range(0x2060, 0x2065), *range(0x206A, 0x2070), 0x3164, 0xFEFF, 0xFFA0)
_TAGS = (0xE0001, *range(0xE0020, 0xE0080))
# What may stand in a name, but does not make it another one: joiners, direction marks, variation selectors.
_UNSEEN = dict.fromkeys((0x200C, 0x200D, 0x200E, 0x200F, 0x61C, *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)))
_HIDDEN = frozenset(map(chr, (*_DIRECTION, *_NO_WIDTH, *_TAGS)))


def check_name(name: str) -> None:
    """Raise OptionError for a name that nobody could read: any script, quotes, spaces and emoji are welcome."""
    if not any(unicodedata.category(c)[0] not in _INVISIBLE for c in name[: LONGEST_NAME + 1]):
        raise OptionError("Expected a name, but got one without a visible character; give the person a name.")
    if len(name) > LONGEST_NAME:
        raise OptionError(
            f"Expected a name of at most {LONGEST_NAME} characters, but got one of {len(name):,}; shorten it."
        )
    for c in name:
        if unicodedata.category(c) in _BREAKING:
            raise OptionError(
                f"Expected a name on one line, but got {name!r} with the control character {c!r}; leave it out."
            )
        if c in _HIDDEN:
            raise OptionError(
                f"Expected a name that shows what it is, but got {name!r} with the invisible character {_called(c)}; "
                "leave it out."
            )


def same_name(name: str) -> str:
    """The form by which names are compared: “Zoë”, “ZOË” and “Zoe” + combining dots are one name.

    So are two that differ in nothing but joiners, direction marks and variation selectors, which look alike.
    """
    seen = unicodedata.normalize("NFC", name.translate(_UNSEEN))
    return unicodedata.normalize("NFC", seen.casefold())


def check_consent(consent: str | None) -> None:
    """Raise OptionError for a consent note that is too long, or not one line of text that shows what it is."""
    if consent is None:
        return
    if len(consent) > LONGEST_CONSENT:
        raise OptionError(
            f"Expected a consent note of at most {LONGEST_CONSENT:,} characters, but got {len(consent):,}; shorten it, "
            "or say where the whole text is kept."
        )
    for place, c in enumerate(consent, 1):
        category = unicodedata.category(c)
        if category == "Cs":
            raise OptionError("Expected a consent note in Unicode, but got one with undecodable bytes; type it anew.")
        if category in _BREAKING or c in _HIDDEN:
            kind = "control" if category in _BREAKING else "invisible"
            raise OptionError(
                f"Expected a consent note on one line, but its character {place:,} is the {kind} character "
                f"{_called(c)}; leave it out."
            )


def _called(c: str) -> str:
    return f"U+{ord(c):04X} ({unicodedata.name(c, repr(c))})"


def checked_encodings(encodings: NDArray[np.floating], dimension: int) -> Encodings:
    """The encodings as float32 (n, dimension), n >= 1; GalleryError if they are not, or not finite and of norm 1."""
    rows = np.ascontiguousarray(encodings, dtype=np.float32)
    if rows.ndim != 2 or rows.shape[0] < 1 or rows.shape[1] != dimension:
        raise GalleryError(
            f"Expected encodings of shape (n, {dimension}) with n at least 1, but got {np.shape(encodings)}; pass one "
            "row for each photo."
        )
    norms = np.linalg.norm(rows.astype(np.float64), axis=1)
    if not (np.abs(norms - 1) < 1e-3).all():  # also False where a norm is not a number
        raise GalleryError(
            f"Expected encodings of norm 1, but got a norm of {norms[np.argmax(~(np.abs(norms - 1) < 1e-3))]:.4g}; "
            "divide each row by its L2 norm."
        )
    return rows
