"""What a worker announces through its answer pipe before its answer: how others can end what it has begun elsewhere.

Each announcement is a mark, a length as one byte, and the handle in ASCII; an empty one takes all before it back. An
answer begins with a length below 2^24, so that its first byte is never the mark.
"""

import os
from typing import Final

MAX_BYTES: Final = 1 << 14
"""How much a worker may announce."""

_MARK: Final = 0xA7
_HEAD: Final = 2
_MAX_HANDLE: Final = 200


def announce(pipe: int, handle: str) -> None:
    """Write one announcement, at once and whole. Raises OSError, and ValueError for what is no handle."""
    text = handle.encode("ascii")
    if len(text) > _MAX_HANDLE or not handle.isprintable():
        raise ValueError("a handle is at most 200 printable characters")
    os.write(pipe, bytes((_MARK, len(text))) + text)  # a write this short to a pipe is not split


def split(data: bytes) -> tuple[tuple[str, ...], bytes]:
    """The handles that still stand, and the answer behind all announcements.

    One that is cut short or not printable ends the reading: it is no answer, and `decode` will say so.
    """
    standing: list[str] = []
    at = 0
    while at < min(len(data), MAX_BYTES) and data[at] == _MARK:
        end = at + _HEAD + (data[at + 1] if len(data) > at + 1 else _MAX_HANDLE)
        text = data[at + _HEAD : end]
        if end > len(data) or len(text) > _MAX_HANDLE or not text.isascii() or not text.decode().isprintable():
            break
        standing = [*standing, text.decode()] if text else []
        at = end
    return tuple(standing), data[at:]
