"""Agents that wait for work -> jobs: each new job goes to the poller that has waited longest, in its own commit.

A poll that finds nothing is parked in memory, and does not touch the store again before there is work for it. A queue
is looked into only when it may hold something for a slot that is free: `_maybe`. Each sign of work counts the queue's
`_changes` up, so that a poller whose look crossed a new job looks again instead of parking beside it.
"""

import asyncio
import logging
import time
from collections import OrderedDict, defaultdict
from collections.abc import Awaitable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from router.core import ops
from router.core.agents import AgentId, SessionView
from router.core.jobs import SLOTS, JobView, Offered, Slot, slot_of
from router.core.problem import RouterProblem
from router.service.bell import Bell, session_key
from router.service.writer import Writer
from router.store.rows import queue_of

_AT_ONCE: Final = 8
"""Pollers that look when a queue may have work: not all thousand of them for one job."""
_MOST_QUEUES: Final = 10_000
"""Queues whose changes are remembered: a submitter may name as many as it likes."""

_LOGGER = logging.getLogger(__name__)


_Place = tuple[str, Slot]
"""Where jobs of a kind wait: a queue, and the slot that they take."""


def _everything(queues: Iterable[str]) -> Iterable[_Place]:
    return ((queue, slot) for queue in queues for slot in SLOTS)


@dataclass(eq=False, slots=True)
class _Poller:
    """One parked poll. `given` is its lease once a job woke it."""

    session: SessionView
    free: Mapping[Slot, int]
    queues: tuple[str, ...]
    given: "asyncio.Future[asyncio.Future[tuple[Offered, ...]]]" = field(init=False)

    def __post_init__(self) -> None:
        self.given = asyncio.get_running_loop().create_future()

    def lease(self) -> ops.Lease:
        session = self.session
        return ops.Lease(session.id, session.tenant, session.agent, session.pool, self.free)

    def looks(self) -> frozenset[_Place]:
        """Where its lease looks. What it finds empty says nothing of jobs for slots that it has not free."""
        return frozenset((queue, slot) for queue in self.queues for slot in SLOTS if self.free.get(slot, 0) > 0)


@dataclass(frozen=True, slots=True)
class _Ends:
    """What ends a poll early: its caller has `gone`, or its session is `told` something."""

    gone: "asyncio.Future[Any]"
    told: "asyncio.Future[Any]"

    def any(self) -> bool:
        return self.gone.done() or self.told.done()


class Parking:
    """The waiting room of one Router process. One event loop."""

    def __init__(self, writer: Writer, bell: Bell, ready: Iterable[str] = ()) -> None:
        """Args: `ready` are the queues that hold jobs already."""
        self._writer, self._bell = writer, bell
        self._maybe = set(_everything(ready))
        self._changes: dict[str, int] = {}
        self._count = self._forgotten = 0
        self._parked: defaultdict[str, OrderedDict[_Poller, None]] = defaultdict(OrderedDict)

    @property
    def parked(self) -> int:
        """How many polls wait."""
        return len({poller for queue in self._parked.values() for poller in queue})

    @property
    def mark(self) -> int:
        """A moment, for `settle`."""
        return self._count

    async def submit(self, op: ops.Submit) -> JobView:
        """Submit a job; a parked poller for it is served in the same commit. Raises RouterProblem."""
        queue, slot = queue_of(op.job.tenant, op.job.audience), slot_of(op.job.kind)
        poller = self._next(queue, slot)
        if poller is None:
            (submitted,) = self._writer.put(op)
            self._mark(queue, slot)
        else:
            submitted, leased = self._writer.put(op, poller.lease())
            poller.given.set_result(leased)
            leased.add_done_callback(partial(self._left, queue, None))
        return await asyncio.shield(submitted)

    def wake(self, queue: str) -> None:
        """There may be work in a queue: some pollers look, and one more for each that found something."""
        self._mark(queue, *SLOTS)
        for slot in SLOTS:
            for _ in range(_AT_ONCE):
                self._call(queue, slot)

    def settle(self, ready: Iterable[str], since: int) -> None:
        """What the store holds, asked after `since`: nobody is parked beside it, and no empty queue is remembered."""
        held = set(ready)
        self._maybe = set(_everything(held)) | {one for one in self._maybe if self._changed(one[0]) > since}
        for queue in held & set(self._parked):
            self.wake(queue)

    def _call(self, queue: str, slot: Slot) -> None:
        poller = self._next(queue, slot)
        if poller is not None:
            (leased,) = self._writer.put(poller.lease())
            poller.given.set_result(leased)
            leased.add_done_callback(partial(self._left, queue, slot))

    def _left(self, queue: str, slot: Slot | None, leased: "asyncio.Future[tuple[Offered, ...]]") -> None:
        """A poller was woken. What it left, others must look for, or a job would wait beside them.

        Its session may be over, or take nothing more. Args: `slot`: what it was called for by `wake`; None when it was
        called for one certain job: then nothing left is what it took.
        """
        if leased.cancelled():
            return
        failed = leased.exception() is not None
        found = not failed and bool(leased.result())
        with suppress(RouterProblem):  # going down
            if slot is None and not found:
                self.wake(queue)
            elif slot is not None and (found or failed):
                self._call(queue, slot)

    async def lease(
        self, session: SessionView, free: Mapping[Slot, int], wait: float, gone: Awaitable[Any]
    ) -> tuple[Offered, ...]:
        """Jobs for a session, at once or within `wait` seconds; nothing also when it has orders or `gone` is done.

        Offers that are made to a caller who has gone meanwhile go back at once. Raises RouterProblem.
        """
        until = time.monotonic() + wait
        queues = tuple(queue_of(session.tenant, one) for one in (f"agent:{session.agent}", f"pool:{session.pool}"))
        with self._bell.listening(session_key(session.id)) as told:
            ends = _Ends(asyncio.ensure_future(gone), asyncio.ensure_future(told.wait()))
            try:
                return await self._offered(_Poller(session, free, queues), until, ends)
            finally:
                ends.gone.cancel()
                ends.told.cancel()

    async def _offered(self, asked: _Poller, until: float, ends: _Ends) -> tuple[Offered, ...]:
        looked = asked.looks()
        while True:
            before = [self._changed(queue) for queue in asked.queues]
            if self._maybe & looked:
                (leased,) = self._writer.put(asked.lease())
            else:
                found = await self._park(_Poller(asked.session, asked.free, asked.queues), until, ends)
                if found is None:
                    return ()
                leased = found
            offered = await self._taken(leased, asked.session, ends)
            if offered or ends.any() or time.monotonic() >= until:
                return offered
            if before == [self._changed(queue) for queue in asked.queues]:
                self._maybe -= looked

    async def _park(self, poller: _Poller, until: float, ends: _Ends) -> "asyncio.Future[tuple[Offered, ...]] | None":
        """Wait to be woken; the lease under way, None when the wait is over without one."""
        for queue in poller.queues:
            self._parked[queue][poller] = None
        try:
            left = max(0.0, until - time.monotonic())
            await asyncio.wait({poller.given, ends.gone, ends.told}, timeout=left, return_when="FIRST_COMPLETED")
            return poller.given.result() if poller.given.done() else None
        except asyncio.CancelledError:
            if poller.given.done():
                self._return_later(poller.given.result(), poller.session)
            raise
        finally:
            self._unpark(poller)

    async def _taken(
        self, leased: "asyncio.Future[tuple[Offered, ...]]", session: SessionView, ends: _Ends
    ) -> tuple[Offered, ...]:
        """The offers of a lease under way, unless nobody is there to take them."""
        try:
            offered = await asyncio.shield(leased)
        except asyncio.CancelledError:
            self._return_later(leased, session)
            raise
        if offered and ends.gone.done():
            self._return_later(leased, session)
            return ()
        return offered

    def _return_later(self, leased: "asyncio.Future[tuple[Offered, ...]]", session: SessionView) -> None:
        """Hand back what a poller leased that is gone."""
        leased.add_done_callback(partial(self._hand_back, session))

    def _hand_back(self, session: SessionView, leased: "asyncio.Future[tuple[Offered, ...]]") -> None:
        if leased.cancelled() or leased.exception() is not None or not leased.result():
            return
        agent = AgentId(tenant=session.tenant, name=session.agent)
        try:
            (back,) = self._writer.put(ops.HandBack(agent, tuple(one.lease_id for one in leased.result())))
        except RouterProblem:
            return  # going down: the offers lapse by themselves
        queues = [queue_of(session.tenant, one) for one in (f"agent:{session.agent}", f"pool:{session.pool}")]
        back.add_done_callback(partial(self._wake_all, queues))

    def _wake_all(self, queues: Iterable[str], _: object) -> None:
        for queue in queues:
            self.wake(queue)

    def _next(self, queue: str, slot: Slot) -> _Poller | None:
        """The poller that has waited longest and has this slot free."""
        for poller in self._parked.get(queue, ()):
            if poller.free.get(slot, 0) > 0:
                self._unpark(poller)
                return poller
        return None

    def _unpark(self, poller: _Poller) -> None:
        for queue in poller.queues:
            waiting = self._parked.get(queue)
            if waiting is not None:
                waiting.pop(poller, None)
                if not waiting:
                    del self._parked[queue]

    def _mark(self, queue: str, *slots: Slot) -> None:
        self._maybe.update((queue, slot) for slot in slots)
        self._count += 1
        if len(self._changes) >= _MOST_QUEUES:
            # Forgotten, they all count as changed just now: a look too many, never one too few.
            self._changes.clear()
            self._forgotten = self._count
        self._changes[queue] = self._count

    def _changed(self, queue: str) -> int:
        """When there last was a sign of work in a queue, as a count of all signs."""
        return self._changes.get(queue, self._forgotten)
