"""Arrow arrays -> what the second net found in them, and the same arrays without it.

A combined RE2 gate reads every text once; only what it lets through is looked at by the validators.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from agent.core.errors import Refuse
from agent.masking.pii.config import Action
from agent.masking.pii.kind import Kind
from agent.masking.pii.kinds import KINDS
from agent.masking.pii.text import hits, without
from agent.wire import cells


@dataclass(slots=True)
class Found:
    """What was found in one array: hits by kind, rows to drop, kinds that refuse. `array` is what may leave."""

    array: Any
    hits: Counter[str] = field(default_factory=Counter)
    drop: set[int] = field(default_factory=set)


class Scanner:
    """Looks for some kinds in one column. `name` is the column's: some kinds need it to be sure."""

    def __init__(self, name: str, actions: Mapping[str, Action], *, numbers: bool) -> None:
        """Args: `actions` maps each kind that is looked for to what happens to a hit, none of them `off`."""
        self._actions = actions
        self._kinds = [KINDS[kind] for kind in actions]
        self._named = frozenset(kind.name for kind in self._kinds if kind.named(name))
        self._gates = {kind.name: self._gate_of(kind.name) for kind in self._kinds}
        sure = [kind for kind in self._kinds if kind.speaks is None or kind.name in self._named]
        self._numeric = [kind for kind in sure if kind.number is not None and numbers]

    def _gate_of(self, name: str) -> str:
        kind = KINDS[name]
        return f"{kind.gate}|{kind.named_gate}" if name in self._named and kind.named_gate else kind.gate

    @cached_property
    def _first(self) -> str:
        return "|".join(dict.fromkeys(f"(?:{kind.first})" for kind in self._kinds))

    @cached_property
    def _gate(self) -> str:
        return "|".join(f"(?:{gate})" for gate in self._gates.values())

    def scan(self, array: Any) -> Found | None:
        """None when nothing was found. Raises Refuse(policy.pii) for what can neither be masked nor left out."""
        kind = array.type
        if not holds(kind):
            return None
        look: Callable[[Any], Found | None] = next(look for applies, look in _LOOKS if applies(kind)).__get__(self)
        return look(array)

    def _texts(self, array: Any) -> Found | None:
        places = self._places(array)
        if not len(places):
            return None
        texts = _strings(array.take(places))
        suspects = self._suspects(pa.array(texts, pa.large_string()))
        found = Found(array)
        changed: dict[int, str] = {}
        for place, text, kinds in zip(places.to_pylist(), texts, suspects, strict=True):
            seen = hits(text, [KINDS[kind] for kind in kinds], self._named)
            if seen:
                self._note(found, place, [hit.kind for hit in seen])
                masked = [hit for hit in seen if self._actions[hit.kind] != "report"]
                changed |= {place: without(text, masked)} if masked else {}
        found.array = _with(array, changed) if changed else array
        return found if found.hits else None

    def _places(self, array: Any) -> Any:
        """Where the gate lets texts through. The combined gate takes longer to compile than a small batch to read."""
        first = pc.match_substring_regex(array, pattern=self._first)
        if not pc.any(first).as_py():
            return ()
        places = pc.indices_nonzero(first)
        return places.filter(pc.match_substring_regex(array.take(places), pattern=self._gate))

    def _view(self, array: Any) -> Found | None:
        found = self._texts(array.cast(pa.large_string()))
        if found is not None:
            found.array = found.array.cast(array.type)
        return found

    def _suspects(self, texts: Any) -> list[list[str]]:
        """For each text the kinds whose own gate lets it through."""
        named: list[list[str]] = [[] for _ in range(len(texts))]
        for kind, gate in self._gates.items():
            for place in pc.indices_nonzero(pc.match_substring_regex(texts, pattern=gate)).to_pylist():
                named[place].append(kind)
        return named

    def _note(self, found: Found, place: int, kinds: list[str]) -> None:
        found.hits.update(kinds)
        if any(self._actions[kind] == "drop_row" for kind in kinds):
            found.drop.add(place)

    def _numbers(self, array: Any) -> Found | None:
        if not self._numeric:
            return None
        most = pc.min_max(array)["max"].as_py()
        if most is None or most < min(low for kind in self._numeric for low, _ in kind.bounds):
            return None
        inside = _inside(array, [bounds for kind in self._numeric for bounds in kind.bounds])
        if not pc.any(inside).as_py():
            return None
        found, hidden, places = Found(array), set(), pc.indices_nonzero(inside)
        for place, value in zip(places.to_pylist(), array.take(places).to_pylist(), strict=True):
            kind = self._number(int(value)) if int(value) == value else None
            if kind is not None:
                self._note(found, place, [kind])
                hidden |= set() if self._actions[kind] == "report" else {place}
        found.array = _emptied(array, hidden) if hidden else array
        return found if found.hits else None

    def _number(self, value: int) -> str | None:
        return next((kind.name for kind in self._numeric if _is(kind, value)), None)

    def _dictionary(self, array: Any) -> Found | None:
        """The words that no row uses leave too: they are looked at alike."""
        inner = self.scan(array.dictionary)
        if inner is None:
            return None
        rows = self.scan(array.dictionary_decode())
        found = Found(array, rows.hits if rows else inner.hits, rows.drop if rows else set())
        if inner.array is not array.dictionary:
            found.array = pa.DictionaryArray.from_arrays(array.indices, inner.array, ordered=array.type.ordered)
        return found

    def _extension(self, array: Any) -> Found | None:
        found = self.scan(array.storage)
        if found is not None:
            found.array = pa.ExtensionArray.from_storage(array.type, found.array)
        return found

    def _runs(self, array: Any) -> Found | None:
        found = self.scan(pc.run_end_decode(array))
        if found is not None:
            found.array = pc.run_end_encode(found.array, array.type.run_end_type)
        return found

    def _list(self, array: Any) -> Found | None:
        found = self.scan(array.flatten())
        if found is None:
            return None
        parents = pc.list_parent_indices(array)
        found.drop = {parents[place].as_py() for place in found.drop}
        lengths = pc.fill_null(pc.list_value_length(array), 0)
        wide = pa.types.is_large_list(array.type)
        start = pa.array([0], pa.int64())
        offsets = pa.concat_arrays([start, pc.cumulative_sum(lengths.cast(pa.int64()))])
        make = pa.LargeListArray if wide else pa.ListArray
        width = pa.int64() if wide else pa.int32()
        found.array = make.from_arrays(offsets.cast(width), found.array, type=array.type, mask=array.is_null())
        return found

    def _struct(self, array: Any) -> Found | None:
        whole, children = Found(array), array.flatten()
        for place, child in enumerate(children):
            found = self.scan(child)
            if found is not None:
                whole.hits += found.hits
                whole.drop |= found.drop
                children[place] = found.array
        if not whole.hits:
            return None
        fields = [array.type.field(i) for i in range(array.type.num_fields)]
        whole.array = pa.StructArray.from_arrays(children, fields=fields, mask=array.is_null())
        return whole

    def _other(self, array: Any) -> Found | None:
        """A shape that is not taken apart, such as a map: a cell with a hit becomes null as a whole."""
        found = self.scan(pa.array(cells.texts(array), pa.large_string()))
        if found is None:
            return None
        flags = pc.match_substring_regex(pa.array(cells.texts(array), pa.large_string()), pattern=self._gate)
        if all(self._actions[kind] == "report" for kind in found.hits):
            found.array = array
            return found
        hidden = {place for place, flag in enumerate(flags.to_pylist()) if flag}
        try:
            found.array = _emptied(array, hidden)
        except pa.ArrowException:  # a union has no nulls of its own
            message = "A column of a composite type holds personal data that cannot be masked in place."
            raise Refuse("policy.pii", message, "Select its parts, or cast it to text.") from None
        return found


def _is(kind: Kind, value: int) -> bool:
    inside = any(low <= value <= high for low, high in kind.bounds)
    return inside and kind.number is not None and kind.number(value)


def holds(kind: Any) -> bool:
    """Whether values of this Arrow type hold texts or whole numbers."""
    if isinstance(kind, pa.BaseExtensionType):
        return holds(kind.storage_type)
    types = pa.types
    if types.is_dictionary(kind) or types.is_run_end_encoded(kind):
        return holds(kind.value_type)
    if types.is_nested(kind):
        return any(holds(kind.field(i).type) for i in range(kind.num_fields))
    return _is_text(kind) or _is_number(kind)


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_number(kind: Any) -> bool:
    """64-bit integers, and what holds as much exactly."""
    types = pa.types
    whole = types.is_int64(kind) or types.is_uint64(kind) or types.is_float64(kind)
    return bool(whole or types.is_int32(kind) or types.is_uint32(kind) or (types.is_decimal(kind) and kind.scale <= 0))


def _strings(array: Any) -> list[str]:
    try:
        return list(array.to_pylist())
    except UnicodeDecodeError:  # a source's text need not be UTF-8
        return [value.decode("utf-8", "replace") for value in array.cast(pa.large_binary()).to_pylist()]


def _flags(places: set[int], length: int) -> Any:
    flags = [False] * length
    for place in places:
        flags[place] = True
    return pa.array(flags, pa.bool_())


def _emptied(array: Any, hidden: set[int]) -> Any:
    """The array with nulls at some places. Taken, since `if_else` leaves the values beneath the nulls in the buffer."""
    return array.take(pa.array([None if place in hidden else place for place in range(len(array))], pa.int64()))


def _with(array: Any, changed: Mapping[int, str]) -> Any:
    """The array with other texts at some places."""
    wide = array.cast(pa.large_string())
    texts = pa.array([changed[place] for place in sorted(changed)], pa.large_string())
    return pc.replace_with_mask(wide, _flags(set(changed), len(array)), texts).cast(array.type)


def _inside(array: Any, bounds: list[tuple[int, int]]) -> Any:
    """Whether each value lies in one of the ranges; a decimal is compared as a float, which is close enough here."""
    plain = array.cast(pa.float64()) if pa.types.is_decimal(array.type) else array
    kind = plain.type
    as_kind: type[float | int] = float if pa.types.is_floating(kind) else int
    most = 2**63 if as_kind is float else _most(kind)
    flags = pa.array([False], pa.bool_()).take(pa.array([0] * len(array), pa.int8()))
    for low, high in bounds:
        if low <= most:
            least, last = pa.scalar(as_kind(low), kind), pa.scalar(as_kind(min(high, most)), kind)
            both = pc.and_(pc.greater_equal(plain, least), pc.less_equal(plain, last))
            flags = pc.or_(flags, pc.fill_null(both, False))
    return flags


def _most(kind: Any) -> int:
    bits = kind.bit_width - (0 if pa.types.is_unsigned_integer(kind) else 1)
    return int(2**bits - 1)


_LOOKS: tuple[tuple[Callable[[Any], bool], Any], ...] = (
    (lambda kind: isinstance(kind, pa.BaseExtensionType), Scanner._extension),  # noqa: SLF001
    (pa.types.is_string_view, Scanner._view),  # noqa: SLF001
    (_is_text, Scanner._texts),  # noqa: SLF001
    (_is_number, Scanner._numbers),  # noqa: SLF001
    (pa.types.is_dictionary, Scanner._dictionary),  # noqa: SLF001
    (pa.types.is_run_end_encoded, Scanner._runs),  # noqa: SLF001
    (lambda kind: pa.types.is_list(kind) or pa.types.is_large_list(kind), Scanner._list),  # noqa: SLF001
    (pa.types.is_struct, Scanner._struct),  # noqa: SLF001
    (lambda _: True, Scanner._other),  # noqa: SLF001
)
