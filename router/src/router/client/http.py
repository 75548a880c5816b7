"""Calls to a Router: addresses tried in order, answers of its schema, repeated where repeating is safe."""

import random
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import anyio
import httpx

from router.client.errors import ConfigurationError, RouterError, RouterUnavailableError

_CONNECT_SECONDS: Final = 10.0
_READ_SECONDS: Final = 30.0
_ATTEMPTS: Final = 5
_CAP_SECONDS: Final = 5.0
_AGAIN: Final = frozenset({429, 502, 503, 504})


class Calls:
    """One caller's connection to one Router at several addresses. Every call here may be repeated."""

    def __init__(self, urls: Sequence[str], token: str, ca_file: Path | None) -> None:
        """Raises ConfigurationError."""
        if not urls or not all(url.startswith("https://") for url in urls):
            raise ConfigurationError("router.url", "A Router's address begins with https://.", "Name it as url=….")
        try:
            context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
        except (OSError, ssl.SSLError) as error:
            raise ConfigurationError("router.ca", f"The CA file cannot be used ({type(error).__name__}).") from None
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        self._urls = [url.rstrip("/") + "/v1" for url in urls]
        timeout = httpx.Timeout(_READ_SECONDS, connect=_CONNECT_SECONDS)
        self._http = httpx.AsyncClient(verify=context, timeout=timeout, headers={"authorization": f"Bearer {token}"})

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def json(self, method: str, path: str, *, wait: float = 0, **request: Any) -> Any:
        """The answer's JSON, None for an empty one. `wait` is how long the Router may take on purpose.

        Raises RouterError, RouterUnavailableError.
        """
        timeout = httpx.Timeout(_READ_SECONDS + wait, connect=_CONNECT_SECONDS)
        response = await self._repeated(method, path, timeout=timeout, **request)
        return response.json() if response.content else None

    @asynccontextmanager
    async def stream(self, path: str) -> AsyncIterator[httpx.Response]:
        """An answer that is read piece by piece. Raises as `json`."""
        for number, url in enumerate(self._urls):
            try:
                async with self._http.stream("GET", url + path) as response:
                    if response.is_error:
                        await response.aread()
                        raise _refused(response)
                    yield response
                    return
            except httpx.ConnectError:
                if number == len(self._urls) - 1:
                    raise RouterUnavailableError("router.unreachable", "No Router can be reached.") from None

    async def _repeated(self, method: str, path: str, **request: Any) -> httpx.Response:
        refusal: RouterError = RouterUnavailableError(
            "router.unreachable", "No Router can be reached.", "Check the address, the CA file and the network."
        )
        for attempt in range(_ATTEMPTS):
            for url in self._urls:
                try:
                    response = await self._http.request(method, url + path, **request)
                except httpx.TransportError as error:
                    refusal = _unreachable(error)
                    continue
                if not response.is_error:
                    return response
                refusal = _refused(response)
                if response.status_code not in _AGAIN:
                    raise refusal
            delay = refusal.retry_after or random.uniform(0, min(_CAP_SECONDS, 0.2 * 2**attempt))  # noqa: S311 - no secret
            if attempt < _ATTEMPTS - 1:
                await anyio.sleep(min(delay, _CAP_SECONDS))
        raise refusal


def _refused(response: httpx.Response) -> RouterError:
    """What the Router said; anything that is not its schema comes from somebody else on the way."""
    try:
        said = response.json()
        code, message, hint = str(said["code"]), str(said["message"]), str(said.get("hint", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        message = f"Something that is not a Router answered with status {response.status_code}."
        return RouterUnavailableError(
            "router.foreign", message, "Check the address and the proxy.", status=response.status_code
        )
    after = response.headers.get("retry-after", "")
    seconds = float(after) if after.isdecimal() else None
    return RouterError(code, message, hint, status=response.status_code, retry_after=seconds)


def _unreachable(error: httpx.TransportError) -> RouterUnavailableError:
    if isinstance(error.__cause__, ssl.SSLError) or "CERTIFICATE" in str(error).upper():
        message, hint = (
            "The Router's certificate is not trusted.",
            "Name its CA as ca_file=…, or check who answers there.",
        )
        return RouterUnavailableError("router.certificate", message, hint)
    what = "did not answer in time" if isinstance(error, httpx.TimeoutException) else "cannot be reached"
    return RouterUnavailableError("router.unreachable", f"The Router {what} ({type(error).__name__}).")
