"""The seams. Every outside thing that the agent touches is one small protocol here."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, Protocol, runtime_checkable

from agent.core.catalog import Catalog
from agent.core.lane import Lane
from agent.core.limits import Limits
from agent.core.order import Order
from agent.core.outcome import Report
from agent.core.plan import MaskedPlan
from agent.core.table import Table


class Clock(Protocol):
    """Wall clock in Unix seconds, and a monotonic one for durations."""

    def now(self) -> float:
        """Unix seconds, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back."""
        ...


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server that a source connects to: a TCP port of a host, or a Unix socket when `host` is an absolute path."""

    host: str
    port: int


def _to_nobody(_: str) -> None:
    """Nobody can end a statement that runs in this process anyway."""


@dataclass(frozen=True, slots=True)
class Session:
    """On whose behalf a source is opened. `job` becomes the session's name on a server.

    `announce` is told, before any statement of a job runs, by which handle another connection can end it
    (`Source.cancel`). A handle is a short text without a secret.
    """

    job: str = ""
    announce: Callable[[str], None] = field(default=_to_nobody)


NOBODY: Final = Session()


class Connection(Protocol):
    """An open, read-only, locked-down source."""

    def catalog(self) -> Catalog:
        """What the source holds now. Raises Fault(source.*)."""
        ...

    def run(self, plan: MaskedPlan) -> Table:
        """Run exactly `plan.sql`. Raises Fault(source.* | limit.memory); the driver's text never gets out."""
        ...


@runtime_checkable
class Detailed(Protocol):
    """A connection whose `catalog` leaves out what no statement needs: keys, comments, estimates of rows."""

    def detailed(self) -> Catalog:
        """The catalog with all of that, read now. Raises Fault(source.*)."""
        ...


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `agent doctor`: what was looked at, what was found, what to do about it, and what should have been.

    The texts hold no value, secret or name of a job.
    """

    check: str
    level: Literal["ok", "note", "warning", "error"]
    found: str
    fix: str = ""
    expected: str = ""


class Source(Protocol):
    """A database. Opened only in a worker."""

    @property
    def dialect(self) -> str:
        """Name of its dialect in `agent.dialects.DIALECTS`."""
        ...

    def reads(self) -> Sequence[Path]:
        """Files and folders that the worker must be allowed to read, for Landlock."""
        ...

    def connects(self) -> Sequence[Endpoint]:
        """Servers that the worker must be allowed to connect to; empty for files."""
        ...

    def open(
        self, name: str, limits: Limits, session: Session = NOBODY, catalog: Catalog | None = None
    ) -> AbstractContextManager[Connection]:
        """Open read-only and locked; the catalog will name its source `name`.

        `catalog` is what an earlier connection read: `Connection.catalog` may give it back instead of asking again.
        Raises Fault(source.unavailable).
        """
        ...

    def cancel(self, handle: str) -> None:
        """End what an announced handle stands for, from a connection of its own. Idempotent: gone is as good.

        Raises Fault(source.unavailable).
        """
        ...

    def examine(self) -> Sequence["Finding"]:
        """What an operator should know of this source: does it answer, what may its role do. Raises nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Offer:
    """An unverified envelope on loan from a transport. `ref` is the transport's own name for it."""

    ref: str
    envelope: bytes


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why an envelope was not accepted: a `rejected` code of `agent.core.codes`, in the agent's own words."""

    code: str
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A result that waits for delivery: its signed manifest and the file of its framed parts."""

    job_id: str
    result_id: str
    manifest: bytes
    parts: Path
    result_until: float


class Transport(Protocol):
    """Where work comes from and results go to. Lets only TransportError out."""

    async def offers(self, free: Mapping[Lane, int]) -> Sequence[Offer]:
        """New envelopes, of each lane at most so many; each is now held by this agent until settled or rejected.

        The lane is what the envelope claims, unverified: those of lanes without room are left for later. May be
        cancelled while it waits: nothing is held of what it did not return.
        """
        ...

    async def recovered(self) -> Sequence[Offer]:
        """Envelopes that an earlier run of this agent held and did not settle."""
        ...

    async def begin(self, ref: str) -> bool:
        """The job behind `ref` is trusted and about to be claimed. False: it is not this agent's any more."""
        ...

    async def reject(self, ref: str, rejection: Rejection) -> None:
        """Keep the bytes, say why. Idempotent."""
        ...

    async def deliver(self, sealed: Sealed) -> None:
        """Hand a sealed result over durably. Idempotent: the same result twice is one result."""
        ...

    async def settle(self, ref: str) -> None:
        """The job behind `ref` has its result delivered: forget the job. Idempotent."""
        ...


class Told(Protocol):
    """Who is told what a carrier says of jobs that are under way. `ref` is the carrier's own name for a job."""

    def cancel(self, ref: str) -> None:
        """The submitter asked for its end."""
        ...

    def lost(self, ref: str) -> None:
        """The carrier gave it to somebody else, or may have: whatever it does now may happen a second time."""
        ...

    def drain(self) -> None:
        """No new jobs should be taken by this agent."""
        ...


Phase = Literal["starting", "running", "sealing", "delivering"]
"""How far a job is. All that leaves of a running job unsealed, with a bucketed count of rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkView:
    """How a link is. `session`: its id; `leases`: how many are held; `skew_seconds`: the far clock against this one."""

    session: str | None = None
    leases: int = 0
    latency_seconds: float | None = None
    skew_seconds: float | None = None


@runtime_checkable
class Linked(Protocol):
    """A transport that has to be kept alive: a session, leases, orders."""

    def view(self) -> LinkView:
        """How the link is, as far as it is known without asking."""
        ...

    async def report(self, ref: str, phase: Phase, rows: str | None = None) -> None:
        """Tell how far a job is; `rows` in decades, such as `<10` or `1000`. Raises TransportError."""
        ...

    def enrolled(self) -> bool:
        """Whether the other side can know this agent at all. Blocks."""
        ...

    async def run(self, told: Told, under_way: Callable[[str], bool]) -> None:
        """Keep it alive until cancelled. `under_way`: whether the job behind a `ref` is claimed and not settled."""
        ...

    async def announce_drain(self) -> None:
        """Tell the other side that nothing more is taken. Raises TransportError."""
        ...

    async def aclose(self) -> None:
        """End the session. Bounded; raises nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Ended:
    """How a worker process ended. `code` is `ok` when `report` is whole, else a `failed` code."""

    code: str
    report: Report | None


class Launcher(Protocol):
    """Runs one worker process for one order; sealed parts go to the open file `parts`."""

    async def work(self, order: Order, limits: Limits, parts: int, sandbox: int | None = None) -> Ended:
        """Run the order under `limits`; on return no process of it is left.

        `sandbox` is the descriptor of the channel to the sandbox server, for a job that needs it.
        """
        ...


__all__ = [
    "NOBODY",
    "Clock",
    "Connection",
    "Detailed",
    "Ended",
    "Endpoint",
    "Finding",
    "Launcher",
    "Linked",
    "Offer",
    "Rejection",
    "Sealed",
    "Session",
    "Source",
    "Told",
    "Transport",
]
