"""The calls of submitters: signed jobs in, sealed results out."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from fastapi import Request
from fastapi.responses import Response, StreamingResponse
from pydantic import ValidationError

from agent.wire import jws, strictjson
from agent.wire.container import MAGIC
from agent.wire.keys import decode_base64url
from agent.wire.models import JobModel
from agent.wire.signing import JOB_TYPE, MAX_ENVELOPE_BYTES, job_digest
from agent.wire.tasks import MAX_PAYLOAD_BYTES
from router.ca.names import SubmitterId
from router.core import ops
from router.core.agents import SILENT_SECONDS, TokenView
from router.core.jobs import ENDED, JobView, NewJob, State
from router.core.problem import RouterProblem
from router.server.calls import admitting, body, media
from router.server.enroll import certified, token_hash
from router.server.messages import JOSE, MRES
from router.server.protocol import PEER
from router.server.schemas import Agent, Job, Jobs, Pool, job_of
from router.service.bell import job_key
from router.service.hub import Hub
from router.store.port import JobFilter

_FOREVER: Final = 2.0**53


def peeked(envelope: bytes, submitter: str) -> NewJob:
    """What an envelope says of itself. Nothing of it is verified here: the agent does that, against its own trust.

    Raises RouterProblem(request.malformed).
    """
    try:
        kid = jws.kid_of(envelope, JOB_TYPE, MAX_PAYLOAD_BYTES)
        payload = decode_base64url(jws.split(envelope, MAX_PAYLOAD_BYTES)[1].decode("ascii"))
        model = JobModel.model_validate(strictjson.loads(payload, MAX_PAYLOAD_BYTES))
    except (ValueError, ValidationError):
        raise RouterProblem("request.malformed", "The body is not a signed job.") from None
    return NewJob(
        id=model.id,
        tenant=model.tenant,
        audience=model.audience,
        digest=job_digest(envelope),
        kid=kid,
        kind=model.task.kind,
        priority=model.priority,
        idempotent=model.idempotent,
        max_attempts=model.max_attempts,
        not_before=model.not_before,
        expires=model.expires,
        result_until=model.result_until,
        envelope=envelope,
        submitter=submitter,
    )


class SubmitterCalls:
    """All of them over one hub."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def caller(self, request: Request) -> TokenView:
        """The record behind `Authorization: Bearer`, or behind a submitter's certificate.

        Raises RouterProblem(auth.missing | auth.invalid | quota.rate).
        """
        with admitting(request, self._hub):
            found = self._recorded(request)
            if found is None or found.kind != "submit" or (found.expires or _FOREVER) < self._hub.now():
                raise RouterProblem("auth.invalid")
        self._hub.pace.take(found.id, self._hub.terms.quota(found.tenant).calls_per_second)
        return found

    def _recorded(self, request: Request) -> TokenView | None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token:
            return self._hub.store.token(token_hash(token))
        if scheme or request.scope.get(PEER) is None:
            raise RouterProblem("auth.missing")
        return self._hub.store.token(self._certified(request))

    def _certified(self, request: Request) -> str:
        """Under which key a submitter's certificate is recorded."""
        who = self._hub.trust.who(request.scope.get(PEER), self._hub.now())
        if not isinstance(who, SubmitterId):
            raise RouterProblem("auth.scope", "The call is for submitters.")
        return certified(who, self._hub.authority.domain)

    async def submit(self, request: Request, caller: TokenView) -> Job:
        """Queue one signed job. The same envelope again answers with the job as it stands."""
        media(request, JOSE)
        job = peeked(await body(request, MAX_ENVELOPE_BYTES), caller.id)
        if job.tenant != caller.tenant or not _allowed(caller, job.audience):
            raise RouterProblem("auth.scope", "The token is for another tenant or pool than the job.")
        quota = self._hub.terms.quota(job.tenant)
        return job_of(await self._hub.parking.submit(ops.Submit(job, quota.open_jobs, quota.stored_bytes)))

    async def one(self, job_id: str, wait: int, since: float | None, caller: TokenView) -> Job:
        """A job of this token's; waits for its next change, at most until its end."""
        with self._hub.bell.listening(job_key(job_id)) as rung:
            found = self._found(job_id, caller)
            if wait and found.state not in ENDED and (since is None or found.changed <= since):
                deadline = asyncio.get_running_loop().time() + wait
                while found.state not in ENDED and not self._hub.closing:
                    left = deadline - asyncio.get_running_loop().time()
                    if left <= 0 or not await _rings(rung, left):
                        break
                    rung.clear()
                    found = self._found(job_id, caller)
                    if since is not None:
                        break
        return job_of(found)

    async def cancel(self, job_id: str, caller: TokenView) -> Job:
        """Ask for the end of a job."""
        self._found(job_id, caller)
        job: JobView = await self._hub.writer.do(ops.Cancel(caller.tenant, caller.pools, job_id))
        if job.cancelling and job.agent is not None:
            known = self._hub.store.agent(job.tenant, job.agent)
            self._hub.told(known.session if known else None)
        return job_of(self._hub.changed(job))

    async def result(self, job_id: str, caller: TokenView) -> Response:
        """The sealed result as a `.mres` file, a part at a time."""
        self._found(job_id, caller)
        found = await asyncio.to_thread(self._hub.store.result, caller.tenant, job_id)
        if found is None:
            raise RouterProblem("result.missing")
        head = MAGIC + len(found.manifest).to_bytes(4, "big") + found.manifest
        if found.inline is not None:
            return Response(head + found.inline, media_type=MRES)
        size = len(head) + sum(4 + part for _, part in found.parts)

        async def pieces() -> AsyncIterator[bytes]:
            yield head
            for index in range(len(found.parts)):
                data = await asyncio.to_thread(self._hub.parts.read, found.result_id, index)
                yield len(data).to_bytes(4, "big") + data

        return StreamingResponse(pieces(), media_type=MRES, headers={"content-length": str(size)})

    async def forget(self, job_id: str, caller: TokenView) -> None:
        """The submitter has the result: it is deleted here."""
        self._found(job_id, caller)
        dropped = await self._hub.writer.do(ops.Fetched(caller.tenant, job_id))
        if dropped is not None:
            await asyncio.to_thread(self._hub.parts.drop, dropped)

    def _found(self, job_id: str, caller: TokenView) -> JobView:
        found = self._hub.store.job(caller.tenant, job_id)
        if found is None or not _allowed(caller, found.audience):
            raise RouterProblem("not_found")
        return found

    def listed(self, caller: TokenView, state: State | None, before: str | None, limit: int) -> Jobs:
        """A page of the token's jobs."""
        wanted = JobFilter(
            tenant=caller.tenant,
            pools=caller.pools,
            states=(state,) if state else (),
            before=before,
            limit=limit,
        )
        found = self._hub.store.jobs(wanted)
        return Jobs(jobs=list(map(job_of, found)), next=found[-1].id if len(found) == limit else None)

    def agents(self, caller: TokenView) -> list[Agent]:
        """The agents that the token's jobs can go to."""
        now = self._hub.now()
        return [
            Agent(
                name=one.name,
                pool=one.pool,
                labels=dict(one.labels),
                online=one.session is not None and (one.seen or 0) + SILENT_SECONDS > now,
                draining=one.draining,
                seen=one.seen,
                slots=dict(one.slots),
                version=one.version,
                certificate_until=one.not_after,
                revoked=one.revoked is not None,
            )
            for one in self._hub.store.agents(caller.tenant)
            if _allowed(caller, f"pool:{one.pool}")
        ]

    def pools(self, caller: TokenView) -> list[Pool]:
        """The queues that the token's jobs can go to."""
        return [
            Pool(audience=one.audience, queued=one.queued, oldest=one.oldest, held=one.held, agents=one.agents)
            for one in self._hub.store.pools(caller.tenant)
            if _allowed(caller, one.audience)
        ]


def _allowed(caller: TokenView, audience: str) -> bool:
    """A token without pools may name any pool and any agent of its tenant; one with pools, only those pools."""
    return not caller.pools or audience in {f"pool:{pool}" for pool in caller.pools}


async def _rings(rung: asyncio.Event, seconds: float) -> bool:
    try:
        await asyncio.wait_for(rung.wait(), seconds)
    except TimeoutError:
        return False
    return True
