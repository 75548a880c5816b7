"""What several operations do to a job."""

from router.core.agents import AgentId
from router.core.jobs import ENDED, JobView, State
from router.core.news import job_key, queue_key
from router.core.problem import RouterProblem
from router.store import rows
from router.store.rows import JOB_COLUMNS
from router.store.tx import Row, Tx

HELD = "state IN ('offered', 'running', 'uploading')"
OPEN = "state IN ('waiting', 'queued', 'offered', 'running', 'uploading')"
NOBODY = "session = NULL, offer_expires = NULL, phase = NULL, rows_about = NULL"
"""No agent has the job. Its last lease stays: a result under it counts until there is another offer."""


def view(tx: Tx, job_id: str) -> JobView:
    """The job as it stands now. Raises RouterProblem(not_found)."""
    row = tx.one(f"SELECT {JOB_COLUMNS} FROM jobs WHERE id = ?", (job_id,))  # noqa: S608  constant
    if row is None:
        raise RouterProblem("not_found")
    return rows.job(row)


def locked(tx: Tx, job_id: str) -> Row:
    """The whole row of a job, to be changed. Raises RouterProblem(not_found)."""
    row = tx.one(f"SELECT * FROM jobs WHERE id = ?{tx.lock}", (job_id,))  # noqa: S608  constant
    if row is None:
        raise RouterProblem("not_found")
    return row


def leased(row: Row, agent: AgentId, lease_id: str, fence: int) -> Row:
    """The row of a job, which this agent holds under just this lease. Raises RouterProblem(not_found | lease.lost)."""
    if row["tenant"] != agent.tenant:
        raise RouterProblem("not_found")
    if (row["lease_id"], row["fence"], row["agent"]) != (lease_id, fence, agent.name):
        raise RouterProblem("lease.lost")
    return row


def end(tx: Tx, row: Row, state: State, code: str | None, *, outcome: str | None = None) -> None:
    """The job is over. Its lease and fence stay, so that the same result delivered again is known."""
    assert state in ENDED, "not an end"
    tx.run(
        "UPDATE jobs SET state = ?, code = ?, outcome = ?, changed = ?, cancelling = 0, phase = NULL, rows_about = NULL"
        " WHERE id = ?",
        (state, code, outcome, tx.now, row["id"]),
    )
    tx.tell(job_key(row["id"]))
    if row["state"] not in ENDED:
        tx.run("UPDATE usage SET open_jobs = open_jobs - 1 WHERE tenant = ?", (row["tenant"],))


def requeue(tx: Tx, row: Row) -> None:
    """Back to its place in the queue. The fence has to grow with the next offer, so it stays."""
    tx.run(f"UPDATE jobs SET state = 'queued', changed = ?, {NOBODY} WHERE id = ?", (tx.now, row["id"]))  # noqa: S608  constant
    tx.tell(queue_key(row["queue"]), job_key(row["id"]))


def let_go(tx: Tx, row: Row) -> State:
    """What becomes of a job whose agent does not have it any more; the state that it is in now.

    An offer goes back without an attempt counted. A running job may run again only when it is idempotent, has attempts
    left and may still start; else it is dead, and only a late result under its last fence can change that.
    """
    if row["cancelling"]:
        end(tx, row, "cancelled", "job.cancelled")
        return "cancelled"
    startable = tx.now <= row["expires"]
    if row["state"] == "offered" and startable:
        requeue(tx, row)
        return "queued"
    if row["state"] == "offered":
        end(tx, row, "timed_out", "job.expired")
        return "timed_out"
    if row["idempotent"] and row["attempt"] < row["max_attempts"] and startable:
        requeue(tx, row)
        return "queued"
    end(tx, row, "dead", "job.lost")
    return "dead"
