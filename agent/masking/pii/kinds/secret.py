"""`secret`: a key that opens something: private keys, access keys of clouds, signed tokens, passwords in addresses."""

import base64
import binascii
import json
import re
from collections.abc import Iterator
from typing import Final

from agent.masking.pii.kind import Kind, Span

_TEXT: Final = "[A-Za-z0-9_-]"
_JWT: Final = f"eyJ{_TEXT}{{8,}}\\.eyJ{_TEXT}{{2,}}\\.{_TEXT}*"
_BLOCK: Final = "-----BEGIN [A-Z0-9 ]{0,24}PRIVATE KEY"
_KEYS: Final = (
    ("(?:AKIA|ASIA)[0-9A-Z]", "[0-9A-Z]{15}"),  # AWS
    ("AIza", "[0-9A-Za-z_-]{35}"),  # Google
    ("gh[oprsu]_", "[0-9A-Za-z]{36}"),  # GitHub
    ("github_pat_", "[0-9A-Za-z_]{22}"),
    ("glpat-", "[0-9A-Za-z_-]{20}"),  # GitLab
    ("xox[abeoprs]-", "[0-9A-Za-z-]{10}"),  # Slack
    ("[rs]k_live_", "[0-9A-Za-z]{16}"),  # Stripe
    ("sk-(?:ant-|proj-)?[0-9A-Za-z]", "[0-9A-Za-z_-]{31}"),  # model providers
    ("npm_", "[0-9A-Za-z]{36}"),
    ("SG\\.", "[0-9A-Za-z_-]{22}\\.[0-9A-Za-z_-]{43}"),  # SendGrid
    ("AccountKey=", "[0-9A-Za-z+/]{40}"),  # Azure
)
"""How each begins, which is its gate, and how it goes on: counted repetitions would make the gate slow."""
_ADDRESS: Final = "[a-z][a-z0-9+.-]{1,20}://[^\\s/:@]{1,64}:[^\\s/@*]{1,128}@"
_FOUND: Final = re.compile(
    f"(?P<block>{_BLOCK}.*?(?:-----END [A-Z0-9 ]{{0,24}}PRIVATE KEY(?: BLOCK)?-----|\\Z))"
    f"|(?<![0-9A-Za-z_])(?:(?P<jwt>{_JWT})|(?:{'|'.join(a + b for a, b in _KEYS)})[0-9A-Za-z_+/=.-]*)"
    f"|(?<![0-9A-Za-z_]){_ADDRESS}",
    re.DOTALL,
)
_BEGINNINGS: Final = "|".join(("-----BEGIN ", "eyJ", "[a-z0-9]://[^\\s/@]+:", *(begin for begin, _ in _KEYS)))


def _spans(text: str, _: bool) -> Iterator[Span]:  # noqa: FBT001 - the shape of all
    return (match.span() for match in _FOUND.finditer(text) if match["jwt"] is None or _is_token(match["jwt"]))


def _is_token(written: str) -> bool:
    head = written.partition(".")[0]
    try:
        fields = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return False
    return isinstance(fields, dict) and ("alg" in fields or "typ" in fields)


SECRET = Kind(
    name="secret",
    about="private keys, signed tokens (JWT), access keys of clouds and services, addresses with a password in them.",
    first=_BEGINNINGS,
    gate=_BEGINNINGS,
    spans=_spans,
)
