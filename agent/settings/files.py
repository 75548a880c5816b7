"""Opening a file that others may have put there: no waiting for pipes, no devices, no folders."""

import os
import stat
from pathlib import Path
from typing import IO


class NotRegularError(OSError):
    """The path names something else than a plain file."""


def opened(path: Path) -> IO[bytes]:
    """Open a regular file for reading. Symbolic links are followed. Raises OSError, or ValueError for a NUL."""
    try:
        file = open(path, "rb", opener=_at_once)  # noqa: SIM115 - the caller closes it
    except IsADirectoryError:
        raise NotRegularError from None
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise NotRegularError
    return file


def _at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
