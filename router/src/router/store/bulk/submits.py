"""Many new jobs."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from router.core import ops
from router.core.jobs import JobView
from router.core.news import queue_key
from router.store import rows
from router.store.bulk.wire import Wire, by, columns, each, unnested
from router.store.ops.submits import check_room, first_row, fresh, turn_of
from router.store.rows import JOB_COLUMNS, queue_of

_KINDS: Final = {
    "priority": "int",
    "turn": "bigint",
    "max_attempts": "int",
    "idempotent": "int",
    "not_before": "float8",
    "expires": "float8",
    "result_until": "float8",
    "created": "float8",
    "changed": "float8",
    "size": "bigint",
}
"""The columns of a new job that are no text."""

_THERE: Final = f"SELECT {JOB_COLUMNS} FROM jobs WHERE id = ANY(%s)"  # noqa: S608  constant
_USAGE: Final = "SELECT tenant, open_jobs, bytes FROM usage WHERE tenant = ANY(%s) ORDER BY tenant FOR UPDATE"
_TURNS: Final = (
    f"SELECT t.queue, t.submitter, t.last FROM turns t JOIN {unnested(('text', 'text'))} AS v(queue, submitter)"  # noqa: S608  constant
    " ON v.queue = t.queue AND v.submitter = t.submitter"
)
_ENVELOPES: Final = f"INSERT INTO envelopes (job_id, envelope) SELECT * FROM {unnested(('text', 'bytea'))}"  # noqa: S608  constant
_USED: Final = (
    f"INSERT INTO usage (tenant, open_jobs, bytes) SELECT * FROM {unnested(('text', 'bigint', 'bigint'))}"  # noqa: S608  constant
    " ON CONFLICT (tenant) DO UPDATE SET open_jobs = usage.open_jobs + excluded.open_jobs,"
    " bytes = usage.bytes + excluded.bytes"
)
_TAKEN: Final = (
    f"INSERT INTO turns (queue, submitter, last) SELECT * FROM {unnested(('text', 'text', 'bigint'))}"  # noqa: S608  constant
    " ON CONFLICT (queue, submitter) DO UPDATE SET last = excluded.last"
)
_DEFAULTS: Final[dict[str, Any]] = {
    **dict.fromkeys(("agent", "code", "outcome", "result_id", "phase", "rows_about")),
    **dict.fromkeys(("attempt", "cancelling"), 0),
}


class _Books:
    """What a run of new jobs finds in the store, and what it adds."""

    def __init__(self, wire: Wire, run: Sequence[ops.Submit]) -> None:
        jobs = [op.job for op in run]
        keys = {(queue_of(job.tenant, job.audience), who) for job in jobs for who in ("", job.submitter)}
        (used,) = wire.ask((_USAGE, [sorted({job.tenant for job in jobs})]))
        # Only after the tenants' rows are locked: what another process adds before is seen here.
        (there, turns) = wire.ask((_THERE, [[job.id for job in jobs]]), (_TURNS, columns(sorted(keys), 2)))
        self.now = wire.now
        self.there = by(there, "id")
        self.open = Counter({row["tenant"]: row["open_jobs"] for row in used})
        self.bytes = Counter({row["tenant"]: row["bytes"] for row in used})
        self.last: dict[tuple[str, str], int] = {(row["queue"], row["submitter"]): row["last"] for row in turns}
        self.new: list[dict[str, Any]] = []
        self.envelopes: list[tuple[str, bytes]] = []
        self.more_open: Counter[str] = Counter()
        self.more_bytes: Counter[str] = Counter()
        self.taken: dict[tuple[str, str], int] = {}

    def submit(self, op: ops.Submit) -> JobView:
        """One more."""
        job = op.job
        there = self.there.get(job.id)
        if not fresh(there, job, self.now):
            assert there is not None, "it is not new"
            return rows.job(there)
        tenant = job.tenant
        check_room(op, self.open[tenant] + self.more_open[tenant], self.bytes[tenant] + self.more_bytes[tenant])
        self.more_open[tenant] += 1
        self.more_bytes[tenant] += len(job.envelope)
        queue = queue_of(tenant, job.audience)
        turn = turn_of(self.last.get((queue, "")), self.last.get((queue, job.submitter)))
        self.last[queue, job.submitter] = self.taken[queue, job.submitter] = turn
        row = first_row(job, turn, self.now)
        self.new.append(row)
        self.envelopes.append((job.id, job.envelope))
        self.there[job.id] = _DEFAULTS | row
        return rows.job(self.there[job.id])


def submit(wire: Wire, run: Sequence[ops.Submit]) -> list[object]:
    """See `ops.Submit`."""
    books = _Books(wire, run)
    answers = each(run, books.submit)
    if not books.new:
        return answers
    names = list(books.new[0])
    kinds = unnested([_KINDS.get(name, "text") for name in names])
    insert = f"INSERT INTO jobs ({', '.join(names)}) SELECT * FROM {kinds}"  # noqa: S608  constant
    used = [(tenant, more, books.more_bytes[tenant]) for tenant, more in sorted(books.more_open.items())]
    taken = [(*key, last) for key, last in sorted(books.taken.items())]
    wire.do(
        (insert, [[row[name] for row in books.new] for name in names]),
        (_ENVELOPES, columns(books.envelopes, 2)),
        (_USED, columns(used, 3)),
        (_TAKEN, columns(taken, 3)),
    )
    wire.tell({queue_key(row["queue"]) for row in books.new if row["state"] == "queued"})
    return answers
