"""Types of inline tables' columns: the names that people write -> what a JSON value of such a column looks like. Pure.

The names are Arrow's, as results give them, and the common ones of SQL and JSON, without regard to case.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Final, Literal

Family = Literal["boolean", "integer", "number", "decimal", "text", "date", "time", "timestamp"]

MAX_DIGITS: Final = 38
_INTEGERS: Final[dict[str, tuple[int, int]]] = {
    **{f"int{bits}": (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": (0, 2**bits - 1) for bits in (8, 16, 32, 64)},
}
_NAMES: Final[dict[str, tuple[Family, str]]] = {
    **dict.fromkeys(("bool", "boolean"), ("boolean", "")),
    **{name: ("integer", name) for name in _INTEGERS},
    **dict.fromkeys(("integer", "int", "bigint", "long"), ("integer", "int64")),
    **dict.fromkeys(("smallint", "tinyint"), ("integer", "int16")),
    **dict.fromkeys(("number", "double", "float", "float64", "float32", "halffloat", "real"), ("number", "")),
    "double precision": ("number", ""),
    **dict.fromkeys(("text", "string", "str", "varchar", "char", "utf8", "large_string", "string_view"), ("text", "")),
    **dict.fromkeys(("json", "uuid", "character varying"), ("text", "")),
    **dict.fromkeys(("date", "date32", "date64", "date32[day]", "date64[ms]"), ("date", "")),
    **dict.fromkeys(("time", "time32[s]", "time32[ms]", "time64[us]", "time64[ns]"), ("time", "")),
    **dict.fromkeys(("timestamp", "datetime", "timestamp without time zone"), ("timestamp", "")),
    **dict.fromkeys(("timestamptz", "timestamp with time zone"), ("timestamp", "UTC")),
    **dict.fromkeys(("decimal", "numeric"), ("decimal", "")),
}
_SIZED_TEXT: Final = re.compile(r"(?:var)?char\(\d{1,9}\)", re.ASCII)
_SIZED_DECIMAL: Final = re.compile(r"(?:decimal|numeric|decimal128)\((\d{1,2})(?:, ?(\d{1,2}))?\)", re.ASCII)
_STAMP: Final = re.compile(r"(?:timestamp|datetime64)\[(?:s|ms|us|ns)(, ?tz=[a-z0-9_+:/-]{1,64})?\]", re.ASCII)
_INTEGER_TEXT: Final = re.compile(r"-?[0-9]{1,20}", re.ASCII)
_NOT_FINITE: Final = ("NaN", "Infinity", "-Infinity")


@dataclass(frozen=True, slots=True)
class ColumnType:
    """`detail`: the width of integers, the zone of timestamps. `digits` and `scale` of decimals, 0 when not said."""

    family: Family
    detail: str = ""
    digits: int = 0
    scale: int = 0


def column_type(name: str) -> ColumnType | None:
    """What a type's name means; None for one that inline tables do not have."""
    plain = " ".join(name.lower().split())
    if plain in _NAMES:
        return ColumnType(*_NAMES[plain])
    if _SIZED_TEXT.fullmatch(plain):
        return ColumnType("text")
    if found := _STAMP.fullmatch(plain):
        return ColumnType("timestamp", "UTC" if found[1] else "")
    if found := _SIZED_DECIMAL.fullmatch(plain):
        digits, scale = int(found[1]), int(found[2] or 0)
        return ColumnType("decimal", "", digits, scale) if 0 < digits <= MAX_DIGITS and scale <= digits else None
    return None


def fits(kind: ColumnType, value: object) -> bool:
    """Whether a JSON value may stand in such a column; null always may."""
    return value is None or _FITS[kind.family](kind, value)


def _integer(kind: ColumnType, value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | str):
        return False
    if isinstance(value, str) and not _INTEGER_TEXT.fullmatch(value):
        return False
    low, high = _INTEGERS[kind.detail]
    return low <= int(value) <= high


def _number(_: ColumnType, value: object) -> bool:
    if isinstance(value, str):
        return value in _NOT_FINITE
    return isinstance(value, int | float) and not isinstance(value, bool)


def _decimal(kind: ColumnType, value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return False
    try:
        sign, digits, exponent = Decimal(str(value)).as_tuple()
    except (InvalidOperation, ValueError):
        return False
    if not isinstance(exponent, int) or sign not in {0, 1}:
        return False
    scale = max(-exponent, 0)
    whole = max(len(digits) + exponent, 0)
    return (
        scale <= (kind.scale if kind.digits else MAX_DIGITS // 2) and whole <= (kind.digits or MAX_DIGITS) - kind.scale
    )


def _read_by(read: Callable[[str], object]) -> Callable[[ColumnType, object], bool]:
    def fitting(_: ColumnType, value: object) -> bool:
        if not isinstance(value, str):
            return False
        try:
            read(value)
        except ValueError:
            return False
        return True

    return fitting


_FITS: Final[dict[Family, Callable[[ColumnType, object], bool]]] = {
    "boolean": lambda _, value: isinstance(value, bool),
    "integer": _integer,
    "number": _number,
    "decimal": _decimal,
    "text": lambda _, value: isinstance(value, str),
    "date": _read_by(date.fromisoformat),
    "time": _read_by(time.fromisoformat),
    "timestamp": _read_by(datetime.fromisoformat),
}
