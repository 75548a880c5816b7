"""Everything that changes the store: one frozen value an operation. A batch of them shares one commit.

What each gives back stands at its class; what cannot be done is a `RouterProblem` for that operation alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from router.core.agents import AgentId, Hello, NewToken
from router.core.jobs import JobView, Manifest, NewJob, Slot


@dataclass(frozen=True, slots=True)
class Submit:
    """-> JobView. The same envelope again gives the job as it stands. Raises job.conflict, quota.*"""

    job: NewJob
    max_open: int
    max_bytes: int


@dataclass(frozen=True, slots=True)
class Lease:
    """-> tuple[Offered, ...], as many as fit, by priority, then by fair turns. Raises session.unknown"""

    session: str
    tenant: str
    agent: str
    pool: str
    free: Mapping[Slot, int]


@dataclass(frozen=True, slots=True)
class Accept:
    """-> attempt. Counts it; again under the same lease gives the same. Raises offer.lapsed, lease.lost"""

    agent: AgentId
    job_id: str
    lease_id: str
    fence: int
    session: str


@dataclass(frozen=True, slots=True)
class HandBack:
    """-> how many. Offers that will not be accepted; no attempt is counted."""

    agent: AgentId
    leases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Beat:
    """-> Mapping[lease id, "ok" | "cancel" | "lost"]. A sign of life with all leases of a session in one call."""

    agent: AgentId
    session: str
    leases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """-> None. Phase and bucketed rows of a running job. Raises lease.lost"""

    agent: AgentId
    job_id: str
    lease_id: str
    fence: int
    phase: str
    rows: str | None


@dataclass(frozen=True, slots=True)
class Upload:
    """-> None. Parts of a result begin to arrive under this lease. Raises lease.lost, result.late"""

    agent: AgentId
    job_id: str
    result_id: str
    lease_id: str
    fence: int


@dataclass(frozen=True, slots=True)
class Complete:
    """-> Landed. `inline` are the framed parts of a small result. Again the same: the same answer.

    A result of an earlier lease than the last is kept aside, as late. Raises result.conflict, lease.lost, not_found
    """

    agent: AgentId
    job_id: str
    lease_id: str
    fence: int
    manifest: Manifest
    inline: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Landed:
    """Where the job stands after a result came. `late`: it does not count."""

    job: JobView
    late: bool


@dataclass(frozen=True, slots=True)
class Rejected:
    """-> JobView. The agent does not trust the envelope; `code` is a `rejected` code. Raises lease.lost"""

    agent: AgentId
    job_id: str
    lease_id: str
    fence: int
    code: str


@dataclass(frozen=True, slots=True)
class Cancel:
    """-> JobView. A job that no agent has ends at once; of another its agent is told. Raises not_found, job.ended"""

    tenant: str
    pools: tuple[str, ...]
    job_id: str


@dataclass(frozen=True, slots=True)
class Retry:
    """-> JobView. A dead letter is queued again by an operator. Raises not_found, job.ended, job.expired"""

    tenant: str
    job_id: str


@dataclass(frozen=True, slots=True)
class Fetched:
    """-> the result's id when it was deleted, for its parts. Its submitter has all of it. Raises not_found"""

    tenant: str
    job_id: str


@dataclass(frozen=True, slots=True)
class OpenSession:
    """-> SessionView. Raises auth.invalid for a revoked agent, session.held"""

    hello: Hello
    session: str


@dataclass(frozen=True, slots=True)
class Seen:
    """-> None. Signs of life of sessions since the last batch, Unix seconds by session."""

    sessions: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class DrainSession:
    """-> None. No more offers to it. Raises session.unknown"""

    agent: AgentId
    session: str


@dataclass(frozen=True, slots=True)
class CloseSession:
    """-> None. Its unaccepted offers go back at once. Idempotent."""

    agent: AgentId
    session: str


@dataclass(frozen=True, slots=True)
class Tick:
    """-> Ticked. What time does: offers lapse, leases are lost, jobs expire, results and old jobs are deleted."""

    keep_results_seconds: float
    keep_jobs_seconds: float


@dataclass(frozen=True, slots=True)
class PutToken:
    """-> None."""

    token: NewToken


@dataclass(frozen=True, slots=True)
class RevokeToken:
    """-> bool: there was one."""

    token_id: str


@dataclass(frozen=True, slots=True)
class Enroll:
    """-> pool. Takes one use of an enrolment token and knows the agent from now on.

    `tenant` comes from the token. Raises enroll.token, auth.invalid for a name that was revoked
    """

    token_hash: str
    name: str
    labels: Mapping[str, str]
    serial: str
    not_after: float


@dataclass(frozen=True, slots=True)
class Renewed:
    """-> None. A new certificate of an enrolled agent. Raises auth.invalid"""

    agent: AgentId
    serial: str
    not_after: float


@dataclass(frozen=True, slots=True)
class RevokeAgent:
    """-> AgentView. Its certificates count no more, its leases are lost. Raises not_found"""

    tenant: str
    name: str


Op = (
    Submit
    | Lease
    | Accept
    | HandBack
    | Beat
    | Progress
    | Upload
    | Complete
    | Rejected
    | Cancel
    | Retry
    | Fetched
    | OpenSession
    | Seen
    | DrainSession
    | CloseSession
    | Tick
    | PutToken
    | RevokeToken
    | Enroll
    | Renewed
    | RevokeAgent
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticked:
    """What a tick changed. `queued` are the queues that have new work; `ended` jobs by id; `dropped` result ids."""

    queued: frozenset[str] = frozenset()
    ended: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    orders: tuple[str, ...] = ()
    """Sessions that have something to be told."""
