"""Slots: how many jobs of each lane may be held at once, which ones are, and the way to kill their workers."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import anyio

from agent.core.lane import LANES, Lane


class Running:
    """The jobs that hold a slot. One event loop only."""

    def __init__(self, slots: Mapping[Lane, int]) -> None:
        """Args: `slots` of each lane, at least 1."""
        self.slots = {lane: slots[lane] for lane in LANES}
        self.busy: dict[Lane, int] = dict.fromkeys(LANES, 0)
        self.killing = False
        self._jobs: dict[str, str] = {}
        self._scopes: dict[anyio.CancelScope, str] = {}
        self._why: dict[str, str] = {}
        self._freed = anyio.Event()
        self._asked = anyio.Event()

    @property
    def total(self) -> int:
        """Jobs of all lanes that hold a slot."""
        return sum(self.busy.values())

    def free(self, lane: Lane, limit: int | None = None) -> int:
        """Slots of a lane that are free now, when at most `limit` may be taken in all lanes together."""
        own = self.slots[lane] - self.busy[lane]
        return max(0, own if limit is None else min(own, limit - self.total))

    async def freed(self) -> None:
        """Wait until a slot is given back. Take the free count again after it."""
        await self._freed.wait()

    async def asked(self) -> None:
        """Wait for `look_again`."""
        await self._asked.wait()

    def look_again(self) -> None:
        """Have whoever waits for jobs judge anew whether to take any."""
        self._asked.set()
        self._asked = anyio.Event()

    @contextmanager
    def slot(self, lane: Lane) -> Iterator[None]:
        """Give a slot back that `take` took."""
        try:
            yield
        finally:
            self.busy[lane] -= 1
            self._freed.set()
            self._freed = anyio.Event()

    def take(self, lane: Lane) -> None:
        """Take a slot, for the task that enters `slot`."""
        self.busy[lane] += 1

    @contextmanager
    def only(self, job_id: str, ref: str = "") -> Iterator[bool]:
        """Whether `job_id` is not held already; when it is not, it is held inside, as what the carrier calls `ref`."""
        fresh = job_id not in self._jobs
        self._jobs.setdefault(job_id, ref)
        try:
            yield fresh
        finally:
            if fresh:
                del self._jobs[job_id]
                self._why.pop(job_id, None)

    @contextmanager
    def killable(self, job_id: str = "") -> Iterator[anyio.CancelScope]:
        """A scope around a job's worker that `kill` and `end` cancel, at once when they already did."""
        with anyio.CancelScope() as scope:
            self._scopes[scope] = job_id
            if self.killing or job_id in self._why:
                scope.cancel()
            try:
                yield scope
            finally:
                del self._scopes[scope]

    def known_as(self, job_id: str) -> str | None:
        """What the carrier calls a job that is held; None of one that is not."""
        return self._jobs.get(job_id)

    def under_way(self, job_id: str) -> bool:
        """Whether the job is held."""
        return job_id in self._jobs

    def end(self, job_id: str, code: str) -> None:
        """Kill one job's worker; `why` then says `code`. Of a job that is not held nothing happens."""
        if job_id not in self._jobs:
            return
        self._why.setdefault(job_id, code)
        for scope, job in tuple(self._scopes.items()):
            if job == job_id:
                scope.cancel()

    def ended(self, job_id: str) -> bool:
        """Whether `end` was called for it since it is held."""
        return job_id in self._why

    def revive(self, job_id: str) -> None:
        """It is this agent's after all: what was said of its end before counts no more."""
        self._why.pop(job_id, None)

    def why(self, job_id: str) -> str:
        """The code that a killed job ends with."""
        return self._why.get(job_id, "job.interrupted")

    def kill(self) -> None:
        """Cancel every worker, and every one that would start from now on."""
        self.killing = True
        for scope in tuple(self._scopes):
            scope.cancel()
