"""A job's process from its fork to the program: jail it, say that it holds, run."""

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from agent.sandbox import channel, jail, process
from agent.sandbox.jail import Cell, Limits

JAILED = b"1"
"""What a child writes once it is in its jail; anything else, or nothing, means that no code ran."""
_MAX_REASON = 300

Run = Callable[[int, int], object]
"""`run(input, result)`: the untrusted program's life, with the descriptors of its pipes."""


@dataclass(frozen=True, slots=True)
class Pipes:
    """A job's descriptors, in the order in which they become the child's 0 to 3."""

    input: int
    stdout: int
    stderr: int
    result: int

    def all(self) -> tuple[int, int, int, int]:
        """In that order."""
        return self.input, self.stdout, self.stderr, self.result


class _Handed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    cpu_seconds: int
    memory_bytes: int


def serve(cell: Cell, pipes: Pipes, limits: Limits, say: int, run: Run) -> None:
    """Do one job. `say` is where it is said that the jail holds."""
    try:
        mapped = jail.shut(cell, {*pipes.all(), say})
        jail.lock(cell, pipes.all(), limits, mapped, say)
    except BaseException as error:  # noqa: BLE001 - whatever it was, nothing runs
        _refuse(say, error)
    _run(say, run)


def stand_by(cell: Cell, line: socket.socket, say: int, run: Run) -> None:
    """Be jailed ahead of a job, wait for one on `line`, and do it. Ends when the server is gone."""
    try:
        mapped = jail.shut(cell, {line.fileno(), say})
        received = channel.receive(line, len(Pipes.__slots__))
        if received is None:
            os._exit(0)
        handed, descriptors = _Handed.model_validate(received[0]), received[1]
        limits = Limits(cpu_seconds=handed.cpu_seconds, memory_bytes=handed.memory_bytes)
        jail.lock(cell, descriptors, limits, mapped, say)
    except BaseException as error:  # noqa: BLE001 - whatever it was, nothing runs
        _refuse(say, error)
    _run(say, run)


def hand_over(line: socket.socket, pipes: Pipes, limits: Limits) -> None:
    """Give a job to the process that stands by at the other end. Raises OSError."""
    handed = _Handed(cpu_seconds=limits.cpu_seconds, memory_bytes=limits.memory_bytes)
    channel.send(line, handed.model_dump(), pipes.all())


def _run(say: int, run: Run) -> None:
    os.write(say, JAILED)
    os.close(say)
    run(0, 3)


def _refuse(say: int, error: BaseException) -> None:
    with suppress(OSError):
        os.write(say, process.describe(error).encode()[:_MAX_REASON])
    os._exit(70)
