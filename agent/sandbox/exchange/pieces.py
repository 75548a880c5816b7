"""How bytes are cut on the way in: pieces behind their length; an empty piece ends a table.

`program, (piece … empty) of each input`. Lengths are unsigned 32-bit, big endian.
"""

import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from agent.sandbox.exchange.types import Input, Program
from agent.wire import strictjson

PROGRAM_BYTES: Final = 8 * 1024 * 1024
"""The largest program with its variables: an envelope of 1.5 MiB, escaped."""
_LENGTH = struct.Struct(">I")
_PIECE_BYTES: Final = 64 * 1024 * 1024
_CHUNK: Final = 1 << 20


class CutError(Exception):
    """The stream of pieces ended early, or is not one."""


class _Sink:
    """Keeps what Arrow's writer gives it, until it is taken."""

    closed = False

    def __init__(self) -> None:
        self._kept: list[bytes] = []

    def write(self, data: Any) -> int:
        self._kept.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """There is nothing to flush."""

    def close(self) -> None:
        """There is nothing to close."""

    def take(self) -> Iterator[bytes]:
        kept, self._kept = self._kept, []
        for data in kept:
            for start in range(0, len(data), _PIECE_BYTES):
                piece = data[start : start + _PIECE_BYTES]
                yield _LENGTH.pack(len(piece))
                yield piece


def pieces(program: Program, inputs: Mapping[str, Input]) -> Iterator[bytes]:
    """Everything that goes in, pulled from the batches as it is asked for. Raises what they raise."""
    head = strictjson.dumps({**asdict(program), "variables": dict(program.variables)})
    if len(head) > PROGRAM_BYTES:
        raise ValueError("the program is larger than a program may be")
    yield _LENGTH.pack(len(head))
    yield head
    for name in program.inputs:
        yield from _table(inputs[name])


def _table(given: Input) -> Iterator[bytes]:
    """An uncompressed Arrow IPC stream with plain values in the place of dictionaries."""
    fields = [_plain_field(field) for field in given.schema]
    schema, sink = pa.schema(fields), _Sink()
    options = pa.ipc.IpcWriteOptions(use_threads=False)
    writer = pa.ipc.new_stream(pa.PythonFile(sink, mode="w"), schema, options=options)
    for batch in given.batches:
        columns = [_plain_column(column) for column in batch.columns]
        writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
        yield from sink.take()
    writer.close()
    yield from sink.take()
    yield _LENGTH.pack(0)


def _plain_field(field: Any) -> Any:
    kind = field.type
    while pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind) or isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind.value_type
    return pa.field(field.name, kind)


def _plain_column(column: Any) -> Any:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _plain_column(column.dictionary_decode())
    if pa.types.is_run_end_encoded(kind):
        return _plain_column(pc.run_end_decode(column))
    return _plain_column(column.storage) if isinstance(kind, pa.BaseExtensionType) else column


def read_piece(fd: int, limit: int) -> bytearray:
    """The next piece, of at most `limit` bytes. Raises CutError."""
    (length,) = _LENGTH.unpack(read_exactly(fd, _LENGTH.size))
    if length > limit:
        raise CutError("a piece is too long")
    return read_exactly(fd, length)


def read_table_bytes(fd: int) -> list[bytearray]:
    """The pieces of one input. Raises CutError."""
    found = []
    while piece := read_piece(fd, _PIECE_BYTES):
        found.append(piece)
    return found


def read_exactly(fd: int, length: int) -> bytearray:
    """That many bytes of a blocking descriptor. Raises CutError when it ends before."""
    data = bytearray(length)
    view, at = memoryview(data), 0
    while at < length:
        got = os.readv(fd, [view[at : at + _CHUNK]])
        if got == 0:
            raise CutError("the stream ends early")
        at += got
    return data
