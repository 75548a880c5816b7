"""Sealed results arrive, are fetched, and go."""

import json

from router.core import ops
from router.core.jobs import HELD, Manifest, state_of
from router.core.problem import RouterProblem
from router.store.ops.common import end, leased, locked, view
from router.store.tx import Row, Tx


def upload(tx: Tx, op: ops.Upload) -> None:
    """See `ops.Upload`. A job whose lease lapsed still takes its result, as long as no later offer was made."""
    row = leased(locked(tx, op.job_id), op.agent, op.lease_id, op.fence)
    if row["result_id"] is not None and row["result_id"] != op.result_id:
        raise RouterProblem("result.conflict")
    if row["state"] == "running":
        tx.run("UPDATE jobs SET state = 'uploading', changed = ? WHERE id = ?", (tx.now, op.job_id))


def complete(tx: Tx, op: ops.Complete) -> ops.Landed:
    """See `ops.Complete`. A result under the last lease counts, also when the job was thought to be lost."""
    manifest = op.manifest
    row = locked(tx, op.job_id)
    there = tx.one("SELECT job_id, tenant, digest, state FROM results WHERE result_id = ?", (manifest.result_id,))
    state = landing(row, there, op)
    if there is None:
        tx.run(
            "INSERT INTO results (result_id, job_id, tenant, digest, state, fence, created, manifest, inline_parts,"
            " parts, size) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(manifest.result_id, op.job_id, op.agent.tenant, manifest.digest, state, op.fence, tx.now),
                *(manifest.token, op.inline, json.dumps(manifest.parts), size_of(manifest)),
            ),
        )
        tx.run("UPDATE usage SET bytes = bytes + ? WHERE tenant = ?", (size_of(manifest), op.agent.tenant))
        if state == "held":
            tx.run("UPDATE jobs SET result_id = ? WHERE id = ?", (manifest.result_id, op.job_id))
            end(tx, row, state_of(manifest.code), manifest.code, outcome=manifest.outcome)
    return ops.Landed(view(tx, op.job_id), late=state == "late")


def landing(row: Row, there: Row | None, op: ops.Complete) -> str:
    """`held` for a result that counts, `late` for one that does not. Raises RouterProblem.

    Args: `there` is the result that is kept under this id already.
    """
    manifest = op.manifest
    if row["tenant"] != op.agent.tenant or manifest.job_digest != row["digest"]:
        raise RouterProblem("not_found")
    if there is not None:
        if (there["job_id"], there["tenant"], there["digest"]) != (op.job_id, op.agent.tenant, manifest.digest):
            raise RouterProblem("result.conflict")
        return str(there["state"])
    last = (row["lease_id"], row["fence"], row["agent"]) == (op.lease_id, op.fence, op.agent.name)
    if row["result_id"] is not None and last:
        raise RouterProblem("result.conflict")
    if not row["fence"]:
        raise RouterProblem("lease.lost")  # it was never offered to anybody
    return "held" if last else "late"


def size_of(manifest: Manifest) -> int:
    """Bytes that a result takes."""
    return len(manifest.token) + sum(size for _, size in manifest.parts)


def fetched(tx: Tx, op: ops.Fetched) -> str | None:
    """See `ops.Fetched`; the id of the result whose parts are to be deleted."""
    row = locked(tx, op.job_id)
    if row["tenant"] != op.tenant:
        raise RouterProblem("not_found")
    if row["result_id"] is None or row["state"] in HELD:
        return None
    return row["result_id"] if forget(tx, str(row["result_id"])) else None


def forget(tx: Tx, result_id: str) -> bool:
    """Delete what was sealed; that there was a result, and which, stays known."""
    row = tx.one(
        f"SELECT tenant, size FROM results WHERE result_id = ? AND manifest IS NOT NULL{tx.lock}",  # noqa: S608  constant
        (result_id,),
    )
    if row is None:
        return False
    tx.run("UPDATE results SET manifest = NULL, inline_parts = NULL, size = 0 WHERE result_id = ?", (result_id,))
    tx.run("UPDATE usage SET bytes = bytes - ? WHERE tenant = ?", (row["size"], row["tenant"]))
    return True
