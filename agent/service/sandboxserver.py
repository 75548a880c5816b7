"""The sandbox server as the service holds it: its process, its tier, and the channel for workers of Python jobs."""

import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import anyio
from pydantic import ValidationError

from agent.sandbox import channel
from agent.sandbox.messages import Reason, SandboxLoad, SandboxReady
from agent.service.serverprocess import ServerError, ServerProcess

COMMAND = (sys.executable, "-I", "-m", "agent.sandbox.server")
"""Isolated: no PYTHON* variables, no user site, nothing from the working directory."""

START_SECONDS = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a sandbox server is started with: children at once, MiB for all of them, packages loaded once."""

    at_once: int = 2
    memory_mb: int = 2048
    preload: tuple[str, ...] = ("pandas", "numpy", "pyarrow", "duckdb")

    def arguments(self) -> tuple[str, ...]:
        """The server's options."""
        numbers = ("--at-once", str(self.at_once), "--memory-mb", str(self.memory_mb))
        return ("--tier", "auto", *numbers, "--preload", ",".join(self.preload))


class SandboxServer:
    """One running server with one channel. Its children die with it, and it dies with the thread that started it.

    The channel belongs to this server: whoever holds its other end can reach no later one, of another tier maybe.
    """

    def __init__(self, process: ServerProcess, requests: socket.socket, ready: SandboxReady) -> None:
        self._process = process
        self._requests = requests
        self._ready = ready
        self.load = SandboxLoad(running=0, waiting=0, memory_mb=0)
        self.users = 0

    @classmethod
    async def start(cls, shape: Shape, command: Sequence[str] = COMMAND) -> "SandboxServer":
        """Start a server and wait for the verdict of its probes. Raises ServerError."""
        mine, its = channel.pair()
        with its:
            try:
                options = (*command, *shape.arguments(), "--requests", str(its.fileno()))
                process = ServerProcess.spawn(options, "--control", (its.fileno(),))
            except BaseException:
                mine.close()
                raise
        try:
            with anyio.fail_after(START_SECONDS):
                return cls(process, mine, await _verdict(process))
        except BaseException as error:
            process.kill()
            mine.close()
            if isinstance(error, TimeoutError):
                raise ServerError(f"it was not ready within {START_SECONDS:.0f} s") from None
            raise

    @property
    def tier(self) -> str:
        """The tier that its probes saw hold: `full`, `container` or `none`."""
        return self._ready.tier

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """What its probes found."""
        return self._ready.reasons

    @property
    def landlock(self) -> int:
        """The kernel's Landlock ABI, 0 for none."""
        return self._ready.landlock

    @property
    def preload_seconds(self) -> float:
        """How long it took to load its packages."""
        return self._ready.preload_seconds

    @property
    def requests(self) -> int:
        """The workers' end of its channel, as a descriptor of this process."""
        return self._requests.fileno()

    @property
    def pid(self) -> int:
        """Its process; its children are the sandboxes."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""
        return self._process.status

    def dead(self) -> bool:
        """Whether the process has ended."""
        return self._process.dead()

    async def follow(self) -> None:
        """Keep `load` up to date; returns when the server has closed its channel, which is its end."""
        while True:
            try:
                await self._process.readable()
                received = channel.receive(self._process.channel)
                if received is None:
                    return
                self.load = SandboxLoad.model_validate(received[0])
            except BlockingIOError:
                continue
            except (OSError, anyio.ClosedResourceError, channel.ChannelError, ValidationError):
                return

    async def aclose(self) -> None:
        """Let it kill its children and end; kill it when it does not within 5 s."""
        self._requests.close()
        await self._process.aclose()

    def kill(self) -> None:
        """End it and, by their own death signal, its children. Idempotent."""
        self._process.kill()
        self._requests.close()


async def _verdict(process: ServerProcess) -> SandboxReady:
    await process.readable()
    with suppress(OSError, channel.ChannelError, ValidationError):
        received = channel.receive(process.channel)
        if received is not None:
            return SandboxReady.model_validate(received[0])
    raise ServerError("it ended before it was ready; its own words are on stderr")
