"""Rows or a frame -> an inline table of the protocol."""

import datetime as dt
import decimal
from collections.abc import Mapping, Sequence
from typing import Any

from router.client.errors import ConfigurationError

_PLAIN = (str, int, float, bool, type(None))


def table(name: str, value: Any) -> dict[str, Any]:
    """`[{"a": 1}, …]`, or anything that pyarrow takes as a table. Raises ConfigurationError."""
    import pyarrow as pa  # noqa: PLC0415 - only who sends frames loads it

    try:
        if isinstance(value, Sequence) and all(isinstance(row, Mapping) for row in value):
            found = pa.Table.from_pylist([dict(row) for row in value])
        elif hasattr(value, "__arrow_c_stream__"):
            found = pa.table(value)
        else:
            found = pa.Table.from_pandas(value, preserve_index=False)
    except (TypeError, ValueError, AttributeError):
        message = f"Input {name} is neither a statement, a task, rows nor a frame."
        raise ConfigurationError("input.kind", message, "Give a list of dicts or a DataFrame.") from None
    columns = [{"name": field.name, "type": _type(name, field)} for field in found.schema]
    rows = [[_cell(cell) for cell in row.values()] for row in found.to_pylist()]
    return {"kind": "inline", "columns": columns, "rows": rows}


def _type(name: str, field: Any) -> str:
    from pyarrow import types  # noqa: PLC0415

    kinds = (
        ("bool", types.is_boolean),
        ("int", types.is_integer),
        ("float", types.is_floating),
        ("decimal", types.is_decimal),
        ("date", types.is_date),
        ("timestamp", types.is_timestamp),
        ("text", lambda kind: types.is_string(kind) or types.is_large_string(kind) or types.is_null(kind)),
    )
    for word, fits in kinds:
        if fits(field.type):
            return word
    message = f"Column {field.name} of input {name} is of type {field.type}, which an inline table cannot have."
    raise ConfigurationError("input.type", message, "Convert it to text or numbers.")


def _cell(value: Any) -> Any:
    if isinstance(value, (dt.datetime, dt.date)):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return str(value)
    assert isinstance(value, _PLAIN), "a type that was let through"
    return value
