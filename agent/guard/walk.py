"""Syntax tree -> nothing, or `Refuse`: every node and every argument against the allow-lists."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from typing import Final, NamedTuple

from sqlglot import exp

from agent.core.errors import Refuse
from agent.dialects import Dialect
from agent.dialects.base import CALLS_BY_NAME
from agent.guard.hints import argument_hint, node_hint
from agent.guard.nodes import UNITS, WORDS, arguments

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_TABLE_FUNCTIONS: Final[Mapping[type[exp.Expression], tuple[str, ...]]] = {
    exp.GenerateSeries: ("generate_series",),
    exp.Explode: ("unnest", "flatten", "explode"),
    exp.Unnest: ("unnest",),
}
"""Nodes that sqlglot reads several names as."""
_NUMBER: Final = re.compile(r"0[xX][0-9A-Fa-f_]+|(?=\.?[0-9])[0-9_]*+(\.[0-9_]*+)?([eE][+-]?[0-9_]++)?")
_COLLATION: Final = re.compile(r'"?[A-Za-z_][A-Za-z0-9_]{0,63}"?(\."?[A-Za-z_][A-Za-z0-9_]{0,63}"?)*')

_SOURCES: Final = (exp.Table, exp.Subquery, exp.Values, exp.Unnest, exp.Lateral, exp.TableFromRows)
"""What may stand where rows come from: there every name of a relation is in a Table node."""

_ROWS: Final = (exp.Table, exp.Lateral, exp.TableFromRows)
"""What a function stands in when it gives rows."""

_INTERNAL: Final = frozenset(
    {(exp.Pivot, "pivot_column_naming"), (exp.DataType, "this"), (exp.JSONPathSubscript, "this")}
)
"""Arguments that a generator does not write as they are."""

_MANY: Final = (list, tuple, set, dict)

_OWN_TEXT: Final = CALLS_BY_NAME | {
    exp.Identifier, exp.Literal, exp.Placeholder, exp.JSONPathKey, exp.Boolean, exp.Var, exp.HexString, exp.National,
    exp.BitString,
}  # fmt: skip
"""Nodes whose own text is checked by their own rule, or written inside quotes."""


def walk(tree: exp.Expression, dialect: Dialect, *, skip: frozenset[int] = frozenset()) -> None:
    """Check the whole tree. `skip` holds `id()`s of sub-trees that equal known ones. Raises Refuse(sql.*)."""
    known = _known(dialect)
    stack: list[exp.Expression] = [tree]
    while stack:
        node = stack.pop()
        if id(node) not in skip:
            _visit(node, dialect, known, stack)


def faults(tree: exp.Expression, dialect: Dialect) -> Iterator[tuple[Refuse, exp.Expression]]:
    """Every refusal that `walk` would come to if it went on after the first, with the node it is about."""
    known = _known(dialect)
    for node in tree.find_all(exp.Expression):
        try:
            _visit(node, dialect, known, [])
        except Refuse as refusal:
            yield refusal, _culprit(node, known[type(node)]) if refusal.code == "sql.argument" else node


def _culprit(node: exp.Expression, known: "_Kind") -> exp.Expression:
    """The argument that is not allowed, where it is a node of its own."""
    for key, value in node.args.items():
        if known.allowed is not None and key not in known.allowed:
            for item in _items(value):
                if isinstance(item, exp.Expression):
                    return item
    return node


def _visit(
    node: exp.Expression, dialect: Dialect, known: "dict[type[exp.Expression], _Kind]", stack: list[exp.Expression]
) -> None:
    """Check one node, and put its children on the stack."""
    kind = type(node)
    what = known.get(kind)
    if what is None:
        callable_, own_text = issubclass(kind, exp.Func), kind in _OWN_TEXT
        what = known[kind] = _Kind(arguments(kind, dialect), _RULES.get(kind), callable_, own_text)
    _check(node, what, dialect)
    allowed = what.allowed
    for key, value in node.args.items():
        if value is None or value is False:
            continue
        items = _items(value) if isinstance(value, _MANY) else (value,)
        if items and allowed is not None and key not in allowed:
            raise Refuse("sql.argument", f"{_shown(node)}: {_word(key)} is not allowed here.", argument_hint(key))
        for item in items:
            if isinstance(item, exp.Expression):
                stack.append(item)
            elif not what.own_text:
                _check_bare(node, key, item, dialect)


def _check(node: exp.Expression, known: "_Kind", dialect: Dialect) -> None:
    allowed, rule, is_call, _ = known
    if is_call and isinstance(node.parent, _ROWS) and node.arg_key == "this":
        _check_table_function(node, dialect)
        return
    if rule is not None:
        rule(node, dialect)
    if allowed is None and not isinstance(node, exp.Anonymous):
        raise _unknown(node, dialect)


class _Kind(NamedTuple):
    """What the walk asks of a type of node: its admitted arguments (None: any), its rule, whether it is a function.

    `own_text`: its own rule checks its text, or it stands inside quotes.
    """

    allowed: frozenset[str] | None
    rule: Callable[[exp.Expression, Dialect], None] | None
    callable: bool
    own_text: bool


@cache
def _known(dialect: Dialect) -> dict[type[exp.Expression], _Kind]:  # noqa: ARG001 - filled by the walk, one for each
    return {}


def _items(value: object) -> Sequence[object]:
    """What an argument holds: itself, or what is in its lists, tuples and mappings, to any depth; nothing unset."""
    if value is None or value is False:
        return ()
    if isinstance(value, dict):
        value = list(value.items())
    if not isinstance(value, _MANY):
        return (value,)
    return [part for item in value for part in ((item,) if isinstance(item, exp.Expression) else _items(item))]


def _check_var(node: exp.Expression, dialect: Dialect) -> None:
    if not _is_keyword(str(node.this), dialect) and not isinstance(node.parent, exp.Collate):
        raise Refuse("sql.node", "A bare word is not allowed here.", "Write a plain column or literal.")


def _check_identifier(node: exp.Expression, _: Dialect) -> None:
    if not isinstance(node.this, str) or not node.this or "\0" in node.this:
        raise Refuse("sql.node", "An identifier is empty or not valid.")


def _check_source(node: exp.Expression, _: Dialect) -> None:
    if isinstance(node, exp.Join) and node.kind == "ARRAY":  # its operands are columns
        return
    if not isinstance(node.this, _SOURCES):
        raise Refuse("sql.node", f"{_shown(node)} does not name a table or a sub-query.", "Write schema.table.")


def _check_lateral(node: exp.Expression, _: Dialect) -> None:
    if not isinstance(node.this, (exp.Subquery, exp.Func)):
        raise Refuse("sql.node", "LATERAL is not followed by a sub-query.", "Write LATERAL (SELECT …).")


def _check_rows(node: exp.Expression, _: Dialect) -> None:
    if not isinstance(node.this, exp.Func):
        raise Refuse("sql.node", "TABLE(…) does not hold a plain function.", "Query a table of the catalog.")


def _check_unit(node: exp.Expression, _: Dialect) -> None:
    """Some generators write a part of a date without quotes, though it is held as a text."""
    unit = node.args.get("unit")
    if isinstance(unit, exp.Literal) and not _NAME.fullmatch(unit.name):
        raise Refuse("sql.node", "A part of a date is not a plain word.", "Write a part of a date, such as MONTH.")


def _check_hex(node: exp.Expression, _: Dialect) -> None:
    if not re.fullmatch(r"[0-9A-Fa-f]*", str(node.this)):
        raise Refuse("sql.node", "A hexadecimal literal is not valid.")


def _check_bits(node: exp.Expression, _: Dialect) -> None:
    if not re.fullmatch(r"[01]*", str(node.this)):
        raise Refuse("sql.node", "A bit string is not valid.")


def _check_collation(node: exp.Expression, _: Dialect) -> None:
    if not _COLLATION.fullmatch(node.expression.sql(identify=False)):
        raise Refuse("sql.node", "A collation is not written as a plain name.")


def _check_path_key(node: exp.Expression, dialect: Dialect) -> None:
    if dialect.bare_paths and not (isinstance(node.this, str) and _NAME.fullmatch(node.this)):
        raise Refuse("sql.node", "A step of a path is not a plain name.", "Write a:b.c with plain names.")


def _check_in(node: exp.Expression, dialect: Dialect) -> None:
    found = node.expressions
    if dialect.in_reads_tables and len(found) == 1 and isinstance(found[0].unnest(), (exp.Column, exp.Dot)):
        raise Refuse("sql.node", "What stands behind IN would be read as a table.", "Write IN (SELECT …), or = x.")


def _is_place(node: object) -> bool:
    """`pair.1`: a part of a tuple by its place."""
    return isinstance(node, exp.Literal) and not node.is_string and str(node.this).isdecimal()


def _check_column(node: exp.Expression, _: Dialect) -> None:
    if not isinstance(node.this, (exp.Identifier, exp.Star)) and not _is_place(node.this):
        raise Refuse("sql.node", "A column is not written as a name.")


def _check_literal(node: exp.Expression, _: Dialect) -> None:
    if not isinstance(node.this, str) or not (node.is_string or _NUMBER.fullmatch(node.this)):
        raise Refuse("sql.node", "A literal is not valid.")
    if "\0" in node.this or not _is_text(node.this):  # E'\000': drivers and engines end the statement there
        raise Refuse("sql.encoding", "A literal holds a NUL or half a character.", "Remove it.")


def _is_text(value: str) -> bool:
    """Whether it can be written in UTF-8: escapes may name lone surrogates."""
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_dot(node: exp.Expression, _: Dialect) -> None:
    if not isinstance(node.expression, (exp.Identifier, exp.Star)) and not _is_place(node.expression):
        raise Refuse(
            "sql.function", "Functions may not be qualified or called on a value.", "Write f(x) instead of x.f()."
        )


def _check_table_function(node: exp.Expression, dialect: Dialect) -> None:
    own = (str(node.this) if isinstance(node, exp.Anonymous) else _called(node),)
    names = [name.lower() for name in _TABLE_FUNCTIONS.get(type(node), own)]
    name = names[0]
    quoted = isinstance(node, exp.Anonymous) and not isinstance(node.this, str)
    if isinstance(node.parent, exp.Table) and (node.parent.args.get("db") or node.parent.args.get("catalog")):
        raise Refuse("sql.table_function", "Table functions may not be qualified.", "Drop the schema's name.")
    if quoted or dialect.table_functions.isdisjoint(names):
        shown = name.lower() if _NAME.fullmatch(name) else "(not a plain name)"
        hint = f"Query a table of the catalog; allowed are {', '.join(sorted(dialect.table_functions))}."
        raise Refuse("sql.table_function", f"The table function {shown} is not allowed in {dialect.name}.", hint)


def _check_match(node: exp.Expression, _: Dialect) -> None:
    if not any(node.expressions):
        raise Refuse("sql.node", "An operand of @@ is missing.")


def _check_sample(node: exp.Expression, dialect: Dialect) -> None:
    if dialect.samples_tables and not isinstance(getattr(node.parent, "this", None), exp.Identifier):
        raise Refuse("sql.node", "TABLESAMPLE is not allowed here.", "Sample a table of the catalog.")


def _check_anonymous(node: exp.Expression, dialect: Dialect) -> None:
    name = node.this
    if not isinstance(name, str):
        raise Refuse("sql.function", "A function's name may not be quoted.", "Write it without quotes.")
    if not dialect.knows(name):
        raise refused_function(name, dialect)


def refused_function(name: str, dialect: Dialect) -> Refuse:
    """A refusal that names the function and what comes close."""
    shown = name.lower() if _NAME.fullmatch(name) else "(not a plain name)"
    close = get_close_matches(shown, dialect.functions, n=3, cutoff=0.75)
    spelled = ", ".join(map(dialect.spelling, close))
    hint = f"Did you mean {spelled}?" if close else f"docs/sql/{dialect.name}.md lists what is allowed."
    return Refuse("sql.function", f"The function {shown} is not allowed in {dialect.name}.", hint)


def _check_type(node: exp.Expression, dialect: Dialect) -> None:
    kind = getattr(node.this, "name", "")
    named = node.args.get("kind")
    if kind == "USERDEFINED" and isinstance(named, exp.Identifier) and named.name in dialect.named_casts:
        return
    if kind not in dialect.casts:
        written = str(node.args.get("kind") or kind)  # of a type that the grammar does not know
        shown = written if _NAME.fullmatch(written) else "(unknown)"
        raise Refuse("sql.cast", f"The type {shown.lower()} is not allowed.", "Use a plain type: text, numbers, dates.")


def _check_parameter(node: exp.Expression, _: Dialect) -> None:
    name = node.this
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise Refuse("sql.parameter", "Parameters are written as :name.", "Replace ? and $1 by :name.")


_RULES: Final[Mapping[type[exp.Expression], Callable[[exp.Expression, Dialect], None]]] = {
    **dict.fromkeys(CALLS_BY_NAME, _check_anonymous),
    exp.Collate: _check_collation,
    exp.Column: _check_column,
    exp.DataType: _check_type,
    exp.Dot: _check_dot,
    exp.From: _check_source,
    exp.BitString: _check_bits,
    exp.HexString: _check_hex,
    exp.Identifier: _check_identifier,
    exp.In: _check_in,
    exp.JSONPathKey: _check_path_key,
    exp.Join: _check_source,
    exp.Lateral: _check_lateral,
    exp.Literal: _check_literal,
    exp.MatchAgainst: _check_match,
    exp.Placeholder: _check_parameter,
    exp.TableFromRows: _check_rows,
    **dict.fromkeys((exp.DateTrunc, exp.DatetimeTrunc, exp.TimestampTrunc, exp.TimeTrunc), _check_unit),
    exp.TableSample: _check_sample,
    exp.Var: _check_var,
}
"""Nodes that carry text: what a generator writes of them must not be able to read as anything else."""


def _is_keyword(word: str, dialect: Dialect) -> bool:
    return word.upper() in WORDS | UNITS | dialect.keywords | dialect.bare_columns


def _check_bare(node: exp.Expression, key: str, item: object, dialect: Dialect) -> None:
    """Text that a generator would write outside quotes: known keywords only."""
    if (type(node), key) in _INTERNAL:
        return
    if isinstance(item, str) and not _is_keyword(item, dialect):
        raise Refuse("sql.argument", f"{_shown(node)}: {_word(key)} is not one of the allowed words.", "Remove it.")
    if not isinstance(item, (str, bool, int)):
        raise Refuse("sql.argument", f"{_shown(node)}: {_word(key)} is not valid.", "Remove it.")


def _called(node: exp.Expression) -> str:
    return str(node.sql_name()) if isinstance(node, exp.Func) else ""


def _unknown(node: exp.Expression, dialect: Dialect) -> Refuse:
    if isinstance(node, exp.Func):
        return refused_function(_called(node), dialect)
    return Refuse("sql.node", f"{_shown(node)} is not allowed.", node_hint(type(node)))


def _shown(node: exp.Expression) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(node).__name__).upper()


def _word(key: str) -> str:
    return key.strip("_").replace("_", " ").upper()
