"""A certificate in DER -> the names that its issuer has, for a person to read. Nothing is verified."""

from collections.abc import Iterator
from typing import Final

_VERSION: Final = 0xA0
_SET: Final = 0x31
_SEQUENCE: Final = 0x30
_TEXTS: Final = frozenset({0x0C, 0x13, 0x14, 0x16})
"""UTF8String, PrintableString, TeletexString, IA5String."""
_LONGEST: Final = 120
_DEEPEST: Final = 4
"""A name is a sequence of sets of sequences."""


def issuer(certificate: bytes) -> str:
    """For example `Example Proxy CA, Example Ltd`. Raises ValueError for what is no certificate."""
    outer = next(_values(certificate), None)
    body = next(_values(outer[1]), None) if outer else None
    if body is None:
        raise ValueError("not DER")
    fields = [value for value in _values(body[1]) if value[0] != _VERSION]
    if len(fields) < 3:  # noqa: PLR2004 - serialNumber, signature, issuer (RFC 5280, 4.1)
        raise ValueError("not a certificate")
    texts = [text for text in _texts(fields[2][1]) if text]
    return ", ".join(reversed(texts))[:_LONGEST]


def _texts(names: bytes, depth: int = _DEEPEST) -> Iterator[str]:
    for kind, content in _values(names):
        if kind in {_SET, _SEQUENCE} and depth:
            yield from _texts(content, depth - 1)
        elif kind in _TEXTS:
            yield "".join(char for char in content.decode("utf-8", "replace") if char.isprintable())


def _values(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The DER values in a row: tag and content."""
    at = 0
    while at < len(data):
        if at + 2 > len(data):
            raise ValueError("not DER")
        kind, length, head = data[at], data[at + 1], 2
        if length & 0x80:
            size = length & 0x7F
            head += size
            length = int.from_bytes(data[at + 2 : at + head], "big")
        end = at + head + length
        if end > len(data):
            raise ValueError("not DER")
        yield kind, data[at + head : end]
        at = end
