"""JSON values and texts -> the same without what the second net finds: for what a program gives back beside rows."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pyarrow as pa

from agent.core.errors import Refuse
from agent.masking.pii.arrow import Scanner
from agent.masking.pii.config import PiiNet
from agent.masking.pii.kinds import KINDS

_HINT: Final = "Leave it out of what the program gives back and prints, or aggregate it."
_MOST: Final = 2**63
_NAMES: Final = ""
"""What members of objects are called: nothing speaks of them."""


class ValueNet:
    """The second net over one program's texts and values. `found` counts hits by `place: kind`."""

    def __init__(self, config: PiiNet) -> None:
        """Args: what is looked for. A row cannot be left out of a text: there, `drop_row` masks."""
        self._actions = config.effective()
        self._numbers = config.numbers
        self.found: Counter[str] = Counter()

    def text(self, place: str, text: str) -> str:
        """The text as it may leave. Raises Refuse(policy.pii)."""
        if not self._actions or not text:
            return text
        (clean,) = self._scanned(place, _NAMES, pa.array([text], pa.large_string()))
        return str(clean)

    def value(self, place: str, value: Any) -> Any:
        """A JSON value as it may leave: texts and names of members are masked, numbers become null.

        Raises Refuse(policy.pii).
        """
        if not self._actions:
            return value
        groups = _Groups(self._actions)
        groups.collect(value, _NAMES)
        clean = {key: iter(self._scanned(place, key[1], _array(key[0], items))) for key, items in groups.items.items()}
        return groups.rewritten(value, _NAMES, clean)

    def _scanned(self, place: str, name: str, array: Any) -> list[Any]:
        seen = Scanner(name, self._actions, numbers=self._numbers).scan(array)
        if seen is None:
            return list(array.to_pylist())
        self.found.update({f"{place}: {kind}": count for kind, count in seen.hits.items()})
        refused = sorted(kind for kind in seen.hits if self._actions[kind] == "refuse")
        if refused:
            message = f"The program's {place} holds personal data or secrets ({', '.join(refused)})."
            raise Refuse("policy.pii", message, _HINT)
        return list(seen.array.to_pylist())


class _Groups:
    """Scalars of a value in the order of their places, by their type and by what the name beside them speaks of."""

    def __init__(self, actions: Mapping[str, Any]) -> None:
        self._kinds = [KINDS[kind] for kind in actions]
        self._speaks: dict[str, str] = {}
        self._named: dict[frozenset[str], str] = {frozenset(): _NAMES}
        self.items: defaultdict[tuple[str, str], list[Any]] = defaultdict(list)

    def _group(self, name: str) -> str:
        """One name for all that speak of the same kinds: each needs a scanner of its own."""
        if name not in self._speaks:
            about = frozenset(kind.name for kind in self._kinds if kind.named(name))
            self._speaks[name] = self._named.setdefault(about, name)
        return self._speaks[name]

    def collect(self, value: Any, name: str) -> None:
        """Note every text and whole number within."""
        if isinstance(value, dict):
            for key, inner in value.items():
                self.items["text", _NAMES].append(key)
                self.collect(inner, key)
        elif isinstance(value, list):
            for inner in value:
                self.collect(inner, name)
        elif (kind := _kind(value)) is not None:
            self.items[kind, self._group(name)].append(int(value) if kind == "number" else value)

    def rewritten(self, value: Any, name: str, clean: Mapping[tuple[str, str], Iterator[Any]]) -> Any:
        """The same value out of the scanned scalars, asked for in the same order."""
        if isinstance(value, dict):
            made: dict[str, Any] = {}
            numbers: dict[str, int] = {}
            for key, inner in value.items():
                shown = _unused(next(clean["text", _NAMES]), made, numbers)
                made[shown] = self.rewritten(inner, key, clean)
            return made
        if isinstance(value, list):
            return [self.rewritten(inner, name, clean) for inner in value]
        kind = _kind(value)
        if kind is None:
            return value
        scanned = next(clean[kind, self._group(name)])
        return value if kind == "number" and scanned is not None else scanned


def _kind(value: Any) -> str | None:
    if isinstance(value, str):
        return "text"
    whole = isinstance(value, int) and not isinstance(value, bool)
    return "number" if (whole or (isinstance(value, float) and value.is_integer())) and abs(value) < _MOST else None


def _array(kind: str, items: list[Any]) -> Any:
    return pa.array(items, pa.int64() if kind == "number" else pa.large_string())


def _unused(name: str, taken: Mapping[str, Any], numbers: dict[str, int]) -> str:
    """Two members may be called alike once they are masked: none is lost. `numbers` says where each name has got to."""
    shown = name
    while shown in taken:
        numbers[name] = numbers.get(name, 1) + 1
        shown = f"{name} ({numbers[name]})"
    return shown
