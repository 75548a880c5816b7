"""`CatalogTask` -> `Document`: what a source holds, as far as this requester may know it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, Final

from agent.core.catalog import Catalog
from agent.core.errors import Fault, Refuse
from agent.core.job import CatalogTask, SourceName, SqlTask
from agent.core.ports import Connection, Detailed
from agent.core.table import Disclosure, Document
from agent.masking.describe import Asking, Named, countable, described, frequent, stamped
from agent.masking.publish import publish, room, text
from agent.worker.kinds.base import Bench, Notes
from agent.worker.kinds.opening import with_catalog
from agent.worker.kinds.sql import planned, ran

_MOST_RELATIONS: Final = 10_000
_MOST_COUNTED: Final = 64
"""Enumerated columns whose values are counted in one job: each reads its table."""
_STAMP: Final = 128
"""Bytes that the digest takes."""


def run(bench: Bench, notes: Notes, stack: ExitStack) -> Document:
    """Describe the source. Raises Refuse(task.source), Fault(source.* | limit.bytes)."""
    task = bench.job.task
    if not isinstance(task, CatalogTask):
        raise Refuse("task.kind", "This is not a catalog task.")
    connection, catalog = with_catalog(bench, task.source, notes, stack, lambda *both: both)
    if isinstance(connection, Detailed):
        catalog = connection.detailed()
    asking = Asking(bench.job.requested_by.roles, task.relations)
    values = _values(bench, connection, catalog, asking, notes)
    head, relations = described(catalog, bench.policy, asking, values)
    told = _fitting(head, relations, bench)
    cut = len(told) < len(relations)
    if cut and bench.job.on_limit == "fail":
        hint = "Name relations by globs in `relations`, or set on_limit to truncate."
        raise Fault("limit.bytes", "The catalog is larger than may leave.", hint)
    notes.disclosure = _disclosure(bench, catalog.source, told, values)
    notes.document = publish(
        "catalog",
        stamped(head, told, cut=cut),
        disclosure=notes.disclosure,
        policy=bench.policy,
        limits=bench.limits,
        truncated=cut,
    )
    return notes.document


def _values(
    bench: Bench, connection: Connection, catalog: Catalog, asking: Asking, notes: Notes
) -> Mapping[Named, Sequence[str]]:
    """The frequent values of enumerated columns, each counted by a statement that went the whole masked line."""
    found: dict[Named, Sequence[str]] = {}
    for name, column, statement in countable(catalog, bench.policy, asking):
        if len(found) >= _MOST_COUNTED:
            break
        task = SqlTask(source=SourceName(catalog.source), statement=statement, parameters={})
        try:
            plan = planned(bench, task, catalog)
            if set(plan.disclosure.columns.values()) == {"keep"}:
                found[name] = frequent(column, _rows(ran(connection, plan, notes).batches), bench.policy)
        except (Refuse, Fault):
            continue  # what this requester may not count stays untold
    return found


def _rows(batches: Iterator[Any]) -> Iterator[tuple[object, object]]:
    for batch in batches:
        values, counts = (column.to_pylist() for column in batch.columns[:2])
        yield from zip(values, counts, strict=True)


def _fitting(
    head: Mapping[str, object], relations: Sequence[dict[str, object]], bench: Bench
) -> list[dict[str, object]]:
    """As many whole relations, from the first, as there is room for."""
    left = room(bench.policy, bench.limits) - len(text(stamped(head, [], cut=True))) - _STAMP
    kept: list[dict[str, object]] = []
    for relation in relations[:_MOST_RELATIONS]:
        left -= len(text(relation)) + 1
        if left < 0:
            break
        kept.append(relation)
    return kept


def _disclosure(
    bench: Bench, source: str, told: Sequence[dict[str, object]], values: Mapping[Named, object]
) -> Disclosure:
    """Relations that were described; as columns only those of which values are told."""
    return Disclosure(
        source=source,
        relations=tuple(f"{one['schema']}.{one['name']}" for one in told),
        columns={".".join(name): "keep" for name in sorted(values) if values[name]},
        policy_version=bench.policy.version,
        policy_sha256=bench.policy_sha256,
        notes=("The source was described; no row left.",),
    )
