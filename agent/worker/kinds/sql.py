"""`SqlTask` -> `Masked`: open, admit, rewrite, run, release."""

import re
import time
from contextlib import ExitStack
from dataclasses import replace

from agent.core.catalog import Catalog
from agent.core.errors import Fault, Refuse
from agent.core.job import SqlTask
from agent.core.plan import MaskedPlan
from agent.core.ports import Connection
from agent.core.table import Masked, Table
from agent.dialects import DIALECTS
from agent.guard.sql import unbound_columns
from agent.masking.audit_text import normalised
from agent.masking.release import release
from agent.masking.rewrite import prepare
from agent.masking.visible import visible
from agent.worker.kinds.base import Bench, Notes
from agent.worker.kinds.opening import opened, source_of, with_catalog

_READS = re.compile(r"\b(from|table|join|pivot|unpivot)\b", re.IGNORECASE)
"""Without one of these words no table is read. Where that were wrong, the table would be refused as unknown."""


def run(bench: Bench, notes: Notes, stack: ExitStack) -> Masked:
    """One statement against one source. Raises Refuse(task.source | sql.*), Fault(source.* | limit.*)."""
    job, task = bench.job, bench.job.task
    if not isinstance(task, SqlTask):
        raise Refuse("task.kind", "This is not a SQL task.")
    plan, table = asked(bench, task, notes, stack)
    notes.masked = release(table, plan, bench.policy, bench.limits, on_limit=job.on_limit, format=task.format)
    notes.pii = notes.masked.tally.pii
    return notes.masked


def asked(bench: Bench, task: SqlTask, notes: Notes, stack: ExitStack) -> tuple[MaskedPlan, Table]:
    """The masked statement of a task, and its rows as they come; not released yet.

    Raises Refuse(task.source | sql.*), Fault(source.*).
    """
    source = bench.sources.get(task.source)
    notes.take_statement(task.statement, normalised(task.statement, source.dialect) if source else "")

    def use(connection: Connection, catalog: Catalog) -> tuple[MaskedPlan, Table]:
        plan = planned(bench, task, catalog)
        notes.disclosure = plan.disclosure
        try:
            return plan, ran(connection, plan, notes)
        except Fault as fault:
            refusal = unbound_columns(task, visible(catalog, bench.policy)) if fault.code == "source.binding" else None
            if refusal is None:
                raise
        raise refusal

    if _READS.search(task.statement):
        plan, table = with_catalog(bench, task.source, notes, stack, use)
    else:
        nothing = _nothing(task.source, source_of(bench, task.source).dialect)
        plan, table = use(stack.enter_context(opened(bench, task.source)), nothing)
    return plan, replace(table, batches=notes.timed(table.batches))


def planned(bench: Bench, task: SqlTask, catalog: Catalog) -> MaskedPlan:
    """The masked statement of a task, for the job's requester. Raises Refuse(sql.*)."""
    return prepare(
        task,
        catalog,
        bench.policy,
        roles=bench.job.requested_by.roles,
        token_key=bench.token_key,
        token_previous=bench.token_previous,
        tenant=bench.job.tenant,
        policy_sha256=bench.policy_sha256,
        reveal=bench.reveal,
    )


def ran(connection: Connection, plan: MaskedPlan, notes: Notes) -> Table:
    """The rows of a masked statement; the time until the first of them is noted. Raises Fault."""
    started = time.monotonic()
    try:
        return connection.run(plan)
    finally:
        notes.engine_seconds += time.monotonic() - started


def _nothing(source: str, dialect: str) -> Catalog:
    """All that a statement without tables needs: to read the real catalog takes a third of a small job's time."""
    return Catalog(source, dialect, DIALECTS[dialect].default_schema, ())
