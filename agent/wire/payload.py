"""Named members <-> the plaintext of a result.

A member is a u32 (big endian) length and that many bytes of JSON `{"name","media_type"}`, then chunks of u32 length and
bytes, ended by a chunk of length 0. After the last member a header length of 0, then zeros up to the size class.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from agent.wire import strictjson
from agent.wire.errors import JsonError, ResultError
from agent.wire.models import MIN_PART_BYTES, PART_BYTES

OUTCOME_NAME = "outcome.json"
RESULT_NAME = "result.json"
STDOUT_NAME = "stdout.txt"
STDERR_NAME = "stderr.txt"
MAX_HEADER_BYTES = 1024
MAX_MEMBERS = 64
MAX_CHUNK_BYTES = 1024 * 1024
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)
_CHUNK_BYTES = 65_536
_WORD = 4
_END = bytes(_WORD)
_ZEROS = bytes(65_536)


@dataclass(frozen=True, slots=True)
class Member:
    """One named content of a result."""

    name: str
    media_type: str
    data: bytes


def size_class(length: int) -> int:
    """Bytes that a plaintext of `length` is padded to: a power of two from 1 KiB to 4 MiB, above multiples of 4 MiB."""
    if length > PART_BYTES:
        return -(-length // PART_BYTES) * PART_BYTES
    return max(MIN_PART_BYTES, 1 << (length - 1).bit_length())


class PayloadWriter:
    """Streams members through `write`; keeps at most one chunk. `finish` ends and pads."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        """Args: `write` takes the plaintext piece by piece."""
        self._write = write
        self._chunk = bytearray()
        self._written = 0
        self.media_types: list[str] = []

    @contextmanager
    def member(self, name: str, media_type: str) -> Iterator[Callable[[bytes], object]]:
        """Yields the function that takes the member's bytes. When the body raises, the stream is left unfinished."""
        header = strictjson.dumps({"name": name, "media_type": media_type})
        if len(header) > MAX_HEADER_BYTES or _NAME.fullmatch(name) is None:
            raise ValueError("not the name of a member")
        self._put(len(header).to_bytes(_WORD, "big") + header)
        self.media_types.append(media_type)
        yield self._take
        self._flush()
        self._put(_END)

    def finish(self) -> None:
        """End the list of members and pad to the size class."""
        self._put(_END)
        missing = size_class(self._written) - self._written
        while missing > 0:
            piece = _ZEROS[:missing]
            self._put(piece)
            missing -= len(piece)

    def _take(self, data: bytes) -> None:
        view = memoryview(data).cast("B")
        for start in range(0, len(view), _CHUNK_BYTES):
            self._chunk += view[start : start + _CHUNK_BYTES]
            if len(self._chunk) >= _CHUNK_BYTES:
                self._flush()

    def _flush(self) -> None:
        if self._chunk:
            self._put(len(self._chunk).to_bytes(_WORD, "big") + self._chunk)
            self._chunk.clear()

    def _put(self, data: bytes) -> None:
        self._written += len(data)
        self._write(data)


def read_payload(plain: bytes | bytearray) -> tuple[Member, ...]:
    """The members of a whole plaintext. Raises ResultError unless every byte is accounted for."""
    cursor = _Cursor(memoryview(plain))
    members: list[Member] = []
    while length := cursor.word():
        name, media_type = _header(cursor.take(length, MAX_HEADER_BYTES))
        if len(members) == MAX_MEMBERS or any(member.name == name for member in members):
            raise ResultError("the result holds a member twice, or too many")
        data = bytearray()
        while size := cursor.word():
            data += cursor.take(size, MAX_CHUNK_BYTES)
        members.append(Member(name, media_type, bytes(data)))
    if len(plain) != size_class(cursor.position):
        raise ResultError("the result is not padded to its size class")
    if bytes(cursor.rest()).strip(b"\x00"):
        raise ResultError("the padding of the result is not zero")
    return tuple(members)


class _Cursor:
    def __init__(self, view: memoryview) -> None:
        self._view = view
        self.position = 0

    def word(self) -> int:
        return int.from_bytes(self.take(_WORD, _WORD), "big")

    def take(self, length: int, limit: int) -> memoryview:
        end = self.position + length
        if length > limit or end > len(self._view):
            raise ResultError("the result's plaintext is cut short or malformed")
        piece = self._view[self.position : end]
        self.position = end
        return piece

    def rest(self) -> memoryview:
        return self._view[self.position :]


def _header(data: memoryview) -> tuple[str, str]:
    try:
        header = strictjson.loads(bytes(data), MAX_HEADER_BYTES)
    except JsonError:
        raise ResultError("the header of a member is not strict JSON") from None
    match header:
        # A name can become a file's name: nothing but small letters, digits, dot, dash and underscore.
        case {"name": str() as name, "media_type": str() as kind, **rest} if not rest and _NAME.fullmatch(name):
            return name, kind
        case _:
            raise ResultError("the header of a member is not exactly a plain name and a media_type")
