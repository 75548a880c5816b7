"""`iban`: an international bank account number."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from agent.masking.pii.kind import Kind, Span, compiled, gate

_LENGTHS: Final[Mapping[str, int]] = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BI": 27, "BR": 29,
    "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27, "DK": 18, "DO": 28, "EE": 20, "EG": 29,
    "ES": 24, "FI": 18, "FK": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28,
    "HN": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20,
    "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19,
    "MN": 20, "MR": 27, "MT": 31, "MU": 30, "NI": 28, "NL": 18, "NO": 15, "OM": 23, "PK": 24, "PL": 28, "PS": 29,
    "PT": 25, "QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24, "SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24,
    "SM": 27, "SO": 23, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
    "YE": 30,
}  # fmt: skip
"""Country -> length, as of the SWIFT IBAN registry."""
_START: Final = f"(?i:{'|'.join(_LENGTHS)})[0-9]{{2}}"
_REST: Final = re.compile("[ \u00a0\u202f-]?[0-9A-Za-z]")
_MODULUS, _REST_OF_RIGHT = 97, 1


def _spans(text: str, _: bool) -> Iterator[Span]:  # noqa: FBT001 - the shape of all
    for match in compiled(_START, after="").finditer(text):
        plain, end = match[0].upper(), match.end()
        length = _LENGTHS[plain[:2]]
        while len(plain) < length and (more := _REST.match(text, end)):
            plain, end = plain + more[0][-1].upper(), more.end()
        inside = text[end : end + 1]
        if len(plain) == length and not (inside.isascii() and inside.isalnum()) and _right(plain):
            yield match.start(), end


def _right(plain: str) -> bool:
    """ISO 7064, MOD 97-10."""
    return int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4])) % _MODULUS == _REST_OF_RIGHT


IBAN = Kind(
    name="iban",
    about="country, check digits (mod 97) and the length of the country, with or without gaps.",
    first=gate("[A-Za-z]{2}[0-9]{2}[^0-9A-Za-z]?[0-9A-Za-z]{3}"),
    gate=gate(f"{_START}[ \u00a0\u202f\\-]?[0-9A-Za-z]{{3}}"),
    spans=_spans,
)
