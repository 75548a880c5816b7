"""Syntax tree -> nothing, or `Refuse`: every node and every argument against the allow-lists."""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Final

from sqlglot import exp

from agent.core.errors import Refuse
from agent.dialects import Dialect
from agent.guard.nodes import UNITS, WORDS, arguments

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_TABLE_FUNCTIONS: Final = {exp.GenerateSeries: "generate_series", exp.Explode: "unnest", exp.Unnest: "unnest"}
_NUMBER: Final = re.compile(r"0[xX][0-9A-Fa-f_]+|[0-9_]*\.?[0-9_]*([eE][+-]?[0-9_]+)?")
_COLLATION: Final = re.compile(r'"?[A-Za-z_]{1,32}"?(\."?[A-Za-z_]{1,32}"?)*')

_INTERNAL: Final = frozenset(
    {(exp.Pivot, "pivot_column_naming"), (exp.DataType, "this"), (exp.JSONPathSubscript, "this")}
)
"""Arguments that a generator does not write as they are."""

_OWN_TEXT: Final = (
    exp.Identifier, exp.Literal, exp.Anonymous, exp.Placeholder, exp.JSONPathKey, exp.Boolean, exp.Var, exp.HexString,
)  # fmt: skip
"""Nodes whose own text is checked by their own rule, or written inside quotes."""


def walk(tree: exp.Expression, dialect: Dialect, *, skip: frozenset[int] = frozenset()) -> None:
    """Check the whole tree. `skip` holds `id()`s of sub-trees that equal known ones. Raises Refuse(sql.*)."""
    stack: list[exp.Expression] = [tree]
    while stack:
        node = stack.pop()
        if id(node) in skip:
            continue
        _check(node, dialect)
        allowed = arguments(type(node), dialect)
        for key, value in node.args.items():
            if value is None or value is False:
                continue
            for item in (value,) if isinstance(value, exp.Expression) else _flat(value):
                if item is None or item is False:
                    continue
                if allowed is not None and key not in allowed:
                    raise Refuse("sql.argument", f"{_shown(node)}: {_word(key)} is not allowed here.", "Remove it.")
                if isinstance(item, exp.Expression):
                    stack.append(item)
                elif not isinstance(node, _OWN_TEXT):
                    _check_bare(node, key, item)


def _flat(value: object) -> Iterator[object]:
    """The value, or what lists, tuples and mappings in it hold, to any depth."""
    if isinstance(value, (list, tuple, set)):
        for item in value:
            yield from _flat(item)
    elif isinstance(value, dict):
        yield from _flat(list(value.items()))
    else:
        yield value


def _check(node: exp.Expression, dialect: Dialect) -> None:
    if isinstance(node, exp.Func) and isinstance(node.parent, (exp.Table, exp.Lateral)) and node.arg_key == "this":
        _check_table_function(node, dialect)
        return
    _check_leaf(node)
    if isinstance(node, exp.Anonymous):
        _check_anonymous(node, dialect)
    elif isinstance(node, exp.DataType):
        _check_type(node, dialect)
    elif isinstance(node, exp.Dot) and not isinstance(node.expression, exp.Identifier):
        raise Refuse(
            "sql.function", "Functions may not be qualified or called on a value.", "Write f(x) instead of x.f()."
        )
    if arguments(type(node), dialect) is None and not isinstance(node, exp.Anonymous):
        raise _unknown(node, dialect)


def _check_leaf(node: exp.Expression) -> None:
    """Nodes that carry text: what a generator writes of them must not be able to read as anything else."""
    match node:
        case exp.Placeholder():
            _check_parameter(node)
        case exp.Var():
            if str(node.this).upper() not in WORDS | UNITS and not isinstance(node.parent, exp.Collate):
                raise Refuse("sql.node", "A bare word is not allowed here.", "Write a plain column or literal.")
        case exp.Identifier() if not isinstance(node.this, str) or not node.this or "\0" in node.this:
            raise Refuse("sql.node", "An identifier is empty or not valid.")
        case exp.HexString() if not re.fullmatch(r"[0-9A-Fa-f]*", str(node.this)):
            raise Refuse("sql.node", "A hexadecimal literal is not valid.")
        case exp.Collate() if not _COLLATION.fullmatch(node.expression.sql(identify=False)):
            raise Refuse("sql.node", "A collation is not written as a plain name.")
        case exp.Column() if not isinstance(node.this, (exp.Identifier, exp.Star)):
            raise Refuse("sql.node", "A column is not written as a name.")
        case exp.Literal() if not isinstance(node.this, str) or not (node.is_string or _NUMBER.fullmatch(node.this)):
            raise Refuse("sql.node", "A literal is not valid.")
        case _:
            pass


def _check_table_function(node: exp.Func, dialect: Dialect) -> None:
    name = str(node.this) if isinstance(node, exp.Anonymous) else _TABLE_FUNCTIONS.get(type(node), node.sql_name())
    quoted = isinstance(node, exp.Anonymous) and not isinstance(node.this, str)
    if quoted or name.lower() not in dialect.table_functions:
        shown = name.lower() if _NAME.fullmatch(name) else "(not a plain name)"
        hint = f"Query a table of the catalog; allowed are {', '.join(sorted(dialect.table_functions))}."
        raise Refuse("sql.table_function", f"The table function {shown} is not allowed in {dialect.name}.", hint)


def _check_anonymous(node: exp.Anonymous, dialect: Dialect) -> None:
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


def _check_type(node: exp.DataType, dialect: Dialect) -> None:
    kind = getattr(node.this, "name", "")
    if kind not in dialect.casts:
        raise Refuse("sql.cast", f"The type {kind or '(unknown)'} is not allowed.", "Use a plain scalar type.")


def _check_parameter(node: exp.Placeholder) -> None:
    name = node.this
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise Refuse("sql.parameter", "Parameters are written as :name.", "Replace ? and $1 by :name.")


def _check_bare(node: exp.Expression, key: str, item: object) -> None:
    """Text that a generator would write outside quotes: known keywords only."""
    if (type(node), key) in _INTERNAL:
        return
    if isinstance(item, str) and item.upper() not in WORDS | UNITS:
        raise Refuse("sql.argument", f"{_shown(node)}: {_word(key)} is not one of the allowed words.", "Remove it.")
    if not isinstance(item, (str, bool, int)):
        raise Refuse("sql.argument", f"{_shown(node)}: {_word(key)} is not valid.", "Remove it.")


def _unknown(node: exp.Expression, dialect: Dialect) -> Refuse:
    if isinstance(node, exp.Func):
        return refused_function(node.sql_name(), dialect)
    return Refuse("sql.node", f"{_shown(node)} is not allowed.", "Write the query with plain SELECT constructs.")


def _shown(node: exp.Expression) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(node).__name__).upper()


def _word(key: str) -> str:
    return key.strip("_").replace("_", " ").upper()
