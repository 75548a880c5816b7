"""Arrow arrays -> JSON values, by the rules of the published format; no value is lost and none ever raises.

Decimals, integers beyond 2^53, dates, times and intervals are strings, bytes base64, NaN and the infinities their
names. decimal128(38, 0) is how engines hand over sums of integers: those are integers. Timestamps with a zone are
given in UTC. A map is a list of `{"key","value"}`, because its keys may repeat.
"""

import base64
import json
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

_EXACT = 2**53
_WIDE_INTEGER = pa.decimal128(38, 0)
# Arrow's text for what no calendar holds; DuckDB keeps its infinite dates and timestamps in these integers.
_OUT_OF_RANGE = "<value out of range: {}>"
_INFINITE = {
    _OUT_OF_RANGE.format(sign * number): "infinity" if sign > 0 else "-infinity"
    for sign in (1, -1)
    for number in (2**63 - 1, 2**31 - 1)
}


def type_name(kind: Any) -> str:
    """Arrow's name for a type, without the encodings that the rows do not show."""
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return type_name(kind.value_type)
    return type_name(kind.storage_type) if isinstance(kind, pa.BaseExtensionType) else str(kind)


def values(array: Any) -> list[Any]:
    """The elements of a `pyarrow.Array` as JSON values."""
    kind = array.type
    return next(convert for applies, convert in _RULES if applies(kind))(array)


def text(value: Any) -> str | None:
    """A JSON value as the text of a cell; None stays None."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def texts(array: Any) -> list[str | None]:
    """The elements of a `pyarrow.Array` as the texts of cells."""
    if pa.types.is_integer(array.type):
        return list(array.cast(pa.string()).to_pylist())
    return [text(value) for value in values(array)]


def _number(value: float | None) -> float | str | None:
    if value is None or value - value == 0:
        return value
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"  # noqa: PLR0124  the test for NaN


def _integers(array: Any) -> list[Any]:
    bounds = pc.min_max(array).as_py()
    plain: list[Any] = array.to_pylist()
    if bounds["min"] is None or (bounds["min"] >= -_EXACT and bounds["max"] <= _EXACT):
        return plain
    return [str(value) if value is not None and abs(value) > _EXACT else value for value in plain]


def _intervals(array: Any) -> list[str | None]:
    return [None if value is None else _interval(*value) for value in array.to_pylist()]


def _durations(array: Any) -> list[str | None]:
    digits = {"s": 0, "ms": 3, "us": 6, "ns": 9}[array.type.unit]
    counts = array.cast(pa.int64()).to_pylist()
    return [None if count is None else f"PT{_fraction(count, digits)}S" for count in counts]


def _times(array: Any) -> list[str | None]:
    kind, zone = array.type, ""
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        array, zone = array.view(pa.timestamp(kind.unit)), "Z"
    plain = pc.replace_substring_regex(array.cast(pa.string()), r"^(-?\d+-\d\d-\d\d) ", r"\1T")
    plain = pc.replace_substring_regex(plain, r"\.0+$", "").to_pylist()
    return [None if value is None else _INFINITE.get(value) or value + zone for value in plain]


def _interval(months: int, days: int, nanoseconds: int) -> str:
    """ISO 8601 duration; each unit keeps its own sign, because months, days and seconds do not convert."""
    date = (f"{months}M" if months else "") + (f"{days}D" if days else "")
    time = f"T{_fraction(nanoseconds, 9)}S" if nanoseconds or not date else ""
    return f"P{date}{time}"


def _fraction(count: int, digits: int) -> str:
    sign, count = ("-" if count < 0 else ""), abs(count)
    whole, rest = divmod(count, 10**digits)
    return f"{sign}{whole}" + (f".{rest:0{digits}d}".rstrip("0") if rest else "")


def _strings(array: Any) -> list[Any]:
    try:
        return list(array.to_pylist())
    except UnicodeDecodeError:  # its text would hold the bytes
        raw = array.cast(pa.binary() if pa.types.is_string(array.type) else pa.large_binary()).to_pylist()
        return [None if value is None else value.decode("utf-8", "replace") for value in raw]


def _extensions(array: Any) -> list[Any]:
    if isinstance(array.type, pa.UuidType):
        return [None if value is None else str(value) for value in array.to_pylist()]
    return values(array.storage)


def _decimals(array: Any) -> list[Any]:
    """Texts; but decimal128(38, 0) is how engines hand over sums of integers: those are integers."""
    plain = array.to_pylist()
    if array.type == _WIDE_INTEGER:
        return [
            value if value is None else int(value) if abs(value) <= _EXACT else format(value, "f") for value in plain
        ]
    return [None if value is None else format(value, "f") for value in plain]


def _unions(array: Any) -> list[Any]:
    if array.offset:
        array = array.take(pa.array(range(len(array))))  # the codes and places below do not follow a slice
    kind = array.type
    children = {code: values(array.field(i)) for i, code in enumerate(kind.type_codes)}
    places = array.offsets.to_pylist() if kind.mode == "dense" else range(len(array))
    return [children[code][place] for code, place in zip(array.type_codes.to_pylist(), places, strict=True)]


def _maps(array: Any) -> list[Any]:
    pairs = zip(values(array.keys), values(array.items), strict=True)
    return _cut(array, [{"key": key, "value": value} for key, value in pairs], array.offsets.to_pylist())


def _fixed_lists(array: Any) -> list[Any]:
    start, size = array.offset, array.type.list_size
    return _cut(array, values(array.values), [(start + i) * size for i in range(len(array) + 1)])


def _lists(array: Any) -> list[Any]:
    return _cut(array, values(array.values), array.offsets.to_pylist())


def _list_views(array: Any) -> list[Any]:
    inner, valid = values(array.values), array.is_valid().to_pylist()
    starts, sizes = array.offsets.to_pylist(), array.sizes.to_pylist()
    cut = zip(valid, starts, sizes, strict=True)
    return [inner[start : start + size] if there else None for there, start, size in cut]


def _cut(array: Any, inner: list[Any], offsets: list[int]) -> list[Any]:
    valid = array.is_valid().to_pylist()
    return [inner[offsets[i] : offsets[i + 1]] if valid[i] else None for i in range(len(array))]


def _structs(array: Any) -> list[Any]:
    names = [field.name for field in array.type]
    columns = [values(array.field(i)) for i in range(len(names))]
    valid = array.is_valid().to_pylist()
    rows = [[column[i] for column in columns] if valid[i] else None for i in range(len(array))]
    if len(set(names)) == len(names):
        return [None if row is None else dict(zip(names, row, strict=True)) for row in rows]
    return [None if row is None else [{"key": n, "value": v} for n, v in zip(names, row, strict=True)] for row in rows]


def _is_extension(kind: Any) -> bool:
    return isinstance(kind, pa.BaseExtensionType)


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


# First match wins; extensions stand first because they also answer for their storage.
_RULES: tuple[tuple[Callable[[Any], bool], Callable[[Any], list[Any]]], ...] = (
    (_is_extension, _extensions),
    (pa.types.is_dictionary, lambda array: values(array.dictionary_decode())),
    (pa.types.is_run_end_encoded, lambda array: values(pc.run_end_decode(array))),
    (pa.types.is_floating, lambda array: [_number(value) for value in array.to_pylist()]),
    (pa.types.is_integer, _integers),
    (pa.types.is_decimal, _decimals),
    (pa.types.is_interval, _intervals),
    (pa.types.is_duration, _durations),
    (pa.types.is_temporal, _times),
    (_is_text, _strings),
    (pa.types.is_null, lambda array: array.to_pylist()),
    (pa.types.is_boolean, lambda array: array.to_pylist()),
    (pa.types.is_union, _unions),
    (pa.types.is_struct, _structs),
    (pa.types.is_map, _maps),
    (pa.types.is_fixed_size_list, _fixed_lists),
    (lambda kind: pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind), _list_views),
    (lambda kind: pa.types.is_list(kind) or pa.types.is_large_list(kind), _lists),
    (lambda _: True, lambda array: [None if v is None else base64.b64encode(v).decode() for v in array.to_pylist()]),
)
