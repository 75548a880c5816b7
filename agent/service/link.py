"""A carrier with a far side, kept alive beside the loops: what it says of running jobs is done here."""

import logging
from typing import Final

import anyio
from anyio import to_thread

from agent.core import defect
from agent.core.errors import TransportError
from agent.core.ports import Linked, LinkView, Phase
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
        self._phases: dict[str, tuple[Phase, str | None]] = {}
        self._news = anyio.Event()
        if self._transport is not None:
            board.enrolled, board.met = self._transport.enrolled(), False

    async def run(self) -> None:
        """As long as the service lives. A defect is a finding, and the link is taken up again."""
        if self._transport is None:
            return
        if not self._board.enrolled:
            _LOGGER.warning(health.not_enrolled().line())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._report, self._transport)
            while True:
                await self._once(self._transport)
                await anyio.sleep(_AGAIN_SECONDS)

    async def _once(self, transport: Linked) -> None:
        self._board.enrolled = await to_thread.run_sync(transport.enrolled)
        self._board.find("enrolment", None if self._board.enrolled else health.not_enrolled())
        if not self._board.enrolled:
            return
        try:
            await transport.run(self, self._running.under_way)
        except Exception as error:  # noqa: BLE001 - see `run`
            defect.report(_LOGGER, "link", error)
            self._board.find("link", health.loop_failed("link", type(error).__name__))
        else:
            self._board.find("link", None)

    def view(self) -> LinkView | None:
        """How the link is; None for a carrier without a far side."""
        return None if self._transport is None else self._transport.view()

    def progress(self, ref: str, phase: Phase, rows: str | None = None) -> None:
        """A job came so far. The far side hears of it a moment later: of a short job, only its end is of interest."""
        self._board.phases_of_jobs[ref] = phase
        if self._transport is not None:
            self._phases[ref] = phase, rows
            self._news.set()

    def ended(self, ref: str) -> None:
        """The job is not under way any more."""
        self._board.phases_of_jobs.pop(ref, None)
        self._phases.pop(ref, None)

    async def _report(self, transport: Linked) -> None:
        told: dict[str, tuple[Phase, str | None]] = {}
        while True:
            if not self._phases and self._board.met:  # an idle agent wakes up for nothing
                told, self._news = {}, anyio.Event()
                await self._news.wait()
            before = dict(self._phases)
            await anyio.sleep(_AGAIN_SECONDS)
            self._board.met |= transport.view().session is not None
            told = {ref: said for ref, said in told.items() if ref in self._phases}
            for ref, said in before.items():
                if self._phases.get(ref) != said or told.get(ref) == said:
                    continue
                told[ref] = said
                try:
                    await transport.report(ref, *said)
                except TransportError as error:
                    _LOGGER.info("progress was not told: %s", error)

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
        if self._running.under_way(ref) and not self._running.ended(ref):
            _LOGGER.warning("the lease of %s was lost; it is ended here", ref)
        self._running.end(ref, "job.interrupted")

    def drain(self) -> None:
        """The Router's operator wants no new jobs here; what runs goes on."""
        self._board.find("drain", health.drain_asked())
