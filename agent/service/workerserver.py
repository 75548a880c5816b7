"""The warm fork server as the service holds it: its process and the channel to it."""

import sys
from collections.abc import Sequence
from contextlib import suppress

import anyio
from pydantic import ValidationError

from agent.sandbox import channel
from agent.sandbox.messages import Ready, Request
from agent.service.serverprocess import ServerError, ServerProcess

COMMAND = (sys.executable, "-I", "-m", "agent.worker.server", "--reserve")
"""Isolated: no PYTHON* variables, no user site, nothing from the working directory."""

_START_SECONDS = 90.0


class WorkerServer:
    """One running server. Its jobs die with it, and it dies with the thread that started it."""

    def __init__(self, process: ServerProcess) -> None:
        self._process = process
        self._ready: Ready | None = None

    @classmethod
    async def start(cls, command: Sequence[str]) -> "WorkerServer":
        """Start a server and wait until it has its libraries. Raises ServerError."""
        server = cls(ServerProcess.spawn(command, "--channel"))
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
        return self._process.status

    def dead(self) -> bool:
        """Whether the process has ended."""
        return self._process.dead()

    async def wait_ready(self) -> None:
        """Wait until it can fork. Raises ServerError when it ends instead."""
        await self._process.readable()
        with suppress(OSError, channel.ChannelError, ValidationError):
            received = channel.receive(self._process.channel)
            if received is not None:
                self._ready = Ready.model_validate(received[0])
                return
        raise ServerError("it ended before it was ready; its own words are on stderr")

    async def send(self, request: Request, descriptors: Sequence[int]) -> None:
        """Ask for one job. Raises OSError when the server is gone."""
        while True:
            try:
                channel.send(self._process.channel, request.model_dump(), descriptors)
            except BlockingIOError:
                await self._process.writable()
            else:
                return

    async def aclose(self) -> None:
        """Let it kill its jobs and end; kill it when it does not within 5 s."""
        await self._process.aclose()

    def kill(self) -> None:
        """End it and, by their own death signal, its jobs. Idempotent."""
        self._process.kill()


__all__ = ["COMMAND", "ServerError", "WorkerServer"]
