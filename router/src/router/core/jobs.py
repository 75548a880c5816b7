"""Jobs as the Router knows them: what stands unsealed in an envelope, and where each job is in its life."""

from dataclasses import dataclass, field
from typing import Literal

from agent.core.codes import CODES

State = Literal[
    "waiting",
    "queued",
    "offered",
    "running",
    "uploading",
    "succeeded",
    "refused",
    "failed",
    "cancelled",
    "timed_out",
    "lost",
    "dead",
]
"""`waiting`: its not_before lies ahead. `lost` is passed through: a lost job is queued again, or dead."""

OPEN: frozenset[State] = frozenset({"waiting", "queued", "offered", "running", "uploading"})
ENDED: frozenset[State] = frozenset({"succeeded", "refused", "failed", "cancelled", "timed_out", "dead"})
HELD: frozenset[State] = frozenset({"offered", "running", "uploading"})
"""An agent has it."""

Slot = Literal["sql", "python"]
SLOTS: tuple[Slot, ...] = ("sql", "python")

OFFER_SECONDS = 10.0
LEASE_SECONDS = 60.0


def slot_of(kind: str) -> Slot:
    """Which of an agent's slots a kind of task takes."""
    return "python" if kind == "python" else "sql"


def state_of(code: str) -> State:
    """Where a job stands after a result with this outcome code. An unknown code is a failure."""
    if code == "job.cancelled":
        return "cancelled"
    known = CODES.get(code)
    if known is None:
        return "failed"
    return "refused" if known.state == "rejected" else known.state


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """What the Router reads of an envelope, unverified, and the envelope. Times are Unix seconds."""

    id: str
    tenant: str
    audience: str
    digest: str
    kid: str
    kind: str
    priority: int
    idempotent: bool
    max_attempts: int
    not_before: float
    expires: float
    result_until: float
    envelope: bytes = field(repr=False)
    submitter: str
    """Whose token or certificate brought it: the unit of fair turns within a queue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """A job that one session may accept until `offer_expires`."""

    job_id: str
    envelope: bytes = field(repr=False)
    lease_id: str
    attempt: int
    fence: int
    offer_expires: float


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """Where a job stands, for its submitter and the operator."""

    id: str
    tenant: str
    audience: str
    kind: str
    state: State
    attempt: int
    max_attempts: int
    priority: int
    created: float
    changed: float
    expires: float
    result_until: float
    agent: str | None = None
    code: str | None = None
    outcome: str | None = None
    result_id: str | None = None
    digest: str = ""
    cancelling: bool = False
    phase: str | None = None
    rows: str | None = None
    submitter: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What the Router reads of a signed manifest, unverified, and the manifest."""

    job_id: str
    job_digest: str
    result_id: str
    attempt: int
    outcome: str
    code: str
    digest: str
    """SHA-256 over the manifest's bytes."""
    parts: tuple[tuple[str, int], ...]
    token: bytes = field(repr=False)
