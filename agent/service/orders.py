"""What an operator orders over the status socket -> done: take no more jobs, take jobs again, end one job.

A drain by order lasts until the order to resume or the end of the service: a restart always takes jobs.
"""

import json
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from anyio.abc import TaskGroup

from agent.core.errors import AuditError
from agent.service import health
from agent.service.board import DRAINED, Board
from agent.service.running import Running
from agent.wire.ids import is_ulid

DRAIN: Final = b"drain 1"
RESUME: Final = b"resume 1"
CANCEL: Final = b"cancel 1 "
_LOGGER = logging.getLogger(__name__)


class Orders:
    """Satisfies `statussocket.Obey`. Called in the event loop; what takes time goes on beside it."""

    def __init__(
        self,
        board: Board,
        running: Running,
        *,
        record: Callable[..., Awaitable[object]],
        tasks: TaskGroup,
    ) -> None:
        """Args: `record` writes an audit record (AuditError), and is called in one of `tasks`."""
        self._board, self._running, self._record, self._tasks = board, running, record, tasks

    def __call__(self, request: bytes, uid: int) -> bytes | None:
        """The answer; None for what is no order. `uid` is who gave it, as the kernel says."""
        if request == DRAIN:
            self._board.find(DRAINED, health.drained())
            self._running.look_again()
            return self._done("drain", uid)
        if request == RESUME:
            self._board.find(DRAINED, None)
            return self._done("resume", uid)
        job = request.removeprefix(CANCEL).decode("ascii", "replace") if request.startswith(CANCEL) else ""
        if not is_ulid(job):
            return None
        if not self._running.under_way(job):
            return json.dumps({"done": False}).encode()
        self._running.end(job, "job.cancelled")
        return self._done("cancel", uid, job=job)

    def _done(self, order: str, uid: int, **about: str) -> bytes:
        _LOGGER.info("order of uid %d: %s", uid, " ".join((order, *about.values())))
        self._tasks.start_soon(self._note, {"order": order, "uid": uid, **about})
        return json.dumps({"done": True}).encode()

    async def _note(self, fields: dict[str, object]) -> None:
        """An order that ends something is obeyed also while the log cannot be written: nothing runs because of it."""
        try:
            await self._record("operator.order", **fields)
        except AuditError as error:
            _LOGGER.warning("an order could not be recorded: %s", error)
