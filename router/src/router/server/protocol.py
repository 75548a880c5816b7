"""uvicorn's HTTP/1.1 protocol, with the caller's certificate in each request's scope: uvicorn itself hides it."""

import re
import socket
from asyncio import TimerHandle, Transport
from ssl import PEM_cert_to_DER_cert, SSLObject
from typing import Final
from urllib.parse import unquote

from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

PEER: Final = "meridyen.peer"
"""Scope key: the client certificate in DER, None when the connection has none."""

FORWARDED: Final = b"x-forwarded-client-cert"
_HEADER_SECONDS: Final = 30.0
_MAX_FORWARDED: Final = 16_384
_ENVOY: Final = re.compile(r'Cert="([^"]*)"')


class PeerProtocol(HttpToolsProtocol):
    """Over TLS: reads the certificate once a connection; no header can stand in for it.

    A request whose head does not come within 30 s ends its connection: it would hold a descriptor for nothing.
    """

    _peer: bytes | None = None
    _local: bool = False
    _late: TimerHandle | None = None

    @override
    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        tls: SSLObject | None = transport.get_extra_info("ssl_object")
        self._peer = None if tls is None else tls.getpeercert(binary_form=True)
        own: socket.socket | None = transport.get_extra_info("socket")
        self._local = tls is None and own is not None and own.family == socket.AF_UNIX
        self._expect_head()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._head_came()
        super().connection_lost(exc)

    @override
    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope[PEER] = self._peer  # type: ignore[typeddict-unknown-key]
        self._expect_head()

    @override
    def on_headers_complete(self) -> None:
        self._head_came()
        if self._local:
            self.scope[PEER] = forwarded(self.headers)  # type: ignore[typeddict-unknown-key]
        super().on_headers_complete()

    def _expect_head(self) -> None:
        if self._late is None:
            self._late = self.loop.call_later(_HEADER_SECONDS, self.transport.abort)

    def _head_came(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


def forwarded(headers: list[tuple[bytes, bytes]]) -> bytes | None:
    """The certificate (DER) that a proxy on this machine's unix socket says its caller proved; None without one.

    nginx sends `$ssl_client_escaped_cert`, Envoy `…;Cert="…";…`. Two such headers, or two certificates in one, are
    none: the second may be the caller's own invention.
    """
    found = [value for name, value in headers if name == FORWARDED]
    if len(found) != 1 or len(found[0]) > _MAX_FORWARDED:
        return None
    text = found[0].decode("latin-1")
    certificates = _ENVOY.findall(text) or [text]
    if len(certificates) != 1:
        return None
    try:
        return PEM_cert_to_DER_cert(unquote(certificates[0]).strip())
    except ValueError:
        return None
