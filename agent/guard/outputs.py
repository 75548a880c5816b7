"""A statement's tokens -> the written text of each item of its SELECT list, by which some engines call a column."""

from typing import Final

from sqlglot.tokenizer_core import Token, TokenType

from agent.dialects.base import words

_QUOTED: Final = frozenset({TokenType.STRING, TokenType.IDENTIFIER})
_OPENING: Final = {"(": 1, "[": 1, ")": -1, "]": -1}
_AFTER: Final = words("from where group having window order limit union except intersect ;")


def output_texts(text: str, tokens: list[Token]) -> tuple[str, ...]:
    """The items of the first SELECT that stands in no bracket; empty where there is none."""
    items: list[list[Token]] = []
    depth = 0
    before = ""
    for token in tokens:
        word = "" if token.token_type in _QUOTED else token.text.lower()
        depth += _OPENING.get(word, 0)
        if depth == 0 and word == "select" and not items:
            items.append([])
        elif items and depth == 0 and word in _AFTER and not (word == "from" and before == "distinct"):
            break
        elif items and depth == 0 and word == ",":
            items.append([])
        elif items and not (word in {"distinct", "all"} and len(items) == 1 and not items[0]):
            items[-1].append(token)
        before = word
    return tuple(text[item[0].start : item[-1].end + 1] for item in items if item)
