"""`WITH 1 AS n`: names of values, which some engines carry into every sub-query, get fresh names before masks go in.

Such a name would otherwise stand for a column of the same name inside the masked projection of a table.
"""

from collections.abc import Sequence

from sqlglot import exp

from agent.core.catalog import Relation
from agent.core.errors import Refuse
from agent.dialects import Dialect
from agent.guard.relations import Use

PREFIX = "meridyen_value_"


def rename_scalars(
    tree: exp.Expression, named: Sequence[exp.CTE], found: Sequence[Use], dialect: Dialect, start: int
) -> int:
    """Rename the tree's `named` values, `WITH value AS name`, in place, counting from `start`. Returns their number.

    Raises Refuse(sql.node) for two of one name, and for a name that a column of a relation has too: which of the two
    a use means depends on the engine's settings.
    """
    if not named:
        return 0
    columns = {
        dialect.fold(column.name, quoted=True)
        for use in found
        if isinstance(use.means, Relation)
        for column in use.means.columns
    }
    fresh: dict[str, str] = {}
    for number, cte in enumerate(named, start + 1):
        name = dialect.fold(cte.alias, quoted=True)
        if name in columns or name in fresh:
            raise Refuse("sql.node", "A WITH value has the name of a column or of another value.", "Rename it.")
        fresh[name] = f"{PREFIX}{number}"
        cte.args["alias"].set("this", exp.to_identifier(fresh[name], quoted=True))
    for column in list(tree.find_all(exp.Column)):
        name = dialect.fold(column.name, quoted=True)
        if isinstance(column.this, exp.Identifier) and not column.args.get("table") and name in fresh:
            _rename(column, fresh[name])
    return len(named)


def _rename(column: exp.Column, fresh: str) -> None:
    """Call the column `fresh`; an item of a SELECT list keeps its name for the result."""
    outer = column.name
    column.set("this", exp.to_identifier(fresh, quoted=True))
    if isinstance(column.parent, exp.Select) and column.arg_key == "expressions":
        column.replace(exp.Alias(this=column.copy(), alias=exp.to_identifier(outer, quoted=True)))
