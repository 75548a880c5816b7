"""Jobs come in, are cancelled, and are tried again."""

from typing import Any

from router.core import ops
from router.core.jobs import ENDED, HELD, JobView, NewJob, slot_of
from router.core.news import job_key, queue_key, session_key
from router.core.problem import RouterProblem
from router.store.ops.common import NOBODY, end, locked, view
from router.store.rows import queue_of
from router.store.tx import Row, Tx


def submit(tx: Tx, op: ops.Submit) -> JobView:
    """See `ops.Submit`."""
    job = op.job
    there = tx.one("SELECT tenant, digest FROM jobs WHERE id = ?", (job.id,))
    if not fresh(there, job, tx.now):
        return view(tx, job.id)
    used = tx.one(f"SELECT open_jobs, bytes FROM usage WHERE tenant = ?{tx.lock}", (job.tenant,))  # noqa: S608  constant
    check_room(op, *((0, 0) if used is None else (used["open_jobs"], used["bytes"])))
    tx.run(
        "INSERT INTO usage (tenant, open_jobs, bytes) VALUES (?, 1, ?) ON CONFLICT (tenant)"
        " DO UPDATE SET open_jobs = usage.open_jobs + 1, bytes = usage.bytes + excluded.bytes",
        (job.tenant, len(job.envelope)),
    )
    row = first_row(job, _turn(tx, queue_of(job.tenant, job.audience), job), tx.now)
    columns, places = ", ".join(row), ", ".join("?" * len(row))
    tx.run(f"INSERT INTO jobs ({columns}) VALUES ({places})", tuple(row.values()))  # noqa: S608  constant
    tx.run("INSERT INTO envelopes (job_id, envelope) VALUES (?, ?)", (job.id, job.envelope))
    if row["state"] == "queued":
        tx.tell(queue_key(row["queue"]))
    return view(tx, job.id)


def fresh(there: Row | None, job: NewJob, now: float) -> bool:
    """Whether the job is new. Args: `there` is the job of this id. Raises RouterProblem(job.conflict, job.expired)."""
    if there is not None:
        if (there["tenant"], there["digest"]) != (job.tenant, job.digest):
            raise RouterProblem("job.conflict")
        return False
    if job.expires < now:
        raise RouterProblem("job.expired")
    return True


def check_room(op: ops.Submit, open_jobs: int, size: int) -> None:
    """Args: what the tenant has already: jobs, bytes. Raises RouterProblem(quota.jobs, quota.bytes)."""
    if open_jobs >= op.max_open:
        raise RouterProblem("quota.jobs", retry_after=5.0)
    if size + len(op.job.envelope) > op.max_bytes:
        raise RouterProblem("quota.bytes", retry_after=30.0)


def first_row(job: NewJob, turn: int, now: float) -> dict[str, Any]:
    """A new job's row, as far as its columns have no default."""
    return {
        "id": job.id,
        "tenant": job.tenant,
        "audience": job.audience,
        "queue": queue_of(job.tenant, job.audience),
        "slot": slot_of(job.kind),
        "kind": job.kind,
        "submitter": job.submitter,
        "digest": job.digest,
        "kid": job.kid,
        "priority": job.priority,
        "turn": turn,
        "state": "waiting" if job.not_before > now else "queued",
        "max_attempts": job.max_attempts,
        "idempotent": int(job.idempotent),
        "not_before": job.not_before,
        "expires": job.expires,
        "result_until": job.result_until,
        "created": now,
        "changed": now,
        "size": len(job.envelope),
    }


def turn_of(served: int | None, mine: int | None) -> int:
    """Start-time fair queueing: behind the submitter's own last job, but never behind what was served already.

    P. Goyal, H. M. Vin, H. Cheng: Start-time fair queueing (SIGCOMM 1996), with every job of length 1.
    """
    return max(served or 0, 0 if mine is None else mine + 1)


def _turn(tx: Tx, queue: str, job: NewJob) -> int:
    found = tx.all("SELECT submitter, last FROM turns WHERE queue = ? AND submitter IN ('', ?)", (queue, job.submitter))
    last = {row["submitter"]: row["last"] for row in found}
    turn = turn_of(last.get(""), last.get(job.submitter))
    tx.run(
        "INSERT INTO turns (queue, submitter, last) VALUES (?, ?, ?) ON CONFLICT (queue, submitter)"
        " DO UPDATE SET last = excluded.last",
        (queue, job.submitter, turn),
    )
    return turn


def cancel(tx: Tx, op: ops.Cancel) -> JobView:
    """See `ops.Cancel`."""
    row = locked(tx, op.job_id)
    in_scope = not op.pools or row["audience"] in {f"pool:{pool}" for pool in op.pools}
    if row["tenant"] != op.tenant or not in_scope:
        raise RouterProblem("not_found")
    if row["state"] in ENDED:
        raise RouterProblem("job.ended")
    if row["state"] in HELD:
        tx.run("UPDATE jobs SET cancelling = 1, changed = ? WHERE id = ?", (tx.now, row["id"]))
        tx.tell(job_key(row["id"]), *([session_key(row["session"])] if row["session"] else []))
    else:
        end(tx, row, "cancelled", "job.cancelled")
    return view(tx, op.job_id)


def retry(tx: Tx, op: ops.Retry) -> JobView:
    """See `ops.Retry`. The agents' ledgers still decide whether it may run twice."""
    row = locked(tx, op.job_id)
    if row["tenant"] != op.tenant:
        raise RouterProblem("not_found")
    if row["state"] != "dead":
        raise RouterProblem("job.ended", "Only a dead letter can be tried again.")
    if row["expires"] < tx.now:
        raise RouterProblem("job.expired")
    tx.run(
        f"UPDATE jobs SET state = 'queued', code = NULL, outcome = NULL, changed = ?, {NOBODY} WHERE id = ?",  # noqa: S608  constant
        (tx.now, row["id"]),
    )
    tx.run("UPDATE usage SET open_jobs = open_jobs + 1 WHERE tenant = ?", (row["tenant"],))
    tx.tell(queue_key(row["queue"]), job_key(row["id"]))
    return view(tx, op.job_id)
