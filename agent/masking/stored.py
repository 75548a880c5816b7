"""A masked projection of a table that is stored in the order of what is masked -> its rows in an order that is none.

They are ordered by the masked values themselves. Rows that are alike in all of them may stand in any order.
"""

from collections.abc import Collection, Sequence
from typing import Final

from sqlglot import exp

from agent.core.catalog import Catalog, Relation
from agent.dialects import Dialect
from agent.dialects.base import words
from agent.masking.groups.shapes import KEY_PREFIX
from agent.masking.matching import family, parts_of

_EVERY: Final = 9223372036854775807
"""Rows of a LIMIT that cuts nothing: with one, no engine takes the ORDER BY of a sub-query for idle."""
_ALIAS: Final = "meridyen_rows"
_ONE_COUNT: Final = words("with_ group having qualify windows order distinct laterals sample")


def tells(relation: Relation, catalog: Catalog, open_: Collection[str]) -> bool:
    """Whether rows lie in an order, or in parts, by anything but the columns `open_`."""
    if any(index.stores and not _within(index.columns, open_) for index in relation.indexes):
        return True
    own = parts_of(catalog.source, relation)
    divided = (one for one in catalog.relations if one.divided_by and not _within(one.divided_by, open_))
    return any(own in family(catalog, one) for one in divided)


def _within(columns: Sequence[str], open_: Collection[str]) -> bool:
    return all(column in open_ for column in columns)


def only_counts(tree: exp.Expression) -> bool:
    """Whether a statement is one SELECT of nothing but counts, which have no order to tell."""
    if not isinstance(tree, exp.Select) or any(tree.args.get(name) for name in _ONE_COUNT):
        return False
    if any(not isinstance(one.unalias(), exp.Count) for one in tree.expressions):
        return False
    return sum(1 for _ in tree.find_all(exp.Select, exp.Window, exp.AggFunc)) == 1 + len(tree.expressions)


def in_own_order(select: exp.Select, dialect: Dialect) -> exp.Select:
    """The projection's rows, ordered by all its columns but the keys of people, which nothing but counts reads.

    Dialects without `order_keys` have no engine here.
    """
    if not dialect.order_keys:
        return select
    names = [exp.to_identifier(one.alias, quoted=True) for one in select.expressions]
    shown = [name for name in names if not name.name.startswith(KEY_PREFIX)]
    alias = exp.TableAlias(this=exp.to_identifier(_ALIAS, quoted=True))
    return exp.Select(
        expressions=[exp.Alias(this=exp.column(name.copy()), alias=name.copy()) for name in names],
        from_=exp.From(this=exp.Subquery(this=select, alias=alias)),
        order=exp.Order(expressions=[key for name in shown for key in dialect.keys_of(name)]),
        limit=exp.Limit(expression=exp.Literal.number(_EVERY)),
    )
