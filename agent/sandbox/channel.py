"""Messages with file descriptors between processes of the agent, over an inherited SEQPACKET socketpair."""

import array
import json
import os
import socket
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress

_MESSAGE_BYTES = 65_536
_MAX_DESCRIPTORS = 16


class ChannelError(Exception):
    """The other side sent what is no message."""


def pair() -> tuple[socket.socket, socket.socket]:
    """A new channel. Each message is one packet: it arrives whole or not at all."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(channel: socket.socket, message: Mapping[str, object], descriptors: Sequence[int] = ()) -> None:
    """Send one message; the receiver gets its own copies of `descriptors`. Raises OSError, BlockingIOError included."""
    data = json.dumps(message).encode()
    if descriptors:
        socket.send_fds(channel, [data], list(descriptors))
    else:
        channel.send(data)


def receive(
    channel: socket.socket, descriptors: int | Collection[int] = 0
) -> tuple[dict[str, object], list[int]] | None:
    """The next message and exactly as many file descriptors, None when the other side has closed.

    `descriptors` may be several numbers: the sender chooses one of them.

    Raises ChannelError on anything else (every received descriptor is closed then), OSError, BlockingIOError included.
    """
    space = socket.CMSG_SPACE(_MAX_DESCRIPTORS * array.array("i").itemsize)
    data, ancillary, flags, _ = channel.recvmsg(_MESSAGE_BYTES, space, socket.MSG_CMSG_CLOEXEC)
    received = _descriptors(ancillary)
    if not data and not received:
        return None
    message = None
    with suppress(ValueError):
        message = json.loads(data)
    allowed = (descriptors,) if isinstance(descriptors, int) else descriptors
    whole = not flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC) and len(received) in allowed
    if not whole or not isinstance(message, dict):
        for fd in received:
            os.close(fd)
        raise ChannelError("not a whole JSON object, or not with the expected number of descriptors")
    return message, received


def _descriptors(ancillary: Sequence[tuple[int, int, bytes]]) -> list[int]:
    found = array.array("i")
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            found.frombytes(data[: len(data) - len(data) % found.itemsize])
    return found.tolist()
