"""uvicorn's HTTP/1.1 protocol, with the caller's certificate in each request's scope: uvicorn itself hides it."""

from asyncio import Transport
from ssl import SSLObject
from typing import Final

from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

PEER: Final = "meridyen.peer"
"""Scope key: the client certificate in DER, None when the connection has none. TLS has verified its chain."""


class PeerProtocol(HttpToolsProtocol):
    """Reads the certificate once a connection; no header can stand in for it."""

    _peer: bytes | None = None

    @override
    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        tls: SSLObject | None = transport.get_extra_info("ssl_object")
        self._peer = None if tls is None else tls.getpeercert(binary_form=True)

    @override
    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope[PEER] = self._peer  # type: ignore[typeddict-unknown-key]
