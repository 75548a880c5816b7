"""State folder -> the status of the agent that runs on it. Standard library only: `agent status` has 200 ms."""

import array
import contextlib
import fcntl
import json
import os
import select
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.core.errors import AgentError

SOCKET_FILE = "status.sock"
STATUS_FILE = "status.json"
REQUEST = b"status 1"
MAX_STATUS_BYTES = 1_048_576

_SUN_PATH_BYTES = 107
_ORDERS = "this account may look at the agent, not give it orders. Fix: run as the agent's account, or as root."


class NotRunningError(AgentError):
    """No agent answers on the state folder."""


class NotAllowedError(AgentError):
    """The agent does not answer this account."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A status. `live` when the agent itself answered, else read from status.json, `age_seconds` old."""

    status: Mapping[str, Any]
    live: bool
    age_seconds: float


@contextmanager
def address(folder: Path) -> Iterator[str]:
    """A path of the status socket that fits into sockaddr_un, however long the folder's own path is."""
    path = str(folder / SOCKET_FILE)
    if len(os.fsencode(path)) <= _SUN_PATH_BYTES:
        yield path
        return
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{SOCKET_FILE}"
    finally:
        os.close(descriptor)


def ask(folder: Path, *, timeout_seconds: float = 2.0, request: bytes = REQUEST) -> dict[str, Any]:
    """The running agent's answer; to another request than the one for its status, `{"done": …}`.

    Raises NotRunningError when nobody answers in time, NotAllowedError when this account may not ask.
    """
    reading, writing = os.pipe2(os.O_CLOEXEC)
    with contextlib.suppress(OSError):  # the agent writes without waiting: what does not fit would be cut
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, MAX_STATUS_BYTES)
    with open(reading, "rb", buffering=0) as answer:  # noqa: PTH123 - a descriptor
        try:
            _send(folder, writing, timeout_seconds, request)
        finally:
            os.close(writing)
        document = _document(_drain(answer.fileno(), time.monotonic() + timeout_seconds))
    if document.get("error") == "not_allowed":
        raise NotAllowedError(_not_allowed(folder) if request == REQUEST else _ORDERS)
    if document.get("error") == "unknown_request":
        raise NotRunningError("the agent does not know this order: it is of another version. Fix: restart it.")
    if "error" in document:
        raise NotRunningError("the agent cannot tell its status. Fix: look at its log, and report it.")
    return document


def read_file(folder: Path, *, now: float) -> Reading:
    """The last status.json with its age at `now` (Unix seconds). Raises NotRunningError when there is none."""
    path = folder / STATUS_FILE
    try:
        document = _document(path.read_bytes())
        age = now - path.stat().st_mtime
    except PermissionError:
        raise NotAllowedError(_not_allowed(folder)) from None
    except OSError:
        raise NotRunningError(f"no agent has run on {folder}. Fix: start it with `agent run`.") from None
    return Reading(document, live=False, age_seconds=max(0.0, age))


def read(folder: Path, *, now: float, timeout_seconds: float = 2.0) -> Reading:
    """The agent's own answer, else status.json. Raises NotRunningError, NotAllowedError."""
    with contextlib.suppress(NotRunningError):
        return Reading(ask(folder, timeout_seconds=timeout_seconds), live=True, age_seconds=0.0)
    return read_file(folder, now=now)


def _send(folder: Path, pipe: int, timeout_seconds: float, request: bytes) -> None:
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [pipe]))]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as caller:
        caller.settimeout(timeout_seconds)
        try:
            with address(folder) as path:
                caller.sendmsg([request], rights, 0, path)
        except PermissionError:
            raise NotAllowedError(_not_allowed(folder)) from None
        except OSError:
            raise NotRunningError(f"no agent answers on {folder}. Fix: start it with `agent run`.") from None


def _drain(descriptor: int, deadline: float) -> bytes:
    poll, held = select.poll(), bytearray()
    poll.register(descriptor, select.POLLIN)
    while len(held) <= MAX_STATUS_BYTES:
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise NotRunningError("the agent did not answer in time. Fix: look at its log, or restart it.")
        chunk = os.read(descriptor, 65_536)
        if not chunk:
            return bytes(held)
        held += chunk
    raise NotRunningError("the agent's answer is larger than a status can be.")


def _document(data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise NotRunningError("the agent's status cannot be read. Fix: look at its log, or restart it.")
    return document


def _not_allowed(folder: Path) -> str:
    return (
        f"this account may not read the status of the agent on {folder}. "
        "Fix: run as the agent's account, as root, or join the group that owns the folder."
    )
