"""The frequent operations for PostgreSQL: a run of one kind in a few statements, with the rules of `router.store.ops`.

Each module reads the rows that its run is about, lets the same functions decide as for one operation, one after the
other over these rows, and writes what changed. Rows are always locked in the same order of the same tables.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from router.core import ops
from router.store.bulk import leases, results, sessions, submits
from router.store.bulk.wire import Wire

HANDLERS: Mapping[type[ops.Op], Callable[[Wire, Sequence[Any]], list[object]]] = {
    ops.Seen: sessions.seen,
    ops.Beat: sessions.beat,
    ops.Accept: leases.accept,
    ops.Complete: results.complete,
    ops.Submit: submits.submit,
    ops.Lease: leases.lease,
}


def apply(wire: Wire, run: Sequence[ops.Op]) -> list[object]:
    """Do a run of one frequent kind; each operation's answer or its RouterProblem."""
    return HANDLERS[type(run[0])](wire, run)
