"""What one process can give up or promise about itself: parent, privileges, descriptors, resources."""

import fcntl
import os
import resource
import select
import signal
import struct
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path

from agent.sandbox.procfs import Usage
from agent.sandbox.syscalls import prctl, syscall

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_CAPBSET_DROP = 24
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4

_CAPABILITY_VERSION_3 = 0x20080522
_CAPABILITIES = 64
_ABOVE_ALL = 16
_PENDING_SIGNALS = 64
_MAX_DESCRIPTION = 300
_LAST_DESCRIPTOR = 2**31 - 1


def die_with_parent(parent: int, death_signal: signal.Signals = signal.SIGKILL) -> None:
    """Get `death_signal` when the thread that forked this process ends. Raises ProcessLookupError if it already has."""
    prctl(_PR_SET_PDEATHSIG, death_signal)
    if os.getppid() != parent:
        raise ProcessLookupError("the parent process is gone")


def die_with(parent: int, death_signal: signal.Signals = signal.SIGKILL) -> None:
    """As `die_with_parent`, for a parent that may be in another pid namespace: `parent` is a pidfd of it."""
    prctl(_PR_SET_PDEATHSIG, death_signal)
    poll = select.poll()
    poll.register(parent, select.POLLIN)
    if poll.poll(0):
        raise ProcessLookupError("the parent process is gone")


def forbid_new_privileges() -> None:
    """No set-user-id program and no file capability gives this process or its children anything any more."""
    prctl(_PR_SET_NO_NEW_PRIVS, 1)


def forbid_dumps() -> None:
    """No core dump, and no other process of the same account may trace this one or read its memory."""
    prctl(_PR_SET_DUMPABLE, 0)


def become_subreaper() -> None:
    """Orphans among this process's descendants become its own children, also when they left their session."""
    prctl(_PR_SET_CHILD_SUBREAPER, 1)


def drop_capabilities() -> None:
    """Give up all capabilities for good. The bounding set is left where dropping it needs a privilege not held."""
    for capability in range(_CAPABILITIES):
        try:
            prctl(_PR_CAPBSET_DROP, capability)
        except OSError:  # EPERM: unprivileged; EINVAL: past the kernel's last one
            break
    with suppress(OSError):
        prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    syscall("capset", struct.pack("=Ii", _CAPABILITY_VERSION_3, 0), bytes(24))


def keep_descriptors(keep: Collection[int]) -> None:
    """Close every file descriptor but `keep`."""
    first = 0
    for fd in sorted(keep):
        if fd > first:
            syscall("close_range", first, fd - 1, 0)
        first = fd + 1
    syscall("close_range", first, _LAST_DESCRIPTOR, 0)


def arrange_descriptors(wanted: Sequence[int]) -> None:
    """Make the descriptors of `wanted` this process's 0, 1, 2 ...; the old ones stay open."""
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD, _ABOVE_ALL) for fd in wanted]
    for number, fd in enumerate(high):
        os.dup2(fd, number)
        os.close(fd)


def access_mode(fd: int) -> int:
    """How a descriptor was opened: os.O_RDONLY, O_WRONLY or O_RDWR."""
    return fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE


def silence() -> None:
    """Point stdin, stdout and stderr to /dev/null."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):
        os.dup2(null, fd)
    if null > 2:  # noqa: PLR2004 - stderr
        os.close(null)


def limit_resources(
    *, cpu_seconds: int, memory_bytes: int, file_bytes: int, open_files: int, mapped_bytes: int | None = None
) -> None:
    """Hard limits by the kernel: CPU seconds, address space beyond what is mapped now, size of any file written.

    `mapped_bytes` says what is mapped now, where there is no /proc to look it up. SIGXCPU comes at `cpu_seconds`,
    SIGKILL one second later. No core dumps, locked memory or message queues.
    """
    _lower(resource.RLIMIT_CORE, 0, 0)
    _lower(resource.RLIMIT_MEMLOCK, 0, 0)
    _lower(resource.RLIMIT_MSGQUEUE, 0, 0)
    _lower(resource.RLIMIT_SIGPENDING, _PENDING_SIGNALS, _PENDING_SIGNALS)
    _lower(resource.RLIMIT_FSIZE, file_bytes, file_bytes)
    _lower(resource.RLIMIT_NOFILE, open_files, open_files)
    _lower(resource.RLIMIT_CPU, cpu_seconds, cpu_seconds + 1)
    _lower(resource.RLIMIT_AS, *((_mapped_bytes() if mapped_bytes is None else mapped_bytes) + memory_bytes,) * 2)


def _lower(kind: int, soft: int, hard: int) -> None:
    ceiling = resource.getrlimit(kind)[1]
    if ceiling != resource.RLIM_INFINITY:
        soft, hard = min(soft, ceiling), min(hard, ceiling)
    resource.setrlimit(kind, (soft, hard))


def _mapped_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def prefer_as_oom_victim(score: int = 1000) -> None:
    """When the machine runs out of memory the kernel ends processes with the highest score first: at most 1000."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(score))


def threads() -> tuple[str, ...]:
    """The names of this process's threads, the main one included."""
    return tuple(sorted((task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()))


def children() -> list[int]:
    """The processes whose parent is this one; zombies included."""
    try:
        lists = [(task / "children").read_text() for task in Path("/proc/self/task").iterdir()]
    except FileNotFoundError:  # a kernel without CONFIG_PROC_CHILDREN
        return _children_by_scan()
    return [int(pid) for text in lists for pid in text.split()]


def _children_by_scan() -> list[int]:
    me, found = os.getpid(), []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                # The name in brackets may hold anything: fields are counted from the last bracket.
                if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == me:
                    found.append(int(entry.name))
    return found


def own_memory(pid: int) -> int:
    """Bytes that a process holds and that no file backs: anonymous, shared and swapped pages.

    A forked child starts with all of its parent's anonymous pages in this sum, so a job's own use is the growth over
    the parent's figure at the fork. Pages of libraries and files are left out: the kernel can drop them, they are
    shared with every other job, and RSS would charge each job ~100 MB for them. Shared anonymous memory counts, which
    `resident - shared` of statm would hide, and so does swap. The growth is too small by at most what the job frees or
    overwrites of its parent's own pages. Raises OSError when the process cannot be seen.
    """
    fd = os.open(f"/proc/{pid}/status", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return Usage.of(os.read(fd, 8192)).memory_bytes
    finally:
        os.close(fd)


def describe(error: BaseException) -> str:
    """Class and cause, for the site's log. No path, no value."""
    if isinstance(error, OSError) and error.errno:
        what = error.filename if isinstance(error.filename, str) and "/" not in error.filename else ""
        return f"{type(error).__name__}: {os.strerror(error.errno)} {what}".strip()
    return f"{type(error).__name__}: {error}"[:_MAX_DESCRIPTION]
