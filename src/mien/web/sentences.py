"""What a person is told of an error, and what the server's log keeps of it."""

from __future__ import annotations

import logging
import re
import traceback

from mien import errors

logger = logging.getLogger("mien.web")

BROKEN = "Something went wrong in the server, and it has been written down there; please try again."
CLOSED = "The server cannot do this at the moment; whoever runs it finds the reason in its log."

# Their sentences name places on this machine, which are nobody's business but the administrator's.
_PRIVATE = (errors.GalleryError, errors.AuditError, errors.WeightsError, errors.OutputError, errors.MissingExtra)


def sentence_of(error: errors.MienError, *, administrator: bool) -> str:
    """The error's own sentence, unless it names places on this machine; these are logged."""
    if isinstance(error, _PRIVATE) and not isinstance(error, errors.NameTaken) and not administrator:
        log_failure(error, "a request")
        return CLOSED
    return without_flags(str(error))


def without_flags(sentence: str) -> str:
    """The sentence as it reads on a page, where `--size 512` is called size 512."""
    return re.sub(r"(?<![\w-])--(?=[a-z])", "", sentence)


def log_failure(error: BaseException, where: str) -> None:
    """Write down where an error came from: its kind and the lines, without its text, which may hold a name.

    The sentences about weights and files that cannot be written hold none, and say what is to be done.
    """
    frames = traceback.extract_tb(error.__traceback__)
    lines = "".join(f"\n  {frame.filename}:{frame.lineno} in {frame.name}" for frame in frames)
    told = f": {error}" if isinstance(error, errors.WeightsError | errors.OutputError | errors.MissingExtra) else ""
    logger.error("%s in %s%s%s", type(error).__name__, where, told, lines)
