"""A source -> what it is made of, for the officer who writes its policy: names, types, and shares in coarse bands.

Only the local line orders it (`Order.survey`). Sampled rows end here: what leaves are words for shares, never a value.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import TypeAdapter

from agent.core.catalog import Catalog, Relation
from agent.core.errors import Fault, Refuse
from agent.core.job import CatalogTask, SourceName
from agent.core.table import Disclosure, Document
from agent.masking.pii.arrow import Scanner
from agent.masking.pii.kinds import USUAL
from agent.masking.publish import publish
from agent.masking.sampling import sample
from agent.worker.kinds.base import Bench, Notes
from agent.worker.kinds.opening import opened

MOST_ROWS: Final = 100_000
_COLUMNS_AT_ONCE: Final = 64
_LEAST_ROWS: Final = 20
"""Of a smaller sample a share would tell of single rows."""
_FEW_VALUES: Final = 20
_BANDS: Final = ((0.0, "none"), (0.05, "few"), (0.5, "some"), (1.0, "most"))
_CATALOG: Final = TypeAdapter(Catalog)


def run(bench: Bench, notes: Notes) -> Document:
    """The survey of the task's source. Raises Refuse(task.kind | task.source), Fault(source.*)."""
    task = bench.job.task
    if not isinstance(task, CatalogTask) or bench.survey is None:
        raise Refuse("task.kind", "Only a catalog is surveyed.")
    rows = min(bench.survey, MOST_ROWS)
    with opened(bench, task.source) as connection:
        catalog = connection.catalog()
    tables = [relation for relation in catalog.relations if relation.kind == "table"] if rows > 0 else []
    found = {
        "catalog": _CATALOG.dump_python(catalog, mode="json"),
        "columns": {f"{one.schema}.{one.name}": _looked_at(one, rows, bench, catalog) for one in tables},
    }
    named = tuple(f"{one.schema}.{one.name}" for one in tables)
    disclosure = Disclosure(task.source, named, {}, bench.policy.version, bench.policy_sha256)
    notes.disclosure = disclosure
    notes.document = publish("survey", found, disclosure=disclosure, policy=bench.policy, limits=bench.limits)
    return notes.document


def _looked_at(relation: Relation, rows: int, bench: Bench, catalog: Catalog) -> dict[str, dict[str, object]]:
    """Facts by column; columns that cannot be read are left out."""
    names = [column.name for column in relation.columns]
    found: dict[str, dict[str, object]] = {}
    for start in range(0, len(names), _COLUMNS_AT_ONCE):
        try:
            found |= _facts(relation, names[start : start + _COLUMNS_AT_ONCE], rows, bench, catalog)
        except (Refuse, Fault):  # a type that the engine does not hand over, a table that is gone
            continue
    return found


def _facts(
    relation: Relation, names: Sequence[str], rows: int, bench: Bench, catalog: Catalog
) -> dict[str, dict[str, object]]:
    with opened(bench, SourceName(catalog.source), catalog) as connection:
        table = connection.run(sample(relation, names, rows, catalog))
        sampled = pa.Table.from_batches(list(table.batches), table.schema)
    if sampled.num_rows < _LEAST_ROWS:
        return {}
    return {name: _column(name, column) for name, column in zip(names, sampled.columns, strict=True)}


def _column(name: str, column: Any) -> dict[str, object]:
    seen: Counter[str] = Counter()
    scanner = Scanner(name, dict.fromkeys(USUAL, "report"), numbers=True)
    for chunk in column.chunks:
        found = scanner.scan(chunk)
        seen.update(found.hits if found is not None else {})
    filled = len(column) - column.null_count
    shares = {kind: _band(min(count, filled) / filled) for kind, count in seen.items() if filled}
    return {"nulls": _band(column.null_count / len(column)), "kinds": shares, "distinct": _distinct(column, filled)}


def _band(share: float) -> str:
    return next(word for most, word in _BANDS if share <= most)


def _distinct(column: Any, filled: int) -> str:
    try:
        count = pc.count_distinct(column).as_py()
    except pa.ArrowNotImplementedError:
        return "unknown"
    if count <= 1:
        return "one"
    return "few" if count <= _FEW_VALUES else "all" if count == filled else "many"


__all__ = ["MOST_ROWS", "run"]
