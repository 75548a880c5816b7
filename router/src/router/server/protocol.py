"""uvicorn's HTTP/1.1 protocol, with the caller's certificate in each request's scope: uvicorn itself hides it."""

import hashlib
import ipaddress
import re
import socket
from asyncio import TimerHandle, Transport
from collections import Counter
from http import HTTPStatus
from ssl import PEM_cert_to_DER_cert, SSLObject
from typing import Any, Final
from urllib.parse import unquote

import httptools
import msgspec
from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from router.core.problem import KINDS
from router.server.messages import JSON, ProblemOut

PEER: Final = "meridyen.peer"
"""Scope key: the client certificate in DER, None when the connection has none."""

FORWARDED: Final = b"x-forwarded-client-cert"
_HEADER_SECONDS: Final = 30.0
MAX_HEAD_BYTES: Final = 65_536
_MAX_FORWARDED: Final = 16_384
_RETRY_SECONDS: Final = 5
_ENVOY: Final = re.compile(r'Cert="([^"]*)"')


class Peers:
    """How many connections each caller has open: by its certificate, else by its address."""

    def __init__(self, most: int) -> None:
        """Args: `most` of one caller's are served."""
        self._most = most
        self._open: Counter[str] = Counter()

    def come(self, who: str) -> int:
        """One more. How many it has beyond those that are served."""
        self._open[who] += 1
        return max(0, self._open[who] - self._most)

    def gone(self, who: str) -> None:
        """One less."""
        self._open[who] -= 1
        if self._open[who] <= 0:
            del self._open[who]

    @property
    def most(self) -> int:
        """Connections of one caller that are served."""
        return self._most


class PeerProtocol(HttpToolsProtocol):
    """Over TLS: reads the certificate once a connection; no header can stand in for it.

    A request whose head does not come within 30 s ends its connection: it would hold a descriptor for nothing. One
    whose head is too large, or that is not HTTP, is answered with a problem, and so is a caller with too many
    connections.
    """

    _peer: bytes | None = None
    _local: bool = False
    _late: TimerHandle | None = None
    _head: int = 0
    _who: str | None = None
    _surplus: int = 0

    def __init__(self, *args: Any, peers: Peers, **more: Any) -> None:
        super().__init__(*args, **more)
        self._peers = peers

    @override
    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        tls: SSLObject | None = transport.get_extra_info("ssl_object")
        self._peer = None if tls is None else tls.getpeercert(binary_form=True)
        own: socket.socket | None = transport.get_extra_info("socket")
        self._local = tls is None and own is not None and own.family == socket.AF_UNIX
        if not self._local:
            self._who = place(self.client) if self._peer is None else hashlib.sha256(self._peer).hexdigest()
            self._surplus = self._peers.come(self._who)
        if self._surplus > self._peers.most:
            transport.abort()  # not even an answer: each of these takes a descriptor
        self._expect_head()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._head_came()
        if self._who is not None:
            self._peers.gone(self._who)
        super().connection_lost(exc)

    @override
    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # nothing is upgraded: it is answered as what it is
        except httptools.HttpParserError:
            self._refuse("quota.connections" if self._surplus else "request.malformed")
            return
        self._head = 0 if self._late is None else self._head + len(data)
        if self._head > MAX_HEAD_BYTES:
            self._refuse("request.head")

    @override
    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope[PEER] = self._peer  # type: ignore[typeddict-unknown-key]
        self._expect_head()

    @override
    def on_headers_complete(self) -> None:
        self._head_came()
        if self._surplus:
            raise ConnectionRefusedError  # the parser makes an error of its own of it
        if self._local:
            self.scope[PEER] = forwarded(self.headers)  # type: ignore[typeddict-unknown-key]
        super().on_headers_complete()

    def _refuse(self, code: str) -> None:
        """Answer without the application, and hang up."""
        under_way: RequestResponseCycle | None = self.cycle
        if under_way is None or under_way.response_complete:
            self.transport.write(answer_of(code))
        self.transport.close()

    def _expect_head(self) -> None:
        if self._late is None:
            self._late = self.loop.call_later(_HEADER_SECONDS, self.transport.abort)

    def _head_came(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


def answer_of(code: str) -> bytes:
    """A published problem as a whole HTTP answer, after which the connection ends."""
    kind = KINDS[code]
    body = msgspec.json.encode(ProblemOut(kind.code, kind.meaning, kind.remedy))
    lines = [
        f"HTTP/1.1 {kind.status} {HTTPStatus(kind.status).phrase}",
        f"content-type: {JSON}",
        f"content-length: {len(body)}",
        *([f"retry-after: {_RETRY_SECONDS}"] if kind.status == HTTPStatus.TOO_MANY_REQUESTS else []),
        "connection: close",
    ]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


def place(client: tuple[str, int] | None) -> str:
    """Where a caller is, as it is counted: its address, of IPv6 the network of 64 bits, which one host has all of."""
    if client is None:
        return ""
    try:
        address = ipaddress.ip_address(client[0].partition("%")[0])
    except ValueError:
        return client[0]
    if address.version == 4 or address.ipv4_mapped is not None:  # noqa: PLR2004
        return str(address)
    return str(ipaddress.ip_network((address, 64), strict=False))


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
