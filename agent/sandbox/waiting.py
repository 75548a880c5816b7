"""Who is next: jobs wait in the order of their coming, for a free place and for their share of the memory."""

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

Job = TypeVar("Job")


class Waiting(Generic[Job]):
    """At most `at_once` jobs run, and what they may use together stays within `budget`.

    First come, first served: a large job is not overtaken by smaller ones for ever.
    """

    def __init__(self, at_once: int, budget: float, cost: Callable[[Job], float]) -> None:
        self._at_once = at_once
        self._budget = budget
        self._cost = cost
        self._queue: deque[Job] = deque()
        self._running: list[Job] = []

    @property
    def running(self) -> int:
        """How many run."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._queue)

    @property
    def used(self) -> float:
        """What those that run may use together."""
        return sum(map(self._cost, self._running))

    def fits(self, job: Job) -> bool:
        """Whether a job can ever run here."""
        return self._cost(job) <= self._budget

    def add(self, job: Job) -> None:
        """At the end of the queue."""
        self._queue.append(job)

    def start(self) -> Job | None:
        """The next job, which runs from now on; None when there is none, or no room."""
        if not self._queue or len(self._running) >= self._at_once:
            return None
        if self.used + self._cost(self._queue[0]) > self._budget:
            return None
        job = self._queue.popleft()
        self._running.append(job)
        return job

    def withdraw(self, job: Job) -> bool:
        """Whether the job was still waiting; it is gone then."""
        try:
            self._queue.remove(job)
        except ValueError:
            return False
        return True

    def end(self, job: Job) -> None:
        """The job does not run any more."""
        self._running.remove(job)

    def drain(self) -> list[Job]:
        """All that wait, for good."""
        jobs = list(self._queue)
        self._queue.clear()
        return jobs
