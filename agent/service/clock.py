"""Time for the service: wall clock for expiry, monotonic for durations, and a watch that notices when they part."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import anyio

from agent.core.ports import Clock

JUMP_SECONDS = 60.0
"""A wall clock that moved this far against the monotonic one was set, or the machine was suspended."""

DISTRUST_SECONDS = 3600.0
"""How long after a jump nothing is forgotten or dropped on the wall clock's word."""


class SystemClock:
    """The machine's clocks. Satisfies `agent.core.ports.Clock`."""

    def now(self) -> float:
        """Unix seconds, UTC."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds since some fixed point, never set back."""
        return time.monotonic()


@dataclass(frozen=True, slots=True)
class Jump:
    """A jump of the wall clock: seconds forward (positive) or back, noticed at `wall` (Unix seconds)."""

    seconds: float
    wall: float


class ClockWatch:
    """Compares the two clocks at each `look`. Not thread safe: one loop calls it."""

    def __init__(self, clock: Clock, *, on_jump: Callable[[Jump], None] = lambda _: None) -> None:
        """Args: `on_jump` is called once for each jump, from within `look`."""
        self._clock = clock
        self._on_jump = on_jump
        self._offset = clock.now() - clock.monotonic()
        self._jumped_at: float | None = None

    async def run(self, *, on_calm: Callable[[], None], every_seconds: float = 5.0) -> None:
        """Look again and again until cancelled; `on_calm` is called whenever the clock may be believed."""
        while True:
            if self.trusted():
                on_calm()
            await anyio.sleep(every_seconds)

    def look(self) -> Jump | None:
        """The jump since the last look, if any."""
        wall, steady = self._clock.now(), self._clock.monotonic()
        moved = (wall - steady) - self._offset
        self._offset = wall - steady
        if abs(moved) < JUMP_SECONDS:
            return None
        self._jumped_at = steady
        jump = Jump(moved, wall)
        self._on_jump(jump)
        return jump

    def trusted(self) -> bool:
        """False for an hour after a jump: until then nothing is dropped or forgotten because of its age."""
        self.look()
        return self._jumped_at is None or self._clock.monotonic() - self._jumped_at >= DISTRUST_SECONDS
