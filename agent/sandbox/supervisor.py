"""Forks a process for each job, watches its limits, and ends everything that it leaves behind."""

import os
import select
import selectors
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Literal, NoReturn

from agent.sandbox import process
from agent.sandbox.procfs import Procfs, Usage

LOOK_SECONDS = 0.02
"""How often memory and deadlines are looked at while a job runs."""
_DEATH_SECONDS = 2.0
_CRASHED = 70

Cause = Literal[
    "exit",
    "signal",
    "limit.wall",
    "limit.cpu",
    "limit.memory",
    "limit.threads",
    "limit.scratch",
    "cancelled",
    "unseen",
    "fork",
    "isolation",
]
"""`unseen`: the job was killed because its memory could not be read. `fork`: no process could be made.

`isolation`: the jail could not be made, and no code ran; only the sandbox's server says so.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What one child may use. `memory_bytes` is the growth over the server's own figure at the fork.

    `threads` is None for no bound. `beyond` tells of a limit that only its owner can watch, at every look.
    """

    wall_seconds: float
    cpu_seconds: float
    memory_bytes: int
    threads: int | None = None
    beyond: Callable[[], Cause | None] | None = None


@dataclass(frozen=True, slots=True)
class End:
    """How a child ended. `status` is its exit status, the signal's number, or an errno after `fork`."""

    cause: Cause
    status: int = 0


@dataclass(slots=True, eq=False)
class Child:
    """One running child. `killed` says why it was killed, None while it may run."""

    process: "Reserve"
    deadline: float
    bounds: Bounds
    on_end: Callable[[End], None]
    killed: Cause | None = field(default=None)

    @property
    def pid(self) -> int:
        """Its number, as the server sees it."""
        return self.process.pid


@dataclass(frozen=True, slots=True)
class Reserve:
    """A forked process that no job has yet. `baseline`: the server's own memory at the fork, in bytes.

    `shown` is its number in the server's /proc. `held` keeps files of its own there known to the kernel: a rule of
    Landlock is tied to an inode that /proc may otherwise forget and make anew.
    """

    pid: int
    pidfd: int
    baseline: int
    shown: int
    held: tuple[int, ...]

    def close(self) -> None:
        """Let go of it."""
        os.close(self.pidfd)
        for fd in self.held:
            os.close(fd)


class Supervisor:
    """Runs in a single-threaded server that is subreaper of all its descendants and has no other children.

    Readable events are dispatched by the owner of `selector`: each key's data is a function without arguments.
    """

    def __init__(
        self, selector: selectors.BaseSelector, proc: Procfs | None = None, fork: Callable[[], int] | None = None
    ) -> None:
        """Args: `proc` is read instead of /proc; `fork` is called instead of `os.fork`.

        With a `fork` that gives each child a pid namespace of its own, the kernel ends what a child leaves behind.
        """
        self._proc = proc or Procfs()
        self._fork = fork
        self._selector = selector
        self._children: dict[int, Child] = {}
        self._reserve: Reserve | None = None

    @property
    def busy(self) -> int:
        """Children that run a job."""
        return len(self._children)

    def reserve(self, body: Callable[[], None]) -> bool:
        """Fork a process ahead of its job: `body` waits for one, and must hold nothing of any. False: none was made."""
        self.drop_reserve()
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
            _discard(reserve)
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
        if len(names := self._proc.threads()) != 1:
            raise RuntimeError(f"the server has threads: {', '.join(names)}")
        baseline = Usage.of(self._proc.read("self/status")).memory_bytes
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            pid = (self._fork or os.fork)()
            if pid == 0:
                _run(body)
            return self._met(pid, baseline)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _met(self, pid: int, baseline: int) -> "Reserve":
        with ExitStack() as on_failure:
            on_failure.callback(os.waitpid, pid, 0)
            on_failure.callback(os.kill, pid, signal.SIGKILL)
            pidfd = os.pidfd_open(pid)
            on_failure.callback(os.close, pidfd)
            shown = self._proc.number(pidfd)
            held = []
            for name in ("cgroup", "maps"):
                held.append(self._proc.hold(f"{shown}/{name}"))
                on_failure.callback(os.close, held[-1])
            on_failure.pop_all()
        return Reserve(pid, pidfd, baseline, shown, tuple(held))

    def _adopt(self, spawned: "Reserve", bounds: Bounds, on_end: Callable[[End], None]) -> Child:
        deadline = time.monotonic() + bounds.wall_seconds
        child = Child(spawned, deadline, bounds, on_end)
        self._children[child.pid] = child
        self._selector.register(spawned.pidfd, selectors.EVENT_READ, lambda: self._reap(child))
        return child

    def drop_reserve(self) -> None:
        """End the reserved process, if there is one."""
        reserve, self._reserve = self._reserve, None
        if reserve is not None:
            _discard(reserve)

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
        self.drop_reserve()
        for child in self._children.values():
            child.on_end = _ignore
            self._kill(child, "cancelled")
        for child in tuple(self._children.values()):
            _await_death(child.process.pidfd, give_up)
            self._reap(child)
        self._sweep()

    def _check(self, child: Child, now: float) -> None:
        if now >= child.deadline:
            self._kill(child, "limit.wall")
            return
        try:
            usage = self._proc.usage(child.process.shown)
        except OSError:
            self._kill(child, "unseen")
            return
        bounds = child.bounds
        if usage.memory_bytes - child.process.baseline > bounds.memory_bytes:
            self._kill(child, "limit.memory")
        elif bounds.threads is not None and usage.threads > bounds.threads:
            self._kill(child, "limit.threads")
        elif bounds.beyond is not None and (cause := bounds.beyond()) is not None:
            self._kill(child, cause)

    def _kill(self, child: Child, cause: Cause) -> None:
        if child.killed is None and child.pid in self._children:
            child.killed = cause
            _kill_group(child.pid)
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(child.process.pidfd, signal.SIGKILL)

    def _reap(self, child: Child) -> None:
        # Until it is waited for, the dead leader keeps its number, so the group is still its own.
        _kill_group(child.pid)
        pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        if pid == 0:
            return
        self._selector.unregister(child.process.pidfd)
        child.process.close()
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
        if self._fork is not None:
            return []
        if not self._children and self._reserve is None:
            try:
                os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return []
        reserved = None if self._reserve is None else self._reserve.pid
        return [pid for pid in process.children() if pid not in self._children and pid != reserved]


def _discard(reserve: Reserve) -> None:
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(reserve.pidfd, signal.SIGKILL)
    reserve.close()
    _wait(reserve.pid, time.monotonic() + _DEATH_SECONDS)


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
