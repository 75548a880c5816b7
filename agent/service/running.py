"""Slots: how many jobs may be held at once, which ones are, and the way to kill their workers."""

from collections.abc import Iterator
from contextlib import contextmanager

import anyio


class Running:
    """The jobs that hold a slot. One event loop only."""

    def __init__(self, slots: int) -> None:
        """Args: `slots` at least 1."""
        self.slots = slots
        self.busy = 0
        self.killing = False
        self._jobs: set[str] = set()
        self._scopes: set[anyio.CancelScope] = set()
        self._freed = anyio.Event()

    def free(self, limit: int | None = None) -> int:
        """Slots that are free now, when at most `limit` may be taken."""
        return max(0, min(self.slots, limit or self.slots) - self.busy)

    async def freed(self) -> None:
        """Wait until a slot is given back. Take the free count again after it."""
        await self._freed.wait()

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Give a slot back that `take` took."""
        try:
            yield
        finally:
            self.busy -= 1
            self._freed.set()
            self._freed = anyio.Event()

    def take(self) -> None:
        """Take a slot, for the task that enters `slot`."""
        self.busy += 1

    @contextmanager
    def only(self, job_id: str) -> Iterator[bool]:
        """Whether `job_id` is not held already; when it is not, it is held inside."""
        fresh = job_id not in self._jobs
        self._jobs.add(job_id)
        try:
            yield fresh
        finally:
            if fresh:
                self._jobs.discard(job_id)

    @contextmanager
    def killable(self) -> Iterator[anyio.CancelScope]:
        """A scope around a worker that `kill` cancels, at once when it already did."""
        with anyio.CancelScope() as scope:
            self._scopes.add(scope)
            if self.killing:
                scope.cancel()
            try:
                yield scope
            finally:
                self._scopes.discard(scope)

    def kill(self) -> None:
        """Cancel every worker, and every one that would start from now on."""
        self.killing = True
        for scope in tuple(self._scopes):
            scope.cancel()
