"""One entry of a folder that strangers write to -> its bytes, or why it is refused. Never waits, never follows."""

import errno
import os
import re
import stat
from typing import Final

from agent.core.codes import CODES
from agent.core.ports import Rejection
from agent.wire.signing import MAX_ENVELOPE_BYTES

_CHUNK_BYTES = 256 * 1024
# Compact JWS with an Ed25519 signature (64 bytes): no prefix of one has this form.
_WHOLE = re.compile(rb"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{86}")


def rejection(code: str) -> Rejection:
    """The rejection of `code`, in the words of `agent.core.codes`."""
    return Rejection(code, CODES[code].meaning, CODES[code].remedy)


KIND: Final = rejection("file.kind")
FOREIGN: Final = rejection("file.foreign")
UNREADABLE: Final = rejection("file.unreadable")
TOO_LARGE: Final = rejection("envelope.too_large")

# What `open` answers to a link, a socket, a device without a driver, a file that its owner holds a lease on.
_REFUSED_OPENS = {
    errno.ELOOP: KIND,
    errno.ENXIO: KIND,
    errno.ENODEV: KIND,
    errno.EACCES: UNREADABLE,
    errno.EPERM: UNREADABLE,
    errno.EAGAIN: UNREADABLE,
}


def is_whole(data: bytes) -> bool:
    """Whether `data` has the form of a finished envelope."""
    return _WHOLE.fullmatch(data) is not None


def read_once(name: str, folder: int) -> bytes | Rejection | None:
    """All bytes of a regular file with one link and at most 1.5 MiB; None when no such entry is left.

    Size and kind are those of the opened file. Raises OSError when the machine cannot read (EIO, EMFILE, ...).
    """
    # Links, pipes and devices are told apart before anything is opened: opening a device can have effects.
    try:
        if not stat.S_ISREG(os.lstat(name, dir_fd=folder).st_mode):
            return KIND
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        descriptor = os.open(name, flags, dir_fd=folder)
    except FileNotFoundError:
        return None
    except OSError as error:
        refused = _REFUSED_OPENS.get(error.errno or 0)
        if refused is None:
            raise
        return refused
    try:
        return _read(descriptor)
    finally:
        os.close(descriptor)


def _read(descriptor: int) -> bytes | Rejection:
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        return KIND
    if found.st_size > MAX_ENVELOPE_BYTES:
        return TOO_LARGE
    data = bytearray()
    while chunk := os.read(descriptor, _CHUNK_BYTES):
        data += chunk
        if len(data) > MAX_ENVELOPE_BYTES:  # it grew after the look at its size
            return TOO_LARGE
    return bytes(data)
