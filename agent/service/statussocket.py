"""Status and orders by datagram: the caller passes a pipe, the kernel says who calls, the answer goes down the pipe.

Nothing calls listen().
The far end of the pipe may be anybody's: it is made non-blocking and what does not fit at once is not written.
"""

import array
import contextlib
import fcntl
import grp
import json
import logging
import os
import pwd
import socket
import stat
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
from anyio.abc import TaskStatus

from agent.core import defect
from agent.service import health
from agent.service.board import Board
from agent.service.statusclient import REQUEST, SOCKET_FILE, address

SOCKET_MODE = 0o660
MAX_REQUEST_BYTES = 64
_MAX_PASSED = 8
_UCRED = struct.Struct("iII")
_ROOM = socket.CMSG_SPACE(_UCRED.size) + socket.CMSG_SPACE(_MAX_PASSED * array.array("i").itemsize)
_RETRY_SECONDS = 30.0
_LOGGER = logging.getLogger(__name__)

Ancillary = Sequence[tuple[int, int, bytes]]
Obey = Callable[[bytes, int], bytes | None]
"""(an order, who gave it) -> the answer; None for what is no order."""


def _deaf(_: bytes, __: int) -> None:
    """Where no orders are taken."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asked, as the kernel says (SCM_CREDENTIALS)."""

    pid: int
    uid: int
    gid: int


def may_ask(caller: Caller, *, owner: int, group: int) -> bool:
    """Root, the agent's own account, and members of the group that owns the socket."""
    if caller.uid in {0, owner} or caller.gid == group:
        return True
    try:
        return pwd.getpwuid(caller.uid).pw_name in grp.getgrgid(group).gr_mem
    except KeyError:
        return False


def may_order(caller: Caller, *, owner: int) -> bool:
    """Root and the agent's own account: the group may look on, no more."""
    return caller.uid in {0, owner}


async def serve(
    folder: Path,
    answer: Callable[[], bytes],
    board: Board,
    *,
    obey: Obey = _deaf,
    task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Answer on `folder`/status.sock until cancelled. A socket that cannot be made is a finding and is tried again."""
    while True:
        try:
            with _bound(folder) as (sock, group):
                board.find("socket", None)
                board.say("status", "answering")
                _announce(task_status)
                while True:
                    await anyio.wait_readable(sock)
                    answer_one(sock, answer, group=group, obey=obey)
        except OSError as error:
            board.find("socket", health.socket_down(error.strerror or type(error).__name__))
            board.say("status", "cannot answer, trying again")
            _announce(task_status)
        await anyio.sleep(_RETRY_SECONDS)


def _announce(task_status: TaskStatus[None]) -> None:
    with contextlib.suppress(RuntimeError):  # said before: the socket came back
        task_status.started()


@contextmanager
def _bound(folder: Path) -> Iterator[tuple[socket.socket, int]]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock, address(folder) as path:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        _remove_stale(Path(path))
        os.fchmod(sock.fileno(), SOCKET_MODE)
        sock.bind(path)
        os.chmod(path, SOCKET_MODE)  # noqa: PTH101 - the umask may have taken the group's bits
        try:
            yield sock, os.lstat(path).st_gid
        finally:
            with contextlib.suppress(OSError):
                os.unlink(path)  # noqa: PTH108 - as above: a path under /proc/self/fd


def _remove_stale(path: Path) -> None:
    """Remove what a killed run left. The state folder's lock is held, so the socket is nobody's."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(17, f"{SOCKET_FILE} is not a socket")
    path.unlink()


def answer_one(sock: socket.socket, answer: Callable[[], bytes], *, group: int, obey: Obey = _deaf) -> None:
    """Take one datagram and answer it. Never raises on what the caller did, never blocks, leaves no descriptor open."""
    try:
        request, ancillary, _, _ = sock.recvmsg(
            MAX_REQUEST_BYTES + 1, _ROOM, socket.MSG_CMSG_CLOEXEC | socket.MSG_DONTWAIT
        )
    except BlockingIOError:
        return
    passed, caller = _unpack(ancillary)
    try:
        if len(passed) == 1 and _is_pipe(passed[0]):
            _write(passed[0], _reply(request, caller, answer, group, obey))
    finally:
        for descriptor in passed:
            with contextlib.suppress(OSError):
                os.close(descriptor)


def _reply(request: bytes, caller: Caller | None, answer: Callable[[], bytes], group: int, obey: Obey) -> bytes:
    if caller is None or not may_ask(caller, owner=os.geteuid(), group=group):
        return _error("not_allowed")
    try:
        if request == REQUEST:
            return answer()
        if not may_order(caller, owner=os.geteuid()):
            return _error("not_allowed")
        return obey(request, caller.uid) or _error("unknown_request")
    except Exception as error:  # noqa: BLE001 - a status that cannot be made must not end the service
        defect.report(_LOGGER, "status", error)
        return _error("internal")


def _error(name: str) -> bytes:
    return json.dumps({"error": name}).encode()


def _unpack(ancillary: Ancillary) -> tuple[list[int], Caller | None]:
    passed, caller = array.array("i"), None
    for level, kind, data in ancillary:
        if level != socket.SOL_SOCKET:
            continue
        if kind == socket.SCM_RIGHTS:
            passed.frombytes(data[: len(data) - len(data) % passed.itemsize])
        elif kind == socket.SCM_CREDENTIALS and len(data) >= _UCRED.size:
            caller = Caller(*_UCRED.unpack(data[: _UCRED.size]))
    return list(passed), caller


def _is_pipe(descriptor: int) -> bool:
    return stat.S_ISFIFO(os.fstat(descriptor).st_mode)


def _write(pipe: int, data: bytes) -> None:
    try:
        fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | os.O_NONBLOCK)
        view = memoryview(data)
        while view:
            view = view[os.write(pipe, view) :]
    except OSError:  # full, closed, or opened for reading: the caller's loss
        return
