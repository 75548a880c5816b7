"""`SqlTask` -> `Plan`, or `Refuse`: the one place that decides whether a statement may be considered at all."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError
from sqlglot.tokenizer_core import Token, TokenType

from agent.core.catalog import Catalog
from agent.core.errors import Refuse
from agent.core.job import ParameterValue, SqlTask
from agent.dialects import DIALECTS, Dialect
from agent.dialects.base import without_positions, words
from agent.guard.nodes import ROOTS
from agent.guard.outputs import output_texts
from agent.guard.relations import check_hidden, uses
from agent.guard.scan import scan
from agent.guard.walk import refused_function, walk

_STRUCTURAL: Final = words(
    """cast try_cast interval filter over in values and or not on using as select from where having when then else
    case by distinct all any some exists union except intersect limit offset between like ilike similar to is with
    recursive lateral unnest partition order group rollup cube sets within pivot unpivot for exclude replace rename
    extract qualify window rows range join materialized sample percent columns if lambda map struct decimal varchar
    char text numeric float double name into end escape glob at zone nulls collate array timestamp time key value system
    bernoulli reservoir repeatable"""
)
"""Words that may stand before a bracket without being a function."""
_ENDS: Final = frozenset("_\"'`)]}[{:$")
"""Characters that end or open an operand: a colon right behind them does not begin a parameter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """An admitted statement, parsed, every identifier quoted. Made only by `admit`.

    `explain` asks for the engine's bare plan instead of rows. `names` are the parameters in the statement. `outputs`
    are the texts by which the engine calls the columns of its result, for engines that do.
    """

    tree: exp.Expression
    dialect: Dialect
    explain: bool
    names: frozenset[str]
    parameters: Mapping[str, ParameterValue]
    outputs: tuple[str, ...] = ()


@contextmanager
def shallow() -> Iterator[None]:
    """Turns a tree that is too deep for some step into Refuse(sql.depth)."""
    try:
        yield
    except RecursionError:
        raise Refuse("sql.depth", "The statement is nested too deeply.", "Flatten the query with WITH.") from None


@shallow()
def admit(task: SqlTask, catalog: Catalog) -> Plan:
    """The plan of a task over the relations that `catalog` shows. Raises Refuse(sql.*). Pure; the text is never run."""
    dialect = DIALECTS[catalog.dialect]
    text, tokens, explain = _without_explain(task.statement, dialect)
    tree = quoted(parse_one(text, dialect, tokens), dialect)
    check(tree, catalog, dialect)
    names = frozenset(str(node.this) for node in tree.find_all(exp.Placeholder))
    _check_values(task.parameters)
    outputs = output_texts(text, tokens) if dialect.names_by_text else ()
    return Plan(tree=tree, dialect=dialect, explain=explain, names=names, parameters=task.parameters, outputs=outputs)


def parse_one(text: str, dialect: Dialect, tokens: list[Token] | None = None) -> exp.Expression:
    """Exactly one statement that is a query, whose scanned `tokens` may be known.

    Raises Refuse(sql.parse | sql.statements | sql.root | …).
    """
    tokens = scan(text, dialect) if tokens is None else tokens
    for word, bracket in pairwise(tokens) if dialect.misread else ():
        if bracket.token_type is TokenType.L_PAREN and word.text.lower() in dialect.misread:
            raise refused_function(word.text, dialect)
    tokens = _with_parameters(text, tokens, dialect)
    try:
        trees = [
            tree for tree in dialect.parse(text, tokens) if tree is not None and not isinstance(tree, exp.Semicolon)
        ]
    except ParseError as error:
        raise Refuse("sql.parse", _where(error), "Correct the syntax.") from None
    except (SqlglotError, RecursionError, ValueError, TypeError, AttributeError, KeyError, IndexError):
        raise Refuse("sql.parse", "The statement does not parse.", "Correct the syntax, or simplify it.") from None
    if len(trees) != 1:
        raise Refuse("sql.statements", f"There are {len(trees)} statements; one is allowed.", "Send one query per job.")
    roots = (*ROOTS, exp.Pivot) if exp.Pivot in dialect.nodes else ROOTS
    if not isinstance(trees[0], roots):
        raise Refuse(
            "sql.root", "The statement is not a query.", "Send SELECT, WITH … SELECT, VALUES or a set operation."
        )
    return trees[0]


def canonical(tree: exp.Expression, dialect: Dialect) -> exp.Expression:
    """The tree as its own generated text reads: with what sqlglot normalises only while it writes."""
    return reparsed(written(tree, dialect), dialect)


def quoted(tree: exp.Expression, dialect: Dialect) -> exp.Expression:
    """The tree, changed in place: every identifier quoted in the engine's own case, every text a plain literal.

    The places of its words in the text are dropped: see `without_positions`.
    """
    texts = []
    for node in tree.walk():
        node._meta = node.comments = None  # noqa: SLF001 - there is no public way to drop it
        if isinstance(node, exp.Identifier):
            if not node.args.get("quoted"):
                if isinstance(node.this, str) and dialect.case != "insensitive":
                    node.args["this"] = dialect.fold(node.this, quoted=False)
                node.args["quoted"] = True
        elif isinstance(node, dialect.strings):
            texts.append(node)
    for node in texts:
        node.replace(exp.Literal.string(str(node.this)))
    return tree


def reparsed(text: str, dialect: Dialect, tokens: list[Token] | None = None) -> exp.Expression:
    """A generated text, read again. Raises Refuse(sql.rewrite) where that fails."""
    try:
        (again,) = dialect.parse(text, tokens)
    except (SqlglotError, RecursionError, ValueError, TypeError, AttributeError, KeyError, IndexError):
        raise Refuse("sql.rewrite", "The statement cannot be written back.", "Write it more plainly.") from None
    if again is None:
        raise Refuse("sql.rewrite", "The statement cannot be written back.", "Write it more plainly.")
    return without_positions(again)


def written(tree: exp.Expression, dialect: Dialect, *, spare: bool = True) -> str:
    """The tree's text in the engine's dialect. Raises Refuse(sql.rewrite) for what the dialect cannot say.

    Without `spare` the tree itself becomes what sqlglot makes of it while it writes.
    """
    try:
        return dialect.generate(tree, spare=spare)
    except (SqlglotError, RecursionError, ValueError, TypeError, AttributeError, KeyError, IndexError):
        message = f"The statement uses what cannot be written in {dialect.name}."
        raise Refuse("sql.rewrite", message, "Write it more plainly, without constructs of other dialects.") from None


def check(tree: exp.Expression, catalog: Catalog, dialect: Dialect, *, skip: frozenset[int] = frozenset()) -> None:
    """Nodes, arguments, functions and relations. `skip`: see `walk`. Raises Refuse(sql.*)."""
    walk(tree, dialect, skip=skip)
    check_hidden(tree, uses(tree, catalog, dialect), dialect)


def check_words(text: str, tokens: list[Token], dialect: Dialect, also: frozenset[str]) -> None:
    """What the engine will read: each bare word before a bracket is an admitted function or a keyword."""
    for token, following in pairwise(tokens):
        if following.token_type is not TokenType.L_PAREN or not token.text[:1].isalpha():
            continue
        if token.token_type in {TokenType.IDENTIFIER, TokenType.STRING} or _is_quoted(text, token):
            continue
        word = token.text.lower().split()[-1]
        if word not in dialect.functions and word not in dialect.table_functions | _STRUCTURAL | also:
            raise refused_function(word, dialect)


def _is_quoted(text: str, token: Token) -> bool:
    return text[token.start : token.start + 1] in {'"', "`", "'"}


def _without_explain(text: str, dialect: Dialect) -> tuple[str, list[Token], bool]:
    tokens = scan(text, dialect)
    if not tokens or tokens[0].text.upper() != "EXPLAIN":
        return text, tokens, False
    if not dialect.explain:
        raise Refuse("sql.explain", f"EXPLAIN is not available in {dialect.name}.", "Run the query itself.")
    # sqlglot keeps everything after EXPLAIN as one text: look at that text itself.
    rest = text[tokens[0].end + 1 :]
    inner = scan(rest, dialect)
    if not inner or inner[0].text.upper() in {"ANALYZE", "ANALYSE", "(", "QUERY", "VERBOSE", "EXPLAIN"}:
        raise Refuse("sql.explain", "EXPLAIN is allowed only bare.", "Drop ANALYZE and options.")
    return rest, inner, True


def _with_parameters(text: str, tokens: list[Token], dialect: Dialect) -> list[Token]:
    """The tokens with every `:name` in the engine's own spelling, where the engine reads a colon otherwise."""
    if dialect.parameter == ":" or ":" not in text:
        return tokens
    spelled = list(tokens)
    for place, (colon, name) in enumerate(pairwise(tokens)):
        if colon.text == ":" and name.start == colon.end + 1 and (name.text[:1].isalpha() or name.text[:1] == "_"):
            before = text[colon.start - 1 : colon.start]
            if not before.isalnum() and before not in _ENDS:  # else it is a slice, a path or a key
                mark = Token(TokenType.PARAMETER, dialect.parameter, colon.line, colon.col, colon.start, colon.end)
                spelled[place] = mark
    return spelled


def _check_values(parameters: Mapping[str, ParameterValue]) -> None:
    for name, value in parameters.items():
        if isinstance(value, str) and "\0" in value:
            raise Refuse("sql.parameter", f"The parameter {name} holds a NUL character.", "Remove it.")


def _where(error: ParseError) -> str:
    first = error.errors[0] if error.errors else {}
    line, column = first.get("line"), first.get("col")
    return f"The statement does not parse at line {line}, column {column}." if line else "The statement does not parse."
