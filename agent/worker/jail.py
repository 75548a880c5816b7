"""Turns a freshly forked process into one that can read its own source and the code, and write nothing."""

import os
import socket
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from agent.core.ports import Endpoint
from agent.sandbox import landlock, places, process, seccomp
from agent.sandbox.environment import ENVIRONMENT

_GIB = 1 << 30
_OPEN_FILES = 1024
_OOM_SCORE = 700
"""Below the 1000 of a sandbox: when the machine runs out of memory, what ran untrusted code ends before its worker."""

_SYSTEM = (*places.LIBRARIES, *places.DEVICES, *places.FACTS, *places.CONTROL_GROUPS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Kernel limits of one job: CPU seconds, bytes of memory, bytes of the sealed parts."""

    cpu_seconds: int
    memory_bytes: int
    file_bytes: int


@dataclass(frozen=True, slots=True)
class Network:
    """What one job may connect to: address families (AF_*) of stream sockets, and TCP ports of any host."""

    families: frozenset[int] = frozenset()
    ports: frozenset[int] = frozenset()

    @classmethod
    def of(cls, endpoints: Iterable[Endpoint]) -> "Network":
        """What these servers need, and no more."""
        families: set[int] = set()
        ports: set[int] = set()
        for endpoint in endpoints:
            if endpoint.host.startswith("/"):
                families.add(socket.AF_UNIX)
            else:
                families |= {socket.AF_INET, socket.AF_INET6}
                ports.add(endpoint.port)
        return cls(frozenset(families), frozenset(ports))


NOWHERE = Network()


def leave(parent: int, descriptors: Collection[int], resources: Resources) -> None:
    """Leave the server: own session, dies with `parent`, keeps `descriptors`, limits, no privileges. Raises OSError."""
    os.setsid()
    process.die_with_parent(parent)
    process.silence()
    process.keep_descriptors({0, 1, 2, *descriptors})
    os.environ.clear()
    os.environ.update(ENVIRONMENT)
    os.chdir("/")
    process.prefer_as_oom_victim(_OOM_SCORE)
    process.limit_resources(
        cpu_seconds=resources.cpu_seconds,
        memory_bytes=resources.memory_bytes + _slack_bytes(),
        file_bytes=resources.file_bytes,
        open_files=_OPEN_FILES,
    )
    process.drop_capabilities()
    process.forbid_new_privileges()
    process.forbid_dumps()


def lock(reads: Iterable[Path], network: Network = NOWHERE, *, version: int) -> None:
    """Give up all paths but the code and `reads`, all sockets but those to `network`. Raises OSError; then stop.

    `version` is the newest Landlock ABI to use; 0 refuses.
    """
    # Landlock's rule is tied to an inode that procfs may forget and make anew; an open descriptor keeps it.
    os.open("/proc/self/cgroup", os.O_PATH | os.O_CLOEXEC)
    landlock.restrict(read=(*places.code(), *_SYSTEM, *reads), connect_ports=network.ports, version=version)
    seccomp.install(seccomp.worker_rules(os.getpid(), network.families))


def _slack_bytes() -> int:
    """Address space beyond a job's memory: engines reserve far more than they use, an arena and a stack per thread.

    Only a backstop against one huge allocation; the supervisor watches what is really used.
    """
    return 2 * _GIB + (os.cpu_count() or 1) * _GIB // 4
