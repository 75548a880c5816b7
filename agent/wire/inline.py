"""`InlineTable` -> a `pyarrow.Table`. Never imported by the service process."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa

from agent.core.errors import Refuse
from agent.core.job import InlineTable
from agent.wire.columns import MAX_DIGITS, ColumnType, column_type


def table(given: InlineTable) -> Any:
    """The table. Raises Refuse(python.input) for what the published schema would not have let through."""
    columns = list(zip(*given.rows, strict=True)) if given.rows else [()] * len(given.columns)
    try:
        arrays = [_array(column_type(kind), column) for (_, kind), column in zip(given.columns, columns, strict=True)]
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        raise Refuse("python.input", "An inline table holds a value that is not of its column's type.") from None
    return pa.Table.from_arrays(arrays, names=[name for name, _ in given.columns])


def _array(kind: ColumnType | None, values: Sequence[Any]) -> Any:
    if kind is None:
        raise ValueError("an unknown type")
    read = _READ.get(kind.family, lambda value: value)
    return pa.array([None if value is None else read(value) for value in values], _type(kind, values))


def _type(kind: ColumnType, values: Sequence[Any]) -> Any:
    match kind.family:
        case "integer":
            return pa.type_for_alias(kind.detail)
        case "decimal":
            return pa.decimal128(kind.digits or MAX_DIGITS, kind.scale if kind.digits else _scale(values))
        case "timestamp":
            aware = any(value is not None and datetime.fromisoformat(value).tzinfo is not None for value in values)
            return pa.timestamp("us", "UTC" if kind.detail or aware else None)
        case family:
            return _TYPES[family]


def _scale(values: Sequence[Any]) -> int:
    """Of a decimal column that names none: as many places as a value has."""
    exponents = (Decimal(str(value)).as_tuple().exponent for value in values if value is not None)
    return max((-exponent for exponent in exponents if isinstance(exponent, int) and exponent < 0), default=0)


def _stamp(value: str) -> datetime:
    """Without a zone it stays as it is written: Arrow reads it as UTC where the column has a zone."""
    read = datetime.fromisoformat(value)
    return read if read.tzinfo is None else read.astimezone(UTC)


_READ: Final[dict[str, Callable[[Any], Any]]] = {
    "integer": int,
    "number": float,
    "decimal": lambda value: Decimal(str(value)),
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "timestamp": _stamp,
}
_TYPES: Final[dict[str, Any]] = {
    "boolean": pa.bool_(),
    "number": pa.float64(),
    "text": pa.string(),
    "date": pa.date32(),
    "time": pa.time64("us"),
}
