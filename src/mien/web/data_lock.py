"""One server for each data folder: two would take each other's jobs for those of a server that was stopped."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from mien.errors import OptionError, OutputError

if sys.platform != "win32":
    import fcntl


class DataLock:
    """Holds a folder, made if it is not there, until `close`; the system lets go of it if this process dies."""

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file: int | None = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise OutputError(
                f"Expected to keep jobs in “{folder}”, but the system refused it ({error.strerror}); choose another "
                "folder with --data."
            ) from error
        if sys.platform != "win32":
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                self.close()
                raise OptionError(
                    f"Expected the folder “{folder}” for this server alone, but another one keeps its jobs there; "
                    "end that one, or choose another folder with --data."
                ) from error

    def close(self) -> None:
        """Let go of the folder."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
