"""Masked batches -> batches that may leave: the second net, over every column and the columns' names."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from itertools import pairwise
from typing import Any, Final

import pyarrow as pa

from agent.core.errors import Refuse
from agent.core.table import Batch, Table, Tally
from agent.masking.pii.arrow import Scanner, holds
from agent.masking.pii.config import PiiNet
from agent.masking.pii.kinds import KINDS
from agent.masking.pii.text import hits, without

NAMES: Final = "(column names)"
"""Under this name hits in names are counted: a pivot makes names of values."""
_HINT: Final = "Leave these columns out, or aggregate them."


class Net:
    """The second net over one result. Counts go into `tally.pii` as `column: kind`."""

    def __init__(self, config: PiiNet, table: Table, tally: Tally, exempt: Collection[str] = ()) -> None:
        """Args: `exempt` are columns of the result that the policy excepts, by name."""
        self._actions = config.effective()
        self._table, self._tally = table, tally
        names = [field.name for field in table.schema]
        self._looked_at = [
            place
            for place, field in enumerate(table.schema)
            if holds(field.type) and not (field.name in exempt and names.count(field.name) == 1)
        ]
        self._scanners = {
            place: Scanner(names[place], self._actions, numbers=config.numbers) for place in self._looked_at
        }

    def table(self) -> Table:
        """The table that may leave. Raises Refuse(policy.pii), its batches too."""
        if not self._actions:
            return self._table
        return Table(self._schema, self._batches())

    @cached_property
    def _schema(self) -> Any:
        """Names without hits; nullable, since a number with a hit becomes null."""
        fields = [field.with_nullable(True) for field in self._table.schema]
        found: Counter[str] = Counter()
        for place, field in enumerate(fields):
            seen = hits(field.name, [KINDS[kind] for kind in self._actions])
            found.update(hit.kind for hit in seen)
            masked = [hit for hit in seen if self._actions[hit.kind] != "report"]
            fields[place] = field.with_name(without(field.name, masked)) if masked else field
        self._count({NAMES: found} if found else {})
        return pa.schema(fields, self._table.schema.metadata)

    def _batches(self) -> Iterator[Batch]:
        renamed = self._schema != self._table.schema
        for batch in self._table.batches:
            clean = self._clean(batch)
            yield pa.RecordBatch.from_arrays(clean.columns, schema=self._schema) if renamed else clean

    def _clean(self, batch: Any) -> Any:
        """The same object when nothing was found."""
        found = {place: seen for place in self._looked_at if (seen := self._scanners[place].scan(batch.column(place)))}
        if not found:
            return batch
        self._count({self._schema.field(place).name: seen.hits for place, seen in found.items()})
        columns = [found[place].array if place in found else column for place, column in enumerate(batch.columns)]
        kept = pa.RecordBatch.from_arrays(columns, schema=batch.schema)
        dropped = set[int]().union(*(seen.drop for seen in found.values()))
        self._tally.suppressed += len(dropped)
        return _without(kept, dropped) if dropped else kept

    def _count(self, found: Mapping[str, Counter[str]]) -> None:
        for column, kinds in found.items():
            for kind, count in kinds.items():
                key = f"{column}: {kind}"
                self._tally.pii[key] = self._tally.pii.get(key, 0) + count
        refused = sorted({(column, kind) for column, kinds in found.items() for kind in kinds if self._refuses(kind)})
        if refused:
            named = ", ".join(f"{column} ({kind})" for column, kind in refused)
            raise Refuse("policy.pii", f"The result holds personal data or secrets in {named}.", _HINT)

    def _refuses(self, kind: str) -> bool:
        return self._actions[kind] == "refuse"


def _without(batch: Any, dropped: Collection[int]) -> Any:
    try:
        return batch.filter(pa.array([place not in dropped for place in range(batch.num_rows)], pa.bool_()))
    except pa.ArrowNotImplementedError:  # string views and unions can be cut, but not filtered
        edges = [-1, *sorted(dropped), batch.num_rows]
        pieces = [batch.slice(start + 1, end - start - 1) for start, end in pairwise(edges)]
        return pa.concat_batches(pieces)


__all__ = ["NAMES", "Net"]
