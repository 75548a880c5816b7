"""A tree -> the names that it may read columns by: what it never names need not be projected."""

from typing import Final

from sqlglot import exp

from agent.dialects import Dialect

_RELATIONS: Final = frozenset({exp.Table, exp.TableAlias})
_UNNAMED: Final = frozenset({exp.Star, exp.Columns, exp.Pivot, exp.Join, exp.Anonymous})


def names_read(tree: exp.Expression, dialect: Dialect) -> frozenset[str] | None:
    """Every name in the tree as the engine compares it; None when columns may also be read without naming them.

    Stars, COLUMNS(…), pivots, natural joins, renamed columns and whole rows read columns without naming them.
    """
    names: set[str] = set()
    relations: set[str] = set()
    columns: set[str] = set()
    for node in tree.walk():
        kind = type(node)
        if kind is exp.Identifier:
            names.add(dialect.fold(node.this, quoted=True))
        elif kind is exp.Column:
            columns.add(dialect.fold(node.name, quoted=True))
        elif kind in _RELATIONS:
            relations.add(dialect.fold(node.name, quoted=True))
            if node.args.get("columns") and not isinstance(node.parent, exp.CTE):
                return None
        elif kind in _UNNAMED and _reads_unnamed(node):
            return None
    return None if relations & columns else frozenset(names)


def _reads_unnamed(node: exp.Expr) -> bool:
    match node:
        case exp.Star():
            return not isinstance(node.parent, exp.Count)
        case exp.Join():
            return node.args.get("method") == "NATURAL"
        case exp.Anonymous():
            return str(node.this).lower() == "columns"
        case _:
            return True
