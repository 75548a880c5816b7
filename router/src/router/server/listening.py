"""The server's sockets: how they are bound, how many connections they take, and what happens to polls at the end."""

import os
import resource
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

import uvicorn
from typing_extensions import override

from router.service.hub import Hub

BACKLOG: Final = 128
_SPARE: Final = 128
"""Descriptors that are never a connection's: the store's files, parts, logs."""
_GROUP_MAY: Final = 0o660
_TICKS_A_SECOND: Final = 10


class Bounded(socket.socket):
    """A listening socket that turns callers away before descriptors run out.

    Without one left, accept fails again and again, at full speed. The system gives the lowest free number, so that a
    high one tells that the others are taken.
    """

    most: int = 1024

    @override
    def accept(self) -> "tuple[socket.socket, object]":
        connection, address = super().accept()
        if connection.fileno() >= self.most:
            connection.close()
            raise BlockingIOError
        return connection, address


def bound(host: str, port: int) -> Bounded:
    """A TCP socket. Raises OSError."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    made = Bounded(family, kind, protocol)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
    except OSError:
        made.close()
        raise
    return _ready(made)


def bound_path(path: Path) -> Bounded:
    """A unix socket for a proxy: owner and group may speak, and are believed. Raises OSError."""
    if path.exists() and stat.S_ISSOCK(path.lstat().st_mode):
        path.unlink()
    made = Bounded(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o117)
    try:
        made.bind(str(path))
    except OSError:
        made.close()
        raise
    finally:
        os.umask(before)
    path.chmod(_GROUP_MAY)
    return _ready(made)


def _ready(made: Bounded) -> Bounded:
    made.setblocking(False)
    made.most = descriptors() - _SPARE
    return made


def descriptors() -> int:
    """How many descriptors this process may have; the soft limit is raised to the hard one first."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 1_048_576 if hard == resource.RLIM_INFINITY else hard
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return soft


def most_of_one(wanted: int) -> int:
    """How many connections one caller may have: as many as are wanted, and half of all at most."""
    return max(1, min(wanted, (descriptors() - _SPARE) // 2))


class RouterServer(uvicorn.Server):
    """uvicorn over bounded sockets. At its end every poll that waits is answered at once."""

    def __init__(
        self, config: uvicorn.Config, hub: Hub, place: "tuple[str, int] | Path", look: Callable[[], None]
    ) -> None:
        """Args: `place` is a host and port, or the path of a unix socket; `look` is called once a second."""
        super().__init__(config)
        self._hub, self._place, self._look = hub, place, look

    @override
    async def on_tick(self, counter: int) -> bool:
        if counter % _TICKS_A_SECOND == 0:
            self._look()
        return await super().on_tick(counter)

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if sockets is None:
            place = self._place
            sockets = [bound_path(place) if isinstance(place, Path) else bound(*place)]
        await super().startup(sockets)

    @override
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._hub.close_doors()
        await super().shutdown(sockets)
