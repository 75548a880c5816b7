"""Scratch folders of the container tier: made for one job, watched while it runs, wiped after it.

A job may name and nest its files as it likes, so nothing here recurses, and no path is longer than one name.
"""

import fcntl
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final

from agent.sandbox.supervisor import Cause

PREFIX: Final = "agent-scratch-"
MAX_FILES: Final = 4096
_MAX_DEPTH: Final = 40
_SLACK: Final = 128 << 20
"""What others may write to the same file system while jobs run."""
_PAUSES: Final = 20
"""A look at a folder is followed by this many times its own duration without one,"""
_MAX_PAUSE: Final = 0.1
"""but at most by so many seconds."""


def parent() -> str:
    """Where scratch folders are made: in memory where that can be, so that nothing reaches a disk."""
    shared = "/dev/shm"  # noqa: S108 - only folders with mode 0700 are made there
    return shared if os.access(shared, os.W_OK | os.X_OK) else tempfile.gettempdir()


class Folders:
    """A server's own folder with one for each job in it. Those that a killed server left behind are wiped first."""

    def __init__(self, place: str) -> None:
        _wipe_abandoned(place)
        self.path = tempfile.mkdtemp(prefix=PREFIX, dir=place)
        self._lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._numbers = count()
        self._watched: list[Watch] = []
        self._idle = self._used()

    def make(self) -> str:
        """An empty folder. Raises OSError."""
        path = f"{self.path}/{next(self._numbers)}"
        Path(path).mkdir(mode=0o700)
        return path

    def watch(self, path: str, size: int) -> "Watch":
        """Watch a job's folder, from its start to `unwatch`."""
        if not self._watched:
            self._idle = self._used()
        self._watched.append(Watch(path, size, self))
        return self._watched[-1]

    def unwatch(self, path: str) -> None:
        """The job is over."""
        self._watched = [watch for watch in self._watched if watch.path != path]

    def overrun(self, watch: "Watch") -> bool:
        """Whether a job has to end because there is more than all of them may hold together.

        A file that is unlinked while it is open or mapped is in no folder, and cannot be told whose it is: the job that
        runs longest ends first.
        """
        allowed = sum(other.bytes for other in self._watched) + _SLACK
        return self._used() - self._idle > allowed and watch is self._watched[0]

    def _used(self) -> int:
        there = os.fstatvfs(self._lock)
        return (there.f_blocks - there.f_bfree) * there.f_frsize

    def close(self) -> None:
        """Nothing is left."""
        wipe(self.path)
        os.close(self._lock)


def _wipe_abandoned(place: str) -> None:
    for entry in os.scandir(place):
        if not entry.name.startswith(PREFIX) or not entry.is_dir(follow_symlinks=False):
            continue
        with suppress(OSError):
            fd = os.open(entry.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                if os.fstat(fd).st_uid == os.getuid():
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)  # its server is gone
                    wipe(entry.path)
            finally:
                os.close(fd)


def wipe(path: str) -> None:
    """Remove a folder and all that is in it, whatever its depth, names and modes are. Raises OSError."""
    top = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        names = (f".wiped-{number}-{time.monotonic_ns()}" for number in count())
        while entries := os.listdir(top):  # noqa: PTH208 - by descriptor
            for name in entries:
                _flatten(top, name, names)
    finally:
        os.close(top)
    os.rmdir(path)  # noqa: PTH106


def _flatten(top: int, name: str, names: Iterator[str]) -> None:
    """Remove an entry of `top`, or move what is in it up to `top`."""
    for remove in (os.unlink, os.rmdir):
        with suppress(OSError):
            remove(name, dir_fd=top)
            return
    os.chmod(name, 0o700, dir_fd=top)
    inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=top)
    try:
        for entry in os.listdir(inner):  # noqa: PTH208 - by descriptor
            with suppress(OSError):
                os.chmod(entry, 0o700, dir_fd=inner)  # a folder moves only when it may be written
            os.rename(entry, next(names), src_dir_fd=inner, dst_dir_fd=top)
    finally:
        os.close(inner)
    os.rmdir(name, dir_fd=top)


@dataclass(slots=True)
class Watch:
    """Tells when a job's folder holds more than it may: bytes, or files and folders. To be called at every look."""

    path: str
    bytes: int
    folders: Folders | None = field(default=None)
    _next: float = field(default=0.0)

    def __call__(self) -> Cause | None:
        """The limit that is passed, None for none."""
        if self.folders is not None and self.folders.overrun(self):
            return "limit.scratch"
        started = time.monotonic()
        if started < self._next:
            return None
        within = self._within()
        self._next = time.monotonic() + min(_MAX_PAUSE, _PAUSES * (time.monotonic() - started))
        return None if within else "limit.scratch"

    def _within(self) -> bool:
        left, files = self.bytes, MAX_FILES
        folders = [(self.path, 0)]
        while folders:
            folder, depth = folders.pop()
            try:
                with os.scandir(folder) as entries:
                    for entry in entries:
                        state = entry.stat(follow_symlinks=False)
                        left -= state.st_blocks * 512
                        files -= 1
                        if left < 0 or files < 0 or depth > _MAX_DEPTH:
                            return False
                        if stat.S_ISDIR(state.st_mode):
                            folders.append((entry.path, depth + 1))
            except FileNotFoundError:
                continue
            except OSError:  # made so that it cannot be looked into
                return False
        return True
