"""What `agent status --json` and `agent doctor --json` print -> JSON Schemas: `python -m agent.service.schemas DIR`."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from agent.service.board import State

_DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
Time = Annotated[
    str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$", description="ISO 8601 in UTC, to the second.")
]
Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0)]
Level = Literal["ok", "note", "warning", "error"]


class _Part(BaseModel):
    """Base: nothing else stands in it."""

    model_config = ConfigDict(extra="forbid")


class Configuration(_Part):
    """The configuration in force, and what was wrong with a newer one."""

    path: str
    sha256: str
    loaded: Time
    rejected: str | None


class Platform(_Part):
    """Where jobs come from."""

    kind: str
    url: str
    last_ok: Time | None
    last_error: str | None
    last_error_at: Time | None
    session: str | None
    leases: Count
    latency_seconds: Seconds | None
    clock_skew_seconds: float | None


class Certificate(_Part):
    """The client certificate of a network transport."""

    subject: str
    serial: str
    begins: Time
    ends: Time
    days_left: float
    renews: Time | None
    valid: bool


class Source(_Part):
    """One of the configured sources."""

    name: str
    type: str
    ok: bool | None
    last_test: Time | None
    latency_seconds: Seconds | None
    read_only: bool | None


class Lane(_Part):
    """Slots of one kind of job."""

    running: Count
    slots: Count


class UnderWay(_Part):
    """A job that runs. `ref` is the carrier's name for it."""

    ref: str
    phase: Literal["starting", "running", "sealing", "delivering"]


class Trouble(_Part):
    """A code that jobs or envelopes ended with since the start."""

    code: str
    outcome: Literal["refused", "failed", "rejected"]
    count: Count
    last: Time
    meaning: str
    fix: str


class Jobs(_Part):
    """Counts of jobs; `_24h` are the last 24 hours."""

    running: Count
    slots: Count
    sql: Lane
    python: Lane
    phases: dict[str, Count]
    under_way: list[UnderWay]
    done_24h: Count
    refused_24h: Count
    failed_24h: Count
    rejected_24h: Count
    dropped_24h: Count
    queue: Count | None
    oldest: Time | None
    troubles: list[Trouble]


class Reason(_Part):
    """What a probe of the sandbox found wanting."""

    check: str
    level: Level
    found: str
    fix: str


class Sandbox(_Part):
    """The sandbox of Python jobs."""

    state: Literal["off", "waiting", "starting", "ready", "resting", "failed"]
    tier: Literal["full", "container", "none"] | None
    min_tier: Literal["full", "container"] | None
    outer: str | None
    running: Count
    waiting: Count
    memory_mb: Count
    memory_budget_mb: Count | None
    problem: str | None
    reasons: list[Reason]


class Isolation(_Part):
    """What keeps jobs apart."""

    tier: str
    why_not_higher: str | None
    python: Sandbox


class Policy(_Part):
    """The policy in force."""

    version: int
    sha256: str


class Audit(_Part):
    """The audit log."""

    last_seq: Count | None
    chain_ok: bool | None


class Spool(_Part):
    """Sealed results that wait for delivery."""

    bytes: Count
    results: Count
    oldest: Time | None
    disk_free_bytes: Count | None


class Limits(_Part):
    """The site's limits for one job."""

    wall_seconds: float
    cpu_seconds: int
    memory_mb: int
    rows: int
    bytes: int
    stdout_kb: int


class Status(_Part):
    """`agent status --json`. docs/operate/status.md explains every field."""

    version: str
    agent: str
    agent_id: str
    pool: str
    tenant: str
    mode: Literal["airgapped", "hybrid", "cloud"]
    pid: int
    written: Time
    started: Time
    uptime_seconds: Count
    state: State
    health: list[str]
    taking_jobs: bool
    config: Configuration
    loops: dict[str, str]
    platform: Platform
    certificate: Certificate | None
    sources: list[Source]
    jobs: Jobs
    isolation: Isolation
    policy: Policy
    audit: Audit
    spool: Spool
    limits: Limits
    live: bool = Field(description="Whether the agent itself answered; else this is its last status.json.")
    age_seconds: Seconds = Field(description="How old the document is.")


class Found(_Part):
    """One line: what was looked at, what was found, what should have been, what to do."""

    check: str
    level: Level
    found: str
    fix: str
    expected: str


class Section(_Part):
    """Everything about one subject."""

    name: str
    ok: bool
    findings: list[Found]


class Doctor(_Part):
    """`agent doctor --json`."""

    ok: bool
    exit_code: Literal[0, 1, 69, 77, 78]
    sections: list[Section]


def schemas() -> dict[str, dict[str, Any]]:
    """File name -> schema."""
    return {
        name: {"$schema": _DRAFT, **model.model_json_schema(), "title": title}
        for name, model, title in (
            ("status.schema.json", Status, "Status of an agent"),
            ("doctor.schema.json", Doctor, "What agent doctor found"),
        )
    }


def write(folder: Path) -> None:
    """Write them all."""
    for name, schema in schemas().items():
        (folder / name).write_text(json.dumps(schema, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
