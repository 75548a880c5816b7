"""The end, in order: take nothing more, let jobs finish, kill the rest, deliver, and only then let go."""

import logging
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass

import anyio
from anyio.abc import TaskStatus

from agent.service.board import Board, State
from agent.service.deliver import Deliver
from agent.service.intake import Intake
from agent.service.patience import Patience
from agent.service.running import Running

KILL_SECONDS = 5.0
"""How long killed jobs have for stating their failure."""

DELIVER_SECONDS = 10.0
"""How long delivery has at the end; what it leaves is in the spool for the next start."""

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """Ends intake, jobs and delivery. Takes at most `seconds` + KILL_SECONDS + DELIVER_SECONDS."""

    intake: Intake
    running: Running
    patience: Patience
    deliver: Deliver
    board: Board
    seconds: float

    async def run(self) -> None:
        """Returns when nothing is under way any more, or its time is over."""
        self.board.state = State.DRAINING
        self.intake.stop()
        self.board.say("drain", f"{self.running.total} jobs may finish within {self.seconds:.0f} s")
        with anyio.move_on_after(self.seconds):
            await self.intake.finished.wait()
        if not self.intake.finished.is_set():
            await self._kill()
        self.deliver.close()
        self.board.say("drain", "delivering what waits")
        with anyio.move_on_after(DELIVER_SECONDS):
            await self.deliver.finished.wait()
            await self.deliver.flush()
        self.board.say("drain", "done")

    async def _kill(self) -> None:
        _LOGGER.warning("%d jobs did not finish in time and are killed", self.running.total)
        self.board.say("drain", f"killing {self.running.total} jobs")
        self.running.kill()
        self.patience.end()
        with anyio.move_on_after(KILL_SECONDS):
            await self.intake.finished.wait()


async def on_signals(
    stop: Callable[[], None],
    reload: Callable[[], None],
    *,
    exit_now: Callable[[int], None] = os._exit,
    task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """SIGTERM and SIGINT: stop in order, the second one at once. SIGHUP: reload. Everything durable survives both."""
    stopping = False
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        task_status.started()
        async for number in signals:
            if number == signal.SIGHUP:
                reload()
            elif stopping:
                _LOGGER.warning("second signal: exiting now")
                exit_now(1)
            else:
                _LOGGER.info("signal %s: draining", signal.Signals(number).name)
                stopping = True
                stop()
