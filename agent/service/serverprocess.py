"""A warm server's process and this side of its channel: started clean, told to end, killed when it does not."""

import os
import select
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Self

import anyio

from agent.core.errors import AgentError
from agent.sandbox import channel
from agent.sandbox.environment import ENVIRONMENT

_STOP_SECONDS = 5.0


class ServerError(AgentError):
    """A warm server cannot be started."""


class ServerProcess:
    """One running server. It dies with the thread that started it, and ends when its channel is closed."""

    def __init__(self, process: "subprocess.Popen[bytes]", mine: socket.socket) -> None:
        self._process = process
        self._pidfd = os.pidfd_open(process.pid)
        self.channel = mine

    @classmethod
    def spawn(cls, command: Sequence[str], flag: str, inherited: Sequence[int] = ()) -> Self:
        """Start `command` with its end of a new channel as the value of `flag`, and `inherited` descriptors.

        It gets the fixed environment and nothing else of this process. Raises ServerError.
        """
        with ExitStack() as mine_too:
            mine, its = channel.pair()
            mine_too.enter_context(mine)
            mine.setblocking(False)
            with its:
                try:
                    process = subprocess.Popen(  # noqa: S603 - a fixed command
                        (*command, flag, str(its.fileno()), "--parent", str(os.getpid())),
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.DEVNULL,
                        env=dict(ENVIRONMENT),
                        cwd="/",
                        pass_fds=(its.fileno(), *inherited),
                        start_new_session=True,  # Ctrl-C in a terminal is for the service to handle
                    )
                except OSError as error:
                    raise ServerError(f"the process could not be started: {error.strerror}") from None
            mine_too.pop_all()
        return cls(process, mine)

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""
        return self._process.poll()

    def dead(self) -> bool:
        """Whether the process has ended."""
        return self.status is not None

    async def aclose(self) -> None:
        """Let it kill its jobs and end; kill it when it does not within 5 s."""
        if self._pidfd < 0:
            return
        self._close()
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
        self._close()

    async def readable(self) -> None:
        """Wait until the channel has something to read, its end included. Raises OSError when it was closed here."""
        with _held(self.channel) as number:
            await anyio.wait_readable(number)

    async def writable(self) -> None:
        """Wait until the channel takes something. Raises OSError when it was closed here."""
        with _held(self.channel) as number:
            await anyio.wait_writable(number)

    def _close(self) -> None:
        if self.channel.fileno() >= 0:
            with suppress(OSError):  # the other side is gone
                self.channel.shutdown(socket.SHUT_RDWR)  # wakes whoever waits for it
            self.channel.close()


@contextmanager
def _held(channel: socket.socket) -> Iterator[int]:
    """A number for the channel that only the waiter uses.

    The loop knows readers by number: were the channel's own number closed and given to the next server's channel while
    somebody waits, the end of the first wait would take the second one's reader away, and it would wait for ever.
    """
    number = os.dup(channel.fileno())
    try:
        yield number
    finally:
        os.close(number)
