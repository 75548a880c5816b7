"""What time alone does to jobs, sessions and results."""

from router.core import ops
from router.core.jobs import LEASE_SECONDS
from router.core.news import job_key, queue_key
from router.store.ops.common import end, let_go
from router.store.ops.results import forget
from router.store.tx import Tx

_MOST = 1000
"""Rows of a sort that one tick changes; the next one does the rest."""
_LAST_WORDS_SECONDS = 5.0
"""After a job's latest delivery: an answer may be under way."""

_DUE = "SELECT * FROM jobs WHERE state = 'waiting' AND not_before <= ? LIMIT ?"
_EXPIRED = "SELECT * FROM jobs WHERE state IN ('waiting', 'queued') AND expires < ? LIMIT ?"
_LAPSED = "SELECT * FROM jobs WHERE state = 'offered' AND offer_expires < ? LIMIT ?"
_OVERDUE = "SELECT * FROM jobs WHERE state IN ('offered', 'running', 'uploading') AND result_until < ? LIMIT ?"
# A job is lost with its session, whoever of several Routers heard of it last. No session: another took over, or it
# was closed.
_LOST = """
SELECT j.* FROM jobs j LEFT JOIN sessions s ON s.tenant = j.tenant AND s.agent = j.agent
WHERE j.state IN ('running', 'uploading') AND j.changed < ? AND (s.id IS NULL OR s.seen < ?) LIMIT ?
"""
_OLD_RESULTS = "SELECT result_id FROM results WHERE created < ? AND manifest IS NOT NULL LIMIT ?"
_OLD_JOBS = """
SELECT * FROM jobs
WHERE state NOT IN ('waiting', 'queued', 'offered', 'running', 'uploading') AND changed < ? LIMIT ?
"""


def tick(tx: Tx, op: ops.Tick) -> ops.Ticked:
    """See `ops.Tick`. Each change is one row's: a tick that is cut short is gone on with by the next."""
    queued: set[str] = set()
    ended: list[str] = []
    for row in tx.all(_DUE + tx.skip_locked, (tx.now, _MOST)):
        tx.run("UPDATE jobs SET state = 'queued', changed = ? WHERE id = ?", (tx.now, row["id"]))
        tx.tell(queue_key(row["queue"]), job_key(row["id"]))
        queued.add(row["queue"])
    for sql, moment in ((_EXPIRED, tx.now), (_OVERDUE, tx.now - _LAST_WORDS_SECONDS)):
        for row in tx.all(sql + tx.skip_locked, (moment, _MOST)):
            end(tx, row, "timed_out", "job.expired" if sql is _EXPIRED else "job.overdue")
            ended.append(row["id"])
    silent = tx.now - LEASE_SECONDS
    lapsed = tx.all(_LAPSED + tx.skip_locked, (tx.now, _MOST))
    lost = tx.all(_LOST + (" FOR UPDATE OF j SKIP LOCKED" if tx.lock else ""), (silent, silent, _MOST))
    for row in (*lapsed, *lost):
        if let_go(tx, row) == "queued":
            queued.add(row["queue"])
        else:
            ended.append(row["id"])
    return ops.Ticked(queued=frozenset(queued), ended=tuple(ended), dropped=_sweep(tx, op))


def _sweep(tx: Tx, op: ops.Tick) -> tuple[str, ...]:
    """Delete results whose time is over, and jobs that ended long ago; the ids of results whose parts are to go."""
    dropped = [row["result_id"] for row in tx.all(_OLD_RESULTS, (tx.now - op.keep_results_seconds, _MOST))]
    for result_id in dropped:
        forget(tx, result_id)
    for row in tx.all(_OLD_JOBS + tx.skip_locked, (tx.now - op.keep_jobs_seconds, _MOST)):
        results = tx.all("SELECT result_id FROM results WHERE job_id = ?", (row["id"],))
        for result in results:
            forget(tx, result["result_id"])
            dropped.append(result["result_id"])
        tx.run("DELETE FROM results WHERE job_id = ?", (row["id"],))
        tx.run("DELETE FROM envelopes WHERE job_id = ?", (row["id"],))
        tx.run("DELETE FROM jobs WHERE id = ?", (row["id"],))
        tx.run("UPDATE usage SET bytes = bytes - ? WHERE tenant = ?", (row["size"], row["tenant"]))
    return tuple(dropped)
