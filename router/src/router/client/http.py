"""Calls to a Router: addresses tried in order, answers of its schema, repeated where repeating is safe."""

import json
import random
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Any, Final

import anyio
import httpx

from router.client.errors import ConfigurationError, ResultError, RouterError, RouterUnavailableError

MRES: Final = "application/vnd.meridyen.mres"
_CONNECT_SECONDS: Final = 10.0
_READ_SECONDS: Final = 30.0
_ATTEMPTS: Final = 5
_CAP_SECONDS: Final = 5.0
_LONGEST_SECONDS: Final = 5.0
"""Who is told to come back later than this hears of it, and decides for themselves."""
_AGAIN: Final = frozenset({429, 502, 503, 504})
_HOPELESS: Final = frozenset({"router.certificate", "router.foreign"})
_MAX_ANSWER_BYTES: Final = 4 * 2**20
_POLL_SECONDS: Final = 25.0
_POLLS: Final = 200
_KEPT: Final = 40
_CONNECTIONS: Final = 240
"""More than `_POLLS`: however many jobs are waited for, a new one is sent at once."""


class Calls:
    """One caller's connection to one Router at several addresses. Every call here may be repeated."""

    def __init__(
        self, urls: Sequence[str], token: str | None, ca_file: Path | None, certificate: Path | None = None
    ) -> None:
        """Args: a token, or a file with key and certificate, PEM. Raises ConfigurationError."""
        self._urls = [_address(url) for url in urls]
        if not self._urls:
            raise ConfigurationError("router.url", "No Router is named.", "Name its address as url=….")
        headers = {"accept-encoding": "identity", **_bearer(token, certificate)}
        self._http = httpx.AsyncClient(
            verify=_trust(ca_file, certificate),
            timeout=httpx.Timeout(_READ_SECONDS, connect=_CONNECT_SECONDS, pool=None),
            limits=httpx.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_KEPT),
            headers=headers,
        )
        self._certified = certificate is not None
        self._polls: anyio.Semaphore | None = None
        self._waiting = 0

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def json(self, method: str, path: str, *, wait: float = 0, **request: Any) -> Any:
        """The answer's JSON, None for an empty one. `wait` is how long the Router may take on purpose.

        Raises RouterError, RouterUnavailableError.
        """
        timeout = httpx.Timeout(_READ_SECONDS + wait, connect=_CONNECT_SECONDS, pool=None)

        async def once(url: str) -> Any:
            async with self._asked(method, url + path, timeout=timeout, **request) as response:
                data = await _read(response)
            return _json(data, response.status_code) if data else None

        return await self._repeated(once)

    async def poll(self, path: str, since: float | None = None) -> Any:
        """The same of a job, as soon as it changed after `since`, or ended; else as it stands after a while.

        Of many polls at once only some hold a connection; the more there are, the shorter each takes.
        """
        self._polls = self._polls or anyio.Semaphore(_POLLS)
        self._waiting += 1
        try:
            async with self._polls:
                seconds = max(1, round(_POLL_SECONDS * min(1.0, _POLLS / self._waiting)))
                query: dict[str, str | int] = {"wait": seconds} | ({} if since is None else {"since": repr(since)})
                return await self.json("GET", path, params=query, wait=seconds)
        finally:
            self._waiting -= 1

    async def download(self, path: str, sink: IO[bytes], limit: int) -> None:
        """A sealed result into `sink`, piece by piece; begun anew where the link was cut. Raises as `json`."""

        async def once(url: str) -> None:
            sink.seek(0)
            sink.truncate()
            size = 0
            async with self._asked("GET", url + path) as response:
                if response.headers.get("content-type") != MRES:
                    raise _foreign(response.status_code)
                async for piece in response.aiter_raw():
                    size += len(piece)
                    if size > limit:
                        message = f"The result is larger than {limit:,} bytes."
                        raise ResultError("result.size", message, "Ask for less, or raise `max_result_bytes`.")
                    sink.write(piece)

        await self._repeated(once)

    @asynccontextmanager
    async def _asked(self, method: str, url: str, **request: Any) -> AsyncIterator[httpx.Response]:
        """A successful answer, its body not yet read. Raises RouterError."""
        try:
            async with self._http.stream(method, url, **request) as response:
                if not response.is_success:
                    raise _refused(response.status_code, response.headers, await _read(response))
                yield response
        except httpx.RequestError as error:
            raise _unreachable(error, certified=self._certified) from None

    async def _repeated(self, once: Any) -> Any:
        """At each address in order, and again after a pause: for as long as nobody answers, or somebody is busy."""
        for attempt in range(_ATTEMPTS):
            refusals = []
            for url in self._urls:
                try:
                    return await once(url)
                except RouterError as error:
                    if not isinstance(error, RouterUnavailableError) and error.status not in _AGAIN:
                        raise
                    refusals.append(error)
            hopeless = all(error.code in _HOPELESS for error in refusals)
            said = max((error.retry_after or 0 for error in refusals), default=0)
            busy = any(error.status in _AGAIN for error in refusals)
            if attempt == _ATTEMPTS - 1 or (hopeless and not busy) or said > _LONGEST_SECONDS:
                raise refusals[-1]
            drawn = random.uniform(0, min(_CAP_SECONDS, 0.2 * 2**attempt))  # noqa: S311 - no secret
            await anyio.sleep(max(said, drawn))
        raise AssertionError("the last attempt returns or raises")


def _address(url: str) -> str:
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError):
        parsed = None
    if parsed is None or parsed.scheme != "https" or not parsed.host or parsed.query or parsed.userinfo:
        hint = "For example url='https://router.example:8443'."
        raise ConfigurationError("router.url", "A Router's address begins with https:// and names a host.", hint)
    return url.rstrip("/") + "/v1"


def _bearer(token: str | None, certificate: Path | None) -> Mapping[str, str]:
    if (token is None) == (certificate is None):
        hint = "Give token=… of `router token create`, or certificate=… of `router token certificate`."
        raise ConfigurationError("router.token", "Either a token or a certificate says who calls.", hint)
    if token is None:
        return {}
    if not token.isascii() or not token.isprintable() or not token:
        raise ConfigurationError("router.token", "The token is not one.", "Use what `router token create` wrote.")
    return {"authorization": f"Bearer {token}"}


def _trust(ca_file: Path | None, certificate: Path | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except (OSError, ssl.SSLError) as error:
        message = f"The CA file {ca_file} cannot be used ({type(error).__name__})."
        raise ConfigurationError("router.ca", message, "Name the Router's ca.pem.") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    if certificate is not None:
        try:
            context.load_cert_chain(certificate, password=_no_password)
        except (OSError, ssl.SSLError) as error:
            message = f"The certificate {certificate} cannot be used ({type(error).__name__})."
            hint = "Name the file that `router token certificate` wrote."
            raise ConfigurationError("router.client_certificate", message, hint) from None
    return context


def _no_password() -> bytes:
    """Without it, OpenSSL would ask on the terminal."""
    return b""


async def _read(response: httpx.Response) -> bytes:
    """The body of an answer that is small when it is a Router's."""
    data = bytearray()
    async for piece in response.aiter_raw():
        data += piece
        if len(data) > _MAX_ANSWER_BYTES:
            raise _foreign(response.status_code)
    return bytes(data)


def _json(data: bytes, status: int) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise _foreign(status) from None


def _refused(status: int, headers: Mapping[str, str], data: bytes) -> RouterError:
    """What the Router said; anything that is not its schema comes from somebody else on the way."""
    try:
        said = json.loads(data)
        code, message, hint = said["code"], said["message"], said.get("hint", "")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return _foreign(status)
    if not all(isinstance(one, str) for one in (code, message, hint)):
        return _foreign(status)
    after = headers.get("retry-after", "")
    seconds = float(after) if after.isdecimal() else None
    return RouterError(code, message, hint, status=status, retry_after=seconds)


def _foreign(status: int) -> RouterUnavailableError:
    message = f"Something that is not a Router answered with status {status}."
    return RouterUnavailableError("router.foreign", message, "Check the address and the proxy.", status=status)


def _unreachable(error: httpx.RequestError, *, certified: bool) -> RouterUnavailableError:
    if isinstance(error.__cause__, ssl.SSLError) or "CERTIFICATE" in str(error).upper():
        message = "The Router's certificate is not trusted."
        hint = "Name its CA as ca_file=…, or check who answers there."
        return RouterUnavailableError("router.certificate", message, hint)
    if certified and isinstance(error, httpx.ReadError | httpx.WriteError | httpx.RemoteProtocolError):
        # Under TLS 1.3 a server refuses a client's certificate only after the handshake: the link just ends.
        message = "The link ended before an answer came; the Router may have refused this certificate."
        hint = "Look when it ends; `router token certificate` makes a new one."
        return RouterUnavailableError("router.refused", message, hint)
    what = "did not answer in time" if isinstance(error, httpx.TimeoutException) else "cannot be reached"
    message = f"The Router {what} ({type(error).__name__})."
    return RouterUnavailableError("router.unreachable", message, "Check the address, the CA file and the network.")
