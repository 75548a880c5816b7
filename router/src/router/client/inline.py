"""Rows or a frame -> an inline table of the protocol."""

import datetime as dt
import decimal
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from router.client.errors import ConfigurationError

_EXACT: Final = 2**53
"""Up to here every JSON reader reads an integer as the same one; larger ones go as text."""


def table(name: str, value: Any) -> dict[str, Any]:
    """`[{"a": 1}, …]`, or anything that pyarrow takes as a table. Raises ConfigurationError."""
    import pyarrow as pa  # noqa: PLC0415 - only who sends frames loads it

    try:
        if isinstance(value, Sequence) and all(isinstance(row, Mapping) for row in value):
            heads = list(dict.fromkeys(key for row in value for key in row))
            found = pa.table({head: [row.get(head) for row in value] for head in heads})
        elif hasattr(value, "to_pandas") or not hasattr(value, "columns") or not hasattr(value, "iloc"):
            found = pa.table(value)
        else:
            found = pa.Table.from_pandas(value, preserve_index=False)
    except (TypeError, ValueError, AttributeError):
        message = f"Input {name} is neither a statement, a task, rows nor a frame."
        raise ConfigurationError("input.kind", message, "Give a list of dicts or a DataFrame.") from None
    if not found.num_columns:
        raise ConfigurationError("input.empty", f"Input {name} has no columns.", "Give at least one row.")
    columns = [_plain(name, field, column) for field, column in zip(found.schema, found.columns, strict=True)]
    heads = [{"name": field.name, "type": kind} for field, (kind, _) in zip(found.schema, columns, strict=True)]
    rows = [list(row) for row in zip(*(cells for _, cells in columns), strict=True)]
    return {"kind": "inline", "columns": heads, "rows": rows}


def _plain(name: str, field: Any, column: Any) -> tuple[str, list[Any]]:
    """The type's name in the protocol, and the values as JSON has them."""
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import types  # noqa: PLC0415

    kind = field.type
    if types.is_dictionary(kind):
        kind = kind.value_type
        column = column.cast(kind)
    if types.is_timestamp(kind):  # finer than microseconds no job is
        column = column.cast(pa.timestamp("us", kind.tz), safe=False)
    word = _word(kind)
    if word is None:
        message = f"Column {field.name} of input {name} is of type {kind}, which an inline table cannot have."
        raise ConfigurationError("input.type", message, "Convert it to text or numbers.")
    return word, [_cell(cell) for cell in column.to_pylist()]


def _word(kind: Any) -> str | None:
    from pyarrow import types  # noqa: PLC0415

    if types.is_integer(kind):
        return str(kind)
    if types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})" if 0 <= kind.scale <= kind.precision <= 38 else None  # noqa: PLR2004
    if types.is_timestamp(kind):
        return "timestamptz" if kind.tz else "timestamp"
    words = (
        ("bool", types.is_boolean),
        ("float", types.is_floating),
        ("date", types.is_date),
        ("time", types.is_time),
        ("text", types.is_string),
        ("text", types.is_large_string),
        ("text", types.is_string_view),
        ("text", types.is_null),
    )
    return next((word for word, fits in words if fits(kind)), None)


def _cell(value: Any) -> Any:
    match value:
        case dt.datetime() | dt.date() | dt.time():
            return value.isoformat()
        case decimal.Decimal():
            return str(value)
        case bool():
            return value
        case int() if abs(value) > _EXACT:
            return str(value)
        case float() if not math.isfinite(value):
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        case _:
            return value
