"""An order -> one worker process's report: the service's side of the warm fork server."""

import logging
import os
import socket
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from io import FileIO

import anyio
from pydantic import ValidationError

from agent.core.limits import Limits
from agent.core.order import Order
from agent.core.ports import Ended
from agent.sandbox import channel
from agent.sandbox.answer import MAX_BYTES, decode
from agent.sandbox.messages import Done, Request
from agent.service.workerserver import COMMAND, ServerError, WorkerServer

_GRACE_SECONDS = 10.0
_CHUNK_BYTES = 1 << 16
# A backstop on the parts file: a format may take more bytes than the Arrow data that limits count.
_FILE_BYTES_PER_BYTE = 8
_FILE_BYTES_AT_LEAST = 64 << 20
_CODES = {
    "limit.wall": "limit.wall",
    "limit.cpu": "limit.cpu",
    "limit.memory": "limit.memory",
    "cancelled": "job.cancelled",
    "unseen": "worker.isolation",
}
_CRASHED = Ended("worker.crashed", None)
_log = logging.getLogger(__name__)


class ProcessLauncher:
    """`agent.core.ports.Launcher` over one warm server, which is started again when it has died."""

    def __init__(self, command: Sequence[str] = COMMAND) -> None:
        """Args: `command` starts a server; channel and parent are added to it."""
        self._command = command
        self._server: WorkerServer | None = None
        self._starting = anyio.Lock()

    @property
    def isolation(self) -> str:
        """What keeps workers apart, as manifests name it; `none` when jobs will be refused or no server runs."""
        abi = 0 if self._server is None else self._server.landlock
        return f"landlock{abi}+seccomp" if abi else "none"

    @property
    def server_pid(self) -> int | None:
        """The warm server's process; its children are the workers."""
        return None if self._server is None else self._server.pid

    async def start(self) -> None:
        """Have a server running and ready; nothing to do when one is. Raises ServerError, saying why not."""
        await self._ready()

    async def aclose(self) -> None:
        """End the server and all jobs. Bounded: what does not end in time is killed."""
        async with self._starting:
            server, self._server = self._server, None
            if server is not None:
                await server.aclose()

    async def work(self, order: Order, limits: Limits, parts: int) -> Ended:
        """Run one job. On return, and when cancelled, no process of it is left and nobody writes to `parts` any more.

        `limits` are in force from now on: wall time by the monotonic clock, CPU time, memory.
        """
        with ExitStack() as stack:
            try:
                job = await self._send(stack, limits, parts)
            except (ServerError, OSError) as error:
                _log.error("the worker server does not run: %s", error)
                return _CRASHED
            return await self._run(job, order, limits)

    async def _ready(self) -> WorkerServer:
        async with self._starting:
            if self._server is not None and self._server.dead():
                _log.error("the worker server ended with status %s; starting another", self._server.status)
                self._server.kill()
                self._server = None
            if self._server is None:
                self._server = await WorkerServer.start(self._command)
            return self._server

    async def _send(self, stack: ExitStack, limits: Limits, parts: int) -> "_Job":
        server = await self._ready()
        try:
            return await _Job.open(stack, server, limits, parts)
        except OSError:  # it died since it was last looked at
            server.kill()
            return await _Job.open(stack, await self._ready(), limits, parts)

    async def _run(self, job: "_Job", order: Order, limits: Limits) -> Ended:
        answer = bytearray()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_feed, job.order, order.encode())
            tasks.start_soon(_collect, job.report, answer, collected := anyio.Event())
            done = await self._done(job, limits.wall_seconds + _GRACE_SECONDS)
            if done is not None:
                # All writers are dead: what they wrote lies in the pipe, and its end follows.
                with anyio.move_on_after(_GRACE_SECONDS):
                    await collected.wait()
            tasks.cancel_scope.cancel()
        return _verdict(done, bytes(answer))

    async def _done(self, job: "_Job", seconds: float) -> Done | None:
        """How the job's processes ended. None when the server died, or did not answer and was killed."""
        try:
            with anyio.move_on_after(seconds):
                return await job.done()
        except anyio.get_cancelled_exc_class():
            job.cancel()
            with anyio.move_on_after(_GRACE_SECONDS, shield=True) as waiting:
                await job.done()
            if waiting.cancelled_caught:
                job.server.kill()
            raise
        job.server.kill()
        return None


@dataclass(slots=True)
class _Job:
    """This side's ends of one job: order pipe, answer pipe, and the line that tells its end."""

    server: WorkerServer
    order: FileIO
    report: FileIO
    line: socket.socket

    @classmethod
    async def open(cls, stack: ExitStack, server: WorkerServer, limits: Limits, parts: int) -> "_Job":
        """Have the server fork. `stack` closes this side's ends. Raises OSError."""
        request = Request(
            wall_seconds=limits.wall_seconds,
            cpu_seconds=limits.cpu_seconds,
            memory_mb=limits.memory_mb,
            file_bytes=int(limits.bytes) * _FILE_BYTES_PER_BYTE + _FILE_BYTES_AT_LEAST,
        )
        with ExitStack() as theirs:
            order, my_order = _pipe()
            theirs.enter_context(order)
            stack.enter_context(my_order)
            my_report, report = _pipe()
            theirs.enter_context(report)
            stack.enter_context(my_report)
            mine, its = channel.pair()
            theirs.enter_context(its)
            stack.enter_context(mine)
            for end in (my_order, my_report, mine):
                os.set_blocking(end.fileno(), False)
            await server.send(request, (order.fileno(), parts, report.fileno(), its.fileno()))
        return cls(server, my_order, my_report, mine)

    def cancel(self) -> None:
        """Ask the server to kill the job; `done` follows."""
        with suppress(OSError):
            self.line.shutdown(socket.SHUT_WR)

    async def done(self) -> Done | None:
        """Wait until no process of the job is left. None when the server is gone."""
        await anyio.wait_readable(self.line)
        try:
            received = channel.receive(self.line)
            return None if received is None else Done.model_validate(received[0])
        except (OSError, channel.ChannelError, ValidationError):
            return None


def _pipe() -> tuple[FileIO, FileIO]:
    reading, writing = os.pipe2(os.O_CLOEXEC)
    return FileIO(reading, "r"), FileIO(writing, "w")


async def _feed(pipe: FileIO, data: bytes) -> None:
    rest = memoryview(data)
    with pipe, suppress(BrokenPipeError):  # a worker that died: its end tells how
        while rest:
            await anyio.wait_writable(pipe)
            rest = rest[pipe.write(rest[:_CHUNK_BYTES]) or 0 :]


async def _collect(pipe: FileIO, into: bytearray, collected: anyio.Event) -> None:
    with pipe:  # closed on a worker that says too much
        while len(into) <= MAX_BYTES:
            await anyio.wait_readable(pipe)
            data = pipe.read(_CHUNK_BYTES)
            if not data:
                break
            into += data
    collected.set()


def _verdict(done: Done | None, data: bytes) -> Ended:
    if done is None:
        return _CRASHED
    if done.cause in _CODES:
        return Ended(_CODES[done.cause], None)
    if (done.cause, done.status) != ("exit", 0):
        _log.error("a worker ended by %s %d", done.cause, done.status)
        return _CRASHED
    try:
        answer = decode(data)
    except ValueError as error:
        _log.error("a worker's answer was refused: %s", error)
        return _CRASHED
    for line in answer.log:
        _log.warning("worker: %s", line)
    return Ended("ok", answer.report) if answer.failed is None else Ended(answer.failed, None)
