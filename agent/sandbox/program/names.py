"""Names of columns: text that is not empty, not too long, and not there twice."""

from collections.abc import Iterable
from typing import Any

from agent.sandbox.exchange import printed
from agent.sandbox.exchange.stream import MAX_NAME

_ROOM = 12


def label(name: Any) -> str:
    """A pandas label as a column's name: the parts of a tuple are joined by `_`."""
    text = "_".join(part for part in map(_text, name) if part) if isinstance(name, tuple) else _text(name)
    return printed.line(text, MAX_NAME - _ROOM)


def _text(name: Any) -> str:
    if isinstance(name, str):
        return name.encode("utf-8", "replace").decode()
    return "" if name is None else str(name)


def unique(names: Iterable[str]) -> list[str]:
    """The same names; the second `x` becomes `x_1`. An empty one becomes `column`."""
    given = [name or "column" for name in names]
    taken, found = set(given), []
    seen: set[str] = set()
    for name in given:
        number, now = 0, name
        while now in seen or (number and now in taken):
            number += 1
            now = f"{name}_{number}"
        seen.add(now)
        found.append(now)
    return found
