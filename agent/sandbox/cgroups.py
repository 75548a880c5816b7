"""Control groups (v2) of jobs, where the service manager has delegated them: memory, processes, share of the CPU.

They are a second wall behind the supervisor's. A group that holds processes can have no controllers below it, so the
agent's own processes must lie in a group below the delegated one: with systemd, `Delegate=yes` and `DelegateSubgroup=`.
"""

import os
from contextlib import suppress
from itertools import count
from pathlib import PurePosixPath
from typing import Final

from agent.core.ports import Finding
from agent.sandbox.jail import THREADS

MOUNT: Final = "/sys/fs/cgroup"
CONTROLLERS: Final = ("cpu", "memory", "pids")
_LIMITS: Final = ("memory.max", "pids.max", "cpu.weight")
_WEIGHT: Final = "20"
"""A fifth of what the service and its workers have."""
_SLACK: Final = 256 << 20
"""A group is charged for pages of libraries too, and for the kernel's: the supervisor's figure is the limit."""
_FIX: Final = "With systemd: Delegate=cpu memory pids and DelegateSubgroup=agent (systemd 254 or newer) in the unit."


class Group:
    """One job's group."""

    def __init__(self, parent: int, name: str) -> None:
        self._parent = parent
        self._name = name

    def close(self) -> None:
        """End what is in it, which is nothing, and remove it."""
        with suppress(OSError):
            write(self._parent, f"{self._name}/cgroup.kill", "1")
        with suppress(OSError):
            os.rmdir(self._name, dir_fd=self._parent)


class Groups:
    """Makes groups below one that is delegated. It is held open, so that it is found from another root too."""

    def __init__(self, path: str) -> None:
        """Raises OSError when groups with all limits cannot be made there."""
        self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._prefix = f"sandbox-{os.getpid()}-"
        self._numbers = count()
        try:
            for controller in CONTROLLERS:
                write(self._fd, "cgroup.subtree_control", f"+{controller}")
            self._probe()
        except OSError:
            os.close(self._fd)
            raise

    def make(self, pid: int, *, memory_bytes: int) -> Group | None:
        """A group with this process in it. None when it cannot be made: the supervisor watches in any case."""
        name = f"{self._prefix}{next(self._numbers)}"
        group = Group(self._fd, name)
        try:
            os.mkdir(name, 0o755, dir_fd=self._fd)
            for limit, value in zip(_LIMITS, (str(memory_bytes + _SLACK), str(THREADS + 1), _WEIGHT), strict=True):
                write(self._fd, f"{name}/{limit}", value)
            write(self._fd, f"{name}/cgroup.procs", str(pid))
        except OSError:
            group.close()
            return None
        return group

    def _probe(self) -> None:
        name = f"{self._prefix}probe"
        os.mkdir(name, 0o755, dir_fd=self._fd)
        try:
            for limit in (*_LIMITS, "cgroup.procs"):
                os.close(os.open(f"{name}/{limit}", os.O_WRONLY | os.O_CLOEXEC, dir_fd=self._fd))
        finally:
            os.rmdir(name, dir_fd=self._fd)


def found(mount: str = MOUNT, own: str = "/proc/self/cgroup") -> tuple[Groups | None, Finding]:
    """The groups that this process may make, and what to tell of them."""
    try:
        with open(own, encoding="utf-8") as file:  # noqa: PTH123
            path = next(line[3:].strip() for line in file if line.startswith("0::"))
        groups = Groups(f"{mount}/{PurePosixPath(path).relative_to('/').parents[0]}")
    except (OSError, StopIteration, ValueError, IndexError):  # IndexError: it is in the topmost group that it can see
        return None, Finding("cgroup", "note", "not delegated: memory, threads and CPU are watched, not walled", _FIX)
    return groups, Finding("cgroup", "ok", "each job has a control group of its own")


def write(folder: int, path: str, text: str) -> None:
    """Write to a file below an open folder. Raises OSError."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
