"""`Table` -> `Masked`: the second net and the caps on what leaves, while it streams."""

from collections.abc import Iterator

from agent.core.errors import Fault
from agent.core.job import Format, OnLimit
from agent.core.limits import Limits
from agent.core.plan import MaskedPlan
from agent.core.table import Batch, Masked, Table, Tally
from agent.masking.pii.net import Net
from agent.masking.policy import Policy


def release(
    table: Table,
    plan: MaskedPlan,
    policy: Policy,
    limits: Limits,
    *,
    on_limit: OnLimit,
    format: Format,  # noqa: A002
) -> Masked:
    """The rows that may leave. `limits` are the site's, already clamped by the job's; the policy's caps apply too.

    The second net looks at all that would leave: raises Refuse(policy.pii), the returned batches too. These raise
    Fault(limit.rows | limit.bytes) when a cap is met and `on_limit` is `fail`; with `truncate` they end there, and
    `Masked.tally.truncated` says so.
    """
    tally = Tally()
    rows = min(limits.rows, policy.release.max_rows)
    size = min(limits.bytes, policy.release.max_bytes)
    table = Net(policy.release.pii_net, table, tally, plan.exempt).table()
    batches = _capped(table.batches, tally, rows, size, on_limit)
    return Masked(table.schema, batches, plan.disclosure, format, tally)


def _capped(batches: Iterator[Batch], tally: Tally, rows: int, size: int, on_limit: OnLimit) -> Iterator[Batch]:
    for batch in batches:
        room = _room(batch, tally, rows, size)
        if room < batch.num_rows:
            if on_limit == "fail":
                code, what = ("limit.rows", "rows") if tally.rows + batch.num_rows > rows else ("limit.bytes", "bytes")
                raise Fault(code, f"The result has more {what} than may leave.")
            tally.truncated = True
        kept = batch if room == batch.num_rows else batch.slice(0, room)
        if kept.num_rows:
            tally.rows += kept.num_rows
            tally.bytes += _share(batch, kept.num_rows)
            yield kept
        if tally.truncated:
            return


def _room(batch: Batch, tally: Tally, rows: int, size: int) -> int:
    """How many of the batch's rows fit. Bytes are shared out evenly over a batch."""
    by_rows = min(batch.num_rows, rows - tally.rows)
    if tally.bytes + batch.nbytes <= size or not batch.num_rows:
        return by_rows
    return min(by_rows, (size - tally.bytes) * batch.num_rows // max(batch.nbytes, 1))


def _share(batch: Batch, rows: int) -> int:
    return batch.nbytes * rows // max(batch.num_rows, 1)
