"""Jobs come in, are cancelled, and are tried again."""

from router.core import ops
from router.core.jobs import ENDED, HELD, JobView, NewJob, slot_of
from router.core.problem import RouterProblem
from router.store.ops.common import NOBODY, end, locked, view
from router.store.rows import queue_of
from router.store.tx import Tx

_INSERT = (
    "INSERT INTO jobs (id, tenant, audience, queue, slot, kind, submitter, digest, kid, priority, turn, state,"
    " max_attempts, idempotent, not_before, expires, result_until, created, changed, size)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def submit(tx: Tx, op: ops.Submit) -> JobView:
    """See `ops.Submit`."""
    job = op.job
    there = tx.one("SELECT tenant, digest FROM jobs WHERE id = ?", (job.id,))
    if there is not None:
        if (there["tenant"], there["digest"]) != (job.tenant, job.digest):
            raise RouterProblem("job.conflict")
        return view(tx, job.id)
    if job.expires < tx.now:
        raise RouterProblem("job.expired")
    _take_room(tx, op)
    state = "waiting" if job.not_before > tx.now else "queued"
    queue = queue_of(job.tenant, job.audience)
    tx.run(
        _INSERT,
        (
            *(job.id, job.tenant, job.audience, queue, slot_of(job.kind), job.kind, job.submitter, job.digest, job.kid),
            *(job.priority, _turn(tx, queue, job), state, job.max_attempts, int(job.idempotent), job.not_before),
            *(job.expires, job.result_until, tx.now, tx.now, len(job.envelope)),
        ),
    )
    tx.run("INSERT INTO envelopes (job_id, envelope) VALUES (?, ?)", (job.id, job.envelope))
    if state == "queued":
        tx.wake(queue)
    return view(tx, job.id)


def _take_room(tx: Tx, op: ops.Submit) -> None:
    job = op.job
    used = tx.one(f"SELECT open_jobs, bytes FROM usage WHERE tenant = ?{tx.lock}", (job.tenant,))  # noqa: S608  constant
    open_jobs, size = (0, 0) if used is None else (used["open_jobs"], used["bytes"])
    if open_jobs >= op.max_open:
        raise RouterProblem("quota.jobs", retry_after=5.0)
    if size + len(job.envelope) > op.max_bytes:
        raise RouterProblem("quota.bytes", retry_after=30.0)
    tx.run(
        "INSERT INTO usage (tenant, open_jobs, bytes) VALUES (?, 1, ?) ON CONFLICT (tenant)"
        " DO UPDATE SET open_jobs = usage.open_jobs + 1, bytes = usage.bytes + excluded.bytes",
        (job.tenant, len(job.envelope)),
    )


def _turn(tx: Tx, queue: str, job: NewJob) -> int:
    """Start-time fair queueing: behind the submitter's own last job, but never behind what was served already.

    P. Goyal, H. M. Vin, H. Cheng: Start-time fair queueing (SIGCOMM 1996), with every job of length 1.
    """
    served = tx.one("SELECT last FROM turns WHERE queue = ? AND submitter = ''", (queue,))
    mine = tx.one("SELECT last FROM turns WHERE queue = ? AND submitter = ?", (queue, job.submitter))
    turn = max(served["last"] if served else 0, mine["last"] + 1 if mine else 0)
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
    tx.wake(row["queue"])
    return view(tx, op.job_id)
