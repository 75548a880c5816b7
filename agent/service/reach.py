"""Whether the carrier answers: what the operator is told of it, and when it is asked again."""

import random
from typing import Final

from agent.core.errors import TransportError
from agent.core.ports import Clock
from agent.service import health
from agent.service.backoff import full_jitter
from agent.service.board import Board
from agent.service.wiring import Options

_spread: Final = random.SystemRandom().uniform


class Reach:
    """Failures in a row of one carrier."""

    def __init__(self, board: Board, clock: Clock, options: Options) -> None:
        """Args: where it is said, the clock of what is said, and the bounds of the waits."""
        self._board, self._clock, self._options = board, clock, options
        self._failures = 0

    def reached(self) -> None:
        """It answered."""
        self._board.contact.ok_at = self._clock.now()
        self.readable()

    def readable(self) -> None:
        """What it keeps on this machine can be read, which says nothing of a far side."""
        self._failures = 0
        self._board.contact.failing = False
        self._board.find("carrier", None)

    def not_reached(self, error: TransportError) -> float:
        """It did not: seconds until the next attempt. The first one of many agents that lost it together is spread."""
        self._failures += 1
        contact = self._board.contact
        contact.error, contact.error_at, contact.failing = str(error), self._clock.now(), True
        self._board.find("carrier", health.transport_failing(str(error)))
        self._board.say("intake", "the carrier cannot be reached, trying again")
        pause = full_jitter(self._failures, cap=self._options.backoff_cap_seconds)
        if self._failures == 1 and self._options.reconnect_seconds:
            pause = _spread(0.0, self._options.reconnect_seconds)
        return max(pause, error.retry_after or 0.0)
