"""An order -> one worker process's report: the service's side of the warm fork server."""

import logging
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from io import FileIO

import anyio
from pydantic import ValidationError

from agent.core.limits import Limits
from agent.core.order import Order
from agent.core.ports import Ended, Finding
from agent.sandbox import announced, channel
from agent.sandbox.answer import MAX_BYTES, Answer, decode
from agent.sandbox.messages import Done, Request
from agent.service.workerserver import COMMAND, ServerError, WorkerServer

_GRACE_SECONDS = 10.0
_CANCEL_SECONDS = 2.0
_CANCEL_ATTEMPTS = 2
_ERRAND_CPU_SECONDS = 10
_ERRAND_MEMORY_MB = 256
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
_SAID_BYTES = MAX_BYTES + announced.MAX_BYTES
_Lent = tuple[int, int | None]
"""Descriptors of this process that a worker gets copies of: the file for sealed parts, the sandbox's channel."""

_log = logging.getLogger(__name__)


class ProcessLauncher:
    """`agent.core.ports.Launcher` over one warm server, which is started again when it has died."""

    def __init__(self, command: Sequence[str] = COMMAND) -> None:
        """Args: `command` starts a server; channel and parent are added to it."""
        self._command = command
        self._server: WorkerServer | None = None
        self._starting = anyio.Lock()
        self._under_way: dict[anyio.CancelScope, anyio.Event] = {}

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
        """End all jobs, here and at their sources, and the server. Bounded: what does not end in time is killed."""
        for scope in tuple(self._under_way):
            scope.cancel()
        with anyio.move_on_after(_GRACE_SECONDS, shield=True):
            for ended in tuple(self._under_way.values()):
                await ended.wait()
        async with self._starting:
            server, self._server = self._server, None
            if server is not None:
                await server.aclose()

    async def work(self, order: Order, limits: Limits, parts: int, sandbox: int | None = None) -> Ended:
        """Run one job. On return, and when cancelled, no process of it is left and nobody writes to `parts` any more.

        What a sandbox runs for it ends with it: the sandbox server sees at once that nobody reads its pipes any more.

        Nor does a statement of it run on at its source, as far as that can be reached. `limits` are in force from now
        on: wall time by the monotonic clock, CPU time, memory.
        """
        said = bytearray()
        with anyio.CancelScope() as scope, self._tracked(scope):
            try:
                done = await self._worked(order, limits, (parts, sandbox), said)
            finally:
                handles, answer = announced.split(bytes(said))
                if handles:
                    await self._end_elsewhere(order, handles)
            return _verdict(done, answer)
        return Ended("job.cancelled", None)

    async def examine(self, order: Order, seconds: float) -> tuple[Finding, ...] | str:
        """What the source of `order` says of itself, asked in a worker; else the code of why nobody could ask."""
        with anyio.CancelScope() as scope, self._tracked(scope):
            return await self._errand(replace(order, errand="examine"), seconds)
        return "job.cancelled"

    @contextmanager
    def _tracked(self, scope: anyio.CancelScope) -> Iterator[None]:
        """So that the end of everything can end this too, and wait for it."""
        self._under_way[scope] = ended = anyio.Event()
        try:
            yield
        finally:
            del self._under_way[scope]
            ended.set()

    async def _end_elsewhere(self, order: Order, handles: tuple[str, ...]) -> None:
        """End what a worker left running at its source: it was killed, or did not take its announcement back."""
        named = {handle.partition(":")[0] for handle in handles}
        order = replace(order, sources={name: text for name, text in order.sources.items() if name in named})
        with anyio.CancelScope(shield=True):
            for _ in range(_CANCEL_ATTEMPTS):
                found = await self._errand(replace(order, errand="cancel", handles=handles), _CANCEL_SECONDS)
                if not isinstance(found, str):
                    return
                _log.warning("a statement could not be ended at its source: %s", found)

    async def _errand(self, order: Order, seconds: float) -> tuple[Finding, ...] | str:
        """Run a worker for what is no job: it gets the sources and nothing else of the order."""
        limits = Limits(wall_seconds=seconds, cpu_seconds=_ERRAND_CPU_SECONDS, memory_mb=_ERRAND_MEMORY_MB, bytes=1024)
        bare = replace(order, envelope=b"", trust="", policy="", token_key=None, catalogs={}, limits=limits)
        bare = replace(bare, token_previous=None)
        said = bytearray()
        nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        try:
            with anyio.move_on_after(seconds + _GRACE_SECONDS):
                answer = _answer(await self._worked(bare, limits, (nowhere, None), said), bytes(said))
                if isinstance(answer, str):
                    return answer
                return answer.findings if answer.findings is not None else answer.failed or "worker.crashed"
            return "limit.wall"
        finally:
            os.close(nowhere)

    async def _worked(self, order: Order, limits: Limits, lent: "_Lent", said: bytearray) -> Done | None:
        """How one worker ended; None when nobody knows. `said` is what came through its answer pipe, in any case."""
        with ExitStack() as stack:
            try:
                job = await self._send(stack, limits, lent)
            except (ServerError, OSError) as error:
                _log.error("the worker server does not run: %s", error)
                return None
            try:
                return await self._run(job, order, limits, said)
            finally:
                _drain(job.report, said)

    async def _ready(self) -> WorkerServer:
        async with self._starting:
            if self._server is not None and self._server.dead():
                _log.error("the worker server ended with status %s; starting another", self._server.status)
                self._server.kill()
                self._server = None
            if self._server is None:
                self._server = await WorkerServer.start(self._command)
            return self._server

    async def _send(self, stack: ExitStack, limits: Limits, lent: "_Lent") -> "_Job":
        server = await self._ready()
        try:
            return await _Job.open(stack, server, limits, lent)
        except OSError:  # it died since it was last looked at
            server.kill()
            return await _Job.open(stack, await self._ready(), limits, lent)

    async def _run(self, job: "_Job", order: Order, limits: Limits, said: bytearray) -> Done | None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_feed, job.order, order.encode())
            tasks.start_soon(_collect, job.report, said, collected := anyio.Event())
            done = await self._done(job, limits.wall_seconds + _GRACE_SECONDS)
            if done is not None:
                # All writers are dead: what they wrote lies in the pipe, and its end follows.
                with anyio.move_on_after(_GRACE_SECONDS):
                    await collected.wait()
            tasks.cancel_scope.cancel()
        return done

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
    async def open(cls, stack: ExitStack, server: WorkerServer, limits: Limits, lent: "_Lent") -> "_Job":
        """Have the server fork. `stack` closes this side's ends. Raises OSError."""
        parts, sandbox = lent
        request = Request(
            sandbox=sandbox is not None,
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
            theirs_too = () if sandbox is None else (sandbox,)
            await server.send(request, (order.fileno(), parts, report.fileno(), its.fileno(), *theirs_too))
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
    while True:
        await anyio.wait_readable(pipe)
        data = pipe.read(_CHUNK_BYTES)
        if not data:
            break
        into += data
        if len(into) > _SAID_BYTES:
            pipe.close()  # on a worker that says too much
            break
    collected.set()


def _drain(pipe: FileIO, into: bytearray) -> None:
    """What still lies in the pipe of a worker that has ended: nobody may have read its last words."""
    with suppress(OSError, ValueError):  # closed
        while len(into) <= _SAID_BYTES and (data := pipe.read(_CHUNK_BYTES)):
            into += data


def _verdict(done: Done | None, data: bytes) -> Ended:
    answer = _answer(done, data)
    if isinstance(answer, str):
        return Ended(answer, None)
    if answer.report is not None:
        return Ended("ok", answer.report)
    return Ended(answer.failed or "worker.crashed", None)


def _answer(done: Done | None, data: bytes) -> Answer | str:
    """What a worker said that ended by itself; else the code of how it ended."""
    if done is None:
        return "worker.crashed"
    if done.cause in _CODES:
        return _CODES[done.cause]
    if (done.cause, done.status) != ("exit", 0):
        _log.error("a worker ended by %s %d", done.cause, done.status)
        return "worker.crashed"
    try:
        answer = decode(data)
    except ValueError as error:
        _log.error("a worker's answer was refused: %s", error)
        return "worker.crashed"
    for line in answer.log:
        _log.warning("worker: %s", line)
    return answer
