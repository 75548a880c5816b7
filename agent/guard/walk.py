"""Syntax tree -> nothing, or `Refuse`: every node and every argument against the allow-lists."""

import re
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from functools import cache
from typing import Final, NamedTuple

from sqlglot import exp

from agent.core.errors import Refuse
from agent.dialects import Dialect
from agent.guard.nodes import UNITS, WORDS, arguments

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_TABLE_FUNCTIONS: Final[Mapping[type[exp.Expression], str]] = {
    exp.GenerateSeries: "generate_series",
    exp.Explode: "unnest",
    exp.Unnest: "unnest",
}
_NUMBER: Final = re.compile(r"0[xX][0-9A-Fa-f_]+|(?=\.?[0-9])[0-9_]*+(\.[0-9_]*+)?([eE][+-]?[0-9_]++)?")
_COLLATION: Final = re.compile(r'"?[A-Za-z_]{1,32}"?(\."?[A-Za-z_]{1,32}"?)*')

_SOURCES: Final = (exp.Table, exp.Subquery, exp.Values, exp.Unnest, exp.Lateral)
"""What may stand where rows come from: there every name of a relation is in a Table node."""

_INTERNAL: Final = frozenset(
    {(exp.Pivot, "pivot_column_naming"), (exp.DataType, "this"), (exp.JSONPathSubscript, "this")}
)
"""Arguments that a generator does not write as they are."""

_MANY: Final = (list, tuple, set, dict)

_OWN_TEXT: Final = frozenset(
    {exp.Identifier, exp.Literal, exp.Anonymous, exp.Placeholder, exp.JSONPathKey, exp.Boolean, exp.Var, exp.HexString}
)
"""Nodes whose own text is checked by their own rule, or written inside quotes."""


def walk(tree: exp.Expression, dialect: Dialect, *, skip: frozenset[int] = frozenset()) -> None:
    """Check the whole tree. `skip` holds `id()`s of sub-trees that equal known ones. Raises Refuse(sql.*)."""
    known = _known(dialect)
    stack: list[exp.Expression] = [tree]
    while stack:
        node = stack.pop()
        if id(node) in skip:
            continue
        kind = type(node)
        if kind not in known:
            known[kind] = _Kind(arguments(kind, dialect), _RULES.get(kind), issubclass(kind, exp.Func))
        _check(node, known[kind], dialect)
        allowed, own_text = known[kind].allowed, kind in _OWN_TEXT
        for key, value in node.args.items():
            if value is None or value is False:
                continue
            for item in _items(value) if isinstance(value, _MANY) else (value,):
                if allowed is not None and key not in allowed:
                    raise Refuse("sql.argument", f"{_shown(node)}: {_word(key)} is not allowed here.", "Remove it.")
                if isinstance(item, exp.Expression):
                    stack.append(item)
                elif not own_text:
                    _check_bare(node, key, item)


def _check(node: exp.Expression, known: "_Kind", dialect: Dialect) -> None:
    if known.callable and isinstance(node.parent, (exp.Table, exp.Lateral)) and node.arg_key == "this":
        _check_table_function(node, dialect)
        return
    if known.rule is not None:
        known.rule(node, dialect)
    if known.allowed is None and not isinstance(node, exp.Anonymous):
        raise _unknown(node, dialect)


class _Kind(NamedTuple):
    """What the walk asks of a type of node: its admitted arguments (None: any), its rule, whether it is a function."""

    allowed: frozenset[str] | None
    rule: Callable[[exp.Expression, Dialect], None] | None
    callable: bool


@cache
def _known(dialect: Dialect) -> dict[type[exp.Expression], _Kind]:  # noqa: ARG001 - filled by the walk, one for each
    return {}


def _items(value: object) -> Iterable[object]:
    """What an argument holds: itself, or what is in its lists, tuples and mappings, to any depth; nothing unset."""
    if value is None or value is False:
        return ()
    if isinstance(value, dict):
        value = list(value.items())
    if not isinstance(value, _MANY):
        return (value,)
    return [part for item in value for part in ((item,) if isinstance(item, exp.Expression) else _items(item))]


def _check_var(node: exp.Expression, _: Dialect) -> None:
    if str(node.this).upper() not in WORDS | UNITS and not isinstance(node.parent, exp.Collate):
        raise Refuse("sql.node", "A bare word is not allowed here.", "Write a plain column or literal.")


def _check_identifier(node: exp.Expression, _: Dialect) -> None:
    if not isinstance(node.this, str) or not node.this or "\0" in node.this:
        raise Refuse("sql.node", "An identifier is empty or not valid.")


def _check_source(node: exp.Expression, _: Dialect) -> None:
    if not isinstance(node.this, _SOURCES):
        raise Refuse("sql.node", f"{_shown(node)} does not name a table or a sub-query.", "Write schema.table.")


def _check_lateral(node: exp.Expression, _: Dialect) -> None:
    if not isinstance(node.this, (exp.Subquery, exp.Func)):
        raise Refuse("sql.node", "LATERAL is not followed by a sub-query.", "Write LATERAL (SELECT …).")


def _check_hex(node: exp.Expression, _: Dialect) -> None:
    if not re.fullmatch(r"[0-9A-Fa-f]*", str(node.this)):
        raise Refuse("sql.node", "A hexadecimal literal is not valid.")


def _check_collation(node: exp.Expression, _: Dialect) -> None:
    if not _COLLATION.fullmatch(node.expression.sql(identify=False)):
        raise Refuse("sql.node", "A collation is not written as a plain name.")


def _check_column(node: exp.Expression, _: Dialect) -> None:
    if not isinstance(node.this, (exp.Identifier, exp.Star)):
        raise Refuse("sql.node", "A column is not written as a name.")


def _check_literal(node: exp.Expression, _: Dialect) -> None:
    if not isinstance(node.this, str) or not (node.is_string or _NUMBER.fullmatch(node.this)):
        raise Refuse("sql.node", "A literal is not valid.")


def _check_dot(node: exp.Expression, _: Dialect) -> None:
    if not isinstance(node.expression, exp.Identifier):
        raise Refuse(
            "sql.function", "Functions may not be qualified or called on a value.", "Write f(x) instead of x.f()."
        )


def _check_table_function(node: exp.Expression, dialect: Dialect) -> None:
    name = str(node.this) if isinstance(node, exp.Anonymous) else _TABLE_FUNCTIONS.get(type(node), _called(node))
    quoted = isinstance(node, exp.Anonymous) and not isinstance(node.this, str)
    if quoted or name.lower() not in dialect.table_functions:
        shown = name.lower() if _NAME.fullmatch(name) else "(not a plain name)"
        hint = f"Query a table of the catalog; allowed are {', '.join(sorted(dialect.table_functions))}."
        raise Refuse("sql.table_function", f"The table function {shown} is not allowed in {dialect.name}.", hint)


def _check_anonymous(node: exp.Expression, dialect: Dialect) -> None:
    name = node.this
    if not isinstance(name, str):
        raise Refuse("sql.function", "A function's name may not be quoted.", "Write it without quotes.")
    if name.lower() not in dialect.functions:
        raise refused_function(name, dialect)


def refused_function(name: str, dialect: Dialect) -> Refuse:
    """A refusal that names the function and what comes close."""
    shown = name.lower() if _NAME.fullmatch(name) else "(not a plain name)"
    close = get_close_matches(shown, dialect.functions, n=3, cutoff=0.75)
    hint = f"Did you mean {', '.join(close)}?" if close else f"docs/sql/{dialect.name}.md lists what is allowed."
    return Refuse("sql.function", f"The function {shown} is not allowed in {dialect.name}.", hint)


def _check_type(node: exp.Expression, dialect: Dialect) -> None:
    kind = getattr(node.this, "name", "")
    if kind not in dialect.casts:
        raise Refuse("sql.cast", f"The type {kind or '(unknown)'} is not allowed.", "Use a plain scalar type.")


def _check_parameter(node: exp.Expression, _: Dialect) -> None:
    name = node.this
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise Refuse("sql.parameter", "Parameters are written as :name.", "Replace ? and $1 by :name.")


_RULES: Final[Mapping[type[exp.Expression], Callable[[exp.Expression, Dialect], None]]] = {
    exp.Anonymous: _check_anonymous,
    exp.Collate: _check_collation,
    exp.Column: _check_column,
    exp.DataType: _check_type,
    exp.Dot: _check_dot,
    exp.From: _check_source,
    exp.HexString: _check_hex,
    exp.Identifier: _check_identifier,
    exp.Join: _check_source,
    exp.Lateral: _check_lateral,
    exp.Literal: _check_literal,
    exp.Placeholder: _check_parameter,
    exp.Var: _check_var,
}
"""Nodes that carry text: what a generator writes of them must not be able to read as anything else."""


def _check_bare(node: exp.Expression, key: str, item: object) -> None:
    """Text that a generator would write outside quotes: known keywords only."""
    if (type(node), key) in _INTERNAL:
        return
    if isinstance(item, str) and item.upper() not in WORDS | UNITS:
        raise Refuse("sql.argument", f"{_shown(node)}: {_word(key)} is not one of the allowed words.", "Remove it.")
    if not isinstance(item, (str, bool, int)):
        raise Refuse("sql.argument", f"{_shown(node)}: {_word(key)} is not valid.", "Remove it.")


def _called(node: exp.Expression) -> str:
    return str(node.sql_name()) if isinstance(node, exp.Func) else ""


def _unknown(node: exp.Expression, dialect: Dialect) -> Refuse:
    if isinstance(node, exp.Func):
        return refused_function(_called(node), dialect)
    return Refuse("sql.node", f"{_shown(node)} is not allowed.", "Write the query with plain SELECT constructs.")


def _shown(node: exp.Expression) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(node).__name__).upper()


def _word(key: str) -> str:
    return key.strip("_").replace("_", " ").upper()
