"""A masked projection -> the same with the raw keys of people beside its columns, under names that no statement has."""

from collections.abc import Sequence

from sqlglot import exp

from agent.core.catalog import Catalog, Relation
from agent.dialects import Dialect
from agent.masking.groups.shapes import KEY_PREFIX, Key, Output, Shape, refused
from agent.masking.matching import by_name
from agent.masking.patterns import is_plain
from agent.masking.policy import Policy


def key_columns(relation: Relation, catalog: Catalog, policy: Policy) -> list[Key]:
    """The raw columns that tell people apart, whether jobs may see them or not. Raises Refuse(policy.aggregate)."""
    whole = by_name(catalog).get((relation.schema, relation.name), relation)
    found: dict[str, Key] = {}
    for glob, written in policy.subjects_of(catalog, relation):
        named = [column.name for column in whole.columns if column.name.casefold() == written.casefold()]
        if len(named) != 1:
            message = f"The relation {relation.name} has not the one column by which the policy counts people."
            raise refused(message, "The security officer corrects `subjects`.")
        # People of two tables are the same only where the policy names those tables together.
        together = glob if not is_plain(glob.split(".")[-1]) and glob.split(".")[-1] != "*" else ""
        people = f"{together or f'{relation.schema}.{relation.name}'}.{written.casefold()}"
        found.setdefault(named[0], Key(named[0], people))
    return list(found.values())


def keyed(
    select: exp.Select,
    keys: Sequence[Key],
    number: int,
    dialect: Dialect,
    *,
    inner: Shape | None,
    columns: Sequence[str],
) -> Shape:
    """Append the keys to a masked projection, numbered from `number`; its shape.

    `inner` is the shape of the view's definition beneath it, whose columns are `columns` in their order.
    """
    plain = dict.fromkeys((dialect.fold(name, quoted=True) for name in columns), inner is None)
    if inner is not None and inner.outputs is not None:
        plain |= {
            dialect.fold(name, quoted=True): output.plain for name, output in zip(columns, inner.outputs, strict=False)
        }
    names = [dialect.fold(one.alias_or_name, quoted=True) for one in select.expressions]
    outputs = tuple(Output(name, plain.get(name, False)) for name in names)
    hidden = []
    beneath = select.args["from_"].this.alias_or_name
    for place, key in enumerate(keys, number):
        hidden.append(Key(f"{KEY_PREFIX}{place}", key.people))
        # With its table: some engines would otherwise take the mask of that name, which stands beside it.
        table = exp.to_identifier(beneath, quoted=True)
        source = exp.column(exp.to_identifier(key.name, quoted=True), table=table)
        select.append("expressions", exp.Alias(this=source, alias=exp.to_identifier(hidden[-1].name, quoted=True)))
    return Shape(outputs, tuple(hidden), grouped=inner is not None and inner.grouped)
