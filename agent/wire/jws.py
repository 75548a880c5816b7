"""Payload and key <-> compact JWS: alg Ed25519 (RFC 9864), kid and typ, and nothing else in the header."""

import re

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from agent.wire import strictjson
from agent.wire.errors import FormError, HeaderError, JsonError, SignatureError, SizeError
from agent.wire.keys import SigningKey, VerifyKey, decode_base64url, is_kid

ALGORITHM = "Ed25519"
MAX_HEADER_CHARACTERS = 512
_SIGNATURE_CHARACTERS = 86
_COMPACT = re.compile(rb"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")


class _Registry(jws.JWSRegistry):
    """The library's checks, without its limit of 128,000 bytes: the caller has checked the size."""

    max_header_length = MAX_HEADER_CHARACTERS
    max_payload_length = 2**31
    max_signature_length = _SIGNATURE_CHARACTERS


_REGISTRY = _Registry(algorithms=[ALGORITHM])


def sign(payload: bytes, key: SigningKey, typ: str) -> bytes:
    """Compact JWS of `payload`; the same input gives the same bytes."""
    header = {"alg": ALGORITHM, "kid": key.kid, "typ": typ}
    return jws.serialize_compact(header, payload, OKPKey.import_key(key.handle), registry=_REGISTRY).encode("ascii")


def kid_of(token: bytes, typ: str, max_payload: int) -> str:
    """The kid that a well-formed token claims, unverified. Raises SizeError, FormError or HeaderError."""
    header, _, _ = split(token, max_payload)
    try:
        claims = strictjson.loads(decode_base64url(header.decode("ascii")), MAX_HEADER_CHARACTERS)
    except JsonError:
        raise HeaderError("the header is not strict JSON") from None
    except ValueError:
        raise FormError("the header is not base64url") from None
    match claims:
        case {"alg": "Ed25519", "kid": str() as kid, "typ": found, **rest} if found == typ and is_kid(kid) and not rest:
            return kid
        case _:
            raise HeaderError("the header is not exactly alg Ed25519, kid and typ")


def split(token: bytes, max_payload: int) -> tuple[bytes, bytes, bytes]:
    """The three segments, sizes checked, nothing decoded. Raises SizeError, FormError or HeaderError."""
    if _COMPACT.fullmatch(token) is None:
        raise FormError("not three segments of base64url")
    header, payload, signature = token.split(b".")
    if len(header) > MAX_HEADER_CHARACTERS:
        raise HeaderError(f"the header is larger than {MAX_HEADER_CHARACTERS} characters")
    if len(payload) * 3 // 4 > max_payload:
        raise SizeError(f"the payload is larger than {max_payload} bytes")
    return header, payload, signature


def verify(token: bytes, key: VerifyKey) -> bytes:
    """The payload, when `key` signed the token. `kid_of` must have accepted it. Raises SignatureError."""
    try:
        return jws.deserialize_compact(token, OKPKey.import_key(key.handle), registry=_REGISTRY).payload
    except (JoseError, ValueError):
        raise SignatureError("the signature does not match") from None
