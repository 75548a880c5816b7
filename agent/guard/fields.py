"""Engines in which `x.f` calls f(x) when x has no field f: every field must be one that is known to be there.

PostgreSQL's functional notation. Without this check it would call any function of one argument, admitted or not.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlglot import exp

from agent.core.catalog import Relation
from agent.core.errors import Refuse
from agent.dialects import Dialect
from agent.dialects.base import words
from agent.guard.relations import Use

_QUERIES: Final = (exp.Select, exp.SetOperation, exp.Values)
_NUMBERED: Final = re.compile(r"f\d{1,4}|column\d{1,4}")
"""What the engine calls the fields of ROW(…) and of VALUES."""
_OF_FUNCTIONS: Final = words("key value ordinality lexeme positions weights")
"""Columns of functions that say how theirs are called; none of them is a function of any version."""
_CALLED_BY_ALIAS: Final = words(
    """exploding_generate_series generate_series generate_subscripts json_object_keys jsonb_object_keys jsonb_path_query
    regexp_matches regexp_split_to_table string_to_table unnest"""
)
"""Functions whose one column has the name of their alias: of others it may be `value`."""
_UNNAMED: Final = words(
    """array bool bpchar case date exists float4 float8 int2 int4 int8 interval json jsonb name numeric row text time
    timestamp timestamptz timetz timezone uuid varchar"""
)
"""What the engine calls an output without a name, beside the name of the function in it."""
_MAX_VISITS: Final = 10_000


def check_fields(tree: exp.Expression, found: Sequence[Use], dialect: Dialect) -> None:
    """Refuse `t.f` and `(x).f` for an f that is not known to be a column. Raises Refuse(sql.column)."""
    known = {column.name for use in found if isinstance(use.means, Relation) for column in use.means.columns}
    given = _Given(tree, found, dialect)
    for node in tree.find_all(exp.Column, exp.Dot):
        name = node.this if isinstance(node, exp.Column) else node.expression
        if not isinstance(name, exp.Identifier):
            continue
        if isinstance(node, exp.Dot):
            # What stands before the dot may be of any type: a name that the statement makes up says nothing of it.
            is_field = name.name in known | _OF_FUNCTIONS or bool(_NUMBERED.fullmatch(name.name))
        else:
            table = node.args.get("table")
            is_field = not isinstance(table, exp.Identifier) or given.has(table.name, name.name)
        if not is_field:
            raise _no_field(name.name)


def _no_field(name: str) -> Refuse:
    shown = name if name.isprintable() and len(name) <= 64 else "(unprintable)"  # noqa: PLR2004
    hint = "Name a column of the table, as table.column; write f(x) for a function."
    return Refuse("sql.column", f"No relation here has a column {shown}.", hint)


@dataclass(slots=True)
class _Given:
    """The names of the columns of everything in FROM, by its alias. Of two of one alias both must have a name.

    More names than there are do no harm where a row has several columns: what takes a whole row only looks at it.
    """

    tree: exp.Expression
    found: Sequence[Use]
    dialect: Dialect
    means: dict[int, Relation | exp.CTE] = field(default_factory=dict)
    items: dict[str, list[exp.Expression]] = field(default_factory=lambda: defaultdict(list))
    names: dict[int, frozenset[str]] = field(default_factory=dict)
    visits: int = 0

    def __post_init__(self) -> None:
        self.means.update({id(use.node): use.means for use in self.found})
        for node in self.tree.find_all(exp.Table):
            if isinstance(node.this, exp.Identifier) and not node.alias:
                self.items[node.name].append(node)
        for alias in self.tree.find_all(exp.TableAlias):
            item = alias.parent
            if isinstance(alias.this, exp.Identifier) and item is not None and not isinstance(item, exp.CTE):
                self.items[alias.this.name].append(item)  # type: ignore[arg-type]  # nodes of syntax only

    def has(self, table: str, name: str) -> bool:
        """Whether each thing called `table` has a column of this name."""
        items = self.items.get(table, [])
        if not items:  # nothing is called so, or a function without an alias
            return name == table or name in _OF_FUNCTIONS
        return all(name in self.of(item) for item in items)

    def of(self, item: exp.Expression) -> frozenset[str]:
        """The columns of something in FROM, or of a query."""
        if id(item) not in self.names:
            self.names[id(item)] = frozenset()  # of a query that reads itself: the rest of it says
            self.visits += 1
            if self.visits > _MAX_VISITS:
                raise Refuse("sql.size", "The statement has too many sub-queries.", "Simplify it.")
            self.names[id(item)] = frozenset(self._of(item))
        return self.names[id(item)]

    def _of(self, item: exp.Expression) -> Iterator[str]:
        listed = _listed(item)
        yield from listed
        inner = item.this
        if isinstance(item, _QUERIES):
            yield from self._outputs(item)
        elif isinstance(item, exp.Table) and isinstance(inner, exp.Identifier):
            yield from self._meant(item)
        elif isinstance(item, (exp.Subquery, exp.Lateral)) and isinstance(inner, (*_QUERIES, exp.Subquery, exp.Table)):
            yield from self.of(inner)
            for join in (*(item.args.get("joins") or ()), *(inner.args.get("joins") or ())):
                yield from self.of(join.this)
        else:  # a function: of one column it is called as the whole, unless a list calls it otherwise
            yield from _OF_FUNCTIONS
            if not listed and _function(item) in _CALLED_BY_ALIAS:
                yield item.alias_or_name

    def _meant(self, table: exp.Table) -> Iterator[str]:
        means = self.means.get(id(table))
        if isinstance(means, Relation):
            yield from (column.name for column in means.columns)
        elif isinstance(means, exp.CTE):
            yield from _listed(means)
            yield from self.of(means.this)

    def _outputs(self, query: exp.Expression) -> Iterator[str]:
        if isinstance(query, exp.SetOperation):
            yield from self.of(query.this)
            return
        if isinstance(query, exp.Values):
            width = max((len(row.expressions) for row in query.expressions), default=0)
            yield from (f"column{place}" for place in range(1, width + 1))
            return
        for one in query.expressions:
            if isinstance(one, (exp.Alias, exp.Column)) and not one.is_star:
                yield one.alias_or_name
            elif not one.is_star:
                yield from self.dialect.functions | _UNNAMED
                yield from (name.name for name in one.find_all(exp.Identifier))
            else:
                yield from self._read(query)

    def _read(self, select: exp.Expression) -> Iterator[str]:
        """The columns of all that a SELECT reads."""
        source = select.args.get("from_")
        for part in (source, *(select.args.get("joins") or ()), *(select.args.get("laterals") or ())):
            if part is not None:
                item = part if isinstance(part, exp.Lateral) else part.this
                yield from self.of(item)
                for join in item.args.get("joins") or ():
                    yield from self.of(join.this)


def _function(item: exp.Expression) -> str:
    call = item if isinstance(item, exp.Func) else item.this
    return str(call.this if isinstance(call, exp.Anonymous) else call.key).lower()


def _listed(item: exp.Expression) -> list[str]:
    """The names in a list behind an alias."""
    alias = item.args.get("alias")
    columns = alias.args.get("columns") or () if isinstance(alias, exp.TableAlias) else ()
    return [column.name for column in columns]
