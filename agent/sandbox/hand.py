"""A worker's side of the sandbox: it asks for one child, and gets the ends of its pipes.

Only pipes are made here: the worker's own seccomp filter lets it open no socket.
"""

import os
import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import FileIO

from agent.sandbox import channel
from agent.sandbox.messages import SandboxRequest


@dataclass(frozen=True, slots=True)
class Running:
    """The worker's ends. `end` brings one `Done` as a line of JSON, or nothing when the server is gone."""

    input: FileIO
    result: FileIO
    stdout: FileIO
    stderr: FileIO
    end: FileIO


@contextmanager
def ask(channel_fd: int, request: SandboxRequest) -> Iterator[Running]:
    """Ask for a child by the inherited channel, which stays open. Leaving the context ends the child, if it still runs.

    Blocks while the server has as many jobs as it takes. Raises OSError when there is no server.
    """
    with ExitStack() as mine, ExitStack() as its:
        fds = [_pipe(mine, its, to_child=True), *(_pipe(mine, its, to_child=False) for _ in range(4))]
        _send(channel_fd, request, [theirs for _, theirs in fds])
        its.close()
        yield Running(*(file for file, _ in fds))


def _pipe(mine: ExitStack, its: ExitStack, *, to_child: bool) -> tuple[FileIO, int]:
    reading, writing = os.pipe2(os.O_CLOEXEC)
    kept, given = (writing, reading) if to_child else (reading, writing)
    its.callback(os.close, given)
    return mine.enter_context(FileIO(kept, "wb" if to_child else "rb")), given


def _send(channel_fd: int, request: SandboxRequest, descriptors: list[int]) -> None:
    line = socket.socket(fileno=channel_fd)
    try:
        while True:
            try:
                return channel.send(line, request.model_dump(), descriptors)
            except BlockingIOError:
                select.select([], [channel_fd], [])
    finally:
        line.detach()
