"""Masked record batches -> bytes of a data member, streamed; and back to a table for whoever opens the result.

The only module of the wire that loads pyarrow (with `cells`): never imported by the service process.
"""

import base64
import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv as arrow_csv

from agent.core.table import Masked
from agent.wire import cells, strictjson
from agent.wire.errors import ResultError

Write = Callable[[bytes], object]

_MEDIA_TYPES: dict[str, str] = {
    "arrow": "application/vnd.apache.arrow.stream",
    "parquet": "application/vnd.apache.parquet",
    "json": "application/json",
    "csv": "text/csv",
}
_ROW_GROUP_BYTES = 16 * 1024 * 1024
_ROW_GROUP_ROWS = 131_072
_SLICE_ROWS = 8192
_TIME32_BITS = 32
_JSON_LINE = json.JSONEncoder(ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":")).encode
_TO_QUOTE = re.compile(r'^$|[,"\r\n]').search


def media_type(name: str) -> str:
    """The media type of a format: `arrow`, `parquet`, `json` or `csv`. Raises KeyError for any other."""
    return _MEDIA_TYPES[name]


def columns(schema: Any) -> list[dict[str, str]]:
    """`[{"name","type"}]` of a `pyarrow.Schema`, in order; names may repeat."""
    return [{"name": field.name, "type": cells.type_name(field.type)} for field in schema]


def encode(masked: Masked, write: Write) -> str:
    """Write all batches through `write` in `masked.format`, a batch at a time; returns the media type.

    What the batches' iterator raises comes out unchanged.
    """
    _ENCODERS[masked.format](masked.schema, masked.batches, write)
    return media_type(masked.format)


def encode_table(table: Any, name: str, write: Write) -> str:
    """The same for a whole `pyarrow.Table` that was opened already, to hand it on in another format."""
    _ENCODERS[name](table.schema, table.to_batches(), write)
    return media_type(name)


def decode(media: str, data: bytes) -> Any:
    """The `pyarrow.Table` of a data member. CSV gives strings. Raises ResultError, and KeyError for a foreign type."""
    name = {value: key for key, value in _MEDIA_TYPES.items()}[media]
    try:
        table = _DECODERS[name](data)
        table.validate(full=True)
    except (pa.ArrowException, ValueError, TypeError, KeyError, OSError, RecursionError, csv.Error):
        raise ResultError(f"the rows are not whole {name}") from None
    return table


def rows(table: Any) -> tuple[list[dict[str, str]], list[list[Any]]]:
    """Columns and rows of a table as JSON values, by the rules of `cells`. Raises nothing for any value."""
    return columns(table.schema), [row for batch in table.to_batches() for row in _rows(batch)]


def _rows(batch: Any) -> list[list[Any]]:
    return [list(row) for row in zip(*(cells.values(column) for column in batch.columns), strict=True)]


def _slices(batches: Iterable[Any]) -> Iterator[Any]:
    """Bounded pieces, because a batch of Python objects is many times as large as one of Arrow."""
    for batch in batches:
        for start in range(0, batch.num_rows, _SLICE_ROWS):
            yield batch.slice(start, _SLICE_ROWS)


class _Pipe:
    """The part of a file that Arrow's writers use; forwards to `write`."""

    closed = False

    def __init__(self, write: Write) -> None:
        self._forward = write

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._forward(piece)
        return len(piece)

    def flush(self) -> None:
        """There is nothing to flush."""

    def close(self) -> None:
        """The sink belongs to the caller."""


def _encode_arrow(schema: Any, batches: Iterable[Any], write: Write) -> None:
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    writer = pa.ipc.new_stream(pa.PythonFile(_Pipe(write), mode="w"), schema, options=options)
    for batch in batches:
        writer.write_batch(batch)
    writer.close()


def _encode_parquet(schema: Any, batches: Iterable[Any], write: Write) -> None:
    fields = [field if _fits_parquet(field.type) else field.with_type(pa.string()) for field in schema]
    target = pa.schema(fields)
    writer = pq.ParquetWriter(pa.PythonFile(_Pipe(write), mode="w"), target, compression="zstd")
    for group in _row_groups(batches):
        arrays = [
            column
            if ours.type == theirs.type
            else pa.chunked_array([cells.texts(c) for c in column.chunks], pa.string())
            for column, ours, theirs in zip(group.columns, target, schema, strict=True)
        ]
        writer.write_table(pa.Table.from_arrays(arrays, schema=target))
    writer.close()


def _row_groups(batches: Iterable[Any]) -> Iterator[Any]:
    waiting: list[Any] = []
    for batch in batches:
        waiting.append(batch)
        if (
            sum(item.nbytes for item in waiting) >= _ROW_GROUP_BYTES
            or sum(item.num_rows for item in waiting) >= _ROW_GROUP_ROWS
        ):
            yield pa.Table.from_batches(waiting)
            waiting = []
    if waiting:
        yield pa.Table.from_batches(waiting)


def _as_text(column: Any) -> Any:
    return pa.chunked_array([cells.texts(chunk) for chunk in column.chunks], pa.string())


def _fits_parquet(kind: Any) -> bool:
    """Parquet has no calendar intervals, unions or run ends: these become the text of their JSON value."""
    types = pa.types
    if types.is_interval(kind) or types.is_union(kind) or types.is_run_end_encoded(kind):
        return False
    return all(_fits_parquet(kind.field(i).type) for i in range(kind.num_fields))


def _encode_json(schema: Any, batches: Iterable[Any], write: Write) -> None:
    write(b'{"columns":' + strictjson.dumps(columns(schema)) + b',"rows":[')
    separator = "\n"
    for piece in _slices(batches):
        write((separator + ",\n".join(map(_JSON_LINE, _rows(piece)))).encode())
        separator = ",\n"
    write(b"\n]}\n")


def _encode_csv(schema: Any, batches: Iterable[Any], write: Write) -> None:
    write(_csv_line([field.name for field in schema]).encode())
    for piece in _slices(batches):
        write("".join(map(_csv_line, zip(*map(cells.texts, piece.columns), strict=True))).encode())


def _csv_line(row: Iterable[str | None]) -> str:
    """RFC 4180; an empty string is quoted, so that NULL stays apart from it."""
    return ",".join(["" if cell is None else _csv_cell(cell) if _TO_QUOTE(cell) else cell for cell in row]) + "\r\n"


def _csv_cell(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"'


def _decode_arrow(data: bytes) -> Any:
    with pa.ipc.open_stream(data) as reader:
        return reader.read_all()


def _decode_parquet(data: bytes) -> Any:
    with pq.ParquetFile(pa.BufferReader(data)) as file:
        return file.read()  # not read_table: it loses columns whose names repeat


def _decode_json(data: bytes) -> Any:
    match json.loads(data):
        case {"columns": list() as heads, "rows": list() as lines}:
            cut = list(zip(*lines, strict=True)) or [()] * len(heads)
            arrays = [_column(cut_, str(head["type"])) for cut_, head in zip(cut, heads, strict=True)]
            return pa.Table.from_arrays(arrays, names=[str(head["name"]) for head in heads])
        case _:
            raise ValueError("not an object of columns and rows")


def _column(items: Iterable[Any], type_name: str) -> Any:
    """The typed array where the type's name says how; where it does not, the text of each value."""
    texts = pa.array([cells.text(item) for item in items], pa.string())
    try:
        if type_name == "binary":
            return pa.array([None if t is None else base64.b64decode(t, validate=True) for t in texts.to_pylist()])
        kind = _kind(type_name)
        return _times(texts, kind) if pa.types.is_time(kind) else texts.cast(kind)
    except (pa.ArrowException, ValueError):
        return texts


def _times(texts: Any, kind: Any) -> Any:
    """Arrow's own cast takes no fractions of a second."""
    digits = {"s": 0, "ms": 3, "us": 6, "ns": 9}[kind.unit]
    counts = []
    for text in texts.to_pylist():
        if text is not None:
            hours, minutes, seconds = text.split(":")
            whole, _, rest = seconds.partition(".")
            minute = int(hours) * 60 + int(minutes)
            counts.append((minute * 60 + int(whole)) * 10**digits + int(rest.ljust(digits, "0") or 0))
        else:
            counts.append(None)
    return pa.array(counts, pa.int32() if kind.bit_width == _TIME32_BITS else pa.int64()).cast(kind)


def _kind(type_name: str) -> Any:
    if found := re.fullmatch(r"decimal(128|256)\((\d{1,2}), (-?\d{1,2})\)", type_name, re.ASCII):
        make = pa.decimal128 if found[1] == "128" else pa.decimal256
        return make(int(found[2]), int(found[3]))
    if found := re.fullmatch(r"timestamp\[(s|ms|us|ns), tz=(.+)\]", type_name):
        return pa.timestamp(found[1], found[2])
    return _SIMPLE.get(type_name, pa.string())


def _decode_csv(data: bytes) -> Any:
    if not data.endswith(b"\r\n"):
        raise ValueError("the last line is cut short")
    names: list[str] = next(csv.reader(io.StringIO(data.decode("utf-8"), newline=""), strict=True), [])
    places = [f"f{i}" for i in range(len(names))]
    table = arrow_csv.read_csv(
        pa.BufferReader(data),
        read_options=arrow_csv.ReadOptions(autogenerate_column_names=True),
        parse_options=arrow_csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        convert_options=arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(places, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )
    return table.slice(1).rename_columns(names)


_SIMPLE = {
    str(kind): kind
    for kind in (
        *(pa.bool_(), pa.date32(), pa.float16(), pa.float32(), pa.float64()),
        *(pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
        *(pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns")),
        *(pa.timestamp("s"), pa.timestamp("ms"), pa.timestamp("us"), pa.timestamp("ns")),
    )
}
_ENCODERS: dict[str, Callable[[Any, Iterable[Any], Write], None]] = {
    "arrow": _encode_arrow,
    "parquet": _encode_parquet,
    "json": _encode_json,
    "csv": _encode_csv,
}
_DECODERS: dict[str, Callable[[bytes], Any]] = {
    "arrow": _decode_arrow,
    "parquet": _decode_parquet,
    "json": _decode_json,
    "csv": _decode_csv,
}
