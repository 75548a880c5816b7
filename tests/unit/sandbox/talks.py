"""A process behind the five pipes of the exchange, without any jail: what it does is up to the test."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO

from agent.sandbox.exchange import Answer, Caps, Input, Printed, Program, converse
from agent.sandbox.messages import Done

INPUT, STDOUT, STDERR, RESULT = 0, 1, 2, 3
CAPS = Caps(4096, 2048)


@dataclass(frozen=True)
class Ends:
    input: FileIO
    result: FileIO
    stdout: FileIO
    stderr: FileIO
    end: FileIO


@contextmanager
def running(body: Callable[[], object], *, silent: bool = False) -> Iterator[Ends]:
    """`body` runs in a process whose descriptors are 0 to 3; a second one says how it ended, or nothing (`silent`)."""
    pipes = [os.pipe() for _ in range(5)]
    theirs = [pipes[0][0], *(pipe[1] for pipe in pipes[1:])]
    ours = [pipes[0][1], *(pipe[0] for pipe in pipes[1:])]
    keeper = os.fork()
    if keeper == 0:
        try:
            for fd in ours:
                os.close(fd)
            _keep(body, theirs, silent=silent)
        finally:
            os._exit(98)
    for fd in theirs:
        os.close(fd)
    files = [FileIO(fd, "wb" if number == 0 else "rb") for number, fd in enumerate(ours)]
    try:
        yield Ends(*files)
    finally:
        for file in files:
            file.close()
        os.waitpid(keeper, 0)


def _keep(body: Callable[[], object], theirs: list[int], *, silent: bool) -> None:
    child = os.fork()
    if child == 0:
        _live(body, theirs)
    for fd in theirs[:4]:
        os.close(fd)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if not silent:
        os.write(theirs[4], json.dumps({"cause": "exit" if code >= 0 else "signal", "status": abs(code)}).encode())
    os._exit(0)


def _live(body: Callable[[], object], theirs: list[int]) -> None:
    """input, result, stdout, stderr -> 0, 3, 1, 2; by way of high numbers, so that none overwrites another."""
    high = [os.dup2(fd, 100 + number) for number, fd in enumerate(theirs[:4])]
    os.closerange(0, 100)
    for fd, place in zip(high, (INPUT, RESULT, STDOUT, STDERR), strict=True):
        os.dup2(fd, place)
    os.closerange(100, 1000)
    try:
        body()
        os._exit(0)
    finally:
        os._exit(99)


def talk(
    body: Callable[[], object],
    program: Program | None = None,
    inputs: dict[str, Input] | None = None,
    *,
    caps: Caps = CAPS,
    silent: bool = False,
) -> tuple[Answer | None, Printed, Done | None]:
    """One conversation with such a process."""
    with running(body, silent=silent) as ends:
        return converse(ends, program or Program(code="", inputs=tuple(inputs or {})), inputs or {}, caps)
