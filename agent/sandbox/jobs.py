"""The jobs of a sandbox's server: they wait, get a jailed process each, and are told of their end."""

import math
import os
import selectors
import stat
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from agent.sandbox import inmate, process
from agent.sandbox.inmate import Pipes
from agent.sandbox.jail import THREADS, Limits
from agent.sandbox.kennel import Kennel, Place
from agent.sandbox.messages import Done, SandboxLoad, SandboxRequest
from agent.sandbox.supervisor import Bounds, Child, End
from agent.sandbox.waiting import Waiting

MIB = 1 << 20
_MAX_REASON = 300


@dataclass(slots=True, eq=False)
class Job:
    """One request with its pipes. `end` is where its end is told."""

    request: SandboxRequest
    pipes: Pipes
    end: int
    child: Child | None = field(default=None)
    watched: bool = field(default=True)

    @property
    def cost(self) -> float:
        """MiB that it may hold: memory, and the scratch folder that is in memory as well."""
        return self.request.memory_mb + self.request.scratch_mb

    def close_pipes(self) -> None:
        """The child has its own."""
        for fd in self.pipes.all():
            os.close(fd)


def usable(descriptors: Sequence[int]) -> bool:
    """Whether these are the ends of pipes that a job needs: the first to read from, the others to write to.

    Each of a pipe of its own: a child that were given the reader of `end` as its input would outlive its worker unseen.
    """
    modes = (os.O_RDONLY, os.O_WRONLY, os.O_WRONLY, os.O_WRONLY, os.O_WRONLY)
    if len(descriptors) != len(modes) or not all(map(_is_end, descriptors, modes)):
        return False
    return len({os.fstat(fd).st_ino for fd in descriptors}) == len(modes)


def _is_end(fd: int, mode: int) -> bool:
    return stat.S_ISFIFO(os.fstat(fd).st_mode) and process.access_mode(fd) == mode


class Jobs:
    """Starts as many jobs as there is room for. A job whose `end` nobody reads any more is ended."""

    def __init__(
        self,
        selector: selectors.BaseSelector,
        kennel: Kennel | None,
        waiting: Waiting[Job],
        changed: Callable[[SandboxLoad], None],
    ) -> None:
        """Args: without a `kennel` every job ends with `isolation`."""
        self._selector = selector
        self._kennel = kennel
        self._waiting = waiting
        self._changed = changed
        self._said = self.load

    @property
    def load(self) -> SandboxLoad:
        """What there is to do now."""
        now = self._waiting
        return SandboxLoad(running=now.running, waiting=now.waiting, memory_mb=now.used)

    @property
    def waiting(self) -> int:
        """How many jobs wait."""
        return self._waiting.waiting

    def add(self, request: SandboxRequest, descriptors: Sequence[int]) -> None:
        """One more job; its descriptors are this object's from now on."""
        input_, result, stdout, stderr, end = descriptors
        job = Job(request, Pipes(input=input_, stdout=stdout, stderr=stderr, result=result), end)
        os.set_blocking(end, False)
        self._selector.register(end, selectors.EVENT_READ, lambda: self._abandoned(job))
        if self._kennel is None or not self._waiting.fits(job):
            job.close_pipes()
            self._tell(job, End("isolation" if self._kennel is None else "limit.memory"))
            return
        self._waiting.add(job)
        self.go_on()

    def go_on(self) -> None:
        """Start what there is room for."""
        while self._kennel is not None and (job := self._waiting.start()) is not None:
            self._start(self._kennel, job)
        if self.load != self._said:
            self._said = self.load
            self._changed(self._said)

    def close(self) -> None:
        """Forget those that wait. Those that run are the supervisor's to end."""
        for job in self._waiting.drain():
            job.close_pipes()
            self._tell(job, End("cancelled"))

    def _start(self, kennel: Kennel, job: Job) -> None:
        request = job.request
        limits = Limits(cpu_seconds=math.ceil(request.cpu_seconds), memory_bytes=int(request.memory_mb * MIB))
        scratch_bytes = int(request.scratch_mb * MIB)
        try:
            place = kennel.place(scratch_bytes)
        except OSError as error:
            job.close_pipes()
            self._end(job, None, End("isolation", error.errno or 0))
            return
        bounds = Bounds(
            wall_seconds=request.wall_seconds,
            cpu_seconds=limits.cpu_seconds,
            memory_bytes=limits.memory_bytes,
            threads=THREADS,
            beyond=place.beyond(),
        )
        try:
            job.child = kennel.start(place, job.pipes, limits, bounds, lambda end: self._end(job, place, end))
        finally:
            job.close_pipes()

    def _end(self, job: Job, place: Place | None, end: End) -> None:
        if place is not None:
            end = _really(end, place.said())
            place.close()
        self._waiting.end(job)
        self._tell(job, end)
        self.go_on()

    def _tell(self, job: Job, end: End) -> None:
        if job.watched:
            self._selector.unregister(job.end)
        with suppress(OSError):  # nobody reads any more
            os.write(job.end, Done(cause=end.cause, status=end.status).model_dump_json().encode() + b"\n")
        os.close(job.end)

    def _abandoned(self, job: Job) -> None:
        """Its `end` has no reader: the worker has left."""
        self._selector.unregister(job.end)
        job.watched = False
        if self._waiting.withdraw(job):
            job.close_pipes()
            self._tell(job, End("cancelled"))
            self.go_on()
        elif job.child is not None and self._kennel is not None:
            self._kennel.cancel(job.child)


def _really(end: End, said: bytes) -> End:
    """A child that ended by itself before it was in its jail has run no code."""
    if said == inmate.JAILED or end.cause not in {"exit", "signal"}:
        return end
    if said:
        sys.stderr.write(f"agent sandbox: the jail could not be made: {said.decode(errors='replace')}\n")
        sys.stderr.flush()
    return End("isolation", end.status)
