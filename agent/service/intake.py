"""Offers -> verified, claimed, performed, or rejected with a reason; first of all those that an earlier run held."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TypeVar

import anyio
from anyio import to_thread
from anyio.abc import TaskGroup

from agent.core import defect
from agent.core.errors import AuditError, Refuse, TransportError
from agent.core.job import Job
from agent.core.lane import LANES, Lane
from agent.core.ports import Offer, Rejection
from agent.service import health
from agent.service.backoff import full_jitter
from agent.service.board import Board
from agent.service.gate import Gate
from agent.service.patience import GivenUpError, Patience
from agent.service.perform import Claim, Performer
from agent.service.reach import Reach
from agent.service.record import Recorder
from agent.service.recovery import Fate, fate, may_rerun
from agent.service.running import Running
from agent.service.verifying import is_held, verified
from agent.service.waiting import Line, Taken, Waiting, offers, taken
from agent.service.wiring import Options, Ports, Site, Step
from agent.spool.ledger import Entry
from agent.wire.signing import job_digest, peek
from agent.wire.trust import TrustStore

MOST_REJECTIONS = 16
"""Rejections that are being filed away at once; beyond it nothing new is picked up."""

_HINT_AGAIN = "Wait for its result."
_SLOWEST_SECONDS = 30.0
_IDLE_SECONDS = 0.05
_LOGGER = logging.getLogger(__name__)

T = TypeVar("T")


class Intake:
    """The intake loop. Every envelope that it takes ends claimed and performed, rejected, or left to the next start."""

    def __init__(
        self,
        *,
        ports: Ports,
        recorder: Recorder,
        patience: Patience,
        board: Board,
        running: Running,
        performer: Performer,
        site: Callable[[], Site],
        options: Options,
        gate: Gate,
        opening: Mapping[str, object],
        looked_back: anyio.Event,
        wake: Callable[[], None],
        ended: Callable[[str], None],
        step: Step,
    ) -> None:
        """Args: `site` gives what jobs run under now; `opening` are the fields of this run's first audit record.

        `looked_back` is set when the carrier has told what an earlier run held; `wake` tells delivery to look; `ended`
        is told the ref of a job that is not under way any more.
        """
        self._ports = ports
        self._recorder = recorder
        self._patience = patience
        self._board = board
        self._running = running
        self._performer = performer
        self._site = site
        self._options = options
        self._gate = gate
        self._opening: Mapping[str, object] | None = opening
        self._looked_back = looked_back
        self._held: Waiting | None = None
        self._left: list[Taken] = []
        self._wake = wake
        self._ended = ended
        self._step = step
        self._stopping = anyio.Event()
        self._waiting: anyio.CancelScope | None = None
        self._filing = 0
        self._reach = Reach(board, ports.clock, options)
        self.finished = anyio.Event()

    def stop(self) -> None:
        """Take nothing more; `finished` is set when all that was taken has ended."""
        self._stopping.set()
        if self._waiting is not None:
            self._waiting.cancel()

    async def run(self) -> None:
        """Decide what an earlier run held, then take what comes, until stopped."""
        try:
            async with anyio.create_task_group() as tasks:
                while not self._stopping.is_set():
                    await self._until_stopped(tasks)
                self._board.say("intake", "stopped, jobs finish")
            self._board.say("intake", "stopped")
        finally:
            self.finished.set()

    async def _until_stopped(self, tasks: TaskGroup) -> None:
        """One turn of the loop and the pause it asks for. A defect is a finding, and the loop goes on."""
        pause = 0.0
        try:
            with anyio.CancelScope() as self._waiting:
                pause = await self._turn(tasks)
        except Exception as error:  # noqa: BLE001 - see above
            defect.report(_LOGGER, "intake", error)
            self._board.find("intake", health.loop_failed("intake", type(error).__name__))
            pause = self._options.retry_seconds
        else:
            self._board.find("intake", None)
        finally:
            self._waiting = None
        with anyio.move_on_after(pause):
            await self._stopping.wait()

    async def _turn(self, tasks: TaskGroup) -> float:
        """Pick up what fits, first what an earlier run held. Seconds to pause before the next turn."""
        if self._held is None:
            return await self._look_back()
        if not await self._announced() or not await self._may_take():
            return self._options.retry_seconds
        while self._left:
            self._held.add(self._left.pop(0))
        free = {lane: self._running.free(lane, 1 if self._slowly() else None) for lane in LANES}
        if (held := self._held.next(free)) is not None:
            self._board.say("intake", f"deciding what is held already ({len(self._held) + 1})")
            self._begin(tasks, held)
            return 0
        # What a lane holds already comes before what it might pick up.
        room = {lane: 0 if lane in self._held.lanes else count for lane, count in free.items()}
        if not any(room.values()):
            self._board.say("intake", f"all slots are taken ({self._running.total})")
            await self._a_slot()
            return 0
        return await self._poll(tasks, room)

    async def _poll(self, tasks: TaskGroup, room: Mapping[Lane, int]) -> float:
        """Pick up new envelopes. What arrives together with the end is the next start's."""
        try:
            found = await offers(self._ports.transport, room, self._running.freed, self._running.asked)
        except TransportError as error:
            return self._reach.not_reached(error)
        self._reach.reached()
        assert self._held is not None
        for offer in (found or ()) if not self._stopping.is_set() else ():
            item = taken(offer, self._new)
            begin = partial(self._begin, tasks) if self._running.free(item.lane) else self._held.add
            begin(item)
        self._board.say("intake", f"{self._running.total} running" if self._running.total else "waiting for jobs")
        if found and self._slowly():
            return full_jitter(self._board.crashes, cap=_SLOWEST_SECONDS)
        return 0 if found or found is None else _IDLE_SECONDS

    async def _look_back(self) -> float:
        """Take over what an earlier run held. Nothing may be settled before: the carrier has to know of it first."""
        self._board.say("intake", "looking for what an earlier run left")
        try:
            self._held = Waiting(taken(offer, self._resume) for offer in await self._ports.transport.recovered())
        except TransportError as error:
            return self._reach.not_reached(error)
        self._reach.readable()
        self._looked_back.set()
        self._wake()
        return 0

    async def _announced(self) -> bool:
        """Whether the start of this run is in the audit log: the proof that it can be written."""
        if self._opening is None:
            return True
        self._board.say("intake", "waiting for the audit log")
        try:
            await self._recorder.append("service.started", **self._opening)
        except AuditError as error:
            self._board.find("audit", health.audit_unwritable(str(error)))
            return False
        self._board.find("audit", None)
        self._opening = None
        return True

    async def _may_take(self) -> bool:
        why = "" if await self._gate.open() else self._gate.why
        if self._filing >= MOST_REJECTIONS:
            why = "taking nothing: rejected files cannot be filed away"
        if not self._board.enrolled:
            why = "waiting to be enrolled: `agent enroll URL --token-file FILE`"
        if why:
            self._board.say("intake", why)
        return not why

    def _slowly(self) -> bool:
        return self._board.crashes >= health.CRASHES_IN_A_ROW

    async def _a_slot(self) -> None:
        """Wait for a free slot, or the end."""
        async with anyio.create_task_group() as either:

            async def first(wait: Callable[[], Awaitable[object]]) -> None:
                await wait()
                either.cancel_scope.cancel()

            either.start_soon(first, self._running.freed)
            either.start_soon(first, self._stopping.wait)

    def _begin(self, tasks: TaskGroup, item: Taken) -> None:
        self._running.take(item.lane)
        tasks.start_soon(self._handle, item.lane, item.offer, item.line)

    async def _handle(self, lane: Lane, offer: Offer, line: Line) -> None:
        """One envelope to its end. A rejection gives its slot back before it is filed away."""
        refuse: Refuse | None = None
        try:
            with self._running.slot(lane):
                try:
                    await line(offer)
                except Refuse as refused:
                    refuse = refused
            if refuse is not None:
                await self._reject(offer, refuse)
        except GivenUpError as error:
            _LOGGER.warning("%s is left to the next start: %s failed until the end", offer.ref, error)
        except Exception as error:  # noqa: BLE001 - a defect met by one envelope must not end the others
            defect.report(_LOGGER, f"{offer.ref} is left to the next start", error)
            self._board.find(f"held.{offer.ref}", health.job_held(type(error).__name__))

    async def _new(self, offer: Offer) -> None:
        """An envelope that was never claimed here. Raises Refuse."""
        self._step("offered")
        trust, site, now = await self._trust(), self._site(), self._ports.clock.now()
        job = verified(offer, trust, site, now)
        self._step("verified")
        with self._running.only(job.id, offer.ref) as fresh:
            # Its first offer may have lapsed while the carrier did not answer: it was not handed in twice.
            deciding = not fresh and self._running.known_as(job.id) == offer.ref
            entry = await self._ledger(partial(self._ports.ledger.entry, job.id))
            if is_held(entry, offer, running=not fresh) if entry is not None else deciding:
                _LOGGER.warning("%s was offered again while it is held", offer.ref)
                return
            if not fresh:
                raise Refuse("envelope.replayed", "The job was handed in before and is running.", _HINT_AGAIN)
            if await self._begun(job, offer):
                await self._claim_and_run(job, offer, trust, site)

    async def _begun(self, job: Job, offer: Offer) -> bool:
        """Whether the carrier agrees that the job starts here. One that does not answer is asked again until the end.

        It may have agreed although its answer was lost: then it waits for a result, and nobody else runs the job.
        """
        while True:
            try:
                begun = await self._ports.transport.begin(offer.ref)
            except TransportError as error:
                self._board.find(f"begin.{offer.ref}", health.transport_failing(str(error)))
                if self._stopping.is_set():
                    return False
                with anyio.move_on_after(max(self._options.retry_seconds, error.retry_after or 0.0)):
                    await self._stopping.wait()
                continue
            finally:
                self._board.find(f"begin.{offer.ref}", None)
            if begun:
                self._running.revive(job.id)
            else:
                _LOGGER.info("%s is not this agent's any more", offer.ref)
            return begun

    async def _claim_and_run(self, job: Job, offer: Offer, trust: TrustStore, site: Site) -> None:
        now = self._ports.clock.now()
        claim = partial(
            self._ports.ledger.claim,
            job.id,
            job.digest,
            idempotent=job.idempotent,
            max_attempts=job.max_attempts,
            ref=offer.ref,
            expires=job.expires,
            result_until=job.result_until,
            now=now,
        )
        attempt = await self._ledger(claim)
        self._step("claimed")
        await self._perform(self._claimed(job, offer, attempt=attempt, now=now, trust=trust, site=site))
        ended = self._running.ended(job.id) and not self._stopping.is_set()
        if ended and await to_thread.run_sync(self._ports.spool.find, job.id) is None:
            # The carrier may not have noticed what this agent took for a loss: it is asked, and then all is known.
            self._left.append(taken(offer, self._resume))

    def _claimed(self, job: Job, offer: Offer, *, attempt: int, now: float, trust: TrustStore, site: Site) -> Claim:
        return Claim(
            job=job,
            envelope=offer.envelope,
            ref=offer.ref,
            attempt=attempt,
            now=now,
            trust=trust.reduced(job.kid),
            site=site,
            isolation=self._gate.isolation,
        )

    async def _perform(self, claim: Claim) -> None:
        """Run the claim; a defect in doing so becomes a stated failure, unless a result is there already."""
        try:
            await self._performer.run(claim)
        except GivenUpError:
            raise
        except Exception as error:  # noqa: BLE001 - see above
            defect.report(_LOGGER, f"job {claim.job.id}", error)
            if await to_thread.run_sync(self._ports.spool.find, claim.job.id) is None:
                await self._performer.fail(claim, "internal.error")
        finally:
            self._ended(claim.ref)

    async def _resume(self, offer: Offer) -> None:
        """An envelope that an earlier run held. Raises Refuse."""
        job_id = peek(offer.envelope)
        entry = None if job_id is None else await self._ledger(partial(self._ports.ledger.entry, job_id))
        result = None
        if entry is not None:
            find = partial(self._ports.spool.find, entry.job_id)
            result = await self._patience.until(lambda: to_thread.run_sync(find), "spool", health.spool_unwritable)
        match fate(offer.ref, job_digest(offer.envelope), entry, has_result=result is not None), entry:
            case Fate.RESUME, Entry():
                await self._again(offer, entry)
            case Fate.DUPLICATE, _:
                raise Refuse("envelope.replayed", "The job was handed in before.", _HINT_AGAIN)
            case Fate.SETTLE, _:
                settle = partial(self._ports.transport.settle, offer.ref)
                await self._patience.until(settle, "filing", health.unsettled)
            case Fate.DELIVER, _:
                self._wake()
            case _:
                await self._new(offer)

    async def _again(self, offer: Offer, entry: Entry) -> None:
        """A job whose attempt broke off. That it was in time was decided when it was claimed; trust is asked anew."""
        trust, site = await self._trust(), self._site()
        try:
            job = verified(offer, trust, site, entry.changed)
        except Refuse as refuse:
            await self._reject(offer, refuse)
            await self._ledger(partial(self._ports.ledger.failed, entry.job_id, self._ports.clock.now()))
            return
        with self._running.only(job.id):
            if may_rerun(job, entry.attempts, self._ports.clock.now()):
                if await self._begun(job, offer):
                    await self._claim_and_run(job, offer, trust, site)
                return
            claim = self._claimed(job, offer, attempt=entry.attempts, now=entry.changed, trust=trust, site=site)
            await self._performer.fail(claim, "job.interrupted")

    async def _reject(self, offer: Offer, refuse: Refuse) -> None:
        """Record, then keep the bytes with the reason. Repeated until it holds, without a slot."""
        self._board.ended(refuse.code, self._ports.clock.now())
        self._filing += 1
        try:
            job_id = peek(offer.envelope)
            write = partial(
                self._recorder.append,
                "job.rejected",
                ref=offer.ref,
                job=job_id,
                digest=job_digest(offer.envelope),
                code=refuse.code,
            )
            await self._patience.until(write, "audit", health.audit_unwritable)
            reject = partial(
                self._ports.transport.reject, offer.ref, Rejection(refuse.code, refuse.message, refuse.hint)
            )
            await self._patience.until(reject, "filing", health.unsettled)
            await self._ledger(partial(self._ports.ledger.rejected, refuse.code, self._ports.clock.now()))
            _LOGGER.info("%s rejected: %s", offer.ref, refuse.code)
        finally:
            self._filing -= 1

    async def _trust(self) -> TrustStore:
        async def read() -> TrustStore:
            return self._ports.trust()

        file = self._options.trust_file
        return await self._patience.until(read, "trust", lambda problem: health.trust_unreadable(file, problem))

    async def _ledger(self, call: Callable[[], T]) -> T:
        return await self._patience.until(lambda: to_thread.run_sync(call), "ledger", health.spool_unwritable)
