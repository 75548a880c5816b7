"""What each operation does within a transaction, the same for every engine.

An operation raises RouterProblem before its first write, or not at all.
"""

from collections.abc import Callable, Mapping
from typing import Any

from router.core import ops
from router.store.ops import agents, leases, results, submits, ticks
from router.store.tx import Tx

HANDLERS: Mapping[type[ops.Op], Callable[[Tx, Any], object]] = {
    ops.Submit: submits.submit,
    ops.Cancel: submits.cancel,
    ops.Retry: submits.retry,
    ops.Lease: leases.lease,
    ops.Accept: leases.accept,
    ops.HandBack: leases.hand_back,
    ops.Beat: leases.beat,
    ops.Progress: leases.progress,
    ops.Rejected: leases.rejected,
    ops.Upload: results.upload,
    ops.Complete: results.complete,
    ops.Fetched: results.fetched,
    ops.OpenSession: agents.open_session,
    ops.Seen: agents.seen,
    ops.DrainSession: agents.drain_session,
    ops.CloseSession: agents.close_session,
    ops.PutToken: agents.put_token,
    ops.RevokeToken: agents.revoke_token,
    ops.Enroll: agents.enroll,
    ops.Renewed: agents.renewed,
    ops.RevokeAgent: agents.revoke_agent,
    ops.Tick: ticks.tick,
}


def apply(tx: Tx, op: ops.Op) -> object:
    """Do one operation. Raises RouterProblem."""
    return HANDLERS[type(op)](tx, op)
