"""A claimed job -> its result, committed to the spool: started, worked, checked, ended, signed; never in plaintext."""

import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import BinaryIO

import anyio
from anyio import to_thread

from agent.core import defect
from agent.core.codes import CODES
from agent.core.errors import ConfigError, SpoolError
from agent.core.job import Job
from agent.core.order import Order
from agent.core.outcome import Failed, Parcel, Report
from agent.core.ports import Ended
from agent.service import checks, health, record
from agent.service.board import Board, SourceSeen
from agent.service.catalogs import Catalogs
from agent.service.patience import Patience
from agent.service.record import Head, Recorder
from agent.service.recovery import may_rerun
from agent.service.running import Running
from agent.service.sandboxes import Held, Sandboxes
from agent.service.wiring import Ports, Progress, Site, Step, no_progress
from agent.wire import sealing
from agent.wire.ids import new_ulid
from agent.wire.sealing import SealContext
from agent.wire.signing import sign_manifest
from agent.wire.trust import TrustStore

LATE_SECONDS = 30.0
"""How long after its wall limit a worker is waited for, should the launcher not report its end."""

_SOURCE_REACHED = frozenset({"ok", "source.binding", "source.error"})
_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A verified job with a durable claim, and what it runs under. `now`: Unix seconds of the claim."""

    job: Job
    envelope: bytes
    ref: str
    attempt: int
    now: float
    trust: TrustStore
    site: Site
    isolation: str


class Performer:
    """Takes one claim after the other to its end. All writes are repeated until they hold."""

    def __init__(
        self,
        *,
        ports: Ports,
        recorder: Recorder,
        patience: Patience,
        board: Board,
        running: Running,
        sandboxes: Sandboxes,
        wake: Callable[[], None],
        step: Step,
        progress: Progress = no_progress,
    ) -> None:
        """Args: `wake` tells delivery of a new result; `step` is named after each durable step.

        `progress` is told how far each job is.
        """
        self._progress = progress
        self._sandboxes = sandboxes
        self._ports = ports
        self._recorder = recorder
        self._patience = patience
        self._board = board
        self._running = running
        self._wake = wake
        self._step = step
        self._catalogs = Catalogs(ports.clock)

    async def run(self, claim: Claim) -> None:
        """Run the job. Afterwards its result is committed, or it was killed and may run again at the next start.

        Raises GivenUpError when the service ends before a write held; the next start decides the job.
        """
        async with AsyncExitStack() as stack:
            held = Held(code="job.interrupted")  # stays so when it is killed while it waits
            with self._running.killable(claim.job.id):
                sandbox = self._sandboxes.held(claim.job.task.kind, claim.site.python)
                held = await stack.enter_async_context(sandbox)
            if held.code == "job.interrupted":
                held = Held(code=self._running.why(claim.job.id))
            await self._run(replace(claim, isolation=claim.isolation + held.isolation), held)

    async def _run(self, claim: Claim, held: Held) -> None:
        begun = self._ports.clock.monotonic()
        self._progress(claim.ref, "starting")
        await self._record("job.started", **record.asked(claim.job), **terms_of(claim))
        self._step("started")
        report = held.code or await self._work(claim, held.requests)
        if isinstance(report, str) and self._again_later(claim, report):
            await self._record("job.interrupted", job=claim.job.id, attempt=claim.attempt, rerun=True)
            return
        if isinstance(report, str):
            report = await self._failed(claim, report)
        self._step("sealed")
        await self._finish(claim, report, self._ports.clock.monotonic() - begun)

    async def fail(self, claim: Claim, code: str) -> None:
        """Commit a stated failure for a job that cannot run. Raises GivenUpError."""
        report = await self._failed(claim, code)
        self._step("sealed")
        await self._finish(claim, report, 0.0)

    def _again_later(self, claim: Claim, code: str) -> bool:
        now = self._ports.clock.now()
        return code == "job.interrupted" and may_rerun(claim.job, claim.attempt, now)

    async def _work(self, claim: Claim, sandbox: int | None) -> Report | str:
        """The worker's report, checked; else the code of the failure that has to be stated."""
        try:
            result_id = new_ulid(self._ports.clock.now())
            order = await to_thread.run_sync(order_of, claim, result_id)
            order = self._catalogs.lend(order, claim.site.catalog_ttl_seconds)
        except ConfigError as error:
            self._board.find("source", health.source_unresolved(str(error)))
            return "source.unavailable"
        self._board.find("source", None)
        file = await self._patience.until(
            lambda: to_thread.run_sync(self._ports.spool.create, result_id), "spool", health.spool_unwritable
        )
        try:
            begun = self._ports.clock.monotonic()
            self._progress(claim.ref, "running")
            ended = await self._launch(claim, order, file, sandbox)
            self._progress(claim.ref, "sealing", _rows(ended))
            self._catalogs.keep(order, ended, begun=begun, ttl_seconds=claim.site.catalog_ttl_seconds)
            self._note(claim, ended)
            report = await to_thread.run_sync(checked, ended, file, expected_of(claim, order))
        finally:
            await to_thread.run_sync(_close, file)
        if isinstance(report, str):
            await self._discard(result_id)
        return report

    async def _launch(self, claim: Claim, order: Order, file: BinaryIO, sandbox: int | None) -> Ended:
        late = order.limits.wall_seconds + LATE_SECONDS
        with self._running.killable(claim.job.id) as scope, anyio.move_on_after(late):
            try:
                return await self._ports.launcher.work(order, order.limits, file.fileno(), sandbox)
            except Exception as error:  # noqa: BLE001 - a launcher's defect ends one job, not the service
                defect.report(_LOGGER, "launcher", error)
                return Ended("worker.crashed", None)
        return Ended(self._running.why(claim.job.id) if scope.cancel_called else "worker.crashed", None)

    def _note(self, claim: Claim, ended: Ended) -> None:
        code = ended.report.parcel.code if ended.report else ended.code
        if code != "job.interrupted":
            self._board.crashes = self._board.crashes + 1 if code == "worker.crashed" else 0
        crashing = self._board.crashes >= health.CRASHES_IN_A_ROW
        self._board.find("workers", health.workers_dying(self._board.crashes) if crashing else None)
        if code in _SOURCE_REACHED or code == "source.unavailable":
            seconds = ended.report.facts.engine_seconds if ended.report else None
            seen = SourceSeen(code != "source.unavailable", self._ports.clock.now(), seconds)
            names = claim.job.task.sources
            if seen.ok or len(names) == 1:  # of several, one is not to be reached: nobody says which
                self._board.sources.update(dict.fromkeys(names, seen))

    async def _failed(self, claim: Claim, code: str) -> Report:
        parcel = await self._patience.until(
            lambda: to_thread.run_sync(self._seal_failed, claim, code), "spool", health.spool_unwritable
        )
        return Report(parcel, record.unrun(claim.job))

    def _seal_failed(self, claim: Claim, code: str) -> Parcel:
        """Seal a failure in the worker's stead: that needs public keys only. Raises SpoolError."""
        spool, known = self._ports.spool, CODES[code]
        result_id = new_ulid(self._ports.clock.now())
        context = SealContext(
            job_id=claim.job.id,
            job_digest=claim.job.digest,
            result_id=result_id,
            attempt=claim.attempt,
            policy_version=claim.site.policy_version,
            policy_sha256=claim.site.policy_sha256,
            isolation=claim.isolation,
            recipient=claim.trust.recipient(claim.job.reply_to),
        )
        try:
            with spool.create(result_id) as file:
                return sealing.seal(Failed(code, known.meaning, known.remedy), context=context, sink=file)
        except OSError as error:
            spool.discard(result_id)
            raise SpoolError(f"a sealed failure cannot be written: {error.strerror}") from None

    async def _finish(self, claim: Claim, report: Report, seconds: float) -> None:
        """Ended, signed, committed: a result leaves the spool only after its end is in the audit log."""
        parcel, ports = report.parcel, self._ports
        self._board.ended(parcel.code, ports.clock.now())
        head = await self._record("job.ended", **record.ended(parcel, report.facts, seconds))
        self._step("ended")
        manifest = sealing.manifest(parcel, audit_seq=head.seq, audit_hash=head.hash)
        signed = sign_manifest(manifest, ports.result_key)
        self._step("signed")
        commit = partial(ports.spool.commit, parcel.result_id, parcel.job_id, signed, claim.job.result_until)
        await self._patience.until(lambda: to_thread.run_sync(commit), "spool", health.spool_unwritable)
        mark = partial(ports.ledger.sealed, parcel.job_id, parcel.result_id, parcel.outcome, ports.clock.now())
        await self._patience.until(lambda: to_thread.run_sync(mark), "ledger", health.spool_unwritable)
        self._step("committed")
        self._progress(claim.ref, "delivering")
        _LOGGER.info("job %s attempt %d: %s %s in %.1f s", *_line(parcel), seconds)
        self._wake()

    async def _record(self, event: str, **fields: object) -> Head:
        return await self._patience.until(
            lambda: self._recorder.append(event, **fields), "audit", health.audit_unwritable
        )

    async def _discard(self, result_id: str) -> None:
        try:
            await to_thread.run_sync(self._ports.spool.discard, result_id)
        except SpoolError:  # swept at the next start
            _LOGGER.warning("parts %s could not be discarded", result_id)


def order_of(claim: Claim, result_id: str, *, reveal: bool = False, survey: int | None = None) -> Order:
    """Everything the worker gets. Secrets are resolved here, late. Raises ConfigError.

    `reveal` and `survey` are the local line's to set; the service never does.
    """
    site = claim.site
    return Order(
        envelope=claim.envelope,
        trust=claim.trust.dump(),
        me=site.me,
        now=claim.now,
        attempt=claim.attempt,
        result_id=result_id,
        policy=site.policy,
        policy_sha256=site.policy_sha256,
        token_key=site.token_key(),
        token_previous=site.token_previous(),
        sources={name: site.source(name) for name in claim.job.task.sources},
        limits=site.limits.clamped(claim.job.limits),
        isolation=claim.isolation,
        python=None if site.python is None else site.python.terms,
        reveal=reveal,
        survey=survey,
    )


def expected_of(claim: Claim, order: Order) -> checks.Expected:
    """What a worker's report on this order has to say."""
    return checks.Expected(
        job_id=claim.job.id,
        job_digest=claim.job.digest,
        result_id=order.result_id,
        attempt=claim.attempt,
        recipient=claim.job.reply_to,
        policy_version=claim.site.policy_version,
        policy_sha256=claim.site.policy_sha256,
        isolation=claim.isolation,
        max_bytes=sealing.max_sealed_bytes(order.limits.bytes),
    )


def checked(ended: Ended, file: BinaryIO, expected: checks.Expected) -> Report | str:
    """The worker's report when it is true of the parts in `file`, else the code of the failure to be stated."""
    if ended.code != "ok" or ended.report is None:
        return ended.code if ended.code in CODES and ended.code != "ok" else "worker.crashed"
    try:
        checks.check(ended.report.parcel, file, expected)
    except checks.UntrueError as error:
        _LOGGER.warning("job %s: the worker's report is untrue (%s); not signed", expected.job_id, error.what)
        return "limit.bytes" if error.what == "size" else "internal.error"
    except OSError:
        return "spool.full"
    return ended.report


def _close(file: BinaryIO) -> None:
    try:
        file.close()
    except OSError:  # only reads went through this object: nothing is lost
        _LOGGER.warning("a parts file did not close cleanly")


def terms_of(claim: Claim) -> dict[str, object]:
    """What the job runs under, for its first audit record."""
    return {
        "attempt": claim.attempt,
        "policy_version": claim.site.policy_version,
        "policy_sha256": claim.site.policy_sha256,
        "isolation": claim.isolation,
        **_python_terms(claim),
    }


def _python_terms(claim: Claim) -> dict[str, object]:
    """What a program may import, and what had to hold of its sandbox."""
    python = claim.site.python
    if python is None or claim.job.task.kind != "python":
        return {}
    imports = python.terms.imports
    return {"min_tier": python.min_tier, "imports": "default" if imports is None else sorted(imports)}


def _rows(ended: Ended) -> str | None:
    """How many rows a result has, to the decade; None where there are none to count."""
    count = None if ended.report is None else ended.report.facts.rows
    if count is None:
        return None
    return "0" if count == 0 else "<10" if count < 10 else str(10 ** (len(str(count)) - 1))  # noqa: PLR2004


def _line(parcel: Parcel) -> tuple[str, int, str, str]:
    return parcel.job_id, parcel.attempt, parcel.outcome, parcel.code
