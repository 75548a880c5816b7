"""A CA key -> short-lived certificates for agents that keep their keys to themselves, and the Router's own."""

import datetime as dt
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from router.ca.names import SubmitterId, uri_of
from router.ca.trust import Trust
from router.core.agents import AgentId
from router.core.problem import RouterProblem

CA_DAYS: Final = 3650
SERVER_DAYS: Final = 90
AGENT_HOURS: Final = 24
BACKDATED_SECONDS: Final = 600
"""A certificate is valid a little before it is made: the agent's clock may be behind."""
_MAX_CSR_BYTES: Final = 16_384
_MAX_COMMON_NAME: Final = 64

Key = ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate: PEM, its serial number in hexadecimal, and when it ends (Unix seconds)."""

    pem: str
    serial: str
    not_after: float


@dataclass(frozen=True, slots=True)
class Authority:
    """One CA: its certificate and key. `domain` is the trust domain of the identities it gives.

    `others` are authorities that count as well while the CA is rolled; they issue nothing.
    """

    certificate: x509.Certificate
    key: Key = field(repr=False)
    domain: str
    others: tuple[x509.Certificate, ...] = ()

    @classmethod
    def make(cls, domain: str, now: float) -> "Authority":
        """A new CA, valid for ten years. `now`: Unix seconds."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Meridyen Router CA {domain} {_stamp(now)}")])
        usage = _usage(signs_certificates=True)
        builder = _builder(name, name, key.public_key(), now, dt.timedelta(days=CA_DAYS))
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(usage, critical=True)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        return cls(builder.sign(key, hashes.SHA256()), key, domain)

    @classmethod
    def load(cls, certificate: bytes, key: bytes, domain: str) -> "Authority":
        """The reverse of `certificate_pem` and `key_pem`. Raises ValueError."""
        loaded = cls.load_key(key)
        found = x509.load_pem_x509_certificate(certificate)
        if found.public_key() != loaded.public_key():
            raise ValueError("the CA's key is not that of its certificate")
        return cls(found, loaded, domain)

    @staticmethod
    def load_key(pem: bytes) -> Key:
        """A private key of the Router's folder. Raises ValueError."""
        loaded = serialization.load_pem_private_key(pem, None)
        if not isinstance(loaded, ec.EllipticCurvePrivateKey):
            raise ValueError("the key is not an EC key")  # noqa: TRY004 - a file's content, not a type
        return loaded

    def certificate_pem(self) -> bytes:
        """The CA's certificate alone."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def bundle_pem(self) -> bytes:
        """All authorities that count, for those who trust the Router."""
        return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in (self.certificate, *self.others))

    def trust(self) -> Trust:
        """Whose certificates count."""
        return Trust((self.certificate, *self.others), self.domain)

    def issued(self, certificate: x509.Certificate) -> bool:
        """Whether this CA itself issued a certificate, by name and signature."""
        try:
            certificate.verify_directly_issued_by(self.certificate)
        except (ValueError, TypeError, InvalidSignature):
            return False
        return True

    def key_pem(self) -> bytes:
        """The CA's private key; for a file that nobody else can read."""
        return private_pem(self.key)

    def agent(self, csr: bytes, agent: AgentId, now: float, *, hours: float = AGENT_HOURS) -> Issued:
        """A client certificate over the key of a signed request; nothing else of the request is taken.

        Raises RouterProblem(enroll.request).
        """
        return self._client(_request(csr).public_key(), agent, now, dt.timedelta(hours=hours))

    def submitter(self, key: Key, submitter: SubmitterId, now: float, *, days: float) -> Issued:
        """A client certificate for a submitter. Raises ValueError for a name that does not fit."""
        return self._client(key.public_key(), submitter, now, dt.timedelta(days=days))

    def _client(self, key: object, who: AgentId | SubmitterId, now: float, life: dt.timedelta) -> Issued:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, who.name[:_MAX_COMMON_NAME])])
        builder = _builder(name, self.certificate.subject, key, now, life)
        uri = x509.UniformResourceIdentifier(uri_of(who, self.domain))
        builder = builder.add_extension(x509.SubjectAlternativeName([uri]), critical=True)
        return self._sign(builder, ExtendedKeyUsageOID.CLIENT_AUTH)

    def server(self, key: Key, hosts: Iterable[str], now: float) -> Issued:
        """The Router's own certificate for these host names and addresses."""
        named = list(hosts)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, named[0][:_MAX_COMMON_NAME])])
        life = dt.timedelta(days=SERVER_DAYS)
        builder = _builder(name, self.certificate.subject, key.public_key(), now, life)
        builder = builder.add_extension(x509.SubjectAlternativeName(list(map(_host, named))), critical=False)
        return self._sign(builder, ExtendedKeyUsageOID.SERVER_AUTH)

    def _sign(self, builder: x509.CertificateBuilder, purpose: x509.ObjectIdentifier) -> Issued:
        usage = _usage(signs_certificates=False)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(usage, critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        own = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        certificate = builder.add_extension(own, critical=False).sign(self.key, hashes.SHA256())
        return Issued(
            certificate.public_bytes(serialization.Encoding.PEM).decode(),
            f"{certificate.serial_number:x}",
            certificate.not_valid_after_utc.timestamp(),
        )


def _stamp(now: float) -> str:
    """Two authorities of one domain need two names."""
    return dt.datetime.fromtimestamp(now, tz=dt.UTC).strftime("%Y%m%d-%H%M%S")


def new_key() -> Key:
    """A P-256 key: what every TLS stack takes."""
    return ec.generate_private_key(ec.SECP256R1())


def private_pem(key: Key) -> bytes:
    """The key as PKCS #8."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _request(csr: bytes) -> x509.CertificateSigningRequest:
    request: x509.CertificateSigningRequest | None = None
    try:
        request = x509.load_pem_x509_csr(csr[:_MAX_CSR_BYTES])
        key = request.public_key()
        sound = request.is_signature_valid and (
            isinstance(key, ed25519.Ed25519PublicKey)
            or (isinstance(key, ec.EllipticCurvePublicKey) and key.curve.key_size >= 256)  # noqa: PLR2004
        )
    except (ValueError, TypeError):
        sound = False
    if request is None or not sound:
        raise RouterProblem("enroll.request")
    return request


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: object, now: float, life: dt.timedelta
) -> x509.CertificateBuilder:
    begun = dt.datetime.fromtimestamp(now, tz=dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)  # type: ignore[arg-type]
        .serial_number(x509.random_serial_number())
        .not_valid_before(begun - dt.timedelta(seconds=BACKDATED_SECONDS))
        .not_valid_after(begun + life)
    )


def _host(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
