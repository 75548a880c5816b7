"""Bytes -> JSON values, with one meaning only: no duplicate key, no NaN, no lone surrogate, bounded size and depth."""

import json
import math
from collections.abc import Iterable
from hashlib import sha256
from typing import NoReturn

from agent.wire.errors import EncodingError, JsonError, SizeError

MAX_DEPTH = 32


def loads(data: bytes | str, limit: int) -> object:
    """Parse at most `limit` bytes of UTF-8 JSON. Raises SizeError, EncodingError or JsonError, without the content."""
    try:
        raw = data.encode() if isinstance(data, str) else data
        if len(raw) > limit:
            raise SizeError(f"larger than {limit} bytes")
        text = raw.decode()
    except UnicodeError:
        raise EncodingError("not valid UTF-8") from None
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_float=_finite, parse_constant=_constant)
    except JsonError:
        raise
    except (ValueError, RecursionError):
        raise JsonError("not JSON") from None
    if text.count("[") + text.count("{") > MAX_DEPTH:
        _check_depth(value)
    if "\\u" in text:  # raw UTF-8 holds no surrogates, escapes may
        _check_surrogates(value)
    return value


def dumps(value: object) -> bytes:
    """Compact UTF-8 JSON, members in the order given. Raises ValueError for NaN."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def canonical(value: object) -> bytes:
    """Compact UTF-8 JSON with sorted members: equal values, equal bytes."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True).encode()


def digest(value: object) -> str:
    """Lower-case hexadecimal SHA-256 of the canonical form."""
    return sha256(canonical(value)).hexdigest()


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise JsonError("a key stands twice in one object")
    return members


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise JsonError("a number is too large")
    return number


def _constant(_: str) -> NoReturn:
    raise JsonError("NaN and Infinity are not JSON")


def _check_depth(value: object) -> None:
    level, depth = [value], 0
    while level:
        level = [child for item in level for child in _children(item)]
        depth += 1
        if level and depth >= MAX_DEPTH:
            raise JsonError(f"nested deeper than {MAX_DEPTH}")


def _children(item: object) -> Iterable[object]:
    """The containers directly inside."""
    inner = item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
    return [child for child in inner if isinstance(child, dict | list)]


def _check_surrogates(value: object) -> None:
    try:
        dumps(value)
    except UnicodeEncodeError:
        raise EncodingError("a string holds half of a surrogate pair") from None
