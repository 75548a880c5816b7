"""What the service does on a clock. One table, one scheduler; a duty that fails is a finding, never the end."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from apscheduler.job import Job
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from agent.service import health
from agent.service.board import Board

# It tells of every run at INFO and of every late one at WARNING; what an operator needs is in the findings.
logging.getLogger("apscheduler").setLevel(logging.ERROR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """`run` is called at the start and then every `every_seconds`, never twice at once."""

    name: str
    every_seconds: float
    run: Callable[[], Awaitable[None]]


class Duties:
    """Runs duties inside the current event loop."""

    def __init__(self, duties: Sequence[Duty], board: Board) -> None:
        """Args: all duties of this service, and where their failures show."""
        self._board = board
        self._running = False
        # UTC: a broken /etc/localtime must not keep the service from starting.
        self._scheduler = AsyncIOScheduler(
            timezone=UTC, job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        )
        for duty in duties:
            trigger = IntervalTrigger(seconds=duty.every_seconds, timezone=UTC)
            self._scheduler.add_job(self._guarded(duty), trigger, id=duty.name, next_run_time=datetime.now(UTC))

    def start(self) -> None:
        """Begin; the first run of every duty is due at once."""
        self._scheduler.start()
        self._running = True
        self._board.say("duties", "waiting for the next duty")

    def realign(self) -> None:
        """Make everything due now: the scheduler reads the wall clock; one set back would let it wait for hours."""
        for job in self._scheduler.get_jobs():
            _due_now(job)

    def stop(self) -> None:
        """Begin nothing new."""
        if self._running:
            self._running = False
            self._scheduler.shutdown(wait=False)
        self._board.say("duties", "stopped")

    def _guarded(self, duty: Duty) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            try:
                await duty.run()
            except Exception as error:  # noqa: BLE001 - one broken duty must not end the others; it is reported
                self._board.find(f"duty.{duty.name}", health.duty_failed(duty.name, _cause(error)))
            else:
                self._board.find(f"duty.{duty.name}", None)

        return run


def _cause(error: Exception) -> str:
    """The operating system's word, or the class: other texts may quote what nobody may read."""
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__


def _due_now(job: Job) -> None:
    job.modify(next_run_time=datetime.now(UTC))
