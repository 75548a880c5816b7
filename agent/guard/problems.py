"""Refused statement -> everything that is wrong with it: what, where, and what to write instead.

Runs only after a refusal, over the same text; it decides nothing. What it finds can only add to the first refusal.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Final

from sqlglot import exp
from sqlglot.tokenizer_core import Token

from agent.core.catalog import Catalog, Relation
from agent.core.errors import Refuse
from agent.core.problem import MOST, Problem
from agent.dialects import Dialect
from agent.guard.relations import unknown, uses
from agent.guard.walk import faults

_MAX_NODES: Final = 20_000
"""In a larger statement only the first refusal is told: to look for all of them takes time."""

_MAX_NAME, _MAX_SHOWN = 64, 12

_OPENED_BY: Final = {
    exp.Lock: ("for", "lock"),
    exp.Into: ("into",),
    exp.Hint: ("/*+",),
    exp.Operator: ("operator",),
    exp.SessionParameter: ("@@",),
    exp.Parameter: ("@", "$", ":"),
    exp.Placeholder: ("?", "$", ":"),
    exp.National: ("n",),
}
"""Nodes that carry no name of their own, and the words that they are written with."""


def problems(
    first: Refuse, trees: Sequence[exp.Expression], tokens: Sequence[Token], catalog: Catalog, dialect: Dialect
) -> tuple[Problem, ...]:
    """The refusal and up to two more, each with its place. `trees` keep the places of their words."""
    found: dict[tuple[str, str], Problem] = {}
    for refusal, node in _all(trees, catalog, dialect):
        key = refusal.code, refusal.message
        if key not in found:
            found[key] = _problem(refusal, node, tokens)
    mine = found.pop((first.code, first.message), Problem(first.code, first.message, first.hint))
    rest = (one for one in found.values() if (one.line, one.column) != (mine.line, mine.column))
    return (mine, *_in_order(rest))[:MOST]


def unbound(
    trees: Iterable[exp.Expression], tokens: Sequence[Token], catalog: Catalog, dialect: Dialect
) -> tuple[Problem, ...]:
    """Columns that no relation which the statement reads has: what an engine means that cannot bind it.

    Only names of the statement and of `catalog`, which is what the job may know of, are told.
    """
    found: dict[tuple[str, str], Problem] = {}
    for tree in trees:
        relations = _relations(tree, catalog, dialect)
        columns = {c.name.lower(): c.name for relation in relations.values() for c in relation.columns}
        named = {one.name.lower() for one in tree.find_all(exp.Identifier) if not isinstance(one.parent, exp.Column)}
        for column in tree.find_all(exp.Column):
            known = columns
            if column.table.lower() in relations:
                known = {c.name.lower(): c.name for c in relations[column.table.lower()].columns}
            elif column.name.lower() in named:
                continue
            if isinstance(column.this, exp.Identifier) and column.name.lower() not in known:
                found.setdefault((column.table, column.name), _problem(_no_column(column.name, known), column, tokens))
    return _in_order(found.values())[:MOST]


def _in_order(found: Iterable[Problem]) -> tuple[Problem, ...]:
    """Those that have a place, by their places."""
    return tuple(sorted((one for one in found if one.line), key=lambda one: (one.line or 0, one.column or 0)))


def _relations(tree: exp.Expression, catalog: Catalog, dialect: Dialect) -> dict[str, Relation]:
    """Alias or name, in lower case -> relation. An alias that stands for two things is left out."""
    try:
        found = uses(tree, catalog, dialect)
    except Refuse:
        return {}
    relations: dict[str, Relation] = {}
    others = {one.alias_or_name.lower() for one in tree.find_all(exp.Subquery, exp.CTE)}
    for use in found:
        name = use.node.alias_or_name.lower()
        if name in relations or name in others or not isinstance(use.means, Relation):
            others.add(name)
        else:
            relations[name] = use.means
    return {name: relation for name, relation in relations.items() if name not in others}


def _no_column(name: str, known: Mapping[str, str]) -> Refuse:
    shown = name if name.isprintable() and len(name) <= _MAX_NAME else "(unprintable)"
    close = get_close_matches(name.lower(), known, n=3, cutoff=0.6)
    some = ", ".join(sorted(known.values())[:_MAX_SHOWN])
    hint = f"Did you mean {', '.join(known[one] for one in close)}?" if close else f"Columns here: {some}."
    return Refuse("sql.column", f"No relation here has a column {shown}.", hint if known else "")


def placed(refusal: Refuse, token: Token, text: str) -> Refuse:
    """The refusal with one problem at this token of `text`."""
    line, column = place(text, token.start)
    refusal.problems = (Problem(refusal.code, refusal.message, refusal.hint, token.text, line, column),)
    return refusal


def place(text: str, offset: int) -> tuple[int, int]:
    """Line and column, from 1, of a character of the text."""
    before = text[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1


def _all(
    trees: Iterable[exp.Expression], catalog: Catalog, dialect: Dialect
) -> Iterator[tuple[Refuse, exp.Expression]]:
    for tree in trees:
        if sum(1 for _ in tree.walk()) <= _MAX_NODES:
            yield from faults(tree, dialect)
            yield from unknown(tree, catalog, dialect)


def _problem(refusal: Refuse, node: exp.Expression, tokens: Sequence[Token]) -> Problem:
    offset = _offset(node, tokens)
    name = _name(node)
    if offset is None:
        return Problem(refusal.code, refusal.message, refusal.hint, name)
    at = next((token for token in tokens if token.start >= offset), None)
    start = offset if at is None else at.start
    return Problem(refusal.code, refusal.message, refusal.hint, name, *_lines(start, tokens))


def _lines(offset: int, tokens: Sequence[Token]) -> tuple[int, int]:
    """Of a token that starts at `offset`: sqlglot counts a token's column at its end."""
    for token in tokens:
        if token.start == offset:
            return token.line, max(token.col - (token.end - token.start), 1)
    return 1, offset + 1


def _name(node: exp.Expression) -> str:
    if isinstance(node, exp.Anonymous):
        return str(node.this)[:64] if isinstance(node.this, str) else ""
    if isinstance(node, exp.Func):
        return str(node.sql_name()).lower()
    if isinstance(node, (exp.Table, exp.Column, exp.Identifier, exp.Placeholder)):
        return node.name[:64] if node.name.isprintable() else ""
    if isinstance(node, exp.DataType):
        return str(node.args.get("kind") or getattr(node.this, "name", "")).lower()[:64]
    return ""


def _offset(node: exp.Expression, tokens: Sequence[Token]) -> int | None:
    """Where the node begins: its own place, the words that it is written with, or the first place within it."""
    own = _place(node)
    if "start" in own:
        return int(own["start"])
    spelled = {_name(node)} - {""}
    for kind, words in _OPENED_BY.items():
        if isinstance(node, kind):
            spelled.update(words)
    spoken = next((token.start for token in tokens if token.text.lower() in spelled), None)
    places = [_place(one) for one in node.find_all(exp.Expression)]
    within = [int(its["start"]) for its in places if "start" in its]
    if isinstance(node, (exp.Table, exp.Column)) and within:
        return min(within)
    if spoken is not None:
        return spoken
    return min(within, default=None)


def _place(node: exp.Expression) -> Mapping[str, int]:
    """Where sqlglot saw the node's own word; empty for most nodes. Asking for `meta` would make one for each."""
    found: Mapping[str, int] | None = node._meta  # noqa: SLF001
    return found or {}
