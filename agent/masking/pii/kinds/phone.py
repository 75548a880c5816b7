"""`phone`: a telephone number with its country."""

from collections.abc import Iterator
from typing import Final

from agent.masking.pii.kind import DIGITS, Kind, Span, compiled, gate, near, words

_SPEAKS: Final = words("phone", "telephone", "tel", "telefon[a-z]*", "tlf", "mobile?", "mobil", "handy", "fax", "cell")
_GAP: Final = "[ ./()\\-\u00a0\u2007\u2009\u2010\u2011\u2013\u202f]"
_NUMBER: Final = f"(?:\\+{_GAP}?|00)[1-9](?:{_GAP}{{0,3}}[0-9]){{6,14}}"
_LEAST, _MOST = 8, 15
_NORTH_AMERICA_DIGITS: Final = 11
_UNASSIGNED: Final = frozenset(
    {"210", "214", "215", "217", "219", "259", "28", "292", "293", "294", "295", "296", "384", "422", "424"}
    | {"425", "426", "427", "428", "429", "693", "694", "695", "696", "697", "698", "699", "801", "802", "803", "804"}
    | {"805", "806", "807", "809", "83", "851", "854", "857", "858", "859", "871", "872", "873", "874", "875", "876"}
    | {"877", "884", "885", "887", "889", "89", "969", "978", "990", "997", "999"}
)
"""Calling codes that no country has (ITU-T E.164)."""


def _valid(plain: str) -> bool:
    if not _LEAST <= len(plain) <= _MOST or any(plain.startswith(code) for code in _UNASSIGNED):
        return False
    if plain[0] == "1":
        return len(plain) == _NORTH_AMERICA_DIGITS and plain[1] >= "2" and plain[4] >= "2"
    return len(set(plain[1:])) > 1


def _spans(text: str, named: bool) -> Iterator[Span]:  # noqa: FBT001 - the shape of all
    for match in compiled(_NUMBER, after="(?![0-9])").finditer(text):
        written = match[0]
        plain = "".join(filter(str.isdigit, written))
        plus = written[0] == "+"
        sure = plus or not written.isdigit() or named or near(text, match.start(), _SPEAKS)
        if sure and _valid(plain if plus else plain[2:]):
            yield match.span()


PHONE = Kind(
    name="phone",
    about="`+49 30 123456`, `0049 30 123456`: 8 to 15 digits after `+` or `00`, and a calling code that exists.",
    first=f"\\+|{DIGITS}",
    gate=gate(_NUMBER),
    spans=_spans,
    speaks=_SPEAKS,
)
