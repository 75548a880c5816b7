"""Pumps all pipes of a running program at once, so that neither side ever waits for the other in vain."""

import os
import select
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from pydantic import ValidationError

from agent.core.problem import ProgramError
from agent.sandbox.exchange import answer as frames
from agent.sandbox.exchange import printed
from agent.sandbox.exchange.pieces import pieces
from agent.sandbox.exchange.types import Answer, Caps, Input, Pipe, Printed, Program, Running
from agent.sandbox.messages import Done

_CHUNK: Final = 1 << 18
_DONE_BYTES: Final = 4096
_MANY: Final = 512
"""Pieces in one call; the kernel takes 1024."""
_NONE: Final = -1

Take = Callable[[bytes], None]


def converse(
    running: Running, program: Program, inputs: Mapping[str, Input], caps: Caps
) -> tuple[Answer | None, Printed, Done | None]:
    """Send the program and its inputs, and take everything that comes until no process of the job is left.

    The answer is None when no whole one came; one that came and is not allowed is an `Answer` with a code that says so.
    `Done` None: the server went away. Waits as long as the server lets the job run. Closes `running.input` when all is
    sent, or nobody reads any more. Raises what the batches of `inputs` raise.
    """
    result = _Result(frames.total_bytes(program))
    stdout, stderr, end = _Kept(caps.stdout_bytes), _Kept(caps.stderr_bytes), _Kept(_DONE_BYTES)
    takers: dict[int, Take] = {
        running.result.fileno(): result.take,
        running.stdout.fileno(): stdout.take,
        running.stderr.fileno(): stderr.take,
        running.end.fileno(): end.take,
    }
    _pump(running.input, pieces(program, inputs), takers, running.end.fileno())
    told = Printed(
        printed.text(bytes(stdout.data), cut=stdout.cut),
        printed.text(bytes(stderr.data), cut=stderr.cut),
        stdout.cut,
        stderr.cut,
    )
    return result.answer(program), told, _done(end)


def _done(end: "_Kept") -> Done | None:
    try:
        return Done.model_validate_json(bytes(end.data))
    except ValidationError:
        return None


class _Kept:
    """Keeps the first bytes up to a cap, and remembers that there were more."""

    def __init__(self, most: int) -> None:
        self.data = bytearray()
        self.cut = False
        self._most = most

    def take(self, data: bytes) -> None:
        room = self._most - len(self.data)
        self.data += data[:room]
        self.cut = self.cut or len(data) > room


class _Result:
    """The answer's frame: its length first, and nothing is kept of one that is too long."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._data = bytearray()
        self._refused = ""

    def take(self, data: bytes) -> None:
        if self._refused:
            return
        self._data += data
        size = frames.TOTAL.size
        if len(self._data) < size:
            return
        (length,) = frames.TOTAL.unpack_from(self._data)
        if length > self._most:
            self._refused = "it is longer than an answer may be"
        elif len(self._data) > size + length:
            self._refused = "something follows it"
        if self._refused:
            self._data = bytearray()

    def answer(self, program: Program) -> Answer | None:
        if self._refused:
            return _refused(self._refused)
        size = frames.TOTAL.size
        if len(self._data) < size or len(self._data) != size + frames.TOTAL.unpack_from(self._data)[0]:
            return None
        try:
            return frames.decode(memoryview(self._data)[size:], program)
        except frames.AnswerError as error:
            return _refused(str(error))


def _refused(why: str) -> Answer:
    """The program's process is not to be believed in anything: a whole child does not write such an answer."""
    return Answer(code="sandbox.crashed", error=ProgramError("", f"The answer was refused: {why}.", None))


class _Sender:
    """Writes as much as the pipe takes, and asks for more only when that is gone."""

    def __init__(self, fd: int, source: Iterator[bytes]) -> None:
        self._fd = fd
        self._source = source
        self._waiting: deque[memoryview] = deque()

    def send(self) -> bool:
        """Write once. False: all is sent, or nobody reads any more. Raises what the source raises."""
        if not self._waiting and not self._fill():
            return False
        try:
            sent = os.writev(self._fd, self._waiting)
        except BlockingIOError:
            return True
        except OSError:
            return False
        while sent:
            head = self._waiting.popleft()
            if sent < len(head):
                self._waiting.appendleft(head[sent:])
                break
            sent -= len(head)
        return True

    def _fill(self) -> bool:
        total = 0
        for piece in self._source:
            if piece:
                self._waiting.append(memoryview(piece))
                total += len(piece)
            if total >= _CHUNK or len(self._waiting) >= _MANY:
                break
        return bool(self._waiting)


def _pump(writing: Pipe, source: Iterator[bytes], takers: dict[int, Take], last: int) -> None:
    """Until `last` is at its end. What is still in the other pipes is taken then; nobody is left to write more."""
    sender, to = _Sender(writing.fileno(), source), writing.fileno()
    poll = select.poll()
    for fd in (to, *takers):
        os.set_blocking(fd, False)
        poll.register(fd, select.POLLOUT if fd == to else select.POLLIN)
    try:
        while last in takers:
            for fd, _ in poll.poll():
                if fd == to:
                    if not sender.send():
                        poll.unregister(to)
                        writing.close()
                        to = _NONE
                elif fd in takers and not _take(fd, takers[fd]):
                    poll.unregister(fd)
                    del takers[fd]
    finally:
        if to != _NONE:
            writing.close()
    for fd, take in takers.items():
        while (data := _read(fd)) is not None and data:
            take(data)


def _take(fd: int, take: Take) -> bool:
    """False at the end of the stream."""
    data = _read(fd)
    if data:
        take(data)
    return data is None or bool(data)


def _read(fd: int) -> bytes | None:
    """What is there: nothing at the end, None when nothing has come yet."""
    try:
        return os.read(fd, _CHUNK)
    except BlockingIOError:
        return None
    except OSError:
        return b""
