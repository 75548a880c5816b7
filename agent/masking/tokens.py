"""The token key -> pads per domain, such that nested SHA-256 in the engine equals HMAC-SHA256 (RFC 2104)."""

from collections.abc import Iterable
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from agent.core.errors import Fault
from agent.masking.rules.token import PREVIOUS

_BLOCK: Final = 64
_KEY: Final = 32


def pads(key: bytes | None, tenant: str, domains: Iterable[str], *, previous: bytes | None = None) -> dict[str, bytes]:
    """Variable name -> inner pad ‖ outer pad (64 bytes each), keyed by HKDF (RFC 5869) of tenant and domain.

    Names that begin with `PREVIOUS` take the `previous` key, and are otherwise the same domain. Raises
    Fault(source.unavailable) when a domain is asked for and no key, or a short one, is configured.
    """
    names = sorted(set(domains))
    if not names:
        return {}
    return {
        f"meridyen_{name}": _pads(
            _usable(previous if name.startswith(PREVIOUS) else key), tenant, name.removeprefix(PREVIOUS)
        )
        for name in names
    }


def _usable(key: bytes | None) -> bytes:
    if key is None or len(key) < _KEY:
        raise Fault("source.unavailable", "The policy uses tokens, and their key is missing or shorter than 32 bytes.")
    return key


def _pads(key: bytes, tenant: str, domain: str) -> bytes:
    info = b"meridyen token v1\0" + tenant.encode() + b"\0" + domain.encode()
    derived = HKDF(algorithm=SHA256(), length=_KEY, salt=None, info=info).derive(key).ljust(_BLOCK, b"\0")
    return bytes(b ^ 0x36 for b in derived) + bytes(b ^ 0x5C for b in derived)
