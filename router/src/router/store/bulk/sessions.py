"""Signs of life of many sessions."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from router.core import ops
from router.core.problem import RouterProblem
from router.store.bulk.wire import Wire, columns, each, unnested
from router.store.ops.common import HELD
from router.store.ops.leases import fates

# Locked in their order first: two Routers that hear of the same sessions must not wait for each other in a ring.
_SEEN: Final = f"""
WITH v AS (SELECT * FROM {unnested(("text", "float8"))} AS v(id, seen)),
  here AS (SELECT s.id FROM sessions s JOIN v ON v.id = s.id ORDER BY s.id FOR UPDATE OF s)
UPDATE sessions s SET seen = v.seen FROM v, here WHERE s.id = v.id AND here.id = s.id AND s.seen < v.seen
"""  # noqa: S608  constant
_BEAT: Final = """
WITH here AS (SELECT id FROM sessions WHERE id = ANY(%s) ORDER BY id FOR UPDATE)
SELECT s.id, s.tenant, s.agent FROM sessions s JOIN here ON here.id = s.id
"""
_ALIVE: Final = "UPDATE sessions SET seen = %s WHERE id = ANY(%s)"
_LEASES: Final = (
    f"SELECT session, lease_id, cancelling FROM jobs WHERE session = ANY(%s) AND lease_id IS NOT NULL AND {HELD}"  # noqa: S608  constant
)


def seen(wire: Wire, run: Sequence[ops.Seen]) -> list[object]:
    """See `ops.Seen`."""
    latest: dict[str, float] = {}
    for op in run:
        for session, moment in op.sessions.items():
            latest[session] = max(moment, latest.get(session, moment))
    wire.do((_SEEN, columns(list(latest.items()), 2)))
    return [None] * len(run)


def beat(wire: Wire, run: Sequence[ops.Beat]) -> list[object]:
    """See `ops.Beat`."""
    named = sorted({op.session for op in run})
    (found, leases) = wire.ask((_BEAT, [named]), (_LEASES, [named]))
    whose = {row["id"]: (row["tenant"], row["agent"]) for row in found}
    held: defaultdict[str, dict[str, bool]] = defaultdict(dict)
    for row in leases:
        held[row["session"]][row["lease_id"]] = bool(row["cancelling"])
    alive: set[str] = set()

    def decide(op: ops.Beat) -> Mapping[str, str]:
        if whose.get(op.session) != (op.agent.tenant, op.agent.name):
            raise RouterProblem("session.unknown")
        alive.add(op.session)
        return fates(op, held[op.session])

    answers = each(run, decide)
    if alive:
        wire.do((_ALIVE, [wire.now, sorted(alive)]))
    return answers
