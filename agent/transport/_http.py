"""HTTPS to a Router: addresses in order, proxies, hot reload of TLS files; errors that say whose fault it is.

The only module that imports httpx.
"""

import email.utils
import json
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import anyio
import httpx
from pydantic import ValidationError

from agent.core.errors import TransportError
from agent.transport import _tls
from agent.transport._tls import Material
from agent.wire.calls import Problem, Reply

CONNECT_SECONDS: Final = 10.0
READ_SECONDS: Final = 20.0
SLOWEST_BYTES_PER_SECOND: Final = 16 * 1024
"""A call and its answer that are slower have failed, although something comes now and then."""
MAX_REPLY_BYTES: Final = 64 * 2**20
_KEEP_SECONDS: Final = 60.0
"""How long an idle connection is kept: heartbeats, 15 s apart, need no new handshake each."""
_EMPTY: Final = 204
_LONGEST_WAIT_SECONDS: Final = 3600.0
_GATEWAY: Final = frozenset({502, 503, 504})
"""Another address may be in a better state than one that answers so."""

R = TypeVar("R", bound=Reply)


class RouterRefusalError(TransportError):
    """The Router answered with a problem. `code` is the published one; `retry_after` in seconds, where it says so."""

    def __init__(self, status: int, problem: Problem, retry_after: float | None) -> None:
        self.status, self.code, self.retry_after = status, problem.code, retry_after
        super().__init__(f"The Router refused: {problem.message} Fix: {problem.hint or 'see its log.'}")


@dataclass(frozen=True, slots=True)
class Reach:
    """Where Routers are, and the way there. `proxy`: `http://[user:password@]host:port`; not for `no_proxy` hosts."""

    urls: tuple[str, ...]
    proxy: str | None = None
    no_proxy: tuple[str, ...] = ()


class _Answer(NamedTuple):
    status: int
    body: bytes
    retry_after: float | None
    date: float | None
    is_json: bool


class _Connections:
    """An httpx client over one state of the TLS files. Retired, it closes when its last request has ended."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client, self._requests, self._retired = client, 0, False

    async def request(self, method: str, url: str, wait: float, request: Mapping[str, Any]) -> _Answer:
        timeout = httpx.Timeout(READ_SECONDS + wait, connect=CONNECT_SECONDS)
        patience = CONNECT_SECONDS + READ_SECONDS + wait + len(request.get("content", b"")) / SLOWEST_BYTES_PER_SECOND
        self._requests += 1
        try:
            with anyio.move_on_after(patience) as scope:
                async with self._client.stream(method, url, timeout=timeout, **request) as response:
                    return _answer(response, await _limited(response, scope))
            raise httpx.ReadTimeout("it drips")
        finally:
            self._requests -= 1
            if self._retired and not self._requests:
                await self._client.aclose()

    async def retire(self) -> None:
        """What is under way goes on: a renewed certificate must not cut a poll, nor an upload."""
        self._retired = True
        if not self._requests:
            await self._client.aclose()

    async def aclose(self) -> None:
        """At once."""
        await self._client.aclose()


class Http:
    """One agent's connections. The address that answered last is tried first.

    `skew_seconds`: how far the Router's clock is ahead of this one, as its last answer said; nothing is judged by it.
    `latency_seconds`: of the last call that did not wait on purpose.
    """

    def __init__(self, reach: Reach, material: Material) -> None:
        self._reach, self._material = reach, material
        self._connections: _Connections | None = None
        self._seen: tuple[tuple[int, int], ...] = ()
        self._first = 0
        self.skew_seconds: float | None = None
        self.latency_seconds: float | None = None

    async def aclose(self) -> None:
        """Close all connections."""
        connections, self._connections = self._connections, None
        if connections is not None:
            await connections.aclose()

    async def call(self, kind: type[R], method: str, path: str, *, wait: float = 0, **request: Any) -> R | None:
        """The answer, None for an empty one. `wait` is how long the Router may take on purpose.

        Raises RouterRefusalError, and TransportError when no Router answered.
        """
        answer = await self._anywhere(method, path, wait, request)
        if answer.status == _EMPTY:
            return None
        try:
            return kind.model_validate_json(answer.body)
        except ValidationError:
            raise _foreign(self._at(), answer.status) from None

    async def tell(self, method: str, path: str, **request: Any) -> None:
        """A call that is answered with nothing. Raises as `call`."""
        answer = await self._anywhere(method, path, 0, request)
        if answer.status != _EMPTY:
            raise _foreign(self._at(), answer.status)

    async def _anywhere(self, method: str, path: str, wait: float, request: Mapping[str, Any]) -> _Answer:
        """The first answer of a Router, of the addresses in their order. Raises as `call`."""
        failure: TransportError | None = None
        for step in range(len(self._reach.urls)):
            number = (self._first + step) % len(self._reach.urls)
            try:
                answer = await self._at_one(self._reach.urls[number], method, path, wait, request)
            except RouterRefusalError as refusal:
                if refusal.status not in _GATEWAY:
                    self._first = number
                    raise
                failure = refusal
            except TransportError as error:
                failure = failure or error
            else:
                self._first = number
                return answer
        assert failure is not None, "there is at least one address"
        raise failure

    async def _at_one(self, base: str, method: str, path: str, wait: float, request: Mapping[str, Any]) -> _Answer:
        connections = await self._fresh()
        begun, asked = time.monotonic(), time.time()
        try:
            answer = await connections.request(method, base.rstrip("/") + "/v1" + path, wait, request)
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError) as error:
            raise _unreachable(base, error, proxied=self._reach.proxy is not None) from None
        _checked(base, answer)
        if answer.date is not None:
            self.skew_seconds = _skew(self.skew_seconds or 0.0, answer.date, asked, time.time())
        if not wait:
            self.latency_seconds = time.monotonic() - begun
        return answer

    async def _fresh(self) -> _Connections:
        """Connections over the TLS files as they are now; after a change of one, new ones."""
        stamps = tuple(_stamp(path) for path in self._material.files())
        if self._connections is None or stamps != self._seen:
            made = _Connections(self._made(_tls.context(self._material)))
            before, self._connections, self._seen = self._connections, made, stamps
            if before is not None:
                await before.retire()
        return self._connections

    def _made(self, context: ssl.SSLContext) -> httpx.AsyncClient:
        limits = httpx.Limits(max_connections=64, max_keepalive_connections=8, keepalive_expiry=_KEEP_SECONDS)
        direct = httpx.AsyncHTTPTransport(verify=context, retries=0, limits=limits)
        mounts: dict[str, httpx.AsyncBaseTransport | None] = {}
        if self._reach.proxy is not None and "*" not in self._reach.no_proxy:
            through = _proxy(self._reach.proxy)
            mounts["https://"] = httpx.AsyncHTTPTransport(verify=context, proxy=through, retries=0, limits=limits)
            mounts |= {_pattern(host): direct for host in self._reach.no_proxy}
        # Nothing is taken from the process's environment: who goes through a proxy is the configuration's to say.
        headers = {"accept": "application/json", "accept-encoding": "identity"}
        return httpx.AsyncClient(transport=direct, mounts=mounts, trust_env=False, headers=headers)

    def _at(self) -> str:
        return self._reach.urls[self._first]


def _proxy(address: str) -> httpx.Proxy:
    """Also one without its scheme, as people write it. Raises TransportError that does not quote it."""
    written = address.strip()
    try:
        made = httpx.Proxy(written if "://" in written else f"http://{written}")
        if made.url.scheme in {"http", "https"} and made.url.host:
            return made
    except (ValueError, httpx.InvalidURL):
        pass
    raise TransportError(
        "What is set as the proxy is not the address of one. "
        "Fix: write http://[user:password@]host:port as transport.https.proxy, or as HTTPS_PROXY."
    )


def _skew(known: float, date: float, asked: float, now: float) -> float:
    """How far the Router's clock is ahead: what is `known` of it, as far as an answer of that `date` allows.

    A poll may be dated by its begin or by its end, and a date has no fractions of a second.
    """
    return min(max(known, date - now), date + 1 - asked)


def _pattern(host: str) -> str:
    """As `no_proxy` is written everywhere: `.example.org` is every host below it."""
    return f"all://*{host}" if host.startswith(".") else f"all://{host}"


async def _limited(response: httpx.Response, scope: anyio.CancelScope) -> bytes:
    """The body, at most MAX_REPLY_BYTES of it, as it came: nobody asked for a compressed one.

    `scope` ends when it comes slower than the slowest link that counts: a poll that drips would never end.
    """
    chunks, size, begun = [], 0, anyio.current_time() + READ_SECONDS
    async for chunk in response.aiter_raw():
        size += len(chunk)
        scope.deadline = begun + size / SLOWEST_BYTES_PER_SECOND
        if size > MAX_REPLY_BYTES:
            raise httpx.RemoteProtocolError("the answer is too long")
        chunks.append(chunk)
    return b"".join(chunks)


def _answer(response: httpx.Response, body: bytes) -> _Answer:
    after, date = response.headers.get("retry-after", ""), None
    with suppress(ValueError, TypeError):
        date = email.utils.parsedate_to_datetime(response.headers.get("date", "")).timestamp()
    media = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    # Any proxy can say it: nobody keeps an agent away for longer than an hour.
    seconds = min(float(after), _LONGEST_WAIT_SECONDS) if after.isdecimal() else None
    return _Answer(response.status_code, body, seconds, date, media == "application/json")


def _checked(url: str, answer: _Answer) -> None:
    """Whether a Router answered, and did not refuse.

    A proxy's page, a portal's redirection or a maintenance notice with status 200 must never pass for an answer: a
    result would count as handed over.
    """
    if answer.status == _EMPTY and not answer.body:
        return
    if answer.status in {200, 201} and answer.is_json and _is_object(answer.body):
        return
    try:
        problem = Problem.model_validate_json(answer.body)
    except ValidationError:
        raise _foreign(url, answer.status, answer.retry_after) from None
    if answer.status < 400:  # noqa: PLR2004
        raise _foreign(url, answer.status)
    raise RouterRefusalError(answer.status, problem, answer.retry_after)


def _is_object(body: bytes) -> bool:
    try:
        return isinstance(json.loads(body), dict)
    except (ValueError, RecursionError):
        return False


def _foreign(url: str, status: int, retry_after: float | None = None) -> TransportError:
    error = TransportError(
        f"{url} answers with status {status}, but not as a Router does. "
        "Fix: check transport.https.urls and the proxy; somebody else answers there."
    )
    error.retry_after = retry_after
    return error


def _stamp(path: Path) -> tuple[int, int]:
    with suppress(OSError):
        found = path.stat()
        return found.st_mtime_ns, found.st_ino
    return 0, 0


def _untrusted(url: str, why: int) -> TransportError:
    """`why` is OpenSSL's code of the verification; what is wrong decides who has to do something."""
    match why:
        case 9:
            what = "shows a certificate that has not begun by this machine's clock"
            fix = "check the time service (NTP) here and at the Router."
        case 10:
            what = "shows a certificate that has ended by this machine's clock"
            fix = "check the clock (NTP) here; else the Router's operator has to renew its certificate."
        case 62 | 64:
            what = "shows a certificate for another name or address"
            fix = "check transport.https.urls, or have the Router's certificate issued for this name (`--host`)."
        case _:
            what = "shows a certificate that is not trusted here"
            fix = (
                "where the Router's authority was replaced meanwhile, run `agent enroll` again with its new --ca-file; "
                "else check transport.https.ca_file and pins, and ask who answers in the Router's place."
            )
    return TransportError(f"{url} {what}. Fix: {fix}")


def _unreachable(url: str, error: Exception, *, proxied: bool) -> TransportError:
    """One sentence with a cure. Never the error's own text: it may quote what a server sent."""
    if isinstance(error, httpx.TimeoutException):
        return TransportError(f"{url} did not answer in time. Fix: check the network{' and the proxy' * proxied}.")
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY" in str(cause):
        return _untrusted(url, getattr(cause, "verify_code", 0))
    cut = isinstance(cause, ssl.SSLEOFError)
    if isinstance(cause, ssl.SSLError) and not cut:
        return TransportError(
            f"{url}: TLS failed ({cause.reason or 'no reason given'}). Fix: check the address, and this agent's "
            "certificate with `agent status`."
        )
    if isinstance(error, httpx.ProxyError):
        return TransportError(f"The proxy refused the way to {url}. Fix: check transport.https.proxy and its login.")
    if cut or isinstance(error, httpx.RemoteProtocolError | httpx.ReadError | httpx.WriteError):
        # Under TLS 1.3 a server refuses a client's certificate only after the handshake: the link just ends.
        return TransportError(
            f"{url} closed the connection without an answer. Fix: check what stands between; if it happens always, "
            "this agent's certificate was refused: `agent status` shows its end, `agent enroll` gets a new one."
        )
    places = "address, DNS, firewall and the proxy" if proxied else "address, DNS and firewall"
    return TransportError(f"{url} cannot be reached ({type(error).__name__}). Fix: check {places}.")
