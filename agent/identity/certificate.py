"""The agent's own TLS key, which never leaves the host, and the short-lived certificate over it.

`STATE_DIR/identity/tls/`: `agent.pem` holds key and certificate, `ca.pem` is the Router's. A renewal makes a
new key, writes both as one file, and changes to it by one rename: no moment has a key of one and a certificate of
another.
"""

import random
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from agent.core.durable import make_folder, replace_file
from agent.core.errors import ConfigError

RENEW_FROM: Final = 0.50
RENEW_UNTIL: Final = 0.66
_JITTER: Final = 0.10


@dataclass(frozen=True, slots=True)
class Tls:
    """Where the agent's TLS files lie. `pair` holds key and certificate together."""

    folder: Path

    @property
    def pair(self) -> Path:
        """Key and certificate, PEM."""
        return self.folder / "agent.pem"

    @property
    def ca(self) -> Path:
        """The CA of the Router, PEM."""
        return self.folder / "ca.pem"

    @property
    def enrolled(self) -> bool:
        """Whether there is a certificate at all."""
        return self.pair.exists()


@dataclass(frozen=True, slots=True)
class Life:
    """Of the certificate in use. Unix seconds; `subject` as RFC 4514 writes it, `serial` in hexadecimal."""

    begins: float
    ends: float
    subject: str = ""
    serial: str = ""

    def renewal(self, chance: float | None = None) -> float:
        """When to renew: between 50 and 66 % of its life, give or take a tenth of it, so that agents spread.

        `chance` from 0 to 1 stands in for the random numbers.
        """
        drawn = random.SystemRandom().random() if chance is None else chance
        share = RENEW_FROM + (RENEW_UNTIL - RENEW_FROM) * drawn
        share *= 1 + _JITTER * (2 * drawn - 1)
        return self.begins + share * (self.ends - self.begins)


@dataclass(frozen=True, slots=True)
class Request:
    """A new key and the request to have it certified."""

    key: bytes
    csr: str


def request(name: str) -> Request:
    """A fresh P-256 key and a CSR over it. The Router takes nothing of the request but the key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    csr = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Request(pem, csr.public_bytes(serialization.Encoding.PEM).decode())


def keep(tls: Tls, made: Request, certificate: str, ca: str | None) -> Life:
    """Use this key and certificate from now on; its life. `ca` replaces the Router's CA, None leaves it.

    Raises ConfigError when they do not belong together, or cannot be written.
    """
    try:
        loaded = x509.load_pem_x509_certificate(certificate.encode())
        key = serialization.load_pem_private_key(made.key, None)
        if ca is not None:
            x509.load_pem_x509_certificates(ca.encode())
    except ValueError:
        raise _unusable(tls) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or loaded.public_key() != key.public_key():
        raise _unusable(tls)
    try:
        make_folder(tls.folder)
        if ca is not None:
            replace_file(tls.ca, ca.encode())
        replace_file(tls.pair, made.key + certificate.encode())
    except OSError as error:
        fix = "Free disk space, and check the folder's mode."
        raise ConfigError(str(tls.folder), f"cannot be written ({error.strerror}).", fix) from None
    return _life(loaded)


def life(tls: Tls) -> Life:
    """Of the certificate in use. Raises ConfigError when there is none, or it cannot be read."""
    try:
        data = tls.pair.read_bytes()
        return _life(x509.load_pem_x509_certificate(data[data.index(b"-----BEGIN CERTIFICATE") :]))
    except OSError as error:
        raise ConfigError(str(tls.pair), f"cannot be read ({error.strerror}).", "Run `agent enroll`.") from None
    except ValueError:
        raise ConfigError(str(tls.pair), "holds no certificate.", "Run `agent enroll`.") from None


def expired(found: Life, now: float) -> bool:
    """Whether the certificate has ended."""
    return now >= found.ends


def _life(certificate: x509.Certificate) -> Life:
    return Life(
        certificate.not_valid_before_utc.astimezone(UTC).timestamp(),
        certificate.not_valid_after_utc.astimezone(UTC).timestamp(),
        certificate.subject.rfc4514_string(),
        f"{certificate.serial_number:x}",
    )


def _unusable(tls: Tls) -> ConfigError:
    return ConfigError(
        str(tls.folder),
        "is left as it is: the Router answered with a certificate over another key, or with none.",
        "Check who answers in its place.",
    )


__all__ = ["Life", "Request", "Tls", "expired", "keep", "life", "request"]
