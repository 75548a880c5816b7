"""The warm fork server as the service holds it: its process and the channel to it."""

import os
import select
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress

import anyio
from pydantic import ValidationError

from agent.core.errors import AgentError
from agent.sandbox import channel
from agent.sandbox.environment import ENVIRONMENT
from agent.sandbox.messages import Ready, Request

COMMAND = (sys.executable, "-I", "-m", "agent.worker.server", "--reserve")
"""Isolated: no PYTHON* variables, no user site, nothing from the working directory."""

_START_SECONDS = 30.0
_STOP_SECONDS = 5.0


class ServerError(AgentError):
    """The worker server cannot be started."""


class WorkerServer:
    """One running server. Its jobs die with it, and it dies with the thread that started it."""

    def __init__(self, process: subprocess.Popen[bytes], mine: socket.socket) -> None:
        self._process = process
        self._pidfd = os.pidfd_open(process.pid)
        self._channel = mine
        self._ready: Ready | None = None

    @classmethod
    async def start(cls, command: Sequence[str]) -> "WorkerServer":
        """Start a server and wait until it has its libraries. Raises ServerError."""
        try:
            server = _spawn(command)
        except OSError as error:
            raise ServerError(f"the process could not be started: {error.strerror}") from None
        try:
            with anyio.fail_after(_START_SECONDS):
                await server.wait_ready()
        except TimeoutError:
            server.kill()
            raise ServerError(f"it was not ready within {_START_SECONDS:.0f} s") from None
        except BaseException:
            server.kill()
            raise
        return server

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    @property
    def landlock(self) -> int:
        """The Landlock ABI that confines its workers; 0: none, every job is refused."""
        return 0 if self._ready is None else self._ready.landlock

    @property
    def status(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""
        return self._process.poll()

    def dead(self) -> bool:
        """Whether the process has ended."""
        return self.status is not None

    async def wait_ready(self) -> None:
        """Wait until it can fork. Raises ServerError when it ends instead."""
        await anyio.wait_readable(self._channel)
        with suppress(OSError, channel.ChannelError, ValidationError):
            received = channel.receive(self._channel)
            if received is not None:
                self._ready = Ready.model_validate(received[0])
                return
        raise ServerError("it ended before it was ready; its own words are on stderr")

    async def send(self, request: Request, descriptors: Sequence[int]) -> None:
        """Ask for one job. Raises OSError when the server is gone."""
        while True:
            try:
                channel.send(self._channel, request.model_dump(), descriptors)
            except BlockingIOError:
                await anyio.wait_writable(self._channel)
            else:
                return

    async def aclose(self) -> None:
        """Let it kill its jobs and end; kill it when it does not within 5 s."""
        self._channel.close()
        try:
            with anyio.move_on_after(_STOP_SECONDS, shield=True):
                await anyio.wait_readable(self._pidfd)
        finally:
            self.kill()

    def kill(self) -> None:
        """End it and, by their own death signal, its jobs. Idempotent."""
        if self._pidfd < 0:
            return
        self._process.kill()
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        poll.poll(_STOP_SECONDS * 1000)
        self._process.poll()
        os.close(self._pidfd)
        self._pidfd = -1
        self._channel.close()


def _spawn(command: Sequence[str]) -> WorkerServer:
    mine, its = channel.pair()
    mine.setblocking(False)
    try:
        process = subprocess.Popen(  # noqa: S603 - a fixed command
            (*command, "--channel", str(its.fileno()), "--parent", str(os.getpid())),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=dict(ENVIRONMENT),
            cwd="/",
            pass_fds=(its.fileno(),),
            start_new_session=True,  # Ctrl-C in a terminal is for the service to handle
        )
    except OSError:
        mine.close()
        raise
    finally:
        its.close()
    return WorkerServer(process, mine)
