"""Spool -> carrier, oldest first, until each result is delivered or its time is over; a failing one blocks none."""

import logging
from dataclasses import dataclass
from functools import partial

import anyio
from anyio import to_thread
from anyio.abc import TaskGroup

from agent.core import defect
from agent.core.errors import AgentError, AuditError, SpoolError, TransportError
from agent.core.ports import Sealed
from agent.service import health
from agent.service.backoff import full_jitter
from agent.service.board import Board
from agent.service.clock import ClockWatch
from agent.service.record import Recorder
from agent.service.wiring import Ports, Step
from agent.spool.ledger import Entry
from agent.wire.signing import verify_manifest

AT_ONCE = 4
"""Results under way at the same time, so that one that hangs holds up no other."""

IDLE_SECONDS = 30.0
_LOGGER = logging.getLogger(__name__)


@dataclass(slots=True)
class _Tries:
    """Failures in a row of one result, and when (monotonic seconds) it is tried next."""

    failures: int = 0
    due: float = 0.0
    problem: str = ""


class Deliver:
    """The delivery loop. What is to be done is read from spool and ledger each time: a restart changes nothing."""

    def __init__(
        self,
        *,
        ports: Ports,
        recorder: Recorder,
        board: Board,
        watch: ClockWatch,
        ready: anyio.Event,
        cap_seconds: float,
        step: Step,
    ) -> None:
        """Args: `watch` says whether the clock may be believed; `cap_seconds` bounds the backoff.

        Nothing is delivered before `ready`: the carrier has to know what it holds before it is told to settle it.
        """
        self._ports = ports
        self._recorder = recorder
        self._board = board
        self._watch = watch
        self._ready = ready
        self._cap_seconds = cap_seconds
        self._step = step
        self._tries: dict[str, _Tries] = {}
        self._under_way: set[str] = set()
        self._changed = anyio.Event()
        self._closing = False
        self.finished = anyio.Event()

    def wake(self) -> None:
        """There is something to deliver, or something ended."""
        self._changed.set()

    def close(self) -> None:
        """Begin nothing new: `run` returns when what is under way has ended."""
        self._closing = True
        self.wake()

    async def run(self) -> None:
        """Deliver until closed; `finished` is set then."""
        try:
            async with anyio.create_task_group() as tasks:
                while not self._closing:
                    self._changed = anyio.Event()
                    wait = await self._turn(tasks) if self._ready.is_set() else IDLE_SECONDS
                    with anyio.move_on_after(wait):
                        await self._changed.wait()
        finally:
            self._board.say("deliver", "stopped")
            self.finished.set()

    async def flush(self) -> None:
        """One more try for everything that waits, one after the other, whatever was tried before."""
        for sealed in await self._pending() if self._ready.is_set() else ():
            await self._deliver(sealed)

    async def _turn(self, tasks: TaskGroup) -> float:
        """Seconds until the next one. A defect is a finding, and the loop goes on."""
        try:
            wait = await self._begin_due(tasks)
        except Exception as error:  # noqa: BLE001 - see above
            defect.report(_LOGGER, "deliver", error)
            self._board.find("loop.deliver", health.loop_failed("deliver", type(error).__name__))
            return self._cap_seconds
        self._board.find("loop.deliver", None)
        return wait

    async def _begin_due(self, tasks: TaskGroup) -> float:
        """Begin what is due, as far as there is room; seconds until something else may be."""
        pending = await self._pending()
        waiting = {sealed.result_id for sealed in pending}
        self._tries = {key: tries for key, tries in self._tries.items() if key in waiting}
        now, wait = self._ports.clock.monotonic(), IDLE_SECONDS
        for sealed in pending:
            due = self._tries.get(sealed.result_id, _Tries()).due
            if sealed.result_id in self._under_way:
                continue
            if due > now:
                wait = min(wait, due - now)
            elif len(self._under_way) < AT_ONCE:
                self._under_way.add(sealed.result_id)
                tasks.start_soon(self._one, sealed)
        self._tell(len(pending))
        return wait

    async def _pending(self) -> tuple[Sealed, ...]:
        try:
            pending = await to_thread.run_sync(self._ports.spool.pending)
        except SpoolError as error:
            self._board.find("spool.read", health.spool_unwritable(str(error)))
            return ()
        self._board.find("spool.read", None)
        return pending

    async def _one(self, sealed: Sealed) -> None:
        try:
            await self._deliver(sealed)
        finally:
            self._under_way.discard(sealed.result_id)
            self.wake()

    async def _deliver(self, sealed: Sealed) -> None:
        """One try. Failures are kept for the next."""
        try:
            await self._hand_over(sealed)
        except TransportError as error:
            self._failed(sealed, str(error), after=error.retry_after or 0.0)
        except AgentError as error:
            self._failed(sealed, str(error))
        except Exception as error:  # noqa: BLE001 - a defect met by one result must not end the others
            defect.report(_LOGGER, f"result {sealed.result_id} could not be delivered", error)
            self._failed(sealed, f"a defect of the agent, {type(error).__name__}")
        else:
            self._tries.pop(sealed.result_id, None)
            self._tell(None)

    async def _hand_over(self, sealed: Sealed) -> None:
        ports = self._ports
        entry = await to_thread.run_sync(ports.ledger.entry, sealed.job_id)
        if entry is None or entry.state in {"claimed", "sealed"}:
            if self._too_late(sealed):
                await self._drop(sealed)
            else:
                await self._send(sealed, entry)
        if entry is not None:
            await ports.transport.settle(entry.ref)
            self._step("settled")
        await to_thread.run_sync(ports.spool.drop, sealed.result_id)

    async def _send(self, sealed: Sealed, entry: Entry | None) -> None:
        ports = self._ports
        if entry is not None and entry.state == "claimed":
            # The run that committed it ended before it could tell the ledger.
            await to_thread.run_sync(self._mark_sealed, sealed)
        await ports.transport.deliver(sealed)
        self._board.contact.ok_at = ports.clock.now()
        self._step("delivered")
        await to_thread.run_sync(ports.ledger.delivered, sealed.job_id, ports.clock.now())
        _LOGGER.info("job %s: result delivered", sealed.job_id)

    def _mark_sealed(self, sealed: Sealed) -> None:
        key = self._ports.result_key.public()
        outcome = verify_manifest(sealed.manifest, {key.kid: key}).outcome
        self._ports.ledger.sealed(sealed.job_id, sealed.result_id, outcome, self._ports.clock.now())

    def _too_late(self, sealed: Sealed) -> bool:
        return self._ports.clock.now() > sealed.result_until and self._watch.trusted()

    async def _drop(self, sealed: Sealed) -> None:
        """Give a result up, with a record of it. The record comes first: without it nothing is dropped."""
        try:
            await self._recorder.append(
                "result.dropped", job=sealed.job_id, result=sealed.result_id, result_until=int(sealed.result_until)
            )
        except AuditError as error:
            self._board.find("audit", health.audit_unwritable(str(error)))
            raise
        self._board.find("audit", None)
        await to_thread.run_sync(partial(self._ports.ledger.failed, sealed.job_id, self._ports.clock.now()))
        self._board.dropped += 1
        self._board.find("dropped", health.dropped(self._board.dropped))
        _LOGGER.warning("job %s: result dropped, its result_until has passed", sealed.job_id)

    def _failed(self, sealed: Sealed, problem: str, *, after: float = 0.0) -> None:
        """Args: `after` is how many seconds the far side wants to be left alone."""
        tries = self._tries.setdefault(sealed.result_id, _Tries())
        tries.failures += 1
        pause = max(after, full_jitter(tries.failures, cap=self._cap_seconds))
        tries.due = self._ports.clock.monotonic() + pause
        tries.problem = problem
        self._tell(None)

    def _tell(self, pending: int | None) -> None:
        failing = [tries.problem for tries in self._tries.values() if tries.failures]
        self._board.find("deliver", health.undelivered(len(failing), failing[-1]) if failing else None)
        if pending is not None:
            self._board.say("deliver", f"{pending} waiting, {len(failing)} failing" if pending else "nothing waits")
