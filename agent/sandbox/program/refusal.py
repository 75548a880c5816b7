"""Why a result cannot be given back: where it stands and of what type it is, never what it holds."""

import re
from dataclasses import dataclass
from typing import Any

_HINTS = {
    "LazyFrame": "call .collect() first",
    "generator": "make a list of it",
    "map": "make a list of it",
    "filter": "make a list of it",
    "zip": "make a list of it",
    "function": "call it",
    "method": "call it",
    "builtin_function_or_method": "call it",
    "DataFrameGroupBy": "aggregate it",
    "SeriesGroupBy": "aggregate it",
    "Styler": "give the frame",
    "Summary": "give str() of it, or its tables as frames",
}
_SHORT = 40


class ResultError(Exception):
    """The text is for the one who asked."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the result. A key is shown only when it stands in the program's text: others may be data."""

    code: str
    name: str = "result"
    above: "Place | None" = None
    step: Any = None
    position: int | None = None
    """Of a key in its mapping; None for the element of a sequence."""

    def at(self, key: Any, position: int) -> "Place":
        """The member of a mapping."""
        return Place(self.code, self.name, self, key, position)

    def item(self, index: int) -> "Place":
        """The element of a sequence."""
        return Place(self.code, self.name, self, index)

    @property
    def text(self) -> str:
        """As a person would write it in the program."""
        if self.above is None:
            return self.name
        if self.position is None:
            return f"{self.above.text}[{self.step}]"
        key = self.step
        if isinstance(key, str) and len(key) <= _SHORT and re.search(rf"(?<!\w){re.escape(key)}(?!\w)", self.code):
            return f"{self.above.text}[{str(key)!r}]"
        return f"{self.above.text}[key {self.position + 1}]"

    def refuse(self, value: Any) -> ResultError:
        """This value has a type that cannot be given back."""
        kind = type(value)
        hint = _HINTS.get(kind.__name__, "give its values as a frame, dict, list, text or number")
        name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        return ResultError(f"{self.text} is a {name[:200]}, which cannot be given back: {hint}.")

    def why(self, what: str) -> ResultError:
        """This place breaks a limit."""
        return ResultError(f"{self.text} {what}.")
