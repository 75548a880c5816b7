"""Reads and writes that are whole also on unbuffered streams."""

import errno
from typing import BinaryIO


def read_upto(stream: BinaryIO, length: int) -> bytes:
    """`length` bytes, fewer only at the end of the stream."""
    pieces, missing = [], length
    while missing and (piece := stream.read(missing)):
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)


def write_all(sink: BinaryIO, data: bytes) -> None:
    """All of `data`, also where one write takes only a part. Raises OSError when the sink takes nothing."""
    view = memoryview(data)
    while view:
        written = sink.write(view)
        if not written:
            raise OSError(errno.EIO, "the sink takes no more bytes")
        view = view[written:]
