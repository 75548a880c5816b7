"""Makes jailed processes: one ahead of the next job, and one at once where none stands by."""

import os
import selectors
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from agent.sandbox import channel, inmate, namespaces, scratch
from agent.sandbox.cgroups import Group, Groups
from agent.sandbox.inmate import Pipes, Run
from agent.sandbox.jail import Cell, Limits, Tier
from agent.sandbox.procfs import Procfs
from agent.sandbox.supervisor import Bounds, Cause, Child, End, Supervisor

_MAX_REASON = 300


@dataclass(slots=True)
class Place:
    """Where one child is, or will be: its cell, its scratch folder in the container tier, and what it says of its jail.

    `line` leads to the process that stands by there.
    """

    cell: Cell
    folder: str | None
    hears: int
    says: int
    line: socket.socket | None = field(default=None)
    folders: scratch.Folders | None = field(default=None)
    group: Group | None = field(default=None)

    def beyond(self) -> Callable[[], Cause | None] | None:
        """What watches the scratch folder from now on; the kernel does so in the full tier."""
        if self.folder is None or self.folders is None:
            return None
        return self.folders.watch(self.folder, self.cell.scratch_bytes)

    def spoken_for(self) -> None:
        """Its process is forked, and has the writing end."""
        os.close(self.says)
        self.says = -1

    def said(self) -> bytes:
        """What the child has said; to be asked when it is gone."""
        with suppress(BlockingIOError):
            return os.read(self.hears, _MAX_REASON)
        return b""

    def close(self) -> None:
        """Nothing is left of it."""
        for fd in (self.hears, self.says):
            if fd >= 0:
                os.close(fd)
        if self.line is not None:
            self.line.close()
        if self.group is not None:
            self.group.close()
        if self.folder is not None and self.folders is not None:
            self.folders.unwatch(self.folder)
            scratch.wipe(self.folder)


class Kennel:
    """All children of one server, in one tier."""

    def __init__(
        self,
        selector: selectors.BaseSelector,
        tier: Tier,
        version: int,
        run: Run,
        *,
        proc: Procfs,
        own: int,
        groups: Groups | None = None,
    ) -> None:
        """Args: `own` is the server's own pid namespace as an open file, in the full tier; `groups` where delegated."""
        self._groups = groups
        self._tier: Tier = tier
        self._version = version
        self._run = run
        self._proc = proc
        self._server = os.pidfd_open(os.getpid())
        self._folders = scratch.Folders(scratch.parent()) if tier == "container" else None
        fork = (lambda: namespaces.fork_inside(own)) if tier == "full" else None
        self.supervisor = Supervisor(selector, proc, fork)
        self._ahead: Place | None = None
        self._usual = 0

    def place(self, scratch_bytes: int) -> Place:
        """Where the next job goes: to the process that stands by when its scratch folder fits. Raises OSError."""
        ahead, self._ahead, self._usual = self._ahead, None, scratch_bytes
        if ahead is not None:
            if ahead.cell.scratch_bytes == scratch_bytes:
                return ahead
            self.supervisor.drop_reserve()
            ahead.close()
        return self._new(scratch_bytes)

    def start(
        self, place: Place, pipes: Pipes, limits: Limits, bounds: Bounds, on_end: Callable[[End], None]
    ) -> Child | None:
        """Run a job there. None, after `on_end`, when there can be no process."""
        child = self._start(place, pipes, limits, bounds, on_end)
        if child is not None and self._groups is not None:
            place.group = self._groups.make(child.pid, memory_bytes=limits.memory_bytes + place.cell.scratch_bytes)
        return child

    def _start(
        self, place: Place, pipes: Pipes, limits: Limits, bounds: Bounds, on_end: Callable[[End], None]
    ) -> Child | None:
        if place.line is not None and (child := self._hand_over(place, pipes, limits, bounds, on_end)) is not None:
            return child
        if place.says < 0:  # who stood by has ended
            place.hears, place.says = _talk(place.hears)
        try:
            return self.supervisor.fork(
                lambda: inmate.serve(place.cell, pipes, limits, place.says, self._run), bounds, on_end
            )
        finally:
            if place.says >= 0:
                place.spoken_for()

    def look(self) -> float | None:
        """Kill the children that are over a limit. Returns after how many seconds to look again, None: no need."""
        again = self.supervisor.look()
        return 0.0 if again is None and self._ahead is None and self._usual else again

    def cancel(self, child: Child) -> None:
        """Kill a child; its end follows."""
        self.supervisor.cancel(child)

    def stand_by(self) -> None:
        """Have a process jailed ahead of the next job. With several jobs at once their own work comes first."""
        if self._ahead is not None or not self._usual or self.supervisor.busy > 1:
            return
        try:
            place = self._new(self._usual)
        except OSError:
            self._usual = 0
            return  # the next job will say why
        mine, its = channel.pair()
        with its:
            made = self.supervisor.reserve(lambda: inmate.stand_by(place.cell, its, place.says, self._run))
        place.line = mine
        if made:
            place.spoken_for()
            self._ahead = place
        else:
            place.close()
            self._usual = 0

    def close(self) -> None:
        """Kill all children, and wipe what they wrote."""
        self.supervisor.close()
        if self._ahead is not None:
            self._ahead.close()
            self._ahead = None
        if self._folders is not None:
            self._folders.close()

    def _hand_over(
        self, place: Place, pipes: Pipes, limits: Limits, bounds: Bounds, on_end: Callable[[End], None]
    ) -> Child | None:
        line, place.line = place.line, None
        if line is None:
            return None
        with line:
            child = self.supervisor.assign(bounds, on_end)
            if child is not None:
                with suppress(OSError):  # it has just ended: its end follows
                    inmate.hand_over(line, pipes, limits)
            return child

    def _new(self, scratch_bytes: int) -> Place:
        folder = None if self._folders is None else self._folders.make()
        cell = Cell(
            tier=self._tier,
            version=self._version,
            server=self._server,
            proc=self._proc,
            scratch=folder or namespaces.SCRATCH,
            scratch_bytes=scratch_bytes,
        )
        hears, says = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        return Place(cell, folder, hears, says, folders=self._folders)


def _talk(old: int) -> tuple[int, int]:
    os.close(old)
    return os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
