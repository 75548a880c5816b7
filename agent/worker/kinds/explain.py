"""`ExplainTask` -> `Document`: what would become of a statement. No row of a relation is read."""

import re
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, Final

from agent.core.catalog import Catalog
from agent.core.errors import Fault, Refuse
from agent.core.job import ExplainTask, SqlTask
from agent.core.ports import Connection
from agent.core.table import Document, Table
from agent.masking.audit_text import normalised
from agent.masking.describe import rows_about
from agent.masking.explain import Explained, Terms, explained, refused
from agent.masking.publish import publish
from agent.worker.kinds.base import Bench, Notes
from agent.worker.kinds.opening import source_of, with_catalog
from agent.worker.kinds.sql import planned, ran

_ROWS: Final = (re.compile(r"rows=(\d+)"), re.compile(r"~([\d,]+)\s+row", re.IGNORECASE))
_COST: Final = re.compile(r"cost=[\d.]+\.\.(\d+(?:\.\d+)?)")


def run(bench: Bench, notes: Notes, stack: ExitStack) -> Document:
    """Describe one statement. A statement that would be refused is described as that.

    Raises Refuse(task.source), Fault(source.unavailable | limit.bytes).
    """
    task = bench.job.task
    if not isinstance(task, ExplainTask):
        raise Refuse("task.kind", "This is not an explain task.")
    dialect = source_of(bench).dialect
    notes.take_statement(task.statement, normalised(task.statement, dialect))
    terms = Terms(
        policy=bench.policy,
        policy_sha256=bench.policy_sha256,
        roles=bench.job.requested_by.roles,
        reveal=bench.reveal,
    )

    def use(connection: Connection, catalog: Catalog) -> tuple[Connection, Catalog, Explained]:
        made = planned(bench, task.task, catalog)
        return connection, catalog, explained(task.task, catalog, made, terms)

    try:
        connection, catalog, found = with_catalog(bench, notes, stack, use)
    except Refuse as refusal:
        found = refused(task.task, dialect, refusal, terms)
        value = found.value
    else:
        value = found.value | _estimated(found, bench, lambda one: ran(connection, planned(bench, one, catalog), notes))
    notes.disclosure = found.disclosure
    notes.document = publish("explain", value, disclosure=found.disclosure, policy=bench.policy, limits=bench.limits)
    return notes.document


def _estimated(found: Explained, bench: Bench, ask: Callable[[SqlTask], Table]) -> dict[str, object]:
    """The engine's own guess, from a bare EXPLAIN that went the whole line: that refuses it over protected tables."""
    if found.unestimated:
        return {"estimate": None, "estimate_omitted": found.unestimated}
    assert isinstance(bench.job.task, ExplainTask)
    task = bench.job.task.task
    try:
        said = _text(ask(replace(task, statement=f"EXPLAIN {task.statement}")).batches)
    except (Refuse, Fault) as error:
        return {"estimate": None, "estimate_omitted": error.message}
    count = next((match[1].replace(",", "") for one in _ROWS if (match := one.search(said))), None)
    cost = _COST.search(said)
    rows = None if count is None else rows_about(int(count), bench.policy)
    estimate = {"rows": rows, "cost": float(cost[1]) if cost else None}
    return {"estimate": estimate, "estimate_omitted": None}


def _text(batches: Iterable[Any]) -> str:
    """All cells of an engine's own description, one after the other. It stays here: it may show views and values."""
    return "\n".join(
        str(cell) for batch in batches for column in batch.to_pydict().values() for cell in column if cell is not None
    )
