"""Keeps a grammar's hands off calls that it would turn into other functions: what was written is what is written back.

sqlglot reads `date_part('year', x)` as EXTRACT, whose result has another type, and `now()` as CURRENT_TIMESTAMP. A name
that the grammar does not know stays what it is, so such names are disguised before it sees them.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from sqlglot import exp
from sqlglot.tokenizer_core import Token, TokenType

_PREFIX: Final = "meridyen_plain_"
_NO_CALL: Final = frozenset({TokenType.DCOLON, TokenType.ALIAS})
_OPERAND: Final = frozenset({TokenType.VAR, TokenType.IDENTIFIER})


def disguised(
    tokens: Sequence[Token], names: frozenset[str], types: frozenset[TokenType] | set[TokenType]
) -> list[Token] | None:
    """The tokens with a prefix on every call of one of `names`; None when there is none.

    A name behind `::` or AS, and a type's name behind another name (a column definition), is no call. A quoted name is
    one when it is written as the engine compares it.
    """
    spelled = None
    before = None
    for place, token in enumerate(tokens):
        following = tokens[place + 1] if place + 1 < len(tokens) else None
        if following is not None and following.token_type is TokenType.L_PAREN and before not in _NO_CALL:
            quoted = token.token_type is TokenType.IDENTIFIER
            name = token.text if quoted else token.text.lower()
            definition = before in _OPERAND and token.token_type in types
            if name in names and token.token_type is not TokenType.STRING and not definition:
                spelled = list(tokens) if spelled is None else spelled
                spelled[place] = Token(
                    TokenType.VAR, _PREFIX + name, token.line, token.col, token.start, token.end, token.comments
                )
        before = token.token_type
    return spelled


def undisguised(trees: Iterable[exp.Expression | None]) -> None:
    """Take the prefix off again, wherever the grammar has put the name; in place."""
    for tree in trees:
        for node in tree.walk() if tree is not None else ():
            if isinstance(node, (exp.Anonymous, exp.Identifier)):
                name = node.args.get("this")
                if isinstance(name, str) and name.startswith(_PREFIX):
                    node.args["this"] = name[len(_PREFIX) :]
