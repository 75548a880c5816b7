"""Columns as the server describes them -> Arrow types, and rows of the text protocol -> Arrow batches, exactly."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Protocol

from agent.core.errors import Fault

Row = Sequence[bytes | None]
Values = Sequence[bytes | None]


class Field(Protocol):
    """The part of the driver's description of a column that its Arrow type depends on."""

    name: str
    type_code: int
    charsetnr: int
    flags: int
    length: int
    scale: int


_BINARY_CHARSET: Final = 63
_UNSIGNED: Final = 32

_INTEGERS: Final = {1: 8, 2: 16, 3: 32, 8: 64, 9: 32, 13: 16}
"""TINY, SHORT, LONG, LONGLONG, INT24, YEAR -> bits."""

_DECIMALS: Final = frozenset({0, 246})
_DECIMAL_128_DIGITS, _DECIMAL_256_DIGITS = 38, 76
_TIME_TEXT: Final = re.compile(rb"(-?)(\d+):(\d\d):(\d\d)(?:\.(\d{1,6}))?")
_SECOND: Final = 1_000_000


class Reader:
    """Reads the rows of one result."""

    def __init__(self, fields: Sequence[Field]) -> None:
        """Args: the result's columns."""
        self._columns = [_column(field) for field in fields]
        names = [field.name for field in fields]
        self.schema: Any = _arrow().schema(list(zip(names, (kind for kind, _ in self._columns), strict=True)))

    def batch(self, rows: Sequence[Row]) -> Any:
        """The server's texts as a record batch. Raises Fault(source.error) where one does not fit its column."""
        pa = _arrow()
        values: Sequence[Values] = list(zip(*rows, strict=True)) if rows else [()] * len(self._columns)
        try:
            arrays = [read(part, kind) for part, (kind, read) in zip(values, self._columns, strict=True)]
            return pa.record_batch(arrays, schema=self.schema)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError, OverflowError):
            pass
        raise Fault(
            "source.error",
            "A value of the result does not fit the type that the server gave its column.",
            "CAST the column to CHAR in the statement.",
        )


def sized(rows: Iterator[Row], *, most_rows: int, most_bytes: int) -> Iterator[list[Row]]:
    """The rows in lists that are full when one of the two sizes is reached."""
    held: list[Row] = []
    size = 0
    for row in rows:
        held.append(row)
        size += sum(len(cell) for cell in row if cell is not None)
        if len(held) >= most_rows or size >= most_bytes:
            yield held
            held, size = [], 0
    if held:
        yield held


def _column(field: Field) -> tuple[Any, Callable[[Values, Any], Any]]:
    pa = _arrow()
    unsigned = bool(field.flags & _UNSIGNED)
    if field.type_code in _INTEGERS:
        return getattr(pa, f"{'u' if unsigned else ''}int{_INTEGERS[field.type_code]}")(), _parsed
    if field.type_code in _DECIMALS:
        return _decimal(field, unsigned=unsigned), _parsed
    others: dict[int, tuple[Any, Callable[[Values, Any], Any]]] = {
        4: (pa.float32(), _parsed),
        5: (pa.float64(), _parsed),
        6: (pa.null(), pa.array),
        7: (pa.timestamp("us", "UTC"), _days),
        10: (pa.date32(), _days),
        11: (pa.duration("us"), _times),
        12: (pa.timestamp("us"), _days),
        14: (pa.date32(), _days),
        16: (pa.uint64(), _bits),
        245: (pa.string(), pa.array),
    }
    texts = pa.binary() if field.charsetnr == _BINARY_CHARSET else pa.string()
    return others.get(field.type_code, (texts, pa.array))


def _decimal(field: Field, *, unsigned: bool) -> Any:
    """The length counts a sign and a point."""
    digits = max(field.length - (field.scale > 0) - (not unsigned), field.scale, 1)
    if digits <= _DECIMAL_128_DIGITS:
        return _arrow().decimal128(digits, field.scale)
    return _arrow().decimal256(min(digits, _DECIMAL_256_DIGITS), field.scale)


def _parsed(values: Values, kind: Any) -> Any:
    return _arrow().array(values, _arrow().string()).cast(kind)


def _days(values: Values, kind: Any) -> Any:
    """Dates and timestamps; what is no day of the calendar, 0000-00-00 say, becomes null."""
    pa = _arrow()
    plain = pa.timestamp("us") if pa.types.is_timestamp(kind) else kind  # the server writes no time zone: it is UTC
    try:
        return _parsed(values, plain).cast(kind)
    except pa.ArrowInvalid:
        return _parsed([value if value is not None and _is_day(value) else None for value in values], plain).cast(kind)


def _is_day(text: bytes) -> bool:
    year, month, day = int(text[:4]), int(text[5:7]), int(text[8:10])
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    days = (31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    return 1 <= month <= len(days) and 1 <= day <= days[month - 1]


def _times(values: Values, kind: Any) -> Any:
    """From -838:59:59 to 838:59:59: more than a time of day holds."""
    return _arrow().array([None if value is None else _microseconds(value) for value in values], kind)


def _microseconds(text: bytes) -> int:
    found = _TIME_TEXT.fullmatch(text)
    if found is None:
        raise ValueError("not a time")
    sign, hours, minutes, seconds, fraction = found.groups()
    whole = (int(hours) * 60 + int(minutes)) * 60 + int(seconds)
    size = whole * _SECOND + int((fraction or b"").ljust(6, b"0"))
    return -size if sign else size


def _bits(values: Values, kind: Any) -> Any:
    """A BIT value comes as its bytes."""
    return _arrow().array([None if value is None else int.from_bytes(value) for value in values], kind)


def _arrow() -> Any:
    import pyarrow as pa  # noqa: PLC0415 - the Configs import in processes that must not load Arrow

    return pa
