"""What the service manager is told, and how often: systemd's notify protocol, datagrams without an answer."""

import logging
import socket
import time
from collections.abc import Callable, Mapping
from typing import Final, Self

import anyio

from agent.service.board import Board, State

TICK_SECONDS: Final = 2.0
"""The longest pause between two ticks: what STATUS= says is never older."""
_TICKS: Final = 3
"""Ticks within the time that the watchdog allows: one may come late."""
_STATUS_BYTES: Final = 512
_LOGGER = logging.getLogger(__name__)


class Manager:
    """The service manager's end of the line. Without one every word goes nowhere."""

    def __init__(self, address: str | None = None, *, watchdog_seconds: float | None = None) -> None:
        """Args: the socket's path, `@` before an abstract one; how long it waits for a tick, None: it does not."""
        self._address = None if address is None else f"\0{address[1:]}" if address.startswith("@") else address
        self._status = ""
        self._complained = False
        self.tick_seconds = TICK_SECONDS
        if watchdog_seconds is not None:
            self.tick_seconds = min(TICK_SECONDS, watchdog_seconds / _TICKS)
        self._watched = watchdog_seconds is not None

    @classmethod
    def of(cls, environ: Mapping[str, str], pid: int) -> Self:
        """As the manager has put it into the environment of process `pid`.

        What is not a socket's address, and a watchdog that is meant for another process, count as none.
        """
        address = environ.get("NOTIFY_SOCKET", "")
        if not address.startswith(("/", "@")) or len(address) < 2:  # noqa: PLR2004 - a sign and a name
            return cls()
        meant = environ.get("WATCHDOG_PID", str(pid)) == str(pid)
        text = environ.get("WATCHDOG_USEC", "") if meant else ""
        # int() takes other scripts' digits, blanks and underscores too; the manager writes none of them.
        microseconds = int(text) if text.isascii() and text.isdigit() else 0
        return cls(address, watchdog_seconds=microseconds / 1e6 if microseconds else None)

    def ready(self) -> None:
        """The service serves; or it has done with reading its configuration anew."""
        self._tell("READY=1")

    def reloading(self) -> None:
        """The configuration is being read anew; `ready` has to follow, also when the old one stays."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """The drain has begun."""
        self._tell("STOPPING=1")

    def tick(self, status: str) -> None:
        """The loop turns; `status` is what the manager shows, on one line."""
        text = " ".join(status.split())
        lines = ["WATCHDOG=1"] if self._watched else []
        if text != self._status:
            lines.append(f"STATUS={text.encode()[:_STATUS_BYTES].decode('utf-8', 'ignore')}")
            self._status = text
        if lines:
            self._tell(*lines)

    async def run(self, status: Callable[[], str]) -> None:
        """Tick from this event loop until cancelled: a loop that hangs is silent, and the manager ends the process."""
        while True:
            self.tick(status())
            await anyio.sleep(self.tick_seconds)

    def _tell(self, *lines: str) -> None:
        """Never blocks and never fails: what the manager does not hear is its to judge."""
        if self._address is None:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            try:
                sock.sendto("\n".join(lines).encode(), self._address)
            except (OSError, ValueError) as error:
                self._status = ""  # so that it is said again
                if not self._complained:
                    self._complained = True
                    _LOGGER.warning("the service manager cannot be told (%s)", _cause(error))


def sentence(board: Board, running: int) -> str:
    """The agent in one line: its state, and the first thing that needs a hand, or what it is doing."""
    bad = next((health.line() for health in board.findings.values() if not health.note), None)
    doing = board.phrases.get("drain" if board.state is State.DRAINING else "intake", "")
    return f"{board.word()}, {running} running: {bad or doing or 'beginning'}"


def _cause(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
