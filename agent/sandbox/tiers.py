"""Which jail holds on this machine: the best one whose live canaries are all held, or none."""

import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, NoReturn

from agent.core.ports import Finding
from agent.sandbox import jail, landlock, namespaces, places, probe, process
from agent.sandbox.jail import Cell, Limits, Tier
from agent.sandbox.procfs import Procfs
from agent.sandbox.scratch import Folders, parent

Wanted = Literal["auto", "full", "container"]
Body = Callable[[int, int], None]

_MIB = 1 << 20
_PROBE_LIMITS = Limits(cpu_seconds=10, memory_bytes=512 * _MIB)
_PROBE_SCRATCH = 16 * _MIB
_CRASHED = 70
_MAX_REASON = 300


@dataclass(frozen=True, slots=True)
class Verdict:
    """`tier` is None when no jail holds. `findings` are those of every tier that was tried, the best first."""

    tier: Tier | None
    findings: tuple[Finding, ...]


def choose(wanted: Wanted) -> Verdict:
    """Try the tiers, the best first. To be called in a process with one thread and without children."""
    tiers: tuple[Tier, ...] = ("full", "container") if wanted == "auto" else (wanted,)
    findings: tuple[Finding, ...] = ()
    for tier in tiers:
        found = _tried(tier)
        findings += found
        if probe.stands(found):
            return Verdict(tier, findings)
    return Verdict(None, findings)


def _tried(tier: Tier) -> tuple[Finding, ...]:
    """The canaries' findings, with the reason of a jail that could not be made before them."""
    reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        launch = _full if tier == "full" else _container
        with _Scratch(tier) as scratch:
            found = probe.probe(tier, lambda body, fds: launch(_Trial(scratch, body, fds, writing)))
        try:
            reason = os.read(reading, _MAX_REASON).decode(errors="replace")
        except BlockingIOError:
            reason = ""
    except OSError as error:
        found, reason = (), process.describe(error)
    finally:
        os.close(reading)
        os.close(writing)
    return (*((Finding(f"{tier}: jail", "error", reason),) if reason else ()), *found)


@dataclass(frozen=True, slots=True)
class _Trial:
    """The canaries: their scratch folder, themselves, their descriptors, and where a jail that fails is told."""

    scratch: str
    body: Body
    fds: tuple[int, int, int, int]
    say: int


class _Scratch:
    """The folder that the container tier's canaries write to; the full tier makes its own."""

    def __init__(self, tier: Tier) -> None:
        self._folders = Folders(parent()) if tier == "container" else None

    def __enter__(self) -> str:
        return namespaces.SCRATCH if self._folders is None else self._folders.make()

    def __exit__(self, *_: object) -> None:
        if self._folders is not None:
            self._folders.close()


def _container(trial: _Trial) -> int:
    server, proc = os.pidfd_open(os.getpid()), Procfs()
    try:
        pid = os.fork()
        if pid == 0:
            _run(_cell("container", server, proc, trial), trial)
        return pid
    finally:
        os.close(server)
        proc.close()


def _full(trial: _Trial) -> int:
    """The pid of an outer process: it leaves the host's namespaces, and ends with the one inside."""
    server, proc, root = os.pidfd_open(os.getpid()), Procfs(), namespaces.Root.plan(places.code())
    try:
        pid = os.fork()
        if pid == 0:
            try:
                process.die_with(server)
                world(root, lambda own: _inside(own, proc, trial))
            except BaseException as error:  # noqa: BLE001 - the child must not go on as a second server
                _say(trial.say, error)
            finally:
                os._exit(_CRASHED)
        return pid
    finally:
        os.close(server)
        proc.close()


def world(root: namespaces.Root, first: Callable[[int], None], leave_to_it: Sequence[int] = ()) -> int:
    """Leave all namespaces and have `first` run as the new ones' first process. Returns its exit status when it ended.

    `first` gets its own pid namespace as an open file, for `namespaces.fork_inside`, and the descriptors
    `leave_to_it` for itself. It dies with this process. Raises OSError when this process could not leave; a first
    process that could not settle says so on stderr.
    """
    namespaces.leave()
    outer = os.pidfd_open(os.getpid())
    pid = os.fork()
    if pid == 0:
        status = _CRASHED
        try:
            process.die_with(outer)
            os.close(outer)
            own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
            namespaces.settle(root)
            first(own)
            status = 0
        except BaseException as error:  # noqa: BLE001 - it must not go on as a second server
            os.write(2, f"agent sandbox: {process.describe(error)}\n".encode())
        finally:
            os._exit(status)
    for fd in (outer, *leave_to_it):
        os.close(fd)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def _inside(own: int, proc: Procfs, trial: _Trial) -> None:
    server = os.pidfd_open(os.getpid())
    pid = namespaces.fork_inside(own)
    if pid == 0:
        _run(_cell("full", server, proc, trial), trial)
    os.waitpid(pid, 0)


def _cell(tier: Tier, server: int, proc: Procfs, trial: _Trial) -> Cell:
    version = landlock.abi()
    return Cell(
        tier=tier, version=version, server=server, proc=proc, scratch=trial.scratch, scratch_bytes=_PROBE_SCRATCH
    )


def _run(cell: Cell, trial: _Trial) -> NoReturn:
    """The canaries' process, jailed as a job's is."""
    status = _CRASHED
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        input_, result, stdout, stderr = trial.fds
        try:
            mapped = jail.shut(cell, {*trial.fds, trial.say})
            jail.lock(cell, (input_, stdout, stderr, result), _PROBE_LIMITS, mapped, trial.say)
        except Exception as error:  # noqa: BLE001 - whatever it was, nothing runs
            _say(trial.say, error)
            os._exit(_CRASHED)
        os.close(trial.say)
        trial.body(0, 3)
        status = 0
    finally:
        os._exit(status)


def _say(say: int, error: BaseException) -> None:
    with suppress(OSError):
        os.write(say, process.describe(error).encode()[:_MAX_REASON])
