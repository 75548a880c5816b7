"""One mounted /proc, held open: it can be read on from another root, and by a process whose numbers differ from its."""

import os
from contextlib import suppress
from dataclasses import dataclass

_READ_BYTES = 8192
_MEMORY = b"\nRssAnon:"


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process holds: bytes of memory that no file backs, as `process.own_memory` says, and threads."""

    memory_bytes: int
    threads: int

    @classmethod
    def of(cls, status: bytes) -> "Usage":
        """From the text of /proc/PID/status."""
        memory, threads = 0, 1
        for line in status.splitlines():
            if line.startswith((b"RssAnon:", b"RssShmem:", b"VmSwap:", b"HugetlbPages:")):
                memory += int(line.split()[1]) * 1024
            elif line.startswith(b"Threads:"):
                threads = int(line.split()[1])
        return cls(memory, threads)


class Procfs:
    """Reads by an open folder. Every method raises OSError."""

    def __init__(self, folder: str = "/proc") -> None:
        self.fd = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def read(self, path: str) -> bytes:
        """The beginning of a file below."""
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self.fd)
        try:
            return os.read(fd, _READ_BYTES)
        finally:
            os.close(fd)

    def write(self, path: str, text: str) -> None:
        """Write to a file below, at once."""
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC, dir_fd=self.fd)
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)

    def number(self, pidfd: int) -> int:
        """The number under which this /proc shows the process of a pidfd. ProcessLookupError when it does not."""
        for line in self.read(f"self/fdinfo/{pidfd}").splitlines():
            if line.startswith(b"Pid:") and (number := int(line.split()[1])) > 0:
                return number
        raise ProcessLookupError("this /proc does not show the process")

    def usage(self, number: int) -> Usage:
        """What a process holds now.

        A first thread that has ended shows no memory any more, while others of the same process go on: then one of
        them is asked.
        """
        status = self.read(f"{number}/status")
        if _MEMORY not in status:
            for thread in self._names(f"{number}/task"):
                with suppress(OSError):  # it has just ended
                    if _MEMORY in (other := self.read(f"{number}/task/{thread}/status")):
                        return Usage.of(other)
        return Usage.of(status)

    def hold(self, path: str) -> int:
        """A descriptor that keeps a file below known to the kernel; to be closed."""
        return os.open(path, os.O_PATH | os.O_CLOEXEC, dir_fd=self.fd)

    def threads(self) -> tuple[str, ...]:
        """The names of the calling process's threads, the main one included."""
        tasks = self._names("self/task")
        return tuple(sorted(self.read(f"self/task/{task}/comm").decode(errors="replace").strip() for task in tasks))

    def _names(self, folder: str) -> list[str]:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.fd)
        try:
            return os.listdir(fd)  # noqa: PTH208 - by descriptor
        finally:
            os.close(fd)

    def close(self) -> None:
        """Let go of the folder."""
        os.close(self.fd)
