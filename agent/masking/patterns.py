"""How a policy names things: globs part by part, regular expressions in linear time, tags in comments."""

import re
from collections.abc import Callable, Mapping, Sequence
from fnmatch import translate
from functools import lru_cache, partial
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

COLUMN_PARTS: Final = 4
TABLE_PARTS: Final = 3

MAX_REGEX: Final = 200
"""Characters of a regular expression."""
MAX_REPEATS: Final = 4
"""Unbounded repetitions in one. Each may try every length of what is left: with four, names stay cheap to match."""
MAX_TIMES: Final = 16
"""How often a counted repetition may repeat."""

_ITEM: Final = re.compile(r"\\[.\-_$\\dDwWsS]|\[\^?[\w\-.$ ]+\]|[\w\-. $]")
_TIMES: Final = re.compile(r"\{(\d{1,3})(,?)(\d{0,3})\}")
_OPENING: Final = re.compile(r"\((?:\?:)?")
Segment = Callable[[str], object]
"""Whether a part of a glob matches a casefolded part of a name."""

_IN_COMMENT: Final = re.compile(r"#([A-Za-z][\w-]{0,63})|\[([A-Za-z][\w-]{0,63})\]")


def _spelled(written: object) -> object:
    """`{regex: "…"}` -> `/…/`, the one text that a policy keeps."""
    if isinstance(written, Mapping):
        if set(written) != {"regex"} or not isinstance(written["regex"], str):
            raise ValueError('must be a glob, or {regex: "…"}')
        return f"/{written['regex']}/"
    return written


def _checked(pattern: str) -> str:
    if is_regex(pattern):
        check_regex(pattern[1:-1])
    else:
        check_glob(pattern, COLUMN_PARTS, "source.schema.table.column")
    return pattern


Pattern = Annotated[
    str,
    BeforeValidator(_spelled),
    AfterValidator(_checked),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string"},
                {
                    "type": "object",
                    "properties": {"regex": {"type": "string", "maxLength": MAX_REGEX}},
                    "required": ["regex"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]
"""A glob over source.schema.table.column, or a regular expression over the whole dotted name, kept as `/…/`."""


def is_regex(pattern: str) -> bool:
    """Whether a checked pattern is a regular expression."""
    return len(pattern) > 1 and pattern[0] == pattern[-1] == "/"


def check_regex(text: str) -> None:
    r"""A subset of Python's that cannot be made slow: only characters and classes repeat. Raises ValueError.

    Characters, `.`, `[…]`, `\d \w \s`, escaped points; groups, alternatives; `* + ? {m,n}` behind a character or a
    class, `?` also behind a group. No look-around, no references, no anchors: the whole name is compared anyway.
    """
    if len(text) > MAX_REGEX:
        raise ValueError(f"a regular expression may have at most {MAX_REGEX} characters")
    place = repeats = depth = 0
    while place < len(text):
        item, opening = _ITEM.match(text, place), _OPENING.match(text, place)
        if item is not None:
            place, often = _quantified(text, item.end())
            repeats += often
        elif opening is not None:
            place, depth = opening.end(), depth + 1
        elif text[place] == ")" and depth:
            depth -= 1
            place += 2 if text[place + 1 : place + 2] == "?" else 1
        elif text[place] == "|":
            place += 1
        else:
            raise ValueError(f"a regular expression may not hold what stands at character {place + 1}")
    if repeats > MAX_REPEATS:
        raise ValueError(f"a regular expression may hold at most {MAX_REPEATS} of * + and {{m,}}")
    if depth:
        raise ValueError("a regular expression has an open bracket")
    try:
        re.compile(text)
    except re.error:
        raise ValueError("the regular expression is not valid") from None


def _quantified(text: str, place: int) -> tuple[int, int]:
    """Where the repetition that may stand at `place` ends, and whether it is unbounded."""
    if text[place : place + 1] in {"*", "+"}:
        return place + 1, 1
    if text[place : place + 1] == "?":
        return place + 1, 0
    times = _TIMES.match(text, place)
    if times is None:
        return place, 0
    if any(int(number) > MAX_TIMES for number in (times[1], times[3]) if number):
        raise ValueError(f"a regular expression may repeat at most {MAX_TIMES} times by count")
    return times.end(), int(bool(times[2]) and not times[3])


def check_glob(pattern: str, parts: int, shape: str) -> None:
    """Raises ValueError when the glob has not as many parts as a name."""
    if len(pattern.split(".")) != parts or not all(pattern.split(".")):
        raise ValueError(f"a pattern has {parts} parts: {shape}")


def may_name(pattern: str, parts: Sequence[str]) -> bool:
    """Whether a pattern may name something that begins with these parts, which are casefolded."""
    return is_regex(pattern) or matches(pattern, parts)


def names(pattern: str, parts: Sequence[str]) -> bool:
    """Whether a pattern names a column by all four parts, which are casefolded."""
    if is_regex(pattern):
        return _regex(pattern[1:-1]).fullmatch(".".join(parts)) is not None
    return matches(pattern, parts)


def matches(glob: str, parts: Sequence[str]) -> bool:
    """Whether the glob's first segments match the parts, which are casefolded."""
    return all(accepts(part) for accepts, part in zip(_segments(glob), parts, strict=False))


def matches_text(glob: str, text: str) -> bool:
    """Whether a glob without parts matches a whole text, without regard to case and to the number of spaces."""
    return _text(glob.casefold()).fullmatch(" ".join(text.casefold().split())) is not None


def last_part(pattern: str) -> "Segment":
    """What a glob says of the last part of a name."""
    return _segments(pattern)[-1]


def is_plain(part: str) -> bool:
    """Whether a part of a glob is a name without wildcards."""
    return not set(part) & set("*?[")


def comment_tags(comment: str) -> frozenset[str]:
    """The tags in a comment: `#pii` or `[pii]`, casefolded."""
    return frozenset((one or other).casefold() for one, other in _IN_COMMENT.findall(comment))


@lru_cache(maxsize=1024)
def _regex(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE | re.DOTALL)


@lru_cache(maxsize=1024)
def _text(glob: str) -> re.Pattern[str]:
    # A type's brackets are its own: numeric(12,2), integer[].
    return re.compile("".join({"*": ".*", "?": "."}.get(one, re.escape(one)) for one in glob), re.DOTALL)


@lru_cache(maxsize=4096)
def _segments(glob: str) -> tuple["Segment", ...]:
    """One for each part of a name."""
    return tuple(map(_segment, glob.casefold().split(".")))


def _segment(written: str) -> "Segment":
    """Regular expressions take longer to make than a job's whole statement takes to check: for the rare kinds only."""
    if is_plain(written):
        return written.__eq__
    if set(written) & set("?["):
        return re.compile(translate(written)).match
    first, *between, last = written.split("*")
    return partial(_stars, first, tuple(filter(None, between)), last)


def _stars(first: str, between: tuple[str, ...], last: str, part: str) -> bool:
    """`first*between*…*last`."""
    end = len(part) - len(last)
    place = len(first)
    if place > end or not (part.startswith(first) and part.endswith(last)):
        return False
    for word in between:
        place = part.find(word, place, end)
        if place < 0:
            return False
        place += len(word)
    return True
