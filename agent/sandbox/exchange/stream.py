"""Bytes of a foreign process -> a table that nothing behind can stumble over.

Arrow's reader gets only messages of which the outer form was read here first: one schema, then record batches, without
compression (a length that lies would be allocated), dictionaries or extensions. The offsets of a message's table are
those of Arrow's Message.fbs.
"""

import re
import struct
from typing import Any, Final

import pyarrow as pa

MAX_NAME: Final = 255
MAX_FIELDS: Final = 4096
MAX_NESTING: Final = 4
MAX_BATCHES: Final = 16

_PREFIX = struct.Struct("<Ii")
_CONTINUATION = 0xFFFFFFFF
_SCHEMA, _RECORD_BATCH = 1, 3
_TYPE, _HEADER, _BODY_LENGTH, _COMPRESSION = 1, 2, 3, 3
_ALIGNMENT = 8
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+\-]*(/[A-Za-z0-9_+\-]+){0,2}|[+-]\d\d:\d\d", re.ASCII)
_MAX_ZONE = 64


class StreamError(Exception):
    """The bytes are not a stream of allowed batches. The text says why, without any of its content."""


def write(table: Any) -> bytes:
    """The form that `read` takes. `table` is normal: of the types that `allowed` lets through."""
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(use_threads=False)
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def read(data: bytes, rows: int) -> Any:
    """The `pyarrow.Table` in `data`, of at most `rows` rows, validated in full. Raises StreamError."""
    _check_messages(data)
    try:
        with pa.ipc.open_stream(data, options=pa.ipc.IpcReadOptions(use_threads=False)) as reader:
            check(reader.schema)
            batches = list(reader)
        if sum(batch.num_rows for batch in batches) > rows:
            raise StreamError("more rows than were allowed")
        for batch in batches:
            _check_buffers(batch)
            batch.validate(full=True)
        return pa.Table.from_batches(batches, pa.schema([_bare(field) for field in reader.schema]))
    except (pa.ArrowException, ValueError, TypeError, KeyError, OSError, OverflowError, MemoryError):
        raise StreamError("not whole Arrow data") from None


def _check_messages(data: bytes) -> None:
    at, seen = 0, 0
    try:
        while True:
            mark, length = _PREFIX.unpack_from(data, at)
            at += _PREFIX.size
            if mark != _CONTINUATION or length < 0 or length % _ALIGNMENT:
                raise StreamError("a message has no proper head")
            if length == 0:
                break
            at += length + _body(memoryview(data)[at : at + length], _SCHEMA if seen == 0 else _RECORD_BATCH)
            seen += 1
            if at > len(data) or seen > MAX_BATCHES + 1:
                raise StreamError("too many messages, or one is cut short")
    except (struct.error, IndexError):
        raise StreamError("a message is cut short") from None
    if at != len(data) or seen == 0:
        raise StreamError("there is no schema, or something follows the end")


def _body(message: memoryview, expected: int) -> int:
    """How many bytes follow a message. Raises StreamError when it is not of the expected kind or is compressed."""
    root = _target(message, 0)
    kind, header, body = (_field(message, root, index) for index in (_TYPE, _HEADER, _BODY_LENGTH))
    if kind == 0 or message[kind] != expected or header == 0:
        raise StreamError("a message is neither the schema nor a record batch")
    length = 0 if body == 0 else struct.unpack_from("<q", message, body)[0]
    if length < 0 or length % _ALIGNMENT:
        raise StreamError("a message has an impossible length")
    if expected == _RECORD_BATCH and _field(message, _target(message, header), _COMPRESSION):
        raise StreamError("compressed data")
    return int(length)


def _target(message: memoryview, at: int) -> int:
    return at + int(struct.unpack_from("<I", message, at)[0])


def _field(message: memoryview, table: int, index: int) -> int:
    """Where a field of a flatbuffers table stands; 0: it has its default."""
    listing = table - struct.unpack_from("<i", message, table)[0]
    if listing < 0:
        raise StreamError("a message points before its start")
    size = struct.unpack_from("<H", message, listing)[0]
    place = 4 + 2 * index
    offset = struct.unpack_from("<H", message, listing + place)[0] if place + 2 <= size else 0
    return table + offset if offset else 0


def check(schema: Any) -> None:
    """Raises StreamError when a schema is not one that `read` lets through."""
    names = schema.names
    if len(set(names)) != len(names):
        raise StreamError("two columns have one name")
    if sum(_check_field(field, MAX_NESTING) for field in schema) > MAX_FIELDS:
        raise StreamError("too many columns")


def _check_field(field: Any, nesting: int) -> int:
    """The number of fields in it, itself included."""
    if len(field.name) > MAX_NAME or (field.metadata and b"ARROW:extension:name" in field.metadata):
        raise StreamError("a column has no proper name, or an extension type")
    field.name.encode()
    kind = field.type
    if not allowed(kind):
        raise StreamError("a type that is not allowed")
    if not kind.num_fields:
        return 1
    if nesting == 0:
        raise StreamError("nested too deeply")
    return 1 + sum(_check_field(kind.field(i), nesting - 1) for i in range(kind.num_fields))


def allowed(kind: Any) -> bool:
    """May a column be of this type? What is inside a list or struct is asked for by itself."""
    types = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        return False
    if types.is_timestamp(kind):
        return kind.tz is None or (len(kind.tz) <= _MAX_ZONE and _ZONE.fullmatch(kind.tz) is not None)
    if types.is_decimal(kind):
        return bool(0 <= kind.scale <= kind.precision)  # Arrow takes any, Python's decimals do not
    if types.is_struct(kind):
        return bool(kind.num_fields)  # one without fields may claim any number of rows
    return any(applies(kind) for applies in _ALLOWED)


_ALLOWED = (
    *(pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating),
    *(pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary),
    *(pa.types.is_date32, pa.types.is_time, pa.types.is_duration, pa.types.is_list),
)


def _bare(field: Any) -> Any:
    """Without metadata, which nobody asked for; that of inner fields is never shown."""
    return pa.field(field.name, field.type)


def _check_buffers(batch: Any) -> None:
    for column in batch.columns:
        if any(buffer is not None and buffer.address % _ALIGNMENT for buffer in column.buffers()):
            raise StreamError("a buffer is not aligned")
