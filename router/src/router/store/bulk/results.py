"""Many sealed results."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from router.core import ops
from router.core.jobs import ENDED, state_of
from router.core.news import job_key
from router.core.problem import RouterProblem
from router.store import rows
from router.store.bulk.leases import LOCKED
from router.store.bulk.wire import Wire, by, columns, each, unnested
from router.store.ops.results import landing, size_of

_THERE: Final = "SELECT result_id, job_id, tenant, digest, state FROM results WHERE result_id = ANY(%s)"
_HEAD: Final = ("result_id", "job_id", "tenant", "digest", "state")
_KINDS: Final = ("text",) * 5 + ("int", "float8", "bytea", "bytea", "text", "bigint")
_KEEP: Final = (
    "INSERT INTO results (result_id, job_id, tenant, digest, state, fence, created, manifest, inline_parts,"  # noqa: S608  constant
    f" parts, size) SELECT * FROM {unnested(_KINDS)}"
)
_USED: Final = f"""
WITH v AS (SELECT * FROM {unnested(("text", "bigint", "bigint"))} AS v(tenant, ended, size)),
  here AS (SELECT u.tenant FROM usage u JOIN v ON v.tenant = u.tenant ORDER BY u.tenant FOR UPDATE OF u)
UPDATE usage u SET open_jobs = u.open_jobs - v.ended, bytes = u.bytes + v.size
FROM v, here WHERE u.tenant = v.tenant AND here.tenant = u.tenant
"""  # noqa: S608  constant
_END: Final = f"""
UPDATE jobs j SET state = v.state, code = v.code, outcome = v.outcome, result_id = v.result_id, changed = %s,
  cancelling = 0, phase = NULL, rows_about = NULL
FROM {unnested(("text",) * 5)} AS v(id, state, code, outcome, result_id) WHERE j.id = v.id
"""  # noqa: S608  constant
_STATEMENT_BYTES: Final = 8 * 2**20
"""Of results that go into one statement, unless one alone is larger."""


class _Books:
    """What a run of results finds in the store, and what it adds."""

    def __init__(self, wire: Wire, run: Sequence[ops.Complete]) -> None:
        (found,) = wire.ask((LOCKED, [sorted({op.job_id for op in run})]))
        # Only after the jobs are locked: what another process kept for them before is seen here.
        (there,) = wire.ask((_THERE, [[op.manifest.result_id for op in run]]))
        self.now = wire.now
        self.jobs, self.there = by(found, "id"), by(there, "result_id")
        self.kept: list[tuple[Any, ...]] = []
        self.ended: dict[str, tuple[Any, ...]] = {}
        self.open: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()

    def complete(self, op: ops.Complete) -> ops.Landed:
        """One more."""
        row, manifest = self.jobs.get(op.job_id), op.manifest
        if row is None:
            raise RouterProblem("not_found")
        there = self.there.get(manifest.result_id)
        state = landing(row, there, op)
        if there is None:
            self._keep(op, state)
            if state == "held":
                self._end(row, op)
        return ops.Landed(rows.job(row), late=state == "late")

    def _keep(self, op: ops.Complete, state: str) -> None:
        manifest, tenant = op.manifest, op.agent.tenant
        head = (manifest.result_id, op.job_id, tenant, manifest.digest, state)
        self.there[manifest.result_id] = dict(
            zip(("result_id", "job_id", "tenant", "digest", "state"), head, strict=True)
        )
        size = size_of(manifest)
        body = (op.fence, self.now, manifest.token, op.inline, json.dumps(manifest.parts), size)
        self.kept.append((*head, *body))
        self.bytes[tenant] += size

    def _end(self, row: dict[str, Any], op: ops.Complete) -> None:
        manifest = op.manifest
        if row["state"] not in ENDED:
            self.open[op.agent.tenant] += 1
        end = (state_of(manifest.code), manifest.code, manifest.outcome, manifest.result_id)
        row.update(zip(("state", "code", "outcome", "result_id"), end, strict=True))
        row.update(changed=self.now, cancelling=0, phase=None, rows_about=None)
        self.ended[op.job_id] = (op.job_id, *end)


def complete(wire: Wire, run: Sequence[ops.Complete]) -> list[object]:
    """See `ops.Complete`."""
    books = _Books(wire, run)
    answers = each(run, books.complete)
    if not books.kept:
        return answers
    used = [(tenant, books.open[tenant], size) for tenant, size in sorted(books.bytes.items())]
    wire.do(
        *((_KEEP, columns(some, len(_KINDS))) for some in _pieces(books.kept)),
        (_END, [wire.now, *columns(list(books.ended.values()), 5)]),
        (_USED, columns(used, 3)),
    )
    wire.tell(map(job_key, books.ended))
    return answers


def _pieces(kept: Sequence[tuple[Any, ...]]) -> list[list[tuple[Any, ...]]]:
    """Results in stretches that fit one statement."""
    pieces: list[list[tuple[Any, ...]]] = [[]]
    size = 0
    for line in kept:
        weight = sum(len(cell) for cell in line if isinstance(cell, bytes))
        if pieces[-1] and size + weight > _STATEMENT_BYTES:
            pieces.append([])
            size = 0
        pieces[-1].append(line)
        size += weight
    return pieces
