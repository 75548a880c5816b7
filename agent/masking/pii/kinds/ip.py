"""`ip`: an IP address."""

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Final

from agent.masking.pii.kind import Kind, Span, compiled, gate

_V4: Final = "[0-9]{1,3}(?:\\.[0-9]{1,3}){3}"
_V6: Final = "[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}"
_LEAST_COLONS: Final = 7


def _spans(text: str, _: bool) -> Iterator[Span]:  # noqa: FBT001 - the shape of all
    for match in compiled(f"{_V4}|{_V6}", after="(?![0-9A-Za-z_:]|\\.[0-9])").finditer(text):
        if text[max(0, match.start() - 1) : match.start()] not in {".", ":"} and _valid(match[0]):
            yield match.span()


def _valid(written: str) -> bool:
    if ":" in written and "::" not in written and written.count(":") < _LEAST_COLONS:
        return False  # a time of day
    try:
        address = ip_address(written)
    except ValueError:
        return False
    return not (address.is_unspecified or address.is_loopback)


IP = Kind(
    name="ip",
    about="IPv4 and IPv6, but for `127.0.0.1`, `::1` and zero. Version numbers can look like one.",
    first="[0-9]\\.[0-9]|:[0-9A-Fa-f:]",
    gate=gate(f"{_V4}|{_V6}"),
    spans=_spans,
    optional=True,
)
