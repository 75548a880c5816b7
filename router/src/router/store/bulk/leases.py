"""Many polls, dealt out in turns, and many accepted offers."""

from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from typing import Any, Final

from agent.wire.ids import new_ulid
from router.core import ops
from router.core.jobs import OFFER_SECONDS, Offered
from router.core.news import job_key, queue_key
from router.core.problem import RouterProblem
from router.store.bulk.wire import Wire, by, columns, each, unnested
from router.store.ops.common import leased
from router.store.ops.leases import accepting, may_lease, place, queues_of
from router.store.tx import Row

LOCKED: Final = "SELECT * FROM jobs WHERE id = ANY(%s) ORDER BY id FOR UPDATE"
_ACCEPTED: Final = (
    "UPDATE jobs SET state = 'running', attempt = attempt + 1, offer_expires = NULL, changed = %s WHERE id = ANY(%s)"
)
_SESSIONS: Final = "SELECT id, agent, tenant, draining FROM sessions WHERE id = ANY(%s)"
_CANDIDATES: Final = f"""
SELECT c.* FROM {unnested(("text", "text", "int"))} AS d(queue, slot, most)
CROSS JOIN LATERAL (
  SELECT id, queue, slot, priority, turn FROM jobs j
  WHERE j.queue = d.queue AND j.slot = d.slot AND j.state = 'queued'
  ORDER BY priority DESC, turn, id LIMIT d.most FOR UPDATE SKIP LOCKED
) AS c
"""  # noqa: S608  constant
_OFFER: Final = f"""
UPDATE jobs j SET state = 'offered', fence = j.fence + 1, lease_id = v.lease_id, session = v.session, agent = v.agent,
  offer_expires = %s, changed = %s
FROM {unnested(("text",) * 4)} AS v(id, lease_id, session, agent) JOIN envelopes e ON e.job_id = v.id
WHERE j.id = v.id RETURNING j.id, j.fence, j.attempt, e.envelope
"""  # noqa: S608  constant
_SERVED: Final = (
    f"INSERT INTO turns (queue, submitter, last) SELECT queue, '', last FROM {unnested(('text', 'bigint'))}"  # noqa: S608  constant
    " AS v(queue, last) ON CONFLICT (queue, submitter) DO UPDATE SET last = excluded.last"
    " WHERE turns.last < excluded.last"
)

_Dealt = list[tuple[ops.Lease, str, Row]]
"""Who gets which job, and for which slot."""


def accept(wire: Wire, run: Sequence[ops.Accept]) -> list[object]:
    """See `ops.Accept`."""
    (found,) = wire.ask((LOCKED, [sorted({op.job_id for op in run})]))
    jobs = by(found, "id")
    started: list[str] = []

    def decide(op: ops.Accept) -> int:
        row = jobs.get(op.job_id)
        if row is None:
            raise RouterProblem("not_found")
        leased(row, op.agent, op.lease_id, op.fence)
        if accepting(row, op, wire.now):
            row.update(state="running", attempt=row["attempt"] + 1)
            started.append(op.job_id)
        return int(row["attempt"])

    answers = each(run, decide)
    if started:
        wire.do((_ACCEPTED, [wire.now, started]))
        wire.tell(map(job_key, started))
    return answers


def lease(wire: Wire, run: Sequence[ops.Lease]) -> list[object]:
    """See `ops.Lease`. Several polls get one job in turn, so that none takes all while another gets nothing."""
    (found,) = wire.ask((_SESSIONS, [sorted({op.session for op in run})]))
    sessions = by(found, "id")
    answers = each(run, lambda op: may_lease(sessions.get(op.session), op))
    asking = [op for op, may in zip(run, answers, strict=True) if may is True]
    offers = iter(_offered(wire, asking))
    return [next(offers) if may is True else () if may is False else may for may in answers]


def _offered(wire: Wire, asking: Sequence[ops.Lease]) -> list[tuple[Offered, ...]]:
    demand: Counter[tuple[str, str]] = Counter()
    for op in asking:
        for queue in queues_of(op):
            demand.update({(queue, slot): free for slot, free in op.free.items() if free > 0})
    if not demand:
        return [() for _ in asking]
    (found,) = wire.ask((_CANDIDATES, columns([(*key, most) for key, most in sorted(demand.items())], 3)))
    waiting: defaultdict[tuple[str, str], deque[Row]] = defaultdict(deque)
    for row in sorted(found, key=place):
        waiting[row["queue"], row["slot"]].append(row)
    dealt = _deal(asking, waiting)
    # Locked here and not taken: another process that passed over them must look again.
    wire.tell(queue_key(queue) for (queue, _), left in waiting.items() if left)
    made = _write(wire, [(op, row) for taken in dealt for op, _, row in taken])
    return [
        tuple(made[row["id"]] for slot in op.free for _, slot_of_row, row in taken if slot_of_row == slot)
        for op, taken in zip(asking, dealt, strict=True)
    ]


def _deal(asking: Sequence[ops.Lease], waiting: dict[tuple[str, str], deque[Row]]) -> list[_Dealt]:
    """A job for each poll and slot in turn, by the order of the queues, while there are jobs and room."""
    dealt: list[_Dealt] = [[] for _ in asking]
    room = [(number, slot, free) for number, op in enumerate(asking) for slot, free in op.free.items() if free > 0]
    while room:
        again: list[tuple[int, Any, int]] = []
        for number, slot, free in room:
            op = asking[number]
            heads = [queue for queue in queues_of(op) if waiting.get((queue, slot))]
            if not heads:
                continue
            queue = min(heads, key=lambda one, slot=slot: place(waiting[one, slot][0]))  # type: ignore[misc]
            dealt[number].append((op, slot, waiting[queue, slot].popleft()))
            if free > 1:
                again.append((number, slot, free - 1))
        room = again
    return dealt


def _write(wire: Wire, taken: Sequence[tuple[ops.Lease, Row]]) -> dict[str, Offered]:
    if not taken:
        return {}
    until = wire.now + OFFER_SECONDS
    leases = {row["id"]: new_ulid(wire.now) for _, row in taken}
    served: dict[str, int] = {}
    for _, row in taken:
        served[row["queue"]] = max(row["turn"], served.get(row["queue"], row["turn"]))
    lines = [(row["id"], leases[row["id"]], op.session, op.agent) for op, row in taken]
    (given, _) = wire.ask(
        (_OFFER, [until, wire.now, *columns(lines, 4)]),
        (_SERVED + " RETURNING last", columns(sorted(served.items()), 2)),
    )
    assert len(given) == len(taken), "a queued job has its envelope"
    return {
        row["id"]: Offered(
            job_id=row["id"],
            envelope=bytes(row["envelope"]),
            lease_id=leases[row["id"]],
            attempt=row["attempt"] + 1,
            fence=row["fence"],
            offer_expires=until,
        )
        for row in given
    }
