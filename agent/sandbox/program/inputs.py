"""Arrow tables -> what a program meets: pandas frames with the types that analysts' code expects, polars, or Arrow."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from agent.core.job import Frames
from agent.sandbox.program.names import unique

_EXACT: Final = 2**53
_NULLABLE: Final[dict[Any, Any]] = {
    pa.bool_(): pd.BooleanDtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.uint64(): pd.UInt64Dtype(),
}


def meet(tables: Mapping[str, Any], frames: Frames) -> dict[str, Any]:
    """Each table in the asked form, under its name. Column names that repeat get a number."""
    return {name: _FORMS[frames](table.rename_columns(unique(table.column_names))) for name, table in tables.items()}


def pandas_of(table: Any) -> pd.DataFrame:
    """A frame of NumPy's types where they can say all, because most code expects them.

    Decimals are float64 (whole ones int64), dates are timestamps at midnight, integers with gaps are float64 as long
    as that is exact, else Int64; booleans with gaps are `boolean`. Text is pandas' `str`, instants keep their zone.
    """
    kept = {index: dtype for index, column in enumerate(table.columns) if (dtype := _nullable(column))}
    plain = pa.Table.from_arrays([_plain(column) for column in table.columns], names=table.column_names)
    frame: pd.DataFrame = plain.to_pandas(use_threads=False, date_as_object=False)
    for index, dtype in kept.items():
        frame.isetitem(index, plain.column(index).to_pandas(types_mapper=lambda _, dtype=dtype: dtype))
    return frame


def _nullable(column: Any) -> Any:
    """The pandas type that keeps the gaps of a column apart; None where NumPy's has a place for them."""
    if not column.null_count or column.type not in _NULLABLE:
        return None
    if pa.types.is_integer(column.type):
        bounds = pc.min_max(column).as_py()
        if bounds["min"] is None or (bounds["min"] >= -_EXACT and bounds["max"] <= _EXACT):
            return None
    return _NULLABLE[column.type]


def _plain(column: Any) -> Any:
    kind = column.type
    if pa.types.is_decimal(kind):
        return _number(column)
    if pa.types.is_date(kind):
        try:
            return column.cast(pa.timestamp("us"))
        except pa.ArrowInvalid:  # a date that microseconds do not reach
            return column.cast(pa.timestamp("s"))
    if pa.types.is_null(kind):
        return column.cast(pa.string())
    return column


def _number(column: Any) -> Any:
    if column.type.scale <= 0:
        try:
            return column.cast(pa.int64())
        except pa.ArrowInvalid:  # more digits than an integer has
            pass
    return column.cast(pa.float64())


def _polars_of(table: Any) -> Any:
    return importlib.import_module("polars").from_arrow(table)


_FORMS: Final[dict[Frames, Callable[[Any], Any]]] = {
    "pandas": pandas_of,
    "polars": _polars_of,
    "arrow": lambda table: table,
}
