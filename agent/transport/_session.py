"""One agent's session with a Router: leases are asked for, accepted, kept alive, and given up; orders are passed on.

A lease that was not renewed for as long as it lasts counts as lost here too, so that a job never runs on unknown to the
Router for long. All durations are monotonic; the Router's clock counts for nothing.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

import anyio
from anyio import to_thread

from agent.core.errors import TransportError
from agent.core.lane import Lane
from agent.core.ports import Clock, Told
from agent.transport._http import Http, R, RouterRefusalError
from agent.transport._instance import Instance
from agent.transport._leases import Held, Leases
from agent.transport._terms import Who
from agent.wire import calls
from agent.wire.calls import Offered, Order

GRACE_SECONDS: Final = 5.0
"""How long after a lease ran out its job is ended here."""
_ORDERS_SECONDS: Final = 25.0
_RETRY_SECONDS: Final = 2.0
_WATCH_SECONDS: Final = 1.0
_IDLE_SECONDS: Final = 5.0
"""How often is looked whether there is something to watch."""
_LOST: Final = frozenset({"lease.lost", "offer.lapsed", "not_found", "job.ended", "request.malformed"})
"""Refusals after which the job is not this agent's, however often it asks."""
_LOGGER = logging.getLogger(__name__)


class Session:
    """Calls of one agent, in one event loop. Opens a session when there is none, and again when it was forgotten."""

    def __init__(self, http: Http, leases: Leases, instance: Instance, *, who: Who, clock: Clock, wait: float) -> None:
        """Args: `wait` is the length of a long poll in seconds."""
        self._http, self._leases, self._instance, self._who = http, leases, instance, who
        self._clock, self._wait = clock, wait
        self._open: calls.Session | None = None
        self._opening = anyio.Lock()
        self._polling = 0
        self._renewed: dict[str, float] = {}
        self._pause_until = 0.0
        self._draining = False
        self._orders: list[Order] = []
        self._stirred = anyio.Event()
        """Set when a poll ended, or a session began."""

    @property
    def id(self) -> str | None:
        """The open session, if there is one."""
        return None if self._open is None else self._open.session

    async def aclose(self) -> None:
        """End the session: offers that were not accepted go back. If the call fails, the Router finds out by itself."""
        opened, self._open = self._open, None
        if opened is not None:
            with anyio.move_on_after(_RETRY_SECONDS, shield=True):
                try:
                    await self._http.tell("DELETE", f"/sessions/{opened.session}")
                except TransportError as error:
                    _LOGGER.info("the session was not closed: %s", error)

    async def drain(self) -> None:
        """Take nothing more. Raises TransportError."""
        self._draining = True
        if self._open is not None:
            await self._http.tell("POST", f"/sessions/{self._open.session}/drain")

    async def lease(self, free: Mapping[Lane, int]) -> Sequence[Held]:
        """Offers, each held durably; after at most one long poll. Raises TransportError."""
        opened = await self._opened()
        body = {"session": opened.session, "free": {lane: count for lane, count in free.items() if count > 0}}
        if self._draining or not body["free"] or self._clock.monotonic() < self._pause_until:
            await anyio.sleep(min(self._wait, _RETRY_SECONDS))
            return ()
        self._polling += 1
        try:
            path = f"/lease?wait={int(self._wait)}"
            leased = await self._http.call(calls.Leased, "POST", path, wait=self._wait, json=body)
            self._orders.extend(leased.orders if leased is not None else ())
        except RouterRefusalError as refusal:
            self._refused(refusal, opened)
            raise
        finally:
            self._polling -= 1
            self._stirred.set()
        if leased is None:
            return ()
        held: list[Held] = []
        with anyio.CancelScope(shield=True):  # what was taken is returned, whoever gave up waiting for it
            for offered in leased.jobs:
                held.append(await to_thread.run_sync(self._hold, offered))  # noqa: PERF401 - awaits
        return held

    def _hold(self, offered: Offered) -> Held:
        held = Held(
            job=offered.job,
            lease=offered.lease,
            fence=offered.fence,
            attempt=offered.attempt,
            envelope=offered.envelope.encode("ascii", "replace"),
        )
        self._leases.put(held)
        return held

    async def accept(self, job: str) -> bool:
        """Tell the Router that the job starts; False: somebody else may have it by now. Raises TransportError."""
        held = await to_thread.run_sync(self._leases.of, job)
        if held is None:
            return False
        opened = await self._opened()
        if held.accepted:  # by an earlier run: whether it still counts has to be heard before anything starts again
            return await self._still_held(held, opened)
        body = {"session": opened.session, "lease": held.lease, "fence": held.fence}
        try:
            _heard(await self._http.call(calls.Accepted, "POST", f"/jobs/{job}/accept", json=body))
        except RouterRefusalError as refusal:
            self._refused(refusal, opened)
            if refusal.code not in _LOST:
                raise
            if await to_thread.run_sync(self._leases.of, job) not in {held, None}:
                return await self.accept(job)  # offered anew meanwhile
            await self.forget(job)
            return False
        await to_thread.run_sync(self._leases.put, replace(held, accepted=True))
        self._renewed[job] = self._clock.monotonic()
        return True

    async def _still_held(self, held: Held, opened: calls.Session) -> bool:
        body = {"session": opened.session, "leases": [held.lease]}
        asked = self._clock.monotonic()
        try:
            beaten = await self._http.call(calls.Beaten, "POST", "/heartbeat", json=body)
        except RouterRefusalError as refusal:
            self._refused(refusal, opened)
            raise
        said = _heard(beaten).leases.get(held.lease, "lost")
        if said == "lost":
            await self.forget(held.job)
            return False
        self._renewed[held.job] = asked  # one to be cancelled is begun: its submitter waits for a result that says so
        return True

    async def forget(self, job: str) -> None:
        """The job is over, or somebody else's. Idempotent."""
        self._renewed.pop(job, None)
        await to_thread.run_sync(self._leases.drop, job)

    async def run(self, told: Told, running: Callable[[str], bool]) -> None:
        """Renew leases, hear orders. Never ends by itself; what fails is tried again."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._beat, told, running)
            tasks.start_soon(self._watch, told, running)
            tasks.start_soon(self._listen, told)

    async def _beat(self, told: Told, running: Callable[[str], bool]) -> None:
        while True:
            seconds = 15.0 if self._open is None else self._open.heartbeat_seconds
            try:
                held = await self._under_way(running)
                if held:
                    await self._beat_once(held, told)
            except TransportError as error:
                _LOGGER.info("leases were not renewed: %s", error)
                seconds = min(seconds, _RETRY_SECONDS)
            await anyio.sleep(seconds)

    async def _watch(self, told: Told, running: Callable[[str], bool]) -> None:
        """Beside the calls, which may hang in a link that swallows everything."""
        while True:
            held = self._leases.count()
            try:
                if held:
                    self._give_up(await self._under_way(running), told)
            except TransportError as error:
                _LOGGER.info("leases cannot be read: %s", error)
            await anyio.sleep(_WATCH_SECONDS if held else _IDLE_SECONDS)

    async def _under_way(self, running: Callable[[str], bool]) -> list[Held]:
        leases = await to_thread.run_sync(self._leases.all)
        return [one for one in leases if one.accepted and running(one.job)]

    async def _beat_once(self, held: Sequence[Held], told: Told) -> None:
        opened = await self._opened()
        body = {"session": opened.session, "leases": [one.lease for one in held]}
        asked = self._clock.monotonic()
        try:
            beaten = await self._http.call(calls.Beaten, "POST", "/heartbeat", json=body)
        except RouterRefusalError as refusal:
            self._refused(refusal, opened)
            raise
        for one in held:
            if one != self._leases.of(one.job):
                continue  # settled, or taken anew, while the answer was under way
            match _heard(beaten).leases.get(one.lease, "lost"):
                case "ok":
                    self._renewed[one.job] = asked
                case "cancel":
                    self._renewed[one.job] = asked
                    told.cancel(one.job)
                case _:
                    told.lost(one.job)

    def _give_up(self, held: Sequence[Held], told: Told) -> None:
        """Leases that could not be renewed in their time are lost, whatever the reason."""
        lasts = 60.0 if self._open is None else self._open.lease_seconds
        now = self._clock.monotonic()
        for one in held:
            if now - self._renewed.setdefault(one.job, now) > lasts + GRACE_SECONDS:
                del self._renewed[one.job]
                told.lost(one.job)

    async def _listen(self, told: Told) -> None:
        """Orders come with polls for work; while there is none of those, they are asked for."""
        while True:
            opened = self._open
            if opened is None or self._polling:
                self._stirred = anyio.Event()
                self._obey((), told)
                await self._stirred.wait()
                self._obey((), told)
                await anyio.sleep(_RETRY_SECONDS / 4)  # the next poll is likely to follow at once
                continue
            path = f"/sessions/{opened.session}/orders?wait={int(_ORDERS_SECONDS)}"
            try:
                said = await self._http.call(calls.Leased, "GET", path, wait=_ORDERS_SECONDS)
            except TransportError as error:
                if isinstance(error, RouterRefusalError):
                    self._refused(error, opened)
                await anyio.sleep(_RETRY_SECONDS)
            else:
                self._obey(() if said is None else said.orders, told)

    def _obey(self, orders: Sequence[Order], told: Told) -> None:
        waiting, self._orders = self._orders, []
        for order in (*waiting, *orders):
            match order:
                case Order(order="cancel", lease=str(lease)):
                    held = self._leases.by_lease(lease)
                    if held is not None:
                        told.cancel(held.job)
                case Order(order="drain"):
                    self._draining = True
                    told.drain()
                case Order(order="pause"):
                    self._pause_until = self._clock.monotonic() + (order.seconds or 0.0)
                case _:
                    _LOGGER.info("an order that this agent does not know was passed over")

    async def _opened(self) -> calls.Session:
        async with self._opening:
            if self._open is None:
                mine = await to_thread.run_sync(self._instance.begin)
                body: dict[str, object] = {
                    "instance": mine.now,
                    "slots": dict(self._who.slots),
                    "version": self._who.version,
                    "labels": dict(self._who.labels),
                    **({"previous": mine.before} if mine.before else {}),
                }
                self._open = await self._http.call(calls.Session, "POST", "/sessions", json=body)
                if self._open is None:
                    raise TransportError("The Router opened no session. Fix: its version may be too old.")
                self._stirred.set()
                await to_thread.run_sync(self._instance.opened)
            return self._open

    def _refused(self, refusal: RouterRefusalError, of: calls.Session) -> None:
        """A session that the Router does not know any more is opened anew by the next call."""
        if refusal.code == "session.unknown" and self._open is of:
            self._open = None


def _heard(reply: R | None) -> R:
    """An answer, where there has to be one: whoever stands between may say nothing in the Router's name."""
    if reply is None:
        raise TransportError("The Router answered with nothing. Fix: check the proxy; somebody else may answer there.")
    return reply
