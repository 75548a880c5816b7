"""`us_ssn`: a social security number of the United States, or the taxpayer number in its place."""

from collections.abc import Iterator
from typing import Final

from agent.masking.pii.kind import DIGITS, GAP, Kind, Span, compiled, gate, near, spoken_gate, words

_PARTS: Final = ("ssn", "itin", "social[ _-]?sec[a-z]*([ _-]?(?:no|nr|num|number))?", "tax[ _-]?payer[ _-]?id")
_SPEAKS: Final = words(*_PARTS)
_WRITTEN: Final = f"[0-9]{{3}}{GAP}[0-9]{{2}}{GAP}[0-9]{{4}}"
_PLAIN: Final = "[0-9]{9}"
_AFTER: Final = "(?![0-9A-Za-z_]|[.\\-\u2010\u2011\u2013][0-9])"
"""No further group behind it; a blank may be followed by anything: another number, or the rest of a sentence."""
_ITIN_GROUPS: Final = frozenset({*range(50, 66), *range(70, 89), *range(90, 93), *range(94, 100)})
_NO_AREAS, _ITIN_AREAS = frozenset({0, 666}), 900


def _valid(number: str) -> bool:
    area, group, serial = int(number[:3]), int(number[3:5]), int(number[5:])
    if area >= _ITIN_AREAS:
        return group in _ITIN_GROUPS
    return area not in _NO_AREAS and group > 0 and serial > 0


def _spans(text: str, named: bool) -> Iterator[Span]:  # noqa: FBT001 - the shape of all
    for match in compiled(f"{_WRITTEN}|{_PLAIN}", after=_AFTER).finditer(text):
        plain = "".join(filter(str.isdigit, match[0]))
        strong = len(match[0]) > len(plain) and match[0][3] == match[0][6]
        if _valid(plain) and (strong or named or near(text, match.start(), _SPEAKS)):
            yield match.span()


US_SSN = Kind(
    name="us_ssn",
    about="`219-09-1234` in valid ranges; nine digits without gaps only where the column or the words before say so.",
    first=DIGITS,
    gate=f"{gate(_WRITTEN)}|{spoken_gate(_PARTS)}",
    spans=_spans,
    speaks=_SPEAKS,
    named_gate=gate(_PLAIN),
    number=lambda value: _valid(f"{value:09d}"),
    bounds=((1_010_001, 999_999_999),),
)
