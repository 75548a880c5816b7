"""What a jailed process tries, so that a layer that is missing shows before any job runs.

Each canary really tries one thing. A layer that hides another would hide its absence as well, so that there is at least
one canary for each layer that no other layer stops: `tests/attacks/test_python_layers.py` takes them away one by one.
"""

import ctypes
import errno
import fcntl
import os
import resource
import socket
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from agent.sandbox.syscalls import prctl, syscall

Tier = Literal["full", "container"]
Layer = Literal[
    "descriptors",
    "environment",
    "files",
    "limits",
    "Landlock",
    "own root",
    "privileges",
    "processes",
    "scratch",
    "seccomp",
]

DISCARD_PORT: Final = 9
"""Nothing needs to listen there: to be refused by the other side is to have reached it."""
BAIT_VARIABLE: Final = "AGENT_CANARY"
OPEN_FILES: Final = 256
PENDING_SIGNALS: Final = 1024
_MOST_VARIABLES: Final = 4096
_SCRATCH_BYTES: Final = 8 << 30
_FIRST_FOREIGN: Final = 4
_PR_GET_DUMPABLE: Final = 3
_PTRACE_TRACEME: Final = 0
_REMOVE: Final = 0
"""IPC_RMID: where nothing stops them, the canaries leave nothing behind."""

_FILTERED: Final = frozenset({errno.EPERM, errno.ENOSYS})
_HIDDEN: Final = frozenset({errno.EACCES, errno.ENOENT})


@dataclass(frozen=True, slots=True)
class Bait:
    """What the server laid out where a job must not get: a file, sockets, an open descriptor, a variable.

    `root` and `hostname` are the server's own, `server` is its process.
    """

    folder: str
    secret: str
    datagrams: str
    abstract: str
    server: int
    root: tuple[int, int]
    hostname: str


@dataclass(frozen=True, slots=True)
class Canary:
    """One attempt. It gives None when it was held, else what it found; OSError with one of `held_by` is held too."""

    layer: Layer
    name: str
    attempt: Callable[[Bait], object]
    held_by: frozenset[int]
    tiers: tuple[Tier, ...] = ("full", "container")


def tried(tier: Tier, bait: Bait) -> Iterator[tuple[str, str, bool, str]]:
    """Layer, name, whether it was held, and how, of each canary of a tier: to be run where a job would run."""
    for canary in CANARIES:
        if tier in canary.tiers:
            yield canary.layer, canary.name, *_outcome(canary, bait)


def _outcome(canary: Canary, bait: Bait) -> tuple[bool, str]:
    try:
        found = canary.attempt(bait)
    except OSError as error:
        number = error.errno or 0
        return number in canary.held_by, errno.errorcode.get(number, "an error without a number")
    except MemoryError:
        return False, "MemoryError"
    if found is None and not canary.held_by:
        return True, "as it must be"
    return False, found if isinstance(found, str) else "nothing stopped it"


def _read(path: str) -> None:
    os.close(os.open(path, os.O_RDONLY))


def _write(path: str) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))


def _scratch_file() -> str:
    _write("canary")
    return "canary"


def _scratch_works(_: Bait) -> str | None:
    path = _scratch_file()
    fd = os.open(path, os.O_RDWR)
    try:
        os.write(fd, b"x")
        return None if os.pread(fd, 2, 0) == b"x" else "what was written is not what is read"
    finally:
        os.close(fd)
        os.unlink(path)  # noqa: PTH108


def _scratch_is_bounded(_: Bait) -> str | None:
    there = os.statvfs(".")
    if not there.f_flag & os.ST_NOEXEC or not there.f_flag & os.ST_NOSUID or not there.f_flag & os.ST_NODEV:
        return "programs could be run from it"
    if not 0 < there.f_blocks * there.f_frsize <= _SCRATCH_BYTES or not there.f_files:
        return "it has no size of its own"
    return None


def _is_own_root(bait: Bait) -> str | None:
    there = Path("/").stat()
    return "the machine's own root" if (there.st_dev, there.st_ino) == bait.root else None


def _root_is_read_only(_: Bait) -> str | None:
    return None if os.statvfs("/").f_flag & os.ST_RDONLY else "the root can be written"


def _fork(_: Bait) -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _chmod(_: Bait) -> None:
    path = _scratch_file()
    try:
        os.chmod(path, 0o666)  # noqa: PTH101, S103 - that it fails is the point
    finally:
        os.unlink(path)  # noqa: PTH108


def _xattr(_: Bait) -> None:
    path = _scratch_file()
    try:
        os.setxattr(path, "user.canary", b"x")
    finally:
        os.unlink(path)  # noqa: PTH108


def _socket(family: int, kind: int, address: object = None) -> None:
    with socket.socket(family, kind) as it:
        if address is not None:
            it.connect(address)  # type: ignore[arg-type]
            it.send(b"canary")


def _pair(_: Bait) -> None:
    for end in socket.socketpair():
        end.close()


def _memfd(_: Bait) -> None:
    os.close(os.memfd_create("canary"))


def _exec(_: Bait) -> None:
    os.execv("/bin/true", ["true"])  # noqa: S606


def _foreign_descriptors(_: Bait) -> str | None:
    found = [fd for fd in range(_FIRST_FOREIGN, 1024) if _is_open(fd)]
    return f"{len(found)} more than its own four" if found else None


def _kinds_of_descriptors(_: Bait) -> str | None:
    for fd in range(_FIRST_FOREIGN):
        with suppress(OSError):
            mode = os.fstat(fd).st_mode
            if not stat.S_ISFIFO(mode) and not stat.S_ISCHR(mode):
                return f"descriptor {fd} is neither a pipe nor a null device"
    return None


def _is_open(fd: int) -> bool:
    try:
        fcntl.fcntl(fd, fcntl.F_GETFD)
    except OSError:
        return False
    return True


def _environment(_: Bait) -> str | None:
    block = ctypes.POINTER(ctypes.c_char_p).in_dll(ctypes.CDLL(None), "environ")
    with suppress(ValueError):  # a NULL pointer: there is no environment at all
        for at in range(_MOST_VARIABLES):
            if (entry := block[at]) is None:
                return None
            if entry.startswith(BAIT_VARIABLE.encode()):
                return "one of its variables is there"
    return None


def _limit(kind: int, most: int) -> Callable[[Bait], str | None]:
    def look(_: Bait) -> str | None:
        hard = resource.getrlimit(kind)[1]
        return None if hard != resource.RLIM_INFINITY and hard <= most else "it has no bound"

    return look


def _dumpable(_: Bait) -> str | None:
    return "its memory can be read by others" if prctl(_PR_GET_DUMPABLE) else None


def _hostname(bait: Bait) -> str | None:
    return "the machine's name" if os.uname().nodename == bait.hostname else None


def _calls() -> Iterable[Canary]:
    """System calls that a filter answers with EPERM or ENOSYS; without it most do something, or complain otherwise."""
    plain: dict[str, Callable[[Bait], object]] = {
        "make a process": _fork,
        "open a memory file": _memfd,
        "make a pair of sockets": _pair,
        "make namespaces": lambda _: syscall("unshare", 0),
        "clone3": lambda _: syscall("clone3", None, 0),
        "shared memory": lambda _: syscall("shmctl", syscall("shmget", 0, 4096, 0o1600), _REMOVE, None),
        "message queues": lambda _: syscall("msgctl", syscall("msgget", 0, 0o1600), _REMOVE, None),
        "a POSIX message queue": lambda _: syscall("mq_unlink", b"canary\0"),
        "keyrings": lambda _: syscall("keyctl", 0, -1, 0),
        "io_uring": lambda _: syscall("io_uring_setup", 1, None),
        "bpf": lambda _: syscall("bpf", 0xFFFF, None, 0),
        "userfaultfd": lambda _: syscall("userfaultfd", 1),
        "perf_event_open": lambda _: syscall("perf_event_open", None, 0, -1, -1, 0),
        "mount": lambda _: syscall("mount", None, None, None, 0, None),
        "setns": lambda _: syscall("setns", -1, 0),
        "be traced": lambda _: syscall("ptrace", _PTRACE_TRACEME, 0, 0, 0),
        "read another's memory": lambda bait: syscall("process_vm_readv", bait.server, None, 0, None, 0, 0),
        "signal the server": lambda bait: os.kill(bait.server, 0),
        "signal by pidfd": lambda _: syscall("pidfd_send_signal", -1, 0, None, 0),
        "change a mode": _chmod,
        "set an attribute": _xattr,
    }
    return (Canary("seccomp", name, attempt, _FILTERED) for name, attempt in plain.items())


def _sockets() -> Iterable[Canary]:
    loopback = ("127.0.0.1", DISCARD_PORT)
    attempts: dict[str, Callable[[Bait], object]] = {
        "connect to TCP": lambda _: _socket(socket.AF_INET, socket.SOCK_STREAM, loopback),
        "send to UDP": lambda _: _socket(socket.AF_INET, socket.SOCK_DGRAM, loopback),
        "connect by IPv6": lambda _: _socket(socket.AF_INET6, socket.SOCK_STREAM, ("::1", DISCARD_PORT)),
        "send to a socket file": lambda bait: _socket(socket.AF_UNIX, socket.SOCK_DGRAM, bait.datagrams),
        "send to an abstract socket": lambda bait: _socket(socket.AF_UNIX, socket.SOCK_DGRAM, bait.abstract),
        "netlink": lambda _: _socket(socket.AF_NETLINK, socket.SOCK_RAW),
        "vsock": lambda _: _socket(socket.AF_VSOCK, socket.SOCK_STREAM),
    }
    return (Canary("seccomp", name, attempt, _FILTERED) for name, attempt in attempts.items())


_FULL: Final[tuple[Tier, ...]] = ("full",)
_NOTHING: Final[frozenset[int]] = frozenset()

CANARIES: Final[tuple[Canary, ...]] = (
    Canary("descriptors", "foreign descriptors", _foreign_descriptors, _NOTHING),
    Canary("descriptors", "what its own descriptors are", _kinds_of_descriptors, _NOTHING),
    Canary("environment", "the server's environment", _environment, _NOTHING),
    Canary("files", "read a file outside", lambda bait: _read(bait.secret), _HIDDEN),
    Canary("files", "make a file outside", lambda bait: _write(bait.folder + "/made"), _HIDDEN),
    Canary("files", "write a file outside", lambda bait: _write(bait.secret), _HIDDEN),
    Canary("files", "the server's /proc", lambda bait: _read(f"/proc/{bait.server}/environ"), _HIDDEN),
    Canary("files", "the machine's memory", lambda _: _read("/proc/kcore"), _HIDDEN),
    Canary("Landlock", "list the root", lambda _: os.listdir("/"), frozenset({errno.EACCES})),  # noqa: PTH208
    Canary(
        "own root", "see that a path exists", lambda bait: Path(bait.secret).stat(), frozenset({errno.ENOENT}), _FULL
    ),
    Canary("own root", "the root", _is_own_root, _NOTHING, _FULL),
    Canary("own root", "a root that is read only", _root_is_read_only, _NOTHING, _FULL),
    Canary("own root", "the machine's name", _hostname, _NOTHING, _FULL),
    Canary("scratch", "write and read", _scratch_works, _NOTHING),
    Canary("scratch", "its size and flags", _scratch_is_bounded, _NOTHING, _FULL),
    Canary("limits", "core dumps", _limit(resource.RLIMIT_CORE, 0), _NOTHING),
    Canary("limits", "locked memory", _limit(resource.RLIMIT_MEMLOCK, 0), _NOTHING),
    Canary("limits", "bytes of message queues", _limit(resource.RLIMIT_MSGQUEUE, 0), _NOTHING),
    Canary("limits", "queued signals", _limit(resource.RLIMIT_SIGPENDING, PENDING_SIGNALS), _NOTHING),
    Canary("limits", "open files", _limit(resource.RLIMIT_NOFILE, OPEN_FILES), _NOTHING),
    Canary("limits", "CPU seconds", _limit(resource.RLIMIT_CPU, 1 << 31), _NOTHING),
    Canary("limits", "size of a file", _limit(resource.RLIMIT_FSIZE, 1 << 40), _NOTHING),
    Canary("limits", "address space", _limit(resource.RLIMIT_AS, 1 << 44), _NOTHING),
    Canary("privileges", "memory that others can read", _dumpable, _NOTHING),
    *_calls(),
    *_sockets(),
    # Last: where nothing stops it, the canary is another program from here on, and says nothing more.
    Canary("seccomp", "run a program", _exec, _FILTERED | {errno.EACCES}),
)
