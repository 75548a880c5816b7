"""Forks a process for each job, watches its limits, and ends everything that it leaves behind."""

import os
import select
import selectors
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal, NoReturn

from agent.sandbox import process

LOOK_SECONDS = 0.02
"""How often memory and deadlines are looked at while a job runs."""
_DEATH_SECONDS = 2.0
_CRASHED = 70

Cause = Literal["exit", "signal", "limit.wall", "limit.cpu", "limit.memory", "cancelled", "unseen", "fork"]
"""`unseen`: the job was killed because its memory could not be read. `fork`: no process could be made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What one child may use. `memory_bytes` is the growth over the server's own figure at the fork."""

    wall_seconds: float
    cpu_seconds: float
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class End:
    """How a child ended. `status` is its exit status, the signal's number, or an errno after `fork`."""

    cause: Cause
    status: int = 0


@dataclass(slots=True, eq=False)
class Child:
    """One running child. `killed` says why it was killed, None while it may run."""

    pid: int
    pidfd: int
    deadline: float
    bounds: Bounds
    baseline: int
    on_end: Callable[[End], None]
    killed: Cause | None = field(default=None)


@dataclass(frozen=True, slots=True)
class Reserve:
    """A forked process that no job has yet. `baseline`: the server's own memory at the fork, in bytes."""

    pid: int
    pidfd: int
    baseline: int


class Supervisor:
    """Runs in a single-threaded server that is subreaper of all its descendants and has no other children.

    Readable events are dispatched by the owner of `selector`: each key's data is a function without arguments.
    """

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._selector = selector
        self._children: dict[int, Child] = {}
        self._reserve: Reserve | None = None

    @property
    def busy(self) -> int:
        """Children that run a job."""
        return len(self._children)

    def reserve(self, body: Callable[[], None]) -> bool:
        """Fork a process ahead of its job: `body` waits for one, and must hold nothing of any. False: none was made."""
        self._drop_reserve()
        try:
            self._reserve = self._spawn(body)
        except OSError:
            return False
        return True

    def assign(self, bounds: Bounds, on_end: Callable[[End], None]) -> Child | None:
        """The reserved process becomes a job's child, as after `fork`. None when there is none, or it has ended."""
        reserve, self._reserve = self._reserve, None
        if reserve is None:
            return None
        if _has_ended(reserve.pidfd):
            self._discard(reserve)
            return None
        return self._adopt(reserve, bounds, on_end)

    def fork(self, body: Callable[[], None], bounds: Bounds, on_end: Callable[[End], None]) -> Child | None:
        """Run `body` in a new process. `on_end` is called once, when the process and all its descendants are gone.

        None, after `on_end`, when no process could be made. `body` gets the default signal handlers; its return is exit
        status 0, an exception 70. Raises RuntimeError when this process has more than one thread: a fork would copy
        locks that nobody can release.
        """
        try:
            spawned = self._spawn(body)
        except OSError as error:
            on_end(End("fork", error.errno or 0))
            self._sweep()
            return None
        return self._adopt(spawned, bounds, on_end)

    def _spawn(self, body: Callable[[], None]) -> "Reserve":
        if len(names := process.threads()) != 1:
            raise RuntimeError(f"the server has threads: {', '.join(names)}")
        baseline = process.own_memory(os.getpid())
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            pid = os.fork()
            if pid == 0:
                _run(body)
            return Reserve(pid, os.pidfd_open(pid), baseline)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _adopt(self, spawned: "Reserve", bounds: Bounds, on_end: Callable[[End], None]) -> Child:
        deadline = time.monotonic() + bounds.wall_seconds
        child = Child(spawned.pid, spawned.pidfd, deadline, bounds, spawned.baseline, on_end)
        self._children[child.pid] = child
        self._selector.register(child.pidfd, selectors.EVENT_READ, lambda: self._reap(child))
        return child

    def _drop_reserve(self) -> None:
        reserve, self._reserve = self._reserve, None
        if reserve is not None:
            self._discard(reserve)

    def _discard(self, reserve: "Reserve") -> None:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(reserve.pidfd, signal.SIGKILL)
        os.close(reserve.pidfd)
        _wait(reserve.pid, time.monotonic() + _DEATH_SECONDS)

    def cancel(self, child: Child) -> None:
        """Kill a child; its `on_end` follows. Nothing happens when it has ended."""
        self._kill(child, "cancelled")

    def look(self) -> float | None:
        """Kill the children that are over a limit. Returns after how many seconds to look again, None: no need."""
        now = time.monotonic()
        for child in self._children.values():
            if child.killed is None:
                self._check(child, now)
        return LOOK_SECONDS if self._children else None

    def close(self) -> None:
        """Kill and reap all children and their descendants, without calling any `on_end`."""
        give_up = time.monotonic() + _DEATH_SECONDS
        self._drop_reserve()
        for child in self._children.values():
            child.on_end = _ignore
            self._kill(child, "cancelled")
        for child in tuple(self._children.values()):
            _await_death(child.pidfd, give_up)
            self._reap(child)
        self._sweep()

    def _check(self, child: Child, now: float) -> None:
        if now >= child.deadline:
            self._kill(child, "limit.wall")
            return
        try:
            used = process.own_memory(child.pid) - child.baseline
        except OSError:
            self._kill(child, "unseen")
            return
        if used > child.bounds.memory_bytes:
            self._kill(child, "limit.memory")

    def _kill(self, child: Child, cause: Cause) -> None:
        if child.killed is None and child.pid in self._children:
            child.killed = cause
            _kill_group(child.pid)
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(child.pidfd, signal.SIGKILL)

    def _reap(self, child: Child) -> None:
        # Until it is waited for, the dead leader keeps its number, so the group is still its own.
        _kill_group(child.pid)
        pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        if pid == 0:
            return
        self._selector.unregister(child.pidfd)
        os.close(child.pidfd)
        del self._children[child.pid]
        self._sweep()
        child.on_end(_end(child, status, usage.ru_utime + usage.ru_stime))

    def _sweep(self) -> None:
        """Kill and reap every child that is no job: orphans of jobs, wherever they put their session or group."""
        give_up = time.monotonic() + _DEATH_SECONDS
        # Twice: the kernel's list may skip a process while its neighbour ends.
        while time.monotonic() < give_up and (strays := self._strays() or self._strays()):
            for pid in strays:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            for pid in strays:
                _wait(pid, give_up)

    def _strays(self) -> list[int]:
        if not self._children and self._reserve is None:
            try:
                os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return []
        reserved = None if self._reserve is None else self._reserve.pid
        return [pid for pid in process.children() if pid not in self._children and pid != reserved]


def _run(body: Callable[[], None]) -> NoReturn:
    """The child's whole life. Leaves without the server's own exit handlers and `finally` blocks."""
    status = _CRASHED
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        body()
        status = 0
    finally:
        os._exit(status)


def _kill_group(leader: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        if os.getpgid(leader) == leader:  # else it has not made its own session yet: the group is the server's
            os.killpg(leader, signal.SIGKILL)


def _ignore(_: End) -> None:
    """The end of a child that nobody waits for."""


def _has_ended(pidfd: int) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))


def _await_death(pidfd: int, give_up: float) -> None:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    poll.poll(max(0.0, give_up - time.monotonic()) * 1000)


def _wait(pid: int, give_up: float) -> None:
    with suppress(ChildProcessError, ProcessLookupError):
        pidfd = os.pidfd_open(pid)
        try:
            _await_death(pidfd, give_up)
        finally:
            os.close(pidfd)
        os.waitpid(pid, os.WNOHANG)


def _end(child: Child, status: int, cpu_seconds: float) -> End:
    if child.killed is not None:
        return End(child.killed)
    if os.WIFEXITED(status):
        return End("exit", os.WEXITSTATUS(status))
    number = os.WTERMSIG(status)
    # A job that ignores SIGXCPU gets SIGKILL from the kernel a second later.
    if number == signal.SIGXCPU or (number == signal.SIGKILL and cpu_seconds >= child.bounds.cpu_seconds):
        return End("limit.cpu")
    return End("signal", number)
