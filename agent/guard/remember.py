"""Answers about large frozen objects, kept for as long as the same objects ask."""

from collections.abc import Callable
from functools import wraps
from typing import Final, TypeVar, TypeVarTuple

_MOST: Final = 8

_Asked = TypeVarTuple("_Asked")
_Answer = TypeVar("_Answer")


def by_identity(function: Callable[[*_Asked], _Answer]) -> Callable[[*_Asked], _Answer]:
    """Remember a few answers by the identity of the arguments, which must be immutable and are kept alive.

    A hash would read every column of a catalog.
    """
    held: dict[tuple[int, ...], tuple[tuple[*_Asked], _Answer]] = {}

    @wraps(function)
    def answer(*asked: *_Asked) -> _Answer:
        key = tuple(map(id, asked))
        found = held.get(key)
        if found is None:
            found = (asked, function(*asked))
            if len(held) >= _MOST:
                held.clear()
            held[key] = found
        return found[1]

    return answer
