"""May a job be taken now? Looks anew at everything that can forbid it, so that every refusal ends by itself."""

from collections.abc import Callable

from anyio import to_thread

from agent.core.errors import AgentError, ConfigError, SpoolError
from agent.service import health
from agent.service.board import Board
from agent.service.running import Running
from agent.service.wiring import Options, Ports, Site


class Gate:
    """Room in the spool, a trust file, workers that can be isolated, and no blocking finding of anybody else."""

    def __init__(
        self, *, ports: Ports, board: Board, running: Running, site: Callable[[], Site], options: Options
    ) -> None:
        """Args: `site` gives what jobs run under now."""
        self._ports = ports
        self._board = board
        self._running = running
        self._site = site
        self._options = options
        self.why = ""
        self.isolation = "none"

    async def open(self) -> bool:
        """Whether a job may be taken; if not, `why` is a phrase for status."""
        room = await self._look_at_room()
        self._look_at_trust()
        await self._look_at_workers()
        blocked = self._board.blocked()
        if blocked is not None:
            self.why = f"taking nothing: {blocked.sentence}"
        elif not room:
            self.why = "taking no more: the spool's room is kept for what runs"
        else:
            self.why = ""
        return not self.why

    async def _look_at_room(self) -> bool:
        """Whether one more result fits beside those of the running jobs. Too little for a single one is a finding."""
        spool, one = self._ports.spool, self._site().limits.bytes
        try:
            room = await to_thread.run_sync(spool.room, (self._running.total + 1) * one)
            full = not room and not await to_thread.run_sync(spool.room, one)
            held = await to_thread.run_sync(spool.bytes) if full else 0
        except SpoolError as error:
            self._board.find("room", health.spool_unwritable(str(error)))
            return False
        self._board.find("room", health.spool_full(held, self._options.max_spool_bytes) if full else None)
        return room

    def _look_at_trust(self) -> None:
        try:
            trust = self._ports.trust()
        except ConfigError as error:
            self._board.find("trust", health.trust_unreadable(self._options.trust_file, error.problem))
        else:
            anybody = any(submitter.revoked is None for submitter in trust.submitters.values())
            self._board.find("trust", None if anybody else health.no_submitter(self._options.trust_file))

    async def _look_at_workers(self) -> None:
        launcher = self._ports.launcher
        try:
            await launcher.start()
        except (AgentError, OSError) as error:
            self._board.find("launcher", health.worker_server_down(str(error) or type(error).__name__))
            return
        self.isolation = launcher.isolation
        self._board.find("launcher", None)
        self._board.find("isolation", health.isolation_missing() if self.isolation == "none" else None)
