"""Manifest and parts <-> one `.mres` file: magic, u32 (big endian) length of the manifest, manifest, framed parts."""

from typing import BinaryIO

from agent.wire.errors import ContainerError
from agent.wire.signing import MAX_MANIFEST_BYTES
from agent.wire.streams import read_upto, write_all

MAGIC = b"MERIDYN1"
_WORD = 4
_COPY_BYTES = 1024 * 1024


def write_mres(sink: BinaryIO, manifest: bytes, parts: BinaryIO) -> None:
    """Write the file; `parts` is copied from where it stands to its end. Raises ContainerError for a bad manifest."""
    if not 0 < len(manifest) <= MAX_MANIFEST_BYTES:
        raise ContainerError("the manifest is empty or too large")
    write_all(sink, MAGIC + len(manifest).to_bytes(_WORD, "big") + manifest)
    while piece := read_upto(parts, _COPY_BYTES):
        write_all(sink, piece)


def read_mres(stream: BinaryIO) -> tuple[bytes, BinaryIO]:
    """The manifest JWS, unverified, and the stream standing at the first part. Raises ContainerError."""
    if read_upto(stream, len(MAGIC)) != MAGIC:
        raise ContainerError("not a Meridyen result file (.mres)")
    length = int.from_bytes(_exactly(stream, _WORD), "big")
    if not 0 < length <= MAX_MANIFEST_BYTES:
        raise ContainerError("the length of the manifest is out of bounds")
    return _exactly(stream, length), stream


def _exactly(stream: BinaryIO, length: int) -> bytes:
    data = read_upto(stream, length)
    if len(data) != length:
        raise ContainerError("the file is cut short")
    return data
