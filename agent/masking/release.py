"""`Table` -> `Masked`: the second net and the caps on what leaves, while it streams."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from agent.core.errors import Fault
from agent.core.job import Format, OnLimit
from agent.core.limits import Limits
from agent.core.plan import MaskedPlan
from agent.core.table import Batch, Disclosure, Masked, Table, Tally
from agent.masking.exact import exact
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
    return passed(table, caps_of(policy, limits), policy, plan.disclosure, Form(on_limit, format), plan.exempt)


@dataclass(frozen=True, slots=True)
class Caps:
    """The most rows and bytes of Arrow data; `what` they are of, for the sentence that says so."""

    rows: int
    bytes: int
    what: str = "The result has more {} than may leave."


@dataclass(frozen=True, slots=True)
class Form:
    """What happens at a cap, and the format that rows leave in."""

    on_limit: OnLimit
    format: Format = "arrow"


def caps_of(policy: Policy, limits: Limits) -> Caps:
    """Those of a result."""
    return Caps(min(limits.rows, policy.release.max_rows), min(limits.bytes, policy.release.max_bytes))


def passed(  # noqa: PLR0917 - the terms of a release
    table: Table, caps: Caps, policy: Policy, disclosure: Disclosure, form: Form, exempt: Collection[str] = ()
) -> Masked:
    """The rows that pass the second net, up to the caps, and nothing of those behind. Raises as `release` does.

    `exempt` are columns that the net does not look at.
    """
    tally = Tally()
    table = Net(policy.release.pii_net, table, tally, exempt).table()
    batches = _capped(table.batches, tally, caps, form.on_limit)
    return Masked(table.schema, batches, disclosure, form.format, tally)


def _capped(batches: Iterator[Batch], tally: Tally, caps: Caps, on_limit: OnLimit) -> Iterator[Batch]:
    rows, size = caps.rows, caps.bytes
    for batch in batches:
        room = _room(batch, tally, rows, size)
        if room < batch.num_rows:
            if on_limit == "fail":
                code, what = ("limit.rows", "rows") if tally.rows + batch.num_rows > rows else ("limit.bytes", "bytes")
                raise Fault(code, caps.what.format(what))
            tally.truncated = True
        kept = batch if room == batch.num_rows else batch.slice(0, room)
        if kept.num_rows:
            tally.rows += kept.num_rows
            tally.bytes += _share(batch, kept.num_rows)
            yield exact(kept)
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
