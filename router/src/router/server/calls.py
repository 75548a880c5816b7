"""Requests -> bodies of a known schema and size, answers -> bytes; whatever goes wrong -> a published problem."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from router.core.agents import AgentId
from router.core.problem import RouterProblem
from router.server.messages import JSON, ProblemOut
from router.server.protocol import PEER, place
from router.service.hub import Hub
from router.store.port import StoreError

MAX_BODY_BYTES: Final = 256 * 1024
SLOWEST_BYTES_PER_SECOND: Final = 16 * 1024
_PATIENCE_SECONDS: Final = 30.0
_MAX_DIGITS: Final = 15
_REFUSED: Final = frozenset({"auth.missing", "auth.invalid", "auth.scope", "enroll.token"})
_PLACE: Final = re.compile(r"\$[.a-z_\[\]]*")
_LOGGER = logging.getLogger(__name__)

T = TypeVar("T")
Handler = Callable[[Request], Awaitable[Response]]


def answered(handler: Handler) -> Handler:
    """The handler, whose every end is an answer: a problem in its own words, a defect without any."""

    async def endpoint(request: Request) -> Response:
        try:
            return await handler(request)
        except RouterProblem as problem:
            return problem_response(problem)
        except StoreError:
            return problem_response(RouterProblem("store.unavailable", retry_after=2.0))
        except ClientDisconnect:
            return Response(status_code=499)
        except Exception as error:  # noqa: BLE001 - the text of a defect is for nobody outside
            _LOGGER.error("a defect in %s: %s", request.url.path.partition("/v1/")[2][:32], type(error).__name__)  # noqa: TRY400
            return problem_response(RouterProblem("internal"))

    return endpoint


def problem_response(problem: RouterProblem) -> Response:
    """The answer that says so."""
    headers = {} if problem.retry_after is None else {"retry-after": str(max(1, round(problem.retry_after)))}
    if problem.code == "request.timeout":
        headers["connection"] = "close"  # the rest of that body would be taken for a request
    return answer(ProblemOut(problem.code, problem.message, problem.hint), status=problem.status, headers=headers)


def answer(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A value as JSON."""
    return Response(msgspec.json.encode(value), status, headers, JSON)


def http_problem(_: Request, error: Exception) -> Response:
    """What the framework refuses by itself, as a published problem."""
    assert isinstance(error, HTTPException), "registered for it"
    code = {404: "not_found", 405: "request.method"}.get(error.status_code, "request.malformed")
    response = problem_response(RouterProblem(code))
    response.headers.update(error.headers or {})
    return response


def media(request: Request, *taken: str) -> str:
    """Which of these media types the body is of; the first when the caller does not say.

    Raises RouterProblem(request.media).
    """
    named = request.headers.get("content-type", taken[0]).partition(";")[0].strip().lower()
    if named not in taken:
        raise RouterProblem("request.media")
    return named


async def body(request: Request, limit: int = MAX_BODY_BYTES) -> bytes:
    """The whole body of at most `limit` bytes. Raises RouterProblem(request.too_large | .timeout | .media).

    A body that comes slower than the slowest link that counts would hold its connection, and what it sent, for ever.
    """
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise RouterProblem("request.media")  # what is sealed does not shrink, and a small bomb grows large
    declared = request.headers.get("content-length", "0")
    if len(declared) > _MAX_DIGITS or not declared.isdecimal() or int(declared) > limit:
        raise RouterProblem("request.too_large")
    chunks, size = [], 0
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS + limit / SLOWEST_BYTES_PER_SECOND):
            async for chunk in request.stream():
                size += len(chunk)
                if size > limit:
                    raise RouterProblem("request.too_large")
                chunks.append(chunk)
    except TimeoutError:
        raise RouterProblem("request.timeout") from None
    return b"".join(chunks)


async def read(request: Request, kind: type[T], limit: int = MAX_BODY_BYTES) -> T:
    """The body as a message. Raises RouterProblem(request.malformed | request.too_large | request.media)."""
    media(request, JSON)
    try:
        return msgspec.json.decode(await body(request, limit), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        place = str(error).rpartition("`")[0].rpartition("`")[2] if isinstance(error, msgspec.ValidationError) else ""
        where = f" at {place}" if _PLACE.fullmatch(place) else ""  # never a name that the caller made up
        raise RouterProblem("request.malformed", f"The body is not a {kind.__name__}{where}.") from None


@contextmanager
def admitting(request: Request, hub: Hub) -> Iterator[None]:
    """Who is refused in here is counted by address, and at some pace hears nothing but that it has to wait.

    Only refusals are: whoever shares an address with one that guesses is served as ever.
    """
    try:
        yield
    except RouterProblem as problem:
        if problem.code in _REFUSED:
            hub.failures.take(place(request.client), hub.terms.failures_per_second)
        raise


def peer(request: Request, hub: Hub) -> AgentId:
    """The agent on this connection, from its certificate. Raises RouterProblem(auth.* | quota.rate)."""
    with admitting(request, hub):
        agent = hub.trust.who(request.scope.get(PEER), hub.now())
        if not isinstance(agent, AgentId):
            raise RouterProblem("auth.scope", "The call is for agents.")
        if agent in hub.revoked:
            raise RouterProblem("auth.invalid", "The agent was revoked.")
        return agent


def integer(request: Request, name: str, default: int, most: int) -> int:
    """A whole number from the query, at most `most`. Raises RouterProblem(request.malformed)."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not text.isdecimal() or len(text) > 9:  # noqa: PLR2004
        raise RouterProblem("request.malformed", f"{name} is not a whole number.")
    return min(int(text), most)
