"""Requests -> bodies of a known schema and size, answers -> bytes; whatever goes wrong -> a published problem."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import msgspec
from cryptography import x509
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from router.ca.names import agent_of
from router.core.agents import AgentId
from router.core.problem import RouterProblem
from router.server.messages import ProblemOut
from router.server.protocol import PEER
from router.store.port import StoreError

MAX_BODY_BYTES: Final = 256 * 1024
_JSON: Final = "application/json"
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
    return answer(ProblemOut(problem.code, problem.message, problem.hint), status=problem.status, headers=headers)


def answer(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A value as JSON."""
    return Response(msgspec.json.encode(value), status, headers, _JSON)


async def body(request: Request, limit: int = MAX_BODY_BYTES) -> bytes:
    """The whole body. Raises RouterProblem(request.too_large) as soon as it is longer than `limit` bytes."""
    declared = request.headers.get("content-length", "0")
    if not declared.isdecimal() or int(declared) > limit:
        raise RouterProblem("request.too_large")
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise RouterProblem("request.too_large")
        chunks.append(chunk)
    return b"".join(chunks)


async def read(request: Request, kind: type[T], limit: int = MAX_BODY_BYTES) -> T:
    """The body as a message. Raises RouterProblem(request.malformed | request.too_large)."""
    try:
        return msgspec.json.decode(await body(request, limit), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        place = str(error).rpartition("`")[0].rpartition("`")[2] if isinstance(error, msgspec.ValidationError) else ""
        where = f" at {place}" if place else ""
        raise RouterProblem("request.malformed", f"The body is not a {kind.__name__}{where}.") from None


def peer(request: Request, domain: str) -> AgentId:
    """The agent on this connection, from its certificate. Raises RouterProblem(auth.missing)."""
    certificate = request.scope.get(PEER)
    agent = None if certificate is None else agent_of(x509.load_der_x509_certificate(certificate), domain)
    if agent is None:
        raise RouterProblem("auth.missing", "The call needs an agent's certificate.")
    return agent


def integer(request: Request, name: str, default: int, most: int) -> int:
    """A whole number from the query, at most `most`. Raises RouterProblem(request.malformed)."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not text.isdecimal() or len(text) > 9:  # noqa: PLR2004
        raise RouterProblem("request.malformed", f"{name} is not a whole number.")
    return min(int(text), most)
