"""A durable write that fails is repeated until it holds: nothing is given up but at the end of drain."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from agent.core.errors import AuditError, ConfigError, SpoolError, TransportError
from agent.service.board import Board
from agent.service.health import Health

T = TypeVar("T")


class GivenUpError(Exception):
    """The service ends before the write held. The job stays where it is durable; the next start decides it."""


class Patience:
    """Repeats attempts and keeps a finding up for as long as they fail."""

    def __init__(self, board: Board, *, retry_seconds: float) -> None:
        """Args: `retry_seconds` between attempts; they are local writes, so there is nothing to back off from."""
        self._board = board
        self._retry_seconds = retry_seconds
        self._over = anyio.Event()

    def end(self) -> None:
        """From now on whatever fails once is given up."""
        self._over.set()

    async def until(self, attempt: Callable[[], Awaitable[T]], key: str, health: Callable[[str], Health]) -> T:
        """The value of the first attempt that holds. Raises GivenUpError; lets other errors than the ports' own out."""
        while True:
            try:
                value = await attempt()
            except (AuditError, SpoolError, TransportError, ConfigError) as error:
                self._board.find(key, health(str(error)))
            else:
                self._board.find(key, None)
                return value
            if self._over.is_set():
                raise GivenUpError(key)
            with anyio.move_on_after(self._retry_seconds):
                await self._over.wait()
