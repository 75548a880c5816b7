"""`mrz`: a line of the machine-readable zone of a passport, visa or identity card."""

import re
from collections.abc import Iterator
from typing import Final

from agent.masking.pii.kind import Kind, Span

_LINE: Final = re.compile("(?<![0-9A-Za-z_<])[A-Z0-9<]{30}(?:[A-Z0-9<]{6}(?:[A-Z0-9<]{8})?)?(?![0-9A-Za-z_<])")
_NAMES: Final = re.compile("[A-Z<]*[A-Z](?:<[A-Z]+)*<<[A-Z<]*<")
_FIRST: Final = re.compile("[ACIPV][A-Z<][A-Z<]{3}")
_DATES: Final = re.compile("[0-9<]{6}[0-9][MFX<][0-9]{6}[0-9]")
_WEIGHTS: Final = (7, 3, 1)
_SHORT: Final = 30


def _check(field: str) -> str:
    """ICAO 9303, part 3, 4.9."""
    values = (0 if c == "<" else int(c, 36) for c in field)
    return str(sum(value * _WEIGHTS[place % 3] for place, value in enumerate(values)) % 10)


def _dated(line: str, start: int) -> bool:
    """Birth, check digit, sex, expiry, check digit."""
    field = line[start : start + 15]
    return bool(_DATES.fullmatch(field)) and _check(field[:6]) == field[6] and _check(field[8:14]) == field[14]


def _valid(line: str) -> bool:
    if len(line) == _SHORT:
        numbered = _FIRST.match(line) and _check(line[5:14]) == line[14]
        return bool(numbered) or _dated(line, 0) or bool(_NAMES.fullmatch(line))
    named = bool(_FIRST.match(line)) and bool(_NAMES.fullmatch(line[5:]))
    return named or (_check(line[:9]) == line[9] and _dated(line, 13))


def _spans(text: str, _: bool) -> Iterator[Span]:  # noqa: FBT001 - the shape of all
    return (match.span() for match in _LINE.finditer(text) if "<" in match[0] and _valid(match[0]))


MRZ = Kind(
    name="mrz",
    about="a line of 30, 36 or 44 characters as ICAO 9303 has it: names, or numbers with right check digits.",
    first="<",
    gate="[0-9A-Z]<[0-9A-Z<]",
    spans=_spans,
)
