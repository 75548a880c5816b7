"""The store as the Router sees it. Every implementation passes tests/conformance/test_stores.py."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from router.core.agents import AgentId, AgentView, SessionView, TokenView
from router.core.jobs import JobView, State
from router.core.ops import Op
from router.core.problem import RouterProblem

Reply = object
"""What an operation gives back, as its class in `router.core.ops` says; or the RouterProblem that it met."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredResult:
    """A complete result. `inline`: its framed parts when they are few bytes, else they are in `Parts`."""

    job_id: str
    result_id: str
    manifest: bytes = field(repr=False)
    parts: tuple[tuple[str, int], ...]
    inline: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Which jobs to list, newest first; `before` is a job id to go on from. `pools` empty: every pool."""

    tenant: str | None = None
    pools: tuple[str, ...] = ()
    states: tuple[State, ...] = ()
    before: str | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolView:
    """One queue: how many jobs wait, since when the oldest, how many are held, how many agents are there."""

    tenant: str
    audience: str
    queued: int
    oldest: float | None
    held: int
    agents: int


class Store(Protocol):
    """Blocking; `apply` is called from one thread at a time, the readers from any. All raise `StoreError`."""

    def apply(self, batch: Sequence[Op], now: float) -> list[Reply | RouterProblem]:
        """Do all operations in one commit, in their order; each has its own answer. `now`: Unix seconds.

        An operation that breaks fails alone. When the commit fails, StoreError, and nothing was done.
        """
        ...

    def job(self, tenant: str, job_id: str) -> JobView | None:
        """Where a job of this tenant stands."""
        ...

    def jobs(self, wanted: JobFilter) -> tuple[JobView, ...]:
        """Jobs, newest first."""
        ...

    def result(self, tenant: str, job_id: str) -> StoredResult | None:
        """The result that counts; None before the end, and after it was deleted."""
        ...

    def pools(self, tenant: str | None) -> tuple[PoolView, ...]:
        """Queues with jobs or agents."""
        ...

    def agent(self, tenant: str, name: str) -> AgentView | None:
        """One agent."""
        ...

    def agents(self, tenant: str | None) -> tuple[AgentView, ...]:
        """Enrolled agents."""
        ...

    def revoked(self, now: float) -> frozenset[AgentId]:
        """Agents that were revoked while a certificate of theirs is still within its life."""
        ...

    def session(self, session_id: str) -> SessionView | None:
        """An open session."""
        ...

    def cancelling(self, session_id: str) -> tuple[str, ...]:
        """Lease ids of the session whose jobs were asked to end."""
        ...

    def token(self, token_hash: str) -> TokenView | None:
        """A token that counts, by its hash."""
        ...

    def tokens(self, tenant: str | None) -> tuple[TokenView, ...]:
        """All tokens, also those that no longer count."""
        ...

    def ready(self) -> frozenset[str]:
        """Queues that hold queued jobs, for a start."""
        ...

    def abandoned(self, uploads: Mapping[str, str]) -> frozenset[str]:
        """Of these results, with the job of each, those that nobody waits for: not complete, and the job is over."""
        ...

    def close(self) -> None:
        """Let go of everything. Idempotent."""
        ...


class Parts(Protocol):
    """Sealed parts of results that are too large to stand in the store's rows. Blocking, thread-safe."""

    def claim(self, result_id: str, job_id: str) -> bool:
        """Whether parts under this id are this job's: whoever comes first has it. No job writes over another's."""
        ...

    def put(self, result_id: str, index: int, digest: str, data: bytes) -> None:
        """Keep one part durably, under its SHA-256; the same index again replaces it."""
        ...

    def held(self, result_id: str) -> dict[int, tuple[str, int]]:
        """Which parts are there: index to digest and size in bytes."""
        ...

    def read(self, result_id: str, index: int) -> bytes:
        """One part. Raises KeyError."""
        ...

    def owners(self) -> dict[str, str]:
        """All results that have parts here, or were claimed, with the job of each; empty where none has claimed it."""
        ...

    def drop(self, result_id: str) -> None:
        """Delete all parts of a result. Idempotent."""
        ...

    def close(self) -> None:
        """Let go of everything. Idempotent."""
        ...


class StoreError(Exception):
    """The store cannot be read or written; the text holds nothing of a job."""
