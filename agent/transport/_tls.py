"""The agent's end of mTLS: TLS 1.3, its own certificate, the Router's CA, and pins of keys that the site insists on."""

import base64
import hashlib
import ssl
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from typing_extensions import override

from agent.core.errors import TransportError

_SEQUENCE: Final = 0x30
_VERSION: Final = 0xA0
_FIELDS_BEFORE_KEY: Final = 5
"""Of a TBSCertificate, after its version: serialNumber, signature, issuer, validity, subject (RFC 5280, 4.1)."""


@dataclass(frozen=True, slots=True)
class Material:
    """PEM files. Without `certificate` and `key`, nobody is named: enough to enrol. `pins`: base64 SHA-256 of SPKIs.

    `learned` need not exist: the authorities that the Router named when it last issued a certificate. They count beside
    `ca`, so that the Router's authority can be rolled while the site's file stays as it is.
    """

    ca: Path | None
    certificate: Path | None = None
    key: Path | None = None
    pins: tuple[str, ...] = ()
    learned: Path | None = None

    def files(self) -> tuple[Path, ...]:
        """What to watch for changes."""
        return tuple(path for path in (self.ca, self.learned, self.certificate, self.key) if path is not None)


def context(material: Material) -> ssl.SSLContext:
    """A client context. Raises TransportError, naming the file and the remedy."""
    made = ssl.create_default_context()
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    if material.ca is not None:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        made.minimum_version = ssl.TLSVersion.TLSv1_3
    if material.pins:
        made.sslobject_class = _pinned(frozenset(material.pins))
    try:
        if material.ca is not None:
            made.load_verify_locations(material.ca)
            if material.learned is not None and material.learned.exists():
                made.load_verify_locations(material.learned)
        if material.certificate is not None:
            made.load_cert_chain(material.certificate, material.key)
    except ssl.SSLError as error:
        which = ", ".join(path.name for path in material.files())
        raise TransportError(
            f"TLS files cannot be used ({error.reason or 'not PEM'}): {which}. Fix: `agent enroll` makes new ones."
        ) from None
    except OSError as error:
        raise TransportError(
            f"{error.filename or material.certificate}: cannot be read ({error.strerror}). Fix: `agent enroll`."
        ) from None
    return made


def spki_pin(certificate: bytes) -> str:
    """The pin of a certificate in DER: base64 of SHA-256 over its SubjectPublicKeyInfo, as in RFC 7469.

    Raises ValueError for what is no certificate.
    """
    body = _inside(_inside(certificate, 0)[0], 0)[0]
    at = 0
    if body[:1] == bytes([_VERSION]):
        at = _inside(body, 0)[1]
    for _ in range(_FIELDS_BEFORE_KEY):
        at = _inside(body, at)[1]
    end = _inside(body, at)[1]
    return base64.b64encode(hashlib.sha256(body[at:end]).digest()).decode()


def _inside(data: bytes, at: int) -> tuple[bytes, int]:
    """The content of the DER value at `at`, and where the next one begins."""
    if at + 2 > len(data):
        raise ValueError("not DER")
    length, head = data[at + 1], 2
    if length & 0x80:
        size = length & 0x7F
        head += size
        length = int.from_bytes(data[at + 2 : at + head], "big")
    end = at + head + length
    if end > len(data):
        raise ValueError("not DER")
    return data[at + head : end], end


def _pinned(pins: Collection[str]) -> type[ssl.SSLObject]:
    """A TLS object that ends a handshake with any other key than the pinned ones, whoever signed its certificate."""

    class Pinned(ssl.SSLObject):
        @override
        def do_handshake(self) -> None:
            super().do_handshake()
            peer = self.getpeercert(binary_form=True)
            if peer is None or spki_pin(peer) not in pins:
                raise ssl.SSLCertVerificationError("the server's key is not a pinned one")

    return Pinned
