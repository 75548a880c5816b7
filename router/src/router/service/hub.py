"""Everything that the calls share, in one place: the store, the writer, waiting pollers, orders, signs of life."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from router.ca.authority import Authority
from router.ca.trust import Trust
from router.core import ops
from router.core.agents import AgentId, SessionView
from router.core.jobs import JobView
from router.core.problem import RouterProblem
from router.service.bell import Bell, job_key, session_key
from router.service.pace import Pace
from router.service.parking import Parking
from router.service.sweep import Sweep
from router.service.writer import Writer
from router.store.port import Parts, Store

LOOK_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What one tenant may take. `calls_per_second`: of each of its submitters."""

    open_jobs: int
    stored_bytes: int
    calls_per_second: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Numbers of one Router. Seconds, bytes, jobs, hours. `tenants` have a quota of their own."""

    open_jobs: int = 10_000
    stored_bytes: int = 20 * 2**30
    keep_results_seconds: float = 7 * 86_400
    keep_jobs_seconds: float = 30 * 86_400
    result_bytes: int = 2**30
    agent_hours: float = 24.0
    heartbeat_seconds: float = 15.0
    tick_seconds: float = 1.0
    calls_per_second: float = 1000.0
    failures_per_second: float = 5.0
    """Refused callers of one address that are told why; the others are told to wait."""
    connections: int = 4096
    """Open connections of one certificate, or of one address without."""
    keep_uploads_seconds: float = 3600.0
    """Parts whose job has ended without their result are kept so long, for one that is still under way."""
    tenants: Mapping[str, Quota] = field(default_factory=dict)

    def quota(self, tenant: str) -> Quota:
        """What a tenant may take."""
        own = self.tenants.get(tenant)
        if own is not None:
            return own
        return Quota(open_jobs=self.open_jobs, stored_bytes=self.stored_bytes, calls_per_second=self.calls_per_second)


class Listener(Protocol):
    """Hears what other processes over the same store tell."""

    def start(self, hub: "Hub") -> None:
        """Begin, within the event loop."""
        ...

    async def close(self) -> None:
        """End."""
        ...


@dataclass(slots=True)
class Hub:
    """One Router process. `seen` collects signs of life (Unix seconds by session) for the next tick."""

    store: Store
    parts: Parts
    writer: Writer
    bell: Bell
    parking: Parking
    authority: Authority
    terms: Terms
    now: Callable[[], float] = time.time
    seen: dict[str, float] = field(default_factory=dict)
    sessions: dict[str, SessionView] = field(default_factory=dict)
    revoked: frozenset[AgentId] = frozenset()
    pace: Pace = field(default_factory=Pace)
    failures: Pace = field(default_factory=Pace)
    sweep: Sweep = field(default_factory=Sweep)
    uploads: set[Any] = field(default_factory=set)
    """Uploads that the store has admitted since the last look, so that not every part asks it again."""
    ticked: float = 0.0
    """When the store last took a tick, Unix seconds."""
    closing: bool = False
    looked: float = 0.0
    """When the queues were last compared with what the store holds, Unix seconds."""
    relay: "Listener | None" = None
    unsure: bool = False
    """Something may have changed without this process's knowledge."""
    trust: Trust = field(init=False)

    def __post_init__(self) -> None:
        self.trust = self.authority.trust()

    def adopt(self, authority: Authority) -> None:
        """Issue by this authority from now on, and trust whom it trusts."""
        self.authority, self.trust = authority, authority.trust()

    def close_doors(self) -> None:
        """Answer all that wait: the Router is going down."""
        self.closing = True
        self.bell.ring_all()

    def session(self, session_id: str, agent: AgentId) -> SessionView:
        """An open session of just this agent; it is alive. Raises RouterProblem(session.unknown | auth.invalid)."""
        if agent in self.revoked:
            raise RouterProblem("auth.invalid", "The agent was revoked.")
        found = self.sessions.get(session_id)
        if found is None:
            found = self.store.session(session_id)
            if found is None:
                raise RouterProblem("session.unknown")
            self.sessions[session_id] = found
        if (found.tenant, found.agent) != (agent.tenant, agent.name):
            raise RouterProblem("session.unknown")
        self.seen[session_id] = self.now()
        return found

    def changed(self, job: JobView) -> JobView:
        """Wake those who wait for this job; the job again."""
        self.bell.ring(job_key(job.id))
        return job

    async def tick(self) -> ops.Ticked:
        """What time does, once: signs of life are written first, so that nobody is lost who is here."""
        seen, self.seen = self.seen, {}
        operations = [ops.Tick(self.terms.keep_results_seconds, self.terms.keep_jobs_seconds)]
        put = self.writer.put(*([ops.Seen(seen)] if seen else []), *operations)
        try:
            ticked: ops.Ticked = await put[-1]
        except RouterProblem:
            self.seen = seen | self.seen  # they are not forgotten with a store that is away
            raise
        self.learn_revoked()
        self.ticked = self.now()
        self.uploads.clear()
        for queue in ticked.queued:
            self.parking.wake(queue)
        for job_id in ticked.ended:
            self.bell.ring(job_key(job_id))
        for result_id in ticked.dropped:
            await asyncio.to_thread(self.parts.drop, result_id)
        await self._look_again()
        if self.sweep.due(self.ticked):
            keep = self.terms.keep_uploads_seconds
            await asyncio.to_thread(self.sweep.look, self.store, self.parts, self.ticked, keep)
        return ticked

    async def _look_again(self) -> None:
        """Now and then, and when something may have gone unheard: whether jobs wait beside parked pollers.

        The command line and other processes write to the store as well.
        """
        if not self.unsure and self.ticked - self.looked < LOOK_SECONDS:
            return
        self.looked, self.unsure = self.ticked, False
        mark = self.parking.mark
        self.parking.settle(await asyncio.to_thread(self.store.ready), mark)

    def learn_revoked(self) -> None:
        """Whose certificates count no more, also on connections that are open: their polls end now."""
        before, self.revoked = self.revoked, self.store.revoked(self.now())
        for agent in self.revoked - before:
            self.forget_sessions(agent)

    def forget_sessions(self, agent: AgentId) -> None:
        """What this process remembers of an agent's sessions is over: their polls end, the store knows the rest."""
        for session in [one for one in self.sessions.values() if (one.tenant, one.agent) == (agent.tenant, agent.name)]:
            del self.sessions[session.id]
            self.bell.ring(session_key(session.id))

    def told(self, session_id: str | None) -> None:
        """A session has orders."""
        if session_id is not None:
            self.bell.ring(session_key(session_id))
