"""Rows of the tables -> the types of `router.core`. Shared by every engine."""

import json
from collections.abc import Mapping
from typing import Any

from router.core.agents import AgentView, SessionView, TokenView
from router.core.jobs import JobView

Row = Mapping[str, Any]

JOB_COLUMNS = (
    "id, tenant, audience, kind, state, attempt, max_attempts, priority, created, changed, expires, result_until,"
    " agent, code, outcome, result_id, digest, cancelling, phase, rows_about, submitter"
)
AGENT_COLUMNS = (
    "a.tenant AS tenant, a.name AS name, a.pool AS pool, a.labels AS labels, a.enrolled AS enrolled,"
    " a.not_after AS not_after, a.revoked AS revoked, s.seen AS seen, s.id AS session, s.slots AS slots,"
    " s.version AS version, s.draining AS draining"
)


def queue_of(tenant: str, audience: str) -> str:
    """The name of a queue: a tenant's jobs for one agent or one pool."""
    return f"{tenant}/{audience}"


def job(row: Row) -> JobView:
    """A row of JOB_COLUMNS."""
    return JobView(
        id=row["id"],
        tenant=row["tenant"],
        audience=row["audience"],
        kind=row["kind"],
        state=row["state"],
        attempt=row["attempt"],
        max_attempts=row["max_attempts"],
        priority=row["priority"],
        created=row["created"],
        changed=row["changed"],
        expires=row["expires"],
        result_until=row["result_until"],
        agent=row["agent"],
        code=row["code"],
        outcome=row["outcome"],
        result_id=row["result_id"],
        digest=row["digest"],
        cancelling=bool(row["cancelling"]),
        phase=row["phase"],
        rows=row["rows_about"],
        submitter=row["submitter"],
    )


def agent(row: Row) -> AgentView:
    """A row of AGENT_COLUMNS: an agent `a` with its session `s`, if it has one."""
    return AgentView(
        tenant=row["tenant"],
        name=row["name"],
        pool=row["pool"],
        labels=json.loads(row["labels"]),
        enrolled=row["enrolled"],
        not_after=row["not_after"],
        revoked=row["revoked"],
        seen=row["seen"],
        session=row["session"],
        slots=json.loads(row["slots"]) if row["slots"] else {},
        version=row["version"] or "",
        draining=bool(row["draining"]),
    )


def session(row: Row) -> SessionView:
    """A row of `sessions`."""
    return SessionView(
        id=row["id"],
        tenant=row["tenant"],
        agent=row["agent"],
        pool=row["pool"],
        instance=row["instance"],
        draining=bool(row["draining"]),
    )


def token(row: Row) -> TokenView:
    """A row of `tokens`."""
    return TokenView(
        id=row["id"],
        kind=row["kind"],
        tenant=row["tenant"],
        pools=tuple(json.loads(row["pools"])),
        labels=json.loads(row["labels"]),
        uses_left=row["uses_left"],
        expires=row["expires"],
        created=row["created"],
        revoked=row["revoked"],
        note=row["note"],
    )


def parts(text: str) -> tuple[tuple[str, int], ...]:
    """The digests and sizes of a result's parts."""
    return tuple((str(digest), int(size)) for digest, size in json.loads(text))
