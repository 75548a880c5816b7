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
from agent.core.problem import Problem
from agent.dialects import DIALECTS, Dialect
from agent.dialects.base import without_positions, words
from agent.guard.fields import check_fields
from agent.guard.nodes import ROOTS
from agent.guard.outputs import output_texts
from agent.guard.problems import placed, problems, unbound
from agent.guard.relations import check_hidden, uses
from agent.guard.scan import check_work, scan
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
_UNREADABLE: Final = (SqlglotError, RecursionError, ValueError, TypeError, AttributeError, KeyError, IndexError)
"""What sqlglot raises over texts that it cannot cope with."""
_RUN_TOGETHER: Final = {(TokenType.NUMBER, TokenType.VAR), (TokenType.VAR, TokenType.AMP)}
"""`1_000` and `U&"\0073sn"`, which the engine reads as one word and the grammar as several."""
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
    try:
        return _admitted(task, catalog, dialect)
    except Refuse as refusal:
        refusal.problems = refusal.problems or _problems(refusal, task.statement, catalog, dialect)
        raise


def _admitted(task: SqlTask, catalog: Catalog, dialect: Dialect) -> Plan:
    text, tokens, explain = _without_explain(task.statement, dialect)
    tree = quoted(parse_one(text, dialect, tokens), dialect)
    check(tree, catalog, dialect)
    names = frozenset(str(node.this) for node in tree.find_all(exp.Placeholder))
    _check_values(task.parameters)
    outputs = tuple(map(dialect.output_name, output_texts(text, tokens))) if dialect.names_by_text else ()
    return Plan(tree=tree, dialect=dialect, explain=explain, names=names, parameters=task.parameters, outputs=outputs)


def _problems(refusal: Refuse, text: str, catalog: Catalog, dialect: Dialect) -> tuple[Problem, ...]:
    """All that is wrong with a refused text, with places in it; none where it cannot be read that far."""
    words_ = text.lstrip()
    if words_[:7].upper() == "EXPLAIN":  # blanks keep the places
        text = f"{text[: len(text) - len(words_)]}       {words_[7:]}"
    try:
        tokens = scan(text, dialect)
        trees = [tree for tree in dialect.parse(text, _with_parameters(text, tokens, dialect)) if tree is not None]
        if refusal.code in {"sql.root", "sql.statements"} and tokens:
            first = placed(Refuse(refusal.code, refusal.message, refusal.hint), _opening(tokens, refusal.code), text)
            return first.problems
        return problems(refusal, trees, tokens, catalog, dialect)
    except (Refuse, *_UNREADABLE):
        return (Problem(refusal.code, refusal.message, refusal.hint),)


def unbound_columns(task: SqlTask, catalog: Catalog) -> Refuse | None:
    """For a statement that the engine could not bind: the columns that its relations do not have, if there are any."""
    dialect = DIALECTS[catalog.dialect]
    try:
        tokens = scan(task.statement, dialect)
        trees = dialect.parse(task.statement, _with_parameters(task.statement, tokens, dialect))
        found = unbound([tree for tree in trees if tree is not None], tokens, catalog, dialect)
    except (Refuse, *_UNREADABLE):
        return None
    if not found:
        return None
    refusal = Refuse("sql.column", found[0].message, found[0].hint)
    refusal.problems = found
    return refusal


def _opening(tokens: list[Token], code: str) -> Token:
    """The word that opens the statement; of several statements, the second."""
    if code == "sql.root":
        return tokens[0]
    ends = [place for place, token in enumerate(tokens) if token.token_type is TokenType.SEMICOLON]
    return tokens[min(ends[0] + 1, len(tokens) - 1)] if ends else tokens[0]


def parse_one(text: str, dialect: Dialect, tokens: list[Token] | None = None) -> exp.Expression:
    """Exactly one statement that is a query, whose scanned `tokens` may be known.

    Raises Refuse(sql.parse | sql.statements | sql.root | …).
    """
    tokens = scan(text, dialect) if tokens is None else tokens
    for word, next_ in pairwise(tokens) if dialect.misread else ():
        if next_.token_type is TokenType.L_PAREN and word.text.lower() in dialect.misread:
            raise placed(refused_function(word.text, dialect), word, text)
        if next_.start == word.end + 1 and (word.token_type, next_.token_type) in _RUN_TOGETHER:
            refusal = Refuse("sql.parse", "A number or U& runs into a word.", "Put blanks around operators.")
            if next_.token_type is TokenType.VAR or word.text.lower() == "u":
                raise placed(refusal, word, text)
    tokens = _with_parameters(text, tokens, dialect)
    try:
        trees = [
            tree for tree in dialect.parse(text, tokens) if tree is not None and not isinstance(tree, exp.Semicolon)
        ]
    except ParseError as error:
        raise _unparsed(error) from None
    except _UNREADABLE:
        raise Refuse("sql.parse", "The statement does not parse.", "Correct the syntax, or simplify it.") from None
    if len(trees) != 1:
        raise Refuse("sql.statements", f"There are {len(trees)} statements; one is allowed.", "Send one query per job.")
    roots = (*ROOTS, exp.Pivot) if "using" in dialect.nodes.get(exp.Pivot, ()) else ROOTS
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
    bare(tree, dialect)
    for node in tree.walk():
        node._meta = node.comments = None  # noqa: SLF001 - there is no public way to drop it
        if isinstance(node, exp.Identifier):
            if not node.args.get("quoted"):
                key = isinstance(node.parent, exp.PropertyEQ)  # of {'a': 1}: a text, no name
                if isinstance(node.this, str) and dialect.case != "insensitive" and not key:
                    node.args["this"] = dialect.fold(node.this, quoted=False)
                node.args["quoted"] = True
        elif isinstance(node, dialect.strings):
            texts.append(node)
    for node in texts:
        node.replace(exp.Literal.string(str(node.this)))
    return tree


def bare(tree: exp.Expression, dialect: Dialect) -> exp.Expression:
    """The tree, changed in place: pseudo columns are words, not columns, for a quoted one would mean something else."""
    for window in tree.find_all(exp.Window) if dialect.bare_columns else ():
        if window.args.get("over") == "KEEP" and isinstance(window.args.get("alias"), exp.Identifier):
            window.args["alias"].set("quoted", True)
    for column in list(tree.find_all(exp.Column)) if dialect.bare_columns else ():
        name = column.this
        written_bare = isinstance(name, exp.Identifier) and not name.args.get("quoted")
        if written_bare and not column.args.get("table") and name.name.upper() in dialect.bare_columns:
            column.replace(exp.Var(this=name.name.upper()))
    return tree


def reparsed(text: str, dialect: Dialect, tokens: list[Token] | None = None) -> exp.Expression:
    """A generated text, read again. Raises Refuse(sql.rewrite | sql.depth) where that fails."""
    tokens = dialect.tokens(text) if tokens is None else tokens
    check_work(tokens, dialect)
    try:
        (again,) = dialect.parse(text, tokens)
    except _UNREADABLE:
        raise Refuse("sql.rewrite", "The statement cannot be written back.", "Write it more plainly.") from None
    if again is None:
        raise Refuse("sql.rewrite", "The statement cannot be written back.", "Write it more plainly.")
    return bare(without_positions(again), dialect)


def written(tree: exp.Expression, dialect: Dialect, *, spare: bool = True) -> str:
    """The tree's text in the engine's dialect. Raises Refuse(sql.rewrite) for what the dialect cannot say.

    Without `spare` the tree itself becomes what sqlglot makes of it while it writes.
    """
    try:
        text = dialect.generate(tree, spare=spare)
    except _UNREADABLE:
        message = f"The statement uses what cannot be written in {dialect.name}."
        raise Refuse("sql.rewrite", message, "Write it more plainly, without constructs of other dialects.") from None
    if dialect.unsafe_text is not None and dialect.unsafe_text.search(text):
        raise Refuse("sql.node", "The statement holds what would be replaced in its text.", "Pass it as a parameter.")
    return text


def check(tree: exp.Expression, catalog: Catalog, dialect: Dialect) -> None:
    """Nodes, arguments, functions and relations. Raises Refuse(sql.*)."""
    walk(tree, dialect)
    found = uses(tree, catalog, dialect)
    check_hidden(tree, found, dialect)
    if dialect.calls_fields:
        check_fields(tree, found, dialect)


def check_words(text: str, tokens: list[Token], dialect: Dialect, also: frozenset[str]) -> None:
    """What the engine will read: each bare word before a bracket is an admitted function or a keyword."""
    for token, following in pairwise(tokens):
        if following.token_type is not TokenType.L_PAREN or not token.text[:1].isalpha():
            continue
        if token.token_type in {TokenType.IDENTIFIER, TokenType.STRING} or _is_quoted(text, token):
            continue
        word = token.text.lower().split()[-1]
        if word in _STRUCTURAL | dialect.openers | dialect.table_functions | also:
            continue
        if word not in dialect.functions and not dialect.knows(token.text.split()[-1]):
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
    if dialect.inline_parameters and "$" in text:
        return _numbered(tokens)
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


def _numbered(tokens: list[Token]) -> list[Token]:
    """The tokens with `:p1` for `$1`, and so on."""
    spelled = list(tokens)
    for place, (mark, number) in enumerate(pairwise(tokens)):
        if mark.text == "$" and mark.token_type is TokenType.PARAMETER and number.token_type is TokenType.NUMBER:
            at = (mark.line, mark.col, mark.start, mark.end)
            spelled[place] = Token(TokenType.COLON, ":", *at)
            spelled[place + 1] = Token(TokenType.VAR, f"p{number.text}", *at)
    return spelled


def _check_values(parameters: Mapping[str, ParameterValue]) -> None:
    for name, value in parameters.items():
        if isinstance(value, str) and "\0" in value:
            raise Refuse("sql.parameter", f"The parameter {name} holds a NUL character.", "Remove it.")


def _unparsed(error: ParseError) -> Refuse:
    first = error.errors[0] if error.errors else {}
    line, end, word = first.get("line"), first.get("col"), str(first.get("highlight") or "")
    if not line or not end:
        return Refuse("sql.parse", "The statement does not parse.", "Correct the syntax.")
    column = max(end - len(word) + 1, 1)
    message = f"The statement does not parse at line {line}, column {column}."
    refusal = Refuse("sql.parse", message, "Correct the syntax.")
    refusal.problems = (Problem("sql.parse", message, refusal.hint, "", line, column),)
    return refusal
