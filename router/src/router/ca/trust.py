"""A certificate -> who shows it, when one of the Router's own authorities issued it for just that use.

TLS has verified the chain already, or a proxy says so. It is verified again here, because a connection outlives a
certificate, an authority that was dropped, and a proxy's mistake.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import ExtendedKeyUsageOID

from router.ca.names import SubmitterId, named
from router.core.agents import AgentId
from router.core.problem import RouterProblem

_REMEMBERED: Final = 8192


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is on a connection, and from when to when its certificate counts, Unix seconds."""

    who: AgentId | SubmitterId
    begins: float
    ends: float


class Trust:
    """The authorities whose certificates count. A certificate is verified once and remembered."""

    def __init__(self, authorities: Sequence[x509.Certificate], domain: str) -> None:
        """Args: `domain` is the trust domain that names have to be of."""
        self._authorities, self._domain = tuple(authorities), domain
        self._known = lru_cache(maxsize=_REMEMBERED)(self._read)

    def who(self, der: bytes | None, now: float) -> AgentId | SubmitterId:
        """Who shows this certificate (DER). Raises RouterProblem(auth.missing | auth.invalid)."""
        if der is None:
            raise RouterProblem("auth.missing", "The call needs a certificate.")
        peer = self._known(der)
        if peer is None:
            raise RouterProblem("auth.invalid", "The certificate is not one of this Router's clients.")
        if not peer.begins <= now <= peer.ends:
            raise RouterProblem("auth.invalid", "The certificate has ended, or has not begun.")
        return peer.who

    def _read(self, der: bytes) -> Peer | None:
        try:
            certificate = x509.load_der_x509_certificate(der)
            usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        except (ValueError, x509.ExtensionNotFound):
            return None
        who = named(certificate, self._domain)
        if who is None or ExtendedKeyUsageOID.CLIENT_AUTH not in usage:
            return None
        if not any(_issued(certificate, authority) for authority in self._authorities):
            return None
        begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        return Peer(who, begins.timestamp(), ends.timestamp())


def _issued(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
