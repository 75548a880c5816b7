"""What every kind of the second net shares: how candidates are found, and what makes one a hit.

A pattern is written once, in the syntax that RE2 and Python's `re` have in common, and without a boundary. The gate
puts one before it that RE2 can say; `found` puts the same one before it as Python says it. So the gate lets through
whatever `found` would find.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

Span = tuple[int, int]
Spans = Callable[[str, bool], Iterator[Span]]
Bounds = tuple[tuple[int, int], ...]

GAP: Final = "[ .\\-\u00a0\u2007\u2009\u2010\u2011\u2013\u202f]"
"""What people put between groups of digits: one of it."""
DIGITS: Final = "[0-9](?:[^0-9A-Za-z]{0,3}[0-9]){4}"
"""The `first` of whatever holds five digits in a row, with gaps or without."""
_NEAR_CHARACTERS: Final = 40
_BEFORE: Final = "(?<![0-9A-Za-z_*])"
"""Never inside a word, and never after the stars of a mask."""
_GROUP: Final = re.compile("[0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of personal data or secret.

    `first` and `gate` are RE2 patterns that every text with a hit matches; `first` is soon compiled and may let much
    through. `spans(text, named)` are the hits; `named` says that
    the column's name, which `speaks` is matched against, speaks of this kind: then weaker forms count too, which
    `named_gate` lets through. `number` decides whole numbers within `bounds`; where there is `speaks`, only in columns
    whose name speaks of the kind. `about` is for the manual.
    """

    name: str
    about: str
    first: str
    gate: str
    spans: Spans
    speaks: re.Pattern[str] | None = None
    named_gate: str = ""
    number: Callable[[int], bool] | None = None
    bounds: Bounds = ()
    optional: bool = False

    def named(self, column: str) -> bool:
        """Whether the column's name speaks of this kind."""
        return self.speaks is not None and self.speaks.search(column) is not None


def gate(*patterns: str) -> str:
    """A gate over patterns that must not begin inside a word."""
    return f"(?:^|[^0-9A-Za-z_*])(?:{'|'.join(patterns)})"


def digits(least: int) -> str:
    """A pattern of at least so many digits, with a gap between any two."""
    return f"[0-9](?:{GAP}?[0-9]){{{least - 1}}}"


@lru_cache
def compiled(pattern: str, after: str = "(?![0-9A-Za-z_])") -> re.Pattern[str]:
    """The pattern with its boundaries. Compiled when it is first needed: the service never does."""
    return re.compile(f"{_BEFORE}(?:{pattern}){after}")


def whole(pattern: str, valid: Callable[[str], bool], after: str = "(?![0-9A-Za-z_])") -> Spans:
    """Hits are the matches that are valid."""
    return lambda text, _: (m.span() for m in compiled(pattern, after).finditer(text) if valid(m[0]))


def grouped(least: int, most: int, valid: Callable[[str], bool]) -> Spans:
    """Hits are runs of whole groups of digits that are valid without their gaps: `4111 1111 1111 1111 12` has one."""
    form = f"[0-9](?:{GAP}?[0-9]){{{least - 1},}}"

    def spans(text: str, _: bool) -> Iterator[Span]:  # noqa: FBT001 - the shape of all
        for match in compiled(form, after="").finditer(text):
            groups = [(found.start(), found.end()) for found in _GROUP.finditer(text, *match.span())]
            yield from _runs(text, groups, least, most, valid)

    return spans


def _runs(text: str, groups: list[Span], least: int, most: int, valid: Callable[[str], bool]) -> Iterator[Span]:
    first = 0
    while first < len(groups):
        plain, best = "", None
        for last in range(first, len(groups)):
            plain += text[slice(*groups[last])]
            if len(plain) > most:
                break
            if len(plain) >= least and valid(plain):
                best = last
        if best is not None:
            yield groups[first][0], groups[best][1]
        first = first + 1 if best is None else best + 1


def near(text: str, start: int, speaks: re.Pattern[str]) -> bool:
    """Whether the words right before a place speak of the kind."""
    return speaks.search(text, max(0, start - _NEAR_CHARACTERS), start) is not None


def spoken_of(spans: Spans, speaks: re.Pattern[str]) -> Spans:
    """Only the hits that the column's name, or the words right before them, speak of."""
    return lambda text, named: ((a, b) for a, b in spans(text, named) if named or near(text, a, speaks))


def words(*parts: str) -> re.Pattern[str]:
    """A pattern for names and texts: each part as a word, or as a part of a name in snake or camel case."""
    return re.compile(f"(?:^|[^a-zA-Z]|(?<=[a-z])(?=[A-Z]))(?i:{'|'.join(parts)})(?:$|[^a-z])")


def spoken_gate(parts: Iterable[str]) -> str:
    """RE2: one of the words, wherever; a count of characters behind it would make the gate slow."""
    return f"(?i:{'|'.join(parts)})"


def luhn(number: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    doubled = (int(digit) * 2 for digit in number[-2::-2])
    return (sum(map(int, number[-1::-2])) + sum(digit - 9 * (digit > 9) for digit in doubled)) % 10 == 0  # noqa: PLR2004
