"""The Router's TLS: 1.3 only; a client certificate is asked for, and verified where one is given."""

import asyncio.constants
import asyncio.sslproto
import ssl
from pathlib import Path
from typing import Final

_BUFFER_BYTES: Final = 16_384
_HANDSHAKE_SECONDS: Final = 15.0


def context(certificate: Path, key: Path, authorities: str) -> ssl.SSLContext:
    """A server context over PEM files; `authorities` in PEM are those whose clients count.

    Submitters and enrolling agents have no certificate, so that none is demanded; which call needs one, the call says.
    Raises OSError and ssl.SSLError.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.load_cert_chain(certificate, key)
    made.load_verify_locations(cadata=authorities)
    made.verify_mode = ssl.CERT_OPTIONAL
    made.num_tickets = 0  # a resumed session would not show a revoked certificate again
    return made


class Current:
    """One context that listens, and hands every new connection on to the context of the day."""

    def __init__(self, first: ssl.SSLContext) -> None:
        self.listening = first
        self._today = first
        first.sni_callback = self._hand_on

    def replace(self, today: ssl.SSLContext) -> None:
        """New connections get this certificate, and are verified by these authorities."""
        self._today = today

    def _hand_on(self, connection: ssl.SSLObject, _: str | None, __: ssl.SSLContext) -> None:
        """Called at each ClientHello, with or without a name in it: before any certificate is sent or verified."""
        if self._today is not self.listening:
            connection.context = self._today


def shrink_buffers() -> None:
    """An idle connection keeps one TLS record's room instead of 256 KiB: 69 KiB each instead of 274, as measured."""
    asyncio.sslproto.SSLProtocol.max_size = _BUFFER_BYTES


def hasten_handshakes() -> None:
    """Whoever connects and says nothing is hung up after 15 s, not 60: there is nobody yet who could be counted."""
    asyncio.constants.SSL_HANDSHAKE_TIMEOUT = _HANDSHAKE_SECONDS
