"""The warm fork server: `python -m agent.worker.server --channel FD --parent PID`.

It has the trusted libraries imported and holds no data: orders go past it, through pipes that only the job's own
process reads. Each request on the channel is one message (`messages.Request`) with four descriptors: the order pipe's
read end, the file for sealed parts, the answer pipe's write end, and the job's line, a socket that tells the end of the
job one way and, by being closed, asks for it the other way. Only a job that needs the sandbox gets a fifth one: the
channel to the sandbox server, which this process and the workers of other jobs never hold.
"""

import argparse
import gc
import importlib
import math
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import cast

from agent.sandbox import channel, landlock, places, process
from agent.sandbox.messages import DESCRIPTORS, Done, Ready, Request
from agent.sandbox.supervisor import Bounds, Child, End, Supervisor
from agent.worker import child, jail

_MIB = 1 << 20


class Server:
    """Serves one channel until its other side closes or SIGTERM comes. `version`: the newest Landlock ABI to use."""

    def __init__(
        self, service: socket.socket, pipeline: child.Pipeline, version: int, *, reserve: bool = False
    ) -> None:
        """Args: `reserve` keeps one process forked ahead of the next job, while at most one job runs."""
        self._reserve = reserve
        self._standby: socket.socket | None = None
        self._service = service
        self._pipeline = pipeline
        self._version = version
        self._selector = selectors.DefaultSelector()
        self._supervisor = Supervisor(self._selector)
        self._open = True
        self._selector.register(service, selectors.EVENT_READ, self._take)
        self._stop_on(signal.SIGTERM)

    def run(self) -> None:
        """Fork and supervise jobs. On return no process of any job is left."""
        try:
            self._stand_by()
            while self._open:
                for key, _ in self._selector.select(self._supervisor.look()):
                    key.data()
        finally:
            self._supervisor.close()

    def _stop_on(self, number: signal.Signals) -> None:
        woken, waker = socket.socketpair()
        waker.setblocking(False)
        signal.set_wakeup_fd(waker.detach())
        signal.signal(number, lambda *_: None)
        self._selector.register(woken, selectors.EVENT_READ, self._stop)

    def _stop(self) -> None:
        self._open = False

    def _take(self) -> None:
        received = channel.receive(self._service, (DESCRIPTORS, DESCRIPTORS + 1))
        if received is None:
            self._stop()
            return
        message, (order, parts, report, line, *sandbox) = received
        pipes = _pipes(request := Request.model_validate(message), (order, parts, report, *sandbox))
        self._start(request, pipes, _Line(self._selector, line))
        for fd in pipes.all():
            os.close(fd)
        self._stand_by()

    def _start(self, request: Request, pipes: child.Pipes, line: "_Line") -> None:
        resources = _resources(request)
        bounds = Bounds(
            wall_seconds=request.wall_seconds,
            cpu_seconds=resources.cpu_seconds,
            memory_bytes=resources.memory_bytes,
        )
        running = self._hand_over(request, pipes, bounds, line) or self._fork(pipes, resources, bounds, line)
        if running is not None:
            line.on_close(lambda: self._supervisor.cancel(running))

    def _fork(self, pipes: child.Pipes, resources: jail.Resources, bounds: Bounds, line: "_Line") -> Child | None:
        server, pipeline, version = os.getpid(), self._pipeline, self._version
        return self._supervisor.fork(
            lambda: child.run(pipes, resources, pipeline, parent=server, version=version), bounds, line.end
        )

    def _hand_over(self, request: Request, pipes: child.Pipes, bounds: Bounds, line: "_Line") -> Child | None:
        """Give the job to the process that stands by; None when there is none."""
        standby, self._standby = self._standby, None
        if standby is None:
            return None
        with standby:
            running = self._supervisor.assign(bounds, line.end)
            if running is not None:
                channel.send(standby, request.model_dump(), pipes.all())
            return running

    def _stand_by(self) -> None:
        """Have a process stand by for the next job. With several jobs at once their own work comes first."""
        if not self._reserve or self._standby is not None or self._supervisor.busy > 1:
            return
        mine, its = channel.pair()
        server, pipeline, version = os.getpid(), self._pipeline, self._version
        with its:
            made = self._supervisor.reserve(
                lambda: child.stand_by(its, _receive, pipeline, parent=server, version=version)
            )
        if made:
            self._standby = mine
        else:
            mine.close()


def _resources(request: Request) -> jail.Resources:
    return jail.Resources(
        cpu_seconds=math.ceil(request.cpu_seconds),
        memory_bytes=int(request.memory_mb * _MIB),
        file_bytes=request.file_bytes,
    )


def _receive(line: socket.socket) -> tuple[child.Pipes, jail.Resources] | None:
    """What a process that stands by is given."""
    received = channel.receive(line, (DESCRIPTORS - 1, DESCRIPTORS))
    if received is None:
        return None
    message, descriptors = received
    request = Request.model_validate(message)
    return _pipes(request, descriptors), _resources(request)


def _pipes(request: Request, descriptors: Sequence[int]) -> child.Pipes:
    """Raises ValueError when the message and its descriptors do not agree on whether there is a sandbox."""
    order, parts, report, *sandbox = descriptors
    if request.sandbox != bool(sandbox):
        raise ValueError("the sandbox's channel came unannounced, or not at all")
    return child.Pipes(order=order, parts=parts, report=report, sandbox=sandbox[0] if sandbox else None)


class _Line:
    """The server's end of one job's socket to the service."""

    def __init__(self, selector: selectors.BaseSelector, fd: int) -> None:
        self._selector = selector
        self._socket = socket.socket(fileno=fd)
        self._socket.setblocking(False)

    def on_close(self, cancel: Callable[[], None]) -> None:
        """Call `cancel` when the service closes its end; it never writes."""

        def closed() -> None:
            self._selector.unregister(self._socket)
            cancel()

        self._selector.register(self._socket, selectors.EVENT_READ, closed)

    def end(self, end: End) -> None:
        """Tell the service and close."""
        with suppress(KeyError):
            self._selector.unregister(self._socket)
        with suppress(OSError):  # the service no longer waits
            channel.send(self._socket, Done(cause=end.cause, status=end.status).model_dump())
        self._socket.close()


def main(arguments: Sequence[str] | None = None, pipeline: child.Pipeline | None = None) -> int:
    """Serve until the service is gone. Exit status 0, or 1 with a sentence on stderr when it cannot fork safely."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--channel", type=int, required=True)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--landlock", type=int, default=landlock.NEWEST_ABI, help="use no newer Landlock ABI than this")
    parser.add_argument("--reserve", action="store_true", help="keep a process forked ahead of the next job")
    options = parser.parse_args(arguments)
    process.die_with_parent(options.parent, signal.SIGTERM)
    process.become_subreaper()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    started = time.monotonic()
    pipeline = pipeline or cast("child.Pipeline", importlib.import_module("agent.worker.pipeline"))
    pipeline.warm()
    places.code()  # remembered, for all forks
    gc.collect()
    gc.freeze()
    if len(names := process.threads()) != 1:
        sys.stderr.write(f"agent worker server: libraries started threads ({', '.join(names)}); refusing to fork\n")
        return 1
    version = min(options.landlock, landlock.abi())
    service = socket.socket(fileno=options.channel)
    serving = Server(service, pipeline, version, reserve=options.reserve)
    channel.send(service, Ready(landlock=version, preload_seconds=time.monotonic() - started).model_dump())
    serving.run()
    sys.stderr.flush()
    os._exit(0)  # libraries would tear themselves down, noisily, for nobody


if __name__ == "__main__":
    sys.exit(main())
