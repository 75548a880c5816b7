"""A tier's jail -> findings: a child runs canaries in it, and is watched from outside, before any job runs."""

import json
import os
import select
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from shutil import rmtree
from typing import Final

from agent.core.ports import Finding
from agent.sandbox import process
from agent.sandbox.canaries import BAIT_VARIABLE, Bait, Tier, tried
from agent.sandbox.watch import watched

Launch = Callable[[Callable[[int, int], None], tuple[int, int, int, int]], int]
"""`launch(body, (input, result, stdout, stderr))` -> the pid to kill and to wait for.

Forks a child as for a job, into the same jail, where it calls `body(input, result)` with its own descriptors and exits
with status 0; a jail that cannot be made exits without calling it. The four descriptors stay the caller's.
"""

SECONDS: Final = 5.0
"""How long the canaries may take together; they take some ten milliseconds."""
_END: Final = "end"
_MAX_BYTES: Final = 1 << 16

_FIXES: Final = {
    "child": "Run the agent on Linux 5.13 or newer with Landlock, on x86_64 or aarch64; the other reasons say more.",
    "Landlock": "Boot with landlock in the lsm= list (CONFIG_SECURITY_LANDLOCK). In a container, let the seccomp "
    "profile pass landlock_create_ruleset, landlock_add_rule and landlock_restrict_self.",
    "seccomp": "Use a kernel with CONFIG_SECCOMP_FILTER, and an outer profile that lets seccomp and prctl pass.",
    "namespaces": "Let the agent's account make user namespaces: user.max_user_namespaces above 0, and no AppArmor "
    "rule against it (kernel.apparmor_restrict_unprivileged_userns=0, or a profile with userns). In a container: a "
    "seccomp profile that lets unshare, clone and mount pass.",
}
_OWN_FIX: Final = "Report it with the output of `agent doctor sandbox`: it is a defect of the agent, or of this kernel."


def probe(tier: Tier, launch: Launch) -> tuple[Finding, ...]:
    """What the canaries of a tier found: one finding for each layer. With an `error` among them it must not be used.

    To be called in a process with one thread and without other children. Raises nothing that the jail causes.
    """
    with ExitStack() as open_things:
        bait, traps = _lay_out(open_things)
        lines, seen = _run(tier, bait, launch, open_things)
        caught = [name for name, trap in traps if _caught(trap)]
    findings = [*_of_child(tier, lines), *seen]
    if caught:
        findings.append(_finding(tier, "sockets", [f"a message came through: {', '.join(caught)}"], ""))
    if tier == "container":
        found = "a job can tell whether a path exists, not what it holds"
        findings.append(Finding("container: existence of paths", "note", found, _FIXES["namespaces"]))
    return tuple(findings)


def stands(findings: Sequence[Finding]) -> bool:
    """Whether every layer held, of a tier that was looked at."""
    return bool(findings) and all(finding.level != "error" for finding in findings)


def _lay_out(open_things: ExitStack) -> tuple[Bait, list[tuple[str, socket.socket]]]:
    """The things that a job must not get at; they are gone when `open_things` closes."""
    folder = tempfile.mkdtemp(prefix="agent-canary-")
    tempfile.tempdir = None  # remembered, it would become the place of every job's temporary files
    open_things.callback(rmtree, folder, ignore_errors=True)
    secret = Path(folder, "secret")
    secret.write_bytes(b"canary")
    secret.chmod(0o666)
    Path(folder).chmod(0o777)
    abstract = f"\0agent-canary-{os.getpid()}-{time.monotonic_ns()}"
    traps = []
    for name, address in (("a socket file", f"{folder}/socket"), ("an abstract socket", abstract)):
        trap = open_things.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        trap.bind(address)
        traps.append((name, trap))
    # The child must close this one: it opens the secret.
    open_things.callback(os.close, os.open(secret, os.O_RDWR | os.O_CLOEXEC))
    os.putenv(BAIT_VARIABLE, "canary")
    open_things.callback(os.unsetenv, BAIT_VARIABLE)
    root = Path("/").stat()
    here = (os.getpid(), (root.st_dev, root.st_ino), os.uname().nodename)
    return Bait(folder, str(secret), f"{folder}/socket", abstract, *here), traps


def _caught(trap: socket.socket) -> bool:
    trap.setblocking(False)
    with suppress(OSError):
        return bool(trap.recv(16))
    return False


def _run(tier: Tier, bait: Bait, launch: Launch, open_things: ExitStack) -> tuple[list[str], list[Finding]]:
    """What the child said, and what was seen of it from outside while it waited."""
    held, hold = os.pipe()
    said, saying = os.pipe()
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for fd in (held, said, null):
        open_things.callback(os.close, fd)

    def body(input_: int, result: int) -> None:
        for attempt in tried(tier, bait):
            os.write(result, json.dumps(attempt).encode() + b"\n")
        os.write(result, json.dumps([_END, "", True, ""]).encode() + b"\n")
        os.read(input_, 1)

    try:
        pid = launch(body, (held, saying, null, null))
    except OSError as error:
        os.close(hold)
        os.close(saying)
        return [], [_finding(tier, "child", [f"no process could be made (error {error.errno})"], "")]
    os.close(saying)
    try:
        lines = list(_lines(said, time.monotonic() + SECONDS))
        seen = [_finding(tier, *look) for look in watched(tier, pid)] if _ended(lines) else []
    finally:
        os.close(hold)
        _bury(pid)
    return lines, seen


def _lines(said: int, deadline: float) -> Iterator[str]:
    """Whole lines, up to the last one or as far as they came."""
    data = b""
    while len(data) < _MAX_BYTES and not _ended(lines := data.decode("ascii", "replace").split("\n")[:-1]):
        ready, _, _ = select.select([said], [], [], max(0.0, deadline - time.monotonic()))
        piece = os.read(said, 4096) if ready else b""
        if not piece:
            break
        data += piece
    yield from lines


def _ended(lines: Sequence[str]) -> bool:
    return bool(lines) and json.loads(lines[-1])[0] == _END


def _bury(pid: int) -> None:
    """No process of the probe is left."""
    give_up = time.monotonic() + SECONDS
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    while time.monotonic() < give_up:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return
        for stray in process.children():
            with suppress(ProcessLookupError):
                os.kill(stray, signal.SIGKILL)


def _of_child(tier: Tier, lines: Sequence[str]) -> Iterator[Finding]:
    attempts = [json.loads(line) for line in lines]
    if not _ended(lines):
        last = attempts[-1][1] if attempts else ""
        found = f"the child ended or hung after `{last}`" if last else "the jail could not be made; no canary ran"
        yield _finding(tier, "child", [found], "")
    said = [attempt for attempt in attempts if attempt[0] != _END]
    for layer in dict.fromkeys(attempt[0] for attempt in said):
        mine = [(name, held, how) for at, name, held, how in said if at == layer]
        breaches = [f"{name}: {how}" for name, held, how in mine if not held]
        yield _finding(tier, layer, breaches, ", ".join(dict.fromkeys(how for _, _, how in mine)))


def _finding(tier: Tier, layer: str, breaches: Sequence[str], sound: str) -> Finding:
    check = f"{tier}: {layer}"
    if not breaches:
        return Finding(check, "ok", f"held ({sound})")
    known = "namespaces" if layer in {"own root", "namespaces"} else layer
    return Finding(check, "error", "; ".join(breaches), _FIXES.get(known, _OWN_FIX))
