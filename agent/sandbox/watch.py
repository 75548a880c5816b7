"""A jailed process as the kernel describes it to others: what its own filter would hide from it."""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from agent.sandbox.canaries import Tier

_ZERO = {"0000000000000000"}
_SESSION = 3
"""Of the fields of /proc/PID/stat behind the name in brackets: state, parent, group, session."""

Look = tuple[str, Sequence[str], str]
"""Layer, what is missing, and what it was held by."""


def watched(tier: Tier, outer: int) -> Iterator[Look]:
    """What is seen of the process that runs the canaries: `outer`, or the only descendant it has."""
    pid = innermost(outer)
    try:
        status = dict(line.split(":\t", 1) for line in _text(pid, "status").splitlines() if ":\t" in line)
        yield "privileges", [*_privileges(tier, status)], "no capabilities, no new privileges, a filter"
        yield "processes", [*_processes(tier, pid, status)], "a session of its own"
        if tier == "full":
            yield "namespaces", [*_namespaces(pid)], "user, pid, net, mount, ipc, uts"
    except (OSError, KeyError, ValueError, IndexError):
        yield "child", ["the child ended, or /proc does not show it"], ""


def innermost(pid: int) -> int:
    """The last of a line of only children: a process namespace may need a parent outside of it."""
    while True:
        try:
            below = [int(word) for task in Path(f"/proc/{pid}/task").iterdir() for word in _children(task)]
        except OSError:
            return pid
        if len(below) != 1:
            return pid
        pid = below[0]


def _children(task: Path) -> list[str]:
    return (task / "children").read_text().split()


def _text(pid: int, name: str) -> str:
    return Path(f"/proc/{pid}/{name}").read_text()


def _privileges(tier: Tier, status: dict[str, str]) -> Iterator[str]:
    names = ["CapInh", "CapPrm", "CapEff", "CapAmb"]
    # Who has no capability cannot empty its bounding set; without new privileges it gives nothing.
    if tier == "full" or int(_own_status()["CapEff"], 16) & (1 << 8):
        names.append("CapBnd")
    for name in names:
        if status[name] not in _ZERO:
            yield f"{name} is {status[name]}"
    if status["NoNewPrivs"] != "1":
        yield "it may gain privileges"
    if status["Seccomp"] != "2":
        yield "it has no filter of system calls"


def _own_status() -> dict[str, str]:
    lines = Path("/proc/self/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def _processes(tier: Tier, pid: int, status: dict[str, str]) -> Iterator[str]:
    session = _text(pid, "stat").rpartition(")")[2].split()[_SESSION]
    if int(session) == os.getsid(0):
        yield "it is in the server's session"
    if tier == "full" and len(status["NSpid"].split()) <= len(_own_status()["NSpid"].split()):
        yield "it is in the server's process namespace"
    if status["Threads"] != "1":
        yield "it was started with threads"


def _namespaces(pid: int) -> Iterator[str]:
    if _text(pid, "uid_map").split() == Path("/proc/self/uid_map").read_text().split():
        yield "user"
    interfaces = {line.partition(":")[0].strip() for line in _text(pid, "net/dev").splitlines()[2:]}
    if interfaces - {"lo"} or "127.0.0.1" in _text(pid, "net/fib_trie"):
        yield "net: it has an interface that is up"
    for name in ("user", "pid", "net", "mnt", "ipc", "uts"):
        with suppress(OSError):  # shown only to a server with privileges; the other canaries need none
            if Path(f"/proc/{pid}/ns/{name}").readlink() == Path(f"/proc/self/ns/{name}").readlink():
                yield name
