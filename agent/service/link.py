"""A carrier with a far side, kept alive beside the loops: what it says of running jobs is done here."""

import logging
from typing import Final

import anyio
from anyio import to_thread

from agent.core import defect
from agent.core.errors import TransportError
from agent.core.ports import Linked
from agent.service import health
from agent.service.board import Board
from agent.service.running import Running

_AGAIN_SECONDS: Final = 1.0
_DRAIN_SECONDS: Final = 2.0
_LOGGER = logging.getLogger(__name__)


class Link:
    """Satisfies `agent.core.ports.Told`. For a carrier without a far side there is nothing to do."""

    def __init__(self, transport: object, running: Running, board: Board) -> None:
        """Args: the carrier; the jobs that may be ended; where the operator is told."""
        self._transport = transport if isinstance(transport, Linked) else None
        self._running, self._board = running, board

    async def run(self) -> None:
        """As long as the service lives. A defect is a finding, and the link is taken up again."""
        while self._transport is not None:
            self._board.enrolled = await to_thread.run_sync(self._transport.enrolled)
            if not self._board.enrolled:
                await anyio.sleep(_AGAIN_SECONDS)
                continue
            try:
                await self._transport.run(self, self._running.under_way)
            except Exception as error:  # noqa: BLE001 - see above
                defect.report(_LOGGER, "link", error)
                self._board.find("link", health.loop_failed("link", type(error).__name__))
            await anyio.sleep(_AGAIN_SECONDS)

    async def announce_drain(self) -> None:
        """Say that nothing more is taken. Whatever fails, offers lapse by themselves."""
        if self._transport is not None:
            with anyio.move_on_after(_DRAIN_SECONDS):
                try:
                    await self._transport.announce_drain()
                except TransportError as error:
                    _LOGGER.info("the drain was not announced: %s", error)

    async def aclose(self) -> None:
        """End the session. Bounded."""
        if self._transport is not None:
            with anyio.move_on_after(_DRAIN_SECONDS, shield=True):
                await self._transport.aclose()

    def cancel(self, ref: str) -> None:
        """The submitter asked for the job's end: it becomes a stated failure."""
        self._running.end(ref, "job.cancelled")

    def lost(self, ref: str) -> None:
        """The job may run elsewhere by now: here it ends."""
        if self._running.under_way(ref):
            _LOGGER.warning("the lease of %s was lost; it is ended here", ref)
        self._running.end(ref, "job.interrupted")

    def drain(self) -> None:
        """The Router's operator wants no new jobs here; what runs goes on."""
        self._board.find("drain", health.drain_asked())
