"""Jobs are offered, accepted, kept alive and handed back."""

from collections.abc import Mapping
from typing import Literal

from agent.wire.ids import new_ulid
from router.core import ops
from router.core.jobs import HELD, OFFER_SECONDS, JobView, Offered, Slot
from router.core.news import job_key
from router.core.problem import RouterProblem
from router.store.ops.common import end, leased, let_go, locked, view
from router.store.rows import queue_of
from router.store.tx import Row, Tx

Beaten = Literal["ok", "cancel", "lost"]

_CANDIDATES = (
    "SELECT id, queue, priority, turn FROM jobs WHERE queue = ? AND slot = ? AND state = 'queued'"
    " ORDER BY priority DESC, turn, id LIMIT ?"
)


def lease(tx: Tx, op: ops.Lease) -> tuple[Offered, ...]:
    """See `ops.Lease`."""
    session = tx.one("SELECT agent, tenant, draining FROM sessions WHERE id = ?", (op.session,))
    if not may_lease(session, op):
        return ()
    queues = queues_of(op)
    return tuple(
        _offer(tx, op, row) for slot, free in op.free.items() if free > 0 for row in _first(tx, queues, slot, free)
    )


def may_lease(session: Row | None, op: ops.Lease) -> bool:
    """Whether the session takes jobs. Raises RouterProblem(session.unknown)."""
    if session is None or (session["tenant"], session["agent"]) != (op.tenant, op.agent):
        raise RouterProblem("session.unknown")
    return not session["draining"]


def queues_of(op: ops.Lease) -> tuple[str, str]:
    """Where a session's jobs come from."""
    return queue_of(op.tenant, f"agent:{op.agent}"), queue_of(op.tenant, f"pool:{op.pool}")


def _first(tx: Tx, queues: tuple[str, ...], slot: Slot, free: int) -> list[Row]:
    found = [row for queue in queues for row in tx.all(_CANDIDATES + tx.skip_locked, (queue, slot, free))]
    return sorted(found, key=place)[:free]


def place(row: Row) -> tuple[int, int, str]:
    """Where a queued job stands among those of other queues."""
    return -row["priority"], row["turn"], row["id"]


def _offer(tx: Tx, op: ops.Lease, row: Row) -> Offered:
    lease_id, until = new_ulid(tx.now), tx.now + OFFER_SECONDS
    given = tx.one(
        "UPDATE jobs SET state = 'offered', fence = fence + 1, lease_id = ?, session = ?, agent = ?, offer_expires = ?,"
        " changed = ? WHERE id = ? RETURNING fence, attempt",
        (lease_id, op.session, op.agent, until, tx.now, row["id"]),
    )
    envelope = tx.one("SELECT envelope FROM envelopes WHERE job_id = ?", (row["id"],))
    assert given is not None, "the row was just read"
    assert envelope is not None, "a queued job has its envelope"
    tx.run(
        "INSERT INTO turns (queue, submitter, last) VALUES (?, '', ?) ON CONFLICT (queue, submitter)"
        " DO UPDATE SET last = excluded.last WHERE turns.last < excluded.last",
        (row["queue"], row["turn"]),
    )
    return Offered(
        job_id=row["id"],
        envelope=bytes(envelope["envelope"]),
        lease_id=lease_id,
        attempt=given["attempt"] + 1,
        fence=given["fence"],
        offer_expires=until,
    )


def accept(tx: Tx, op: ops.Accept) -> int:
    """See `ops.Accept`."""
    row = leased(locked(tx, op.job_id), op.agent, op.lease_id, op.fence)
    if accepting(row, op, tx.now):
        tx.run(
            "UPDATE jobs SET state = 'running', attempt = attempt + 1, offer_expires = NULL, changed = ? WHERE id = ?",
            (tx.now, op.job_id),
        )
        tx.tell(job_key(op.job_id))
        return int(row["attempt"]) + 1
    return int(row["attempt"])


def accepting(row: Row, op: ops.Accept, now: float) -> bool:
    """Whether the job of this lease starts now; False when it has started. Raises RouterProblem."""
    if row["state"] in {"running", "uploading"}:
        return False
    if row["state"] != "offered" or row["session"] != op.session or row["offer_expires"] < now:
        raise RouterProblem("offer.lapsed")
    if row["cancelling"]:
        raise RouterProblem("lease.lost", "The job was cancelled.")
    return True


def hand_back(tx: Tx, op: ops.HandBack) -> int:
    """See `ops.HandBack`."""
    back = 0
    for lease_id in op.leases:
        row = tx.one(f"SELECT * FROM jobs WHERE lease_id = ?{tx.lock}", (lease_id,))  # noqa: S608  constant
        if row and (row["tenant"], row["agent"], row["state"]) == (op.agent.tenant, op.agent.name, "offered"):
            let_go(tx, row)
            back += 1
    return back


def beat(tx: Tx, op: ops.Beat) -> Mapping[str, Beaten]:
    """See `ops.Beat`. Raises RouterProblem(session.unknown)."""
    here = tx.run(
        "UPDATE sessions SET seen = ? WHERE id = ? AND tenant = ? AND agent = ?",
        (tx.now, op.session, op.agent.tenant, op.agent.name),
    )
    if not here:
        raise RouterProblem("session.unknown")
    held = tx.all("SELECT lease_id, cancelling FROM jobs WHERE session = ? AND lease_id IS NOT NULL"
                  " AND state IN ('offered', 'running', 'uploading')", (op.session,))  # fmt: skip
    return fates(op, {row["lease_id"]: bool(row["cancelling"]) for row in held})


def fates(op: ops.Beat, held: Mapping[str, bool]) -> Mapping[str, Beaten]:
    """What becomes of the leases that an agent names. Args: `held`: those of its session, and which are to end."""
    return {one: "lost" if one not in held else "cancel" if held[one] else "ok" for one in op.leases}


def progress(tx: Tx, op: ops.Progress) -> None:
    """See `ops.Progress`."""
    row = leased(locked(tx, op.job_id), op.agent, op.lease_id, op.fence)
    if row["state"] not in HELD:
        raise RouterProblem("lease.lost")
    tx.run("UPDATE jobs SET phase = ?, rows_about = ? WHERE id = ?", (op.phase, op.rows, op.job_id))
    tx.tell(job_key(op.job_id))


def rejected(tx: Tx, op: ops.Rejected) -> JobView:
    """See `ops.Rejected`."""
    row = leased(locked(tx, op.job_id), op.agent, op.lease_id, op.fence)
    if row["state"] in HELD:
        end(tx, row, "refused", op.code, outcome="rejected")
    elif row["code"] != op.code:
        raise RouterProblem("lease.lost")
    return view(tx, op.job_id)
