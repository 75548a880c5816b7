"""The calls of agents. Identity is the connection's certificate; a body never says who is calling."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent.wire.ids import is_ulid, new_ulid
from router.core import ops
from router.core.agents import AgentId, Hello, SessionView
from router.core.jobs import LEASE_SECONDS, Offered
from router.core.problem import RouterProblem
from router.server import messages
from router.server.calls import answer, answered, integer, peer, read
from router.service.bell import session_key
from router.service.hub import Hub

MAX_WAIT_SECONDS: Final = 60
_NOTHING: Final = 204


class AgentCalls:
    """All of them over one hub."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._told: dict[str, frozenset[str]] = {}

    def routes(self) -> list[Route]:
        """Where each call is."""
        table = (  # the most frequent first: they are tried one after the other
            ("/v1/lease", "POST", self.lease),
            ("/v1/jobs/{job}/accept", "POST", self.accept),
            ("/v1/heartbeat", "POST", self.heartbeat),
            ("/v1/sessions", "POST", self.open_session),
            ("/v1/sessions/{session}", "DELETE", self.close_session),
            ("/v1/sessions/{session}/drain", "POST", self.drain),
            ("/v1/sessions/{session}/orders", "GET", self.orders),
            ("/v1/hand-back", "POST", self.hand_back),
            ("/v1/jobs/{job}/events", "POST", self.event),
            ("/v1/jobs/{job}/reject", "POST", self.reject),
        )
        return [Route(path, answered(handler), methods=[method]) for path, method, handler in table]

    async def open_session(self, request: Request) -> Response:
        """POST /v1/sessions."""
        agent, said = self._agent(request), await read(request, messages.SessionIn)
        hello = Hello(
            agent=agent,
            instance=said.instance,
            previous=said.previous,
            labels=said.labels,
            slots={str(slot): count for slot, count in said.slots.items()},
            version=said.version,
        )
        opened = await self._hub.writer.do(ops.OpenSession(hello, new_ulid(self._hub.now())))
        self._hub.forget_sessions(agent)
        self._hub.sessions[opened.id] = opened
        for queue in (f"{opened.tenant}/agent:{opened.agent}", f"{opened.tenant}/pool:{opened.pool}"):
            self._hub.parking.wake(queue)  # what the session before was offered
        return answer(
            messages.SessionOut(
                opened.id,
                opened.tenant,
                opened.agent,
                opened.pool,
                self._hub.terms.heartbeat_seconds,
                LEASE_SECONDS,
            ),
            201,
        )

    async def close_session(self, request: Request) -> Response:
        """DELETE /v1/sessions/{id}. Idempotent."""
        agent, session = self._agent(request), _id(request, "session")
        await self._hub.writer.do(ops.CloseSession(agent, session))
        closed = self._hub.sessions.pop(session, None)
        if closed is not None:
            self._hub.parking.wake(f"{closed.tenant}/pool:{closed.pool}")
        return Response(status_code=_NOTHING)

    async def drain(self, request: Request) -> Response:
        """POST /v1/sessions/{id}/drain."""
        agent, session = self._agent(request), _id(request, "session")
        await self._hub.writer.do(ops.DrainSession(agent, session))
        self._hub.sessions.pop(session, None)
        return Response(status_code=_NOTHING)

    async def orders(self, request: Request) -> Response:
        """GET /v1/sessions/{id}/orders?wait=25: polled only while no lease call is open."""
        session = self._hub.session(_id(request, "session"), self._agent(request))
        wait = integer(request, "wait", 0, MAX_WAIT_SECONDS)
        self._still_there(session)
        with self._hub.bell.listening(session_key(session.id)) as told:
            orders = self._orders(session.id)
            if not orders and wait:
                await _first(told.wait(), _gone(request), seconds=wait)
                self._still_there(session)
                orders = self._orders(session.id)
        return answer(messages.LeaseOut(orders=orders)) if orders else Response(status_code=_NOTHING)

    async def lease(self, request: Request) -> Response:
        """POST /v1/lease?wait=25."""
        agent, said = self._agent(request), await read(request, messages.LeaseIn)
        session, wait = self._hub.session(said.session, agent), integer(request, "wait", 0, MAX_WAIT_SECONDS)
        self._still_there(session)
        orders = self._orders(session.id)
        free = {slot: count for slot, count in said.free.items() if count}
        if not free:
            raise RouterProblem("request.malformed", "A poll needs a free slot.")
        offered: Sequence[Offered] = ()
        if not orders:
            offered = await self._hub.parking.lease(session, free, wait, _gone(request))
            if not offered:
                self._still_there(session)
                orders = self._orders(session.id)
        self._hub.seen[session.id] = self._hub.now()
        if not offered and not orders:
            return Response(status_code=_NOTHING)
        return answer(messages.LeaseOut([_job_out(one) for one in offered], orders))

    async def hand_back(self, request: Request) -> Response:
        """POST /v1/hand-back."""
        agent, said = self._agent(request), await read(request, messages.HandBackIn)
        await self._hub.writer.do(ops.HandBack(agent, tuple(said.leases)))
        known = self._hub.store.agent(agent.tenant, agent.name)
        for audience in (f"agent:{agent.name}", *([f"pool:{known.pool}"] if known else [])):
            self._hub.parking.wake(f"{agent.tenant}/{audience}")
        return Response(status_code=_NOTHING)

    async def heartbeat(self, request: Request) -> Response:
        """POST /v1/heartbeat."""
        agent, said = self._agent(request), await read(request, messages.HeartbeatIn)
        self._hub.session(said.session, agent)
        leases = await self._hub.writer.do(ops.Beat(agent, said.session, tuple(said.leases)))
        return answer(messages.HeartbeatOut(dict(leases)))

    async def accept(self, request: Request) -> Response:
        """POST /v1/jobs/{id}/accept."""
        agent, said = self._agent(request), await read(request, messages.AcceptIn)
        self._hub.session(said.session, agent)
        job = _id(request, "job")
        attempt = await self._hub.writer.do(ops.Accept(agent, job, said.lease, said.fence, said.session))
        self._hub.bell.ring(f"job:{job}")
        return answer(messages.AcceptOut(attempt))

    async def event(self, request: Request) -> Response:
        """POST /v1/jobs/{id}/events."""
        agent, said, job = self._agent(request), await read(request, messages.EventIn), _id(request, "job")
        await self._hub.writer.do(ops.Progress(agent, job, said.lease, said.fence, said.phase, said.rows))
        self._hub.bell.ring(f"job:{job}")
        return Response(status_code=_NOTHING)

    async def reject(self, request: Request) -> Response:
        """POST /v1/jobs/{id}/reject."""
        agent, said, job = self._agent(request), await read(request, messages.RejectIn), _id(request, "job")
        done = await self._hub.writer.do(ops.Rejected(agent, job, said.lease, said.fence, said.code))
        return answer(messages.LandedOut(self._hub.changed(done).state, ""))

    def _agent(self, request: Request) -> AgentId:
        return peer(request, self._hub)

    def _still_there(self, session: SessionView) -> None:
        """Neither the agent nor the Router went while the poll waited. Raises RouterProblem."""
        if self._hub.closing:
            raise RouterProblem("shutting_down", retry_after=1.0)
        if AgentId(tenant=session.tenant, name=session.agent) in self._hub.revoked:
            raise RouterProblem("auth.invalid", "The agent was revoked.")

    def _orders(self, session: str) -> list[messages.Order]:
        """What the session was not told yet: a poll must not end at once for as long as a job takes to end.

        A heartbeat says it again, should this answer be lost.
        """
        cancelling = set(self._hub.store.cancelling(session))
        told = self._told.get(session, frozenset()) & cancelling
        self._told.pop(session, None)
        if cancelling:
            self._told[session] = frozenset(cancelling)
        return [messages.Order("cancel", lease=lease) for lease in sorted(cancelling - told)]


def _job_out(offered: Offered) -> messages.JobOut:
    return messages.JobOut(
        job=offered.job_id,
        envelope=offered.envelope.decode("ascii"),
        lease=offered.lease_id,
        attempt=offered.attempt,
        fence=offered.fence,
        offer_expires=offered.offer_expires,
    )


def _id(request: Request, name: str) -> str:
    found: str = request.path_params[name]
    if not is_ulid(found):
        raise RouterProblem("not_found")
    return found


async def _gone(request: Request) -> None:
    """Done when the caller has hung up. The body has been read: nothing else can come."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _first(*waits: Any, seconds: float) -> None:
    """Wait for one of these, at most so long."""
    tasks = [asyncio.ensure_future(one) for one in waits]
    try:
        await asyncio.wait(tasks, timeout=seconds, return_when="FIRST_COMPLETED")
    finally:
        for task in tasks:
            task.cancel()
