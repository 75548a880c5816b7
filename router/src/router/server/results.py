"""Sealed results come in: part by part, resumable, or a small one whole; the signed manifest last."""

import asyncio
import hashlib
import io
from typing import Final

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent.wire import jws, strictjson
from agent.wire.container import read_mres
from agent.wire.ids import is_ulid
from agent.wire.keys import decode_base64url
from agent.wire.models import PART_BYTES, TAG_BYTES, ManifestModel
from agent.wire.signing import MAX_MANIFEST_BYTES
from router.core import ops
from router.core.agents import AgentId
from router.core.jobs import Manifest
from router.core.problem import RouterProblem
from router.server import messages
from router.server.calls import answer, answered, body, integer, media, peer, problem_response
from router.server.messages import JOSE, MRES
from router.service.hub import Hub

MAX_INLINE_BYTES: Final = 512 * 1024
"""A sealed result up to this size comes in one call and stands in the store's row: one commit, no file."""
_NOTHING: Final = 204
_MAX_DIGITS: Final = 6


class ResultCalls:
    """All of them over one hub. `lease` and `fence` stand in the query: the body is the result's own."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def routes(self) -> list[Route]:
        """Where each call is."""
        result = "/v1/jobs/{job}/results/{result}"
        return [
            Route(f"{result}/parts/{{index}}", answered(self.put_part), methods=["PUT"]),
            Route(f"{result}/parts", answered(self.held), methods=["HEAD", "GET"]),
            Route(result, answered(self.complete), methods=["POST"]),
        ]

    async def put_part(self, request: Request) -> Response:
        """PUT …/parts/{n}: one sealed part, at most 4 MiB of plaintext. The same part again is no error."""
        agent, (job, result, lease, fence) = self._agent(request), _addressed(request)
        index = request.path_params["index"]
        if not (index.isascii() and index.isdecimal() and len(index) <= _MAX_DIGITS):
            raise RouterProblem("request.malformed", "The part's number is not one.")
        if int(index) * PART_BYTES > self._hub.terms.result_bytes:
            raise RouterProblem("request.too_large", "The result has more parts than it may have.")
        await self._admit(ops.Upload(agent, job, result, lease, fence))
        data = await body(request, PART_BYTES + TAG_BYTES)
        digest = await asyncio.to_thread(_digest, data)
        await asyncio.to_thread(self._hub.parts.put, result, int(index), digest, data)
        self._alive(agent)
        return Response(status_code=_NOTHING, headers={"etag": f'"{digest}"'})

    async def held(self, request: Request) -> Response:
        """GET or HEAD …/parts: which parts are here, by digest, so that an upload goes on where it was cut."""
        agent, (job, result, lease, fence) = self._agent(request), _addressed(request)
        await self._admit(ops.Upload(agent, job, result, lease, fence))
        held = await asyncio.to_thread(self._hub.parts.held, result)
        return answer(messages.PartsOut({str(index): digest for index, (digest, _) in sorted(held.items())}))

    async def complete(self, request: Request) -> Response:
        """POST …/results/{id}: the manifest, or a whole small result. 409 result.late: kept aside."""
        agent, (job, result, lease, fence) = self._agent(request), _addressed(request)
        whole = media(request, JOSE, MRES) == MRES
        data = await body(request, MAX_INLINE_BYTES if whole else MAX_MANIFEST_BYTES)
        manifest, inline = _opened(data) if whole else (_manifest(data), None)
        if (manifest.job_id, manifest.result_id) != (job, result):
            raise RouterProblem("request.malformed", "The manifest is of another job or result.")
        if sum(size for _, size in manifest.parts) > self._hub.terms.result_bytes:
            raise RouterProblem("request.too_large", "The result is larger than results may be.")
        if inline is None:
            held = await asyncio.to_thread(self._hub.parts.held, result)
            if any(held.get(index) != part for index, part in enumerate(manifest.parts)):
                raise RouterProblem("result.part", "A part is missing, or is not the one that the manifest names.")
        landed: ops.Landed = await self._hub.writer.do(ops.Complete(agent, job, lease, fence, manifest, inline))
        self._hub.changed(landed.job)
        if landed.late:
            return problem_response(RouterProblem("result.late"))
        return answer(messages.LandedOut(landed.job.state, result))

    def _agent(self, request: Request) -> AgentId:
        return peer(request, self._hub)

    async def _admit(self, upload: ops.Upload) -> None:
        """Parts are taken only under a lease that counts, and under an id that no other job has.

        Asked once in a tick: parts are many. Raises RouterProblem(lease.lost | result.conflict | not_found).
        """
        if upload in self._hub.uploads:
            return
        await self._hub.writer.do(upload)
        if not await asyncio.to_thread(self._hub.parts.claim, upload.result_id, upload.job_id):
            raise RouterProblem("result.conflict")
        self._hub.uploads.add(upload)

    def _alive(self, agent: AgentId) -> None:
        """An upload is a sign of life of all the agent's sessions."""
        for session in self._hub.sessions.values():
            if (session.tenant, session.agent) == (agent.tenant, agent.name):
                self._hub.seen[session.id] = self._hub.now()


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _addressed(request: Request) -> tuple[str, str, str, int]:
    job, result = request.path_params["job"], request.path_params["result"]
    lease, fence = request.query_params.get("lease", ""), integer(request, "fence", -1, 2**31)
    if not is_ulid(job) or not is_ulid(result) or not is_ulid(lease) or fence < 0:
        raise RouterProblem("request.malformed", "job, result, lease or fence is missing or not of its form.")
    return job, result, lease, fence


def _opened(data: bytes) -> tuple[Manifest, bytes]:
    """A whole `.mres`: its manifest, and its framed parts as they stand, checked against the manifest's digests."""
    try:
        token, stream = read_mres(io.BytesIO(data))
        framed = stream.read()
    except ValueError:
        raise RouterProblem("request.malformed", "The body is not a .mres file.") from None
    manifest = _manifest(token)
    at = 0
    for digest, size in manifest.parts:
        length = int.from_bytes(framed[at : at + 4], "big")
        part = framed[at + 4 : at + 4 + length]
        if length != size or _digest(part) != digest:
            raise RouterProblem("result.part")
        at += 4 + length
    if at != len(framed):
        raise RouterProblem("result.part", "There are bytes after the last part.")
    return manifest, framed


def _manifest(token: bytes) -> Manifest:
    """What a manifest says, unverified: whoever opens the result checks who signed it."""
    try:
        payload = decode_base64url(jws.split(token, MAX_MANIFEST_BYTES)[1].decode("ascii"))
        model = ManifestModel.model_validate(strictjson.loads(payload, MAX_MANIFEST_BYTES))
    except (ValueError, ValidationError):
        raise RouterProblem("request.malformed", "The manifest is not one.") from None
    return Manifest(
        job_id=model.job_id,
        job_digest=model.job_digest,
        result_id=model.result_id,
        attempt=model.attempt,
        outcome=model.outcome,
        code=model.code,
        digest=_digest(token),
        parts=tuple((part.sha256, part.size) for part in model.parts),
        token=token,
    )
