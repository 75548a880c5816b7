"""A text -> the hits in it, and the text without them."""

import json
import re
from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from agent.masking.pii.kind import Kind

_OURS: Final = re.compile(
    r"\btok_[0-9a-f]{32}\b|\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b"
)
"""Tokens, which the policy put there on purpose, and UUIDs: their digits mean nothing."""
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
"""A string in JSON text; what stands outside of all is a number."""


@dataclass(frozen=True, slots=True)
class Hit:
    """`text[start:end]` is of this kind."""

    start: int
    end: int
    kind: str


def hits(text: str, kinds: Iterable[Kind], named: Collection[str] = ()) -> list[Hit]:
    """What is found, from left to right, without overlaps. `named` are kinds that the column's name speaks of."""
    plain = _OURS.sub(lambda match: "x" * len(match[0]), text)
    found = [
        (start, -end, order, kind.name)
        for order, kind in enumerate(kinds)
        for start, end in kind.spans(plain, kind.name in named)
    ]
    kept: list[Hit] = []
    for start, negative, _, name in sorted(found):
        if not kept or start >= kept[-1].end:
            kept.append(Hit(start, -negative, name))
    return kept


def label(kind: str) -> str:
    """What stands in the place of a hit."""
    return f"[{kind}]"


def without(text: str, found: Sequence[Hit]) -> str:
    """The text with a label in the place of each hit. What was JSON stays JSON."""
    if not _is_json(text):
        return _replaced(text, found, ())
    strings = [match.span() for match in _STRING.finditer(text)]
    masked = _replaced(text, found, {hit for hit in found if not _inside(hit.start, strings)})
    return masked if _is_json(masked) else json.dumps(label(found[0].kind))


def _inside(place: int, spans: Sequence[tuple[int, int]]) -> bool:
    """Whether a place lies within one of the spans, which are in order."""
    before = bisect_left(spans, (place, 0)) - 1
    return before >= 0 and place < spans[before][1]


def _replaced(text: str, found: Sequence[Hit], quoted: Collection[Hit]) -> str:
    pieces, done = [], 0
    for hit in found:
        pieces += [text[done : hit.start], f'"{label(hit.kind)}"' if hit in quoted else label(hit.kind)]
        done = hit.end
    return "".join([*pieces, text[done:]])


def _is_json(text: str) -> bool:
    if not text.lstrip().startswith(("{", "[")):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
