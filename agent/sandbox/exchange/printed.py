"""What was printed, bytes -> text that a terminal, a log or a page cannot be tricked with."""

import codecs
import re
from typing import Final

_LINE_ENDS: Final = re.compile(r"\r\n?")
# C0 and C1 controls but tab and line feed, and what turns the direction of text round.
_HARMFUL: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_PICTURES: Final = 0x2400
_SPACE: Final = 0x20
_DELETE: Final = 0x7F


def text(data: bytes, *, cut: bool) -> str:
    """UTF-8 with what is invalid replaced; a character that the cut went through is dropped."""
    decoded = codecs.getincrementaldecoder("utf-8")("replace").decode(data, final=not cut)
    return harmless(decoded)


def harmless(value: str) -> str:
    """Line ends become line feeds; other controls their pictures (U+2400 and on), so that they can be seen."""
    return _HARMFUL.sub(_picture, _LINE_ENDS.sub("\n", value))


def line(value: str, most: int) -> str:
    """Harmless, on one line, at most `most` characters."""
    return harmless(value).replace("\n", " ")[:most]


def _picture(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < _SPACE:
        return chr(_PICTURES + code)
    return chr(_PICTURES + 0x21) if code == _DELETE else "\N{REPLACEMENT CHARACTER}"
