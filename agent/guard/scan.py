"""Statement text -> tokens, or `Refuse`: what must hold before a parser sees the text.

The limits keep the parser's own recursion and its super-linear corners out of reach: sqlglot's compiled build ends the
process on deeply nested sub-selects, needs minutes for 20,000 chained subscripts, and reads what stands in the brackets
of a type word twice at every level (`DECIMAL(DECIMAL(…`, `ARRAY[ARRAY[…`).
"""

import re
from itertools import pairwise
from typing import Final

from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import Token, TokenType

from agent.core.errors import Refuse
from agent.dialects import Dialect
from agent.dialects.base import words

MAX_BYTES: Final = 65_536
MAX_DEPTH: Final = 200
MAX_TOKENS: Final = 16_384
MAX_OF: Final = {"(": 2_000, "[": 400, "{": 400, "::": 400, "->": 400, ".": 6_000, "case": 1_000, "join": 1_000}
MAX_RUN: Final = 100
"""Words in a row that open another level without a bracket (NOT NOT …, - - …, CASE WHEN CASE …)."""
MAX_REREAD: Final = 32_768
"""How many words may be read again because they stand in the brackets of type words: 2^depth - 1 for each."""

MAX_REREAD_WRITTEN: Final = 500_000
"""The same for generated texts, which repeat a mask for every column: half a second of work."""
MAX_ANGLES: Final = 200
"""How many angle brackets may stand behind words of nested types (STRUCT<…). Grammars that have no such types try, at
each of them, everything that follows."""
MAX_COPIED: Final = 60_000
"""How many words may be copied for the SELECTs around them, in grammars that copy what a FROM reads."""

_OPENED: Final = frozenset({TokenType.L_PAREN, TokenType.L_BRACKET})
_CLOSED: Final = frozenset({TokenType.R_PAREN, TokenType.R_BRACKET})
_OPENING: Final = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}
_QUERY: Final = frozenset({TokenType.SELECT, TokenType.WITH})
_BRACKET: Final = re.compile(r"[()\[\]{}]")
_PREFIX: Final = words("- + ~ ! not case when then else exists interval map array distinct from lambda any all")
_PLAIN: Final = frozenset(
    {TokenType.STRING, TokenType.IDENTIFIER, TokenType.NUMBER, TokenType.COMMA, TokenType.R_PAREN, TokenType.EQ}
)
_SPLIT_WORDS: Final = re.compile(r"/\*[!+M]")


def scan(sql: str, dialect: Dialect) -> list[Token]:
    """The tokens of a text that is fit to be parsed. Raises Refuse(sql.size | sql.encoding | sql.depth | sql.parse)."""
    _check_text(sql)
    try:
        tokens = dialect.tokens(sql)
    except (SqlglotError, RecursionError, ValueError):
        raise Refuse("sql.parse", "The text cannot be split into words: a quote or comment is not closed.") from None
    if len(tokens) > MAX_TOKENS:
        raise Refuse("sql.size", f"The statement has more than {MAX_TOKENS} words.", "Pass long lists as parameters.")
    _check_nesting(tokens)
    _check_angles(tokens, dialect)
    check_work(tokens, dialect, MAX_REREAD)
    return tokens


def _check_text(sql: str) -> None:
    try:
        size = len(sql.encode("utf-8"))
    except UnicodeEncodeError:
        raise Refuse("sql.encoding", "The statement is not valid Unicode.", "Remove lone surrogates.") from None
    if size > MAX_BYTES:
        raise Refuse("sql.size", "The statement is longer than 64 KB.", "Shorten it; pass long lists as parameters.")
    if "\0" in sql:
        raise Refuse("sql.encoding", "The statement holds a NUL character.", "Remove it.")
    if _SPLIT_WORDS.search(sql):
        raise Refuse(
            "sql.node", "Comments that engines execute or read as hints are not allowed.", "Remove /*! and /*+."
        )
    # Counted over the raw text, quotes or not: whoever disagrees about quoting must not get past it.
    depth = deepest = 0
    for bracket in _BRACKET.findall(sql):
        depth += _OPENING[bracket]
        deepest = max(deepest, depth)
    if deepest > MAX_DEPTH:
        raise Refuse("sql.depth", f"Brackets are nested deeper than {MAX_DEPTH}.", "Flatten the query with WITH.")


def _check_nesting(tokens: list[Token]) -> None:
    counts = dict.fromkeys(MAX_OF, 0)
    run = cases = 0
    for token in tokens:
        if token.token_type in _PLAIN:
            run = 0
            continue
        word = token.text.lower()
        if word in counts:
            counts[word] += 1
            if counts[word] > MAX_OF[word]:
                raise Refuse("sql.depth", f"The statement has more than {MAX_OF[word]} of {word!r}.", "Simplify it.")
        if word == "case":
            cases += 1
        elif word == "end":
            cases -= 1
        run = run + 1 if word in _PREFIX else 0
        if run > MAX_RUN or cases > MAX_RUN:
            raise Refuse("sql.depth", f"More than {MAX_RUN} levels without brackets.", "Flatten the expression.")


def _check_angles(tokens: list[Token], dialect: Dialect) -> None:
    nested = dialect.grammar.parser_class.NESTED_TYPE_TOKENS
    angles = [word for word, mark in pairwise(tokens) if mark.token_type is TokenType.LT and word.token_type in nested]
    if len(angles) > MAX_ANGLES:
        raise Refuse("sql.depth", f"There are more than {MAX_ANGLES} type words with < behind them.", "Simplify it.")


def check_work(tokens: list[Token], dialect: Dialect, most: int = MAX_REREAD_WRITTEN) -> None:
    """What a parser would do more than once for these words, also those of a text that was written here.

    Raises Refuse(sql.depth).
    """
    _check_rereading(tokens, dialect, most)
    _check_copying(tokens, dialect)


def _check_rereading(tokens: list[Token], dialect: Dialect, most: int) -> None:
    types = dialect.grammar.parser_class.TYPE_TOKENS
    opened: list[bool] = []
    depth = work = 0
    before = None
    for token in tokens:
        kind = token.token_type
        if kind in _OPENED:
            opened.append(before in types)
            depth += opened[-1]
        elif kind in _CLOSED and opened:
            depth -= opened.pop()
        if depth:
            work += (1 << min(depth, 30)) - 1
        before = kind
    if work > most:
        raise Refuse("sql.depth", "Type words with brackets are nested too deeply.", "Use plainer types and casts.")


def _check_copying(tokens: list[Token], dialect: Dialect) -> None:
    """Each SELECT of some grammars copies all that its FROM reads, at every level. Raises Refuse(sql.depth)."""
    if not dialect.grammar.parser_class.SUPPORTS_IMPLICIT_UNNEST:
        return
    opened: list[bool] = []
    depth = work = 0
    for token, following in pairwise(tokens):
        if token.token_type is TokenType.L_PAREN:
            opened.append(following.token_type in _QUERY)
            depth += opened[-1]
        elif token.token_type is TokenType.R_PAREN and opened:
            depth -= opened.pop()
        work += depth
    if work > MAX_COPIED:
        raise Refuse("sql.depth", "Sub-queries are nested too deeply.", "Flatten the query with WITH.")
