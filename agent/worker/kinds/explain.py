"""`ExplainTask` -> `Document`: what would become of a statement or a program. No row is read, no program runs."""

import re
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, Final

from agent.core.catalog import Catalog
from agent.core.errors import Fault, Refuse
from agent.core.job import ExplainTask, PythonTask, SqlTask
from agent.core.ports import Connection
from agent.core.table import Disclosure, Document, Table
from agent.masking.audit_text import normalised
from agent.masking.describe import rows_about
from agent.masking.explain import Explained, Terms, explained, refused
from agent.masking.publish import publish
from agent.worker.kinds.base import Bench, Notes
from agent.worker.kinds.explain_program import explained_program
from agent.worker.kinds.opening import source_of, with_catalog
from agent.worker.kinds.sql import planned, ran

_ROWS: Final = (re.compile(r"rows=(\d+)"), re.compile(r"~([\d,]+)\s+row", re.IGNORECASE))
_COST: Final = re.compile(r"cost=[\d.]+\.\.(\d+(?:\.\d+)?)")


def run(bench: Bench, notes: Notes, stack: ExitStack) -> Document:
    """Describe one statement, or a program with the statements of its inputs; refused ones as what they are.

    Raises Refuse(task.source), Fault(source.unavailable | limit.bytes).
    """
    task = bench.job.task
    if not isinstance(task, ExplainTask):
        raise Refuse("task.kind", "This is not an explain task.")
    if isinstance(task.task, PythonTask):
        value, notes.disclosure = explained_program(bench, task.task, notes, described)
    else:
        value, notes.disclosure = described(bench, task.task, notes, stack)
    notes.document = publish("explain", value, disclosure=notes.disclosure, policy=bench.policy, limits=bench.limits)
    return notes.document


def described(bench: Bench, task: SqlTask, notes: Notes, stack: ExitStack) -> tuple[dict[str, object], Disclosure]:
    """What would become of one statement. Raises Refuse(task.source), Fault(source.unavailable)."""
    dialect = source_of(bench, task.source).dialect
    notes.take_statement(task.statement, normalised(task.statement, dialect))
    terms = Terms(
        policy=bench.policy,
        policy_sha256=bench.policy_sha256,
        roles=bench.job.requested_by.roles,
        reveal=bench.reveal,
    )

    def use(connection: Connection, catalog: Catalog) -> tuple[Connection, Catalog, Explained]:
        made = planned(bench, task, catalog)
        return connection, catalog, explained(task, catalog, made, terms)

    try:
        connection, catalog, found = with_catalog(bench, task.source, notes, stack, use)
    except Refuse as refusal:
        found = refused(task, dialect, refusal, terms)
        return found.value, found.disclosure
    estimate = _estimated(found, task, bench, lambda one: ran(connection, planned(bench, one, catalog), notes))
    return found.value | estimate, found.disclosure


def _estimated(found: Explained, task: SqlTask, bench: Bench, ask: Callable[[SqlTask], Table]) -> dict[str, object]:
    """The engine's own guess, from a bare EXPLAIN that went the whole line: that refuses it over protected tables."""
    if found.unestimated:
        return {"estimate": None, "estimate_omitted": found.unestimated}
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
