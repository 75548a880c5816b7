"""`SqlTask` -> `Masked`: open, admit, rewrite, run, release."""

import re
import time
from contextlib import ExitStack
from dataclasses import replace

from agent.core.catalog import Catalog
from agent.core.errors import Refuse
from agent.core.table import Masked
from agent.dialects import DIALECTS
from agent.masking.audit_text import normalised
from agent.masking.release import release
from agent.masking.rewrite import prepare
from agent.worker.kinds.base import Bench, Notes

_READS = re.compile(r"\b(from|table|join|pivot|unpivot)\b", re.IGNORECASE)
"""Without one of these words no table is read. Where that were wrong, the table would be refused as unknown."""


def run(bench: Bench, notes: Notes, stack: ExitStack) -> Masked:
    """One statement against one source. Raises Refuse(task.source | sql.*), Fault(source.* | limit.*)."""
    job, source = bench.job, bench.source
    task = job.task
    notes.take_statement(task.statement, normalised(task.statement, source.dialect) if source else "")
    if source is None:
        raise Refuse("task.source", "No source of this name is configured here.", "Use a configured source.")
    connection = stack.enter_context(source.open(task.source, bench.limits))
    plan = prepare(
        task,
        connection.catalog() if _READS.search(task.statement) else _nothing(task.source, source.dialect),
        bench.policy,
        roles=job.requested_by.roles,
        token_key=bench.token_key,
        tenant=job.tenant,
        policy_sha256=bench.policy_sha256,
        reveal=bench.reveal,
    )
    notes.disclosure = plan.disclosure
    started = time.monotonic()
    table = connection.run(plan)
    notes.engine_seconds += time.monotonic() - started
    table = replace(table, batches=notes.timed(table.batches))
    notes.masked = release(table, plan, bench.policy, bench.limits, on_limit=job.on_limit, format=task.format)
    return notes.masked


def _nothing(source: str, dialect: str) -> Catalog:
    """All that a statement without tables needs: to read the real catalog takes a third of a small job's time."""
    return Catalog(source, dialect, DIALECTS[dialect].default_schema, ())
