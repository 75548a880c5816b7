"""One loop over the sandbox server: started soon after the service, watched, started again, ended when nobody needs it.

A Python job holds the server for as long as it runs (`held`), and starts it when none runs. A server belongs to one
shape: when the configuration asks for another one, the old server ends with the last job that holds it.
"""

import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, Literal

import anyio

from agent.core.order import PythonTerms
from agent.core.ports import Clock
from agent.sandbox.messages import Reason
from agent.service import health
from agent.service.backoff import full_jitter
from agent.service.board import Board
from agent.service.clock import SystemClock
from agent.service.sandboxserver import COMMAND, SandboxServer, Shape
from agent.service.serverprocess import ServerError

SETTLE_SECONDS: Final = 2.0
"""How long after the service the server is started unless a job needs it: the service's own start comes first."""

RETRY_SECONDS: Final = 30.0
"""After a start that failed, the next one is not tried before."""

RANKS: Final[Mapping[str, int]] = {"none": 0, "container": 1, "full": 2}
"""The tiers, the better the higher."""

_STABLE_SECONDS: Final = 60.0
_LOOP: Final = "sandbox"
_log = logging.getLogger(__name__)

State = Literal["off", "waiting", "starting", "ready", "resting", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonSite:
    """How Python jobs run at this site.

    `min_tier` is the weakest tier under which one runs. `outer` is what the operator says of the machine around the
    agent (`gvisor`, `kata`), for manifests; nothing is checked less because of it. After `idle_seconds` without a
    Python job the server's memory is given back; 0: never.
    """

    min_tier: Literal["container", "full"] = "container"
    outer: str = ""
    idle_seconds: float = 900.0
    terms: PythonTerms = field(default_factory=PythonTerms)
    shape: Shape = field(default_factory=Shape)


@dataclass(frozen=True, slots=True)
class Held:
    """What a job has of the sandbox: how manifests name it, the channel for its worker, or the code of why it has none.

    All three are empty for a job that needs no sandbox.
    """

    isolation: str = ""
    requests: int | None = None
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The sandbox as status shows it. `tier` is None before any probe; `problem` says why no server could be had."""

    state: State
    tier: str | None
    running: int
    waiting: int
    memory_mb: float
    reasons: tuple[Reason, ...]
    problem: str


class Sandboxes:
    """The one server of this process, and those whose last jobs still run. One event loop only."""

    def __init__(
        self,
        python: Callable[[], PythonSite | None],
        clock: Clock | None = None,
        *,
        command: Sequence[str] = COMMAND,
        settle_seconds: float = SETTLE_SECONDS,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        """Args: `python` gives how Python jobs run now, None: not at all; `command` starts a server."""
        self._python = python
        self._clock = clock or SystemClock()
        self._command = command
        self._settle_seconds, self._retry_seconds = settle_seconds, retry_seconds
        self._one = anyio.Lock()
        self._server: SandboxServer | None = None
        self._shape: Shape | None = None
        self._retired: set[SandboxServer] = set()
        self._changed = anyio.Event()
        self._state: State = "waiting"
        self._tier: str | None = None
        self._reasons: tuple[Reason, ...] = ()
        self._problem = ""
        self._retry_at = self._used = self._started = 0.0
        self._deaths = 0
        self._board: Board | None = None

    @property
    def view(self) -> View:
        """How it is now."""
        servers = [*([self._server] if self._server else []), *self._retired]
        return View(
            state="off" if self._python() is None else self._state,
            tier=self._tier,
            running=sum(server.load.running for server in servers),
            waiting=sum(server.load.waiting for server in servers),
            memory_mb=sum(server.load.memory_mb for server in servers),
            reasons=self._reasons,
            problem=self._problem,
        )

    @property
    def server_pid(self) -> int | None:
        """The server's process; its children are the sandboxes."""
        return None if self._server is None else self._server.pid

    @asynccontextmanager
    async def held(self, kind: str, python: PythonSite | None) -> AsyncIterator[Held]:
        """The sandbox for a job of this kind, for as long as the job runs. `python`: what it was claimed under.

        Waits for a server that is starting. Never raises: what cannot be had is a code that the job ends with.
        """
        if kind != "python" or python is None:
            yield Held()
            return
        try:
            server = await self._ready(python)
        except ServerError as error:
            _log.warning("a Python job has no sandbox: %s", error)
            yield Held(_named("none", python), None, "sandbox.isolation")
            return
        server.users += 1
        try:
            yield Held(_named(server.tier, python), server.requests)
        finally:
            server.users -= 1
            self._used = self._clock.monotonic()
            self._wake()
            if server in self._retired and not server.users:
                self._retired.discard(server)
                await server.aclose()

    async def start(self) -> None:
        """Have a server when Python jobs run here; a failure shows when a job needs it."""
        try:
            await self._ready()
        except ServerError as error:
            _log.warning("the sandbox server does not run: %s", error)

    def reconfigured(self) -> None:
        """Look again, at once: the configuration has changed."""
        self._retry_at = 0.0
        if self._state != "ready":
            self._state = "waiting"
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    async def run(self, board: Board) -> None:
        """Keep the server as the configuration wants it, until cancelled. Findings and a phrase go on the `board`."""
        self._board = board
        self._used = self._clock.monotonic()
        self._tell("waits for the service to settle")
        await self._pause(self._settle_seconds)
        while True:
            python = self._python()
            if python is None:
                await self._drop()
                self._tell("Python jobs are switched off")
                await self._pause(None)
            elif self._state == "resting":
                self._tell("resting: no Python job for a while")
                await self._pause(None)
            else:
                await self._tend()

    async def aclose(self) -> None:
        """End every server and, with them, all that runs in a sandbox. Bounded."""
        async with self._one:
            servers, self._server = [*self._retired, *([self._server] if self._server else [])], None
            self._retired.clear()
            for server in servers:
                await server.aclose()

    async def _tend(self) -> None:
        """One life of the server, or one attempt at it and the pause before the next."""
        try:
            server = await self._ready()
        except ServerError:
            self._tell("no server")
            await self._pause(self._retry_seconds)
            return
        self._tell("ready")
        if await self._attended(server):
            return
        self._deaths = 1 if self._clock.monotonic() - self._started > _STABLE_SECONDS else self._deaths + 1
        self._tell("the server ended; starting another")
        await self._pause(full_jitter(self._deaths, cap=self._retry_seconds))

    async def _attended(self, server: SandboxServer) -> bool:
        """Follow the server until it dies (False), or something else has to be done about it (True)."""
        alive = True

        async def follow() -> None:
            nonlocal alive
            await server.follow()
            alive = False
            tasks.cancel_scope.cancel()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(follow)
            await self._until_unneeded(server)
            tasks.cancel_scope.cancel()
        if server is not self._server:  # a job has found it dead or outdated, and has another one
            return True
        if not alive:
            server.kill()
        elif server.users == 0 and self._rested():
            await self._drop()
            self._state = "resting"
        return alive

    async def _until_unneeded(self, server: SandboxServer) -> None:
        while server is self._server and self._fits(server):
            if server.users == 0 and self._rested():
                return
            await self._pause(self._idle_left() if server.users == 0 else None)

    def _idle_left(self) -> float | None:
        python = self._python()
        if python is None or not python.idle_seconds:
            return None
        return max(0.0, self._used + python.idle_seconds - self._clock.monotonic()) + 0.01

    def _rested(self) -> bool:
        python = self._python()
        idle = 0.0 if python is None else python.idle_seconds
        return idle > 0 and self._clock.monotonic() >= self._used + idle

    def _fits(self, server: SandboxServer) -> bool:
        """Whether a new job may use it: alive, started as the configuration says now, and of a tier that it allows."""
        python = self._python()
        return (
            python is not None
            and not server.dead()
            and self._shape == python.shape
            and RANKS[server.tier] >= RANKS[python.min_tier]
        )

    async def _ready(self, wanted: PythonSite | None = None) -> SandboxServer:
        """A server for a new job. Raises ServerError, saying why there is none."""
        async with self._one:
            python = self._python()
            if python is None:
                raise ServerError("Python jobs are switched off")
            if self._server is not None and not self._fits(self._server):
                await self._retire()
            if self._server is None:
                if self._clock.monotonic() < self._retry_at and self._shape == python.shape:
                    raise ServerError(self._problem)
                self._server = await self._start(python)
            if wanted is not None and RANKS[self._server.tier] < RANKS[wanted.min_tier]:
                raise ServerError(_below(self._server.tier, wanted.min_tier))
            self._used = self._clock.monotonic()
            return self._server

    async def _start(self, python: PythonSite) -> SandboxServer:
        self._state, self._shape = "starting", python.shape
        self._tell("starting")
        try:
            server = await SandboxServer.start(python.shape, self._command)
        except ServerError as error:
            self._tier, self._reasons = None, ()
            self._failed(str(error))
            raise
        except BaseException:
            self._state = "waiting"
            raise
        self._tier, self._reasons = server.tier, server.reasons
        if RANKS[server.tier] < RANKS[python.min_tier]:
            await server.aclose()
            self._failed(_below(server.tier, python.min_tier))
            raise ServerError(self._problem)
        self._state, self._problem, self._retry_at = "ready", "", 0.0
        self._started = self._clock.monotonic()
        _log.info("the sandbox server is ready: tier %s, preloaded in %.1f s", server.tier, server.preload_seconds)
        self._tell("ready")
        self._wake()
        return server

    def _failed(self, problem: str) -> None:
        self._state, self._problem = "failed", problem
        self._retry_at = self._clock.monotonic() + self._retry_seconds
        self._tell("no server")

    async def _retire(self) -> None:
        """No new job gets the server: it ends now, or with the last job that holds it."""
        server, self._server = self._server, None
        if server is None:
            return
        if server.dead():
            _log.error("the sandbox server ended with status %s", server.status)
            server.kill()
        elif server.users:
            self._retired.add(server)
        else:
            await server.aclose()

    async def _drop(self) -> None:
        async with self._one:
            await self._retire()

    async def _pause(self, seconds: float | None) -> None:
        """Until something has changed, or so many seconds are over."""
        with anyio.move_on_after(seconds):
            await self._changed.wait()

    def _tell(self, phrase: str) -> None:
        if self._board is not None:
            self._board.say(_LOOP, phrase)
            self._board.find(_LOOP, self._finding())

    def _finding(self) -> health.Health | None:
        if self._python() is None:
            return None
        cure = next((reason for reason in self._reasons if reason.fix), None)
        found, fix = ("", "") if cure is None else (cure.found, cure.fix)
        if self._state == "failed":
            return health.no_sandbox(self._problem, found, fix)
        return health.container_tier(found, fix) if self._tier == "container" else None


def _named(tier: str, python: PythonSite) -> str:
    """The sandbox's part of what manifests name."""
    return f"+sandbox-{tier}" + (f"+{python.outer}" if python.outer else "")


def _below(tier: str, min_tier: str) -> str:
    return (
        "Python code cannot be isolated on this machine"
        if tier == "none"
        else f"the tier that holds here is {tier}, and python.min_tier asks for {min_tier}"
    )
