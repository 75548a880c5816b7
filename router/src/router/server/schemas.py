"""What submitters are told, as OpenAPI describes it."""

from pydantic import BaseModel, ConfigDict, Field

from router.core.jobs import ENDED, JobView, State


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Job(_Model):
    """Where a job stands. Times are Unix seconds. `rows` is a bucket: `0`, `<10`, `10`, `100`, …"""

    id: str
    audience: str
    kind: str
    state: State
    ended: bool = Field(description="Whether the state is final.")
    code: str | None = Field(description="The outcome's code once it ended; docs/errors.md explains each.")
    attempt: int
    max_attempts: int
    priority: int
    created: float
    changed: float
    expires: float
    result_until: float
    agent: str | None
    phase: str | None
    rows: str | None
    cancelling: bool
    result: bool = Field(description="Whether a sealed result can be fetched.")


class Jobs(_Model):
    """A page of jobs, newest first; `next` is the id to pass as `before`."""

    jobs: list[Job]
    next: str | None


class Agent(_Model):
    """An enrolled agent of this tenant. Times are Unix seconds."""

    name: str
    pool: str
    labels: dict[str, str]
    online: bool
    draining: bool
    seen: float | None
    slots: dict[str, int]
    version: str
    certificate_until: float
    revoked: bool


class Pool(_Model):
    """A queue of this tenant."""

    audience: str
    queued: int
    oldest: float | None
    held: int
    agents: int


class Problem(_Model):
    """Every answer that is an error: a stable code, what happened, what to do."""

    code: str
    message: str
    hint: str = ""


def job_of(job: JobView) -> Job:
    """As a submitter sees it."""
    return Job(
        id=job.id,
        audience=job.audience,
        kind=job.kind,
        state=job.state,
        ended=job.state in ENDED,
        code=job.code,
        attempt=job.attempt,
        max_attempts=job.max_attempts,
        priority=job.priority,
        created=job.created,
        changed=job.changed,
        expires=job.expires,
        result_until=job.result_until,
        agent=job.agent,
        phase=job.phase,
        rows=job.rows,
        cancelling=job.cancelling,
        result=job.result_id is not None,
    )
