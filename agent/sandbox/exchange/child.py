"""The child's side: reads what the worker sends, writes its answer. Runs in a process that is about to be untrusted."""

import os
from collections.abc import Iterable
from typing import Any, cast

import pyarrow as pa

from agent.core.job import ChartFormat, Frames
from agent.sandbox.exchange import pieces
from agent.sandbox.exchange.answer import encode
from agent.sandbox.exchange.types import Answer, Program
from agent.wire import strictjson


def read_program(fd: int) -> Program:
    """The program that stands first in the pipe. Raises CutError, WireError or KeyError when it is not whole."""
    found = cast("dict[str, Any]", strictjson.loads(bytes(pieces.read_piece(fd, pieces.PROGRAM_BYTES)), 2**32))
    imports = found["imports"]
    return Program(
        code=found["code"],
        variables=found["variables"],
        inputs=tuple(found["inputs"]),
        frames=cast("Frames", found["frames"]),
        charts=cast("tuple[ChartFormat, ...]", tuple(found["charts"])),
        imports=None if imports is None else tuple(imports),
        rows=found["rows"],
        bytes=found["bytes"],
        output_bytes=found["output_bytes"],
        outputs=found["outputs"],
    )


def read_inputs(fd: int, names: Iterable[str]) -> dict[str, Any]:
    """Name -> `pyarrow.Table`, in the order sent. Raises CutError and pyarrow's errors when a table is not whole."""
    return {name: _table(fd) for name in names}


def _table(fd: int) -> Any:
    options = pa.ipc.IpcReadOptions(use_threads=False)
    found = pieces.read_table_bytes(fd)
    with pa.ipc.open_stream(pa.py_buffer(_joined(found)), options=options) as reader:
        return reader.read_all()


def _joined(found: list[bytearray]) -> bytearray:
    """One buffer. The pieces are given up as they are copied, so that a large table is not held twice."""
    whole = bytearray(sum(map(len, found)))
    at = 0
    for index, piece in enumerate(found):
        whole[at : at + len(piece)] = piece
        at += len(piece)
        found[index] = bytearray()
    return whole


def write_answer(fd: int, answer: Answer) -> None:
    """Write the whole answer and nothing else. Raises OSError when nobody reads it."""
    for piece in encode(answer):
        view, at = memoryview(piece), 0
        while at < len(view):
            at += os.write(fd, view[at : at + (1 << 20)])
