"""A task, here and now -> its sealed and signed result: the line of the service without a transport, for operators."""

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import anyio
from anyio import to_thread

from agent.core.codes import CODES
from agent.core.errors import AgentError, ConfigError
from agent.core.job import Job
from agent.core.outcome import Failed, Report
from agent.core.ports import Clock
from agent.service import record
from agent.service.catalogs import Catalogs
from agent.service.perform import Claim, checked, expected_of, order_of, terms_of
from agent.service.record import Log, Recorder
from agent.service.sandboxes import Held, Sandboxes
from agent.service.wiring import Site, WorkerLauncher
from agent.wire import sealing
from agent.wire.ids import new_ulid
from agent.wire.keys import SigningKey
from agent.wire.sealing import SealContext
from agent.wire.signing import sign_manifest, verify
from agent.wire.trust import TrustStore


@dataclass(frozen=True, slots=True)
class LocalResult:
    """A signed manifest and the open file of its framed parts, which has no name and vanishes with its last user."""

    manifest: bytes
    parts: BinaryIO


class LocalLine:
    """Runs one envelope after the other: verified, audited, worked, checked, signed, as in the service."""

    def __init__(
        self,
        *,
        launcher: WorkerLauncher,
        site: Site,
        trust: Callable[[], TrustStore],
        open_log: Callable[[], Log],
        result_key: SigningKey,
        scratch: Path,
        clock: Clock,
        reveal: bool = False,
        survey: int | None = None,
        sandboxes: Sandboxes | None = None,
        python: bool = False,
    ) -> None:
        """Args: `scratch` is a folder for nameless files of sealed parts. `reveal` adds the text that ran.

        `survey` describes the source instead of running the task, from so many rows of each table; see `Order`.
        `python` starts the sandbox server beside the warm one; else the first Python job does.
        """
        self._sandboxes = sandboxes or Sandboxes(lambda: site.python, clock)
        self._python = python
        self._launcher, self._site, self._trust = launcher, site, trust
        self._recorder = Recorder(open_log)
        self._result_key, self._scratch, self._clock, self._reveal = result_key, scratch, clock, reveal
        self._catalogs, self._survey = Catalogs(clock), survey

    async def __aenter__(self) -> Self:
        """Start the warm server. Raises AgentError."""
        try:
            await self._start()
        except BaseException:
            await self.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the server and let go of the log, also when interrupted."""
        await self.aclose()

    async def _start(self) -> None:
        if not self._python:
            await self._launcher.start()
            return
        failure: AgentError | None = None
        async with anyio.create_task_group() as both:
            both.start_soon(self._sandboxes.start)
            try:
                await self._launcher.start()
            except AgentError as error:  # alone, not as a group
                failure = error
                both.cancel_scope.cancel()
        if failure is not None:
            raise failure

    async def aclose(self) -> None:
        """End the server, and what runs at a source, and let go of the log. Bounded."""
        with anyio.CancelScope(shield=True):
            await self._launcher.aclose()
            await self._sandboxes.aclose()
            await self._recorder.aclose()

    async def run(self, envelope: bytes) -> LocalResult:
        """Raises Refuse for an envelope that does not verify, AuditError when it cannot be logged: then nothing ran."""
        trust, now = self._trust(), self._clock.now()
        job = verify(envelope, trust, self._site.me, now)
        claim = Claim(
            job=job,
            envelope=envelope,
            ref="exec",
            attempt=1,
            now=now,
            trust=trust.reduced(job.kid),
            site=self._site,
            isolation=self._launcher.isolation,
        )
        async with self._sandboxes.held(job.task.kind, self._site.python) as held:
            return await self._run(replace(claim, isolation=claim.isolation + held.isolation), held)

    async def _run(self, claim: Claim, held: Held) -> LocalResult:
        begun = self._clock.monotonic()
        surveyed = {} if self._survey is None else {"survey_rows": self._survey}
        await self._recorder.append("job.started", **record.asked(claim.job), **terms_of(claim), **surveyed)
        parts = await to_thread.run_sync(self._nameless)
        try:
            report = self._failed(claim, parts, held.code) if held.code else await self._work(claim, parts, held)
            seconds = self._clock.monotonic() - begun
            head = await self._recorder.append("job.ended", **record.ended(report.parcel, report.facts, seconds))
        except BaseException:
            parts.close()
            raise
        manifest = sealing.manifest(report.parcel, audit_seq=head.seq, audit_hash=head.hash)
        parts.seek(0)
        return LocalResult(sign_manifest(manifest, self._result_key), parts)

    async def _work(self, claim: Claim, parts: BinaryIO, held: Held) -> Report:
        result_id = new_ulid(self._clock.now())
        try:
            order = await to_thread.run_sync(
                partial(order_of, claim, result_id, reveal=self._reveal, survey=self._survey)
            )
        except ConfigError:
            return self._failed(claim, parts, "source.unavailable")
        ttl, begun = claim.site.catalog_ttl_seconds, self._clock.monotonic()
        order = self._catalogs.lend(order, ttl)
        ended = await self._launcher.work(order, order.limits, parts.fileno(), held.requests)
        self._catalogs.keep(order, ended, begun=begun, ttl_seconds=ttl)
        report = await to_thread.run_sync(checked, ended, parts, expected_of(claim, order))
        return self._failed(claim, parts, report) if isinstance(report, str) else report

    def _failed(self, claim: Claim, parts: BinaryIO, code: str) -> Report:
        parts.seek(0)
        parts.truncate()
        known = CODES[code]
        context = _context(claim.job, claim, new_ulid(self._clock.now()))
        return Report(
            sealing.seal(Failed(code, known.meaning, known.remedy), context=context, sink=parts),
            record.unrun(claim.job),
        )

    def _nameless(self) -> BinaryIO:
        self._scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = tempfile.TemporaryFile(dir=self._scratch, buffering=0)  # noqa: SIM115 - the caller closes it
        os.fchmod(file.fileno(), 0o600)
        return file


def _context(job: Job, claim: Claim, result_id: str) -> SealContext:
    return SealContext(
        job_id=job.id,
        job_digest=job.digest,
        result_id=result_id,
        attempt=claim.attempt,
        policy_version=claim.site.policy_version,
        policy_sha256=claim.site.policy_sha256,
        isolation=claim.isolation,
        recipient=claim.trust.recipient(job.reply_to),
    )
