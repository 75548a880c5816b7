"""Frames of any library -> one Arrow table of plain types, the way a person would expect to see it printed."""

import datetime as dt
import decimal
import sys
from typing import Any, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa

from agent.sandbox.exchange import stream
from agent.sandbox.program.names import label, unique
from agent.sandbox.program.refusal import Place
from agent.wire import cells

_FAMILIES = (str, bytes, dt.time, dt.timedelta, decimal.Decimal, (bool, np.bool_))
_CONTAINERS = (list, tuple, dict, set, frozenset, np.ndarray)
_MAX_STRUCT = 64
_MORE = 16
_PANDAS = (pd.DataFrame, pd.Series, pd.Index)
_ARROW = (pa.Table, pa.RecordBatch, pa.RecordBatchReader, pa.ChunkedArray, pa.Array)


class Writes(Protocol):
    """What makes JSON of a cell: see `values.Writer`."""

    def json(self, value: Any, place: Place) -> Any:
        """Raises ResultError, which names the place."""
        ...


def is_frame(value: Any) -> bool:
    """Is it a frame, a column or an index of a library that has them?"""
    return isinstance(value, _PANDAS + _ARROW) or _of(value, "polars", "DataFrame", "Series") or _is_relation(value)


def _of(value: Any, library: str, *names: str) -> bool:
    loaded = sys.modules.get(library)
    return loaded is not None and isinstance(value, tuple(getattr(loaded, name) for name in names))


def _is_relation(value: Any) -> bool:
    return _of(value, "duckdb", "DuckDBPyRelation")


def normal(value: Any, place: Place, rows: int, writer: Writes) -> Any:
    """The table of at most `rows` + 1 rows, so that a cap behind sees that there were more. Raises ResultError."""
    if isinstance(value, _PANDAS):
        return _from_pandas(value, place, rows, writer)
    table = _arrow(value, rows)
    names = unique(label(name) for name in table.column_names)
    return pa.table([_plain(column) for column in table.columns], names=names).combine_chunks()


def _arrow(value: Any, rows: int) -> Any:
    if isinstance(value, pa.RecordBatchReader):
        value = value.read_all()
    elif _is_relation(value):
        value = value.limit(rows + 1).to_arrow_table()
    elif _of(value, "polars", "Series"):
        value = value.to_frame(value.name or "value").head(rows + 1).to_arrow()
    elif _of(value, "polars", "DataFrame"):
        value = value.head(rows + 1).to_arrow()
    elif isinstance(value, pa.RecordBatch):
        value = pa.Table.from_batches([value])
    elif not isinstance(value, pa.Table):
        value = pa.table({"value": value})
    return value.slice(0, rows + 1)


def fit(table: Any, most: int) -> Any:
    """All, or a few more first rows than fit into `most` bytes."""
    if table.nbytes <= most:
        return table
    low, high = 1, table.num_rows
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if table.slice(0, middle).nbytes > most else (middle + 1, high)
    low += _MORE + low // 100  # a copy is a little smaller than a view says
    return pa.table([_compact(column.slice(0, low)) for column in table.columns], names=table.column_names)


def _compact(column: Any) -> Any:
    return pa.concat_arrays([chunk.take(pa.array(range(len(chunk)))) for chunk in column.chunks])


def _from_pandas(value: Any, place: Place, rows: int, writer: Writes) -> Any:
    frame = _framed(value).iloc[: rows + 1]
    arrays, names = [], []
    for level, name in _index(frame, keep=isinstance(value, pd.Series)):
        arrays.append(_column(pd.Series(level), place, writer))
        names.append(name)
    for position, name in enumerate(frame.columns):
        arrays.append(_column(frame.iloc[:, position], place.at(name, position), writer))
        names.append(label(name))
    return pa.table(arrays, names=unique(names)).combine_chunks()


def _framed(value: Any) -> pd.DataFrame:
    if isinstance(value, pd.DataFrame):
        return value
    if isinstance(value, pd.MultiIndex):
        return value.to_frame(index=False, allow_duplicates=True)
    name = "value" if value.name is None else value.name
    if isinstance(value, pd.Index):
        return pd.DataFrame({name: pd.Series(value.array)})
    frame = pd.DataFrame({"value": value})
    frame.columns = pd.Index([name], tupleize_cols=False)
    return frame


def _index(frame: pd.DataFrame, *, keep: bool) -> list[tuple[Any, str]]:
    """The levels that say something. Unnamed numbers of a frame are positions; of a series (`keep`) perhaps years."""
    index = frame.index
    if isinstance(index, pd.MultiIndex):
        return [(index.get_level_values(i).array, label(name) or f"level_{i}") for i, name in enumerate(index.names)]
    if index.name is None and (
        isinstance(index, pd.RangeIndex) or (not keep and pd.api.types.is_integer_dtype(index.dtype)) or not len(index)
    ):
        return []
    return [(index.array, label(index.name) or "index")]


def _column(series: Any, place: Place, writer: Writes) -> Any:
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        inner = dtype.categories.dtype
        series = series.astype(object if inner.kind in "iubO" else inner)
        dtype = series.dtype
    if isinstance(dtype, pd.SparseDtype):
        series = series.sparse.to_dense()
        dtype = series.dtype
    if isinstance(dtype, pd.PeriodDtype | pd.IntervalDtype) or dtype.kind in "cV":
        return pa.array(
            [None if gap else str(item) for item, gap in zip(series, series.isna(), strict=True)], pa.string()
        )
    if dtype.kind == "O" and isinstance(dtype, np.dtype):
        return _plain(_objects(series, place, writer))
    return _plain(pa.array(series, from_pandas=True))


def _objects(series: Any, place: Place, writer: Writes) -> Any:
    """Arrow's own reading where all values are of one kind; the text of each where they are not."""
    gaps = [bool(gap) if isinstance(gap, bool | np.bool_) else False for gap in map(pd.isna, series)]
    there = [item for item, gap in zip(series, gaps, strict=True) if not gap]
    if _one_family(there):
        items = [
            None if gap else list(item) if isinstance(item, set | frozenset) else item
            for item, gap in zip(series, gaps, strict=True)
        ]
        try:
            return pa.array(items, from_pandas=True)
        except (pa.ArrowException, OverflowError, ValueError, TypeError):
            pass
    texts = [
        None if gap else cells.text(writer.json(item, place.item(index)))
        for index, (item, gap) in enumerate(zip(series, gaps, strict=True))
    ]
    return pa.array(texts, pa.string())


def _one_family(there: list[Any]) -> bool:
    kinds = {type(item) for item in there}
    if any(issubclass(kind, dt.date) for kind in kinds):  # a date beside a timestamp would lose the time of the other
        return all(issubclass(kind, dt.datetime) for kind in kinds) or kinds == {dt.date}
    if all(issubclass(kind, _CONTAINERS) for kind in kinds):
        return True
    numbers = (int, float, np.integer, np.floating)
    if all(issubclass(kind, numbers) and not issubclass(kind, bool) for kind in kinds):
        return True
    return any(all(issubclass(kind, family) for kind in kinds) for family in _FAMILIES)


def _plain(column: Any) -> Any:
    """The column in one of the types that `stream` allows; as text when it has none."""
    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(column, pa.ChunkedArray):  # too long for one
        column = pa.concat_arrays(column.chunks)
    kind = _target(column.type, stream.MAX_NESTING)
    if kind is None:
        return pa.array(cells.texts(column), pa.string())
    try:
        return column if kind == column.type else column.cast(kind)
    except (pa.ArrowException, ValueError):
        return pa.array(cells.texts(column), pa.string())


def _target(kind: Any, nesting: int) -> Any:  # noqa: PLR0911  one for each way
    """The plain type for a type; None where only text will do."""
    types = pa.types
    if isinstance(kind, pa.BaseExtensionType) or types.is_map(kind):
        return None
    if types.is_dictionary(kind) or types.is_run_end_encoded(kind):
        return _target(kind.value_type, nesting)
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind) or types.is_list_view(kind):
        inner = _target(kind.value_type, nesting - 1) if nesting else None
        return None if inner is None else pa.list_(inner)
    if types.is_struct(kind):
        return _struct(kind, nesting)
    for applies, plain in _WRITTEN:
        if applies(kind):
            return plain
    if types.is_timestamp(kind) and not stream.allowed(kind):
        return pa.timestamp(kind.unit, "UTC")
    return kind if stream.allowed(kind) else None


def _struct(kind: Any, nesting: int) -> Any:
    fields = [(field.name, _target(field.type, nesting - 1) if nesting else None) for field in kind]
    sound = 0 < len(fields) <= _MAX_STRUCT and all(len(name) <= stream.MAX_NAME for name, _ in fields)
    return pa.struct(fields) if sound and all(inner is not None for _, inner in fields) else None


_WRITTEN = (
    (lambda kind: pa.types.is_string_view(kind) or pa.types.is_large_string(kind), pa.string()),
    (pa.types.is_null, pa.string()),
    (lambda kind: pa.types.is_binary_view(kind) or pa.types.is_fixed_size_binary(kind), pa.binary()),
    (pa.types.is_large_binary, pa.binary()),
    (pa.types.is_date64, pa.date32()),
)
