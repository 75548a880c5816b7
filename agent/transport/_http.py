"""HTTPS to a Router: addresses in order, proxies, hot reload of TLS files; errors that say whose fault it is.

The only module that imports httpx.
"""

import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import httpx
from pydantic import ValidationError

from agent.core.errors import TransportError
from agent.transport import _tls
from agent.transport._tls import Material
from agent.wire.calls import Problem, Reply

CONNECT_SECONDS: Final = 10.0
READ_SECONDS: Final = 20.0
MAX_REPLY_BYTES: Final = 64 * 2**20

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


class Http:
    """One agent's connections. The address that answered last is tried first."""

    def __init__(self, reach: Reach, material: Material) -> None:
        self._reach, self._material = reach, material
        self._client: httpx.AsyncClient | None = None
        self._seen: tuple[tuple[int, int], ...] = ()
        self._first = 0
        self.skew_seconds: float | None = None

    async def aclose(self) -> None:
        """Close all connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def call(self, kind: type[R], method: str, path: str, *, wait: float = 0, **request: Any) -> R | None:
        """The answer, None for an empty one. `wait` is how long the Router may take on purpose.

        Raises RouterRefusalError, and TransportError when no Router answered.
        """
        response = await self._anywhere(method, path, wait, request)
        if not response.content:
            return None
        try:
            return kind.model_validate_json(response.content)
        except ValidationError:
            raise TransportError(
                f"{self._at()} answers, but not as a Router does. Fix: check transport.https.urls and the proxy."
            ) from None

    async def tell(self, method: str, path: str, **request: Any) -> None:
        """A call whose answer's body does not matter. Raises as `call`."""
        await self._anywhere(method, path, 0, request)

    async def _anywhere(self, method: str, path: str, wait: float, request: Mapping[str, Any]) -> httpx.Response:
        client = await self._fresh()
        failure: TransportError | None = None
        for step in range(len(self._reach.urls)):
            number = (self._first + step) % len(self._reach.urls)
            url = self._reach.urls[number].rstrip("/") + "/v1" + path
            timeout = httpx.Timeout(READ_SECONDS + wait, connect=CONNECT_SECONDS)
            try:
                response = await client.request(method, url, timeout=timeout, **request)
            except (httpx.TransportError, ssl.SSLError) as error:
                failure = _unreachable(self._reach.urls[number], error, proxied=self._reach.proxy is not None)
                continue
            self._first = number
            if response.is_error:
                raise _refused(self._reach.urls[number], response)
            return response
        assert failure is not None, "there is at least one address"
        raise failure

    async def _fresh(self) -> httpx.AsyncClient:
        """A client over the TLS files as they are now; a change of one retires all connections."""
        stamps = tuple(_stamp(path) for path in self._material.files())
        if self._client is None or stamps != self._seen:
            context = _tls.context(self._material)
            await self.aclose()
            self._client, self._seen = self._made(context), stamps
        return self._client

    def _made(self, context: ssl.SSLContext) -> httpx.AsyncClient:
        direct = httpx.AsyncHTTPTransport(verify=context, retries=0)
        mounts: dict[str, httpx.AsyncBaseTransport | None] = {}
        if self._reach.proxy is not None:
            through = httpx.Proxy(self._reach.proxy, ssl_context=None)
            mounts["https://"] = httpx.AsyncHTTPTransport(verify=context, proxy=through, retries=0)
            mounts |= dict.fromkeys((f"all://{host}" for host in self._reach.no_proxy), direct)
        # Nothing is taken from the process's environment: who goes through a proxy is the configuration's to say.
        return httpx.AsyncClient(
            transport=direct, mounts=mounts, trust_env=False, headers={"accept": "application/json"}
        )

    def _at(self) -> str:
        return self._reach.urls[self._first]


def _stamp(path: Any) -> tuple[int, int]:
    with suppress(OSError):
        found = path.stat()
        return found.st_mtime_ns, found.st_ino
    return 0, 0


def _refused(url: str, response: httpx.Response) -> TransportError:
    after = response.headers.get("retry-after", "")
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        return TransportError(
            f"{url} answers with status {response.status_code}, but not as a Router does. "
            "Fix: check transport.https.urls and the proxy."
        )
    return RouterRefusalError(response.status_code, problem, float(after) if after.isdecimal() else None)


def _unreachable(url: str, error: Exception, *, proxied: bool) -> TransportError:
    """One sentence with a cure. Never the error's own text: it may quote what a server sent."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY" in str(cause):
        what = "shows a certificate that is not trusted here"
        return TransportError(f"{url} {what}. Fix: set transport.https.ca_file; ask who answers in the Router's place.")
    if isinstance(cause, ssl.SSLError):
        return TransportError(
            f"{url}: TLS failed ({cause.reason or 'no reason given'}). Fix: check the address, and this agent's "
            "certificate with `agent status`."
        )
    if isinstance(error, httpx.ProxyError):
        return TransportError(f"The proxy refused the way to {url}. Fix: check transport.https.proxy and its login.")
    if isinstance(error, httpx.RemoteProtocolError | httpx.ReadError):
        # Under TLS 1.3 a server refuses a client's certificate only after the handshake: the link just ends.
        return TransportError(
            f"{url} closed the connection without an answer. Fix: if it happens always, this agent's certificate was "
            "refused: `agent status` shows its end, `agent enroll` gets a new one."
        )
    if isinstance(error, httpx.TimeoutException):
        return TransportError(f"{url} did not answer in time. Fix: check the network{' and the proxy' * proxied}.")
    return TransportError(f"{url} cannot be reached ({type(error).__name__}). Fix: check address, DNS and firewall.")
