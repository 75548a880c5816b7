"""This kernel -> what the agent needs of it: its age, Landlock, seccomp, namespaces of an account's own, cgroups."""

import ctypes
import os
import platform
import re
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.core.ports import Finding
from agent.sandbox import cgroups, landlock

OLDEST: Final = (5, 13)
_NEW_USER: Final = 0x1000_0000
_FIRST = re.compile(r"(\d+)\.(\d+)")


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found. `namespaces`: why an unprivileged account cannot make its own; empty when it can."""

    release: str
    landlock: int
    seccomp: bool
    namespaces: str
    cgroup: Finding


def facts() -> Facts:
    """Ask the kernel. Forks once."""
    groups, found = cgroups.found()
    del groups
    status = Path("/proc/self/status").read_text("ascii", "replace")
    return Facts(platform.release(), landlock.abi(), "\nSeccomp:" in status, _in_child(_namespace), found)


def looked_at(known: Facts) -> tuple[Finding, ...]:
    """The lines. Landlock and seccomp are needed by every job, namespaces by the sandbox's better tier only."""
    return (_release(known.release), _landlock(known.landlock), _seccomp(known.seccomp), *_rest(known))


def _release(release: str) -> Finding:
    expected = "Linux 5.13 or newer"
    found = _FIRST.match(release)
    if found is None or (int(found[1]), int(found[2])) < OLDEST:
        fix = "upgrade the kernel; in a container, the host's. No job runs without Landlock, which came with 5.13."
        return Finding("kernel", "error", f"Linux {release}", fix, expected)
    return Finding("kernel", "ok", f"Linux {release}", "", expected)


def _landlock(version: int) -> Finding:
    expected = "Landlock, version 1 or newer"
    if version < 1:
        fix = (
            "boot with lsm=landlock,… on the kernel's command line (see /sys/kernel/security/lsm); in a container, "
            "allow the three landlock_ calls in its seccomp profile."
        )
        return Finding("Landlock", "error", "not there: every job fails with worker.isolation", fix, expected)
    return Finding("Landlock", "ok", f"version {version}", "", expected)


def _seccomp(there: bool) -> Finding:  # noqa: FBT001 - the one thing it is about
    if there:
        return Finding("seccomp", "ok", "there", "", "filters of system calls")
    fix = "run a kernel with CONFIG_SECCOMP_FILTER."
    return Finding("seccomp", "error", "the kernel has no filters of system calls", fix, "filters of system calls")


def _rest(known: Facts) -> tuple[Finding, ...]:
    expected = "an unprivileged account may make its own (only for the sandbox's tier `full`)"
    if not known.namespaces:
        return Finding("user namespaces", "ok", "can be made", "", expected), known.cgroup
    fix = "where Python jobs need the tier `full`: docs/operate/doctor.md says how, for each kind of machine."
    found = f"cannot be made ({known.namespaces})"
    return Finding("user namespaces", "warning", found, fix, expected), known.cgroup


def _namespace() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NEW_USER) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _in_child(work: Callable[[], None]) -> str:
    """Why `work` cannot be done, by a child that ends with it; empty when it can."""
    child = os.fork()
    if child == 0:
        code = 255
        try:
            work()
            code = 0
        except OSError as error:
            code = min(error.errno or 254, 254)
        finally:
            os._exit(code)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status < 0:
        return f"killed by {signal.Signals(-status).name}"
    return "" if status == 0 else os.strerror(status)
