"""The text that will run, read again -> nothing, or `Refuse`: what `scopes` wrote is there. It shares no code with it.

By names alone: who reads a hidden key counts it in its HAVING, or hands it on under a hidden name; the whole hands on
none; and nothing else reads one.
"""

from collections.abc import Iterator
from typing import Final

from sqlglot import exp

from agent.core.errors import Refuse

_PREFIX: Final = "meridyen_s"
_ALL_ROWS: Final = str(2**63 - 1)


def prove(tree: exp.Expression, k: int) -> None:
    """Raises Refuse(sql.rewrite) where rows of people could leave without a count of at least `k`."""
    ctes = {cte.alias: cte.this for cte in tree.find_all(exp.CTE)}
    if any(_handed_on(tree, ctes)):
        raise _unproven()
    for select in tree.find_all(exp.Select):
        read = {(source.alias_or_name, key) for source in _sources(select) for key in _handed_on(source, ctes)}
        if read and not (_counted(select, k) >= read or _passed(select, read)):
            raise _unproven()
    for column in tree.find_all(exp.Column):
        if column.name.startswith(_PREFIX) and not _is_hidden(column):
            raise _unproven()


def _unproven() -> Refuse:
    return Refuse("sql.rewrite", "A group could not be proven to be counted.", "Write the query more plainly.")


def _sources(select: exp.Select) -> Iterator[exp.Expression]:
    if select.args.get("from_"):
        yield select.args["from_"].this
    for join in select.args.get("joins") or ():
        yield join.this


def _handed_on(node: object, ctes: dict[str, exp.Expression]) -> Iterator[str]:
    """The hidden names among the columns of a query or a source."""
    if isinstance(node, exp.Select):
        yield from (one.alias for one in node.expressions if one.alias.startswith(_PREFIX))
    elif isinstance(node, exp.SetOperation):
        left = list(_handed_on(node.left, ctes))
        yield from left or _handed_on(node.right, ctes)
    elif isinstance(node, exp.Subquery):
        yield from _handed_on(node.this, ctes)
    elif isinstance(node, exp.Table) and node.name in ctes and not node.args.get("db"):
        inner = ctes[node.name]
        if not any(table.name == node.name for table in inner.find_all(exp.Table)):  # a recursive one hands on nothing
            yield from _handed_on(inner, ctes)


def _counted(select: exp.Select, k: int) -> set[tuple[str, str]]:
    """The keys that the HAVING demands at least `k` of, whatever else it says."""
    having = select.args.get("having")
    found: set[tuple[str, str]] = set()
    waiting = [having.this] if having is not None else []
    while waiting:
        test = waiting.pop()
        if isinstance(test, exp.Paren):
            waiting.append(test.this)
        elif isinstance(test, exp.And):
            waiting += [test.this, test.expression]
        elif isinstance(test, exp.GTE) and isinstance(test.this, exp.Count):
            counted = test.this.this.expressions if isinstance(test.this.this, exp.Distinct) else []
            enough = isinstance(test.expression, exp.Literal) and int(test.expression.this) >= k
            if enough and len(counted) == 1 and isinstance(counted[0], exp.Column):
                found.add((counted[0].table, counted[0].name))
    return found


def _passed(select: exp.Select, read: set[tuple[str, str]]) -> bool:
    """Whether a SELECT hands on every key that it reads, row by row."""
    if any(select.args.get(key) for key in ("group", "having", "distinct", "qualify")) or _cuts(select):
        return False
    shown = [one.this for one in select.expressions if one.alias.startswith(_PREFIX)]
    found = {(column.table, column.name) for column in shown if isinstance(column, exp.Column)}
    return all((table, key) in found or ("", key) in found for table, key in read)


def _cuts(select: exp.Select) -> bool:
    """Whether there is a LIMIT that is less than all rows that any table can have."""
    limit = select.args.get("limit")
    most = limit.expression if isinstance(limit, exp.Limit) else None
    whole = isinstance(most, exp.Literal) and not most.is_string and most.this == _ALL_ROWS
    return limit is not None and not (whole and not limit.args.get("offset") and not select.args.get("offset"))


def _is_hidden(column: exp.Column) -> bool:
    """Whether a hidden column is handed on under a hidden name, or counted."""
    if isinstance(column.parent, exp.Alias):
        return column.parent.alias.startswith(_PREFIX)
    current = column.parent
    while isinstance(current, (exp.Case, exp.If)):
        current = current.parent
    return isinstance(current, exp.Distinct) and isinstance(current.parent, exp.Count)
