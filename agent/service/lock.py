"""One service on one state folder: an flock that dies with its process."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.core.errors import AgentError, ConfigError

LOCK_FILE = "service.lock"
_PID_BYTES = 32


class StateBusyError(AgentError):
    """Another service holds the state folder. `pid` is its process id, None when it cannot be told."""

    def __init__(self, folder: Path, pid: int | None) -> None:
        """Args: the state folder and the holder's pid."""
        holder = "another process" if pid is None else f"process {pid}"
        super().__init__(
            f"{holder} already runs on the state folder {folder}. "
            "Fix: stop it first, or give this agent a state_dir of its own."
        )
        self.pid = pid


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Hold `folder` for this process; the lock ends with the process, however it ends.

    Raises StateBusyError when another process holds it, ConfigError when the lock file cannot be made.
    """
    try:
        descriptor = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
    except OSError as error:
        problem = f"the lock file {folder / LOCK_FILE} cannot be opened ({error.strerror})"
        raise ConfigError("state_dir", problem, "make the folder writable for the agent's account.") from None
    try:
        _lock(descriptor, folder)
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # a child on its way to exec may still share the descriptor
        os.close(descriptor)


def _lock(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StateBusyError(folder, _pid(descriptor)) from None
    # The pid only serves the message above: a full disk must not keep the service from delivering.
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)


def _pid(descriptor: int) -> int | None:
    text = os.pread(descriptor, _PID_BYTES, 0).strip()
    return int(text) if text.isdigit() else None
