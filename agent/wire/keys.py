"""JWK <-> keys: Ed25519 signs and verifies, X25519 seals and opens (RFC 8037); the id is the RFC 7638 thumbprint."""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

KID_PATTERN = "^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$"
_KID = re.compile(KID_PATTERN.strip("^$"), re.ASCII)
_RAW_BYTES = 32
_PUBLIC_MEMBERS = frozenset({"kty", "crv", "x", "kid"})
_PRIVATE_MEMBERS = _PUBLIC_MEMBERS | {"d"}
# Raw signatures carry a prefix that no JWS signing input can start with, so that neither can stand for the other.
_RAW_CONTEXT = b"meridyen-raw+v1\x00"
_P = 2**255 - 19
# The y coordinates of the points of small order: a key made of one verifies signatures that nobody made.
_SMALL_ORDER = frozenset(
    {
        0,
        1,
        _P - 1,
        int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"),
        int.from_bytes(bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"), "little"),
    }
)


def is_kid(text: object) -> bool:
    """Whether `text` has the form of a key id: 43 characters of base64url, the last one canonical."""
    return isinstance(text, str) and _KID.fullmatch(text) is not None


def fingerprint(kid: str) -> str:
    """How a key id is shown to people who compare it out of band."""
    return f"SHA256:{kid}"


@dataclass(frozen=True, slots=True)
class VerifyKey:
    """An Ed25519 public key. `raw` is its 32 bytes."""

    raw: bytes

    def __post_init__(self) -> None:
        """Refuse what is not a point of the prime-order kind. Raises ValueError."""
        y = int.from_bytes(_sized(self.raw, "x"), "little") & (1 << 255) - 1
        if y >= _P or y in _SMALL_ORDER:
            raise ValueError("x is not a usable Ed25519 public key")

    @property
    def kid(self) -> str:
        """RFC 7638 thumbprint."""
        return _thumbprint("Ed25519", self.raw)

    @property
    def handle(self) -> Ed25519PublicKey:
        """The key as `cryptography` takes it."""
        return Ed25519PublicKey.from_public_bytes(self.raw)

    def verify(self, signature: bytes, message: bytes) -> bool:
        """Whether `signature` was made by `SigningKey.sign` over `message`."""
        try:
            self.handle.verify(signature, _RAW_CONTEXT + message)
        except InvalidSignature:
            return False
        return True

    def to_jwk(self) -> dict[str, str]:
        """Public JWK with its kid."""
        return _public_jwk("Ed25519", self.raw)

    @classmethod
    def from_jwk(cls, jwk: Mapping[str, object]) -> "VerifyKey":
        """The reverse of `to_jwk`. Raises ValueError naming the member that is wrong."""
        return cls(_read_public(jwk, "Ed25519"))


@dataclass(frozen=True, slots=True)
class RecipientKey:
    """An X25519 public key that results are sealed to. `raw` is its 32 bytes."""

    raw: bytes

    def __post_init__(self) -> None:
        """Refuse points of small order: sealing to one would fail only when a result is due. Raises ValueError."""
        _sized(self.raw, "x")
        try:
            X25519PrivateKey.generate().exchange(self.handle)
        except ValueError:
            raise ValueError("x is not a usable X25519 public key") from None

    @property
    def kid(self) -> str:
        """RFC 7638 thumbprint."""
        return _thumbprint("X25519", self.raw)

    @property
    def handle(self) -> X25519PublicKey:
        """The key as `cryptography` takes it."""
        return X25519PublicKey.from_public_bytes(self.raw)

    def to_jwk(self) -> dict[str, str]:
        """Public JWK with its kid."""
        return _public_jwk("X25519", self.raw)

    @classmethod
    def from_jwk(cls, jwk: Mapping[str, object]) -> "RecipientKey":
        """The reverse of `to_jwk`. Raises ValueError naming the member that is wrong."""
        return cls(_read_public(jwk, "X25519"))


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An Ed25519 private key. Shows, compares and hashes by its kid."""

    handle: Ed25519PrivateKey = field(repr=False, compare=False)
    kid: str = field(init=False)

    def __post_init__(self) -> None:
        """Set the kid once."""
        object.__setattr__(self, "kid", self.public().kid)

    @classmethod
    def generate(cls) -> "SigningKey":
        """A fresh key from the operating system's randomness."""
        return cls(Ed25519PrivateKey.generate())

    def public(self) -> VerifyKey:
        """Its public half."""
        return VerifyKey(self.handle.public_key().public_bytes_raw())

    def sign(self, message: bytes) -> bytes:
        """64 bytes over a prefixed `message`: never valid as the signature of a JWS. For `VerifyKey.verify`."""
        return self.handle.sign(_RAW_CONTEXT + message)

    def to_jwk(self) -> dict[str, str]:
        """Private JWK: secret."""
        return {**self.public().to_jwk(), "d": _encode(self.handle.private_bytes_raw())}

    @classmethod
    def from_jwk(cls, jwk: Mapping[str, object]) -> "SigningKey":
        """The reverse of `to_jwk`. Raises ValueError naming the member that is wrong, never its value."""
        key = cls(Ed25519PrivateKey.from_private_bytes(_read_private(jwk, "Ed25519")))
        _check_pair(key.public().raw, jwk)
        return key


@dataclass(frozen=True, slots=True)
class OpeningKey:
    """An X25519 private key: opens results sealed to its public half. Shows, compares and hashes by its kid."""

    handle: X25519PrivateKey = field(repr=False, compare=False)
    kid: str = field(init=False)

    def __post_init__(self) -> None:
        """Set the kid once."""
        object.__setattr__(self, "kid", self.public().kid)

    @classmethod
    def generate(cls) -> "OpeningKey":
        """A fresh key from the operating system's randomness."""
        return cls(X25519PrivateKey.generate())

    def public(self) -> RecipientKey:
        """Its public half."""
        return RecipientKey(self.handle.public_key().public_bytes_raw())

    def to_jwk(self) -> dict[str, str]:
        """Private JWK: secret."""
        return {**self.public().to_jwk(), "d": _encode(self.handle.private_bytes_raw())}

    @classmethod
    def from_jwk(cls, jwk: Mapping[str, object]) -> "OpeningKey":
        """The reverse of `to_jwk`. Raises ValueError naming the member that is wrong, never its value."""
        key = cls(X25519PrivateKey.from_private_bytes(_read_private(jwk, "X25519")))
        _check_pair(key.public().raw, jwk)
        return key


def encode_base64url(data: bytes) -> str:
    """Base64url without padding."""
    return _encode(data)


def decode_base64url(text: str) -> bytes:
    """The reverse; only the one canonical spelling is taken. Raises ValueError."""
    try:
        data = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raise ValueError("not base64url") from None
    if _encode(data) != text:
        raise ValueError("not canonical base64url")
    return data


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _sized(raw: object, member: str) -> bytes:
    if not isinstance(raw, bytes) or len(raw) != _RAW_BYTES:
        raise ValueError(f"{member} is not {_RAW_BYTES} bytes")
    return raw


def _public_jwk(curve: str, raw: bytes) -> dict[str, str]:
    return {"kty": "OKP", "crv": curve, "x": _encode(raw), "kid": _thumbprint(curve, raw)}


def _thumbprint(curve: str, raw: bytes) -> str:
    members = {"crv": curve, "kty": "OKP", "x": _encode(raw)}
    return _encode(sha256(json.dumps(members, separators=(",", ":"), sort_keys=True).encode()).digest())


def _member(jwk: Mapping[str, object], name: str) -> bytes:
    text = jwk[name]
    if not isinstance(text, str):
        raise ValueError(f"{name} is not a string")  # noqa: TRY004  every bad JWK is a ValueError
    try:
        return _sized(decode_base64url(text), name)
    except ValueError:
        raise ValueError(f"{name} is not {_RAW_BYTES} bytes in base64url") from None


def _check(jwk: Mapping[str, object], curve: str, members: frozenset[str]) -> None:
    if not isinstance(jwk, Mapping):
        raise ValueError("the key is not a JWK object")  # noqa: TRY004  every bad JWK is a ValueError
    if "d" in jwk and "d" not in members:
        raise ValueError("a public key must not hold the private member d")
    missing, extra = sorted(members - set(jwk)), set(jwk) - members
    if missing:
        raise ValueError(f"the member {missing[0]} is missing")
    if extra:
        raise ValueError("the key has a member other than " + ", ".join(sorted(members)))
    if jwk["kty"] != "OKP":
        raise ValueError("kty is not OKP")
    if jwk["crv"] != curve:
        raise ValueError(f"crv is not {curve}")


def _read_public(jwk: Mapping[str, object], curve: str, members: frozenset[str] = _PUBLIC_MEMBERS) -> bytes:
    _check(jwk, curve, members)
    raw = _member(jwk, "x")
    if jwk["kid"] != _thumbprint(curve, raw):
        raise ValueError("kid is not the thumbprint of the key")
    return raw


def _read_private(jwk: Mapping[str, object], curve: str) -> bytes:
    _read_public(jwk, curve, _PRIVATE_MEMBERS)
    return _member(jwk, "d")


def _check_pair(public: bytes, jwk: Mapping[str, object]) -> None:
    if public != _member(jwk, "x"):
        raise ValueError("d and x do not belong together")
